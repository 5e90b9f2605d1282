#include <unistd.h>

#include "base/units.h"
#include "cli/commands/commands.h"
#include "cli/commands/noun.h"
#include "cli/progress.h"

namespace bridgehead::cli {
namespace {

std::string pressure(const nlohmann::json& node) {
  std::string found;
  for (const char* kind : {"cpu", "memory", "io"}) {
    const nlohmann::json::json_pointer at(fmt::format("/load/pressure/{}", kind));
    if (node.contains(at) && node.at(at).is_number()) {
      found += fmt::format("{}{} {:.1f} %", found.empty() ? "" : ", ", kind, node.at(at).get<double>());
    }
  }
  return found;
}

std::string interfaces(const nlohmann::json& node) {
  std::string found;
  for (const auto& nic : node.value("/facts/interfaces"_json_pointer, nlohmann::json::array())) {
    if (text(nic, "/kind") == "loopback" || text(nic, "/kind") == "tap") continue;
    found += fmt::format("{}{} ({})", found.empty() ? "" : ", ", text(nic, "/name"), text(nic, "/kind"));
  }
  return found;
}

void add_wait(CLI::App& node, Context& context) {
  struct Options {
    std::size_t count = 1;
    unsigned timeout = 300;
  };
  const auto options = std::make_shared<Options>();
  auto* wait = node.add_subcommand("wait", "Wait until so many nodes are ready");
  wait->add_option("--count", options->count, "How many (default 1)");
  wait->add_option("--timeout", options->timeout, "Seconds (default 300)");
  on_chosen(*wait, context, [&context, options](ApiClient& api) -> Status {
    ProgressLine line("nodes", context.quiet);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(options->timeout);
    std::string reason;
    while (std::chrono::steady_clock::now() < deadline) {
      const auto answer = api.get("/nodes");
      if (!answer) return forward(answer);
      std::size_t ready = 0;
      reason.clear();
      for (const auto& one : answer->at("items")) {
        const auto state = text(one, "/state");
        ready += state == "ready" ? 1 : 0;
        if (state != "ready")
          reason += fmt::format(" {} is {} ({}).", text(one, "/name"), state, text(one, "/message"));
      }
      if (ready >= options->count) {
        line.finish(fmt::format("{} ready", ready));
        return {};
      }
      line.update("waiting for ready nodes", ready, options->count);
      ::usleep(500'000);
    }
    return fail(ErrorCode::timeout, "not {} nodes were ready within {} s.{}", options->count, options->timeout, reason);
  });
}

void add_join_token(CLI::App& node, Context& context) {
  struct Options {
    std::string name, address;
    std::uint32_t ttl_seconds = 3600;
  };
  const auto options = std::make_shared<Options>();
  auto* command = node.add_subcommand("join-token", "A one-time token for a new node: bridgehead-agent join TOKEN");
  command->add_option("--name", options->name, "The node's name (default: its host name)");
  command->add_option("--address", options->address, "HOST:PORT where the node reaches the manager");
  command->add_option("--ttl", options->ttl_seconds, "Seconds until it expires (default 3600)");
  on_chosen(*command, context, [&context, options](ApiClient& api) -> Status {
    nlohmann::json body = {{"ttl_seconds", options->ttl_seconds}};
    if (!options->name.empty()) body["node_name"] = options->name;
    if (!options->address.empty()) body["address"] = options->address;
    auto answer = api.post("/join-tokens", body);
    if (!answer) return forward(answer);
    (*answer)["name"] = text(*answer, "/join_token");  // -o name gives the bare token to scripts
    return context.print_object(*answer, {column("TOKEN", "/join_token"), column("EXPIRES", "/expires")});
  });
}

void add_set(CLI::App& node, Context& context) {
  struct Options {
    std::string node, name, schedulable;
  };
  const auto options = std::make_shared<Options>();
  auto* set = node.add_subcommand("set", "Rename a node, or keep new guests away from it");
  set->add_option("node", options->node, "Name or id")->required();
  set->add_option("--name", options->name, "New name");
  set->add_option("--schedulable", options->schedulable, "on or off: may it get new guests")
      ->check(CLI::IsMember({"on", "off"}));
  on_chosen(*set, context, [options](ApiClient& api) -> Status {
    nlohmann::json body = nlohmann::json::object();
    if (!options->name.empty()) body["name"] = options->name;
    if (!options->schedulable.empty()) body["schedulable"] = options->schedulable == "on";
    if (body.empty()) return fail(ErrorCode::invalid_argument, "nothing to change: give --name or --schedulable");
    const auto answer = api.patch("/nodes/" + path_segment(options->node), body);
    if (!answer) return forward(answer);
    return {};
  });
}

}  // namespace

void add_node_commands(CLI::App& root, Context& context) {
  const Noun words{
      .singular = "node",
      .collection = "/nodes",
      .columns = {column("NAME", "/name"), column("STATE", "/state"), column("SCHEDULABLE", "/schedulable"),
                  column("CPUS", "/facts/cpus"), bytes_column("MEMORY", "/facts/memory"),
                  bytes_column("FREE", "/load/memory_available"), column("LOAD", "/load/load1"),
                  column("RUNS", "/facts/virtualization"), column("MESSAGE", "/message")},
      .details = {column("WHY", "/facts/virtualization_message"),
                  column("CPU", "/facts/cpu_model"),
                  column("OS", "/facts/os"),
                  column("KERNEL", "/facts/kernel"),
                  column("LIBVIRT", "/facts/libvirt_version"),
                  column("QEMU", "/facts/hypervisor_version"),
                  column("AGENT", "/facts/agent_version"),
                  {"INTERFACES", interfaces},
                  {"PRESSURE", pressure},
                  age_column("SEEN", "/last_seen"),
                  column("CREATED", "/created"),
                  column("ID", "/id")}};
  auto& node = add_noun(root, "node", "Machines that guests run on");
  add_list(node, context, words);
  add_show(node, context, words);
  add_join_token(node, context);
  add_set(node, context);
  add_wait(node, context);
  add_delete(node, context, words, "delete", "Forget nodes that have no guests; their certificates stop working", "");
}

}  // namespace bridgehead::cli
