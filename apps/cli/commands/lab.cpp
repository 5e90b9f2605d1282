// lab: another program, bridgehead-lab; here so that everything is found under `bh`.
#include <unistd.h>

#include <cstdlib>

#include "cli/commands/commands.h"

namespace bridgehead::cli {
namespace {

constexpr char kProgram[] = "bridgehead-lab";

// Beside this program, else in PATH; "" = nowhere.
std::string find_lab() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (const auto beside = self.parent_path() / kProgram; !error && ::access(beside.c_str(), X_OK) == 0) return beside;
  const char* path = std::getenv("PATH");
  std::string_view rest = path != nullptr ? path : "";
  while (!rest.empty()) {
    const auto end = std::min(rest.find(':'), rest.size());
    const auto directory = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (directory.empty()) continue;
    const auto candidate = std::filesystem::path(directory) / kProgram;
    if (std::filesystem::is_regular_file(candidate, error) && ::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return "";
}

}  // namespace

Status run_lab(std::vector<std::string> arguments) {
  const auto program = find_lab();
  if (program.empty()) {
    return fail_with_hint(ErrorCode::failed_precondition, fmt::format("{} isn't installed", kProgram),
                          "Install the package bridgehead-netboot, or put the program beside bh or into PATH.");
  }
  std::vector<char*> argv{const_cast<char*>(kProgram)};
  for (auto& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  ::execv(program.c_str(), argv.data());
  return fail_errno(errno, "start " + program);
}

void add_lab_command(CLI::App& root, Context& context) {
  auto* lab = root.add_subcommand("lab", "A rack in a box: machines without disks on this machine (bh lab --help)");
  lab->prefix_command();
  lab->fallthrough(false);
  lab->set_help_flag();
  lab->callback([&context, lab] { context.chosen = [lab] { return run_lab(lab->remaining()); }; });
}

}  // namespace bridgehead::cli
