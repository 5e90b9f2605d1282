#include "control_api/events/event_hub.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "control_api/views.h"

namespace bridgehead::control_api {
namespace {

using SteadyClock = std::chrono::steady_clock;

// What a resuming client may have missed and still gets; beyond it, it reads GET /events.
constexpr std::size_t kLongestBacklog = 10'000;
// Commits come in bursts; a pass for each would only burn time.
constexpr auto kBetweenPasses = std::chrono::milliseconds(5);

// Only the last event of a revision carries the id: whoever resumes from it has seen the whole revision.
std::string format_events(const std::vector<model::Event>& events) {
  std::string out;
  for (std::size_t i = 0; i < events.size(); ++i) {
    const bool last = i + 1 == events.size() || events[i + 1].revision != events[i].revision;
    out += format_message(last ? events[i].revision : 0, events[i].kind, to_json_text(events[i]));
  }
  return out;
}

}  // namespace

model::Operation with_progress(model::Operation operation, const reconcile::ProgressBoard& progress) {
  if (operation.terminal()) return operation;
  if (auto newest = progress.of(operation.id)) operation.progress = std::move(*newest);
  return operation;
}

EventHub::EventHub(state::Inventory& inventory, reconcile::ProgressBoard& progress, Options options)
    : inventory_(inventory), progress_(progress), options_(options) {}

EventHub::~EventHub() { stop(); }

void EventHub::start() {
  operations_seen_ = inventory_.revision();
  next_beat_ = SteadyClock::now() + options_.heartbeat;
  watch_ = inventory_.listen([this](state::Revision revision, const std::vector<model::Event>& events) {
    const std::lock_guard lock(mutex_);
    if (stream_count_ > 0 && !events.empty()) inbox_.commits.emplace_back(revision, events);
    inbox_.changed = true;
    wake_.notify_one();
  });
  progress_watch_ = progress_.listen([this](const model::Operation& operation) {
    const std::lock_guard lock(mutex_);
    inbox_.progress.insert_or_assign(operation.id, operation);
    inbox_.changed = true;
    wake_.notify_one();
  });
  thread_ = std::thread([this] { run(); });
}

void EventHub::stop() {
  watch_.reset();
  progress_watch_.reset();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    wake_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

std::size_t EventHub::streams() const {
  const std::lock_guard lock(mutex_);
  return stream_count_;
}

void EventHub::subscribe(std::shared_ptr<http::Exchange> exchange, std::optional<state::Revision> since,
                         std::function<bool()> allowed) {
  // Taken before the client sees the answer: whatever it does after that, it will see here.
  const auto begin = since.value_or(inventory_.revision());
  auto stream = std::make_shared<EventStream>(std::move(exchange), options_.queue, std::move(allowed));
  stream->begin();
  std::unique_lock lock(mutex_);
  if (stopping_) {
    lock.unlock();
    stream->end();
    return;
  }
  ++stream_count_;  // from here on the listener keeps events
  inbox_.newcomers.push_back({std::move(stream), begin});
  inbox_.changed = true;
  wake_.notify_one();
}

void EventHub::wait_for(const model::OperationId& operation, SteadyClock::time_point deadline, Enough enough,
                        Done done) {
  std::unique_lock lock(mutex_);
  if (stopping_) deadline = {};
  inbox_.waiters.push_back({operation, deadline, std::move(enough), std::move(done)});
  inbox_.changed = true;
  wake_.notify_one();
  if (!stopping_) return;
  // The thread may have ended already: answered here.
  Inbox late = std::exchange(inbox_, {});
  lock.unlock();
  for (auto& waiter : late.waiters) {
    const auto record = inventory_.find<model::Operation>(waiter.operation);
    waiter.done(record ? std::optional(with_progress(record->value, progress_)) : std::nullopt);
  }
}

void EventHub::run() {
  for (;;) {
    Inbox inbox;
    {
      auto until = next_beat_;
      for (const auto& waiter : waiters_) until = std::min(until, waiter.deadline);
      std::unique_lock lock(mutex_);
      wake_.wait_until(lock, until, [this] { return inbox_.changed || stopping_; });
      if (stopping_) break;  // who has just come is answered below, with the others
      inbox = std::exchange(inbox_, {});
      stream_count_ = streams_.size() + inbox.newcomers.size();
    }
    pass(std::move(inbox));
    std::unique_lock lock(mutex_);
    stream_count_ = streams_.size() + inbox_.newcomers.size();
    wake_.wait_for(lock, kBetweenPasses, [this] { return stopping_; });
  }
  for (auto& stream : streams_) stream->end();
  streams_.clear();
  std::vector<Waiter> rest = std::move(waiters_);
  {
    const std::lock_guard lock(mutex_);
    for (auto& newcomer : inbox_.newcomers) newcomer.stream->end();
    for (auto& waiter : inbox_.waiters) rest.push_back(std::move(waiter));
    inbox_ = {};
    stream_count_ = 0;
  }
  for (auto& waiter : rest) {
    const auto record = inventory_.find<model::Operation>(waiter.operation);
    waiter.done(record ? std::optional(with_progress(record->value, progress_)) : std::nullopt);
  }
}

void EventHub::pass(Inbox inbox) {
  std::erase_if(streams_, [](const auto& stream) { return stream->gone(); });
  for (auto& waiter : inbox.waiters) waiters_.push_back(std::move(waiter));
  // Newcomers first: what the backlog covers is left out of the commits that follow.
  for (const auto& newcomer : inbox.newcomers) welcome(newcomer);
  if (!streams_.empty()) {
    send_events(inbox);
    send_operations(inbox);
  }
  check_waiters(inbox.changed);
  if (SteadyClock::now() >= next_beat_) beat();
}

void EventHub::welcome(const Newcomer& newcomer) {
  if (streams_.empty()) {
    // Nobody listened until now: what is open is known without having been sent.
    open_.clear();
    for (const auto& record : inventory_.open_operations()) open_.insert(record->value.id);
    operations_seen_ = inventory_.revision();
  }
  // What it began itself meanwhile, after its request was answered, it gets to see (the others once more).
  operations_seen_ = std::min(operations_seen_, newcomer.since);
  auto& stream = *newcomer.stream;
  stream.sent_up_to = newcomer.since;
  auto missed = inventory_.events_since(newcomer.since, std::numeric_limits<std::size_t>::max());
  if (missed.size() > kLongestBacklog) {
    missed.erase(missed.begin(), missed.end() - static_cast<std::ptrdiff_t>(kLongestBacklog));
    stream.send_backlog(format_message(
        0, "stream.gap", R"({"message":"More was missed than is sent again. Read GET /events for the rest."})"));
  }
  if (!missed.empty()) stream.sent_up_to = missed.back().revision;
  stream.send_backlog(format_events(missed));
  streams_.push_back(newcomer.stream);
}

void EventHub::send_events(const Inbox& inbox) {
  for (const auto& [revision, events] : inbox.commits) {
    const auto message = std::make_shared<const std::string>(format_events(events));
    for (const auto& stream : streams_) {
      if (revision > stream->sent_up_to) stream->send(message);
    }
  }
}

// Operations whose record or progress has changed, and those that have ended since.
void EventHub::send_operations(const Inbox& inbox) {
  const auto up_to = inventory_.revision();
  std::set<model::OperationId> open;
  for (const auto& record : inventory_.open_operations()) {
    open.insert(record->value.id);
    if (record->revision > operations_seen_ || inbox.progress.contains(record->value.id)) {
      send_operation(with_progress(record->value, progress_));
    }
    open_.erase(record->value.id);
  }
  for (const auto& ended : open_) {
    if (const auto record = inventory_.find<model::Operation>(ended)) send_operation(record->value);
  }
  open_ = std::move(open);
  operations_seen_ = up_to;
}

void EventHub::send_operation(const model::Operation& operation) {
  const auto message =
      std::make_shared<const std::string>(format_message(0, "operation.progress", dump(view_of(operation))));
  for (const auto& stream : streams_) stream->send(message);
}

void EventHub::check_waiters(bool changed) {
  const auto now = SteadyClock::now();
  for (std::size_t i = 0; i < waiters_.size();) {
    if (!changed && waiters_[i].deadline > now) {
      ++i;
      continue;
    }
    const auto record = inventory_.find<model::Operation>(waiters_[i].operation);
    std::optional<model::Operation> current;
    if (record) current = with_progress(record->value, progress_);
    if (current && waiters_[i].deadline > now && !waiters_[i].enough(*current)) {
      ++i;
      continue;
    }
    const Done done = std::move(waiters_[i].done);
    waiters_.erase(waiters_.begin() + static_cast<std::ptrdiff_t>(i));
    done(std::move(current));
  }
}

void EventHub::beat() {
  next_beat_ = SteadyClock::now() + options_.heartbeat;
  for (const auto& stream : streams_) {
    if (stream->allowed()) {
      stream->heartbeat();
    } else {
      stream->end();
    }
  }
}

}  // namespace bridgehead::control_api
