#include "host_agent/facts/host_facts.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "host_agent/facts/host_load.h"
#include "host_agent/facts/network_facts.h"
#include "host_agent/facts/node_facts.h"
#include "hypervisor/testing/fake_hypervisor.h"

namespace bridgehead::host_agent {
namespace {

using Look = FactsCollector::Look;

namespace fs = std::filesystem;

class Facts : public ::testing::Test {
 protected:
  void write(const fs::path& name, std::string_view text) {
    ASSERT_TRUE(make_directories((root() / name).parent_path()));
    ASSERT_TRUE(write_file_atomic(root() / name, text, 0644));
  }
  void link(const fs::path& name, const fs::path& target) {
    ASSERT_TRUE(make_directories((root() / name).parent_path()));
    fs::create_symlink(target, root() / name);
  }
  const fs::path& root() const { return directory_.path(); }

  TemporaryDirectory directory_ = std::move(*TemporaryDirectory::create());
};

TEST_F(Facts, AHostIsReadFromItsFiles) {
  write("proc/sys/kernel/hostname", "rack1-7\n");
  write("proc/sys/kernel/osrelease", "6.1.0-18-amd64\n");
  write("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
  write("sys/class/dmi/id/sys_vendor", "Dell Inc.\n");
  write("sys/class/dmi/id/product_name", "PowerEdge R640 \n");
  write("etc/os-release", "NAME=\"Debian GNU/Linux\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\n");
  write("proc/meminfo", "MemTotal:       16303464 kB\nMemFree:         1000000 kB\nMemAvailable:    9999999 kB\n");
  write("proc/cpuinfo",
        "processor\t: 0\nmodel name\t: AMD EPYC 7302\nflags\t\t: svm fpu vme\n\n"
        "processor\t: 1\nmodel name\t: AMD EPYC 7302\nflags\t\t: svm fpu vme\n");
  write("sys/devices/system/cpu/online", "0-3\n");
  write("sys/devices/system/node/node1/cpulist", "2-3\n");
  write("sys/devices/system/node/node1/meminfo", "Node 1 MemTotal:        8000000 kB\nNode 1 MemFree: 1 kB\n");
  write("sys/devices/system/node/node0/cpulist", "0,1\n");
  write("sys/devices/system/node/node0/meminfo", "Node 0 MemTotal:        8303464 kB\n");
  write("sys/devices/system/node/possible", "0-1\n");

  const auto facts = read_host_facts(root());
  EXPECT_EQ(facts.hostname, "rack1-7");
  EXPECT_EQ(facts.kernel, "6.1.0-18-amd64");
  EXPECT_EQ(facts.machine_id, "0123456789abcdef0123456789abcdef");
  EXPECT_EQ(facts.machine, "Dell Inc. PowerEdge R640");
  EXPECT_EQ(facts.os, "Debian GNU/Linux 12 (bookworm)");
  EXPECT_EQ(facts.memory, Bytes(16303464ULL << 10));
  EXPECT_EQ(facts.cpu_model, "AMD EPYC 7302");
  EXPECT_EQ(facts.cpu_flags, (std::vector<std::string>{"fpu", "svm", "vme"}));
  EXPECT_EQ(facts.cpus, 4U);
  ASSERT_EQ(facts.numa.size(), 2U);
  EXPECT_EQ(facts.numa[0].id, 0U);
  EXPECT_EQ(facts.numa[0].cpus, (std::vector<std::uint32_t>{0, 1}));
  EXPECT_EQ(facts.numa[1].memory, Bytes(8000000ULL << 10));
}

TEST_F(Facts, AnEmptyTreeGivesDefaultsAndNoFailure) {
  EXPECT_EQ(read_host_facts(root()), model::NodeFacts{});
  EXPECT_EQ(read_host_load(root()), model::NodeLoad{});
  EXPECT_EQ(read_boot_id(root()), "");
}

TEST(CpuList, IsParsedAndMalformedPartsAreLeftOut) {
  EXPECT_EQ(parse_cpu_list("0-3,8"), (std::vector<std::uint32_t>{0, 1, 2, 3, 8}));
  EXPECT_EQ(parse_cpu_list(" 5 , 4 "), (std::vector<std::uint32_t>{4, 5}));
  EXPECT_TRUE(parse_cpu_list("").empty());
  EXPECT_EQ(parse_cpu_list("x,1-,-2,3-2,0-4294967295,7"), (std::vector<std::uint32_t>{7}));
}

TEST_F(Facts, InterfacesHaveTheirKindBridgeAndSpeed) {
  const fs::path net = "sys/class/net";
  const auto interface = [&](const std::string& name, const std::string& type, const std::string& state) {
    write(net / name / "address", "52:54:00:00:00:0" + std::to_string(name.size()) + "\n");
    write(net / name / "type", type + "\n");
    write(net / name / "operstate", state + "\n");
    write(net / name / "flags", "0x1003\n");
  };
  interface("eth0", "1", "up");
  write(net / "eth0/speed", "10000\n");
  link(net / "eth0/device", "../../../0000:01:00.0");
  write("sys/0000:01:00.0", "");  // what the link leads to
  link(net / "eth0/brport/bridge", "../../br0");
  interface("br0", "1", "up");
  write(net / "br0/bridge/stp_state", "0\n");
  write(net / "br0/speed", "-1\n");
  interface("bond0", "1", "down");
  write(net / "bond0/bonding/mode", "802.3ad 4\n");
  interface("eth0.7", "1", "up");
  write(net / "eth0.7/uevent", "DEVTYPE=vlan\nINTERFACE=eth0.7\n");
  interface("tap3", "1", "unknown");
  write(net / "tap3/tun_flags", "0x1002\n");
  interface("lo", "772", "unknown");
  interface("veth1", "1", "up");
  interface("vnet0", "1", "unknown");
  write(net / "bonding_masters", "bond0\n");

  const auto interfaces = read_interfaces(root(), {{"eth0", "192.0.2.7/24"}, {"eth0", "2001:db8::7/64"}});
  std::map<std::string, model::NetworkInterface> by_name;
  for (const auto& each : interfaces) by_name[each.name] = each;
  EXPECT_EQ(by_name.size(), 7U);
  EXPECT_FALSE(by_name.contains("vnet0"));  // a guest's, not the machine's
  EXPECT_EQ(by_name["eth0"].kind, "ethernet");
  EXPECT_EQ(by_name["eth0"].bridge, "br0");
  EXPECT_EQ(by_name["eth0"].speed_mbit, 10000U);
  EXPECT_TRUE(by_name["eth0"].up);
  EXPECT_EQ(by_name["eth0"].addresses, (std::vector<std::string>{"192.0.2.7/24", "2001:db8::7/64"}));
  EXPECT_EQ(by_name["br0"].kind, "bridge");
  EXPECT_EQ(by_name["br0"].speed_mbit, 0U);
  EXPECT_EQ(by_name["bond0"].kind, "bond");
  EXPECT_FALSE(by_name["bond0"].up);
  EXPECT_EQ(by_name["eth0.7"].kind, "vlan");
  EXPECT_EQ(by_name["tap3"].kind, "tap");
  EXPECT_TRUE(by_name["tap3"].up);
  EXPECT_EQ(by_name["lo"].kind, "loopback");
  EXPECT_EQ(by_name["veth1"].kind, "other");
}

TEST_F(Facts, LoadAndPressure) {
  write("proc/loadavg", "1.25 0.50 0.10 2/345 6789\n");
  write("proc/meminfo", "MemTotal:       100 kB\nMemAvailable:    2097152 kB\n");
  write("proc/pressure/cpu",
        "some avg10=3.50 avg60=1.00 avg300=0.10 total=1\nfull avg10=0.00 avg60=0 avg300=0 total=0\n");
  write("proc/pressure/io", "some avg10=12.00 avg60=1.00 avg300=0.10 total=1\n");
  write("proc/uptime", "5432.10 9999.00\n");
  const auto load = read_host_load(root());
  EXPECT_DOUBLE_EQ(load.load1, 1.25);
  EXPECT_EQ(load.memory_available, 2_GiB);
  EXPECT_DOUBLE_EQ(load.pressure.cpu, 3.5);
  EXPECT_DOUBLE_EQ(load.pressure.memory, 0);  // no such file
  EXPECT_DOUBLE_EQ(load.pressure.io, 12);
  EXPECT_EQ(load.uptime_seconds, 5432U);
}

TEST(SystemFacts, ThisMachineIsNotEmpty) {
  const auto facts = read_host_facts("/");
  EXPECT_FALSE(facts.hostname.empty());
  EXPECT_GT(facts.cpus, 0U);
  EXPECT_GT(facts.memory, 1_MiB);
  EXPECT_GT(read_host_load("/").memory_available, 1_MiB);
}

TEST_F(Facts, KvmIsTriedOncePerBootAndKept) {
  write("proc/sys/kernel/random/boot_id", "boot-1\n");
  hypervisor::testing::FakeHypervisor hypervisor;
  int trials = 0;
  const auto trial = [&] {
    ++trials;
    return hypervisor::KvmTrialResult{model::Virtualization::tcg, "no /dev/kvm"};
  };
  const FactsCollector::Options options{.root = root(), .state_dir = root(), .agent_version = "1.2.3"};
  const KvmTrials kvm{.run = [] { return Status(fail(ErrorCode::not_found, "no /dev/kvm")); }, .with_qemu = trial};
  {
    FactsCollector collector(hypervisor, kvm, options);
    const auto [facts, all] = collector.collect(Look::first);
    EXPECT_TRUE(all) << "what doesn't run on KVM is for QEMU to tell";
    EXPECT_EQ(facts.virtualization, model::Virtualization::tcg);
    EXPECT_EQ(facts.virtualization_message, "no /dev/kvm");
    EXPECT_EQ(facts.libvirt_version, "9.0.0");
    EXPECT_EQ(facts.hypervisor_message, "");
    EXPECT_EQ(facts.agent_version, "1.2.3");
    EXPECT_EQ(collector.collect(Look::whole).facts.virtualization, model::Virtualization::tcg);
  }
  EXPECT_EQ(FactsCollector(hypervisor, kvm, options).collect(Look::whole).facts.virtualization_message, "no /dev/kvm");
  EXPECT_EQ(trials, 1);  // the second agent took it from the file
  write("proc/sys/kernel/random/boot_id", "boot-2\n");
  FactsCollector(hypervisor, kvm, options).collect(Look::whole);
  EXPECT_EQ(trials, 2);
  write("dev/kvm", "");  // the module was loaded: worth another try
  FactsCollector(hypervisor, kvm, options).collect(Look::whole);
  EXPECT_EQ(trials, 3);
}

TEST_F(Facts, WithoutAHypervisorTheReasonIsReported) {
  hypervisor::testing::FakeHypervisor hypervisor;
  hypervisor.set_unavailable(Error{ErrorCode::unavailable, "libvirtd does not answer", "Install libvirt-daemon."});
  FactsCollector collector(hypervisor,
                           {.run = [] { return Status(); }, .with_qemu = [] { return hypervisor::KvmTrialResult{}; }},
                           {.root = root(), .state_dir = root()});
  for (const auto look : {Look::first, Look::whole}) {
    const auto facts = collector.collect(look).facts;
    EXPECT_EQ(facts.hypervisor_message, "libvirtd does not answer. Install libvirt-daemon.");
    EXPECT_EQ(facts.libvirt_version, "");
  }
}

TEST_F(Facts, TheFirstLookDoesWithoutQemuWhereKvmRuns) {
  write("proc/sys/kernel/random/boot_id", "boot-1\n");
  hypervisor::testing::FakeHypervisor hypervisor;
  int trials = 0;
  const KvmTrials kvm{.run = [] { return Status(); },
                      .with_qemu =
                          [&] {
                            ++trials;
                            return hypervisor::KvmTrialResult{model::Virtualization::tcg, "no such CPU"};
                          }};
  const FactsCollector::Options options{.root = root(), .state_dir = root()};
  FactsCollector collector(hypervisor, kvm, options);
  const auto [facts, all] = collector.collect(Look::first);
  EXPECT_FALSE(all);
  EXPECT_EQ(facts.virtualization, model::Virtualization::kvm);
  EXPECT_EQ(facts.hypervisor_message, "");
  EXPECT_EQ(facts.hypervisor_version, "");
  EXPECT_EQ(trials, 0);
  const auto whole = collector.collect(Look::whole);
  EXPECT_TRUE(whole.all);
  EXPECT_EQ(whole.facts.virtualization, model::Virtualization::tcg) << "what QEMU says counts";
  EXPECT_NE(whole.facts.hypervisor_version, "");
  EXPECT_EQ(collector.collect(Look::first).facts, whole.facts);
  EXPECT_EQ(FactsCollector(hypervisor, kvm, options).collect(Look::first).facts, whole.facts)
      << "after a restart of the agent";
  EXPECT_EQ(trials, 1);
}

}  // namespace
}  // namespace bridgehead::host_agent
