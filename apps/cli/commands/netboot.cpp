// netboot: how the manager boots machines.
#include "cli/commands/commands.h"
#include "cli/commands/noun.h"

namespace bridgehead::cli {
namespace {

std::string range_of(const nlohmann::json& netboot) {
  const auto first = text(netboot, "/settings/range_first");
  return first.empty() ? "" : fmt::format("{}-{}", first, text(netboot, "/settings/range_last"));
}

std::string parts_of(const nlohmann::json& netboot) {
  std::string all;
  const auto* parts = find(netboot, "/status/parts");
  if (parts == nullptr) return all;
  for (const auto& part : *parts) {
    const auto message = text(part, "/message");
    const bool runs = part.value("running", false);
    all += fmt::format("{}{} {}{}{}", all.empty() ? "" : ", ", text(part, "/name"), runs ? "runs" : "doesn't run",
                       message.empty() ? "" : ": ", message);
  }
  return all;
}

std::vector<Column> netboot_fields() {
  return {column("MODE", "/settings/mode"),
          column("INTERFACE", "/settings/interface"),
          column("ADDRESS", "/settings/address"),
          {"RANGE", range_of},
          column("HTTP", "/settings/http_port"),
          column("NBD", "/settings/nbd_port"),
          column("SERVERS", "/settings/nbd_servers"),
          column("AUTO-APPROVE", "/settings/auto_approve"),
          {"PARTS", parts_of},
          column("FOREIGN-DHCP", "/status/foreign_dhcp_servers")};
}

struct EnableOptions {
  std::string interface, address, range;
  bool proxy = false, auto_approve = false, dry_run = false;
  std::optional<std::uint16_t> http_port, nbd_port;
  std::vector<std::string> nbd_servers;
};

Status enable(Context& context, ApiClient& api, const EnableOptions& options) {
  if (options.proxy != options.range.empty()) {
    return fail(ErrorCode::invalid_argument,
                "give either --range FIRST-LAST for a DHCP server of ours, or --proxy beside one that exists");
  }
  nlohmann::json body = {{"mode", options.proxy ? "proxy" : "full"},
                         {"interface", options.interface},
                         {"auto_approve", options.auto_approve},
                         {"nbd_servers", options.nbd_servers}};
  if (!options.range.empty()) body["range"] = options.range;
  if (!options.address.empty()) body["address"] = options.address;
  if (options.http_port) body["http_port"] = *options.http_port;
  if (options.nbd_port) body["nbd_port"] = *options.nbd_port;
  const auto answer = api.put(fmt::format("/netboot{}", options.dry_run ? "?dry_run=true" : ""), body);
  if (!answer) return forward(answer);
  if (context.format() != OutputFormat::table) return context.print_object(*answer, netboot_fields());
  context.say(fmt::format("{} on {} ({}){}.{}",
                          options.dry_run ? "Nothing was changed. Would boot machines" : "Boots machines",
                          text(*answer, "/settings/interface"), text(*answer, "/settings/address"),
                          options.proxy ? " beside the DHCP server there" : "",
                          options.dry_run ? "" : " Those that are powered on appear in: bh node list"));
  return {};
}

void add_enable(CLI::App& netboot, Context& context) {
  const auto options = std::make_shared<EnableOptions>();
  auto* command = netboot.add_subcommand("enable", "Boot machines over the network, or change how");
  command->add_option("--interface", options->interface, "The manager's network interface to them")->required();
  command->add_option("--range", options->range, "What our DHCP server gives: 10.20.0.100-10.20.3.250");
  command->add_flag("--proxy", options->proxy, "Beside a DHCP server that exists there");
  command->add_option("--address", options->address,
                      "The manager's there, 10.20.0.1/22 (default: the interface's first)");
  command->add_flag("--auto-approve", options->auto_approve, "Every machine there becomes a node without being asked");
  command->add_option("--http-port", options->http_port, "Of the boot server (default 7480)");
  command->add_option("--nbd-port", options->nbd_port, "Of the root images (default 10809)");
  command
      ->add_option("--nbd-server", options->nbd_servers,
                   "Another server of the same root images, ADDRESS:PORT, tried after ours (repeatable)")
      ->allow_extra_args(false);
  command->add_flag("--dry-run", options->dry_run, "Check everything; change nothing");
  on_chosen(*command, context, [&context, options](ApiClient& api) { return enable(context, api, *options); });
}

}  // namespace

void add_netboot_commands(CLI::App& root, Context& context) {
  auto& netboot = add_noun(root, "netboot", "Booting machines without disks over the network");
  add_enable(netboot, context);

  auto* show = netboot.add_subcommand("show", "Settings, and whether all parts run");
  on_chosen(*show, context, [&context](ApiClient& api) -> Status {
    const auto answer = api.get("/netboot");
    if (!answer) return forward(answer);
    return context.print_object(*answer, netboot_fields());
  });

  auto* disable = netboot.add_subcommand("disable", "Boot no more machines; those that run go on");
  const auto dry_run = std::make_shared<bool>(false);
  disable->add_flag("--dry-run", *dry_run, "Check everything; change nothing");
  on_chosen(*disable, context, [&context, dry_run](ApiClient& api) -> Status {
    const auto answer = api.remove(fmt::format("/netboot{}", *dry_run ? "?dry_run=true" : ""));
    if (!answer) return forward(answer);
    if (context.format() != OutputFormat::table) return context.print_object(*answer, netboot_fields());
    context.say(*dry_run ? "Nothing was changed. Would boot no more machines." : "Boots no more machines.");
    return {};
  });
}

}  // namespace bridgehead::cli
