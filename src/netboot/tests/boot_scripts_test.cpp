#include "netboot/boot_scripts.h"

#include <gtest/gtest.h>

#include "netboot/boot_values.h"
#include "netboot/tests/golden_file.h"

namespace bridgehead::netboot {
namespace {

KernelCommandLine full_line() {
  KernelCommandLine line;
  line.server = "http://10.20.0.1:7480";
  line.boot = std::string(64, 'a');
  line.mac = "52:54:00:12:34:56";
  line.address = "10.20.0.101/22";
  line.gateway = "10.20.0.1";
  line.bridge = "br0";
  line.failure = model::OnBootFailure::retry;
  line.arguments = {"console=ttyS0,115200n8", "quiet"};
  return line;
}

BootChoice menu_choice() {
  BootChoice choice;
  choice.server = "http://10.20.0.1:7480";
  choice.hostname = "rack1-1";
  choice.mac = "52:54:00:12:34:56";
  choice.entries = {{"debian-12:3", "nimg-3", full_line()}, {"debian-12:2", "nimg-2", std::nullopt}};
  choice.menu_timeout = std::chrono::seconds(5);
  choice.memtest = true;
  return choice;
}

TEST(BootScripts, KernelCommandLine) {
  const auto line = kernel_command_line(full_line());
  ASSERT_TRUE(line) << line.error().describe();
  EXPECT_EQ(*line, "bh.server=http://10.20.0.1:7480 bh.boot=" + std::string(64, 'a') +
                       " bh.mac=52:54:00:12:34:56 bh.address=10.20.0.101/22 bh.gateway=10.20.0.1 bh.bridge=br0 "
                       "bh.failure=retry console=ttyS0,115200n8 quiet");
  KernelCommandLine bonded{.server = "http://a"};
  bonded.vlan = 100;
  bonded.bond = "802.3ad:52:54:00:12:34:56,52:54:00:12:34:57";
  bonded.wait = std::chrono::seconds(60);
  bonded.failure = model::OnBootFailure::shell;
  EXPECT_EQ(kernel_command_line(bonded).value_or(""),
            "bh.server=http://a bh.vlan=100 bh.bond=802.3ad:52:54:00:12:34:56,52:54:00:12:34:57 bh.wait=60 "
            "bh.failure=shell");
}

TEST(BootScripts, AProfileMaySayThatAddressesAreStatic) {
  auto line = full_line();
  line.arguments = {"bh.lease=static"};
  const auto text = kernel_command_line(line);
  ASSERT_TRUE(text) << text.error().describe();
  EXPECT_TRUE(text->ends_with(" bh.lease=static")) << *text;
  line.arguments = {"bh.lease=static bh.boot=x"};
  EXPECT_FALSE(kernel_command_line(line));
}

TEST(BootScripts, KernelCommandLineRefusesWhatCouldMeanSomethingElse) {
  const auto refused = [](const std::function<void(KernelCommandLine&)>& change) {
    auto line = full_line();
    change(line);
    const auto result = kernel_command_line(line);
    return !result && result.error().code == ErrorCode::invalid_argument;
  };
  for (const char* argument : {"a b", "a\nb", "a\"b", "a'b", "", "bh.server=http://evil", "${net0/mac}", "$x", "a;b",
                               "a\\b", "a|b", "a&b", "a#b", "a{b}", "a\x01", "\xc3\xa4"}) {
    EXPECT_TRUE(refused([&](auto& line) { line.arguments = {argument}; })) << argument;
  }
  EXPECT_TRUE(refused([](auto& line) { line.server = "http://a/ init=/bin/sh"; }));
  EXPECT_TRUE(refused([](auto& line) { line.server = "ftp://a"; }));
  EXPECT_TRUE(refused([](auto& line) { line.server = ""; }));
  EXPECT_TRUE(refused([](auto& line) { line.boot = "abc"; }));
  EXPECT_TRUE(refused([](auto& line) { line.mac = "52:54:00:12:34"; }));
  EXPECT_TRUE(refused([](auto& line) { line.address = "10.20.0.101"; }));
  EXPECT_TRUE(refused([](auto& line) { line.gateway = "gw"; }));
  EXPECT_TRUE(refused([](auto& line) { line.bridge = "a b"; }));
  EXPECT_TRUE(refused([](auto& line) { line.bridge = "far-too-long-a-name"; }));
  EXPECT_TRUE(refused([](auto& line) { line.vlan = 4095; }));
  EXPECT_TRUE(refused([](auto& line) { line.bond = "802.3ad"; }));
  EXPECT_TRUE(refused([](auto& line) { line.bond = "802.3ad:nonsense"; }));
  EXPECT_TRUE(refused([](auto& line) { line.arguments.assign(30, std::string(100, 'x')); })) << "too long";
}

TEST(BootScripts, Ipxe) {
  const auto script = ipxe_script(menu_choice());
  ASSERT_TRUE(script) << script.error().describe();
  expect_golden("menu.ipxe", *script);
  auto at_once = menu_choice();
  at_once.menu_timeout = std::chrono::seconds(0);
  at_once.memtest = false;
  at_once.discovery = true;
  expect_golden("discovery.ipxe", ipxe_script(at_once).value_or(""));
  expect_golden("first.ipxe", ipxe_first_script("http://10.20.0.1:7480"));
  EXPECT_EQ(ipxe_wait_script("http://a", "it's ${refused}\n\"now\"", std::chrono::seconds(5)).substr(0, 48),
            "#!ipxe\necho Bridgehead: it s ??refused???now?\nsl");
}

TEST(BootScripts, Grub) {
  expect_golden("menu.grub", grub_config(menu_choice()).value_or(""));
  expect_golden("first.grub", grub_first_config());
}

TEST(BootScripts, Pxelinux) {
  expect_golden("menu.pxelinux", pxelinux_config(menu_choice()).value_or(""));
  auto at_once = menu_choice();
  at_once.menu_timeout = std::chrono::seconds(0);
  expect_golden("at-once.pxelinux", pxelinux_config(at_once).value_or(""));
}

TEST(BootScripts, RefuseHostileChoices) {
  const auto refused = [](const std::function<void(BootChoice&)>& change) {
    auto choice = menu_choice();
    change(choice);
    return !ipxe_script(choice) && !grub_config(choice) && !pxelinux_config(choice);
  };
  EXPECT_TRUE(refused([](auto& choice) { choice.entries.clear(); }));
  EXPECT_TRUE(refused([](auto& choice) { choice.entries[0].command_line.reset(); }));
  EXPECT_TRUE(refused([](auto& choice) { choice.entries[0].title = "a\nshell"; }));
  EXPECT_TRUE(refused([](auto& choice) { choice.entries[1].image_id = "../etc"; }));
  EXPECT_TRUE(refused([](auto& choice) { choice.entries[1].image_id = ""; }));
  EXPECT_TRUE(refused([](auto& choice) { choice.hostname = "${x}"; }));
  EXPECT_TRUE(refused([](auto& choice) { choice.server = "http://a b"; }));
  EXPECT_TRUE(refused([](auto& choice) { choice.mac = "x"; }));
  EXPECT_TRUE(refused([](auto& choice) { choice.entries[0].command_line->arguments = {"a b"}; }));
}

TEST(BootValues, Macs) {
  EXPECT_EQ(canonical_mac("52-54-00-AB-cd-EF").value_or(""), "52:54:00:ab:cd:ef");
  EXPECT_EQ(canonical_mac("01-52-54-00-12-34-56").value_or(""), "52:54:00:12:34:56");
  for (const char* bad : {"", "52:54:00:12:34", "52:54:00:12:34:5g", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00",
                          "52:54:00:12:34:56:", "5254.0012.3456"}) {
    EXPECT_FALSE(canonical_mac(bad)) << bad;
  }
}

}  // namespace
}  // namespace bridgehead::netboot
