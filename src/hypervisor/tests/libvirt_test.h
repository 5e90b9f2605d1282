// Fixture of hypervisor_root_test: the layer against a real libvirtd and real QEMU (emulated), in namespaces of its
// own.
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <future>
#include <set>
#include <thread>

#include "base/file.h"
#include "base/random.h"
#include "hypervisor/libvirt/libvirt_hypervisor.h"
#include "hypervisor/testing/echo_guest.h"
#include "hypervisor/testing/private_libvirtd.h"

namespace bridgehead::hypervisor {
using testing::PrivateLibvirtd;

inline constexpr auto kDeadline = std::chrono::seconds(60);

inline PrivateLibvirtd* libvirtd = nullptr;  // set by main

inline void must_run(const std::string& program, std::vector<std::string> arguments) {
  SystemCommandRunner commands;
  const auto ran = commands.run({.program = program, .arguments = std::move(arguments)});
  ASSERT_TRUE(ran) << ran.error().describe();
}

inline std::string virsh(std::vector<std::string> arguments) {
  SystemCommandRunner commands;
  const auto ran = commands.run({.program = "virsh", .arguments = std::move(arguments)});
  EXPECT_TRUE(ran) << ran.error().describe();
  return ran ? ran->out : "";
}

inline bool eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + kDeadline;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

class LibvirtTest : public ::testing::Test {
 protected:
  void SetUp() override {
    directory = PrivateLibvirtd::scratch() / id.str();
    ASSERT_TRUE(make_directories(directory));
    std::string golden(testing::echo_guest_boot_sector());
    golden.resize(1 << 20, '\0');
    ASSERT_TRUE(write_file_atomic(directory / "golden.raw", golden));
    config.id = id;
    config.name = "web";
    config.generation = 1;
    config.lease = 10;
    config.cpus = 1;
    config.max_cpus = 2;
    config.memory = 128_MiB;
    config.max_memory = 256_MiB;
    config.disks = {overlay("disk0")};
    config.console_log = directory / "console.log";
  }

  void TearDown() override {
    for (const auto& guest : made) EXPECT_TRUE(hypervisor->remove(guest));
  }

  GuestDisk overlay(const std::string& name) {
    const auto path = directory / (name + ".qcow2");
    must_run("qemu-img", {"create", "-q", "-f", "qcow2", "-b", (directory / "golden.raw").string(), "-F", "raw",
                          path.string(), "64M"});
    return {.name = name,
            .path = path,
            .format = model::ImageFormat::qcow2,
            .size = 64_MiB,
            .direct_io = false,
            .backing = directory / "golden.raw"};
  }

  GuestInfo configure() {
    const auto info = hypervisor->configure(config);
    EXPECT_TRUE(info) << info.error().describe();
    if (!made.contains(config.id)) made.insert(config.id);
    return info.value_or(GuestInfo{});
  }

  GuestState state() {
    const auto info = hypervisor->get(config.id);
    EXPECT_TRUE(info) << info.error().describe();
    return info ? info->state : GuestState::absent;
  }

  void configure_and_start() {
    configure();
    const auto started = hypervisor->start(config.id);
    ASSERT_TRUE(started) << started.error().describe();
  }

  std::unique_ptr<ConsoleStream> console() {
    auto opened = hypervisor->open_console(config.id, false);
    EXPECT_TRUE(opened) << opened.error().describe();
    return opened ? std::move(*opened) : nullptr;
  }

  bool booted() {
    return eventually([this] {
      const auto log = read_file(config.console_log);
      return log && log->find(testing::kEchoGuestHello) != std::string::npos;
    });
  }

  SystemRandom random;
  SystemCommandRunner commands;
  model::VmId id = make_id<model::VmId>(random);
  std::filesystem::path directory;
  GuestConfig config;
  std::set<model::VmId> made;
  std::unique_ptr<Hypervisor> hypervisor =
      make_libvirt_hypervisor({.unplug_timeout = std::chrono::milliseconds(300)}, commands);
};

// Everything that came until `wanted` was among it.
inline ::testing::AssertionResult hears(ConsoleStream& console, const std::string& wanted) {
  auto heard = std::async(std::launch::async, [&] {
    std::string all;
    while (all.find(wanted) == std::string::npos) {
      const auto bytes = console.read();
      if (!bytes || bytes->empty()) break;
      all += *bytes;
    }
    return all;
  });
  const bool in_time = heard.wait_for(kDeadline) == std::future_status::ready;
  if (!in_time) console.close();
  const auto all = heard.get();
  if (in_time && all.find(wanted) != std::string::npos) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "heard only: " << all;
}

}  // namespace bridgehead::hypervisor
