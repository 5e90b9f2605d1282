// Can this node really run guests with KVM? Found by trial: /dev/kvm may exist and even create a machine that then
// fails at the first page table. A tiny payload is booted with QEMU and must reach 64-bit mode with paging, ring 3 and
// a timer interrupt before it reports success. Stateless; blocks for up to the timeout. Never fails: "none" and "tcg"
// are answers. The answer holds for this boot of the node; the caller keeps it by boot id.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>

#include "base/command.h"
#include "model/node.h"

namespace bridgehead::hypervisor {

struct KvmTrialOptions {
  std::string qemu = "qemu-system-x86_64";
  std::filesystem::path device = "/dev/kvm";
  // Each of two trials. KVM within an emulated machine has needed more than ten seconds.
  std::chrono::milliseconds timeout{std::chrono::seconds(60)};
};

struct KvmTrialResult {
  model::Virtualization virtualization = model::Virtualization::none;
  std::string message;  // why not kvm, and what to do about it; "" with kvm
};

KvmTrialResult try_kvm(CommandRunner& commands, const KvmTrialOptions& options = {});

}  // namespace bridgehead::hypervisor
