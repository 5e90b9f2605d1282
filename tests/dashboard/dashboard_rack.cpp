// The rack behind dashboard_test: a state directory for a manager, and agents that work for it.
//   dashboard_rack STATE_DIR NODES GUESTS
// Prints the admin's token; then, for each line "PORT" on its standard input, connects its agents to a manager there.
// Ends with its input.
#include <iostream>

#include "base/clock.h"
#include "base/random.h"
#include "dashboard/working_agents.h"
#include "model/past_boots.h"
#include "state/inventory.h"
#include "state/sqlite_store.h"

namespace bridgehead::dashboard {
namespace {

// Whatever a machine says of itself is text, never a part of the page.
constexpr std::string_view kHostile = "<img src=x onerror=\"window.broken=1\"><script>window.broken=1</script>";

model::Node machine(RandomSource& random, const std::string& name, model::Approval approval) {
  model::Node node;
  node.id = make_id<model::NodeId>(random);
  node.name = name;
  node.rack = "r2";
  node.created = SystemClock().now();
  node.netboot = model::Netboot{.mac = approval == model::Approval::waiting ? "52:54:00:00:00:01" : "52:54:00:00:00:02",
                                .uuid = node.id.str(),
                                .serial = "SN" + name,
                                .address = {},
                                .approval = approval,
                                .image = "debian:1",
                                .profile = {},
                                .hardware = {.vendor = std::string(kHostile), .product = "R640"}};
  return node;
}

// One machine that waits for approval, and one that boots.
void add_machines(const std::filesystem::path& state) {
  const SystemClock clock;
  SystemRandom random;
  const auto store = state::open_sqlite_store(state / "state.db").value();
  const auto inventory = state::Inventory::open(*store, clock).value();
  auto edit = inventory->edit();
  edit.create(machine(random, "new-machine", model::Approval::waiting));
  const auto booting = machine(random, "booting-machine", model::Approval::approved);
  edit.create(booting);
  model::Boot boot;
  boot.id = booting.id;
  boot.image = "debian:1";
  boot.started = clock.now() - std::chrono::seconds(12);
  auto time = boot.started;
  for (const auto step : {model::BootStep::dhcp, model::BootStep::bootstrap, model::BootStep::kernel,
                          model::BootStep::bridge, model::BootStep::root}) {
    boot.events.push_back({step, "", time += std::chrono::seconds(2)});
  }
  boot.events.back().message = kHostile;
  boot.log = {"loading virtio_net", std::string(kHostile)};
  edit.create(boot);
  // It failed when it booted before.
  auto before = boot;
  before.started -= std::chrono::minutes(20);
  for (auto& event : before.events) event.time -= std::chrono::minutes(20);
  before.events.back() = {model::BootStep::failed, "no root: 10.20.0.1:10809 refuses", before.events.back().time};
  before.log = {"loading virtio_net", "br0 has 10.20.0.131", "nbd: connection refused"};
  edit.create(model::PastBoots{.id = booting.id, .boots = {before}});
  const auto committed = inventory->commit(std::move(edit));
  require(committed.has_value(), committed ? "" : committed.error().describe());
}

int run(const std::filesystem::path& state, std::size_t nodes, std::size_t guests) {
  auto cluster = performance::make_simulated_cluster(state, nodes, guests, true);
  for (auto& node : cluster.nodes) {
    node.report.facts.interfaces.push_back({.name = "br0", .mac = {}, .kind = "bridge", .up = true});
  }
  cluster.nodes.front().report.facts.os = kHostile;
  add_machines(state);
  std::cout << cluster.admin_token << std::endl;
  std::unique_ptr<WorkingAgents> agents;
  for (std::string line; std::getline(std::cin, line);) {
    agents.reset();
    agents = std::make_unique<WorkingAgents>(cluster, std::stoi(line));
  }
  return 0;
}

}  // namespace
}  // namespace bridgehead::dashboard

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: dashboard_rack STATE_DIR NODES GUESTS\n";
    return 2;
  }
  return bridgehead::dashboard::run(argv[1], std::stoul(argv[2]), std::stoul(argv[3]));
}
