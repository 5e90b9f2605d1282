// Joining, and the whole agent against a manager in this process over real TLS and gRPC.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/testing/fake_command_runner.h"
#include "host_agent/manager/ca_probe.h"
#include "host_agent/manager/join.h"
#include "host_agent/manager/outbox.h"
#include "host_agent/node_agent.h"
#include "host_agent/testing/fake_manager.h"
#include "host_agent/testing/node_fixture.h"

namespace bridgehead::host_agent::testing {
namespace {

// Certificates are checked by the real time; a test only moves what the agent thinks.
class ShiftedClock final : public Clock {
 public:
  Timestamp now() const override { return clock_.now() + std::chrono::milliseconds(shift_.load()); }
  Monotonic monotonic() const override { return clock_.monotonic(); }
  void shift(std::chrono::milliseconds by) { shift_ += by.count(); }

 private:
  SystemClock clock_;
  std::atomic<std::int64_t> shift_{0};
};

class JoinTest : public ::testing::Test {
 protected:
  Result<Joined> join(const std::string& token) {
    return join_cluster(token, file_, {.hostname = "rack1-7", .machine_id = "0123"}, clock_);
  }

  TemporaryDirectory directory_ = std::move(*TemporaryDirectory::create());
  IdentityFile file_{directory_.path()};
  ShiftedClock clock_;
  FakeManager manager_;
};

TEST_F(JoinTest, ATokenIsTradedForAnIdentityOnce) {
  const auto token = manager_.join_token();
  const auto joined = join(token);
  ASSERT_TRUE(joined) << joined.error().describe();
  EXPECT_FALSE(joined->already);
  EXPECT_EQ(joined->identity.manager, manager_.address());
  EXPECT_EQ(*pki::certificate_node_id(joined->identity.certificate_pem), joined->identity.node);
  EXPECT_EQ(**file_.load(), joined->identity);
  struct stat status {};
  ASSERT_EQ(::stat((directory_.path() / "identity.json").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  EXPECT_FALSE(std::filesystem::exists(directory_.path() / "joining.json"));
  const auto again = join(manager_.join_token());
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->already);
  EXPECT_EQ(manager_.joins, 1);
}

TEST_F(JoinTest, ALostAnswerCostsNothing) {
  manager_.lose_answers = 1;
  const auto token = manager_.join_token();
  const auto lost = join(token);
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, ErrorCode::unavailable);
  EXPECT_FALSE(*file_.load());
  ASSERT_TRUE(join(token));  // with the same key: the manager knows the node again
  EXPECT_EQ(manager_.joins, 2);
}

TEST_F(JoinTest, OnlyTheManagerWithTheRightCaIsBelieved) {
  FakeManager other;
  auto ticket = *pki::parse_join_token(manager_.join_token());
  ticket.address = other.address();
  const auto refused = join(pki::format_join_token(ticket));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::permission_denied);
  EXPECT_EQ(other.joins, 0);
  EXPECT_FALSE(*file_.load());
}

TEST_F(JoinTest, RefusalsAndWrongTokensAreClear) {
  manager_.refuse_joins = 1;
  const auto used = join(manager_.join_token());
  ASSERT_FALSE(used);
  EXPECT_EQ(used.error().code, ErrorCode::permission_denied);
  EXPECT_EQ(used.error().message, "this join token was used already");
  EXPECT_EQ(join("nonsense").error().code, ErrorCode::invalid_argument);
  const auto token = manager_.join_token();
  manager_.stop();
  const auto away = join(token);
  ASSERT_FALSE(away);
  EXPECT_EQ(away.error().code, ErrorCode::unavailable);
}

TEST_F(JoinTest, AnotherClusterIsRefused) {
  ASSERT_TRUE(join(manager_.join_token()));
  FakeManager other;
  const auto refused = join(other.join_token());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::already_exists);
}

TEST(CaProbe, AddressesAreChecked) {
  for (const char* address : {"", "host", ":1", "host:"}) {
    EXPECT_EQ(fetch_ca(address, "00", std::chrono::seconds(1)).error().code, ErrorCode::invalid_argument) << address;
  }
}

