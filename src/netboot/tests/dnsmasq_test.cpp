#include "netboot/dnsmasq.h"

#include <gtest/gtest.h>

#include "netboot/tests/golden_file.h"

namespace bridgehead::netboot {
namespace {

DnsmasqPlan full_plan() {
  DnsmasqPlan plan;
  plan.mode = model::NetbootMode::full;
  plan.interface = "prov0";
  plan.address = "10.20.0.1/22";
  plan.range_first = "10.20.0.100";
  plan.range_last = "10.20.3.250";
  plan.tftp_root = "/srv/bridgehead/tftp";
  plan.directory = "/run/bridgehead/dnsmasq";
  return plan;
}

TEST(Dnsmasq, FullConfiguration) {
  const auto config = dnsmasq_config(full_plan());
  ASSERT_TRUE(config) << config.error().describe();
  expect_golden("dnsmasq-full.conf", *config);
  auto plan = full_plan();
  plan.gateway = "10.20.0.254";
  plan.resolvers = {"10.20.0.53", "9.9.9.9"};
  plan.domain = "rack1.example";
  const auto rich = dnsmasq_config(plan);
  ASSERT_TRUE(rich);
  EXPECT_NE(rich->find("dhcp-option=option:router,10.20.0.254\n"), std::string::npos);
  EXPECT_NE(rich->find("dhcp-option=option:dns-server,10.20.0.53,9.9.9.9\n"), std::string::npos);
  EXPECT_NE(rich->find("domain=rack1.example\n"), std::string::npos);
}

TEST(Dnsmasq, StrangersGetTheirMethod) {
  auto plan = full_plan();
  EXPECT_EQ(dnsmasq_config(plan)->find("tag:!known"), std::string::npos) << "iPXE needs no word";
  plan.strangers = model::BootMethod::shim;
  const auto shim = dnsmasq_config(plan);
  plan.strangers = model::BootMethod::pxelinux;
  const auto pxelinux = dnsmasq_config(plan);
  for (const auto* config : {&shim, &pxelinux}) {
    ASSERT_TRUE(*config);
    EXPECT_NE((*config)->find("\ntag-if=set:"), std::string::npos);
    EXPECT_NE((*config)->find(",tag:!known\n"), std::string::npos);
  }
  EXPECT_NE(*shim, *pxelinux);
}

TEST(Dnsmasq, ProxyConfiguration) {
  auto plan = full_plan();
  plan.mode = model::NetbootMode::proxy;
  plan.range_first = plan.range_last = "";
  const auto config = dnsmasq_config(plan);
  ASSERT_TRUE(config) << config.error().describe();
  expect_golden("dnsmasq-proxy.conf", *config);
}

TEST(Dnsmasq, RefusesHostileAndSenselessPlans) {
  const auto refused = [](const std::function<void(DnsmasqPlan&)>& change) {
    auto plan = full_plan();
    change(plan);
    const auto config = dnsmasq_config(plan);
    EXPECT_FALSE(config);
    return config ? std::string() : config.error().describe();
  };
  EXPECT_NE(refused([](auto& plan) { plan.mode = model::NetbootMode::off; }), "");
  EXPECT_NE(refused([](auto& plan) { plan.interface = "eth0\ndhcp-script=/x"; }), "");
  EXPECT_NE(refused([](auto& plan) { plan.interface = "eth0,eth1"; }), "");
  EXPECT_NE(refused([](auto& plan) { plan.address = "10.20.0.1"; }).find("prefix"), std::string::npos);
  EXPECT_NE(refused([](auto& plan) { plan.address = "10.20.0.0/22"; }), "");
  EXPECT_NE(refused([](auto& plan) { plan.range_first = "10.21.0.1"; }).find("10.20.0.1 to 10.20.3.254"),
            std::string::npos);
  EXPECT_NE(refused([](auto& plan) { plan.range_first = "10.20.0.1"; }).find("our own"), std::string::npos);
  EXPECT_NE(refused([](auto& plan) { plan.range_last = "10.20.0.50"; }), "");
  EXPECT_NE(refused([](auto& plan) { plan.tftp_root = "/a b\n"; }), "");
  EXPECT_NE(refused([](auto& plan) { plan.gateway = "10.99.0.1"; }), "");
  EXPECT_NE(refused([](auto& plan) { plan.resolvers = {"x"}; }), "");
  EXPECT_NE(refused([](auto& plan) { plan.domain = "a,b"; }), "");
  EXPECT_NE(refused([](auto& plan) { plan.lease = std::chrono::seconds(1); }), "");
}

TEST(Dnsmasq, Reservations) {
  const auto text =
      dnsmasq_reservations(full_plan(), {{"52:54:00:00:00:03", "10.20.0.103", "rack1-3", model::BootMethod::shim},
                                         {"52:54:00:00:00:01", "10.20.0.101", "rack1-1", model::BootMethod::ipxe},
                                         {"52-54-00-00-00-0A", "", "", model::BootMethod::pxelinux},
                                         {"52:54:00:00:00:02", "", "", model::BootMethod::ipxe}});
  ASSERT_TRUE(text) << text.error().describe();
  EXPECT_EQ(*text,
            "# Written by bridgehead-manager; changes are lost.\n"
            "52:54:00:00:00:01,10.20.0.101,rack1-1\n"
            "52:54:00:00:00:03,set:bh-shim,10.20.0.103,rack1-3\n"
            "52:54:00:00:00:0a,set:bh-pxelinux\n");
  const auto refused = [](std::vector<Reservation> list) {
    const auto result = dnsmasq_reservations(full_plan(), list);
    return !result && result.error().code == ErrorCode::invalid_argument;
  };
  EXPECT_TRUE(refused({{"52:54:00:00:00:01", "10.20.0.1", ""}})) << "ours";
  EXPECT_TRUE(refused({{"52:54:00:00:00:01", "10.21.0.1", ""}}));
  EXPECT_TRUE(refused({{"52:54:00:00:00:01", "", "a,ignore"}}));
  for (const char* name : {"ignore", "Infinite", "10", "5m", "12H", "7w"}) {
    EXPECT_TRUE(refused({{"52:54:00:00:00:01", "", name}})) << name << " means something else to dnsmasq";
    EXPECT_FALSE(check_reserved_hostname(name)) << name;
  }
  for (const char* name : {"ignore1", "10x", "5mm", "m5", "h", "rack-10"}) EXPECT_TRUE(check_reserved_hostname(name));
  EXPECT_TRUE(refused({{"52:54:00:00:00:01,*", "", "a"}}));
  EXPECT_TRUE(refused({{"52:54:00:00:00:01", "", "a\nb"}}));
  EXPECT_TRUE(refused({{"53:54:00:00:00:01", "", "a"}})) << "a group's address";
  EXPECT_TRUE(refused({{"52:54:00:00:00:01", "", "a"}, {"52:54:00:00:00:01", "", "b"}}));
  EXPECT_TRUE(refused({{"52:54:00:00:00:01", "10.20.0.9", "a"}, {"52:54:00:00:00:02", "10.20.0.9", "b"}}));
  EXPECT_TRUE(refused({{"52:54:00:00:00:01", "", "a"}, {"52:54:00:00:00:02", "", "A"}}));
}

TEST(Dnsmasq, Command) {
  EXPECT_EQ(dnsmasq_command(full_plan()).describe(),
            "dnsmasq --keep-in-foreground --conf-file=/run/bridgehead/dnsmasq/dnsmasq.conf --log-facility=- "
            "--pid-file=");
  EXPECT_EQ(dnsmasq_command(full_plan()).environment.at("LC_ALL"), "C") << "its log is read";
}

TEST(Dnsmasq, LogLines) {
  const auto expect = [](std::string_view line, Sighting wanted) {
    const auto got = SightingReader().read(line);
    ASSERT_TRUE(got) << line;
    EXPECT_EQ(*got, wanted) << line << " -> " << got->mac << " " << got->address << " '" << got->detail << "'";
  };
  expect("dnsmasq-dhcp: 3817512 DHCPDISCOVER(prov0) 52:54:00:12:34:56 ",
         {SightingKind::discover, "52:54:00:12:34:56", "", ""});
  expect("dnsmasq-dhcp: 3817512 DHCPDISCOVER(prov0) 10.20.0.7 52:54:00:12:34:56 ",
         {SightingKind::discover, "52:54:00:12:34:56", "10.20.0.7", ""});
  expect("dnsmasq-dhcp: 3817512 DHCPOFFER(prov0) 10.20.0.101 52:54:00:12:34:56 ",
         {SightingKind::offer, "52:54:00:12:34:56", "10.20.0.101", ""});
  expect("dnsmasq-dhcp[77]: 3817512 DHCPACK(prov0) 10.20.0.101 52:54:00:12:34:56 rack1-1",
         {SightingKind::ack, "52:54:00:12:34:56", "10.20.0.101", "rack1-1"});
  expect("Nov 22 10:00:00 dnsmasq-dhcp[77]: DHCPREQUEST(prov0) 10.20.0.101 52:54:00:12:34:56",
         {SightingKind::request, "52:54:00:12:34:56", "10.20.0.101", ""});
  expect("dnsmasq-dhcp: 1 DHCPDISCOVER(prov0) 52:54:00:12:34:56 no address available",
         {SightingKind::refused, "52:54:00:12:34:56", "", "no address available"});
  expect("dnsmasq-dhcp: 1 DHCPNAK(prov0) 10.20.0.101 52:54:00:12:34:56 wrong network",
         {SightingKind::refused, "52:54:00:12:34:56", "10.20.0.101", "wrong network"});
  expect("dnsmasq-dhcp: 1 PXE(prov0) 52:54:00:12:34:56 undionly.kpxe",
         {SightingKind::pxe, "52:54:00:12:34:56", "", "undionly.kpxe"});
  expect("dnsmasq-tftp: sent /srv/tftp/undionly.kpxe to 10.20.0.101",
         {SightingKind::tftp_sent, "", "10.20.0.101", "/srv/tftp/undionly.kpxe"});
  expect("dnsmasq-tftp: failed sending /srv/tftp/a to 10.20.0.101",
         {SightingKind::tftp_failed, "", "10.20.0.101", "/srv/tftp/a"});
  expect("dnsmasq-tftp: file /srv/tftp/pxelinux.cfg/x not found for 10.20.0.101",
         {SightingKind::tftp_failed, "", "10.20.0.101", "/srv/tftp/pxelinux.cfg/x"});
  for (const char* line : {"", "dnsmasq: started", "dnsmasq-dhcp: 1 tags: bios, ipxe", "dnsmasq-dhcp: (",
                           "dnsmasq-dhcp: X(", "dnsmasq-tftp: sent to", "dnsmasq-tftp: sent  to 10.20.0.101x",
                           "dnsmasq-tftp: sent to 1.2.3.4", "dnsmasq-dhcp: 1 DHCPACK(prov0) 10.20.0.101 nonsense"}) {
    EXPECT_FALSE(SightingReader().read(line)) << line;
  }
}

TEST(Dnsmasq, LogTellsWhoAsks) {
  SightingReader reader;
  const auto asker = [&](const std::vector<std::string>& lines) {
    std::optional<Sighting> last;
    for (const auto& line : lines) last = reader.read("dnsmasq-dhcp: " + line);
    EXPECT_TRUE(last && last->kind == SightingKind::ack) << lines.back();
    return last ? last->asker : Asker::other;
  };
  const std::string ack = " DHCPACK(prov0) 10.20.0.101 52:54:00:12:34:56";
  EXPECT_EQ(asker({"7 vendor class: PXEClient:Arch:00007:UNDI:003016",
                   "7 DHCPREQUEST(prov0) 10.20.0.101 52:54:00:12:34:56", "7 tags: efi, prov0", "7" + ack}),
            Asker::firmware);
  EXPECT_EQ(asker({"8 vendor class: HTTPClient:Arch:00016:UNDI:003001", "8" + ack}), Asker::firmware);
  EXPECT_EQ(asker({"9 vendor class: PXEClient:Arch:00000:UNDI:002001", "9 user class: iPXE", "9" + ack}),
            Asker::loader);
  EXPECT_EQ(asker({"10" + ack}), Asker::other) << "nothing is taken over from the message before";
  EXPECT_EQ(asker({"11 vendor class: PXEClient:Arch:00000", "11 vendor class: bridgehead", "11" + ack}), Asker::other);
  EXPECT_EQ(asker({"12 vendor class: PXEClient:Arch:00000", "13" + ack}), Asker::other);
}

}  // namespace
}  // namespace bridgehead::netboot
