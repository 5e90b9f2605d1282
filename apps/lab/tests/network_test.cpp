#include "lab/network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "lab/host.h"
#include "lab/lab_manager.h"
#include "lab/member.h"
#include "lab/report.h"
#include "lab/storage.h"
#include "lab/storage_start.h"
#include "lab/subnet.h"

namespace bridgehead::lab {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

Subnet subnet(std::string_view text) { return Subnet::parse(text).value_or(Subnet{}); }

std::vector<std::string> lines(const std::vector<Command>& commands) {
  std::vector<std::string> result;
  for (const auto& command : commands) result.push_back(command.describe());
  return result;
}

TEST(Subnet, IsReadAndWritten) {
  EXPECT_EQ(subnet("10.77.0.0/24").text(), "10.77.0.0/24");
  EXPECT_EQ(subnet("10.0.0.1").text(), "10.0.0.1/32");
  for (const auto* text :
       {"", "10.77.0.0/33", "10.77.0.1/24", "10.77.0/24", "fd77::/64", "10.77.0.0/", "10.77.0.0/2x"}) {
    EXPECT_FALSE(Subnet::parse(text)) << text;
  }
  EXPECT_FALSE(parse_lab_subnet("10.77.0.0/28"));
  EXPECT_FALSE(parse_lab_subnet("10.0.0.0/8"));
  EXPECT_TRUE(parse_lab_subnet("10.77.0.0/27"));
}

TEST(Subnet, AddressesHaveTheirUses) {
  const AddressPlan plan{subnet("10.77.4.0/22")};
  EXPECT_EQ(plan.manager(), "10.77.4.1");
  EXPECT_EQ(plan.range_first(), "10.77.4.10");
  EXPECT_EQ(plan.range_last(), "10.77.7.251");
  EXPECT_EQ(plan.uplink(), "10.77.7.253");
  EXPECT_EQ(plan.host(), "10.77.7.254");
}

TEST(Subnet, RoutesOfTheHostAreInTheWay) {
  const auto routes = parse_routes(R"([{"dst":"default","gateway":"192.0.2.1","dev":"eth0"},
    {"dst":"10.77.0.0/16","dev":"vpn0"},{"dst":"172.31.70.9","dev":"eth1"},{"type":"local","dst":"127.0.0.0/8","dev":"lo"}])");
  ASSERT_TRUE(routes);
  EXPECT_EQ(routes->size(), 3U);
  const auto clash = choose_subnet("10.77.3.0/24", *routes);
  ASSERT_FALSE(clash);
  EXPECT_EQ(clash.error().code, ErrorCode::conflict);
  EXPECT_THAT(clash.error().message, HasSubstr("10.77.0.0/16 (vpn0)"));
  EXPECT_FALSE(choose_subnet("172.31.70.0/24", *routes));
  EXPECT_FALSE(choose_subnet("127.0.0.0/24", *routes));
  EXPECT_EQ(choose_subnet("10.78.0.0/24", *routes)->text(), "10.78.0.0/24");
  EXPECT_EQ(choose_subnet("", *routes)->text(), "172.31.71.0/24");
  EXPECT_EQ(choose_subnet("", {})->text(), "10.77.0.0/24");
  EXPECT_FALSE(choose_subnet("", {{subnet("0.0.0.0/1"), "a"}, {subnet("128.0.0.0/1"), "b"}}));
  EXPECT_FALSE(parse_routes("Error: no such table"));
}

TEST(Network, IsMadeInsideItsNamespace) {
  const Places places("/l", "lab1");
  const AddressPlan plan{subnet("10.77.0.0/24")};
  const auto made = lines(make_network(places, plan));
  EXPECT_EQ(made.front(), "ip netns add bh-lab1");
  for (std::size_t i = 1; i < made.size(); ++i) EXPECT_THAT(made[i], HasSubstr("ip -n bh-lab1 ")) << made[i];
  EXPECT_THAT(made, Contains("ip -n bh-lab1 address add 10.77.0.1/24 broadcast + dev prov0"));
  EXPECT_THAT(made, Contains(HasSubstr("link set port0 type bridge_slave flood off")));
  Machine machine{.taps = {"tap-m1", "tap2-m1"}};
  EXPECT_EQ(make_taps(places, machine).size(), 4U);
  EXPECT_THAT(lines(make_taps(places, machine)),
              Contains("ip -n bh-lab1 link set tap2-m1 addrgenmode none master prov0 up"));
}

