#include "storage/lustre/obd_statfs.h"

#include <algorithm>
#include <cerrno>

#include "storage/byte_order.h"

namespace bridgehead::storage::lustre {
namespace {

// obd_ioctl_data in Lustre's lustre_ioctl.h; what it carries inline comes behind it, each padded to 8 bytes.
constexpr std::uint32_t kVersion = 0x00010004;
constexpr std::size_t kHeader = 576;
constexpr std::uint32_t kOst = 2;
constexpr std::uint32_t kDoNotDelay = 4;
// obd_statfs.os_state: read-only, no new objects, no space, no inodes.
constexpr std::uint32_t kTakesNoFiles = 0x02 | 0x04 | 0x20 | 0x40;

}  // namespace

ObdStatfsRequest::ObdStatfsRequest(std::uint32_t ost) {
  const auto put = [this](std::size_t at, auto value) { write_host(bytes_, at, value); };
  const auto put_address = [&](std::size_t at, const void* where) {
    put(at, static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(where)));
  };
  put(0, static_cast<std::uint32_t>(bytes_.size()));
  put(4, kVersion);
  put(480, static_cast<std::uint32_t>(answer_.size()));
  put_address(488, answer_.data());
  put(496, static_cast<std::uint32_t>(uuid_.size()));
  put_address(504, uuid_.data());
  put(512, std::uint32_t{4});
  put_address(520, bytes_.data() + kHeader);
  put(528, std::uint32_t{4});
  put_address(536, bytes_.data() + kHeader + 8);
  put(kHeader, kOst | kDoNotDelay);
  put(kHeader + 8, ost);
}

std::optional<StorageTarget> read_obd_statfs(std::uint32_t ost, ObdStatfsRequest& request, int error_number) {
  if (error_number == EAGAIN || error_number == ENODEV) return {};
  StorageTarget target{.index = ost, .name = fmt::format("OST{:04x}", ost)};
  if (error_number != 0) {
    target.state = error_number == ENODATA ? TargetState::inactive : TargetState::down;
    return target;
  }
  const auto& uuid = request.uuid();
  const std::string name(uuid.begin(), std::find(uuid.begin(), uuid.end(), '\0'));
  if (!name.empty()) target.name = name.ends_with("_UUID") ? name.substr(0, name.size() - 5) : name;
  const auto block = read_host<std::uint32_t>(request.answer(), 88);
  target.total = Bytes(read_host<std::uint64_t>(request.answer(), 8) * block);
  target.available = Bytes(read_host<std::uint64_t>(request.answer(), 24) * block);
  if ((read_host<std::uint32_t>(request.answer(), 104) & kTakesNoFiles) != 0) target.state = TargetState::inactive;
  return target;
}

}  // namespace bridgehead::storage::lustre
