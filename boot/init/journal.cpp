#include "journal.h"

#include <unistd.h>

#include <ctime>

#include "text.h"

namespace bridgehead::init {
namespace {

constexpr std::size_t kept_bytes = 16 * 1024;

// Text from the network goes to a terminal: nothing that could steer it.
std::string printable(std::string_view line) {
  std::string text;
  for (const char c : line) text += c == '\t' || (c >= ' ' && c <= '~') ? c : '?';
  return text;
}

}  // namespace

void Journal::say(std::string_view line) {
  const auto text = concat("bridgehead: ", printable(line));
  const auto on_console = concat(text, "\r\n");
  if (::write(console_, on_console.data(), on_console.size()) < 0) {
    // A console that is gone is no reason to stop.
  }
  lines_ += concat("[", uptime(), "] ", printable(line), "\n");
  if (lines_.size() > kept_bytes) lines_.erase(0, lines_.find('\n', lines_.size() - kept_bytes) + 1);
}

void Journal::complain(const Failure& failure) { say(failure.describe()); }

std::string Journal::take_lines() { return std::exchange(lines_, {}); }

std::string uptime() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return concat(now.tv_sec, ".", now.tv_nsec / 100'000'000);
}

}  // namespace bridgehead::init
