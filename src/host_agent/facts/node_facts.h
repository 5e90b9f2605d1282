// FactsCollector: everything that NodeFacts holds, put together: the host's files, its addresses, what the hypervisor
// says of itself, and whether KVM works, found by trial once per boot and kept in the state directory. collect() blocks
// (libvirt, a trial of seconds); not thread-safe: one thread collects.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "hypervisor/hypervisor.h"
#include "hypervisor/kvm_trial.h"
#include "model/node.h"

namespace bridgehead::host_agent {

class FactsCollector {
 public:
  struct Options {
    std::filesystem::path root = "/";
    std::filesystem::path state_dir;  // holds kvm_trial.json
    std::string agent_version;
  };

  FactsCollector(hypervisor::Hypervisor& hypervisor, std::function<hypervisor::KvmTrialResult()> kvm_trial,
                 Options options);

  model::NodeFacts collect();

 private:
  hypervisor::KvmTrialResult virtualization();
  std::optional<hypervisor::KvmTrialResult> cached(const std::string& key) const;
  void keep(const std::string& key, const hypervisor::KvmTrialResult& result) const;

  hypervisor::Hypervisor& hypervisor_;
  std::function<hypervisor::KvmTrialResult()> kvm_trial_;
  Options options_;
  std::string known_key_;
  hypervisor::KvmTrialResult known_;
};

}  // namespace bridgehead::host_agent
