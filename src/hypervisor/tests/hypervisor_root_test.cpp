// States, consoles, screens, networks and the death of libvirtd.
#include <poll.h>
#include <unistd.h>

#include "hypervisor/tests/libvirt_test.h"

namespace bridgehead::hypervisor {
namespace {

TEST_F(LibvirtTest, KnowsItself) {
  const auto info = hypervisor->info();
  ASSERT_TRUE(info) << info.error().describe();
  EXPECT_TRUE(info->machine_type.starts_with("pc-q35-")) << info->machine_type;
  EXPECT_FALSE(info->library_version.empty());
  EXPECT_FALSE(info->hypervisor_version.empty());
}

TEST_F(LibvirtTest, LivesThroughItsStates) {
  EXPECT_EQ(state(), GuestState::absent);
  const auto defined = configure();
  EXPECT_EQ(defined.state, GuestState::stopped);
  EXPECT_EQ(defined.generation, 1u);
  EXPECT_EQ(defined.lease, 10u);
  ASSERT_TRUE(hypervisor->start(id));
  ASSERT_TRUE(hypervisor->start(id)) << "starting what runs succeeds";
  EXPECT_EQ(state(), GuestState::running);
  ASSERT_TRUE(hypervisor->pause(id));
  ASSERT_TRUE(hypervisor->pause(id));
  EXPECT_EQ(state(), GuestState::paused);
  ASSERT_TRUE(hypervisor->resume(id));
  ASSERT_TRUE(hypervisor->resume(id));
  EXPECT_EQ(state(), GuestState::running);
  ASSERT_TRUE(hypervisor->set_autostart(id, true));
  EXPECT_NE(virsh({"list", "--all", "--autostart", "--name"}).find(id.str()), std::string::npos);
  ASSERT_TRUE(hypervisor->request_shutdown(id));
  EXPECT_EQ(state(), GuestState::running) << "this guest ignores ACPI";
  ASSERT_TRUE(booted());
  ASSERT_TRUE(hypervisor->reboot(id, true));
  EXPECT_TRUE(eventually([&] {
    const auto log = read_file(config.console_log);
    const auto first = log->find(testing::kEchoGuestHello);
    return log->find(testing::kEchoGuestHello, first + 1) != std::string::npos;
  })) << "a reset boots again";
  ASSERT_TRUE(hypervisor->power_off(id));
  ASSERT_TRUE(hypervisor->power_off(id));
  EXPECT_EQ(state(), GuestState::stopped);
  ASSERT_TRUE(hypervisor->remove(id));
  ASSERT_TRUE(hypervisor->remove(id));
  EXPECT_EQ(state(), GuestState::absent);
  EXPECT_FALSE(std::filesystem::exists(config.console_log));
}

TEST_F(LibvirtTest, CountsWhatAGuestUses) {
  configure();
  EXPECT_TRUE(hypervisor->counters()->empty()) << "it doesn't run";
  ASSERT_TRUE(hypervisor->start(id));
  ASSERT_TRUE(booted());
  const auto counted = hypervisor->counters();
  ASSERT_TRUE(counted) << counted.error().describe();
  ASSERT_EQ(counted->size(), 1u);
  EXPECT_EQ(counted->front().id, id);
  EXPECT_GT(counted->front().cpu.count(), 0);
  EXPECT_GT(counted->front().memory, Bytes(1_MiB));
  EXPECT_GT(counted->front().storage, 0u) << "it booted from its disk";
  EXPECT_GT(counted->front().disk_operations, 0u);
  EXPECT_GT(counted->front().disk_time.count(), 0);
}

TEST_F(LibvirtTest, WhatIsNotThereIsSaid) {
  for (const auto& refused : {hypervisor->start(id), hypervisor->pause(id), hypervisor->create_snapshot(id, "s")}) {
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::not_found) << refused.error().describe();
  }
  configure();
  const auto paused = hypervisor->pause(id);
  ASSERT_FALSE(paused);
  EXPECT_EQ(paused.error().code, ErrorCode::failed_precondition);
  config.nics = {{.name = "nic0", .mac = "52:b4:9d:00:00:01", .bridge = "no-such-bridge"}};
  const auto no_bridge = hypervisor->configure(config);
  ASSERT_FALSE(no_bridge);
  EXPECT_NE(no_bridge.error().message.find("no-such-bridge"), std::string::npos);
}

// The CPU that libvirt says a guest runs with is the one that was asked for, as is what it would migrate with: the
// capability filter of PrivateLibvirtd and of node images (docs/decisions/0013) must not change it.
TEST_F(LibvirtTest, ARunningGuestsCpuIsTheOneAskedFor) {
  config.cpu_model = model::CpuModel::baseline;
  configure_and_start();
  const auto cpu_of = [this](std::vector<std::string> options) {
    options.insert(options.begin(), "dumpxml");
    options.push_back(id.str());
    const auto xml = virsh(std::move(options));
    const auto begin = xml.find("<cpu ");
    return xml.substr(begin, xml.find("</cpu>") - begin);
  };
  const auto count = [](const std::string& text, std::string_view word) {
    std::size_t found = 0;
    for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++found;
    return found;
  };
  const auto asked = cpu_of({"--inactive"});
  const auto features = count(asked, "policy='require'");
  EXPECT_GE(features, 7u);
  EXPECT_EQ(count(cpu_of({}), "policy='require'"), features + 1) << "all of them, and `hypervisor`";
  EXPECT_EQ(count(cpu_of({"--migratable"}), "policy='require'"), features);
  for (const auto& cpu : {cpu_of({}), cpu_of({"--migratable"})}) {
    EXPECT_EQ(count(cpu, "policy='disable'"), count(asked, "policy='disable'")) << cpu;
    EXPECT_NE(cpu.find("<model fallback='forbid'>qemu64</model>"), std::string::npos) << cpu;
  }
}

// It stands beside the root ports: none of them, and no bridge, is there for it.
TEST_F(LibvirtTest, AWatchdogComesWithTheNextStart) {
  configure_and_start();
  config.watchdog = model::Watchdog::reset;
  EXPECT_TRUE(configure().restart_required);
  ASSERT_TRUE(hypervisor->power_off(id));
  configure_and_start();
  const auto xml = virsh({"dumpxml", id.str()});
  EXPECT_NE(xml.find("<watchdog model='i6300esb' action='reset'>"), std::string::npos) << xml;
  EXPECT_EQ(xml.find("pcie-to-pci-bridge"), std::string::npos);
  EXPECT_FALSE(configure().restart_required);
}

TEST_F(LibvirtTest, ForeignDomainsAreLeftAlone) {
  const auto foreign = make_id<model::VmId>(random);
  const auto xml = fmt::format(
      "<domain type='qemu'><name>theirs</name><uuid>{}</uuid><memory>65536</memory>"
      "<os><type arch='x86_64' machine='q35'>hvm</type></os></domain>",
      foreign);
  ASSERT_TRUE(write_file_atomic(directory / "foreign.xml", xml));
  virsh({"define", (directory / "foreign.xml").string()});
  configure();
  const auto guests = hypervisor->list();
  ASSERT_TRUE(guests);
  ASSERT_EQ(guests->size(), 1u);
  EXPECT_EQ(guests->front().id, id);
  EXPECT_EQ(hypervisor->remove(foreign).error().code, ErrorCode::conflict);
  config.id = foreign;
  EXPECT_EQ(hypervisor->configure(config).error().code, ErrorCode::conflict);
  EXPECT_NE(virsh({"list", "--all", "--name"}).find("theirs"), std::string::npos);
  virsh({"undefine", "theirs"});
}

TEST_F(LibvirtTest, ConsoleCarriesBytesBothWays) {
  configure_and_start();
  ASSERT_TRUE(booted());
  auto first = console();
  ASSERT_TRUE(first);
  ASSERT_TRUE(first->write("xyz"));
  EXPECT_TRUE(hears(*first, "xyz"));

  const auto second = hypervisor->open_console(id, false);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::conflict) << second.error().describe();
  auto taken = hypervisor->open_console(id, true);
  ASSERT_TRUE(taken) << taken.error().describe();
  EXPECT_FALSE(hears(*first, "never said")) << "who was there before sees the end";
  ASSERT_TRUE((*taken)->write("q"));
  EXPECT_TRUE(hears(**taken, "q"));

