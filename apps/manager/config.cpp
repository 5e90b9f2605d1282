#include "manager/config.h"

#include <arpa/inet.h>

#include <charconv>
#include <functional>
#include <map>

#include <toml++/toml.h>

#include "base/file.h"

namespace bridgehead::manager {
bool is_address(const std::string& text) {
  in6_addr parsed{};
  return inet_pton(AF_INET, text.c_str(), &parsed) == 1 || inet_pton(AF_INET6, text.c_str(), &parsed) == 1;
}

bool is_host_name(std::string_view text) {
  if (text.empty() || text.size() > 253 || text.front() == '-' || text.front() == '.') return false;
  return std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
  });
}

namespace {

Status set_endpoint(Endpoint& target, std::string_view text) {
  auto endpoint = parse_endpoint(text);
  if (!endpoint) return forward(endpoint);
  target = std::move(*endpoint);
  return {};
}

Status set_state_dir(Config& config, const std::string& text) {
  if (!std::filesystem::path(text).is_absolute()) {
    return fail(ErrorCode::invalid_argument, "'{}' isn't an absolute path", text);
  }
  config.state_dir = text;
  return {};
}

Status set_log_level(Config& config, const std::string& text) {
  static const std::map<std::string, log::Level> levels = {{"debug", log::Level::debug},
                                                           {"info", log::Level::info},
                                                           {"warning", log::Level::warning},
                                                           {"error", log::Level::error}};
  const auto found = levels.find(text);
  if (found == levels.end()) {
    return fail_with_hint(ErrorCode::invalid_argument, fmt::format("'{}' isn't a log level", text),
                          "Use one of: debug, info, warning, error.");
  }
  config.log_level = found->second;
  return {};
}

Status set_log_format(Config& config, const std::string& text) {
  if (text != "text" && text != "json") {
    return fail_with_hint(ErrorCode::invalid_argument, fmt::format("'{}' isn't a log format", text),
                          "Use one of: text, json.");
  }
  config.log_format = text == "json" ? log::Format::json : log::Format::text;
  return {};
}

Status add_advertised(Config& config, const std::string& text) {
  if (!is_address(text) && !is_host_name(text)) {
    return fail_with_hint(ErrorCode::invalid_argument,
                          fmt::format("'{}' is neither a host name nor an IP address", text),
                          "Give it without a port and without a scheme.");
  }
  config.advertise.push_back(text);
  return {};
}

Result<std::string> as_string(const toml::node& node) {
  const auto value = node.value_exact<std::string>();
  if (!value) return fail(ErrorCode::invalid_argument, "must be a text in quotes");
  return *value;
}

Result<std::int64_t> as_integer(const toml::node& node, std::int64_t low, std::int64_t high) {
  const auto value = node.value_exact<std::int64_t>();
  if (!value || *value < low || *value > high) {
    return fail(ErrorCode::invalid_argument, "must be a whole number from {} to {}", low, high);
  }
  return *value;
}

Result<Bytes> as_bytes(const toml::node& node) {
  const auto text = as_string(node);
  if (!text) return fail(ErrorCode::invalid_argument, "must be a size in quotes, like \"512MiB\"");
  return parse_bytes(*text);
}

using Setter = std::function<Status(Config&, const toml::node&)>;

Setter string_setter(Status (*set)(Config&, const std::string&)) {
  return [set](Config& config, const toml::node& node) -> Status {
    const auto text = as_string(node);
    if (!text) return forward(text);
    return set(config, *text);
  };
}

Status advertise_from(Config& config, const toml::node& node) {
  const auto* array = node.as_array();
  if (array == nullptr) return fail(ErrorCode::invalid_argument, "must be a list of names and addresses in quotes");
  for (const auto& element : *array) {
    const auto text = as_string(element);
    if (!text) return forward(text);
    if (auto added = add_advertised(config, *text); !added) return added;
  }
  return {};
}

Setter bytes_setter(Bytes scheduler::Limits::*field) {
  return [field](Config& config, const toml::node& node) -> Status {
    const auto bytes = as_bytes(node);
    if (!bytes) return forward(bytes);
    config.limits.*field = *bytes;
    return {};
  };
}

Setter path_setter(std::filesystem::path NetbootConfig::*field) {
  return [field](Config& config, const toml::node& node) -> Status {
    const auto text = as_string(node);
    if (!text) return forward(text);
    if (!std::filesystem::path(*text).is_absolute()) {
      return fail(ErrorCode::invalid_argument, "'{}' isn't an absolute path", *text);
    }
    config.netboot.*field = *text;
    return {};
  };
}

Status import_directories_from(Config& config, const toml::node& node) {
  const auto* array = node.as_array();
  if (array == nullptr) return fail(ErrorCode::invalid_argument, "must be a list of absolute paths in quotes");
  config.netboot.import_directories.clear();
  for (const auto& element : *array) {
    const auto text = as_string(element);
    if (!text) return forward(text);
    if (!std::filesystem::path(*text).is_absolute()) {
      return fail(ErrorCode::invalid_argument, "'{}' isn't an absolute path", *text);
    }
    config.netboot.import_directories.emplace_back(*text);
  }
  return {};
}

// Every key there is, with what sets it.
const std::map<std::string, Setter>& known_keys() {
  static const std::map<std::string, Setter> keys = {
      {"state_dir", string_setter(set_state_dir)},
      {"listen", string_setter([](Config& c, const std::string& text) { return set_endpoint(c.listen, text); })},
      {"agent_listen",
       string_setter([](Config& c, const std::string& text) { return set_endpoint(c.agent_listen, text); })},
      {"advertise", advertise_from},
      {"log_level", string_setter(set_log_level)},
      {"log_format", string_setter(set_log_format)},
      {"heartbeat_seconds",
       [](Config& config, const toml::node& node) -> Status {
         const auto value = as_integer(node, 1, 300);
         if (!value) return forward(value);
         config.heartbeat = std::chrono::seconds(*value);
         return {};
       }},
      {"history",
       [](Config& config, const toml::node& node) -> Status {
         const auto value = as_integer(node, 100, 10'000'000);
         if (!value) return forward(value);
         config.history = static_cast<std::size_t>(*value);
         return {};
       }},
      {"limits.cpu_overcommit",
       [](Config& config, const toml::node& node) -> Status {
         const auto value = node.value<double>();
         if (!value || !(*value >= 0.1 && *value <= 100)) {
           return fail(ErrorCode::invalid_argument, "must be a number from 0.1 to 100");
         }
         config.limits.cpu_overcommit = *value;
         return {};
       }},
      {"limits.host_memory_reserve", bytes_setter(&scheduler::Limits::least_reserve)},
      {"limits.host_memory_reserve_percent",
       [](Config& config, const toml::node& node) -> Status {
         const auto value = as_integer(node, 0, 90);
         if (!value) return forward(value);
         config.limits.reserve_percent = static_cast<std::uint64_t>(*value);
         return {};
       }},
      {"limits.pool_reserve", bytes_setter(&scheduler::Limits::pool_reserve)},
      {"netboot.directory", path_setter(&NetbootConfig::directory)},
      {"netboot.socket", path_setter(&NetbootConfig::socket)},
      {"netboot.import_directories", import_directories_from},
      {"netboot.init", path_setter(&NetbootConfig::init)},
      {"netboot.busybox", path_setter(&NetbootConfig::busybox)},
      {"netboot.agent_package", path_setter(&NetbootConfig::agent_package)},
      {"netboot.recipes", path_setter(&NetbootConfig::recipes)},
  };
  return keys;
}

tl::unexpected<Error> wrong_key(std::string_view name, const toml::node& node, const std::string& key, Error error) {
  error.message = fmt::format("{}, line {}: {}: {}", name, node.source().begin.line, key, error.message);
  return fail(std::move(error));
}

Status apply(Config& config, const toml::table& table, const std::string& prefix, std::string_view name) {
  for (const auto& [short_key, node] : table) {
    const std::string key = prefix + std::string(short_key.str());
    if (node.is_table() && prefix.empty() && (key == "limits" || key == "netboot")) {
      if (auto status = apply(config, *node.as_table(), key + ".", name); !status) return status;
      continue;
    }
    const auto found = known_keys().find(key);
    if (found == known_keys().end()) {
      std::string known;
      for (const auto& [each, setter] : known_keys()) known += (known.empty() ? "" : ", ") + each;
      return wrong_key(name, node, key,
                       {ErrorCode::invalid_argument, "there is no such setting", fmt::format("There are: {}.", known)});
    }
    if (auto status = found->second(config, node); !status) return wrong_key(name, node, key, status.error());
  }
  return {};
}

Status override_with(Config& config, const Overrides& overrides) {
  const auto set = [&](std::string_view flag, const std::string& text, const auto& setter) -> Status {
    if (text.empty()) return {};
    auto status = setter(text);
    if (!status) status.error().message = fmt::format("{}: {}", flag, status.error().message);
    return status;
  };
  auto status = set("--state-dir", overrides.state_dir, [&](const auto& text) { return set_state_dir(config, text); });
  if (status)
    status = set("--listen", overrides.listen, [&](const auto& text) { return set_endpoint(config.listen, text); });
  if (status) {
    status = set("--agent-listen", overrides.agent_listen,
                 [&](const auto& text) { return set_endpoint(config.agent_listen, text); });
  }
  if (status)
    status = set("--log-level", overrides.log_level, [&](const auto& text) { return set_log_level(config, text); });
  if (status)
    status = set("--log-format", overrides.log_format, [&](const auto& text) { return set_log_format(config, text); });
  if (!overrides.advertise.empty()) config.advertise.clear();
  for (const auto& each : overrides.advertise) {
    if (status) status = set("--advertise", each, [&](const auto& text) { return add_advertised(config, text); });
  }
  return status;
}

Status check_whole(const Config& config) {
  if (config.listen == config.agent_listen && config.listen.port != 0) {
    return fail_with_hint(ErrorCode::invalid_argument,
                          fmt::format("listen and agent_listen are both {}", config.listen.text()),
                          "Give them different ports.");
  }
  return {};
}

}  // namespace

