#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/command.h"
#include "base/file.h"
#include "hypervisor/iso9660.h"
#include "hypervisor/nocloud_seed.h"

namespace bridgehead::hypervisor {
namespace {

using nlohmann::json;

model::Vm vm() {
  model::Vm vm;
  vm.id = model::VmId("11111111-2222-4333-8444-555555555555");
  vm.name = "web_1";
  vm.spec.nics = {{.name = "nic0", .mac = "52:b4:9d:00:00:01"}, {.name = "nic1", .mac = "52:b4:9d:00:00:02"}};
  return vm;
}

json cloud_config(const std::string& text) {
  EXPECT_TRUE(text.starts_with("#cloud-config\n")) << text;
  return json::parse(text.substr(text.find('\n')));
}

TEST(Seed, DefaultsAreHostNameAndDhcpByMac) {
  const auto files = render_seed(vm());
  ASSERT_TRUE(files);
  const auto meta = json::parse(files->meta_data);
  EXPECT_EQ(meta["local-hostname"], "web-1");
  EXPECT_TRUE(meta["instance-id"].get<std::string>().starts_with("11111111-2222-4333-8444-555555555555-"));
  const auto network = json::parse(files->network_config);
  EXPECT_EQ(network["version"], 2);
  EXPECT_EQ(network["ethernets"]["nic0"]["match"]["macaddress"], "52:b4:9d:00:00:01");
  EXPECT_EQ(network["ethernets"]["nic1"]["dhcp4"], true);
  EXPECT_TRUE(files->vendor_data.empty());
}

TEST(Seed, NamedUserGetsKeysAndPassword) {
  auto guest = vm();
  guest.spec.cloud_init.user = "ada";
  guest.spec.cloud_init.password_hash = "$6$salt$hash";
  guest.spec.cloud_init.ssh_keys = {"ssh-ed25519 AAAA ada@\"home\"\n- evil: true"};
  const auto files = render_seed(guest);
  ASSERT_TRUE(files);
  const auto user = cloud_config(files->user_data)["users"][0];
  EXPECT_EQ(user["name"], "ada");
  EXPECT_EQ(user["lock_passwd"], false);
  EXPECT_EQ(user["hashed_passwd"], "$6$salt$hash");
  EXPECT_EQ(user["ssh_authorized_keys"][0], "ssh-ed25519 AAAA ada@\"home\"\n- evil: true");  // stays one string
}

TEST(Seed, UsersOwnDataWinsAndOursBecomesVendorData) {
  auto guest = vm();
  guest.spec.cloud_init.user_data = "#!/bin/sh\necho hello\n";
  guest.spec.cloud_init.ssh_keys = {"ssh-ed25519 AAAA"};
  guest.spec.cloud_init.network_config = "version: 1\n";
  const auto files = render_seed(guest);
  ASSERT_TRUE(files);
  EXPECT_EQ(files->user_data, "#!/bin/sh\necho hello\n");
  EXPECT_EQ(files->network_config, "version: 1\n");
  EXPECT_EQ(cloud_config(files->vendor_data)["ssh_authorized_keys"][0], "ssh-ed25519 AAAA");
}

TEST(Seed, InstanceIdChangesWithTheContentOnly) {
  auto guest = vm();
  const auto id = [](const model::Vm& one) { return json::parse(render_seed(one)->meta_data)["instance-id"]; };
  const auto before = id(guest);
  guest.generation = 9;
  guest.lease = 4;
  guest.spec.cpus = 8;
  EXPECT_EQ(id(guest), before);
  guest.spec.cloud_init.ssh_keys = {"ssh-ed25519 AAAA"};
  EXPECT_NE(id(guest), before);
}

TEST(Seed, WhatCanNotBeIsRefused) {
  for (const char* user : {"Root", "a b", "-x", "0day", "a:b", "../x"}) {
    auto guest = vm();
    guest.spec.cloud_init.user = user;
    const auto files = render_seed(guest);
    ASSERT_FALSE(files) << user;
    EXPECT_EQ(files.error().code, ErrorCode::invalid_argument);
  }
  auto guest = vm();
  guest.spec.cloud_init.hostname = "a\nb";
  EXPECT_FALSE(render_seed(guest));
  guest = vm();
  guest.spec.nics[0].mac = "01:00:00:00:00:00";
  EXPECT_FALSE(render_seed(guest));
  guest = vm();
  guest.spec.cloud_init.ssh_keys = {"\xff\xfe"};
  EXPECT_FALSE(render_seed(guest));
}

// A foreign reader must find the same files under the same names.
TEST(Seed, IsoIsReadByOthers) {
  auto guest = vm();
  guest.spec.cloud_init.user_data = std::string(5000, 'x');  // more than two sectors
  guest.spec.cloud_init.ssh_keys = {"ssh-ed25519 AAAA"};
  const auto directory = TemporaryDirectory::create();
  ASSERT_TRUE(directory);
  const auto path = directory->path() / "seed.iso";
  const auto written = ensure_seed(guest, path);
  ASSERT_TRUE(written) << written.error().describe();
  EXPECT_TRUE(*written);
  const auto files = render_seed(guest);
  SystemCommandRunner commands;
  for (const auto& [name, content] : {std::pair{"/user-data", files->user_data},
                                      {"/vendor-data", files->vendor_data},
                                      {"/meta-data", files->meta_data},
                                      {"/network-config", files->network_config}}) {
    const auto read = commands.run({.program = "isoinfo", .arguments = {"-J", "-i", path.string(), "-x", name}});
    ASSERT_TRUE(read) << read.error().describe();
    EXPECT_EQ(read->out, content) << name;
  }
  const auto label =
      commands.run({.program = "blkid", .arguments = {"-p", "-o", "value", "-s", "LABEL", path.string()}});
  ASSERT_TRUE(label) << label.error().describe();
  EXPECT_EQ(label->out, "cidata\n");
}

TEST(Seed, WrittenOnlyWhenItChanges) {
  auto guest = vm();
  const auto directory = TemporaryDirectory::create();
  ASSERT_TRUE(directory);
  const auto path = directory->path() / "seed.iso";
  EXPECT_TRUE(ensure_seed(guest, path).value());
  EXPECT_FALSE(ensure_seed(guest, path).value());
  guest.spec.cloud_init.hostname = "other";
  EXPECT_TRUE(ensure_seed(guest, path).value());
  EXPECT_EQ(std::filesystem::status(path).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

}  // namespace
}  // namespace bridgehead::hypervisor
