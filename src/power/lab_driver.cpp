#include "power/lab_driver.h"

#include "base/text.h"

namespace bridgehead::power {

Result<std::string> LabDriver::run(const std::string& action, const Attempt& attempt) {
  Command command{.program = config_.program.native(), .arguments = {"--name", config_.lab}};
  if (!config_.directory.empty()) command.arguments.insert(command.arguments.end(), {"--directory", config_.directory});
  command.arguments.insert(command.arguments.end(), {"power", config_.machine, action});
  command.timeout = attempt.timeout;
  command.output_limit = 64_KiB;
  const auto output = runner_.run(command, attempt.stop);
  if (!output) return forward(output);
  return std::string(trimmed(output->out));
}

Result<PowerState> LabDriver::read(const Attempt& attempt) {
  const auto said = run("status", attempt);
  if (!said) return forward(said);
  for (const auto state : {PowerState::on, PowerState::off}) {
    if (*said == to_string(state)) return state;
  }
  return fail(ErrorCode::io_error, "the lab says '{}' of machine {}", said->substr(0, 100), config_.machine);
}

Status LabDriver::request(PowerRequest request, const Attempt& attempt) {
  const auto said = run(request == PowerRequest::on ? "on" : "off", attempt);
  return said ? Status() : forward(said);
}

void LabDriver::inspect(const Attempt&, PowerCheck& check) {
  check.findings.push_back({"abilities", Finding::Level::good, "a machine of a lab: on, off, status", ""});
}

}  // namespace bridgehead::power
