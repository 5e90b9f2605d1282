#include "reconcile/commands/parts.h"

#include <charconv>

#include "model/enum_names.h"
#include "model/names.h"
#include "model/pool_rules.h"
#include "reconcile/commands/validate.h"

namespace bridgehead::reconcile::parts {
namespace {

using validate::wrong;

// For people only; a unique one is made when the plain one is taken or would be too long.
std::string image_name(const state::Inventory& inventory, const model::Vm& vm, const model::Image& image,
                       const std::string& disk) {
  const auto plain = fmt::format("{}-{}", vm.name, disk);
  if (model::check_name("image", plain) && !inventory.find_by_name<model::Image>(plain)) return plain;
  return "disk-" + image.id.str();
}

bool mac_in_use(const state::Inventory& inventory, const std::string& mac) {
  for (const auto& vm : inventory.all<model::Vm>()) {
    for (const auto& nic : vm->value.spec.nics) {
      if (nic.mac == mac) return true;
    }
  }
  return false;
}

Status check_mac(Draft& draft, std::string_view field, const std::string& mac) {
  if (!model::is_unicast_mac(mac)) {
    return wrong(field, "'{}' is no MAC address of one station: use six lower-case hex pairs like 52:54:00:12:34:56",
                 validate::shown(mac));
  }
  if (mac_in_use(draft.inventory, mac)) {
    return fail(ErrorCode::already_exists, "{}: another guest has {}", field, mac);
  }
  // Of our own prefix only those are free for users that we shall never give out: the ones given out before.
  const std::string prefix = model::mac_from_number(0).substr(0, 9);
  if (!mac.starts_with(prefix)) return {};
  std::string digits = mac.substr(9, 2) + mac.substr(12, 2) + mac.substr(15, 2);
  std::uint64_t number = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), number, 16);
  if (number == 0 || number > draft.mac_mark()) {
    return wrong(
        field, "{} is of the range that Bridgehead gives out itself; leave the address out or use another prefix", mac);
  }
  return {};
}

}  // namespace

template <typename T>
Result<state::Record<T>> in_field(const state::Inventory& inventory, std::string_view field,
                                  const std::string& reference) {
  auto record = resolve<T>(inventory, reference);
  if (!record) return validate::in_field(field, record.error());
  return record;
}
template Result<state::Record<model::Node>> in_field(const state::Inventory&, std::string_view, const std::string&);
template Result<state::Record<model::Pool>> in_field(const state::Inventory&, std::string_view, const std::string&);
template Result<state::Record<model::Image>> in_field(const state::Inventory&, std::string_view, const std::string&);
template Result<state::Record<model::Network>> in_field(const state::Inventory&, std::string_view, const std::string&);

Result<model::Image> golden_image(const state::Inventory& inventory, std::string_view field,
                                  const std::string& reference) {
  const auto record = in_field<model::Image>(inventory, field, reference);
  if (!record) return forward(record);
  const auto& image = (*record)->value;
  if (image.role != model::ImageRole::golden) {
    return wrong(field, "'{}' is the disk of a guest; only golden images can be cloned", image.name);
  }
  switch (image.state) {
    case model::ImageState::ready: return image;
    case model::ImageState::creating:
      return fail_with_hint(ErrorCode::failed_precondition,
                            fmt::format("{}: image '{}' is still being imported", field, image.name),
                            "Wait until it is ready: bh image list");
    case model::ImageState::failed:
    case model::ImageState::deleting: break;
  }
  return fail(ErrorCode::failed_precondition, "{}: image '{}' is being deleted", field, image.name);
}

