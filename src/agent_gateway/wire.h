// gRPC byte buffers to and from bytes: the streams are served raw, so that a malformed message is ours to answer.
#pragma once

#include <string>
#include <string_view>

#include <google/protobuf/message_lite.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/status.h>

#include "base/result.h"

namespace bridgehead::agent_gateway {

inline constexpr int max_message_bytes = 16 << 20;

grpc::ByteBuffer to_buffer(std::string_view bytes);
grpc::ByteBuffer to_buffer(const google::protobuf::MessageLite& message);
std::string to_bytes(const grpc::ByteBuffer& buffer);

// As api/agent.proto's clients see an Error.
grpc::Status to_grpc(const Error& error);

}  // namespace bridgehead::agent_gateway
