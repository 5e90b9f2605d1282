// The boot server's throughput beside nginx with sendfile, on the same file, in one run. Rounds alternate, so that a
// noisy machine hits both alike; the median of the rounds' ratios counts.
//
//   boot_server_bench [--size MIB] [--rounds N] [--seconds S] [--directory DIR] [--assert]
//
// Clients fetch the file again and again over kept connections and throw the bytes away in the kernel (MSG_TRUNC), so
// that mostly the server is measured. --assert: exits 1 if the ratio is below 1.0 (less an allowance for noise of 5%)
// for 1 or 200 clients, or if our server's memory grows with the clients.
#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"
#include "base/random.h"
#include "netboot/boot_server.h"

namespace {

using namespace bridgehead;
using namespace bridgehead::netboot;
using Seconds = std::chrono::duration<double>;

constexpr double kWantedRatio = 1.0;
constexpr double kNoise = 0.05;
constexpr long kLargestRss = 48 << 10;    // KiB, with 200 clients
constexpr long kLargestGrowth = 6 << 10;  // KiB, from 1 to 200 clients

struct BenchOptions {
  std::uint64_t size = 150;  // MiB
  int rounds = 15;
  double seconds = 0.7;
  std::string directory = "/var/tmp";
  bool assert_figures = false;
};

[[noreturn]] void die(const std::string& why) {
  std::fprintf(stderr, "boot_server_bench: %s\n", why.c_str());
  std::exit(2);
}

class DirectorySite final : public BootSite {
 public:
  explicit DirectorySite(std::string directory) : directory_(std::move(directory)) {}
  BootAnswer answer(const BootRequest& request) override {
    return BootAnswer::send({.path = directory_ + request.path});
  }

 private:
  std::string directory_;
};

// A server in a process of its own that ends with this object.
class ServerProcess {
 public:
  template <typename Function>
  explicit ServerProcess(Function run) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) die("pipe");
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::close(ends[0]);
      run(ends[1]);
      ::_exit(1);
    }
    ::close(ends[1]);
    if (::read(ends[0], &port_, sizeof port_) != sizeof port_) die("a server did not start");
    ::close(ends[0]);
  }
  ServerProcess(const ServerProcess&) = delete;
  ~ServerProcess() {
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
  }
  std::uint16_t port() const { return port_; }
  long peak_rss() const {
    const auto status = read_file(fmt::format("/proc/{}/status", pid_)).value_or("");
    const auto at = status.find("VmHWM:");
    return at == std::string::npos ? 0 : std::strtol(status.c_str() + at + 6, nullptr, 10);
  }

 private:
  pid_t pid_ = -1;
  std::uint16_t port_ = 0;
};

void serve_ours(const std::string& directory, int ready) {
  DirectorySite site(directory);
  const auto server = BootServer::start({.address = "127.0.0.1", .connections_per_address = 1000}, site);
  if (!server) die(server.error().describe());
  const auto port = (*server)->port();
  if (::write(ready, &port, sizeof port) != sizeof port) ::_exit(1);
  for (;;) ::pause();
}

std::uint16_t free_port() {
  const UniqueFd socket(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  ::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), length);
  ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &length);
  return ntohs(address.sin_port);
}

UniqueFd connect_to(std::uint16_t port) {
  UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) socket.reset();
  return socket;
}

void serve_nginx(const std::string& directory, int ready) {
  const auto port = free_port();
  const auto config = directory + "/nginx.conf";
  const auto text = fmt::format(R"(daemon off;
worker_processes 2;
pid {0}/nginx.pid;
error_log {0}/nginx.log;
events {{ worker_connections 2048; }}
http {{
  sendfile on; tcp_nopush on; access_log off; keepalive_requests 1000000;
  client_body_temp_path {0}/t1; proxy_temp_path {0}/t2; fastcgi_temp_path {0}/t3; uwsgi_temp_path {0}/t4; scgi_temp_path {0}/t5;
  server {{ listen 127.0.0.1:{1}; root {0}; }}
}}
)",
                                directory, port);
  if (!write_file_atomic(config, text, 0644)) ::_exit(1);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    ::execlp("nginx", "nginx", "-e", (directory + "/nginx.log").c_str(), "-c", config.c_str(), nullptr);
    std::fprintf(stderr, "boot_server_bench: nginx isn't installed (package nginx-light)\n");
    ::_exit(127);
  }
  for (int i = 0; i < 100; ++i) {
    if (connect_to(port)) {
      if (::write(ready, &port, sizeof port) != sizeof port) ::_exit(1);
      ::waitpid(pid, nullptr, 0);
      ::_exit(0);
    }
    ::usleep(50'000);
  }
  ::_exit(1);
}

