// Exchange: one request and its answer, as the application sees it. The application says what to do next; the
// connection does it on its own I/O thread. All functions may be called from any thread at any time: once the
// connection is gone they do nothing but tell their callbacks so. Callbacks come from the connection's I/O thread (or,
// when it is gone, from the caller's) and must not block.
// Of respond(), start_stream() and accept_websocket() exactly one must be called, once.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/result.h"
#include "control_api/http/message.h"

namespace bridgehead::control_api::http {

struct WebSocketHandlers {
  std::function<void()> opened;
  // The next message is read once `next` has been called: whoever takes them slowly slows the client down.
  std::function<void(std::string bytes, bool text, std::function<void()> next)> message;
};

// What to do with a stream that is open when the server stops: `end` where the client can resume (events), `cut` where
// an early end would look like the whole (exports).
enum class OnStop { end, cut };

// What an exchange asks of its connection.
struct Command {
  enum class Kind {
    read_body,
    read_piece,
    respond,
    start_stream,
    write,
    finish,
    abort,
    accept_websocket,
    next_message,
    send_message,
    close_websocket
  };
  Kind kind = Kind::abort;
  std::size_t limit = 0;
  std::function<void(Result<std::string>)> body;
  Response response;
  OnStop on_stop = OnStop::cut;
  std::string bytes;
  bool text = false;
  std::uint16_t code = 0;
  std::function<void(bool)> written;
  WebSocketHandlers handlers;
};

// Tells the callbacks of a command that it won't be carried out.
void refuse(Command& command);

// The side that carries commands out; implemented by the connection.
class CommandSink {
 public:
  virtual ~CommandSink() = default;
  virtual void submit(Command command) = 0;  // from any thread; calls nothing back before it returns
};

class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  Exchange(Request request, CommandSink& sink) : request_(std::move(request)), sink_(&sink) {}

  const Request& request() const { return request_; }

  // The whole body. resource_exhausted when it is larger than `limit`, io_error when the client goes away.
  using BodyHandler = std::function<void(Result<std::string>)>;
  void read_body(std::size_t limit, BodyHandler done);
  // The next piece of it, 256 KiB but for the last; empty = the end. Nothing is read ahead.
  void read_piece(BodyHandler done);

  void respond(Response response);

  // `head.body` is sent first. `written(false)`: the client is gone, or the server stops.
  using Written = std::function<void(bool)>;
  void start_stream(Response head, OnStop on_stop);
  void write(std::string bytes, Written written = {});
  void finish();  // after what was written
  void abort();   // cuts the connection, so that the client can't take this for the end

  void accept_websocket(WebSocketHandlers handlers);
  void want_message();
  void send_message(std::string bytes, bool text, Written written = {});
  void close_websocket(std::uint16_t code, std::string_view reason);

  // Called once when the answer has ended or the connection is gone; at once if it already has. Several may be set.
  void on_end(std::function<void()> handler);
  // Of the answer; 0 = none yet, 101 = a WebSocket.
  unsigned status() const { return status_; }

  // For the connection: from here on nothing reaches it.
  void detach();

 private:
  void submit(Command command);

  const Request request_;
  std::mutex mutex_;
  CommandSink* sink_;
  std::vector<std::function<void()>> on_end_;
  std::atomic<unsigned> status_ = 0;
};

// Who answers. `handle` is called on an I/O thread once the head is here and must not block.
class Application {
 public:
  virtual ~Application() = default;
  virtual void handle(std::shared_ptr<Exchange> exchange) = 0;
  // For what isn't even a request: an answer in the application's own form.
  virtual Response bad_request(unsigned status, std::string_view message) = 0;
};

}  // namespace bridgehead::control_api::http
