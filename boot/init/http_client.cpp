#include "http_client.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <span>

#include "files.h"
#include "process.h"
#include "sha256.h"
#include "text.h"

namespace bridgehead::init {
namespace {

constexpr std::size_t longest_body = 4 * 1024 * 1024;
constexpr std::chrono::seconds stall_limit{15};
constexpr int attempts_in_a_row = 5;

// False: the deadline has passed.
bool ready(int fd, short events, Deadline deadline) {
  pollfd waiting{fd, events, 0};
  for (;;) {
    const int count = ::poll(&waiting, 1, deadline.poll_timeout());
    if (count > 0) return true;
    if (count == 0 || errno != EINTR) return false;
  }
}

// 0 or the reason as errno has it.
int connect_socket(const Endpoint& server, Deadline deadline, Fd& fd) {
  fd.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return errno;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(server.port);
  address.sin_addr.s_addr = htonl(server.host.value);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  if (!ready(fd.get(), POLLOUT, deadline)) return ETIMEDOUT;
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

Status send_all(int fd, std::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    if (!ready(fd, POLLOUT, deadline)) return fail("send the request", "the server took nothing in time");
    const auto count = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count < 0 && errno == EAGAIN) continue;
    if (count < 0) return fail_errno("send the request");
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

// The next bytes; 0 at the connection's end.
Result<std::size_t> receive(int fd, std::span<char> buffer, Deadline deadline) {
  for (;;) {
    if (!ready(fd, POLLIN, deadline)) return fail("wait for the answer", "nothing came in time");
    const auto count = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno != EAGAIN && errno != EINTR) return fail_errno("wait for the answer");
  }
}

// One file as far as it has come, over several connections.
class Transfer {
 public:
  Transfer(const Download& download, const std::string& path)
      : download_(download), file_(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) {}

  bool open() const { return static_cast<bool>(file_); }
  std::uint64_t received() const { return received_; }
  bool hopeless() const { return hopeless_; }
  std::string digest() { return digest_.hex(); }

  // One connection, from where the last one stopped to the end.
  Status run() {
    checked_ = false;
    auto socket = connect_to(download_.url.server, Deadline(std::chrono::seconds(5)));
    if (!socket) return fail(socket.error());
    const auto request = http_request("GET", download_.url, {}, received_);
    if (auto sent = send_all(socket->get(), request, Deadline(stall_limit)); !sent) return sent;
    HttpResponse response;
    std::array<char, 64 * 1024> buffer;
    while (!response.complete()) {
      auto count = receive(socket->get(), buffer, Deadline(stall_limit));
      if (!count) return fail(count.error());
      if (*count == 0) return response.end();
      std::string body;
      if (auto fed = response.feed({buffer.data(), *count}, body); !fed) return fed;
      if (response.head_complete()) {
        if (auto taken = take(response, body); !taken) return taken;
      }
    }
    tell(true);
    return {};
  }

 private:
  tl::unexpected<Failure> give_up(std::string why, std::string hint) {
    hopeless_ = true;
    return fail("download", std::move(why), std::move(hint));
  }

  Status take(const HttpResponse& response, std::string_view body) {
    if (!checked_) {
      const bool fits =
          received_ == 0 ? response.status() == 200 : response.status() == 206 && response.range_start() == received_;
      if (!fits) {
        return give_up(concat("the server answers ", response.status()),
                       "look at the image with 'bh node-image list' and at the manager's log");
      }
      total_ = response.content_length() ? received_ + *response.content_length() : 0;
      checked_ = true;
    }
    if (received_ + body.size() > download_.size_limit || total_ > download_.size_limit) {
      return give_up("the file is larger than the plan says", "has the image been replaced meanwhile?");
    }
    if (auto written = write_all(file_.get(), body); !written) {
      return give_up(concat("no room for it: ", written.error().why), "the machine needs more memory, or root=nbd");
    }
    digest_.update(body);
    received_ += body.size();
    tell(false);
    return {};
  }

  void tell(bool last) {
    if (!download_.progress || (!last && !next_line_.passed())) return;
    next_line_ = Deadline(std::chrono::seconds(1));
    download_.progress(received_, total_);
  }

  const Download& download_;
  Fd file_;
  Sha256 digest_;
  std::uint64_t received_ = 0;
  std::uint64_t total_ = 0;
  bool checked_ = false;
  bool hopeless_ = false;
  Deadline next_line_{std::chrono::seconds(1)};
};

}  // namespace

Result<Fd> connect_to(const Endpoint& server, Deadline deadline) {
  Fd fd;
  if (const int error = connect_socket(server, deadline, fd); error != 0) {
    return fail(concat("reach ", server.text()), error == ETIMEDOUT ? "no answer in time" : std::strerror(error));
  }
  return fd;
}

bool host_answers(const Endpoint& server, Deadline deadline) {
  Fd fd;
  const int error = connect_socket(server, deadline, fd);
  return error == 0 || error == ECONNREFUSED;
}

Result<HttpAnswer> http_exchange(std::string_view method, const Url& url, std::string_view body, Deadline deadline) {
  auto socket = connect_to(url.server, deadline);
  if (!socket) return fail(socket.error());
  if (auto sent = send_all(socket->get(), http_request(method, url, body), deadline); !sent) return fail(sent.error());
  HttpResponse response;
  HttpAnswer answer;
  std::array<char, 8192> buffer;
  while (!response.complete()) {
    auto count = receive(socket->get(), buffer, deadline);
    if (!count) return fail(count.error());
    if (*count == 0) {
      if (auto ended = response.end(); !ended) return fail(ended.error());
      break;
    }
    if (auto fed = response.feed({buffer.data(), *count}, answer.body); !fed) return fail(fed.error());
    if (answer.body.size() > longest_body) return fail("read the server's answer", "it is larger than 4 MiB");
  }
  answer.status = response.status();
  return answer;
}

Status download(const Download& wanted, const std::string& path) {
  Transfer transfer(wanted, path);
  const auto what = concat("download ", wanted.url.text());
  if (!transfer.open()) return fail_errno(what);
  int attempts = 0;
  for (;;) {
    const auto before = transfer.received();
    auto run = transfer.run();
    if (run) break;
    attempts = transfer.received() > before ? 1 : attempts + 1;
    if (transfer.hopeless() || attempts >= attempts_in_a_row) return fail(what, run.error().why, run.error().hint);
    pause_for(std::chrono::seconds(1));
  }
  if (const auto digest = transfer.digest(); digest != wanted.sha256) {
    return fail(what, concat("its SHA-256 is ", digest, " and should be ", wanted.sha256),
                "the file on the server is damaged: build or import the image again");
  }
  return {};
}

}  // namespace bridgehead::init
