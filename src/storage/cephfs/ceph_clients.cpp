#include "storage/cephfs/ceph_clients.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "model/pool_rules.h"
#include "storage/mount_plan.h"

namespace bridgehead::storage::cephfs {
namespace {

constexpr std::chrono::seconds kPatience{15};

Command ceph(const model::Pool& pool, std::vector<std::string> arguments) {
  const auto name = option_or(pool, "file_system", "");
  arguments.insert(arguments.begin(),
                   {"--conf", option_or(pool, "config", "/dev/null"), "-m", model::split_source(pool.source).servers,
                    "--id", option_or(pool, "evict_user", "admin"), "--keyring", option_or(pool, "evict_keyring", ""),
                    "--connect-timeout", "10", "tell", name.empty() ? "mds.0" : fmt::format("mds.{}:0", name)});
  return {.program = "ceph", .arguments = std::move(arguments), .timeout = kPatience};
}

Result<CommandOutput> run(const Command& command, CommandRunner& runner) {
  auto done = runner.run(command);
  if (!done && done.error().code == ErrorCode::not_found) {
    return fail_with_hint(ErrorCode::not_found, "this node has no ceph, which evicts a dead node's client",
                          "Install the package ceph-common on the node, or in its node image.");
  }
  return done;
}

}  // namespace

// The root's rank has a session of each client; a client that is blocklisted is gone from the others, too.
Command clients_command(const model::Pool& pool) { return ceph(pool, {"client", "ls", "--format", "json"}); }

Command evict_command(const model::Pool& pool, const std::string& id) {
  return ceph(pool, {"client", "evict", "id=" + id});
}

Result<std::vector<std::string>> parse_clients(std::string_view output, const std::vector<std::string>& addresses) {
  const auto json = nlohmann::json::parse(output, nullptr, false);
  if (!json.is_array()) return fail(ErrorCode::data_corrupt, "no list of CephFS clients: '{}'", output.substr(0, 200));
  std::vector<std::string> ids;
  for (const auto& client : json) {
    const auto entity =
        client.is_object() ? client.value("entity", nlohmann::json::object()) : nlohmann::json::object();
    const auto addr = entity.is_object() ? entity.value("addr", nlohmann::json::object()) : nlohmann::json::object();
    if (!addr.is_object() || !addr.contains("addr") || !addr["addr"].is_string()) continue;
    const auto at = addr["addr"].get<std::string>();  // "10.77.0.11:0"
    const auto bare = at.substr(0, at.rfind(':'));
    if (std::find(addresses.begin(), addresses.end(), bare) == addresses.end()) continue;
    if (client.contains("id") && client["id"].is_number_unsigned()) ids.push_back(client["id"].dump());
  }
  return ids;
}

Result<unsigned> evict_clients(const model::Pool& pool, const std::vector<std::string>& addresses,
                               CommandRunner& runner) {
  const auto told = run(clients_command(pool), runner);
  if (!told) return forward(told);
  const auto ids = parse_clients(told->out, addresses);
  if (!ids) return forward(ids);
  for (const auto& id : *ids) {
    if (auto done = run(evict_command(pool, id), runner); !done) return forward(done);
  }
  return static_cast<unsigned>(ids->size());
}

}  // namespace bridgehead::storage::cephfs
