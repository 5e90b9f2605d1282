// FakeManager: a manager's agent listener in this process, on a loopback port, with its own CA: real TLS, real gRPC,
// nothing behind it. For tests of the session. Thread-safe.
#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <map>
#include <mutex>

#include "agent.grpc.pb.h"
#include "base/file.h"
#include "base/random.h"
#include "model/codec.h"
#include "pki/certificate.h"
#include "pki/certificate_authority.h"
#include "pki/tokens.h"

namespace bridgehead::host_agent::testing {

class FakeManager final : public agent::v1::AgentService::Service {
 public:
  using AgentMessage = agent::v1::AgentMessage;
  using ManagerMessage = agent::v1::ManagerMessage;
  using TunnelChunk = agent::v1::TunnelChunk;

  FakeManager() : directory_(std::move(*TemporaryDirectory::create())) {
    authority_ = std::move(*pki::CertificateAuthority::open(directory_.path(), clock_, random_));
    start(0);
  }
  ~FakeManager() override { stop(); }

  void start(int port) {
    const auto identity = authority_->issue_server({"bridgehead-manager"}, {"127.0.0.1"}, std::chrono::hours(24));
    grpc::SslServerCredentialsOptions tls(GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY);
    tls.pem_root_certs = authority_->certificate_pem();
    tls.pem_key_cert_pairs.push_back({identity->key_pem, identity->chain_pem});
    grpc::ServerBuilder builder;
    builder.AddListeningPort(fmt::format("127.0.0.1:{}", port), grpc::SslServerCredentials(tls), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      down_ = true;
      changed_.notify_all();
    }
    if (server_) server_->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds(500));
    if (server_) server_->Wait();
    server_.reset();
  }
  // Ends the stream that is open, as a manager does that is restarted.
  void hang_up() {
    const std::lock_guard lock(mutex_);
    ++generation_;
    changed_.notify_all();
  }

  std::string address() const { return fmt::format("127.0.0.1:{}", port_); }
  std::string join_token() {
    return pki::format_join_token({.address = address(),
                                   .ca_fingerprint = authority_->fingerprint(),
                                   .id = make_id<model::TokenId>(random_),
                                   .secret = pki::make_secret(random_)});
  }

