#include "boot_services/boot_services_server.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/file.h"
#include "base/unix_socket.h"
#include "boot_services/messages.h"
#include "model/codec.h"
#include "netboot/boot_values.h"

namespace bridgehead::boot_services {
namespace {

constexpr std::size_t kConnections = 32;
constexpr std::size_t kMostNews = 10'000;  // for one that doesn't listen
constexpr std::chrono::milliseconds kLook{200};
constexpr std::chrono::seconds kRequestPatience{10};

// The directory keeps all others out, so that the moment before the socket has its mode doesn't matter.
Status make_place(const ServerOptions& options) {
  const auto directory = options.socket.parent_path();
  if (auto made = make_directories(directory, 0750); !made) return made;
  if (options.group && ::chown(directory.c_str(), 0, *options.group) != 0) {
    return fail_errno(errno, directory.string());
  }
  if (::chmod(directory.c_str(), 0750) != 0) return fail_errno(errno, directory.string());
  return remove_file(options.socket);
}

Result<UniqueFd> open_socket(const ServerOptions& options) {
  const auto address = unix_address(options.socket);
  if (!address) return forward(address);
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno(errno, "socket");
  const bool bound = ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) == 0 &&
                     (!options.group || ::chown(options.socket.c_str(), 0, *options.group) == 0) &&
                     ::chmod(options.socket.c_str(), 0660) == 0 && ::listen(fd.get(), kConnections) == 0;
  if (!bound) return fail_errno(errno, options.socket.string());
  return fd;
}

// While it lives: requests a stop when the caller cancels or goes away, or when the server stops.
class CancelledByCaller {
 public:
  CancelledByCaller(FrameStream& stream, const std::stop_token& server)
      : by_server_(server, [this] { source_.request_stop(); }),
        listening_([this, &stream](const std::stop_token& ended) {
          while (!ended.stop_requested()) {
            const auto frame = stream.receive(Steady::now() + kLook, ended);
            if (frame && (!*frame || (*frame)->kind != "cancel")) continue;
            source_.request_stop();
            return;
          }
        }) {}

  std::stop_token token() const { return source_.get_token(); }

 private:
  std::stop_source source_;
  std::stop_callback<std::function<void()>> by_server_;
  std::jthread listening_;
};

template <typename Request, typename Act>
Result<std::string> answer(const std::string& payload, Act act) {
  const auto request = model::decode<Request>(payload);
  if (!request) return fail(ErrorCode::invalid_argument, "{}", request.error().message);
  const auto result = act(*request);
  if (!result) return forward(result);
  return model::encode(*result);
}

template <typename T>
Result<std::string> encoded(const Result<T>& result) {
  if (!result) return forward(result);
  return model::encode(*result);
}

}  // namespace

Result<std::unique_ptr<BootServicesServer>> BootServicesServer::start(const ServerOptions& options,
                                                                      BootServices& services) {
  if (auto made = make_place(options); !made) return forward(made);
  auto socket = open_socket(options);
  if (!socket) return forward(socket);
  return std::unique_ptr<BootServicesServer>(  // the constructor is private
      new BootServicesServer(options, services, std::move(*socket)));
}

BootServicesServer::BootServicesServer(const ServerOptions& options, BootServices& services, UniqueFd socket)
    : options_(options), services_(services), socket_(std::move(socket)) {
  services_.listen({.address_given =
                        [this](const model::AddressGiven& given) {
                          const std::lock_guard lock(mutex_);
                          for (auto* news : watchers_) {
                            if (news->size() < kMostNews) news->push_back(given);
                          }
                          wake_.notify_all();
                        },
                    .began_anew = [] {}});
  thread_ = std::jthread([this](const std::stop_token& stop) { accept_all(stop); });
}

BootServicesServer::~BootServicesServer() {
  thread_ = {};
  connections_.clear();  // stops and joins
  services_.listen({});
  (void)remove_file(options_.socket);
}

