#include "storage/pool_check.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <thread>

#include "base/file.h"
#include "base/random.h"

namespace bridgehead::storage {
namespace {

constexpr std::size_t kBlock = 4096;
constexpr std::size_t kPiece = 1 << 20;

template <typename... Args>
tl::unexpected<Error> broken(fmt::format_string<Args...> format, Args&&... args) {
  return fail(ErrorCode::failed_precondition, "{}", fmt::format(format, std::forward<Args>(args)...));
}

model::Image new_image(model::ImageRole role) {
  SystemRandom random;
  return {.id = make_id<model::ImageId>(random), .name = "check", .role = role};
}

// 16 MiB with a hole in its middle.
std::string source_content() {
  std::string content(16 * kPiece, '\0');
  for (std::size_t i = 0; i < 4 * kPiece; ++i) content[i] = static_cast<char>(i * 7 + i / kBlock);
  for (std::size_t i = 12 * kPiece; i < 16 * kPiece; ++i) content[i] = static_cast<char>(i * 13 + i / kBlock);
  return content;
}

Result<StoredImage> import_source(PoolUnderCheck& pool, const model::Image& golden) {
  SystemRandom random;
  const auto path = pool.scratch / ("source-" + make_uuid(random));
  if (auto written = write_file_atomic(path, source_content()); !written) return forward(written);
  ImportRequest request;
  request.operation = make_id<model::OperationId>(random);
  request.image = golden;
  request.source = {.kind = model::ImageSourceKind::path, .location = path.native()};
  request.source_path = path;
  auto stored = pool.one.import_golden(request, {}, {});
  ::unlink(path.c_str());
  return stored;
}

Status check_import(PoolUnderCheck& pool) {
  const auto golden = new_image(model::ImageRole::golden);
  auto stored = import_source(pool, golden);
  if (!stored) return forward(stored);
  struct stat status {};
  if (::stat(stored->path.c_str(), &status) != 0) return fail_errno(errno, "look at the imported image");
  if ((status.st_mode & 0777) != 0444)
    return broken("an imported image has mode {:o} instead of 444", status.st_mode & 0777);
  const auto seen = pool.other.inspect(golden);
  if (!seen) return forward(seen);
  const auto content = read_file(seen->path, 64_MiB);
  if (!content) return forward(content);
  if (*content != source_content()) return broken("an imported image reads otherwise than it was written");
  return pool.other.remove(golden);
}

Status check_clone(PoolUnderCheck& pool) {
  const auto golden = new_image(model::ImageRole::golden);
  if (auto stored = import_source(pool, golden); !stored) return forward(stored);
  const auto disk = new_image(model::ImageRole::disk);
  auto clone = pool.one.create_disk(disk, &golden, 64_MiB);
  if (!clone) return forward(clone);
  if (clone->virtual_size != 64_MiB) return broken("a clone of 64 MiB has {}", clone->virtual_size.human());
  const auto seen = pool.other.inspect(disk);
  if (!seen) return forward(seen);
  if (seen->format == model::ImageFormat::raw) {
    auto content = read_file(seen->path, 80_MiB);
    if (!content) return forward(content);
    auto expected = source_content();
    expected.resize((64_MiB).count(), '\0');
    if (*content != expected) return broken("a clone reads otherwise than its golden image");
  }
  if (auto removed = pool.other.remove(disk); !removed) return removed;
  return pool.one.remove(golden);
}

Status check_growing(PoolUnderCheck& pool) {
  const auto disk = new_image(model::ImageRole::disk);
  if (auto made = pool.one.create_disk(disk, nullptr, 8_MiB); !made) return forward(made);
  const auto grown = pool.other.grow_disk(disk, 16_MiB);
  if (!grown) return forward(grown);
  const auto seen = pool.one.inspect(disk);
  if (!seen) return forward(seen);
  if (seen->virtual_size != 16_MiB)
    return broken("a disk grown to 16 MiB on one node has {} on another", seen->virtual_size.human());
  return pool.one.remove(disk);
}

Status check_leases(PoolUnderCheck& pool) {
  SystemRandom random;
  const auto vm = make_id<model::VmId>(random);
  const model::NodeId a("a");
  const model::NodeId b("b");
  if (auto stamped = pool.one.stamp_lease({vm, a, 1}); !stamped) return stamped;
  if (pool.other.stamp_lease({vm, b, 1})) return broken("two nodes stamped one token");
  constexpr std::uint64_t kLast = 9;
  std::vector<std::thread> stampers;
  for (std::uint64_t token = 2; token <= kLast; ++token) {
    stampers.emplace_back([&, token] { (void)(token % 2 == 0 ? pool.one : pool.other).stamp_lease({vm, b, token}); });
  }
  for (auto& stamper : stampers) stamper.join();
  const auto held = pool.one.read_lease(vm);
  if (!held) return forward(held);
  if (!*held || (*held)->token != kLast)
    return broken("of tokens 2 to {} stamped at once, {} stayed", kLast, *held ? (*held)->token : 0);
  // All but one of these must find that another was quicker, whoever has the higher token.
  std::atomic<int> swapped = 0;
  stampers.clear();
  for (std::uint64_t token = kLast + 1; token <= 2 * kLast; ++token) {
    stampers.emplace_back([&, token] {
      const model::LeaseClaim claim{
          .vm = vm, .node = b, .token = token, .past = model::PastLeases{.over = kLast, .ended = {}}, .source = {}};
      if ((token % 2 == 0 ? pool.one : pool.other).stamp_lease(claim)) ++swapped;
    });
  }
  for (auto& stamper : stampers) stamper.join();
  if (swapped != 1) return broken("of {} stamps that replace the same one, {} did", kLast, swapped.load());
  return pool.one.remove_lease(vm);
}

Status check_direct_io(PoolUnderCheck& pool) {
  const auto disk = new_image(model::ImageRole::disk);
  auto made = pool.one.create_disk(disk, nullptr, 4_MiB);
  if (!made) return forward(made);
  auto direct = open_file(made->path, O_RDWR | O_DIRECT);
  if (!direct) return pool.one.remove(disk);  // no direct I/O here, which is an ability, not a fault
  const std::unique_ptr<void, decltype(&std::free)> memory(std::aligned_alloc(kBlock, kPiece), &std::free);
  for (int round = 1; round <= 8; ++round) {
    std::memset(memory.get(), round, kPiece);
    if (::pwrite(direct->get(), memory.get(), kPiece, 0) != static_cast<ssize_t>(kPiece) ||
        ::fdatasync(direct->get()) != 0) {
      return fail_errno(errno, "write with O_DIRECT");
    }
    const auto there = pool.other.inspect(disk);
    if (!there) return forward(there);
    const auto seen = read_file(there->path, 8_MiB);
    if (!seen) return forward(seen);
    if (seen->find_first_not_of(static_cast<char>(round)) != kPiece) {
      return broken("what one node wrote with O_DIRECT and flushed, another doesn't read");
    }
  }
  return pool.one.remove(disk);
}

// An agent looks while another replaces: there must always be one of the two.
Status check_replacing(PoolUnderCheck& pool) {
  const auto file = pool.root / "leases" / "replaced";
  if (auto written = write_file_atomic(file, "first"); !written) return written;
  std::jthread writer([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) (void)write_file_atomic(file, "other");
  });
  Status result;
  for (int i = 0; i < 200 && result; ++i) {
    const auto seen = read_file(file);
    if (!seen) {
      result = broken("a file that is being replaced isn't there for a moment: {}", seen.error().message);
    } else if (*seen != "first" && *seen != "other") {
      result = broken("a file that is being replaced is seen half written");
    }
  }
  writer.request_stop();
  writer.join();
  ::unlink(file.c_str());
  return result;
}

Status check_answer(PoolUnderCheck& pool) {
  const auto begun = std::chrono::steady_clock::now();
  const auto status = pool.one.status();
  if (!status) return forward(status);
  if (status->total.count() == 0) return broken("it tells no size");
  const auto took = std::chrono::steady_clock::now() - begun;
  if (took > std::chrono::seconds(8)) return broken("it took longer than 8 s to tell its space");
  return {};
}

constexpr char kHeld[] = "bridgehead-held-lock-";

}  // namespace

