#include "command_line.h"

#include <gtest/gtest.h>

#include "boot_plan.h"
#include "root_mount.h"

namespace bridgehead::init {
namespace {

using std::chrono::seconds;

const std::string with_server = "bh.server=http://10.20.0.1:7480 ";
const std::string hex64(64, 'a');

TEST(CommandLine, ReadsEveryArgument) {
  const auto line = parse_command_line(with_server + "quiet bh.boot=" + hex64 +
                                       " bh.mac=52:54:00:12:34:56 bh.address=10.20.0.101/22 bh.gateway=10.20.0.1 "
                                       "bh.bridge=lan0 bh.vlan=100 bh.bond=802.3ad:52:54:00:12:34:56,52:54:00:12:34:57 "
                                       "bh.wait=7 bh.hostname=n1 init=/bin/sh -- bh.vlan=5");
  ASSERT_TRUE(line) << line.error().describe();
  EXPECT_EQ(line->server, "http://10.20.0.1:7480");
  EXPECT_EQ(line->boot, hex64);
  EXPECT_EQ(line->mac->text(), "52:54:00:12:34:56");
  EXPECT_EQ(line->address->text(), "10.20.0.101/22");
  EXPECT_EQ(line->gateway->text(), "10.20.0.1");
  EXPECT_EQ(line->bridge, "lan0");
  EXPECT_EQ(line->vlan, 100);
  EXPECT_EQ(line->bond->mode, "802.3ad");
  ASSERT_EQ(line->bond->ports.size(), 2U);
  EXPECT_EQ(line->bond->ports[1].text(), "52:54:00:12:34:57");
  EXPECT_EQ(line->wait, seconds(7));
  EXPECT_EQ(line->hostname, "n1");
  EXPECT_EQ(line->init, "/bin/sh");
}

TEST(CommandLine, UnderstandsPxelinux) {
  const auto line =
      parse_command_line(with_server + "BOOTIF=01-52-54-00-12-34-56 ip=10.20.0.101:10.20.0.1:10.20.0.9:255.255.252.0");
  ASSERT_TRUE(line);
  EXPECT_EQ(line->mac->text(), "52:54:00:12:34:56");
  EXPECT_EQ(line->address->text(), "10.20.0.101/22");
  EXPECT_EQ(line->gateway->text(), "10.20.0.9");
}

TEST(CommandLine, OwnArgumentsWinOverPxelinuxs) {
  const auto line = parse_command_line(with_server +
                                       "bh.mac=52:54:00:00:00:01 BOOTIF=01-52-54-00-12-34-56 bh.address=10.0.0.5/24 "
                                       "ip=10.20.0.101:10.20.0.1:10.20.0.9:255.255.252.0 ip=dhcp");
  ASSERT_TRUE(line);
  EXPECT_EQ(line->mac->text(), "52:54:00:00:00:01");
  EXPECT_EQ(line->address->text(), "10.0.0.5/24");
  EXPECT_FALSE(line->gateway);
}

TEST(CommandLine, NothingButTheServerIsNeeded) {
  const auto line = parse_command_line("  bh.server=http://10.20.0.1:7480/ bh.boot= bh.mac=\n");
  ASSERT_TRUE(line);
  EXPECT_EQ(line->server, "http://10.20.0.1:7480");
  EXPECT_EQ(line->bridge, "br0");
  EXPECT_FALSE(line->mac);
  EXPECT_FALSE(line->static_address) << "an address is a lease, unless somebody knows better";
  EXPECT_EQ(line->wait, seconds(30));
}

TEST(CommandLine, AddressesMayBeStatic) {
  EXPECT_TRUE(parse_command_line(with_server + "bh.lease=static")->static_address);
  EXPECT_FALSE(parse_command_line(with_server + "bh.lease=dhcp")->static_address);
  EXPECT_FALSE(parse_command_line(with_server + "bh.lease=mine"));
}

TEST(CommandLine, NamesTheArgumentThatIsWrong) {
  for (const std::string bad :
       {"bh.mac=nonsense", "bh.address=10.0.0.1", "bh.gateway=x", "bh.bridge=a/b", "bh.bridge=sixteen-letters-",
        "bh.vlan=4095", "bh.bond=802.3ad", "bh.bond=fast:52:54:00:12:34:56", "bh.wait=0", "bh.boot=abc",
        "bh.server=https://10.0.0.1"}) {
    const auto line = parse_command_line(with_server + bad);
    ASSERT_FALSE(line) << bad;
    EXPECT_NE(line.error().describe().find(bad), std::string::npos) << line.error().describe();
  }
  EXPECT_NE(parse_command_line("quiet").error().why.find("bh.server is missing"), std::string::npos);
}

TEST(CommandLine, KeepsParametersOfModules) {
  const auto line = parse_command_line(with_server + "nbd.max_part=0 nbd.nbds_max=4 snd-hda.model=\"a b\" root=x.y");
  ASSERT_TRUE(line);
  EXPECT_EQ(line->module_parameters.at("nbd"), "max_part=0 nbds_max=4");
  EXPECT_EQ(line->module_parameters.at("snd_hda"), "model=a b");
  EXPECT_EQ(line->module_parameters.count("root"), 0U);
}

TEST(CommandLine, PolicyIsReadEvenWhereTheRestIsNot) {
  EXPECT_EQ(on_failure("bh.mac=nonsense bh.failure=shell"), OnFailure::shell);
  EXPECT_EQ(on_failure("bh.failure=reboot"), OnFailure::reboot);
  EXPECT_EQ(on_failure("bh.failure=other"), OnFailure::retry);
}

TEST(BootPlan, ReadsNbdWithItsServersInOrder) {
  const auto plan =
      parse_plan("boot=" + hex64 +
                 "\nhostname=rack1-n7\nroot=nbd\nnbd.server=10.20.0.1:10809\nnbd.server=10.20.0.2:10809\r\n"
                 "nbd.export=img/root=1\nfuture.key=x\noverlay=2g\njoin=t\nno line\n");
  ASSERT_TRUE(plan) << plan.error().describe();
  EXPECT_EQ(plan->root, RootKind::nbd);
  ASSERT_EQ(plan->nbd_servers.size(), 2U);
  EXPECT_EQ(plan->nbd_servers[1].text(), "10.20.0.2:10809");
  EXPECT_EQ(plan->nbd_export, "img/root=1");
  EXPECT_EQ(plan->overlay, "2g");
  EXPECT_EQ(plan->nbd_timeout, seconds(10));
  EXPECT_NE(plan->text.find("join=t"), std::string::npos);
}

TEST(BootPlan, RefusesWhatCannotBeUsed) {
  for (const std::string bad :
       {"", "boot=x\nroot=none", "root=iscsi", "root=nbd", "root=nbd\nnbd.server=host:1",
        "root=nfs\nnfs.source=host:/x", "root=nfs\nnfs.source=10.0.0.1", "root=ram\nram.url=/x\nram.size=1",
        "root=none\noverlay=50%,exec", "root=none\noverlay=0", "root=none\noverlay=101%", "root=none\nhostname=a b",
        "root=none\nhostname=-a", "root=none\nbundle.url=/b", "root=none\nram.sha256=12", "root=none\nram.size=-1",
        "root=none\nnbd.timeout=0"}) {
    EXPECT_FALSE(parse_plan(bad)) << bad;
  }
  EXPECT_TRUE(parse_plan("root=none"));
  EXPECT_EQ(parse_plan("root=none\nmessage=it waits: a=b")->message, "it waits: a=b");
}

TEST(BootPlan, DigestsAreComparedInLowerCase) {
  const auto plan =
      parse_plan("root=ram\nram.url=/boot/files/i/root\nram.size=4096\nram.sha256=" + std::string(64, 'A'));
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->ram_sha256, hex64);
}

TEST(NfsOptions, AreWhatMountNfsWouldHaveMadeOfThem) {
  const Ipv4 server_address = *Ipv4::parse("10.0.0.1");
  const Ipv4 ours = *Ipv4::parse("10.0.0.7");
  EXPECT_EQ(nfs_mount_data("vers=4.1", server_address, ours), "vers=4.1,addr=10.0.0.1,clientaddr=10.0.0.7");
  EXPECT_EQ(nfs_mount_data("ro,nconnect=2,addr=1.1.1.1", server_address, ours),
            "nconnect=2,vers=4.1,addr=10.0.0.1,clientaddr=10.0.0.7");
  EXPECT_EQ(nfs_mount_data("vers=3", server_address, ours),
            "vers=3,addr=10.0.0.1,nolock,proto=tcp,mountproto=tcp,mountaddr=10.0.0.1");
}

}  // namespace
}  // namespace bridgehead::init
