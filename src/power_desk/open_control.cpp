#include "power_desk/open_control.h"

namespace bridgehead::power_desk {

power::PowerSettings settings_of(const model::Bmc& bmc) {
  return {.driver = bmc.driver, .address = bmc.address, .port = bmc.port, .user = bmc.user, .options = bmc.options};
}

Result<std::string> password_of(const model::Bmc& bmc, const pki::SecretBox& secrets) {
  if (bmc.password.empty()) return std::string();
  auto opened = secrets.unseal(bmc.password, pki::record_label("bmc", bmc.id.str(), "password"));
  if (opened) return opened;
  return fail_with_hint(ErrorCode::data_corrupt, fmt::format("the BMC's password: {}", opened.error().message),
                        "Set it again: bh node bmc set");
}

model::MachinePower state_of(power::PowerState state) {
  switch (state) {
    case power::PowerState::on: return model::MachinePower::on;
    case power::PowerState::off: return model::MachinePower::off;
    case power::PowerState::sleeping: return model::MachinePower::sleeping;
    case power::PowerState::unknown: return model::MachinePower::unknown;
  }
  return model::MachinePower::unknown;
}

model::PowerEvidence evidence_of(power::Evidence evidence) {
  switch (evidence) {
    case power::Evidence::none: return model::PowerEvidence::none;
    case power::Evidence::bmc: return model::PowerEvidence::bmc;
    case power::Evidence::witness: return model::PowerEvidence::others;
    case power::Evidence::bmc_and_witness: return model::PowerEvidence::bmc_and_others;
  }
  return model::PowerEvidence::none;
}

reconcile::BmcCheck check_of(const power::PowerCheck& check) {
  reconcile::BmcCheck result{.good = check.good(),
                             .findings = {},
                             .reads = check.abilities.status,
                             .switches_on = check.abilities.on,
                             .switches_off = check.abilities.off,
                             .tells_sleep = check.abilities.tells_sleep,
                             .latency = check.latency,
                             .clock_skew = check.clock_skew};
  for (const auto& finding : check.findings) {
    const auto* level = finding.level == power::Finding::Level::good      ? "good"
                        : finding.level == power::Finding::Level::warning ? "warning"
                                                                          : "bad";
    result.findings.push_back({finding.subject, level, finding.message, finding.fix});
  }
  return result;
}

}  // namespace bridgehead::power_desk
