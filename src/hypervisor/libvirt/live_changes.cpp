#include "hypervisor/libvirt/live_changes.h"

#include <algorithm>

#include "base/log.h"
#include "hypervisor/xml_build.h"

namespace bridgehead::hypervisor {
namespace {

constexpr log::Message kNotLive{"GUEST_CHANGE_WAITS",
                                "A running guest did not take a change; it comes with its next start."};

class LiveChanges {
 public:
  LiveChanges(const LiveContext& context, const ParsedDomain& live, const GuestConfig& wanted)
      : context_(context), live_(live), wanted_(wanted) {}

  LiveResult apply() {
    check_fixed();
    change_cpus();
    change_memory();
    change_disks();
    change_nics();
    change_title();
    return std::move(result_);
  }

 private:
  // What no running guest can change.
  void check_fixed() {
    const auto& now = live_.config;
    const auto fixed = [&](bool same, const char* what) {
      if (!same) result_.waiting.emplace_back(what);
    };
    fixed(now.kvm == wanted_.kvm, "kvm");
    fixed(now.cpu_model == wanted_.cpu_model, "the CPU model");
    fixed(now.firmware == wanted_.firmware, "the firmware");
    fixed(now.watchdog == wanted_.watchdog, "the watchdog");
    fixed(now.max_cpus == std::max(wanted_.cpus, wanted_.max_cpus), "the CPU limit");
    fixed(now.seed.empty() == wanted_.seed.empty(), "the seed drive");
  }

  void attempt(int outcome, const std::string& what) {
    if (outcome >= 0) return;
    log::warning(kNotLive, "guest {}: {} waits for its next start: {}", wanted_.id, what, last_libvirt_message());
    result_.waiting.push_back(what);
  }

  void change_cpus() {
    const auto now = live_.config.cpus;
    if (now == wanted_.cpus) return;
    if (wanted_.cpus > live_.config.max_cpus) {
      result_.waiting.emplace_back("the number of CPUs");
      return;
    }
    attempt(::virDomainSetVcpusFlags(context_.domain, wanted_.cpus, VIR_DOMAIN_AFFECT_LIVE), "the number of CPUs");
    if (wanted_.cpus > now && live_.agent_connected) {
      // Not every guest brings plugged CPUs online by itself; its agent can. If it can't, nothing is lost.
      (void)::virDomainSetVcpusFlags(context_.domain, wanted_.cpus, VIR_DOMAIN_VCPU_GUEST);
    }
  }

  void change_memory() {
    const auto to_blocks = [](Bytes bytes) { return bytes.count() / kMemoryBlock; };
    if (to_blocks(live_.config.memory) == to_blocks(wanted_.memory)) return;
    if (wanted_.memory < live_.boot_memory || wanted_.memory > live_.boot_memory + live_.memory_device) {
      result_.waiting.emplace_back("the memory size");
      return;
    }
    const auto address = live_.pinned.addresses.find("memory/ua-memory");
    const auto xml = memory_device_xml(live_.memory_device, wanted_.memory - live_.boot_memory,
                                       address == live_.pinned.addresses.end() ? "" : address->second);
    attempt(::virDomainUpdateDeviceFlags(context_.domain, xml.c_str(), VIR_DOMAIN_AFFECT_LIVE), "the memory size");
  }

  void attach(const std::string& xml, const std::string& what) {
    attempt(::virDomainAttachDeviceFlags(context_.domain, xml.c_str(), VIR_DOMAIN_AFFECT_LIVE), what);
    result_.devices_changed = true;
  }

  bool detach(const std::string& name) {
    const auto alias = "ua-" + name;
    UnplugWaits::Wait wait(context_.waits, wanted_.id.str(), alias);
    result_.devices_changed = true;
    if (::virDomainDetachDeviceAlias(context_.domain, alias.c_str(), VIR_DOMAIN_AFFECT_LIVE) < 0 &&
        last_libvirt_message().find("already in the process of unplug") ==
            std::string::npos) {  // asked before: wait on
      attempt(-1, "removing " + name);
      return false;
    }
    if (wait.removed_within(context_.unplug_timeout)) return true;
    log::warning(kNotLive, "guest {}: it does not let {} go", wanted_.id, name);
    result_.waiting.push_back("removing " + name);
    return false;
  }

  template <typename Device>
  static const Device* named(const std::vector<Device>& devices, const std::string& name) {
    const auto found =
        std::find_if(devices.begin(), devices.end(), [&](const auto& device) { return device.name == name; });
    return found == devices.end() ? nullptr : &*found;
  }

