#include "host_agent/facts/node_facts.h"

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "host_agent/facts/host_facts.h"
#include "host_agent/facts/network_facts.h"
#include "host_agent/messages.h"
#include "model/enum_names.h"

namespace bridgehead::host_agent {
namespace {

// For journal, seeds and logs. A node without a disk has them in RAM, where whatever writes into its root fills the
// room.
constexpr Bytes kLeastRoom = 16_MiB;

// "" = there is room. No figures, which would make the facts differ each time.
std::string room_message(const std::filesystem::path& directory) {
  std::error_code unknown;
  const auto space = std::filesystem::space(directory, unknown);
  if (unknown || space.available >= kLeastRoom.count()) return {};
  return fmt::format("the file system of {} is full: less than {} are free", directory.native(), kLeastRoom.human());
}

}  // namespace

FactsCollector::FactsCollector(hypervisor::Hypervisor& hypervisor, KvmTrials kvm, Options options)
    : hypervisor_(hypervisor), kvm_(std::move(kvm)), options_(std::move(options)) {}

CollectedFacts FactsCollector::collect(Look look) {
  auto facts = read_host_facts(options_.root);
  facts.interfaces = read_interfaces(options_.root, system_addresses());
  facts.agent_version = options_.agent_version;
  const bool all = look == Look::whole || known(trial_key()) || !kvm_.run();
  if (!all) {
    facts.virtualization = model::Virtualization::kvm;
    if (const auto answer = hypervisor_.list(); !answer) facts.hypervisor_message = answer.error().describe();
  } else {
    ask_hypervisor(facts);
  }
  // Before whatever else: libvirt and QEMU fail by it in ways that tell nobody why.
  if (auto full = room_message(options_.state_dir); !full.empty()) facts.hypervisor_message = std::move(full);
  return {std::move(facts), all};
}

void FactsCollector::ask_hypervisor(model::NodeFacts& facts) {
  const auto trial = virtualization();
  facts.virtualization = trial.virtualization;
  facts.virtualization_message = trial.message;
  if (const auto info = hypervisor_.info()) {
    facts.libvirt_version = info->library_version;
    facts.hypervisor_version = info->hypervisor_version;
    if (trial.virtualization == model::Virtualization::none) facts.hypervisor_message = trial.message;
  } else {
    facts.hypervisor_message = info.error().describe();
  }
}

std::string FactsCollector::trial_key() const {
  // A module that is loaded later makes the device appear, which asks for a new trial without a reboot.
  std::error_code error;
  const bool device = std::filesystem::exists(options_.root / "dev/kvm", error);
  return read_boot_id(options_.root) + (device ? "+kvm" : "-kvm");
}

std::optional<hypervisor::KvmTrialResult> FactsCollector::known(const std::string& key) {
  if (key == known_key_) return known_;
  auto result = cached(key);
  if (result) {
    known_key_ = key;
    known_ = *result;
  }
  return result;
}

hypervisor::KvmTrialResult FactsCollector::virtualization() {
  const auto key = trial_key();
  if (const auto result = known(key)) return *result;
  auto result = kvm_.with_qemu();
  // "none" (no QEMU) is put right by installing something: try again next time.
  if (result.virtualization == model::Virtualization::none) return result;
  keep(key, result);
  known_key_ = key;
  known_ = result;
  return result;
}

std::optional<hypervisor::KvmTrialResult> FactsCollector::cached(const std::string& key) const {
  const auto text = read_file(options_.state_dir / "kvm_trial.json", 64_KiB);
  if (!text) return std::nullopt;
  const auto json = nlohmann::json::parse(*text, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  const auto field = [&](const char* name) {
    const auto found = json.find(name);
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  if (field("boot") != key) return std::nullopt;
  const auto virtualization = model::parse_enum<model::Virtualization>(field("virtualization"));
  if (!virtualization) return std::nullopt;
  return hypervisor::KvmTrialResult{*virtualization, field("message")};
}

void FactsCollector::keep(const std::string& key, const hypervisor::KvmTrialResult& result) const {
  const nlohmann::json json = {
      {"boot", key}, {"virtualization", to_string(result.virtualization)}, {"message", result.message}};
  // Only a cache: without it the next start tries again.
  if (auto kept = write_file_atomic(options_.state_dir / "kvm_trial.json", json.dump() + "\n"); !kept) {
    log::warning(messages::journal_failed, "the result of the KVM trial is not kept: {}", kept.error().message);
  }
}

}  // namespace bridgehead::host_agent
