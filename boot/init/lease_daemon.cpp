#include "lease_daemon.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cstring>
#include <ctime>

#include "daemon.h"
#include "files.h"
#include "text.h"

namespace bridgehead::init {
namespace {

using Time = LeaseKeeper::Time;

constexpr std::uint16_t server_port = 67;
constexpr std::uint16_t client_port = 68;

// A lease goes on while the machine is suspended to memory, and so does this clock.
Time now() {
  timespec time{};
  ::clock_gettime(CLOCK_BOOTTIME, &time);
  return std::chrono::seconds(time.tv_sec) + Time(time.tv_nsec / 1'000'000);
}

// Wakes at `due`, and at once after a sleep that was longer.
void set_timer(int timer, Time due) {
  itimerspec when{};  // zero: never
  if (due != Time::max()) {
    when.it_value.tv_sec = due.count() / 1000;
    when.it_value.tv_nsec = due.count() % 1000 * 1'000'000 + 1;
  }
  ::timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, nullptr);
}

// Others may have that port on other interfaces.
Fd open_socket(const std::string& interface) {
  Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int yes = 1;
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_port = htons(client_port);
  const bool good = ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0 &&
                    ::setsockopt(fd.get(), SOL_SOCKET, SO_BROADCAST, &yes, sizeof yes) == 0 &&
                    ::setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, interface.data(),
                                 static_cast<socklen_t>(interface.size())) == 0 &&
                    ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any) == 0;
  if (!good) fd.reset();
  return fd;
}

class LeaseDaemon {
 public:
  LeaseDaemon(const LeaseDuty& duty, Fd socket, Fd timer, std::uint32_t seed)
      : keeper_(duty.subject, seed, now()), socket_(std::move(socket)), timer_(std::move(timer)) {}

  [[noreturn]] void run() {
    for (;;) {
      set_timer(timer_.get(), keeper_.due());
      pollfd waiting[] = {{socket_.get(), POLLIN, 0}, {timer_.get(), POLLIN, 0}};
      ::poll(waiting, 2, -1);
      listen();
      carry_out(keeper_.wake(now()));
    }
  }

 private:
  void listen() {
    char bytes[2048];
    for (;;) {
      const auto size = ::recv(socket_.get(), bytes, sizeof bytes, 0);
      if (size < 0) return;
      if (const auto reply = decode_dhcp_reply({bytes, static_cast<std::size_t>(size)})) {
        carry_out(keeper_.take(*reply, now()));
      }
    }
  }

  void carry_out(const LeaseKeeper::Step& step) {
    if (!step.say.empty()) log_line("bridgehead-dhcp", step.say, step.loud ? Severity::error : Severity::notice);
    if (!step.send) return;
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(server_port);
    to.sin_addr.s_addr = htonl(step.to.value);
    const auto bytes = encode(*step.send);
    // What can't be sent now is as good as lost on the way: there is a next try.
    static_cast<void>(::sendto(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL,
                               reinterpret_cast<const sockaddr*>(&to), sizeof to));
  }

  LeaseKeeper keeper_;
  Fd socket_;
  Fd timer_;
};

// Differs between the nodes of a rack that were powered on at once, and between the boots of one.
std::uint32_t seed_of(const Mac& mac) {
  std::uint32_t tail = 0;
  std::memcpy(&tail, mac.bytes.data() + 2, sizeof tail);
  timespec time{};
  ::clock_gettime(CLOCK_REALTIME, &time);
  return tail ^ static_cast<std::uint32_t>(time.tv_nsec);
}

}  // namespace

std::vector<std::string> to_arguments(const LeaseDuty& duty) {
  return {lease_daemon_name, duty.interface, duty.subject.address.text(), duty.subject.mac.text(),
          duty.subject.hostname};
}

std::optional<LeaseDuty> lease_duty(const std::vector<std::string>& arguments) {
  if (arguments.size() != 5) return std::nullopt;
  const auto address = Ipv4::parse(arguments[2]);
  const auto mac = Mac::parse(arguments[3]);
  if (!address || !mac) return std::nullopt;
  return LeaseDuty{arguments[1], {*address, *mac, arguments[4]}};
}

Result<pid_t> start_lease_daemon(const LeaseDuty& duty) {
  return start_daemon(to_arguments(duty), concat("it can't listen for DHCP servers on ", duty.interface));
}

int run_lease_daemon(const std::vector<std::string>& arguments) {
  become_permanent("bridgehead-dhcp");
  const auto duty = lease_duty(arguments);
  if (!duty) return 1;
  auto socket = open_socket(duty->interface);
  Fd timer(::timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC));
  if (!socket || !timer || !tell_ready()) return 1;
  LeaseDaemon(*duty, std::move(socket), std::move(timer), seed_of(duty->subject.mac)).run();
}

}  // namespace bridgehead::init
