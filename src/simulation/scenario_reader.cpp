// TOML -> Scenario. A table of keys for each part, so that what is unknown or wrong is told with its line and what
// there is instead.
#include <toml++/toml.h>

#include <cmath>
#include <functional>

#include "base/file.h"
#include "base/length.h"
#include "base/units.h"
#include "simulation/scenario.h"

namespace bridgehead::simulation {
namespace {

using scheduler::Mode;

class Reader {
 public:
  explicit Reader(const std::string& name) : name_(name) {}

  using Take = std::function<Status(const toml::node&, std::string_view)>;
  struct Key {
    std::string_view name;
    Take take;
  };

  // In the order of `keys`, whatever the file's: a fault names hosts.
  Status table(const toml::table& from, std::string_view what, const std::vector<Key>& keys) const {
    for (const auto& [key, node] : from) {
      const auto found =
          std::find_if(keys.begin(), keys.end(), [&](const auto& known) { return known.name == key.str(); });
      if (found == keys.end()) {
        std::string known;
        for (const auto& one : keys) known += fmt::format("{}{}", known.empty() ? "" : ", ", one.name);
        return fail_with_hint(ErrorCode::invalid_argument,
                              fmt::format("{}, line {}: {} has no key '{}'", name_, line_of(node), what, key.str()),
                              fmt::format("Known: {}.", known));
      }
    }
    for (const auto& key : keys) {
      const auto* node = from.get(key.name);
      if (node == nullptr) continue;
      if (auto taken = key.take(*node, key.name); !taken) return taken;
    }
    return {};
  }

  Take text(std::string& target) const {
    return [this, &target](const toml::node& node, std::string_view key) -> Status {
      const auto value = node.value_exact<std::string>();
      if (!value) return wrong(node, key, "a text in quotes");
      target = *value;
      return {};
    };
  }
  Take flag(bool& target) const {
    return [this, &target](const toml::node& node, std::string_view key) -> Status {
      const auto value = node.value_exact<bool>();
      if (!value) return wrong(node, key, "true or false");
      target = *value;
      return {};
    };
  }
  Take number(double& target, double least, double most) const {
    return [=, this, &target](const toml::node& node, std::string_view key) -> Status {
      const auto value = node.is_number() ? node.value<double>() : std::nullopt;
      if (!value || !(*value >= least && *value <= most)) {
        return wrong(node, key, fmt::format("a number from {:g} to {:g}", least, most));
      }
      target = *value;
      return {};
    };
  }
  template <typename T>
  Take whole(T& target, std::int64_t least, std::int64_t most) const {
    return [=, this, &target](const toml::node& node, std::string_view key) -> Status {
      const auto value = node.value_exact<std::int64_t>();
      if (!value || *value < least || *value > most) {
        return wrong(node, key, fmt::format("a whole number from {} to {}", least, most));
      }
      target = static_cast<T>(*value);
      return {};
    };
  }
  Take bytes(double& target) const {
    return [this, &target](const toml::node& node, std::string_view key) -> Status {
      const auto value = node.value_exact<std::string>();
      const auto size = value ? parse_bytes(*value) : fail(ErrorCode::invalid_argument, "no text");
      if (!size || size->count() == 0) return wrong(node, key, "a size in quotes such as \"256GiB\"");
      target = static_cast<double>(size->count());
      return {};
    };
  }
  Take length(Seconds& target, Seconds least, Seconds most) const {
    return [=, this, &target](const toml::node& node, std::string_view key) -> Status {
      const auto value = node.value_exact<std::string>();
      const auto length = value ? parse_length(*value) : fail(ErrorCode::invalid_argument, "no text");
      if (!length || *length < least || *length > most) {
        return wrong(node, key,
                     fmt::format("a time in quotes such as \"90s\", \"5m\", \"1h30m\" or \"7d\", from {} to {}",
                                 to_text(least), to_text(most)));
      }
      target = *length;
      return {};
    };
  }
  template <typename T>
  Take word(T& target, std::vector<std::pair<std::string_view, T>> words) const {
    return [this, &target, words = std::move(words)](const toml::node& node, std::string_view key) -> Status {
      const auto value = node.value_exact<std::string>();
      std::string known;
      for (const auto& [name, meaning] : words) {
        if (value && *value == name) {
          target = meaning;
          return {};
        }
        known += fmt::format("{}\"{}\"", known.empty() ? "" : ", ", name);
      }
      return wrong(node, key, "one of " + known);
    };
  }
  Take one_table(std::function<Status(const toml::table&)> take) const {
    return [this, take = std::move(take)](const toml::node& node, std::string_view key) -> Status {
      if (const auto* table = node.as_table()) return take(*table);
      return wrong(node, key, fmt::format("a table: [{}]", key));
    };
  }
  Take tables(std::function<Status(const toml::table&)> take) const {
    return [this, take = std::move(take)](const toml::node& node, std::string_view key) -> Status {
      const auto* list = node.as_array();
      if (list == nullptr) return wrong(node, key, fmt::format("one or more tables: [[{}]]", key));
      for (const auto& item : *list) {
        const auto* table = item.as_table();
        if (table == nullptr) return wrong(item, key, fmt::format("one or more tables: [[{}]]", key));
        if (auto taken = take(*table); !taken) return taken;
      }
      return {};
    };
  }