Result<NewDisk> disk(Draft& draft, std::string_view field, const model::Vm& vm, const std::string& name,
                     const DiskRequest& request, const model::Image* golden, const model::PoolId& pool) {
  const auto size_field = fmt::format("{}.size", field);
  const auto& size = request.size;
  if (!size && golden == nullptr) return wrong(size_field, "a blank disk needs a size");
  const Bytes wanted = size.value_or(golden == nullptr ? Bytes() : golden->virtual_size);
  if (auto checked = validate::disk_size(wanted, size_field); !checked) return forward(checked);
  if (golden != nullptr && wanted < golden->virtual_size) {
    return wrong(size_field, "can't be smaller than image '{}', which has {}", golden->name,
                 golden->virtual_size.human());
  }
  NewDisk made;
  made.image.id = make_id<model::ImageId>(draft.random());
  made.image.name = image_name(draft.inventory, vm, made.image, name);
  made.image.role = model::ImageRole::disk;
  made.image.pool = golden == nullptr ? pool : golden->pool;
  const auto record = draft.inventory.find<model::Pool>(made.image.pool);
  if (record && !model::is_shared(record->value.driver)) made.image.node = vm.node;
  if (record) {
    if (auto checked = check_layout(fmt::format("{}.layout", field), request.layout, record->value); !checked) {
      return forward(checked);
    }
  }
  made.image.layout = request.layout;
  made.image.virtual_size = wanted;
  if (golden != nullptr) made.image.parent = golden->id;
  made.image.vm = vm.id;
  made.image.created = draft.now;
  made.spec = {.name = name, .image = made.image.id, .size = wanted};
  return made;
}

Status check_layout(std::string_view field, model::LayoutWish wish, const model::Pool& pool) {
  if (wish == model::LayoutWish::automatic || model::spreads_files(pool)) return {};
  return fail_with_hint(ErrorCode::failed_precondition,
                        fmt::format("{}: in pool '{}' ({}) it can't be chosen how files are spread", field, pool.name,
                                    model::to_string(pool.driver)),
                        "Leave the layout out, or use a pool on Lustre or CephFS.");
}

Result<model::PoolId> pool_for(const state::Inventory& inventory, const std::string& reference) {
  if (!reference.empty()) {
    const auto record = in_field<model::Pool>(inventory, "pool", reference);
    if (!record) return forward(record);
    if ((*record)->value.deleting) {
      return fail(ErrorCode::failed_precondition, "pool: '{}' is being removed", (*record)->value.name);
    }
    return (*record)->value.id;
  }
  std::vector<model::Pool> pools;
  for (const auto& pool : inventory.all<model::Pool>()) {
    if (!pool->value.deleting) pools.push_back(pool->value);
  }
  if (pools.size() == 1) return pools.front().id;
  if (pools.empty()) {
    return fail_with_hint(ErrorCode::failed_precondition, "pool: there is none yet",
                          "Add one: bh pool add <name> --path <directory>");
  }
  return wrong("pool", "there are {}; say which one", pools.size());
}

Result<model::NicSpec> nic(Draft& draft, std::string_view field, const std::string& name, const NicRequest& request) {
  const auto network = in_field<model::Network>(draft.inventory, fmt::format("{}.network", field), request.network);
  if (!network) return forward(network);
  if ((*network)->value.deleting) {
    return fail(ErrorCode::failed_precondition, "{}.network: '{}' is being deleted", field, (*network)->value.name);
  }
  const auto vlan_field = fmt::format("{}.vlan", field);
  if (auto checked = validate::vlan(request.vlan, vlan_field); !checked) return forward(checked);
  if (request.vlan && (*network)->value.kind == model::NetworkKind::nat) {
    return wrong(vlan_field, "network '{}' is a nat network, which has no VLANs", (*network)->value.name);
  }
  model::NicSpec spec{.name = name, .network = (*network)->value.id, .mac = request.mac};
  if (request.vlan) spec.vlan = static_cast<std::uint16_t>(*request.vlan);
  if (spec.mac.empty()) {
    spec.mac = draft.new_mac();
  } else if (auto checked = check_mac(draft, fmt::format("{}.mac", field), spec.mac); !checked) {
    return forward(checked);
  }
  return spec;
}

}  // namespace bridgehead::reconcile::parts