TEST(Backoff, GrowsIsBoundedAndDiffers) {
  SeededRandom random(1);
  const SessionOptions options;
  auto wait = options.shortest_wait;
  std::set<std::chrono::milliseconds> seen;
  for (int i = 0; i < 200; ++i) {
    wait = next_wait(wait, options, random);
    EXPECT_GE(wait, options.shortest_wait);
    EXPECT_LE(wait, options.longest_wait);
    seen.insert(wait);
  }
  EXPECT_GT(seen.size(), 100U);
  EXPECT_GT(*seen.rbegin(), std::chrono::seconds(5));
}

TEST(OutboxTest, ANewerWordReplacesTheOneThatWaits) {
  Outbox outbox;
  const model::VmId vm("a");
  const model::OperationId operation("o");
  outbox.push(ReportWanted{});
  EXPECT_FALSE(outbox.pop({}));  // closed: nothing is kept
  outbox.open();
  for (std::uint64_t i = 0; i < 1000; ++i) {
    outbox.push(model::AssignmentReport{.operation = operation, .progress = {.done = i}});
    outbox.push(model::ObservedVm{.vm = vm, .generation = i});
  }
  outbox.push(model::AssignmentReport{.operation = operation, .state = AssignmentState::succeeded});
  const auto first = outbox.pop({});
  ASSERT_TRUE(first && std::holds_alternative<model::ObservedVm>(*first));
  EXPECT_EQ(std::get<model::ObservedVm>(*first).generation, 999U);
  const auto second = outbox.pop({});  // the end comes after what was seen before it
  ASSERT_TRUE(second && std::holds_alternative<model::AssignmentReport>(*second));
  EXPECT_EQ(std::get<model::AssignmentReport>(*second).state, AssignmentState::succeeded);
  EXPECT_FALSE(outbox.pop({}));
}

class AgentTest : public JoinTest {
 protected:
  void SetUp() override {
    manager_.pools = {host_.pool_record};
    ASSERT_TRUE(join(manager_.join_token()));
  }
  std::unique_ptr<NodeAgent> start() {
    NodeAgentConfig config{.state_dir = directory_.path(), .files_root = files_root_.path(), .version = "1.0"};
    config.session.shortest_wait = std::chrono::milliseconds(10);
    config.session.longest_wait = std::chrono::milliseconds(50);
    config.tasks = host_.timings;
    config.housekeeping = std::chrono::milliseconds(50);
    config.first_look = first_look_;
    auto agent =
        NodeAgent::create(config,
                          {.hypervisor = host_.hypervisor,
                           .open_pool = [this](const model::Pool&) -> Result<std::unique_ptr<storage::ImagePool>> {
                             return std::make_unique<CrashingPool>(host_.pool, never_);
                           },
                           .kvm = kvm_,
                           .store = *host_.store,
                           .clock = clock_,
                           .random = random_,
                           .commands = commands_},
                          **file_.load());
    EXPECT_TRUE(agent) << agent.error().describe();
    (*agent)->start();
    return std::move(*agent);
  }
  // Under the manager's lock: reports of this operation with that state that came in the `report`, or by themselves. An
  // end while a stream begins may come twice: with the first report, and because it has just happened.
  int count(const model::OperationId& operation, AssignmentState state, bool in_report) {
    int found = 0;
    for (const auto& message : manager_.received) {
      std::vector<AssignmentReport> reports;
      if (in_report && message.has_report()) reports = model::decode<model::NodeReport>(message.report())->assignments;
      if (!in_report && message.has_assignment_report()) {
        reports.push_back(*model::decode<AssignmentReport>(message.assignment_report()));
      }
      for (const auto& report : reports) found += report.operation == operation && report.state == state;
    }
    return found;
  }

  // Under the manager's lock: the newest report's.
  std::optional<model::SecretsOnNode> told_secrets() {
    std::optional<model::SecretsOnNode> told;
    for (const auto& message : manager_.received) {
      if (message.has_report()) told = model::decode<model::NodeReport>(message.report())->secrets;
    }
    return told;
  }

