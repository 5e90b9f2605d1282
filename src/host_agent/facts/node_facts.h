// FactsCollector: everything that NodeFacts holds, put together: the host's files, its addresses, what the hypervisor
// says of itself, and whether KVM works, found by trial once per boot and kept in the state directory. collect() blocks
// (libvirt, a trial of seconds); not thread-safe: one thread collects.
// What is asked of QEMU takes seconds and, on a node that has its root over the network, a quarter of all that it reads
// until then. A first look does without where KVM runs a guest's code, QEMU is there and libvirt answers; a whole look
// brings the versions and whether QEMU agrees, and comes before any guest.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "hypervisor/hypervisor.h"
#include "hypervisor/kvm_trial.h"
#include "model/node.h"

namespace bridgehead::host_agent {

struct KvmTrials {
  std::function<Status()> run;                            // does KVM run a guest's code, and is QEMU there?
  std::function<hypervisor::KvmTrialResult()> with_qemu;  // and with QEMU, and if not, why and what then?
};

struct CollectedFacts {
  model::NodeFacts facts;
  bool all = false;  // QEMU was asked, too
};

class FactsCollector {
 public:
  enum class Look { first, whole };
  struct Options {
    std::filesystem::path root = "/";
    std::filesystem::path state_dir;  // holds kvm_trial.json
    std::string agent_version;
  };

  FactsCollector(hypervisor::Hypervisor& hypervisor, KvmTrials kvm, Options options);

  CollectedFacts collect(Look look);

 private:
  std::string trial_key() const;
  // This boot's answer, if there is one already.
  std::optional<hypervisor::KvmTrialResult> known(const std::string& key);
  hypervisor::KvmTrialResult virtualization();
  void ask_hypervisor(model::NodeFacts& facts);
  std::optional<hypervisor::KvmTrialResult> cached(const std::string& key) const;
  void keep(const std::string& key, const hypervisor::KvmTrialResult& result) const;

  hypervisor::Hypervisor& hypervisor_;
  KvmTrials kvm_;
  Options options_;
  std::string known_key_;
  hypervisor::KvmTrialResult known_;
};

}  // namespace bridgehead::host_agent
