#include "host_agent/facts/host_facts.h"

#include <charconv>
#include <set>

#include "base/file.h"
#include "base/text.h"
#include "host_agent/facts/network_facts.h"

namespace bridgehead::host_agent {
namespace fs = std::filesystem;

namespace {

// A host's `cpuinfo` with 512 CPUs is about 1 MiB.
constexpr Bytes kLimit = 8_MiB;
// A line "0-4294967295" must not eat the memory.
constexpr std::uint32_t kMostCpus = 65536;

template <typename Visit>
void for_each_part(std::string_view text, char separator, Visit visit) {
  while (!text.empty()) {
    const auto end = text.find(separator);
    visit(text.substr(0, end));
    if (end == std::string_view::npos) return;
    text.remove_prefix(end + 1);
  }
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

// "MemTotal:       24567890 kB", in a node's meminfo after "Node 0 "
Bytes meminfo_value(std::string_view text, std::string_view key) {
  Bytes found;
  for_each_part(text, '\n', [&](std::string_view line) {
    const auto at = line.find(key);
    if (at == std::string_view::npos) return;
    auto rest = trimmed(line.substr(at + key.size()));
    rest = rest.substr(0, rest.find(' '));
    if (const auto kib = parse_number(rest)) found = Bytes(*kib << 10);
  });
  return found;
}

std::string os_name(const fs::path& root) {
  auto text = read_text(root / "etc/os-release");
  if (text.empty()) text = read_text(root / "usr/lib/os-release");
  std::string name;
  for_each_part(text, '\n', [&](std::string_view line) {
    constexpr std::string_view key = "PRETTY_NAME=";
    if (!line.starts_with(key)) return;
    auto value = trimmed(line.substr(key.size()));
    if (value.size() >= 2 && (value.front() == '"' || value.front() == '\'') && value.back() == value.front()) {
      value = value.substr(1, value.size() - 2);
    }
    name = value;
  });
  return name;
}

void read_cpus(const fs::path& root, model::NodeFacts& facts) {
  std::uint32_t listed = 0;
  for_each_part(read_text(root / "proc/cpuinfo"), '\n', [&](std::string_view line) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return;
    const auto key = trimmed(line.substr(0, colon));
    const auto value = trimmed(line.substr(colon + 1));
    if (key == "processor") ++listed;
    if (key == "model name" && facts.cpu_model.empty()) facts.cpu_model = value;
    if (key == "flags" && facts.cpu_flags.empty()) {
      for_each_part(value, ' ', [&](std::string_view flag) {
        if (!flag.empty()) facts.cpu_flags.emplace_back(flag);
      });
    }
  });
  std::sort(facts.cpu_flags.begin(), facts.cpu_flags.end());
  const auto online = parse_cpu_list(read_text(root / "sys/devices/system/cpu/online"));
  facts.cpus = online.empty() ? listed : static_cast<std::uint32_t>(online.size());
}

void read_numa(const fs::path& root, model::NodeFacts& facts) {
  for (const auto& entry : list_directory(root / "sys/devices/system/node").value_or(std::vector<fs::path>())) {
    const auto name = entry.filename().string();
    if (!name.starts_with("node")) continue;
    const auto id = parse_number(std::string_view(name).substr(4));
    if (!id) continue;
    facts.numa.push_back({.id = static_cast<std::uint32_t>(*id),
                          .cpus = parse_cpu_list(read_text(entry / "cpulist")),
                          .memory = meminfo_value(read_text(entry / "meminfo"), "MemTotal:")});
  }
  std::sort(facts.numa.begin(), facts.numa.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
}

std::string read_machine(const fs::path& root) {
  const auto dmi = root / "sys/class/dmi/id";
  const auto name = fmt::format("{} {}", read_text(dmi / "sys_vendor"), read_text(dmi / "product_name"));
  return std::string(trimmed(std::string_view(name).substr(0, model::kLongestMachine)));
}

}  // namespace

std::string read_text(const fs::path& path) {
  auto text = read_file(path, kLimit);
  if (!text) return {};
  while (!text->empty() && text->back() == '\n') text->pop_back();
  return std::move(*text);
}

std::vector<std::uint32_t> parse_cpu_list(std::string_view text) {
  std::set<std::uint32_t> cpus;
  for_each_part(trimmed(text), ',', [&](std::string_view part) {
    part = trimmed(part);
    const auto dash = part.find('-');
    const auto first = parse_number(part.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : parse_number(part.substr(dash + 1));
    if (!first || !last || *last >= kMostCpus) return;
    for (auto cpu = *first; cpu <= *last; ++cpu) cpus.insert(static_cast<std::uint32_t>(cpu));
  });
  return {cpus.begin(), cpus.end()};
}

std::string read_boot_id(const fs::path& root) { return read_text(root / "proc/sys/kernel/random/boot_id"); }

model::NodeFacts read_host_facts(const fs::path& root) {
  model::NodeFacts facts;
  facts.hostname = read_text(root / "proc/sys/kernel/hostname");
  facts.machine_id = read_text(root / "etc/machine-id");
  if (facts.machine_id.empty()) facts.machine_id = read_text(root / "var/lib/dbus/machine-id");
  facts.machine = read_machine(root);
  facts.os = os_name(root);
  facts.kernel = read_text(root / "proc/sys/kernel/osrelease");
  facts.memory = meminfo_value(read_text(root / "proc/meminfo"), "MemTotal:");
  read_cpus(root, facts);
  read_numa(root, facts);
  facts.interfaces = read_interfaces(root, {});
  return facts;
}

}  // namespace bridgehead::host_agent
