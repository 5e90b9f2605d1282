#include "scheduler/scheduler.h"

#include <gtest/gtest.h>

namespace bridgehead::scheduler {
namespace {

const model::PoolId kPool{"pool-1"};

NodeSnapshot node(const std::string& id, std::uint32_t cpus = 4, Bytes memory = 16_GiB) {
  NodeSnapshot snapshot;
  snapshot.id = model::NodeId(id);
  snapshot.name = id;
  snapshot.state = model::NodeState::ready;
  snapshot.cpus = cpus;
  snapshot.memory = memory;
  snapshot.pools[kPool] = {.ready = true, .total = 100_GiB, .available = 50_GiB};
  snapshot.bridges = {"br0"};
  return snapshot;
}

VmRequest request(std::uint32_t cpus = 1, Bytes memory = 1_GiB) {
  VmRequest wanted;
  wanted.cpus = cpus;
  wanted.memory = memory;
  wanted.disk_room[kPool] = 64_MiB;
  wanted.pool_names[kPool] = "local";
  return wanted;
}

TEST(Scheduler, PicksTheLeastAllocated) {
  auto busy = node("a");
  busy.allocated = {.cpus = 8, .memory = 8_GiB, .guests = 4};
  const auto placed = place({{busy, node("b")}, {}}, request());
  ASSERT_TRUE(placed) << placed.error().describe();
  EXPECT_EQ(placed->node, model::NodeId("b"));
  EXPECT_FALSE(placed->reasons.empty());
}

TEST(Scheduler, TiesGoToTheLowestIdWhateverTheOrder) {
  EXPECT_EQ(place({{node("b"), node("a"), node("c")}, {}}, request())->node, model::NodeId("a"));
  EXPECT_EQ(place({{node("a"), node("c"), node("b")}, {}}, request())->node, model::NodeId("a"));
}

TEST(Scheduler, GoesWhereTheImageIs) {
  auto wanted = request();
  wanted.image_node = model::NodeId("b");
  wanted.image_name = "debian-12";
  EXPECT_EQ(place({{node("a"), node("b")}, {}}, wanted)->node, model::NodeId("b"));
  wanted.pinned = model::NodeId("a");
  const auto placed = place({{node("a"), node("b")}, {}}, wanted);
  ASSERT_FALSE(placed);
  EXPECT_EQ(placed.error().message,
            "no node fits: 1 node (a): without image 'debian-12' (its pool is local to another node)");
}

TEST(Scheduler, MemoryIsNotOvercommittedAndTheHostKeepsSome) {
  auto only = node("a", 4, 4_GiB);
  EXPECT_TRUE(place({{only}, {}}, request(1, 3584_MiB)));
  const auto placed = place({{only}, {}}, request(1, 3585_MiB));
  ASSERT_FALSE(placed);
  EXPECT_EQ(placed.error().code, ErrorCode::resource_exhausted);
  EXPECT_EQ(placed.error().message, "no node fits: 1 node (a): needs 3.5 GiB memory, 3.5 GiB free");
  EXPECT_FALSE(placed.error().hint.empty());
}

TEST(Scheduler, CpusAreOvercommittedUpToTheLimit) {
  auto only = node("a", 2);
  only.allocated.cpus = 6;
  EXPECT_TRUE(place({{only}, {}}, request(2)));
  const auto placed = place({{only}, {}}, request(3));
  ASSERT_FALSE(placed);
  EXPECT_EQ(placed.error().message, "no node fits: 1 node (a): needs 3 virtual CPUs, 2 free");
  EXPECT_TRUE(place({{only}, Limits{.cpu_overcommit = 8}}, request(3)));
}

TEST(Scheduler, AStoppedGuestNeedsOnlyRoom) {
  auto full = node("a", 1, 1_GiB);
  full.allocated = {.cpus = 4, .memory = 1_GiB};
  EXPECT_FALSE(place({{full}, {}}, request()));
  auto wanted = request();
  wanted.powered_on = false;
  EXPECT_TRUE(place({{full}, {}}, wanted));
}

TEST(Scheduler, CountsNodesByReason) {
  auto away = node("a");
  away.state = model::NodeState::unreachable;
  auto closed = node("b");
  closed.schedulable = false;
  auto small = node("c", 4, 4_GiB);
  auto smaller = node("d", 4, 2_GiB);
  auto broken = node("e");
  broken.pools[kPool].ready = false;
  broken.pools[kPool].message = "/srv isn't mounted";
  const auto placed = place({{away, closed, small, smaller, broken}, {}}, request(1, 8_GiB));
  ASSERT_FALSE(placed);
  EXPECT_EQ(placed.error().message,
            "no node fits: 1 node (a): unreachable; 1 node (b): closed for new guests; 1 node (e): pool 'local' isn't "
            "ready there: /srv isn't mounted; 2 nodes (c, d): needs 8 GiB memory, at most 3.5 GiB free");
  EXPECT_EQ(placed.error().code, ErrorCode::resource_exhausted);
}

TEST(Scheduler, SaysUnavailableWhenNodesAreOnlyNotReady) {
  auto broken = node("a");
  broken.state = model::NodeState::not_ready;
  broken.message = "libvirt isn't installed";
  const auto placed = place({{broken}, {}}, request());
  ASSERT_FALSE(placed);
  EXPECT_EQ(placed.error().code, ErrorCode::unavailable);
  EXPECT_EQ(placed.error().message, "no node fits: 1 node (a): not ready: libvirt isn't installed");
  EXPECT_EQ(place({}, request()).error().code, ErrorCode::unavailable);
}

TEST(Scheduler, NeedsPoolRoomAndBridges) {
  auto full = node("a");
  full.pools[kPool].available = 300_MiB;
  EXPECT_EQ(place({{full}, {}}, request()).error().message,
            "no node fits: 1 node (a): needs 64 MiB of room in pool 'local' beside the 256 MiB that are kept free, 44 "
            "MiB free");
  auto none = node("a");
  none.pools.clear();
  EXPECT_EQ(place({{none}, {}}, request()).error().message, "no node fits: 1 node (a): without pool 'local'");
  auto wanted = request();
  wanted.bridges = {"br7"};
  EXPECT_EQ(place({{node("a")}, {}}, wanted).error().message, "no node fits: 1 node (a): without bridge 'br7'");
}

TEST(Scheduler, WaitsForThePoolsOfANodeThatWasWoken) {
  auto woken = node("a");
  woken.pools[kPool] = {.ready = false, .message = "is being mounted", .total = {}, .available = {}};
  EXPECT_FALSE(place({{woken}, {}}, request()));
  woken.just_woken = true;
  const auto placed = place({{woken}, {}}, request());
  ASSERT_TRUE(placed) << placed.error().message;
  EXPECT_TRUE(placed->asleep) << "to be placed again";
  EXPECT_EQ(place({{woken, node("b")}, {}}, request())->node, model::NodeId("b")) << "last of all";
  woken.pools[kPool] = {.ready = true, .message = "", .total = 1_GiB, .available = {}};
  EXPECT_FALSE(place({{woken}, {}}, request())) << "it is mounted, and full";
}

TEST(Scheduler, UnknownPinnedNodeIsNamed) {
  auto wanted = request();
  wanted.pinned = model::NodeId("z");
  EXPECT_EQ(place({{node("a")}, {}}, wanted).error().code, ErrorCode::not_found);
}

TEST(Scheduler, ShowsAFewNamesOfMany) {
  ClusterSnapshot cluster;
  for (int i = 0; i < 9; ++i) cluster.nodes.push_back(node(fmt::format("n{}", i), 4, 1_GiB));
  const auto message = place(cluster, request(1, 8_GiB)).error().message;
  EXPECT_NE(message.find("9 nodes (n0, n1, n2, n3, n4 and 4 more)"), std::string::npos) << message;
}

TEST(CheckFits, SaysWhatIsMissing) {
  auto only = node("a", 2, 4_GiB);
  only.allocated = {.cpus = 7, .memory = 3_GiB};
  EXPECT_TRUE(check_fits(only, {}, 1, 512_MiB));
  EXPECT_EQ(check_fits(only, {}, 2, Bytes()).error().message, "node 'a' has 1 virtual CPUs free, 2 more are needed");
  EXPECT_EQ(check_fits(only, {}, 0, 1_GiB).error().message,
            "node 'a' has 512 MiB of memory free, 1 GiB more are needed");
}

}  // namespace
}  // namespace bridgehead::scheduler
