#include <algorithm>

#include "control_api/bodies/read_body.h"
#include "control_api/bodies/requests.h"
#include "pki/tokens.h"

namespace bridgehead::control_api {
namespace {

using reconcile::CloudInitChange;
using reconcile::CreateVms;
using reconcile::DiskRequest;
using reconcile::NicRequest;
using reconcile::UpdateVm;

void read_disk(ObjectReader& reader, DiskRequest& disk) {
  reader.size("size", disk.size);
  reader.text("image", disk.image);
  reader.text("pool", disk.pool);
  reader.choice("layout", disk.layout);
}

void read_nic(ObjectReader& reader, NicRequest& nic) {
  reader.text("network", nic.network);
  reader.require("network");
  reader.number("vlan", nic.vlan);
  reader.text("mac", nic.mac);
}

void read_cloud_init(ObjectReader& reader, CloudInitChange& change, RandomSource& random) {
  std::optional<std::string> password;
  reader.text("hostname", change.hostname);
  reader.text("user", change.user);
  reader.text("password_hash", change.password_hash);
  reader.text("password", password, 511);
  reader.texts("ssh_keys", change.ssh_keys);
  reader.text("user_data", change.user_data, kLongestUserData);
  reader.text("network_config", change.network_config, kLongestUserData);
  if (!password) return;
  if (change.password_hash) return reader.wrong("password", "can't be given beside password_hash");
  auto hash = pki::hash_password(*password, random);
  if (!hash) return reader.wrong("password", hash.error().message);
  change.password_hash = std::move(*hash);
}

}  // namespace

Result<CreateVms> read_create_vms(std::string_view body, RandomSource& random) {
  return read_body<CreateVms>(body, [&](ObjectReader& reader, CreateVms& request) {
    reader.text("name", request.name);
    reader.require("name");
    reader.number("count", request.count);
    reader.text("image", request.image);
    reader.objects("disks", [&](ObjectReader& one) { read_disk(one, request.disks.emplace_back()); });
    reader.text("pool", request.pool);
    reader.number("cpus", request.cpus);
    reader.size("memory", request.memory);
    std::vector<NicRequest> nics;
    if (reader.objects("nics", [&](ObjectReader& one) { read_nic(one, nics.emplace_back()); })) {
      request.nics = std::move(nics);
    }
    reader.choice("cpu_model", request.cpu_model);
    reader.choice("firmware", request.firmware);
    reader.flag("autostart", request.autostart);
    reader.choice("power", request.power);
    reader.text("node", request.node);
    reader.labels("labels", request.labels);
    std::int64_t priority = 0;
    reader.integer("priority", priority);
    request.planning.priority = static_cast<std::int32_t>(std::clamp<std::int64_t>(priority, INT32_MIN, INT32_MAX));
    reader.real("move_cost", request.planning.move_cost);
    reader.flag("may_move", request.planning.may_move);
    CloudInitChange seed;
    reader.object("cloud_init", [&](ObjectReader& one) { read_cloud_init(one, seed, random); });
    auto& cloud_init = request.cloud_init;
    cloud_init.hostname = std::move(seed.hostname).value_or("");
    cloud_init.user = std::move(seed.user).value_or("");
    cloud_init.password_hash = std::move(seed.password_hash).value_or("");
    cloud_init.ssh_keys = std::move(seed.ssh_keys).value_or(std::vector<std::string>{});
    cloud_init.user_data = std::move(seed.user_data).value_or("");
    cloud_init.network_config = std::move(seed.network_config).value_or("");
  });
}

Result<UpdateVm> read_update_vm(std::string_view body, RandomSource& random) {
  return read_body<UpdateVm>(body, [&](ObjectReader& reader, UpdateVm& request) {
    reader.text("name", request.name);
    reader.labels("labels", request.labels);
    reader.integer("priority", request.priority);
    reader.real("move_cost", request.move_cost);
    reader.flag("may_move", request.may_move);
    reader.number("cpus", request.cpus);
    reader.size("memory", request.memory);
    reader.flag("autostart", request.autostart);
    reader.choice("ha", request.ha);
    reader.choice("when_alone", request.when_alone);
    reader.choice("watchdog", request.watchdog);
    reader.number("restart_hung", request.restart_hung_seconds);
    reader.choice("cpu_model", request.cpu_model);
    reader.choice("firmware", request.firmware);
    reader.objects("disks", [&](ObjectReader& one) {
      auto& disk = request.disks.emplace_back();
      one.text("name", disk.name);
      one.require("name");
      one.size("size", disk.size);
      one.require("size");
    });
    CloudInitChange change;
    if (reader.object("cloud_init", [&](ObjectReader& one) { read_cloud_init(one, change, random); })) {
      request.cloud_init = std::move(change);
    }
  });
}

Result<reconcile::PowerRequest> read_power(std::string_view body, reconcile::PowerAction action) {
  return read_body<reconcile::PowerRequest>(body, [&](ObjectReader& reader, reconcile::PowerRequest& request) {
    request.action = action;
    const bool stop = action == reconcile::PowerAction::stop;
    if (stop || action == reconcile::PowerAction::reboot) reader.flag("force", request.force);
    if (stop) reader.number("grace_seconds", request.grace_seconds);
  });
}

Result<DiskRequest> read_add_disk(std::string_view body) { return read_body<DiskRequest>(body, read_disk); }

Result<NicRequest> read_add_nic(std::string_view body) { return read_body<NicRequest>(body, read_nic); }

Result<reconcile::MigrateVm> read_migrate_vm(std::string_view body) {
  return read_body<reconcile::MigrateVm>(body, [](ObjectReader& reader, reconcile::MigrateVm& request) {
    reader.text("to", request.to);
    reader.text("pool", request.pool);
    reader.flag("post_copy", request.post_copy);
  });
}

Result<std::string> read_snapshot_name(std::string_view body) {
  return read_body<std::string>(body, [](ObjectReader& reader, std::string& name) {
    reader.text("name", name);
    reader.require("name");
  });
}

Result<TerminalSize> read_terminal_size(std::string_view message) {
  return read_body<TerminalSize>(message, [](ObjectReader& reader, TerminalSize& size) {
    const auto read = [&](std::string_view name, std::uint32_t& out) {
      std::uint64_t value = 0;
      reader.number(name, value);
      if (value < 1 || value > 10'000) return reader.wrong(name, "must be between 1 and 10000");
      out = static_cast<std::uint32_t>(value);
    };
    read("columns", size.columns);
    read("rows", size.rows);
  });
}

Status read_nothing(std::string_view body) {
  struct Nothing {};
  const auto read = read_body<Nothing>(body, [](ObjectReader&, Nothing&) {});
  return read ? Status{} : forward(read);
}

}  // namespace bridgehead::control_api
