#include "cli/progress.h"

#include <unistd.h>

#include <cstdio>

#include <fmt/format.h>

#include "base/units.h"

namespace bridgehead::cli {
namespace {

constexpr std::size_t kBarCells = 30;

std::string bar(std::uint64_t done, std::uint64_t total) {
  const auto filled = static_cast<std::size_t>(
      kBarCells * (total == 0 ? 0.0 : static_cast<double>(std::min(done, total)) / static_cast<double>(total)));
  return "[" + std::string(filled, '#') + std::string(kBarCells - filled, '.') + "]";
}

std::string amounts(std::uint64_t done, std::uint64_t total) {
  // Phases that count bytes have large totals; small ones count things.
  if (total < 65536) return fmt::format("{}/{}", done, total);
  return fmt::format("{} of {}", Bytes(done).human(), Bytes(total).human());
}

}  // namespace

ProgressLine::ProgressLine(std::string title, bool quiet)
    : title_(std::move(title)), quiet_(quiet), terminal_(::isatty(STDERR_FILENO) == 1) {}

ProgressLine::~ProgressLine() {
  if (!finished_) clear_line();
}

double ProgressLine::elapsed() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
}

void ProgressLine::clear_line() {
  if (drawn_) std::fputs("\r\033[K", stderr);
  drawn_ = false;
}

void ProgressLine::update(const std::string& phase, std::uint64_t done, std::uint64_t total) {
  if (quiet_) return;
  if (terminal_) {
    const std::string line = total > 0
                                 ? fmt::format("{}: {} {} {}", title_, phase, bar(done, total), amounts(done, total))
                                 : fmt::format("{}: {} ({:.0f} s)", title_, phase, elapsed());
    fmt::print(stderr, "\r\033[K{}", line);
    std::fflush(stderr);
    drawn_ = true;
    return;
  }
  const std::uint64_t tenth = total > 0 ? done * 10 / total : 0;
  if (phase == last_phase_ && tenth == last_tenth_) return;
  fmt::print(stderr, "{}: {}{}\n", title_, phase, total > 0 ? fmt::format(" {}", amounts(done, total)) : "");
  last_phase_ = phase;
  last_tenth_ = tenth;
}

void ProgressLine::finish(const std::string& word) {
  clear_line();
  finished_ = true;
  if (!quiet_) fmt::print(stderr, "{}: {} after {:.1f} s\n", title_, word, elapsed());
}

}  // namespace bridgehead::cli
