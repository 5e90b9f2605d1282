#include "provision/image_works.h"

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

// A helper that was killed is back soon; one that isn't there is told of.
constexpr int kAttempts = 3;
constexpr std::chrono::seconds kAttemptPause{5};
constexpr std::chrono::milliseconds kProgressEvery{200};

// The record of what was made; when it was asked for and where it comes from stay.
model::NodeImage finished(const model::NodeImage& asked, model::NodeImage made) {
  made.created = asked.created;
  made.source = asked.source;
  return made;
}

}  // namespace

ImageWorks::ImageWorks(state::Inventory& inventory, boot_services::BootServices& services,
                       reconcile::ProgressBoard& progress, const Clock& clock)
    : inventory_(inventory), services_(services), progress_(progress), clock_(clock) {
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
    if (kind::makes_node_images(open->value.kind)) return open;
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
  std::optional<Error> error;
  std::optional<model::NodeImage> made;
  for (int attempt = 1; attempt <= kAttempts; ++attempt) {
    error.reset();
    if (operation.kind == kind::node_image_delete) {
      if (auto removed = remove(operation, stop); !removed) error = removed.error();
    } else {
      auto result = make(operation, cancelled);
      if (result) made = std::move(*result);
      if (!result) error = result.error();
    }
    if (!error || error->code != ErrorCode::unavailable || cancelled.stop_requested()) break;
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, cancelled, kAttemptPause, [] { return false; });
  }
  const bool given_up = error && cancelled.stop_requested() && !stop.stop_requested();
  if (given_up && operation.kind != kind::node_image_delete) error = give_up(operation, stop);
  if (error && stop.stop_requested()) return;  // begun again at the next start
  if (made) log::info(node_image_made, "{}", made->name);
  if (error) log::warning(node_image_not_made, "{}: {}", operation.target_name, error->describe());
  finish(operation.id, error, made ? &*made : nullptr);
}

Result<model::NodeImage> ImageWorks::make(const model::Operation& operation, const std::stop_token& cancelled) {
  const auto image = inventory_.find<model::NodeImage>(model::NodeImageId(operation.target));
  if (!image) return fail(ErrorCode::not_found, "the image's record is gone");
  const auto& parameters = operation.parameters;
  model::NodeImageOrder order{.id = image->value.id,
                              .base = image->value.base,
                              .version = image->value.version,
                              .role = image->value.role,
                              .nic_drivers = parameters.value("nic_drivers", std::string("servers"))};
  if (operation.kind == kind::node_image_build) {
    order.recipe = parameters.value("recipe", image->value.base);
  } else {
    order.path = parameters.value("path", std::string());
    order.initramfs = parameters.value("initramfs", std::string());
  }
  auto last = clock_.monotonic() - kProgressEvery;
  const auto note = [&](const Progress& progress) {
    if (clock_.monotonic() - last < kProgressEvery) return;
    last = clock_.monotonic();
    progress_.note(operation, progress);
  };
  return services_.make_image(order, note, cancelled);
}

Status ImageWorks::remove(const model::Operation& operation, const std::stop_token& stop) {
  return services_.remove_image(model::NodeImageId(operation.target), stop);
}

// A cancelled image may have been published at the last moment, and its record goes: nothing would remove it then.
// While it can't be removed, the record stays, and so does the way to delete it.
Error ImageWorks::give_up(const model::Operation& operation, const std::stop_token& stop) {
  const auto removed = remove(operation, stop);
  return removed ? Error{ErrorCode::cancelled, "making the node image was cancelled", {}} : removed.error();
}

void ImageWorks::finish(const model::OperationId& id, const std::optional<Error>& error, const model::NodeImage* made) {
  const auto committed = state::change(inventory_, [&](state::Edit& edit) -> Status {
    const auto record = inventory_.find<model::Operation>(id);
    if (!record) return {};
    auto ended = record->value;
    const bool cancelled = error && error->code == ErrorCode::cancelled;
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
