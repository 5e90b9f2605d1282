#include "power/fence_agent_driver.h"

#include <algorithm>
#include <pugixml.hpp>
#include <set>

#include "base/text.h"

namespace bridgehead::power {
namespace {

constexpr std::chrono::seconds kMetadataPatience{30};

// Exit codes of the actions: of status, 2 means off.
constexpr int kOff = 2;

// Programs that these agents start get the password (the community, the key) as an argument or in their environment,
// where ps shows it: ipmitool -P, AMT_PASSWORD=, snmpget -c.
const std::set<std::string> kShowsPassword{"ipmitool_path", "amttool_path", "community", "snmp_priv_passwd"};

// Ours to decide, ways to have the agent run or write something else, or a secret that isn't the password: only that is
// sealed.
bool is_ours(const std::string& name) {
  static const std::set<std::string> names{"action",     "option",   "password",   "passwd",  "debug",
                                           "debug_file", "verbose",  "quiet",      "version", "help",
                                           "sudo",       "use_sudo", "ssh_options"};
  return names.contains(name) || name == "verbose_level" || name.ends_with("_script") ||
         (name.ends_with("_path") && name != "api_path") || name.find("secret") != std::string::npos ||
         name == "token" || name == "apikey";
}

bool is_printable(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; });
}

// The agents' reader strips blanks around a line and one pair of quotes around a value.
std::string line_of(const std::string& name, const std::string& value) {
  const bool quote = !value.empty() && (value != trimmed(value) || value.front() == '"' || value.back() == '"');
  return quote ? fmt::format("{}=\"{}\"\n", name, value) : fmt::format("{}={}\n", name, value);
}

std::string without(std::string text, const std::string& secret) {
  if (secret.empty()) return text;
  for (auto at = text.find(secret); at != std::string::npos; at = text.find(secret, at)) {
    text.replace(at, secret.size(), "(secret)");
  }
  return text;
}

std::string last_line(std::string_view text) {
  text = trimmed(text);
  return std::string(text.substr(text.rfind('\n') + 1).substr(0, 300));
}

ErrorCode code_of(std::string_view said) {
  const auto has = [&](std::string_view words) { return said.find(words) != std::string_view::npos; };
  if (has("correct privileges")) return ErrorCode::permission_denied;
  if (has("set login password") || has("Login incorrect") || has("401")) return ErrorCode::unauthenticated;
  // The agents say the same of a wrong password and of nobody there; trying again would lock the user out.
  if (has("Unable to connect/login")) return ErrorCode::unauthenticated;
  if (has("Connection timed out") || has("Timed out waiting")) return ErrorCode::timeout;
  if (has("Connection lost") || has("onnection refused") || has("No route")) return ErrorCode::unavailable;
  return ErrorCode::io_error;
}

}  // namespace

Result<FenceAgentMetadata> parse_fence_agent_metadata(std::string_view xml) {
  pugi::xml_document document;
  const auto parsed = document.load_buffer(xml.data(), xml.size());
  const auto agent = document.child("resource-agent");
  if (!parsed || !agent) return fail(ErrorCode::data_corrupt, "it prints no fence agent's metadata");
  FenceAgentMetadata metadata;
  metadata.description = agent.attribute("shortdesc").as_string();
  for (const auto& node : agent.child("parameters").children("parameter")) {
    FenceAgentParameter parameter;
    parameter.required = node.attribute("required").as_bool();
    for (const auto& option : node.child("content").children("option")) {
      parameter.choices.emplace_back(option.attribute("value").as_string());
    }
    metadata.parameters[node.attribute("name").as_string()] = std::move(parameter);
  }
  // Older names are said by their successors.
  for (const auto& node : agent.child("parameters").children("parameter")) {
    const auto older = metadata.parameters.find(node.attribute("obsoletes").as_string());
    if (older != metadata.parameters.end()) older->second.replaced_by = node.attribute("name").as_string();
  }
  for (const auto& node : agent.child("actions").children("action")) {
    metadata.actions.emplace_back(node.attribute("name").as_string());
  }
  if (metadata.parameters.empty() || metadata.actions.empty()) {
    return fail(ErrorCode::data_corrupt, "its metadata has no parameters or no actions");
  }
  return metadata;
}

