#include "storage/pool_trials.h"

#include <fcntl.h>
#include <sys/statfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "base/file.h"
#include "storage/file_space.h"
#include "storage/moosefs/moosefs_tools.h"

namespace bridgehead::storage {
namespace {

constexpr std::size_t kTrialSize = 1 << 20;
constexpr char kTrialAttribute[] = "user.bridgehead.trial";

// Removed at the end of the scope.
class TrialFile {
 public:
  static Result<TrialFile> create(std::filesystem::path path) {
    auto fd = open_file(path, O_RDWR | O_CREAT | O_TRUNC);
    if (!fd) return forward(fd);
    return TrialFile(std::move(path), std::move(*fd));
  }
  TrialFile(std::filesystem::path path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
  TrialFile(TrialFile&& other) noexcept : path_(std::exchange(other.path_, {})), fd_(std::move(other.fd_)) {}
  ~TrialFile() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  int fd() const { return fd_.get(); }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  UniqueFd fd_;
};

// The smallest block that O_DIRECT writes and reads back, or 0.
std::uint32_t direct_alignment(const TrialFile& file) {
  auto direct = open_file(file.path(), O_RDWR | O_DIRECT);
  if (!direct) return 0;
  const std::unique_ptr<void, decltype(&std::free)> memory(std::aligned_alloc(4096, 8192), &std::free);
  for (const std::uint32_t block : {512U, 4096U}) {
    std::memset(memory.get(), 0x5a, 8192);
    if (::pwrite(direct->get(), memory.get(), block, block) != static_cast<ssize_t>(block)) continue;
    std::memset(memory.get(), 0, 8192);
    if (::pread(direct->get(), memory.get(), block, block) != static_cast<ssize_t>(block)) continue;
    if (static_cast<const unsigned char*>(memory.get())[block - 1] == 0x5a) return block;
  }
  return 0;
}

bool locks_are_honoured(const TrialFile& file) {
  auto other = open_file(file.path(), O_RDWR);
  if (!other) return false;
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (::fcntl(file.fd(), F_OFD_SETLK, &lock) != 0) return false;
  const bool refused = ::fcntl(other->get(), F_OFD_SETLK, &lock) != 0;
  lock.l_type = F_UNLCK;
  ::fcntl(file.fd(), F_OFD_SETLK, &lock);
  return refused;
}

// After the preallocation: data at the start, nothing behind it.
bool finds_holes(const TrialFile& file) {
  if (::ftruncate(file.fd(), 0) != 0 || ::ftruncate(file.fd(), 4 * kTrialSize) != 0) return false;
  const std::string content(kTrialSize, 'b');
  if (::pwrite(file.fd(), content.data(), content.size(), 0) != static_cast<ssize_t>(content.size())) return false;
  const off_t hole = ::lseek(file.fd(), 0, SEEK_HOLE);
  return hole >= static_cast<off_t>(kTrialSize) && hole < static_cast<off_t>(4 * kTrialSize) &&
         ::lseek(file.fd(), hole, SEEK_DATA) < 0;
}

std::string file_system_name(const TrialFile& file) {
  struct statfs status {};
  if (::fstatfs(file.fd(), &status) != 0) return "unknown";
  static constexpr std::array<std::pair<unsigned long, const char*>, 11> kNames{{{0xef53, "ext4"},
                                                                                 {0x58465342, "xfs"},
                                                                                 {0x9123683e, "btrfs"},
                                                                                 {0x01021994, "tmpfs"},
                                                                                 {0x6969, "nfs"},
                                                                                 {0x0bd00bd0, "lustre"},
                                                                                 {0x00c36400, "ceph"},
                                                                                 {0x65735546, "fuse"},
                                                                                 {0x794c7630, "overlayfs"},
                                                                                 {0xf2f52010, "f2fs"},
                                                                                 {0x2fc12fc1, "zfs"}}};
  for (const auto& [magic, name] : kNames) {
    if (magic == static_cast<unsigned long>(status.f_type)) return name;
  }
  return fmt::format("{:#x}", static_cast<unsigned long>(status.f_type));
}

}  // namespace

Result<model::PoolAbilities> try_abilities(
    const std::filesystem::path& prefix, const std::function<Result<UniqueFd>(const std::filesystem::path&)>& create) {
  const std::filesystem::path path = prefix.native() + ".trial";
  auto fd = create(path);
  if (!fd) return forward(fd);
  const TrialFile file(path, std::move(*fd));
  const std::string content(kTrialSize, 'b');
  if (auto written = write_all(file.fd(), content, file.path().native()); !written) return forward(written);
  model::PoolAbilities abilities;
  abilities.file_system = file_system_name(file);
  abilities.locks = locks_are_honoured(file);
  abilities.attributes = ::fsetxattr(file.fd(), kTrialAttribute, "x", 1, 0) == 0;
  abilities.punch_hole =
      ::fallocate(file.fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, kTrialSize / 2, kTrialSize / 4) == 0;
  abilities.preallocate = ::fallocate(file.fd(), 0, 0, kTrialSize * 2) == 0;
  abilities.seek_holes = finds_holes(file);
  const std::uint32_t alignment = direct_alignment(file);
  abilities.direct_io = alignment != 0;
  if (alignment != 0) abilities.direct_io_alignment = alignment;
  const std::filesystem::path clone = prefix.native() + ".clone";
  auto cloned = clone_file(file.fd(), clone);
  abilities.reflink = cloned && *cloned;
  ::unlink(clone.c_str());
  if (abilities.reflink) abilities.clone = model::CloneMethod::reflink;
  return abilities;
}

bool try_snapshot(CommandRunner& runner, const std::filesystem::path& file, const std::filesystem::path& copy) {
  auto source = TrialFile::create(file);
  if (!source || !write_all(source->fd(), std::string(kTrialSize, 'b'), file.native()) || ::fsync(source->fd()) != 0) {
    return false;
  }
  const bool made = runner.run(moosefs::snapshot_command(file, copy)).has_value();
  bool apart = false;
  if (auto second = open_file(copy, O_RDWR)) {
    std::array<char, 2> seen{};
    apart = ::pwrite(second->get(), "x", 1, 0) == 1 && ::pread(second->get(), seen.data(), 2, 0) == 2 &&
            seen[1] == 'b' && ::pread(source->fd(), seen.data(), 2, 0) == 2 && seen[0] == 'b';
  }
  ::unlink(copy.c_str());
  return made && apart;
}

}  // namespace bridgehead::storage
