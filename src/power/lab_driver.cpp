#include "power/lab_driver.h"

#include "base/text.h"

namespace bridgehead::power {

Command LabDriver::command(std::vector<std::string> words, std::chrono::milliseconds timeout) const {
  Command command{.program = config_.program.native(), .arguments = {"--name", config_.lab}};
  if (!config_.directory.empty()) command.arguments.insert(command.arguments.end(), {"--directory", config_.directory});
  command.arguments.insert(command.arguments.end(), words.begin(), words.end());
  command.timeout = timeout;
  command.output_limit = 64_KiB;
  return command;
}

Result<std::string> LabDriver::run(const std::string& action, const Attempt& attempt) {
  const auto output = runner_.run(command({"power", config_.machine, action}, attempt.timeout), attempt.stop);
  if (!output) return forward(output);
  return std::string(trimmed(output->out));
}

Result<PowerState> LabDriver::read(const Attempt& attempt) {
  const auto said = run("status", attempt);
  if (!said) return forward(said);
  for (const auto state : {PowerState::on, PowerState::off, PowerState::sleeping}) {
    if (*said == to_string(state)) return state;
  }
  return fail(ErrorCode::io_error, "the lab says '{}' of machine {}", said->substr(0, 100), config_.machine);
}

Status LabDriver::request(PowerRequest request, const Attempt& attempt) {
  const auto said = run(request == PowerRequest::on ? "on" : "off", attempt);
  return said ? Status() : forward(said);
}

void LabDriver::inspect(const Attempt&, PowerCheck& check) {
  check.findings.push_back({"abilities", Finding::Level::good, "a machine of a lab: on, off, sleeping, status", ""});
}

std::optional<ConsoleProgram> LabDriver::console() const {
  return ConsoleProgram{
      .command = command({"console", config_.machine}, std::chrono::seconds(10)),
      .connected = "Connected to ",
      .leave = std::nullopt,
      .explain = [](std::string_view said) {
        return Error{ErrorCode::failed_precondition, fmt::format("the lab says: {}", trimmed(said).substr(0, 300)), ""};
      }};
}

}  // namespace bridgehead::power
