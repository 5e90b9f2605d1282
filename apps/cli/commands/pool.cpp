#include "base/units.h"
#include "cli/commands/commands.h"
#include "cli/commands/noun.h"

namespace bridgehead::cli {
namespace {

nlohmann::json nodes_of(const nlohmann::json& pool) { return pool.value("nodes", nlohmann::json::object()); }

std::string nodes_ready(const nlohmann::json& pool) {
  std::size_t ready = 0;
  const auto nodes = nodes_of(pool);
  for (const auto& state : nodes) ready += state.value("ready", false) ? 1 : 0;
  return fmt::format("{}/{}", ready, nodes.size());
}

// A local pool has space of its own on each node: the table shows the sum.
std::string space(const nlohmann::json& pool, const char* field) {
  std::uint64_t sum = 0;
  for (const auto& state : nodes_of(pool)) sum += state.value(field, std::uint64_t{0});
  return Bytes(sum).human();
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
  for (const char* ability : {"direct_io", "reflink", "punch_hole", "preallocate", "locks"}) {
    if (known.value(ability, false)) found += std::string(", ") + ability;
  }
  return found;
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
                               column("PATH", "/path"),
                               {"PROBLEM", problems}},
                   .details = {{"ABILITIES", abilities}, column("CREATED", "/created"), column("ID", "/id")}};
  auto& pool = add_noun(root, "pool", "Places where images live");
  add_list(pool, context, words);
  add_show(pool, context, words);
  add_delete(pool, context, words, "remove", "Forget pools that hold no images; their directories stay",
             "Its directory stays.");

  struct Options {
    std::string name, driver = "local", path;
    std::vector<std::string> nodes;
    ChangeFlags flags;
  };
  const auto options = std::make_shared<Options>();
  auto* add = pool.add_subcommand("add", "Add a pool");
  add->add_option("name", options->name, "Its name")->required();
  add->add_option("--driver", options->driver, "local");
  add->add_option("--path", options->path, "Absolute directory on the nodes; made if missing")->required();
  add->add_option("--node", options->nodes, "Only on this node (repeatable; default: all)")->allow_extra_args(false);
  add_change_flags(*add, options->flags);
  on_chosen(*add, context, [&context, options](ApiClient& api) -> Status {
    nlohmann::json body = {{"name", options->name}, {"driver", options->driver}, {"path", options->path}};
    if (!options->nodes.empty()) body["nodes"] = options->nodes;
    const auto answer = api.post("/pools" + options->flags.query(), body);
    if (!answer) return forward(answer);
    return context.follow(*answer, options->flags.wait);
  });
}

}  // namespace bridgehead::cli
