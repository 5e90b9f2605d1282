#include "netboot/boot_server.h"
#include "netboot/taken_bytes.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <mutex>
#include <thread>

#include "base/file.h"
#include "base/random.h"

namespace bridgehead::netboot {
namespace {

using namespace std::chrono_literals;

class TestSite final : public BootSite {
 public:
  explicit TestSite(std::filesystem::path files) : directory(std::move(files)) {}
  BootAnswer answer(const BootRequest& request) override {
    {
      const std::lock_guard lock(mutex);
      last = request;
    }
    if (request.path == "/throw") throw std::runtime_error("broken");
    if (request.path == "/slow") std::this_thread::sleep_for(200ms);
    if (request.path == "/none") return BootAnswer::none();
    if (request.path == "/begin") {
      auto answer = BootAnswer::text("boot\n");
      answer.begins_boot = true;
      return answer;
    }
    if (request.path == "/refused") return BootAnswer::text("waiting for approval\n", 403);
    if (request.path.starts_with("/files/")) {
      return BootAnswer::send({.path = directory / request.path.substr(7), .etag = "v1"});
    }
    return BootAnswer::text(request.method + " " + request.path + " " + request.body + "\n");
  }
  std::filesystem::path directory;
  std::mutex mutex;
  BootRequest last;
};

class Client {
 public:
  explicit Client(std::uint16_t port, std::string from = "127.0.0.1")
      : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    ::inet_pton(AF_INET, from.c_str(), &address.sin_addr);
    EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ::inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    address.sin_port = htons(port);
    EXPECT_EQ(::connect(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    timeval patience{30, 0};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }

  void say(std::string_view text) {
    while (!text.empty()) {
      const auto sent = ::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  // One answer: its head and as many bytes as that promises.
  struct Answer {
    int status = 0;
    std::string head;
    std::string body;
  };
  Answer hear(bool with_body = true) {
    Answer answer;
    while (buffer_.find("\r\n\r\n") == std::string::npos) {
      if (!more()) return answer;
    }
    const auto end = buffer_.find("\r\n\r\n") + 4;
    answer.head = buffer_.substr(0, end);
    buffer_.erase(0, end);
    answer.status = std::stoi(answer.head.substr(9, 3));
    const auto at = answer.head.find("Content-Length: ");
    const std::size_t length = at == std::string::npos || !with_body ? 0 : std::stoul(answer.head.substr(at + 16));
    while (buffer_.size() < length && more()) {
    }
    answer.body = buffer_.substr(0, length);
    buffer_.erase(0, length);
    return answer;
  }
  Answer ask(std::string_view line, std::string_view fields = "", std::string_view body = "") {
    say(fmt::format("{} HTTP/1.1\r\nHost: test\r\n{}\r\n{}", line, fields, body));
    return hear(!line.starts_with("HEAD"));
  }
  bool closed() {
    char byte = 0;
    const auto got = ::recv(socket_.get(), &byte, 1, 0);
    return buffer_.empty() && (got == 0 || (got < 0 && errno == ECONNRESET));
  }
  bool is_answered() {
    pollfd waiting{socket_.get(), POLLIN, 0};
    return ::poll(&waiting, 1, 30'000) == 1;
  }

 private:
  bool more() {
    char bytes[65536];
    const auto got = ::recv(socket_.get(), bytes, sizeof bytes, 0);
    if (got > 0) buffer_.append(bytes, static_cast<std::size_t>(got));
    return got > 0;
  }
  UniqueFd socket_;
  std::string buffer_;
};

class BootServerTest : public ::testing::Test {
 protected:
  void start(BootServerOptions options = {}) {
    options.address = "127.0.0.1";
    auto started = BootServer::start(options, site);
    ASSERT_TRUE(started) << started.error().describe();
    server = std::move(*started);
  }
  std::string make_file(const std::string& name, std::size_t size) {
    std::string content(size, '\0');
    SeededRandom random(7);
    random.fill({reinterpret_cast<std::uint8_t*>(content.data()), size});
    EXPECT_TRUE(write_file_atomic(site.directory / name, content));
    return content;
  }

  bool all_have_gone() {
    const auto end = std::chrono::steady_clock::now() + 30s;
    while (server->statistics().connections > 0) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(5ms);
    }
    return true;
  }

  TemporaryDirectory temporary = *TemporaryDirectory::create();
  TestSite site{temporary.path()};
  std::unique_ptr<BootServer> server;
};

TEST_F(BootServerTest, AnswersOnOneConnection) {
  start();
  Client client(server->port());
  EXPECT_EQ(client.ask("GET /a?x=1").body, "GET /a \n");
  EXPECT_EQ(client.ask("POST /b?mac=m", "Content-Length: 5\r\n", "hello").body, "POST /b hello\n");
  EXPECT_EQ(site.last.parameter("mac"), "m");
  EXPECT_EQ(site.last.remote_address, "127.0.0.1");
  const auto none = client.ask("GET /none");
  EXPECT_EQ(none.status, 204);
  EXPECT_EQ(none.head.find("Content-Length"), std::string::npos);
  const auto refused = client.ask("GET /refused");
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(refused.body, "waiting for approval\n");
  const auto head = client.ask("HEAD /a");
  EXPECT_NE(head.head.find("Content-Length: 8\r\n"), std::string::npos) << head.head;
  EXPECT_EQ(client.ask("GET /throw").status, 500);
  EXPECT_EQ(client.ask("GET /after", "Connection: close\r\n").status, 200);
  EXPECT_TRUE(client.closed());
  EXPECT_EQ(server->statistics().requests, 7u);
}

TEST_F(BootServerTest, AnswersPipelinedRequestsInOrder) {
  start();
  Client client(server->port());
  std::string all;
  for (int i = 0; i < 50; ++i)
    all += fmt::format("GET /{}{} HTTP/1.1\r\nHost: a\r\n\r\n", i % 7 == 0 ? "slow" : "n",
                       i % 7 == 0 ? "" : std::to_string(i));
  client.say(all);
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(client.hear().body, i % 7 == 0 ? "GET /slow \n" : fmt::format("GET /n{} \n", i));
  }
}

TEST_F(BootServerTest, SendsFilesAndTheirParts) {
  const auto content = make_file("kernel", 9'000'001);
  make_file("empty", 0);
  start();
  Client client(server->port());
  const auto whole = client.ask("GET /files/kernel");
  EXPECT_EQ(whole.status, 200);
  EXPECT_TRUE(whole.body == content);
  EXPECT_NE(whole.head.find("ETag: \"v1\"\r\n"), std::string::npos);
  EXPECT_EQ(server->sent_to("127.0.0.1"), Bytes(content.size()));
  const auto part = client.ask("GET /files/kernel", "Range: bytes=4000000-4999999\r\n");
  EXPECT_EQ(part.status, 206);
  EXPECT_NE(part.head.find("Content-Range: bytes 4000000-4999999/9000001\r\n"), std::string::npos) << part.head;
  EXPECT_TRUE(part.body == content.substr(4'000'000, 1'000'000));
  EXPECT_EQ(client.ask("GET /files/kernel", "Range: bytes=9000001-\r\n").status, 416);
  const auto head = client.ask("HEAD /files/kernel");
  EXPECT_NE(head.head.find("Content-Length: 9000001\r\n"), std::string::npos);
  EXPECT_EQ(client.ask("GET /files/kernel", "If-None-Match: \"v1\"\r\n").status, 304);
  EXPECT_EQ(client.ask("GET /files/empty").status, 200);
  EXPECT_EQ(client.ask("GET /files/missing").status, 404);
  EXPECT_EQ(client.ask("GET /files/").status, 404) << "a directory";
}

TEST_F(BootServerTest, WhatABootTakesIsCounted) {
  const auto content = make_file("kernel", 9'000'001);
  start();
  Client client(server->port());
  client.ask("GET /files/kernel");
  EXPECT_EQ(server->sent_in_boot("127.0.0.1"), std::nullopt) << "none of its boots began here";
  client.ask("GET /begin");
  client.ask("GET /files/kernel");
  EXPECT_EQ(server->sent_in_boot("127.0.0.1"), Bytes(content.size() + 5));
  client.ask("GET /begin");
  EXPECT_EQ(server->sent_in_boot("127.0.0.1"), Bytes(5)) << "the next one";
  // By the kernel, with what TCP carries beside bodies.
  const auto taken = taken_bytes("127.0.0.1", server->port());
  ASSERT_TRUE(taken);
  EXPECT_GT(*taken, Bytes(2 * content.size()));
  EXPECT_LT(*taken, Bytes(2 * content.size() + 4096));
  EXPECT_EQ(taken_bytes("127.0.0.2", server->port()), std::nullopt) << "nobody is connected from there";
}

TEST_F(BootServerTest, WhatItRefusesItSaysAndCloses) {
  start({.header_limit = 1024, .body_limit = 4_KiB});
  const auto status_of = [&](std::string_view text) {
    Client client(server->port());
    client.say(text);
    const auto answer = client.hear();
    EXPECT_TRUE(client.closed());
    return answer.status;
  };
  EXPECT_EQ(status_of("GET /x HTTP/1.1\r\nHost: a\r\nX: " + std::string(2000, 'x') + "\r\n\r\n"), 431);
  EXPECT_EQ(status_of("GET /" + std::string(50'000, 'x')), 431);
  EXPECT_EQ(status_of("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n" + std::string(5000, 'x')), 413);
  EXPECT_EQ(status_of("NONSENSE\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET /../x HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
}

TEST_F(BootServerTest, ContinuesWhoAsksFirst) {
  start();
  Client client(server->port());
  client.say("POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.hear().status, 100);
  client.say("hello");
  EXPECT_EQ(client.hear().body, "POST /b hello\n");
}

TEST_F(BootServerTest, SlowAndIdleClientsAreEnded) {
  make_file("large", 64 << 20);
  // Each with the one limit that it is to meet, so that the others' clients need not be quick.
  start({.header_timeout = 300ms});
  Client slow(server->port());
  slow.say("GET /x HT");
  EXPECT_EQ(slow.hear().status, 408);
  EXPECT_TRUE(slow.closed());
  start({.idle_timeout = 1500ms});
  Client idle(server->port());
  EXPECT_EQ(idle.ask("GET /x").status, 200);
  EXPECT_TRUE(idle.closed());
  start({.stall_timeout = 300ms});
  Client stalled(server->port());
  stalled.say("GET /files/large HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(stalled.is_answered());
  EXPECT_TRUE(all_have_gone()) << "it was ended without reading more";
  EXPECT_LT(stalled.hear().body.size(), std::size_t{64 << 20});
}

TEST_F(BootServerTest, LimitsConnections) {
  start({.connections = 6, .connections_per_address = 2});
  std::vector<std::unique_ptr<Client>> clients;
  const auto status_from = [&](const std::string& address) {
    clients.push_back(std::make_unique<Client>(server->port(), address));
    return clients.back()->ask("GET /x").status;
  };
  EXPECT_EQ(status_from("127.0.0.2"), 200);
  EXPECT_EQ(status_from("127.0.0.2"), 200);
  EXPECT_EQ(status_from("127.0.0.2"), 503) << "the third of one address";
  for (const char* address : {"127.0.0.3", "127.0.0.4", "127.0.0.5", "127.0.0.6"}) EXPECT_EQ(status_from(address), 200);
  EXPECT_EQ(status_from("127.0.0.7"), 503) << "the seventh in all";
  EXPECT_EQ(server->statistics().refused, 2u);
  clients.clear();
  EXPECT_TRUE(all_have_gone());
  EXPECT_EQ(status_from("127.0.0.7"), 200);
}

TEST_F(BootServerTest, ManyClientsGetTheWholeFile) {
  const auto content = make_file("kernel", 3'000'000);
  start({.connections_per_address = 100});
  std::atomic<int> right{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 40; ++i) {
    threads.emplace_back([&] {
      Client client(server->port());
      for (int k = 0; k < 3; ++k) right += client.ask("GET /files/kernel").body == content ? 1 : 0;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(right, 120);
}

TEST_F(BootServerTest, ClientsThatGoInMidTransferDoNoHarm) {
  make_file("large", 64 << 20);
  start();
  for (int i = 0; i < 30; ++i) {
    Client client(server->port());
    client.say("GET /files/large HTTP/1.1\r\nHost: a\r\n\r\n");
    std::this_thread::sleep_for(std::chrono::milliseconds(i % 5));
  }
  EXPECT_TRUE(all_have_gone());
  EXPECT_EQ(Client(server->port()).ask("GET /x").status, 200);
}

TEST_F(BootServerTest, StopsInTheMiddle) {
  make_file("large", 64 << 20);
  start();
  Client client(server->port());
  client.say("GET /files/large HTTP/1.1\r\nHost: a\r\n\r\n");
  Client waiting(server->port());
  waiting.say("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
  std::this_thread::sleep_for(50ms);
  server->stop();
  EXPECT_LT(client.hear().body.size(), std::size_t{64 << 20});
  server.reset();
  EXPECT_EQ(BootServer::start({.address = "nonsense"}, site).error().code, ErrorCode::invalid_argument);
}

TEST_F(BootServerTest, ATakenPortIsSaid) {
  start();
  const auto second = BootServer::start({.address = "127.0.0.1", .port = server->port()}, site);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::unavailable);
}

}  // namespace
}  // namespace bridgehead::netboot
