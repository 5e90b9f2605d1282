// BootBook and BootDesk against a real inventory: what each machine is told from its first packet on.
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/ids.h"
#include "base/testing/manual_clock.h"
#include "model/enum_names.h"
#include "pki/tokens.h"
#include "provision/boot_desk.h"
#include "reconcile/commands/netboot.h"
#include "state/memory_store.h"

namespace bridgehead::provision {
namespace {

constexpr char kMac[] = "52:54:00:aa:bb:01";

class ProvisionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    inventory_ = std::move(*state::Inventory::open(*store_, clock_));
    commander_ = std::make_unique<reconcile::Commander>(*inventory_, random_, clock_);
    directory_ = std::make_unique<TemporaryDirectory>(std::move(*TemporaryDirectory::create()));
    restart();
    enable();
  }
  // A new manager over the same records.
  void restart() {
    desk_.reset();
    book_ = std::make_unique<BootBook>(*inventory_, clock_, random_);
    desk_ = std::make_unique<BootDesk>(*inventory_, *book_, directory_->path() / "store",
                                       AgentDoor{.port = 7444, .ca_fingerprint = std::string(64, 'a')},
                                       directory_->path() / "first");
  }
  void enable(bool auto_approve = false) {
    reconcile::EnableNetboot request{.interface = "prov0",
                                     .address = "10.77.0.1/24",
                                     .range = "10.77.0.100-10.77.0.200",
                                     .auto_approve = auto_approve};
    const auto enabled = reconcile::enable_netboot(*commander_, {.actor = "test"}, request);
    ASSERT_TRUE(enabled) << enabled.error().describe();
  }
  model::NodeImage add_image(const std::string& name, std::vector<model::RootTransport> transports = {
                                                          model::RootTransport::nbd, model::RootTransport::ram}) {
    clock_.advance(std::chrono::seconds(1));
    model::NodeImage image;
    image.id = make_id<model::NodeImageId>(random_);
    image.name = name;
    image.base = name.substr(0, name.find(':'));
    image.version = static_cast<std::uint32_t>(std::stoul(name.substr(name.find(':') + 1)));
    image.state = model::NodeImageState::ready;
    image.transports = std::move(transports);
    image.root_sha256 = std::string(64, '0');
    image.root_size = 100_MiB;
    image.created = clock_.now();
    auto edit = inventory_->edit();
    edit.create(image);
    EXPECT_TRUE(inventory_->commit(std::move(edit)));
    return image;
  }
  netboot::BootAnswer get(const std::string& path, std::vector<std::pair<std::string, std::string>> query) {
    return ask("GET", path, std::move(query), "");
  }
  netboot::BootAnswer post(const std::string& path, std::vector<std::pair<std::string, std::string>> query,
                           std::string body = "") {
    return ask("POST", path, std::move(query), std::move(body));
  }
  netboot::BootAnswer ask(std::string method, std::string path, std::vector<std::pair<std::string, std::string>> query,
                          std::string body) {
    netboot::BootRequest request;
    request.method = std::move(method);
    request.path = std::move(path);
    request.query = std::move(query);
    request.body = std::move(body);
    request.remote_address = "10.77.0.101";
    return desk_->answer(request);
  }
  netboot::BootAnswer plan(const std::string& boot, const std::string& mac = kMac) {
    return get("/boot/v1/plan", {{"mac", mac}, {"uuid", "u-1"}, {"serial", "s-1"}, {"boot", boot}});
  }
  model::Node node(const std::string& mac = kMac) {
    const auto record = book_->find(mac);
    EXPECT_TRUE(record);
    return record ? record->value : model::Node{};
  }
  void approve_and_assign(const std::string& image) {
    const std::vector<std::string> all{"*"};
    ASSERT_TRUE(reconcile::approve_nodes(*commander_, {.actor = "test"}, {.select = {all}}));
    const auto assigned = reconcile::assign_nodes(*commander_, {.actor = "test"}, {.select = {all}, .image = image});
    ASSERT_TRUE(assigned) << assigned.error().describe();
  }
  std::vector<std::string> steps() {
    std::vector<std::string> result;
    const auto boot = inventory_->find<model::Boot>(node().id);
    if (!boot) return result;
    for (const auto& event : boot->value.events) {
      result.push_back(
          fmt::format("{}{}{}", model::to_string(event.step), event.message.empty() ? "" : " ", event.message));
    }
    return result;
  }

