// Who is connected and how many bytes each address got. Thread-safe; bounded.
#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/units.h"

namespace bridgehead::netboot {

struct AddressTraffic {
  explicit AddressTraffic(std::string text) : address(std::move(text)) {}
  const std::string address;
  std::atomic<std::uint64_t> sent{0};
  static constexpr std::uint64_t kNoBoot = ~std::uint64_t{0};
  std::atomic<std::uint64_t> before_boot{kNoBoot};  // of `sent`, when its newest boot began
  std::size_t open = 0;                             // connections; guarded by BootTraffic's mutex
};

class BootTraffic {
 public:
  static constexpr std::size_t kAddresses = 16384;

  // One connection more, or null if the address has `limit` of them.
  std::shared_ptr<AddressTraffic> enter(const std::string& address, std::size_t limit);
  void leave(AddressTraffic& traffic);

  Bytes sent_to(std::string_view address) const;
  std::optional<Bytes> sent_in_boot(std::string_view address) const;  // nothing: no boot of it began

 private:
  using Order = std::list<std::shared_ptr<AddressTraffic>>;

  void evict();

  mutable std::mutex mutex_;
  Order order_;  // the longest unseen first
  std::unordered_map<std::string, Order::iterator> by_address_;
};

}  // namespace bridgehead::netboot
