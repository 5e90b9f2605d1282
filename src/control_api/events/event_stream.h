// EventStream: one client's stream of server-sent events (WHATWG HTML, "Server-sent events"): a bounded queue between
// the hub and the connection. Thread-safe; never blocks.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "control_api/http/exchange.h"
#include "model/event.h"
#include "state/state_store.h"

namespace bridgehead::control_api {

using Message = std::shared_ptr<const std::string>;

// "id: ..\nevent: ..\ndata: ..\n\n"; id 0 = none. `json` has no line breaks.
std::string format_message(state::Revision id, std::string_view kind, std::string_view json);
std::string to_json_text(const model::Event& event);

class EventStream : public std::enable_shared_from_this<EventStream> {
 public:
  EventStream(std::shared_ptr<http::Exchange> exchange, std::size_t queue, std::function<bool()> allowed);

  // Sends the head of the answer.
  void begin();
  // Drops the client when it is too far behind.
  void send(Message message);
  // Without regard to the bound: what a resuming client has missed.
  void send_backlog(std::string messages);
  // When nothing waits to be sent.
  void heartbeat();
  void end();

  bool gone() const;
  bool allowed() const { return allowed_(); }

  // The newest revision that the backlog covered; the hub's alone.
  state::Revision sent_up_to = 0;

 private:
  void write_next(std::unique_lock<std::mutex>& lock);

  const std::shared_ptr<http::Exchange> exchange_;
  const std::size_t limit_;
  const std::function<bool()> allowed_;
  mutable std::mutex mutex_;
  std::deque<Message> queue_;
  bool writing_ = false;
  bool ending_ = false;
  bool gone_ = false;
};

}  // namespace bridgehead::control_api
