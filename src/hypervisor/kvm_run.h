// Runs the trial's payload (kvm_payload.S) by the kernel's own KVM interface: milliseconds, and nothing to load, where
// QEMU takes seconds of a slow machine and megabytes of one whose root comes over the network. Stateless and
// thread-safe; blocks for up to the timeout.
#pragma once

#include "base/result.h"
#include "hypervisor/kvm_trial.h"

namespace bridgehead::hypervisor {

// Fails with what KVM said where the payload doesn't reach its end, and where QEMU isn't installed: then only try_kvm
// knows what guests can have.
Status try_kvm_without_qemu(const KvmTrialOptions& options = {});

}  // namespace bridgehead::hypervisor
