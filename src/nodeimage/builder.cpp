#include "nodeimage/builder.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/file.h"
#include "nodeimage/apt.h"
#include "nodeimage/builder_parts.h"
#include "nodeimage/debian_tree.h"
#include "nodeimage/digest.h"
#include "nodeimage/pack_parts.h"
#include "nodeimage/tree_cache.h"
#include "nodeimage/work_directory.h"

namespace bridgehead::nodeimage {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

// Part of every key: to be raised when the same inputs give another tree.
constexpr std::string_view kTreeFormat = "tree 4";

std::vector<fs::path> all_debs(const Recipe& recipe, const std::vector<fs::path>& more) {
  auto debs = recipe.debs;
  debs.insert(debs.end(), more.begin(), more.end());
  return debs;
}

class KeyText {
 public:
  void add(std::string_view name, std::string_view value) {
    text_ += fmt::format("{} {}:{}\n", name, value.size(), value);
  }
  void add(std::string_view name, const std::vector<std::string>& values) {
    for (const auto& value : values) add(name, value);
  }
  Status add_file(std::string_view name, const fs::path& file) {
    if (file.empty()) return {};
    const auto hashed = hash_file(file);
    if (!hashed) return forward(hashed);
    add(name, hashed->sha256);
    return {};
  }
  std::string key() const { return sha256_of(text_); }

 private:
  std::string text_;
};

Status add_recipe(KeyText& key, const Recipe& recipe) {
  for (const auto& [name, value] :
       {std::pair{"suite", &recipe.suite}, std::pair{"variant", &recipe.variant}, std::pair{"kernel", &recipe.kernel},
        std::pair{"password", &recipe.root_password_hash}}) {
    key.add(name, *value);
  }
  key.add("package", recipe.packages);
  key.add("exclude", recipe.exclude);
  key.add("keep", recipe.keep);
  key.add("enable", recipe.enable);
  key.add("mask", recipe.mask);
  key.add("ssh", recipe.ssh_keys);
  for (const auto& source : recipe.sources) {
    key.add("source", source.line);
    if (auto added = key.add_file("key", source.key); !added) return added;
  }
  for (const auto& file : recipe.files) {
    key.add("file", fmt::format("{} {:o}", file.path, file.mode));
    key.add("content", file.content);
    if (auto added = key.add_file("content of", file.source); !added) return added;
  }
  for (const auto& hook : recipe.hooks) {
    key.add("hook", hook.script);
    if (auto added = key.add_file("script", hook.source); !added) return added;
  }
  return {};
}

Status require_root() {
  if (::geteuid() == 0) return {};
  return fail_with_hint(ErrorCode::failed_precondition, "node images are made by root (their files belong to root)",
                        "Run it as root.");
}

}  // namespace

StagedImage::StagedImage(fs::path directory, Manifest manifest, UniqueFd lock)
    : directory_(std::move(directory)), manifest_(std::move(manifest)), lock_(std::move(lock)) {}
StagedImage::StagedImage(StagedImage&& other) noexcept
    : directory_(std::exchange(other.directory_, {})),
      manifest_(std::move(other.manifest_)),
      lock_(std::move(other.lock_)) {}
StagedImage& StagedImage::operator=(StagedImage&& other) noexcept {
  std::swap(directory_, other.directory_);
  std::swap(manifest_, other.manifest_);
  std::swap(lock_, other.lock_);
  return *this;
}
StagedImage::~StagedImage() {
  if (!directory_.empty()) (void)remove_tree(directory_);
}

fs::path default_cache() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && *cache == '/') return fs::path(cache) / "bridgehead/node-images";
  const char* home = std::getenv("HOME");
  if (home != nullptr && *home == '/') return fs::path(home) / ".cache/bridgehead/node-images";
  return {};
}

fs::path BuilderPaths::failure_log(const std::string& recipe) const {
  return (cache.empty() ? work : cache) / fmt::format("failed-{}.log", recipe);
}

ImageBuilder::ImageBuilder(CommandRunner& runner, BuilderPaths paths) : runner_(&runner), paths_(std::move(paths)) {}

Status ImageBuilder::sweep() {
  if (auto swept = sweep_work(paths_.work); !swept) return swept;
  return paths_.cache.empty() ? Status{} : sweep_work(paths_.cache);
}

Result<std::string> ImageBuilder::cache_key(const Recipe& recipe, const std::vector<fs::path>& debs,
                                            std::stop_token stop) {
  const auto setup = apt_setup(*runner_, recipe, stop);
  if (!setup) return forward(setup);
  const auto all = all_debs(recipe, debs);
  KeyText key;
  key.add("format", kTreeFormat);
  if (auto added = add_recipe(key, recipe); !added) return forward(added);
  for (const auto& deb : all) {
    if (auto added = key.add_file("deb", deb); !added) return forward(added);
  }
  std::optional<WorkDirectory> temporary;
  fs::path state = paths_.cache / "apt" / recipe.suite;
  if (paths_.cache.empty()) {
    auto made = WorkDirectory::create(paths_.work, "build");
    if (!made) return forward(made);
    temporary.emplace(std::move(*made));
    state = temporary->path() / "apt";
  }
  // One at a time in apt's directory.
  std::optional<UniqueFd> lock;
  if (!paths_.cache.empty()) {
    auto locked = TreeCache(paths_.cache).lock("apt", stop);
    if (!locked) return forward(locked);
    lock.emplace(std::move(*locked));
  }
  const auto planned = planned_packages(*runner_, recipe, *setup, all, state, paths_.failure_log(recipe.name), stop);
  if (!planned) return forward(planned);
  key.add("planned", *planned);
  return key.key();
}