  // --- what agents said ---
  template <typename Done>
  bool wait(Done done) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return done(); });
  }
  std::vector<AgentMessage> received;  // under wait's lock only
  int sessions = 0;
  int joins = 0;
  int renewals = 0;
  std::string tunnel_received;
  std::vector<std::string> certificates;  // serials that sessions came with

  // --- what it says ---
  void send(const ManagerMessage& message) {
    const std::lock_guard lock(mutex_);
    outgoing_.push_back(message);
    changed_.notify_all();
  }
  void assign(const model::Assignment& assignment) {
    ManagerMessage message;
    message.set_assignment(model::encode(assignment));
    send(message);
  }
  std::vector<model::Pool> pools;  // for the welcome; set before the agent comes
  std::string tunnel_sends;

  grpc::Status Join(grpc::ServerContext*, const agent::v1::JoinRequest* request, agent::v1::JoinReply* reply) override {
    const std::lock_guard lock(mutex_);
    ++joins;
    if (refuse_joins > 0) {
      --refuse_joins;
      return {grpc::StatusCode::PERMISSION_DENIED, "this join token was used already"};
    }
    const auto key = *pki::request_key_fingerprint(request->certificate_request_pem());
    auto& node = nodes_[key];
    if (node.empty()) node = make_id<model::NodeId>(random_);
    reply->set_node_id(node.str());
    reply->set_certificate_pem(
        *authority_->sign_node_request(request->certificate_request_pem(), node, std::chrono::hours(24)));
    reply->set_ca_certificate_pem(authority_->certificate_pem());
    if (lose_answers > 0) {
      --lose_answers;
      return {grpc::StatusCode::UNAVAILABLE, "the answer was lost"};
    }
    return grpc::Status::OK;
  }
  int refuse_joins = 0;
  int lose_answers = 0;

  grpc::Status RenewCertificate(grpc::ServerContext* context, const agent::v1::RenewRequest* request,
                                agent::v1::RenewReply* reply) override {
    const auto node = caller(*context);
    if (!node) return {grpc::StatusCode::UNAUTHENTICATED, "no node's certificate"};
    const std::lock_guard lock(mutex_);
    ++renewals;
    reply->set_certificate_pem(
        *authority_->sign_node_request(request->certificate_request_pem(), *node, std::chrono::hours(24)));
    return grpc::Status::OK;
  }

  grpc::Status Session(grpc::ServerContext* context,
                       grpc::ServerReaderWriter<ManagerMessage, AgentMessage>* stream) override {
    const auto node = caller(*context);
    if (!node) return {grpc::StatusCode::UNAUTHENTICATED, "no node's certificate"};
    int mine = 0;
    {
      const std::lock_guard lock(mutex_);
      ++sessions;
      mine = generation_;
      certificates.push_back(*pki::certificate_serial(certificate_of(*context)));
      ManagerMessage welcome;
      welcome.mutable_welcome()->set_node_id(node->str());
      welcome.mutable_welcome()->set_node_name("node1");
      welcome.mutable_welcome()->set_heartbeat_seconds(1);
      for (const auto& pool : pools) welcome.mutable_welcome()->add_pools(model::encode(pool));
      stream->Write(welcome);
    }
    std::thread reader([&] {
      AgentMessage message;
      while (stream->Read(&message)) {
        const std::lock_guard lock(mutex_);
        received.push_back(message);
        changed_.notify_all();
      }
      const std::lock_guard lock(mutex_);
      ended_.insert({stream, true});
      changed_.notify_all();
    });
    std::unique_lock lock(mutex_);
    while (generation_ == mine && !down_ && !ended_.contains(stream)) {
      if (outgoing_.empty()) {
        changed_.wait(lock);
        continue;
      }
      const auto message = outgoing_.front();
      outgoing_.pop_front();
      lock.unlock();
      stream->Write(message);
      lock.lock();
    }
    lock.unlock();
    context->TryCancel();
    reader.join();
    lock.lock();
    ended_.erase(stream);
    return grpc::Status::OK;
  }

  grpc::Status Tunnel(grpc::ServerContext* context,
                      grpc::ServerReaderWriter<TunnelChunk, TunnelChunk>* stream) override {
    if (!caller(*context) || context->client_metadata().count("tunnel-id") != 1) {
      return {grpc::StatusCode::UNAUTHENTICATED, "no node's tunnel"};
    }
    TunnelChunk chunk;
    {
      const std::lock_guard lock(mutex_);
      chunk.set_data(tunnel_sends);
    }
    if (!chunk.data().empty()) stream->Write(chunk);
    bool said_end = false;
    while (stream->Read(&chunk)) {
      const std::lock_guard lock(mutex_);
      tunnel_received += chunk.data();
      changed_.notify_all();
      if (chunk.end()) return grpc::Status::OK;
      if (!said_end && tunnel_received == tunnel_sends) {
        TunnelChunk end;
        end.set_end(true);
        stream->Write(end);
        said_end = true;
      }
    }
    return grpc::Status::OK;
  }

 private:
  static std::string certificate_of(const grpc::ServerContext& context) {
    const auto found = context.auth_context()->FindPropertyValues("x509_pem_cert");
    return found.empty() ? std::string() : std::string(found[0].data(), found[0].size());
  }
  static Result<model::NodeId> caller(const grpc::ServerContext& context) {
    return pki::certificate_node_id(certificate_of(context));
  }

  TemporaryDirectory directory_;
  SystemClock clock_;
  SystemRandom random_;
  std::unique_ptr<pki::CertificateAuthority> authority_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool down_ = false;
  int generation_ = 0;
  std::deque<ManagerMessage> outgoing_;
  std::map<std::string, model::NodeId> nodes_;
  std::map<const void*, bool> ended_;
};

}  // namespace bridgehead::host_agent::testing
