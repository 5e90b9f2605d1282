#include "boot_services/image_workshop.h"

#include "base/ids.h"
#include "boot_services/messages.h"
#include "netboot/boot_values.h"
#include "netboot/initramfs/initramfs.h"
#include "nodeimage/recipe.h"

namespace bridgehead::boot_services {
namespace {

constexpr std::chrono::milliseconds kLookAtStop{100};

// Part of file names.
Status check_word(std::string_view what, const std::string& text) {
  if (nodeimage::is_name_part(text)) return {};
  return fail(ErrorCode::invalid_argument, "'{}' is no {}: a-z, 0-9, '.' and '-', at most 63", netboot::printable(text),
              what);
}

Status check_order(const model::NodeImageOrder& order) {
  if (!is_uuid(order.id.str())) {
    return fail(ErrorCode::invalid_argument, "'{}' is not a node image's id", netboot::printable(order.id.str()));
  }
  if (auto good = check_word("name for node images", order.base); !good) return good;
  if (auto good = check_word("role", order.role); !good) return good;
  if (order.version == 0) return fail(ErrorCode::invalid_argument, "versions of node images begin at 1");
  if (order.recipe.empty() == order.path.empty()) {
    return fail(ErrorCode::invalid_argument, "a node image is made either by a recipe or of a path");
  }
  if (auto drivers = netboot::parse_nic_drivers(order.nic_drivers); !drivers) return forward(drivers);
  return order.recipe.empty() ? Status() : check_word("recipe", order.recipe);
}

bool lies_below(const std::filesystem::path& path, const std::filesystem::path& directory) {
  return std::mismatch(directory.begin(), directory.end(), path.begin(), path.end()).first == directory.end();
}

template <typename Change>
std::string line_of(const Change& change);

template <>
std::string line_of(const nodeimage::PackageChange& change) {
  if (change.from.empty()) return fmt::format("+ {} {}", change.name, change.to);
  if (change.to.empty()) return fmt::format("- {} {}", change.name, change.from);
  return fmt::format("~ {} {} -> {}", change.name, change.from, change.to);
}

template <>
std::string line_of(const nodeimage::FileChange& change) {
  using Kind = nodeimage::FileChange::Kind;
  return fmt::format("{} {}", change.kind == Kind::added ? '+' : change.kind == Kind::removed ? '-' : '~', change.path);
}

}  // namespace

ImageWorkshop::ImageWorkshop(nodeimage::ImageStore& images, CommandRunner& runner, ImageTools tools)
    : images_(images),
      tools_(std::move(tools)),
      builder_(runner, {.work = images.temporary(), .cache = nodeimage::default_cache()}) {
  if (auto swept = builder_.sweep(); !swept) log::warning(node_images_not_swept, "{}", swept.error().describe());
}

Result<model::NodeImage> ImageWorkshop::make(const model::NodeImageOrder& order, const ProgressSink& progress,
                                             std::stop_token stop) {
  if (auto good = check_order(order); !good) return forward(good);
  std::unique_lock making(making_, std::defer_lock);
  while (!making.try_lock_for(kLookAtStop)) {
    if (stop.stop_requested()) return fail(ErrorCode::cancelled, "making the node image was cancelled");
  }
  // Made before, but whoever asked died before he heard of it.
  if (const auto there = images_.get(order.id)) return nodeimage::to_model(*there);
  if (auto good = check_tools(order); !good) return forward(good);
  auto staged = order.recipe.empty() ? import(order, progress, stop) : build(order, progress, stop);
  if (!staged) return forward(staged);
  const auto published = images_.publish(std::move(*staged), order.id, order.base, order.version);
  if (!published) return forward(published);
  return nodeimage::to_model(*published);
}

// What an initramfs of ours is made of; one that the tree brings needs neither.
Status ImageWorkshop::check_tools(const model::NodeImageOrder& order) const {
  if (!order.initramfs.empty()) return {};
  for (const auto& tool : {tools_.init, tools_.busybox}) {
    if (std::filesystem::exists(tool)) continue;
    return fail_with_hint(
        ErrorCode::failed_precondition, fmt::format("{} isn't there", tool.string()),
        "Install it (busybox-static, bridgehead-netboot), or name it in manager.toml: [netboot] init, busybox.");
  }
  return {};
}

Result<nodeimage::StagedImage> ImageWorkshop::build(const model::NodeImageOrder& order, const ProgressSink& progress,
                                                    std::stop_token stop) {
  const auto recipe = nodeimage::find_recipe(order.recipe, order.role, {tools_.recipes});
  if (!recipe) return forward(recipe);
  if (!std::filesystem::exists(tools_.agent_package)) {
    return fail_with_hint(ErrorCode::failed_precondition, "there is no package of the agent to put into the image",
                          "It comes with the package bridgehead-netboot and with tools/quickstart; or name one in "
                          "manager.toml: [netboot] agent_package.");
  }
  nodeimage::MakeOptions options{.keep_tree = tools_.keep_trees, .initramfs = initramfs_maker(order)};
  options.debs.push_back(tools_.agent_package);
  return builder_.build(*recipe, options, progress, std::move(stop));
}

Result<nodeimage::StagedImage> ImageWorkshop::import(const model::NodeImageOrder& order, const ProgressSink& progress,
                                                     std::stop_token stop) {
  const auto source = allowed_source(order.path);
  if (!source) return forward(source);
  nodeimage::ImportOptions options{.role = order.role, .keep_tree = tools_.keep_trees};
  options.initramfs = initramfs_maker(order);
  return builder_.import(*source, options, progress, std::move(stop));
}

Result<std::filesystem::path> ImageWorkshop::allowed_source(const std::string& path) const {
  std::error_code missing;
  const auto source = std::filesystem::canonical(path, missing);
  std::string allowed;
  for (const auto& directory : tools_.import_directories) {
    allowed += (allowed.empty() ? "" : ", ") + directory.string();
    std::error_code failed;
    const auto real = std::filesystem::canonical(directory, failed);
    if (!missing && !failed && lies_below(source, real)) return source;
  }
  // Where it lies outside, not even whether it is there is told.
  return fail_with_hint(
      ErrorCode::permission_denied,
      fmt::format("'{}' isn't there, or not below a directory that node images may be imported from ({})",
                  netboot::printable(path), allowed),
      "Copy it there on the manager's machine, or add a directory in manager.toml: [netboot] import_directories.");
}

nodeimage::InitramfsMaker ImageWorkshop::initramfs_maker(const model::NodeImageOrder& order) const {
  return [this, order](const std::filesystem::path& tree,
                       const std::filesystem::path& output) -> Result<nodeimage::InitramfsSummary> {
    auto nics = netboot::parse_nic_drivers(order.nic_drivers);
    if (!nics) return forward(nics);
    netboot::InitramfsRequest request;
    request.nics = std::move(*nics);
    request.tree = tree;
    request.init = tools_.init;
    request.busybox = tools_.busybox;
    request.roots = {model::RootTransport::nbd, model::RootTransport::ram, model::RootTransport::nfs};
    request.vlan = true;
    request.bond = true;
    request.role = order.role;
    const auto& given = order.initramfs;
    const auto report =
        given.empty() ? netboot::build_initramfs(request, output) : netboot::take_initramfs(request, given, output);
    if (!report) return forward(report);
    return nodeimage::InitramfsSummary{.kernel_version = report->kernel_version,
                                       .kernel = report->kernel,
                                       .warnings = report->warnings,
                                       .report = netboot::to_json(*report)};
  };
}

Status ImageWorkshop::remove(const model::NodeImageId& id) {
  const std::lock_guard making(making_);  // one that was cancelled may just be published
  if (auto removed = images_.remove(id); !removed) return removed;
  const auto freed = images_.gc();
  return freed ? Status() : forward(freed);
}

Result<model::NodeImageDifference> ImageWorkshop::compare(const model::NodeImageComparison& comparison) const {
  const auto diff = images_.diff(comparison.from, comparison.to);
  if (!diff) return forward(diff);
  model::NodeImageDifference result;
  for (const auto& change : diff->packages) result.packages.push_back(line_of(change));
  for (const auto& change : diff->files) result.files.push_back(line_of(change));
  return result;
}

}  // namespace bridgehead::boot_services
