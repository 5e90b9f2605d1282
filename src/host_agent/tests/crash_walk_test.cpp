// Kills the agent at every step of every kind of assignment, starts it again, and looks that it ends as if nothing had
// happened: reported once, nothing left over, nothing done twice to its end.
#include <gtest/gtest.h>

#include "host_agent/testing/node_fixture.h"

namespace bridgehead::host_agent::testing {
namespace {

constexpr int kMostSteps = 200;

struct Walk {
  // Brings the host to where the assignment starts, and gives it.
  std::function<model::AssignmentBody(Host&)> begin;
  // Prepares each run of the agent (failures that persist, ...).
  std::function<void(Host&)> before_run = [](Host&) {};
  std::function<void(Host&, const model::AssignmentBody&, const AssignmentReport&)> check;
};

// Returns at how many steps the agent was killed.
int walk(const Walk& walk) {
  for (int die_at = 1; die_at <= kMostSteps; ++die_at) {
    Host host;
    const auto body = walk.begin(host);
    const model::Assignment work{.operation = host.id<model::OperationId>(), .body = body};
    const auto point = std::make_shared<CrashPoint>(die_at);
    walk.before_run(host);
    Node killed(host, point);
    std::thread manager(
        [&] { killed.executor().assign(work); });  // stands still too when the journal's write is the step
    killed.end_of(work.operation);
    const bool died = point->is_dead();
    if (died) point->wait_quiet();
    SCOPED_TRACE(died ? fmt::format("killed at step {}: {}", die_at, point->where()) : "not killed");

    walk.before_run(host);
    Node again(host);
    again.executor().recover();
    again.executor().assign(work);  // the manager sends every open operation again
    const auto end = again.end_of(work.operation);
    EXPECT_NE(end.state, AssignmentState::running);
    EXPECT_TRUE(again.journal().unfinished().empty());
    EXPECT_TRUE(again.journal().creations().empty());
    walk.check(host, body, end);
    again.executor().acknowledge(work.operation);
    EXPECT_TRUE(again.journal().finished().empty());
    if (died) point->release();
    manager.join();
    if (::testing::Test::HasFailure()) return die_at;
    if (!died) return die_at - 1;
  }
  ADD_FAILURE() << "never ended without being killed";
  return kMostSteps;
}

const model::EnsureVm& vm_of(const model::AssignmentBody& body) { return std::get<model::EnsureVm>(body); }

TEST(CrashWalk, Create) {
  const int steps = walk({.begin = [](Host& host) { return host.new_vm(); },
                          .check =
                              [](Host& host, const auto& body, const auto& end) {
                                const auto& vm = vm_of(body).vm;
                                EXPECT_EQ(end.state, AssignmentState::succeeded)
                                    << (end.error ? end.error->describe() : "");
                                EXPECT_EQ(end.images.size(), 2U);
                                EXPECT_EQ(host.state(vm.id), GuestState::running);
                                EXPECT_TRUE(host.has_disks_of(vm_of(body)));
                                EXPECT_EQ((*host.pool->read_lease(vm.id))->token, vm.lease);
                                EXPECT_EQ(host.hypervisor.list()->size(), 1U);
                                Node node(host);
                                EXPECT_EQ(node.journal().applied(vm.id)->generation, vm.generation);
                              }});
  EXPECT_GE(steps, 18);  // receive, begin, stamp, 2 disks, network, configure, start, finish: before and after each
}

// The start fails each time: whatever was made is gone in the end.
TEST(CrashWalk, CreateThatFails) {
  const int steps = walk({.begin = [](Host& host) { return host.new_vm(); },
                          .before_run =
                              [](Host& host) {
                                host.hypervisor.fail_next("start", {ErrorCode::io_error, "QEMU did not start", {}}, 10);
                              },
                          .check =
                              [](Host& host, const auto& body, const auto& end) {
                                EXPECT_EQ(end.state, AssignmentState::failed);
                                host.expect_no_trace(vm_of(body));
                                EXPECT_TRUE(host.pool->has(host.golden.id));
                              }});
  EXPECT_GE(steps, 26);
}

model::EnsureVm created(Host& host) {
  auto work = host.new_vm();
  Node node(host);
  const auto end = node.carry_out(work);
  EXPECT_EQ(end.state, AssignmentState::succeeded);
  node.executor().acknowledge(end.operation);
  return work;
}

TEST(CrashWalk, ChangeWithANewDisk) {
  walk({.begin =
            [](Host& host) {
              auto work = created(host);
              model::Image disk{
                  .id = host.id<model::ImageId>(), .role = model::ImageRole::disk, .pool = host.pool_record.id};
              work.images.push_back(disk);
              work.vm.spec.disks.push_back({.name = "disk2", .image = disk.id, .size = 1_GiB});
              work.vm.spec.cpus = 2;
              work.vm.generation = 2;
              return work;
            },
        .check =
            [](Host& host, const auto& body, const auto& end) {
              EXPECT_EQ(end.state, AssignmentState::succeeded);
              EXPECT_TRUE(host.has_disks_of(vm_of(body)));
              EXPECT_EQ(host.hypervisor.config(vm_of(body).vm.id)->cpus, 2U);
              EXPECT_EQ(host.hypervisor.config(vm_of(body).vm.id)->disks.size(), 3U);
            }});
}

// A change that fails never takes away what the guest has.
TEST(CrashWalk, ChangeThatFailsKeepsTheGuest) {
  walk({.begin =
            [](Host& host) {
              auto work = created(host);
              work.vm.generation = 2;
              return work;
            },
        .before_run =
            [](Host& host) {
              host.hypervisor.fail_next("configure", {ErrorCode::io_error, "refused", {}}, 3);
            },
        .check =
            [](Host& host, const auto& body, const auto& end) {
              EXPECT_EQ(end.state, AssignmentState::failed);
              EXPECT_EQ(host.state(vm_of(body).vm.id), GuestState::running);
              EXPECT_TRUE(host.has_disks_of(vm_of(body)));
              Node node(host);
              EXPECT_EQ(node.journal().applied(vm_of(body).vm.id)->generation, 1U);
            }});
}

TEST(CrashWalk, Stop) {
  walk({.begin =
            [](Host& host) {
              auto work = created(host);
              work.vm.generation = 2;
              work.vm.spec.power = model::PowerState::stopped;
              return work;
            },
        .check =
            [](Host& host, const auto& body, const auto& end) {
              EXPECT_EQ(end.state, AssignmentState::succeeded);
              EXPECT_EQ(host.state(vm_of(body).vm.id), GuestState::stopped);
              EXPECT_TRUE(host.has_disks_of(vm_of(body)));
            }});
}

TEST(CrashWalk, Remove) {
  walk({.begin = [](Host& host) { return host.removal(created(host)); },
        .check =
            [](Host& host, const auto& body, const auto& end) {
              EXPECT_EQ(end.state, AssignmentState::succeeded);
              const auto& work = std::get<model::RemoveVm>(body);
              EXPECT_EQ(host.state(work.vm.id), GuestState::absent);
              for (const auto& disk : work.disks) EXPECT_FALSE(host.pool->has(disk.id));
              EXPECT_FALSE(host.pool->read_lease(work.vm.id)->has_value());
              EXPECT_TRUE(host.pool->has(host.golden.id));
              Node node(host);
              EXPECT_FALSE(node.journal().applied(work.vm.id));
            }});
}

TEST(CrashWalk, Snapshot) {
  walk({.begin =
            [](Host& host) {
              const auto work = created(host);
              return model::SnapshotVm{.vm = work.vm.id, .lease = work.vm.lease, .name = "before"};
            },
        .check =
            [](Host& host, const auto& body, const auto& end) {
              EXPECT_EQ(end.state, AssignmentState::succeeded) << (end.error ? end.error->describe() : "");
              const auto& work = std::get<model::SnapshotVm>(body);
              ASSERT_EQ(host.hypervisor.get(work.vm)->snapshots.size(), 1U);
            }});
}

TEST(CrashWalk, Import) {
  walk({.begin =
            [](Host& host) {
              model::ImportImage work;
              work.image = {.id = host.id<model::ImageId>(), .name = "other", .pool = host.pool_record.id};
              work.pool = host.pool_record;
              work.source = {.kind = model::ImageSourceKind::url, .location = "https://images.example/other.qcow2"};
              return work;
            },
        .check =
            [](Host& host, const auto& body, const auto& end) {
              EXPECT_EQ(end.state, AssignmentState::succeeded);
              const auto& work = std::get<model::ImportImage>(body);
              EXPECT_TRUE(host.pool->has(work.image.id));
              ASSERT_EQ(end.images.size(), 1U);
              EXPECT_EQ(end.images[0].state, model::ImageState::ready);
              EXPECT_EQ(end.images[0].virtual_size, 2_GiB);
            }});
}

TEST(CrashWalk, Reboot) {
  walk({.begin =
            [](Host& host) {
              const auto work = created(host);
              return model::RebootVm{.vm = work.vm.id, .lease = work.vm.lease};
            },
        .check =
            [](Host& host, const auto& body, const auto& end) {
              EXPECT_EQ(end.state, AssignmentState::succeeded);
              EXPECT_EQ(host.state(std::get<model::RebootVm>(body).vm), GuestState::running);
            }});
}

}  // namespace
}  // namespace bridgehead::host_agent::testing