  TemporaryDirectory files_root_ = std::move(*TemporaryDirectory::create());
  bridgehead::testing::FakeCommandRunner commands_;
  Host host_;
  KvmTrials kvm_{.run = [] { return Status(fail(ErrorCode::not_found, "no /dev/kvm")); },
                 .with_qemu =
                     [] {
                       return hypervisor::KvmTrialResult{model::Virtualization::tcg, ""};
                     }};
  std::chrono::milliseconds first_look_ = std::chrono::seconds(20);
  SeededRandom random_{9};
  std::shared_ptr<CrashPoint> never_ = std::make_shared<CrashPoint>(0);
};

TEST_F(AgentTest, TheFirstMessageIsTheWholeReportThenHeartbeats) {
  const auto agent = start();
  ASSERT_TRUE(manager_.wait([&] {
    return std::any_of(manager_.received.begin(), manager_.received.end(),
                       [](const auto& m) { return m.has_heartbeat(); });
  }));
  ASSERT_TRUE(manager_.received[0].has_report());
  const auto report = model::decode<model::NodeReport>(manager_.received[0].report());
  ASSERT_TRUE(report);
  EXPECT_EQ(report->facts.agent_version, "1.0");
  EXPECT_EQ(report->facts.virtualization, model::Virtualization::tcg);
  EXPECT_GT(report->facts.memory, 1_MiB);
  EXPECT_TRUE(agent->connected());
  // The welcome's pool is attached and told.
  EXPECT_TRUE(manager_.wait([&] {
    return std::any_of(manager_.received.begin(), manager_.received.end(), [&](const auto& m) {
      if (!m.has_report()) return false;
      const auto later = model::decode<model::NodeReport>(m.report());
      const auto pool = later->pools.find(host_.pool_record.id);
      return pool != later->pools.end() && pool->second.ready;
    });
  }));
}

TEST_F(AgentTest, QemuIsAskedOnceTheManagerKnowsOfANodeWithKvm) {
  const auto told_of_node = [&] { return !manager_.received.empty(); };
  kvm_ = {.run = [] { return Status(); },
          .with_qemu =
              [&] {
                EXPECT_TRUE(manager_.wait(told_of_node)) << "the trial held up the first report";
                return hypervisor::KvmTrialResult{model::Virtualization::tcg, "no such CPU"};
              }};
  const auto agent = start();
  ASSERT_TRUE(manager_.wait(told_of_node));
  const auto first = model::decode<model::NodeReport>(manager_.received[0].report());
  EXPECT_EQ(first->facts.virtualization, model::Virtualization::kvm);
  EXPECT_EQ(first->facts.hypervisor_message, "");
  EXPECT_TRUE(manager_.wait([&] {
    return std::any_of(manager_.received.begin(), manager_.received.end(), [](const auto& message) {
      if (!message.has_report()) return false;
      const auto facts = model::decode<model::NodeReport>(message.report())->facts;
      return facts.virtualization == model::Virtualization::tcg && facts.virtualization_message == "no such CPU";
    });
  })) << "what QEMU says counts";
}

TEST_F(AgentTest, UntilAnythingIsKnownOfANodeGuestsCannotRunThere) {
  const auto told_of_node = [&] { return !manager_.received.empty(); };
  first_look_ = std::chrono::milliseconds(10);
  kvm_.with_qemu = [&] {
    EXPECT_TRUE(manager_.wait(told_of_node));
    return hypervisor::KvmTrialResult{model::Virtualization::tcg, ""};
  };
  const auto agent = start();
  ASSERT_TRUE(manager_.wait(told_of_node));
  EXPECT_NE(model::decode<model::NodeReport>(manager_.received[0].report())->facts.hypervisor_message, "");
  EXPECT_TRUE(manager_.wait([&] {
    return std::any_of(manager_.received.begin(), manager_.received.end(), [](const auto& message) {
      return message.has_report() &&
             model::decode<model::NodeReport>(message.report())->facts.hypervisor_message.empty();
    });
  }));
}

