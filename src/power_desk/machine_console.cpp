#include "power_desk/machine_console.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <cerrno>

#include "base/terminal_process.h"

namespace bridgehead::power_desk {
namespace {

constexpr std::size_t kMostSaid = 64 * 1024;  // before it is connected

}  // namespace

Result<std::shared_ptr<MachineConsole>> MachineConsole::create(power::ConsoleProgram program, CommandRunner& runner,
                                                               reconcile::TunnelHandlers handlers) {
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) return fail_errno(errno, "open a console");
  return std::shared_ptr<MachineConsole>(
      new MachineConsole(std::move(program), runner, std::move(handlers), std::move(wake)));
}

void MachineConsole::run(const std::shared_future<void>& before, bool take_over, const std::stop_token& stop) {
  if (before.valid()) before.wait();
  const std::stop_callback stopped(stop, [this] { wake(); });
  auto result = converse(take_over, stop);
  // Handlers may own this tunnel.
  const auto handlers = std::exchange(handlers_, {});
  std::deque<Typed> unsent;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    unsent.swap(typed_);
  }
  ended_.set_value();
  handlers.closed(std::move(result));
}

Status MachineConsole::converse(bool take_over, const std::stop_token& stop) {
  if (wishes().closed || stop.stop_requested()) return fail(ErrorCode::cancelled, "closed before it was open");
  if (take_over && program_.leave) (void)runner_.run(*program_.leave, stop);  // there may be none to end
  auto process = TerminalProcess::start(program_.command);
  if (!process) return forward(process);
  const auto deadline = std::chrono::steady_clock::now() + program_.command.timeout;
  bool ended = false;
  Status outcome;
  while (!ended) {
    const auto wish = wishes();
    if (wish.closed || stop.stop_requested()) {
      outcome = wish.closed ? Status() : fail(ErrorCode::unavailable, "the manager is being stopped");
      break;
    }
    if (wish.size) process->resize(wish.size->first, wish.size->second);
    if (connected_ && wish.reads && !said_.empty()) {
      hand_over();
      continue;
    }
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (!connected_ && left.count() <= 0) {
      outcome = fail_with_hint(ErrorCode::timeout, "the console wasn't there in time",
                               "Try it again; `bh node bmc check` says whether the BMC answers.");
      break;
    }
    const bool reads = !connected_ || wish.reads;
    const bool types = connected_ && wish.types;
    const auto events = static_cast<short>((reads ? POLLIN : 0) | (types ? POLLOUT : 0));
    // Not looked at while nothing is wanted of it: the end of what it prints comes after the rest.
    pollfd waiting[2] = {{events == 0 ? -1 : process->fd(), events, 0}, {wake_.get(), POLLIN, 0}};
    if (::poll(waiting, 2, connected_ ? -1 : static_cast<int>(left.count())) < 0 && errno != EINTR) {
      outcome = fail_errno(errno, "wait for the console");
      break;
    }
    if (waiting[1].revents != 0) {
      std::uint64_t count = 0;
      (void)!::read(wake_.get(), &count, sizeof count);
    }
    if (types && (waiting[0].revents & POLLOUT) != 0) type_into(process->fd());
    if (reads && (waiting[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0) ended = !read_from(process->fd());
  }
  process->end();
  if (ended && !connected_) return fail(program_.explain(said_));
  // A program that was killed may leave its session behind at the BMC, where the next one would be refused.
  if (!ended && program_.leave) (void)runner_.run(*program_.leave, {});
  return outcome;
}

MachineConsole::Wishes MachineConsole::wishes() {
  const std::lock_guard lock(mutex_);
  return {
      .closed = closed_, .reads = asked_for_ > 0, .types = !typed_.empty(), .size = std::exchange(size_, std::nullopt)};
}

bool MachineConsole::read_from(int terminal) {
  char buffer[16384];
  const auto got = ::read(terminal, buffer, sizeof buffer);
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return true;
  if (got <= 0) return false;
  said_.append(buffer, static_cast<std::size_t>(got));
  if (connected_) return true;
  const auto word = said_.find(program_.connected);
  const auto end = word == std::string::npos ? word : said_.find('\n', word);
  if (end == std::string::npos) {
    if (said_.size() > kMostSaid) said_.erase(0, said_.size() - kMostSaid / 2);
    return true;
  }
  said_.erase(0, end + 1);
  connected_ = true;
  handlers_.opened();
  return true;
}

void MachineConsole::hand_over() {
  {
    const std::lock_guard lock(mutex_);
    --asked_for_;
  }
  handlers_.data(std::exchange(said_, {}));
}

void MachineConsole::type_into(int terminal) {
  std::function<void()> sent;
  {
    const std::lock_guard lock(mutex_);
    auto& first = typed_.front();
    const auto written = ::write(terminal, first.bytes.data(), first.bytes.size());
    if (written < 0) return;  // it is full, or has ended, which reading tells
    first.bytes.erase(0, static_cast<std::size_t>(written));
    if (!first.bytes.empty()) return;
    sent = std::move(first.sent);
    typed_.pop_front();
  }
  if (sent) sent();
}

void MachineConsole::wake() const {
  const std::uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);
}

void MachineConsole::write(std::string bytes, std::function<void()> sent) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    typed_.push_back({std::move(bytes), std::move(sent)});
  }
  wake();
}

void MachineConsole::resize(std::uint32_t columns, std::uint32_t rows) {
  {
    const std::lock_guard lock(mutex_);
    size_ = std::pair(columns, rows);
  }
  wake();
}

void MachineConsole::close(std::string) {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  wake();
}

void MachineConsole::resume() {
  {
    const std::lock_guard lock(mutex_);
    ++asked_for_;
  }
  wake();
}

}  // namespace bridgehead::power_desk
