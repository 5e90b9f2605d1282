#include "power/ipmi_driver.h"

#include <algorithm>
#include <cstdio>

#include "base/terminal_process.h"
#include "base/text.h"

namespace bridgehead::power {
namespace {

using std::chrono::milliseconds;

struct Saying {
  std::string_view contains;
  ErrorCode code;
  std::string_view message;
  std::string_view hint;
};

// Of ipmitool 1.8.19; the first that fits counts. {0} is the address, {1} the user, {2} the cipher suite.
constexpr Saying kSayings[] = {
    {"Address lookup for", ErrorCode::unavailable, "there is no address for the name {0}",
     "Correct the name, or give the BMC's IP address."},
    {"RAKP 2 HMAC is invalid", ErrorCode::unauthenticated, "the BMC at {0} doesn't accept the password of user {1}",
     "Set the password that the BMC has for this user. After several wrong ones many BMCs lock the user for minutes."},
    {"unauthorized name", ErrorCode::unauthenticated,
     "the BMC at {0} has no user {1} that may come by LAN with this privilege",
     "Enable the user on the BMC's LAN channel (ipmitool user list 1, channel setaccess) with the privilege that is "
     "configured here."},
    {"invalid role", ErrorCode::permission_denied, "user {1} hasn't the privilege that is asked for at the BMC at {0}",
     "Give the user the privilege OPERATOR on the BMC's LAN channel."},
    {"unauthorized role", ErrorCode::permission_denied,
     "user {1} hasn't the privilege that is asked for at the BMC at {0}",
     "Give the user the privilege OPERATOR on the BMC's LAN channel."},
    {"nsufficient privilege level", ErrorCode::permission_denied,
     "user {1} may not do that at the BMC at {0}: its privilege is too low",
     "Give the user the privilege OPERATOR on the BMC's LAN channel."},
    {"invalid authentication algorithm", ErrorCode::unsupported, "the BMC at {0} doesn't have cipher suite {2}",
     "Set the option cipher to one that it has (older BMCs: 3); `ipmitool channel getciphers ipmi` lists them."},
    {"no matching cipher suite", ErrorCode::unsupported, "the BMC at {0} doesn't have cipher suite {2}",
     "Set the option cipher to one that it has (older BMCs: 3); `ipmitool channel getciphers ipmi` lists them."},
    {"invalid integrity algorithm", ErrorCode::unsupported, "the BMC at {0} doesn't have cipher suite {2}",
     "Set the option cipher to one that it has (older BMCs: 3); `ipmitool channel getciphers ipmi` lists them."},
    {"insufficient resources", ErrorCode::resource_exhausted, "the BMC at {0} has no session left",
     "Sessions end by themselves after a minute; see who else uses the BMC."},
    {"SOL payload already active", ErrorCode::failed_precondition,
     "somebody else has the machine's console open at the BMC at {0}", "Take it over, which ends the other's session."},
    {"SOL payload disabled", ErrorCode::unsupported, "the BMC at {0} has Serial over LAN switched off",
     "Switch it on: ipmitool sol set enabled true; and have the firmware and the kernel use that serial port."},
    {"Node busy", ErrorCode::resource_exhausted, "the BMC at {0} is busy", ""},
    {"not supported in present state", ErrorCode::failed_precondition, "the BMC at {0} can't do that in this state",
     ""},
    {"Get Auth Capabilities error", ErrorCode::unavailable, "nobody answers IPMI at {0}",
     "Check address, cable and VLAN of the BMC, that UDP port 623 isn't filtered, and that IPMI over LAN is enabled on "
     "it."},
    {"Could not open socket", ErrorCode::unavailable, "{0} can't be reached", "Check the address and the route to it."},
    {"Unable to establish IPMI v2", ErrorCode::unavailable, "the BMC at {0} opens no session",
     "Its answer broke off. If that goes on, the BMC may want a cold reset."},
    {"Invalid command", ErrorCode::unsupported, "the BMC at {0} doesn't know that", ""},
};

// With -v ipmitool also tells of things that it merely tries.
std::string without_trials(std::string_view said) {
  std::string rest;
  while (!said.empty()) {
    const auto line = said.substr(0, said.find('\n'));
    said.remove_prefix(std::min(said.size(), line.size() + 1));
    if (line.find("Invalid completion code received") != std::string_view::npos) continue;
    if (line.find("HPM.x") != std::string_view::npos || line.find("Registry") != std::string_view::npos) continue;
    rest += fmt::format("{}{}", rest.empty() ? "" : "; ", trimmed(line));
  }
  return rest;
}

}  // namespace

Error explain_ipmitool(std::string_view said, const IpmiConfig& config) {
  const auto text = without_trials(said);
  for (const auto& saying : kSayings) {
    if (text.find(saying.contains) == std::string::npos) continue;
    return {saying.code,
            fmt::format(fmt::runtime(saying.message), config.address, config.user.empty() ? "(none)" : config.user,
                        config.cipher),
            std::string(saying.hint)};
  }
  return {ErrorCode::io_error, fmt::format("the BMC at {} fails: {}", config.address, text.substr(0, 300)), ""};
}

std::optional<Timestamp> parse_sel_time(std::string_view text) {
  int month = 0, day = 0, year = 0, hour = 0, minute = 0, second = 0;
  if (std::sscanf(std::string(text).c_str(), "%2d/%2d/%4d %2d:%2d:%2d", &month, &day, &year, &hour, &minute, &second) !=
      6) {
    return std::nullopt;
  }
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days(date) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         std::chrono::seconds(second);
}

std::optional<double> parse_dcmi_watts(std::string_view text) {
  const auto after = [&](std::string_view label) {
    const auto at = text.find(label);
    return at == std::string_view::npos ? std::string() : std::string(trimmed(text.substr(at + label.size())));
  };
  unsigned watts = 0;
  char unit[6] = {};
  const bool told = std::sscanf(after("Instantaneous power reading:").c_str(), "%u %5s", &watts, unit) == 2;
  const bool measures = after("Power reading state is:").starts_with("activated");
  return told && measures && std::string_view(unit) == "Watts" ? std::optional<double>(watts) : std::nullopt;
}

std::vector<std::string> IpmiDriver::arguments(std::string password_file, milliseconds timeout) const {
  const auto seconds = std::max<long>(1, std::chrono::duration_cast<std::chrono::seconds>(timeout).count() / 5);
  return {"-I", "lanplus",
          "-H", config_.address,
          "-p", std::to_string(config_.port),
          "-U", config_.user,
          "-f", std::move(password_file),
          "-C", config_.cipher,
          "-L", config_.privilege,
          "-N", std::to_string(seconds),
          "-R", "2",
          "-Z", "-v"};
}

Command IpmiDriver::command(std::vector<std::string> words, milliseconds timeout) const {
  Command command{.program = "ipmitool",
                  .arguments = arguments("/dev/stdin", timeout),
                  .environment = {{"LC_ALL", "C"}},
                  .input = config_.password,
                  .timeout = timeout,
                  .success_codes = {0, 1},
                  .output_limit = 64_KiB};
  command.arguments.insert(command.arguments.end(), words.begin(), words.end());
  return command;
}

Result<std::string> IpmiDriver::run(std::vector<std::string> words, const Attempt& attempt) {
  const auto output = runner_.run(command(std::move(words), attempt.timeout), attempt.stop);
  if (!output) {
    const auto& error = output.error();
    if (error.code == ErrorCode::timeout) {
      return fail_with_hint(
          ErrorCode::timeout,
          fmt::format("the BMC at {} didn't answer within {} ms", config_.address, attempt.timeout.count()),
          "Check address, cable and VLAN of the BMC.");
    }
    if (error.code == ErrorCode::not_found) {
      return fail_with_hint(ErrorCode::not_found, "ipmitool isn't installed", "apt install ipmitool");
    }
    return forward(output);
  }
  if (output->exit_code != 0) return fail(explain_ipmitool(output->err, config_));
  return output->out;
}

std::optional<ConsoleProgram> IpmiDriver::console() const {
  constexpr milliseconds kPatience = std::chrono::seconds(20);
  Command activate = command({}, kPatience);
  activate.arguments = arguments(kTerminalInputFile, kPatience);
  // ipmitool's own commands are behind a byte that is in no text: whatever is typed is the machine's.
  activate.arguments.insert(activate.arguments.end(), {"-e", "\xff", "sol", "activate"});
  return ConsoleProgram{
      .command = std::move(activate),
      .connected = "[SOL Session operational",
      .leave = command({"sol", "deactivate"}, std::chrono::seconds(5)),
      .explain = [config = config_](std::string_view said) { return explain_ipmitool(said, config); }};
}

Result<PowerState> IpmiDriver::read(const Attempt& attempt) {
  const auto said = run({"chassis", "power", "status"}, attempt);
  if (!said) return forward(said);
  if (said->find("Power is on") != std::string::npos) return PowerState::on;
  if (said->find("Power is off") != std::string::npos) return PowerState::off;
  return fail(ErrorCode::io_error, "the BMC at {} says neither on nor off: {}", config_.address,
              trimmed(*said).substr(0, 100));
}

Status IpmiDriver::request(PowerRequest request, const Attempt& attempt) {
  const auto said = run({"chassis", "power", request == PowerRequest::on ? "on" : "off"}, attempt);
  return said ? Status() : forward(said);
}

Result<double> IpmiDriver::watts(const Attempt& attempt) {
  const auto said = run({"dcmi", "power", "reading"}, attempt);
  if (!said) return forward(said);
  if (const auto watts = parse_dcmi_watts(*said)) return *watts;
  return fail(ErrorCode::unsupported, "the BMC at {} measures no watts", config_.address);
}

void IpmiDriver::inspect(const Attempt& attempt, PowerCheck& check) {
  if (!check.good()) return;
  const Attempt half{.timeout = attempt.timeout / 2, .stop = attempt.stop};
  inspect_privilege(half, check);
  inspect_clock(half, check);
}

void IpmiDriver::inspect_privilege(const Attempt& attempt, PowerCheck& check) {
  const auto said = run({"session", "info", "active"}, attempt);
  if (!said) {
    check.findings.push_back({"privilege", Finding::Level::warning,
                              fmt::format("can't be told: {}", said.error().message), "Try switching it once."});
    return;
  }
  const auto at = said->find("privilege level");
  const auto line = said->substr(std::min(at, said->size()), said->find('\n', std::min(at, said->size())) - at);
  const std::string level(trimmed(std::string_view(line).substr(std::min(line.size(), line.find(':') + 1))));
  const bool enough = level == "OPERATOR" || level == "ADMINISTRATOR";
  check.findings.push_back({"privilege", enough ? Finding::Level::good : Finding::Level::bad,
                            fmt::format("user {} acts as {}", config_.user, level.empty() ? "unknown" : level),
                            enough ? "" : "Give the user the privilege OPERATOR on the BMC's LAN channel."});
}

void IpmiDriver::inspect_clock(const Attempt& attempt, PowerCheck& check) {
  const auto said = run({"sel", "time", "get"}, attempt);
  if (!said) return;  // it has no event log, so nothing is dated by its clock
  if (const auto time = parse_sel_time(trimmed(*said))) {
    check.clock_skew = std::chrono::duration_cast<std::chrono::seconds>(*time - SystemClock().now());
  } else {
    check.findings.push_back({"clock", Finding::Level::warning, "its clock was never set",
                              "Set it, best by NTP: its event log is dated by it."});
  }
}

}  // namespace bridgehead::power
