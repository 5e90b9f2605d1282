// Base64 (RFC 4648, section 4: with padding). Pure; thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace bridgehead {

std::string to_base64(std::string_view bytes);
// Nothing for a text that to_base64 doesn't write: line breaks, other alphabets, padding that is missing.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace bridgehead
