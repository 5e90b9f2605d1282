#include "control_api/pages/dashboard.h"

#include <fmt/format.h>
#include <algorithm>

namespace bridgehead::control_api {
namespace {

// Nothing from elsewhere, nothing inline, in nobody's frame. data: are the pointers of guests' screens (noVNC).
constexpr std::string_view kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

// Of "gzip, deflate, br;q=0.5" does it take `coding`? "q=0" refuses (RFC 9110, 12.5.3).
bool takes(std::string_view accepted, std::string_view coding) {
  while (!accepted.empty()) {
    const auto end = std::min(accepted.find(','), accepted.size());
    auto one = accepted.substr(0, end);
    accepted.remove_prefix(std::min(end + 1, accepted.size()));
    while (one.starts_with(' ')) one.remove_prefix(1);
    if (!one.starts_with(coding)) continue;
    one.remove_prefix(coding.size());
    while (one.starts_with(' ') || one.starts_with(';')) one.remove_prefix(1);
    return !one.starts_with("q=0") || one.find_first_not_of("0.", 2) != std::string_view::npos;
  }
  return false;
}

}  // namespace

std::optional<http::Response> page_answer(const http::Request& request) {
  if (request.method != http::Method::get && request.method != http::Method::head) return std::nullopt;
  const auto files = page_files();
  const auto file = std::ranges::find(files, request.target.path, &PageFile::path);
  if (file == files.end()) return std::nullopt;
  // Weak: one for all codings.
  const auto tag = fmt::format("W/\"{}\"", file->tag);
  const bool unchanged = request.header("if-none-match") == tag;
  http::Response response{.status = unchanged ? 304U : 200U};
  response.with("ETag", tag).with("Vary", "Accept-Encoding");
  // The names of all but the page itself change with their content.
  const bool named_by_content = file->path.starts_with("/assets/");
  response.with("Cache-Control", named_by_content ? "public, max-age=31536000, immutable" : "no-cache");
  if (unchanged) return response;
  response.with("Content-Type", std::string(file->content_type))
      .with("Content-Security-Policy", std::string(kPolicy))
      .with("Referrer-Policy", "no-referrer")
      .with("Cross-Origin-Opener-Policy", "same-origin");
  const auto accepted = request.header("accept-encoding");
  if (takes(accepted, "br")) {
    response.with("Content-Encoding", "br").body = file->brotli;
  } else if (takes(accepted, "gzip")) {
    response.with("Content-Encoding", "gzip").body = file->gzip;
  } else {
    response.body = file->plain;
  }
  return response;
}

}  // namespace bridgehead::control_api
