#include "host_agent/assignments/assignments.h"

namespace bridgehead::host_agent {
namespace {

template <typename... Visitors>
struct Overloaded : Visitors... {
  using Visitors::operator()...;
};

std::string lane_of(const model::ImageId& image) { return "image/" + image.str(); }
// A disk's work goes in its guest's lane: nothing else happens to the guest meanwhile.
std::string lane_of(const model::VmId& vm, const model::ImageId& disk) {
  return vm.empty() ? lane_of(disk) : host_agent::lane_of(vm);
}

}  // namespace

Assignments::Assignments(NodeServices& services)
    : ensure_vm_(services),
      remove_vm_(services),
      reboot_vm_(services),
      snapshot_vm_(services),
      accept_vm_(services),
      migrate_vm_(services),
      settle_vm_(services),
      move_disk_(services),
      flatten_disk_(services),
      clear_disk_(services),
      import_image_(services),
      help_import_(services),
      remove_image_(services),
      ensure_pool_(services),
      remove_pool_(services),
      ensure_network_(services),
      remove_network_(services) {}

Outcome Assignments::run(const model::Assignment& assignment, const Task& task) {
  return std::visit(Overloaded{
                        [&](const model::EnsureVm& work) { return ensure_vm_.run(work, task); },
                        [&](const model::RemoveVm& work) { return remove_vm_.run(work, task); },
                        [&](const model::RebootVm& work) { return reboot_vm_.run(work, task); },
                        [&](const model::SnapshotVm& work) { return snapshot_vm_.run(work, task); },
                        [&](const model::AcceptVm& work) { return accept_vm_.run(work, task); },
                        [&](const model::MigrateVm& work) { return migrate_vm_.run(work, task); },
                        [&](const model::SettleVm& work) { return settle_vm_.run(work, task); },
                        [&](const model::MoveDisk& work) { return move_disk_.run(work, task); },
                        [&](const model::FlattenDisk& work) { return flatten_disk_.run(work, task); },
                        [&](const model::ClearDisk& work) { return clear_disk_.run(work, task); },
                        [&](const model::ImportImage& work) { return import_image_.run(work, task); },
                        [&](const model::HelpImport& work) { return help_import_.run(work, task); },
                        [&](const model::RemoveImage& work) { return remove_image_.run(work, task); },
                        [&](const model::EnsurePool& work) { return ensure_pool_.run(work, task); },
                        [&](const model::RemovePool& work) { return remove_pool_.run(work, task); },
                        [&](const model::EnsureNetwork& work) { return ensure_network_.run(work, task); },
                        [&](const model::RemoveNetwork& work) { return remove_network_.run(work, task); },
                    },
                    assignment.body);
}

std::string lane_of(const model::VmId& vm) { return "vm/" + vm.str(); }
std::string lane_of(const model::PoolId& pool) { return "pool/" + pool.str(); }
std::string lane_of(const model::NetworkId& network) { return "network/" + network.str(); }

std::string lane_of(const model::AssignmentBody& body) {
  return std::visit(Overloaded{
                        [](const model::EnsureVm& work) { return lane_of(work.vm.id); },
                        [](const model::RemoveVm& work) { return lane_of(work.vm.id); },
                        [](const model::RebootVm& work) { return lane_of(work.vm); },
                        [](const model::SnapshotVm& work) { return lane_of(work.vm); },
                        [](const model::AcceptVm& work) { return lane_of(work.guest.vm.id); },
                        [](const model::MigrateVm& work) { return lane_of(work.vm); },
                        [](const model::SettleVm& work) { return lane_of(work.vm); },
                        [](const model::MoveDisk& work) { return lane_of(work.vm, work.image.id); },
                        [](const model::FlattenDisk& work) { return lane_of(work.vm, work.image.id); },
                        [](const model::ClearDisk& work) { return lane_of(work.vm); },
                        [](const model::ImportImage& work) { return lane_of(work.image.id); },
                        [](const model::HelpImport& work) { return lane_of(work.image.id); },
                        [](const model::RemoveImage& work) { return lane_of(work.image.id); },
                        [](const model::EnsurePool& work) { return lane_of(work.pool.id); },
                        [](const model::RemovePool& work) { return lane_of(work.pool.id); },
                        [](const model::EnsureNetwork& work) { return lane_of(work.network.id); },
                        [](const model::RemoveNetwork& work) { return lane_of(work.network.id); },
                    },
                    body);
}

bool takes_long(const model::AssignmentBody& body) {
  return std::holds_alternative<model::ImportImage>(body) || std::holds_alternative<model::HelpImport>(body) ||
         std::holds_alternative<model::MoveDisk>(body) || std::holds_alternative<model::FlattenDisk>(body);
}

model::VmId guest_of(const model::AssignmentBody& body) {
  return std::visit(Overloaded{
                        [](const model::EnsureVm& work) { return work.vm.id; },
                        [](const model::RemoveVm& work) { return work.vm.id; },
                        [](const model::RebootVm& work) { return work.vm; },
                        [](const model::SnapshotVm& work) { return work.vm; },
                        [](const model::AcceptVm& work) { return work.guest.vm.id; },
                        [](const model::MigrateVm& work) { return work.vm; },
                        [](const model::SettleVm& work) { return work.vm; },
                        [](const model::MoveDisk& work) { return work.vm; },
                        [](const model::FlattenDisk& work) { return work.vm; },
                        [](const model::ClearDisk& work) { return work.vm; },
                        [](const auto&) { return model::VmId(); },
                    },
                    body);
}

}  // namespace bridgehead::host_agent