Status check_fence_agent_config(const FenceAgentConfig& config, const FenceAgentMetadata& metadata) {
  const auto name = config.program.filename().native();
  const auto wrong = [&](std::string message) {
    return fail_with_hint(ErrorCode::invalid_argument, fmt::format("driver {}: {}", name, message),
                          fmt::format("`{} -o metadata` lists what it takes.", name));
  };
  for (const auto& [parameter, described] : metadata.parameters) {
    if (kShowsPassword.contains(parameter)) {
      return fail_with_hint(ErrorCode::unsupported,
                            fmt::format("{} shows its password to everybody on this machine while it works", name),
                            "For IPMI use the driver ipmi; otherwise an agent that speaks SSH or HTTPS.");
    }
    const bool given = config.parameters.contains(parameter);
    if (described.required && !given && described.replaced_by.empty() && !is_ours(parameter)) {
      return wrong(fmt::format("{} is missing", parameter == "username" ? "the user" : parameter));
    }
  }
  for (const auto& [parameter, value] : config.parameters) {
    const auto found = metadata.parameters.find(parameter);
    if (is_ours(parameter)) return wrong(fmt::format("{} can't be set", parameter));
    if (found == metadata.parameters.end()) return wrong(fmt::format("there is no parameter {}", parameter));
    const auto& described = found->second;
    if (!described.replaced_by.empty()) {
      return wrong(fmt::format("{} is called {} now", parameter, described.replaced_by));
    }
    if (!is_printable(value)) return wrong(fmt::format("{} has a character that isn't printable", parameter));
    if (!described.choices.empty() &&
        std::find(described.choices.begin(), described.choices.end(), value) == described.choices.end()) {
      return wrong(fmt::format("{} may be {}, not '{}'", parameter, fmt::join(described.choices, ", "), value));
    }
  }
  if (!is_printable(config.password)) return wrong("the password has a character that isn't printable");
  if (!config.password.empty() && !metadata.parameters.contains("password")) return wrong("it takes no password");
  return {};
}

Result<std::unique_ptr<PowerDriver>> FenceAgentDriver::open(FenceAgentConfig config, CommandRunner& runner) {
  const auto output = runner.run({.program = config.program.native(),
                                  .arguments = {"-o", "metadata"},
                                  .environment = {{"LC_ALL", "C"}},
                                  .timeout = kMetadataPatience,
                                  .output_limit = 1_MiB});
  if (!output) {
    if (output.error().code != ErrorCode::not_found) return forward(output);
    return fail_with_hint(ErrorCode::not_found, fmt::format("there is no {}", config.program.native()),
                          "apt install fence-agents");
  }
  auto metadata = parse_fence_agent_metadata(output->out);
  if (!metadata) {
    return fail(ErrorCode::data_corrupt, "{}: {}", config.program.filename().native(), metadata.error().message);
  }
  if (auto good = check_fence_agent_config(config, *metadata); !good) return forward(good);
  return std::unique_ptr<PowerDriver>(new FenceAgentDriver(std::move(config), std::move(*metadata), runner));
}

PowerAbilities FenceAgentDriver::abilities() const {
  const auto can = [&](std::string_view action) {
    return std::find(metadata_.actions.begin(), metadata_.actions.end(), action) != metadata_.actions.end();
  };
  return {.status = can("status"), .on = can("on"), .off = can("off")};
}

Result<CommandOutput> FenceAgentDriver::run(std::string_view action, const Attempt& attempt, std::vector<int> codes) {
  std::string input = fmt::format("action={}\n", action);
  for (const auto& [name, value] : config_.parameters) input += line_of(name, value);
  if (!config_.password.empty()) input += line_of("password", config_.password);
  auto output = runner_.run({.program = config_.program.native(),
                             .environment = {{"LC_ALL", "C"}},
                             .input = std::move(input),
                             .timeout = attempt.timeout,
                             .success_codes = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
                             .output_limit = 64_KiB},
                            attempt.stop);
  const auto name = config_.program.filename().native();
  if (!output) {
    auto error = output.error();
    if (error.code == ErrorCode::timeout) {
      error.message = fmt::format("{} didn't end within {} ms", name, attempt.timeout.count());
      error.hint = "Check the address, and how long the device takes.";
    }
    error.message = without(std::move(error.message), config_.password);
    return fail(std::move(error));
  }
  if (std::find(codes.begin(), codes.end(), output->exit_code) != codes.end()) return output;
  const auto code = code_of(output->err);
  auto said = without(last_line(output->err.empty() ? output->out : output->err), config_.password);
  return fail_with_hint(
      code, fmt::format("{}: {}", name, said.empty() ? "failed without a word" : said),
      code == ErrorCode::unauthenticated
          ? "Check user, password and address: agents say the same of a wrong password and of nobody there."
          : "");
}

Result<PowerState> FenceAgentDriver::read(const Attempt& attempt) {
  const auto output = run("status", attempt, {0, kOff});
  if (!output) return forward(output);
  return output->exit_code == kOff ? PowerState::off : PowerState::on;
}

Status FenceAgentDriver::request(PowerRequest request, const Attempt& attempt) {
  const auto output = run(request == PowerRequest::on ? "on" : "off", attempt, {0});
  return output ? Status() : forward(output);
}

void FenceAgentDriver::inspect(const Attempt&, PowerCheck& check) {
  const auto able = abilities();
  const bool all = able.on && able.off && able.status;
  check.findings.push_back({"abilities", all ? Finding::Level::good : Finding::Level::bad,
                            fmt::format("{}: {}", metadata_.description, fmt::join(metadata_.actions, ", ")),
                            all ? "" : "Use an agent that has on, off and status: a change must be proven."});
}

}  // namespace bridgehead::power