  bridgehead::testing::ManualClock clock_;
  SeededRandom random_{7};
  std::unique_ptr<state::StateStore> store_ = state::make_memory_store();
  std::unique_ptr<state::Inventory> inventory_;
  std::unique_ptr<reconcile::Commander> commander_;
  std::unique_ptr<TemporaryDirectory> directory_;
  std::unique_ptr<BootBook> book_;
  std::unique_ptr<BootDesk> desk_;
};

// The value of "key=" in a plan, or of an argument of a script's kernel line.
std::string value_of(const std::string& text, const std::string& key) {
  const auto at = text.find(key + "=");
  if (at == std::string::npos) return {};
  const auto begin = at + key.size() + 1;
  return text.substr(begin, text.find_first_of(" \n", begin) - begin);
}

TEST_F(ProvisionTest, AnUnknownMachineReportsItselfWaitsAndThenBoots) {
  add_image("debian-12:1");
  const auto script = get("/boot/v1/ipxe", {{"mac", "52-54-00-AA-BB-01"}, {"uuid", "u-1"}, {"serial", "s-1"}});
  EXPECT_EQ(script.status, 200);
  const auto boot = value_of(script.body, "bh.boot");
  ASSERT_EQ(boot.size(), 64U) << script.body;
  EXPECT_EQ(value_of(script.body, "bh.address"), "10.77.0.101/24");
  EXPECT_EQ(node().netboot->approval, model::Approval::waiting);
  EXPECT_EQ(node().netboot->address, "10.77.0.101");
  EXPECT_EQ(node().netboot->uuid, "u-1");

  const auto waiting = plan(boot);
  EXPECT_EQ(waiting.status, 200);
  EXPECT_EQ(value_of(waiting.body, "root"), "none");
  EXPECT_EQ(value_of(waiting.body, "boot"), boot);
  EXPECT_EQ(waiting.body.find("join"), std::string::npos) << "nothing secret before the approval";

  const auto told = post("/boot/v1/hardware", {{"boot", boot}},
                         R"({"cpus":8,"memory":17179869184,"vendor":"ACME","product":"R1","nics":[{"name":"eth0",)"
                         R"("mac":"52:54:00:aa:bb:01","driver":"virtio_net","speed_mbit":10000}],"disks":[7]})");
  EXPECT_EQ(told.status, 204) << told.body;
  EXPECT_EQ(node().netboot->hardware.cpus, 8U);
  EXPECT_EQ(node().netboot->hardware.nics, std::vector<std::string>{"eth0 52:54:00:aa:bb:01 virtio_net 10000 Mbit/s"});

  const std::vector<std::string> all{"*"};
  ASSERT_TRUE(reconcile::approve_nodes(*commander_, {.actor = "test"}, {.select = {all}}));
  const auto without_image = plan(boot);
  EXPECT_EQ(without_image.status, 403);
  EXPECT_NE(without_image.body.find("no node image is assigned"), std::string::npos) << without_image.body;
  approve_and_assign("debian-12");

  const auto full = plan(boot);
  EXPECT_EQ(full.status, 200) << full.body;
  EXPECT_EQ(value_of(full.body, "root"), "nbd");
  EXPECT_EQ(value_of(full.body, "nbd.server"), "10.77.0.1:10809");
  EXPECT_EQ(value_of(full.body, "hostname"), "node-525400aabb01");
  EXPECT_NE(value_of(full.body, "boot"), boot) << "the real boot has a token of its own";
  const auto ticket = pki::parse_join_token(value_of(full.body, "join"));
  ASSERT_TRUE(ticket) << ticket.error().describe();
  EXPECT_EQ(ticket->address, "10.77.0.1:7444");
  const auto token = inventory_->find<model::JoinToken>(ticket->id);
  ASSERT_TRUE(token);
  EXPECT_EQ(token->value.node, node().id);
  EXPECT_EQ(plan(boot).status, 200) << "the old token is unknown now: a new boot begins, nobody is locked out";
  EXPECT_FALSE(inventory_->find<model::JoinToken>(ticket->id)) << "a newer plan ends the join token before";
}

