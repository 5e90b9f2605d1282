#include "cli/plan_view.h"

#include <charconv>
#include <map>
#include <sstream>

#include "base/units.h"
#include "cli/context.h"

namespace bridgehead::cli {
namespace {

double real(const nlohmann::json& object, std::string_view pointer) {
  const auto* found = find(object, pointer);
  return found != nullptr && found->is_number() ? found->get<double>() : 0;
}

std::string duration(double seconds) {
  if (seconds <= 0) return "";
  return seconds < 120 ? fmt::format("{:.0f} s", seconds) : fmt::format("{:.0f} min", seconds / 60);
}

std::string after(const nlohmann::json& action) {
  std::string all;
  for (const auto& index : action.value("after", nlohmann::json::array())) {
    all += fmt::format("{}{}", all.empty() ? "" : ",", index.get<std::uint64_t>() + 1);
  }
  return all;
}

std::string table_of(const nlohmann::json& plan, std::size_t width) {
  const bool begun = text(plan, "/state") != "proposed";
  std::vector<std::string> headers{"#", "DO", "VM", "FROM", "TO", "AFTER", "TIME"};
  if (begun) headers.emplace_back("STATE");
  headers.emplace_back("WHY");
  Table table(headers);
  std::size_t number = 0;
  for (const auto& action : plan.at("actions")) {
    std::vector<std::string> row{std::to_string(++number),          text(action, "/kind"),    text(action, "/vm_name"),
                                 text(action, "/from_name"),        text(action, "/to_name"), after(action),
                                 duration(real(action, "/seconds"))};
    if (begun) row.push_back(text(action, "/state"));
    const auto message = text(action, "/message");
    row.push_back(message.empty() ? text(action, "/reason") : message);
    table.add(std::move(row));
  }
  return table.render(width);
}

// Only what the plan changes.
std::string gains(const nlohmann::json& plan) {
  std::string lines;
  const auto line = [&](std::string_view what, const char* field, int digits) {
    const auto before = real(plan, fmt::format("/before/{}", field));
    const auto now = real(plan, fmt::format("/after/{}", field));
    if (fmt::format("{:.{}f}", before, digits) == fmt::format("{:.{}f}", now, digits)) return;
    lines += fmt::format("{:<22} {:.{}f} -> {:.{}f}\n", what, before, digits, now, digits);
  };
  line("Guests without a node", "unplaced", 0);
  line("Violations", "violations", 3);
  line("Soft rules, headroom", "soft", 3);
  line("Nodes on", "hosts_on", 0);
  line("Unevenness", "unevenness", 4);
  const auto before = real(plan, "/watts_before");
  const auto now = real(plan, "/watts_after");
  if (std::abs(before - now) >= 1) lines += fmt::format("{:<22} {:.0f} W -> {:.0f} W\n", "Power", before, now);
  // A bound that lies far below what can be reached says no more than itself.
  const auto gap = real(plan, "/gap");
  lines += fmt::format("{:<22} {:.4g}{}\n", "No plan gets below", real(plan, "/bound"),
                       gap > 2 ? "" : fmt::format(", this one is {:.1f} % above", 100 * gap));
  return lines;
}

std::string conflicts(const nlohmann::json& plan) {
  std::string lines;
  for (const auto& conflict : plan.value("conflicts", nlohmann::json::array())) {
    lines += fmt::format("Can't be kept: {}\n", printable(text(conflict, "/reason")));
  }
  return lines;
}

Result<double> number_from(const std::string& word) {
  double value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size() || word.empty()) {
    return fail(ErrorCode::invalid_argument, "'{}' isn't a number", printable(word));
  }
  return value;
}

std::vector<std::string> cells(const std::string& line) {
  std::vector<std::string> all;
  std::istringstream stream(line);
  for (std::string cell; std::getline(stream, cell, ',');) {
    const auto first = cell.find_first_not_of(" \t\r\"");
    const auto last = cell.find_last_not_of(" \t\r\"");
    all.push_back(first == std::string::npos ? "" : cell.substr(first, last - first + 1));
  }
  return all;
}

}  // namespace

std::string show_plan(const nlohmann::json& plan, std::size_t width) {
  const auto count = plan.at("actions").size();
  if (count == 0) return conflicts(plan) + "Nothing to do.\n";
  auto out = fmt::format("Plan {}, {} action{}, {}\n", printable(text(plan, "/name")), count, count == 1 ? "" : "s",
                         text(plan, "/state"));
  if (const auto message = text(plan, "/message"); !message.empty()) out += printable(message) + "\n";
  return out + "\n" + table_of(plan, width) + "\n" + gains(plan) + conflicts(plan);
}

Result<nlohmann::json> node_from(const std::string& text) {
  const auto wrong = [&] {
    return fail(ErrorCode::invalid_argument, "--add-node: write 64c/512G or 4x64c/512G, not '{}'", printable(text));
  };
  const auto times = text.find('x');
  const auto count = times == std::string::npos ? Result<double>(1) : number_from(text.substr(0, times));
  const auto rest = times == std::string::npos ? text : text.substr(times + 1);
  const auto slash = rest.find("c/");
  if (!count || slash == std::string::npos) return wrong();
  const auto cpus = number_from(rest.substr(0, slash));
  if (!cpus || *cpus < 1 || *count < 1) return wrong();
  auto memory = rest.substr(slash + 2);
  if (!memory.empty() && (memory.back() == 'G' || memory.back() == 'T')) memory += "iB";
  return nlohmann::json{
      {"count", static_cast<std::uint64_t>(*count)}, {"cpus", static_cast<std::uint64_t>(*cpus)}, {"memory", memory}};
}

Result<nlohmann::json> vms_from_csv(const std::string& text) {
  std::istringstream lines(text);
  std::string line;
  if (!std::getline(lines, line)) return fail(ErrorCode::invalid_argument, "the file of guests is empty");
  std::map<std::string, std::size_t> columns;
  for (const auto& name : cells(line)) columns.emplace(name, columns.size());
  if (!columns.contains("cpus") || !columns.contains("memory")) {
    return fail(ErrorCode::invalid_argument, "the first line must name columns cpus and memory (and name, cpu_use)");
  }
  auto vms = nlohmann::json::array();
  for (std::size_t number = 2; std::getline(lines, line); ++number) {
    const auto row = cells(line);
    if (row.empty()) continue;
    const auto cell = [&](const char* name) {
      const auto column = columns.find(name);
      return column == columns.end() || column->second >= row.size() ? std::string() : row[column->second];
    };
    nlohmann::json vm;
    if (const auto name = cell("name"); !name.empty()) vm["name"] = name;
    const auto cpus = number_from(cell("cpus"));
    if (!cpus || *cpus < 1) return fail(ErrorCode::invalid_argument, "line {}: cpus must be 1 at least", number);
    vm["cpus"] = static_cast<std::uint64_t>(*cpus);
    const auto bytes = number_from(cell("memory"));
    if (bytes) {
      vm["memory"] = static_cast<std::uint64_t>(*bytes);
    } else {
      vm["memory"] = cell("memory");
    }
    if (const auto use = cell("cpu_use"); !use.empty()) {
      const auto value = number_from(use);
      if (!value) return fail(ErrorCode::invalid_argument, "line {}: cpu_use: {}", number, value.error().message);
      vm["cpu_use"] = *value;
    }
    vms.push_back(std::move(vm));
  }
  return vms;
}

}  // namespace bridgehead::cli
