#include "control_api/pages/own_page.h"

#include <fmt/format.h>

namespace bridgehead::control_api {
namespace {

// The prefix has browsers refuse it when it comes from elsewhere or without TLS (RFC 6265bis, 4.1.3.2).
constexpr std::string_view kCookie = "__Host-bridgehead";
constexpr std::string_view kAttributes = "Path=/; Secure; HttpOnly; SameSite=Strict";

std::string_view cookie_of(std::string_view header) {
  while (!header.empty()) {
    const auto end = std::min(header.find(';'), header.size());
    auto pair = header.substr(0, end);
    header.remove_prefix(std::min(end + 1, header.size()));
    while (pair.starts_with(' ')) pair.remove_prefix(1);
    if (pair.starts_with(kCookie) && pair.substr(kCookie.size()).starts_with('=')) {
      return pair.substr(kCookie.size() + 1);
    }
  }
  return {};
}

}  // namespace

bool from_own_page(const http::Request& request) {
  if (const auto origin = request.header("origin"); !origin.empty()) {
    return origin == fmt::format("https://{}", request.header("host"));
  }
  const bool reads = request.method == http::Method::get || request.method == http::Method::head;
  const auto site = request.header("sec-fetch-site");
  if (site == "same-origin") return true;
  return reads && !request.upgrade_websocket && (site.empty() || site == "none");
}

std::string credential_of(const http::Request& request) {
  if (const auto given = request.header("authorization"); !given.empty()) return std::string(given);
  const auto token = cookie_of(request.header("cookie"));
  if (token.empty() || !from_own_page(request)) return {};
  return fmt::format("Bearer {}", token);
}

std::string session_cookie(std::string_view token) { return fmt::format("{}={}; {}", kCookie, token, kAttributes); }

std::string ended_session_cookie() { return fmt::format("{}=; Max-Age=0; {}", kCookie, kAttributes); }

}  // namespace bridgehead::control_api
