// Requests that nobody should send: none may crash, change anything, or be answered with anything but a 4xx problem.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <random>

#include "control_api/testing/api_fixture.h"

namespace bridgehead::control_api::testing {
namespace {

using ::testing::HasSubstr;

class HostileTest : public ApiFixture {
 protected:
  void SetUp() override {
    fill_cluster();
    make_vm("victim", true);
    before_ = inventory->revision();
  }
  void TearDown() override { EXPECT_EQ(inventory->revision(), before_) << "something was changed"; }

  void expect_refusal(const std::string& answer, const std::string& what) {
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 4")) << what << "\n-> " << answer.substr(0, 300);
    EXPECT_THAT(answer, HasSubstr("application/problem+json")) << what;
  }
  std::string head(const std::string& method, const std::string& target) const {
    return fmt::format("{} {} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n", method, target, admin);
  }

  state::Revision before_ = 0;
};

std::string random_text(std::mt19937& random, std::size_t longest, bool printable) {
  std::string text(random() % longest + 1, ' ');
  for (char& c : text) c = printable ? static_cast<char>(33 + random() % 94) : static_cast<char>(random());
  return text;
}

// A JSON body that is nearly right: one thing in it is damaged.
std::string damaged_body(std::mt19937& random) {
  static const std::vector<std::string> bodies = {
      R"({"name":"a","image":"debian-12","cpus":"two"})",
      R"({"name":"a","image":"debian-12","memory":[1]})",
      R"({"name":["a"],"image":"debian-12"})",
      R"({"name":"a","image":"debian-12","disks":{"size":"1GiB"}})",
      R"({"name":"a","image":"debian-12","nics":[{"vlan":1}]})",
      R"({"name":"a","image":"debian-12","power":"flying"})",
      R"({"name":"a","image":"debian-12","labels":{"x":1}})",
      R"({"name":"a","image":"debian-12","cpus":1e400})",
      R"({"name":"a","image":"debian-12","cpus":18446744073709551616})",
      R"({"name":"a","name":"b","image":"debian-12"})",
      R"({"name":"a","image":"debian-12","cloud_init":"no"})",
      R"({"name":"../../etc","image":"debian-12"})",
      R"({"name":"a\u0000b","image":"debian-12"})",
      R"({"name":"a'b\"c","image":"debian-12"})",
      R"({"name":"a/b","image":"debian-12"})",
      "{\"name\":\"\xff\xfe\",\"image\":\"debian-12\"}",
      "{\"name\":\"" + std::string(300, 'n') + "\",\"image\":\"debian-12\"}",
      R"({"name":"größe","image":"debian-12"})",
      std::string(50, '['),
      "{\"a\":" + std::string(40, '[') + std::string(40, ']') + "}",
      "[]",
      "null",
      "\"text\"",
      "17",
      R"({"name":"a","image":"debian-12",})",
      R"({"name":"a" "image":"debian-12"})",
      "{'name':'a'}",
      "\xef\xbb\xbf{}x",
      R"({"name":"a","image":"nope"})",
      R"({"name":"a","image":"debian-12","unknown":1})",
      R"({})",
      " "};
  std::string body = bodies[random() % bodies.size()];
  if (random() % 3 == 0) body = body.substr(0, random() % body.size());  // cut
  return body.empty() ? "{" : body;
}

TEST_F(HostileTest, AThousandMalformedRequests) {
  start_server();
  std::mt19937 dice(20260101);
  int refused = 0;
  auto client = std::make_unique<RawClient>(server->port());
  const auto exchange = [&](const std::string& bytes, bool ends) {
    if (!client->connected()) client = std::make_unique<RawClient>(server->port());
    if (!client->send(bytes)) {
      client = std::make_unique<RawClient>(server->port());
      ASSERT_TRUE(client->send(bytes));
    }
    if (ends) client->shut_down_sending();
    const auto answer = client->read_answer();
    expect_refusal(answer, bytes.substr(0, 200));
    ++refused;
    if (ends || answer.find("Connection: close") != std::string::npos)
      client = std::make_unique<RawClient>(server->port());
  };
  const std::vector<std::string> paths = {"/api/v1/vms/..%2f..%2fetc%2fpasswd",
                                          "/api/v1/../../etc/passwd",
                                          "/api/v1/vms/%00",
                                          "/api/v1/vms/%zz",
                                          "/api/v1/vms/%ff%fe",
                                          "/api/v1//vms",
                                          "/api/v1/vms/./x",
                                          "/api/v1/vms/" + std::string(300, 'x'),
                                          "/api/v1/vms/%27%22%3B--",
                                          "/api/v1/vms/%E2%98%83",
                                          "/" + std::string(9000, 'y'),
                                          "http://other/",
                                          "*",
                                          "/api/v1/vms?summary=%GG",
                                          "/api/v1/events?limit=-1",
                                          "/api/v1/operations?limit=1e3",
                                          "/api/v1/operations/x?wait_seconds=x"};
  for (int i = 0; i < 1000 && !HasFatalFailure(); ++i) {
    switch (i % 8) {
      case 0: exchange(random_text(dice, 400, false) + "\r\n\r\n", true); break;
      case 1: exchange(random_text(dice, 400, true) + "\r\n\r\n", true); break;
      case 2: exchange(head("GET", paths[dice() % paths.size()]) + "\r\n", false); break;
      case 3: {
        const auto body = damaged_body(dice);
        exchange(head("POST", "/api/v1/vms") + fmt::format("Content-Length: {}\r\n\r\n{}", body.size(), body), false);
        break;
      }
      case 4: {  // every kind of body at a few other places
        static const std::vector<std::string> places = {
            "/api/v1/pools",  "/api/v1/networks",         "/api/v1/images",
            "/api/v1/tokens", "/api/v1/vms/victim/disks", "/api/v1/vms/victim/nics"};
        std::string body = damaged_body(dice);
        exchange(head("POST", places[dice() % places.size()]) +
                     fmt::format("Content-Length: {}\r\n\r\n{}", body.size(), body),
                 false);
        break;
      }
      case 5: exchange(head("GET", "/api/v1/vms") + "X-Filler: " + std::string(20'000, 'f') + "\r\n\r\n", true); break;
      case 6:
        exchange(random_text(dice, 12, true) + " /api/v1/vms HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " +
                     admin + "\r\n\r\n",
                 true);
        break;
      default:
        exchange(head("POST", "/api/v1/vms") + "Transfer-Encoding: chunked\r\n\r\nzz\r\n" +
                     random_text(dice, 20, true) + "\r\n",
                 true);
    }
  }
  EXPECT_EQ(refused, 1000);
  EXPECT_EQ(send({"GET", "/healthz", "", "-"}).status, 200);
}

TEST_F(HostileTest, BodiesThatAreTooLargeOrCut) {
  start_server();
  RawClient announced(server->port());
  announced.send(head("POST", "/api/v1/vms") + "Content-Length: 99999999\r\n\r\n");
  EXPECT_THAT(announced.read_answer(), HasSubstr("413"));
  RawClient chunked(server->port());
  chunked.send(head("POST", "/api/v1/vms") + "Transfer-Encoding: chunked\r\n\r\n");
  std::string chunk = "40000\r\n" + std::string(0x40000, ' ') + "\r\n";
  for (int i = 0; i < 5; ++i) chunked.send(chunk);
  EXPECT_THAT(chunked.read_answer(), HasSubstr("413"));
  RawClient cut(server->port());
  cut.send(head("POST", "/api/v1/vms") + "Content-Length: 500\r\n\r\n{\"name\"");
  cut.shut_down_sending();
  expect_refusal(cut.read_answer(), "cut body");
  RawClient twice(server->port());
  twice.send(head("POST", "/api/v1/vms") + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}");
  expect_refusal(twice.read_answer(), "two lengths");
  RawClient hostless(server->port());
  hostless.send("GET /healthz HTTP/1.1\r\n\r\n");
  expect_refusal(hostless.read_answer(), "no Host");
}

TEST_F(HostileTest, SilentAndSlowClientsAreLetGo) {
  config.idle_timeout = std::chrono::milliseconds(1500);
  start_server();
  RawClient silent(server->port());
  EXPECT_EQ(silent.read_all(), "");
  RawClient slow(server->port());
  slow.send("GET /healthz HTT");
  slow.read_all();                // returns because the server closes
  RawClient two(server->port());  // two requests at once are answered in order
  two.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(two.read_answer(), HasSubstr("200 OK"));
  EXPECT_THAT(two.read_answer(), HasSubstr("404"));
}

TEST_F(HostileTest, PlainTextOnTheTlsPort) {
  start_server();
  const UniqueFd socket(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(server->port());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_TRUE(write_all(socket.get(), "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "socket"));
  char buffer[256];
  while (::read(socket.get(), buffer, sizeof buffer) > 0) {
  }
  EXPECT_EQ(send({"GET", "/healthz", "", "-"}).status, 200);
}

}  // namespace
}  // namespace bridgehead::control_api::testing