std::string Endpoint::text() const {
  return address.find(':') == std::string::npos ? fmt::format("{}:{}", address, port)
                                                : fmt::format("[{}]:{}", address, port);
}

Result<Endpoint> parse_endpoint(std::string_view text) {
  const auto colon = text.rfind(':');
  std::string_view port_text = colon == std::string_view::npos ? text : text.substr(colon + 1);
  std::string address(colon == std::string_view::npos ? "" : text.substr(0, colon));
  if (address.starts_with('[') && address.ends_with(']')) {
    address = address.substr(1, address.size() - 2);
  } else if (address.find(':') != std::string::npos) {
    return fail_with_hint(ErrorCode::invalid_argument, fmt::format("'{}' isn't an address and a port", text),
                          "Write an IPv6 address in brackets: [::1]:7443.");
  }
  if (address.empty()) address = "0.0.0.0";
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  if (error != std::errc() || end != port_text.data() + port_text.size() || !is_address(address)) {
    return fail_with_hint(ErrorCode::invalid_argument, fmt::format("'{}' isn't an address and a port", text),
                          "Write an IP address and a port from 0 to 65535: 0.0.0.0:7443.");
  }
  return Endpoint{std::move(address), port};
}

Result<Config> parse_config(std::string_view toml_text, std::string_view name) {
  Config config;
  try {
    const toml::table table = toml::parse(toml_text, name);
    if (auto status = apply(config, table, "", name); !status) return forward(status);
  } catch (const toml::parse_error& error) {
    return fail(ErrorCode::invalid_argument, "{}, line {}: {}", name, error.source().begin.line, error.description());
  }
  return config;
}

Result<Config> load_config(const std::filesystem::path& file, const Overrides& overrides) {
  const auto path = file.empty() ? std::filesystem::path(default_config_file) : file;
  auto text = read_file(path, 1_MiB);
  if (!text && file.empty() && text.error().code == ErrorCode::not_found) text = std::string();
  if (!text) return forward(text);
  auto config = parse_config(*text, path.string());
  if (!config) return config;
  if (auto status = override_with(*config, overrides); !status) return forward(status);
  if (auto status = check_whole(*config); !status) return forward(status);
  return config;
}

}  // namespace bridgehead::manager