namespace {

// Everything that the cache keeps, in a fresh directory.
Status make_cached_parts(CommandRunner& runner, const Recipe& recipe, const std::vector<fs::path>& debs,
                         const DebianTree& place, const fs::path& entry, const ProgressSink& progress,
                         std::stop_token stop) {
  const auto setup = apt_setup(runner, recipe, stop);
  if (!setup) return forward(setup);
  if (auto made = make_debian_tree(runner, recipe, *setup, debs, place, progress, stop); !made) return made;
  if (auto made = make_directories(entry, 0700); !made) return made;
  Manifest manifest;
  manifest.created = SystemClock().now();
  if (auto packed = pack_root(runner, place.tree(), entry, {}, manifest, progress, stop); !packed) return packed;
  if (recipe.tree_limit.count() != 0 && manifest.tree_size > recipe.tree_limit) {
    return fail_with_hint(ErrorCode::resource_exhausted,
                          fmt::format("the root has {}, more than the limit of {}", manifest.tree_size.human(),
                                      recipe.tree_limit.human()),
                          "Leave packages out, or raise tree_limit.");
  }
  if (::rename(place.tree().c_str(), (entry / "tree").c_str()) != 0) return fail_errno(errno, "move the tree");
  return write_manifest(manifest, entry);
}

Status stage_parts(CommandRunner& runner, const CachedTree& cached, const Recipe& recipe, const MakeOptions& options,
                   const fs::path& output, Manifest& manifest, const ProgressSink& progress, std::stop_token stop) {
  manifest = cached.manifest;
  manifest.role = recipe.role;
  manifest.source = recipe.name;
  manifest.has_tree = options.keep_tree;
  manifest.created = SystemClock().now();
  const auto list = read_file(cached.directory / kListFile, 256_MiB);
  const auto entries = list ? parse_list(*list) : Result<std::vector<TreeEntry>>(forward(list));
  if (!entries) return forward(entries);
  if (auto fits = check_root_limit(manifest, recipe.root_limit, *entries); !fits) return fits;
  const auto maker = options.initramfs_key.empty() ? options.initramfs
                                                   : cached_maker(cached, options.initramfs, options.initramfs_key);
  if (auto done = pack_boot(cached.tree(), output, maker, manifest, progress, stop); !done) return done;
  for (const auto name : {kRootFile, kListFile}) {
    if (auto done = link_or_copy(cached.directory / name, output / name); !done) return done;
  }
  if (options.keep_tree) {
    if (auto done = copy_tree(runner, cached.tree(), output / kTreeDirectory, stop); !done) return done;
  }
  return write_manifest(manifest, output);
}

}  // namespace

Status copy_tree(CommandRunner& runner, const fs::path& from, const fs::path& to, std::stop_token stop) {
  const auto copied = runner.run({.program = "cp",
                                  .arguments = {"-a", "--one-file-system", "--reflink=auto", "--sparse=auto",
                                                "--no-target-directory", "--", from.native(), to.native()},
                                  .timeout = 60min},
                                 stop);
  if (!copied) return forward(copied);
  return {};
}

Result<StagedImage> ImageBuilder::build(const Recipe& recipe, const MakeOptions& options, const ProgressSink& progress,
                                        std::stop_token stop) {
  if (auto root = require_root(); !root) return forward(root);
  if (progress) progress({std::string(kPhasePrepare), 0, 100});
  auto staged = WorkDirectory::create(paths_.work, "image");
  if (!staged) return forward(staged);
  const auto debs = all_debs(recipe, options.debs);

  std::optional<CachedTree> cached;
  std::optional<WorkDirectory> work;
  UniqueFd lock;
  std::string key;
  const bool use_cache = !paths_.cache.empty();
  TreeCache cache(paths_.cache);
  if (use_cache) {
    auto found = cache_key(recipe, options.debs, stop);
    if (!found) return forward(found);
    key = std::move(*found);
    auto locked = cache.lock(key, stop);
    if (!locked) return forward(locked);
    lock = std::move(*locked);
    if (!options.refresh) cached = cache.find(key, stop);
  }
  if (progress) progress({std::string(kPhasePrepare), 100, 100});
  if (!cached) {
    auto made = WorkDirectory::create(use_cache ? paths_.cache : paths_.work, "build");
    if (!made) return forward(made);
    work.emplace(std::move(*made));
    const fs::path entry = work->path() / "entry";
    const DebianTree place{work->path(), paths_.failure_log(recipe.name)};
    if (auto done = make_cached_parts(*runner_, recipe, debs, place, entry, progress, stop); !done) {
      return forward(done);
    }
    auto put = use_cache ? cache.put(key, entry) : [&]() -> Result<CachedTree> {
      auto manifest = read_manifest(entry / kManifestFile);
      if (!manifest) return forward(manifest);
      return CachedTree{entry, std::move(*manifest)};
    }();
    if (!put) return forward(put);
    cached = std::move(*put);
  }
  Manifest manifest;
  if (auto done = stage_parts(*runner_, *cached, recipe, options, staged->path(), manifest, progress, stop); !done) {
    return forward(done);
  }
  return staged->release(std::move(manifest));
}

}  // namespace bridgehead::nodeimage
