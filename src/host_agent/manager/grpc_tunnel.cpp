#include "host_agent/manager/grpc_tunnel.h"

#include <grpcpp/grpcpp.h>

#include <mutex>

#include "agent.grpc.pb.h"

namespace bridgehead::host_agent {
namespace {

using agent::v1::AgentService;
using agent::v1::TunnelChunk;

class GrpcTunnel final : public TunnelChannel {
 public:
  GrpcTunnel(std::shared_ptr<grpc::Channel> channel, const model::TunnelId& tunnel)
      : stub_(AgentService::NewStub(std::move(channel))) {
    context_.AddMetadata("tunnel-id", tunnel.str());
    stream_ = stub_->Tunnel(&context_);
  }
  ~GrpcTunnel() override {
    context_.TryCancel();
    // The call must be seen to its end before the context goes.
    while (read()) {
    }
    stream_->Finish();
  }

  std::optional<TunnelMessage> read() override {
    const std::lock_guard lock(reading_);
    TunnelChunk chunk;
    if (over_ || !stream_->Read(&chunk)) {
      over_ = true;
      return std::nullopt;
    }
    return TunnelMessage{
        .data = std::move(*chunk.mutable_data()), .end = chunk.end(), .error = std::move(*chunk.mutable_error())};
  }

  bool write(const TunnelMessage& message) override {
    const std::lock_guard lock(writing_);
    TunnelChunk chunk;
    chunk.set_data(message.data);
    chunk.set_end(message.end);
    chunk.set_error(message.error);
    return stream_->Write(chunk);
  }

  void cancel() override { context_.TryCancel(); }

 private:
  std::unique_ptr<AgentService::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<TunnelChunk, TunnelChunk>> stream_;
  std::mutex reading_;
  std::mutex writing_;
  bool over_ = false;
};

}  // namespace

std::unique_ptr<TunnelChannel> open_grpc_tunnel(std::shared_ptr<grpc::Channel> channel, const model::TunnelId& tunnel) {
  return std::make_unique<GrpcTunnel>(std::move(channel), tunnel);
}

}  // namespace bridgehead::host_agent
