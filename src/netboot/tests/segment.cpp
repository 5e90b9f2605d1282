#include "netboot/tests/segment.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <thread>

namespace bridgehead::netboot {

Segment::Segment(const std::string& address) {
  require(::unshare(CLONE_NEWNET) == 0, "this test needs root");
  std::thread([&] {
    require(::unshare(CLONE_NEWNET) == 0, "unshare");
    client_.reset(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  }).join();
  const auto client_path = fmt::format("/proc/{}/fd/{}", ::getpid(), client_.get());
  run("ip", {"link", "set", "lo", "up"});
  run("ip", {"link", "add", "prov0", "type", "veth", "peer", "name", "cl0"});
  run("ip", {"link", "set", "cl0", "netns", client_path});
  run("ip", {"address", "add", address, "dev", "prov0"});
  run("ip", {"link", "set", "prov0", "up"});
  as_client([&] {
    run("ip", {"link", "set", "lo", "up"});
    run("ip", {"link", "set", "cl0", "up"});
  });
}

void Segment::as_client(const std::function<void()>& function) const {
  std::thread([&] {
    require(::setns(client_.get(), CLONE_NEWNET) == 0, "setns");
    function();
  }).join();
}

void Segment::run(const std::string& program, const std::vector<std::string>& arguments) const {
  SystemCommandRunner runner;
  const auto done = runner.run({.program = program, .arguments = arguments});
  ASSERT_TRUE(done) << done.error().describe();
}

bool eventually(const std::function<bool()>& condition, std::chrono::milliseconds within) {
  const auto deadline = std::chrono::steady_clock::now() + within;
  while (std::chrono::steady_clock::now() < deadline) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return condition();
}

}  // namespace bridgehead::netboot
