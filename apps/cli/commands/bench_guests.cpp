// bench create, bench migrate: how long the manager takes to create guests from images, and to move one between nodes,
// by its operations' own times. A client of its API: the guests have a label of their own and are removed after any
// end; those of a killed run by the next one.
#include <algorithm>

#include "base/clock.h"
#include "base/file.h"
#include "base/random.h"
#include "bench/record.h"
#include "cli/commands/bench.h"
#include "cli/commands/bench_end.h"
#include "cli/commands/bench_note.h"
#include "cli/commands/noun.h"
#include "cli/version.h"

namespace bridgehead::cli {
namespace {

constexpr char kLabel[] = "bridgehead-bench";
constexpr char kCreate[] = "guest-create";
constexpr char kMove[] = "guest-move";

struct GuestOptions {
  std::vector<std::string> images;  // of create
  std::string image;                // of migrate
  std::vector<std::string> nodes;
  std::string memory = "64MiB";
  unsigned count = 10;
  std::filesystem::path out;
};

std::string state_of(const nlohmann::json& operation) { return text(operation, "/state"); }

// Until it has ended, whatever the end; `stop` cancels it.
Result<nlohmann::json> ended(ApiClient& api, const std::string& id, const std::stop_token& stop) {
  for (bool cancelled = false;;) {
    auto operation = api.get("/operations/" + path_segment(id) + "?wait_seconds=1");
    if (!operation) return operation;
    const auto state = state_of(*operation);
    if (state == "succeeded" || state == "failed" || state == "cancelled") return operation;
    if (!stop.stop_requested() || cancelled) continue;
    (void)api.post("/operations/" + path_segment(id) + "/cancel");  // it may have gone too far for that: then it ends
    cancelled = true;
  }
}

// Those with the label, and their files. Errors: the first one that stays.
Status remove_guests(ApiClient& api, const std::string& label) {
  const auto guests =
      api.get(fmt::format("/vms?summary=false&label={}", path_segment(fmt::format("{}={}", kLabel, label))));
  if (!guests) return forward(guests);
  std::vector<std::string> operations;
  for (const auto& guest : guests->at("items")) {
    const auto answer = api.remove("/vms/" + path_segment(text(guest, "/id")));
    if (!answer) return forward(answer);
    operations.push_back(text(*answer, "/operation/id"));
  }
  for (const auto& id : operations) {
    const auto operation = ended(api, id, {});
    if (!operation) return forward(operation);
    if (state_of(*operation) != "succeeded") {
      return fail(ErrorCode::failed_precondition, "a guest of the benchmark wasn't removed: {}",
                  text(*operation, "/error/message"));
    }
  }
  return {};
}

// Of runs that were killed, at this manager.
void remove_forsaken_guests(const Context& context, ApiClient& api) {
  for (auto& note : BenchNote::forsaken()) {
    const auto& rest = note.rest();
    if (rest.guests.empty() || rest.server != api.connection().server) continue;
    auto removed = remove_guests(api, rest.guests);
    if (removed) removed = note.forget();
    if (!removed && !context.quiet)
      fmt::print(stderr, "guests of a killed benchmark may be left: {}\n", removed.error().message);
  }
}

// One run: what the operation says of itself, by the manager's clock.
bench::Run run_of(const nlohmann::json& operation, const std::string& node) {
  bench::Run run{.nodes = 1, .started = text(operation, "/created")};
  bench::Part part{.node = node, .operations = 1};
  const auto begun = parse_rfc3339(run.started);
  const auto done = parse_rfc3339(text(operation, "/finished"));
  if (state_of(operation) != "succeeded") {
    part.error = text(operation, "/error/message");
    if (part.error.empty()) part.error = state_of(operation);
  } else if (begun && done) {
    part.seconds = std::max(0.001, std::chrono::duration<double>(*done - *begun).count());
    part.p50_ms = part.p99_ms = part.seconds * 1000;
  } else {
    part.error = "the operation doesn't say when it was";
  }
  run.parts.push_back(std::move(part));
  return run;
}

class GuestBench {
 public:
  GuestBench(Context& context, ApiClient& api, const GuestOptions& options, std::string workload)
      : context_(context), api_(api), options_(options) {
    record_.name = "b-" + std::to_string(SystemRandom().next_u64() % 1'000'000);
    record_.version = kVersion;
    record_.started = to_rfc3339(SystemClock().now());
    record_.workloads = {{.name = std::move(workload), .in_operations = true, .writes = true, .in_seconds = true}};
    out_ = options.out.empty() ? std::filesystem::path("bench-" + record_.name + ".json") : options.out;
  }

