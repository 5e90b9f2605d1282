// One client's connection: reads requests, sends answers. A state machine over a non-blocking socket; used by one
// thread at a time. Holds at most one request and one answer.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/fd.h"
#include "netboot/boot_server.h"
#include "netboot/boot_traffic.h"
#include "netboot/http_head.h"

namespace bridgehead::netboot {

// An answer as the site gave it, with its file opened.
struct BootReply {
  int status = 200;
  std::string content_type;
  std::string body;
  UniqueFd file;
  std::uint64_t file_size = 0;
  std::string etag;
  bool begins_boot = false;
};

// Opens the answer's file. Blocks as disks do.
BootReply prepare_reply(BootAnswer answer);

class BootConnection {
 public:
  enum class Want { read, write, nothing, close };

  // `sent` counts bytes of bodies, of all connections.
  BootConnection(UniqueFd socket, std::shared_ptr<AddressTraffic> traffic, const BootServerOptions& options,
                 std::atomic<std::uint64_t>& sent);

  int fd() const { return socket_.get(); }
  AddressTraffic& traffic() { return *traffic_; }

  Want readable();
  Want writable();
  // After `nothing`: the request to answer; the caller calls reply() with what comes of it.
  std::optional<BootRequest> take_request();
  Want reply(BootReply reply);
  // Its time is up: an answer if one fits (408), or close.
  Want expired();
  Monotonic deadline() const { return deadline_; }

 private:
  enum class State { reading, answering, sending, draining };

  Want parse();
  Want parse_head();
  Want refuse(int status, const std::string& why);
  Want send_some();
  Want sent_all();
  bool send_head(bool more);
  bool send_body(std::size_t& budget);
  bool send_file(std::size_t& budget);
  Want drain();
  void wait_at_most(std::chrono::milliseconds time) { deadline_ = std::chrono::steady_clock::now() + time; }

  const BootServerOptions& options_;
  UniqueFd socket_;
  std::shared_ptr<AddressTraffic> traffic_;
  std::atomic<std::uint64_t>& all_sent_;
  State state_ = State::reading;
  Monotonic deadline_;
  bool broken_ = false;

  std::string in_;
  std::optional<RequestHead> head_;  // parsed; the body may be missing yet
  std::optional<BootRequest> request_;
  bool close_after_ = false;

  std::string out_;  // head, or an interim answer
  std::size_t out_at_ = 0;
  BootReply reply_;
  std::size_t body_at_ = 0;
  std::size_t body_end_ = 0;  // of reply_.body
  off_t file_at_ = 0;
  std::uint64_t file_left_ = 0;
};

}  // namespace bridgehead::netboot
