#include "reconcile/commands/power_profiles.h"

#include <algorithm>

#include "base/text.h"
#include "reconcile/commands/draft.h"
#include "reconcile/commands/validate.h"

namespace bridgehead::reconcile {
namespace {

constexpr double kMostWatts = 100'000;

Status check_profile(const SetPowerProfile& request) {
  const auto& machine = request.machine;
  if (trimmed(machine) != machine || machine.empty() || machine.size() > model::kLongestMachine) {
    return validate::wrong("machine", "must have 1 to {} bytes, without spaces around them", model::kLongestMachine);
  }
  if (!std::all_of(machine.begin(), machine.end(), [](char c) { return static_cast<unsigned char>(c) >= ' '; })) {
    return validate::wrong("machine", "must have no control characters");
  }
  // Not "less than", so that what is no number is refused, too.
  if (!(request.idle_watts > 0 && request.idle_watts <= kMostWatts)) {
    return validate::wrong("idle_watts", "must be more than 0 and at most {}", kMostWatts);
  }
  if (!(request.busy_watts >= request.idle_watts && request.busy_watts <= kMostWatts)) {
    return validate::wrong("busy_watts", "must be from idle_watts to {}", kMostWatts);
  }
  if (!(request.off_watts >= 0 && request.off_watts <= request.idle_watts)) {
    return validate::wrong("off_watts", "must be from 0 to idle_watts");
  }
  return {};
}

}  // namespace

Result<model::PowerProfile> set_power_profile(Commander& commander, const Caller& caller,
                                              const SetPowerProfile& request) {
  return run<model::PowerProfile>(commander, caller, [&](Draft& draft) -> Result<model::PowerProfile> {
    if (auto checked = check_profile(request); !checked) return forward(checked);
    const model::PowerProfile profile{.id = model::PowerProfileId(request.machine),
                                      .idle_watts = request.idle_watts,
                                      .busy_watts = request.busy_watts,
                                      .off_watts = request.off_watts,
                                      .created_by = draft.actor(),
                                      .created = draft.now};
    if (const auto kept = draft.inventory.find<model::PowerProfile>(profile.id)) {
      draft.edit.update(kept, profile);
    } else {
      draft.edit.create(profile);
    }
    draft.event("power-profile.set", "cluster", "", "",
                fmt::format("{}: {} W idle, {} W busy, {} W off", request.machine, profile.idle_watts,
                            profile.busy_watts, profile.off_watts));
    return profile;
  });
}

Result<model::PowerProfile> remove_power_profile(Commander& commander, const Caller& caller,
                                                 const std::string& machine) {
  return run<model::PowerProfile>(commander, caller, [&](Draft& draft) -> Result<model::PowerProfile> {
    const auto kept = draft.inventory.find<model::PowerProfile>(model::PowerProfileId(machine));
    if (!kept) {
      return fail_with_hint(ErrorCode::not_found, fmt::format("machines '{}' have no power profile", machine),
                            "bh energy profile list");
    }
    draft.edit.remove(kept);
    draft.event("power-profile.removed", "cluster", "", "",
                fmt::format("{} counts as an average server again", machine));
    return kept->value;
  });
}

}  // namespace bridgehead::reconcile
