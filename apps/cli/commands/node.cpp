#include <unistd.h>

#include "base/units.h"
#include "cli/boot_view.h"
#include "cli/commands/commands.h"
#include "cli/commands/noun.h"
#include "cli/commands/overlay_flags.h"
#include "cli/netboot_words.h"
#include "cli/power_words.h"
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

// What the agent found; before it ran, what the machine told at its discovery.
std::string cpus(const nlohmann::json& node) {
  const auto found = number(node, "/facts/cpus");
  const auto count = found > 0 ? found : number(node, "/netboot/hardware/cpus");
  return count > 0 ? fmt::format("{}", count) : "-";
}

// Of its CPUs, how much is busy.
std::string busy(const nlohmann::json& node) {
  const auto* use = find(node, "/use/cpus");
  const auto count = number(node, "/facts/cpus");
  if (use == nullptr || !use->is_number() || count == 0) return "-";
  return fmt::format("{:.0f} %", 100 * use->get<double>() / static_cast<double>(count));
}

// What is planned for it beside taking guests.
std::string guests(const nlohmann::json& node) {
  if (text(node, "/draining") == "yes") return "draining";
  if (text(node, "/to_be_off") == "yes") return text(node, "/state") == "ready" ? "to be off" : "when woken";
  return text(node, "/schedulable");
}

std::string memory(const nlohmann::json& node) {
  const auto found = number(node, "/facts/memory");
  const auto count = found > 0 ? found : number(node, "/netboot/hardware/memory");
  return count > 0 ? Bytes(count).human() : "-";
}

std::string profile_of(const nlohmann::json& node) {
  if (text(node, "/netboot/mac").empty()) return "";
  const auto profile = text(node, "/netboot/profile");
  return profile.empty() ? "default" : profile;
}

std::string hardware(const nlohmann::json& node) {
  const auto vendor = text(node, "/netboot/hardware/vendor");
  const auto product = text(node, "/netboot/hardware/product");
  return vendor + (vendor.empty() || product.empty() ? "" : " ") + product;
}

std::vector<Column> node_details() {
  return {column("SCHEDULABLE", "/schedulable"),
          column("DRAINING", "/draining"),
          column("TO-BE-OFF", "/to_be_off"),
          column("RACK", "/rack"),
          column("POWER-FEED", "/power_feed"),
          column("BMC", "/bmc/driver"),
          {"POWER", [](const auto& node) { return proof_text(node, "/bmc/power"); }},
          bytes_column("FREE", "/load/memory_available"),
          column("WHY", "/facts/virtualization_message"),
          column("WATCHDOG", "/facts/watchdog"),
          column("WHY-NOT", "/facts/watchdog_message"),
          column("MACHINE", "/facts/machine"),
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
          column("ID", "/id"),
          column("APPROVAL", "/netboot/approval"),
          column("IMAGE", "/netboot/image"),
          column("WARNING", "/netboot/warning"),
          {"PROFILE", profile_of},
          {"FILES", [](const auto& node) { return file_names(node, "/netboot/files"); }},
          {"SECRET-FILES", [](const auto& node) { return file_names(node, "/netboot/secret_files"); }},
          column("BOOTED", "/boot/image"),
          column("ROOT", "/boot/root"),
          column("MAC", "/netboot/mac"),
          column("UUID", "/netboot/uuid"),
          column("SERIAL", "/netboot/serial"),
          {"HARDWARE", hardware},
          column("NICS", "/netboot/hardware/nics"),
          column("DISKS", "/netboot/hardware/disks")};
}