TEST(Network, UpstreamIsRoutedAndOnlyAsFarAsAsked) {
  const Places places("/l", "lab-a");
  const AddressPlan plan{subnet("10.77.0.0/24")};
  EXPECT_TRUE(make_upstream(places, plan, Upstream::none).empty());
  EXPECT_TRUE(namespace_settings(Upstream::none).empty());
  const auto host = lines(make_upstream(places, plan, Upstream::host));
  EXPECT_THAT(host, Contains("ip route add 10.77.0.0/24 via 10.77.0.253 dev bhl-lab-a"));
  EXPECT_THAT(host, Not(Contains(HasSubstr("nft"))));
  const auto nat = make_upstream(places, plan, Upstream::nat);
  EXPECT_EQ(nat.back().program, "nft");
  EXPECT_THAT(*nat.back().input, HasSubstr("table ip bridgehead_lab_lab_a"));
  EXPECT_THAT(*nat.back().input, HasSubstr("ip saddr 10.77.0.0/24 ip daddr != 10.77.0.0/24 masquerade"));
  EXPECT_EQ(lines(remove_network(places, Upstream::nat)),
            (std::vector<std::string>{"nft delete table ip bridgehead_lab_lab_a", "ip link delete bhl-lab-a",
                                      "ip netns delete bh-lab-a"}));
}

TEST(Members, HostsHaveABridgeAndServersDoNot) {
  const Places places("/l", "lab1");
  const AddressPlan plan{subnet("10.77.0.0/24"), 2};
  const Member member{.name = "host1", .address = plan.member(0)};
  const auto host = lines(make_member(places, plan, member, MemberKind::host, 200, "52:54:00:00:00:02"));
  EXPECT_EQ(host.front(), "ip netns add bh-lab1.host1");
  EXPECT_THAT(host, Contains("ip -n bh-lab1 link add to-host1 type veth peer name eth0 netns bh-lab1.host1"));
  EXPECT_THAT(host, Contains("ip -n bh-lab1.host1 link set eth0 master br0 up"));
  EXPECT_THAT(host, Contains("ip -n bh-lab1.host1 address add 10.77.0.10/24 broadcast + dev br0"));
  // What comes in is limited at the port's other end.
  EXPECT_THAT(host, Contains(HasSubstr("tc -n bh-lab1 qdisc add dev to-host1 root tbf rate 200mbit burst 128kb")))
      << "with less the kernel cuts packets of 64 KiB";
  EXPECT_THAT(host, Contains(HasSubstr("tc -n bh-lab1.host1 qdisc add dev eth0 root tbf rate 200mbit")));
  const auto server = lines(make_member(places, plan, member, MemberKind::server, 0, ""));
  EXPECT_THAT(server, Contains(HasSubstr("address add 10.77.0.10/24 broadcast + dev eth0")));
  EXPECT_THAT(server, Not(Contains(HasSubstr("br0"))));
  EXPECT_THAT(server, Not(Contains(HasSubstr("tc "))));
}

TEST(Members, HaveAddressesThatDhcpDoesNotGive) {
  const AddressPlan plan{subnet("10.77.0.0/27"), 9};
  EXPECT_EQ(plan.member(0), "10.77.0.10");
  EXPECT_EQ(plan.member(8), "10.77.0.18");
  EXPECT_EQ(plan.range_first(), "10.77.0.19");
  EXPECT_TRUE(require_room(plan, 8));
  EXPECT_FALSE(require_room(plan, 9));
}

TEST(StorageWishes, AreKindAndNumber) {
  const auto five = parse_storage("moosefs:5");
  ASSERT_TRUE(five);
  EXPECT_EQ(server_names(*five),
            (std::vector<std::string>{"master", "chunk1", "chunk2", "chunk3", "chunk4", "chunk5"}));
  EXPECT_EQ(server_names(*parse_storage("cephfs")), (std::vector<std::string>{"monitor", "osd1", "osd2", "osd3"}));
  EXPECT_EQ(server_names(*parse_storage("nfs")), (std::vector<std::string>{"nfs"}));
  for (const auto* bad : {"", "lustre:3", "moosefs:", "moosefs:0", "moosefs:21", "moosefs:3x", "nfs:2"}) {
    EXPECT_FALSE(parse_storage(bad)) << bad;
  }
}

TEST(StorageWishes, BecomePools) {
  const auto command = [](StorageKind kind) {
    return fmt::format("{}", fmt::join(pool_command({kind, {{.name = "a", .address = "10.77.0.13"}}, ""}), " "));
  };
  EXPECT_EQ(command(StorageKind::moosefs), "pool add moosefs --driver moosefs --source 10.77.0.13");
  EXPECT_EQ(command(StorageKind::nfs), "pool add nfs --driver nfs --source 10.77.0.13:/vm");
  EXPECT_EQ(command(StorageKind::cephfs),
            "pool add cephfs --driver cephfs --source 10.77.0.13 --option config=/etc/ceph/ceph.conf");
}

