#include <algorithm>

#include "power/fence_agent_driver.h"
#include "power/ipmi_driver.h"
#include "power/lab_driver.h"
#include "power/option_reader.h"
#include "power/redfish_driver.h"
#include "power/wol_driver.h"

namespace bridgehead::power {

Result<double> PowerDriver::watts(const Attempt&) {
  return fail(ErrorCode::unsupported, "this driver doesn't measure what a machine takes");
}

namespace {

constexpr std::size_t kLongestIpmiPassword = 20;

bool is_plain(std::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

// Never taken for an option of the program that gets it.
void check_word(OptionReader& reader, std::string_view what, const std::string& value) {
  if (value.starts_with('-') || !is_plain(value)) reader.complain(fmt::format("{} '{}' is not allowed", what, value));
}

// A host name or an address; it becomes a part of an URL.
void check_host(OptionReader& reader, const std::string& address) {
  const auto fits = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' ||
           c == ':' || c == '_';
  };
  if (!std::all_of(address.begin(), address.end(), fits) || address.starts_with('-')) {
    reader.complain(fmt::format("'{}' is no host name and no IP address", address));
  }
}

Result<std::unique_ptr<PowerDriver>> open_ipmi(const PowerSettings& settings, std::string_view password,
                                               const PowerTools& tools) {
  OptionReader reader(settings);
  IpmiConfig config{.address = settings.address,
                    .user = settings.user,
                    .password = std::string(password),
                    .cipher = reader.choice("cipher", kIpmiCiphers),
                    .privilege = reader.choice("privilege", kIpmiPrivileges)};
  if (settings.port != 0) config.port = settings.port;
  reader.require_text("the address", config.address);
  reader.require_text("the user", config.user);
  check_host(reader, config.address);
  check_word(reader, "the user", config.user);
  if (password.empty()) reader.complain("the password is missing");
  if (password.size() > kLongestIpmiPassword) {
    reader.complain(fmt::format("a password of IPMI has at most {} bytes", kLongestIpmiPassword));
  }
  if (!is_plain(password)) reader.complain("the password has a character that isn't printable");
  if (auto good = reader.finish(); !good) return forward(good);
  return std::make_unique<IpmiDriver>(std::move(config), tools.runner);
}

Result<std::unique_ptr<PowerDriver>> open_redfish(const PowerSettings& settings, std::string_view password) {
  OptionReader reader(settings);
  RedfishConfig config{.address = settings.address,
                       .user = settings.user,
                       .password = std::string(password),
                       .pin = reader.text("pin"),
                       .ca = reader.text("ca"),
                       .basic_auth = reader.choice("auth", {"session", "basic"}) == "basic",
                       .system = reader.text("system")};
  if (settings.port != 0) config.port = settings.port;
  reader.require_text("the address", config.address);
  reader.require_text("the user", config.user);
  check_host(reader, config.address);
  check_word(reader, "the user", config.user);
  if (password.empty()) reader.complain("the password is missing");
  if (!is_plain(password)) reader.complain("the password has a character that isn't printable");
  // libcurl would take anything else for the name of a file.
  if (!config.pin.empty() && !config.pin.starts_with("sha256//")) {
    reader.complain("pin is the SHA-256 of the BMC's public key: sha256//<base64>, as `bmc check` shows it");
  }
  if (auto good = reader.finish(); !good) return forward(good);
  return std::make_unique<RedfishDriver>(std::move(config));
}

Result<std::unique_ptr<PowerDriver>> open_wol(const PowerSettings& settings, std::string_view password) {
  OptionReader reader(settings);
  WolConfig config;
  const auto mac = parse_mac(reader.text("mac"));
  if (!mac) reader.complain(fmt::format("mac: {}", mac.error().message));
  config.mac = mac.value_or(MacAddress{});
  config.broadcast = reader.text("broadcast", config.broadcast);
  config.interface = reader.text("interface");
  if (settings.port != 0) config.port = settings.port;
  if (!settings.address.empty() || !settings.user.empty()) reader.complain("it has no address and no user");
  // SecureOn's password is written like a MAC address.
  if (!password.empty()) {
    const auto bytes = parse_six_bytes(password);
    if (!bytes) reader.complain("the password of SecureOn is six bytes, like 01:23:45:67:89:ab");
    const auto secret = bytes.value_or(MacAddress{});
    config.secure_on.assign(reinterpret_cast<const char*>(secret.data()), secret.size());
  }
  if (auto good = reader.finish(); !good) return forward(good);
  return std::make_unique<WolDriver>(std::move(config));
}

Result<std::unique_ptr<PowerDriver>> open_lab(const PowerSettings& settings, std::string_view password,
                                              const PowerTools& tools) {
  OptionReader reader(settings);
  LabConfig config{.program = tools.lab_program,
                   .lab = reader.text("lab", "lab1"),
                   .machine = reader.text("machine"),
                   .directory = reader.text("directory")};
  reader.require_text("machine", config.machine);
  for (const auto* word : {&config.lab, &config.machine, &config.directory}) check_word(reader, "an option", *word);
  if (!settings.address.empty() || !settings.user.empty() || !password.empty()) {
    reader.complain("it has no address, user and password");
  }
  if (auto good = reader.finish(); !good) return forward(good);
  return std::make_unique<LabDriver>(std::move(config), tools.runner);
}

Result<std::unique_ptr<PowerDriver>> open_fence_agent(const PowerSettings& settings, std::string_view password,
                                                      const PowerTools& tools) {
  const auto& name = settings.driver;
  if (name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") != std::string::npos) {
    return fail(ErrorCode::invalid_argument, "'{}' is no fence agent's name", name);
  }
  FenceAgentConfig config{
      .program = tools.fence_agents / name, .parameters = settings.options, .password = std::string(password)};
  if (!settings.address.empty()) config.parameters["ip"] = settings.address;
  if (!settings.user.empty()) config.parameters["username"] = settings.user;
  if (settings.port != 0) config.parameters["ipport"] = std::to_string(settings.port);
  return FenceAgentDriver::open(std::move(config), tools.runner);
}

}  // namespace

Result<std::unique_ptr<PowerDriver>> open_driver(const PowerSettings& settings, std::string_view password,
                                                 const PowerTools& tools) {
  if (settings.driver == "ipmi") return open_ipmi(settings, password, tools);
  if (settings.driver == "redfish") return open_redfish(settings, password);
  if (settings.driver == "wol") return open_wol(settings, password);
  if (settings.driver == "lab") return open_lab(settings, password, tools);
  if (settings.driver.starts_with("fence_")) return open_fence_agent(settings, password, tools);
  return fail_with_hint(ErrorCode::invalid_argument, fmt::format("there is no driver '{}'", settings.driver),
                        "ipmi, redfish, wol, lab, or a fence agent like fence_apc: docs/power.md.");
}

}  // namespace bridgehead::power
