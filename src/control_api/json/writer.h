// JSON written straight into a string: for lists of thousands, where building a document first would take most of the
// time. Free functions; thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"

namespace bridgehead::control_api {

// With quotes. Whatever isn't valid UTF-8 becomes U+FFFD.
void append_json_string(std::string& out, std::string_view text);
void append_json_number(std::string& out, std::uint64_t number);
// As model/json.h writes it: RFC 3339; "" for never.
void append_json_time(std::string& out, Timestamp time);

}  // namespace bridgehead::control_api
