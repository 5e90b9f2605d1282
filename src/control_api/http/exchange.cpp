#include "control_api/http/exchange.h"

namespace bridgehead::control_api::http {

void refuse(Command& command) {
  if (command.body) command.body(fail(ErrorCode::io_error, "the client has gone away"));
  if (command.written) command.written(false);
}

void Exchange::submit(Command command) {
  {
    const std::lock_guard lock(mutex_);
    if (sink_ != nullptr) {
      sink_->submit(std::move(command));
      return;
    }
  }
  refuse(command);
}

void Exchange::read_body(std::size_t limit, BodyHandler done) {
  submit({.kind = Command::Kind::read_body, .limit = limit, .body = std::move(done)});
}

void Exchange::read_piece(BodyHandler done) { submit({.kind = Command::Kind::read_piece, .body = std::move(done)}); }

void Exchange::respond(Response response) {
  status_ = response.status;
  submit({.kind = Command::Kind::respond, .response = std::move(response)});
}

void Exchange::start_stream(Response head, OnStop on_stop) {
  status_ = head.status;
  submit({.kind = Command::Kind::start_stream, .response = std::move(head), .on_stop = on_stop});
}

void Exchange::write(std::string bytes, Written written) {
  submit({.kind = Command::Kind::write, .bytes = std::move(bytes), .written = std::move(written)});
}

void Exchange::finish() { submit({.kind = Command::Kind::finish}); }

void Exchange::abort() { submit({.kind = Command::Kind::abort}); }

void Exchange::accept_websocket(WebSocketHandlers handlers) {
  status_ = 101;
  submit({.kind = Command::Kind::accept_websocket, .handlers = std::move(handlers)});
}

void Exchange::want_message() { submit({.kind = Command::Kind::next_message}); }

void Exchange::send_message(std::string bytes, bool text, Written written) {
  submit({.kind = Command::Kind::send_message, .bytes = std::move(bytes), .text = text, .written = std::move(written)});
}

void Exchange::close_websocket(std::uint16_t code, std::string_view reason) {
  // RFC 6455, 5.5: a control frame holds at most 125 bytes, two of them the code; cut at a character's border.
  std::size_t length = std::min<std::size_t>(reason.size(), 123);
  while (length > 0 && !is_valid_utf8(reason.substr(0, length))) --length;
  submit({.kind = Command::Kind::close_websocket, .bytes = std::string(reason.substr(0, length)), .code = code});
}

void Exchange::on_end(std::function<void()> handler) {
  {
    const std::lock_guard lock(mutex_);
    if (sink_ != nullptr) {
      on_end_.push_back(std::move(handler));
      return;
    }
  }
  handler();
}

void Exchange::detach() {
  std::vector<std::function<void()>> handlers;
  {
    const std::lock_guard lock(mutex_);
    if (sink_ == nullptr) return;
    sink_ = nullptr;
    handlers = std::move(on_end_);
  }
  for (const auto& handler : handlers) handler();
}

}  // namespace bridgehead::control_api::http
