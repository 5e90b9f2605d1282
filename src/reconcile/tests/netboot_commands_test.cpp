// Commands about machines that boot over the network: what is refused, and that refusing changes nothing.
#include <gtest/gtest.h>

#include "base/ids.h"
#include "base/testing/manual_clock.h"
#include "reconcile/commands/netboot.h"
#include "reconcile/desired.h"
#include "state/memory_store.h"

namespace bridgehead::reconcile {
namespace {

class NetbootCommandsTest : public ::testing::Test {
 protected:
  EnableNetboot good() const {
    return {.interface = "eth1", .address = "10.20.0.1/22", .range = "10.20.0.100-10.20.3.250"};
  }
  model::Node add_node(const std::string& name, bool netboot = true) {
    model::Node node;
    node.id = make_id<model::NodeId>(random_);
    node.name = name;
    if (netboot) node.netboot = model::Netboot{.mac = "52:54:00:00:00:01"};
    auto edit = inventory_->edit();
    edit.create(node);
    EXPECT_TRUE(inventory_->commit(std::move(edit)));
    return node;
  }
  model::NodeImage add_image(const std::string& base, std::uint32_t version, model::NodeImageState state) {
    model::NodeImage image;
    image.id = make_id<model::NodeImageId>(random_);
    image.base = base;
    image.version = version;
    image.name = fmt::format("{}:{}", base, version);
    image.state = state;
    auto edit = inventory_->edit();
    edit.create(image);
    EXPECT_TRUE(inventory_->commit(std::move(edit)));
    return image;
  }
  AssignNodes assign(std::vector<std::string> nodes, std::optional<std::string> image) const {
    return {.select = {std::move(nodes)}, .image = std::move(image)};
  }
  model::Node node(const std::string& name) const { return inventory_->find_by_name<model::Node>(name)->value; }

