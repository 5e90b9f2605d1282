#include "cli/commands/cloud_init_flags.h"
#include "cli/commands/commands.h"
#include "cli/commands/noun.h"
#include "cli/commands/planning_flags.h"

namespace bridgehead::cli {
namespace {

struct CreateOptions {
  std::string name, image, pool, node, layout, cpu_model, firmware;
  std::string cpus = "1", memory = "1GiB";
  std::uint32_t count = 1;
  std::vector<std::string> disks, networks, labels;
  PlanningFlags planning;
  CloudInitFlags cloud_init;
  bool no_network = false, stopped = false, no_autostart = false;
  ChangeFlags flags;
};

// "lan", "lan,vlan=20", "lan,mac=52:..."
Result<nlohmann::json> nic_from(const std::string& text) {
  nlohmann::json nic;
  std::size_t start = 0;
  while (start <= text.size()) {
    const auto end = std::min(text.find(',', start), text.size());
    const auto part = text.substr(start, end - start);
    const auto equals = part.find('=');
    if (start == 0 && equals == std::string::npos) {
      nic["network"] = part;
    } else if (part.starts_with("vlan=") && part.size() > 5 &&
               part.find_first_not_of("0123456789", 5) == std::string::npos && part.size() < 11) {
      nic["vlan"] = std::stoul(part.substr(5));
    } else if (part.starts_with("mac=")) {
      nic["mac"] = part.substr(4);
    } else {
      return fail_with_hint(ErrorCode::invalid_argument, fmt::format("'{}' doesn't name a NIC", text),
                            "Write NETWORK, NETWORK,vlan=20 or NETWORK,mac=52:...");
    }
    start = end + 1;
  }
  return nic;
}

Result<nlohmann::json> request(const CreateOptions& options) {
  nlohmann::json body = {{"name", options.name},
                         {"memory", options.memory},
                         {"count", options.count},
                         {"autostart", !options.no_autostart},
                         {"power", options.stopped ? "stopped" : "running"}};
  if (options.cpus.find_first_not_of("0123456789") != std::string::npos || options.cpus.empty() ||
      options.cpus.size() > 6) {
    return fail(ErrorCode::invalid_argument, "--cpus: '{}' is not a whole number", options.cpus);
  }
  body["cpus"] = std::stoul(options.cpus);
  const std::pair<const char*, const std::string*> texts[] = {{"image", &options.image},
                                                              {"pool", &options.pool},
                                                              {"node", &options.node},
                                                              {"cpu_model", &options.cpu_model},
                                                              {"firmware", &options.firmware}};
  for (const auto& [field, value] : texts) {
    if (!value->empty()) body[field] = *value;
  }
  body["disks"] = nlohmann::json::array();
  for (const auto& size : options.disks) body["disks"].push_back({{"size", size}});
  if (!options.layout.empty()) {
    if (body["disks"].empty()) body["disks"].push_back(nlohmann::json::object());
    for (auto& disk : body["disks"]) disk["layout"] = options.layout;
  }
  if (options.no_network) body["nics"] = nlohmann::json::array();
  for (const auto& network : options.networks) {
    auto nic = nic_from(network);
    if (!nic) return forward(nic);
    body["nics"].push_back(*nic);
  }
  for (const auto& label : options.labels) {
    const auto equals = label.find('=');
    if (equals == std::string::npos)
      return fail(ErrorCode::invalid_argument, "--label: write KEY=VALUE, not '{}'", label);
    body["labels"][label.substr(0, equals)] = label.substr(equals + 1);
  }
  options.planning.put(body);
  auto seed = options.cloud_init.body();
  if (!seed) return forward(seed);
  body["cloud_init"] = std::move(*seed);
  return body;
}

}  // namespace

void add_vm_create_command(CLI::App& vm, Context& context) {
  const auto options = std::make_shared<CreateOptions>();
  auto* create = vm.add_subcommand("create", "Create guests from a golden image, or blank ones");
  create->add_option("name", options->name, "Its name; with --count: NAME-1, NAME-2, ...")->required();
  create->add_option("--image", options->image, "Golden image that the first disk is cloned from (none: a blank disk)");
  create->add_option("--cpus", options->cpus, "Virtual CPUs (default 1)");
  create->add_option("--memory", options->memory, "Memory, such as 2GiB (default 1GiB)");
  create->add_option("--disk", options->disks, "Size of a disk, such as 20GiB; the first is the clone (repeatable)")
      ->allow_extra_args(false);
  create->add_option("--layout", options->layout,
                     "How the disks are spread over the pool's targets: narrow, wide or automatic (by size)");
  create->add_option("--pool", options->pool, "Where the disks live (default: the image's pool, or the only one)");
  create
      ->add_option("--network", options->networks,
                   "A NIC: NETWORK[,vlan=N][,mac=M] (repeatable; default: network 'default')")
      ->allow_extra_args(false);
  create->add_flag("--no-network", options->no_network, "No NIC");
  create->add_option("--node", options->node, "On this node (default: where it fits best)");
  create->add_option("--count", options->count, "How many (default 1)");
  create->add_option("--cpu-model", options->cpu_model, "host (fastest, default) or baseline (can move anywhere)");
  create->add_option("--firmware", options->firmware, "bios (default) or uefi");
  create->add_option("--label", options->labels, "KEY=VALUE (repeatable)")->allow_extra_args(false);
  options->planning.add_to(*create);
  options->cloud_init.add_to(*create);
  create->add_flag("--stopped", options->stopped, "Don't start it");
  create->add_flag("--no-autostart", options->no_autostart, "Don't start it again after the node's reboot");
  add_change_flags(*create, options->flags);
  on_chosen(*create, context, [&context, options](ApiClient& api) -> Status {
    const auto body = request(*options);
    if (!body) return forward(body);
    const auto answer = api.post("/vms" + options->flags.query(), *body);
    if (!answer) return forward(answer);
    return context.follow(*answer, options->flags.wait);
  });
}

}  // namespace bridgehead::cli
