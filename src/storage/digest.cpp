#include "storage/digest.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>

#include "base/random.h"
#include "base/result.h"

namespace bridgehead::storage {

struct Sha256::Context {
  EVP_MD_CTX* evp = EVP_MD_CTX_new();
  ~Context() { EVP_MD_CTX_free(evp); }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  require(context_->evp != nullptr && EVP_DigestInit_ex(context_->evp, EVP_sha256(), nullptr) == 1,
          "OpenSSL has no SHA-256");
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(std::string_view bytes) { EVP_DigestUpdate(context_->evp, bytes.data(), bytes.size()); }
void Sha256::update(std::span<const std::uint8_t> bytes) {
  EVP_DigestUpdate(context_->evp, bytes.data(), bytes.size());
}

void Sha256::update_zeros(std::uint64_t count) {
  static constexpr std::array<std::uint8_t, 65536> zeros{};
  for (; count > 0; count -= std::min<std::uint64_t>(count, zeros.size())) {
    EVP_DigestUpdate(context_->evp, zeros.data(), std::min<std::uint64_t>(count, zeros.size()));
  }
}

std::string Sha256::hex() {
  std::array<std::uint8_t, EVP_MAX_MD_SIZE> value{};
  unsigned length = 0;
  EVP_DigestFinal_ex(context_->evp, value.data(), &length);
  return to_hex(std::span(value).first(length));
}

std::string Sha256::hex_so_far() const {
  Sha256 copy;
  require(EVP_MD_CTX_copy_ex(copy.context_->evp, context_->evp) == 1, "OpenSSL can't copy a SHA-256");
  return copy.hex();
}

HashThread::HashThread() : thread_([this] { work(); }) {}

HashThread::~HashThread() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void HashThread::update(std::shared_ptr<const std::string> bytes) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return queue_.size() < 4; });
  queue_.push_back(std::move(bytes));
  changed_.notify_all();
}

std::string HashThread::hex() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }
  thread_.join();
  return digest_.hex();
}

std::string HashThread::hex_so_far() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return queue_.empty() && !busy_; });
  return digest_.hex_so_far();
}

void HashThread::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return closed_ || !queue_.empty(); });
    if (queue_.empty()) return;
    const auto bytes = std::move(queue_.front());
    queue_.pop_front();
    busy_ = true;
    changed_.notify_all();
    lock.unlock();
    digest_.update(*bytes);
    lock.lock();
    busy_ = false;
    changed_.notify_all();
  }
}

}  // namespace bridgehead::storage
