#include "boot_services/remote_boot_services.h"

#include <sys/socket.h>

#include "base/unix_socket.h"
#include "boot_services/messages.h"
#include "model/codec.h"

namespace bridgehead::boot_services {
namespace {

constexpr std::chrono::seconds kLookAgain{1};
constexpr std::chrono::seconds kStatusPatience{5};
constexpr std::chrono::minutes kApplyPatience{2};
constexpr std::chrono::seconds kProbePatience{20};
constexpr std::chrono::minutes kFilesPatience{10};  // trees of many files
constexpr std::chrono::hours kImagePatience{24};    // it tells its progress, and people can cancel it
constexpr std::chrono::seconds kCancelPatience{5};  // until it has given up; a manager that stops can wait no longer

Error not_running() {
  return {ErrorCode::unavailable,
          "the netboot helper (bridgehead-netboot), which serves DHCP, TFTP, NBD and NFS and makes node images, isn't "
          "running",
          "Install the package bridgehead-netboot, or start it: systemctl start bridgehead-netboot; where systemd "
          "doesn't run: tools/quickstart."};
}

// What FrameStream says, in words for people; anything but a helper that has gone stays what it is.
Error of_stream(const Error& error) {
  if (error.code != ErrorCode::unavailable) return error;
  return {ErrorCode::unavailable, "the netboot helper (bridgehead-netboot) ended in the middle of it",
          "It is started again by itself; see its log: journalctl -u bridgehead-netboot."};
}

template <typename T>
Result<T> decoded(const Result<std::string>& answer) {
  if (!answer) return forward(answer);
  return model::decode<T>(*answer);
}

}  // namespace

struct RemoteBootServices::Call {
  std::string kind;
  std::string payload;
  Steady::duration patience;
  ProgressSink progress = {};
  std::stop_token stop = {};
};

RemoteBootServices::RemoteBootServices(std::filesystem::path socket) : socket_(std::move(socket)) {}
RemoteBootServices::~RemoteBootServices() = default;

Result<UniqueFd> RemoteBootServices::connect() const {
  auto fd = connect_unix(socket_, SOCK_NONBLOCK);
  if (fd || fd.error().code == ErrorCode::invalid_argument) return fd;
  if (fd.error().code == ErrorCode::permission_denied) {
    return fail_with_hint(ErrorCode::permission_denied,
                          fmt::format("the manager's user may not speak to the netboot helper at {}", socket_.string()),
                          "Run the manager as the user bridgehead, as its package does.");
  }
  return fail(not_running());
}

// One connection. After a stop request what the helper says still counts: it may have been done just then.
Result<std::string> RemoteBootServices::ask(const Call& call) const {
  if (call.stop.stop_requested()) return fail(ErrorCode::cancelled, "it was cancelled before it began");
  auto connected = connect();
  if (!connected) return forward(connected);
  FrameStream stream(std::move(*connected));
  if (auto sent = stream.send({call.kind, call.payload}); !sent) return fail(of_stream(sent.error()));
  auto deadline = Steady::now() + call.patience;
  bool cancelled = false;
  while (true) {
    const auto frame = stream.receive(deadline, cancelled ? std::stop_token() : call.stop);
    if (!frame) return fail(of_stream(frame.error()));
    if (!*frame && call.stop.stop_requested() && !std::exchange(cancelled, true)) {
      deadline = Steady::now() + kCancelPatience;
      if (auto sent = stream.send({"cancel", ""}); !sent) return fail(of_stream(sent.error()));
    } else if (!*frame && cancelled) {
      return fail(ErrorCode::cancelled, "it was cancelled, but the netboot helper has not given up yet");
    } else if (!*frame) {
      return fail(ErrorCode::timeout, "the netboot helper (bridgehead-netboot) doesn't answer");
    } else if ((*frame)->kind == "progress") {
      if (call.progress) call.progress(progress_of((*frame)->payload));
    } else if ((*frame)->kind == "result") {
      return std::move((*frame)->payload);
    } else if ((*frame)->kind == "error") {
      return fail(error_of((*frame)->payload));
    } else {
      return fail(ErrorCode::unsupported, "the netboot helper is of another version; install the same one");
    }
  }
}

Result<model::ServingStatus> RemoteBootServices::apply(const model::ServingPlan& plan, std::stop_token stop) {
  return decoded<model::ServingStatus>(ask({"apply", model::encode(plan), kApplyPatience, {}, std::move(stop)}));
}

Result<model::ServingStatus> RemoteBootServices::status() const {
  return decoded<model::ServingStatus>(ask({"status", "", kStatusPatience}));
}

Result<model::ForeignDhcpServers> RemoteBootServices::foreign_dhcp_servers(std::stop_token stop) {
  return decoded<model::ForeignDhcpServers>(
      ask({.kind = "foreign-dhcp", .payload = "", .patience = kProbePatience, .stop = std::move(stop)}));
}

Result<model::NodeImage> RemoteBootServices::make_image(const model::NodeImageOrder& order,
                                                        const ProgressSink& progress, std::stop_token stop) {
  return decoded<model::NodeImage>(
      ask({"make-image", model::encode(order), kImagePatience, progress, std::move(stop)}));
}

Status RemoteBootServices::remove_image(const model::NodeImageId& id, std::stop_token stop) {
  const auto answer = ask({"remove-image", id.str(), kFilesPatience, {}, std::move(stop)});
  return answer ? Status() : forward(answer);
}

Result<model::NodeImageDifference> RemoteBootServices::compare_images(
    const model::NodeImageComparison& comparison) const {
  return decoded<model::NodeImageDifference>(ask({"compare-images", model::encode(comparison), kFilesPatience}));
}

void RemoteBootServices::listen(Listener listener) {
  thread_ = {};  // ends the one before
  listener_ = std::move(listener);
  if (!listener_.began_anew) return;
  thread_ = std::jthread([this](const std::stop_token& stop) { watch(stop); });
}

void RemoteBootServices::watch(const std::stop_token& stop) {
  bool was_there = false;
  while (!stop.stop_requested()) {
    const auto ended = watch_once(stop, was_there);
    if (!ended && std::exchange(was_there, false)) log::warning(helper_away, "{}", ended.error().describe());
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, stop, kLookAgain, [] { return false; });
  }
}

Status RemoteBootServices::watch_once(const std::stop_token& stop, bool& was_there) {
  auto connected = connect();
  if (!connected) return forward(connected);
  FrameStream stream(std::move(*connected));
  if (auto sent = stream.send({"watch", ""}); !sent) return fail(of_stream(sent.error()));
  while (!stop.stop_requested()) {
    const auto frame = stream.receive(Steady::now() + kLookAgain, stop);
    if (!frame) return fail(of_stream(frame.error()));
    if (!*frame) continue;
    if ((*frame)->kind == "error") return fail(error_of((*frame)->payload));
    if ((*frame)->kind == "watching") {
      if (!std::exchange(was_there, true)) log::info(helper_there, "{}", socket_.string());
      listener_.began_anew();
    }
    if ((*frame)->kind != "address") continue;
    if (const auto given = model::decode<model::AddressGiven>((*frame)->payload)) listener_.address_given(*given);
  }
  return {};
}

}  // namespace bridgehead::boot_services
