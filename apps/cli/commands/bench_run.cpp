// bench run: measures what several hosts get from mounted storage. Asks no manager: the hosts are reached by ssh or any
// other program, and each runs `bh bench client`.
#include <unistd.h>

#include <iostream>

#include "base/file.h"
#include "base/random.h"
#include "cli/commands/bench.h"
#include "cli/commands/bench_end.h"
#include "cli/commands/bench_note.h"
#include "cli/commands/bench_peers.h"
#include "cli/commands/noun.h"
#include "cli/version.h"
#include "load/sweep.h"

namespace bridgehead::cli {
namespace {

struct RunOptions {
  std::vector<std::string> pools, hosts, workloads = {"image-write", "image-read"}, facts;
  std::string via = "ssh {}";
  std::string program = "bh";
  std::string counts;
  std::string size = "1GiB";
  std::string node_nic;
  std::string rate;
  unsigned seconds = 60, repetitions = 3, users = 4;
  std::uint64_t seed = 0;
  std::filesystem::path out;
};

std::string this_host() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "localhost";
}

Result<load::Plan> plan_of(const RunOptions& options) {
  load::Plan plan;
  plan.version = kVersion;
  plan.name = "b-" + std::to_string(SystemRandom().next_u64() % 1'000'000);
  plan.command = "bh bench run";
  const auto tell = [&](const char* flag, const std::string& value) {
    if (!value.empty()) plan.command += fmt::format(" {} {}", flag, value);
  };
  for (const auto& pool : options.pools) tell("--pool", pool);
  tell("--hosts", fmt::format("{}", fmt::join(options.hosts, ",")));
  tell("--nodes", options.counts);
  tell("--workloads", fmt::format("{}", fmt::join(options.workloads, ",")));
  tell("--file-size", options.size);
  tell("--seconds", std::to_string(options.seconds));
  tell("--repetitions", std::to_string(options.repetitions));
  tell("--users", std::to_string(options.users));
  tell("--rate", options.rate);
  std::vector<bench::PoolFacts> facts;
  for (const auto& pool : options.pools) {
    const auto equals = pool.find('=');
    if (equals == std::string::npos) {
      return fail(ErrorCode::invalid_argument, "write a pool as NAME=FOLDER, such as fast=/mnt/fast, not '{}'", pool);
    }
    facts.push_back({.name = pool.substr(0, equals)});
    plan.pools.push_back({{}, pool.substr(equals + 1)});
  }
  for (const auto& text : options.facts) {
    if (auto taken = take_pool_facts(text, facts); !taken) return forward(taken);
  }
  for (std::size_t i = 0; i < plan.pools.size(); ++i) plan.pools[i].facts = facts[i];
  plan.nodes = options.hosts.empty() ? std::vector<std::string>{this_host()} : options.hosts;
  const auto most = static_cast<unsigned>(plan.nodes.size());
  const auto counts = load::parse_counts(options.counts.empty() ? fmt::format("1-{}", most) : options.counts, most);
  if (!counts) return forward(counts);
  plan.counts = *counts;
  auto workloads = load::workloads_of(options.workloads);
  if (!workloads) return forward(workloads);
  plan.workloads = std::move(*workloads);
  const auto size = parse_bytes(options.size);
  if (!size) return forward(size);
  plan.size = {*size, std::chrono::seconds(options.seconds), options.users, {}};
  if (!options.rate.empty()) {
    const auto rate = parse_bytes(options.rate);
    if (!rate) return forward(rate);
    plan.size.rate = *rate;
  }
  plan.repetitions = options.repetitions;
  plan.seed = options.seed != 0 ? options.seed : SystemRandom().next_u64();
  return plan;
}

Result<load::ClientAnswer> ask(const BenchRest& way, const std::string& host, const load::ClientOrder& order,
                               const std::stop_token& stop) {
  SystemCommandRunner runner;
  if (way.hosts.empty()) return load::carry_out(order, runner, SystemClock(), stop);
  auto words = words_for(way.via, host);
  for (const char* word : {way.program.c_str(), "bench", "client"}) words.emplace_back(word);
  Command command{.program = words.front(), .arguments = {words.begin() + 1, words.end()}};
  command.input = load::write_order(order);
  command.timeout = std::chrono::seconds(order.size.seconds.count() * 3 + 180);
  command.input_ends = SystemClock().now() + command.timeout;  // that it ends earlier tells that we are gone
  const auto output = runner.run(command, stop);
  if (!output) return forward(output);
  return load::read_answer(output->out);
}

// What runs that were killed have left; those whose hosts can't be reached stay noted for the next time.
void clean_up_after_killed_runs(const Context& context) {
  for (auto& note : BenchNote::forsaken()) {
    const auto& rest = note.rest();
    if (!rest.server.empty()) continue;  // of bench create, migrate or boot
    bool clean = true;
    for (const auto& host : rest.hosts.empty() ? std::vector<std::string>{this_host()} : rest.hosts) {
      for (const auto& directory : rest.directories) {
        load::ClientOrder order{.action = load::ClientOrder::Action::clean, .node = host, .directory = directory};
        const auto cleaned = ask(rest, host, order, {});
        clean = clean && cleaned.has_value();
        if (!cleaned && !context.quiet) {
          fmt::print(stderr, "{} of a benchmark that was killed may be left on {}: {}\n", directory.native(), host,
                     cleaned.error().message);
        }
      }
    }
    if (!clean) continue;
    if (auto forgotten = note.forget(); !forgotten && !context.quiet) {
      fmt::print(stderr, "{}\n", forgotten.error().message);
    }
  }
}

Status run(Context& context, const RunOptions& options) {
  const auto plan = plan_of(options);
  if (!plan) return forward(plan);
  const auto node_bits = options.node_nic.empty() ? Result<double>(0) : bench::parse_link(options.node_nic);
  if (!node_bits) return forward(node_bits);
  const auto out = options.out.empty() ? std::filesystem::path("bench-" + plan->name + ".json") : options.out;
  Status kept;
  const auto keep = [&](bench::Record record) {
    for (auto& node : record.nodes) {
      if (*node_bits > 0) node.link_bits = *node_bits;
    }
    return write_file_atomic(out, bench::write_record(record), 0644);
  };
  BenchRest way{options.hosts, options.via, options.program, {}};
  for (const auto& pool : plan->pools) {
    way.directories.push_back(pool.path / (std::string(load::kDirectoryPrefix) + plan->name));
  }
  clean_up_after_killed_runs(context);
  auto note = BenchNote::make(plan->name, way);
  if (!note) return forward(note);
  const EndBySignal end;
  const auto record = load::carry_out(
      *plan, [&](const auto& host, const auto& order, const auto& stop) { return ask(way, host, order, stop); },
      SystemClock(),
      [&](std::size_t done, std::size_t all, const bench::Record& so_far) {
        kept = keep(so_far);
        if (!context.quiet) {
          const auto& last = so_far.runs.back();
          fmt::print(stderr, "{} of {}: {} on {}, {} nodes{}\n", done, all, last.workload, last.pool, last.nodes,
                     last.complete() ? "" : ": a node was lost");
        }
      },
      end.token());
  if (auto forgotten = note->forget(); !forgotten) return forgotten;
  if (!record) return forward(record);
  if (!kept) return kept;
  if (auto last = keep(*record); !last) return last;
  context.say(fmt::format("The result is in {}. More of it: bh bench report {}", out.native(), out.native()));
  const auto again = load_result(context, out.string());
  if (!again) return forward(again);
  return give_report(context, bench::tell(*again), bench::json_report(*again), {});
}

// On a node: an order, one line of standard input, whose end is the order's end; the answer on standard output.
Status be_client() {
  std::string text;
  std::getline(std::cin, text);
  auto order = load::read_order(text);
  SystemCommandRunner runner;
  const EndBySignal end(true);
  const auto answer =
      order ? load::carry_out(*order, runner, SystemClock(), end.token()) : Result<load::ClientAnswer>(forward(order));
  if (order && end.token().stop_requested()) {  // whoever asked may be gone, and nobody else cleans up
    order->action = load::ClientOrder::Action::clean;
    if (auto cleaned = load::carry_out(*order, runner, SystemClock()); !cleaned) return forward(cleaned);
  }
  fmt::print("{}", load::write_answer(answer));
  return {};
}

}  // namespace

