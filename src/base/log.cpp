#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "base/clock.h"

namespace bridgehead::log {
namespace {

struct Sink {
  std::shared_ptr<spdlog::logger> logger =
      std::make_shared<spdlog::logger>("bridgehead", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  Format format = Format::text;
  std::string program = "bridgehead";

  Sink() {
    logger->set_pattern("%v");
    logger->set_level(spdlog::level::warn);
    logger->flush_on(spdlog::level::debug);
  }
};

// A process has one standard error; this is its owner.
Sink& sink() {
  static Sink instance;
  return instance;
}

spdlog::level::level_enum spd_level(Level level) {
  switch (level) {
    case Level::debug: return spdlog::level::debug;
    case Level::info: return spdlog::level::info;
    case Level::warning: return spdlog::level::warn;
    case Level::error: return spdlog::level::err;
  }
  return spdlog::level::err;
}

std::string_view name_of(Level level) {
  switch (level) {
    case Level::debug: return "debug";
    case Level::info: return "info";
    case Level::warning: return "warning";
    case Level::error: return "error";
  }
  return "error";
}

}  // namespace

void configure(Level level, Format format, std::string_view program) {
  sink().format = format;
  sink().program = std::string(program);
  sink().logger->set_level(spd_level(level));
}

bool enabled(Level level) { return sink().logger->should_log(spd_level(level)); }

void write(Level level, const Message& message, std::string_view text) {
  const std::string time = to_rfc3339(SystemClock().now());
  if (sink().format == Format::json) {
    const nlohmann::json line = {
        {"time", time}, {"level", name_of(level)}, {"program", sink().program}, {"id", message.id}, {"message", text}};
    sink().logger->log(spd_level(level), "{}", line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    return;
  }
  sink().logger->log(spd_level(level), "{} {:7} {} {}", time, name_of(level), message.id, text);
}

}  // namespace bridgehead::log
