#include "agent_gateway/agent_message.h"

#include <gtest/gtest.h>

#include "agent.pb.h"
#include "base/random.h"
#include "model/codec.h"

namespace bridgehead::agent_gateway {
namespace {

constexpr char vm_id[] = "11111111-1111-4111-8111-111111111111";

std::string bytes_of(const std::function<void(agent::v1::AgentMessage&)>& fill) {
  agent::v1::AgentMessage message;
  fill(message);
  return message.SerializeAsString();
}

TEST(AgentMessage, DecodesEveryKind) {
  model::ObservedVm observed;
  observed.vm = model::VmId(vm_id);
  observed.lease = 7;
  auto decoded = decode_agent_message(bytes_of([&](auto& m) { m.set_observed_vm(model::encode(observed)); }));
  ASSERT_TRUE(decoded) << decoded.error().describe();
  EXPECT_EQ(std::get<model::ObservedVm>(*decoded), observed);

  model::NodeLoad load;
  load.load1 = 1.5;
  decoded = decode_agent_message(bytes_of([&](auto& m) { m.set_heartbeat(model::encode(load)); }));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(std::get<model::NodeLoad>(*decoded), load);

  decoded = decode_agent_message(bytes_of([&](auto& m) { m.set_report(model::encode(model::NodeReport{})); }));
  ASSERT_TRUE(decoded);
  EXPECT_TRUE(std::holds_alternative<model::NodeReport>(*decoded));

  decoded = decode_agent_message(bytes_of([&](auto& m) { m.set_vm_gone(vm_id); }));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(std::get<VmGone>(*decoded).vm.str(), vm_id);

  decoded = decode_agent_message(bytes_of([&](auto& m) {
    m.mutable_tunnel_failed()->set_tunnel_id(vm_id);
    m.mutable_tunnel_failed()->set_error_code("not_found");
    m.mutable_tunnel_failed()->set_error_message("no such VM");
  }));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(std::get<TunnelFailure>(*decoded).error.code, ErrorCode::not_found);
}

TEST(AgentMessage, RefusesWhatIsNoMessage) {
  const auto refused = [](const std::string& bytes) {
    const auto decoded = decode_agent_message(bytes);
    return !decoded && decoded.error().code == ErrorCode::invalid_argument;
  };
  EXPECT_TRUE(refused(""));
  EXPECT_TRUE(refused("\xff\xff\xff\xff"));
  EXPECT_TRUE(refused(std::string(1000, '\x0a')));
  EXPECT_TRUE(refused(bytes_of([](auto& m) { m.set_report("{}"); })));
  EXPECT_TRUE(refused(bytes_of([](auto& m) { m.set_report(std::string(100000, '[')); })));
  EXPECT_TRUE(refused(bytes_of([](auto& m) { m.set_heartbeat(R"({"kind":"vm","version":1,"data":{}})"); })));
  EXPECT_TRUE(refused(bytes_of([](auto& m) { m.set_vm_gone("../../etc/passwd"); })));
  model::ObservedVm observed;
  observed.vm = model::VmId("name/with/slashes");
  EXPECT_TRUE(refused(bytes_of([&](auto& m) { m.set_observed_vm(model::encode(observed)); })));
}

// The same decoding that the fuzz target drives, over damaged copies of valid messages.
TEST(AgentMessage, SurvivesDamagedMessages) {
  model::NodeReport report;
  report.facts.hostname = "host";
  report.vms.resize(2);
  for (auto& vm : report.vms) vm.vm = model::VmId(vm_id);
  const auto valid = bytes_of([&](auto& m) { m.set_report(model::encode(report)); });
  ASSERT_TRUE(decode_agent_message(valid));
  SeededRandom random(42);
  int refused = 0;
  for (int round = 0; round < 2000; ++round) {
    auto damaged = valid;
    for (int n = 0; n < 3; ++n) damaged[random.next_u64() % damaged.size()] = static_cast<char>(random.next_u64());
    if (random.next_u64() % 4 == 0) damaged.resize(random.next_u64() % damaged.size());
    if (!decode_agent_message(damaged)) ++refused;
  }
  EXPECT_GT(refused, 0);
}

}  // namespace
}  // namespace bridgehead::agent_gateway
