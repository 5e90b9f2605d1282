// The library's record as JSON, and back. Pure functions. Errors: data_corrupt. Missing fields keep their defaults.
#pragma once

#include <string>

#include "availability/availability.h"

namespace bridgehead::availability_desk {

std::string text_of(const availability::AvailabilityRecord& record);
Result<availability::AvailabilityRecord> record_of(const std::string& text);

}  // namespace bridgehead::availability_desk
