#include "http_message.h"

#include <gtest/gtest.h>

namespace bridgehead::init {
namespace {

TEST(Url, IsPlainHttpToANumber) {
  const auto url = Url::parse("http://10.0.0.1:7480/boot/files/a?b=c");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->server.text(), "10.0.0.1:7480");
  EXPECT_EQ(url->target, "/boot/files/a?b=c");
  EXPECT_EQ(Url::parse("http://10.0.0.1")->text(), "http://10.0.0.1:80/");
  for (const auto* bad :
       {"https://10.0.0.1/", "http://host/", "10.0.0.1", "http://10.0.0.1:0/", "http://10.0.0.1/a b"}) {
    EXPECT_FALSE(Url::parse(bad)) << bad;
  }
}

TEST(HttpRequest, ClosesTheConnection) {
  const auto request = http_request("POST", *Url::parse("http://10.0.0.1:7480/x"), "body");
  EXPECT_TRUE(request.starts_with("POST /x HTTP/1.1\r\nHost: 10.0.0.1:7480\r\n"));
  EXPECT_NE(request.find("Connection: close\r\n"), std::string::npos);
  EXPECT_TRUE(request.ends_with("Content-Length: 4\r\n\r\nbody"));
  EXPECT_NE(http_request("GET", *Url::parse("http://10.0.0.1/x"), "", 100).find("Range: bytes=100-\r\n"),
            std::string::npos);
}

struct Read {
  bool failed = false;
  bool complete = false;
  int status = 0;
  std::string body;
};

// All at once, or in pieces of `step` bytes; then the connection closes.
Read read(std::string_view text, std::size_t step = 10000) {
  HttpResponse response;
  Read result;
  for (std::size_t at = 0; at < text.size() && !result.failed; at += step) {
    result.failed = !response.feed(text.substr(at, step), result.body);
  }
  result.failed = result.failed || !response.end();
  result.complete = response.complete();
  result.status = response.status();
  return result;
}

TEST(HttpResponse, ReadsEachKindOfBodyHoweverItComes) {
  const std::string fixed = "HTTP/1.1 200 OK\r\ncontent-LENGTH: 5\r\nX: y\r\n\r\nhello";
  const std::string chunked =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: x\r\n\r\n";
  const std::string until_close = "HTTP/1.0 200 OK\n\nhello";
  const std::string continued = "HTTP/1.1 100 Continue\r\n\r\n" + fixed;
  for (const auto& text : {fixed, chunked, until_close, continued}) {
    for (const std::size_t step : {1UL, 2UL, 7UL, 1000UL}) {
      const auto result = read(text, step);
      EXPECT_FALSE(result.failed) << text;
      EXPECT_TRUE(result.complete);
      EXPECT_EQ(result.status, 200);
      EXPECT_EQ(result.body, "hello") << step;
    }
  }
}

TEST(HttpResponse, KnowsAnswersWithoutBody) {
  const auto result = read("HTTP/1.1 204 No Content\r\n\r\n");
  EXPECT_TRUE(result.complete);
  EXPECT_EQ(result.status, 204);
  EXPECT_EQ(read("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").status, 403);
}

TEST(HttpResponse, ReadsWhereARangeBegins) {
  HttpResponse response;
  std::string body;
  ASSERT_TRUE(
      response.feed("HTTP/1.1 206 Partial\r\nContent-Range: bytes 100-199/200\r\nContent-Length: 100\r\n\r\n", body));
  EXPECT_EQ(response.range_start(), 100U);
  EXPECT_EQ(response.content_length(), 100U);
}

TEST(HttpResponse, RefusesWhatIsDamaged) {
  for (const std::string bad :
       {"", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", "SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 abc\r\n\r\n",
        "\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhell",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n"}) {
    EXPECT_TRUE(read(bad).failed) << bad;
  }
  EXPECT_TRUE(read("HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'x')).failed) << "a head without end";
}

}  // namespace
}  // namespace bridgehead::init
