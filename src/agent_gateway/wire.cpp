#include "agent_gateway/wire.h"

#include <vector>

namespace bridgehead::agent_gateway {

grpc::ByteBuffer to_buffer(std::string_view bytes) {
  const grpc::Slice slice(bytes.data(), bytes.size());
  return {&slice, 1};
}

grpc::ByteBuffer to_buffer(const google::protobuf::MessageLite& message) {
  return to_buffer(message.SerializeAsString());
}

std::string to_bytes(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer.Dump(&slices).ok()) return bytes;
  bytes.reserve(buffer.Length());
  for (const auto& slice : slices) bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return bytes;
}

grpc::Status to_grpc(const Error& error) {
  const auto code = [&] {
    switch (error.code) {
      case ErrorCode::invalid_argument: return grpc::StatusCode::INVALID_ARGUMENT;
      case ErrorCode::not_found: return grpc::StatusCode::NOT_FOUND;
      case ErrorCode::already_exists: return grpc::StatusCode::ALREADY_EXISTS;
      case ErrorCode::conflict: return grpc::StatusCode::ABORTED;
      case ErrorCode::failed_precondition: return grpc::StatusCode::FAILED_PRECONDITION;
      case ErrorCode::unauthenticated: return grpc::StatusCode::UNAUTHENTICATED;
      case ErrorCode::permission_denied: return grpc::StatusCode::PERMISSION_DENIED;
      case ErrorCode::resource_exhausted: return grpc::StatusCode::RESOURCE_EXHAUSTED;
      case ErrorCode::unavailable: return grpc::StatusCode::UNAVAILABLE;
      case ErrorCode::timeout: return grpc::StatusCode::DEADLINE_EXCEEDED;
      case ErrorCode::cancelled: return grpc::StatusCode::CANCELLED;
      case ErrorCode::data_corrupt: return grpc::StatusCode::DATA_LOSS;
      case ErrorCode::unsupported: return grpc::StatusCode::UNIMPLEMENTED;
      case ErrorCode::io_error:
      case ErrorCode::internal: return grpc::StatusCode::INTERNAL;
    }
    return grpc::StatusCode::INTERNAL;
  }();
  return {code, error.describe()};
}

}  // namespace bridgehead::agent_gateway
