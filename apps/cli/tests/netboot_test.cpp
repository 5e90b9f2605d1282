#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/boot_view.h"
#include "cli/netboot_words.h"
#include "cli/output.h"

namespace bridgehead::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::string at(int second) { return fmt::format("2026-01-31T12:00:{:02}.000Z", second); }

nlohmann::json machine(const std::string& name, const std::string& approval, const std::string& image) {
  return {{"id", "id-" + name},
          {"name", name},
          {"state", "unreachable"},
          {"message", "never seen"},
          {"last_seen", ""},
          {"certificate_serial", ""},
          {"netboot",
           {{"mac", "52:54:00:12:34:56"},
            {"approval", approval},
            {"image", image},
            {"address", ""},
            {"hardware", {{"vendor", "QEMU"}, {"product", "PC"}}}}},
          {"boot", nullptr}};
}

nlohmann::json booting(nlohmann::json node, const std::string& step, int second, const std::string& message = "") {
  node["boot"] = {{"step", step}, {"message", message}, {"since", at(second)}, {"started", at(0)}};
  return node;
}

nlohmann::json event(const std::string& name, int second, const std::string& message) {
  return {{"object", "id-" + name}, {"object_name", name}, {"time", at(second)}, {"message", message}};
}

TEST(NodeState, TellsHowFarAMachineIs) {
  EXPECT_EQ(node_state({{"state", "ready"}, {"netboot", nullptr}, {"boot", nullptr}}), "ready");
  EXPECT_EQ(node_state(machine("a", "waiting", "")), "waiting");
  EXPECT_EQ(node_state(machine("a", "refused", "debian-12:1")), "refused");
  EXPECT_EQ(node_state(machine("a", "approved", "")), "unassigned");
  const auto assigned = machine("a", "approved", "debian-12:1");
  EXPECT_EQ(node_state(assigned), "not booted");
  EXPECT_EQ(node_state(booting(machine("a", "waiting", ""), "kernel", 3)), "waiting") << "a discovery";
  EXPECT_EQ(node_state(booting(machine("a", "approved", ""), "kernel", 3)), "unassigned");
  EXPECT_EQ(node_state(booting(assigned, "kernel", 3)), "booting: kernel");
  EXPECT_EQ(node_state(booting(assigned, "agent", 3)), "booting: agent");
  EXPECT_EQ(node_state(booting(assigned, "failed", 3)), "failed: boot");
  EXPECT_EQ(node_message(booting(assigned, "failed", 3, "no link")), "no link");
  EXPECT_EQ(node_message(machine("a", "waiting", "")), "52:54:00:12:34:56 QEMU PC");

  auto up = booting(assigned, "ready", 3);
  up["state"] = "ready";
  up["last_seen"] = at(9);
  EXPECT_EQ(node_state(up), "ready");
  EXPECT_EQ(node_state(booting(up, "handover", 5)), "ready") << "the agent was heard of since";
  EXPECT_EQ(node_state(booting(up, "dhcp", 10)), "booting: dhcp") << "it was reset";
  up["state"] = "not_ready";
  EXPECT_EQ(node_state(booting(up, "agent", 10)), "not_ready");
  up["state"] = "unreachable";
  EXPECT_EQ(node_state(up), "unreachable");
  EXPECT_EQ(node_message(up), "never seen");
  auto asleep = up;
  asleep["to_be_off"] = true;
  EXPECT_EQ(node_state(asleep), "unreachable") << "nobody could have switched it off";
  asleep["bmc"] = {{"driver", "ipmi"}};
  EXPECT_EQ(node_state(asleep), "asleep");
  up["netboot"]["image"] = "";
  up["state"] = "ready";
  EXPECT_EQ(node_state(up), "ready") << "it runs what it booted";
}

TEST(NodeAddress, IsTheOneThatOthersReach) {
  auto node = machine("a", "approved", "");
  EXPECT_EQ(node_address(node), "");
  node["facts"]["interfaces"] = {
      {{"name", "lo"}, {"kind", "loopback"}, {"bridge", ""}, {"addresses", {"127.0.0.1/8"}}},
      {{"name", "virbr0"}, {"kind", "bridge"}, {"bridge", ""}, {"addresses", {"192.168.122.1/24"}}},
      {{"name", "eth0"}, {"kind", "ethernet"}, {"bridge", "br0"}, {"addresses", {"fe80::1/64", "169.254.1.1/16"}}},
      {{"name", "br0"}, {"kind", "bridge"}, {"bridge", ""}, {"addresses", {"fd00::1/64", "10.20.0.101/22"}}}};
  EXPECT_EQ(node_address(node), "10.20.0.101");
  node["netboot"]["address"] = "10.20.0.7";
  EXPECT_EQ(node_address(node), "10.20.0.7");
}

