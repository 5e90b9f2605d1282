#include "nodeimage/apt.h"

#include <algorithm>
#include <set>

#include "base/file.h"
#include "base/log.h"
#include "nodeimage/apt_trouble.h"
#include "nodeimage/digest.h"

namespace bridgehead::nodeimage {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr log::Message apt_offline{
    "NODE_IMAGE_APT_OFFLINE",
    "Package lists could not be refreshed; the ones known from last time are used, so newer "
    "versions may be missed. Check the network and the apt sources of this machine."};

constexpr std::string_view kDebianKeys = "/usr/share/keyrings/debian-archive-keyring.gpg";
constexpr int kAptFailed = 100;
constexpr std::string_view kStandInPackage = "bridgehead-no-initramfs";

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  std::size_t start = 0;
  while (start <= text.size()) {
    const std::size_t end = std::min(text.find(separator, start), text.size());
    parts.emplace_back(text.substr(start, end - start));
    start = end + 1;
  }
  return parts;
}

std::vector<std::string> default_sources(const std::string& suite, const std::string& option) {
  return {fmt::format("deb {}http://deb.debian.org/debian {} main", option, suite),
          fmt::format("deb {}http://deb.debian.org/debian {}-updates main", option, suite),
          fmt::format("deb {}http://deb.debian.org/debian-security {}-security main", option, suite)};
}

Result<std::vector<std::string>> machine_sources(CommandRunner& runner, const std::string& suite,
                                                 std::stop_token stop) {
  const auto listed =
      runner.run({.program = "apt-get",
                  .arguments = {"indextargets", "--format", "$(REPO_URI)|$(CODENAME)|$(ORIGIN)|$(SIGNED_BY)",
                                "Created-By: Packages"}},
                 stop);
  if (!listed) return forward(listed);
  std::set<std::string> seen;
  std::vector<std::string> lines;
  for (const auto& line : split(listed->out, '\n')) {
    const auto parts = split(line, '|');
    if (parts.size() != 4 || parts[2] != "Debian") continue;
    const auto& codename = parts[1];
    if (codename != suite && codename != suite + "-updates" && codename != suite + "-security") continue;
    if (!seen.insert(parts[0] + " " + codename).second) continue;
    lines.push_back(fmt::format("deb [signed-by={}] {} {} main",
                                parts[3].starts_with('/') ? parts[3] : std::string(kDebianKeys), parts[0], codename));
  }
  const bool has_suite =
      std::any_of(lines.begin(), lines.end(), [&](const auto& line) { return line.ends_with(" " + suite + " main"); });
  return has_suite ? lines : default_sources(suite, fmt::format("[signed-by={}] ", kDebianKeys));
}

bool has_initramfs(const Recipe& recipe) {
  return std::any_of(recipe.packages.begin(), recipe.packages.end(), [](const std::string& package) {
    return package == "initramfs-tools" || package == "dracut" || package == "tiny-initramfs";
  });
}

// A package without files that says it provides an initramfs.
Status make_stand_in(CommandRunner& runner, const fs::path& directory, std::stop_token stop) {
  const fs::path work = directory / "stand-in";
  if (auto made = make_directories(work / "DEBIAN"); !made) return made;
  const std::string control = fmt::format(
      "Package: {}\nVersion: 1\nArchitecture: all\nMaintainer: Bridgehead <maintainers@bridgehead.invalid>\n"
      "Provides: linux-initramfs-tool\nDescription: stands in for the initramfs builder\n"
      " Bridgehead makes the initramfs of its node images itself, outside of them.\n",
      kStandInPackage);
  if (auto written = write_file_atomic(work / "DEBIAN/control", control, 0644); !written) return written;
  const auto built = runner.run({.program = "dpkg-deb",
                                 .arguments = {"--build", "--root-owner-group", work.native(),
                                               directory / fmt::format("{}.deb", kStandInPackage)},
                                 .environment = {{"SOURCE_DATE_EPOCH", "0"}}},
                                stop);
  if (!built) return forward(built);
  std::error_code ignored;
  fs::remove_all(work, ignored);
  return {};
}

