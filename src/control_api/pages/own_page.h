// How the dashboard says who it is: a token in a cookie that scripts can't read, which counts only in requests that our
// own page makes. Free functions over a request's head; thread-safe; nothing here fails.
#pragma once

#include <string>
#include <string_view>

#include "control_api/http/message.h"

namespace bridgehead::control_api {

// Did our own page (or a person who typed the address) make this request? By Origin and Sec-Fetch-Site, which browsers
// set and scripts can't (WHATWG Fetch; W3C Fetch Metadata). A cookie alone proves nothing: browsers also send it with
// what other ports of this host make them ask.
bool from_own_page(const http::Request& request);

// The value of an Authorization header: the request's own, or one made from the cookie; "" = neither.
std::string credential_of(const http::Request& request);

// Values of Set-Cookie. `token` has the form of a token, so that nothing in it needs quoting.
std::string session_cookie(std::string_view token);
std::string ended_session_cookie();

}  // namespace bridgehead::control_api