  bridgehead::testing::ManualClock clock_;
  SeededRandom random_{3};
  std::unique_ptr<state::StateStore> store_ = state::make_memory_store();
  std::unique_ptr<state::Inventory> inventory_ = std::move(*state::Inventory::open(*store_, clock_));
  Commander commander_{*inventory_, random_, clock_};
  const Caller caller_{.actor = "ann"};
};

TEST_F(NetbootCommandsTest, EnablingIsCheckedInFullFirst) {
  const auto refused = [&](auto change, std::string_view what) {
    auto request = good();
    change(request);
    const auto result = enable_netboot(commander_, caller_, request);
    ASSERT_FALSE(result) << what;
    EXPECT_EQ(result.error().code, ErrorCode::invalid_argument);
    EXPECT_TRUE(result.error().message.starts_with(what)) << result.error().message;
  };
  refused([](auto& r) { r.interface = "eth1; rm"; }, "interface");
  refused([](auto& r) { r.address = "10.20.0.1"; }, "address");
  refused([](auto& r) { r.address = "10.20.0.1/33"; }, "address");
  refused([](auto& r) { r.range = "10.20.0.100"; }, "range");
  refused([](auto& r) { r.range = "10.20.0.200-10.20.0.100"; }, "range");
  refused([](auto& r) { r.range = "10.21.0.100-10.21.0.200"; }, "range");
  refused([](auto& r) { r.range = "10.20.0.1-10.20.0.200"; }, "range: holds the manager's own address");
  refused([](auto& r) { r.range = "10.20.3.200-10.20.3.255"; }, "range: holds the network's own");
  refused([](auto& r) { r.mode = model::NetbootMode::proxy; }, "range: is given by the DHCP server that exists");
  refused([](auto& r) { r.http_port = 0; }, "http_port");
  refused([](auto& r) { r.nbd_servers = {"10.20.0.2"}; }, "nbd_servers");
  EXPECT_EQ(netboot_settings(*inventory_).mode, model::NetbootMode::off);
  EXPECT_FALSE(inventory_->find<model::NetbootSettings>(netboot_settings_id()));
}

TEST_F(NetbootCommandsTest, OnAndOffAgain) {
  ASSERT_TRUE(enable_netboot(commander_, caller_, good()));
  auto settings = netboot_settings(*inventory_);
  EXPECT_EQ(settings.mode, model::NetbootMode::full);
  EXPECT_EQ(settings.range_first, "10.20.0.100");
  EXPECT_EQ(settings.range_last, "10.20.3.250");
  EXPECT_EQ(settings.http_port, 7480);
  ASSERT_TRUE(disable_netboot(commander_, caller_));
  EXPECT_EQ(netboot_settings(*inventory_).mode, model::NetbootMode::off);
  EXPECT_TRUE(disable_netboot(commander_, caller_)) << "twice is no error";
  auto dry = caller_;
  dry.dry_run = true;
  ASSERT_TRUE(enable_netboot(commander_, dry, good()));
  EXPECT_EQ(netboot_settings(*inventory_).mode, model::NetbootMode::off);
}

TEST_F(NetbootCommandsTest, ProfilesKeepWhatIsNotGiven) {
  ASSERT_TRUE(set_profile(commander_, caller_, {.name = "gpu", .root = model::RootTransport::ram, .vlan = 100}));
  const auto changed = set_profile(commander_, caller_, {.name = "gpu", .arguments = {{"quiet"}}});
  ASSERT_TRUE(changed) << changed.error().describe();
  EXPECT_EQ(changed->root, model::RootTransport::ram);
  EXPECT_EQ(changed->vlan, 100);
  EXPECT_EQ(changed->arguments, std::vector<std::string>{"quiet"});
  EXPECT_FALSE(set_profile(commander_, caller_, {.name = "gpu", .arguments = {{"a b"}}}));
  EXPECT_FALSE(set_profile(commander_, caller_, {.name = "gpu", .arguments = {{"bh.server=http://evil"}}}));
  EXPECT_TRUE(set_profile(commander_, caller_, {.name = "own", .arguments = {{"bh.lease=static"}}}));
  EXPECT_FALSE(set_profile(commander_, caller_, {.name = "gpu", .bond_mode = "fast"}));
  EXPECT_FALSE(set_profile(commander_, caller_, {.name = "gpu", .overlay = "100%"}));
  EXPECT_FALSE(set_profile(commander_, caller_, {.name = "gpu", .files = {{{.path = "/etc/../shadow"}}}}));
  EXPECT_FALSE(set_profile(commander_, caller_, {.name = "gpu", .vlan = 5000}));
  EXPECT_EQ(*find_profile(*inventory_, "gpu"), *changed);
  EXPECT_EQ(find_profile(*inventory_, "")->name, "default");
  EXPECT_EQ(find_profile(*inventory_, "nope").error().code, ErrorCode::not_found);
}

TEST_F(NetbootCommandsTest, AProfileInUseStays) {
  add_node("n1");
  ASSERT_TRUE(set_profile(commander_, caller_, {.name = "gpu"}));
  ASSERT_TRUE(assign_nodes(commander_, caller_, {.select = {{"n1"}}, .profile = "gpu"}));
  const auto refused = delete_profile(commander_, caller_, "gpu");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("node 'n1'"), std::string::npos);
  ASSERT_TRUE(assign_nodes(commander_, caller_, {.select = {{"n1"}}, .profile = "default"}));
  EXPECT_TRUE(delete_profile(commander_, caller_, "gpu"));
}

TEST_F(NetbootCommandsTest, PatternsSelectNodesThatBootOverTheNetwork) {
  add_node("rack1-01");
  add_node("rack1-02");
  add_node("rack2-01");
  add_node("disk-01", false);
  add_image("debian-12", 3, model::NodeImageState::ready);
  add_image("debian-12", 4, model::NodeImageState::building);
  const auto assigned = assign_nodes(commander_, caller_, assign({"rack1-*", "rack1-02"}, "debian-12"));
  ASSERT_TRUE(assigned) << assigned.error().describe();
  EXPECT_EQ(assigned->size(), 2U);
  EXPECT_EQ(node("rack1-02").netboot->image, "debian-12:3") << "the newest that is ready";
  EXPECT_EQ(node("rack2-01").netboot->image, "");
  EXPECT_EQ(assign_nodes(commander_, caller_, assign({"rack9-*"}, "debian-12")).error().code, ErrorCode::not_found);
  EXPECT_EQ(assign_nodes(commander_, caller_, assign({"disk-01"}, "debian-12")).error().code,
            ErrorCode::failed_precondition);
  EXPECT_FALSE(assign_nodes(commander_, caller_, assign({"rack1-*"}, "debian-12:4"))) << "not ready";
  EXPECT_FALSE(assign_nodes(commander_, caller_, assign({"rack1-*", "nope"}, ""))) << "all or nothing";
  EXPECT_EQ(node("rack1-01").netboot->image, "debian-12:3");
  ASSERT_TRUE(approve_nodes(commander_, caller_, {.select = {{"*"}}}));
  EXPECT_EQ(node("rack2-01").netboot->approval, model::Approval::approved);
  EXPECT_FALSE(node("disk-01").netboot);
}

TEST_F(NetbootCommandsTest, ANodesOwnFilesWinOverItsProfiles) {
  const auto at = add_node("rack1-a");
  add_node("plain", false);
  const auto secret = [](const char* path, const char* sealed) {
    return model::SecretFile{.path = path, .size = 4_B, .sealed = sealed};
  };
  ASSERT_TRUE(set_profile(commander_, caller_,
                          {.name = "p", .secret_files = {{secret("/etc/a", "p"), secret("/etc/b", "p")}}}));
  ASSERT_TRUE(assign_nodes(commander_, caller_, {.select = {{"rack1-a"}}, .profile = "p"}));
  const auto wanted = [&] {
    std::string all;
    for (const auto& file : secret_files_for_node(*inventory_, at.id)) all += file.path + "=" + file.sealed + " ";
    return all;
  };
  EXPECT_EQ(wanted(), "") << "it wasn't let in";
  ASSERT_TRUE(approve_nodes(commander_, caller_, {.select = {{"rack1-a"}}}));
  EXPECT_EQ(wanted(), "/etc/a=p /etc/b=p ");
  ASSERT_TRUE(update_node(commander_, caller_, "rack1-a",
                          {.files = {{{"/etc/motd", "I am ${node}", 0644}}},
                           .secret_files = {{secret("/etc/b", "n"), secret("/etc/c", "n")}}}));
  EXPECT_EQ(wanted(), "/etc/a=p /etc/b=n /etc/c=n ");
  EXPECT_EQ(node("rack1-a").netboot->files.size(), 1U);
  ASSERT_TRUE(update_node(commander_, caller_, "rack1-a", {.schedulable = false}));
  EXPECT_EQ(wanted(), "/etc/a=p /etc/b=n /etc/c=n ") << "what isn't given stays";
  std::string told;
  for (const auto& event : inventory_->events_since(0, 100)) told += event.message + "\n";
  EXPECT_EQ(told.find("/etc/"), std::string::npos) << told;

  const auto before = node("rack1-a");
  const auto clash = update_node(commander_, caller_, "rack1-a", {.files = {{{"/etc/b", "plain", 0644}}}});
  ASSERT_FALSE(clash);
  EXPECT_TRUE(clash.error().message.starts_with("secret_files: /etc/b")) << clash.error().message;
  const auto variable = update_node(commander_, caller_, "rack1-a", {.files = {{{"/etc/x", "${nobody}", 0644}}}});
  ASSERT_FALSE(variable);
  EXPECT_TRUE(variable.error().message.starts_with("files: /etc/x: there is no variable")) << variable.error().message;
  EXPECT_EQ(node("rack1-a"), before);
  const auto disk = update_node(commander_, caller_, "plain", {.files = {{{"/etc/x", "", 0644}}}});
  ASSERT_FALSE(disk);
  EXPECT_EQ(disk.error().code, ErrorCode::failed_precondition);

  ASSERT_TRUE(approve_nodes(commander_, caller_, {.select = {{"rack1-a"}}, .approval = model::Approval::refused}));
  EXPECT_EQ(wanted(), "");
}

TEST_F(NetbootCommandsTest, AnAddressIsReservedForOneNode) {
  add_node("a");
  add_node("b");
  ASSERT_TRUE(assign_nodes(commander_, caller_, {.select = {{"a"}}, .address = "10.20.0.50"}));
  EXPECT_EQ(assign_nodes(commander_, caller_, {.select = {{"b"}}, .address = "10.20.0.50"}).error().code,
            ErrorCode::already_exists);
  EXPECT_FALSE(assign_nodes(commander_, caller_, {.select = {{"*"}}, .address = "10.20.0.51"}));
  EXPECT_FALSE(assign_nodes(commander_, caller_, {.select = {{"b"}}, .address = "host"}));
}

TEST_F(NetbootCommandsTest, VersionsAreNeverGivenTwice) {
  const auto first = build_node_image(commander_, caller_, {.base = "debian-12"});
  ASSERT_TRUE(first) << first.error().describe();
  EXPECT_EQ(first->object.name, "debian-12:1");
  EXPECT_EQ(first->operation.kind, model::operation_kind::node_image_build);
  EXPECT_FALSE(build_node_image(commander_, caller_, {.base = "debian-12"})) << "one at a time";
  EXPECT_EQ(first->operation.parameters.at("nic_drivers"), "servers");
  const auto fat = build_node_image(commander_, caller_, {.base = "rocky-9", .nic_drivers = "servers,ice"});
  ASSERT_TRUE(fat) << fat.error().describe();
  EXPECT_EQ(fat->operation.parameters.at("nic_drivers"), "servers,ice");
  EXPECT_FALSE(build_node_image(commander_, caller_, {.base = "debian-12", .role = "web"}));
  EXPECT_FALSE(import_node_image(commander_, caller_, {.base = "x", .path = "relative.tar"}));
  // The first failed and was deleted: its number is gone all the same.
  auto edit = inventory_->edit();
  auto done = inventory_->find<model::Operation>(first->operation.id);
  auto ended = done->value;
  ended.state = model::OperationState::failed;
  edit.update(done, ended);
  edit.remove(inventory_->find<model::NodeImage>(first->object.id));
  ASSERT_TRUE(inventory_->commit(std::move(edit)));
  EXPECT_EQ(build_node_image(commander_, caller_, {.base = "debian-12"})->object.name, "debian-12:2");
}

TEST_F(NetbootCommandsTest, AnImageInUseStays) {
  add_node("a");
  add_image("debian-12", 1, model::NodeImageState::ready);
  ASSERT_TRUE(assign_nodes(commander_, caller_, assign({"a"}, "debian-12:1")));
  const auto refused = delete_node_image(commander_, caller_, "debian-12:1");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("'a' is assigned to"), std::string::npos) << refused.error().message;
  ASSERT_TRUE(assign_nodes(commander_, caller_, assign({"a"}, "")));
  const auto deleting = delete_node_image(commander_, caller_, "debian-12:1");
  ASSERT_TRUE(deleting) << deleting.error().describe();
  EXPECT_EQ(deleting->object.state, model::NodeImageState::deleting);
  EXPECT_EQ(delete_node_image(commander_, caller_, "debian-12:1")->operation.id, deleting->operation.id);
}

}  // namespace
}  // namespace bridgehead::reconcile
