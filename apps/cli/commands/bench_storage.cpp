// bench storage, bench scale: benchmarks that the manager has its agents carry out.
#include <sstream>

#include "cli/commands/bench.h"
#include "cli/commands/bench_keep.h"
#include "cli/commands/noun.h"

namespace bridgehead::cli {

Status take_pool_facts(const std::string& text, std::vector<bench::PoolFacts>& pools) {
  const auto equals = text.find('=');
  const auto wrong = [&] {
    return fail(ErrorCode::invalid_argument,
                "write what is known of a pool as fast=moosefs,servers=5,nic=200M,disk=500M,copies=1, not '{}'", text);
  };
  if (equals == std::string::npos) return wrong();
  auto pool =
      std::find_if(pools.begin(), pools.end(), [&](const auto& one) { return one.name == text.substr(0, equals); });
  if (pool == pools.end()) return fail(ErrorCode::invalid_argument, "there is no pool '{}'", text.substr(0, equals));
  std::istringstream words(text.substr(equals + 1));
  for (std::string word; std::getline(words, word, ',');) {
    const auto sign = word.find('=');
    if (sign == std::string::npos) {
      pool->driver = word;
      continue;
    }
    const auto name = word.substr(0, sign);
    const auto value = bench::parse_link(word.substr(sign + 1));
    if (!value) return forward(value);
    if (name == "servers") {
      pool->servers = static_cast<unsigned>(*value);
    } else if (name == "copies") {
      pool->copies = static_cast<unsigned>(*value);
    } else if (name == "nic") {
      pool->server_link_bits = *value;
    } else if (name == "disk") {
      pool->server_disk_bytes = *value;
    } else {
      return wrong();
    }
  }
  return {};
}

namespace {

struct StorageOptions {
  std::string name, counts, size = "1GiB", rate, node_nic;
  GuestLimits limits;
  std::vector<std::string> pools, hosts, workloads, facts;
  std::optional<std::uint64_t> most_nodes, seed;
  std::uint64_t seconds = 60, repetitions = 3, users = 4, guest_cpus = 1;
  std::string through = "hosts", guest_image, guest_memory = "1GiB";
  ChangeFlags flags;
};

Result<nlohmann::json> pools_of(const StorageOptions& options) {
  std::vector<bench::PoolFacts> pools;
  for (const auto& pool : options.pools) pools.push_back({.name = pool});
  for (const auto& text : options.facts) {
    if (auto taken = take_pool_facts(text, pools); !taken) return forward(taken);
  }
  auto json = nlohmann::json::array();
  for (const auto& pool : pools) {
    json.push_back({{"pool", pool.name},
                    {"servers", pool.servers},
                    {"server_link_bits", pool.server_link_bits},
                    {"server_disk_bytes", pool.server_disk_bytes},
                    {"copies", pool.copies}});
  }
  return json;
}

Result<nlohmann::json> body_of(const StorageOptions& options) {
  const auto pools = pools_of(options);
  if (!pools) return forward(pools);
  nlohmann::json body = {{"pools", *pools},
                         {"file_size", options.size},
                         {"seconds", options.seconds},
                         {"repetitions", options.repetitions},
                         {"users", options.users}};
  if (!options.name.empty()) body["name"] = options.name;
  if (!options.counts.empty()) body["counts"] = options.counts;
  if (!options.hosts.empty()) body["nodes"] = options.hosts;
  if (!options.workloads.empty()) body["workloads"] = options.workloads;
  if (!options.rate.empty()) body["rate"] = options.rate;
  if (options.most_nodes) body["most_nodes"] = *options.most_nodes;
  if (options.seed) body["seed"] = *options.seed;
  if (!options.node_nic.empty()) {
    const auto link = bench::parse_link(options.node_nic);
    if (!link) return forward(link);
    body["node_link_bits"] = *link;
  }
  if ((options.through == "guests") != !options.guest_image.empty()) {
    return fail(ErrorCode::invalid_argument, "{}",
                options.guest_image.empty() ? "--through guests needs --guest-image, with fio and qemu-guest-agent"
                                            : "--guest-image is for --through guests");
  }
  if (!options.guest_image.empty()) {
    body["guest_image"] = options.guest_image;
    body["guest_cpus"] = options.guest_cpus;
    body["guest_memory"] = options.guest_memory;
  }
  const auto limits = options.limits.numbers();
  if (!limits) return forward(limits);
  body["pressure"] = limits->pressure;
  body["guest_disk_ms"] = limits->guest_disk_ms;
  return body;
}

Status measure(Context& context, ApiClient& api, const StorageOptions& options) {
  const auto body = body_of(options);
  if (!body) return forward(body);
  const auto answer = api.post("/bench/results" + options.flags.query(), *body);
  if (!answer) return forward(answer);
  const auto name = text(*answer, "/benchmark/name");
  if (options.flags.dry_run) {
    context.say(fmt::format("{} runs, each of {} s at most, on: {}", number(*answer, "/benchmark/runs"),
                            options.seconds, text(*answer, "/benchmark/settings/node_names")));
    return context.format() == OutputFormat::table ? Status() : context.print_object(answer->at("benchmark"), {});
  }
  const auto followed = context.follow(*answer, options.flags.wait);
  if (!options.flags.wait) return followed;
  if (!followed) {
    context.say(fmt::format("What was measured until then, if anything: bh bench report {}", name));
    return followed;
  }
  const auto record = load_result(context, name);
  if (!record) return forward(record);
  context.say(fmt::format("The result is kept as {}. More of it: bh bench report {}", name, name));
  return give_report(context, bench::tell(*record), bench::json_report(*record), {});
}

void add_common(CLI::App& command, StorageOptions& options) {
  command.add_option("--on", options.hosts, "Nodes that take part (default: those that have the pools)")
      ->delimiter(',');
  command
      .add_option("--workloads", options.workloads,
                  "image-write, image-read (the default), users-write, users-read, random-write, random-read, "
                  "mixed, metadata")
      ->delimiter(',');
  command.add_option("--image-size,--file-size", options.size, "The files of each node (default: 1GiB)");
  command.add_option("--seconds", options.seconds, "Each run at most (default: 60)");
  command.add_option("--repetitions", options.repetitions, "Of each run (default: 3)");
  command.add_option("--users", options.users, "At once on each node, in the workloads of several (default: 4)");
  command.add_option("--rate", options.rate, "Most of each node a second, such as 50MiB (default: no limit)");
  command
      .add_option("--through", options.through,
                  "Whether the nodes themselves measure, or a guest on each by its virtual disk (default: hosts)")
      ->check(CLI::IsMember({"hosts", "guests"}));
  command.add_option("--guest-image", options.guest_image,
                     "Golden image of those guests; it has fio and qemu-guest-agent");
  command.add_option("--guest-cpus", options.guest_cpus, "Of each of them (default: 1)");
  command.add_option("--guest-memory", options.guest_memory, "Of each of them (default: 1GiB)");
  add_guest_limits(command, options.limits);
  command.add_option("--about", options.facts,
                     "What the nodes can't know of a pool: fast=servers=5,nic=200M,disk=500M,copies=1 (repeatable)");
  command.add_option("--node-nic", options.node_nic, "Rate of the nodes' links, where they don't say it themselves");
  command.add_option("--seed", options.seed, "Of the order of the runs (default: another one each time)");
  command.add_option("--name", options.name, "Of the result (default: bench-1, bench-2, ...)");
  add_change_flags(command, options.flags);
}

void add_storage(CLI::App& noun, Context& context) {
  const auto options = std::make_shared<StorageOptions>();
  auto* command = noun.add_subcommand("storage", "Measure pools beside each other, by the nodes that have them");
  command->add_option("--pools", options->pools, "Names or ids; shared, where several nodes take part")
      ->required()
      ->delimiter(',');
  command->add_option("--nodes", options->counts, "How many at once, such as 1-5 or 1,2,4 (default: 1 to all)");
  add_common(*command, *options);
  on_chosen(*command, context, [&context, options](ApiClient& api) { return measure(context, api, *options); });
}

void add_scale(CLI::App& noun, Context& context) {
  const auto options = std::make_shared<StorageOptions>();
  auto* command =
      noun.add_subcommand("scale", "Measure one pool by 1, 2, 3, ... nodes: the curve, its peak, what holds it");
  command->add_option("--pool", options->pools, "Name or id")->required()->expected(1);
  command->add_option("--max-nodes", options->most_nodes, "So many at most (default: all that have it)");
  add_common(*command, *options);
  on_chosen(*command, context, [&context, options](ApiClient& api) { return measure(context, api, *options); });
}

std::string runs_of(const nlohmann::json& benchmark) {
  return fmt::format("{} of {}", text(benchmark, "/runs_done"), text(benchmark, "/runs"));
}

}  // namespace

void add_bench_storage(CLI::App& noun, Context& context) {
  add_storage(noun, context);
  add_scale(noun, context);
}

void add_bench_results(CLI::App& noun, Context& context) {
  const Noun words{
      .singular = "benchmark",
      .collection = "/bench/results",
      .columns = {column("NAME", "/name"), column("STATE", "/state"), column("POOLS", "/settings/pool_names"),
                  column("NODES", "/settings/counts"), column("WORKLOADS", "/settings/workloads"),
                  Column{"RUNS", runs_of}, age_column("AGE", "/created")},
      .details = {column("MESSAGE", "/message"), column("ON", "/settings/node_names"), column("CREATED", "/created"),
                  column("FINISHED", "/finished"), column("BY", "/created_by"), column("COMMAND", "/command"),
                  column("OPERATION", "/operation"), column("ID", "/id")}};
  add_list(noun, context, words);
  add_show(noun, context, words);
  auto* remove = noun.add_subcommand("remove", "Remove benchmarks that have ended, with their results");
  const auto names = std::make_shared<std::vector<std::string>>();
  remove->add_option("benchmark", *names, "Names or ids")->required();
  on_chosen(*remove, context, [names](ApiClient& api) -> Status {
    for (const auto& name : *names) {
      const auto answer = api.remove("/bench/results/" + path_segment(name));
      if (!answer) return forward(answer);
    }
    return {};
  });
}

}  // namespace bridgehead::cli
