#include "netboot/boot_loop.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "netboot/messages.h"

namespace bridgehead::netboot {
namespace {

constexpr std::uint64_t kListener = 0;
constexpr std::uint64_t kInbox = 1;
constexpr int kSweepMilliseconds = 500;
constexpr std::string_view kBusy =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 5\r\nConnection: close\r\n\r\n";

// IPv4 clients of an IPv6 socket look as IPv4.
std::string address_text(const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN] = {};
  if (address.ss_family == AF_INET) {
    ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(address).sin_addr, text, sizeof text);
  } else {
    ::inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr, text, sizeof text);
  }
  std::string result(text);
  if (result.starts_with("::ffff:") && result.find('.') != std::string::npos) result.erase(0, 7);
  return result;
}

std::uint32_t events_for(BootConnection::Want want) {
  switch (want) {
    case BootConnection::Want::read: return EPOLLIN;
    case BootConnection::Want::write: return EPOLLOUT;
    default: return 0;
  }
}

BootReply answer_of(BootSite& site, const BootRequest& request) {
  try {
    return prepare_reply(site.answer(request));
  } catch (const std::exception& error) {
    log::error(boot_site_failed, "{} {}: {}", request.method, request.path, error.what());
    BootReply reply;
    reply.status = 500;
    reply.content_type = "text/plain; charset=utf-8";
    reply.body = "A fault of ours; see the manager's log.\n";
    return reply;
  }
}

}  // namespace

Result<std::unique_ptr<BootLoop>> BootLoop::start(int listener, BootShared& shared, WorkerPool& workers) {
  std::unique_ptr<BootLoop> loop(new BootLoop(listener, shared, workers));
  loop->epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
  loop->inbox_->wake.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  loop->reserve_.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!loop->epoll_ || !loop->inbox_->wake || !loop->reserve_) return fail_errno(errno, "start the boot server");
  // Exclusive: one thread wakes for a connection, not all.
  epoll_event event{EPOLLIN | EPOLLEXCLUSIVE, {.u64 = kListener}};
  if (::epoll_ctl(loop->epoll_.get(), EPOLL_CTL_ADD, listener, &event) != 0) return fail_errno(errno, "epoll");
  event = {EPOLLIN, {.u64 = kInbox}};
  if (::epoll_ctl(loop->epoll_.get(), EPOLL_CTL_ADD, loop->inbox_->wake.get(), &event) != 0) {
    return fail_errno(errno, "epoll");
  }
  loop->thread_ = std::thread([self = loop.get()] { self->work(); });
  return loop;
}

BootLoop::~BootLoop() { stop(); }

void BootLoop::stop() {
  if (!thread_.joinable()) return;
  stopping_ = true;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(inbox_->wake.get(), &one, sizeof one);
  thread_.join();
  while (!connections_.empty()) close(connections_.begin()->first);
}

void BootLoop::work() {
  // sendfile has no MSG_NOSIGNAL: a client that goes in mid-transfer must not end us.
  sigset_t broken_pipe;
  sigemptyset(&broken_pipe);
  sigaddset(&broken_pipe, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &broken_pipe, nullptr);
  std::array<epoll_event, 256> events;
  auto next_sweep = std::chrono::steady_clock::now();
  while (!stopping_) {
    const int timeout = connections_.empty() ? -1 : kSweepMilliseconds;
    const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout);
    for (int i = 0; i < count; ++i) {
      const auto& event = events[static_cast<std::size_t>(i)];
      if (event.data.u64 == kListener) {
        accept_some();
      } else if (event.data.u64 == kInbox) {
        take_completions();
      } else {
        handle(event.data.u64, event.events);
      }
    }
    const auto now = std::chrono::steady_clock::now();
    if (now >= next_sweep) {
      sweep();
      next_sweep = now + std::chrono::milliseconds(kSweepMilliseconds);
    }
  }
}

