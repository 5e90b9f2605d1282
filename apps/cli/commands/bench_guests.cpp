// bench create, bench migrate: how long the manager takes to create guests from images, and to move one between nodes,
// by its operations' own times; and what peers take for the same, in turns. A client of its API: the guests have a
// label of their own and are removed after any end; those of a killed run by the next one.
#include <algorithm>
#include <iostream>
#include <map>

#include "base/clock.h"
#include "base/random.h"
#include "base/units.h"
#include "cli/commands/bench.h"
#include "cli/commands/bench_end.h"
#include "cli/commands/bench_keep.h"
#include "cli/commands/bench_leftovers.h"
#include "cli/commands/bench_note.h"
#include "cli/commands/bench_peers.h"
#include "cli/version.h"
#include "load/client.h"

namespace bridgehead::cli {
namespace {

constexpr char kCreate[] = "guest-create";
constexpr char kMove[] = "guest-move";
constexpr unsigned kMostGuests = 600;  // with two peers the manager's most runs of a result

struct GuestOptions {
  std::vector<std::string> images;  // of create
  std::string image;                // of migrate
  std::vector<std::string> nodes;
  std::string memory = "64MiB";
  unsigned count = 10;
  std::string name;
  std::filesystem::path out;
  GuestLimits limits;
  std::vector<std::string> peers;
  PeerWay way;
  std::string peer_uri = "qemu+ssh://{}/system";
  std::string peer_migrate_uri;
};

// One run: what the operation says of itself, by the manager's clock.
bench::Run run_of(const nlohmann::json& operation, const std::string& node) {
  bench::Run run{.nodes = 1, .started = text(operation, "/created")};
  bench::Part part{.node = node, .operations = 1};
  const auto begun = parse_rfc3339(run.started);
  const auto done = parse_rfc3339(text(operation, "/finished"));
  const auto state = text(operation, "/state");
  if (state != "succeeded") {
    part.error = text(operation, "/error/message");
    if (part.error.empty()) part.error = state;
  } else if (begun && done) {
    part.seconds = std::max(0.001, std::chrono::duration<double>(*done - *begun).count());
    part.p50_ms = part.p99_ms = part.seconds * 1000;
  } else {
    part.error = "the operation doesn't say when it was";
  }
  run.parts.push_back(std::move(part));
  return run;
}

bench::Run run_of_peer(const PeerAnswer& answer, const std::string& node) {
  bench::Run run{.nodes = 1, .started = to_rfc3339(SystemClock().now())};
  bench::Part part{.node = node, .operations = 1, .seconds = std::max(0.001, answer.seconds)};
  part.p50_ms = part.p99_ms = part.seconds * 1000;
  run.parts.push_back(std::move(part));
  return run;
}

std::string with_name(std::string uri, const std::string& node) {
  if (const auto place = uri.find("{}"); place != std::string::npos) uri.replace(place, 2, node);
  return uri;
}

class GuestBench {
 public:
  GuestBench(Context& context, ApiClient& api, const GuestOptions& options, std::string workload)
      : context_(context),
        api_(api),
        options_(options),
        id_("b-" + std::to_string(SystemRandom().next_u64() % 1'000'000)),
        workload_(workload),
        kept_(api, options.name, options.out,
              options.count * std::max<std::size_t>(1, options.images.size()) * (1 + options.peers.size())) {
    record_.version = kVersion;
    record_.started = to_rfc3339(SystemClock().now());
    record_.workloads = {{.name = std::move(workload), .in_operations = true, .writes = true, .in_seconds = true}};
  }

