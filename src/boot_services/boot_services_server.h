// BootServicesServer: lets other processes use BootServices through a Unix socket (frame_stream.h). The socket lies in
// a directory that only root and one group enter; who calls is asked of the kernel. One thread for each connection, few
// of them. Thread-safe.
#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "base/fd.h"
#include "boot_services/boot_services.h"
#include "boot_services/frame_stream.h"

namespace bridgehead::boot_services {

struct ServerOptions {
  std::filesystem::path socket;  // its directory is made, and given to `group`
  std::optional<gid_t> group;    // that may enter; none: as it is
  std::set<uid_t> callers;       // who may call
};

class BootServicesServer {
 public:
  // One at a time for a socket: the caller sees to that. It takes over `services`' listener.
  static Result<std::unique_ptr<BootServicesServer>> start(const ServerOptions& options, BootServices& services);
  ~BootServicesServer();  // calls that run are given up; their callers hear no answer and ask again

 private:
  // Of one "watch": what it hasn't been told yet.
  using News = std::deque<model::AddressGiven>;
  struct Connection {
    std::atomic<bool> ended{false};
    std::jthread thread;
  };

  BootServicesServer(const ServerOptions& options, BootServices& services, UniqueFd socket);
  void accept_all(const std::stop_token& stop);
  bool is_caller(int connection) const;
  void serve(FrameStream& stream, const std::stop_token& stop);
  Result<std::string> carry_out(const Frame& request, FrameStream& stream, const std::stop_token& stop);
  void tell_news(FrameStream& stream, const std::stop_token& stop);

  const ServerOptions options_;
  BootServices& services_;
  UniqueFd socket_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable_any wake_;
  std::set<News*> watchers_;
  std::list<Connection> connections_;  // the accepting thread's
  std::jthread thread_;                // last
};

}  // namespace bridgehead::boot_services
