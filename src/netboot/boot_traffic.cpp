#include "netboot/boot_traffic.h"

namespace bridgehead::netboot {

std::shared_ptr<AddressTraffic> BootTraffic::enter(const std::string& address, std::size_t limit) {
  const std::lock_guard lock(mutex_);
  const auto found = by_address_.find(address);
  if (found == by_address_.end()) {
    if (order_.size() >= kAddresses) evict();
    order_.push_back(std::make_shared<AddressTraffic>(address));
    by_address_.emplace(address, std::prev(order_.end()));
  } else {
    order_.splice(order_.end(), order_, found->second);
  }
  const auto& traffic = order_.back();
  if (traffic->open >= limit) return nullptr;
  ++traffic->open;
  return traffic;
}

void BootTraffic::leave(AddressTraffic& traffic) {
  const std::lock_guard lock(mutex_);
  --traffic.open;
}

// Those with open connections stay: else their limit could be dodged.
void BootTraffic::evict() {
  for (auto at = order_.begin(); at != order_.end(); ++at) {
    if ((*at)->open > 0) continue;
    by_address_.erase((*at)->address);
    order_.erase(at);
    return;
  }
}

Bytes BootTraffic::sent_to(std::string_view address) const {
  const std::lock_guard lock(mutex_);
  const auto found = by_address_.find(std::string(address));
  return found == by_address_.end() ? Bytes() : Bytes((*found->second)->sent.load(std::memory_order_relaxed));
}

std::optional<Bytes> BootTraffic::sent_in_boot(std::string_view address) const {
  const std::lock_guard lock(mutex_);
  const auto found = by_address_.find(std::string(address));
  if (found == by_address_.end()) return std::nullopt;
  const auto& traffic = **found->second;
  const auto before = traffic.before_boot.load(std::memory_order_relaxed);
  if (before == AddressTraffic::kNoBoot) return std::nullopt;
  return Bytes(traffic.sent.load(std::memory_order_relaxed) - before);
}

}  // namespace bridgehead::netboot
