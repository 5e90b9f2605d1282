#include "storage/lustre/lustre_evict.h"

#include <optional>

#include "model/pool_rules.h"
#include "storage/mount_plan.h"

namespace bridgehead::storage::lustre {
namespace {

constexpr std::chrono::seconds kPatience{15};

// "10.0.0.5@o2ib:/scratch" -> "o2ib": clients are on their servers' network.
std::string network_of(const model::Pool& pool) {
  const auto servers = model::split_source(pool.source).servers;
  const auto at = servers.find('@');
  if (at == std::string::npos) return "tcp";
  return servers.substr(at + 1, servers.find_first_of(":,", at) - at - 1);
}

}  // namespace

std::vector<Command> evict_commands(const model::Pool& pool, const std::string& login, const std::string& address) {
  std::vector<Command> commands;
  for (const auto* service : {"mdt", "obdfilter"}) {
    // The far shell gets it quoted: the star is lctl's. The address is of digits and dots (storage/dead_client.cpp).
    commands.push_back({.program = "ssh",
                        .arguments = {"-i", option_or(pool, "evict_key", ""), "-o", "BatchMode=yes", "-o",
                                      "ConnectTimeout=10", "--", login,
                                      fmt::format("lctl set_param -n '{}.*.evict_client=nid:{}@{}'", service, address,
                                                  network_of(pool))},
                        .timeout = kPatience});
  }
  return commands;
}

Result<unsigned> evict_clients(const model::Pool& pool, const std::vector<std::string>& addresses,
                               CommandRunner& runner) {
  unsigned told = 0;
  auto logins = option_or(pool, "evict_by", "");
  while (!logins.empty()) {
    const auto login = logins.substr(0, logins.find(':'));
    logins.erase(0, login.size() + 1);
    for (const auto& address : addresses) {
      std::optional<Error> refused;
      bool done = false;
      for (const auto& command : evict_commands(pool, login, address)) {
        if (const auto ran = runner.run(command)) {
          done = true;
        } else {
          refused = ran.error();
        }
      }
      if (!done) return fail(std::move(*refused));
    }
    ++told;
  }
  return told;
}

}  // namespace bridgehead::storage::lustre
