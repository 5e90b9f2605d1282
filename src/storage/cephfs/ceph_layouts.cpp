#include "storage/cephfs/ceph_layouts.h"

#include <fcntl.h>
#include <sys/xattr.h>

#include <cerrno>
#include <charconv>

#include "base/file.h"

namespace bridgehead::storage::cephfs {
namespace {

constexpr char kLayout[] = "ceph.file.layout";

Status set(int fd, const char* field, const std::string& value) {
  const auto name = fmt::format("{}.{}", kLayout, field);
  if (::fsetxattr(fd, name.c_str(), value.data(), value.size(), 0) == 0) return {};
  return fail_errno(errno, fmt::format("set {} of a new file to {}", name, value));
}

Result<FileLayout> layout_of(int fd) {
  std::string text(1024, '\0');
  const ssize_t length = ::fgetxattr(fd, kLayout, text.data(), text.size());
  if (length < 0) return fail_errno(errno, "read a file's CephFS layout");
  text.resize(static_cast<std::size_t>(length));
  return parse_layout(text);
}

// Count before unit: each step must be a layout that CephFS accepts (the object size, 4 MiB, is a multiple of the
// unit).
Status apply(int fd, const FileLayout& layout) {
  if (!layout.group.empty()) {
    if (auto done = set(fd, "pool", layout.group); !done) return done;
  }
  for (const auto& part : layout.parts) {
    if (auto done = set(fd, "stripe_count", std::to_string(part.stripes)); !done) return done;
    if (auto done = set(fd, "stripe_unit", std::to_string(part.stripe_size.count())); !done) return done;
  }
  auto got = layout_of(fd);
  if (!got) return forward(got);
  const bool same =
      (layout.group.empty() || layout.group == got->group) && (layout.parts.empty() || layout.parts == got->parts);
  if (same) return {};
  return fail(ErrorCode::failed_precondition, "CephFS gave a new file the layout '{}' instead of '{}'", got->describe(),
              layout.describe());
}

}  // namespace

Result<FileLayout> parse_layout(std::string_view text) {
  FileLayout layout;
  LayoutPart part;
  const auto bad = [&] { return fail(ErrorCode::data_corrupt, "no CephFS layout: '{}'", text.substr(0, 200)); };
  while (!text.empty()) {
    const auto word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    const auto equals = word.find('=');
    if (equals == word.npos) return bad();
    const auto value = word.substr(equals + 1);
    std::uint64_t number = 0;
    const bool is_number =
        std::from_chars(value.data(), value.data() + value.size(), number).ptr == value.data() + value.size();
    const auto name = word.substr(0, equals);
    if (name == "pool") layout.group = std::string(value);
    if (name != "stripe_unit" && name != "stripe_count") continue;
    if (!is_number || number == 0 || number > ~std::uint32_t{0}) return bad();
    if (name == "stripe_unit") part.stripe_size = Bytes(number);
    if (name == "stripe_count") part.stripes = static_cast<std::uint32_t>(number);
  }
  if (part.stripes == 0 || part.stripe_size.count() == 0) return bad();
  layout.parts.push_back(std::move(part));
  return layout;
}

// Each object of 4 MiB lies on another OSD anyway, so disks stay as they are. One reader of a golden image is to have
// several OSDs at work at once.
Result<FileLayout> CephLayouts::choose(const LayoutNeed& need) const {
  FileLayout layout{.group = data_pool_};
  const bool automatic = need.wish == model::LayoutWish::automatic;
  if (automatic && need.role == model::ImageRole::disk) return layout;
  const bool wide = automatic || need.wish == model::LayoutWish::wide;
  layout.parts.push_back({.stripes = wide ? 4U : 1U, .stripe_size = 1_MiB});
  return layout;
}

Result<UniqueFd> CephLayouts::create(const std::filesystem::path& file, const FileLayout& layout) const {
  auto fd = open_file(file, O_RDWR | O_CREAT | O_EXCL);
  if (!fd || layout.plain()) return fd;
  auto done = apply(fd->get(), layout);
  if (done) return fd;
  ::unlink(file.c_str());
  return forward(done);
}

Result<FileLayout> CephLayouts::read(const std::filesystem::path& file) const {
  auto fd = open_file(file, O_RDONLY);
  if (!fd) return forward(fd);
  return layout_of(fd->get());
}

}  // namespace bridgehead::storage::cephfs
