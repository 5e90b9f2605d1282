#include "reconcile/commands/commands.h"

#include <gtest/gtest.h>

#include <set>

#include "reconcile/commands/validate.h"
#include "reconcile/testing/simulation.h"

namespace bridgehead::reconcile {
namespace {

class Commands : public ::testing::Test {
 protected:
  Commands() : sim(11, 1) {
    sim.connect(*sim.agents[0]);
    sim.pass();
    EXPECT_TRUE(add_pool(commander(), caller(), {.name = "local", .path = "/var/pool"}));
    EXPECT_TRUE(sim.settle());
    EXPECT_TRUE(import_image(commander(), caller(), import("golden")));
    EXPECT_TRUE(create_network(commander(), caller(), {.name = "default"}));
    EXPECT_TRUE(sim.settle());
  }

  static ImportImage import(std::string name) {
    return {.name = std::move(name),
            .pool = "local",
            .source = {.kind = model::ImageSourceKind::url, .location = "https://example.org/a.qcow2"}};
  }
  Commander& commander() { return sim.commander(); }
  Caller caller() { return sim.caller(); }
  Caller dry() { return {.actor = "sim", .dry_run = true}; }

  // The field that the request is refused for.
  template <typename T>
  std::string refused(const Result<T>& result) {
    if (result) return "(accepted)";
    const auto colon = result.error().message.find(':');
    return colon == std::string::npos ? result.error().message : result.error().message.substr(0, colon);
  }
  std::string refused_vm(CreateVms request) {
    if (request.name.empty()) request.name = "web";
    if (request.image.empty() && request.disks.empty()) request.image = "golden";
    return refused(create_vms(commander(), caller(), request));
  }