TEST(Elapsed, IsShort) {
  const auto time = [](const std::string& text) { return std::optional(parse_rfc3339(text).value()); };
  EXPECT_EQ(elapsed(time(at(1)), time("2026-01-31T12:00:05.250Z")), "4.2 s");
  EXPECT_EQ(elapsed(time(at(0)), time("2026-01-31T12:03:05.000Z")), "3 min 5 s");
  EXPECT_EQ(elapsed(time(at(5)), time(at(0))), "0.0 s");
  EXPECT_EQ(elapsed(std::nullopt, time(at(0))), "");
}

TEST(BootMessage, IsAStepAndItsText) {
  EXPECT_EQ(parse_boot_message("kernel")->step, "kernel");
  const auto failed = parse_boot_message("failed: eth0: no link");
  EXPECT_EQ(failed->step, "failed");
  EXPECT_EQ(failed->message, "eth0: no link");
  EXPECT_FALSE(parse_boot_message("was renamed"));
  EXPECT_FALSE(parse_boot_message(""));
}

TEST(BootBoard, FollowsBoots) {
  BootBoard board({});
  const auto a = machine("a", "approved", "debian-12:1");
  board.take_list({{"items", {a, machine("w", "waiting", ""), {{"id", "x"}, {"name", "x"}, {"netboot", nullptr}}}}});
  EXPECT_EQ(board.rows().size(), 2U) << "only what boots over the network";
  EXPECT_FALSE(board.all_ready());
  board.take_event(event("a", 2, "dhcp: 10.20.0.101"));
  board.take_event(event("a", 5, "dhcp: iPXE"));
  board.take_event(event("a", 6, "bootstrap: debian-12:1"));
  const auto* row = board.take_event(event("a", 14, "root: nbd 10.20.0.1"));
  ASSERT_NE(row, nullptr);
  EXPECT_EQ(elapsed(row->started, row->since), "12.0 s") << "since the first request for an address";
  EXPECT_EQ(board.render(0, 0),
            "NAME  STEP     SINCE POWER-ON  MESSAGE\na     root     12.0 s          nbd 10.20.0.1\n"
            "w     waiting                  52:54:00:12:34:56 QEMU PC\n");
  board.take_node("id-a", &a);
  EXPECT_EQ(board.rows().at("id-a").step, "root") << "its events know better";
  board.take_event(event("a", 20, "ready"));
  EXPECT_TRUE(board.all_ready()) << "the one that waits doesn't count";
  board.take_event(event("a", 40, "dhcp"));
  EXPECT_FALSE(board.all_ready());
  EXPECT_EQ(elapsed(board.rows().at("id-a").started, board.rows().at("id-a").since), "0.0 s") << "a new boot";
  EXPECT_EQ(board.take_event(event("a", 41, "something else")), nullptr);
  board.take_event(event("new", 42, "bootstrap: discovery"));
  EXPECT_EQ(board.rows().at("id-new").step, "bootstrap");
  board.take_node("id-new", nullptr);
  EXPECT_FALSE(board.rows().contains("id-new"));
}

TEST(BootBoard, ShowsOnlyWhatIsAskedForAndWhatFits) {
  BootBoard one({"b"});
  nlohmann::json items = nlohmann::json::array();
  for (const char* name : {"a", "b", "c", "d", "e"}) items.push_back(machine(name, "approved", "debian-12:1"));
  one.take_list({{"items", items}});
  EXPECT_EQ(one.rows().size(), 1U);
  EXPECT_EQ(one.take_event(event("a", 1, "dhcp")), nullptr);
  EXPECT_NE(one.take_event(event("b", 1, "dhcp")), nullptr);

  BootBoard all({});
  all.take_list({{"items", items}});
  all.take_event(event("a", 1, "ready"));
  all.take_event(event("d", 1, "kernel"));
  const auto drawn = all.render(80, 5);
  EXPECT_EQ(std::count(drawn.begin(), drawn.end(), '\n'), 5);
  EXPECT_THAT(drawn, Not(HasSubstr("ready"))) << "what still boots is what one looks at";
  EXPECT_THAT(drawn, HasSubstr("and 2 more"));
}

