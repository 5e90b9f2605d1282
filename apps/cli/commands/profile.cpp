// profile: boot settings that nodes share.
#include "cli/commands/commands.h"
#include "cli/commands/noun.h"
#include "cli/commands/overlay_flags.h"

namespace bridgehead::cli {
namespace {

struct SetOptions {
  std::string name;
  std::optional<std::string> root, method, on_failure, bridge, bond, overlay;
  std::optional<std::uint32_t> vlan;
  std::vector<std::string> arguments;
  OverlayFlags overlay_files;
  bool no_arguments = false, dry_run = false;
};

Result<nlohmann::json> set_body(const SetOptions& options) {
  nlohmann::json body = nlohmann::json::object();
  const auto put = [&](const char* field, const auto& value) {
    if (value) body[field] = *value;
  };
  put("root", options.root);
  put("method", options.method);
  put("on_failure", options.on_failure);
  put("bridge", options.bridge);
  put("vlan", options.vlan);
  put("overlay", options.overlay);
  if (options.bond) body["bond_mode"] = *options.bond == "none" ? "" : *options.bond;
  if (!options.arguments.empty() || options.no_arguments) body["arguments"] = options.arguments;
  if (auto put_files = put_overlay(options.overlay_files, body); !put_files) return forward(put_files);
  return body;
}

void add_profile_set(CLI::App& profile, Context& context) {
  const auto options = std::make_shared<SetOptions>();
  auto* set = profile.add_subcommand("set", "Make a profile, or change what is given of one; taken at the next boot");
  set->add_option("name", options->name, "Its name; 'default' is what nodes without one use")->required();
  set->add_option("--root", options->root, "How nodes get their root: nbd (default), nfs or ram")
      ->check(CLI::IsMember({"nbd", "nfs", "ram"}));
  set->add_option("--method", options->method, "What the firmware loads: ipxe (default), pxelinux or shim")
      ->check(CLI::IsMember({"ipxe", "pxelinux", "shim"}));
  set->add_option("--on-failure", options->on_failure, "When a boot can't go on: retry (default), reboot or shell")
      ->check(CLI::IsMember({"retry", "reboot", "shell"}));
  set->add_option("--bridge", options->bridge, "The bridge that guests join (default br0)");
  set->add_option("--vlan", options->vlan, "VLAN under the bridge; 0 = none");
  set->add_option("--bond", options->bond, "Bond of all NICs in this mode, such as 802.3ad; none = no bond");
  set->add_option("--overlay", options->overlay, "Size of the writable layer in RAM: 50% (default), 512m, 2g");
  set->add_option("--argument", options->arguments, "Kernel argument (repeatable); all given replace those there are")
      ->allow_extra_args(false);
  add_overlay_flags(*set, options->overlay_files);
  set->add_flag("--no-arguments", options->no_arguments, "Without kernel arguments");
  set->add_flag("--dry-run", options->dry_run, "Check everything; change nothing");
  on_chosen(*set, context, [&context, options](ApiClient& api) -> Status {
    const auto body = set_body(*options);
    if (!body) return forward(body);
    const auto answer = api.put(
        fmt::format("/profiles/{}{}", path_segment(options->name), options->dry_run ? "?dry_run=true" : ""), *body);
    if (!answer) return forward(answer);
    if (context.format() != OutputFormat::table) {
      return context.print_object(answer->value("profile", nlohmann::json::object()), {column("NAME", "/name")});
    }
    context.say(options->dry_run ? "Nothing was changed; the profile would be right."
                                 : fmt::format("Profile {}: nodes take it at their next boot.", options->name));
    return {};
  });
}

std::string or_none(const nlohmann::json& profile, std::string_view pointer) {
  const auto value = text(profile, pointer);
  return value.empty() || value == "0" ? "-" : value;
}

}  // namespace

void add_profile_commands(CLI::App& root, Context& context) {
  const Noun words{
      .singular = "profile",
      .collection = "/profiles",
      .columns = {column("NAME", "/name"),
                  column("ROOT", "/root"),
                  column("METHOD", "/method"),
                  column("ON-FAILURE", "/on_failure"),
                  column("BRIDGE", "/bridge"),
                  {"VLAN", [](const auto& profile) { return or_none(profile, "/vlan"); }},
                  {"BOND", [](const auto& profile) { return or_none(profile, "/bond_mode"); }},
                  column("OVERLAY", "/overlay"),
                  column("ARGUMENTS", "/arguments")},
      .details = {{"FILES", [](const auto& profile) { return file_names(profile, "/files"); }},
                  {"SECRET-FILES", [](const auto& profile) { return file_names(profile, "/secret_files"); }},
                  column("CREATED", "/created"),
                  column("ID", "/id")}};
  auto& profile = add_noun(root, "profile", "How machines boot over the network; nodes share them");
  add_list(profile, context, words);
  add_show(profile, context, words);
  add_profile_set(profile, context);
  add_delete(profile, context, words, "delete", "Delete profiles that no node uses", "");
}

}  // namespace bridgehead::cli
