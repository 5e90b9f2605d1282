// Records the commands and answers from a table; nothing is run. Thread-safe.
#pragma once

#include <deque>
#include <mutex>
#include <vector>

#include "base/command.h"

namespace bridgehead::testing {

class FakeCommandRunner final : public CommandRunner {
 public:
  Result<CommandOutput> run(const Command& command, std::stop_token) override {
    const std::lock_guard lock(mutex_);
    commands.push_back(command);
    if (answers.empty()) return CommandOutput{};
    auto answer = answers.front();
    answers.pop_front();
    return answer;
  }

  std::vector<Command> commands;
  std::deque<Result<CommandOutput>> answers;  // in order; when empty, success with no output

 private:
  std::mutex mutex_;
};

}  // namespace bridgehead::testing
