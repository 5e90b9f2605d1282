#include "cli/energy_view.h"

#include <algorithm>
#include <array>

#include "base/clock.h"

namespace bridgehead::cli {
namespace {

constexpr std::array<std::pair<const char*, const char*>, 3> kSources{
    {{"kwh_bmc", "BMC"}, {"kwh_rapl", "CPUs"}, {"kwh_model", "model"}}};
constexpr std::size_t kMostAway = 5;

double figure(const nlohmann::json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_number() ? found->get<double>() : 0;
}

Column kwh(std::string header, const char* name) {
  return {std::move(header), [name](const nlohmann::json& row) { return fmt::format("{:.3f}", figure(row, name)); }};
}
Column hours(std::string header, const char* name) {
  return {std::move(header), [name](const nlohmann::json& row) { return fmt::format("{:.1f}", figure(row, name)); }};
}

double sum(const nlohmann::json& rows, const char* name) {
  double all = 0;
  for (const auto& row : rows) all += figure(row, name);
  return all;
}

std::string minute(const std::string& rfc3339) { return rfc3339.substr(0, 10) + " " + rfc3339.substr(11, 5); }

double hours_between(const nlohmann::json& span) {
  const auto from = parse_rfc3339(text(span, "/from"));
  const auto to = parse_rfc3339(text(span, "/to"));
  return from && to ? std::chrono::duration<double, std::ratio<3600>>(*to - *from).count() : 0;
}

std::string note_of_away(const nlohmann::json& away) {
  double all = 0;
  std::string times;
  for (std::size_t i = 0; i < away.size(); ++i) {
    all += hours_between(away[i]);
    if (i + kMostAway < away.size()) continue;  // the newest
    times += fmt::format("{}{} to {}", times.empty() ? "" : ", ", minute(text(away[i], "/from")),
                         minute(text(away[i], "/to")));
  }
  const auto length = all * 60 < 1 ? std::string("less than a minute")
                      : all < 1    ? fmt::format("{:.0f} min", all * 60)
                                   : fmt::format("{:.1f} h", all);
  return fmt::format("The manager was away for {}, and what was taken then is unknown: {}{}.", length,
                     away.size() > kMostAway ? "lately " : "", times);
}

}  // namespace

std::string energy_sources(const nlohmann::json& one) {
  const double all = figure(one, "kwh");
  std::vector<std::pair<const char*, double>> parts;
  for (const auto& [field, name] : kSources) {
    if (figure(one, field) > 0) parts.emplace_back(name, figure(one, field) / all);
  }
  if (parts.size() == 1) return parts.front().first;
  std::string words;
  for (const auto& [name, part] : parts) {
    words += fmt::format("{}{} {:.0f} %", words.empty() ? "" : ", ", name, part * 100);
  }
  return words;
}

nlohmann::json energy_rows(const nlohmann::json& report, const std::string& by) {
  auto rows = report.value(by, nlohmann::json::array());
  if (by != "nodes" || rows.size() < 2) return rows;
  nlohmann::json all = {{"name", "(all)"}};
  for (const auto* name :
       {"kwh", "kwh_bmc", "kwh_rapl", "kwh_model", "off_hours", "saved_kwh", "promised_kwh", "unknown_hours"}) {
    all[name] = sum(rows, name);
  }
  rows.push_back(std::move(all));
  return rows;
}

std::vector<Column> energy_columns(const std::string& by) {
  std::vector<Column> columns{by == "days" ? column("DAY", "/day") : column(by == "guests" ? "GUEST" : "NODE", "/name"),
                              kwh("KWH", "kwh"),
                              {"BY", energy_sources}};
  if (by == "guests") return columns;
  columns.push_back(hours("OFF-H", "off_hours"));
  columns.push_back(kwh("SAVED-KWH", "saved_kwh"));
  columns.push_back(kwh("PROMISED-KWH", "promised_kwh"));
  columns.push_back(hours("UNKNOWN-H", "unknown_hours"));
  return columns;
}

std::vector<std::string> energy_notes(const nlohmann::json& report) {
  const auto& nodes = report.at("nodes");
  std::vector<std::string> notes{
      fmt::format("From {} to {} UTC.", minute(text(report, "/from")), minute(text(report, "/to")))};
  if (sum(nodes, "kwh_rapl") > 0) {
    notes.emplace_back("CPUs count themselves and the memory; fans, disks and power supplies come on top.");
  }
  if (const double promised = sum(nodes, "promised_kwh"); promised > 0 || sum(nodes, "saved_kwh") > 0) {
    notes.push_back(fmt::format(
        "Plans promised to save {:.3f} kWh by switching hosts off; {:.3f} kWh were saved, against the same hosts idle.",
        promised, sum(nodes, "saved_kwh")));
  }
  if (!report.at("away").empty()) notes.push_back(note_of_away(report.at("away")));
  return notes;
}

}  // namespace bridgehead::cli