TEST_F(AgentTest, APingIsAnswered) {
  const auto agent = start();
  agent::v1::ManagerMessage ping;
  ping.set_ping(7);
  ASSERT_TRUE(manager_.wait([&] { return !manager_.received.empty(); }));
  manager_.send(ping);
  EXPECT_TRUE(manager_.wait([&] {
    return std::any_of(manager_.received.begin(), manager_.received.end(),
                       [](const auto& message) { return message.pong() == 7; });
  }));
}

TEST_F(AgentTest, SecretFilesAreWrittenThenTold) {
  auto agent = start();
  agent::v1::ManagerMessage message;
  auto& set = *message.mutable_secret_files();
  set.set_digest("d1");
  auto& file = *set.add_files();
  file.set_path("/etc/key");
  file.set_mode(0440);
  file.set_content(std::string("a\0b", 3));
  manager_.send(message);
  ASSERT_TRUE(manager_.wait([&] { return told_secrets() == model::SecretsOnNode{.digest = "d1"}; }));
  EXPECT_EQ(read_file(files_root_.path() / "etc/key").value(), std::string("a\0b", 3));
  agent = nullptr;
  manager_.wait([&] {
    manager_.received.clear();
    return true;
  });
  agent = start();
  ASSERT_TRUE(manager_.wait([&] { return told_secrets() == model::SecretsOnNode{.digest = "d1"}; }));
  file.set_path("/proc/key");
  manager_.send(message);
  ASSERT_TRUE(manager_.wait([&] { return told_secrets() && !told_secrets()->message.empty(); }));
}

TEST_F(AgentTest, ANetworkThatWasDeletedMeanwhileIsRemoved) {
  const auto agent = start();
  const model::Assignment work{.operation = host_.id<model::OperationId>(),
                               .body = model::EnsureNetwork{host_.network}};
  manager_.assign(work);
  ASSERT_TRUE(manager_.wait([&] { return count(work.operation, AssignmentState::succeeded, false) >= 1; }));
  ASSERT_EQ(host_.hypervisor.networks().size(), 1U);
  host_.hypervisor.fail_next("remove_network", {ErrorCode::unavailable, "libvirt is away", {}});
  manager_.hang_up();  // the next welcome names no network
  // Tried again at each welcome and by the housekeeper, so that the second try may come before this looks.
  ASSERT_TRUE(eventually([&] { return host_.hypervisor.count_calls("remove_network") >= 1; }));
  manager_.hang_up();
  ASSERT_TRUE(eventually([&] { return host_.hypervisor.networks().empty(); }));
}

TEST_F(AgentTest, AnEndIsResentAtEachConnectUntilItIsAcknowledged) {
  const auto agent = start();
  const auto vm = host_.new_vm();
  const model::Assignment work{.operation = host_.id<model::OperationId>(), .body = vm};
  manager_.assign(work);
  ASSERT_TRUE(manager_.wait([&] { return count(work.operation, AssignmentState::succeeded, false) >= 1; }));
  int told = 0;
  manager_.wait([&] {
    told = count(work.operation, AssignmentState::succeeded, false);
    return true;
  });
  manager_.assign(work);  // a duplicate
  ASSERT_TRUE(manager_.wait([&] { return count(work.operation, AssignmentState::succeeded, false) > told; }));
  EXPECT_EQ(host_.hypervisor.count_calls("start"), 1U);

  manager_.hang_up();
  ASSERT_TRUE(manager_.wait([&] { return count(work.operation, AssignmentState::succeeded, true) >= 1; }));
  agent::v1::ManagerMessage acknowledge;
  acknowledge.set_acknowledge(work.operation.str());
  manager_.send(acknowledge);
  ASSERT_TRUE(eventually([&] { return host_.store->list("report/")->empty(); }));
  std::size_t before = 0;
  ASSERT_TRUE(manager_.wait([&] {
    before = manager_.received.size();
    return true;
  }));
  manager_.hang_up();
  ASSERT_TRUE(manager_.wait([&] {
    for (std::size_t i = before; i < manager_.received.size(); ++i) {
      if (!manager_.received[i].has_report()) continue;
      const auto report = model::decode<model::NodeReport>(manager_.received[i].report());
      // The new stream's: it has the guest and no assignment.
      if (report->assignments.empty() && report->vms.size() == 1 &&
          report->vms[0].status.phase == model::VmPhase::running) {
        return true;
      }
    }
    return false;
  }));
}

