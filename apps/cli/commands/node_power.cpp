// node power, node bmc: switching machines on and off, and how that is done.
#include <termios.h>
#include <unistd.h>

#include <iostream>

#include "base/file.h"
#include "base/units.h"
#include "cli/commands/commands.h"
#include "cli/commands/noun.h"
#include "cli/power_words.h"

namespace bridgehead::cli {
namespace {

constexpr Bytes kLongestPassword = 4_KiB;

std::string without_line_end(std::string text) {
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  return text;
}

std::string asked_password(const std::string& what) {
  termios before{};
  ::tcgetattr(STDIN_FILENO, &before);
  termios silent = before;
  silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
  fmt::print(stderr, "{}: ", what);
  std::string line;
  std::getline(std::cin, line);
  ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
  fmt::print(stderr, "\n");
  return line;
}

// Never an argument: those are seen by everybody on this machine. None: the one that is kept stays.
Result<std::optional<std::string>> password_for(const std::string& file, const std::string& user) {
  if (file == "-") {
    std::string line;
    std::getline(std::cin, line);
    return without_line_end(line);
  }
  if (!file.empty()) {
    auto content = read_file(file, kLongestPassword);
    if (!content) return forward(content);
    return without_line_end(std::move(*content));
  }
  if (user.empty() || ::isatty(STDIN_FILENO) == 0) return std::nullopt;
  auto line = asked_password(fmt::format("Password of {} (empty: the one that is kept)", user));
  if (line.empty()) return std::nullopt;
  return line;
}

// Whether it sleeps, as far as it was tried, and how long waking took.
std::string sleep_text(const nlohmann::json& bmc) {
  const auto trial = text(bmc, "/sleep");
  if (trial == "untried") return "not tried yet: bh node power NODE sleep, then on";
  if (trial == "fails") return fmt::format("fails: {}", text(bmc, "/sleep_message"));
  const auto seconds = number(bmc, "/sleep_wake");
  return seconds == 0 ? "works" : fmt::format("works, awake after {} s", seconds);
}

void add_power(CLI::App& node, Context& context) {
  struct Options {
    std::string node, action;
    bool force = false, yes = false;
    ChangeFlags flags;
  };
  const auto options = std::make_shared<Options>();
  auto* power =
      node.add_subcommand("power", "Switch a node's machine on or off and have it proven, or ask for its state");
  power->add_option("node", options->node, "Name or id")->required();
  power
      ->add_option("action", options->action,
                   "on (also wakes), off (pulls the plug), cycle (off and on), sleep (S3), status")
      ->required()
      ->check(CLI::IsMember({"on", "off", "cycle", "sleep", "status"}));
  power->add_flag("--force", options->force, "off, cycle: although guests run there");
  power->add_flag("-y,--yes", options->yes, "--force: don't ask");
  add_change_flags(*power, options->flags);
  on_chosen(*power, context, [&context, options](ApiClient& api) -> Status {
    const auto path = fmt::format("/nodes/{}/power", path_segment(options->node));
    if (options->action == "status") {
      const auto answer = api.get(path);
      if (!answer) return forward(answer);
      return context.print_object(
          *answer, {column("STATE", "/state"), column("WARNING", "/warning"), {"LAST-CHANGE", [](const auto& one) {
                                                                                 return proof_text(one, "/last_change");
                                                                               }}});
    }
    if (options->force && options->action != "on") {
      const bool unasked = options->yes || options->flags.dry_run;
      const auto question = fmt::format("Pull the plug of node {} under whatever runs there?", options->node);
      if (auto sure = context.confirm(question, unasked); !sure) return sure;
    }
    const auto answer =
        api.post(path + options->flags.query(), {{"action", options->action}, {"force", options->force}});
    if (!answer) return forward(answer);
    if (auto followed = context.follow(*answer, options->flags.wait); !followed) return followed;
    if (!options->flags.wait || options->flags.dry_run) return {};
    const auto operation = api.get("/operations/" + path_segment(text(*answer, "/operation/id")));
    if (!operation) return forward(operation);
    context.say(report_text(*operation));
    return {};
  });
}

void add_bmc_set(CLI::App& bmc, Context& context) {
  struct Options {
    std::string node, driver, address, user, password_file;
    std::uint32_t port = 0;
    std::vector<std::string> settings;
    bool dry_run = false;
  };
  const auto options = std::make_shared<Options>();
  auto* set =
      bmc.add_subcommand("set", "Say how a node's machine is switched: all of it, docs/power.md has the drivers");
  set->add_option("node", options->node, "Name or id")->required();
  set->add_option("--driver", options->driver, "ipmi, redfish, wol, lab, or a fence agent like fence_apc")->required();
  set->add_option("--address", options->address, "Host name or IP address of the BMC");
  set->add_option("--port", options->port, "The driver's usual one if not given");
  set->add_option("--user", options->user, "At the BMC");
  set->add_option("--password-file", options->password_file,
                  "File with the password, or - for standard input; without it a terminal is asked");
  set->add_option("--option", options->settings, "NAME=VALUE, or NAME=@FILE for a file's content (repeatable)")
      ->allow_extra_args(false);
  set->add_flag("--dry-run", options->dry_run, "Check everything; change nothing");
  on_chosen(*set, context, [&context, options](ApiClient& api) -> Status {
    nlohmann::json body = {{"driver", options->driver},
                           {"address", options->address},
                           {"port", options->port},
                           {"user", options->user},
                           {"options", nlohmann::json::object()}};
    for (const auto& setting : options->settings) {
      auto parsed = parse_setting(setting);
      if (!parsed) return forward(parsed);
      body["options"][parsed->first] = parsed->second;
    }
    const auto password = password_for(options->password_file, options->user);
    if (!password) return forward(password);
    if (*password) body["password"] = **password;
    const auto answer = api.put(
        fmt::format("/nodes/{}/bmc{}", path_segment(options->node), options->dry_run ? "?dry_run=true" : ""), body);
    if (!answer) return forward(answer);
    context.say(options->dry_run ? "Nothing was changed; it would be accepted."
                                 : fmt::format("Try it: bh node bmc check {}", options->node));
    return {};
  });
}

void add_bmc_check(CLI::App& bmc, Context& context) {
  auto* check = bmc.add_subcommand("check", "Try a node's BMC: what works, what doesn't, what to do; changes nothing");
  const auto name = std::make_shared<std::string>();
  add_object_argument(*check, "node", name);
  on_chosen(*check, context, [&context, name](ApiClient& api) -> Status {
    const auto answer = api.get(fmt::format("/nodes/{}/bmc/check", path_segment(*name)));
    if (!answer) return forward(answer);
    if (context.format() == OutputFormat::table) {
      context.print_list(answer->at("findings"), {column("WHAT", "/subject"), column("IS", "/level"),
                                                  column("MESSAGE", "/message"), column("WHAT-TO-DO", "/fix")});
    } else if (auto printed = context.print_object(*answer, {column("GOOD", "/good")}); !printed) {
      return printed;
    }
    if (answer->value("good", false)) return {};
    return fail(ErrorCode::failed_precondition, "the BMC of node {} isn't fit", *name);
  });
}

}  // namespace

void add_node_power_commands(CLI::App& node, Context& context) {
  add_power(node, context);
  auto& bmc = add_noun(node, "bmc", "How a node's machine is switched on and off");
  add_bmc_set(bmc, context);
  add_bmc_check(bmc, context);

  auto* show = bmc.add_subcommand("show", "How a node's machine is switched; never its password");
  const auto shown = std::make_shared<std::string>();
  add_object_argument(*show, "node", shown);
  on_chosen(*show, context, [&context, shown](ApiClient& api) -> Status {
    const auto answer = api.get(fmt::format("/nodes/{}/bmc", path_segment(*shown)));
    if (!answer) return forward(answer);
    return context.print_object(
        *answer, {column("NODE", "/node_name"),
                  column("DRIVER", "/driver"),
                  column("ADDRESS", "/address"),
                  {"PORT", [](const auto& one) { return number(one, "/port") == 0 ? "" : text(one, "/port"); }},
                  column("USER", "/user"),
                  column("PASSWORD", "/password"),
                  {"OPTIONS", settings_text},
                  {"LAST-CHANGE", [](const auto& one) { return proof_text(one, "/power"); }},
                  {"WAKES-IN",
                   [](const auto& one) {
                     const auto seconds = number(one, "/wake");
                     return seconds == 0 ? "not measured yet" : fmt::format("{} s", seconds);
                   }},
                  {"SLEEP", sleep_text}});
  });

  struct Removal {
    std::string node;
    bool yes = false;
  };
  const auto removal = std::make_shared<Removal>();
  auto* remove = bmc.add_subcommand("remove", "Forget how a node's machine is switched, and the password");
  remove->add_option("node", removal->node, "Name or id")->required();
  remove->add_flag("-y,--yes", removal->yes, "Don't ask");
  on_chosen(*remove, context, [&context, removal](ApiClient& api) -> Status {
    const auto question = fmt::format("Forget how node {} is switched?", removal->node);
    if (auto sure = context.confirm(question, removal->yes); !sure) return sure;
    const auto answer = api.remove(fmt::format("/nodes/{}/bmc", path_segment(removal->node)));
    return answer ? Status{} : forward(answer);
  });
}

}  // namespace bridgehead::cli
