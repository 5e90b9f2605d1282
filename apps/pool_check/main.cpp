// bridgehead-pool-check: is a directory fit for a pool? Needs no manager; see --help.
#include <CLI/CLI.hpp>

#include <csignal>

#include "base/log.h"
#include "model/enum_names.h"
#include "model/pool_rules.h"
#include "report.h"
#include "storage/pool_check.h"

namespace {

using namespace bridgehead;

enum ExitCode { fit = 0, not_fit = 1, wrong_usage = 2, not_tried = 3 };

int told(const Error& error, int code) {
  fmt::print(stderr, "bridgehead-pool-check: {}\n", error.describe());
  return code;
}

int hold(const std::filesystem::path& directory) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  const auto held = storage::HeldLock::take(directory);
  if (!held) return told(held.error(), not_tried);
  fmt::print("Holding a lock on {} until this is interrupted; run the check on another host now.\n",
             held->file().native());
  std::fflush(stdout);
  int signal = 0;
  sigwait(&signals, &signal);
  return fit;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Tries whether a directory is fit for a pool: what its file system can do, and whether it does it right."};
  app.set_version_flag("--version", std::string("bridgehead-pool-check ") + BRIDGEHEAD_VERSION);
  app.footer("Exit codes: 0 fit, 1 not fit, 2 wrong usage, 3 the directory couldn't be tried.");
  pool_check::Options options;
  std::string driver = "posix";
  std::string format = "text";
  std::vector<std::string> layout;
  bool holding = false;
  app.add_option("directory", options.directory, "On the mounted file system, like /mnt/scratch/vm")->required();
  app.add_option("--driver", driver,
                 "What it should be: local, posix (any shared file system; default), nfs, moosefs, cephfs, lustre");
  app.add_option("--option", layout,
                 "NAME=VALUE of a pool of that driver, about layouts (ost_pool, storage_class, ...)")
      ->allow_extra_args(false);
  app.add_option("-o,--output", format, "text (default) or json")->check(CLI::IsMember({"text", "json"}));
  app.add_flag("--hold", holding, "Only hold a lock there, so that a check on another host can see it");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? fit : wrong_usage;
  }
  log::configure(log::Level::error, log::Format::text, "bridgehead-pool-check");
  if (holding) return hold(options.directory);

  const auto parsed = model::parse_enum<model::PoolDriver>(driver);
  if (!parsed) return told(parsed.error(), wrong_usage);
  options.driver = *parsed;
  for (const auto& option : layout) {
    const auto equals = option.find('=');
    if (equals == option.npos) return told({ErrorCode::invalid_argument, "--option is NAME=VALUE", {}}, wrong_usage);
    options.layout[option.substr(0, equals)] = option.substr(equals + 1);
  }
  if (auto fine = model::check_pool_options(options.driver, options.layout); !fine) {
    return told(fine.error(), wrong_usage);
  }
  std::error_code failed;
  options.directory = std::filesystem::absolute(options.directory, failed).lexically_normal();
  const auto findings = pool_check::check_directory(options);
  if (!findings) return told(findings.error(), not_tried);
  fmt::print("{}", format == "json" ? as_json(options, *findings) : as_text(options, *findings));
  return findings->fit() ? fit : not_fit;
}