// One paragraph of a Packages file.
Result<std::string> index_entry(CommandRunner& runner, const fs::path& deb, std::string& name, std::stop_token stop) {
  const auto control = runner.run({.program = "dpkg-deb", .arguments = {"--field", deb.native()}}, stop);
  if (!control) {
    return fail(ErrorCode::invalid_argument, "{} is not a Debian package: {}", deb.native(), control.error().message);
  }
  for (const auto& line : split(control->out, '\n')) {
    if (line.starts_with("Package: ")) name = line.substr(9);
  }
  if (!valid_package_name(name)) return fail(ErrorCode::invalid_argument, "{} names no package", deb.native());
  const auto hashed = hash_file(deb, stop);
  if (!hashed) return forward(hashed);
  std::string text = control->out;
  while (text.ends_with('\n')) text.pop_back();
  return fmt::format("{}\nFilename: ./{}\nSize: {}\nSHA256: {}\n\n", text, deb.filename().native(), hashed->size,
                     hashed->sha256);
}

// What it prints is read (parse_simulation, apt_trouble), so it speaks English. 100: apt's own failures, with the
// reason in both streams.
Command apt_get(std::vector<std::string> arguments, std::chrono::seconds timeout) {
  return {.program = "apt-get",
          .arguments = std::move(arguments),
          .environment = {{"LC_ALL", "C"}},
          .timeout = timeout,
          .success_codes = {0, kAptFailed}};
}

std::vector<std::string> private_root(const fs::path& state, const AptSetup& setup) {
  std::vector<std::string> arguments{"-o", "Dir=" + state.native(),
                                     "-o", "Dir::State::status=" + (state / "status").native(),
                                     "-o", "Dir::Etc::SourceList=" + (state / "sources.list").native(),
                                     "-o", "Dir::Etc::SourceParts=/dev/null",
                                     "-o", "Dir::Etc::Trusted=" + std::string(kDebianKeys),
                                     "-o", "Dir::Etc::TrustedParts=/etc/apt/trusted.gpg.d",
                                     "-o", "APT::Architecture=amd64",
                                     "-o", "APT::Architectures::=amd64",
                                     "-o", "Acquire::Languages=none",
                                     "-o", "APT::Install-Recommends=false",
                                     "-o", "APT::Sandbox::User=root",
                                     "-o", "APT::Get::List-Cleanup=false",
                                     "-o", "Acquire::Retries=2",
                                     "-o", "Debug::NoLocking=true"};
  for (const auto& option : setup.options) {
    // Name "value"; -> Name=value
    const auto space = option.find(' ');
    std::string value = option.substr(space + 1);
    std::erase_if(value, [](char c) { return c == '"' || c == ';'; });
    arguments.insert(arguments.end(), {"-o", option.substr(0, space) + "=" + value});
  }
  return arguments;
}

}  // namespace

std::string plain_sources(const std::string& suite) {
  std::string text;
  for (const auto& line : default_sources(suite, "")) text += line + "\n";
  return text;
}

Result<AptSetup> apt_setup(CommandRunner& runner, const Recipe& recipe, std::stop_token stop) {
  AptSetup setup;
  auto sources = machine_sources(runner, recipe.suite, stop);
  if (!sources) return forward(sources);
  setup.sources = std::move(*sources);
  for (const auto& source : recipe.sources) {
    std::error_code failed;
    if (!fs::is_regular_file(source.key, failed)) {
      return fail(ErrorCode::not_found, "the key {} of the apt source '{}' is not there", source.key.native(),
                  source.line);
    }
    setup.sources.push_back(
        fmt::format("deb [signed-by={}] {}", fs::absolute(source.key).native(), source.line.substr(4)));
  }
  const auto dump = runner.run({.program = "apt-config", .arguments = {"dump"}}, stop);
  if (!dump) return forward(dump);
  for (const auto& line : split(dump->out, '\n')) {
    for (const std::string_view wanted :
         {"Acquire::http::Proxy", "Acquire::https::Proxy", "Acquire::Check-Valid-Until ", "Acquire::Check-Date "}) {
      if (line.starts_with(wanted) && line.find("\"\"") == std::string::npos) setup.options.push_back(line);
    }
  }
  return setup;
}