void BootLoop::accept_some() {
  for (int i = 0; i < 64; ++i) {
    sockaddr_storage address{};
    socklen_t length = sizeof address;
    UniqueFd socket(::accept4(listener_, reinterpret_cast<sockaddr*>(&address), &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket) {
      if (errno == EMFILE || errno == ENFILE) out_of_files();
      return;
    }
    admit(std::move(socket), address_text(address));
  }
}

void BootLoop::admit(UniqueFd socket, const std::string& address) {
  auto traffic = shared_.open.load() < shared_.options.connections
                     ? shared_.traffic.enter(address, shared_.options.connections_per_address)
                     : nullptr;
  if (!traffic) {
    say_refused();  // first: whoever is refused finds itself counted
    [[maybe_unused]] const auto sent = ::send(socket.get(), kBusy.data(), kBusy.size(), MSG_NOSIGNAL);
    return;
  }
  const int on = 1;
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const auto id = next_id_++;
  epoll_event event{EPOLLIN, {.u64 = id}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, socket.get(), &event) != 0) {
    shared_.traffic.leave(*traffic);
    say_refused();
    return;
  }
  ++shared_.open;
  connections_.emplace(id, Entry{BootConnection(std::move(socket), std::move(traffic), shared_.options, shared_.sent)});
}

// The connection would stay in the queue and wake us for ever: it is taken with the reserve and closed.
void BootLoop::out_of_files() {
  reserve_.reset();
  UniqueFd socket(::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC));
  socket.reset();
  reserve_.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  say_refused();
}

void BootLoop::say_refused() {
  const auto count = ++shared_.refused;
  const auto now =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
  auto said = shared_.refusal_said.load();
  if ((said != 0 && now - said < 60) || !shared_.refusal_said.compare_exchange_strong(said, now)) return;
  log::warning(boot_server_refused, "{} connections refused so far; {} are open, {} possible, {} from one address",
               count, shared_.open.load(), shared_.options.connections, shared_.options.connections_per_address);
}

void BootLoop::handle(std::uint64_t id, std::uint32_t events) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  auto& entry = found->second;
  if ((events & (EPOLLERR | EPOLLHUP)) != 0) return close(id);
  if ((events & EPOLLIN) != 0) return follow(id, entry, entry.connection.readable());
  if ((events & EPOLLOUT) != 0) return follow(id, entry, entry.connection.writable());
}

void BootLoop::follow(std::uint64_t id, Entry& entry, BootConnection::Want want) {
  if (want == BootConnection::Want::close) return close(id);
  if (want != entry.want) {
    epoll_event event{events_for(want), {.u64 = id}};
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, entry.connection.fd(), &event) != 0) return close(id);
    entry.want = want;
  }
  if (auto request = entry.connection.take_request()) ask_site(id, std::move(*request));
}

void BootLoop::ask_site(std::uint64_t id, BootRequest request) {
  ++shared_.requests;
  workers_.submit([id, inbox = inbox_, site = shared_.site, request = std::move(request)] {
    auto reply = answer_of(*site, request);
    {
      const std::lock_guard lock(inbox->mutex);
      inbox->completions.push_back({id, std::move(reply)});
    }
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(inbox->wake.get(), &one, sizeof one);
  });
}

void BootLoop::take_completions() {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = ::read(inbox_->wake.get(), &count, sizeof count);
  std::vector<Completion> completions;
  {
    const std::lock_guard lock(inbox_->mutex);
    completions.swap(inbox_->completions);
  }
  for (auto& completion : completions) {
    const auto found = connections_.find(completion.id);
    if (found == connections_.end()) continue;  // it has gone meanwhile
    follow(completion.id, found->second, found->second.connection.reply(std::move(completion.reply)));
  }
}

void BootLoop::sweep() {
  const auto now = std::chrono::steady_clock::now();
  std::vector<std::uint64_t> late;
  for (const auto& [id, entry] : connections_) {
    if (entry.connection.deadline() <= now) late.push_back(id);
  }
  for (const auto id : late) {
    auto& entry = connections_.at(id);
    follow(id, entry, entry.connection.expired());
  }
}

void BootLoop::close(std::uint64_t id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  shared_.traffic.leave(found->second.connection.traffic());
  connections_.erase(found);  // closing the socket takes it out of epoll
  --shared_.open;
}

}  // namespace bridgehead::netboot
