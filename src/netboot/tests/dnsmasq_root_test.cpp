// dnsmasq for real, in a network namespace of its own, asked by a DHCP client of the test's.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <mutex>

#include "base/file.h"
#include "base/supervisor.h"
#include "netboot/dhcp_probe.h"
#include "netboot/dnsmasq.h"
#include "netboot/tests/dhcp_client.h"
#include "netboot/tests/segment.h"

namespace bridgehead::netboot {
namespace {

class DnsmasqRootTest : public ::testing::Test {
 protected:
  DnsmasqRootTest() {
    ::chmod(temporary.path().c_str(), 0755);
    plan.mode = model::NetbootMode::full;
    plan.interface = "prov0";
    plan.address = "10.20.0.1/22";
    plan.range_first = "10.20.1.0";
    plan.range_last = "10.20.3.250";
    plan.tftp_root = temporary.path() / "tftp";
    plan.directory = temporary.path() / "dnsmasq";
  }

  void start() {
    const auto change = install();
    ASSERT_EQ(change, DnsmasqChange::restart);
    auto service = dnsmasq_service(plan);
    service.restart_first = std::chrono::milliseconds(50);
    service.on_line = [this](std::string_view line) {
      const std::lock_guard lock(mutex);
      lines += std::string(line) + "\n";
      if (auto sighting = reader.read(line)) sightings.push_back(*sighting);
    };
    const auto started = supervisor.start(service);
    ASSERT_TRUE(started) << started.error().describe();
  }
  DnsmasqChange install() {
    SystemCommandRunner runner;
    const auto change = install_dnsmasq(plan, reservations, runner);
    EXPECT_TRUE(change) << change.error().describe();
    return change.value_or(DnsmasqChange::none);
  }
  std::optional<Lease> lease_of(const Firmware& firmware,
                                std::chrono::milliseconds patience = std::chrono::seconds(30)) {
    std::optional<Lease> lease;
    segment.as_client([&] { lease = get_lease(firmware, patience); });
    return lease;
  }
  bool saw(SightingKind kind, const std::string& mac, const std::string& address,
           std::optional<Asker> asker = std::nullopt) {
    const std::lock_guard lock(mutex);
    return std::any_of(sightings.begin(), sightings.end(), [&](const Sighting& one) {
      return one.kind == kind && one.mac == mac && one.address == address && one.asker == asker.value_or(one.asker);
    });
  }
  std::string log() {
    const std::lock_guard lock(mutex);
    return lines;
  }

