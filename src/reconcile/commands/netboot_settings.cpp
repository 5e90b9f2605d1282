// Netboot on and off, and profiles.
#include <arpa/inet.h>

#include <algorithm>

#include "base/ids.h"
#include "reconcile/commands/draft.h"
#include "reconcile/commands/netboot.h"
#include "reconcile/commands/validate.h"

namespace bridgehead::reconcile {
namespace {

using validate::wrong;

std::optional<std::uint32_t> ipv4(std::string_view text) {
  in_addr address{};
  if (inet_pton(AF_INET, std::string(text).c_str(), &address) != 1) return std::nullopt;
  return ntohl(address.s_addr);
}

std::optional<std::uint64_t> decimal(std::string_view text, std::uint64_t most) {
  std::uint64_t value = 0;
  if (text.empty() || text.size() > 5) return std::nullopt;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return value <= most ? std::optional(value) : std::nullopt;
}

struct OwnAddress {
  std::uint32_t address = 0;
  std::uint32_t mask = 0;
};

Result<OwnAddress> own_address(const std::string& text) {
  const auto slash = text.find('/');
  const auto prefix = slash == std::string::npos ? std::nullopt : decimal(std::string_view(text).substr(slash + 1), 30);
  const auto address = ipv4(text.substr(0, slash));
  if (!address || !prefix || *prefix < 8) {
    return wrong("address", "'{}' is not an IPv4 address with its prefix length, like 10.20.0.1/22",
                 validate::shown(text));
  }
  return OwnAddress{*address, ~std::uint32_t{0} << (32 - *prefix)};
}

Status read_range(const EnableNetboot& request, const OwnAddress& own, model::NetbootSettings& settings) {
  const auto dash = request.range.find('-');
  const auto first = ipv4(request.range.substr(0, dash));
  const auto last = dash == std::string::npos ? std::nullopt : ipv4(request.range.substr(dash + 1));
  if (!first || !last || *first > *last) {
    return wrong("range", "must be two IPv4 addresses in order, like 10.20.0.100-10.20.3.250");
  }
  const auto inside = [&](std::uint32_t address) { return (address & own.mask) == (own.address & own.mask); };
  if (!inside(*first) || !inside(*last)) return wrong("range", "is not in the network of {}", settings.address);
  if (*first <= own.address && own.address <= *last) {
    return wrong("range", "holds the manager's own address {}", settings.address);
  }
  const auto network = own.address & own.mask;
  if (*first == network || *last == (network | ~own.mask)) {
    return wrong("range", "holds the network's own or its broadcast address");
  }
  settings.range_first = request.range.substr(0, dash);
  settings.range_last = request.range.substr(dash + 1);
  return {};
}

Status read_port(const std::optional<std::uint64_t>& port, std::string_view field, std::uint16_t& out) {
  if (!port) return {};
  if (*port < 1 || *port > 65535) return wrong(field, "must be between 1 and 65535");
  out = static_cast<std::uint16_t>(*port);
  return {};
}

Status check_server(const std::string& text) {
  const auto colon = text.rfind(':');
  const bool good = colon != std::string::npos && ipv4(text.substr(0, colon)) &&
                    decimal(std::string_view(text).substr(colon + 1), 65535).value_or(0) > 0;
  if (!good) return wrong("nbd_servers", "'{}' is not ADDRESS:PORT", validate::shown(text));
  return {};
}

Result<model::NetbootSettings> read_settings(const EnableNetboot& request, model::NetbootSettings settings) {
  if (request.mode == model::NetbootMode::off) return wrong("mode", "must be full or proxy");
  if (auto checked = validate::bridge(request.interface); !checked) return wrong("interface", "isn't one's name");
  const auto own = own_address(request.address);
  if (!own) return forward(own);
  settings.mode = request.mode;
  settings.interface = request.interface;
  settings.address = request.address;
  settings.nbd_servers = request.nbd_servers;
  settings.auto_approve = request.auto_approve;
  settings.range_first.clear();
  settings.range_last.clear();
  if (request.mode == model::NetbootMode::full) {
    if (auto read = read_range(request, *own, settings); !read) return forward(read);
  } else if (!request.range.empty()) {
    return wrong("range", "is given by the DHCP server that exists, not by a proxy");
  }
  if (auto read = read_port(request.http_port, "http_port", settings.http_port); !read) return forward(read);
  if (auto read = read_port(request.nbd_port, "nbd_port", settings.nbd_port); !read) return forward(read);
  for (const auto& server : request.nbd_servers) {
    if (auto checked = check_server(server); !checked) return forward(checked);
  }
  return settings;
}

template <typename T>
void put(Draft& draft, const state::Record<T>& before, const T& value) {
  if (before) {
    draft.edit.update(before, value);
  } else {
    draft.edit.create(value);
  }
}

bool is_overlay_size(std::string_view text) {  // tmpfs(5): a number with k, m, g or %
  const auto digits = std::min(text.find_first_not_of("0123456789"), text.size());
  if (digits == 0 || digits > 9) return false;
  const auto unit = text.substr(digits);
  return unit == "%" ? std::stoul(std::string(text.substr(0, digits))) <= 95
                     : unit == "k" || unit == "m" || unit == "g";
}

bool is_kernel_argument(std::string_view text) {
  return !text.empty() && text.size() <= 200 && (!text.starts_with("bh.") || text == model::kStaticAddress) &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 127 && c != '"' && c != '\''; });
}

