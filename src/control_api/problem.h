// Errors as the API shows them: RFC 9457 problem details. Free functions; thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "control_api/http/message.h"

namespace bridgehead::control_api {

unsigned status_of(ErrorCode code);

// {"type","title","status","detail","hint","code","field"?,"instance"}. `field` is what stands before ": " in the
// message of an invalid_argument ("disks[0].size: must be ..."). `status` 0 = by the code. `instance` is the request's
// path.
http::Response problem(const Error& error, std::string_view instance, unsigned status = 0);

// "disks[0].size" of "disks[0].size: must be ..."; "" when the message begins with no field.
std::string_view field_of(std::string_view message);

}  // namespace bridgehead::control_api
