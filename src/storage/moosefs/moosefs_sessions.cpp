#include "storage/moosefs/moosefs_sessions.h"

#include <algorithm>

#include "model/pool_rules.h"

namespace bridgehead::storage::moosefs {
namespace {

constexpr std::chrono::seconds kPatience{60};  // a Python program, perhaps on a host that boots

Command mfscli(const Master& master, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"-H", master.host, "-P", master.port, "-p", "-n"});
  return {.program = "mfscli", .arguments = std::move(arguments), .timeout = kPatience};
}

bool is_number(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

Result<CommandOutput> run(const Command& command, CommandRunner& runner) {
  auto done = runner.run(command);
  if (!done && done.error().code == ErrorCode::not_found) {
    return fail_with_hint(ErrorCode::not_found, "this node has no mfscli, which removes a dead node's MooseFS session",
                          "Install the package moosefs-cli on the node, or in its node image.");
  }
  return done;
}

}  // namespace

Master master_of(const model::Pool& pool) {
  const auto servers = model::split_source(pool.source).servers;
  const auto colon = servers.rfind(':');
  return {servers.substr(0, colon), colon == std::string::npos ? "9421" : servers.substr(colon + 1)};
}

Command sessions_command(const Master& master) { return mfscli(master, {"-s", "|", "-SMS"}); }

Command remove_session_command(const Master& master, const std::string& id) { return mfscli(master, {"-CRS/" + id}); }

Command servers_command(const Master& master) { return mfscli(master, {"-s", "|", "-SCS"}); }

// "chunk servers:|10.77.0.13|9422|1|-|3.0.117|0|maintenance_off|0|28042006528|..."
unsigned count_servers(std::string_view output) {
  unsigned count = 0;
  while (!output.empty()) {
    const auto line = output.substr(0, output.find('\n'));
    output.remove_prefix(std::min(line.size() + 1, output.size()));
    if (line.starts_with("chunk servers:|") && line.find("disconnected") == line.npos) ++count;
  }
  return count;
}

// "active mounts, parameters:|7|10.77.0.10|/mnt/x|9|1|3.0.117|..." and "inactive mounts,
// parameters:|8|10.77.0.11|/mnt/x|8|86399". A mount point may hold anything, a separator too: such a line counts where
// it ends as its kind does, with a mount point that no pool of ours has.
std::vector<Session> parse_sessions(std::string_view output) {
  std::vector<Session> sessions;
  while (!output.empty()) {
    auto line = output.substr(0, output.find('\n'));
    output.remove_prefix(std::min(line.size() + 1, output.size()));
    const auto next = [&line] {
      const auto field = line.substr(0, line.find('|'));
      line.remove_prefix(std::min(field.size() + 1, line.size()));
      return std::string(field);
    };
    const auto kind = next();
    const bool connected = kind == "active mounts, parameters:";
    if (!connected && kind != "inactive mounts, parameters:") continue;
    Session session{.id = next(), .address = next(), .point = next(), .connected = connected};
    if (is_number(session.id)) sessions.push_back(std::move(session));
  }
  return sessions;
}

Result<unsigned> remove_sessions(const model::Pool& pool, const std::vector<std::string>& addresses,
                                 CommandRunner& runner) {
  const auto master = master_of(pool);
  const auto told = run(sessions_command(master), runner);
  if (!told) return forward(told);
  unsigned removed = 0;
  std::string connected;
  for (const auto& session : parse_sessions(told->out)) {
    const bool its = std::find(addresses.begin(), addresses.end(), session.address) != addresses.end();
    if (!its || !session.point.ends_with("/" + pool.id.str())) continue;
    if (session.connected) {
      connected = fmt::format("MooseFS still has a connection of {} (session {})", session.address, session.id);
      continue;
    }
    if (auto done = run(remove_session_command(master, session.id), runner); !done) return forward(done);
    ++removed;
  }
  if (!connected.empty()) return fail(ErrorCode::unavailable, "{}", connected);
  return removed;
}

}  // namespace bridgehead::storage::moosefs