TEST_F(AgentTest, ObservationsComeBeforeTheEndAndRemovalIsTold) {
  const auto agent = start();
  const auto vm = host_.new_vm();
  const model::Assignment create{.operation = host_.id<model::OperationId>(), .body = vm};
  manager_.assign(create);
  ASSERT_TRUE(manager_.wait([&] { return count(create.operation, AssignmentState::succeeded, false) >= 1; }));
  std::size_t seen_at = 0;
  std::size_t ended_at = 0;
  ASSERT_TRUE(manager_.wait([&] {
    for (std::size_t i = 0; i < manager_.received.size(); ++i) {
      const auto& message = manager_.received[i];
      // By itself, or in a report of the whole node that was due just then.
      std::vector<model::ObservedVm> seen;
      if (message.has_observed_vm()) seen = {*model::decode<model::ObservedVm>(message.observed_vm())};
      if (message.has_report()) seen = model::decode<model::NodeReport>(message.report())->vms;
      const bool runs = std::any_of(seen.begin(), seen.end(),
                                    [](const auto& one) { return one.status.phase == model::VmPhase::running; });
      if (runs && seen_at == 0) seen_at = i;
      if (message.has_assignment_report() &&
          model::decode<AssignmentReport>(message.assignment_report())->state == AssignmentState::succeeded) {
        ended_at = i;
      }
    }
    return true;
  }));
  EXPECT_GT(seen_at, 0U);
  EXPECT_LT(seen_at, ended_at);
  const model::Assignment remove{.operation = host_.id<model::OperationId>(), .body = host_.removal(vm)};
  manager_.assign(remove);
  EXPECT_TRUE(manager_.wait([&] {
    return std::any_of(manager_.received.begin(), manager_.received.end(),
                       [&](const auto& message) { return message.vm_gone() == vm.vm.id.str(); });
  }));
}

TEST_F(AgentTest, TheManagerMayGoAndComeBack) {
  const auto agent = start();
  ASSERT_TRUE(manager_.wait([&] { return manager_.sessions == 1; }));
  manager_.hang_up();
  ASSERT_TRUE(manager_.wait([&] { return manager_.sessions == 2; }));
}

TEST_F(AgentTest, TheCertificateIsRenewedAtTwoThirdsOfItsTime) {
  const auto agent = start();
  ASSERT_TRUE(manager_.wait([&] { return manager_.sessions == 1; }));
  const auto before = **file_.load();
  clock_.shift(std::chrono::hours(15));
  clock_.shift(std::chrono::hours(2));  // of 24
  ASSERT_TRUE(manager_.wait([&] { return manager_.sessions == 2; }));
  EXPECT_EQ(manager_.renewals, 1);
  const auto after = **file_.load();
  EXPECT_NE(after.key_pem, before.key_pem);
  EXPECT_EQ(after.node, before.node);
  EXPECT_EQ(manager_.certificates.at(1), *pki::certificate_serial(after.certificate_pem));
}

TEST_F(AgentTest, AConsoleThroughARealTunnel) {
  const auto agent = start();
  const auto vm = host_.new_vm();
  const model::Assignment work{.operation = host_.id<model::OperationId>(), .body = vm};
  manager_.assign(work);
  ASSERT_TRUE(manager_.wait([&] { return count(work.operation, AssignmentState::succeeded, false) >= 1; }));
  manager_.tunnel_sends = "echo this";
  agent::v1::ManagerMessage open;
  open.mutable_open_tunnel()->set_tunnel_id("t1");
  open.mutable_open_tunnel()->set_kind(agent::v1::OpenTunnel::KIND_SERIAL_CONSOLE);
  open.mutable_open_tunnel()->set_vm_id(vm.vm.id.str());
  manager_.send(open);
  EXPECT_TRUE(manager_.wait([&] { return manager_.tunnel_received == "echo this"; }));
  open.mutable_open_tunnel()->set_tunnel_id("t2");
  open.mutable_open_tunnel()->set_vm_id(host_.id<model::VmId>().str());
  manager_.send(open);
  EXPECT_TRUE(manager_.wait([&] {
    return std::any_of(manager_.received.begin(), manager_.received.end(), [](const auto& message) {
      return message.has_tunnel_failed() && message.tunnel_failed().tunnel_id() == "t2" &&
             message.tunnel_failed().error_code() == "failed_precondition";
    });
  }));
}