// Clients that share one thread: each asks, throws the answer away, asks again.
class ClientLoop {
 public:
  ClientLoop(std::uint16_t port, std::size_t clients) : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    for (std::size_t i = 0; i < clients; ++i) {
      auto socket = connect_to(port);
      if (!socket) die(fmt::format("a client could not connect to port {}: {}", port, std::strerror(errno)));
      ::fcntl(socket.get(), F_SETFL, O_NONBLOCK);
      epoll_event event{EPOLLIN, {.u64 = i}};
      ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, socket.get(), &event);
      clients_.push_back({std::move(socket), 0});
    }
  }

  std::uint64_t run(std::chrono::steady_clock::time_point end) {
    for (auto& client : clients_) ask(client);
    epoll_event events[64];
    while (std::chrono::steady_clock::now() < end) {
      const int count = ::epoll_wait(epoll_.get(), events, 64, 50);
      for (int i = 0; i < count; ++i) take(clients_[events[i].data.u64]);
    }
    return bytes_;
  }

 private:
  struct Client {
    UniqueFd socket;
    std::uint64_t left = 0;  // of the answer; 0: its head is due
  };

  static void ask(Client& client) {
    constexpr std::string_view kRequest = "GET /file HTTP/1.1\r\nHost: bench\r\n\r\n";
    if (::send(client.socket.get(), kRequest.data(), kRequest.size(), MSG_NOSIGNAL) < 0) die("a client was cut off");
  }

  void take(Client& client) {
    char head[4096];
    if (client.left == 0) {
      const auto seen = ::recv(client.socket.get(), head, sizeof head - 1, MSG_PEEK);
      if (seen <= 0) die("a client was cut off");
      head[seen] = '\0';
      const char* end = std::strstr(head, "\r\n\r\n");
      const char* length = std::strstr(head, "Content-Length: ");
      if (end == nullptr) return;  // more will come
      if (length == nullptr || std::strncmp(head, "HTTP/1.1 200", 12) != 0)
        die("a strange answer: " + std::string(head));
      client.left = std::strtoull(length + 16, nullptr, 10);
      ::recv(client.socket.get(), head, static_cast<std::size_t>(end + 4 - head), 0);
    }
    const auto got = ::recv(client.socket.get(), nullptr, std::min<std::uint64_t>(client.left, 4 << 20), MSG_TRUNC);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) die("a client was cut off");
    bytes_ += static_cast<std::uint64_t>(got);
    client.left -= static_cast<std::uint64_t>(got);
    if (client.left == 0) ask(client);
  }

  UniqueFd epoll_;
  std::vector<Client> clients_;
  std::uint64_t bytes_ = 0;
};

// MB/s
double measure(std::uint16_t port, std::size_t clients, double seconds) {
  const std::size_t threads = std::min<std::size_t>(clients, 2);
  std::atomic<std::uint64_t> bytes{0};
  std::vector<std::thread> running;
  const auto begin = std::chrono::steady_clock::now();
  const auto end = begin + std::chrono::duration_cast<std::chrono::steady_clock::duration>(Seconds(seconds));
  for (std::size_t i = 0; i < threads; ++i) {
    running.emplace_back([&] {
      ClientLoop loop(port, clients / threads);
      bytes += loop.run(end);
    });
  }
  for (auto& thread : running) thread.join();
  return static_cast<double>(bytes) / 1e6 / Seconds(std::chrono::steady_clock::now() - begin).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

BenchOptions parse(int argc, char** argv) {
  BenchOptions options;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    const auto value = [&] {
      return i + 1 < argc ? std::string(argv[++i]) : (die(name + " needs a value"), std::string());
    };
    if (name == "--size")
      options.size = std::stoull(value());
    else if (name == "--rounds")
      options.rounds = std::max(1, std::stoi(value()));
    else if (name == "--seconds")
      options.seconds = std::stod(value());
    else if (name == "--directory")
      options.directory = value();
    else if (name == "--assert")
      options.assert_figures = true;
    else
      die("unknown option " + name);
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = parse(argc, argv);
  std::string directory = options.directory + "/boot_server_bench.XXXXXX";
  if (::mkdtemp(directory.data()) == nullptr) die("can't make " + directory);
  const std::filesystem::path cleanup(directory);
  std::filesystem::permissions(cleanup, std::filesystem::perms(0755));
  {
    std::string chunk(options.size << 20, '\0');
    SeededRandom random(1);
    random.fill({reinterpret_cast<std::uint8_t*>(chunk.data()), chunk.size()});
    if (!write_file_atomic(directory + "/file", chunk, 0644)) die("can't write the file");
  }
  int failures = 0;
  {
    const ServerProcess ours([&](int ready) { serve_ours(directory, ready); });
    const ServerProcess nginx([&](int ready) { serve_nginx(directory, ready); });
    std::vector<long> rss;
    for (const std::size_t clients : {1, 200}) {
      std::vector<double> our_rates, nginx_rates, ratios;
      measure(ours.port(), clients, 0.3);  // warm
      measure(nginx.port(), clients, 0.3);
      for (int round = 0; round < options.rounds; ++round) {
        const bool ours_first = round % 2 == 0;
        const double first = measure(ours_first ? ours.port() : nginx.port(), clients, options.seconds);
        const double second = measure(ours_first ? nginx.port() : ours.port(), clients, options.seconds);
        our_rates.push_back(ours_first ? first : second);
        nginx_rates.push_back(ours_first ? second : first);
        ratios.push_back(our_rates.back() / nginx_rates.back());
      }
      rss.push_back(ours.peak_rss());
      const double ratio = median(ratios);
      std::printf("%3zu clients: ours %6.0f MB/s, nginx %6.0f MB/s, ratio %.3f (median of %d rounds), memory %ld KiB\n",
                  clients, median(our_rates), median(nginx_rates), ratio, options.rounds, rss.back());
      if (ratio < kWantedRatio - kNoise) ++failures;
    }
    if (rss[1] > kLargestRss || rss[1] - rss[0] > kLargestGrowth) {
      std::printf("memory grew from %ld to %ld KiB\n", rss[0], rss[1]);
      ++failures;
    }
  }
  std::error_code ignored;
  std::filesystem::remove_all(cleanup, ignored);
  return options.assert_figures && failures > 0 ? 1 : 0;
}
