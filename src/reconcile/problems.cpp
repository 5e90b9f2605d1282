#include "reconcile/problems.h"

#include <algorithm>
#include <array>

#include "model/enum_names.h"
#include "reconcile/agent_versions.h"
#include "reconcile/commands/netboot.h"
#include "reconcile/commands/power.h"
#include "reconcile/hung_guests.h"
#include "reconcile/operations/records.h"
#include "reconcile/sleeping_nodes.h"

namespace bridgehead::reconcile {
namespace {

// A step of a boot that takes longer has stopped: the slowest measured one (a root over a busy network) takes a minute.
constexpr std::chrono::minutes kLongestStep{5};
// From power-on to the agent of a server with its own disks; as long as maintenance waits by default.
constexpr std::chrono::minutes kLongestStart{15};
constexpr std::chrono::minutes kWebhookPatience{5};

constexpr auto kInfo = model::AlertSeverity::info;
constexpr auto kWarning = model::AlertSeverity::warning;
constexpr auto kCritical = model::AlertSeverity::critical;

// How bad a condition is, in one place; docs/alerts.md tells people.
constexpr auto kConditions = std::to_array<std::pair<std::string_view, model::AlertSeverity>>({
    {"agents-older", kInfo},         {"boot-failed", kWarning},      {"boot-stalled", kWarning},
    {"bridge-missing", kWarning},    {"dhcp-foreign", kWarning},     {"guest-failed", kCritical},
    {"guest-given-up", kCritical},   {"guest-hung", kCritical},      {"guest-stamped", kCritical},
    {"guest-waiting", kCritical},    {"image-agents-older", kInfo},  {"image-failed", kWarning},
    {"machine-waiting", kInfo},      {"netboot-down", kWarning},     {"node-image-failed", kInfo},
    {"node-not-booted", kInfo},      {"node-not-ready", kWarning},   {"node-question", kCritical},
    {"node-unreachable", kCritical}, {"nodes-missing", kInfo},       {"nodes-silent", kCritical},
    {"pool-unusable", kCritical},    {"power-distrusted", kWarning}, {"power-unproven", kWarning},
    {"state-unwritable", kCritical}, {"webhook-failing", kWarning},
});

class Problems {
 public:
  void add(std::string_view condition, std::string_view kind, const std::string& object, std::string message,
           std::string action) {
    const auto known = std::find_if(kConditions.begin(), kConditions.end(),
                                    [&](const auto& entry) { return entry.first == condition; });
    require(known != kConditions.end(), "a condition that has no severity");
    list_.push_back({known->first, known->second, std::string(kind), object, std::move(message), std::move(action)});
  }
  std::vector<Problem> take() { return std::move(list_); }