  Status create() {
    std::vector<std::pair<std::string, std::string>> images;  // name, pool
    for (const auto& name : options_.images) {
      auto pool = pool_of(name);
      if (!pool) return forward(pool);
      if (record_.pool(*pool) == nullptr) {
        if (auto known = add_pool(*pool); !known) return known;
      } else {
        return fail(ErrorCode::invalid_argument, "two of the images are in pool '{}': name one of each pool", *pool);
      }
      images.emplace_back(name, std::move(*pool));
    }
    record_.workloads[0].what = fmt::format(
        "from the request until the guest runs, of {} of memory, without a NIC, its disk a clone of the image",
        options_.memory);
    record_.command = fmt::format("bh bench create --images {} --count {} --memory {}", fmt::join(options_.images, ","),
                                  options_.count, options_.memory);
    return measure([&](const std::stop_token& stop) -> Status {
      for (unsigned n = 1; n <= options_.count; ++n) {
        // Another one first each time: what changes with time hits all pools alike.
        for (std::size_t i = 0; i < images.size() && !stop.stop_requested(); ++i) {
          const auto& [image, pool] = images[(n + i) % images.size()];
          if (auto made = make_guest(image, pool, n, stop); !made) return made;
        }
      }
      return {};
    });
  }

  Status migrate() {
    if (options_.nodes.size() != 2 || options_.nodes[0] == options_.nodes[1]) {
      return fail(ErrorCode::invalid_argument, "--between takes two nodes, such as node1,node2");
    }
    for (const auto& node : options_.nodes) {
      if (const auto known = api_.get("/nodes/" + path_segment(node)); !known) return forward(known);
    }
    const auto pool = pool_of(options_.image);
    if (!pool) return forward(pool);
    if (auto known = add_pool(*pool); !known) return known;
    record_.workloads[0].what = fmt::format("moves a running guest of {} of memory to the other node", options_.memory);
    record_.command = fmt::format("bh bench migrate --image {} --between {} --count {} --memory {}", options_.image,
                                  fmt::join(options_.nodes, ","), options_.count, options_.memory);
    return measure([&](const std::stop_token& stop) -> Status {
      const auto name = guest_name("guest");
      const auto made = api_.post("/vms", body(name, options_.image, options_.nodes[0]));
      if (!made) return forward(made);
      const auto runs = ended(api_, text(made->at("operations").at(0), "/id"), stop);
      if (!runs) return forward(runs);
      if (state_of(*runs) != "succeeded")
        return fail(ErrorCode::failed_precondition, "the guest wasn't created: {}", text(*runs, "/error/message"));
      for (unsigned n = 1; n <= options_.count && !stop.stop_requested(); ++n) {
        const auto& to = options_.nodes[n % 2];
        const auto answer = api_.post("/vms/" + path_segment(name) + "/migrate", {{"to", to}});
        if (!answer) return forward(answer);
        const auto operation = ended(api_, text(*answer, "/operation/id"), stop);
        if (!operation) return forward(operation);
        if (auto kept = keep(run_of(*operation, to), *pool, n); !kept) return kept;
        if (!record_.runs.back().complete())
          return fail(ErrorCode::failed_precondition, "a move failed: {}", record_.runs.back().parts[0].error);
      }
      return {};
    });
  }

 private:
  // Whatever comes of `work`, no guest is left, and what was measured is in the file.
  template <typename Work>
  Status measure(const Work& work) {
    remove_forsaken_guests(context_, api_);
    auto note = BenchNote::make(record_.name, {.server = api_.connection().server, .guests = record_.name});
    if (!note) return forward(note);
    const EndBySignal end;
    Status worked = work(end.token());
    if (end.token().stop_requested()) worked = fail(ErrorCode::cancelled, "ended before its time");
    if (auto removed = remove_guests(api_, record_.name); !removed) return removed;
    if (auto forgotten = note->forget(); !forgotten) return forgotten;
    if (!worked) return worked;
    context_.say(fmt::format("The result is in {}. More of it: bh bench report {}", out_.native(), out_.native()));
    return give_report(context_, bench::tell(record_), bench::json_report(record_), {});
  }

