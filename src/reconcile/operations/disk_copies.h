// Disks that go along with a migrating guest (docs/decisions/0020): parameters["copies"] of vm.migrate. And
// image.clear, which removes the file that isn't the disk in the end. Free functions over the inventory; pure.
#pragma once

#include <vector>

#include "reconcile/operations/records.h"

namespace bridgehead::reconcile::operations {

struct DiskCopy {
  model::ImageId image;
  model::PoolId from;
  model::PoolId to;
  Bytes room;  // what it may take there
};

nlohmann::json to_parameter(const std::vector<DiskCopy>& copies);
std::vector<DiskCopy> copies_of(const model::Operation& operation);

// Are the disks still where they were when this was asked for?
Status check_copies(const View& view, const model::Vm& vm, const std::vector<DiskCopy>& copies);
// As the disk will be on `node`: in its new pool, without its golden image.
model::Image as_copied(const View& view, model::Image disk, const DiskCopy& copy, const model::NodeId& node);
// The assignment for the target: its disks are where they will be.
void redirect(const View& view, const std::vector<DiskCopy>& copies, const model::NodeId& node, model::EnsureVm& guest);
// Its pools, as `node` should know them.
std::vector<model::Pool> pools_from(const View& view, const std::vector<DiskCopy>& copies, const model::NodeId& node);

// The guest has arrived: the records follow, and the files that it has left are cleared away.
void take_along(const View& view, const model::Operation& operation, const model::NodeId& from, const model::NodeId& to,
                Changes& changes);
// It has not: what was made on the target is cleared away.
void leave_behind(const View& view, const model::Operation& operation, const model::NodeId& target, Changes& changes);

// The open image.clear of one of these disks on that node; none when there is none.
std::optional<model::Operation> clearing_on(const state::Inventory& inventory, const model::Vm& vm,
                                            const model::NodeId& node);

// Whether an image.clear is about a file in that pool.
bool clears_in(const model::Operation& clear, const model::PoolId& pool);

}  // namespace bridgehead::reconcile::operations
