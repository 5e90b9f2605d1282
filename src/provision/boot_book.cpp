#include "provision/boot_book.h"

#include <algorithm>

#include "base/ids.h"
#include "model/enum_names.h"
#include "model/past_boots.h"
#include "pki/tokens.h"
#include "reconcile/commands/netboot.h"

namespace bridgehead::provision {
namespace {

constexpr std::size_t kMostEvents = 100;
constexpr std::size_t kMostAsked = 16'384;
constexpr std::size_t kMostNewMachines = 16'384;
constexpr std::size_t kMostLogLines = 400;
constexpr std::size_t kLongestLine = 400;
// A machine waits 3 s for the answer to a report before it tries again.
constexpr std::chrono::seconds kSameReport{5};
constexpr std::size_t kMostPastBoots = 5;  // of a node
constexpr std::chrono::hours kJoinTokenLife{1};
// A boot that is silent for so long is over, or hangs: whoever asks by DHCP then begins another. Where nobody saw a
// DHCP exchange, a loader that asks again within this time is still in the same boot.
constexpr std::chrono::seconds kQuiet{90};

std::string printable(std::string_view text, std::size_t longest) {
  std::string result;
  for (const char c : text.substr(0, longest)) result += (c >= ' ' && c != 127) ? c : '?';
  return result;
}

model::Event boot_event(const model::Node& node, const model::BootEvent& step) {
  return {.kind = "node.boot",
          .object_kind = "node",
          .object = node.id.str(),
          .object_name = node.name,
          .message = fmt::format("{}{}{}", model::to_string(step.step), step.message.empty() ? "" : ": ", step.message),
          .actor = "manager"};
}

// The newest image that is ready.
std::string newest_image(const state::Inventory& inventory) {
  state::Record<model::NodeImage> newest;
  for (const auto& image : inventory.all<model::NodeImage>()) {
    if (image->value.state != model::NodeImageState::ready) continue;
    if (!newest || newest->value.created < image->value.created) newest = image;
  }
  return newest ? newest->value.name : std::string();
}

// Nothing but the firmware's and the loader's questions so far.
bool is_early(const model::Boot& boot) {
  return std::all_of(boot.events.begin(), boot.events.end(), [](const auto& event) {
    return event.step == model::BootStep::dhcp || event.step == model::BootStep::bootstrap;
  });
}

bool has_address(const model::Boot& boot) {
  return std::any_of(boot.events.begin(), boot.events.end(),
                     [](const auto& event) { return event.step == model::BootStep::dhcp; });
}

// Whether a loader that asks for its script now is in the boot whose story this is. A boot that DHCP began lasts until
// DHCP begins another, however long the loader takes or somebody looks at its menu.
bool goes_on(const model::Boot& boot, Timestamp now) {
  if (boot.events.empty() || !is_early(boot)) return false;
  return boot.events.front().step == model::BootStep::dhcp || now - boot.events.back().time <= kQuiet;
}

// Another boot takes the place of this one, which is kept if it got so far as to tell something.
void keep_past(const state::Inventory& inventory, state::Edit& edit, model::Boot boot) {
  if (boot.log.empty() && is_early(boot)) return;
  boot.token_sha256.clear();
  const auto before = inventory.find<model::PastBoots>(boot.id);
  model::PastBoots past{.id = boot.id, .boots = {}};
  if (before) past = before->value;
  past.boots.insert(past.boots.begin(), std::move(boot));
  if (past.boots.size() > kMostPastBoots) past.boots.resize(kMostPastBoots);
  if (before) {
    edit.update(before, past);
  } else {
    edit.create(past);
  }
}

}  // namespace

bool is_over(const model::Boot& boot, Timestamp now) {
  if (boot.events.empty()) return true;
  const auto& last = boot.events.back();
  if (last.step == model::BootStep::ready) return true;
  return last.step != model::BootStep::kernel && now - last.time > kQuiet;
}

BootBook::BootBook(state::Inventory& inventory, const Clock& clock, RandomSource& random)
    : inventory_(inventory), clock_(clock), random_(random) {
  for (const auto& node : inventory_.all<model::Node>()) {
    if (node->value.netboot) by_mac_[node->value.netboot->mac] = node->value.id;
  }
  for (const auto& boot : inventory_.all<model::Boot>()) by_token_[boot->value.token_sha256] = boot->value.id;
}

state::Record<model::Node> BootBook::find(std::string_view mac) {
  const std::lock_guard lock(mutex_);
  const auto found = by_mac_.find(std::string(mac));
  if (found == by_mac_.end()) return nullptr;
  auto node = inventory_.find<model::Node>(found->second);
  if (node && node->value.netboot && node->value.netboot->mac == mac) return node;
  by_mac_.erase(found);  // the node was deleted
  return nullptr;
}

std::string BootBook::free_address(const std::string& wanted) const {
  if (!reconcile::can_be_reserved(reconcile::netboot_settings(inventory_), wanted)) return {};  // it came by a router
  for (const auto& node : inventory_.all<model::Node>()) {
    if (node->value.netboot && node->value.netboot->address == wanted) return {};
  }
  return wanted;
}

// Whoever reaches the boot server can make machines up.
Status BootBook::check_room() const {
  std::size_t never_joined = 0;
  for (const auto& node : inventory_.all<model::Node>()) {
    if (node->value.netboot && node->value.certificate_serial.empty()) ++never_joined;
  }
  if (never_joined < kMostNewMachines) return {};
  return fail_with_hint(ErrorCode::resource_exhausted,
                        fmt::format("{} machines have appeared that never became nodes", never_joined),
                        "Delete those that don't exist: bh node list, bh node delete.");
}

Result<state::Record<model::Node>> BootBook::discover(const MachineIdentity& machine, const std::string& address) {
  const auto settings = reconcile::netboot_settings(inventory_);
  if (auto known = find(machine.mac)) {
    return settings.auto_approve && known->value.netboot->image.empty() ? give_newest_image(known) : known;
  }
  if (auto room = check_room(); !room) return forward(room);
  const auto id = make_id<model::NodeId>(random_);
  std::string digits = machine.mac;
  std::erase(digits, ':');
  const auto committed = state::change(inventory_, [&](state::Edit& edit) -> Status {
    model::Node node;
    node.id = id;
    node.name = "node-" + digits;
    node.created = clock_.now();
    model::Netboot netboot{
        .mac = machine.mac, .uuid = printable(machine.uuid, 64), .serial = printable(machine.serial, 64)};
    netboot.address = free_address(address);
    if (settings.auto_approve) {
      netboot.approval = model::Approval::approved;
      netboot.image = newest_image(inventory_);
    }
    node.netboot = std::move(netboot);
    edit.create(node);
    edit.event({.kind = "node.discovered",
                .object_kind = "node",
                .object = id.str(),
                .object_name = node.name,
                .message = fmt::format("Machine {} has appeared as node '{}'{}", machine.mac, node.name,
                                       settings.auto_approve ? "" : " and waits for approval"),
                .actor = "manager"});
    return {};
  });
  if (!committed) {
    // Two requests of one new machine at once: the other one made it.
    if (committed.error().code == ErrorCode::already_exists) {
      if (auto made = inventory_.find_by_name<model::Node>("node-" + digits); made && made->value.netboot) return made;
    }
    return forward(committed);
  }
  const std::lock_guard lock(mutex_);
  by_mac_[machine.mac] = id;
  return inventory_.find<model::Node>(id);
}

// A machine that was approved by itself before there was any image.
Result<state::Record<model::Node>> BootBook::give_newest_image(const state::Record<model::Node>& node) {
  const auto image = newest_image(inventory_);
  if (image.empty() || node->value.netboot->approval != model::Approval::approved) return node;
  const auto committed = state::change(inventory_, [&](state::Edit& edit) -> Status {
    const auto record = inventory_.find<model::Node>(node->value.id);
    if (!record || !record->value.netboot || !record->value.netboot->image.empty()) return {};
    auto changed = record->value;
    changed.netboot->image = image;
    edit.update(record, changed);
    edit.event({.kind = "node.assigned",
                .object_kind = "node",
                .object = changed.id.str(),
                .object_name = changed.name,
                .message = fmt::format("Node '{}' boots {}, the newest image", changed.name, image),
                .actor = "manager"});
    return {};
  });
  if (!committed) return forward(committed);
  return inventory_.find<model::Node>(node->value.id);
}

Result<std::string> BootBook::begin(const model::NodeId& node, const std::string& image, bool discovery,
                                    model::RootTransport root) {
  const auto secret = pki::make_secret(random_);
  const std::lock_guard lock(mutex_);
  const auto committed = state::change(inventory_, [&](state::Edit& edit) -> Status {
    const auto record = inventory_.find<model::Node>(node);
    if (!record || !record->value.netboot) return fail(ErrorCode::not_found, "the node was deleted");
    const auto before = inventory_.find<model::Boot>(node);
    const auto now = clock_.now();
    model::Boot boot;
    boot.id = node;
    boot.token_sha256 = pki::sha256_hex(secret);
    boot.image = image;
    boot.discovery = discovery;
    boot.root = root;
    boot.started = now;
    // The address was given before the loader asked for its script: both belong to one boot.
    if (before) {
      by_token_.erase(before->value.token_sha256);
      if (goes_on(before->value, now)) {
        boot.events = before->value.events;
        boot.started = before->value.started;
      } else {
        keep_past(inventory_, edit, before->value);
      }
    }
    if (const auto seen = asked_.find(record->value.netboot->mac);
        seen != asked_.end() && boot.events.empty() && seen->second.first.time != Timestamp{}) {
      // One from before the last word of the boot before belongs to that.
      const bool newer =
          !before || before->value.events.empty() || seen->second.first.time > before->value.events.back().time;
      if (newer) {
        boot.events.push_back(seen->second.first);
        boot.started = seen->second.first.time;
      }
    }
    model::BootEvent told{.step = model::BootStep::bootstrap, .message = discovery ? "discovery" : image, .time = now};
    boot.events.push_back(told);
    if (before) {
      edit.update(before, boot);
    } else {
      edit.create(boot);
    }
    edit.event(boot_event(record->value, told));
    return {};
  });
  if (!committed) return forward(committed);
  if (const auto record = inventory_.find<model::Node>(node)) asked_.erase(record->value.netboot->mac);
  by_token_[pki::sha256_hex(secret)] = node;
  return secret;
}

state::Record<model::Boot> BootBook::boot_of(std::string_view token) {
  const auto hash = pki::sha256_hex(token);
  const std::lock_guard lock(mutex_);
  const auto found = by_token_.find(hash);
  if (found == by_token_.end()) return nullptr;
  auto boot = inventory_.find<model::Boot>(found->second);
  return boot && boot->value.token_sha256 == hash ? boot : nullptr;
}

Status BootBook::set_root(const model::NodeId& node, model::RootTransport root) {
  if (const auto boot = inventory_.find<model::Boot>(node); boot && boot->value.root == root) return {};
  return change_boot(
      node, [&](model::Boot& boot) { boot.root = root; }, nullptr);
}

Status BootBook::change_boot(const model::NodeId& node, const std::function<void(model::Boot&)>& change,
                             const model::BootEvent* told) {
  const std::lock_guard lock(mutex_);
  const auto committed = state::change(inventory_, [&](state::Edit& edit) -> Status {
    const auto record = inventory_.find<model::Node>(node);
    if (!record) return fail(ErrorCode::not_found, "the node was deleted");
    const auto before = inventory_.find<model::Boot>(node);
    model::Boot boot;
    boot.id = node;
    boot.started = clock_.now();
    if (before) boot = before->value;
    change(boot);
    if (before && boot.started != before->value.started) keep_past(inventory_, edit, before->value);  // another one
    if (boot.events.size() > kMostEvents) boot.events.erase(boot.events.begin(), boot.events.end() - kMostEvents);
    if (boot.log.size() > kMostLogLines) boot.log.erase(boot.log.begin(), boot.log.end() - kMostLogLines);
    if (before) {
      edit.update(before, boot);
    } else {
      edit.create(boot);
    }
    if (told != nullptr) edit.event(boot_event(record->value, *told));
    return {};
  });
  return committed ? Status() : forward(committed);
}

// The firmware asks first, then the loader that it has loaded, each once; a firmware that is a loader asks only as one.
// Their lines in dnsmasq's log come in that order, but perhaps after the loader has already asked for its script.
Status BootBook::got_address(const std::string& mac, const std::string& address, netboot::Asker asker) {
  using enum netboot::Asker;
  if (asker == other) return {};
  const model::BootEvent event{
      .step = model::BootStep::dhcp, .message = printable(address, kLongestLine), .time = clock_.now()};
  const auto node = find(mac);
  const auto before = node ? inventory_.find<model::Boot>(node->value.id) : nullptr;
  const bool early = before && is_early(before->value);
  const auto last = remember(mac, event, asker, !node || (before && !early));
  const bool goes_on_with_firmwares = asker == loader && last == firmware;
  const bool second = asker == firmware || last == loader;
  const auto begins = [&](const model::Boot& boot) {
    if (is_early(boot) && second && has_address(boot)) return true;
    return is_over(boot, event.time) && !goes_on_with_firmwares;
  };
  const auto told = [&](const model::Boot& boot) {
    return std::any_of(boot.events.begin(), boot.events.end(), [&](const auto& one) {
      return one.step == event.step && (!is_early(boot) || one.message == event.message);
    });
  };
  if (!node || (before && !begins(before->value) && told(before->value))) return {};
  return change_boot(
      node->value.id,
      [&](model::Boot& boot) {
        // Looked at again: its loader may have asked meanwhile.
        if (begins(boot)) {
          by_token_.erase(boot.token_sha256);
          boot = {};
          boot.id = node->value.id;
          boot.started = event.time;
        }
        if (told(boot)) return;
        const auto first = std::find_if(boot.events.begin(), boot.events.end(),
                                        [](const auto& one) { return one.step != model::BootStep::dhcp; });
        const auto at = boot.events.insert(first, event);
        if (at + 1 != boot.events.end()) at->time = std::min(at->time, (at + 1)->time);
      },
      &event);
}

// Who has asked before under this MAC since the last script. `keep`: no story tells this address yet.
std::optional<netboot::Asker> BootBook::remember(const std::string& mac, const model::BootEvent& event,
                                                 netboot::Asker asker, bool keep) {
  const std::lock_guard lock(mutex_);
  if (asked_.size() >= kMostAsked) asked_.clear();
  const auto found = asked_.find(mac);
  const auto last = found == asked_.end() ? std::nullopt : std::optional(found->second.asker);
  auto& asked = asked_[mac];
  asked.asker = asker;
  const bool begins = !last || asker == netboot::Asker::firmware || last == netboot::Asker::loader;
  if (keep && begins) asked.first = event;
  return last;
}

Status BootBook::note(const model::NodeId& node, model::BootStep step, const model::BootBytes& bytes) {
  const auto before = inventory_.find<model::Boot>(node);
  if (!before || before->value.events.empty()) return {};  // it never booted over the network
  // Also a stream that comes back, which is no boot.
  const auto last = before->value.events.back().step;
  if (last == step || last == model::BootStep::ready) return {};
  const model::BootEvent event{.step = step, .message = {}, .time = clock_.now()};
  return change_boot(
      node,
      [&](model::Boot& boot) {
        boot.events.push_back(event);
        if (step == model::BootStep::ready) boot.bytes = bytes;
      },
      &event);
}

Status BootBook::told(const model::NodeId& node, model::BootStep step, const std::string& message,
                      std::chrono::milliseconds age) {
  model::BootEvent event{.step = step, .message = printable(message, kLongestLine), .time = clock_.now() - age};
  if (const auto before = inventory_.find<model::Boot>(node); before && !before->value.events.empty()) {
    const auto& events = before->value.events;
    event.time = std::max(event.time, events.front().time);
    // Sent again, its answer was lost.
    const bool again = std::any_of(events.begin(), events.end(), [&](const model::BootEvent& one) {
      return one.step == step && one.message == event.message && one.time + kSameReport > event.time &&
             event.time + kSameReport > one.time;
    });
    if (again || (events.back().step == step && events.back().message == event.message)) return {};
  }
  return change_boot(
      node,
      [&](model::Boot& boot) {
        const auto after = std::upper_bound(boot.events.begin(), boot.events.end(), event,
                                            [](const auto& a, const auto& b) { return a.time < b.time; });
        boot.events.insert(after, event);
      },
      &event);
}

Status BootBook::add_log(const model::NodeId& node, std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    if (end > 0) lines.push_back(printable(text.substr(0, end), kLongestLine));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  if (lines.empty()) return {};
  return change_boot(
      node, [&](model::Boot& boot) { boot.log.insert(boot.log.end(), lines.begin(), lines.end()); }, nullptr);
}

Status BootBook::set_hardware(const model::NodeId& node, const model::Hardware& hardware) {
  const auto committed = state::change(inventory_, [&](state::Edit& edit) -> Status {
    const auto record = inventory_.find<model::Node>(node);
    if (!record || !record->value.netboot) return fail(ErrorCode::not_found, "the node was deleted");
    auto changed = record->value;
    changed.netboot->hardware = hardware;
    if (changed == record->value) return {};
    edit.update(record, changed);
    edit.event({.kind = "node.hardware",
                .object_kind = "node",
                .object = node.str(),
                .object_name = changed.name,
                .message = fmt::format("Machine {} is a {} {} with {} CPUs and {}", changed.netboot->mac,
                                       hardware.vendor, hardware.product, hardware.cpus, hardware.memory.human()),
                .actor = "manager"});
    return {};
  });
  return committed ? Status() : forward(committed);
}

Result<std::string> BootBook::make_join_token(const model::NodeId& node, const std::string& agent_endpoint,
                                              const std::string& ca_fingerprint) {
  const auto secret = pki::make_secret(random_);
  const auto id = make_id<model::TokenId>(random_);
  const auto committed = state::change(inventory_, [&](state::Edit& edit) -> Status {
    const auto record = inventory_.find<model::Node>(node);
    if (!record || !record->value.netboot) return fail(ErrorCode::not_found, "the node was deleted");
    if (record->value.netboot->approval != model::Approval::approved) {
      return fail(ErrorCode::permission_denied, "the node isn't approved");
    }
    for (const auto& old : inventory_.all<model::JoinToken>()) {
      if (old->value.node == node) edit.remove(old);
    }
    model::JoinToken token;
    token.id = id;
    token.node = node;
    token.node_name = record->value.name;
    token.secret_sha256 = pki::sha256_hex(secret);
    token.created = clock_.now();
    token.expires = token.created + kJoinTokenLife;
    edit.create(token);
    return {};
  });
  if (!committed) return forward(committed);
  return pki::format_join_token({agent_endpoint, ca_fingerprint, id, secret});
}

}  // namespace bridgehead::provision