Status check_profile(const model::Profile& profile) {
  static constexpr std::array<std::string_view, 7> modes{"",        "balance-rr",  "active-backup", "balance-xor",
                                                         "802.3ad", "balance-tlb", "balance-alb"};
  if (auto checked = validate::bridge(profile.bridge); !checked) return checked;
  if (std::find(modes.begin(), modes.end(), profile.bond_mode) == modes.end()) {
    return wrong("bond_mode",
                 "'{}' is not one of active-backup, 802.3ad, balance-xor, balance-rr, balance-tlb, "
                 "balance-alb",
                 validate::shown(profile.bond_mode));
  }
  if (!is_overlay_size(profile.overlay)) return wrong("overlay", "must be like 50% (at most 95%), 512m or 2g");
  for (const auto& argument : profile.arguments) {
    if (!is_kernel_argument(argument)) {
      return wrong("arguments",
                   "'{}' is no kernel argument: no spaces, quotes or control characters, and none of ours "
                   "(bh.*)",
                   validate::shown(argument));
    }
  }
  return validate::overlay(profile.files, profile.secret_files);
}

}  // namespace

model::NetbootSettingsId netboot_settings_id() {
  return model::NetbootSettingsId("00000000-0000-8000-8000-6e6574626f6f");  // version 8 (RFC 9562): "netboo"
}

model::NetbootSettings netboot_settings(const state::Inventory& inventory) {
  if (const auto record = inventory.find<model::NetbootSettings>(netboot_settings_id())) return record->value;
  model::NetbootSettings settings;
  settings.id = netboot_settings_id();
  return settings;
}

bool can_be_reserved(const model::NetbootSettings& settings, const std::string& address) {
  const auto own = own_address(settings.address);
  const auto wanted = ipv4(address);
  if (settings.mode != model::NetbootMode::full || !own || !wanted || *wanted == own->address) return false;
  const auto network = own->address & own->mask;
  return (*wanted & own->mask) == network && *wanted != network && *wanted != (network | ~own->mask);
}

Result<model::NetbootSettings> enable_netboot(Commander& commander, const Caller& caller,
                                              const EnableNetboot& request) {
  return run<model::NetbootSettings>(commander, caller, [&](Draft& draft) -> Result<model::NetbootSettings> {
    const auto settings = read_settings(request, netboot_settings(draft.inventory));
    if (!settings) return forward(settings);
    put(draft, draft.inventory.find<model::NetbootSettings>(netboot_settings_id()), *settings);
    draft.event("netboot.enabled", "netboot", settings->id.str(), settings->interface,
                fmt::format("Machines on {} boot over the network", settings->interface));
    return settings;
  });
}

