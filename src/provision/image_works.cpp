#include "provision/image_works.h"

#include "nodeimage/recipe.h"
#include "provision/messages.h"

namespace bridgehead::provision {
namespace {

namespace kind = model::operation_kind;

model::Event event_of(const model::Operation& operation, std::string what, std::string message) {
  return {.kind = std::move(what),
          .object_kind = "operation",
          .object = operation.id.str(),
          .object_name = operation.target_name,
          .message = std::move(message),
          .actor = operation.created_by};
}

// The record of what was made; when it was asked for and where it comes from stay.
model::NodeImage finished(const model::NodeImage& asked, const nodeimage::Manifest& manifest) {
  auto image = nodeimage::to_model(manifest);
  image.created = asked.created;
  image.source = asked.source;
  return image;
}

}  // namespace

ImageWorks::ImageWorks(state::Inventory& inventory, nodeimage::ImageStore& store, reconcile::ProgressBoard& progress,
                       CommandRunner& runner, const Clock& clock, ImageTools tools)
    : inventory_(inventory),
      store_(store),
      progress_(progress),
      runner_(runner),
      clock_(clock),
      tools_(std::move(tools)),
      builder_(runner, {.work = store.temporary(), .cache = nodeimage::default_cache()}) {
  if (auto swept = builder_.sweep(); !swept) log::warning(node_image_not_made, "{}", swept.error().describe());
  watch_ = inventory_.listen([this](state::Revision, const std::vector<model::Event>& events) {
    const bool ours =
        std::any_of(events.begin(), events.end(), [](const auto& e) { return e.object_kind == "operation"; });
    if (!ours) return;
    const std::lock_guard lock(mutex_);
    look_ = true;
    if (const auto record = inventory_.find<model::Operation>(running_); record && record->value.cancel_requested) {
      cancel_.request_stop();
    }
    wake_.notify_all();
  });
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

ImageWorks::~ImageWorks() {
  watch_.reset();
  thread_.request_stop();
  const std::lock_guard lock(mutex_);
  cancel_.request_stop();
}

state::Record<model::Operation> ImageWorks::next() const {
  for (const auto& open : inventory_.open_operations()) {
    if (kind::is_managers_own(open->value.kind)) return open;
  }
  return nullptr;
}

void ImageWorks::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, stop, [this] { return look_; });
      look_ = false;
    }
    while (!stop.stop_requested()) {
      const auto operation = next();
      if (!operation) break;
      carry_out(operation, stop);
      const auto after = inventory_.find<model::Operation>(operation->value.id);
      if (!after || after->value.terminal()) continue;
      // The store failed (a full disk): not at once again.
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, stop, std::chrono::seconds(5), [] { return false; });
    }
  }
}

Status ImageWorks::begin(const state::Record<model::Operation>& operation) {
  if (operation->value.state == model::OperationState::running) return {};  // of the manager before
  const auto committed = state::change(inventory_, [&](state::Edit& edit) -> Status {
    const auto record = inventory_.find<model::Operation>(operation->value.id);
    if (!record) return fail(ErrorCode::not_found, "the operation is gone");
    auto running = record->value;
    running.state = model::OperationState::running;
    running.started = clock_.now();
    edit.update(record, running);
    edit.event(
        event_of(running, "operation.started", fmt::format("{} of '{}' has begun", running.kind, running.target_name)));
    return {};
  });
  return committed ? Status() : forward(committed);
}

void ImageWorks::carry_out(const state::Record<model::Operation>& record, const std::stop_token& stop) {
  const auto& operation = record->value;
  std::stop_token cancelled;
  {
    const std::lock_guard lock(mutex_);
    running_ = operation.id;
    cancel_ = std::stop_source();
    if (operation.cancel_requested || stop.stop_requested()) cancel_.request_stop();
    cancelled = cancel_.get_token();
  }
  if (auto begun = begin(record); !begun) return finish(operation.id, begun.error(), nullptr);
  if (operation.kind == kind::node_image_delete) return remove(operation);
  const auto image = inventory_.find<model::NodeImage>(model::NodeImageId(operation.target));
  if (!image) return finish(operation.id, Error{ErrorCode::not_found, "the image's record is gone", {}}, nullptr);
  // Killed between the publication and our record of it: it is done.
  auto made = store_.get(image->value.id);
  if (!made) {
    auto last = clock_.monotonic() - std::chrono::seconds(1);
    made = make(
        operation, image->value,
        [&, last](const Progress& progress) mutable {
          if (clock_.monotonic() - last < std::chrono::milliseconds(200)) return;
          last = clock_.monotonic();
          progress_.note(operation, progress);
        },
        cancelled);
  }
  if (!made && stop.stop_requested()) return;  // begun again at the next start
  if (made) {
    log::info(node_image_made, "{}", image->value.name);
  } else {
    log::warning(node_image_not_made, "{}: {}", image->value.name, made.error().describe());
  }
  finish(operation.id, made ? std::nullopt : std::optional(made.error()), made ? &*made : nullptr);
}

