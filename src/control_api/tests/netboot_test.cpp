// Machines that boot over the network: what the routes refuse, what dry runs leave, and what GET /status makes of them.
#include "control_api/testing/api_fixture.h"

namespace bridgehead::control_api::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class NetbootApiTest : public ApiFixture {
 protected:
  void SetUp() override { fill_cluster(); }

  HttpAnswer put(std::string_view below, const nlohmann::json& body) {
    return send({.method = "PUT", .path = path(below), .body = body.dump()});
  }
  std::string field_of(const HttpAnswer& answer) {
    EXPECT_EQ(answer.status, 400) << answer.body;
    return answer.json().value("field", "");
  }
  // "kind object: message" of every problem.
  std::vector<std::string> problems() {
    std::vector<std::string> all;
    const auto status = get(path("/status")).json();
    for (const auto& problem : status["problems"]) {
      all.push_back(fmt::format("{} {}: {}", problem["object_kind"].get<std::string>(),
                                problem["object"].get<std::string>(), problem["message"].get<std::string>()));
    }
    return all;
  }
};

TEST_F(NetbootApiTest, TakesTheInterfacesOwnAddress) {
  start_server();
  const auto enabled = put("/netboot", {{"interface", "lo"}, {"range", "127.0.0.100-127.0.0.200"}});
  ASSERT_EQ(enabled.status, 200) << enabled.body;
  EXPECT_EQ(enabled.json()["settings"]["address"], "127.0.0.1/8");
  const auto unknown = put("/netboot", {{"interface", "nosuch0"}, {"mode", "proxy"}});
  EXPECT_EQ(field_of(unknown), "interface");
  EXPECT_THAT(unknown.json()["detail"].get<std::string>(), HasSubstr("has no 'nosuch0'"));
  EXPECT_THAT(unknown.json()["hint"].get<std::string>(), HasSubstr("It has")) << "says which there are";
  EXPECT_EQ(get(path("/netboot")).json()["settings"], enabled.json()["settings"]) << "a refusal changes nothing";
}

