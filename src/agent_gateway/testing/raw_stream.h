// A gRPC client stream that sends and takes bytes as they are: what a well or badly behaved agent would put on the
// wire. Reads only when asked, so that a test decides about backpressure. Thread-safe; every wait has a deadline.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

namespace bridgehead::agent_gateway::testing {

class RawStream final : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  RawStream(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
            const std::map<std::string, std::string>& metadata = {});
  ~RawStream() override;  // cancels, waits for the end

  void send(std::string bytes);
  void writes_done();
  void cancel() { context_.TryCancel(); }
  // Messages that were taken by the transport.
  std::size_t written() const;
  // The next message; empty when the stream has ended or the time is over.
  std::optional<std::string> receive(std::chrono::milliseconds within = std::chrono::seconds(20));
  // Reads on until the stream's end.
  grpc::Status status(std::chrono::milliseconds within = std::chrono::seconds(20));

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

 private:
  void pump();
  void release();

  grpc::ClientContext context_;
  grpc::GenericStub stub_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<grpc::ByteBuffer> queue_;
  grpc::ByteBuffer outgoing_;
  grpc::ByteBuffer incoming_;
  bool writing_ = false;
  bool reading_ = false;
  bool half_close_ = false;
  bool ended_ = false;
  bool held_ = true;
  std::size_t written_ = 0;
  std::deque<std::string> received_;
  std::optional<grpc::Status> status_;
};

}  // namespace bridgehead::agent_gateway::testing
