#include "nodeimage/customize.h"

#include <dirent.h>
#include <fnmatch.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/file.h"
#include "nodeimage/apt.h"
#include "nodeimage/debian_tree.h"

namespace bridgehead::nodeimage {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kUnits = "/etc/systemd/system";

bool matches_any(const std::vector<std::string>& patterns, const std::string& path) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const std::string& pattern) { return ::fnmatch(pattern.c_str(), path.c_str(), 0) == 0; });
}

Status write_files(const Tree& tree, const Recipe& recipe) {
  for (const auto& file : recipe.files) {
    std::string content = file.content;
    if (!file.source.empty()) {
      auto read = read_file(file.source, 64_MiB);
      if (!read) return forward(read);
      content = std::move(*read);
    }
    // So that a person can begin a text on its own line.
    if (file.source.empty() && content.starts_with('\n')) content.erase(0, 1);
    if (auto written = tree.put_file(file.path, file.mode, content); !written) return written;
  }
  return {};
}

Status write_sources(const Tree& tree, const Recipe& recipe) {
  if (!tree.exists("/etc/apt")) return {};
  if (auto removed = tree.remove("/etc/apt/sources.list.d"); !removed) return removed;
  if (auto written = tree.put_file("/etc/apt/sources.list", 0644, plain_sources(recipe.suite)); !written)
    return written;
  std::string extra;
  for (std::size_t i = 0; i < recipe.sources.size(); ++i) {
    const auto key = read_file(recipe.sources[i].key, 1_MiB);
    if (!key) return forward(key);
    const std::string path =
        fmt::format("/etc/apt/keyrings/recipe-{}{}", i + 1, recipe.sources[i].key.extension().native());
    if (auto written = tree.put_file(path, 0644, *key); !written) return written;
    extra += fmt::format("deb [signed-by={}] {}\n", path, recipe.sources[i].line.substr(4));
  }
  if (extra.empty()) return {};
  return tree.put_file("/etc/apt/sources.list.d/recipe.list", 0644, extra);
}

Status set_units(CommandRunner& runner, const Tree& tree, const Recipe& recipe, const std::stop_token& stop) {
  for (const auto& unit : recipe.mask) {
    if (auto put = tree.put_link(fmt::format("{}/{}", kUnits, unit), "/dev/null"); !put) return put;
  }
  if (recipe.enable.empty()) return {};
  std::vector<std::string> words{"/usr/bin/systemctl", "--no-reload", "enable"};
  words.insert(words.end(), recipe.enable.begin(), recipe.enable.end());
  const auto enabled = runner.run(inside_command(tree.directory(), words), stop);
  if (!enabled) {
    return fail_with_hint(enabled.error().code, fmt::format("systemctl enable failed: {}", enabled.error().message),
                          "Check that the recipe's packages bring the units that it enables.");
  }
  return {};
}

Status set_access(const Tree& tree, const Recipe& recipe) {
  if (!recipe.ssh_keys.empty()) {
    std::string keys;
    for (const auto& key : recipe.ssh_keys) keys += key + "\n";
    const auto place = tree.place("/root/.ssh/authorized_keys", true);
    if (!place) return forward(place);
    if (::fchmodat(AT_FDCWD, (fmt::format("/proc/self/fd/{}", place->parent.get())).c_str(), 0700, 0) != 0) {
      return fail_errno(errno, "chmod /root/.ssh");
    }
    if (auto written = tree.put_file("/root/.ssh/authorized_keys", 0600, keys); !written) return written;
  }
  if (recipe.root_password_hash.empty()) return {};
  auto shadow = tree.read("/etc/shadow");
  if (!shadow) return fail({shadow.error().code, shadow.error().message, "Add the package passwd."});
  const std::size_t line = shadow->starts_with("root:") ? 0 : shadow->find("\nroot:");
  if (line == std::string::npos) {
    return fail_with_hint(ErrorCode::failed_precondition,
                          "/etc/shadow has no line for root, so there is no place for a password",
                          "Add the package passwd.");
  }
  const std::size_t start = line == 0 ? 5 : line + 6;
  shadow->replace(start, shadow->find(':', start) - start, recipe.root_password_hash);
  const auto fd = tree.open_file("/etc/shadow", O_WRONLY | O_TRUNC);
  if (!fd) return forward(fd);
  return write_all(fd->get(), *shadow, "/etc/shadow");
}

Status run_hooks(CommandRunner& runner, const Tree& tree, const Recipe& recipe, const std::stop_token& stop) {
  constexpr std::string_view kPlace = "/root/.bridgehead-hook";
  for (const auto& hook : recipe.hooks) {
    std::string script = hook.script;
    if (!hook.source.empty()) {
      auto read = read_file(hook.source, 16_MiB);
      if (!read) return forward(read);
      script = std::move(*read);
    }
    if (auto written = tree.put_file(kPlace, 0700, script); !written) return written;
    const auto ran = runner.run(inside_command(tree.directory(), {std::string(kPlace)}), stop);
    if (auto removed = tree.remove(kPlace); !removed) return removed;
    if (!ran) {
      return fail(ran.error().code, "the recipe's hook '{}' failed: {}", hook.name, ran.error().message);
    }
  }
  return {};
}