  auto ended = std::async(std::launch::async, [&] { return hears(**taken, "never said"); });
  ASSERT_TRUE(hypervisor->power_off(id));
  EXPECT_FALSE(ended.get()) << "the stream ends with the guest";
}

TEST_F(LibvirtTest, ScreenSpeaksRfb) {
  configure_and_start();
  const auto screen = hypervisor->open_vnc(id);
  ASSERT_TRUE(screen) << screen.error().describe();
  std::string hello;
  while (hello.size() < 12) {
    pollfd ready{screen->get(), POLLIN, 0};
    ASSERT_EQ(::poll(&ready, 1, 30'000), 1);
    char buffer[12];
    const auto got = ::read(screen->get(), buffer, sizeof(buffer) - hello.size());
    ASSERT_GT(got, 0);
    hello.append(buffer, static_cast<std::size_t>(got));
  }
  EXPECT_EQ(hello, "RFB 003.008\n");
}

TEST_F(LibvirtTest, LibvirtdKilledGuestsRunOnAndAreFoundAgain) {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<GuestEvent> events;
  hypervisor->on_event([&](const GuestEvent& event) {
    const std::lock_guard lock(mutex);
    events.push_back(event);
    changed.notify_all();
  });
  const auto wait_for = [&](GuestEventKind kind) {
    std::unique_lock lock(mutex);
    const bool came = changed.wait_for(lock, kDeadline, [&] {
      return std::any_of(events.begin(), events.end(), [&](const auto& e) { return e.id == id && e.kind == kind; });
    });
    events.clear();
    return came;
  };
  configure_and_start();
  EXPECT_TRUE(wait_for(GuestEventKind::state_changed));
  ASSERT_TRUE(booted());

  libvirtd->kill_hard();
  const auto away = hypervisor->get(id);
  ASSERT_FALSE(away);
  EXPECT_EQ(away.error().code, ErrorCode::unavailable) << away.error().describe();
  EXPECT_NE(away.error().hint.find("start libvirtd"), std::string::npos);
  const auto again = libvirtd->run_again();
  ASSERT_TRUE(again) << again.error().describe();
  EXPECT_TRUE(wait_for(GuestEventKind::state_changed)) << "announced after the reconnect";
  EXPECT_EQ(state(), GuestState::running);
  auto stream = console();
  ASSERT_TRUE(stream);
  ASSERT_TRUE(stream->write("still here"));
  EXPECT_TRUE(hears(*stream, "still here"));
  stream.reset();

  // Once more without anyone noticing the time between: the call mends the connection itself.
  libvirtd->kill_hard();
  ASSERT_TRUE(libvirtd->run_again());
  EXPECT_EQ(state(), GuestState::running);
  ASSERT_TRUE(hypervisor->remove(id));
  EXPECT_TRUE(wait_for(GuestEventKind::removed));
}

TEST_F(LibvirtTest, NatNetworkComesAndGoes) {
  model::Network network;
  network.id = make_id<model::NetworkId>(random);
  network.name = "default";
  network.subnet = "192.168.133.0/24";
  const auto ensured = hypervisor->ensure_network(network);
  ASSERT_TRUE(ensured) << ensured.error().describe();
  ASSERT_TRUE(hypervisor->ensure_network(network));
  const auto name = nat_network_name(network.id);
  EXPECT_NE(virsh({"net-list", "--name", "--autostart"}).find(name), std::string::npos);
  config.nics = {{.name = "nic0", .mac = "52:b4:9d:00:00:07", .network = network.id.str()}};
  configure_and_start();
  EXPECT_NE(virsh({"dumpxml", "bh-" + id.str()}).find(name), std::string::npos);
  auto agent = GuestAgent::answers;
  const auto addresses = hypervisor->addresses(id, agent);
  ASSERT_TRUE(addresses);
  EXPECT_TRUE(addresses->empty());
  EXPECT_EQ(agent, GuestAgent::away);
  EXPECT_FALSE(configure().restart_required);

  model::Network clash = network;
  clash.id = make_id<model::NetworkId>(random);
  clash.name = "clash";
  const auto refused = hypervisor->ensure_network(clash);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::failed_precondition) << refused.error().describe();
  EXPECT_EQ(virsh({"net-list", "--all", "--name"}).find(nat_network_name(clash.id)), std::string::npos)
      << "nothing is left";

  ASSERT_TRUE(hypervisor->power_off(id));
  ASSERT_TRUE(hypervisor->remove_network(network.id));
  ASSERT_TRUE(hypervisor->remove_network(network.id));
  EXPECT_EQ(virsh({"net-list", "--all", "--name"}).find(name), std::string::npos);
}

TEST_F(LibvirtTest, BadDiskIsAnErrorAndNothingRuns) {
  config.disks[0].path = directory / "missing.qcow2";
  configure();
  const auto started = hypervisor->start(id);
  ASSERT_FALSE(started);
  EXPECT_NE(started.error().message.find("missing.qcow2"), std::string::npos) << started.error().message;
  EXPECT_EQ(state(), GuestState::stopped);
}

TEST_F(LibvirtTest, GuestsInParallel) {
  std::vector<GuestConfig> configs;
  for (int i = 0; i < 4; ++i) {
    auto other = config;
    other.id = make_id<model::VmId>(random);
    other.disks = {overlay(fmt::format("parallel{}", i))};
    other.console_log = directory / fmt::format("console{}.log", i);
    made.insert(other.id);
    configs.push_back(other);
  }
  std::vector<std::future<bool>> results;
  for (const auto& one : configs) {
    results.push_back(std::async(std::launch::async, [&] {
      return hypervisor->configure(one).has_value() && hypervisor->start(one.id).has_value() &&
             hypervisor->get(one.id)->state == GuestState::running && hypervisor->remove(one.id).has_value();
    }));
  }
  for (auto& result : results) EXPECT_TRUE(result.get());
}

}  // namespace
}  // namespace bridgehead::hypervisor

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  return bridgehead::hypervisor::testing::run_in_private_namespaces([] {
    auto started = bridgehead::hypervisor::testing::PrivateLibvirtd::start();
    if (!started) {
      std::fprintf(stderr, "%s\n", started.error().describe().c_str());
      return 1;
    }
    bridgehead::hypervisor::libvirtd = &*started;
    return RUN_ALL_TESTS();
  });
}
