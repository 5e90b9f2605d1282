// lab and sim: other programs, bridgehead-lab and bridgehead-sim; here so that everything is found under `bh`.
#include <unistd.h>

#include <cstdlib>

#include "cli/commands/commands.h"

namespace bridgehead::cli {
namespace {

// Beside this program, else in PATH; "" = nowhere.
std::string find_program(const std::string& name) {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (const auto beside = self.parent_path() / name; !error && ::access(beside.c_str(), X_OK) == 0) return beside;
  const char* path = std::getenv("PATH");
  std::string_view rest = path != nullptr ? path : "";
  while (!rest.empty()) {
    const auto end = std::min(rest.find(':'), rest.size());
    const auto directory = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (directory.empty()) continue;
    const auto candidate = std::filesystem::path(directory) / name;
    if (std::filesystem::is_regular_file(candidate, error) && ::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return "";
}

// Becomes the other program; returns only to say why not.
Status become(const std::string& name, const std::string& package, std::vector<std::string> arguments) {
  const auto program = find_program(name);
  if (program.empty()) {
    return fail_with_hint(ErrorCode::failed_precondition, fmt::format("{} isn't installed", name),
                          fmt::format("Install the package {}, or put the program beside bh or into PATH.", package));
  }
  arguments.insert(arguments.begin(), name);
  std::vector<char*> argv;
  for (auto& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  ::execv(program.c_str(), argv.data());
  return fail_errno(errno, "start " + program);
}

void add_other_program(CLI::App& root, Context& context, const std::string& word, const std::string& what,
                       Status (*run)(std::vector<std::string>)) {
  auto* command = root.add_subcommand(word, what);
  command->prefix_command();
  command->fallthrough(false);
  command->set_help_flag();
  command->callback(
      [&context, command, run] { context.chosen = [command, run] { return run(command->remaining()); }; });
}

}  // namespace

Status run_lab(std::vector<std::string> arguments) {
  return become("bridgehead-lab", "bridgehead-netboot", std::move(arguments));
}

Status run_sim(std::vector<std::string> arguments) {
  return become("bridgehead-sim", "bridgehead-cli", std::move(arguments));
}

void add_lab_command(CLI::App& root, Context& context) {
  add_other_program(root, context, "lab", "A rack in a box: machines without disks on this machine (bh lab --help)",
                    run_lab);
}

void add_sim_command(CLI::App& root, Context& context) {
  add_other_program(root, context, "sim", "Simulated clusters on virtual time: what a policy would do (bh sim --help)",
                    run_sim);
}

}  // namespace bridgehead::cli