void add_bench_run(CLI::App& noun, Context& context) {
  const auto options = std::make_shared<RunOptions>();
  auto* command = noun.add_subcommand(
      "run",
      "Measure what hosts get from mounted storage, by fio: pools beside each other, and the curve over the hosts");
  command->add_option("--pool", options->pools, "NAME=FOLDER: where every host has it mounted (repeatable)")
      ->required();
  command->add_option("--about", options->facts,
                      "What is known of a pool: fast=moosefs,servers=5,nic=200M,disk=500M,copies=1 (repeatable)");
  command->add_option("--hosts", options->hosts, "Hosts that take part (default: this one)")->delimiter(',');
  command->add_option("--via", options->via, "What reaches a host; {} is its name (default: ssh {})");
  command->add_option("--program", options->program, "bh on the hosts (default: bh)");
  command->add_option("--node-nic", options->node_nic, "Rate of the hosts' links, where they don't say it themselves");
  command->add_option("--nodes", options->counts, "How many at once, such as 1-5 or 1,2,4 (default: 1 to all)");
  command
      ->add_option("--workloads", options->workloads,
                   fmt::format("Of: {}, metadata (default: the first two)", fmt::join(load::workload_names(), ", ")))
      ->delimiter(',');
  command->add_option("--file-size", options->size, "The file of each host (default: 1GiB)");
  command->add_option("--seconds", options->seconds, "Each run at most (default: 60)");
  command->add_option("--repetitions", options->repetitions, "Of each run (default: 3)");
  command->add_option("--users", options->users, "At once on each host, in the workloads of several (default: 4)");
  command->add_option("--rate", options->rate, "Most of each host a second, such as 50MiB (default: no limit)");
  command->add_option("--seed", options->seed, "Of the order of the runs (default: another one each time)");
  command->add_option("--out", options->out, "File of the result (default: bench-NAME.json here)");
  command->callback([&context, options] { context.chosen = [&context, options] { return run(context, *options); }; });

  auto* client = noun.add_subcommand("client", "Take part in another host's bench run (started by it)")->group("");
  client->callback([&context] { context.chosen = [] { return be_client(); }; });
}

}  // namespace bridgehead::cli
