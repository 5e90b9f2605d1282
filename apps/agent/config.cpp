#include "config.h"

#include <toml++/toml.h>

#include <sstream>

#include "base/file.h"

namespace bridgehead::agent_app {
namespace {

Error wrong(const std::string& name, const toml::node& node, std::string_view key, std::string_view wanted) {
  return {ErrorCode::invalid_argument,
          fmt::format("{}, line {}: '{}' must be {}", name, node.source().begin.line, key, wanted),
          {}};
}

Status take_text(const std::string& name, const toml::node& node, std::string_view key, std::string& target) {
  const auto value = node.value_exact<std::string>();
  if (!value) return fail(wrong(name, node, key, "a text in quotes"));
  target = *value;
  return {};
}

Status take_path(const std::string& name, const toml::node& node, std::string_view key, std::filesystem::path& target) {
  const auto value = node.value_exact<std::string>();
  if (!value || !std::filesystem::path(*value).is_absolute())
    return fail(wrong(name, node, key, "an absolute path in quotes"));
  target = *value;
  return {};
}

Status take_number(const std::string& name, const toml::node& node, std::string_view key, std::int64_t least,
                   std::size_t& target) {
  const auto value = node.value_exact<std::int64_t>();
  if (!value || *value < least || *value > 256) {
    return fail(wrong(name, node, key, fmt::format("a number from {} to 256", least)));
  }
  target = static_cast<std::size_t>(*value);
  return {};
}

Status take_directories(const std::string& name, const toml::node& node, std::string_view key,
                        std::vector<std::filesystem::path>& target) {
  const auto* list = node.as_array();
  if (list == nullptr) return fail(wrong(name, node, key, "a list of absolute paths"));
  for (const auto& item : *list) {
    std::filesystem::path directory;
    if (auto taken = take_path(name, item, key, directory); !taken) return taken;
    target.push_back(std::move(directory));
  }
  return {};
}

Status take_level(const std::string& name, const toml::node& node, std::string_view key, log::Level& target) {
  const auto value = node.value_exact<std::string>().value_or("");
  if (value == "debug")
    target = log::Level::debug;
  else if (value == "info")
    target = log::Level::info;
  else if (value == "warning")
    target = log::Level::warning;
  else if (value == "error")
    target = log::Level::error;
  else
    return fail(wrong(name, node, key, "one of \"debug\", \"info\", \"warning\", \"error\""));
  return {};
}

Status take_format(const std::string& name, const toml::node& node, std::string_view key, log::Format& target) {
  const auto value = node.value_exact<std::string>().value_or("");
  if (value == "text")
    target = log::Format::text;
  else if (value == "json")
    target = log::Format::json;
  else
    return fail(wrong(name, node, key, "\"text\" or \"json\""));
  return {};
}

Status take(const std::string& name, std::string_view key, const toml::node& node, Config& config) {
  if (key == "manager") return take_text(name, node, key, config.manager);
  if (key == "state_dir") return take_path(name, node, key, config.state_dir);
  if (key == "import_directories") return take_directories(name, node, key, config.import_directories);
  if (key == "workers") return take_number(name, node, key, 0, config.workers);
  if (key == "import_workers") return take_number(name, node, key, 1, config.import_workers);
  if (key == "libvirt_uri") return take_text(name, node, key, config.libvirt_uri);
  if (key == "watchdog") return take_path(name, node, key, config.watchdog);
  if (key == "log_level") return take_level(name, node, key, config.log_level);
  if (key == "log_format") return take_format(name, node, key, config.log_format);
  return fail_with_hint(
      ErrorCode::invalid_argument,
      fmt::format("{}, line {}: there is no setting '{}'", name, node.source().begin.line, key),
      "Known: manager, state_dir, import_directories, workers, import_workers, libvirt_uri, watchdog, log_level, "
      "log_format.");
}

}  // namespace

Result<Config> parse_config(std::string_view text, const std::string& name) {
  try {
    const auto table = toml::parse(text);
    Config config;
    for (const auto& [key, node] : table) {
      if (auto taken = take(name, key.str(), node, config); !taken) return forward(taken);
    }
    return config;
  } catch (const toml::parse_error& error) {
    return fail(ErrorCode::invalid_argument, "{}, line {}: {}", name, error.source().begin.line, error.description());
  }
}

Result<Config> load_config(const std::filesystem::path& path) {
  const auto text = read_file(path, 1_MiB);
  if (!text && text.error().code == ErrorCode::not_found && path == kDefaultConfig) return Config{};
  if (!text) return forward(text);
  return parse_config(*text, path.native());
}

}  // namespace bridgehead::agent_app
