#include <algorithm>

#include "model/enum_names.h"
#include "reconcile/cluster.h"
#include "reconcile/commands/parts.h"
#include "reconcile/commands/validate.h"

namespace bridgehead::reconcile {
namespace {

using validate::wrong;

constexpr std::uint64_t kMostAtOnce = 1000;

Status check_plain(const CreateVms& request) {
  if (request.count < 1 || request.count > kMostAtOnce) return wrong("count", "must be between 1 and {}", kMostAtOnce);
  if (auto checked = validate::name("VM", request.name); !checked) return checked;
  if (auto checked = validate::cpus(request.cpus); !checked) return checked;
  if (auto checked = validate::memory(request.memory); !checked) return checked;
  if (auto checked = validate::labels(request.labels); !checked) return checked;
  if (auto checked = validate::planning(request.planning); !checked) return checked;
  if (auto checked = validate::cloud_init(request.cloud_init); !checked) return checked;
  if (request.disks.size() > parts::kMostDisks) return wrong("disks", "at most {} are possible", parts::kMostDisks);
  if (request.nics && request.nics->size() > parts::kMostNics)
    return wrong("nics", "at most {} are possible", parts::kMostNics);
  if (request.power == model::PowerState::paused) return wrong("power", "a new VM is running or stopped");
  if (request.disks.empty() && request.image.empty()) {
    return wrong("disks", "a VM needs a disk: give an image, or a disk with a size");
  }
  for (std::size_t i = 0; request.nics && i < request.nics->size(); ++i) {
    const auto& mac = (*request.nics)[i].mac;
    if (mac.empty()) continue;
    if (request.count > 1) return wrong(fmt::format("nics[{}].mac", i), "can't be the same for {} VMs", request.count);
    for (std::size_t j = 0; j < i; ++j) {
      if ((*request.nics)[j].mac == mac) return wrong(fmt::format("nics[{}].mac", i), "{} is given twice", mac);
    }
  }
  return {};
}

// What all VMs of one request share, resolved once.
struct Plan {
  std::vector<std::optional<model::Image>> golden;  // per disk
  std::vector<model::PoolId> blank_pools;           // per disk: where it is if it has no golden image
  std::vector<NicRequest> nics;
  model::NodeId node;
};

Status plan_disks(const state::Inventory& inventory, const CreateVms& request, Plan& plan) {
  std::vector<std::string> images;
  for (std::size_t i = 0; i < std::max<std::size_t>(request.disks.size(), 1); ++i) {
    const std::string own = i < request.disks.size() ? request.disks[i].image : "";
    images.push_back(own.empty() && i == 0 ? request.image : own);
  }
  model::PoolId pool;
  if (!request.pool.empty()) {
    auto found = parts::pool_for(inventory, request.pool);
    if (!found) return forward(found);
    pool = *found;
  }
  const model::Image* on_node = nullptr;
  bool blank = false;
  for (std::size_t i = 0; i < images.size(); ++i) {
    if (images[i].empty()) {
      blank = blank || i >= request.disks.size() || request.disks[i].pool.empty();
      plan.golden.emplace_back();
      continue;
    }
    const auto field = i == 0 ? std::string("image") : fmt::format("disks[{}].image", i);
    auto image = parts::golden_image(inventory, field, images[i]);
    if (!image) return forward(image);
    if (!request.pool.empty() && image->pool != pool) {
      return fail_with_hint(
          ErrorCode::failed_precondition,
          fmt::format("pool: image '{}' is in another pool, and a clone is made beside its image", image->name),
          "Leave the pool out, or import the image into that pool first.");
    }
    if (on_node != nullptr && on_node->node != image->node) {
      return fail(ErrorCode::failed_precondition, "{}: images '{}' and '{}' are on different nodes", field,
                  on_node->name, image->name);
    }
    plan.golden.emplace_back(std::move(*image));
    if (on_node == nullptr) on_node = &*plan.golden.back();
    if (pool.empty()) pool = on_node->pool;
  }
  if (blank && pool.empty()) {
    auto found = parts::pool_for(inventory, {});
    if (!found) return forward(found);
    pool = *found;
  }
  for (std::size_t i = 0; i < images.size(); ++i) {
    plan.blank_pools.push_back(pool);
    if (i >= request.disks.size() || request.disks[i].pool.empty()) continue;
    if (!images[i].empty()) {
      return wrong(fmt::format("disks[{}].pool", i), "is for blank disks; a clone is made beside its image");
    }
    auto own = parts::pool_for(inventory, request.disks[i].pool);
    if (!own) return fail(own.error().code, "disks[{}].{}", i, own.error().message);
    plan.blank_pools.back() = *own;
  }
  return {};
}

Result<Plan> make_plan(const state::Inventory& inventory, const CreateVms& request) {
  Plan plan;
  plan.golden.reserve(parts::kMostDisks + 1);
  if (auto planned = plan_disks(inventory, request, plan); !planned) return forward(planned);
  if (request.nics) {
    plan.nics = *request.nics;
  } else if (const auto network = inventory.find_by_name<model::Network>("default");
             network && !network->value.deleting) {
    plan.nics.push_back({.network = network->value.id.str()});
  }
  if (!request.node.empty()) {
    const auto node = parts::in_field<model::Node>(inventory, "node", request.node);
    if (!node) return forward(node);
    plan.node = (*node)->value.id;
  }
  return plan;
}

// Room to grow while running: what isn't foreseen when a guest starts needs a restart later.
void set_limits(model::VmSpec& spec) {
  spec.max_cpus = std::min(512u, std::max(spec.cpus, spec.cpus <= 16 ? spec.cpus * 4 : spec.cpus * 2));
  spec.max_memory = std::max(spec.memory, std::min(spec.memory * 4, Bytes(16_TiB)));
}

struct NewVm {
  model::Vm vm;
  std::vector<model::Image> images;
};

Result<NewVm> make_vm(Draft& draft, const CreateVms& request, const Plan& plan, const std::string& name) {
  NewVm made;
  auto& vm = made.vm;
  vm.id = make_id<model::VmId>(draft.random());
  vm.name = name;
  vm.labels = request.labels;
  vm.planning = request.planning;
  vm.past_leases.emplace();
  vm.created = draft.now;
  vm.status.since = draft.now;
  auto& spec = vm.spec;
  spec.cpus = static_cast<std::uint32_t>(request.cpus);
  spec.memory = request.memory;
  spec.cpu_model = request.cpu_model;
  spec.firmware = request.firmware;
  spec.autostart = request.autostart;
  spec.power = request.power;
  spec.cloud_init = request.cloud_init;
  set_limits(spec);
  for (std::size_t i = 0; i < plan.golden.size(); ++i) {
    const auto* golden = plan.golden[i] ? &*plan.golden[i] : nullptr;
    const auto wanted = i < request.disks.size() ? request.disks[i] : DiskRequest{};
    auto disk = parts::disk(draft, fmt::format("disks[{}]", i), vm, fmt::format("disk{}", i), wanted, golden,
                            plan.blank_pools[i]);
    if (!disk) return forward(disk);
    spec.disks.push_back(disk->spec);
    made.images.push_back(std::move(disk->image));
  }
  for (std::size_t i = 0; i < plan.nics.size(); ++i) {
    auto nic = parts::nic(draft, fmt::format("nics[{}]", i), fmt::format("nic{}", i), plan.nics[i]);
    if (!nic) return forward(nic);
    spec.nics.push_back(std::move(*nic));
  }
  return made;
}

Result<CreatedVms> fill(Draft& draft, const CreateVms& request) {
  const auto plan = make_plan(draft.inventory, request);
  if (!plan) return forward(plan);
  auto cluster = cluster_snapshot(draft.inventory, draft.limits());
  count_sleeping_nodes_in(cluster, draft.inventory, draft.now);
  CreatedVms created;
  for (std::uint64_t i = 1; i <= request.count; ++i) {
    const auto name = request.count == 1 ? request.name : fmt::format("{}-{}", request.name, i);
    if (auto checked = validate::name("VM", name); !checked) return forward(checked);
    if (auto checked = check_name_free<model::Vm>(draft.inventory, name); !checked) return forward(checked);
    auto made = make_vm(draft, request, *plan, name);
    if (!made) return forward(made);
    // Whether it fits is known now; where it goes is decided when its turn comes.
    const auto needs = placement_request(draft.inventory, made->vm, made->images, plan->node);
    const auto place = scheduler::place(cluster, needs);
    if (!place) {
      if (i == 1) return forward(place);
      return fail(Error{place.error().code,
                        fmt::format("only {} of {} VMs would fit: {}", i - 1, request.count, place.error().message),
                        place.error().hint});
    }
    charge(cluster, place->node, needs);

    const auto& vm = made->vm;
    auto operation = draft.operation(model::operation_kind::vm_create, "vm", vm.id.str(), vm.name, vm.generation);
    if (!plan->node.empty()) operation.parameters["node"] = plan->node.str();
    draft.edit.create(vm);
    for (const auto& image : made->images) draft.edit.create(image);
    draft.add(operation);
    created.vms.push_back(vm);
    created.operations.push_back(std::move(operation));
  }
  return created;
}

}  // namespace

Result<CreatedVms> create_vms(Commander& commander, const Caller& caller, const CreateVms& request) {
  if (auto checked = check_plain(request); !checked) return forward(checked);
  const auto before = made_before(commander.inventory, caller);
  if (!before) return forward(before);
  if (before->empty()) {
    return run<CreatedVms>(commander, caller, [&](Draft& draft) { return fill(draft, request); });
  }
  CreatedVms again{.vms = {}, .operations = *before};
  for (const auto& operation : *before) {
    const auto record = commander.inventory.find<model::Vm>(model::VmId(operation.target));
    model::Vm vm;
    vm.id = model::VmId(operation.target);
    vm.name = operation.target_name;
    again.vms.push_back(record ? record->value : vm);
  }
  return again;
}

}  // namespace bridgehead::reconcile
