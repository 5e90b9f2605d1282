// RelayThreads: a listening socket, a thread that accepts, and one thread for each connection. All end with it.
// Thread-safe. Used by gates and ways.
#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <mutex>
#include <thread>

#include "base/fd.h"
#include "base/result.h"

namespace bridgehead::host_agent {

// Becomes readable once and stays so.
class StopSignal {
 public:
  StopSignal();
  void raise() const;
  int fd() const { return fd_.get(); }

 private:
  UniqueFd fd_;
};

class RelayThreads {
 public:
  // Serves one connection, on its thread, until it has ended or stop_fd is readable.
  using Serve = std::function<void(UniqueFd connection, int stop_fd)>;

  RelayThreads() = default;
  ~RelayThreads() { stop(); }
  RelayThreads(const RelayThreads&) = delete;
  RelayThreads& operator=(const RelayThreads&) = delete;

  void listen(UniqueFd listener, Serve serve);
  // From any thread but the relays'.
  void stop();
  int stop_fd() const { return stop_.fd(); }

 private:
  struct Connection {
    std::thread thread;
    std::atomic<bool> ended = false;
  };
  void accept_all(int listener, const Serve& serve);

  StopSignal stop_;
  std::mutex mutex_;
  bool stopping_ = false;
  std::list<UniqueFd> listeners_;
  std::list<std::thread> acceptors_;
  std::list<Connection> connections_;
};

// Listens at a fresh Unix socket of mode 0600.
Result<UniqueFd> listen_at(const std::string& path);
// Listens at a free TCP port of all addresses. `port`: which.
Result<UniqueFd> listen_anywhere(std::uint16_t& port);

}  // namespace bridgehead::host_agent
