#include "simulation/trace.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

namespace bridgehead::simulation {
namespace {

constexpr std::string_view kHeader = "name,vcpus,memory_mib,start_s,end_s,cpu_percent";

std::optional<double> number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) return {};
  return value;
}

std::vector<std::string_view> split(std::string_view text, char by) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto end = text.find(by);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::optional<IntervalLoad> one_load(std::string_view word) {
  const auto slash = word.find('/');
  const auto average = number(word.substr(0, slash));
  const auto peak = slash == std::string_view::npos ? average : number(word.substr(slash + 1));
  if (!average || !peak || *average < 0 || *average > 100 || *peak < *average || *peak > 100) return {};
  return IntervalLoad{static_cast<float>(*average / 100), static_cast<float>(*peak / 100)};
}

// Why the line isn't a guest; empty if it is.
std::string take_line(std::string_view line, Timestamp begin, TraceGuest& guest) {
  const auto fields = split(line, ',');
  if (fields.size() != 6) return fmt::format("has {} fields, not 6", fields.size());
  if (fields[0].empty()) return "has no name";
  guest.name = fields[0];
  const auto vcpus = number(fields[1]);
  if (!vcpus || *vcpus < 1 || *vcpus > 4096) return fmt::format("vcpus is '{}', not 1 to 4096", fields[1]);
  const auto memory = number(fields[2]);
  if (!memory || *memory < 1 || *memory > 1e9) return fmt::format("memory_mib is '{}', not a size in MiB", fields[2]);
  const auto start = number(fields[3]);
  if (!start || std::abs(*start) > 1e10) return fmt::format("start_s is '{}', not a number of seconds", fields[3]);
  guest.vcpus = *vcpus;
  guest.memory = *memory * 1048576;
  guest.start = *start;
  if (!fields[4].empty()) {
    guest.end = number(fields[4]);
    if (!guest.end || *guest.end <= *start) return fmt::format("end_s is '{}', not a time after start_s", fields[4]);
  }
  auto loads = std::make_shared<std::vector<IntervalLoad>>();
  for (const auto word : split(fields[5], ' ')) {
    if (word.empty()) continue;
    const auto load = one_load(word);
    if (!load) return fmt::format("cpu_percent has '{}', not AVERAGE or AVERAGE/PEAK of 0 to 100", word);
    loads->push_back(*load);
  }
  if (loads->empty()) return "has no cpu_percent";
  guest.load.imported = std::move(loads);
  guest.load.first_interval = interval_of(begin + std::chrono::seconds(static_cast<std::int64_t>(*start)));
  return "";
}

}  // namespace

Result<Trace> read_trace(std::string_view name, std::string_view text, Timestamp begin) {
  Trace trace;
  std::map<std::string, std::size_t, std::less<>> lines;
  std::size_t number_of_line = 0;
  for (auto line : split(text, '\n')) {
    ++number_of_line;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (number_of_line == 1) {
      if (line == kHeader) continue;
      return fail_with_hint(ErrorCode::invalid_argument, fmt::format("{}, line 1: not a trace of guests", name),
                            fmt::format("The first line must be: {}", kHeader));
    }
    if (line.empty()) continue;
    TraceGuest guest;
    auto why = take_line(line, begin, guest);
    if (why.empty()) {
      const auto [known, fresh] = lines.try_emplace(guest.name, number_of_line);
      if (!fresh) why = fmt::format("the guest {} is in line {} already", guest.name, known->second);
    }
    if (!why.empty()) {
      return fail_with_hint(ErrorCode::invalid_argument, fmt::format("{}, line {}: {}", name, number_of_line, why),
                            "The format is in docs/simulation.md.");
    }
    trace.guests.push_back(std::move(guest));
  }
  if (trace.guests.empty()) return fail(ErrorCode::invalid_argument, "{}: there is no guest in it", name);
  std::stable_sort(trace.guests.begin(), trace.guests.end(),
                   [](const auto& a, const auto& b) { return a.start < b.start; });
  return trace;
}

std::string write_trace(const Trace& trace, Timestamp begin, double length) {
  std::string text = std::string(kHeader) + "\n";
  for (const auto& guest : trace.guests) {
    const double until = std::min(length, guest.end.value_or(length));
    const auto first = interval_of(begin + std::chrono::seconds(static_cast<std::int64_t>(guest.start)));
    const auto count = std::max<std::int64_t>(1, static_cast<std::int64_t>((until - guest.start) / kInterval.count()));
    text += fmt::format("{},{:g},{:.0f},{:.0f},{},", guest.name, guest.vcpus, guest.memory / 1048576, guest.start,
                        guest.end ? fmt::format("{:.0f}", *guest.end) : "");
    for (std::int64_t i = 0; i < count; ++i) {
      const auto load = load_in(guest.load, first + i);
      text += fmt::format("{}{:.4g}/{:.4g}", i == 0 ? "" : " ", load.average * 100, load.peak * 100);
    }
    text += '\n';
  }
  return text;
}

}  // namespace bridgehead::simulation
