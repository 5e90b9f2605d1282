// policy: what the planner may do, and what without asking.
#include <charconv>

#include "cli/commands/commands.h"
#include "cli/commands/noun.h"

namespace bridgehead::cli {
namespace {

const std::vector<Column>& fields() {
  static const std::vector<Column> all{column("REPAIR", "/repair"),
                                       column("BALANCE", "/balance"),
                                       column("CONSOLIDATE", "/consolidate"),
                                       {"POWER",
                                        [](const auto& policy) {
                                          const auto night = text(policy, "/power_at_night_only") == "yes";
                                          return text(policy, "/power") + (night ? ", at night only" : "");
                                        }},
                                       {"NIGHT",
                                        [](const auto& policy) {
                                          return fmt::format("{}-{} h UTC", text(policy, "/night_from"),
                                                             text(policy, "/night_to"));
                                        }},
                                       column("EVENNESS", "/evenness"),
                                       column("CEILING", "/ceiling"),
                                       column("MOVE-PRICE", "/move_price"),
                                       {"MOST-MOVES",
                                        [](const auto& policy) {
                                          const auto most = number(policy, "/most_moves");
                                          return most == 0xffffffff ? std::string("unlimited") : std::to_string(most);
                                        }},
                                       column("FAILURES", "/failures"),
                                       column("MOVES-PER-NODE", "/moves_per_node"),
                                       column("HORIZON", "/horizon"),
                                       column("INTERVAL", "/interval"),
                                       column("SUSTAINED", "/sustained"),
                                       column("RESTART-AGAINST-RULES", "/restart_against_rules")};
  return all;
}

// "balance=auto" -> a field of the request.
Status put(const std::string& setting, nlohmann::json& body) {
  const auto equals = setting.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == setting.size()) {
    return fail(ErrorCode::invalid_argument, "write NAME=VALUE, such as balance=auto, not '{}'", setting);
  }
  auto name = setting.substr(0, equals);
  std::replace(name.begin(), name.end(), '-', '_');
  const auto value = setting.substr(equals + 1);
  if (name == "night") {
    const auto dash = value.find('-');
    if (dash == std::string::npos) {
      return fail(ErrorCode::invalid_argument, "night: write its hours in UTC, such as 22-6, not '{}'", value);
    }
    if (auto from = put("night_from=" + value.substr(0, dash), body); !from) return from;
    return put("night_to=" + value.substr(dash + 1), body);
  }
  if (name == "power") {
    body["power_at_night_only"] = value == "night-only";
    body["power"] = value == "night-only" ? "auto" : value;
    return {};
  }
  if (name == "most_moves" && value == "unlimited") {
    body[name] = 0xffffffffU;
    return {};
  }
  if (name == "restart_against_rules" && (value == "yes" || value == "no")) {
    body[name] = value == "yes";
    return {};
  }
  double number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  const bool whole = value.find_first_not_of("0123456789") == std::string::npos;
  if (error != std::errc() || end != value.data() + value.size()) {
    body[name] = value;
  } else if (whole) {
    body[name] = static_cast<std::uint64_t>(number);
  } else {
    body[name] = number;
  }
  return {};
}

}  // namespace

void add_policy_commands(CLI::App& root, Context& context) {
  auto& policy = add_noun(root, "policy", "What the planner may do, and what without asking");
  auto* show = policy.add_subcommand("show", "The policy in force");
  on_chosen(*show, context, [&context](ApiClient& api) -> Status {
    const auto answer = api.get("/policy");
    if (!answer) return forward(answer);
    return context.print_object(*answer, fields());
  });

  auto* set = policy.add_subcommand(
      "set",
      "repair, balance, consolidate, power: off, propose or auto (power also night-only); night=22-6; evenness: "
      "deviation or peak; ceiling, move-price, most-moves, failures, moves-per-node; horizon, interval, sustained in "
      "seconds; restart-against-rules: yes or no");
  struct Options {
    std::vector<std::string> settings;
    bool dry_run = false;
  };
  const auto options = std::make_shared<Options>();
  set->add_option("setting", options->settings, "NAME=VALUE, such as balance=auto")->required();
  set->add_flag("--dry-run", options->dry_run, "Check everything; change nothing");
  on_chosen(*set, context, [&context, options](ApiClient& api) -> Status {
    nlohmann::json body = nlohmann::json::object();
    for (const auto& setting : options->settings) {
      if (auto good = put(setting, body); !good) return good;
    }
    const auto answer = api.patch(options->dry_run ? "/policy?dry_run=true" : "/policy", body);
    if (!answer) return forward(answer);
    return context.print_object(answer->at("policy"), fields());
  });
}

}  // namespace bridgehead::cli
