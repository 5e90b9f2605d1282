#include "bench/record.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <set>

#include <nlohmann/json.hpp>

namespace bridgehead::bench {

using nlohmann::json;

namespace {

constexpr const char* kFormat = "bridgehead-bench";
constexpr int kVersion = 1;

template <typename T>
void put_optional(json& object, const char* name, const std::optional<T>& value) {
  if (value) object[name] = *value;
}

template <typename T = double>
std::optional<T> optional_of(const json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return std::nullopt;
  return found->get<T>();
}

}  // namespace

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Workload, name, what, in_operations, in_seconds, writes, node_bytes,
                                                block_bytes, seconds, direct, peer_of)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(NodeFacts, name, kernel, cpu, cpus, memory_bytes, link_bits, guest)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(PoolFacts, name, driver, layout, servers, server_link_bits,
                                                server_disk_bytes, copies)

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Part::Step, name, at)

void to_json(json& object, const Part& part) {
  object = {{"node", part.node},       {"bytes", part.bytes},   {"operations", part.operations}, {"began", part.began},
            {"seconds", part.seconds}, {"p50_ms", part.p50_ms}, {"p99_ms", part.p99_ms}};
  put_optional(object, "cpu_busy", part.cpu_busy);
  put_optional(object, "link_busy", part.link_busy);
  if (!part.error.empty()) object["error"] = part.error;
  if (!part.steps.empty()) object["steps"] = part.steps;
  put_optional(object, "http_bytes", part.http_bytes);
  put_optional(object, "root_bytes", part.root_bytes);
}

void from_json(const json& object, Part& part) {
  part.node = object.at("node").get<std::string>();
  part.bytes = object.value("bytes", std::uint64_t{0});
  part.operations = object.value("operations", std::uint64_t{0});
  part.began = object.value("began", 0.0);
  part.seconds = object.value("seconds", 0.0);
  part.p50_ms = object.value("p50_ms", 0.0);
  part.p99_ms = object.value("p99_ms", 0.0);
  part.cpu_busy = optional_of(object, "cpu_busy");
  part.link_busy = optional_of(object, "link_busy");
  part.error = object.value("error", std::string());
  part.steps = object.value("steps", std::vector<Part::Step>());
  part.http_bytes = optional_of<std::uint64_t>(object, "http_bytes");
  part.root_bytes = optional_of<std::uint64_t>(object, "root_bytes");
}

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Run, pool, workload, nodes, repetition, started, parts)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Record, name, command, started, version, fio, nodes, pools, workloads,
                                                runs, notes)

namespace {

bool sound(double value, double most) { return std::isfinite(value) && value >= 0 && value <= most; }

Status check_part(const Part& part, const Run& run, const std::string& where) {
  if (!sound(part.began, 1e7) || !sound(part.seconds, 1e7) || !sound(part.p50_ms, 1e9) || !sound(part.p99_ms, 1e9) ||
      !sound(part.cpu_busy.value_or(0), 1.1) || !sound(part.link_busy.value_or(0), 10) ||
      std::any_of(part.steps.begin(), part.steps.end(), [](const auto& step) { return !sound(step.at, 1e7); })) {
    return fail(ErrorCode::data_corrupt, "{}: {} has a figure that can't be", where, part.node);
  }
  if (part.error.empty() && (part.seconds <= 0 || part.operations == 0)) {
    return fail(ErrorCode::data_corrupt, "{}: {} did nothing, and no error says why", where, part.node);
  }
  if (run.nodes == 0) return fail(ErrorCode::data_corrupt, "{} has 0 nodes", where);
  return {};
}

Status check_record(const Record& record) {
  for (std::size_t i = 0; i < record.runs.size(); ++i) {
    const auto& run = record.runs[i];
    const auto where = fmt::format("run {}", i + 1);
    if (record.workload(run.workload) == nullptr) {
      return fail(ErrorCode::data_corrupt, "{}: there is no workload '{}'", where, run.workload);
    }
    if (record.pool(run.pool) == nullptr) {
      return fail(ErrorCode::data_corrupt, "{}: there is no pool '{}'", where, run.pool);
    }
    std::set<std::string> seen;
    for (const auto& part : run.parts) {
      if (auto good = check_part(part, run, where); !good) return good;
      if (!seen.insert(part.node).second)
        return fail(ErrorCode::data_corrupt, "{}: {} is twice in it", where, part.node);
    }
    if (run.parts.size() > run.nodes) {
      return fail(ErrorCode::data_corrupt, "{} is of {} nodes but has {}", where, run.nodes, run.parts.size());
    }
  }
  return {};
}

std::string csv_cell(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + '"';
}

}  // namespace

bool Run::complete() const {
  return nodes > 0 && parts.size() == nodes &&
         std::all_of(parts.begin(), parts.end(), [](const Part& part) { return part.error.empty(); });
}

