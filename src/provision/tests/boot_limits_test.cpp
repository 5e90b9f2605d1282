// What strangers on the provisioning network can't do, and what one odd record can't do to the others.
#include "provision/reservations.h"
#include "provision/tests/provision_fixture.h"

namespace bridgehead::provision {
namespace {

TEST_F(ProvisionTest, AMachineUnderARunningNodesMacWaits) {
  enable(true);
  add_image("debian-12:1");
  const auto boot = value_of(get("/boot/v1/ipxe", {{"mac", kMac}}).body, "bh.boot");
  ASSERT_EQ(plan(boot).status, 200);
  const auto tokens = inventory_->all<model::JoinToken>();
  inventory_->note_node_state(node().id, model::NodeState::ready, "");
  EXPECT_TRUE(probed_.empty());

  const auto script = get("/boot/v1/ipxe", {{"mac", kMac}});
  EXPECT_EQ(script.body.find("bh.boot"), std::string::npos) << script.body;
  EXPECT_NE(script.body.find("runs, its agent is connected"), std::string::npos) << script.body;
  EXPECT_NE(script.body.find("sleep 4\n"), std::string::npos) << "asks again when the agent must have answered";
  EXPECT_EQ(probed_, std::vector{node().id}) << "its agent has to say whether it still runs";
  const auto refused = plan(boot);
  EXPECT_EQ(probed_.size(), 2U);
  EXPECT_EQ(refused.status, 403);
  EXPECT_NE(refused.body.find("another one has its MAC"), std::string::npos) << refused.body;
  const auto now = inventory_->all<model::JoinToken>();
  ASSERT_EQ(now.size(), tokens.size());
  EXPECT_EQ(now.front()->value, tokens.front()->value) << "the running node's own token stays what it was";
  EXPECT_EQ(post("/boot/v1/progress", {{"boot", boot}, {"step", "root"}}).status, 204) << "its boot is still its own";

  inventory_->note_node_state(node().id, model::NodeState::not_ready, "its root is full");
  EXPECT_EQ(plan(boot).status, 403) << "not ready, but connected";
  inventory_->note_node_state(node().id, model::NodeState::unreachable, "");
  EXPECT_EQ(plan(value_of(get("/boot/v1/ipxe", {{"mac", kMac}}).body, "bh.boot")).status, 200)
      << "it lost power: its agent is missed by now";
}

TEST_F(ProvisionTest, MachinesThatSomebodyMakesUpAreBounded) {
  constexpr std::size_t kMost = 16'384;
  add_image("debian-12:1");
  auto edit = inventory_->edit();
  for (std::size_t i = 0; i < kMost; ++i) {
    model::Node made_up;
    made_up.id = make_id<model::NodeId>(random_);
    made_up.name = fmt::format("made-up-{}", i);
    made_up.netboot = model::Netboot{.mac = fmt::format("02:00:00:00:{:02x}:{:02x}", i >> 8, i & 255)};
    edit.create(made_up);
  }
  ASSERT_TRUE(inventory_->commit(std::move(edit)));
  restart();

  const auto script = get("/boot/v1/ipxe", {{"mac", kMac}});
  EXPECT_NE(script.body.find("16384 machines have appeared that never became nodes"), std::string::npos) << script.body;
  EXPECT_NE(script.body.find("bh node delete"), std::string::npos) << "the text says what to do";
  EXPECT_FALSE(book_->find(kMac));
  EXPECT_EQ(plan("", "02:00:00:00:00:01").status, 200) << "those that are known go on";

  const auto one = inventory_->find_by_name<model::Node>("made-up-7");
  auto joined = one->value;
  joined.certificate_serial = "01";
  auto change = inventory_->edit();
  change.update(one, joined);
  ASSERT_TRUE(inventory_->commit(std::move(change)));
  get("/boot/v1/ipxe", {{"mac", kMac}});
  EXPECT_TRUE(book_->find(kMac)) << "nodes that have joined take no room";
}

TEST_F(ProvisionTest, AnAddressIsReservedForOneMachineAndOnlyInTheNetwork) {
  add_image("debian-12:1");
  get("/boot/v1/ipxe", {{"mac", kMac}});
  EXPECT_EQ(node().netboot->address, "10.77.0.101");
  const std::string second = "52:54:00:aa:bb:02";
  get("/boot/v1/ipxe", {{"mac", second}});
  EXPECT_EQ(node(second).netboot->address, "") << "10.77.0.101 is the first one's";
  const auto settings = reconcile::netboot_settings(*inventory_);
  for (const char* address : {"", "nonsense", "10.78.0.5", "10.77.0.0", "10.77.0.255", "10.77.0.1"}) {
    EXPECT_FALSE(reconcile::can_be_reserved(settings, address)) << address;
  }
  EXPECT_TRUE(reconcile::can_be_reserved(settings, "10.77.0.7"));
}

TEST_F(ProvisionTest, WhatDoesNotFitIsLeftOutOfItsOwnReservation) {
  auto edit = inventory_->edit();
  const auto add = [&](const std::string& name, const std::string& mac, const std::string& address) {
    model::Node node;
    node.id = make_id<model::NodeId>(random_);
    node.name = name;
    node.netboot = model::Netboot{.mac = mac, .address = address};
    edit.create(node);
  };
  add("fits", "52:54:00:aa:bb:01", "10.77.0.11");
  add("of-another-network", "52:54:00:aa:bb:02", "10.99.0.12");
  add("name_of_no_host", "52:54:00:aa:bb:03", "10.77.0.13");
  add("Upper.case", "52:54:00:aa:bb:04", "10.77.0.14");
  add(std::string(64, 'x'), "52:54:00:aa:bb:05", "10.77.0.15");
  add("5m", "52:54:00:aa:bb:06", "10.77.0.16");
  model::Node local;  // doesn't boot over the network
  local.id = make_id<model::NodeId>(random_);
  local.name = "local";
  edit.create(local);
  ASSERT_TRUE(inventory_->commit(std::move(edit)));

  std::map<std::string, std::string> kept;  // by MAC
  const auto all = reservations(*inventory_, reconcile::netboot_settings(*inventory_));
  for (const auto& one : all) kept[one.mac] = one.address + " " + one.hostname;
  EXPECT_EQ(kept, (std::map<std::string, std::string>{{"52:54:00:aa:bb:01", "10.77.0.11 fits"},
                                                      {"52:54:00:aa:bb:02", " of-another-network"},
                                                      {"52:54:00:aa:bb:03", "10.77.0.13 "},
                                                      {"52:54:00:aa:bb:04", "10.77.0.14 "},
                                                      {"52:54:00:aa:bb:05", "10.77.0.15 "},
                                                      {"52:54:00:aa:bb:06", "10.77.0.16 "}}));
  netboot::DnsmasqPlan plan;
  plan.mode = model::NetbootMode::full;
  plan.address = "10.77.0.1/24";
  EXPECT_TRUE(netboot::dnsmasq_reservations(plan, all)) << "dnsmasq takes what is left";
}

}  // namespace
}  // namespace bridgehead::provision