void BootServicesServer::accept_all(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    std::erase_if(connections_, [](const Connection& one) { return one.ended.load(); });
    pollfd waiting{socket_.get(), POLLIN, 0};
    if (::poll(&waiting, 1, static_cast<int>(kLook.count())) <= 0) continue;
    UniqueFd fd(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd || !is_caller(fd.get()) || connections_.size() >= kConnections) continue;
    auto& connection = connections_.emplace_back();
    connection.thread = std::jthread([this, &connection, fd = std::move(fd)](const std::stop_token& stopped) mutable {
      FrameStream stream(std::move(fd));
      serve(stream, stopped);
      connection.ended = true;
    });
  }
}

bool BootServicesServer::is_caller(int connection) const {
  ucred caller{};
  socklen_t size = sizeof caller;
  const bool known = ::getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &caller, &size) == 0;
  if (known && options_.callers.contains(caller.uid)) return true;
  log::warning(helper_caller_refused, "process {} of user {}", caller.pid, caller.uid);
  return false;
}

void BootServicesServer::serve(FrameStream& stream, const std::stop_token& stop) {
  const auto request = stream.receive(Steady::now() + kRequestPatience, stop);
  if (!request || !*request) return;
  const CancelledByCaller cancelled(stream, stop);
  if ((*request)->kind == "watch") return tell_news(stream, cancelled.token());
  const auto result = carry_out(**request, stream, cancelled.token());
  // Given up because the server stops: the caller didn't ask for that, so he hears no answer and asks the next server.
  if (!result && stop.stop_requested()) return;
  if (!result && result.error().code == ErrorCode::invalid_argument) {
    log::warning(helper_call_refused, "{}: {}", netboot::printable((*request)->kind), result.error().message);
  }
  // Who has gone meanwhile asks again.
  const auto sent = stream.send(result ? Frame{"result", *result} : Frame{"error", error_payload(result.error())});
  if (!sent && sent.error().code == ErrorCode::resource_exhausted) {
    (void)stream.send({"error", error_payload(sent.error())});
  }
}

Result<std::string> BootServicesServer::carry_out(const Frame& request, FrameStream& stream,
                                                  const std::stop_token& stop) {
  const auto& [kind, payload] = request;
  if (kind == "apply") {
    return answer<model::ServingPlan>(payload, [&](const auto& plan) { return services_.apply(plan, stop); });
  }
  if (kind == "status") return encoded(services_.status());
  if (kind == "foreign-dhcp") return encoded(services_.foreign_dhcp_servers(stop));
  if (kind == "make-image") {
    // The end of the stream is seen where it is read.
    const auto tell = [&](const Progress& now) { (void)stream.send({"progress", progress_payload(now)}); };
    return answer<model::NodeImageOrder>(payload,
                                         [&](const auto& order) { return services_.make_image(order, tell, stop); });
  }
  if (kind == "remove-image") {
    const auto removed = services_.remove_image(model::NodeImageId(payload), {});
    return removed ? Result<std::string>(std::string()) : forward(removed);
  }
  if (kind == "compare-images") {
    return answer<model::NodeImageComparison>(payload, [&](const auto& two) { return services_.compare_images(two); });
  }
  return fail(ErrorCode::invalid_argument, "there is nothing like '{}'", netboot::printable(kind));
}

void BootServicesServer::tell_news(FrameStream& stream, const std::stop_token& stop) {
  News news;
  {
    const std::lock_guard lock(mutex_);
    watchers_.insert(&news);
  }
  auto sent = stream.send({"watching", ""});
  while (sent && !stop.stop_requested()) {
    News now;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, stop, [&] { return !news.empty(); });
      now.swap(news);
    }
    for (const auto& given : now) {
      if (sent) sent = stream.send({"address", model::encode(given)});
    }
  }
  const std::lock_guard lock(mutex_);
  watchers_.erase(&news);
}

}  // namespace bridgehead::boot_services