TEST_F(ProvisionTest, AnotherImageThanTheOneItDiscoveredWithNeedsAReboot) {
  add_image("debian-12:1");
  const auto boot = value_of(get("/boot/v1/ipxe", {{"mac", kMac}}).body, "bh.boot");
  add_image("rocky-9:1");
  approve_and_assign("rocky-9");
  EXPECT_EQ(plan(boot).status, 409);
  const auto script = get("/boot/v1/ipxe", {{"mac", kMac}});
  const auto next = plan(value_of(script.body, "bh.boot"));
  EXPECT_EQ(next.status, 200) << next.body;
  EXPECT_EQ(value_of(next.body, "image"), "rocky-9:1");
}

TEST_F(ProvisionTest, ARefusedMachineGetsNothing) {
  add_image("debian-12:1");
  const auto boot = value_of(get("/boot/v1/ipxe", {{"mac", kMac}}).body, "bh.boot");
  const std::vector<std::string> all{"*"};
  ASSERT_TRUE(reconcile::approve_nodes(*commander_, {.actor = "test"},
                                       {.select = {all}, .approval = model::Approval::refused}));
  EXPECT_EQ(plan(boot).status, 403);
  const auto script = get("/boot/v1/ipxe", {{"mac", kMac}});
  EXPECT_NE(script.body.find("this machine was refused"), std::string::npos) << script.body;
  EXPECT_EQ(script.body.find("bh.boot"), std::string::npos);
  EXPECT_TRUE(inventory_->all<model::JoinToken>().empty());
}

TEST_F(ProvisionTest, TheBootOfAnotherMachineIsRefused) {
  add_image("debian-12:1");
  const auto theirs = value_of(get("/boot/v1/ipxe", {{"mac", kMac}}).body, "bh.boot");
  approve_and_assign("debian-12");
  const auto stolen = plan(theirs, "52:54:00:aa:bb:02");
  EXPECT_EQ(stolen.status, 403);
  EXPECT_EQ(stolen.body.find("join"), std::string::npos);
}

TEST_F(ProvisionTest, AutoApprovalAssignsTheNewestImage) {
  enable(true);
  add_image("debian-12:1");
  add_image("debian-12:2");
  const auto script = get("/boot/v1/ipxe", {{"mac", kMac}});
  const auto full = plan(value_of(script.body, "bh.boot"));
  EXPECT_EQ(value_of(full.body, "image"), "debian-12:2") << full.body;
  EXPECT_NE(script.body.find("debian-12:1"), std::string::npos) << "older versions are in the menu: " << script.body;
}

TEST_F(ProvisionTest, AMachineThatCameBeforeTheFirstImageGetsItWhenThereIsOne) {
  enable(true);
  EXPECT_EQ(plan("").status, 403);
  EXPECT_EQ(node().netboot->image, "");
  add_image("debian-12:1");
  const auto full = plan("");
  EXPECT_EQ(full.status, 200) << full.body;
  EXPECT_EQ(node().netboot->image, "debian-12:1");
}

TEST_F(ProvisionTest, AnOlderImageCanBeChosenAtTheLoader) {
  enable(true);
  const auto older = add_image("debian-12:1");
  add_image("debian-12:2");
  get("/boot/v1/ipxe", {{"mac", kMac}});
  const auto script = get("/boot/v1/ipxe", {{"mac", kMac}, {"image", older.id.str()}});
  const auto full = plan(value_of(script.body, "bh.boot"));
  EXPECT_EQ(value_of(full.body, "image"), "debian-12:1") << full.body;
  EXPECT_EQ(node().netboot->image, "debian-12:2") << "for this boot only";
}

