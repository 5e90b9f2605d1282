// KeptResult: what `bh` measures by itself, kept by the manager while it grows, so that nothing is lost with `bh`. And
// what all benchmarks have in common with guests that run meanwhile. Not thread-safe.
#pragma once

#include <filesystem>
#include <optional>
#include <stop_token>

#include "bench/guest_waits.h"
#include "bench/record.h"
#include "cli/commands/noun.h"
#include "cli/progress.h"

namespace bridgehead::cli {

class KeptResult {
 public:
  // `runs`: that there are to be in all. `out`: a file that gets the same; "" = none.
  KeptResult(ApiClient& api, std::string name, std::filesystem::path out, std::size_t runs)
      : api_(api), name_(std::move(name)), out_(std::move(out)), runs_(runs) {}

  // Makes its place. Errors: the manager's (the name is taken), failed_precondition (another benchmark runs).
  Status begin(bench::Record& record);
  // What there is so far. `why`: it isn't all; "" = it is.
  Status save(const bench::Record& record, const std::string& why);

  const std::string& name() const { return name_; }

 private:
  ApiClient& api_;
  std::string name_;
  const std::filesystem::path out_;
  const std::size_t runs_;
};

// When guests suffer the benchmark stops.
struct GuestLimits {
  std::string pressure;       // percent of time, or "off"; "" = the default
  std::string guest_disk_ms;  // likewise
  bool even_if_guests_suffer = false;

  Result<bench::WaitLimits> numbers() const;  // invalid_argument
  std::string flags() const;                  // as they were given, with a space before each
};
void add_guest_limits(CLI::App& command, GuestLimits& limits);

// What guests of a node (of GET /nodes) wait for longer than is allowed, for people; "" = they don't. Pure.
std::string suffering_of(const nlohmann::json& node, const bench::WaitLimits& limits);

// Looks at guests other than the benchmark's own, by what nodes tell with their heartbeats.
class GuestWatch {
 public:
  GuestWatch(ApiClient& api, bench::WaitLimits limits, std::string own) : api_(api), limits_(limits), own_(own) {}

  // Every two seconds at most; otherwise nothing. Errors: resource_exhausted (guests suffer), the manager's.
  Status look();

 private:
  ApiClient& api_;
  const bench::WaitLimits limits_;
  const std::string own_;  // value of the label bridgehead-bench
  std::optional<std::chrono::steady_clock::time_point> looked_;
};

inline constexpr char kBenchLabel[] = "bridgehead-bench";

// Waits for an operation's end, whatever the end, with progress. When `stop` is asked for, or guests suffer, it is
// cancelled; it may have gone too far for that. Errors: the manager's, resource_exhausted (guests suffer; it has
// ended).
Result<nlohmann::json> wait_ended(ApiClient& api, const std::string& id, const std::stop_token& stop,
                                  GuestWatch* watch = nullptr, ProgressLine* line = nullptr);

}  // namespace bridgehead::cli
