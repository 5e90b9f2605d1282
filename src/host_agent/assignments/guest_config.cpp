#include "host_agent/assignments/guest_config.h"

namespace bridgehead::host_agent {

Result<std::vector<hypervisor::GuestNic>> resolve_nics(const model::EnsureVm& work) {
  std::vector<hypervisor::GuestNic> nics;
  for (const auto& spec : work.vm.spec.nics) {
    const auto network = std::find_if(work.networks.begin(), work.networks.end(),
                                      [&](const auto& candidate) { return candidate.id == spec.network; });
    if (network == work.networks.end()) {
      return fail(ErrorCode::invalid_argument, "the assignment names NIC {} but not its network {}", spec.name,
                  spec.network);
    }
    hypervisor::GuestNic nic{.name = spec.name, .mac = spec.mac};
    if (network->kind == model::NetworkKind::nat) {
      nic.network = network->id.str();
    } else {
      nic.bridge = network->bridge;
      nic.vlan = spec.vlan ? spec.vlan : network->vlan;
    }
    nics.push_back(std::move(nic));
  }
  return nics;
}

std::vector<model::Network> used_networks(const model::EnsureVm& work) {
  std::vector<model::Network> used;
  for (const auto& network : work.networks) {
    const auto& nics = work.vm.spec.nics;
    if (std::any_of(nics.begin(), nics.end(), [&](const auto& nic) { return nic.network == network.id; })) {
      used.push_back(network);
    }
  }
  return used;
}

hypervisor::GuestConfig guest_config(const NodeServices& services, const model::EnsureVm& work,
                                     const HostCapacity& capacity, const GuestDisks& disks,
                                     const std::vector<hypervisor::GuestNic>& nics) {
  const auto& vm = work.vm;
  const auto& spec = vm.spec;
  return {.id = vm.id,
          .name = vm.name,
          .generation = vm.generation,
          .lease = vm.lease,
          .cpus = spec.cpus,
          .max_cpus = std::max(spec.max_cpus, spec.cpus),
          .memory = spec.memory,
          .max_memory = std::max(spec.max_memory, spec.memory),
          .cpu_model = spec.cpu_model,
          .firmware = spec.firmware,
          .watchdog = spec.watchdog,
          .kvm = capacity.kvm,
          .disks = disks.for_hypervisor(),
          .nics = nics,
          .seed = services.files.seed(vm.id),
          .console_log = services.files.console_log(vm.id),
          .nvram = spec.firmware == model::Firmware::uefi ? services.files.nvram(vm.id) : std::filesystem::path()};
}

}  // namespace bridgehead::host_agent
