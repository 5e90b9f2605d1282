// What lies between the records and the power module: the driver that a record describes, and states under both names.
// Free functions; thread-safe.
#pragma once

#include "model/bmc.h"
#include "pki/secret_box.h"
#include "power/power_settings.h"
#include "reconcile/power_port.h"

namespace bridgehead::power_desk {

power::PowerSettings settings_of(const model::Bmc& bmc);
// data_corrupt when it was sealed by another cluster's keys, or for another node.
Result<std::string> password_of(const model::Bmc& bmc, const pki::SecretBox& secrets);

model::MachinePower state_of(power::PowerState state);
model::PowerEvidence evidence_of(power::Evidence evidence);
reconcile::BmcCheck check_of(const power::PowerCheck& check);

}  // namespace bridgehead::power_desk
