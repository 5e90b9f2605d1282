// Result<T>: a value or an Error. Owns nothing; values are as thread-safe as T.
// Everything that the outside world can cause is returned this way; no exception crosses a module's border.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

namespace bridgehead {

// The closed set of reasons. Each maps to one HTTP status (control_api) and one CLI exit code (apps/cli).
enum class ErrorCode {
  invalid_argument,  // the request itself is wrong; repeating it can't help
  not_found,
  already_exists,
  conflict,             // somebody else changed it meanwhile; read again and retry
  failed_precondition,  // right request, wrong state (stop the guest first, image in use, ...)
  unauthenticated,
  permission_denied,
  resource_exhausted,  // no space, no memory, quota, too many
  unavailable,         // the other side is away; retry later
  timeout,
  cancelled,
  data_corrupt,  // checksum, truncated or hostile content
  unsupported,
  io_error,
  internal,  // a fault of ours
};

std::string_view to_string(ErrorCode code);
// Unknown names give ErrorCode::internal, so that a newer peer's code never breaks an older one.
ErrorCode error_code_from_string(std::string_view name);

struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string message;  // what is wrong, a sentence for a person
  std::string hint;     // what to do about it; may be empty

  // "message. hint"
  std::string describe() const;
  bool operator==(const Error&) const = default;
};

template <typename T>
using Result = tl::expected<T, Error>;

using Status = Result<void>;

// fail(ErrorCode::not_found, "no VM named '{}'", name)
template <typename... Args>
[[nodiscard]] tl::unexpected<Error> fail(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  return tl::unexpected<Error>(Error{code, fmt::format(format, std::forward<Args>(args)...), {}});
}

[[nodiscard]] inline tl::unexpected<Error> fail(Error error) { return tl::unexpected<Error>(std::move(error)); }

[[nodiscard]] inline tl::unexpected<Error> fail_with_hint(ErrorCode code, std::string message, std::string hint) {
  return tl::unexpected<Error>(Error{code, std::move(message), std::move(hint)});
}

// An Error from errno: ENOSPC becomes resource_exhausted, ENOENT not_found, EACCES permission_denied, and so on.
[[nodiscard]] tl::unexpected<Error> fail_errno(int error_number, std::string_view what);

// Passes on the error of a result of another type: if (!r) return forward(r);
template <typename T>
[[nodiscard]] tl::unexpected<Error> forward(const Result<T>& result) {
  return tl::unexpected<Error>(result.error());
}

// For broken invariants only: says where and why on stderr and in the log, then aborts.
[[noreturn]] void abort_with(std::string_view message, const char* file = __builtin_FILE(),
                             int line = __builtin_LINE());

inline void require(bool condition, std::string_view message, const char* file = __builtin_FILE(),
                    int line = __builtin_LINE()) {
  if (!condition) abort_with(message, file, line);
}

}  // namespace bridgehead
