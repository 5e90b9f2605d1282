#include "nbd_protocol.h"

#include <algorithm>

#include "bytes.h"
#include "text.h"

namespace bridgehead::init {
namespace {

constexpr std::uint64_t greeting_magic = 0x4e42444d41474943;  // "NBDMAGIC"
constexpr std::uint64_t option_magic = 0x49484156454f5054;    // "IHAVEOPT"
constexpr std::uint64_t reply_magic = 0x0003e889045565a9;
constexpr std::uint16_t server_fixed_newstyle = 1;
constexpr std::uint32_t client_fixed_newstyle = 1;
constexpr std::uint32_t client_no_zeroes = 2;
constexpr std::uint32_t option_go = 7;
constexpr std::uint32_t reply_ack = 1;
constexpr std::uint32_t reply_info = 3;
constexpr std::uint32_t reply_error = 1U << 31;
constexpr std::uint16_t info_export = 0;
constexpr std::uint16_t info_block_size = 3;
constexpr std::uint32_t longest_reply = 64 * 1024;

tl::unexpected<Failure> bad_nbd(std::string why, std::string hint = "is that an NBD server?") {
  return fail("open the NBD export", std::move(why), std::move(hint));
}

std::string_view error_name(std::uint32_t type) {
  switch (type & ~reply_error) {
    case 1: return "the server doesn't know NBD_OPT_GO";
    case 2: return "the server's policy forbids it";
    case 3: return "the server calls our request invalid";
    case 4: return "the server's platform can't";
    case 5: return "the server wants TLS";
    case 6: return "no such export";
    case 7: return "the server shuts down";
    case 8: return "the server wants its block size confirmed";
    case 9: return "our request is too big";
    default: return "an unknown error";
  }
}

}  // namespace

std::size_t NbdHandshake::wanted() const {
  const std::size_t whole = state_ == State::greeting        ? 18
                            : state_ == State::option_header ? 20
                            : state_ == State::option_data   ? data_length_
                                                             : 0;
  return whole - std::min(whole, pending_.size());
}

void NbdHandshake::answer_greeting(std::string& reply) {
  append_big_endian<std::uint32_t>(reply, client_fixed_newstyle | client_no_zeroes);
  append_big_endian(reply, option_magic);
  append_big_endian(reply, option_go);
  append_big_endian(reply, static_cast<std::uint32_t>(4 + export_name_.size() + 2 + 2));
  append_big_endian(reply, static_cast<std::uint32_t>(export_name_.size()));
  reply += export_name_;
  append_big_endian<std::uint16_t>(reply, 1);
  append_big_endian(reply, info_block_size);
}

Status NbdHandshake::take_option_data() {
  if ((reply_type_ & reply_error) != 0) {
    return bad_nbd(
        concat(error_name(reply_type_), " ('", export_name_, "')", pending_.empty() ? "" : concat(": ", pending_)),
        "look at the image's export on the NBD server");
  }
  if (reply_type_ == reply_ack) {
    if (!has_export_) return bad_nbd("the server didn't tell the export's size");
    state_ = State::complete;
    return {};
  }
  if (reply_type_ == reply_info && pending_.size() >= 2) {
    const auto kind = big_endian_at<std::uint16_t>(pending_, 0);
    if (kind == info_export && pending_.size() == 12) {
      info_.size = big_endian_at<std::uint64_t>(pending_, 2);
      info_.flags = big_endian_at<std::uint16_t>(pending_, 10);
      has_export_ = true;
    } else if (kind == info_block_size && pending_.size() == 14) {
      info_.block_size = big_endian_at<std::uint32_t>(pending_, 2);
    } else if (kind == info_export) {
      return bad_nbd("the server's description of the export has the wrong length");
    }
  }
  state_ = State::option_header;
  return {};
}

Status NbdHandshake::feed(std::string_view bytes, std::string& reply) {
  while (state_ != State::complete) {
    const auto count = std::min(wanted(), bytes.size());
    pending_ += bytes.substr(0, count);
    bytes.remove_prefix(count);
    if (wanted() > 0) return {};
    if (state_ == State::greeting) {
      if (big_endian_at<std::uint64_t>(pending_, 0) != greeting_magic ||
          big_endian_at<std::uint64_t>(pending_, 8) != option_magic ||
          (big_endian_at<std::uint16_t>(pending_, 16) & server_fixed_newstyle) == 0) {
        return bad_nbd("the server doesn't speak the fixed newstyle protocol");
      }
      answer_greeting(reply);
      state_ = State::option_header;
    } else if (state_ == State::option_header) {
      reply_type_ = big_endian_at<std::uint32_t>(pending_, 12);
      data_length_ = big_endian_at<std::uint32_t>(pending_, 16);
      if (big_endian_at<std::uint64_t>(pending_, 0) != reply_magic ||
          big_endian_at<std::uint32_t>(pending_, 8) != option_go || data_length_ > longest_reply) {
        return bad_nbd("the server's answer to NBD_OPT_GO is damaged");
      }
      state_ = State::option_data;
    } else if (auto taken = take_option_data(); !taken) {
      return taken;
    }
    pending_.clear();
  }
  return bytes.empty() ? Status{} : bad_nbd("the server sent more than the handshake");
}

}  // namespace bridgehead::init