TEST_F(ProvisionTest, TheStoryOfABootSurvivesTheManager) {
  enable(true);
  add_image("debian-12:1");
  const auto first = value_of(get("/boot/v1/ipxe", {{"mac", kMac}}).body, "bh.boot");
  const auto note = [&](const std::string& step, const std::string& message) {
    return post("/boot/v1/progress", {{"boot", first}, {"step", step}, {"message", message}}).status;
  };
  EXPECT_EQ(note("kernel", "6.1.0"), 204);
  restart();
  EXPECT_EQ(note("bridge", "br0\x1b[31m 10.77.0.101"), 204);
  EXPECT_EQ(note("bridge", "br0\x1b[31m 10.77.0.101"), 204) << "sent again: its answer was lost";
  EXPECT_EQ(note("ready", ""), 400) << "only the manager knows that";
  EXPECT_EQ(note("lunch", ""), 400);
  EXPECT_EQ(steps(),
            (std::vector<std::string>{"bootstrap debian-12:1", "kernel 6.1.0", "bridge br0?[31m 10.77.0.101"}));
  EXPECT_EQ(post("/boot/v1/log", {{"boot", first}}, "one\n\ntwo\n").status, 204);
  EXPECT_EQ(inventory_->find<model::Boot>(node().id)->value.log, (std::vector<std::string>{"one", "two"}));

  get("/boot/v1/ipxe", {{"mac", kMac}});
  EXPECT_EQ(note("root", ""), 404) << "a newer boot has begun";
  EXPECT_EQ(steps(), std::vector<std::string>{"bootstrap debian-12:1"});
}

TEST_F(ProvisionTest, SightingsOfDhcpOpenABootAndDoNotDisturbOne) {
  enable(true);
  add_image("debian-12:1");
  const auto token = value_of(get("/boot/v1/ipxe", {{"mac", kMac}}).body, "bh.boot");
  const auto id = node().id;
  post("/boot/v1/progress", {{"boot", token}, {"step", "kernel"}});
  ASSERT_TRUE(book_->sighted(id, model::BootStep::dhcp, "10.77.0.101"));
  EXPECT_EQ(steps().back(), "kernel") << "our own initramfs asks by DHCP, too";
  ASSERT_TRUE(book_->note(id, model::BootStep::agent, ""));
  ASSERT_TRUE(book_->note(id, model::BootStep::ready, ""));
  ASSERT_TRUE(book_->note(id, model::BootStep::ready, ""));
  EXPECT_EQ(steps().back(), "ready");
  ASSERT_TRUE(book_->sighted(id, model::BootStep::dhcp, "10.77.0.101"));
  EXPECT_EQ(steps(), std::vector<std::string>{"dhcp 10.77.0.101"}) << "powered on again";
  get("/boot/v1/ipxe", {{"mac", kMac}});
  EXPECT_EQ(steps(), (std::vector<std::string>{"dhcp 10.77.0.101", "bootstrap debian-12:1"}));
}

TEST_F(ProvisionTest, TheFirstBootOfAStrangerBeginsWithItsAddress) {
  enable(true);
  add_image("debian-12:1");
  ASSERT_TRUE(book_->got_address(kMac, "10.77.0.101"));
  EXPECT_TRUE(inventory_->all<model::Node>().empty()) << "an address alone makes no node";
  clock_.advance(std::chrono::seconds(3));
  get("/boot/v1/ipxe", {{"mac", kMac}});
  EXPECT_EQ(steps(), (std::vector<std::string>{"dhcp 10.77.0.101", "bootstrap debian-12:1"}));
}

TEST_F(ProvisionTest, RootsByEachTransport) {
  enable(true);
  add_image("debian-12:1", {model::RootTransport::nbd, model::RootTransport::nfs, model::RootTransport::ram});
  get("/boot/v1/ipxe", {{"mac", kMac}});
  const auto with_root = [&](model::RootTransport root) {
    reconcile::ProfileRequest profile{.name = "p", .root = root};
    EXPECT_TRUE(reconcile::set_profile(*commander_, {.actor = "test"}, profile));
    const std::vector<std::string> all{"*"};
    EXPECT_TRUE(reconcile::assign_nodes(*commander_, {.actor = "test"}, {.select = {all}, .profile = "p"}));
    return plan(value_of(get("/boot/v1/ipxe", {{"mac", kMac}}).body, "bh.boot")).body;
  };
  EXPECT_TRUE(value_of(with_root(model::RootTransport::nfs), "nfs.source").starts_with("10.77.0.1:/images/"));
  const auto ram = with_root(model::RootTransport::ram);
  EXPECT_TRUE(value_of(ram, "ram.url").starts_with("http://10.77.0.1:7480/boot/files/")) << ram;
  EXPECT_EQ(value_of(ram, "ram.size"), std::to_string((100_MiB).count()));
  add_image("debian-12:2");  // without a tree
  const std::vector<std::string> all{"*"};
  ASSERT_TRUE(reconcile::assign_nodes(*commander_, {.actor = "test"}, {.select = {all}, .image = "debian-12"}));
  const auto refused = with_root(model::RootTransport::nfs);
  EXPECT_NE(refused.find("can't be a root by nfs"), std::string::npos) << refused;
  const auto script = get("/boot/v1/ipxe", {{"mac", kMac}});
  EXPECT_EQ(script.body.find("bh.boot"), std::string::npos) << script.body;
}

