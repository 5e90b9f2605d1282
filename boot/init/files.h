// Files and directories by path. Every call may be made by any thread.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "result.h"

namespace bridgehead::init {

// Owns a file descriptor.
class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  ~Fd() { reset(); }
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void reset(int fd = -1);
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

Result<std::string> read_file(const std::string& path);
// "" where it can't be read: for /sys, where a missing file is an answer. Blanks at the ends are removed.
std::string read_value(const std::string& path);
Status write_all(int fd, std::string_view bytes);
// Creates or replaces the file, and the directories above it.
Status write_file(const std::string& path, std::string_view content, mode_t mode = 0644);
// For /proc and /sys, and what may fail without harm.
bool write_value(const std::string& path, std::string_view value);
void make_directories(const std::string& path);
bool exists(const std::string& path);
std::vector<std::string> list_directory(const std::string& path);  // sorted; empty where there is none
// The last part of what a symbolic link points to; "" where there is none.
std::string link_base_name(const std::string& path);

}  // namespace bridgehead::init
