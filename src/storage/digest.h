// SHA-256, by OpenSSL (which uses the CPU's SHA instructions where it has them).
// Sha256: one digest, fed by one thread. HashThread: the same behind a bounded queue and a thread of its own, so that
// who feeds it isn't slowed down. Neither fails but by broken invariants.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>

namespace bridgehead::storage {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void update(std::string_view bytes);
  void update(std::span<const std::uint8_t> bytes);
  void update_zeros(std::uint64_t count);
  std::string hex();  // ends the digest
  std::string hex_so_far() const;

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

class HashThread {
 public:
  HashThread();
  ~HashThread();
  HashThread(const HashThread&) = delete;
  HashThread& operator=(const HashThread&) = delete;

  void update(std::shared_ptr<const std::string> bytes);  // waits while 4 pieces are queued
  std::string hex();                                      // waits for the rest, ends the digest
  std::string hex_so_far();                               // waits for what is queued

 private:
  void work();

  Sha256 digest_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<const std::string>> queue_;
  bool busy_ = false;
  bool closed_ = false;
  std::thread thread_;
};

}  // namespace bridgehead::storage
