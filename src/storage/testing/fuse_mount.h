// FuseMount: a FUSE file system that this process mounts and serves: it answers statfs with what the test wants, breaks
// off the listing of its directory after one name, knows nothing else, and can die as a client's process does. Needs
// root and a mount namespace of one's own.
#pragma once

#include <dirent.h>
#include <gtest/gtest.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <thread>

#include "base/file.h"

namespace bridgehead::storage::testing {

class FuseMount {
 public:
  explicit FuseMount(const std::filesystem::path& point) {
    auto device = open_file("/dev/fuse", O_RDWR);
    require(device.has_value(), "no /dev/fuse");
    device_ = std::move(*device);
    const auto options = fmt::format("fd={},rootmode=40000,user_id=0,group_id=0", device_.get());
    require(::mount("served-by-a-test", point.c_str(), "fuse", 0, options.c_str()) == 0, "mount FUSE");
    stop_ = UniqueFd(::eventfd(0, EFD_CLOEXEC));
    server_ = std::thread([this] { serve(); });
  }
  FuseMount(const FuseMount&) = delete;
  FuseMount& operator=(const FuseMount&) = delete;
  ~FuseMount() { die(); }

  // What statfs ends with from now on; 0 = it succeeds.
  void answer_statfs(int error) { error_ = error; }
  // It stays mounted, and every call into it fails with ENOTCONN.
  void die() {
    if (!server_.joinable()) return;
    ::eventfd_write(stop_.get(), 1);
    server_.join();
    device_.reset();
  }

 private:
  void serve() {
    std::vector<char> request(1 << 20);
    for (;;) {
      pollfd waits[] = {{device_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
      ::poll(waits, 2, -1);
      if (waits[1].revents != 0) return;
      const auto got = ::read(device_.get(), request.data(), request.size());
      if (got < 0 && errno == ENODEV) return;  // unmounted
      if (got < static_cast<ssize_t>(sizeof(fuse_in_header))) continue;
      fuse_in_header head;
      std::memcpy(&head, request.data(), sizeof head);
      std::uint64_t offset = 0;
      if (head.opcode == FUSE_READDIR) {
        std::memcpy(&offset, request.data() + sizeof head + offsetof(fuse_read_in, offset), sizeof offset);
      }
      answer(head, offset);
    }
  }

  void answer(const fuse_in_header& head, std::uint64_t offset) {
    switch (head.opcode) {
      case FUSE_INIT: return reply(head, fuse_init_out{.major = 7, .minor = 31, .max_write = 4096});
      case FUSE_STATFS:
        if (error_ != 0) return refuse(head, error_);
        return reply(head, fuse_statfs_out{.st = {.blocks = 1000, .bfree = 500, .bavail = 500, .bsize = 4096}});
      case FUSE_GETATTR: return reply(head, fuse_attr_out{.attr = {.ino = 1, .mode = S_IFDIR | 0700, .nlink = 2}});
      case FUSE_OPENDIR: return reply(head, fuse_open_out{});
      case FUSE_READDIR: {
        if (offset != 0) return refuse(head, EIO);
        struct {  // fuse_dirent with its name
          std::uint64_t inode = 2;
          std::uint64_t next = 1;
          std::uint32_t length = 3;
          std::uint32_t type = DT_REG;
          char name[8] = {'o', 'n', 'e'};
        } const first;
        return reply(head, first);
      }
      case FUSE_FORGET:
      case FUSE_BATCH_FORGET:
      case FUSE_INTERRUPT: return;  // nobody waits
      default: return refuse(head, ENOSYS);
    }
  }

  template <typename Body>
  void reply(const fuse_in_header& to, const Body& body) {
    const fuse_out_header head{.len = sizeof head + sizeof body, .error = 0, .unique = to.unique};
    char bytes[sizeof head + sizeof body];
    std::memcpy(bytes, &head, sizeof head);
    std::memcpy(bytes + sizeof head, &body, sizeof body);
    (void)!::write(device_.get(), bytes, sizeof bytes);
  }
  void refuse(const fuse_in_header& to, int error) {
    const fuse_out_header head{.len = sizeof head, .error = -error, .unique = to.unique};
    (void)!::write(device_.get(), &head, sizeof head);
  }

  UniqueFd device_;
  UniqueFd stop_;
  std::atomic<int> error_{0};
  std::thread server_;
};

}  // namespace bridgehead::storage::testing
