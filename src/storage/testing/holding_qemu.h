// A QEMU program (qemu-io) that has a disk open for writing as a guest has, with QEMU's image locks, until end().
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "base/fd.h"
#include "storage/image_pool.h"

namespace bridgehead::storage::testing {

class HoldingQemu {
 public:
  explicit HoldingQemu(const StoredImage& disk) {
    int in[2];
    int out[2];
    EXPECT_EQ(::pipe2(in, O_CLOEXEC), 0);
    EXPECT_EQ(::pipe2(out, O_CLOEXEC), 0);
    child_ = ::fork();
    if (child_ == 0) {
      ::dup2(in[0], 0);
      ::dup2(out[1], 1);
      ::execlp("qemu-io", "qemu-io", "-f", disk.format == model::ImageFormat::raw ? "raw" : "qcow2", disk.path.c_str(),
               static_cast<char*>(nullptr));
      ::_exit(127);
    }
    ::close(in[0]);
    ::close(out[1]);
    input_.reset(in[1]);
    output_.reset(out[0]);
    EXPECT_EQ(::write(input_.get(), "read 0 512\n", 11), 11);
    std::string said;
    char buffer[256];
    for (ssize_t got = 0;
         said.find("read 512/512") == std::string::npos && (got = ::read(output_.get(), buffer, 256)) > 0;) {
      said.append(buffer, static_cast<std::size_t>(got));
    }
    EXPECT_NE(said.find("read 512/512"), std::string::npos) << said;
  }
  ~HoldingQemu() { end(); }
  HoldingQemu(const HoldingQemu&) = delete;
  HoldingQemu& operator=(const HoldingQemu&) = delete;

  // Its standard input ends, and so does it.
  void end() {
    if (child_ <= 0) return;
    input_.reset();
    int status = 0;
    ::waitpid(std::exchange(child_, -1), &status, 0);
  }

 private:
  pid_t child_ = -1;
  UniqueFd input_;
  UniqueFd output_;
};

}  // namespace bridgehead::storage::testing