TEST_F(NetbootApiTest, RefusesWrongSettingsByField) {
  start_server();
  const auto refused = [&](nlohmann::json change) {
    nlohmann::json body = {{"interface", "lo"}, {"range", "127.0.0.100-127.0.0.200"}};
    body.update(change);
    return field_of(put("/netboot", body));
  };
  EXPECT_EQ(refused({{"mode", "off"}}), "mode");
  EXPECT_EQ(refused({{"mode", "loud"}}), "mode");
  EXPECT_EQ(refused({{"range", "10.0.0.1"}}), "range");
  EXPECT_EQ(refused({{"address", "127.0.0.1"}}), "address");
  EXPECT_EQ(refused({{"http_port", 0}}), "http_port");
  EXPECT_EQ(refused({{"nbd_port", 70'000}}), "nbd_port");
  EXPECT_EQ(refused({{"nbd_servers", {"x"}}}), "nbd_servers");
  EXPECT_EQ(refused({{"auto_approve", "yes"}}), "auto_approve");
  EXPECT_EQ(refused({{"dhcp", true}}), "dhcp");
  EXPECT_EQ(field_of(put("/netboot", nlohmann::json::object())), "interface");
  EXPECT_EQ(get(path("/netboot")).json()["settings"]["mode"], "off");
}

TEST_F(NetbootApiTest, ApprovesAssignsAndRefuses) {
  make_node_image("debian-12", 3, model::NodeImageState::ready);
  make_netboot_node("rack1-a", model::Approval::waiting, "");
  const auto second = make_netboot_node("rack1-b", model::Approval::waiting, "");
  start_server();
  const auto dry = post(path("/netboot/approve?dry_run=true"), {{"nodes", {"rack1-*"}}}).json();
  EXPECT_EQ(dry["dry_run"], true);
  EXPECT_EQ(dry["nodes"].size(), 2U);
  EXPECT_EQ(inventory->find<model::Node>(second.id)->value.netboot->approval, model::Approval::waiting);
  EXPECT_EQ(post(path("/netboot/approve"), {{"nodes", {"rack1-*"}}}).json()["nodes"][1]["netboot"]["approval"],
            "approved");
  post(path("/netboot/approve"), {{"nodes", {second.id.str()}}, {"refuse", true}});
  EXPECT_EQ(inventory->find<model::Node>(second.id)->value.netboot->approval, model::Approval::refused);

  EXPECT_EQ(post(path("/netboot/approve"), {{"nodes", {"rack2-*"}}}).status, 404);
  EXPECT_EQ(post(path("/netboot/approve"), {{"nodes", {"node1"}}}).status, 409) << "it doesn't boot over the network";
  EXPECT_EQ(field_of(post(path("/netboot/approve"), nlohmann::json::object())), "nodes");
  EXPECT_EQ(field_of(post(path("/netboot/approve"), {{"nodes", nlohmann::json::array()}})), "nodes");
  EXPECT_EQ(field_of(post(path("/netboot/approve"), {{"nodes", {"rack1-a"}}, {"refuse", 1}})), "refuse");

  EXPECT_EQ(field_of(post(path("/netboot/assign"), {{"nodes", {"rack1-a"}}})), "image");
  EXPECT_EQ(field_of(post(path("/netboot/assign"), {{"nodes", {"rack1-*"}}, {"address", "10.20.0.7"}})), "address");
  EXPECT_EQ(post(path("/netboot/assign"), {{"nodes", {"rack1-a"}}, {"image", "debian-12:9"}}).status, 404);
  EXPECT_EQ(post(path("/netboot/assign"), {{"nodes", {"rack1-a"}}, {"profile", "none"}}).status, 404);
  const auto assigned = post(path("/netboot/assign?dry_run=true"), {{"nodes", {"rack1-a"}}, {"image", "debian-12"}});
  EXPECT_EQ(assigned.json()["nodes"][0]["netboot"]["image"], "debian-12:3");
  EXPECT_EQ(inventory->find_by_name<model::Node>("rack1-a")->value.netboot->image, "");
  EXPECT_EQ(get(path("/nodes/node1")).json()["netboot"], nullptr);
  EXPECT_EQ(get(path("/nodes/node1/boot-script")).status, 409);
  EXPECT_EQ(get(path("/nodes/none/boot")).status, 404);
}

TEST_F(NetbootApiTest, ProfilesAreChangedInPart) {
  start_server();
  ASSERT_EQ(put("/profiles/zz", {{"root", "nfs"}, {"overlay", "512m"}}).status, 200);
  ASSERT_EQ(put("/profiles/zz", {{"arguments", {"console=ttyS0"}}}).status, 200);
  const auto profile = get(path("/profiles/zz")).json();
  EXPECT_EQ(profile["root"], "nfs") << "what isn't given stays";
  EXPECT_EQ(profile["overlay"], "512m");
  EXPECT_EQ(get(path("/profiles/" + profile["id"].get<std::string>())).json(), profile);
  put("/profiles/aa", {{"vlan", 0}});
  put("/profiles/default", {{"on_failure", "reboot"}});
  std::vector<std::string> names;
  const auto profiles = get(path("/profiles")).json();
  for (const auto& one : profiles["items"]) names.push_back(one["name"]);
  EXPECT_THAT(names, ElementsAre("aa", "default", "zz"));
  EXPECT_EQ(put("/profiles/dry?dry_run=true", {{"root", "ram"}}).json()["dry_run"], true);
  EXPECT_EQ(get(path("/profiles/dry")).status, 404);

  const auto refused = [&](const nlohmann::json& body) { return field_of(put("/profiles/zz", body)); };
  const auto file = [](const char* path, const nlohmann::json& mode) {
    return nlohmann::json{{"files", {{{"path", path}, {"content", "x"}, {"mode", mode}}}}};
  };
  EXPECT_EQ(refused(file("/etc/x", "0999")), "files[0].mode");
  EXPECT_EQ(refused(file("/etc/x", "")), "files[0].mode");
  EXPECT_EQ(refused(file("/etc/x", 420)), "files[0].mode");
  EXPECT_EQ(refused(file("etc/x", "0644")), "files");
  EXPECT_EQ(refused(file("/etc/../x", "0644")), "files");
  EXPECT_EQ(refused(file("/etc/x", "77777")), "files");
  EXPECT_EQ(refused({{"files", {{{"path", "/etc/x"}}}}}), "files[0].content");
  EXPECT_EQ(refused({{"name", "other"}}), "name") << "it stands in the path";
  EXPECT_EQ(refused({{"root", "floppy"}}), "root");
  EXPECT_EQ(refused({{"vlan", 5000}}), "vlan");
  EXPECT_EQ(refused({{"bond_mode", "fast"}}), "bond_mode");
  EXPECT_EQ(refused({{"overlay", "all"}}), "overlay");
  EXPECT_EQ(refused({{"arguments", {"bh.boot=1"}}}), "arguments");
  EXPECT_EQ(get(path("/profiles/zz")).json(), profile) << "refusals change nothing";
  make_netboot_node("rack1-a", model::Approval::approved, "");
  post(path("/netboot/assign"), {{"nodes", {"rack1-a"}}, {"profile", "zz"}});
  EXPECT_EQ(send({.method = "DELETE", .path = path("/profiles/zz")}).status, 409) << "in use";
}

TEST_F(NetbootApiTest, ANodesFilesAreListedWithoutTheirContent) {
  make_netboot_node("rack1-a", model::Approval::approved, "");
  start_server();
  const auto patch = [&](const nlohmann::json& body, const std::string& token = {}) {
    return send({.method = "PATCH", .path = path("/nodes/rack1-a"), .body = body.dump(), .token = token});
  };
  const nlohmann::json body = {
      {"files", {{{"path", "/etc/motd"}, {"content", "I am ${node}"}}}},
      {"secret_files", {{{"path", "/etc/key"}, {"content", "aHVzaC1odXNo"}, {"mode", "0440"}}}}};
  EXPECT_EQ(patch(body, viewer).status, 403);
  const auto answer = patch(body, operator_);
  ASSERT_EQ(answer.status, 200) << answer.body;
  const auto files = nlohmann::json::parse(R"([{"path":"/etc/motd","mode":"0644","size":12}])");
  const auto secrets =
      nlohmann::json::parse(R"json([{"path":"/etc/key","mode":"0440","size":9,"content":"(set)"}])json");
  EXPECT_EQ(answer.json()["node"]["netboot"]["files"], files);
  const auto shown = get(path("/nodes/rack1-a")).json();
  EXPECT_EQ(shown["netboot"]["files"], files);
  EXPECT_EQ(shown["netboot"]["secret_files"], secrets);
  const auto kept = inventory->find_by_name<model::Node>("rack1-a")->value.netboot->secret_files.at(0);
  EXPECT_EQ(secret_box->unseal(kept.sealed, "/etc/key").value(), "hush-hush");

  EXPECT_EQ(field_of(patch({{"files", {{{"path", "/etc/x"}, {"content", "${y}"}}}}})), "files");
  EXPECT_EQ(field_of(patch({{"files", {{{"path", "/etc/key"}, {"content", ""}}}}})), "secret_files");
  EXPECT_EQ(get(path("/nodes/rack1-a")).json()["netboot"]["files"], files) << "refusals change nothing";
  EXPECT_EQ(patch({{"files", nlohmann::json::array()}}).json()["node"]["netboot"]["files"].size(), 0U);
  EXPECT_EQ(send({.method = "PATCH", .path = path("/nodes/node1"), .body = R"({"files":[]})"}).status, 409);
}

TEST_F(NetbootApiTest, ASecretNeverComesBack) {
  make_netboot_node("rack1-a", model::Approval::approved, "");
  start_server();
  const auto secret = [](const char* file, const char* content) {
    return nlohmann::json{{"secret_files", {{{"path", file}, {"content", content}}}}};
  };
  EXPECT_EQ(send({.method = "PUT",
                  .path = path("/profiles/p"),
                  .body = secret("/etc/k", "aHVzaC1odXNo").dump(),
                  .token = viewer})
                .status,
            403);
  const auto dry = put("/profiles/p?dry_run=true", secret("/etc/k", "aHVzaC1odXNo"));
  const auto set = put("/profiles/p", secret("/etc/k", "aHVzaC1odXNo"));
  ASSERT_EQ(set.status, 200) << set.body;
  EXPECT_EQ(set.json()["profile"]["secret_files"],
            nlohmann::json::parse(R"json([{"path":"/etc/k","mode":"0600","size":9,"content":"(set)"}])json"));
  const auto sealed = inventory->find_by_name<model::Profile>("p")->value.secret_files.at(0).sealed;
  for (const auto& answer : {dry, set, get(path("/profiles/p")), get(path("/profiles")), get(path("/events")),
                             get(path("/nodes")), get(path("/operations"))}) {
    for (const std::string& never : {std::string("hush"), std::string("aHVzaC1odXNo"), sealed}) {
      EXPECT_EQ(answer.body.find(never), std::string::npos) << answer.body;
    }
  }
  for (const auto& entry : store->list("").value()) {
    EXPECT_EQ(entry.value.find("aHVzaC1odXNo"), std::string::npos) << entry.key;
    EXPECT_EQ(entry.value.find("hush-hush"), std::string::npos) << entry.key;
  }
  ASSERT_EQ(put("/profiles/p", {{"root", "ram"}}).json()["profile"]["secret_files"].size(), 1U)
      << "what isn't given stays";

  EXPECT_EQ(field_of(put("/profiles/p", secret("/etc/k", "no base64!"))), "secret_files[0].content");
  EXPECT_EQ(field_of(put("/profiles/p", secret("/proc/k", ""))), "secret_files");
  EXPECT_EQ(field_of(put("/profiles/p", {{"secret_files", {{{"path", "/etc/k"}}}}})), "secret_files[0].content");
  const std::string too_large((64 << 10) / 3 * 4 + 8, 'A');
  EXPECT_EQ(field_of(put("/profiles/p", secret("/etc/k", too_large.c_str()))), "secret_files[0].content");
  EXPECT_EQ(put("/profiles/p", {{"secret_files", nlohmann::json::array()}}).json()["profile"]["secret_files"].size(),
            0U);
}

TEST_F(NetbootApiTest, NodeImagesAreMadeByTheManagerOnly) {
  start_server();
  EXPECT_EQ(field_of(post(path("/node-images"), {{"role", "compute"}})), "base");
  EXPECT_EQ(field_of(post(path("/node-images"), {{"base", "No Such"}})), "base");
  EXPECT_EQ(field_of(post(path("/node-images"), {{"base", "debian-12"}, {"role", "x"}})), "role");
  EXPECT_EQ(field_of(post(path("/node-images"), {{"base", "rocky"}, {"path", "rocky.tar"}})), "path");
  EXPECT_EQ(field_of(post(path("/node-images"), {{"base", "rocky"}, {"path", ""}})), "path");
  EXPECT_EQ(field_of(post(path("/node-images"), {{"base", "debian-12"}, {"initramfs", "boot/x.img"}})), "initramfs");
  for (const char* drivers : {"", "../ice", "servers,", "a,,b", "a b"}) {
    EXPECT_EQ(field_of(post(path("/node-images"), {{"base", "debian-12"}, {"nic_drivers", drivers}})), "nic_drivers");
  }
  EXPECT_EQ(post(path("/node-images?dry_run=true"), {{"base", "debian-12"}, {"nic_drivers", "servers,ice"}}).status,
            200);
  EXPECT_EQ(post(path("/node-images?dry_run=true"), {{"base", "debian-12"}}).json()["node_image"]["name"],
            "debian-12:1");
  EXPECT_EQ(get(path("/node-images")).json()["items"].size(), 0U);
  const auto building = post(path("/node-images"), {{"base", "debian-12"}});
  ASSERT_EQ(building.status, 202) << building.body;
  EXPECT_EQ(post(path("/node-images"), {{"base", "debian-12"}}).status, 409) << "one is being made";
  EXPECT_EQ(get(path("/node-images/debian-12")).status, 404) << "none is ready";
  EXPECT_EQ(get(path("/node-images/debian-12:1")).json()["state"], "building");
  make_node_image("debian-12", 2, model::NodeImageState::ready);
  EXPECT_EQ(field_of(get(path("/node-images/debian-12:2/diff"))), "from");
  EXPECT_EQ(get(path("/node-images/debian-12:2/diff?from=debian-12:1")).status, 409) << "it isn't ready";
  EXPECT_EQ(get(path("/node-images/debian-12:2/diff?from=none:1")).status, 404);

  make_node_image("rocky", 7, model::NodeImageState::ready);
  EXPECT_EQ(send({.method = "DELETE", .path = path("/node-images/rocky:7")}).status, 202);
  EXPECT_EQ(post(path("/node-images"), {{"base", "rocky"}, {"path", "/srv/x.tar"}}).status, 202)
      << "a deletion of an old version holds nobody up";
}

TEST_F(NetbootApiTest, StatusNamesWhatNeedsAPerson) {
  make_netboot_node("aa-new", model::Approval::waiting, "");
  make_netboot_node("bb-refused", model::Approval::refused, "debian-12:1");
  make_netboot_node("cc-idle", model::Approval::approved, "");
  const auto assigned = make_netboot_node("dd-assigned", model::Approval::approved, "debian-12:1");
  const auto boots = make_netboot_node("ee-boots", model::Approval::approved, "debian-12:1");
  const auto failed = make_netboot_node("ff-failed", model::Approval::approved, "debian-12:1");
  make_boot(boots, {model::BootStep::dhcp, model::BootStep::root}, "");
  make_boot(failed, {model::BootStep::dhcp, model::BootStep::kernel, model::BootStep::failed}, "no NIC has a link");
  make_node_image("debian-12", 9, model::NodeImageState::failed);
  start_server();
  EXPECT_THAT(problems(), ElementsAre("node aa-new: Machine 52:54:00:00:00:01 QEMU Standard PC waits for approval.",
                                      "node dd-assigned: It has an image, but hasn't booted yet.",
                                      "node ff-failed: Its boot failed: no NIC has a link",
                                      "node_image debian-12:9: It could not be made."));
  const auto nodes = get(path("/status")).json()["nodes"];
  EXPECT_EQ(nodes["total"], 4) << "machines that aren't nodes yet don't count";
  EXPECT_EQ(nodes["ready"], 1);
  EXPECT_EQ(nodes["waiting"], 1);

  clock.advance(std::chrono::minutes(7));
  EXPECT_THAT(problems(), ::testing::Contains("node ee-boots: Its boot has stood at step root for 7 min."));
  make_boot(boots, {model::BootStep::fallback, model::BootStep::ready}, "");
  inventory->note_node_state(boots.id, model::NodeState::ready, "");
  EXPECT_THAT(problems(), ::testing::Contains(HasSubstr("node ee-boots: It runs without its bridge")));
  inventory->note_node_state(boots.id, model::NodeState::unreachable, "silent for 30 s");
  EXPECT_THAT(problems(), ::testing::Contains("node ee-boots: silent for 30 s"));
  inventory->note_node_state(assigned.id, model::NodeState::not_ready, "libvirt is missing");
  make_boot(assigned, {model::BootStep::agent}, "");
  EXPECT_THAT(problems(), ::testing::Contains("node dd-assigned: libvirt is missing"));
}

TEST_F(NetbootApiTest, StatusNamesPartsThatDoNotRun) {
  start_server();
  netboot.set_status({.parts = {{.name = "dhcp", .running = false, .message = "port 67 is taken"},
                                {.name = "http", .running = true, .message = {}}},
                      .foreign_dhcp_servers = {"10.20.0.7 (52:54:00:aa:bb:cc)"}});
  EXPECT_THAT(problems(), IsEmpty()) << "netboot is off";
  put("/netboot", {{"interface", "lo"}, {"range", "127.0.0.100-127.0.0.200"}});
  EXPECT_THAT(problems(), ElementsAre("netboot dhcp: port 67 is taken",
                                      "netboot lo: Another DHCP server answers there: 10.20.0.7 (52:54:00:aa:bb:cc)"));
  put("/netboot", {{"interface", "lo"}, {"mode", "proxy"}});
  EXPECT_THAT(problems(), ElementsAre("netboot dhcp: port 67 is taken")) << "a proxy needs the other server";
}

TEST_F(NetbootApiTest, WhatNeedsTheHelperSaysThatItIsNotThere) {
  start_server();
  netboot.set_available(fail_with_hint(ErrorCode::unavailable, "the netboot helper isn't running", "Start it."));
  for (const auto& answer : {put("/netboot", {{"interface", "lo"}, {"mode", "proxy"}}),
                             post(path("/node-images"), {{"base", "debian-12"}})}) {
    EXPECT_EQ(answer.status, 503);
    EXPECT_THAT(answer.body, HasSubstr("the netboot helper isn't running"));
    EXPECT_THAT(answer.body, HasSubstr("Start it."));
  }
  EXPECT_EQ(get(path("/netboot")).json()["settings"]["mode"], "off") << "nothing was changed";
  EXPECT_EQ(send({.method = "DELETE", .path = path("/netboot")}).status, 200) << "off it is all the same";
}

TEST_F(NetbootApiTest, AManagerThatBootsNoMachinesSaysSo) {
  boots_machines = false;
  make_node_image("debian-12", 1, model::NodeImageState::ready);
  make_netboot_node("rack1-a", model::Approval::approved, "debian-12:1");
  start_server();
  for (const auto& answer :
       {put("/netboot", {{"interface", "lo"}, {"mode", "proxy"}}), post(path("/node-images"), {{"base", "debian-12"}}),
        send({.method = "DELETE", .path = path("/node-images/debian-12:1")}),
        get(path("/node-images/debian-12:1/diff?from=debian-12:1")), get(path("/nodes/rack1-a/boot-script"))}) {
    EXPECT_EQ(answer.status, 409);
    EXPECT_EQ(answer.json()["code"], "failed_precondition");
    EXPECT_THAT(answer.body, HasSubstr("this manager doesn't boot machines"));
  }
  EXPECT_THAT(get(path("/netboot")).json()["status"]["parts"], IsEmpty());
  EXPECT_EQ(get(path("/node-images")).status, 200);
  EXPECT_EQ(get(path("/status")).status, 200);
}

}  // namespace
}  // namespace bridgehead::control_api::testing