Result<model::NetbootSettings> disable_netboot(Commander& commander, const Caller& caller) {
  return run<model::NetbootSettings>(commander, caller, [&](Draft& draft) -> Result<model::NetbootSettings> {
    auto settings = netboot_settings(draft.inventory);
    if (settings.mode == model::NetbootMode::off) return settings;
    settings.mode = model::NetbootMode::off;
    draft.edit.update(draft.inventory.find<model::NetbootSettings>(settings.id), settings);
    draft.event("netboot.disabled", "netboot", settings.id.str(), settings.interface,
                fmt::format("Machines on {} don't boot over the network any more", settings.interface));
    return settings;
  });
}

Result<model::Profile> find_profile(const state::Inventory& inventory, const std::string& name) {
  if (const auto record = inventory.find_by_name<model::Profile>(name.empty() ? "default" : name)) return record->value;
  if (!name.empty() && name != "default") {
    return fail(ErrorCode::not_found, "there is no profile '{}'", validate::shown(name));
  }
  model::Profile profile;
  profile.name = "default";
  return profile;
}

Result<model::Profile> set_profile(Commander& commander, const Caller& caller, const ProfileRequest& request) {
  if (auto checked = validate::name("profile", request.name); !checked) return forward(checked);
  if (auto checked = request.vlan == std::optional<std::uint64_t>(0) ? Status() : validate::vlan(request.vlan, "vlan");
      !checked) {
    return forward(checked);
  }
  return run<model::Profile>(commander, caller, [&](Draft& draft) -> Result<model::Profile> {
    const auto before = draft.inventory.find_by_name<model::Profile>(request.name);
    model::Profile profile;
    if (before) {
      profile = before->value;
    } else {
      profile.id = make_id<model::ProfileId>(draft.random());
      profile.name = request.name;
      profile.created = draft.now;
    }
    profile.root = request.root.value_or(profile.root);
    profile.method = request.method.value_or(profile.method);
    profile.on_failure = request.on_failure.value_or(profile.on_failure);
    profile.bridge = request.bridge.value_or(profile.bridge);
    profile.vlan = static_cast<std::uint16_t>(request.vlan.value_or(profile.vlan));
    profile.bond_mode = request.bond_mode.value_or(profile.bond_mode);
    profile.overlay = request.overlay.value_or(profile.overlay);
    profile.arguments = request.arguments.value_or(profile.arguments);
    profile.files = request.files.value_or(profile.files);
    profile.secret_files = request.secret_files.value_or(profile.secret_files);
    if (auto checked = check_profile(profile); !checked) return forward(checked);
    put(draft, before, profile);
    draft.event(before ? "profile.updated" : "profile.created", "profile", profile.id.str(), profile.name,
                fmt::format("Profile '{}' was {}; nodes take it at their next boot", profile.name,
                            before ? "changed" : "made"));
    return profile;
  });
}

Result<model::Profile> delete_profile(Commander& commander, const Caller& caller, const std::string& reference) {
  return run<model::Profile>(commander, caller, [&](Draft& draft) -> Result<model::Profile> {
    const auto record = resolve<model::Profile>(draft.inventory, reference);
    if (!record) return forward(record);
    const auto& profile = (*record)->value;
    for (const auto& node : draft.inventory.all<model::Node>()) {
      if (!node->value.netboot || node->value.netboot->profile != profile.name) continue;
      return fail_with_hint(ErrorCode::failed_precondition,
                            fmt::format("profile '{}' is used by node '{}'", profile.name, node->value.name),
                            "Assign another profile first: bh node assign NODE --profile default");
    }
    draft.edit.remove(*record);
    draft.event("profile.deleted", "profile", profile.id.str(), profile.name,
                fmt::format("Profile '{}' was deleted", profile.name));
    return profile;
  });
}

}  // namespace bridgehead::reconcile