const std::vector<PoolCheck>& pool_checks() {
  static const std::vector<PoolCheck> checks{
      {"answer", "Agents would take the pool for hung.", check_answer},
      {"import", "Images would be damaged, or could be changed by a guest.", check_import},
      {"clone", "Guests would start from wrong content.", check_clone},
      {"growing", "A disk that grew would be cut off on another node.", check_growing},
      {"leases", "Two nodes could run one guest.", check_leases},
      {"direct I/O", "A guest that moves to another node would lose what it wrote.", check_direct_io},
      {"replacing", "A lease could seem to be gone while it is renewed.", check_replacing},
  };
  return checks;
}

Result<HeldLock> HeldLock::take(const std::filesystem::path& directory) {
  SystemRandom random;
  const auto file = directory / (kHeld + make_uuid(random));
  auto fd = open_file(file, O_RDWR | O_CREAT | O_EXCL);
  if (!fd) return forward(fd);
  HeldLock held(file, std::move(*fd));
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (::fcntl(held.fd_.get(), F_OFD_SETLK, &lock) != 0) return fail_errno(errno, "lock " + file.native());
  return held;
}

HeldLock::~HeldLock() {
  if (!file_.empty()) ::unlink(file_.c_str());
}

Result<std::size_t> see_held_locks(const std::filesystem::path& directory) {
  std::size_t seen = 0;
  const auto files = list_directory(directory);
  if (!files && files.error().code == ErrorCode::not_found) return seen;
  if (!files) return forward(files);
  for (const auto& file : *files) {
    if (!file.filename().native().starts_with(kHeld)) continue;
    auto fd = open_file(file, O_RDWR);
    if (!fd && fd.error().code == ErrorCode::not_found) continue;
    if (!fd) return forward(fd);
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    if (::fcntl(fd->get(), F_OFD_GETLK, &lock) != 0) return fail_errno(errno, "look at a lock");
    if (lock.l_type == F_UNLCK) {
      return fail_with_hint(
          ErrorCode::failed_precondition,
          fmt::format("the lock that another host holds on {} isn't seen here", file.native()),
          "Mount the file system so that locks span hosts; or remove the file, if no --hold runs any more.");
    }
    ++seen;
  }
  return seen;
}

}  // namespace bridgehead::storage