// Walks the tree by names below an open directory; links aren't followed.
Status remove_matching(int parent, const std::string& path, const Recipe& recipe, const std::stop_token& stop) {
  if (stop.stop_requested()) return fail(ErrorCode::cancelled, "the build was cancelled");
  const int own = ::openat(parent, path.empty() ? "." : path.substr(path.rfind('/') + 1).c_str(),
                           O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (own < 0) return fail_errno(errno, fmt::format("open {}", path));
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::fdopendir(own), ::closedir);
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(directory.get())) names.emplace_back(entry->d_name);
  for (const auto& name : names) {
    if (name == "." || name == "..") continue;
    std::string inner = path;
    inner += '/';
    inner += name;
    struct stat status {};
    if (::fstatat(own, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return fail_errno(errno, inner);
    if (S_ISDIR(status.st_mode)) {
      if (auto below = remove_matching(own, inner, recipe, stop); !below) return below;
    }
    if (!matches_any(recipe.exclude, inner) || matches_any(recipe.keep, inner)) continue;
    // A directory stays where something in it was kept.
    if (::unlinkat(own, name.c_str(), S_ISDIR(status.st_mode) ? AT_REMOVEDIR : 0) != 0 && errno != ENOTEMPTY &&
        errno != EEXIST) {
      return fail_errno(errno, fmt::format("remove {}", inner));
    }
  }
  return {};
}

// A module is always read whole, so it is worth the better compression: two thirds of what the root's own makes of it.
// kmod unpacks it; the builder of initramfs does, too.
Status compress_modules(CommandRunner& runner, const fs::path& version, const std::stop_token& stop) {
  std::string names;
  std::error_code failed;
  for (fs::recursive_directory_iterator entry(version, failed), end; !failed && entry != end; entry.increment(failed)) {
    if (entry->path().extension() == ".ko" && entry->is_regular_file(failed)) names += entry->path().native() + "\n";
  }
  if (failed) return fail_errno(failed.value(), fmt::format("look for modules in {}", version.native()));
  if (names.empty()) return {};
  const auto directory = TemporaryDirectory::create("bridgehead-modules");
  if (!directory) return forward(directory);
  const auto list = directory->path() / "list";
  if (auto written = write_file_atomic(list, names); !written) return written;
  const auto done = runner.run({.program = "zstd",
                                .arguments = {"--quiet", "--rm", "-12", "--filelist", list.native()},
                                .timeout = std::chrono::minutes(30)},
                               stop);
  if (!done) return forward(done);
  return {};
}

// Their form and list, after some were left out.
Status refresh_modules(CommandRunner& runner, const Tree& tree, const std::stop_token& stop) {
  const auto modules = tree.open_directory("/lib/modules");
  if (!modules) return {};
  // By its own name, which other programs can use, too.
  std::error_code failed;
  const auto place = fs::canonical(fmt::format("/proc/self/fd/{}", modules->get()), failed);
  if (failed) return fail_errno(failed.value(), "find /lib/modules");
  const auto versions = list_directory(place);
  if (!versions) return forward(versions);
  for (const auto& version : *versions) {
    std::error_code ignored;
    if (!fs::is_directory(fs::symlink_status(version, ignored))) continue;  // a link could lead out of the tree
    if (auto done = compress_modules(runner, version, stop); !done) return done;
    const auto done = runner.run(inside_command(tree.directory(), {"/sbin/depmod", version.filename().native()}), stop);
    if (!done) return forward(done);
  }
  return {};
}

}  // namespace

Status remove_excluded(const Tree& tree, const Recipe& recipe, std::stop_token stop) {
  if (recipe.exclude.empty()) return {};
  // /lib is /usr/lib: a pattern of either means both.
  Recipe both = recipe;
  for (auto* list : {&both.exclude, &both.keep}) {
    const auto given = *list;
    for (const auto& pattern : given) {
      if (pattern.starts_with("/lib/")) list->push_back("/usr" + pattern);
    }
  }
  return remove_matching(tree.fd(), "", both, stop);
}

Status customize_tree(CommandRunner& runner, const Recipe& recipe, const Tree& tree, const ProgressSink& progress,
                      std::stop_token stop) {
  const auto step = [&](std::uint64_t percent) {
    if (progress) progress({std::string(kPhaseCustomize), percent, 100});
  };
  if (auto done = write_files(tree, recipe); !done) return done;
  if (auto done = write_sources(tree, recipe); !done) return done;
  if (auto done = set_access(tree, recipe); !done) return done;
  step(10);
  if (auto done = set_units(runner, tree, recipe, stop); !done) return done;
  step(30);
  if (auto done = run_hooks(runner, tree, recipe, stop); !done) return done;
  step(60);
  if (auto done = remove_excluded(tree, recipe, stop); !done) return done;
  if (auto done = refresh_modules(runner, tree, stop); !done) return done;
  step(90);
  std::vector<std::string> notes;
  if (auto done = make_anonymous(tree, notes); !done) return done;
  if (auto done = add_join_unit(tree); !done) return done;
  step(100);
  return {};
}

}  // namespace bridgehead::nodeimage
