// Space and state of one Lustre target (IOC_OBD_STATFS): it answers without waiting for a target that is down, unlike
// stat, df and reads. The request points into itself and stays where it is.
#pragma once

#include <array>
#include <optional>

#include "storage/layout.h"

namespace bridgehead::storage::lustre {

inline constexpr unsigned long kObdStatfsIoctl = 0xc00866a4;

class ObdStatfsRequest {
 public:
  explicit ObdStatfsRequest(std::uint32_t ost);
  ObdStatfsRequest(const ObdStatfsRequest&) = delete;
  ObdStatfsRequest& operator=(const ObdStatfsRequest&) = delete;

  void* argument() { return bytes_.data(); }
  const std::array<std::uint8_t, 592>& bytes() const { return bytes_; }
  std::array<std::uint8_t, 144>& answer() { return answer_; }
  std::array<char, 40>& uuid() { return uuid_; }

 private:
  alignas(8) std::array<std::uint8_t, 592> bytes_{};
  alignas(8) std::array<std::uint8_t, 144> answer_{};
  alignas(8) std::array<char, 40> uuid_{};
};

// The target that an ioctl's end tells of (error_number 0 = it succeeded); nothing: there is no target of this index.
std::optional<StorageTarget> read_obd_statfs(std::uint32_t ost, ObdStatfsRequest& request, int error_number);

}  // namespace bridgehead::storage::lustre
