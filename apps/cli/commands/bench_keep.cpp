#include "cli/commands/bench_keep.h"

#include <set>

#include "base/file.h"

namespace bridgehead::cli {
namespace {

constexpr std::chrono::seconds kBetweenLooks{2};

// "off" -> 0.
Result<double> number_or_off(const std::string& flag, const std::string& text, double otherwise) {
  if (text.empty()) return otherwise;
  if (text == "off") return 0.0;
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (*end == '\0' && value > 0) return value;
  return fail(ErrorCode::invalid_argument, "{}: write a number such as {:.0f}, or off, not '{}'", flag, otherwise,
              text);
}

double real(const nlohmann::json& object, std::string_view pointer) {
  const auto* value = find(object, pointer);
  return value != nullptr && value->is_number() ? value->get<double>() : 0;
}

}  // namespace

std::string suffering_of(const nlohmann::json& node, const bench::WaitLimits& limits) {
  return bench::suffering_of({real(node, "/load/pressure/cpu"), real(node, "/load/pressure/memory"),
                              real(node, "/load/pressure/io"), real(node, "/load/guest_disk_ms")},
                             limits);
}

Status KeptResult::begin(bench::Record& record) {
  const auto all = api_.get("/bench/results");
  if (!all) return forward(all);
  for (const auto& other : all->at("items")) {
    if (text(other, "/state") != "running") continue;
    return fail_with_hint(ErrorCode::failed_precondition,
                          fmt::format("benchmark '{}' runs, and both would measure each other", text(other, "/name")),
                          fmt::format("Wait for it, or end it: bh operation cancel {}", text(other, "/operation")));
  }
  nlohmann::json body = {{"result", bench::write_record(record)}, {"runs", runs_}, {"message", "it has just begun"}};
  if (!name_.empty()) body["name"] = name_;
  const auto kept = api_.post("/bench/records", body);
  if (!kept) return forward(kept);
  name_ = text(*kept, "/benchmark/name");
  record.name = name_;
  return {};
}

Status KeptResult::save(const bench::Record& record, const std::string& why) {
  const auto written = bench::write_record(record);
  if (!out_.empty()) {
    if (auto done = write_file_atomic(out_, written, 0644); !done) return done;
  }
  const auto kept =
      api_.put("/bench/results/" + path_segment(name_), {{"result", written}, {"runs", runs_}, {"message", why}});
  return kept ? Status() : forward(kept);
}

Result<bench::WaitLimits> GuestLimits::numbers() const {
  if (even_if_guests_suffer) return bench::WaitLimits{.pressure = 0, .guest_disk_ms = 0};
  const auto percent = number_or_off("--pressure", pressure, bench::WaitLimits().pressure);
  if (!percent) return forward(percent);
  const auto milliseconds = number_or_off("--guest-disk-ms", guest_disk_ms, bench::WaitLimits().guest_disk_ms);
  if (!milliseconds) return forward(milliseconds);
  return bench::WaitLimits{.pressure = *percent, .guest_disk_ms = *milliseconds};
}

std::string GuestLimits::flags() const {
  std::string all;
  if (even_if_guests_suffer) all += " --even-if-guests-suffer";
  if (!pressure.empty()) all += " --pressure " + pressure;
  if (!guest_disk_ms.empty()) all += " --guest-disk-ms " + guest_disk_ms;
  return all;
}

void add_guest_limits(CLI::App& command, GuestLimits& limits) {
  command.add_option("--pressure", limits.pressure,
                     "Stop when guests must wait for longer than this percentage of the time (default: 60), or off");
  command.add_option("--guest-disk-ms", limits.guest_disk_ms,
                     "Stop when a guest's disk operations take longer on average (default: 200), or off");
  command.add_flag("--even-if-guests-suffer", limits.even_if_guests_suffer, "Never stop for guests: both are off");
}

Status GuestWatch::look() {
  const auto now = std::chrono::steady_clock::now();
  if ((limits_.pressure <= 0 && limits_.guest_disk_ms <= 0) || (looked_ && now - *looked_ < kBetweenLooks)) return {};
  looked_ = now;
  const auto guests = api_.get("/vms?summary=false");
  if (!guests) return forward(guests);
  std::set<std::string> with_guests;
  for (const auto& guest : guests->at("items")) {
    const auto labels = guest.find("labels");
    const bool is_own = labels != guest.end() && labels->value(kBenchLabel, std::string()) == own_;
    if (!is_own && text(guest, "/status/phase") == "running") with_guests.insert(text(guest, "/node_name"));
  }
  if (with_guests.empty()) return {};
  const auto nodes = api_.get("/nodes");
  if (!nodes) return forward(nodes);
  for (const auto& node : nodes->at("items")) {
    const auto name = text(node, "/name");
    if (text(node, "/state") != "ready" || !with_guests.contains(name)) continue;
    const auto why = suffering_of(node, limits_);
    if (why.empty()) continue;
    return fail_with_hint(ErrorCode::resource_exhausted, fmt::format("{}: {}", name, why),
                          "Choose a quiet hour, or allow more; docs/bench.md says how.");
  }
  return {};
}

Result<nlohmann::json> wait_ended(ApiClient& api, const std::string& id, const std::stop_token& stop, GuestWatch* watch,
                                  ProgressLine* line) {
  Status good;
  for (bool cancelled = false;;) {
    auto operation = api.get("/operations/" + path_segment(id) + "?wait_seconds=1");
    if (!operation) return operation;
    const auto state = text(*operation, "/state");
    if (state == "succeeded" || state == "failed" || state == "cancelled") {
      if (!good) return forward(good);
      return operation;
    }
    if (line != nullptr) {
      const auto phase = text(*operation, "/progress/phase");
      line->update(phase.empty() ? state : phase, number(*operation, "/progress/done"),
                   number(*operation, "/progress/total"));
    }
    if (watch != nullptr && good) good = watch->look();
    if ((good && !stop.stop_requested()) || cancelled) continue;
    (void)api.post("/operations/" + path_segment(id) + "/cancel");
    cancelled = true;
  }
}

}  // namespace bridgehead::cli