 private:
  std::vector<Problem> list_;
};

std::string or_else(const std::string& message, std::string_view otherwise) {
  return message.empty() ? std::string(otherwise) : message;
}

std::string described(const model::Netboot& netboot) {
  std::string text = netboot.mac;
  for (const auto& part : {netboot.hardware.vendor, netboot.hardware.product}) {
    if (!part.empty()) text += " " + part;
  }
  return text;
}

const model::BootEvent* newest_event(const state::Record<model::Boot>& boot) {
  return boot && !boot->value.events.empty() ? &boot->value.events.back() : nullptr;
}

bool is_under_way(model::BootStep step) {
  return step != model::BootStep::agent && step != model::BootStep::ready && step != model::BootStep::failed;
}

void add_fallback_problem(Problems& problems, const model::Node& node, const state::Record<model::Boot>& boot) {
  if (!boot) return;
  const auto& events = boot->value.events;
  const auto fallback = std::find_if(events.rbegin(), events.rend(),
                                     [](const auto& event) { return event.step == model::BootStep::fallback; });
  if (fallback == events.rend()) return;
  problems.add("bridge-missing", "node", node.name,
               fmt::format("It runs without its bridge: {}", or_else(fallback->message, "the bridge couldn't come up")),
               "Guests there reach no bridged network. Mend its profile's bridge, VLAN or bond and boot it again.");
}

// True when the boot says all there is to say of a node that isn't ready.
bool add_boot_problem(Problems& problems, const model::Node& node, const model::BootEvent& newest, Timestamp now) {
  if (newest.time < node.last_seen) return false;                                        // it has been up since
  if (node.state == model::NodeState::not_ready && !node.message.empty()) return false;  // it says so itself
  const std::string look = fmt::format("See its boot: bh node log {}", node.name);
  if (newest.step == model::BootStep::failed) {
    problems.add("boot-failed", "node", node.name,
                 fmt::format("Its boot failed: {}", or_else(newest.message, "it didn't say why")), look);
    return true;
  }
  if (!is_under_way(newest.step)) return false;
  if (now - newest.time > kLongestStep) {
    const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(now - newest.time).count();
    problems.add("boot-stalled", "node", node.name,
                 fmt::format("Its boot has stood at step {} for {} min.", model::to_string(newest.step), minutes),
                 look + ", and its console.");
  }
  return true;
}

// True when all there is to say of the node has been said.
bool add_netboot_node(Problems& problems, const state::Inventory& inventory, const model::Node& node, Timestamp now) {
  const auto& netboot = *node.netboot;
  if (netboot.approval == model::Approval::waiting) {
    problems.add("machine-waiting", "node", node.name,
                 fmt::format("Machine {} waits for approval.", described(netboot)),
                 fmt::format("bh node approve {0}, or bh node refuse {0}", node.name));
  }
  if (!is_member(node)) return true;
  const auto boot = inventory.find<model::Boot>(node.id);
  if (node.state == model::NodeState::ready) {
    add_fallback_problem(problems, node, boot);
    return true;
  }
  if (const auto* newest = newest_event(boot)) return add_boot_problem(problems, node, *newest, now);
  if (!node.certificate_serial.empty()) return false;
  problems.add("node-not-booted", "node", node.name, "It has an image, but hasn't booted yet.",
               "Power it on, or boot it again.");
  return true;
}

void add_power_problem(Problems& problems, const model::Node& node, const model::PowerProof& power) {
  if (power.state != model::MachinePower::unknown || power.time == Timestamp{}) return;
  problems.add("power-unproven", "node", node.name,
               "Its machine may be on or off: the last change of its power wasn't proven.",
               fmt::format("Look at the machine, then: bh node power {} on, or off", node.name));
}

// Somebody had it switched on, and its own system needs a while until its agent speaks.
bool is_starting(const model::PowerProof& power, const model::Node& node, Timestamp now) {
  return power.state == model::MachinePower::on && node.last_seen < power.time && now - power.time < kLongestStart;
}

void add_nodes(Problems& problems, const state::Inventory& inventory, Timestamp now) {
  const auto nodes = inventory.all<model::Node>();
  if (nodes.empty()) {
    problems.add("nodes-missing", "cluster", "", "No node has joined yet.",
                 "bh node join-token, then on a host: bridgehead-agent join TOKEN. Without disks: bh netboot enable.");
  }
  for (const auto& record : nodes) {
    const auto& node = record->value;
    const auto bmc = inventory.find<model::Bmc>(node.id);
    const auto power = bmc ? bmc->value.power : model::PowerProof{};
    add_power_problem(problems, node, power);
    if (is_proven_off(inventory, node)) continue;  // as somebody wanted it
    if (is_waking(inventory, node, now) || switching(inventory, node)) continue;
    if (node.netboot && add_netboot_node(problems, inventory, node, now)) continue;
    if (is_starting(power, node, now)) continue;
    if (node.state == model::NodeState::unreachable) {
      problems.add("node-unreachable", "node", node.name, or_else(node.message, "The node's agent has no connection."),
                   "Look at the agent on the node: journalctl -u bridgehead-agent.");
    } else if (node.state == model::NodeState::not_ready) {
      problems.add("node-not-ready", "node", node.name, or_else(node.message, "The node can't run guests."),
                   "See the node's facts for what it lacks.");
    }
  }
}

void add_pools(Problems& problems, const state::Inventory& inventory) {
  for (const auto& record : inventory.all<model::Pool>()) {
    for (const auto& [id, on_node] : record->value.nodes) {
      if (on_node.ready) continue;
      const auto node = inventory.find<model::Node>(id);
      problems.add("pool-unusable", "pool", record->value.name,
                   fmt::format("Not usable on {}: {}", node ? node->value.name : id.str(), on_node.message),
                   "Make its path usable on that node, or remove the pool.");
    }
  }
}

void add_guests_and_images(Problems& problems, const state::Inventory& inventory, Timestamp now) {
  for (const auto& record : inventory.all<model::Vm>()) {
    const auto& vm = record->value;
    if (const auto hung = judge_hung(inventory, vm, now); hung.what == HungGuest::What::given_up) {
      problems.add("guest-hung", "vm", vm.name, fmt::format("It hangs: {}; it is left alone now.", hung.why),
                   fmt::format("Look at its console (bh vm console {0}), then: bh vm reboot {0} --force", vm.name));
    }
    const bool lives = vm.status.phase == model::VmPhase::running || vm.status.phase == model::VmPhase::paused;
    if (const auto stamp = lives ? std::nullopt : operations::stamp_in_the_way(inventory, vm.id)) {
      const auto node = inventory.find<model::Node>(stamp->node);
      problems.add(
          "guest-stamped", "vm", vm.name,
          fmt::format("Its disks are stamped for node '{}' under lease {}, of which this manager knows nothing.",
                      node ? node->value.name : stamp->node.str(), stamp->token),
          fmt::format("If it runs there, have that node's agent connected. If it runs nowhere, for certain: "
                      "bh ha confirm-stopped {}",
                      vm.name));
      continue;
    }
    if (vm.status.phase != model::VmPhase::failed) continue;
    problems.add("guest-failed", "vm", vm.name, or_else(vm.status.message, "It has failed."),
                 "Start it again, or see its operations for the cause.");
  }
  for (const auto& record : inventory.all<model::Image>()) {
    if (record->value.state != model::ImageState::failed) continue;
    problems.add("image-failed", "image", record->value.name, or_else(record->value.message, "It could not be made."),
                 "Delete it and import it again.");
  }
  for (const auto& record : inventory.all<model::NodeImage>()) {
    if (record->value.state != model::NodeImageState::failed) continue;
    problems.add("node-image-failed", "node_image", record->value.name,
                 or_else(record->value.message, "It could not be made."),
                 "Delete it, mend what it says and make it again.");
  }
}

void add_netboot(Problems& problems, const ProblemSources& sources) {
  const auto settings = netboot_settings(sources.inventory);
  if (settings.mode == model::NetbootMode::off || sources.netboot == nullptr) return;
  const auto status = sources.netboot->status();
  for (const auto& part : status.parts) {
    if (part.running) continue;
    problems.add("netboot-down", "netboot", part.name, or_else(part.message, "It doesn't run."),
                 "Machines can't boot without it; see the manager's log.");
  }
  if (settings.mode == model::NetbootMode::proxy) return;  // another server is what a proxy needs
  for (const auto& server : status.foreign_dhcp_servers) {
    problems.add("dhcp-foreign", "netboot", settings.interface,
                 fmt::format("Another DHCP server answers there: {}", server),
                 "Switch it off, or boot machines beside it: bh netboot enable --proxy.");
  }
}

// Who is asked something, and guests that wait for an answer or for room.
void add_availability(Problems& problems, const ProblemSources& sources) {
  if (sources.availability == nullptr) return;
  const auto& inventory = sources.inventory;
  const auto status = sources.availability->status();
  if (!status.storm_question.empty()) problems.add("nodes-silent", "cluster", "", status.storm_question, "bh ha go-on");
  for (const auto& one : status.nodes) {
    const auto node = inventory.find<model::Node>(one.node);
    if (!node) continue;
    const auto& name = node->value.name;
    if (!one.question.empty()) {
      problems.add("node-question", "node", name, one.question,
                   fmt::format("Once it is off for certain: bh ha confirm-off {}", name));
    }
    if (one.distrusted) {
      problems.add("power-distrusted", "node", name,
                   "Its power control said that it was off while it ran, and isn't believed any more.",
                   fmt::format("Mend it, then: bh ha trust-power {}", name));
    }
  }
  for (const auto& one : status.guests) {
    const auto vm = inventory.find<model::Vm>(one.vm);
    if (!vm) continue;
    const auto& name = vm->value.name;
    if (one.given_up) {
      problems.add("guest-given-up", "vm", name,
                   "Two hosts in a row died soon after it was started there, so it stays off.",
                   fmt::format("Start it all the same: bh vm start {}", name));
    } else if (one.terms.empty() && !one.waits_for.empty()) {
      problems.add("guest-waiting", "vm", name, fmt::format("It doesn't run yet: {}.", one.waits_for),
                   "See: bh ha status");
    }
  }
}

// Whose agent is older than the one that came with this manager.
void add_older_agents(Problems& problems, const ProblemSources& sources) {
  if (sources.upgrades == nullptr || sources.upgrades->version().empty()) return;
  const auto version = sources.upgrades->version();
  std::vector<std::string_view> installed;
  std::vector<std::string_view> booted;
  const auto nodes = sources.inventory.all<model::Node>();
  for (const auto& record : nodes) {
    const auto& node = record->value;
    if (!is_older(node.facts.agent_version, version)) continue;
    (node.netboot ? booted : installed).push_back(node.name);
  }
  const auto add = [&](std::string_view condition, const std::vector<std::string_view>& names, std::string action) {
    if (names.empty()) return;
    problems.add(
        condition, "cluster", "",
        fmt::format("{} {} an agent older than {}, which came with this manager: {}{}", names.size(),
                    names.size() == 1 ? "node has" : "nodes have", version,
                    fmt::join(names.begin(), names.begin() + std::min<std::ptrdiff_t>(8, std::ssize(names)), ", "),
                    names.size() > 8 ? ", ..." : ""),
        std::move(action));
  };
  add("agents-older", installed, "bh node upgrade --all");
  add("image-agents-older", booted, "They get it with their image: bh node-image build, then bh node-image rollout.");
}

void add_webhook(Problems& problems, const state::Inventory& inventory, Timestamp now) {
  const auto webhook = inventory.find<model::Webhook>(model::WebhookId(model::kWebhookId));
  if (!webhook || webhook->value.failing_since == Timestamp{}) return;
  if (now - webhook->value.failing_since < kWebhookPatience) return;
  problems.add("webhook-failing", "cluster", "", fmt::format("Alerts can't be posted: {}", webhook->value.error),
               "Mend the receiver, or: bh alert webhook set");
}

}  // namespace

bool is_member(const model::Node& node) {
  if (!node.netboot || node.state == model::NodeState::ready) return true;
  return node.netboot->approval == model::Approval::approved && !node.netboot->image.empty();
}

std::vector<Problem> find_problems(const ProblemSources& sources) {
  Problems problems;
  const auto& inventory = sources.inventory;
  if (const auto error = inventory.write_error()) {
    problems.add("state-unwritable", "cluster", "", fmt::format("The manager can't keep changes: {}", error->message),
                 error->hint.empty() ? "See the manager's log: journalctl -u bridgehead-manager." : error->hint);
  }
  add_nodes(problems, inventory, sources.now);
  add_netboot(problems, sources);
  add_pools(problems, inventory);
  add_guests_and_images(problems, inventory, sources.now);
  add_availability(problems, sources);
  add_webhook(problems, inventory, sources.now);
  add_older_agents(problems, sources);
  return problems.take();
}

}  // namespace bridgehead::reconcile
