// FakeNetboot: what boots machines, as the test says it is. Thread-safe.
#pragma once

#include <mutex>

#include "reconcile/netboot_port.h"

namespace bridgehead::control_api::testing {

class FakeNetboot final : public reconcile::NetbootPort {
 public:
  void set_status(reconcile::NetbootStatus status) {
    const std::lock_guard lock(mutex_);
    status_ = std::move(status);
  }

  void set_available(Status available) {
    const std::lock_guard lock(mutex_);
    available_ = std::move(available);
  }

  Status available() const override {
    const std::lock_guard lock(mutex_);
    return available_;
  }
  reconcile::NetbootStatus status() const override {
    const std::lock_guard lock(mutex_);
    return status_;
  }
  Result<std::string> boot_script(const model::Node& node) const override {
    if (node.netboot->image.empty()) return fail(ErrorCode::failed_precondition, "'{}' has no image", node.name);
    return fmt::format("#!ipxe\n# {} boots {}\nboot\n", node.name, node.netboot->image);
  }
  Result<model::NodeImageDifference> diff(const model::NodeImage& from, const model::NodeImage& to) const override {
    return model::NodeImageDifference{.packages = {fmt::format("~ libc6 {} -> {}", from.version, to.version)},
                                      .files = {"+ /etc/new"}};
  }

 private:
  mutable std::mutex mutex_;
  Status available_;
  reconcile::NetbootStatus status_{
      .parts = {{.name = "dhcp", .running = true, .message = {}}, {.name = "http", .running = true, .message = {}}},
      .foreign_dhcp_servers = {}};
};

}  // namespace bridgehead::control_api::testing
