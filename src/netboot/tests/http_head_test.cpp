#include "netboot/http_head.h"

#include <gtest/gtest.h>

namespace bridgehead::netboot {
namespace {

int status_of(std::string_view text) {
  const auto head = parse_request_head(text);
  return head ? 200 : head.error().status;
}

RequestHead parsed(std::string_view text) {
  auto head = parse_request_head(text);
  EXPECT_TRUE(head) << (head ? "" : head.error().why);
  return head ? *head : RequestHead{};
}

TEST(HttpHead, ReadsWhatMachinesSend) {
  const auto head = parsed(
      "GET /boot/v1/ipxe?mac=52:54:00:12:34:56&uuid=&serial=A%20B%2b&arch=x86_64 HTTP/1.1\r\n"
      "Connection: keep-alive\r\nUser-Agent: iPXE/1.0.0+\r\nHost: 10.20.0.1:7480\r\n\r\n");
  EXPECT_EQ(head.request.method, "GET");
  EXPECT_EQ(head.request.path, "/boot/v1/ipxe");
  EXPECT_EQ(head.request.parameter("mac"), "52:54:00:12:34:56");
  EXPECT_EQ(head.request.parameter("uuid"), "");
  EXPECT_EQ(head.request.parameter("serial"), "A B+");
  EXPECT_EQ(head.request.parameter("nothing"), "");
  EXPECT_EQ(head.request.host, "10.20.0.1:7480");
  EXPECT_TRUE(head.keep_alive);
  EXPECT_FALSE(parsed("GET / HTTP/1.0\r\n\r\n").keep_alive);
  EXPECT_TRUE(parsed("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").keep_alive);
  EXPECT_FALSE(parsed("GET / HTTP/1.1\r\nHost: a\r\nConnection: foo, close\r\n\r\n").keep_alive);
  EXPECT_EQ(parsed("POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 12\r\n\r\n").content_length, 12u);
}

TEST(HttpHead, RefusesWhatIsAmbiguousOrHostile) {
  EXPECT_EQ(status_of("GET /x HTTP/1.1\r\n\r\n"), 400) << "no Host";
  EXPECT_EQ(status_of("GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET /x HTTP/2.0\r\nHost: a\r\n\r\n"), 505);
  EXPECT_EQ(status_of("GET /x\r\n\r\n"), 400) << "HTTP/0.9";
  EXPECT_EQ(status_of("DELETE /x HTTP/1.1\r\nHost: a\r\n\r\n"), 405);
  EXPECT_EQ(status_of("GET  /x HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(status_of("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n"), 400);
  EXPECT_EQ(status_of("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n"), 400);
  EXPECT_EQ(status_of("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n"), 400);
  EXPECT_EQ(status_of("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"), 501);
  EXPECT_EQ(status_of("GET /x HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET /x HTTP/1.1\r\nHost : a\r\n\r\n"), 400);
  EXPECT_EQ(status_of(std::string_view("GET /x HTTP/1.1\r\nHost: a\0b\r\n\r\n", 31)), 400);
  EXPECT_EQ(status_of("GET /x HTTP/1.1\r\nHost: a\nX: b\r\n\r\n"), 400);
  for (const char* path :
       {"/../etc/passwd", "/a/../b", "/a/%2e%2e/b", "/a//b", "/./a", "a", "/%00", "/%0a", "/%4", "/%zz", "*"}) {
    EXPECT_EQ(status_of(fmt::format("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", path)), 400) << path;
  }
  EXPECT_EQ(status_of("GET /x?a=%0d%0a HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
}

FilePart part_of(std::string_view fields, std::uint64_t size = 1000) {
  return choose_part(parsed(fmt::format("GET /f HTTP/1.1\r\nHost: a\r\n{}\r\n", fields)), size, "tag");
}

void expect_part(std::string_view fields, int status, std::uint64_t offset, std::uint64_t length,
                 std::uint64_t size = 1000) {
  const auto part = part_of(fields, size);
  EXPECT_EQ(part.status, status) << fields;
  EXPECT_EQ(part.offset, offset) << fields;
  EXPECT_EQ(part.length, length) << fields;
}

TEST(HttpHead, ChoosesRanges) {
  expect_part("", 200, 0, 1000);
  expect_part("Range: bytes=0-0\r\n", 206, 0, 1);
  expect_part("Range: bytes=10-19\r\n", 206, 10, 10);
  expect_part("Range: bytes=990-2000\r\n", 206, 990, 10);
  expect_part("Range: bytes=500-\r\n", 206, 500, 500);
  expect_part("Range: bytes=-100\r\n", 206, 900, 100);
  expect_part("Range: bytes=-2000\r\n", 206, 0, 1000);
  expect_part("Range: bytes=1000-\r\n", 416, 0, 0);
  expect_part("Range: bytes=-0\r\n", 416, 0, 0);
  expect_part("Range: bytes=0-\r\n", 416, 0, 0, 0);
  expect_part("Range: bytes=20-10\r\n", 200, 0, 1000);
  expect_part("Range: bytes=0-1,5-6\r\n", 200, 0, 1000);
  expect_part("Range: lines=0-1\r\n", 200, 0, 1000);
  expect_part("Range: bytes=a-b\r\n", 200, 0, 1000);
  expect_part("Range: bytes=18446744073709551615-18446744073709551615\r\n", 416, 0, 0);
}

TEST(HttpHead, KnowsConditions) {
  expect_part("If-None-Match: \"tag\"\r\n", 304, 0, 0);
  expect_part("If-None-Match: \"other\", W/\"tag\"\r\n", 304, 0, 0);
  expect_part("If-None-Match: *\r\n", 304, 0, 0);
  expect_part("If-None-Match: tag\r\n", 200, 0, 1000);
  expect_part("Range: bytes=0-9\r\nIf-Range: \"tag\"\r\n", 206, 0, 10);
  expect_part("Range: bytes=0-9\r\nIf-Range: \"old\"\r\n", 200, 0, 1000);
  expect_part("Range: bytes=0-9\r\nIf-Range: Sat, 29 Oct 1994 19:43:31 GMT\r\n", 200, 0, 1000);
  expect_part("Range: bytes=0-9\r\nIf-None-Match: \"tag\"\r\n", 304, 0, 0);
}

TEST(HttpHead, WritesAnswers) {
  EXPECT_EQ(format_answer_head({.status = 204, .keep_alive = true}),
            "HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(format_answer_head({.status = 206,
                                .content_type = "a/b",
                                .content_length = 10,
                                .etag = "tag",
                                .is_file = true,
                                .part = {206, 5, 10},
                                .file_size = 100,
                                .keep_alive = false}),
            "HTTP/1.1 206 Partial Content\r\nContent-Length: 10\r\nContent-Type: a/b\r\nETag: \"tag\"\r\n"
            "Accept-Ranges: bytes\r\nContent-Range: bytes 5-14/100\r\nConnection: close\r\n\r\n");
}

}  // namespace
}  // namespace bridgehead::netboot
