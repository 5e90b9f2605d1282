#include "lab/qmp.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

#include "base/file.h"
#include "base/unix_socket.h"

namespace bridgehead::lab {
namespace {

constexpr std::size_t kLongestMessage = 1 << 20;

}  // namespace

Result<UniqueFd> connect_unix(const std::filesystem::path& socket) {
  auto fd = bridgehead::connect_unix(socket);
  if (fd || fd.error().code == ErrorCode::invalid_argument) return fd;
  return fail(ErrorCode::unavailable, "nothing answers at {} ({})", socket.native(), fd.error().message);
}

Result<nlohmann::json> Qmp::next_message() {
  const auto deadline = std::chrono::steady_clock::now() + patience_;
  for (;;) {
    if (const auto end = received_.find('\n'); end != std::string::npos) {
      auto message = nlohmann::json::parse(received_.substr(0, end), nullptr, false);
      received_.erase(0, end + 1);
      if (!message.is_object()) return fail(ErrorCode::io_error, "QEMU's control socket said something else than JSON");
      return message;
    }
    if (received_.size() > kLongestMessage) return fail(ErrorCode::io_error, "QEMU's answer has no end");
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    pollfd waiting{fd_.get(), POLLIN, 0};
    if (left <= 0 || ::poll(&waiting, 1, static_cast<int>(left)) == 0) {
      return fail(ErrorCode::timeout, "QEMU did not answer within {} ms", patience_.count());
    }
    char buffer[4096];
    const ssize_t got = ::recv(fd_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got <= 0) return fail(ErrorCode::unavailable, "QEMU closed its control socket");
    received_.append(buffer, static_cast<std::size_t>(got));
  }
}

Result<Qmp> Qmp::connect(const std::filesystem::path& socket, std::chrono::milliseconds patience) {
  auto fd = connect_unix(socket);
  if (!fd) return forward(fd);
  Qmp qmp(std::move(*fd), patience);
  const auto greeting = qmp.next_message();
  if (!greeting) return forward(greeting);
  if (!greeting->contains("QMP")) return fail(ErrorCode::io_error, "{} is not QEMU's", socket.native());
  if (auto ready = qmp.execute("qmp_capabilities"); !ready) return forward(ready);
  return qmp;
}

Result<nlohmann::json> Qmp::execute(const std::string& command) {
  const auto text = nlohmann::json{{"execute", command}}.dump() + "\n";
  if (::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(text.size())) {
    return fail(ErrorCode::unavailable, "QEMU closed its control socket");
  }
  for (;;) {
    auto message = next_message();
    if (!message) return message;
    if (message->contains("event")) continue;
    if (message->contains("return")) return (*message)["return"];
    const auto error = message->value("error", nlohmann::json::object());
    return fail(ErrorCode::io_error, "QEMU refused {}: {}", command,
                error.is_object() ? error.value("desc", "no reason given") : "no reason given");
  }
}

}  // namespace bridgehead::lab