  testing::Simulation sim;
};

TEST_F(Commands, CreateChecksEveryField) {
  const auto before = sim.inventory().all<model::Operation>().size();
  EXPECT_EQ(refused_vm({.name = "Web"}), "name");
  EXPECT_EQ(refused_vm({.name = std::string(300, 'a')}), "name");
  EXPECT_EQ(refused_vm({.name = "a'; drop table vms; --"}), "name");
  EXPECT_EQ(refused_vm({.count = 0}), "count");
  EXPECT_EQ(refused_vm({.count = 1001}), "count");
  EXPECT_EQ(refused_vm({.image = "nothing"}), "image");
  EXPECT_EQ(refused_vm({.disks = {{}}}), "disks[0].size");
  EXPECT_EQ(refused_vm({.image = "golden", .disks = {{.size = Bytes(1_MiB)}}}), "disks[0].size");
  EXPECT_EQ(refused_vm({.image = "golden", .disks = {{.size = Bytes(65_TiB)}}}), "disks[0].size");
  EXPECT_EQ(refused_vm({.image = "golden", .disks = {{.size = Bytes(1073741825)}}}), "disks[0].size");
  EXPECT_EQ(refused_vm({.pool = "nowhere"}), "pool");
  EXPECT_EQ(refused_vm({.cpus = 0}), "cpus");
  EXPECT_EQ(refused_vm({.cpus = 513}), "cpus");
  EXPECT_EQ(refused_vm({.memory = Bytes(63_MiB)}), "memory");
  EXPECT_EQ(refused_vm({.memory = Bytes((1_GiB).count() + 1)}), "memory");
  EXPECT_EQ(refused_vm({.nics = {{{.network = "none"}}}}), "nics[0].network");
  EXPECT_EQ(refused_vm({.nics = {{{.network = "default", .mac = "01:00:00:00:00:01"}}}}), "nics[0].mac");
  EXPECT_EQ(refused_vm({.nics = {{{.network = "default", .mac = "52:B4:9D:00:00:01"}}}}), "nics[0].mac");
  EXPECT_EQ(refused_vm({.nics = {{{.network = "default", .mac = "52:b4:9d:ff:ff:ff"}}}}), "nics[0].mac");
  EXPECT_EQ(refused_vm({.nics = {{{.network = "default", .vlan = 5}}}}), "nics[0].vlan");
  EXPECT_EQ(refused_vm({.count = 2, .nics = {{{.network = "default", .mac = "52:54:00:00:00:01"}}}}), "nics[0].mac");
  EXPECT_EQ(refused_vm({.power = model::PowerState::paused}), "power");
  EXPECT_EQ(refused_vm({.node = "none"}), "node");
  EXPECT_EQ(refused_vm({.labels = {{"bad key", "x"}}}), "labels");
  EXPECT_EQ(refused_vm({.labels = {{"k", "line\nbreak"}}}), "labels");
  EXPECT_EQ(refused_vm({.cloud_init = {.hostname = "-x"}}), "cloud_init.hostname");
  EXPECT_EQ(refused_vm({.cloud_init = {.user = "root:x"}}), "cloud_init.user");
  EXPECT_EQ(refused_vm({.cloud_init = {.password_hash = "plain"}}), "cloud_init.password_hash");
  EXPECT_EQ(refused_vm({.cloud_init = {.ssh_keys = {"not a key"}}}), "cloud_init.ssh_keys");
  EXPECT_EQ(refused_vm({.cloud_init = {.ssh_keys = {"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5\nAAAA x"}}}),
            "cloud_init.ssh_keys");
  EXPECT_EQ(refused_vm({.cloud_init = {.user_data = std::string(65537, 'x')}}), "cloud_init.user_data");
  EXPECT_TRUE(sim.inventory().all<model::Vm>().empty());
  EXPECT_EQ(sim.inventory().all<model::Operation>().size(), before) << "nothing was changed by any of them";
}

TEST_F(Commands, TwoGuestsCantHaveOneNameOrMac) {
  CreateVms request{.name = "web", .image = "golden", .nics = {{{.network = "default", .mac = "52:54:00:00:00:01"}}}};
  ASSERT_TRUE(create_vms(commander(), caller(), request));
  EXPECT_EQ(create_vms(commander(), caller(), request).error().code, ErrorCode::already_exists);
  request.name = "other";
  const auto second = create_vms(commander(), caller(), request);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().message, "nics[0].mac: another guest has 52:54:00:00:00:01");
}

TEST_F(Commands, ManyAreNamedAndNumbered) {
  const auto made = create_vms(commander(), caller(), {.name = "web", .count = 3, .image = "golden"});
  ASSERT_TRUE(made);
  ASSERT_EQ(made->vms.size(), 3u);
  EXPECT_EQ(made->vms[0].name, "web-1");
  EXPECT_EQ(made->vms[2].name, "web-3");
  std::set<std::string> macs;
  for (const auto& vm : made->vms) macs.insert(vm.spec.nics.at(0).mac);
  EXPECT_EQ(macs.size(), 3u);
  for (const auto& mac : macs) EXPECT_TRUE(model::is_unicast_mac(mac));
}

TEST_F(Commands, WhatDoesntFitIsRefusedAndNothingChanges) {
  const auto before = sim.inventory().all<model::Operation>().size();
  const auto much = create_vms(commander(), caller(), {.name = "web", .image = "golden", .memory = Bytes(1_TiB)});
  ASSERT_FALSE(much);
  EXPECT_EQ(much.error().code, ErrorCode::resource_exhausted);
  EXPECT_NE(much.error().message.find("needs 1 TiB memory"), std::string::npos) << much.error().message;
  const auto many =
      create_vms(commander(), caller(), {.name = "web", .count = 300, .image = "golden", .memory = Bytes(1_GiB)});
  ASSERT_FALSE(many);
  EXPECT_EQ(many.error().message.rfind("only 243 of 300 VMs would fit", 0), 0u) << many.error().message;
  EXPECT_TRUE(sim.inventory().all<model::Vm>().empty());
  EXPECT_EQ(sim.inventory().all<model::Operation>().size(), before);
}

TEST_F(Commands, ADryRunChecksAllAndChangesNothing) {
  const auto before = sim.inventory().revision();
  const auto made = create_vms(commander(), dry(), {.name = "web", .count = 2, .image = "golden"});
  ASSERT_TRUE(made);
  EXPECT_EQ(made->vms.size(), 2u);
  EXPECT_FALSE(create_vms(commander(), dry(), {.name = "web", .image = "golden", .cpus = 0}));
  EXPECT_TRUE(delete_image(commander(), dry(), "golden"));
  EXPECT_EQ(sim.inventory().revision(), before);
}

TEST_F(Commands, TheSameKeyGivesTheSameOperations) {
  Caller once{.actor = "sim", .idempotency_key = std::string(64, 'a'), .request_digest = "one"};
  const auto first = create_vms(commander(), once, {.name = "web", .count = 2, .image = "golden"});
  ASSERT_TRUE(first);
  const auto again = create_vms(commander(), once, {.name = "web", .count = 2, .image = "golden"});
  ASSERT_TRUE(again) << again.error().describe();
  EXPECT_EQ(again->operations[0].id, first->operations[0].id);
  EXPECT_EQ(again->operations[1].id, first->operations[1].id);
  EXPECT_EQ(again->vms[1].id, first->vms[1].id);
  once.request_digest = "two";
  EXPECT_EQ(create_vms(commander(), once, {.name = "x", .image = "golden"}).error().code, ErrorCode::conflict);
}

TEST_F(Commands, AnImageInUseNamesItsUsers) {
  ASSERT_TRUE(create_vms(commander(), caller(), {.name = "web", .image = "golden"}));
  const auto refusal = delete_image(commander(), caller(), "golden");
  ASSERT_FALSE(refusal);
  EXPECT_EQ(refusal.error().code, ErrorCode::failed_precondition);
  EXPECT_EQ(refusal.error().message, "image 'golden' is in use by VM 'web'");
  ASSERT_TRUE(delete_vm(commander(), caller(), "web", false));
  ASSERT_TRUE(sim.settle());
  ASSERT_TRUE(delete_image(commander(), caller(), "golden"));
  ASSERT_TRUE(sim.settle());
  EXPECT_EQ(sim.check(), "");
  EXPECT_TRUE(remove_pool(commander(), caller(), "local"));
}

TEST_F(Commands, ImportsAreChecked) {
  const auto with = [&](auto change) {
    auto request = import("other");
    change(request);
    return refused(import_image(commander(), caller(), request));
  };
  EXPECT_EQ(with([](auto& r) { r.name = ""; }), "name");
  EXPECT_EQ(with([](auto& r) { r.name = "golden"; }), "name");
  EXPECT_EQ(with([](auto& r) { r.pool = "x"; }), "pool");
  EXPECT_EQ(with([](auto& r) { r.source.location = "file:///etc/shadow"; }), "source.location");
  EXPECT_EQ(with([](auto& r) { r.source.location = "http://a b"; }), "source.location");
  EXPECT_EQ(with([](auto& r) { r.source.sha256 = "abc"; }), "source.sha256");
  EXPECT_EQ(with([](auto& r) { r.source = {.kind = model::ImageSourceKind::path, .location = "/a/../etc/shadow"}; }),
            "source.location");
  EXPECT_EQ(with([](auto& r) { r.source = {.kind = model::ImageSourceKind::image, .location = "golden"}; }), "pool");
  EXPECT_EQ(with([](auto& r) { r.node = "none"; }), "node");
}

TEST_F(Commands, WhatLiesInASharedPoolBelongsToNoNode) {
  ASSERT_TRUE(
      add_pool(commander(), caller(), {.name = "shared", .driver = model::PoolDriver::posix, .path = "/mnt/shared"}));
  ASSERT_TRUE(sim.settle());
  auto request = import("wide");
  request.pool = "shared";
  ASSERT_TRUE(import_image(commander(), caller(), request));
  ASSERT_TRUE(sim.settle());
  const auto wide = resolve<model::Image>(sim.inventory(), "wide");
  ASSERT_TRUE(wide);
  EXPECT_EQ((*wide)->value.state, model::ImageState::ready);
  EXPECT_TRUE((*wide)->value.node.empty());

  ASSERT_TRUE(create_vms(commander(), caller(), {.name = "db", .image = "wide", .memory = Bytes(64_MiB)}));
  ASSERT_TRUE(sim.settle());
  const auto vm = resolve<model::Vm>(sim.inventory(), "db");
  ASSERT_TRUE(vm);
  EXPECT_FALSE((*vm)->value.node.empty());
  const auto disks = sim.inventory().images_of_vm((*vm)->value.id);
  ASSERT_EQ(disks.size(), 1U);
  EXPECT_TRUE(disks[0]->value.node.empty());
  EXPECT_EQ(disks[0]->value.state, model::ImageState::ready);

  ASSERT_TRUE(delete_vm(commander(), caller(), "db", false));
  ASSERT_TRUE(sim.settle());
  ASSERT_TRUE(delete_image(commander(), caller(), "wide"));
  ASSERT_TRUE(sim.settle());
  EXPECT_FALSE(resolve<model::Image>(sim.inventory(), "wide"));
}

TEST_F(Commands, PoolsAndNetworksAreChecked) {
  for (const char* path :
       {"", "relative", "/", "/a/", "/a/../b", "/a//b", "/etc/x", "/var/pool", "/var/pool/below", "/var"}) {
    EXPECT_EQ(refused(add_pool(commander(), dry(), {.name = "p2", .path = path})), "path") << path;
  }
  const auto shared = [&](model::PoolDriver driver, std::string source, std::string path = {}) {
    return refused(add_pool(commander(), caller(),
                            {.name = "p2", .driver = driver, .source = std::move(source), .path = std::move(path)}));
  };
  EXPECT_EQ(shared(model::PoolDriver::lustre, ""), "source");
  EXPECT_EQ(shared(model::PoolDriver::nfs, "server"), "source");
  EXPECT_EQ(shared(model::PoolDriver::nfs, "server:/x", "/absolute"), "path");
  EXPECT_EQ(shared(model::PoolDriver::posix, "server:/x", "/mnt/x"), "source");
  EXPECT_EQ(shared(model::PoolDriver::posix, "", "/var/pool/inside"), "path");
  EXPECT_EQ(shared(model::PoolDriver::nfs, "server:/x", "site/vm"), "(accepted)");
  EXPECT_TRUE(sim.settle());
  const auto beside = [&](std::string path) {
    return refused(
        add_pool(commander(), caller(),
                 {.name = "p3", .driver = model::PoolDriver::nfs, .source = "server:/x", .path = std::move(path)}));
  };
  EXPECT_EQ(beside("site"), "path");
  EXPECT_EQ(beside(""), "path");
  EXPECT_EQ(beside("site/vm"), "path");
  EXPECT_EQ(beside("site/vm2"), "(accepted)");
  EXPECT_TRUE(sim.settle());
  EXPECT_EQ(refused(remove_pool(commander(), caller(), "local")).rfind("pool 'local' has 1 image", 0), 0u);
  const auto network = [&](CreateNetwork request) {
    request.name = "n2";
    return refused(create_network(commander(), caller(), request));
  };
  EXPECT_EQ(network({.subnet = "192.168.120.0/24"}), "subnet") << "default has it";
  EXPECT_EQ(network({.subnet = "10.0.0.1/24"}), "subnet");
  EXPECT_EQ(network({.subnet = "10.0.0.0/31"}), "subnet");
  EXPECT_EQ(network({.subnet = "224.0.0.0/24"}), "subnet");
  EXPECT_EQ(network({.subnet = "10.0.0.0"}), "subnet");
  EXPECT_EQ(network({.vlan = 4}), "vlan");
  EXPECT_EQ(network({.kind = model::NetworkKind::bridge}), "bridge");
  EXPECT_EQ(network({.kind = model::NetworkKind::bridge, .bridge = "a/b"}), "bridge");
  EXPECT_EQ(network({.kind = model::NetworkKind::bridge, .bridge = "br0", .vlan = 4095}), "vlan");
  const auto second = create_network(commander(), caller(), {.name = "n2"});
  ASSERT_TRUE(second);
  EXPECT_EQ(second->object.subnet, "192.168.121.0/24");
  ASSERT_TRUE(create_vms(commander(), caller(), {.name = "web", .image = "golden"}));
  EXPECT_EQ(refused(delete_network(commander(), caller(), "default")).rfind("network 'default' is in use by 1 VM", 0),
            0u);
}

TEST_F(Commands, UpdatesAndPowerAreChecked) {
  ASSERT_TRUE(create_vms(commander(), caller(), {.name = "web", .image = "golden"}));
  EXPECT_EQ(refused(update_vm(commander(), caller(), "web", {.cpus = 2})), "VM 'web' is still being created");
  ASSERT_TRUE(sim.settle());
  EXPECT_EQ(refused(update_vm(commander(), caller(), "web", {.cpus = 0})), "cpus");
  EXPECT_EQ(refused(update_vm(commander(), caller(), "web", {.disks = {{"disk0", Bytes(1_MiB)}}})), "disks[0].size");
  EXPECT_EQ(refused(update_vm(commander(), caller(), "web", {.disks = {{"disk7", Bytes(2_GiB)}}})), "disks[0].name");
  EXPECT_EQ(update_vm(commander(), caller(), "web", {.memory = Bytes(1_TiB)}).error().code,
            ErrorCode::resource_exhausted);
  EXPECT_EQ(refused(power_vm(commander(), caller(), "web", {.action = PowerAction::stop, .grace_seconds = 99999})),
            "grace_seconds");
  ASSERT_TRUE(power_vm(commander(), caller(), "web", {.action = PowerAction::stop}));
  ASSERT_TRUE(sim.settle());
  EXPECT_EQ(refused(power_vm(commander(), caller(), "web", {.action = PowerAction::pause})), "VM 'web' is stopped");
  EXPECT_EQ(refused(create_snapshot(commander(), caller(), "web", "Bad Name")), "name");
  EXPECT_EQ(refused(rollback_snapshot(commander(), caller(), "web", "s1")), "VM 'web' has no snapshot 's1'");
  EXPECT_EQ(power_vm(commander(), caller(), "none", {}).error().code, ErrorCode::not_found);

  const auto grown =
      update_vm(commander(), caller(), "web", {.name = "www", .cpus = 3, .disks = {{"disk0", Bytes(3_GiB)}}});
  ASSERT_TRUE(grown);
  ASSERT_TRUE(sim.settle());
  const auto vm = sim.inventory().find_by_name<model::Vm>("www");
  ASSERT_NE(vm, nullptr);
  EXPECT_EQ(vm->value.spec.cpus, 3u);
  EXPECT_EQ(vm->value.spec.disks[0].size, 3_GiB);
  EXPECT_EQ(sim.inventory().find_by_name<model::Vm>("web"), nullptr);
}

TEST_F(Commands, ADetachedDiskCanBePluggedInAgain) {
  ASSERT_TRUE(create_vms(commander(), caller(), {.name = "web", .image = "golden"}));
  ASSERT_TRUE(sim.settle());
  ASSERT_TRUE(delete_vm(commander(), caller(), "web", true));
  ASSERT_TRUE(create_vms(commander(), caller(), {.name = "new", .image = "golden"}));
  ASSERT_TRUE(sim.settle());
  const auto disk = sim.inventory().find_by_name<model::Image>("web-disk0");
  ASSERT_NE(disk, nullptr);
  EXPECT_TRUE(disk->value.vm.empty());
  ASSERT_TRUE(add_disk(commander(), caller(), "new", {.image = "web-disk0"}));
  ASSERT_TRUE(sim.settle());
  const auto vm = sim.inventory().find_by_name<model::Vm>("new");
  EXPECT_EQ(sim.inventory().find_by_name<model::Image>("web-disk0")->value.vm, vm->value.id);
  EXPECT_EQ(sim.check(), "");
}

TEST_F(Commands, NodesWithGuestsStay) {
  EXPECT_EQ(refused(delete_node(commander(), caller(), "node0")).rfind("node 'node0' has images", 0), 0u);
  ASSERT_TRUE(update_node(commander(), caller(), "node0", {.schedulable = false}));
  const auto refusal = create_vms(commander(), caller(), {.name = "web", .image = "golden"});
  ASSERT_FALSE(refusal);
  EXPECT_NE(refusal.error().message.find("closed for new guests"), std::string::npos);
}

TEST_F(Commands, TheLastAdminTokenStays) {
  const std::string hash(64, 'a');
  ASSERT_TRUE(create_token(commander(), caller(), {.name = "root", .role = model::Role::admin, .secret_sha256 = hash}));
  EXPECT_EQ(delete_token(commander(), caller(), "root").error().code, ErrorCode::failed_precondition);
  ASSERT_TRUE(create_token(commander(), caller(), {.name = "two", .role = model::Role::admin, .secret_sha256 = hash}));
  EXPECT_TRUE(delete_token(commander(), caller(), "root"));
  EXPECT_EQ(
      refused(create_token(commander(), caller(), {.name = "three", .expires_in_seconds = 0, .secret_sha256 = hash})),
      "expires_in_seconds");
  EXPECT_EQ(refused(create_join_token(commander(), caller(), {.ttl_seconds = 0, .secret_sha256 = hash})),
            "ttl_seconds");
  EXPECT_TRUE(create_join_token(commander(), caller(), {.node_name = "n", .secret_sha256 = hash}));
}

TEST_F(Commands, EndedOperationsCantBeCancelled) {
  const auto made = create_vms(commander(), caller(), {.name = "web", .image = "golden"});
  ASSERT_TRUE(made);
  ASSERT_TRUE(sim.settle());
  EXPECT_EQ(cancel_operation(commander(), caller(), made->operations[0].id.str()).error().code,
            ErrorCode::failed_precondition);
  EXPECT_EQ(cancel_operation(commander(), caller(), "none").error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace bridgehead::reconcile