std::vector<std::string> parse_simulation(std::string_view text) {
  std::vector<std::string> packages;
  for (const auto& line : split(text, '\n')) {
    const auto words = split(line, ' ');
    if (words.size() < 3 || words[0] != "Inst" || !words[2].starts_with('(')) continue;
    packages.push_back(words[1] + " " + words[2].substr(1));
  }
  std::sort(packages.begin(), packages.end());
  return packages;
}

Result<std::vector<std::string>> planned_packages(CommandRunner& runner, const Recipe& recipe, const AptSetup& setup,
                                                  const std::vector<fs::path>& debs, const fs::path& state,
                                                  const fs::path& failure_log, std::stop_token stop) {
  for (const auto* part : {"etc/apt/apt.conf.d", "etc/apt/preferences.d", "var/lib/apt/lists/partial",
                           "var/cache/apt/archives/partial", "var/lib/dpkg"}) {
    if (auto made = make_directories(state / part); !made) return forward(made);
  }
  std::string sources;
  for (const auto& line : setup.sources) sources += line + "\n";
  if (auto written = write_file_atomic(state / "sources.list", sources, 0644); !written) return forward(written);
  if (auto written = write_file_atomic(state / "status", "", 0644); !written) return forward(written);

  auto update = private_root(state, setup);
  update.insert(update.end(), {"update", "-q", "--error-on=any"});
  std::string unfetched;
  const auto updated = runner.run(apt_get(std::move(update), 300s), stop);
  if (!updated && updated.error().code == ErrorCode::cancelled) return forward(updated);
  if (!updated) unfetched = updated.error().message + "\n";
  if (updated && updated->exit_code == kAptFailed) unfetched = updated->out + updated->err;
  if (!unfetched.empty()) log::warning(apt_offline, "{}", apt_trouble(unfetched));
  auto simulate = private_root(state, setup);
  simulate.insert(simulate.end(), {"install", "--simulate", "-q"});
  if (recipe.variant != "custom") simulate.push_back("?essential");
  if (recipe.variant == "minbase") simulate.push_back("?priority(required)");
  if (recipe.variant == "minbase" || recipe.variant == "apt") simulate.push_back("apt");
  if (!recipe.kernel.empty()) simulate.push_back(recipe.kernel);
  simulate.insert(simulate.end(), recipe.packages.begin(), recipe.packages.end());
  for (const auto& deb : debs) simulate.push_back(fs::absolute(deb));
  const auto planned = runner.run(apt_get(std::move(simulate), 120s), stop);
  if (!planned) return forward(planned);
  if (planned->exit_code == kAptFailed) {
    return fail(apt_failure("apt can't install what the recipe names", {ErrorCode::io_error, "it failed", {}},
                            unfetched + planned->out + planned->err, failure_log));
  }
  return parse_simulation(planned->out);
}

Result<LocalRepository> make_repository(CommandRunner& runner, const Recipe& recipe, const std::vector<fs::path>& debs,
                                        const fs::path& directory, std::stop_token stop) {
  if (auto made = make_directories(directory); !made) return forward(made);
  if (!recipe.kernel.empty() && !has_initramfs(recipe)) {
    if (auto made = make_stand_in(runner, directory, stop); !made) return forward(made);
  }
  for (const auto& deb : debs) {
    std::error_code failed;
    if (!fs::is_regular_file(deb, failed))
      return fail(ErrorCode::not_found, "there is no package file {}", deb.native());
    fs::copy_file(deb, directory / deb.filename(), fs::copy_options::overwrite_existing, failed);
    if (failed) return fail(ErrorCode::io_error, "copy {}: {}", deb.native(), failed.message());
  }
  auto files = list_directory(directory);
  if (!files) return forward(files);
  std::erase_if(*files, [](const auto& file) { return file.extension() != ".deb"; });
  LocalRepository repository;
  std::string index;
  for (const auto& file : *files) {
    std::string name;
    auto entry = index_entry(runner, file, name, stop);
    if (!entry) return forward(entry);
    index += *entry;
    repository.packages.push_back(name);
  }
  if (files->empty()) return repository;
  if (auto written = write_file_atomic(directory / "Packages", index, 0644); !written) return forward(written);
  repository.source_line = fmt::format("deb [trusted=yes] copy:{} ./", directory.native());
  return repository;
}

}  // namespace bridgehead::nodeimage
