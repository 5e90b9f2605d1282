// Runs a peer and takes what it prints.
#pragma once

#include <optional>
#include <string>

namespace bridgehead::bench {

struct CommandOutput {
  std::string text;
  double seconds = 0;  // of CPU
};

CommandOutput run_command(const std::string& command);
// The number that follows the word in the text.
std::optional<double> number_after(const std::string& text, const std::string& word);

}  // namespace bridgehead::bench
