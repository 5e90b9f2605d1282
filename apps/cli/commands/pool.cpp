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
  pool.get_subcommand("show")->alias("status");
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
