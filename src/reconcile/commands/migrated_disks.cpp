#include "reconcile/commands/migrated_disks.h"

#include <algorithm>

#include "reconcile/commands/disks.h"

namespace bridgehead::reconcile {
namespace {

using operations::DiskCopy;

// Why the disks can't come along, and what to do about it.
struct Obstacle {
  std::string message;
  std::string fix;
};
template <typename T>
using Planned = tl::expected<T, Obstacle>;

tl::unexpected<Obstacle> obstacle(std::string message, std::string fix) {
  return tl::unexpected(Obstacle{std::move(message), std::move(fix)});
}

class Planner {
 public:
  Planner(const state::Inventory& inventory, const model::Vm& vm, const model::Node& source, const model::Node& target,
          const model::Pool* into)
      : inventory_(inventory), vm_(vm), source_(source), target_(target), into_(into) {}

  Planned<MigratedDisks> plan() {
    MigratedDisks all{.check = {.name = "pools"}, .copies = {}};
    for (const auto& disk : vm_.spec.disks) {
      const auto image = inventory_.find<model::Image>(disk.image);
      if (!image) continue;
      if (auto rests = check_disk_rests(inventory_, image->value); !rests) {  // where it ends is to be seen
        return obstacle(rests.error().message, rests.error().hint);
      }
      const auto from = inventory_.find<model::Pool>(image->value.pool);
      if (!from)
        return obstacle(fmt::format("pool {} is gone", image->value.pool), "Look at its disks: bh image list.");
      const auto stays = stays_in(from->value);
      if (!stays) return tl::unexpected(stays.error());
      if (*stays) continue;
      const auto copy = copy_of(disk, image->value, from->value);
      if (!copy) return tl::unexpected(copy.error());
      const auto to = inventory_.find<model::Pool>(copy->to);
      all.check.message += fmt::format("{} {} ({}) into pool '{}'", all.copies.empty() ? "copies" : ",", disk.name,
                                       image->value.virtual_size.human(), to->value.name);
      all.copies.push_back(*copy);
    }
    return all;
  }

 private:
  static const model::PoolOnNode* ready_on(const model::Pool& pool, const model::Node& node) {
    const auto there = pool.nodes.find(node.id);
    return there == pool.nodes.end() || !there->second.ready || pool.deleting ? nullptr : &there->second;
  }
  static std::string why_not_ready(const model::Pool& pool, const model::Node& node) {
    const auto there = pool.nodes.find(node.id);
    const auto why = pool.deleting                   ? std::string("it is being removed")
                     : there == pool.nodes.end()     ? std::string("it isn't there")
                     : there->second.message.empty() ? std::string("it isn't ready")
                                                     : there->second.message;
    return fmt::format("pool '{}' isn't ready on node '{}': {}", pool.name, node.name, why);
  }

  // Both nodes see the same file.
  Planned<bool> stays_in(const model::Pool& pool) const {
    const auto* here = ready_on(pool, source_);
    if (here == nullptr) return obstacle(why_not_ready(pool, source_), "Look at it: bh pool show.");
    const auto* there = ready_on(pool, target_);
    if (!model::is_shared(pool.driver) || there == nullptr) return false;
    for (const auto& [on, name] : {std::pair(here, source_.name), std::pair(there, target_.name)}) {
      if (on->abilities.locks) continue;
      return obstacle(fmt::format("pool '{}' keeps no locks on node '{}'", pool.name, name),
                      "Mount it with locks that hold between nodes; without them two nodes could write one disk.");
    }
    return true;
  }

  // What the copy may take: all of it, unless what of it is a hole can be told and stays one.
  Bytes room_for(const model::Image& image, const model::Pool& from, const model::PoolOnNode& there) const {
    const auto* here = ready_on(from, source_);
    const bool qcow2 = image.format == model::ImageFormat::qcow2;
    if (!here->abilities.seek_holes || (!there.abilities.punch_hole && !qcow2)) return image.virtual_size;
    auto taken = image.allocated;
    const auto golden = inventory_.find<model::Image>(image.parent);
    if (golden && qcow2) taken += golden->value.allocated;
    return std::min(taken, image.virtual_size);
  }

  Planned<DiskCopy> copy_of(const model::DiskSpec& disk, const model::Image& image, const model::Pool& from) {
    const auto& to = into_ != nullptr ? *into_ : from;
    const auto* there = ready_on(to, target_);
    if (there == nullptr) {
      const auto message = model::is_shared(from.driver) || into_ != nullptr
                               ? why_not_ready(to, target_)
                               : fmt::format("{} lies in pool '{}', which is local to its node, and {}", disk.name,
                                             from.name, why_not_ready(to, target_));
      return obstacle(message, way_out(image, from));
    }
    const auto room = room_for(image, from, *there);
    auto& needed = needed_[to.id];
    needed += room;
    if (needed > there->available) {
      return obstacle(fmt::format("its disks may take {} of pool '{}', which has {} left on node '{}'", needed.human(),
                                  to.name, there->available.human(), target_.name),
                      way_out(image, from));
    }
    return DiskCopy{.image = image.id, .from = from.id, .to = to.id, .room = room};
  }

  // Another pool there, if one has room.
  std::string way_out(const model::Image& image, const model::Pool& from) const {
    for (const auto& pool : inventory_.all<model::Pool>()) {
      const auto* there = ready_on(pool->value, target_);
      const bool tried = into_ != nullptr ? pool->value.id == into_->id : pool->value.id == from.id;
      if (tried || there == nullptr || there->available < room_for(image, from, *there)) continue;
      return fmt::format("bh vm migrate {} --to {} --pool {}", vm_.name, target_.name, pool->value.name);
    }
    return fmt::format("Make room in a pool on node '{}', or add one: bh pool add.", target_.name);
  }

  const state::Inventory& inventory_;
  const model::Vm& vm_;
  const model::Node& source_;
  const model::Node& target_;
  const model::Pool* into_;
  std::map<model::PoolId, Bytes> needed_;
};

}  // namespace

MigratedDisks plan_migrated_disks(const state::Inventory& inventory, const model::Vm& vm, const model::Node& source,
                                  const model::Node& target, const model::Pool* into) {
  // To the node where it is there is nothing to plan; another check says so.
  if (source.id == target.id) return {.check = {.name = "pools"}, .copies = {}};
  auto planned = Planner(inventory, vm, source, target, into).plan();
  if (planned) return std::move(*planned);
  auto& [message, fix] = planned.error();
  return {.check = {.name = "pools", .passed = false, .message = std::move(message), .fix = std::move(fix)},
          .copies = {}};
}

}  // namespace bridgehead::reconcile
