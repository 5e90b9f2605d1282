// WorkerPool: a fixed number of threads that run tasks in the order they came. Thread-safe.
// Whatever can block (libvirt, file systems, DNS) runs here and never on a thread that serves heartbeats.
// stop() and the destructor finish the tasks that run, drop those that wait, and join.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace bridgehead {

class WorkerPool {
 public:
  explicit WorkerPool(std::size_t threads);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // False after stop(): the task was not taken.
  bool submit(std::function<void()> task);
  void stop();
  // Tasks waiting or running.
  std::size_t pending() const;

 private:
  void work();

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;
  std::size_t running_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace bridgehead
