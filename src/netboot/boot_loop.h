// One thread of the boot server: accepts connections, moves their bytes, hands requests to the workers. Its public
// functions may be called on any thread; the rest runs on its own.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/worker_pool.h"
#include "netboot/boot_connection.h"

namespace bridgehead::netboot {

// What all loops share.
struct BootShared {
  BootServerOptions options;
  BootSite* site = nullptr;
  BootTraffic traffic;
  std::atomic<std::uint64_t> requests{0};
  std::atomic<std::uint64_t> sent{0};
  std::atomic<std::uint64_t> open{0};
  std::atomic<std::uint64_t> refused{0};
  std::atomic<std::int64_t> refusal_said{0};  // seconds, monotonic
};

class BootLoop {
 public:
  // `listener` must outlive the loop.
  static Result<std::unique_ptr<BootLoop>> start(int listener, BootShared& shared, WorkerPool& workers);
  ~BootLoop();
  BootLoop(const BootLoop&) = delete;
  BootLoop& operator=(const BootLoop&) = delete;

  // Ends the thread and closes its connections. Answers that come later are dropped.
  void stop();

 private:
  struct Entry {
    BootConnection connection;
    BootConnection::Want want = BootConnection::Want::read;
  };
  struct Completion {
    std::uint64_t id = 0;
    BootReply reply;
  };
  // Where workers leave answers; outlives the loop for as long as one of them holds it.
  struct Inbox {
    std::mutex mutex;
    std::vector<Completion> completions;
    UniqueFd wake;
  };

  BootLoop(int listener, BootShared& shared, WorkerPool& workers)
      : listener_(listener), shared_(shared), workers_(workers) {}
  void work();
  void accept_some();
  void admit(UniqueFd socket, const std::string& address);
  void out_of_files();
  void handle(std::uint64_t id, std::uint32_t events);
  void follow(std::uint64_t id, Entry& entry, BootConnection::Want want);
  void ask_site(std::uint64_t id, BootRequest request);
  void take_completions();
  void sweep();
  void close(std::uint64_t id);
  void say_refused();

  int listener_;
  BootShared& shared_;
  WorkerPool& workers_;
  UniqueFd epoll_;
  UniqueFd reserve_;  // closed to take and refuse a connection when files run out
  std::shared_ptr<Inbox> inbox_ = std::make_shared<Inbox>();
  std::atomic<bool> stopping_{false};
  std::uint64_t next_id_ = 2;  // 0: the listener, 1: the inbox
  std::unordered_map<std::uint64_t, Entry> connections_;
  std::thread thread_;
};

}  // namespace bridgehead::netboot