TEST_F(AgentTest, WhatAnUndoLeftBehindIsRemovedLater) {
  const auto agent = start();
  const auto vm = host_.new_vm();
  const model::Assignment work{.operation = host_.id<model::OperationId>(), .body = vm};
  host_.hypervisor.fail_next("start", {ErrorCode::unavailable, "libvirtd was killed", {}}, 2);  // it is tried twice
  host_.hypervisor.fail_next("remove", {ErrorCode::unavailable, "libvirtd was killed", {}}, 40);
  manager_.assign(work);
  ASSERT_TRUE(manager_.wait([&] { return count(work.operation, AssignmentState::failed, false) >= 1; }));
  EXPECT_TRUE(eventually([&] { return host_.store->list("creation/")->empty(); }));
  EXPECT_EQ(host_.state(vm.vm.id), GuestState::absent);
  EXPECT_FALSE(host_.pool->has(vm.vm.spec.disks[0].image));
  EXPECT_FALSE(host_.pool->read_lease(vm.vm.id)->has_value());
}

TEST_F(AgentTest, WhatWasMadeReadyForAGuestThatNeverCameIsRemoved) {
  const GuestFiles files(directory_.path());
  const auto gone = host_.id<model::VmId>();
  ASSERT_TRUE(files.prepare(gone));
  const auto agent = start();
  const auto vm = host_.new_vm();
  const model::Assignment work{.operation = host_.id<model::OperationId>(), .body = vm};
  manager_.assign(work);
  ASSERT_TRUE(manager_.wait([&] { return count(work.operation, AssignmentState::succeeded, false) >= 1; }));
  EXPECT_TRUE(eventually([&] { return !std::filesystem::exists(files.directory(gone)); }));
  EXPECT_TRUE(std::filesystem::exists(files.directory(vm.vm.id)));
}

TEST_F(AgentTest, AfterTheHostsRebootGuestsAreStarted) {
  const auto vm = host_.new_vm();
  {
    const auto agent = start();
    const model::Assignment work{.operation = host_.id<model::OperationId>(), .body = vm};
    manager_.assign(work);
    ASSERT_TRUE(manager_.wait([&] { return count(work.operation, AssignmentState::succeeded, false) >= 1; }));
    ASSERT_TRUE(eventually([&] { return !host_.store->list("meta/pools")->empty(); }));
  }
  host_.hypervisor.set_state(vm.vm.id, GuestState::stopped);
  {
    const auto agent = start();
    ASSERT_TRUE(manager_.wait([&] { return manager_.sessions == 2; }));
    EXPECT_EQ(host_.state(vm.vm.id), GuestState::stopped);  // the agent was restarted, not the host
  }
  ASSERT_TRUE(host_.store->commit(state::Transaction().put("meta/boot_id", "the boot before")));
  manager_.stop();  // it works without the manager
  // Nobody knows which file its disk is.
  ASSERT_TRUE(host_.store->commit(state::Transaction().put("meta/" + undecided_move(vm.vm.id), "an operation")));
  {
    const auto agent = start();
    EXPECT_TRUE(eventually([&] { return !host_.store->list("meta/" + late_start(vm.vm.id))->empty(); }));
    EXPECT_EQ(host_.state(vm.vm.id), GuestState::stopped);
  }
  ASSERT_TRUE(host_.store->commit(
      state::Transaction().put("meta/boot_id", "the boot before").erase("meta/" + undecided_move(vm.vm.id))));
  const auto agent = start();
  EXPECT_TRUE(eventually([&] { return host_.state(vm.vm.id) == GuestState::running; }));
}

}  // namespace
}  // namespace bridgehead::host_agent::testing
