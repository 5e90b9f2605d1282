// The agent's end of a tunnel without a guest: a serial console that repeats what is typed, a screen of one colour
// (RFB 3.8), and an upload that is read to its end. Runs on a thread of its own until either side ends.
#pragma once

#include <atomic>
#include <memory>
#include <thread>

#include "agent.grpc.pb.h"

namespace bridgehead::dashboard {

class FakeTunnel {
 public:
  FakeTunnel(agent::v1::AgentService::Stub& stub, const agent::v1::OpenTunnel& order);
  ~FakeTunnel();
  bool ended() const { return ended_; }

 private:
  using Stream = grpc::ClientReaderWriter<agent::v1::TunnelChunk, agent::v1::TunnelChunk>;
  void run(agent::v1::OpenTunnel::Kind kind);
  void send(const std::string& data);
  void end();
  void echo();
  void show_screen();
  void take_upload();
  bool take(std::size_t bytes, std::string& into);

  grpc::ClientContext context_;
  std::unique_ptr<Stream> stream_;
  std::string buffer_;
  std::atomic<bool> ended_ = false;
  std::thread thread_;
};

}  // namespace bridgehead::dashboard