// `given`: a file of the tree to take instead of making one; "" = ours.
nodeimage::InitramfsMaker ImageWorks::initramfs_maker(const std::string& role, const netboot::NicDrivers& nics,
                                                      const std::string& given) const {
  return [this, role, nics, given](const std::filesystem::path& tree,
                                   const std::filesystem::path& output) -> Result<nodeimage::InitramfsSummary> {
    netboot::InitramfsRequest request;
    request.tree = tree;
    request.init = tools_.init;
    request.busybox = tools_.busybox;
    request.roots = {model::RootTransport::nbd, model::RootTransport::ram, model::RootTransport::nfs};
    request.vlan = true;
    request.bond = true;
    request.role = role;
    request.nics = nics;
    const auto report =
        given.empty() ? netboot::build_initramfs(request, output) : netboot::take_initramfs(request, given, output);
    if (!report) return forward(report);
    return nodeimage::InitramfsSummary{.kernel_version = report->kernel_version,
                                       .kernel = report->kernel,
                                       .warnings = report->warnings,
                                       .report = netboot::to_json(*report)};
  };
}

Result<nodeimage::Manifest> ImageWorks::make(const model::Operation& operation, const model::NodeImage& image,
                                             const ProgressSink& progress, const std::stop_token& stop) {
  for (const auto& tool : {tools_.init, tools_.busybox}) {
    if (!std::filesystem::exists(tool)) {
      return fail_with_hint(
          ErrorCode::failed_precondition, fmt::format("{} isn't there", tool.string()),
          "Install them (busybox-static, bridgehead-manager), or name them in manager.toml: [netboot] init, busybox.");
    }
  }
  const auto nics = netboot::parse_nic_drivers(operation.parameters.value("nic_drivers", "servers"));
  if (!nics) return forward(nics);
  Result<nodeimage::StagedImage> staged = fail(ErrorCode::internal, "nothing was made");
  if (operation.kind == kind::node_image_build) {
    auto recipe = nodeimage::find_recipe(operation.parameters.value("recipe", image.base), image.role, tools_.recipes);
    if (!recipe) return forward(recipe);
    nodeimage::MakeOptions options{.keep_tree = tools_.keep_trees, .initramfs = initramfs_maker(image.role, *nics)};
    if (!std::filesystem::exists(tools_.agent_package)) {
      return fail_with_hint(ErrorCode::failed_precondition, "there is no package of the agent to put into the image",
                            "Name it in manager.toml: [netboot] agent_package.");
    }
    options.debs.push_back(tools_.agent_package);
    staged = builder_.build(*recipe, options, progress, stop);
  } else {
    nodeimage::ImportOptions options{.role = image.role, .keep_tree = tools_.keep_trees};
    options.initramfs = initramfs_maker(image.role, *nics, operation.parameters.value("initramfs", std::string()));
    staged = builder_.import(operation.parameters.value("path", std::string()), options, progress, stop);
  }
  if (!staged) return forward(staged);
  return store_.publish(std::move(*staged), image.id, image.base, image.version);
}

void ImageWorks::remove(const model::Operation& operation) {
  auto removed = store_.remove(model::NodeImageId(operation.target));
  if (removed) {
    if (const auto freed = store_.gc(); !freed) removed = forward(freed);
  }
  finish(operation.id, removed ? std::nullopt : std::optional(removed.error()), nullptr);
}

void ImageWorks::finish(const model::OperationId& id, const std::optional<Error>& error,
                        const nodeimage::Manifest* made) {
  const auto committed = state::change(inventory_, [&](state::Edit& edit) -> Status {
    const auto record = inventory_.find<model::Operation>(id);
    if (!record) return {};
    auto ended = record->value;
    const bool cancelled = error && (error->code == ErrorCode::cancelled || ended.cancel_requested);
    ended.state = !error      ? model::OperationState::succeeded
                  : cancelled ? model::OperationState::cancelled
                              : model::OperationState::failed;
    ended.error = error;
    ended.finished = clock_.now();
    edit.update(record, ended);
    if (const auto image = inventory_.find<model::NodeImage>(model::NodeImageId(ended.target))) {
      auto now = image->value;
      if (made != nullptr) now = finished(now, *made);
      if (ended.kind == kind::node_image_delete ? !error : cancelled) {
        edit.remove(image);
      } else {
        if (error) now.state = model::NodeImageState::failed;
        if (error) now.message = error->message;
        edit.update(image, now);
      }
    }
    edit.event(event_of(ended, "operation.finished",
                        fmt::format("{} of '{}' {}{}", ended.kind, ended.target_name,
                                    error ? (cancelled ? "was cancelled" : "failed: ") : "succeeded",
                                    error && !cancelled ? error->message : "")));
    return {};
  });
  if (!committed) log::error(node_image_not_made, "{}: {}", id, committed.error().describe());
  progress_.forget(id);
}

}  // namespace bridgehead::provision
