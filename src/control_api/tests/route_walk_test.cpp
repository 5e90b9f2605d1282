// Every route: what it answers when all is well, and that api/openapi.yaml says the same.
#include <fstream>
#include <set>

#include "base/command.h"
#include "control_api/routes.h"
#include "control_api/testing/api_fixture.h"
#include "model/codec.h"
#include "model/enum_names.h"
#include "model/json.h"
#include "model/past_boots.h"
#include "pki/tokens.h"
#include "reconcile/commands/plans.h"

namespace bridgehead::control_api::testing {
namespace {

using ::testing::HasSubstr;

std::string role_word(Access access) {
  switch (access) {
    case Access::none: return "none";
    case Access::viewer_or_loopback: return "viewer_or_loopback";
    case Access::viewer: return "viewer";
    case Access::operator_: return "operator";
    case Access::admin: return "admin";
  }
  return "?";
}

class RouteWalk : public ApiFixture {
 protected:
  void SetUp() override {
    fill_cluster();
    start_server();
  }

  // Sends, checks the status, and keeps the answer for the comparison with the description.
  HttpAnswer expect(long status, HttpRequest request) {
    auto answer = send(request);
    EXPECT_EQ(answer.status, status) << request.method << " " << request.path << ": " << answer.body;
    std::vector<std::string> segments;
    std::string_view rest = request.path;
    rest = rest.substr(1, std::min(rest.find('?'), rest.size()) - 1);
    while (!rest.empty()) {
      const auto end = std::min(rest.find('/'), rest.size());
      segments.emplace_back(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    const auto found = find_route(http::method_from(request.method), segments);
    if (found.route != nullptr) {
      answers_.push_back({{"method", request.method},
                          {"pattern", found.route->pattern},
                          {"status", answer.status},
                          {"content_type", answer.content_type},
                          {"body", answer.body}});
      if (!request.body.empty() && answer.status < 300) answers_.back()["request"] = request.body;
      seen_.emplace(request.method, std::string(found.route->pattern));
    }
    if (status >= 400) {
      EXPECT_EQ(answer.content_type, "application/problem+json");
    }
    return answer;
  }
  HttpAnswer expect(long status, std::string method, std::string_view below, const nlohmann::json& body = nullptr) {
    return expect(status, HttpRequest{std::move(method), path(below), body.is_null() ? "" : body.dump()});
  }

  void walk_planning() {
    expect(200, "GET", "/policy");
    expect(200, "PATCH", "/policy?dry_run=true", {{"repair", "off"}});
    const auto policy =
        expect(200, "PATCH", "/policy",
               {{"balance", "auto"}, {"ceiling", 0.7}, {"interval", 30}, {"restart_against_rules", true}})
            .json()["policy"];
    EXPECT_EQ(policy["balance"], "auto");
    EXPECT_EQ(policy["consolidate"], "off") << "what isn't given stays";
    EXPECT_THAT(expect(400, "PATCH", "/policy", {{"ceiling", 7}}).body, HasSubstr("ceiling: must be between"));
    EXPECT_THAT(expect(400, "PATCH", "/policy", {{"balance", "yes"}}).body, HasSubstr("off, propose, auto"));

    const auto rule = expect(201, "POST", "/rules",
                             {{"name", "spread"}, {"kind", "apart"}, {"domain", "rack"}, {"labels", {{"tier", "web"}}}})
                          .json()["rule"];
    EXPECT_EQ(rule["hard"], true);
    expect(400, "POST", "/rules", {{"name", "empty"}, {"kind", "apart"}});
    expect(400, "POST", "/rules", {{"name", "pin"}, {"kind", "on"}, {"labels", {{"tier", "web"}}}});
    expect(409, "POST", "/rules", {{"name", "spread"}, {"kind", "exclusive"}, {"labels", {{"tier", "web"}}}});
    expect(200, "GET", "/rules");
    expect(200, "GET", "/rules/spread");
    expect(200, "DELETE", "/rules/spread");

    expect(200, "PATCH", "/nodes/node1", {{"rack", "r1"}, {"power_feed", "a"}});
    expect(200, "POST", "/nodes/node1/drain?dry_run=true");
    const auto drained = expect(200, "POST", "/nodes/node1/drain").json();
    EXPECT_EQ(drained["node"]["draining"], true);
    const auto open = expect(200, "POST", "/nodes/node1/undrain").json()["node"];
    EXPECT_EQ(open["draining"], false);
    EXPECT_EQ(open["rack"], "r1");

    expect(200, "GET", "/plan");
    expect(200, "POST", "/plan/what-if",
           {{"remove_nodes", {"node1"}},
            {"add_nodes", {{{"count", 2}, {"cpus", 8}, {"memory", "64GiB"}}}},
            {"add_vms", {{{"name", "more"}, {"cpus", 2}, {"memory", "4GiB"}, {"cpu_use", 0.5}}}}});
    expect(404, "POST", "/plan/what-if", {{"remove_nodes", {"nowhere"}}});
    // One as the planner would propose it.
    reconcile::Proposal proposal;
    proposal.plan.id = make_id<model::PlanId>(random);
    proposal.plan.name = "shown";
    proposal.plan.actions = {{.kind = model::PlanActionKind::sleep,
                              .purpose = model::PlanPurpose::power,
                              .to = node.id,
                              .to_name = "node1"}};
    proposal.basis =
        std::make_shared<const reconcile::PlanBasis>(reconcile::plan_basis(*commander, reconcile::PlanScope::shown));
    commander->desk.put(proposal);
    expect(200, "GET", "/plans/shown");
    expect(404, "GET", "/plans/unknown");
    expect(404, "POST", "/plans/unknown/apply");
    expect(200, "POST", "/plans/shown/apply?dry_run=true");
    const auto applied = expect(202, "POST", "/plans/shown/apply").json();
    EXPECT_EQ(applied["operation"]["kind"], "plan.apply");
    expect(409, "POST", "/plans/shown/apply");
    expect(200, "GET", "/plans");
    expect(200, "GET", "/plans/shown/input");
    EXPECT_EQ(expect(200, "GET", "/plans/shown/replay").json()["same"], false) << "the planner hadn't made it";
    expect(202, "POST", "/plans/shown/cancel");
  }

  void walk_bench() {
    const nlohmann::json body = {{"pools", nlohmann::json::array({{{"pool", "local"}}})}, {"file_size", "16MiB"}};
    expect(200, "POST", "/bench/results?dry_run=true", body);
    expect(202, "POST", "/bench/results", body);
    expect(404, "POST", "/bench/results", {{"pools", nlohmann::json::array({{{"pool", "nowhere"}}})}});
    expect(409, "DELETE", "/bench/results/bench-1");
    const auto record = inventory->find_by_name<model::Benchmark>("bench-1");
    ASSERT_TRUE(record);
    auto done = record->value;
    done.state = model::BenchmarkState::done;
    done.result = "{}";
    commit([&](state::Edit& edit) { edit.update(record, done); });
    expect(200, "GET", "/bench/results");
    expect(200, "GET", "/bench/results/bench-1");
    const nlohmann::json kept = {{"result", R"({"format": "bridgehead-bench", "format_version": 1})"},
                                 {"name", "ours"}};
    expect(200, "POST", "/bench/records?dry_run=true", kept);
    expect(201, "POST", "/bench/records", kept);
    expect(200, "PUT", "/bench/results/ours", kept);
    expect(409, "PUT", "/bench/results/bench-1", kept);
    expect(200, "DELETE", "/bench/results/ours");
    expect(200, "DELETE", "/bench/results/bench-1");
  }

  void walk_netboot();
  void walk_power();
  void walk_availability();
  void walk_upgrades();
  void walk_alerts();

  std::vector<nlohmann::json> answers_;
  std::set<std::pair<std::string, std::string>> seen_;
};

void RouteWalk::walk_netboot() {
  make_node_image("debian-12", 1, model::NodeImageState::ready);
  make_node_image("debian-12", 2, model::NodeImageState::ready);
  const auto rack = make_netboot_node("rack1-a", model::Approval::waiting, "");
  const auto off = expect(200, "GET", "/netboot").json();
  EXPECT_EQ(off["settings"]["mode"], "off");
  EXPECT_EQ(off["status"]["parts"][0]["name"], "dhcp");
  const nlohmann::json enable = {{"interface", "lo"},    {"range", "127.0.0.100-127.0.0.200"},
                                 {"http_port", 8480},    {"nbd_servers", {"127.0.0.2:10809"}},
                                 {"auto_approve", true}, {"address", "127.0.0.1/8"}};
  EXPECT_EQ(expect(200, "PUT", "/netboot?dry_run=true", enable).json()["dry_run"], true);
  EXPECT_EQ(get(path("/netboot")).json()["settings"]["mode"], "off");
  EXPECT_EQ(expect(200, "PUT", "/netboot", enable).json()["settings"]["range_last"], "127.0.0.200");
  EXPECT_EQ(expect(200, "GET", "/netboot").json()["settings"]["http_port"], 8480);
  expect(200, "DELETE", "/netboot");

  expect(404, "GET", "/nodes/rack1-a/boot");
  EXPECT_TRUE(expect(200, "GET", "/nodes/rack1-a/boots").json()["items"].empty());
  expect(409, "GET", "/nodes/rack1-a/boot-script");
  expect(200, "POST", "/netboot/approve", {{"nodes", {"rack1-*"}}});
  const auto assigned =
      expect(200, "POST", "/netboot/assign",
             {{"nodes", {"rack1-a"}}, {"image", "debian-12"}, {"profile", "default"}, {"address", "10.20.0.7"}});
  EXPECT_EQ(assigned.json()["nodes"][0]["netboot"]["image"], "debian-12:2");
  EXPECT_EQ(expect(200, "GET", "/nodes/rack1-a/boot-script").body, "#!ipxe\n# rack1-a boots debian-12:2\nboot\n");
  make_boot(inventory->find<model::Node>(rack.id)->value, {model::BootStep::dhcp, model::BootStep::kernel}, "6.1");
  const auto boot = expect(200, "GET", "/nodes/rack1-a/boot").json();
  EXPECT_EQ(boot["events"][1]["step"], "kernel");
  EXPECT_FALSE(boot.contains("token_sha256"));
  commit([&](state::Edit& edit) {
    edit.create(model::PastBoots{.id = rack.id, .boots = {model::Boot{.id = rack.id, .image = "debian-12:1"}}});
  });
  const auto boots = expect(200, "GET", "/nodes/rack1-a/boots").json()["items"];
  ASSERT_EQ(boots.size(), 2u);
  EXPECT_EQ(boots[0], boot);
  EXPECT_EQ(boots[1]["image"], "debian-12:1");
  EXPECT_EQ(expect(200, "GET", "/nodes/rack1-a").json()["boot"]["step"], "kernel");
  expect(200, "GET", "/nodes");
  expect(200, "GET", "/status");

  EXPECT_EQ(expect(200, "GET", "/profiles").json()["items"][0]["name"], "default");
  const auto profile = expect(200, "PUT", "/profiles/big",
                              {{"root", "ram"},
                               {"method", "shim"},
                               {"on_failure", "shell"},
                               {"bridge", "br1"},
                               {"vlan", 20},
                               {"bond_mode", "802.3ad"},
                               {"overlay", "2g"},
                               {"arguments", {"quiet"}},
                               {"files", {{{"path", "/etc/motd"}, {"content", "${node}\n"}, {"mode", "0600"}}}},
                               {"secret_files", {{{"path", "/etc/key"}, {"content", "AAEC"}}}}});
  EXPECT_EQ(profile.json()["profile"]["files"][0]["mode"], "0600");
  EXPECT_EQ(expect(200, "GET", "/profiles/big").json()["vlan"], 20);
  expect(200, "GET", "/profiles/default");
  expect(200, "DELETE", "/profiles/big");

  expect(200, "PATCH", "/nodes/rack1-a",
         {{"files", {{{"path", "/etc/motd"}, {"content", "${node}\n"}}}},
          {"secret_files", {{{"path", "/etc/key"}, {"content", "AAEC"}, {"mode", "0400"}}}}});
  expect(200, "GET", "/nodes/rack1-a");

  const auto built = expect(202, "POST", "/node-images", {{"base", "debian-13"}, {"role", "compute"}});
  EXPECT_THAT(built.headers, HasSubstr("Location: /api/v1/node-images/"));
  finish_operation(built.json()["operation"]["id"], model::OperationState::succeeded);
  const auto imported = expect(202, "POST", "/node-images",
                               {{"base", "rocky-9"}, {"path", "/srv/rocky9.tar"}, {"initramfs", "boot/i.img"}})
                            .json();
  EXPECT_EQ(imported["operation"]["parameters"]["path"], "/srv/rocky9.tar");
  EXPECT_EQ(imported["operation"]["parameters"]["initramfs"], "boot/i.img");
  finish_operation(imported["operation"]["id"], model::OperationState::failed);
  EXPECT_EQ(expect(200, "GET", "/node-images").json()["items"].size(), 4U);
  EXPECT_EQ(expect(200, "GET", "/node-images/debian-12").json()["version"], 2);
  const auto diff = expect(200, "GET", "/node-images/debian-12:2/diff?from=debian-12:1").json();
  EXPECT_EQ(diff["packages"][0], "~ libc6 1 -> 2");
  const nlohmann::json rack1 = {{"nodes", {"rack1-*"}}, {"max_unavailable", 2}, {"canary", 0}};
  EXPECT_THAT(expect(409, "POST", "/node-images/debian-12:1/rollout", rack1).body, HasSubstr("node bmc set rack1-a"));
  expect(400, "POST", "/node-images/debian-12:1/rollout", nlohmann::json::object());
  expect(200, "PUT", "/nodes/rack1-a/bmc",
         {{"driver", "ipmi"}, {"address", "10.0.0.8"}, {"user", "operator"}, {"password", "hush-hush"}});
  inventory->note_node_state(rack.id, model::NodeState::ready, {});
  expect(200, "POST", "/node-images/debian-12:1/rollout?dry_run=true", rack1);
  const auto rollout = expect(202, "POST", "/node-images/debian-12:1/rollout", rack1).json()["operation"];
  EXPECT_EQ(rollout["parameters"]["nodes"][0]["name"], "rack1-a");
  finish_operation(rollout["id"], model::OperationState::cancelled);
  expect(400, "POST", "/nodes/rack1-a/drain", {{"then", "dance"}});
  expect(400, "POST", "/nodes/rack1-a/drain", {{"boot_deadline_seconds", 60}});
  expect(200, "POST", "/nodes/rack1-a/drain?dry_run=true", {{"then", "off"}});
  const auto maintained = expect(202, "POST", "/nodes/rack1-a/drain", {{"then", "reboot"}}).json();
  EXPECT_EQ(maintained["operation"]["kind"], "node.maintain");
  finish_operation(maintained["operation"]["id"], model::OperationState::cancelled);
  expect(200, "DELETE", "/nodes/rack1-a/bmc");
  expect(409, "DELETE", "/node-images/debian-12:2");
  expect(200, "DELETE", "/node-images/debian-12:1?dry_run=true");
  expect(202, "DELETE", "/node-images/debian-12:1");
}

void RouteWalk::walk_power() {
  expect(409, "GET", "/nodes/node1/bmc");
  const nlohmann::json bmc = {{"driver", "ipmi"},   {"address", "10.0.0.7"},   {"port", 623},
                              {"user", "operator"}, {"password", "hush-hush"}, {"options", {{"cipher", "3"}}}};
  expect(200, "PUT", "/nodes/node1/bmc?dry_run=true", bmc);
  expect(409, "GET", "/nodes/node1/power");
  expect(200, "PUT", "/nodes/node1/bmc", bmc);
  expect(200, "GET", "/nodes/node1/bmc");
  expect(200, "GET", "/nodes/node1/bmc/check");
  expect(200, "GET", "/nodes/node1/power");
  expect(426, "GET", "/nodes/node1/console");
  expect(200, "GET", "/nodes/node1");
  expect(409, "POST", "/nodes/node1/power", {{"action", "off"}});
  expect(200, "POST", "/nodes/node1/power?dry_run=true", {{"action", "off"}, {"force", true}});
  const auto on = expect(202, "POST", "/nodes/node1/power", {{"action", "on"}}).json();
  expect(409, "DELETE", "/nodes/node1/bmc");
  finish_operation(on["operation"]["id"], model::OperationState::succeeded);
  expect(200, "DELETE", "/nodes/node1/bmc");
}

void RouteWalk::walk_alerts() {
  const auto path_of = [](const std::string& more) { return "/alerts/webhook" + more; };
  EXPECT_EQ(get(path(path_of(""))).status, 404);
  EXPECT_EQ(post(path(path_of("/test")), {}).status, 404);
  const nlohmann::json webhook = {
      {"url", "https://alerts.example.org/x"}, {"secret", "hush"}, {"severity", "critical"}};
  expect(200, "PUT", path_of("?dry_run=true"), webhook);
  const auto set = expect(200, "PUT", path_of(""), webhook).json()["webhook"];
  EXPECT_EQ(set["secret"], "(set)");
  EXPECT_EQ(expect(200, "GET", path_of("")).json()["url"], webhook["url"]);
  expect(202, "POST", path_of("/test"));
  const auto alerts = expect(200, "GET", "/alerts").json()["items"];
  ASSERT_EQ(alerts.size(), 1U);
  EXPECT_EQ(alerts[0]["condition"], "test");
  expect(200, "DELETE", path_of(""));
}

void RouteWalk::walk_upgrades() {
  const nlohmann::json one = {{"nodes", {"node1"}}};
  EXPECT_THAT(expect(409, "POST", "/agents/upgrade", one).body, HasSubstr("--without-way-back")) << "it has no version";
  EXPECT_THAT(expect(409, "POST", "/agents/upgrade", {{"nodes", {"rack1-a"}}}).body,
              HasSubstr("bh node-image build, then bh node-image rollout"));
  expect(404, "POST", "/agents/upgrade", {{"nodes", {"nobody"}}});
  expect(400, "POST", "/agents/upgrade", nlohmann::json::object());
  const auto record = inventory->find<model::Node>(node.id);
  auto older = record->value;
  older.facts.agent_version = "1.0.0";
  auto edit = inventory->edit();
  edit.update(record, older);
  ASSERT_TRUE(inventory->commit(std::move(edit)));
  const auto problems = expect(200, "GET", "/status").json()["problems"];
  EXPECT_TRUE(std::any_of(problems.begin(), problems.end(), [](const auto& problem) {
    return problem["condition"] == "agents-older" && problem["action"] == "bh node upgrade --all";
  })) << problems;
  expect(200, "POST", "/agents/upgrade?dry_run=true", one);
  const auto upgrade = expect(202, "POST", "/agents/upgrade", {{"all", true}, {"canary", 0}, {"max_unavailable", 2}})
                           .json()["operation"];
  EXPECT_EQ(upgrade["kind"], "agent.rollout");
  EXPECT_EQ(upgrade["target_name"], "1.1.0");
  EXPECT_EQ(upgrade["parameters"]["nodes"][0]["from"], "1.0.0");
  expect(409, "POST", "/agents/upgrade", one);
  finish_operation(upgrade["id"], model::OperationState::cancelled);
}

void RouteWalk::walk_availability() {
  availability.now = {.storm_question = "Many are silent",
                      .nodes = {{.node = node.id, .stage = "well", .text = "", .silent_for = {}, .question = "Off?"}},
                      .guests = {{.vm = inventory->all<model::Vm>().front()->value.id,
                                  .restart = true,
                                  .terms = "keep",
                                  .waits_for = "",
                                  .not_protected = ""}}};
  expect(200, "GET", "/ha");
  energy.now.nodes[node.id] = {.name = "node1", .used = {.bmc = 0.8, .rapl = 0, .model = 0.2}, .unknown = 1.5};
  energy.now.guests[inventory->all<model::Vm>().front()->value.id] = {.name = "run", .used = {.bmc = 0.1}};
  energy.now.days = {{.day = "2026-01-01", .all = energy.now.nodes[node.id]}};
  energy.now.away = {{clock.now() - std::chrono::hours(2), clock.now() - std::chrono::hours(1)}};
  energy.now.plans = {{.id = make_id<model::PlanId>(random), .name = "3f9a2c1b", .off = {"node1"}}};
  const nlohmann::json watts = {{"idle_watts", 110}, {"busy_watts", 340.5}};
  const std::string machine = "/energy/profiles/Dell%20Inc.%20PowerEdge%20R640";
  expect(200, "PUT", machine + "?dry_run=true", watts);
  EXPECT_EQ(expect(200, "PUT", machine, watts).json()["profile"]["machine"], "Dell Inc. PowerEdge R640");
  const auto machines = expect(200, "GET", "/energy/profiles").json()["items"];
  ASSERT_EQ(machines.size(), 2U) << "node1 names no machine";
  EXPECT_EQ(machines[0]["created_by"], "");
  EXPECT_EQ(machines[1]["busy_watts"], 340.5);
  EXPECT_EQ(machines[1]["nodes"], 0);
  for (const auto& [idle, busy] : {std::pair(0, 10), {200, 100}, {-1, 5}, {1, 1000000}}) {
    EXPECT_THAT(expect(400, "PUT", machine, {{"idle_watts", idle}, {"busy_watts", busy}}).body, HasSubstr("_watts"));
  }
  expect(400, "PUT", machine, {{"idle_watts", 10}, {"busy_watts", 100}, {"off_watts", 11}});
  expect(200, "DELETE", machine);
  expect(404, "DELETE", machine);
  const auto taken = expect(200, "GET", "/energy?last=24h").json();
  EXPECT_EQ(taken["nodes"][0]["kwh"], 1);
  EXPECT_EQ(taken["nodes"][0]["unknown_hours"], 1.5);
  EXPECT_EQ(taken["guests"][0]["name"], "run");
  EXPECT_EQ(taken["from"], to_rfc3339(clock.now() - std::chrono::hours(24)));
  for (const auto* wrong : {"", "24", "1m", "9999d", "-1d", "nan"}) {
    EXPECT_THAT(expect(400, "GET", fmt::format("/energy?last={}", wrong)).body, HasSubstr("last: ")) << wrong;
  }
  expect(200, "POST", "/ha/go-on");
  expect(200, "POST", "/nodes/node1/confirm-off");
  expect(200, "POST", "/nodes/node1/bmc/trust");
}

// One walk through all routes; afterwards every answer is held against the schemas in api/openapi.yaml, and the table
// of routes against its paths and roles.
TEST_F(RouteWalk, AllRoutesAnswerAsDescribed) {
  expect(200, {"GET", "/healthz", "", "-"});
  expect(200, {"GET", "/metrics", "", "-"});
  expect(200, {"GET", path("/version"), "", "-"});
  EXPECT_THAT(expect(200, {"GET", path("/openapi.yaml"), "", "-"}).body, HasSubstr("openapi: 3.1.0"));
  expect(200, "GET", "/status");
  expect(200, "GET", "/whoami");

  auto created = expect(202, "POST", "/vms",
                        {{"name", "web"},
                         {"image", "debian-12"},
                         {"cpus", 2},
                         {"memory", "2GiB"},
                         {"count", 2},
                         {"labels", {{"tier", "front"}}},
                         {"cloud_init", {{"user", "me"}, {"password", "geheim"}}}})
                     .json();
  EXPECT_EQ(created["vms"].size(), 2U);
  EXPECT_EQ(created["vms"][0]["name"], "web-1");
  EXPECT_EQ(created["vms"][0]["spec"]["cloud_init"]["password_hash"], "(set)");
  EXPECT_EQ(created["vms"][0]["spec"]["memory"], (2_GiB).count());
  EXPECT_EQ(created["operations"][0]["kind"], "vm.create");
  EXPECT_EQ(created["operations"][0]["created_by"], "boss");
  const auto one =
      expect(202, "POST", "/vms", {{"name", "one"}, {"image", "debian-12"}, {"disks", {{{"size", "4GiB"}}}}});
  EXPECT_THAT(one.headers, HasSubstr("Location: /api/v1/vms/"));
  const auto dry = expect(200, "POST", "/vms?dry_run=true", {{"name", "dry"}, {"image", "debian-12"}}).json();
  EXPECT_EQ(dry["dry_run"], true);
  EXPECT_FALSE(inventory->find_by_name<model::Vm>("dry"));

  make_vm("run", true);
  make_vm("off", false);
  expect(200, "GET", "/vms");
  expect(200, "GET", "/vms?summary=true&node=node1");
  expect(200, "GET", "/vms/run");
  EXPECT_TRUE(expect(200, "GET", "/vms/run/use").json()["points"].back().is_null()) << "nothing was measured yet";
  const auto run = inventory->find_by_name<model::Vm>("run")->value.id;
  use.note(node.id, {.cpus = 2, .guests = {{.vm = run, .cpus = 1.5, .memory = 1_GiB, .storage = 8e6, .network = 5e5}}},
           3_GiB, clock.now());
  EXPECT_NEAR(expect(200, "GET", "/vms/run/use").json()["points"].back()["cpus"], 1.5, 0.01);
  EXPECT_NEAR(expect(200, "GET", "/vms/run/use?span=weeks").json()["points"].back()["storage"], 8e6, 1e5);
  expect(400, "GET", "/vms/run/use?span=year");
  const auto of_node = expect(200, "GET", "/nodes/node1/use").json();
  EXPECT_EQ(of_node["step_seconds"], 300);
  EXPECT_EQ(of_node["points"].size(), 288u);
  EXPECT_NEAR(of_node["points"].back()["memory"], static_cast<double>((3_GiB).count()), 3e7);
  EXPECT_EQ(expect(200, "GET", "/pools/local").json()["use"]["storage"], 8e6);
  EXPECT_GT(expect(200, "GET", "/status").json()["power"]["watts"], 100);
  energy.watts[node.id] = 312;
  const auto now = expect(200, "GET", "/status").json()["power"];
  EXPECT_EQ(now["watts"], 312) << "its BMC knows better than the model";
  EXPECT_EQ(now["watts_measured"], 312);
  expect(202, "PATCH", "/vms/off", {{"watchdog", "reset"}, {"restart_hung", 300}});
  EXPECT_EQ(expect(200, "GET", "/vms/off").json()["spec"]["restart_hung"], 300);
  EXPECT_THAT(expect(400, "PATCH", "/vms/off", {{"restart_hung", 10}}).body, HasSubstr("restart_hung: must be 0"));
  EXPECT_THAT(expect(400, "PATCH", "/vms/off", {{"when_alone", "stop"}}).body, HasSubstr("set ha to restart, too"));
  EXPECT_THAT(expect(400, "PATCH", "/vms/off", {{"watchdog", "bark"}}).body, HasSubstr("off, reset"));
  expect(202, "PATCH", "/vms/off", {{"labels", {{"a", "b"}}}, {"cpus", 2}, {"memory", 2147483648}});
  expect(202, "POST", "/vms/off/start");
  make_vm("run2", true);
  expect(202, "POST", "/vms/run2/stop", {{"grace_seconds", 5}});
  expect(409, "POST", "/vms/run/migrate", {{"to", "node1"}});
  expect(409, "POST", "/vms/run/migrate", {{"to", "node1"}, {"pool", "local"}, {"post_copy", true}});
  const auto checks = expect(200, "GET", "/vms/run/migration-checks?to=node1&pool=local").json();
  EXPECT_EQ(checks["items"][0]["passed"], false);
  EXPECT_EQ(checks["items"][0]["checks"].size(), 8U);
  make_vm("run3", true);
  expect(202, "POST", "/vms/run3/reboot", {{"force", true}});
  make_vm("run4", true);
  const auto paused = expect(202, "POST", "/vms/run4/pause").json();
  finish_operation(paused["operation"]["id"], model::OperationState::succeeded);
  expect(202, "POST", "/vms/run4/resume");
  make_vm("parts", false);
  expect(202, "POST", "/vms/parts/disks", {{"size", "1GiB"}});
  expect(202, "DELETE", "/vms/parts/disks/disk0");
  expect(202, "POST", "/vms/parts/nics", {{"network", "default"}});
  expect(202, "DELETE", "/vms/parts/nics/nic0");
  const auto stamped = make_vm("stamped", false);
  const auto nobody_asks = expect(409, "POST", "/vms/stamped/confirm-stopped");
  EXPECT_THAT(nobody_asks.body, HasSubstr("nobody asks"));
  commit([&](state::Edit& edit) {
    edit.create(model::Operation{
        .id = make_id<model::OperationId>(random),
        .kind = model::operation_kind::vm_start,
        .target_kind = "vm",
        .target = stamped.id.str(),
        .state = model::OperationState::failed,
        .parameters = {{"stamp", model::LeaseStamp{.vm = stamped.id, .node = node.id, .token = 99, .source = {}}}},
        .created = clock.now()});
  });
  expect(200, "POST", "/vms/stamped/confirm-stopped?dry_run=true");
  expect(200, "POST", "/vms/stamped/confirm-stopped");
  const auto snap = make_vm("snap", false);
  auto status = inventory->find<model::Vm>(snap.id)->value.status;
  status.snapshots = {{"before", clock.now(), false}};
  commit([&](state::Edit& edit) { edit.set_status(snap.id, status); });
  expect(200, "GET", "/vms/snap/snapshots");
  const auto taken = expect(202, "POST", "/vms/snap/snapshots", {{"name", "later"}}).json();
  finish_operation(taken["operation"]["id"], model::OperationState::succeeded);
  const auto back = expect(202, "POST", "/vms/snap/snapshots/before/rollback").json();
  finish_operation(back["operation"]["id"], model::OperationState::succeeded);
  expect(202, "DELETE", "/vms/snap/snapshots/before");
  tunnels.set_script({.kind = AgentScript::Kind::source, .payload = "Debian GNU/Linux 12\nlogin: "});
  EXPECT_EQ(expect(200, "GET", "/vms/run/log").body, "Debian GNU/Linux 12\nlogin: ");
  expect(426, "GET", "/vms/run/console");
  expect(426, "GET", "/vms/run/vnc");
  expect(202, "DELETE", "/vms/run4?keep_disks=true");

  expect(200, "GET", "/images?role=golden");
  const auto image = expect(200, "GET", "/images/debian-12").json();
  EXPECT_EQ(image["source"], "https://***@images.test/debian.qcow2");
  EXPECT_GE(image["users"].size(), 3U);
  const auto import =
      expect(
          202, "POST", "/images",
          {{"name", "fresh"}, {"pool", "local"}, {"source", {{"kind", "url"}, {"location", "https://a:b@x.test/i"}}}})
          .json();
  EXPECT_EQ(import["operation"]["parameters"]["source"]["location"], "https://***@x.test/i");
  EXPECT_EQ(expect(200, "GET", "/images/debian-12/export?format=raw").body, "Debian GNU/Linux 12\nlogin: ");
  expect(409, "DELETE", "/images/debian-12");
  make_vm("disks", true);
  expect(409, "POST", "/images/disks-disk0/migrate", {{"pool", "local"}});
  expect(404, "POST", "/images/disks-disk0/migrate", {{"pool", "nowhere"}});
  auto fast = pool;
  fast.id = make_id<model::PoolId>(random);
  fast.name = "fast";
  fast.nodes[node.id] = {.ready = true, .available = 1_TiB};
  commit([&](state::Edit& edit) { edit.create(fast); });
  EXPECT_EQ(expect(200, "POST", "/images/disks-disk0/migrate?dry_run=true", {{"pool", "fast"}}).json()["dry_run"],
            true);
  const auto flat = expect(202, "POST", "/images/disks-disk0/flatten").json();
  EXPECT_EQ(flat["operation"]["target"], flat["image"]["vm"]);
  expect(409, "POST", "/images/disks-disk0/migrate", {{"pool", "fast"}});
  finish_operation(flat["operation"]["id"], model::OperationState::succeeded);
  expect(202, "POST", "/images/disks-disk0/migrate", {{"pool", "fast"}});
  finish_operation(import["operation"]["id"], model::OperationState::failed);
  expect(202, "DELETE", "/images/fresh");
  const model::PoolSurvey survey{
      .layouts = true,
      .targets = {{.index = 0, .name = "OST0000", .total = 10_GiB, .available = 1_GiB},
                  {.index = 1, .name = "OST0001", .state = model::TargetState::down, .total = 10_GiB}},
      .images = {
          {.image = model::ImageId(image["id"].get<std::string>()),
           .allocated = 4_GiB,
           .layout = {.parts = {{.end = std::uint64_t{1} << 30, .stripes = 1, .stripe_size = 1_MiB, .targets = {0}},
                                {.stripes = model::kAllTargets, .stripe_size = 4_MiB, .targets = {0, 1}}}}}}};
  tunnels.set_script({.kind = AgentScript::Kind::source, .payload = model::encode(survey)});
  EXPECT_EQ(expect(200, "GET", "/images/debian-12/layout").json()["layout"]["parts"].size(), 2U);
  EXPECT_EQ(expect(200, "GET", "/pools/local/balance").json()["targets"][1]["state"], "down");
  tunnels.set_script({.kind = AgentScript::Kind::sink});
  expect(200, {"PUT", path("/uploads/" + make_upload_operation().id.str()), std::string(100'000, 'x')});
  EXPECT_EQ(tunnels.received().size(), 100'000U);

  expect(200, "GET", "/pools");
  expect(200, "GET", "/pools/local");
  const auto second = expect(202, "POST", "/pools",
                             {{"name", "second"}, {"driver", "local"}, {"path", "/srv/second"}, {"nodes", {"node1"}}})
                          .json();
  finish_operation(second["operation"]["id"], model::OperationState::succeeded);
  expect(202, "DELETE", "/pools/second");
  expect(200, "GET", "/networks");
  expect(200, "GET", "/networks/default");
  const auto lan =
      expect(202, "POST", "/networks", {{"name", "lan"}, {"kind", "bridge"}, {"bridge", "br0"}, {"vlan", 20}}).json();
  finish_operation(lan["operation"]["id"], model::OperationState::succeeded);
  expect(202, "DELETE", "/networks/lan");

  expect(200, "GET", "/nodes");
  expect(200, "GET", "/nodes/node1");
  expect(200, "PATCH", "/nodes/node1", {{"schedulable", false}});
  expect(409, "DELETE", "/nodes/node1");
  const auto join = expect(201, "POST", "/join-tokens", {{"node_name", "node2"}, {"ttl_seconds", 600}}).json();
  const auto ticket = pki::parse_join_token(join["join_token"].get<std::string>());
  ASSERT_TRUE(ticket);
  EXPECT_EQ(ticket->address, "manager.test:7444");

  walk_netboot();
  walk_planning();
  walk_power();
  walk_bench();
  walk_availability();
  walk_upgrades();
  walk_alerts();

  expect(200, "GET", "/operations?limit=5");
  const std::string operation = created["operations"][0]["id"];
  expect(200, "GET", "/operations/" + operation);
  expect(202, "POST", "/operations/" + operation + "/cancel");
  expect(200, "GET", "/events?limit=3");

  expect(200, "GET", "/tokens");
  const auto token =
      expect(201, "POST", "/tokens", {{"name", "ci"}, {"role", "viewer"}, {"expires_in_seconds", 3600}}).json();
  EXPECT_EQ(send({"GET", path("/whoami"), "", token["secret"].get<std::string>()}).json()["name"], "ci");
  EXPECT_FALSE(token["token"].contains("secret_sha256"));
  expect(200, "DELETE", "/tokens/ci");
  const std::vector<std::string> own_page = {"Sec-Fetch-Site: same-origin"};
  expect(200, {"POST", path("/session"), nlohmann::json{{"token", viewer}}.dump(), "-", own_page});
  expect(200, {"DELETE", path("/session"), "", "-", own_page});

  std::ofstream list(directory.path() / "routes.json");
  nlohmann::json routes = nlohmann::json::array();
  for (const auto& route : all_routes()) {
    routes.push_back({{"method", to_string(route.method)},
                      {"pattern", route.pattern},
                      {"role", role_word(route.access)},
                      {"query", route.query}});
    if (route.pattern == "/api/v1/events/stream") continue;  // streams_test.cpp
    EXPECT_TRUE(seen_.contains({std::string(to_string(route.method)), std::string(route.pattern)}))
        << route.pattern << " is not tested";
  }
  list << routes.dump();
  list.close();
  std::ofstream kept(directory.path() / "answers.json");
  kept << nlohmann::json(answers_).dump();
  kept.close();
  const auto served = send({"GET", path("/openapi.yaml"), "", "-"}).body;
  ASSERT_TRUE(write_file_atomic(directory.path() / "openapi.yaml", served));
  const auto checked = SystemCommandRunner().run(
      {.program = "/usr/bin/python3", .arguments = {BRIDGEHEAD_CHECK_OPENAPI, directory.path().string()}});
  EXPECT_TRUE(checked) << checked.error().message;
}

}  // namespace
}  // namespace bridgehead::control_api::testing
