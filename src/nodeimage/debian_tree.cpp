#include "nodeimage/debian_tree.h"

#include <sys/stat.h>

#include <array>

#include "base/file.h"
#include "nodeimage/apt_trouble.h"
#include "nodeimage/customize.h"
#include "nodeimage/watcher.h"

namespace bridgehead::nodeimage {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

// What our own way of running programs adds: a mount and a PID namespace, so that whatever kills mmdebstrap leaves
// neither a mount nor a process, and death with the thread that started it.
const std::vector<std::string> kConfined{"--pdeathsig", "KILL",   "unshare",      "--mount",
                                         "--pid",       "--fork", "--kill-child", "--mount-proc"};

struct LogLine {
  std::string_view text;
  std::string_view phase;
  std::uint64_t percent;
};
constexpr std::array<LogLine, 6> kLogLines{{{"running apt-get update", kPhaseUpdate, 0},
                                            {"downloading packages", kPhaseDownload, 0},
                                            {"extracting archives", kPhaseExtract, 0},
                                            {"installing essential packages", kPhaseConfigure, 0},
                                            {"installing remaining packages", kPhaseConfigure, 30},
                                            {"cleaning package lists", kPhaseConfigure, 95}}};

Progress progress_of_log(const fs::path& log) {
  const auto text = read_file(log, 4_MiB);
  Progress now{std::string(kPhaseUpdate), 0, 100};
  if (!text) return now;
  for (const auto& line : kLogLines) {
    if (text->find(line.text) != std::string::npos) now = {std::string(line.phase), line.percent, 100};
  }
  return now;
}

}  // namespace

Command inside_command(const fs::path& tree, std::vector<std::string> words) {
  std::vector<std::string> arguments{"--pdeathsig", "KILL",         "unshare",
                                     "--mount",     "--pid",        "--fork",
                                     "--net",       "--kill-child", "--mount-proc=" + (tree / "proc").native(),
                                     "chroot",      tree.native()};
  // env -i: nothing of ours reaches the tree's programs.
  arguments.insert(arguments.end(), {"/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8",
                                     "HOME=/root", "DEBIAN_FRONTEND=noninteractive", "SYSTEMD_OFFLINE=1"});
  arguments.insert(arguments.end(), words.begin(), words.end());
  return {.program = "setpriv", .arguments = std::move(arguments), .timeout = 15min};
}

Command mmdebstrap_command(const Recipe& recipe, const AptSetup& setup, const LocalRepository& repository,
                           const DebianTree& place) {
  Command command{.program = "setpriv", .arguments = kConfined, .timeout = 60min};
  auto& arguments = command.arguments;
  arguments.insert(arguments.end(),
                   {"mmdebstrap", "--mode=root", "--variant=" + recipe.variant, "--architectures=amd64",
                    "--format=directory", "--logfile=" + place.log().native()});
  std::vector<std::string> packages = repository.packages;
  if (!recipe.kernel.empty()) packages.push_back(recipe.kernel);
  packages.insert(packages.end(), recipe.packages.begin(), recipe.packages.end());
  std::string include;
  for (const auto& package : packages) include += (include.empty() ? "" : ",") + package;
  if (!include.empty()) arguments.push_back("--include=" + include);
  for (const auto& option : setup.options) arguments.push_back("--aptopt=" + option);
  for (const auto* option : {"APT::Install-Recommends \"false\"", "Acquire::Languages \"none\"",
                             "APT::Sandbox::User \"root\"", "Acquire::Retries \"3\""}) {
    arguments.push_back(fmt::format("--aptopt={}", option));
  }
  arguments.push_back("--dpkgopt=force-unsafe-io");
  arguments.push_back("--dpkgopt=force-confold");
  for (const auto& pattern : recipe.exclude) arguments.push_back(fmt::format("--dpkgopt=path-exclude={}", pattern));
  for (const auto& pattern : recipe.keep) arguments.push_back(fmt::format("--dpkgopt=path-include={}", pattern));
  arguments.insert(arguments.end(), {recipe.suite, place.tree().native()});
  arguments.push_back((place.work / "sources.list").native());
  // INITRD: kernel packages make no initramfs.
  command.environment = {{"TMPDIR", (place.work / "tmp").native()},
                         {"INITRD", "No"},
                         {"LC_ALL", "C.UTF-8"},
                         {"LANGUAGE", ""},  // would count beside it, and what fails is read in English
                         {"DEBIAN_FRONTEND", "noninteractive"}};
  const char* path = std::getenv("PATH");
  command.environment["PATH"] = fmt::format("{}:/usr/sbin:/sbin", path != nullptr ? path : "/usr/bin:/bin");
  return command;
}

Status make_debian_tree(CommandRunner& runner, const Recipe& recipe, const AptSetup& setup,
                        const std::vector<fs::path>& debs, const DebianTree& place, const ProgressSink& progress,
                        std::stop_token stop) {
  // The sticky bit is what apt expects of a temporary directory.
  if (auto made = make_directories(place.work / "tmp", 01777); !made) return made;
  const auto repository = make_repository(runner, recipe, debs, place.work / "packages", stop);
  if (!repository) return forward(repository);
  std::string sources;
  for (const auto& line : setup.sources) sources += line + "\n";
  sources += repository->source_line + "\n";
  if (auto written = write_file_atomic(place.work / "sources.list", sources, 0644); !written) return written;
  {
    const Watcher watcher([&] {
      if (progress) progress(progress_of_log(place.log()));
    });
    const auto built = runner.run(mmdebstrap_command(recipe, setup, *repository, place), stop);
    if (!built) {
      if (built.error().code == ErrorCode::cancelled || built.error().code == ErrorCode::not_found)
        return forward(built);
      return fail(apt_failure("mmdebstrap failed", built.error(), read_file(place.log(), 64_MiB).value_or(""),
                              place.failure_log));
    }
  }
  if (progress) progress({std::string(kPhaseCustomize), 0, 100});
  auto tree = Tree::open(place.tree());
  if (!tree) return forward(tree);
  return customize_tree(runner, recipe, *tree, progress, stop);
}

}  // namespace bridgehead::nodeimage