TEST(NodeImages, AreNamedAfterTheirFile) {
  EXPECT_EQ(image_base_of("/srv/rocky9.tar"), "rocky9");
  EXPECT_EQ(image_base_of("rocky-9.4.tar.gz"), "rocky-9.4");
  EXPECT_EQ(image_base_of("x.tgz"), "x");
  EXPECT_EQ(image_base_of("/srv/oci-dir/"), "oci-dir");
}

TEST(NodeImages, TheDriverOfTheNicThatBootsIsLookedFor) {
  const nlohmann::json node = {
      {"netboot",
       {{"mac", "52:54:00:00:00:02"},
        {"hardware", {{"nics", {"eth0 52:54:00:00:00:01 tg3", "eth1 52:54:00:00:00:02 ice 25000 Mbit/s"}}}}}}};
  nlohmann::json image = {{"name", "deb:3"}, {"base", "deb"}, {"nic_drivers", {"igb", "tg3"}}};
  EXPECT_EQ(
      missing_driver(node, image),
      "its NIC 52:54:00:00:00:02 needs the driver ice, which isn't in the initramfs of deb:3: bh node-image build "
      "deb --nic-drivers servers,ice");
  image["nic_drivers"].push_back("ice");
  EXPECT_EQ(missing_driver(node, image), "");
  EXPECT_EQ(missing_driver(node, {{"name", "old:1"}, {"nic_drivers", nlohmann::json::array()}}), "") << "not known";
  EXPECT_EQ(missing_driver({{"netboot", nullptr}}, image), "");
  const nlohmann::json unknown = {
      {"netboot", {{"mac", "m"}, {"hardware", {{"nics", {"eth0 m  1000 Mbit/s", "eth1 x y"}}}}}}};
  EXPECT_EQ(missing_driver(unknown, image), "") << "a NIC that told no driver";
}

TEST(NodeImages, GcSparesWhatIsUsedAndTheNewest) {
  const auto image = [](const std::string& base, int version, const std::string& state) {
    return nlohmann::json{
        {"name", fmt::format("{}:{}", base, version)}, {"base", base}, {"version", version}, {"state", state}};
  };
  const nlohmann::json images = {
      {"items",
       {image("deb", 1, "ready"), image("deb", 10, "ready"), image("deb", 2, "ready"), image("deb", 3, "ready"),
        image("deb", 4, "failed"), image("deb", 9, "ready"), image("deb", 11, "building"), image("rocky", 1, "ready"),
        image("rocky", 2, "deleting")}}};
  const nlohmann::json nodes = {{"items",
                                 {{{"netboot", {{"image", "deb:2"}}}, {"boot", {{"image", "deb:1"}}}},
                                  {{"netboot", nullptr}, {"boot", nullptr}}}}};
  EXPECT_THAT(superfluous_images(images, nodes, 2), ElementsAre("deb:3", "deb:4"));
  EXPECT_THAT(superfluous_images(images, nodes, 0), ElementsAre("deb:10", "deb:3", "deb:4", "deb:9", "rocky:1"));
  EXPECT_TRUE(superfluous_images({{"items", nlohmann::json::array()}}, nodes, 0).empty());
  EXPECT_TRUE(superfluous_images("nonsense", nodes, 0).empty());
}

TEST(OverlaySpec, HasTwoPathsAndPerhapsAMode) {
  const auto plain = parse_overlay_spec("--file", "motd:/etc/motd");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->local, "motd");
  EXPECT_EQ(plain->remote, "/etc/motd");
  EXPECT_FALSE(plain->mode);
  const auto full = parse_overlay_spec("--file", "/a:b/c:/etc/x:0755");
  ASSERT_TRUE(full);
  EXPECT_EQ(full->local, "/a:b/c");
  EXPECT_EQ(full->remote, "/etc/x");
  EXPECT_EQ(full->mode, "0755");
  for (const char* wrong : {"", "motd", "/etc/motd", "motd:etc/motd", ":/etc/motd", "motd:0644"}) {
    EXPECT_FALSE(parse_overlay_spec("--file", wrong)) << wrong;
  }
}

}  // namespace
}  // namespace bridgehead::cli