  Status create() {
    for (const auto& name : options_.images) {
      if (auto known = add_image(name); !known) return known;
    }
    if (auto known = add_peers({"virt-install", "virt-clone"}); !known) return known;
    record_.workloads[0].what = fmt::format(
        "from the request until the guest runs, of {} of memory, without a NIC, its disk a clone of the image",
        options_.memory);
    record_.command =
        fmt::format("bh bench create --images {} --count {}", fmt::join(options_.images, ","), options_.count);
    if (!options_.nodes.empty()) record_.command += " --node " + options_.nodes[0];
    return measure([&](const std::stop_token& stop) -> Status {
      for (unsigned n = 1; n <= options_.count; ++n) {
        // Another one first each time: what changes with time hits all pools alike.
        for (std::size_t i = 0; i < images_.size() && !stop.stop_requested(); ++i) {
          if (auto made = make_guest(images_[(n + i) % images_.size()], n, stop); !made) return made;
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
    if (auto known = add_image(options_.image); !known) return known;
    if (auto known = add_peers({"virsh"}); !known) return known;
    record_.workloads[0].what = fmt::format("moves a running guest of {} of memory to the other node", options_.memory);
    record_.command = fmt::format("bh bench migrate --image {} --between {} --count {}", options_.image,
                                  fmt::join(options_.nodes, ","), options_.count);
    return measure([&](const std::stop_token& stop) -> Status {
      const auto& image = images_.front();
      const auto name = guest_name("guest");
      const auto made = api_.post("/vms", body(name, image.name, options_.nodes[0]));
      if (!made) return forward(made);
      const auto runs = wait(text(made->at("operations").at(0), "/id"), "the guest on " + options_.nodes[0], stop);
      if (!runs) return forward(runs);
      if (text(*runs, "/state") != "succeeded")
        return fail(ErrorCode::failed_precondition, "the guest wasn't created: {}", text(*runs, "/error/message"));
      begin_peer_moves("bh-" + text(made->at("vms").at(0), "/id"), image, stop);
      for (unsigned n = 1; n <= options_.count && !stop.stop_requested(); ++n) {
        const auto& to = options_.nodes[n % 2];
        if (n % 2 == 0) move_peer(image, n, stop);
        const auto answer = api_.post("/vms/" + path_segment(name) + "/migrate", {{"to", to}});
        if (!answer) return forward(answer);
        const auto operation =
            wait(text(*answer, "/operation/id"), fmt::format("move {} of {}, to {}", n, options_.count, to), stop);
        if (!operation) return forward(operation);
        if (auto kept = keep(run_of(*operation, to), image.pool, workload_, n); !kept) return kept;
        if (!record_.runs.back().complete())
          return fail(ErrorCode::failed_precondition, "a move failed: {}", record_.runs.back().parts[0].error);
        if (n % 2 == 1) move_peer(image, n, stop);
      }
      return {};
    });
  }

 private:
  struct Image {
    std::string name, id, pool;
  };

  // Whatever comes of `work`, no guest is left, and what was measured is kept.
  template <typename Work>
  Status measure(const Work& work) {
    const auto limits = options_.limits.numbers();
    if (!limits) return forward(limits);
    const auto memory = parse_bytes(options_.memory);
    if (!memory) return forward(memory);
    memory_mib_ = memory->count() >> 20;
    record_.command += fmt::format(" --memory {}{}", options_.memory, options_.limits.flags());
    if (!peers_.empty()) {
      record_.command += fmt::format(" --peers {} --via '{}'", fmt::join(options_.peers, ","), options_.way.via);
      if (workload_ == kMove) record_.command += fmt::format(" --peer-uri '{}'", options_.peer_uri);
    } else {
      record_.notes.push_back(fmt::format("Nothing was measured beside it: no peer was named (--peers {}).",
                                          workload_ == kMove ? "virsh" : "virt-install,virt-clone"));
    }
    remove_forsaken_guests(context_, api_);
    watch_.emplace(api_, *limits, id_);
    if (auto calm = watch_->look(); !calm) return calm;  // before there is a result
    if (auto begun = kept_.begin(record_); !begun) return begun;
    if (auto noted = note(); !noted) return noted;
    const EndBySignal end;
    auto worked = work(end.token());
    if (end.token().stop_requested()) worked = fail(ErrorCode::cancelled, "ended before its time");
    const auto saved = kept_.save(record_, worked ? "" : worked.error().message);
    if (auto removed = remove_guests(api_, id_); !removed) return removed;
    if (auto removed = remove_peers(note_->rest()); !removed) return removed;
    if (auto forgotten = note_->forget(); !forgotten) return forgotten;
    if (!worked) {
      if (saved && !record_.runs.empty())
        context_.say(fmt::format("What was measured until then: bh bench report {}", kept_.name()));
      return worked;
    }
    if (!saved) return saved;
    context_.say(fmt::format("The result is kept as {0}. More of it: bh bench report {0}", kept_.name()));
    return give_report(context_, bench::tell(record_), bench::json_report(record_), {});
  }

  // Written down before anything is made: what the next benchmark is to remove if this one is killed.
  Status note() {
    BenchRest rest{
        .via = options_.way.via, .program = options_.way.program, .server = api_.connection().server, .guests = id_};
    for (const auto& [node, models] : models_) {
      rest.hosts.push_back(node);
      for (const auto& [pool, model] : models) {
        const auto folder = model.pool / (std::string(load::kDirectoryPrefix) + id_);
        if (std::find(rest.directories.begin(), rest.directories.end(), folder) == rest.directories.end())
          rest.directories.push_back(folder);
      }
    }
    auto note = BenchNote::make(note_ ? fmt::format("{}-{}", id_, ++notes_) : id_, rest);
    if (!note) return forward(note);
    if (note_) (void)note_->forget();
    note_.emplace(std::move(*note));
    return {};
  }

  Status add_image(const std::string& name) {
    const auto image = api_.get("/images/" + path_segment(name));
    if (!image) return forward(image);
    const auto pool_name = text(*image, "/pool_name");
    if (record_.pool(pool_name) != nullptr) {
      return fail(ErrorCode::invalid_argument, "two of the images are in pool '{}': name one of each pool", pool_name);
    }
    const auto pool = api_.get("/pools/" + path_segment(pool_name));
    if (!pool) return forward(pool);
    record_.pools.push_back({.name = pool_name, .driver = text(*pool, "/driver")});
    images_.push_back({name, text(*image, "/id"), pool_name});
    return {};
  }

  // --- peers: what goes wrong with one of them ends only that one, and is told ---

  Status add_peers(const std::vector<std::string>& known) {
    for (const auto& peer : options_.peers) {
      if (std::find(known.begin(), known.end(), peer) == known.end()) {
        return fail(ErrorCode::invalid_argument, "'{}' is no peer of this; there are: {}", peer,
                    fmt::join(known, ", "));
      }
      if (std::find(peers_.begin(), peers_.end(), peer) != peers_.end()) continue;
      peers_.push_back(peer);
      const auto what = peer == "virt-install" ? "qemu-img create of an overlay on the image, virt-install --import"
                        : peer == "virt-clone"
                            ? "virt-clone of a guest with the image as its disk (a full copy), virsh start"
                            : "virsh migrate --p2p of a guest of libvirt's alone, with --live where "
                              "guests aren't emulated";
      record_.workloads.push_back({.name = fmt::format("{} by {}", workload_, peer),
                                   .what = what,
                                   .in_operations = true,
                                   .writes = true,
                                   .in_seconds = true,
                                   .peer_of = workload_});
    }
    return {};
  }

  void give_up(const std::string& peer, const std::string& node, const Error& error) {
    record_.notes.push_back(fmt::format("No figures of {} from then on: {}: {}", peer, node, error.describe()));
    if (!context_.quiet) fmt::print(stderr, "{}\n", record_.notes.back());
    std::erase(peers_, peer);
  }

  // What the peers' guests must have as Bridgehead's has it, asked once of each node and pool. Null: none of them can.
  const PeerAnswer* model_for(const std::string& node, const std::string& domain, const Image& image,
                              const std::stop_token& stop) {
    auto& known = models_[node];
    if (const auto found = known.find(image.pool); found != known.end()) return &found->second;
    const auto looked =
        ask_peer(options_.way, node, {.action = PeerOrder::Action::look, .name = id_, .domain = domain}, stop);
    if (!looked) {
      known.erase(image.pool);
      if (known.empty()) models_.erase(node);
      for (const auto& peer : std::vector(peers_)) give_up(peer, node, looked.error());
      return nullptr;
    }
    const auto* model = &(known[image.pool] = *looked);
    if (auto noted = note(); !noted) {
      for (const auto& peer : std::vector(peers_)) give_up(peer, node, noted.error());
      return nullptr;
    }
    return model;
  }

  PeerOrder order_for(PeerOrder::Action action, const PeerAnswer& model, const Image& image) const {
    return {.action = action,
            .name = id_,
            .pool = model.pool,
            .golden = image.id,
            .memory_mib = memory_mib_,
            .type = model.type,
            .cache = model.cache};
  }

  Status create_by_peers(const std::string& node, const PeerAnswer& model, const Image& image, unsigned n,
                         const std::stop_token& stop) {
    for (std::size_t i = 0; i < peers_.size() && !stop.stop_requested();) {
      const auto peer = peers_[i];
      auto order = order_for(PeerOrder::Action::create, model, image);
      order.kind = peer;
      const auto made = ask_peer(options_.way, node, order, stop);
      if (stop.stop_requested()) return {};
      if (!made) {
        give_up(peer, node, made.error());
        continue;
      }
      if (auto kept = keep(run_of_peer(*made, node), image.pool, fmt::format("{} by {}", workload_, peer), n); !kept)
        return kept;
      ++i;
    }
    return {};
  }

  // The peer's guest begins where Bridgehead's does.
  void begin_peer_moves(const std::string& domain, const Image& image, const std::stop_token& stop) {
    if (peers_.empty()) return;
    const auto* model = model_for(options_.nodes[0], domain, image, stop);
    if (model == nullptr) return;
    models_[options_.nodes[1]][image.pool] = *model;  // shared pools are found under the same path
    if (auto noted = note(); !noted) return give_up("virsh", options_.nodes[0], noted.error());
    const auto begun =
        ask_peer(options_.way, options_.nodes[0], order_for(PeerOrder::Action::begin, *model, image), stop);
    if (!begun) give_up("virsh", options_.nodes[0], begun.error());
  }

  void move_peer(const Image& image, unsigned n, const std::stop_token& stop) {
    if (peers_.empty() || stop.stop_requested()) return;
    const auto& from = options_.nodes[(n + 1) % 2];
    const auto& to = options_.nodes[n % 2];
    auto order = order_for(PeerOrder::Action::move, models_.at(from).at(image.pool), image);
    order.uri = with_name(options_.peer_uri, to);
    order.migrate_uri = with_name(options_.peer_migrate_uri, to);
    const auto moved = ask_peer(options_.way, from, order, stop);
    if (stop.stop_requested()) return;
    if (!moved) return give_up("virsh", from, moved.error());
    (void)keep(run_of_peer(*moved, to), image.pool, fmt::format("{} by virsh", workload_), n);
  }

  // --- guests ---

  std::string guest_name(const std::string& rest) const { return fmt::format("bench-{}-{}", id_, rest); }
  nlohmann::json body(const std::string& name, const std::string& image, const std::string& node) const {
    nlohmann::json json = {{"name", name},
                           {"image", image},
                           {"cpus", 1},
                           {"memory", options_.memory},
                           {"nics", nlohmann::json::array()},
                           {"autostart", false},
                           {"labels", {{kBenchLabel, id_}}}};
    if (!node.empty()) json["node"] = node;
    return json;
  }

  Result<nlohmann::json> wait(const std::string& operation, const std::string& what, const std::stop_token& stop) {
    ProgressLine line(what, context_.quiet);
    auto ended = wait_ended(api_, operation, stop, &*watch_, &line);
    line.finish(ended ? text(*ended, "/state") : "stopped");
    return ended;
  }

  Status make_guest(const Image& image, unsigned n, const std::stop_token& stop) {
    const auto name = guest_name(fmt::format("{}-{}", record_.runs.size() + 1, n));
    const auto made = api_.post("/vms", body(name, image.name, options_.nodes.empty() ? "" : options_.nodes[0]));
    if (!made) return forward(made);
    const auto operation = wait_ended(api_, text(made->at("operations").at(0), "/id"), stop, &*watch_);
    if (!operation) return forward(operation);
    const auto guest = api_.get("/vms/" + path_segment(name));
    if (!guest) return forward(guest);
    const auto node = text(*guest, "/node_name");
    if (auto kept = keep(run_of(*operation, node), image.pool, workload_, n); !kept) return kept;
    if (!record_.runs.back().complete())
      return fail(ErrorCode::failed_precondition, "a guest wasn't created: {}", record_.runs.back().parts[0].error);
    const auto* model = peers_.empty() ? nullptr : model_for(node, "bh-" + text(*guest, "/id"), image, stop);
    // Each guest finds the node as the first one did.
    if (auto removed = remove_guests(api_, id_); !removed || model == nullptr) return removed;
    return create_by_peers(node, *model, image, n, stop);
  }

  Status keep(bench::Run run, const std::string& pool, const std::string& workload, unsigned n) {
    run.pool = pool;
    run.workload = workload;
    run.repetition = n;
    const auto& node = run.parts[0].node;
    if (std::none_of(record_.nodes.begin(), record_.nodes.end(),
                     [&](const auto& known) { return known.name == node; })) {
      record_.nodes.push_back({.name = node});
    }
    if (!context_.quiet) {
      fmt::print(stderr, "{} of {}, {} on {}: {}\n", n, options_.count, workload, pool,
                 run.complete() ? fmt::format("{:.3f} s", run.parts[0].seconds) : run.parts[0].error);
    }
    record_.runs.push_back(std::move(run));
    return kept_.save(record_, "it is under way, or bh was killed");
  }

  Context& context_;
  ApiClient& api_;
  const GuestOptions& options_;
  const std::string id_;
  const std::string workload_;
  KeptResult kept_;
  bench::Record record_;
  std::vector<Image> images_;
  std::vector<std::string> peers_;                                   // those that still take part
  std::map<std::string, std::map<std::string, PeerAnswer>> models_;  // by node and pool
  std::uint64_t memory_mib_ = 0;
  std::optional<GuestWatch> watch_;
  std::optional<BenchNote> note_;
  unsigned notes_ = 0;
};

void add_common(CLI::App& command, GuestOptions& options, const std::string& peers) {
  command.add_option("--memory", options.memory, "Of each guest (default: 64MiB)");
  command.add_option("--name", options.name, "Of the result (default: bench-1, bench-2, ...)");
  command.add_option("--out", options.out, "Write the result into this file, too");
  add_guest_limits(command, options.limits);
  command.add_option("--peers", options.peers, "Measure these on the same node, in turns: " + peers)->delimiter(',');
  command.add_option("--via", options.way.via, "What reaches a node for that; {} is its name (default: ssh {})");
  command.add_option("--program", options.way.program, "bh on the nodes, for that (default: bh)");
}

// On a node: an order, one line of standard input, whose end is the order's end; the answer on standard output.
Status be_peer() {
  std::string line;
  std::getline(std::cin, line);
  const auto order = read_peer_order(line);
  SystemCommandRunner runner;
  const EndBySignal end(true);
  fmt::print("{}", write_peer_answer(order ? carry_out_peer(*order, runner, end.token())
                                           : Result<PeerAnswer>(forward(order))));
  return {};
}

}  // namespace

void add_bench_guests(CLI::App& noun, Context& context) {
  const auto options = std::make_shared<GuestOptions>();
  auto* create = noun.add_subcommand("create", "Measure how long guests take from the request until they run");
  create->add_option("--images", options->images, "Golden images, each of another pool")->delimiter(',')->required();
  create->add_option("--count", options->count, "Guests of each image, one after the other (default: 10)")
      ->check(CLI::Range(1U, kMostGuests));
  create->add_option("--node", options->nodes, "On this node (default: where they fit best)")->expected(1);
  add_common(*create, *options, "virt-install, virt-clone");
  on_chosen(*create, context,
            [&context, options](ApiClient& api) { return GuestBench(context, api, *options, kCreate).create(); });

  auto* migrate = noun.add_subcommand("migrate", "Measure how long a running guest takes to move between two nodes");
  migrate->add_option("--image", options->image, "Golden image of the guest")->required();
  migrate->add_option("--between", options->nodes, "The two nodes")->delimiter(',')->required();
  migrate->add_option("--count", options->count, "Moves, there and back in turns (default: 10)")
      ->check(CLI::Range(1U, kMostGuests));
  add_common(*migrate, *options, "virsh");
  migrate->add_option("--peer-uri", options->peer_uri,
                      "Of the other node's libvirtd, as the one that moves reaches it; {} is its name (default: "
                      "qemu+ssh://{}/system)");
  migrate->add_option("--peer-migrate-uri", options->peer_migrate_uri,
                      "Where the other node's QEMU is, such as tcp://{} (default: as its libvirtd says)");
  on_chosen(*migrate, context,
            [&context, options](ApiClient& api) { return GuestBench(context, api, *options, kMove).migrate(); });

  auto* peer = noun.add_subcommand("peer", "Be a peer of another host's bench create or migrate (started by it)");
  peer->group("");
  peer->callback([&context] { context.chosen = [] { return be_peer(); }; });
}

}  // namespace bridgehead::cli