  tl::unexpected<Error> wrong(const toml::node& node, std::string_view key, std::string_view wanted) const {
    return fail(ErrorCode::invalid_argument, "{}, line {}: '{}' must be {}", name_, line_of(node), key, wanted);
  }
  static toml::source_index line_of(const toml::node& node) { return node.source().begin.line; }

 private:
  const std::string& name_;
};

constexpr Seconds kMinute{60}, kHour{3600}, kDay{86400};

class ScenarioReader {
 public:
  ScenarioReader(const std::string& name, Scenario& scenario) : name_(name), read_(name), scenario_(scenario) {}

  Status take(const toml::table& root) {
    auto& s = scenario_;
    auto taken =
        read_.table(root, "a scenario",
                    {{"name", read_.text(s.name)},
                     {"begin", [&](const toml::node& node, std::string_view key) { return begin(node, key); }},
                     {"length", read_.length(s.length, kMinute, 366 * kDay)},
                     {"seed", read_.whole(s.seed, 0, INT64_MAX)},
                     {"plan_every", read_.length(s.plan_every, kMinute, kDay)},
                     {"sustained", read_.length(s.sustained, Seconds(0), kDay)},
                     {"step", read_.length(s.step, kMinute, 5 * kMinute)},
                     {"lease", read_.length(s.lease, Seconds(10), kHour)},
                     {"start_time", read_.length(s.start_time, Seconds(1), kHour)},
                     {"starts_per_host", read_.whole(s.starts_per_host, 1, 1000)},
                     {"hosts", read_.tables([&](const toml::table& table) { return hosts(table); })},
                     {"guests", read_.one_table([&](const toml::table& table) { return guests(table); })},
                     {"allowance", read_.one_table([&](const toml::table& table) { return allowance(table); })},
                     {"policy", read_.one_table([&](const toml::table& table) { return policy(table); })},
                     {"rules", read_.tables([&](const toml::table& table) { return rule(table); })},
                     {"faults", read_.one_table([&](const toml::table& table) { return faults(table); })}});
    if (!taken) return taken;
    if (s.hosts.empty()) {
      return fail_with_hint(ErrorCode::invalid_argument, fmt::format("{}: there are no hosts", name_),
                            "Add a table [[hosts]] with count, cpus and memory.");
    }
    std::size_t count = 0;
    for (const auto& group : s.hosts) count += group.count;
    if (count > 20'000)
      return fail(ErrorCode::invalid_argument, "{}: {} hosts are too many; 20000 at most", name_, count);
    if (s.step != kMinute && s.step != 5 * kMinute) {
      return fail(ErrorCode::invalid_argument, "{}: 'step' must be \"1m\" or \"5m\"", name_);
    }
    if (s.rates.restart >= s.lease) {
      return fail_with_hint(ErrorCode::invalid_argument,
                            fmt::format("{}: 'restart' ({}) isn't shorter than 'lease' ({})", name_,
                                        to_text(s.rates.restart), to_text(s.lease)),
                            "Hosts stop their guests when the manager is away for longer than a lease.");
    }
    return check_rules();
  }

 private:
  Status begin(const toml::node& node, std::string_view key) {
    const auto value = node.value_exact<std::string>();
    const auto time = value ? parse_rfc3339(*value) : fail(ErrorCode::invalid_argument, "no text");
    if (!time) return read_.wrong(node, key, "a time in quotes such as \"2026-01-05T00:00:00Z\"");
    scenario_.begin = *time;
    return {};
  }

  Status hosts(const toml::table& table) {
    HostGroup group;
    group.name = scenario_.hosts.empty() ? "host" : fmt::format("host{}-", scenario_.hosts.size() + 1);
    auto& power = group.power;
    auto taken = read_.table(table, "[[hosts]]",
                             {{"count", read_.whole(group.count, 1, 20'000)},
                              {"name", read_.text(group.name)},
                              {"cpus", read_.number(group.cpus, 1, 4096)},
                              {"memory", read_.bytes(group.memory)},
                              {"racks", read_.whole(group.racks, 1, 20'000)},
                              {"idle_watts", read_.number(power.idle_watts, 0, 1e5)},
                              {"busy_watts", read_.number(power.busy_watts, 0, 1e5)},
                              {"asleep_watts", read_.number(power.asleep_watts, 0, 1e5)},
                              {"wake_time", read_.length(power.wake, Seconds(1), kHour)},
                              {"least_time_on", read_.length(power.least_time_on, Seconds(0), kDay)},
                              {"can_sleep", read_.flag(power.can_be_switched)}});
    if (!taken) return taken;
    for (const auto& other : scenario_.hosts) {
      if (other.name == group.name) {
        return fail_with_hint(
            ErrorCode::invalid_argument,
            fmt::format("{}, line {}: two groups of hosts are named '{}'", name_, Reader::line_of(table), group.name),
            "Give each [[hosts]] a name of its own.");
      }
    }
    scenario_.hosts.push_back(std::move(group));
    return {};
  }

  Status guests(const toml::table& table) {
    auto& g = scenario_.guests;
    return read_.table(table, "[guests]",
                       {{"profile", read_.word<Profile>(g.profile, {{"azure", Profile::azure},
                                                                    {"bitbrains", Profile::bitbrains},
                                                                    {"office", Profile::office}})},
                        {"count", read_.whole(g.count, 0, 1'000'000)},
                        {"come_and_go", read_.flag(g.come_and_go)},
                        {"file", read_.text(g.file)}});
  }

  Status allowance(const toml::table& table) {
    auto& a = scenario_.allowance;
    return read_.table(table, "[allowance]",
                       {{"cpu_overcommit", read_.number(a.cpu_overcommit, 0.1, 100)},
                        {"memory_overcommit", read_.number(a.memory_overcommit, 0.1, 10)},
                        {"host_share", read_.number(a.host_share, 0, 0.9)}});
  }

  Status policy(const toml::table& table) {
    auto& p = scenario_.policy;
    // What is only proposed isn't done: nobody is there to agree.
    const auto mode = [&](Mode& target) {
      return read_.word<Mode>(target, {{"off", Mode::off}, {"propose", Mode::propose}, {"auto", Mode::automatic}});
    };
    return read_.table(
        table, "[policy]",
        {{"repair", mode(p.repair)},
         {"balance", mode(p.balance)},
         {"consolidate", mode(p.consolidate)},
         {"power", mode(p.power)},
         {"power_at_night_only", read_.flag(p.power_at_night_only)},
         {"night_from", read_.whole(p.night_from, 0, 23)},
         {"night_to", read_.whole(p.night_to, 0, 23)},
         {"evenness", read_.word<scheduler::Evenness>(p.evenness, {{"deviation", scheduler::Evenness::deviation},
                                                                   {"peak", scheduler::Evenness::peak}})},
         {"ceiling", read_.number(p.ceiling, 0.05, 1)},
         {"move_price", read_.number(p.move_price, 0, 1000)},
         {"most_moves", read_.whole(p.most_moves, 0, 0xffffffff)},
         {"failures", read_.whole(p.failures, 0, 1000)},
         {"horizon", read_.length(p.horizon, kMinute, kDay)},
         {"moves_per_host", read_.whole(p.moves_per_host, 1, 1000)},
         {"link", read_.bytes(p.link)},
         {"effort", read_.whole(p.effort, 0, INT64_MAX)}});
  }

  Status rule(const toml::table& table) {
    using scheduler::Domain;
    using scheduler::RuleKind;
    RuleWishes rule;
    auto taken =
        read_.table(table, "[[rules]]",
                    {{"kind", read_.word<RuleKind>(rule.kind, {{"together", RuleKind::together},
                                                               {"apart", RuleKind::apart},
                                                               {"on_hosts", RuleKind::on_hosts},
                                                               {"off_hosts", RuleKind::off_hosts},
                                                               {"exclusive", RuleKind::exclusive}})},
                     {"domain", read_.word<Domain>(rule.domain, {{"host", Domain::host}, {"rack", Domain::rack}})},
                     {"hard", read_.flag(rule.hard)},
                     {"weight", read_.number(rule.weight, 0, 1e6)},
                     {"groups", read_.whole(rule.groups, 1, 100'000)},
                     {"size", read_.whole(rule.size, 1, 1000)},
                     {"hosts", read_.whole(rule.hosts, 1, 20'000)}});
    if (taken) scenario_.rules.push_back(rule);
    return taken;
  }

  Status check_rules() const {
    std::size_t needed = 0, racks = 0, hosts = 0;
    for (const auto& group : scenario_.hosts) {
      racks += std::min(group.racks, group.count);
      hosts += group.count;
    }
    for (const auto& rule : scenario_.rules) {
      needed += rule.groups * rule.size;
      const auto room = rule.domain == scheduler::Domain::host ? hosts : racks;
      if (rule.hard && rule.kind == scheduler::RuleKind::apart && rule.size > room) {
        return fail_with_hint(ErrorCode::invalid_argument,
                              fmt::format("{}: a rule keeps {} guests apart, but there are only {} {}", name_,
                                          rule.size, room, rule.domain == scheduler::Domain::host ? "hosts" : "racks"),
                              "Make 'size' smaller or 'hard' false.");
      }
      if (rule.hosts > hosts) {
        return fail(ErrorCode::invalid_argument, "{}: a rule names {} hosts of {}", name_, rule.hosts, hosts);
      }
    }
    if (scenario_.guests.file.empty() && needed > scenario_.guests.count) {
      return fail_with_hint(
          ErrorCode::invalid_argument,
          fmt::format("{}: rules are about {} guests, but there are {}", name_, needed, scenario_.guests.count),
          "Make 'groups' or 'size' smaller, or [guests] count bigger.");
    }
    return {};
  }

  Status faults(const toml::table& table) {
    auto& r = scenario_.rates;
    return read_.table(table, "[faults]",
                       {{"host_failures_per_day", read_.number(r.host_failures, 0, 100)},
                        {"partitions_per_day", read_.number(r.partitions, 0, 1000)},
                        {"slow_storage_per_day", read_.number(r.slow_storage, 0, 1000)},
                        {"manager_restarts_per_day", read_.number(r.manager_restarts, 0, 1000)},
                        {"repair", read_.length(r.repair, kMinute, 30 * kDay)},
                        {"partition", read_.length(r.partition, Seconds(1), kDay)},
                        {"partition_hosts", read_.whole(r.partition_hosts, 1, 20'000)},
                        {"slow", read_.length(r.slow, kMinute, kDay)},
                        {"slow_factor", read_.number(r.slow_factor, 1, 1000)},
                        {"restart", read_.length(r.restart, Seconds(1), kHour)},
                        {"at", read_.tables([&](const toml::table& one) { return fault(one); })}});
  }

  Status fault(const toml::table& table) {
    Fault fault;
    Seconds at{0}, length{600};
    auto taken =
        read_.table(table, "[[faults.at]]",
                    {{"time", read_.length(at, Seconds(0), 366 * kDay)},
                     {"what", read_.word<FaultKind>(fault.kind, {{"host_failure", FaultKind::host_failure},
                                                                 {"partition", FaultKind::partition},
                                                                 {"slow_storage", FaultKind::slow_storage},
                                                                 {"manager_restart", FaultKind::manager_restart}})},
                     {"length", read_.length(length, Seconds(1), 30 * kDay)},
                     {"host", read_.text(fault.host)},
                     {"hosts", read_.whole(fault.hosts, 1, 20'000)},
                     {"factor", read_.number(fault.factor, 1, 1000)}});
    if (!taken) return taken;
    if (!table.contains("time") || !table.contains("what")) {
      return fail_with_hint(ErrorCode::invalid_argument,
                            fmt::format("{}, line {}: a fault needs 'time' and 'what'", name_, Reader::line_of(table)),
                            "Like: [[faults.at]] with time = \"2d\" and what = \"host_failure\".");
    }
    fault.at = at.count();
    fault.length = length.count();
    if (!fault.host.empty() && !is_host(fault.host)) {
      return fail_with_hint(
          ErrorCode::invalid_argument,
          fmt::format("{}, line {}: there is no host '{}'", name_, Reader::line_of(*table.get("host")), fault.host),
          "Hosts are named by their group and number, like host001.");
    }
    scenario_.faults.push_back(std::move(fault));
    return {};
  }

  bool is_host(std::string_view host) const {
    for (const auto& group : scenario_.hosts) {
      for (std::size_t i = 1; i <= group.count; ++i) {
        if (host == fmt::format("{}{:03}", group.name, i)) return true;
      }
    }
    return false;
  }

  const std::string& name_;
  const Reader read_;
  Scenario& scenario_;
};

}  // namespace

Result<Scenario> read_scenario(const std::string& name, std::string_view text) {
  Scenario scenario;
  toml::table root;
  try {
    root = toml::parse(text, std::string_view(name));
  } catch (const toml::parse_error& error) {
    return fail_with_hint(ErrorCode::invalid_argument,
                          fmt::format("{}, line {}: {}", name, error.source().begin.line, error.description()),
                          "The file must be TOML; docs/simulation.md has an example.");
  }
  if (auto taken = ScenarioReader(name, scenario).take(root); !taken) return forward(taken);
  return scenario;
}

Result<Scenario> load_scenario(const std::filesystem::path& file) {
  const auto text = read_file(file);
  if (!text) return forward(text);
  auto scenario = read_scenario(file.filename().string(), *text);
  if (scenario) scenario->directory = file.parent_path();
  return scenario;
}

std::string to_text(Seconds length) {
  const auto whole = std::llround(length.count());
  const auto days = whole / 86400;
  return fmt::format("{}{:02}:{:02}:{:02}", days == 0 ? "" : fmt::format("{}d ", days), whole / 3600 % 24,
                     whole / 60 % 60, whole % 60);
}

}  // namespace bridgehead::simulation
