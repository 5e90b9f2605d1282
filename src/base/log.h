// Logging with message IDs. Each module lists its messages as constants with an explanation for the operator
// (tools/list-messages prints them all as docs/messages.md); one line per message, JSON or text, on stderr.
// Thread-safe. Secrets never go in here: not tokens, not keys, not user-data.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace bridgehead::log {

enum class Level { debug, info, warning, error };

// constexpr log::Message agent_connected{"AGENT_CONNECTED", "An agent's stream is open; its node is reachable."};
struct Message {
  std::string_view id;
  std::string_view explanation;
};

enum class Format { text, json };

// Once, at a process's start. Until then warnings and errors go to stderr as text.
void configure(Level level, Format format, std::string_view program);

bool enabled(Level level);
void write(Level level, const Message& message, std::string_view text);

template <typename... Args>
void debug(const Message& message, fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::debug)) write(Level::debug, message, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void info(const Message& message, fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::info)) write(Level::info, message, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void warning(const Message& message, fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::warning)) write(Level::warning, message, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void error(const Message& message, fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::error)) write(Level::error, message, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace bridgehead::log
