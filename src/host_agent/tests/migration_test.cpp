// The way of a migrating guest: gate and way with real TLS between two nodes in this process, and the three
// assignments.
#include "host_agent/migration/gates.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "host_agent/migration/relay_threads.h"
#include "host_agent/migration/tls_link.h"
#include "host_agent/testing/node_fixture.h"

namespace bridgehead::host_agent {
namespace {

using testing::AssignmentState;
using testing::GuestState;
using testing::Host;
using testing::Node;

std::string read_all(int fd) {
  std::string bytes;
  char buffer[65536];
  for (;;) {
    const auto got = ::read(fd, buffer, sizeof buffer);
    if (got <= 0) return bytes;
    bytes.append(buffer, static_cast<std::size_t>(got));
  }
}

// Answers each connection with "<name> heard N bytes" once the other side has ended.
void serve_at(RelayThreads& threads, const std::filesystem::path& path, std::string name) {
  auto listener = listen_at(path.string());
  ASSERT_TRUE(listener) << listener.error().describe();
  threads.listen(std::move(*listener), [name = std::move(name)](UniqueFd connection, int) {
    const auto heard = read_all(connection.get());
    (void)write_all(connection.get(), fmt::format("{} heard {} bytes", name, heard.size()), "answer");
  });
}

std::string say(const std::filesystem::path& path, const std::string& bytes) {
  auto socket = connect_to(path.string(), std::chrono::seconds(30));
  if (!socket) return socket.error().describe();
  if (auto sent = write_all(socket->get(), bytes, "say"); !sent) return sent.error().describe();
  ::shutdown(socket->get(), SHUT_WR);
  return read_all(socket->get());
}

class MigrationGate : public ::testing::Test {
 protected:
  MigrationGate() {
    ::signal(SIGPIPE, SIG_IGN);  // as the agent does
    authority = std::move(*pki::CertificateAuthority::open(directory.path() / "ca", clock, random));
    source = host("source", source_node);
    target = host("target", target_node);
    gates.emplace(target);
  }

  MigrationHost host(const std::string& name, const model::NodeId& node) {
    return {.paths = {.run_dir = directory.path() / name,
                      .libvirt_socket = directory.path() / (name + "-libvirt"),
                      .qemu_user = "nobody-at-all"},
            .identity = [this, node] { return testing::node_identity(*authority, node); }};
  }

