// Result<T>: a value or a Failure that a person in front of the machine can read. Depends on nothing of src/.
#pragma once

#include <string>
#include <utility>

#include <tl/expected.hpp>

namespace bridgehead::init {

struct Failure {
  std::string what;  // what was tried: "mount the root"
  std::string why;   // "10.20.0.1:10809 has no export 'debian-12'"
  std::string hint;  // what to do; may be empty

  std::string describe() const;  // "what: why; hint"
};

template <typename T>
using Result = tl::expected<T, Failure>;
using Status = Result<void>;

[[nodiscard]] inline tl::unexpected<Failure> fail(Failure failure) {
  return tl::unexpected<Failure>(std::move(failure));
}
[[nodiscard]] inline tl::unexpected<Failure> fail(std::string what, std::string why, std::string hint = {}) {
  return fail(Failure{std::move(what), std::move(why), std::move(hint)});
}
// The reason is errno's text.
[[nodiscard]] tl::unexpected<Failure> fail_errno(std::string what, std::string hint = {});

}  // namespace bridgehead::init