TEST_F(ProvisionTest, ProfileFilesComeAsABundle) {
  enable(true);
  add_image("debian-12:1");
  get("/boot/v1/ipxe", {{"mac", kMac}});
  reconcile::ProfileRequest profile{.name = "p", .files = {{{.path = "/etc/motd", .content = "I am ${node}\n"}}}};
  ASSERT_TRUE(reconcile::set_profile(*commander_, {.actor = "test"}, profile));
  const std::vector<std::string> all{"*"};
  ASSERT_TRUE(reconcile::assign_nodes(*commander_, {.actor = "test"}, {.select = {all}, .profile = "p"}));
  const auto text = plan(value_of(get("/boot/v1/ipxe", {{"mac", kMac}}).body, "bh.boot")).body;
  const auto url = value_of(text, "bundle.url");
  ASSERT_TRUE(url.starts_with("http://10.77.0.1:7480/boot/v1/bundle?boot=")) << text;
  const auto tar = get("/boot/v1/bundle", {{"boot", url.substr(url.find("boot=") + 5)}});
  EXPECT_EQ(tar.status, 200);
  EXPECT_EQ(pki::sha256_hex(tar.body), value_of(text, "bundle.sha256"));
  EXPECT_NE(tar.body.find("I am node-525400aabb01"), std::string::npos);
  EXPECT_EQ(get("/boot/v1/bundle", {{"boot", std::string(64, 'f')}}).status, 404);
}

TEST_F(ProvisionTest, NonsenseIsRefusedAndChangesNothing) {
  const auto image = add_image("debian-12:1");
  for (const char* mac : {"", "zz", "52:54:00:aa:bb", "52:54:00:aa:bb:01\nbh.x=1", "../../etc"}) {
    EXPECT_EQ(plan("", mac).status, 400) << mac;
  }
  EXPECT_TRUE(inventory_->all<model::Node>().empty());
  EXPECT_EQ(get("/boot/files/" + image.id.str() + "/manifest.json", {}).status, 404);
  EXPECT_EQ(get("/boot/files/" + image.id.str() + "/../../../etc/passwd", {}).status, 404);
  EXPECT_EQ(get("/boot/files/nope/vmlinuz", {}).status, 404);
  EXPECT_EQ(get("/boot/first/../secrets", {}).status, 404);
  EXPECT_EQ(get("/boot/first/.hidden", {}).status, 404);
  EXPECT_EQ(post("/boot/v1/hardware", {{"boot", "nope"}}, "{}").status, 404);
  EXPECT_EQ(get("/", {}).status, 404);
  const auto file = get("/boot/files/" + image.id.str() + "/vmlinuz", {});
  ASSERT_TRUE(file.file);
  EXPECT_EQ(file.file->path, nodeimage::image_directory(directory_->path() / "store", image.id) / "vmlinuz");
}

TEST_F(ProvisionTest, AMachineWithoutAnyImageIsToldSo) {
  const auto script = get("/boot/v1/ipxe", {{"mac", kMac}});
  EXPECT_NE(script.body.find("there is no node image yet"), std::string::npos) << script.body;
  EXPECT_EQ(node().netboot->approval, model::Approval::waiting) << "but it is known now";
}

}  // namespace
}  // namespace bridgehead::provision
