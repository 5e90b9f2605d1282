// Bringing a running guest to a wanted configuration without a restart, as far as it lets us. Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "hypervisor/domain_xml.h"
#include "hypervisor/libvirt/handles.h"

namespace bridgehead::hypervisor {

// libvirt's device events on one side, those who wait for a guest to let a device go on the other.
class UnplugWaits {
 public:
  void on_device(const std::string& domain_uuid, const std::string& alias, bool removed);

  // Registered before the request is sent, so that a quick guest's answer isn't missed.
  class Wait {
   public:
    Wait(UnplugWaits& waits, std::string domain_uuid, std::string alias);
    ~Wait();
    Wait(const Wait&) = delete;
    Wait& operator=(const Wait&) = delete;
    bool removed_within(std::chrono::milliseconds timeout);

   private:
    UnplugWaits& waits_;
    std::pair<std::string, std::string> key_;
  };

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::pair<std::string, std::string>, std::optional<bool>> waiting_;
};

struct LiveContext {
  virDomainPtr domain;
  UnplugWaits& waits;
  std::chrono::milliseconds unplug_timeout;
};

struct LiveResult {
  bool devices_changed = false;
  std::vector<std::string> waiting;     // what only the next start brings, for the log; empty = all is done
  std::vector<std::string> held_disks;  // to be removed, but the guest doesn't let them go
};

// Never fails: what the guest or QEMU refuses waits for the next start. Only disks can't wait: who removes one means to
// delete it.
LiveResult apply_live(const LiveContext& context, const ParsedDomain& live, const GuestConfig& wanted);

}  // namespace bridgehead::hypervisor