void add_show_node(CLI::App& node, Context& context, std::vector<Column> fields) {
  auto* show = node.add_subcommand("show", "One node in full, and how it booted");
  const auto name = std::make_shared<std::string>();
  add_object_argument(*show, "node", name);
  std::erase_if(fields, [](const Column& field) { return field.header == "GUESTS"; });  // SCHEDULABLE below
  const auto details = node_details();
  fields.insert(fields.end(), details.begin(), details.end());
  on_chosen(*show, context, [&context, name, fields](ApiClient& api) -> Status {
    auto answer = api.get("/nodes/" + path_segment(*name));
    if (!answer) return forward(answer);
    const bool booted = !text(*answer, "/boot/step").empty();
    if (booted) {
      const auto boot = api.get(fmt::format("/nodes/{}/boot", path_segment(text(*answer, "/id"))));
      if (!boot) return forward(boot);
      (*answer)["boot"].update(*boot);
    }
    if (const auto name_of_image = text(*answer, "/netboot/image"); !name_of_image.empty()) {
      const auto image = api.get("/node-images/" + path_segment(name_of_image));
      const auto warning = image ? missing_driver(*answer, *image) : std::string();
      if (!warning.empty()) (*answer)["netboot"]["warning"] = warning;
    }
    if (auto printed = context.print_object(*answer, fields); !printed) return printed;
    if (booted && context.format() == OutputFormat::table) {
      fmt::print("\nIts boot of {}:\n", printable(text(*answer, "/boot/started")));
      print_boot_steps(answer->at("boot"));
    }
    return {};
  });
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
          reason += fmt::format(" {} is {} ({}).", text(one, "/name"), node_state(one), node_message(one));
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

void add_node_set(CLI::App& node, Context& context) {
  struct Options {
    std::string node, name, schedulable;
    std::optional<std::string> rack, power_feed;
    OverlayFlags overlay;
  };
  const auto options = std::make_shared<Options>();
  auto* set = node.add_subcommand(
      "set", "Rename a node, keep new guests away, say where it stands, or lay files over its root");
  set->add_option("node", options->node, "Name or id")->required();
  set->add_option("--name", options->name, "New name");
  set->add_option("--schedulable", options->schedulable, "on or off: may it get new guests")
      ->check(CLI::IsMember({"on", "off"}));
  set->add_option("--rack", options->rack, "The rack that it is in, for rules; \"\" = none");
  set->add_option("--power-feed", options->power_feed, "What it is powered by, for rules; \"\" = none");
  add_overlay_flags(*set, options->overlay);
  on_chosen(*set, context, [options](ApiClient& api) -> Status {
    nlohmann::json body = nlohmann::json::object();
    if (!options->name.empty()) body["name"] = options->name;
    if (!options->schedulable.empty()) body["schedulable"] = options->schedulable == "on";
    if (options->rack) body["rack"] = *options->rack;
    if (options->power_feed) body["power_feed"] = *options->power_feed;
    if (auto put = put_overlay(options->overlay, body); !put) return put;
    if (body.empty()) {
      return fail(ErrorCode::invalid_argument,
                  "nothing to change: give --name, --schedulable, --rack, --power-feed, --file or --secret-file, or "
                  "--no-files, --no-secret-files");
    }
    const auto answer = api.patch("/nodes/" + path_segment(options->node), body);
    if (!answer) return forward(answer);
    return {};
  });
}

}  // namespace

void add_node_commands(CLI::App& root, Context& context) {
  const Noun words{.singular = "node",
                   .collection = "/nodes",
                   .columns = {column("NAME", "/name"),
                               {"STATE", node_state},
                               {"ADDRESS", node_address},
                               {"GUESTS", guests},
                               {"CPUS", cpus},
                               {"BUSY", busy},
                               {"MEMORY", memory},
                               column("LOAD", "/load/load1"),
                               column("RUNS", "/facts/virtualization"),
                               {"MESSAGE", node_message}},
                   .details = {}};
  auto& node = add_noun(root, "node", "Machines that guests run on");
  add_list(node, context, words);
  add_show_node(node, context, words.columns);
  add_node_netboot_commands(node, context);
  add_node_watch_command(node, context);
  add_join_token(node, context);
  add_node_set(node, context);
  add_node_drain_commands(node, context);
  add_node_upgrade_command(node, context);
  add_node_power_commands(node, context);
  add_node_console_command(node, context);
  add_wait(node, context);
  add_delete(node, context, words, "delete", "Forget nodes that have no guests; their certificates stop working", "");
}

}  // namespace bridgehead::cli
