// QMP, QEMU's control protocol (https://www.qemu.org/docs/master/interop/qmp-spec.html), over a unix socket. One
// connection at a time is served; not thread-safe. Errors: unavailable (nobody answers there), timeout, io_error (QEMU
// refused the command; its words are in the message).
#pragma once

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace bridgehead::lab {

// A stream socket to a unix socket's path.
Result<UniqueFd> connect_unix(const std::filesystem::path& socket);

class Qmp {
 public:
  // Connected, greeted and ready for commands. Each answer may take `patience`.
  static Result<Qmp> connect(const std::filesystem::path& socket,
                             std::chrono::milliseconds patience = std::chrono::seconds(5));

  // The command's "return". Events that come meanwhile are dropped.
  Result<nlohmann::json> execute(const std::string& command);

 private:
  Qmp(UniqueFd fd, std::chrono::milliseconds patience) : fd_(std::move(fd)), patience_(patience) {}
  Result<nlohmann::json> next_message();

  UniqueFd fd_;
  std::chrono::milliseconds patience_;
  std::string received_;
};

}  // namespace bridgehead::lab