  void change_disks() {
    std::set<std::string> taken;
    for (const auto& [name, target] : live_.pinned.targets) taken.insert(target);
    for (const auto& disk : live_.config.disks) {
      if (named(wanted_.disks, disk.name) == nullptr && !detach(disk.name)) result_.held_disks.push_back(disk.name);
    }
    for (const auto& disk : wanted_.disks) {
      const auto* now = named(live_.config.disks, disk.name);
      if (now == nullptr) {
        const auto xml = disk_xml(disk, taken);
        attach(xml, "disk " + disk.name);
        const auto at = xml.find("dev=\"") + 5;  // two new disks must not ask for one name
        taken.insert(xml.substr(at, xml.find('"', at) - at));
      } else if (now->path != disk.path || now->format != disk.format) {
        result_.waiting.push_back("the file of disk " + disk.name);
      } else {
        grow(disk);
      }
    }
  }

  void grow(const GuestDisk& disk) {
    const auto target = live_.pinned.targets.find(disk.name);
    if (disk.size.count() == 0 || target == live_.pinned.targets.end()) return;
    virDomainBlockInfo info{};
    if (::virDomainGetBlockInfo(context_.domain, target->second.c_str(), &info, 0) < 0) {
      return attempt(-1, "growing disk " + disk.name);
    }
    if (info.capacity >= disk.size.count()) return;
    attempt(::virDomainBlockResize(context_.domain, target->second.c_str(), disk.size.count(),
                                   VIR_DOMAIN_BLOCK_RESIZE_BYTES),
            "growing disk " + disk.name);
  }

  void change_nics() {
    for (const auto& nic : live_.config.nics) {
      const auto* wanted = named(wanted_.nics, nic.name);
      if (wanted == nullptr || wanted->mac != nic.mac) detach(nic.name);
    }
    for (const auto& nic : wanted_.nics) {
      const auto* now = named(live_.config.nics, nic.name);
      if (now == nullptr || now->mac != nic.mac) {
        attach(nic_xml(nic), "NIC " + nic.name);
        continue;
      }
      const auto bridge = nic.vlan ? vlan_bridge_name(nic.bridge, *nic.vlan) : nic.bridge;
      if (now->network == nic.network && (!nic.network.empty() || now->bridge == bridge)) continue;
      // Plugged into another network: only the cable moves.
      attempt(::virDomainUpdateDeviceFlags(context_.domain, nic_xml(nic).c_str(), VIR_DOMAIN_AFFECT_LIVE),
              "the network of NIC " + nic.name);
    }
  }

  void change_title() {
    if (live_.config.name == wanted_.name) return;
    attempt(::virDomainSetMetadata(context_.domain, VIR_DOMAIN_METADATA_TITLE, wanted_.name.c_str(), nullptr, nullptr,
                                   VIR_DOMAIN_AFFECT_LIVE),
            "the title");
  }

  const LiveContext& context_;
  const ParsedDomain& live_;
  const GuestConfig& wanted_;
  LiveResult result_;
};

}  // namespace

void UnplugWaits::on_device(const std::string& domain_uuid, const std::string& alias, bool removed) {
  const std::lock_guard lock(mutex_);
  const auto found = waiting_.find({domain_uuid, alias});
  if (found == waiting_.end()) return;
  found->second = removed;
  changed_.notify_all();
}

UnplugWaits::Wait::Wait(UnplugWaits& waits, std::string domain_uuid, std::string alias)
    : waits_(waits), key_(std::move(domain_uuid), std::move(alias)) {
  const std::lock_guard lock(waits_.mutex_);
  waits_.waiting_[key_] = std::nullopt;
}

UnplugWaits::Wait::~Wait() {
  const std::lock_guard lock(waits_.mutex_);
  waits_.waiting_.erase(key_);
}

bool UnplugWaits::Wait::removed_within(std::chrono::milliseconds timeout) {
  std::unique_lock lock(waits_.mutex_);
  const auto answered = [this] { return waits_.waiting_[key_].has_value(); };
  return waits_.changed_.wait_for(lock, timeout, answered) && *waits_.waiting_[key_];
}

LiveResult apply_live(const LiveContext& context, const ParsedDomain& live, const GuestConfig& wanted) {
  return LiveChanges(context, live, wanted).apply();
}

}  // namespace bridgehead::hypervisor