  SystemClock clock;
  SeededRandom random{3};
  TemporaryDirectory directory = std::move(*TemporaryDirectory::create());
  std::unique_ptr<pki::CertificateAuthority> authority;
  model::NodeId source_node = make_id<model::NodeId>(random);
  model::NodeId target_node = make_id<model::NodeId>(random);
  model::VmId vm = make_id<model::VmId>(random);
  MigrationHost source;
  MigrationHost target;
  RelayThreads libvirt_and_qemu;
  std::optional<MigrationGates> gates;
};

TEST_F(MigrationGate, CarriesBothConversationsWholeToTheRightSockets) {
  serve_at(libvirt_and_qemu, target.paths.libvirt_socket, "libvirt");
  const auto gate = gates->open(vm, source_node);
  ASSERT_TRUE(gate) << gate.error().describe();
  serve_at(libvirt_and_qemu, target.paths.data(vm), "QEMU");
  const auto way = MigrationWay::build(source, vm, target_node, *gate);
  ASSERT_TRUE(way) << way.error().describe();
  // libvirt keeps talking to the end, so what it says comes last.
  EXPECT_EQ(say(way->data_socket(), std::string(20'000'000, 'x')), "QEMU heard 20000000 bytes");
  EXPECT_EQ(say(way->control_socket(), "hello"), "libvirt heard 5 bytes");
}

TEST_F(MigrationGate, IsClosedWhenTheSourceHasHungUp) {
  serve_at(libvirt_and_qemu, target.paths.libvirt_socket, "libvirt");
  const auto gate = gates->open(vm, source_node);
  ASSERT_TRUE(gate);
  {
    const auto way = MigrationWay::build(source, vm, target_node, *gate);
    ASSERT_TRUE(way);
    EXPECT_EQ(say(way->control_socket(), "hello"), "libvirt heard 5 bytes");
  }
  EXPECT_FALSE(std::filesystem::exists(source.paths.run_dir / vm.str())) << "the way leaves nothing";
  EXPECT_TRUE(testing::eventually([&] { return !MigrationWay::build(source, vm, target_node, *gate); }));
  EXPECT_TRUE(testing::eventually([&] { return !std::filesystem::exists(target.paths.run_dir / vm.str()); }))
      << "nor does the gate";
}

TEST_F(MigrationGate, LetsNobodyElseIn) {
  serve_at(libvirt_and_qemu, target.paths.libvirt_socket, "libvirt");
  const auto gate = gates->open(vm, source_node);
  ASSERT_TRUE(gate);
  // Another node of the same cluster.
  const auto other = make_id<model::NodeId>(random);
  EXPECT_FALSE(MigrationWay::build(host("other", other), vm, target_node, *gate));
  // Somebody with a CA of his own who says that he is the source.
  const auto foreign = pki::CertificateAuthority::open(directory.path() / "foreign", clock, random);
  ASSERT_TRUE(foreign);
  auto pretender = host("pretender", source_node);
  pretender.identity = [&]() -> Result<Identity> {
    auto identity = testing::node_identity(**foreign, source_node);
    if (identity) identity->ca_pem = authority->certificate_pem();
    return identity;
  };
  EXPECT_FALSE(MigrationWay::build(pretender, vm, target_node, *gate));
  // Behind the port is another node than the source was told.
  EXPECT_FALSE(MigrationWay::build(source, vm, other, *gate));
  EXPECT_TRUE(MigrationWay::build(source, vm, target_node, *gate)) << "the right one still gets in";
}

TEST_F(MigrationGate, WhereDisksGoAlongTheyHaveAWayOfTheirOwnAndTheGuestIsGivenUpAtLast) {
  serve_at(libvirt_and_qemu, target.paths.libvirt_socket, "libvirt");
  std::atomic<int> asked = 0;
  const auto take_over = [&]() -> Status {
    if (++asked > 1) return {};
    return fail(ErrorCode::failed_precondition, "it has not come in whole");
  };
  auto gate = gates->open(vm, source_node, {}, take_over);
  ASSERT_TRUE(gate) << gate.error().describe();
  serve_at(libvirt_and_qemu, target.paths.data(vm), "QEMU");
  serve_at(libvirt_and_qemu, target.paths.disks(vm), "NBD");
  gate->disks = {{.name = "disk0", .path = "/pool/disk0"}};
  {
    const auto way = MigrationWay::build(source, vm, target_node, *gate);
    ASSERT_TRUE(way) << way.error().describe();
    EXPECT_EQ(say(way->disks_socket(), "hello"), "NBD heard 5 bytes");
    EXPECT_EQ(say(way->control_socket(), "hello"), "libvirt heard 5 bytes");
  }
  EXPECT_FALSE(MigrationWay::give_up(source, vm, target_node, *gate)) << "refused, and it stays open";
  EXPECT_TRUE(MigrationWay::give_up(source, vm, target_node, *gate));
  EXPECT_EQ(asked, 2);
  EXPECT_TRUE(testing::eventually([&] { return !gates->is_open(vm); }));
  EXPECT_FALSE(MigrationWay::give_up(source, vm, target_node, *gate));
}

TEST_F(MigrationGate, AnAgentThatWouldLeaveTheDisksBehindDoesNotGetThrough) {
  serve_at(libvirt_and_qemu, target.paths.libvirt_socket, "libvirt");
  const auto gate = gates->open(vm, source_node, {}, [] { return Status{}; });
  ASSERT_TRUE(gate);
  const auto way = MigrationWay::build(source, vm, target_node, *gate);  // knows of no disks
  ASSERT_TRUE(way);
  EXPECT_EQ(say(way->control_socket(), "hello"), "");
}

TEST_F(MigrationGate, ClosesWhenNobodyComes) {
  target.patience = std::chrono::milliseconds(50);
  MigrationGates impatient(target);
  const auto gate = impatient.open(vm, source_node);
  ASSERT_TRUE(gate);
  EXPECT_TRUE(testing::eventually([&] { return !MigrationWay::build(source, vm, target_node, *gate); }));
}

TEST_F(MigrationGate, ConnectionsThatHaveEndedDoNotCount) {
  serve_at(libvirt_and_qemu, target.paths.libvirt_socket, "libvirt");
  const auto gate = gates->open(vm, source_node);
  ASSERT_TRUE(gate);
  for (int i = 0; i < 40; ++i) {
    const auto way = MigrationWay::build(source, vm, target_node, *gate);  // asks whether it is the gate
    ASSERT_TRUE(way) << i << ": " << way.error().describe();
  }
  const auto way = MigrationWay::build(source, vm, target_node, *gate);
  ASSERT_TRUE(way);
  EXPECT_EQ(say(way->control_socket(), "hello"), "libvirt heard 5 bytes");
}

TEST_F(MigrationGate, HoldsTheGuestsMemoryUntilItIsClosed) {
  MemoryBudget budget;
  target.patience = std::chrono::milliseconds(50);
  MigrationGates impatient(target);
  auto memory = budget.reserve(2_GiB, 3_GiB);
  ASSERT_TRUE(memory);
  ASSERT_TRUE(impatient.open(vm, source_node, std::move(*memory)));
  EXPECT_TRUE(testing::eventually([&] { return !impatient.is_open(vm); }));
  EXPECT_TRUE(budget.reserve(2_GiB, 3_GiB)) << "and then gives it back";

  target.patience = std::chrono::minutes(1);
  MigrationGates patient(target);
  ASSERT_TRUE(patient.open(vm, source_node, std::move(*budget.reserve(2_GiB, 3_GiB))));
  EXPECT_TRUE(patient.is_open(vm));
  EXPECT_FALSE(budget.reserve(2_GiB, 3_GiB));
  patient.close(vm);
  EXPECT_TRUE(budget.reserve(2_GiB, 3_GiB));
}

TEST_F(MigrationGate, FollowsNoLinkOfQemus) {
  serve_at(libvirt_and_qemu, target.paths.libvirt_socket, "libvirt");
  const auto gate = gates->open(vm, source_node);
  ASSERT_TRUE(gate);
  std::filesystem::create_symlink(target.paths.libvirt_socket, target.paths.data(vm));
  const auto way = MigrationWay::build(source, vm, target_node, *gate);
  ASSERT_TRUE(way);
  EXPECT_EQ(say(way->data_socket(), "hello"), "");
}

TEST_F(MigrationGate, WhoeverTakesNoConnectionsIsGivenUpOn) {
  const auto path = directory.path() / "busy.sock";
  const auto listener = listen_at(path.string());
  ASSERT_TRUE(listener);
  ASSERT_EQ(::listen(listener->get(), 0), 0);
  const auto first = connect_to(path.string(), std::chrono::seconds(30));
  ASSERT_TRUE(first) << first.error().describe();
  const auto second = connect_to(path.string(), std::chrono::milliseconds(200));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::unavailable);
}

TEST_F(MigrationGate, OnlyRootReachesLibvirtThroughTheWay) {
  const auto gate = gates->open(vm, source_node);
  ASSERT_TRUE(gate);
  const auto way = MigrationWay::build(source, vm, target_node, *gate);
  ASSERT_TRUE(way);
  struct stat status {};
  ASSERT_EQ(::stat(target.paths.data(vm).parent_path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0700U) << "and QEMU alone is where it listens";
  ASSERT_EQ(::stat(way->control_socket().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  EXPECT_EQ(status.st_uid, ::geteuid());
  ASSERT_EQ(::stat(way->data_socket().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  // On the source, where the agent makes the socket, nobody else can put something in its place.
  ASSERT_EQ(::stat(way->data_socket().parent_path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0711U);
  EXPECT_EQ(status.st_uid, ::geteuid());
}

// --- the assignments

class Migration : public ::testing::Test {
 protected:
  // A guest whose disks are in the pool, as another node has made them; leased to it under token 7.
  model::AcceptVm coming() {
    auto guest = host.new_vm();
    const auto source = host.id<model::NodeId>();
    for (const auto& image : guest.images) {
      if (image.role != model::ImageRole::disk) continue;
      EXPECT_TRUE(host.pool->create_disk(image, image.parent.empty() ? nullptr : &host.golden, 4_GiB));
    }
    EXPECT_TRUE(host.pool->stamp_lease({.vm = guest.vm.id, .node = source, .token = 7}));
    guest.vm.lease = 8;
    return {.guest = std::move(guest), .source = source};
  }
  std::uint64_t stamped(const model::VmId& vm) { return (*host.pool->read_lease(vm))->token; }

  Host host;
};

TEST_F(Migration, ATargetMakesAllReadyStampsItsLeaseAndOpensTheGate) {
  Node node(host);
  const auto work = coming();
  const auto end = node.carry_out(work);
  ASSERT_EQ(end.state, AssignmentState::succeeded) << end.error.value_or(Error{}).describe();
  ASSERT_TRUE(end.gate);
  EXPECT_FALSE(end.gate->addresses.empty());
  EXPECT_NE(end.gate->port, 0);
  EXPECT_EQ(stamped(work.guest.vm.id), 8u);
  EXPECT_TRUE(std::filesystem::exists(node.files().seed(work.guest.vm.id)));
  EXPECT_EQ(host.state(work.guest.vm.id), GuestState::absent) << "libvirt defines it when it comes";
}

TEST_F(Migration, ATargetMakesTheVlanThatANicHasForItself) {
  host.network = {.id = host.network.id, .name = "lan", .kind = model::NetworkKind::bridge, .bridge = "br0"};
  Node node(host);
  auto work = coming();
  work.guest.vm.spec.nics[0].vlan = 20;
  ASSERT_EQ(node.carry_out(work).state, AssignmentState::succeeded);
  const auto networks = host.hypervisor.networks();
  EXPECT_TRUE(std::any_of(networks.begin(), networks.end(),
                          [](const auto& entry) { return entry.second.bridge == "br0" && entry.second.vlan == 20; }));
}

TEST_F(Migration, ATargetKeepsTheMemoryThatItHasPromised) {
  host.capacity.memory_available = 768_MiB;
  Node node(host);
  const auto work = coming();
  ASSERT_EQ(node.carry_out(work).state, AssignmentState::succeeded);
  const auto end = node.carry_out(coming());
  ASSERT_EQ(end.state, AssignmentState::failed);
  EXPECT_EQ(end.error->code, ErrorCode::resource_exhausted);
  ASSERT_EQ(node.carry_out(model::SettleVm{.vm = work.guest.vm.id}).state, AssignmentState::succeeded);
  EXPECT_EQ(node.carry_out(coming()).state, AssignmentState::succeeded);
}

TEST_F(Migration, ATargetThatDoesNotSeeADiskRefusesAndChangesNothing) {
  Node node(host);
  auto work = coming();
  ASSERT_TRUE(host.pool->remove(work.guest.images[1]));
  const auto end = node.carry_out(work);
  ASSERT_EQ(end.state, AssignmentState::failed);
  EXPECT_NE(end.error->message.find("does not see the disk"), std::string::npos) << end.error->message;
  EXPECT_EQ(stamped(work.guest.vm.id), 7u);
  EXPECT_FALSE(std::filesystem::exists(node.files().directory(work.guest.vm.id)));
}

TEST_F(Migration, ATargetWithAnOlderTokenThanTheDisksRefuses) {
  Node node(host);
  auto work = coming();
  ASSERT_TRUE(host.pool->stamp_lease({.vm = work.guest.vm.id, .node = work.source, .token = 9}));
  const auto end = node.carry_out(work);
  ASSERT_EQ(end.state, AssignmentState::failed);
  EXPECT_EQ(end.error->code, ErrorCode::failed_precondition);
  EXPECT_EQ(stamped(work.guest.vm.id), 9u);
}

TEST_F(Migration, OnlyTheSourcesOwnLeaseMayComeIn) {
  Node node(host);
  auto work = coming();
  work.guest.vm.past_leases = model::PastLeases{.over = 3, .ended = {}};
  work.source_lease = 6;  // of a backup: the disks are stamped with 7
  auto end = node.carry_out(work);
  ASSERT_EQ(end.state, AssignmentState::failed);
  ASSERT_TRUE(end.stamp);
  EXPECT_EQ(end.stamp->holder(), (model::LeaseHolder{work.source, 7}));
  work.source_lease = 7;
  EXPECT_EQ(node.carry_out(work).state, AssignmentState::succeeded);
  const auto stamp = *host.pool->read_lease(work.guest.vm.id);
  EXPECT_EQ(stamp->holder(), (model::LeaseHolder{host.node, work.guest.vm.lease}));
  EXPECT_EQ(stamp->source, (model::LeaseHolder{work.source, 7}));
}

TEST_F(Migration, ATargetWithTooLittleMemoryRefuses) {
  host.capacity.memory_available = 256_MiB;
  Node node(host);
  const auto end = node.carry_out(coming());
  ASSERT_EQ(end.state, AssignmentState::failed);
  EXPECT_EQ(end.error->code, ErrorCode::resource_exhausted);
}

// Both ends in this process: the gate of one host, the way from another.
TEST_F(Migration, ASourceForgetsTheGuestThatHasMoved) {
  Host target;
  target.node = host.id<model::NodeId>();
  target.migration.identity = [&] { return host.identity(target.node); };
  target.migration.paths.run_dir = host.directory.path() / "target";
  MigrationGates gates(target.migration);
  Node node(host);
  auto guest = host.new_vm();
  ASSERT_EQ(node.carry_out(guest).state, AssignmentState::succeeded);
  const auto gate = gates.open(guest.vm.id, host.node);
  ASSERT_TRUE(gate);
  const auto end =
      node.carry_out(model::MigrateVm{.vm = guest.vm.id, .lease = 7, .target = target.node, .gate = *gate});
  ASSERT_EQ(end.state, AssignmentState::succeeded) << end.error.value_or(Error{}).describe();
  EXPECT_EQ(host.state(guest.vm.id), GuestState::absent);
  EXPECT_FALSE(node.journal().applied(guest.vm.id));
  EXPECT_FALSE(std::filesystem::exists(node.files().directory(guest.vm.id)));
  EXPECT_TRUE(host.has_disks_of(guest)) << "the disks are the target's now";
}

TEST_F(Migration, ASourceKeepsAGuestThatCouldNotMove) {
  Node node(host);
  auto guest = host.new_vm();
  ASSERT_EQ(node.carry_out(guest).state, AssignmentState::succeeded);
  const auto end = node.carry_out(model::MigrateVm{.vm = guest.vm.id,
                                                   .lease = 7,
                                                   .target = host.id<model::NodeId>(),
                                                   .gate = {.addresses = {"127.0.0.1"}, .port = 1}});
  ASSERT_EQ(end.state, AssignmentState::failed);
  EXPECT_TRUE(end.guest_is_here);
  EXPECT_EQ(host.state(guest.vm.id), GuestState::running);
  EXPECT_TRUE(node.journal().applied(guest.vm.id));
}

// The guest of a source whose move has failed: only what runs, or has ended, is here for sure.
TEST_F(Migration, ASourceSaysWhetherTheGuestIsStillItsOwn) {
  Node node(host);
  const auto guest = host.new_vm();
  ASSERT_EQ(node.carry_out(guest).state, AssignmentState::succeeded);
  const auto end_with = [&](GuestState state, bool migrating) {
    host.hypervisor.set_state(guest.vm.id, state);
    host.hypervisor.set_migrating(guest.vm.id, migrating);
    return node.carry_out(model::MigrateVm{.vm = guest.vm.id,
                                           .lease = 7,
                                           .target = host.id<model::NodeId>(),
                                           .gate = {.addresses = {"127.0.0.1"}, .port = 1}});
  };
  EXPECT_TRUE(end_with(GuestState::running, false).guest_is_here);
  EXPECT_FALSE(end_with(GuestState::running, true).guest_is_here);
  EXPECT_FALSE(end_with(GuestState::paused, false).guest_is_here);
  const auto off = end_with(GuestState::stopped, false);
  EXPECT_TRUE(off.guest_is_here);
  EXPECT_EQ(off.error->message, "the guest was shut down on the way");
  host.hypervisor.cut_power(guest.vm.id);
  const auto cut = node.carry_out(model::MigrateVm{.vm = guest.vm.id,
                                                   .lease = 7,
                                                   .target = host.id<model::NodeId>(),
                                                   .gate = {.addresses = {"127.0.0.1"}, .port = 1}});
  EXPECT_FALSE(cut.guest_is_here) << "the target is asked; it is to run again";
  EXPECT_EQ(cut.error->code, ErrorCode::unavailable);
}

TEST_F(Migration, SettlingTellsWhetherTheGuestIsHereAndClearsWhatIsNot) {
  Node node(host);
  const auto work = coming();
  ASSERT_EQ(node.carry_out(work).state, AssignmentState::succeeded);
  auto end = node.carry_out(model::SettleVm{.vm = work.guest.vm.id});
  ASSERT_EQ(end.state, AssignmentState::succeeded);
  EXPECT_FALSE(end.guest_is_here);
  EXPECT_FALSE(std::filesystem::exists(node.files().directory(work.guest.vm.id)));
  EXPECT_TRUE(host.has_disks_of(work.guest));

  ASSERT_EQ(node.carry_out(work.guest).state, AssignmentState::succeeded);  // it has come after all
  end = node.carry_out(model::SettleVm{.vm = work.guest.vm.id});
  ASSERT_EQ(end.state, AssignmentState::succeeded);
  EXPECT_TRUE(end.guest_is_here);
  EXPECT_EQ(host.state(work.guest.vm.id), GuestState::running);

  host.hypervisor.set_state(work.guest.vm.id, GuestState::stopped);
  EXPECT_TRUE(node.carry_out(model::SettleVm{.vm = work.guest.vm.id}).guest_is_here)
      << "it has run here: what the source still holds of it is older than its disks";
}

TEST_F(Migration, WhatRunsIsNoOldCopy) {
  Node node(host);
  const auto guest = host.new_vm();
  ASSERT_EQ(node.carry_out(guest).state, AssignmentState::succeeded);
  const model::RemoveVm clear{.vm = guest.vm, .unless_running = true};
  const auto refused = node.carry_out(clear);
  ASSERT_EQ(refused.state, AssignmentState::failed);
  EXPECT_EQ(refused.error->code, ErrorCode::failed_precondition);
  EXPECT_EQ(host.state(guest.vm.id), GuestState::running);
  host.hypervisor.set_state(guest.vm.id, GuestState::paused);
  ASSERT_EQ(node.carry_out(clear).state, AssignmentState::succeeded);
  EXPECT_EQ(host.state(guest.vm.id), GuestState::absent);
}

TEST_F(Migration, AGuestThatIsHalfWayInHasNotArrived) {
  Node node(host);
  const auto work = coming();
  ASSERT_EQ(node.carry_out(work.guest).state, AssignmentState::succeeded);
  host.hypervisor.set_migrating(work.guest.vm.id, true);
  const auto end = node.carry_out(model::SettleVm{.vm = work.guest.vm.id});
  ASSERT_EQ(end.state, AssignmentState::failed);
  EXPECT_EQ(end.error->code, ErrorCode::unavailable);
  EXPECT_FALSE(end.guest_is_here);
  EXPECT_EQ(host.state(work.guest.vm.id), GuestState::running) << "and nothing was done to it";
  // Its QEMU is just being started for it, or the migration is over and libvirt hasn't dropped it yet.
  host.hypervisor.set_migrating(work.guest.vm.id, false);
  host.hypervisor.set_uncertain(work.guest.vm.id, true);
  EXPECT_EQ(node.carry_out(model::SettleVm{.vm = work.guest.vm.id}).error->code, ErrorCode::unavailable);
  host.hypervisor.set_uncertain(work.guest.vm.id, false);
  EXPECT_TRUE(node.carry_out(model::SettleVm{.vm = work.guest.vm.id}).guest_is_here);
  host.hypervisor.set_migrating(work.guest.vm.id, true);

  host.timings.settle = std::chrono::seconds(20);
  Node patient(host);
  const auto settle = patient.assignment(model::SettleVm{.vm = work.guest.vm.id});
  patient.executor().assign(settle);
  EXPECT_TRUE(host.hypervisor.remove(work.guest.vm.id));  // libvirt drops it
  const auto settled = patient.end_of(settle.operation);
  ASSERT_EQ(settled.state, AssignmentState::succeeded);
  EXPECT_FALSE(settled.guest_is_here);
}

}  // namespace
}  // namespace bridgehead::host_agent