TEST(Network, NamesOfInterfacesFit) {
  const std::string longest = "abcdefghij";
  ASSERT_TRUE(check_name("lab", longest));
  EXPECT_LE(Places("/l", longest).host_link().size(), 15U);
  const auto machine = make_machine("lab1", 1, {.name = longest, .nics = 4});
  ASSERT_TRUE(machine);
  for (const auto& tap : machine->taps) EXPECT_LE(tap.size(), 15U) << tap;
  for (const auto* bad : {"", "1lab", "Lab", "a/b", "..", "a-", "abcdefghijk", "a b"}) {
    EXPECT_FALSE(check_name("lab", bad)) << bad;
  }
}

TEST(Netboot, IsEnabledOnTheProvisioningBridge) {
  const AddressPlan plan{subnet("10.77.0.0/24")};
  EXPECT_EQ(netboot_commands(plan, {}),
            (std::vector<std::vector<std::string>>{
                {"netboot", "enable", "--interface", "prov0", "--range", "10.77.0.10-10.77.0.251", "--auto-approve"}}));
  EXPECT_EQ(netboot_commands(plan, {.method = model::BootMethod::shim, .root = model::RootTransport::nfs}).front(),
            (std::vector<std::string>{"profile", "set", "default", "--method", "shim", "--root", "nfs"}));
  EXPECT_EQ(netboot_commands(plan, {.image = "debian-12"}).front(),
            (std::vector<std::string>{"node-image", "build", "debian-12"}));
  EXPECT_EQ(netboot_commands(plan, {.image = "/srv/rocky9.tar"}).front(),
            (std::vector<std::string>{"node-image", "import", "/srv/rocky9.tar"}));
}

TEST(Host, MemoryIsCountedWithQemusOwn) {
  const auto available = available_memory("MemTotal: 9 kB\nMemAvailable:    4194304 kB\nBuffers: 1 kB\n");
  ASSERT_TRUE(available);
  EXPECT_EQ(*available, 4_GiB);
  EXPECT_FALSE(available_memory("MemTotal: 9 kB\n"));
  const std::vector<Machine> four(4, Machine{.memory = 1_GiB});
  const auto refused = require_memory(four, *available);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::resource_exhausted);
  EXPECT_THAT(refused.error().message, HasSubstr("4 machines need 4.6 GiB"));
  EXPECT_TRUE(require_memory(four, 5_GiB));
}

TEST(Host, MissingFirmwareNamesThePackage) {
  const auto directory = TemporaryDirectory::create();
  ASSERT_TRUE(directory);
  const auto missing = find_firmware(Firmware::uefi, directory->path());
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::not_found);
  EXPECT_THAT(missing.error().describe(), HasSubstr("package ovmf"));
  for (const auto* file : {"OVMF_CODE_4M.ms.fd", "OVMF_VARS_4M.ms.fd"}) {
    ASSERT_TRUE(write_file_atomic(directory->path() / file, "x"));
  }
  EXPECT_TRUE(find_firmware(Firmware::uefi_secure, directory->path()));
  EXPECT_FALSE(find_firmware(Firmware::uefi, directory->path()));
}

TEST(Host, SocketsNeedShortPaths) {
  EXPECT_TRUE(require_short_paths(kDefaultBase));
  EXPECT_FALSE(require_short_paths("/" + std::string(80, 'x')));
}

TEST(Report, ExportsSurviveAShell) { EXPECT_EQ(exports({{"BH_TOKEN", "a'b $c"}}), "export BH_TOKEN='a'\\''b $c'\n"); }

TEST(MooseFs, IsReadyOnceEachChunkServerHasToldItsSpace) {
  const std::vector<Member> servers{{.name = "chunk1", .address = "10.77.0.11"},
                                    {.name = "chunk2", .address = "10.77.0.12"}};
  const auto listed = [](std::string_view address, std::string_view total) {
    return fmt::format("chunk servers:\t{}\t9422\t1\t-\t3.0.117\t0\tmaintenance_off\t3\t0\t{}\t-\t0\t0\t0\n", address,
                       total);
  };
  EXPECT_FALSE(have_told_space("", servers));
  EXPECT_FALSE(have_told_space("\n", servers));
  EXPECT_FALSE(have_told_space(listed("10.77.0.11", "1000"), servers));
  EXPECT_FALSE(have_told_space(listed("10.77.0.11", "1000") + listed("10.77.0.12", "0"), servers));
  EXPECT_FALSE(have_told_space(listed("10.77.0.11", "1000") + listed("10.77.0.120", "1000"), servers));
  EXPECT_TRUE(have_told_space(listed("10.77.0.11", "1000") + listed("10.77.0.12", "1000"), servers));
}

}  // namespace
}  // namespace bridgehead::lab
