#include "cli/boot_view.h"

#include <algorithm>

#include "cli/context.h"
#include "cli/output.h"
#include "model/enum_names.h"

namespace bridgehead::cli {
namespace {

constexpr std::string_view kBooting = "booting: ";
constexpr std::string_view kFailed = "failed: boot";

std::optional<Timestamp> time_of(const std::string& rfc3339) {
  const auto parsed = parse_rfc3339(rfc3339);
  return parsed ? std::optional(*parsed) : std::nullopt;
}

bool is_early(std::string_view step) { return step == "dhcp" || step == "bootstrap"; }
bool is_step(std::string_view word) { return model::parse_enum<model::BootStep>(word).has_value(); }
bool is_under_way(std::string_view word) { return is_step(word) && word != "ready" && word != "failed"; }

bool is_expected(const nlohmann::json& node) {
  return text(node, "/netboot/approval") == "approved" && !text(node, "/netboot/image").empty();
}

// Of a boot that came after the agent was last heard of; "" = there is none that matters.
std::string boot_state(const nlohmann::json& node) {
  const auto step = text(node, "/boot/step");
  const bool up = text(node, "/state") != "unreachable";
  // RFC 3339 in UTC with milliseconds sorts as text does.
  const bool newer = text(node, "/boot/since") > text(node, "/last_seen");
  if (step.empty() || step == "ready" || (step == "agent" && up) || (up && !newer)) return "";
  if (step == "failed") return newer ? std::string(kFailed) : "";
  return newer ? std::string(kBooting) + step : "";
}

std::string ipv4_of(const nlohmann::json& nic) {
  for (const auto& address : nic.value("addresses", nlohmann::json::array())) {
    if (!address.is_string()) continue;
    const auto& full = address.get_ref<const std::string&>();
    if (full.find(':') != std::string::npos || full.starts_with("169.254.")) continue;
    return full.substr(0, full.find('/'));
  }
  return "";
}

BootBoard::Row row_of(const nlohmann::json& node) {
  BootBoard::Row row{.name = text(node, "/name"), .step = node_state(node), .message = node_message(node)};
  row.expected = is_expected(node);
  row.started = time_of(text(node, "/boot/started"));
  row.since = time_of(text(node, "/boot/since"));
  if (row.step == kFailed) row.step = "failed";
  if (row.step.starts_with(kBooting)) row.step.erase(0, kBooting.size());
  return row;
}

}  // namespace

std::string node_state(const nlohmann::json& node) {
  const auto state = text(node, "/state");
  const auto approval = text(node, "/netboot/approval");
  const bool switched_off = state != "ready" && text(node, "/to_be_off") == "yes" && !text(node, "/bmc/driver").empty();
  if (switched_off) return "asleep";
  if (approval.empty()) return state;
  if (approval != "approved") return approval;
  if (auto booting = boot_state(node); !booting.empty() && !text(node, "/netboot/image").empty()) return booting;
  if (state != "unreachable") return state;
  if (text(node, "/netboot/image").empty()) return "unassigned";
  return text(node, "/boot/step").empty() && text(node, "/certificate_serial").empty() ? "not booted" : state;
}

std::string node_message(const nlohmann::json& node) {
  const auto state = node_state(node);
  if (state == kFailed || state.starts_with(kBooting)) return text(node, "/boot/message");
  if (state != "waiting" && state != "refused" && state != "unassigned") return text(node, "/message");
  std::string machine = text(node, "/netboot/mac");
  for (const char* field : {"/netboot/hardware/vendor", "/netboot/hardware/product"}) {
    if (const auto part = text(node, field); !part.empty()) machine += " " + part;
  }
  return machine;
}

std::string node_address(const nlohmann::json& node) {
  if (auto reserved = text(node, "/netboot/address"); !reserved.empty()) return reserved;
  const auto* found = find(node, "/facts/interfaces");
  if (found == nullptr || !found->is_array()) return "";
  const auto of_bridge = [&](const std::string& name) -> std::string {
    for (const auto& nic : *found) {
      if (text(nic, "/name") == name) return ipv4_of(nic);
    }
    return "";
  };
  for (const auto& nic : *found) {
    const auto kind = text(nic, "/kind");
    if (kind != "ethernet" && kind != "bond" && kind != "vlan") continue;
    auto address = ipv4_of(nic);
    if (address.empty()) address = of_bridge(text(nic, "/bridge"));
    if (!address.empty()) return address;
  }
  return "";
}

std::string elapsed(const std::optional<Timestamp>& from, const std::optional<Timestamp>& to) {
  if (!from || !to) return "";
  const double seconds = std::max(0.0, std::chrono::duration<double>(*to - *from).count());
  if (seconds < 120) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<std::uint64_t>(seconds);
  return fmt::format("{} min {} s", whole / 60, whole % 60);
}

std::optional<BootProgress> parse_boot_message(const std::string& message) {
  const auto end = std::min(message.find(':'), message.size());
  BootProgress progress{.step = message.substr(0, end), .message = message.substr(std::min(end + 1, message.size()))};
  if (!is_step(progress.step)) return std::nullopt;
  progress.message.erase(0, progress.message.find_first_not_of(' '));
  return progress;
}

bool BootBoard::watches(const std::string& id, const std::string& name) const {
  return wanted_.empty() || std::any_of(wanted_.begin(), wanted_.end(),
                                        [&](const auto& wanted) { return wanted == id || wanted == name; });
}

void BootBoard::take_list(const nlohmann::json& answer) {
  rows_.clear();
  const auto* items = find(answer, "/items");
  if (items == nullptr || !items->is_array()) return;
  for (const auto& node : *items) {
    const auto* netboot = find(node, "/netboot");
    if (netboot == nullptr || !netboot->is_object()) continue;
    if (watches(text(node, "/id"), text(node, "/name"))) rows_[text(node, "/id")] = row_of(node);
  }
}

void BootBoard::take_node(const std::string& id, const nlohmann::json* node) {
  if (node == nullptr) {
    rows_.erase(id);
    return;
  }
  const auto* netboot = find(*node, "/netboot");
  if (netboot == nullptr || !netboot->is_object() || !watches(id, text(*node, "/name"))) return;
  auto fresh = row_of(*node);
  const auto known = rows_.find(id);
  if (known != rows_.end() && is_under_way(known->second.step) && fresh.expected) {
    known->second.name = fresh.name;
    known->second.expected = true;
    return;
  }
  rows_[id] = std::move(fresh);
}

const BootBoard::Row* BootBoard::take_event(const nlohmann::json& event) {
  const auto id = text(event, "/object");
  const auto name = text(event, "/object_name");
  const auto progress = parse_boot_message(text(event, "/message"));
  if (id.empty() || !progress || !watches(id, name)) return nullptr;
  auto& row = rows_[id];
  const auto now = time_of(text(event, "/time"));
  // Every boot begins with one of these; a loader may ask several times.
  const bool begins = is_early(progress->step) && !is_early(row.step);
  if (begins || !row.started) row.started = now;
  row.name = name;
  row.since = now;
  row.step = progress->step;
  row.message = progress->message;
  return &row;
}

bool BootBoard::all_ready() const {
  bool any = false;
  for (const auto& [id, row] : rows_) {
    if (!row.expected) continue;
    any = true;
    if (row.step != "ready") return false;
  }
  return any;
}

std::string BootBoard::render(std::size_t width, std::size_t lines) const {
  std::vector<const Row*> shown;
  for (const auto& [id, row] : rows_) shown.push_back(&row);
  std::size_t left_out = 0;
  if (lines > 0 && shown.size() + 1 > lines) {
    // One line for the header, one to say that there are more.
    const std::size_t room = std::max<std::size_t>(lines, 3) - 2;
    std::stable_partition(shown.begin(), shown.end(), [](const Row* row) { return row->step != "ready"; });
    left_out = shown.size() - room;
    shown.resize(room);
  }
  std::sort(shown.begin(), shown.end(), [](const Row* a, const Row* b) { return a->name < b->name; });
  Table table({"NAME", "STEP", "SINCE POWER-ON", "MESSAGE"});
  for (const auto* row : shown) table.add({row->name, row->step, elapsed(row->started, row->since), row->message});
  auto drawn = table.render(width);
  if (left_out > 0) drawn += fmt::format("and {} more\n", left_out);
  return drawn;
}

}  // namespace bridgehead::cli
