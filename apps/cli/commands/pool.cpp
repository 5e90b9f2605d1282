#include <set>

#include "base/units.h"
#include "cli/commands/commands.h"
#include "cli/commands/noun.h"
#include "model/enum_names.h"
#include "model/pool_rules.h"

namespace bridgehead::cli {
namespace {

nlohmann::json nodes_of(const nlohmann::json& pool) { return pool.value("nodes", nlohmann::json::object()); }

std::string nodes_ready(const nlohmann::json& pool) {
  std::size_t ready = 0;
  const auto nodes = nodes_of(pool);
  for (const auto& state : nodes) ready += state.value("ready", false) ? 1 : 0;
  return fmt::format("{}/{}", ready, nodes.size());
}

bool is_shared(const nlohmann::json& pool) { return pool.value("driver", std::string("local")) != "local"; }

// A local pool has space of its own on each node: the table shows the sum. Of a shared one all see the same.
std::string space(const nlohmann::json& pool, const char* field) {
  std::uint64_t sum = 0;
  std::uint64_t most = 0;
  for (const auto& state : nodes_of(pool)) {
    const auto bytes = state.value(field, std::uint64_t{0});
    sum += bytes;
    most = std::max(most, bytes);
  }
  return Bytes(is_shared(pool) ? most : sum).human();
}

std::string problems(const nlohmann::json& pool) {
  std::string found;
  for (const auto& state : nodes_of(pool)) {
    if (!state.value("ready", false)) found += (found.empty() ? "" : "; ") + state.value("message", std::string());
  }
  return found;
}

std::string abilities(const nlohmann::json& pool) {
  const auto nodes = nodes_of(pool);
  if (nodes.empty()) return "";
  const auto known = nodes.begin()->value("abilities", nlohmann::json::object());
  std::string found = known.value("file_system", std::string());
  for (const char* ability :
       {"direct_io", "punch_hole", "preallocate", "locks", "seek_holes", "attributes", "layouts"}) {
    if (known.value(ability, false)) found += std::string(", ") + ability;
  }
  return found + ", clones by " + known.value("clone", std::string("overlay"));
}

// "10.0.0.5@tcp:/scratch vm", or the directory.
std::string place(const nlohmann::json& pool) {
  const auto source = pool.value("source", std::string());
  const auto path = pool.value("path", std::string());
  return source.empty() || path.empty() ? source + path : source + " " + path;
}

std::string options_of(const nlohmann::json& pool) {
  std::string text;
  const auto options = pool.value("options", nlohmann::json::object());
  for (const auto& [name, value] : options.items()) {
    text += fmt::format("{}{}={}", text.empty() ? "" : " ", name, value.get<std::string>());
  }
  return text;
}

// As the first node that has it mounted says; they mount it alike.
std::string mounted(const nlohmann::json& pool) {
  for (const auto& state : nodes_of(pool)) {
    if (const auto text = state.value("mounted", std::string()); !text.empty()) return text;
  }
  return "";
}

// "4, down: OST0002: down"; the nodes' views differ only when a network is cut.
std::string targets(const nlohmann::json& pool) {
  std::uint64_t most = 0;
  std::set<std::string> down;
  for (const auto& state : nodes_of(pool)) {
    most = std::max(most, state.value("targets", std::uint64_t{0}));
    for (const auto& each : state.value("targets_down", std::vector<std::string>())) down.insert(each);
  }
  if (most == 0) return "";
  return fmt::format("{}{}{}", most, down.empty() ? "" : "; ", fmt::join(down, ", "));
}

// All drivers' options, from the table that also checks them.
std::string options_help() {
  std::string text = "NAME=VALUE (repeatable).";
  auto driver = model::PoolDriver::local;
  for (const auto& option : model::pool_options()) {
    text += option.driver == driver ? ", " : fmt::format(" {}: ", model::to_string(option.driver));
    driver = option.driver;
    text += fmt::format("{} ({})", option.name, option.choices.empty() ? option.meaning : option.choices);
  }
  return text;
}

std::string percent(double part) { return fmt::format("{:.0f} %", part * 100); }

std::string layouts_in_use(const nlohmann::json& balance) {
  if (!balance.value("layouts_known", false)) return "the file system doesn't tell";
  std::string all;
  for (const auto& layout : balance.value("layouts", nlohmann::json::array())) {
    all += fmt::format("{}{} x {}", all.empty() ? "" : "; ", number(layout, "/images"), text(layout, "/layout"));
  }
  return all.empty() ? "no images yet" : all;
}

void print_targets(const Context& context, const nlohmann::json& balance) {
  context.print_list({{"items", balance.value("targets", nlohmann::json::array())}},
                     {column("TARGET", "/name"),
                      column("STATE", "/state"),
                      {"USED", [](const auto& target) { return percent(target.value("used", 0.0)); }},
                      bytes_column("FREE", "/available"),
                      bytes_column("TOTAL", "/total"),
                      bytes_column("IMAGES", "/images")});
}

// `show` with what only a node can tell: layouts, and each target.
void add_status(CLI::App& pool, Context& context, const Noun& words) {
  auto* status = pool.add_subcommand("status", "One pool in full, with its nodes, storage targets and layouts in use");
  const auto name = std::make_shared<std::string>();
  add_object_argument(*status, "pool", name);
  on_chosen(*status, context, [&context, words, name](ApiClient& api) -> Status {
    auto answer = api.get("/pools/" + path_segment(*name));
    if (!answer) return forward(answer);
    const auto balance = api.get(fmt::format("/pools/{}/balance", path_segment(*name)));
    if (balance) {
      (*answer)["balance"] = *balance;
    } else {
      (*answer)["balance_problem"] = balance.error().message;
    }
    auto fields = words.columns;
    fields.insert(fields.end(), words.details.begin(), words.details.end());
    fields.push_back({"LAYOUTS", [](const nlohmann::json& whole) {
                        const auto* told = find(whole, "/balance");
                        return told == nullptr ? "unknown: " + text(whole, "/balance_problem") : layouts_in_use(*told);
                      }});
    if (auto printed = context.print_object(*answer, fields); !printed) return printed;
    if (context.format() != OutputFormat::table || !balance || (*balance)["targets"].empty()) return {};
    fmt::print("\n");
    print_targets(context, *balance);
    return {};
  });
}

std::string target_name(const nlohmann::json& balance, std::uint64_t index) {
  for (const auto& target : balance.value("targets", nlohmann::json::array())) {
    if (number(target, "/index") == index) return text(target, "/name");
  }
  return std::to_string(index);
}

void print_plan(const Context& context, const nlohmann::json& balance) {
  if (balance["targets"].empty()) {
    context.say(balance.value("layouts_known", false)
                    ? "This file system balances its targets itself, and tells nothing about them."
                    : "The file system of this pool doesn't tell where its files lie.");
    return;
  }
  print_targets(context, balance);
  const auto moves = balance.value("moves", nlohmann::json::array());
  fmt::print("\nSpread between the fullest and the emptiest target: {}.\n", percent(balance.value("spread", 0.0)));
  if (moves.empty()) {
    context.say("Nothing would even it out.");
    return;
  }
  fmt::print("{} with these images elsewhere:\n\n", percent(balance.value("spread_after", 0.0)));
  context.print_list({{"items", moves}},
                     {column("IMAGE", "/image_name"),
                      bytes_column("BYTES", "/bytes"),
                      {"FROM", [&](const auto& move) { return target_name(balance, number(move, "/from")); }},
                      {"TO", [&](const auto& move) { return target_name(balance, number(move, "/to")); }}});
}

void add_rebalance(CLI::App& pool, Context& context) {
  struct Options {
    std::string name;
    bool plan = false;
  };
  const auto options = std::make_shared<Options>();
  auto* command = pool.add_subcommand("rebalance", "How evenly the storage targets are filled, and what would help");
  command->add_option("pool", options->name, "Name or id")->required();
  command->add_flag("--plan", options->plan, "Show it; nothing is moved")->required();
  on_chosen(*command, context, [&context, options](ApiClient& api) -> Status {
    const auto balance = api.get(fmt::format("/pools/{}/balance", path_segment(options->name)));
    if (!balance) return forward(balance);
    if (context.format() != OutputFormat::table) return context.print_object(*balance, {});
    print_plan(context, *balance);
    return {};
  });
}

}  // namespace

void add_pool_commands(CLI::App& root, Context& context) {
  const Noun words{.singular = "pool",
                   .collection = "/pools",
                   .columns = {column("NAME", "/name"),
                               column("DRIVER", "/driver"),
                               {"NODES", nodes_ready},
                               {"FREE", [](const auto& pool) { return space(pool, "available"); }},
                               {"TOTAL", [](const auto& pool) { return space(pool, "total"); }},
                               {"PLACE", place},
                               {"PROBLEM", problems}},
                   .details = {{"OPTIONS", options_of},
                               {"MOUNTED", mounted},
                               {"TARGETS", targets},
                               {"ABILITIES", abilities},
                               column("CREATED", "/created"),
                               column("ID", "/id")}};
  auto& pool = add_noun(root, "pool", "Places where images live");
  add_list(pool, context, words);
  add_show(pool, context, words);
  add_status(pool, context, words);
  add_rebalance(pool, context);
  add_delete(pool, context, words, "remove", "Forget pools that hold no images; their directories stay",
             "Its directory stays.");

  struct Options {
    std::string name, driver = "local", source, path;
    std::vector<std::string> options, nodes;
    ChangeFlags flags;
  };
  const auto options = std::make_shared<Options>();
  auto* add = pool.add_subcommand("add", "Add a pool");
  add->add_option("name", options->name, "Its name")->required();
  add->add_option("--driver", options->driver, "local (default), posix, nfs, moosefs, cephfs or lustre");
  add->add_option(
      "--source", options->source,
      "What the nodes mount: 10.0.0.5:/export (nfs), 10.77.0.10 (moosefs, cephfs), 10.0.0.5@tcp:/scratch (lustre)");
  add->add_option("--path", options->path,
                  "local, posix: absolute directory on the nodes; others: directory in the source");
  add->add_option("--option", options->options, options_help())->allow_extra_args(false);
  add->add_option("--node", options->nodes, "Only on this node (repeatable; default: all)")->allow_extra_args(false);
  add_change_flags(*add, options->flags);
  on_chosen(*add, context, [&context, options](ApiClient& api) -> Status {
    nlohmann::json body = {{"name", options->name}, {"driver", options->driver}};
    if (!options->source.empty()) body["source"] = options->source;
    if (!options->path.empty()) body["path"] = options->path;
    for (const auto& option : options->options) {
      const auto equals = option.find('=');
      if (equals == std::string::npos) {
        return fail(ErrorCode::invalid_argument, "--option is NAME=VALUE, not '{}'", option);
      }
      body["options"][option.substr(0, equals)] = option.substr(equals + 1);
    }
    if (!options->nodes.empty()) body["nodes"] = options->nodes;
    const auto answer = api.post("/pools" + options->flags.query(), body);
    if (!answer) return forward(answer);
    return context.follow(*answer, options->flags.wait);
  });
}

}  // namespace bridgehead::cli
