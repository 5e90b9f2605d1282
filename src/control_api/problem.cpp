#include "control_api/problem.h"

#include "control_api/json/writer.h"

namespace bridgehead::control_api {
namespace {

std::string_view title_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument: return "The request is wrong";
    case ErrorCode::not_found: return "There is no such thing";
    case ErrorCode::already_exists: return "It exists already";
    case ErrorCode::conflict: return "Somebody else changed it meanwhile";
    case ErrorCode::failed_precondition: return "Not in this state";
    case ErrorCode::unauthenticated: return "Who are you?";
    case ErrorCode::permission_denied: return "Not allowed";
    case ErrorCode::resource_exhausted: return "Not enough room";
    case ErrorCode::unavailable: return "Not reachable now";
    case ErrorCode::timeout: return "It took too long";
    case ErrorCode::cancelled: return "Cancelled";
    case ErrorCode::data_corrupt: return "The data is damaged";
    case ErrorCode::unsupported: return "Not supported";
    case ErrorCode::io_error: return "Reading or writing failed";
    case ErrorCode::internal: return "A fault of Bridgehead";
  }
  return "Error";
}

}  // namespace

unsigned status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument:
    case ErrorCode::unsupported: return 400;
    case ErrorCode::unauthenticated: return 401;
    case ErrorCode::permission_denied: return 403;
    case ErrorCode::not_found: return 404;
    case ErrorCode::already_exists:
    case ErrorCode::conflict:
    case ErrorCode::cancelled:
    case ErrorCode::failed_precondition: return 409;
    case ErrorCode::data_corrupt: return 422;
    case ErrorCode::unavailable: return 503;
    case ErrorCode::timeout: return 504;
    case ErrorCode::resource_exhausted: return 507;
    case ErrorCode::io_error:
    case ErrorCode::internal: return 500;
  }
  return 500;
}

std::string_view field_of(std::string_view message) {
  const auto end = message.find(": ");
  if (end == std::string_view::npos || end == 0) return {};
  for (const char c : message.substr(0, end)) {
    const bool part_of_a_name =
        (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '[' || c == ']';
    if (!part_of_a_name) return {};
  }
  return message.substr(0, end);
}

http::Response problem(const Error& error, std::string_view instance, unsigned status) {
  if (status == 0) status = status_of(error.code);
  std::string body = "{\"type\":";
  append_json_string(body, fmt::format("urn:bridgehead:error:{}", to_string(error.code)));
  body += ",\"title\":";
  append_json_string(body, title_of(error.code));
  body += fmt::format(",\"status\":{},\"detail\":", status);
  append_json_string(body, error.message);
  body += ",\"hint\":";
  append_json_string(body, error.hint);
  body += ",\"code\":";
  append_json_string(body, to_string(error.code));
  if (error.code == ErrorCode::invalid_argument) {
    if (const auto field = field_of(error.message); !field.empty()) {
      body += ",\"field\":";
      append_json_string(body, field);
    }
  }
  body += ",\"instance\":";
  append_json_string(body, instance);
  body += "}\n";
  http::Response response{.status = status, .body = std::move(body)};
  response.with("Content-Type", "application/problem+json");
  if (status == 401) response.with("WWW-Authenticate", "Bearer realm=\"bridgehead\"");
  return response;
}

}  // namespace bridgehead::control_api
