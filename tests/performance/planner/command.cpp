#include "command.h"

#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>

namespace bridgehead::bench {
namespace {

double children_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_CHILDREN, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace

CommandOutput run_command(const std::string& command) {
  CommandOutput output;
  const double before = children_seconds();
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return output;
  char buffer[65536];
  for (std::size_t got; (got = ::fread(buffer, 1, sizeof buffer, pipe)) > 0;) output.text.append(buffer, got);
  ::pclose(pipe);
  output.seconds = children_seconds() - before;
  return output;
}

std::optional<double> number_after(const std::string& text, const std::string& word) {
  const auto at = text.rfind(word);
  if (at == std::string::npos) return {};
  return std::strtod(text.c_str() + at + word.size(), nullptr);
}

}  // namespace bridgehead::bench