  Result<std::string> pool_of(const std::string& image) {
    const auto answer = api_.get("/images/" + path_segment(image));
    if (!answer) return forward(answer);
    return text(*answer, "/pool_name");
  }
  Status add_pool(const std::string& name) {
    const auto pool = api_.get("/pools/" + path_segment(name));
    if (!pool) return forward(pool);
    record_.pools.push_back({.name = name, .driver = text(*pool, "/driver")});
    return {};
  }

  std::string guest_name(const std::string& rest) const { return fmt::format("bench-{}-{}", record_.name, rest); }
  nlohmann::json body(const std::string& name, const std::string& image, const std::string& node) const {
    nlohmann::json json = {{"name", name},
                           {"image", image},
                           {"cpus", 1},
                           {"memory", options_.memory},
                           {"nics", nlohmann::json::array()},
                           {"autostart", false},
                           {"labels", {{kLabel, record_.name}}}};
    if (!node.empty()) json["node"] = node;
    return json;
  }

  Status make_guest(const std::string& image, const std::string& pool, unsigned n, const std::stop_token& stop) {
    const auto name = guest_name(fmt::format("{}-{}", record_.runs.size() + 1, n));
    const auto made = api_.post("/vms", body(name, image, options_.nodes.empty() ? "" : options_.nodes[0]));
    if (!made) return forward(made);
    const auto operation = ended(api_, text(made->at("operations").at(0), "/id"), stop);
    if (!operation) return forward(operation);
    const auto guest = api_.get("/vms/" + path_segment(name));
    if (!guest) return forward(guest);
    if (auto kept = keep(run_of(*operation, text(*guest, "/node_name")), pool, n); !kept) return kept;
    if (!record_.runs.back().complete())
      return fail(ErrorCode::failed_precondition, "a guest wasn't created: {}", record_.runs.back().parts[0].error);
    // Each guest finds the node as the first one did.
    return remove_guests(api_, record_.name);
  }

  Status keep(bench::Run run, const std::string& pool, unsigned n) {
    run.pool = pool;
    run.workload = record_.workloads[0].name;
    run.repetition = n;
    const auto& node = run.parts[0].node;
    if (std::none_of(record_.nodes.begin(), record_.nodes.end(),
                     [&](const auto& known) { return known.name == node; })) {
      record_.nodes.push_back({.name = node});
    }
    if (!context_.quiet) {
      fmt::print(stderr, "{} of {} on {}: {}\n", n, options_.count, pool,
                 run.complete() ? fmt::format("{:.3f} s", run.parts[0].seconds) : run.parts[0].error);
    }
    record_.runs.push_back(std::move(run));
    return write_file_atomic(out_, bench::write_record(record_), 0644);
  }

  Context& context_;
  ApiClient& api_;
  const GuestOptions& options_;
  bench::Record record_;
  std::filesystem::path out_;
};

void add_common(CLI::App& command, GuestOptions& options) {
  command.add_option("--memory", options.memory, "Of each guest (default: 64MiB)");
  command.add_option("--out", options.out, "File of the result (default: bench-NAME.json here)");
}

}  // namespace

void add_bench_guests(CLI::App& noun, Context& context) {
  const auto options = std::make_shared<GuestOptions>();
  auto* create = noun.add_subcommand("create", "Measure how long guests take from the request until they run");
  create->add_option("--images", options->images, "Golden images, each of another pool")->delimiter(',')->required();
  create->add_option("--count", options->count, "Guests of each image, one after the other (default: 10)")
      ->check(CLI::Range(1U, 10'000U));
  create->add_option("--node", options->nodes, "On this node (default: where they fit best)")->expected(1);
  add_common(*create, *options);
  on_chosen(*create, context,
            [&context, options](ApiClient& api) { return GuestBench(context, api, *options, kCreate).create(); });

  auto* migrate = noun.add_subcommand("migrate", "Measure how long a running guest takes to move between two nodes");
  migrate->add_option("--image", options->image, "Golden image of the guest")->required();
  migrate->add_option("--between", options->nodes, "The two nodes")->delimiter(',')->required();
  migrate->add_option("--count", options->count, "Moves, there and back in turns (default: 10)")
      ->check(CLI::Range(1U, 10'000U));
  add_common(*migrate, *options);
  on_chosen(*migrate, context,
            [&context, options](ApiClient& api) { return GuestBench(context, api, *options, kMove).migrate(); });
}

}  // namespace bridgehead::cli
