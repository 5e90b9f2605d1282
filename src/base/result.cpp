#include "base/result.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <system_error>

namespace bridgehead {
namespace {

constexpr std::array<std::pair<ErrorCode, std::string_view>, 15> kNames{{
    {ErrorCode::invalid_argument, "invalid_argument"},
    {ErrorCode::not_found, "not_found"},
    {ErrorCode::already_exists, "already_exists"},
    {ErrorCode::conflict, "conflict"},
    {ErrorCode::failed_precondition, "failed_precondition"},
    {ErrorCode::unauthenticated, "unauthenticated"},
    {ErrorCode::permission_denied, "permission_denied"},
    {ErrorCode::resource_exhausted, "resource_exhausted"},
    {ErrorCode::unavailable, "unavailable"},
    {ErrorCode::timeout, "timeout"},
    {ErrorCode::cancelled, "cancelled"},
    {ErrorCode::data_corrupt, "data_corrupt"},
    {ErrorCode::unsupported, "unsupported"},
    {ErrorCode::io_error, "io_error"},
    {ErrorCode::internal, "internal"},
}};

ErrorCode code_of_errno(int error_number) {
  switch (error_number) {
    case ENOENT: return ErrorCode::not_found;
    case EEXIST: return ErrorCode::already_exists;
    case EACCES:
    case EPERM: return ErrorCode::permission_denied;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM: return ErrorCode::resource_exhausted;
    case ECONNREFUSED:
    case ECONNRESET:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EPIPE: return ErrorCode::unavailable;
    case ETIMEDOUT: return ErrorCode::timeout;
    case ECANCELED: return ErrorCode::cancelled;
    case EOPNOTSUPP:
    case ENOSYS: return ErrorCode::unsupported;
    case EINVAL:
    case ENAMETOOLONG: return ErrorCode::invalid_argument;
    default: return ErrorCode::io_error;
  }
}

}  // namespace

std::string_view to_string(ErrorCode code) {
  for (const auto& [value, name] : kNames) {
    if (value == code) return name;
  }
  return "internal";
}

ErrorCode error_code_from_string(std::string_view name) {
  for (const auto& [value, text] : kNames) {
    if (text == name) return value;
  }
  return ErrorCode::internal;
}

std::string Error::describe() const {
  if (hint.empty()) return message;
  const bool ended = !message.empty() && (message.back() == '.' || message.back() == '!' || message.back() == '?');
  return fmt::format("{}{} {}", message, ended ? "" : ".", hint);
}

tl::unexpected<Error> fail_errno(int error_number, std::string_view what) {
  return fail(code_of_errno(error_number), "{}: {}", what, std::generic_category().message(error_number));
}

void abort_with(std::string_view message, const char* file, int line) {
  std::fprintf(stderr, "bridgehead: broken invariant at %s:%d: %.*s\n", file, line, static_cast<int>(message.size()),
               message.data());
  std::abort();
}

}  // namespace bridgehead
