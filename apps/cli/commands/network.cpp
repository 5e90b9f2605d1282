#include "cli/commands/commands.h"
#include "cli/commands/noun.h"

namespace bridgehead::cli {

void add_network_commands(CLI::App& root, Context& context) {
  const Noun words{.singular = "network",
                   .collection = "/networks",
                   .columns = {column("NAME", "/name"), column("KIND", "/kind"), column("BRIDGE", "/bridge"),
                               column("VLAN", "/vlan"), column("SUBNET", "/subnet")},
                   .details = {column("CREATED", "/created"), column("ID", "/id")}};
  auto& network = add_noun(root, "network", "What guests' NICs plug into");
  add_list(network, context, words);
  add_show(network, context, words);
  add_delete(network, context, words, "delete", "Delete networks that no guest uses", "");

  struct Options {
    std::string name, kind = "nat", bridge, subnet;
    std::uint32_t vlan = 0;
    ChangeFlags flags;
  };
  const auto options = std::make_shared<Options>();
  auto* create = network.add_subcommand("create", "Create a network");
  create->add_option("name", options->name, "Its name")->required();
  create->add_option("--kind", options->kind,
                     "nat: private, with DHCP, reaching out; bridge: an existing bridge of the nodes");
  create->add_option("--bridge", options->bridge, "bridge: its name on the nodes");
  create->add_option("--vlan", options->vlan, "VLAN tag on the bridge, 1 to 4094");
  create->add_option("--subnet", options->subnet, "nat: IPv4 subnet such as 192.168.50.0/24");
  add_change_flags(*create, options->flags);
  on_chosen(*create, context, [&context, options](ApiClient& api) -> Status {
    nlohmann::json body = {{"name", options->name}, {"kind", options->kind}};
    if (!options->bridge.empty()) body["bridge"] = options->bridge;
    if (!options->subnet.empty()) body["subnet"] = options->subnet;
    if (options->vlan != 0) body["vlan"] = options->vlan;
    const auto answer = api.post("/networks" + options->flags.query(), body);
    if (!answer) return forward(answer);
    return context.follow(*answer, options->flags.wait);
  });
}

}  // namespace bridgehead::cli
