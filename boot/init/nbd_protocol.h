// The handshake of the NBD protocol (fixed newstyle with NBD_OPT_GO; doc/proto.md of NetworkBlockDevice/nbd), without a
// socket: bytes in, bytes out. What comes after it is the kernel's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "result.h"

namespace bridgehead::init {

struct NbdExport {
  std::uint64_t size = 0;        // bytes
  std::uint16_t flags = 0;       // transmission flags, for the kernel
  std::uint32_t block_size = 1;  // the smallest that the server takes
};

class NbdHandshake {
 public:
  explicit NbdHandshake(std::string export_name) : export_name_(std::move(export_name)) {}

  // Takes what the server sent; what must be sent back is appended to `reply`. Fails where the server refuses or
  // doesn't speak the protocol.
  Status feed(std::string_view bytes, std::string& reply);
  // From here on the connection belongs to the kernel; not a byte more may be read.
  bool complete() const { return state_ == State::complete; }
  const NbdExport& info() const { return info_; }
  // Bytes that must come before anything more can be understood: a reader that never takes more than these leaves the
  // transmission's bytes to the kernel.
  std::size_t wanted() const;

 private:
  enum class State { greeting, option_header, option_data, complete };
  void answer_greeting(std::string& reply);
  Status take_option_data();

  std::string export_name_;
  State state_ = State::greeting;
  std::string pending_;
  std::uint32_t reply_type_ = 0;
  std::uint32_t data_length_ = 0;
  bool has_export_ = false;
  NbdExport info_;
};

}  // namespace bridgehead::init
