// External programs as values: what will be run can be inspected by a test without running it.
// Never a shell; arguments reach the program byte for byte. CommandRunner implementations are thread-safe.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/units.h"

namespace bridgehead {

struct Command {
  std::string program;  // looked up in PATH if it has no slash
  std::vector<std::string> arguments;
  std::map<std::string, std::string> environment;  // added to the caller's
  std::optional<std::string> input;                // on its standard input; otherwise /dev/null
  // After `input`, the standard input ends only then, or with this process: whoever reads on waits until that moment.
  std::optional<Timestamp> input_ends;
  std::chrono::milliseconds timeout{std::chrono::seconds(60)};
  std::vector<int> success_codes{0};
  Bytes output_limit = 16_MiB;  // per stream; more is cut off

  // For logs and errors; quoted so that it can be pasted into a shell.
  std::string describe() const;
  bool operator==(const Command&) const = default;
};

struct CommandOutput {
  int exit_code = 0;
  std::string out;
  std::string err;
};

class CommandRunner {
 public:
  virtual ~CommandRunner() = default;
  // Runs to the end. Errors: not_found (no such program), timeout and cancelled (it was killed, with its process
  // group), io_error (ended with a code that isn't a success; the message carries the end of its stderr).
  virtual Result<CommandOutput> run(const Command& command, std::stop_token stop = {}) = 0;
};

class SystemCommandRunner final : public CommandRunner {
 public:
  Result<CommandOutput> run(const Command& command, std::stop_token stop = {}) override;
};

}  // namespace bridgehead
