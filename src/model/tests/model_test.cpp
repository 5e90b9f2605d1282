#include <gtest/gtest.h>

#include "base/random.h"
#include "model/codec.h"
#include "model/enum_names.h"
#include "model/names.h"

namespace bridgehead::model {
namespace {

Vm full_vm() {
  SeededRandom random(1);
  Vm vm;
  vm.id = make_id<VmId>(random);
  vm.name = "web-1";
  vm.labels = {{"tier", "front"}};
  vm.generation = 7;
  vm.spec.cpus = 2;
  vm.spec.memory = 2_GiB;
  vm.spec.power = PowerState::paused;
  vm.spec.disks = {{"disk0", make_id<ImageId>(random), 20_GiB}};
  vm.spec.nics = {{"nic0", make_id<NetworkId>(random), "52:b4:9d:00:00:01", 100},
                  {"nic1", {}, "52:b4:9d:00:00:02", {}}};
  vm.spec.cloud_init.user_data = "#cloud-config\n\"quotes\" \xc3\xa9 \n";
  vm.node = make_id<NodeId>(random);
  vm.lease = 1ULL << 60;
  vm.created = parse_rfc3339("2026-01-02T03:04:05.678Z").value();
  vm.status.phase = VmPhase::running;
  vm.status.snapshots = {{"before", vm.created, true}};
  return vm;
}

TEST(Codec, RoundTripsEveryField) {
  const auto vm = full_vm();
  const auto read = decode<Vm>(encode(vm));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, vm);

  Assignment assignment{OperationId("op"),
                        EnsureVm{.vm = vm, .images = {Image{.name = "a"}}, .pools = {}, .networks = {}}};
  EXPECT_EQ(decode<Assignment>(encode(assignment)).value(), assignment);
  assignment.body = SnapshotVm{vm.id, 3, SnapshotAction::rollback, "before"};
  EXPECT_EQ(decode<Assignment>(encode(assignment)).value(), assignment);

  NodeReport report;
  report.facts.cpu_flags = {"sse4_2"};
  report.pools[PoolId("p")] =
      PoolOnNode{.ready = true, .message = "", .total = 5_GiB, .available = 1_GiB, .abilities = {}};
  report.vms = {{vm.id, 7, 9, vm.status}};
  report.assignments = {
      {OperationId("x"), AssignmentState::failed, {"copy", 1, 2}, Error{ErrorCode::timeout, "m", "h"}, {}}};
  EXPECT_EQ(decode<NodeReport>(encode(report)).value(), report);
}

TEST(Codec, RefusesWhatItDidNotWrite) {
  const std::string good = encode(full_vm());
  EXPECT_FALSE(decode<Vm>(""));
  EXPECT_FALSE(decode<Vm>("{}"));
  EXPECT_FALSE(decode<Node>(good)) << "a VM is no node";
  EXPECT_FALSE(decode<Vm>(good.substr(0, good.size() / 2)));
  EXPECT_FALSE(decode<Vm>(std::string(100000, '[')));
  EXPECT_EQ(decode<Vm>(R"({"kind":"vm","version":2,"data":{}})").error().code, ErrorCode::unsupported);
  EXPECT_FALSE(decode<Vm>(R"({"kind":"vm","version":1,"data":{"spec":{"memory":-1}}})"));
  EXPECT_FALSE(decode<Vm>(R"({"kind":"vm","version":1,"data":{"spec":{"power":"flying"}}})"));
  EXPECT_FALSE(
      decode<Assignment>(R"({"kind":"assignment","version":1,"data":{"operation":"x","kind":"rm -rf","body":{}}})"));
}

TEST(Codec, UnknownFieldsAreIgnoredAndMissingOnesKeepDefaults) {
  const auto vm = decode<Vm>(R"({"kind":"vm","version":1,"data":{"name":"a","from_the_future":1}})");
  ASSERT_TRUE(vm) << vm.error().message;
  EXPECT_EQ(vm->name, "a");
  EXPECT_EQ(vm->spec.cpus, 1u);
}

TEST(Names, AcceptAndRefuse) {
  for (const char* good : {"a", "web-1", "debian-12", "a.b_c", "0"}) EXPECT_TRUE(check_name("VM", good)) << good;
  for (const std::string& bad :
       {std::string(), std::string("-a"), std::string("a-"), std::string("A"), std::string("a/b"), std::string("a'b"),
        std::string(".."), std::string("\xc3\xa9"), std::string("a b"), std::string("a\0b", 3), std::string(64, 'a'),
        std::string(300, 'a')}) {
    const auto checked = check_name("VM", bad);
    ASSERT_FALSE(checked) << bad;
    EXPECT_LT(checked.error().message.size(), 120u);
  }
  EXPECT_EQ(hostname_from("a.b_c"), "a-b-c");
}

TEST(Mac, OurPrefixIsLocalAndUnicast) {
  EXPECT_EQ(mac_from_number(0x010203), "52:b4:9d:01:02:03");
  EXPECT_TRUE(is_unicast_mac(mac_from_number(0xffffffff)));
  for (const char* bad :
       {"", "53:b4:9d:01:02:03", "52:b4:9d:01:02", "52:B4:9d:01:02:03", "52-b4-9d-01-02-03", "00:00:00:00:00:00"}) {
    EXPECT_FALSE(is_unicast_mac(bad)) << bad;
  }
}

TEST(Enums, SayWhatIsPossible) {
  const auto wrong = parse_enum<PowerState>("on");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().describe(), "'on' is not a power state. Use one of: running, stopped, paused.");
  EXPECT_EQ(to_string(Role::operator_), "operator");
}

}  // namespace
}  // namespace bridgehead::model
