#include "storage/lustre/lustre_layouts.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>

#include <array>
#include <cerrno>

#include "base/file.h"
#include "base/random.h"
#include "storage/byte_order.h"
#include "storage/lustre/lov_format.h"
#include "storage/lustre/obd_statfs.h"

namespace bridgehead::storage::lustre {
namespace {

constexpr unsigned long kSetStripe = 0x4008669a;
constexpr char kLayoutAttribute[] = "lustre.lov";
// O_LOV_DELAY_CREATE: no objects until the layout is set.
constexpr int kDelayCreate = O_NOCTTY | 020000;
constexpr std::uint32_t kHighestIndex = 0xfffe;
constexpr std::size_t kLargestLayout = 64 << 10;
constexpr int kTries = 8;

Result<FileLayout> layout_of(int fd) {
  std::string bytes(kLargestLayout, '\0');
  const ssize_t length = ::fgetxattr(fd, kLayoutAttribute, bytes.data(), bytes.size());
  if (length < 0 && errno == ENODATA) return FileLayout{};  // none yet
  if (length < 0) return fail_errno(errno, "read a file's Lustre layout");
  bytes.resize(static_cast<std::size_t>(length));
  return decode_layout(bytes);
}

Result<UniqueFd> create_once(const std::filesystem::path& file, const FileLayout& layout, const std::string& bytes,
                             const std::vector<StorageTarget>& targets) {
  auto fd = open_file(file, O_RDWR | O_CREAT | O_EXCL | kDelayCreate);
  if (!fd) return fd;
  Status made;
  // The attribute would be taken silently where a layout is there already; the ioctl says EEXIST.
  if (::ioctl(fd->get(), kSetStripe, bytes.data()) != 0) made = fail_errno(errno, "set a file's Lustre layout");
  if (made) {
    auto got = layout_of(fd->get());
    made = got ? check_same(layout, *got) : forward(got);
    if (made && model::lies_on_dead(*got, targets))
      made = fail(ErrorCode::unavailable, "Lustre put a new file on an OST that is down");
  }
  if (made) return fd;
  ::unlink(file.c_str());
  return forward(made);
}

// Nodes begin at different places.
std::uint32_t first_turn() {
  std::array<std::uint8_t, 4> bytes{};
  SystemRandom().fill(bytes);
  return read_le<std::uint32_t>(bytes, 0);
}

}  // namespace

LustreLayouts::LustreLayouts(std::filesystem::path root, StripePolicy policy)
    : root_(std::move(root)), policy_(std::move(policy)), turn_(first_turn()) {}

Result<FileLayout> LustreLayouts::choose(const LayoutNeed& need) const {
  const auto known = targets();
  if (!known) return forward(known);
  return choose_layout(policy_, need, *known, turn_++);
}

Result<UniqueFd> LustreLayouts::create(const std::filesystem::path& file, const FileLayout& layout) const {
  const auto bytes = encode_layout(layout);
  if (!bytes) return forward(bytes);
  const auto known = targets();
  if (!known) return forward(known);
  auto fd = create_once(file, layout, *bytes, *known);
  // Only where Lustre chooses; its next choice may be another.
  for (int i = 1; i < kTries && !fd && fd.error().code == ErrorCode::unavailable; ++i) {
    fd = create_once(file, layout, *bytes, *known);
  }
  return fd;
}

Result<FileLayout> LustreLayouts::read(const std::filesystem::path& file) const {
  auto fd = open_file(file, O_RDONLY);
  if (!fd) return forward(fd);
  return layout_of(fd->get());
}

Result<std::vector<StorageTarget>> LustreLayouts::targets() const {
  auto directory = open_file(root_, O_RDONLY | O_DIRECTORY);
  if (!directory) return forward(directory);
  std::vector<StorageTarget> found;
  for (std::uint32_t index = 0; index <= kHighestIndex; ++index) {
    ObdStatfsRequest request(index);
    const int error = ::ioctl(directory->get(), kObdStatfsIoctl, request.argument()) == 0 ? 0 : errno;
    if (error == ENODEV) return found;
    if (error == ENOTTY || error == EPERM || error == EINVAL || error == EFAULT) {
      return fail_errno(error, "ask Lustre for the state of its OSTs");
    }
    if (auto target = read_obd_statfs(index, request, error)) found.push_back(std::move(*target));
  }
  return found;
}

}  // namespace bridgehead::storage::lustre