  TemporaryDirectory temporary = *TemporaryDirectory::create();
  Segment segment{"10.20.0.1/22"};
  SystemClock clock;
  std::mutex mutex;
  std::string lines;
  SightingReader reader;
  std::vector<Sighting> sightings;
  DnsmasqPlan plan;
  std::vector<Reservation> reservations;
  Supervisor supervisor{clock};
};

TEST_F(DnsmasqRootTest, AnswersByArchitectureAndMethod) {
  reservations = {{"52:54:00:00:00:01", "10.20.0.101", "rack1-1", model::BootMethod::ipxe},
                  {"52:54:00:00:00:02", "10.20.0.102", "rack1-2", model::BootMethod::pxelinux},
                  {"52:54:00:00:00:03", "10.20.0.103", "rack1-3", model::BootMethod::shim}};
  start();
  const auto first = lease_of({"52:54:00:00:00:01", 0});
  ASSERT_TRUE(first) << log();
  EXPECT_EQ(first->address, "10.20.0.101");
  EXPECT_EQ(first->hostname, "rack1-1");
  EXPECT_EQ(first->file, "undionly.kpxe");
  EXPECT_EQ(first->next_server, "10.20.0.1");
  EXPECT_EQ(first->ack.address_option(1), 0xfffffc00u);
  EXPECT_EQ(first->ack.address_option(3), 0x0a140001u);
  EXPECT_FALSE(first->ack.options.contains(6)) << "we answer no DNS";
  const auto file_for = [&](const Firmware& firmware) {
    const auto lease = lease_of(firmware);
    return lease ? lease->file : "nothing: " + log();
  };
  EXPECT_EQ(file_for({"52:54:00:00:00:01", 7}), "snponly.efi");
  EXPECT_EQ(file_for({"52:54:00:00:00:01", 9}), "snponly.efi");
  EXPECT_EQ(file_for({"52:54:00:00:00:01", 0, true}), "bridgehead.ipxe");
  EXPECT_EQ(file_for({"52:54:00:00:00:01", 7, true}), "bridgehead.ipxe");
  EXPECT_EQ(file_for({"52:54:00:00:00:02", 0}), "pxelinux.0");
  EXPECT_EQ(file_for({"52:54:00:00:00:02", 0, true}), "pxelinux.0") << "an iPXE ROM loads it too";
  EXPECT_EQ(file_for({"52:54:00:00:00:02", 7}), "snponly.efi") << "pxelinux is for BIOS";
  EXPECT_EQ(file_for({"52:54:00:00:00:02", 7, true}), "bridgehead.ipxe");
  EXPECT_EQ(file_for({"52:54:00:00:00:03", 7}), "shimx64.efi");
  EXPECT_EQ(file_for({"52:54:00:00:00:03", 0}), "undionly.kpxe") << "shim is for UEFI";
  EXPECT_EQ(file_for({"52:54:00:00:00:03", 0, true}), "bridgehead.ipxe");
  EXPECT_EQ(file_for({"52:54:00:00:00:03", 16}), "") << "GRUB can't go on by HTTP";
  const auto http = lease_of({"52:54:00:00:00:01", 16});
  ASSERT_TRUE(http);
  EXPECT_EQ(http->file, "http://10.20.0.1:7480/boot/first/ipxe.efi");
  EXPECT_EQ(http->vendor_class, "HTTPClient");
  const auto ipxe = lease_of({"52:54:00:00:00:01", 7, true});
  ASSERT_TRUE(ipxe && ipxe->ack.options.contains(175));
  EXPECT_TRUE(ipxe->ack.options.at(175).starts_with("\xb0\x01\x01")) << "no-pxedhcp";
  const auto unknown = lease_of({"52:54:00:00:00:99", 0});
  ASSERT_TRUE(unknown);
  EXPECT_TRUE(unknown->address.starts_with("10.20.1.") || unknown->address.starts_with("10.20.2.") ||
              unknown->address.starts_with("10.20.3."))
      << unknown->address;
  // The last that was asked for, so all before it is read.
  EXPECT_TRUE(eventually([&] { return saw(SightingKind::ack, "52:54:00:00:00:99", unknown->address); })) << log();
  EXPECT_TRUE(saw(SightingKind::discover, "52:54:00:00:00:99", "")) << log();
  EXPECT_TRUE(saw(SightingKind::ack, "52:54:00:00:00:01", "10.20.0.101", Asker::firmware)) << log();
  EXPECT_TRUE(saw(SightingKind::ack, "52:54:00:00:00:01", "10.20.0.101", Asker::loader)) << log();
  EXPECT_FALSE(saw(SightingKind::ack, "52:54:00:00:00:01", "10.20.0.101", Asker::other)) << log();
}

TEST_F(DnsmasqRootTest, ReloadKeepsLeasesAndSoDoesDeath) {
  start();
  const auto before = lease_of({"52:54:00:00:00:10", 0});
  ASSERT_TRUE(before) << log();
  // The next machine must get another address and a name, without dnsmasq being restarted.
  reservations = {{"52:54:00:00:00:11", "10.20.0.111", "rack1-11", model::BootMethod::pxelinux}};
  EXPECT_EQ(install(), DnsmasqChange::reload);
  EXPECT_EQ(install(), DnsmasqChange::none);
  const int pid = supervisor.status("dnsmasq")->pid;
  ASSERT_TRUE(supervisor.signal("dnsmasq", SIGHUP));
  ASSERT_TRUE(eventually([&] {
    const auto lease = lease_of({"52:54:00:00:00:11", 0});
    return lease && lease->address == "10.20.0.111" && lease->file == "pxelinux.0";
  })) << log();
  EXPECT_EQ(lease_of({"52:54:00:00:00:10", 0})->address, before->address);
  EXPECT_EQ(supervisor.status("dnsmasq")->pid, pid);

  ::kill(pid, SIGKILL);
  ASSERT_TRUE(eventually([&] {
    const auto status = supervisor.status("dnsmasq");
    return status->state == ServiceState::running && status->restarts == 1;
  }));
  ASSERT_TRUE(eventually([&] { return lease_of({"52:54:00:00:00:10", 0}).has_value(); })) << log();
  EXPECT_EQ(lease_of({"52:54:00:00:00:10", 0})->address, before->address);
  const auto leases = read_file(plan.leases_file());
  ASSERT_TRUE(leases);
  EXPECT_NE(leases->find("52:54:00:00:00:10 " + before->address), std::string::npos) << *leases;
}

TEST_F(DnsmasqRootTest, ServesFilesByTftp) {
  ASSERT_TRUE(make_directories(plan.tftp_root));
  ASSERT_TRUE(write_file_atomic(plan.tftp_root / "first", std::string(100'000, 'x'), 0644));
  ASSERT_TRUE(write_file_atomic(temporary.path() / "secret", "secret", 0644));
  start();
  std::optional<std::string> file, outside;
  segment.as_client([&] {
    segment.run("ip", {"address", "add", "10.20.0.200/22", "dev", "cl0"});
    eventually([&] { return (file = get_by_tftp("10.20.0.1", "first")).has_value(); });
    outside = get_by_tftp("10.20.0.1", "../secret");
  });
  ASSERT_TRUE(file) << log();
  EXPECT_EQ(file->size(), 100'000u);
  EXPECT_FALSE(outside);
  EXPECT_TRUE(eventually([&] { return saw(SightingKind::tftp_sent, "", "10.20.0.200"); })) << log();
}

TEST_F(DnsmasqRootTest, WhatDnsmasqRefusesChangesNothing) {
  start();
  const auto before = read_file(plan.config_file());
  auto changed = plan;
  changed.range_last = "10.99.0.1";
  SystemCommandRunner runner;
  EXPECT_FALSE(install_dnsmasq(changed, reservations, runner));
  EXPECT_EQ(*read_file(plan.config_file()), *before);
  ::chmod(temporary.path().c_str(), 0700);
  changed = plan;
  changed.lease = std::chrono::hours(1);
  const auto unreachable = install_dnsmasq(changed, reservations, runner);
  ASSERT_FALSE(unreachable);
  EXPECT_NE(unreachable.error().hint.find("chmod o+x"), std::string::npos);
  EXPECT_EQ(*read_file(plan.config_file()), *before);
}

TEST_F(DnsmasqRootTest, AdvertisesRoutersOnlyWithAnAddress) {
  SystemCommandRunner runner;
  for (int i = 0; i < 2; ++i) {
    const auto added = runner.run(advertised_address_command(plan));
    ASSERT_TRUE(added) << added.error().describe();
  }
  start();
  EXPECT_TRUE(eventually([&] { return log().find("router advertisement on fd77::") != std::string::npos; })) << log();
}

TEST_F(DnsmasqRootTest, AProxyGivesNoAddress) {
  plan.mode = model::NetbootMode::proxy;
  start();
  std::vector<FoundDhcpServer> found;
  const auto probe = [&] {
    segment.as_client([&] {
      found = find_dhcp_servers({.interface = "cl0", .wait = std::chrono::milliseconds(1500)}).value_or(found);
    });
    return found.size() == 1;
  };
  ASSERT_TRUE(eventually(probe)) << log();
  EXPECT_FALSE(lease_of({"52:54:00:00:00:10", 0}, std::chrono::seconds(2)));
  EXPECT_EQ(found[0].address, "10.20.0.1");
  EXPECT_EQ(found[0].offered, "");
}

TEST_F(DnsmasqRootTest, TheProbeFindsAForeignServer) {
  std::vector<FoundDhcpServer> found;
  const auto probe = [&](std::vector<std::string> own) {
    segment.as_client([&] {
      const auto result = find_dhcp_servers(
          {.interface = "cl0", .own_addresses = std::move(own), .wait = std::chrono::milliseconds(1500)});
      ASSERT_TRUE(result) << result.error().describe();
      found = *result;
    });
  };
  probe({});
  EXPECT_TRUE(found.empty()) << "nobody is there";
  start();
  ASSERT_TRUE(lease_of({"52:54:00:00:00:10", 0})) << log();
  ASSERT_TRUE(eventually([&] {
    probe({});
    return found.size() == 1;
  })) << log();
  EXPECT_EQ(found[0].address, "10.20.0.1");
  EXPECT_EQ(found[0].mac.size(), 17u);
  EXPECT_TRUE(found[0].offered.starts_with("10.20.")) << found[0].offered;
  probe({"10.20.0.1"});
  EXPECT_TRUE(found.empty()) << "ours is left out";
  EXPECT_EQ(find_dhcp_servers({.interface = "no-such"}).error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace bridgehead::netboot
