#include "lab/console.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <regex>
#include <thread>

#include "base/file.h"
#include "base/raw_terminal.h"
#include "lab/qmp.h"

namespace bridgehead::lab {
namespace {

constexpr std::chrono::milliseconds kLookAgain{200};

enum class End { left, switched_off };

// Both ways until one of them ends.
Result<End> carry(int line) {
  for (;;) {
    pollfd waiting[2] = {{STDIN_FILENO, POLLIN, 0}, {line, POLLIN, 0}};
    if (::poll(waiting, 2, -1) < 0) {
      if (errno == EINTR) continue;
      return fail_errno(errno, "wait for the console");
    }
    char buffer[4096];
    if (waiting[1].revents != 0) {
      const ssize_t got = ::read(line, buffer, sizeof buffer);
      if (got <= 0) return End::switched_off;
      const auto shown = write_all(STDOUT_FILENO, {buffer, static_cast<std::size_t>(got)}, "standard output");
      if (!shown) return forward(shown);
    }
    if (waiting[0].revents != 0) {
      const ssize_t got = ::read(STDIN_FILENO, buffer, sizeof buffer);
      if (got <= 0) return End::left;
      const std::string_view typed(buffer, static_cast<std::size_t>(got));
      const auto leave = typed.find(RawTerminal::kLeave);
      if (auto sent = write_all(line, typed.substr(0, leave), "the machine's console"); !sent) return End::switched_off;
      if (leave != std::string_view::npos) return End::left;
    }
  }
}

// Reads what is new since `offset`.
Result<std::string> read_from(int fd, std::size_t& offset) {
  std::string text;
  char buffer[65536];
  for (;;) {
    const ssize_t got = ::pread(fd, buffer, sizeof buffer, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(errno, "read the log");
    if (got == 0) return text;
    text.append(buffer, static_cast<std::size_t>(got));
    offset += static_cast<std::size_t>(got);
  }
}

bool any_line_matches(std::string& unsearched, const std::regex& pattern) {
  for (auto end = unsearched.find('\n'); end != std::string::npos; end = unsearched.find('\n')) {
    const bool matches = std::regex_search(unsearched.substr(0, end), pattern);
    unsearched.erase(0, end + 1);
    if (matches) return true;
  }
  return false;
}

}  // namespace

Status attach_console(const Places& places, const std::string& machine) {
  // A second connection would wait in silence at QEMU's socket.
  const auto guard = open_file(places.machine(machine), O_RDONLY | O_DIRECTORY);
  if (!guard) return forward(guard);
  if (::flock(guard->get(), LOCK_EX | LOCK_NB) != 0) {
    return fail_with_hint(ErrorCode::conflict, fmt::format("somebody else is attached to {}'s console", machine),
                          fmt::format("Read along with bridgehead-lab log {} --follow.", machine));
  }
  const auto line = connect_unix(places.serial_socket(machine));
  if (!line) {
    return fail_with_hint(ErrorCode::unavailable, fmt::format("machine {} is off", machine),
                          fmt::format("Switch it on: bridgehead-lab power {} on.", machine));
  }
  fmt::print(stderr, "Connected to {}. Leave with Ctrl-].\r\n", machine);
  Result<End> end = End::left;
  {
    const RawTerminal raw;
    end = carry(line->get());
  }
  if (!end) return forward(end);
  fmt::print(stderr, "\r\n{} {}.\n", *end == End::left ? "Left" : "Switched off:", machine);
  return {};
}

Status show_log(const std::filesystem::path& file, const LogOptions& options) {
  std::regex pattern;
  try {
    pattern = std::regex(options.until, std::regex::extended | std::regex::nosubs);
  } catch (const std::regex_error&) {
    return fail(ErrorCode::invalid_argument, "--until: '{}' is not a regular expression", options.until);
  }
  const auto log = open_file(file, O_RDONLY);
  if (!log && log.error().code == ErrorCode::not_found) {
    return fail(ErrorCode::not_found, "there is no {}: it hasn't been switched on yet", file.native());
  }
  if (!log) return forward(log);
  const auto started = std::chrono::steady_clock::now();
  std::size_t offset = 0;
  std::string unsearched;
  for (bool first = true;; first = false) {
    auto text = read_from(log->get(), offset);
    if (!text) return forward(text);
    if (first && options.last) {
      const auto mark = text->rfind("\n--- bridgehead-lab: ");
      if (mark != std::string::npos) text->erase(0, mark + 1);
    }
    if (auto shown = write_all(STDOUT_FILENO, *text, "standard output"); !shown) return shown;
    if (!options.follow) return {};
    unsearched += *text;
    if (!options.until.empty() && any_line_matches(unsearched, pattern)) return {};
    if (options.timeout.count() > 0 && std::chrono::steady_clock::now() - started > options.timeout) {
      return fail(ErrorCode::timeout, "no line matched '{}' within {} s", options.until, options.timeout.count());
    }
    std::this_thread::sleep_for(kLookAgain);
  }
}

}  // namespace bridgehead::lab