double Run::skew() const {
  if (parts.empty()) return 0;
  const auto [first, last] =
      std::minmax_element(parts.begin(), parts.end(), [](const Part& a, const Part& b) { return a.began < b.began; });
  return last->began - first->began;
}

bool Record::through_guests() const {
  return std::any_of(nodes.begin(), nodes.end(), [](const auto& node) { return !node.guest.empty(); });
}

bool Record::emulated() const {
  return std::any_of(nodes.begin(), nodes.end(), [](const auto& node) { return node.guest == "emulated"; });
}

const Workload* Record::workload(std::string_view wanted) const {
  const auto found =
      std::find_if(workloads.begin(), workloads.end(), [&](const auto& one) { return one.name == wanted; });
  return found == workloads.end() ? nullptr : &*found;
}

const PoolFacts* Record::pool(std::string_view wanted) const {
  const auto found = std::find_if(pools.begin(), pools.end(), [&](const auto& one) { return one.name == wanted; });
  return found == pools.end() ? nullptr : &*found;
}

double rate_of(const Run& run, const Workload& workload) {
  double amount = 0;
  double first = std::numeric_limits<double>::infinity();
  double last = 0;
  for (const auto& part : run.parts) {
    if (!part.error.empty()) continue;
    amount += static_cast<double>(workload.in_operations ? part.operations : part.bytes);
    first = std::min(first, part.began);
    last = std::max(last, part.began + part.seconds);
  }
  if (workload.in_seconds && amount > 0) amount = 1;
  return last > first ? amount / (last - first) : 0;
}

Result<Record> read_record(std::string_view text) {
  try {
    const auto object = json::parse(text);
    if (!object.is_object() || object.value("format", "") != kFormat) {
      return fail(ErrorCode::data_corrupt, "this isn't a result of bh bench");
    }
    if (object.value("format_version", 0) > kVersion) {
      return fail_with_hint(ErrorCode::unsupported, "this result was made by a newer version", "Update bh.");
    }
    auto record = object.get<Record>();
    if (auto good = check_record(record); !good) return forward(good);
    return record;
  } catch (const json::exception& error) {
    return fail(ErrorCode::data_corrupt, "this isn't a result of bh bench: {}", error.what());
  }
}

std::string write_record(const Record& record) {
  json object = record;
  object["format"] = kFormat;
  object["format_version"] = kVersion;
  // Names may hold anything; a report must come out all the same.
  return object.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

Result<double> parse_link(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  double factor = 1;
  if (!unit.empty()) {
    constexpr std::string_view kLetters = "kMGT";
    const auto place = kLetters.find(unit.front() == 'K' ? 'k' : unit.front() == 'g' ? 'G' : unit.front());
    if (place != std::string_view::npos) {
      factor = std::pow(1000, static_cast<double>(place) + 1);
      unit.remove_prefix(1);
    }
  }
  const bool known = unit.empty() || unit == "bit" || unit == "bit/s";
  if (error != std::errc() || !known || !std::isfinite(value) || value <= 0) {
    return fail(ErrorCode::invalid_argument, "write the rate of a link as 25G or 200Mbit/s, not '{}'", text);
  }
  return value * factor;
}

std::string write_csv(const Record& record) {
  std::string csv =
      "pool,workload,nodes,repetition,complete,run_rate,unit,node,bytes,operations,began_s,seconds,p50_ms,p99_ms,"
      "cpu_busy,link_busy,http_bytes,root_bytes,error\n";
  const auto bytes = [](const std::optional<std::uint64_t>& value) { return value ? std::to_string(*value) : ""; };
  const auto optional = [](const std::optional<double>& value) { return value ? fmt::format("{:.4f}", *value) : ""; };
  for (const auto& run : record.runs) {
    const auto* workload = record.workload(run.workload);
    if (workload == nullptr) continue;
    const auto head = fmt::format("{},{},{},{},{},{:.1f},{}", csv_cell(run.pool), csv_cell(run.workload), run.nodes,
                                  run.repetition, run.complete() ? "yes" : "no", rate_of(run, *workload),
                                  workload->in_seconds      ? "runs/s"
                                  : workload->in_operations ? "operations/s"
                                                            : "bytes/s");
    for (const auto& part : run.parts) {
      csv +=
          fmt::format("{},{},{},{},{:.4f},{:.4f},{:.3f},{:.3f},{},{},{},{},{}\n", head, csv_cell(part.node), part.bytes,
                      part.operations, part.began, part.seconds, part.p50_ms, part.p99_ms, optional(part.cpu_busy),
                      optional(part.link_busy), bytes(part.http_bytes), bytes(part.root_bytes), csv_cell(part.error));
    }
  }
  return csv;
}

}  // namespace bridgehead::bench
