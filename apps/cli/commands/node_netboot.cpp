// node approve, refuse, assign, log, boot-script: machines that boot over the network.
#include "cli/boot_view.h"
#include "cli/commands/commands.h"
#include "cli/commands/noun.h"
#include "cli/netboot_words.h"

namespace bridgehead::cli {
namespace {

constexpr std::size_t kMostPerRequest = 256;  // the API's limit of a list

// The answers' nodes are printed: as a sentence each, or in the chosen format.
void print_nodes(const Context& context, const nlohmann::json& nodes, const nlohmann::json& answer,
                 const std::function<std::string(const nlohmann::json&)>& sentence) {
  if (context.format() != OutputFormat::table) return context.print_list(nodes, {column("NAME", "/name")});
  if (answer.value("dry_run", false)) context.say("Nothing was changed. This would be done:");
  for (const auto& node : nodes) context.say(sentence(node));
}

struct ApproveOptions {
  std::vector<std::string> nodes;
  bool all = false;
  bool dry_run = false;
};

Result<std::vector<std::string>> waiting_nodes(ApiClient& api) {
  const auto list = api.get("/nodes");
  if (!list) return forward(list);
  std::vector<std::string> ids;
  for (const auto& node : list->at("items")) {
    if (text(node, "/netboot/approval") == "waiting") ids.push_back(text(node, "/id"));
  }
  return ids;
}

Status send_approval(Context& context, ApiClient& api, const ApproveOptions& options, bool refuse) {
  if (options.nodes.empty() == !options.all) {
    return fail(ErrorCode::invalid_argument, "name the machines, or give --all for those that wait");
  }
  auto names = options.nodes;
  if (options.all) {
    auto waiting = waiting_nodes(api);
    if (!waiting) return forward(waiting);
    names = std::move(*waiting);
    if (names.empty()) context.say("No machine waits for approval.");
  }
  for (std::size_t start = 0; start < names.size(); start += kMostPerRequest) {
    const auto end = std::min(names.size(), start + kMostPerRequest);
    const std::vector<std::string> some(names.begin() + static_cast<std::ptrdiff_t>(start),
                                        names.begin() + static_cast<std::ptrdiff_t>(end));
    const auto answer = api.post(fmt::format("/netboot/approve{}", options.dry_run ? "?dry_run=true" : ""),
                                 {{"nodes", some}, {"refuse", refuse}});
    if (!answer) return forward(answer);
    print_nodes(context, answer->value("nodes", nlohmann::json::array()), *answer, [&](const auto& node) {
      return fmt::format("{} {} ({})", refuse ? "Refused" : "Approved", text(node, "/name"),
                         text(node, "/netboot/mac"));
    });
  }
  return {};
}

void add_approval(CLI::App& node, Context& context, const std::string& verb, const std::string& help, bool refuse) {
  const auto options = std::make_shared<ApproveOptions>();
  auto* command = node.add_subcommand(verb, help);
  command->add_option("node", options->nodes, "Names, ids or patterns such as 'rack1-*'");
  command->add_flag("--all", options->all, "All that wait for approval");
  command->add_flag("--dry-run", options->dry_run, "Say what would be done; change nothing");
  on_chosen(*command, context,
            [&context, options, refuse](ApiClient& api) { return send_approval(context, api, *options, refuse); });
}

void add_assign(CLI::App& node, Context& context) {
  struct Options {
    std::vector<std::string> nodes;
    std::optional<std::string> image, profile, address;
    bool dry_run = false;
  };
  const auto options = std::make_shared<Options>();
  auto* assign = node.add_subcommand("assign", "What machines boot from their next boot on");
  assign->add_option("pattern", options->nodes, "Names, ids or patterns such as 'rack1-*'")->required();
  // Functions, since CLI11 takes an empty text for an absent one.
  const auto take = [](std::optional<std::string>& into) {
    return [&into](const std::string& value) { into = value; };
  };
  assign->add_option_function<std::string>("--image", take(options->image),
                                           "Node image: debian-12:3, or debian-12 for its newest; '' takes it away");
  assign->add_option_function<std::string>("--profile", take(options->profile), "Profile");
  assign->add_option_function<std::string>("--address", take(options->address),
                                           "IPv4 address kept for this one machine; '' = as DHCP gives");
  assign->add_flag("--dry-run", options->dry_run, "Say what would be done; change nothing");
  on_chosen(*assign, context, [&context, options](ApiClient& api) -> Status {
    nlohmann::json body = {{"nodes", options->nodes}};
    if (options->image) body["image"] = *options->image;
    if (options->profile) body["profile"] = *options->profile;
    if (options->address) body["address"] = *options->address;
    if (body.size() == 1) {
      return fail(ErrorCode::invalid_argument, "nothing to change: give --image, --profile or --address");
    }
    const auto answer = api.post(fmt::format("/netboot/assign{}", options->dry_run ? "?dry_run=true" : ""), body);
    if (!answer) return forward(answer);
    const auto images = api.get("/node-images");
    if (!images) return forward(images);
    const auto warning_of = [&](const nlohmann::json& one) {
      for (const auto& image : images->at("items")) {
        if (text(image, "/name") != text(one, "/netboot/image")) continue;
        const auto missing = missing_driver(one, image);
        return missing.empty() ? missing : "\n  warning: " + missing;
      }
      return std::string();
    };
    print_nodes(context, answer->value("nodes", nlohmann::json::array()), *answer, [&](const auto& one) {
      const auto image = text(one, "/netboot/image");
      const auto profile = text(one, "/netboot/profile");
      const auto address = text(one, "/netboot/address");
      return fmt::format("{} boots {} with profile {}{}{}{}", text(one, "/name"), image.empty() ? "no image" : image,
                         profile.empty() ? "default" : profile, address.empty() ? "" : " at ", address,
                         warning_of(one));
    });
    return {};
  });
}

void add_boot_log(CLI::App& node, Context& context) {
  auto* log = node.add_subcommand("log", "A machine's newest boot, or one before it: its steps and what it logged");
  const auto name = std::make_shared<std::string>();
  const auto back = std::make_shared<std::size_t>(0);
  add_object_argument(*log, "node", name);
  log->add_option("--back", *back, "So many boots before the newest one; the last five are kept");
  on_chosen(*log, context, [&context, name, back](ApiClient& api) -> Status {
    const auto boots = api.get(fmt::format("/nodes/{}/boots", path_segment(*name)));
    if (!boots) return forward(boots);
    const auto& items = boots->at("items");
    if (items.size() <= *back) {
      return fail_with_hint(ErrorCode::not_found,
                            items.empty() ? fmt::format("node '{}' has never booted over the network", *name)
                                          : fmt::format("of node '{}' {} boots are known", *name, items.size()),
                            items.empty() ? "" : fmt::format("--back 0 to {}", items.size() - 1));
    }
    const auto& boot = items[*back];
    if (context.format() != OutputFormat::table) return context.print_object(boot, {});
    print_boot_steps(boot);
    const auto lines = boot.value("log", nlohmann::json::array());
    if (!lines.empty()) fmt::print("\n");
    for (const auto& line : lines) fmt::print("{}\n", printable(text(line, "")));
    return {};
  });
}

void add_boot_script(CLI::App& node, Context& context) {
  auto* script = node.add_subcommand("boot-script", "What a machine's boot loader would be told now; changes nothing");
  const auto name = std::make_shared<std::string>();
  add_object_argument(*script, "node", name);
  on_chosen(*script, context, [name](ApiClient& api) -> Status {
    const auto script_text = api.get_text(fmt::format("/nodes/{}/boot-script", path_segment(*name)));
    if (!script_text) return forward(script_text);
    for (std::size_t start = 0; start < script_text->size();) {
      const auto end = std::min(script_text->find('\n', start), script_text->size());
      fmt::print("{}\n", printable(script_text->substr(start, end - start)));
      start = end + 1;
    }
    return {};
  });
}

}  // namespace

void print_boot_steps(const nlohmann::json& boot) {
  const auto started = parse_rfc3339(text(boot, "/started"));
  Table table({"STEP", "SINCE POWER-ON", "TIME", "MESSAGE"});
  for (const auto& event : boot.value("events", nlohmann::json::array())) {
    const auto time = parse_rfc3339(text(event, "/time"));
    table.add({text(event, "/step"), started && time ? elapsed(*started, *time) : "", text(event, "/time"),
               text(event, "/message")});
  }
  fmt::print("{}", table.render(terminal_width()));
}

void add_node_netboot_commands(CLI::App& node, Context& context) {
  add_approval(node, context, "approve", "Let machines that booted here become nodes", false);
  add_approval(node, context, "refuse", "Let machines not boot here", true);
  add_assign(node, context);
  add_boot_log(node, context);
  add_boot_script(node, context);
}

}  // namespace bridgehead::cli
