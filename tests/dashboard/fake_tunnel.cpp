#include "dashboard/fake_tunnel.h"

#include <fmt/format.h>

namespace bridgehead::dashboard {
namespace {

using agent::v1::OpenTunnel;
using agent::v1::TunnelChunk;

constexpr int kWidth = 320;
constexpr int kHeight = 200;

std::string big_endian(std::uint32_t value, int bytes) {
  std::string out;
  for (int n = bytes - 1; n >= 0; --n) out.push_back(static_cast<char>(value >> (8 * n)));
  return out;
}

}  // namespace

FakeTunnel::FakeTunnel(agent::v1::AgentService::Stub& stub, const OpenTunnel& order) {
  context_.AddMetadata("tunnel-id", order.tunnel_id());
  stream_ = stub.Tunnel(&context_);
  thread_ = std::thread([this, kind = order.kind()] { run(kind); });
}

FakeTunnel::~FakeTunnel() {
  context_.TryCancel();
  thread_.join();
}

void FakeTunnel::run(OpenTunnel::Kind kind) {
  if (kind == OpenTunnel::KIND_SERIAL_CONSOLE) echo();
  if (kind == OpenTunnel::KIND_VNC) show_screen();
  if (kind == OpenTunnel::KIND_IMAGE_UPLOAD) take_upload();
  if (kind == OpenTunnel::KIND_BOOT_LOG) {
    send("Linux version 6.1.0\r\nDebian GNU/Linux 12 guest ttyS0\r\n");
    end();
  }
  stream_->WritesDone();
  stream_->Finish();
  ended_ = true;
}

void FakeTunnel::send(const std::string& data) {
  TunnelChunk chunk;
  chunk.set_data(data);
  stream_->Write(chunk);
}

void FakeTunnel::end() {
  TunnelChunk chunk;
  chunk.set_end(true);
  stream_->Write(chunk);
}

void FakeTunnel::echo() {
  send("\r\nDebian GNU/Linux 12 guest ttyS0\r\n\r\nguest login: ");
  TunnelChunk chunk;
  while (stream_->Read(&chunk) && !chunk.end()) {
    std::string said;
    for (const char c : chunk.data()) said += c == '\r' ? std::string("\r\nguest login: ") : std::string(1, c);
    if (!said.empty()) send(said);
  }
}

void FakeTunnel::take_upload() {
  TunnelChunk chunk;
  while (stream_->Read(&chunk) && !chunk.end()) {
  }
  end();
}

bool FakeTunnel::take(std::size_t bytes, std::string& into) {
  TunnelChunk chunk;
  while (buffer_.size() < bytes) {
    if (!stream_->Read(&chunk) || chunk.end()) return false;
    buffer_ += chunk.data();
  }
  into = buffer_.substr(0, bytes);
  buffer_.erase(0, bytes);
  return true;
}

// RFC 6143: no security, 32 bits a pixel, raw rectangles; each request for an update gets the whole screen, once a
// change.
void FakeTunnel::show_screen() {
  std::string got;
  send("RFB 003.008\n");
  if (!take(12, got)) return;
  send(std::string("\x01\x01", 2));
  if (!take(1, got)) return;
  send(big_endian(0, 4));
  if (!take(1, got)) return;
  const std::string format("\x20\x18\x00\x01\x00\xff\x00\xff\x00\xff\x10\x08\x00\x00\x00\x00", 16);
  const std::string name = "guest";
  send(big_endian(kWidth, 2) + big_endian(kHeight, 2) + format +
       big_endian(static_cast<std::uint32_t>(name.size()), 4) + name);
  bool shown = false;
  while (take(1, got)) {
    switch (got[0]) {
      case 0:  // SetPixelFormat
        if (!take(19, got)) return;
        break;
      case 2:  // SetEncodings
        if (!take(3, got)) return;
        if (!take(4U * (static_cast<unsigned char>(got[1]) * 256U + static_cast<unsigned char>(got[2])), got)) return;
        break;
      case 3: {  // FramebufferUpdateRequest
        if (!take(9, got)) return;
        if (std::exchange(shown, true)) break;
        std::string pixels;
        for (int n = 0; n < kWidth * kHeight; ++n) pixels += std::string("\x20\x80\x40\x00", 4);
        send(std::string("\x00\x00", 2) + big_endian(1, 2) + big_endian(0, 4) + big_endian(kWidth, 2) +
             big_endian(kHeight, 2) + big_endian(0, 4) + pixels);
        break;
      }
      case 4:  // KeyEvent
        if (!take(7, got)) return;
        break;
      case 5:  // PointerEvent
        if (!take(5, got)) return;
        break;
      case 6:  // ClientCutText
        if (!take(7, got)) return;
        if (!take(static_cast<unsigned char>(got[6]), got)) return;
        break;
      default: return;
    }
  }
}

}  // namespace bridgehead::dashboard
