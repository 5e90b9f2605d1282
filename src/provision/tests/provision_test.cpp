// What each machine is told from its first packet on.
#include "model/past_boots.h"
#include "provision/tests/provision_fixture.h"

namespace bridgehead::provision {
namespace {

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
  EXPECT_NE(waiting.body.find("waits for approval: bh node approve node-525400aabb01"), std::string::npos);

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
  const auto past = [&] { return inventory_->find<model::PastBoots>(node().id)->value.boots; };
  ASSERT_EQ(past().size(), 1u) << "the one before can still be read";
  EXPECT_EQ(past()[0].log, (std::vector<std::string>{"one", "two"}));
  EXPECT_EQ(past()[0].events.back().step, model::BootStep::bridge);
  EXPECT_EQ(past()[0].token_sha256, "");
  for (int n = 0; n < 10; ++n) {
    const auto token = value_of(get("/boot/v1/ipxe", {{"mac", kMac}}).body, "bh.boot");
    post("/boot/v1/progress", {{"boot", token}, {"step", "kernel"}, {"message", std::to_string(n)}});
    clock_.advance(std::chrono::seconds(5));
  }
  ASSERT_EQ(past().size(), 5u);
  EXPECT_EQ(past()[0].events.back().message, "8") << "newest first";
}

TEST_F(ProvisionTest, StepsThatAreToldLateGetTheirPlace) {
  enable(true);
  add_image("debian-12:1");
  const auto token = value_of(get("/boot/v1/ipxe", {{"mac", kMac}}).body, "bh.boot");
  const auto tell = [&](const std::string& step, const std::string& age) {
    return post("/boot/v1/progress", {{"boot", token}, {"step", step}, {"message", "m"}, {"age", age}}).status;
  };
  clock_.advance(std::chrono::seconds(30));
  EXPECT_EQ(tell("kernel", "0"), 204);
  clock_.advance(std::chrono::seconds(60));
  const auto joined = clock_.now();
  ASSERT_TRUE(book_->note(node().id, model::BootStep::agent));
  clock_.advance(std::chrono::seconds(10));
  ASSERT_TRUE(book_->note(node().id, model::BootStep::ready));
  EXPECT_EQ(tell("root", "40000"), 204);
  EXPECT_EQ(tell("handover", "38000"), 204);
  clock_.advance(std::chrono::seconds(3));
  EXPECT_EQ(tell("handover", "41200"), 204) << "its answer was lost";
  EXPECT_EQ(steps(),
            (std::vector<std::string>{"bootstrap debian-12:1", "kernel m", "root m", "handover m", "agent", "ready"}));
  const auto events = inventory_->find<model::Boot>(node().id)->value.events;
  EXPECT_EQ(events[3].time, joined - std::chrono::seconds(28));
  EXPECT_EQ(tell("fallback", "86400000"), 204);
  EXPECT_EQ(inventory_->find<model::Boot>(node().id)->value.events[1].time, events[0].time) << "not before its boot";
  for (const std::string wrong : {"-1", "x", "1x", "86400001", "99999999999999999999"})
    EXPECT_EQ(tell("root", wrong), 400);
}

using netboot::Asker;
using Steps = std::vector<std::string>;

TEST_F(ProvisionTest, DhcpOpensABootAndDoesNotDisturbOne) {
  enable(true);
  add_image("debian-12:1");
  const auto token = value_of(get("/boot/v1/ipxe", {{"mac", kMac}}).body, "bh.boot");
  const auto id = node().id;
  post("/boot/v1/progress", {{"boot", token}, {"step", "kernel"}});
  const auto got_address = [&](Asker asker) { EXPECT_TRUE(book_->got_address(kMac, "10.77.0.101", asker)); };
  clock_.advance(std::chrono::seconds(10));
  got_address(Asker::other);
  EXPECT_EQ(steps().back(), "kernel") << "our own initramfs asks by DHCP, too";
  ASSERT_TRUE(book_->note(id, model::BootStep::agent));
  ASSERT_TRUE(book_->note(id, model::BootStep::ready));
  ASSERT_TRUE(book_->note(id, model::BootStep::ready));
  clock_.advance(std::chrono::hours(6));
  got_address(Asker::other);
  EXPECT_EQ(steps().back(), "ready") << "a node that renews its lease";
  for (const auto asker : {Asker::firmware, Asker::loader}) {
    got_address(asker);
    EXPECT_EQ(steps(), std::vector<std::string>{"dhcp 10.77.0.101"}) << "powered on again";
    get("/boot/v1/ipxe", {{"mac", kMac}});
    EXPECT_EQ(steps(), (std::vector<std::string>{"dhcp 10.77.0.101", "bootstrap debian-12:1"}));
    clock_.advance(std::chrono::hours(1));
  }
}

TEST_F(ProvisionTest, DhcpsLogMayComeAfterTheLoadersQuestion) {
  enable(true);
  add_image("debian-12:1");
  get("/boot/v1/ipxe", {{"mac", kMac}});
  clock_.advance(std::chrono::milliseconds(20));
  ASSERT_TRUE(book_->got_address(kMac, "10.77.0.101", Asker::firmware));
  ASSERT_TRUE(book_->got_address(kMac, "10.77.0.101", Asker::loader));
  EXPECT_EQ(steps(), (std::vector<std::string>{"dhcp 10.77.0.101", "bootstrap debian-12:1"}));
  const auto boot = inventory_->find<model::Boot>(node().id);
  EXPECT_LE(boot->value.events[0].time, boot->value.events[1].time);
}

TEST_F(ProvisionTest, DhcpsLogMayComeEvenLater) {
  enable(true);
  add_image("debian-12:1");
  const auto token = value_of(get("/boot/v1/ipxe", {{"mac", kMac}}).body, "bh.boot");
  post("/boot/v1/progress", {{"boot", token}, {"step", "kernel"}});
  ASSERT_TRUE(book_->got_address(kMac, "10.77.0.101", Asker::firmware));
  ASSERT_TRUE(book_->got_address(kMac, "10.77.0.102", Asker::other)) << "our own initramfs asks, too";
  EXPECT_EQ(steps(), (std::vector<std::string>{"dhcp 10.77.0.101", "bootstrap debian-12:1", "kernel"}));
}

TEST_F(ProvisionTest, AMachineThatLosesPowerInMidBootBeginsANewStory) {
  enable(true);
  add_image("debian-12:1");
  const auto token = value_of(get("/boot/v1/ipxe", {{"mac", kMac}}).body, "bh.boot");
  post("/boot/v1/progress", {{"boot", token}, {"step", "kernel"}});
  post("/boot/v1/progress", {{"boot", token}, {"step", "bridge"}});
  clock_.advance(std::chrono::seconds(5));
  ASSERT_TRUE(book_->got_address(kMac, "10.77.0.101", Asker::firmware));
  EXPECT_EQ(steps().back(), "bridge") << "it is told when the loader asks for its script";
  get("/boot/v1/ipxe", {{"mac", kMac}});
  EXPECT_EQ(steps(), (std::vector<std::string>{"dhcp 10.77.0.101", "bootstrap debian-12:1"}));
}

TEST_F(ProvisionTest, TheFirstBootOfAStrangerBeginsWithItsAddress) {
  enable(true);
  add_image("debian-12:1");
  ASSERT_TRUE(book_->got_address(kMac, "10.77.0.101", Asker::other));
  ASSERT_TRUE(book_->got_address(kMac, "10.77.0.102", Asker::firmware));
  const auto begun = clock_.now();
  clock_.advance(std::chrono::minutes(4));
  ASSERT_TRUE(book_->got_address(kMac, "10.77.0.102", Asker::loader));
  EXPECT_TRUE(inventory_->all<model::Node>().empty()) << "an address alone makes no node";
  clock_.advance(std::chrono::minutes(4));
  get("/boot/v1/ipxe", {{"mac", kMac}});
  EXPECT_EQ(steps(), (Steps{"dhcp 10.77.0.102", "bootstrap debian-12:1"})) << "a slow loader loses nothing";
  EXPECT_EQ(inventory_->find<model::Boot>(node().id)->value.started, begun);
}

TEST_F(ProvisionTest, ASlowLoaderLosesNoStep) {
  enable(true);
  const auto older = add_image("debian-12:1");
  add_image("debian-12:2");
  get("/boot/v1/ipxe", {{"mac", kMac}});
  clock_.advance(std::chrono::hours(1));
  const auto begun = clock_.now();
  for (const auto asker : {Asker::firmware, Asker::loader}) {
    ASSERT_TRUE(book_->got_address(kMac, "10.77.0.101", asker));
    clock_.advance(std::chrono::minutes(5));
  }
  restart();  // what it has learned is in the records
  get("/boot/v1/ipxe", {{"mac", kMac}});
  clock_.advance(std::chrono::minutes(20));  // somebody looks at the menu
  get("/boot/v1/ipxe", {{"mac", kMac}, {"image", older.id.str()}});
  EXPECT_EQ(steps(), (Steps{"dhcp 10.77.0.101", "bootstrap debian-12:2", "bootstrap debian-12:1"}));
  EXPECT_EQ(inventory_->find<model::Boot>(node().id)->value.started, begun);
}

TEST_F(ProvisionTest, APowerCycleInTheLoaderBeginsANewStory) {
  enable(true);
  add_image("debian-12:1");
  get("/boot/v1/ipxe", {{"mac", kMac}});
  for (const auto asker : {Asker::firmware, Asker::loader}) {
    for (int i = 0; i < 2; ++i) {
      clock_.advance(std::chrono::seconds(20));
      ASSERT_TRUE(book_->got_address(kMac, "10.77.0.101", asker));
    }
    const auto boot = inventory_->find<model::Boot>(node().id)->value;
    EXPECT_EQ(steps(), Steps{"dhcp 10.77.0.101"});
    EXPECT_EQ(boot.started, clock_.now()) << "the second one: it came no further before";
  }
}

TEST_F(ProvisionTest, BootsBesideAnotherDhcpServerAreToldApartByTime) {
  enable(true);
  add_image("debian-12:1");
  get("/boot/v1/ipxe", {{"mac", kMac}});
  clock_.advance(std::chrono::seconds(30));
  get("/boot/v1/ipxe", {{"mac", kMac}});
  EXPECT_EQ(steps(), (Steps{"bootstrap debian-12:1", "bootstrap debian-12:1"})) << "the loader asks again";
  clock_.advance(std::chrono::minutes(5));
  get("/boot/v1/ipxe", {{"mac", kMac}});
  EXPECT_EQ(steps(), Steps{"bootstrap debian-12:1"}) << "the machine was powered on again";
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

TEST_F(ProvisionTest, TheRootOfABootIsWhatItsPlanSaid) {
  enable(true);
  add_image("debian-12:1");
  const auto boot = value_of(get("/boot/v1/ipxe", {{"mac", kMac}}).body, "bh.boot");
  EXPECT_EQ(inventory_->find<model::Boot>(node().id)->value.root, model::RootTransport::nbd);
  const reconcile::ProfileRequest in_ram{.name = "default", .root = model::RootTransport::ram};
  ASSERT_TRUE(reconcile::set_profile(*commander_, {.actor = "test"}, in_ram));
  EXPECT_EQ(value_of(plan(boot).body, "root"), "ram");
  EXPECT_EQ(inventory_->find<model::Boot>(node().id)->value.root, model::RootTransport::ram);
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

TEST_F(ProvisionTest, ANodesFilesWinAndSecretsStayOutOfTheBundle) {
  enable(true);
  add_image("debian-12:1");
  get("/boot/v1/ipxe", {{"mac", kMac}});
  const reconcile::Caller caller{.actor = "test"};
  reconcile::ProfileRequest profile{.name = "default"};
  profile.files = {{{.path = "/etc/a", .content = "profile's a"}, {.path = "/etc/b", .content = "profile's b"}}};
  profile.secret_files = {{{.path = "/etc/profile-key", .sealed = "sealed-in-profile"}}};
  ASSERT_TRUE(reconcile::set_profile(*commander_, caller, profile));
  reconcile::UpdateNode own;
  own.files = {{{.path = "/etc/b", .content = "${node}'s b"}, {.path = "/etc/c", .content = "its c"}}};
  own.secret_files = {{{.path = "/etc/node-key", .sealed = "sealed-in-node"}}};
  ASSERT_TRUE(reconcile::update_node(*commander_, caller, "node-525400aabb01", own));
  const auto text = plan(value_of(get("/boot/v1/ipxe", {{"mac", kMac}}).body, "bh.boot")).body;
  const auto url = value_of(text, "bundle.url");
  const auto tar = get("/boot/v1/bundle", {{"boot", url.substr(url.find("boot=") + 5)}}).body;
  EXPECT_EQ(pki::sha256_hex(tar), value_of(text, "bundle.sha256"));
  for (const char* there : {"profile's a", "node-525400aabb01's b", "its c"}) {
    EXPECT_NE(tar.find(there), std::string::npos) << there;
  }
  for (const char* not_there : {"profile's b", "profile-key", "node-key", "sealed"}) {
    EXPECT_EQ((tar + text).find(not_there), std::string::npos) << not_there;
  }
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
  const auto stored = nodeimage::image_directory(directory_->path() / "store", image.id);
  EXPECT_EQ(file.file->path, stored / "vmlinuz");
  const auto root = get("/boot/files/" + image.id.str() + "/root", {});
  ASSERT_TRUE(root.file);
  EXPECT_EQ(root.file->path, stored / "root.squashfs");
}

TEST_F(ProvisionTest, AMachineWithoutAnyImageIsToldSo) {
  const auto script = get("/boot/v1/ipxe", {{"mac", kMac}});
  EXPECT_NE(script.body.find("there is no node image yet"), std::string::npos) << script.body;
  EXPECT_EQ(node().netboot->approval, model::Approval::waiting) << "but it is known now";
}

}  // namespace
}  // namespace bridgehead::provision
