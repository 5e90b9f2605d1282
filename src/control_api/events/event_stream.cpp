#include "control_api/events/event_stream.h"

#include "control_api/json/writer.h"

namespace bridgehead::control_api {
namespace {

constexpr std::size_t kPiece = 64 * 1024;

}  // namespace

std::string format_message(state::Revision id, std::string_view kind, std::string_view json) {
  std::string out;
  if (id != 0) out += fmt::format("id: {}\n", id);
  out += fmt::format("event: {}\ndata: {}\n\n", kind, json);
  return out;
}

std::string to_json_text(const model::Event& event) {
  std::string out = "{\"revision\":";
  append_json_number(out, event.revision);
  out += ",\"time\":";
  append_json_time(out, event.time);
  const std::pair<std::string_view, const std::string*> fields[] = {
      {"kind", &event.kind},       {"object_kind", &event.object_kind},
      {"object", &event.object},   {"object_name", &event.object_name},
      {"message", &event.message}, {"actor", &event.actor}};
  for (const auto& [name, value] : fields) {
    out += fmt::format(",\"{}\":", name);
    append_json_string(out, *value);
  }
  out += '}';
  return out;
}

EventStream::EventStream(std::shared_ptr<http::Exchange> exchange, std::size_t queue, std::function<bool()> allowed)
    : exchange_(std::move(exchange)), limit_(queue), allowed_(std::move(allowed)) {}

void EventStream::begin() {
  exchange_->on_end([weak = weak_from_this()] {
    if (const auto self = weak.lock()) {
      const std::lock_guard lock(self->mutex_);
      self->gone_ = true;
    }
  });
  http::Response head;
  head.with("Content-Type", "text/event-stream").with("Cache-Control", "no-store");
  head.body = ": Bridgehead's events\n\n";
  exchange_->start_stream(std::move(head), http::OnStop::end);
}

void EventStream::send(Message message) {
  std::unique_lock lock(mutex_);
  if (gone_ || ending_) return;
  if (queue_.size() >= limit_) {
    queue_.clear();
    queue_.push_back(std::make_shared<const std::string>(format_message(
        0, "stream.dropped",
        R"({"message":"This client reads too slowly and is dropped. Connect again with Last-Event-ID."})")));
    ending_ = true;
  } else {
    queue_.push_back(std::move(message));
  }
  write_next(lock);
}

void EventStream::send_backlog(std::string messages) {
  std::unique_lock lock(mutex_);
  if (gone_ || ending_ || messages.empty()) return;
  queue_.push_back(std::make_shared<const std::string>(std::move(messages)));
  write_next(lock);
}

void EventStream::heartbeat() {
  std::unique_lock lock(mutex_);
  if (gone_ || ending_ || writing_) return;
  static const Message beat = std::make_shared<const std::string>(": heartbeat\n\n");
  queue_.push_back(beat);
  write_next(lock);
}

void EventStream::end() {
  std::unique_lock lock(mutex_);
  if (gone_ || ending_) return;
  ending_ = true;
  write_next(lock);
}

bool EventStream::gone() const {
  const std::lock_guard lock(mutex_);
  return gone_;
}

// One write at a time; what has queued up meanwhile goes together.
void EventStream::write_next(std::unique_lock<std::mutex>& lock) {
  if (writing_ || gone_) return;
  std::string piece;
  while (!queue_.empty() && (piece.empty() || piece.size() + queue_.front()->size() <= kPiece)) {
    piece += *queue_.front();
    queue_.pop_front();
  }
  if (piece.empty()) {
    if (!ending_) return;
    gone_ = true;
    lock.unlock();
    exchange_->finish();
    return;
  }
  writing_ = true;
  lock.unlock();
  exchange_->write(std::move(piece), [self = shared_from_this()](bool sent) {
    std::unique_lock again(self->mutex_);
    self->writing_ = false;
    if (!sent) self->gone_ = true;
    self->write_next(again);
  });
}

}  // namespace bridgehead::control_api
