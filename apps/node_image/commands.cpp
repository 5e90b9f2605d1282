#include <chrono>
#include <cstdio>

#include "base/file.h"
#include "netboot/initramfs/initramfs.h"
#include "nodeimage/builder.h"
#include "nodeimage/digest.h"
#include "nodeimage/recipe.h"
#include "nodeimage/store.h"
#include "options.h"
#include "report.h"

namespace bridgehead::node_image {
namespace {

namespace fs = std::filesystem;
using Steady = std::chrono::steady_clock;

double seconds_since(Steady::time_point start) { return std::chrono::duration<double>(Steady::now() - start).count(); }

// What an initramfs of ours is made of; one that the tree brings needs neither.
Status check_programs(const Options& options) {
  if (!options.initramfs.empty()) return {};
  for (const auto& [name, program] : {std::pair{"--init", options.init}, std::pair{"--busybox", options.busybox}}) {
    std::error_code ignored;
    if (fs::is_regular_file(program, ignored)) continue;
    return fail_with_hint(ErrorCode::invalid_argument,
                          fmt::format("{}: there is no program '{}'", name, program.native()),
                          "Name the static bridgehead-init and a static busybox.");
  }
  return {};
}

Result<nodeimage::InitramfsMaker> initramfs_maker(const Options& options, const std::string& role) {
  if (auto good = check_programs(options); !good) return forward(good);
  netboot::InitramfsRequest request;
  request.init = options.init;
  request.busybox = options.busybox;
  request.role = role;
  if (options.keep_tree) request.roots.insert(model::RootTransport::nfs);
  auto nics = netboot::parse_nic_drivers(options.nics);
  if (!nics) return forward(nics);
  request.nics = *nics;
  return [request, given = options.initramfs](const fs::path& tree,
                                              const fs::path& output) mutable -> Result<nodeimage::InitramfsSummary> {
    request.tree = tree;
    const auto report =
        given.empty() ? netboot::build_initramfs(request, output) : netboot::take_initramfs(request, given, output);
    if (!report) return forward(report);
    return nodeimage::InitramfsSummary{report->kernel_version, report->kernel, report->warnings,
                                       netboot::to_json(*report)};
  };
}

// All that the initramfs is made of besides the tree; "" where that can't be read.
std::string initramfs_key(const Options& options, const std::string& role) {
  const auto init = nodeimage::hash_file(options.init);
  const auto busybox = nodeimage::hash_file(options.busybox);
  std::error_code failed;
  const auto maker = nodeimage::hash_file(fs::read_symlink("/proc/self/exe", failed));  // its builder, too
  if (!init || !busybox) return {};
  return fmt::format("{} {} {} {} {} {}", init->sha256, busybox->sha256, maker ? maker->sha256 : BRIDGEHEAD_VERSION,
                     options.nics, role, options.keep_tree);
}

// Next to the output, so that the finished image is put into its place by one rename.
Result<nodeimage::BuilderPaths> paths_for(const Options& options) {
  const fs::path output = fs::absolute(options.output).lexically_normal();
  std::error_code ignored;
  if (fs::exists(output, ignored)) {
    return fail_with_hint(ErrorCode::already_exists, fmt::format("{} exists already", output.native()),
                          "Remove it, or name another directory.");
  }
  return nodeimage::BuilderPaths{output.parent_path() / ".bridgehead-node-image",
                                 options.cache.empty() ? nodeimage::default_cache() : options.cache};
}

int put_in_place(const Options& options, nodeimage::StagedImage staged, Steady::time_point start) {
  const fs::path output = fs::absolute(options.output).lexically_normal();
  std::error_code failed;
  fs::permissions(staged.directory(), fs::perms(0755), failed);
  fs::rename(staged.directory(), output, failed);
  if (failed) return complain({ErrorCode::io_error, fmt::format("{}: {}", output.native(), failed.message()), {}});
  staged.release();
  fs::remove(output.parent_path() / ".bridgehead-node-image", failed);
  show_image(staged.manifest(), output, seconds_since(start), options.json);
  return 0;
}

struct ReadImage {
  nodeimage::Manifest manifest;
  std::vector<nodeimage::TreeEntry> files;
};

Result<ReadImage> read_image(const fs::path& directory) {
  auto manifest = nodeimage::read_manifest(directory / nodeimage::kManifestFile);
  if (!manifest) return forward(manifest);
  const auto list = read_file(directory / nodeimage::kListFile, 256_MiB);
  if (!list) return forward(list);
  auto files = nodeimage::parse_list(*list);
  if (!files) return forward(files);
  return ReadImage{std::move(*manifest), std::move(*files)};
}

}  // namespace

int build(const Options& options, std::stop_token stop) {
  const auto start = Steady::now();
  const bool is_file = options.recipe.ends_with(".toml");
  const auto recipe = is_file ? nodeimage::load_recipe(options.recipe)
                              : nodeimage::find_recipe(options.recipe, options.role, options.recipe_directories);
  if (!recipe) return complain(recipe.error());
  auto maker = initramfs_maker(options, recipe->role);
  if (!maker) return complain(maker.error());
  const auto paths = paths_for(options);
  if (!paths) return complain(paths.error());
  SystemCommandRunner runner;
  nodeimage::ImageBuilder builder(runner, *paths);
  if (auto swept = builder.sweep(); !swept) return complain(swept.error());
  auto staged = builder.build(*recipe,
                              {.debs = options.debs,
                               .keep_tree = options.keep_tree,
                               .refresh = options.refresh,
                               .initramfs = std::move(*maker),
                               .initramfs_key = initramfs_key(options, recipe->role)},
                              progress_line(), std::move(stop));
  if (!staged) return complain(staged.error());
  return put_in_place(options, std::move(*staged), start);
}

int import(const Options& options, std::stop_token stop) {
  const auto start = Steady::now();
  const std::string role = options.role.empty() ? "compute" : options.role;
  auto maker = initramfs_maker(options, role);
  if (!maker) return complain(maker.error());
  const auto paths = paths_for(options);
  if (!paths) return complain(paths.error());
  SystemCommandRunner runner;
  nodeimage::ImageBuilder builder(runner, *paths);
  if (auto swept = builder.sweep(); !swept) return complain(swept.error());
  nodeimage::ImportOptions import_options;
  import_options.role = role;
  import_options.keep_tree = options.keep_tree;
  import_options.expected_sha256 = options.sha256;
  import_options.oci_reference = options.reference;
  import_options.initramfs = std::move(*maker);
  auto staged = builder.import(options.source, import_options, progress_line(), std::move(stop));
  if (!staged) return complain(staged.error());
  return put_in_place(options, std::move(*staged), start);
}

int diff(const Options& options) {
  const auto from = read_image(options.first);
  if (!from) return complain(from.error());
  const auto to = read_image(options.second);
  if (!to) return complain(to.error());
  show_diff(nodeimage::diff_images(from->manifest, from->files, to->manifest, to->files), options.json);
  return 0;
}

int verify(const Options& options, std::stop_token stop) {
  const auto manifest = nodeimage::read_manifest(options.first / nodeimage::kManifestFile);
  if (!manifest) return complain(manifest.error());
  int result = 0;
  for (const auto& [name, digest] : manifest->files) {
    const auto hashed = nodeimage::hash_file(options.first / name, stop);
    if (!hashed) return complain(hashed.error());
    const bool good = hashed->sha256 == digest.sha256;
    fmt::print("{:14} {}\n", name, good ? "good" : "DIFFERS from when it was made");
    if (!good) result = 1;
  }
  return result;
}

int recipes(const Options& options) {
  const auto found = nodeimage::list_recipes(options.recipe_directories);
  if (options.json) {
    auto list = nlohmann::json::array();
    for (const auto& recipe : found) {
      list.push_back({{"name", recipe.name}, {"role", recipe.role}, {"file", recipe.file.native()}});
    }
    fmt::print("{}\n", list.dump(2));
    return 0;
  }
  for (const auto& recipe : found) {
    fmt::print("{:20} {:10} {}\n", recipe.name, recipe.role, recipe.file.empty() ? "built in" : recipe.file.native());
  }
  return 0;
}

}  // namespace bridgehead::node_image
