#include <gtest/gtest.h>

#include "base/random.h"
#include "model/codec.h"
#include "model/enum_names.h"
#include "model/names.h"
#include "model/overlay.h"

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
  report.secrets = {"digest", "why not"};
  EXPECT_EQ(decode<NodeReport>(encode(report)).value(), report);

  Node node{.id = vm.node, .name = "n1", .netboot = Netboot{.mac = "52:54:00:00:00:01"}};
  node.netboot->files = {{"/etc/motd", "hello", 0640}};
  node.netboot->secret_files = {{"/etc/key", 0400, 12_B, "c2VhbGVk"}};
  EXPECT_EQ(decode<Node>(encode(node)).value(), node);
  Profile profile{.id = make_id<ProfileId>(*std::make_unique<SeededRandom>(2)), .name = "p"};
  profile.secret_files = node.netboot->secret_files;
  EXPECT_EQ(decode<Profile>(encode(profile)).value(), profile);
  const Bmc bmc{.id = vm.node,
                .driver = "ipmi",
                .address = "10.0.0.7",
                .port = 6230,
                .user = "operator",
                .options = {{"cipher", "3"}},
                .password = "1:0011aabb:c2VhbGVk",
                .created = vm.created,
                .power = {MachinePower::sleeping, PowerEvidence::bmc_and_others, vm.created}};
  EXPECT_EQ(decode<Bmc>(encode(bmc)).value(), bmc);
}

TEST(Overlay, HoldsPathsAndSizesInBounds) {
  const auto refused = [](std::vector<OverlayFile> files) {
    const auto checked = check_overlay(files);
    return checked ? std::string() : checked.error().message;
  };
  EXPECT_EQ(refused({{"/etc/motd", "I am ${node}, $HOME, $${x}", 0644}, {"/etc/motd.d/x", "", 07777}}), "");
  for (const char* path :
       {"", "/", "etc/motd", "/etc/", "/etc//motd", "/etc/./motd", "/etc/../motd", "/etc/a\nb", "/etc/."}) {
    EXPECT_NE(refused({{path, "", 0644}}).find("is not a clean absolute path"), std::string::npos) << path;
  }
  const std::string long_name(101, 'n');
  EXPECT_NE(refused({{"/" + long_name, "", 0644}}), "");
  EXPECT_EQ(refused({{"/" + std::string(150, 'd') + "/" + std::string(100, 'n'), "", 0644}}), "") << "ustar holds it";
  EXPECT_NE(refused({{"/" + std::string(150, 'd') + "/" + long_name, "", 0644}}), "");
  EXPECT_NE(refused({{"/etc/x", "", 010000}}).find("mode"), std::string::npos);
  EXPECT_NE(refused({{"/etc/x", "${nod}", 0644}}).find("no variable '${nod}'"), std::string::npos);
  EXPECT_NE(refused({{"/etc/x", "", 0644}, {"/etc/x", "", 0644}}).find("given twice"), std::string::npos);
  EXPECT_NE(refused({{"/etc/x", "", 0644}, {"/etc/x/y", "", 0644}, {"/etc/x-", "", 0644}}).find("and hold /etc/x/y"),
            std::string::npos);
  EXPECT_NE(refused({{"/etc/x", std::string((64 << 10) + 1, 'x'), 0644}}).find("larger than"), std::string::npos);
  std::vector<OverlayFile> many;
  for (int n = 0; n < 65; ++n) many.push_back({fmt::format("/etc/{}", n), "", 0644});
  EXPECT_NE(refused(many).find("more than 64"), std::string::npos);
  many.resize(9);
  for (auto& file : many) file.content.assign(64 << 10, 'x');
  EXPECT_NE(refused(many).find("together"), std::string::npos);
}

TEST(Overlay, SecretsKeepAwayFromTheSystemsOwn) {
  const auto good = [](const char* path) { return check_secrets({{path, 0600, 1_B, ""}}, {}).has_value(); };
  for (const char* path : {"/etc/krb5.keytab", "/root/.ssh/id", "/procession/x", "/run/x", "/etc/bridgehead.d/x"}) {
    EXPECT_TRUE(good(path)) << path;
  }
  for (const char* path : {"/proc/sys/kernel/core_pattern", "/sys/x", "/dev/sda", "/run/bridgehead/boot",
                           "/etc/bridgehead", "/var/lib/bridgehead/agent/identity.json", "/etc/../proc/x", "x"}) {
    EXPECT_FALSE(good(path)) << path;
  }
  EXPECT_FALSE(check_secrets({{"/etc/x", 04755, 1_B, ""}}, {})) << "nothing that runs as somebody else";
  EXPECT_FALSE(check_secrets({{"/etc/x", 0600, 65_KiB, ""}}, {}));
  EXPECT_FALSE(check_secrets({{"/etc/x", 0600, 1_B, ""}}, {{"/etc/x", "plain", 0644}})) << "which one would it be?";
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
