// bench boot: how long nodes take from power to ready, in waves of more and more at once, by their own power operations
// and the steps of their boots. A client of the API; nodes with guests are never touched.
#include <algorithm>
#include <map>
#include <thread>

#include "base/random.h"
#include "cli/commands/bench.h"
#include "cli/commands/bench_end.h"
#include "cli/commands/bench_keep.h"
#include "cli/commands/bench_note.h"
#include "cli/commands/bench_waves.h"
#include "cli/version.h"

namespace bridgehead::cli {
namespace {

constexpr char kBoot[] = "node-boot";
constexpr std::chrono::seconds kLook{1};

struct BootOptions {
  std::size_t nodes = 0;
  std::vector<std::string> on;
  std::string waves;
  unsigned repetitions = 1;
  unsigned minutes = 15;
  std::string name;
  std::filesystem::path out;
  GuestLimits limits;
  bool yes = false, dry_run = false, bring_back = false;
};

Result<std::set<std::string>> nodes_with_guests(ApiClient& api) {
  const auto guests = api.get("/vms?summary=false");
  if (!guests) return forward(guests);
  std::set<std::string> ids;
  for (const auto& guest : guests->at("items")) ids.insert(text(guest, "/node"));
  return ids;
}

// What benchmarks of this user that were killed have left off at this manager.
class LeftOff {
 public:
  static Result<LeftOff> look(ApiClient& api) {
    LeftOff left;
    for (auto& note : BenchNote::forsaken()) {
      if (note.rest().nodes.empty() || note.rest().server != api.connection().server) continue;
      bool back = true;
      for (const auto& name : note.rest().nodes) {
        // What was asked for before bh was killed may still be under way.
        const auto newest = api.get(fmt::format("/operations?target={}&limit=1", path_segment(name)));
        if (!newest) return forward(newest);
        if (!newest->at("items").empty()) {
          const auto ended = wait_ended(api, text(newest->at("items").at(0), "/id"), {});
          if (!ended) return forward(ended);
        }
        const auto power = api.get(fmt::format("/nodes/{}/power", path_segment(name)));
        if (!power && power.error().code == ErrorCode::not_found) continue;  // removed meanwhile
        if (power && text(*power, "/state") == "on") continue;
        left.nodes_.insert(name);
        back = false;
      }
      if (!back) {
        left.notes_.push_back(std::move(note));
      } else if (auto forgotten = note.forget(); !forgotten) {
        return forward(forgotten);
      }
    }
    return left;
  }

  bool empty() const { return nodes_.empty(); }
  std::string names() const { return fmt::format("{}", fmt::join(nodes_, ", ")); }

  // Errors: failed_precondition (one can't be switched on), timeout (one wasn't ready in time).
  Status bring_back(ApiClient& api, bool quiet, unsigned minutes) {
    ProgressLine line("switching on what was left off", quiet);
    std::map<std::string, std::string> operations;
    for (const auto& node : nodes_) {
      const auto asked = api.post(fmt::format("/nodes/{}/power", path_segment(node)), {{"action", "on"}});
      if (!asked) return forward(asked);
      operations[node] = text(*asked, "/operation/id");
    }
    for (const auto& [node, id] : operations) {
      const auto ended = wait_ended(api, id, {}, nullptr, &line);
      if (!ended) return forward(ended);
      if (text(*ended, "/state") != "succeeded") {
        return fail(ErrorCode::failed_precondition, "{} stays off: {}", node, text(*ended, "/error/message"));
      }
    }
    const auto until = std::chrono::steady_clock::now() + std::chrono::minutes(minutes);
    for (auto missing = nodes_; !missing.empty();) {
      for (const auto& name : std::set<std::string>(missing)) {
        const auto node = api.get("/nodes/" + path_segment(name));
        if (!node) return forward(node);
        if (text(*node, "/state") == "ready") missing.erase(name);
      }
      line.update("ready", nodes_.size() - missing.size(), nodes_.size());
      if (missing.empty()) break;
      if (std::chrono::steady_clock::now() > until) {
        return fail_with_hint(
            ErrorCode::timeout,
            fmt::format("{} was switched on again but isn't ready after {} minutes", fmt::join(missing, ", "), minutes),
            fmt::format("What it is at: bh node show {}", *missing.begin()));
      }
      std::this_thread::sleep_for(kLook);
    }
    line.finish("ready");
    for (auto& note : notes_) {
      if (auto forgotten = note.forget(); !forgotten) return forgotten;
    }
    return {};
  }

 private:
  std::vector<BenchNote> notes_;
  std::set<std::string> nodes_;
};

class BootBench {
 public:
  BootBench(Context& context, ApiClient& api, const BootOptions& options)
      : context_(context), api_(api), options_(options) {}

  Status run() {
    const auto limits = options_.limits.numbers();
    if (!limits) return forward(limits);
    if (auto back = bring_back(); !back || options_.bring_back) return back;
    if (auto picked = pick(); !picked) return picked;
    const auto waves = parse_waves(options_.waves, static_cast<unsigned>(nodes_.size()));
    if (!waves) return forward(waves);
    unsigned boots = 0;
    for (const unsigned size : *waves) boots += size * options_.repetitions;
    const auto plan =
        fmt::format("{} boots of {} nodes ({}), so many at once: {}; each wave {} times", boots, nodes_.size(),
                    fmt::join(names(), ", "), fmt::join(*waves, ", "), options_.repetitions);
    if (options_.dry_run) {
      context_.say(fmt::format("Nothing was changed. This would be done: {}", plan));
      return {};
    }
    if (auto sure = context_.confirm(
            fmt::format("Switch nodes off and on, whatever runs there beside guests: {}?", plan), options_.yes);
        !sure) {
      return sure;
    }
    describe(*waves);
    watch_.emplace(api_, *limits, "");
    if (auto calm = watch_->look(); !calm) return calm;  // before there is a result
    KeptResult kept(api_, options_.name, options_.out, waves->size() * options_.repetitions);
    if (auto begun = kept.begin(record_); !begun) return begun;
    auto note = BenchNote::make("boot-" + std::to_string(SystemRandom().next_u64() % 1'000'000),
                                {.server = api_.connection().server, .nodes = names()});
    if (!note) return forward(note);
    const EndBySignal end;
    auto worked = all_waves(*waves, kept, end.token());
    if (end.token().stop_requested()) worked = fail(ErrorCode::cancelled, "ended before its time");
    const auto saved = kept.save(record_, worked ? "" : worked.error().message);
    if (auto all_on = switch_on_again(); !all_on) return all_on;
    if (auto forgotten = note->forget(); !forgotten) return forgotten;
    if (!worked) {
      if (saved && !record_.runs.empty())
        context_.say(fmt::format("What was measured until then: bh bench report {}", kept.name()));
      return worked;
    }
    if (!saved) return saved;
    context_.say(
        fmt::format("The result is kept as {0}. More of it: bh bench report {0} --html boot.html", kept.name()));
    return give_report(context_, bench::tell(record_), bench::json_report(record_), {});
  }

 private:
  // Before nodes are chosen: those that a killed benchmark left off could not be.
  Status bring_back() {
    auto left = LeftOff::look(api_);
    if (!left) return forward(left);
    if (left->empty()) {
      if (options_.bring_back) context_.say("No benchmark of yours that was killed has left a node off.");
      return {};
    }
    context_.say(fmt::format("A benchmark that was killed has left off: {}.", left->names()));
    if (options_.dry_run) {
      context_.say("They come back by: bh bench boot --bring-back");
      return {};
    }
    if (auto sure = context_.confirm(fmt::format("Switch on {} again?", left->names()), options_.yes); !sure) {
      return sure;
    }
    return left->bring_back(api_, context_.quiet, options_.minutes);
  }

  Status pick() {
    const auto with_guests = nodes_with_guests(api_);
    if (!with_guests) return forward(with_guests);
    const auto all = api_.get("/nodes");
    if (!all) return forward(all);
    auto picked = pick_nodes_to_boot(all->at("items"), *with_guests, options_.on, options_.nodes);
    if (!picked) return forward(picked);
    nodes_ = std::move(*picked);
    return {};
  }

  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto& node : nodes_) all.push_back(text(node, "/name"));
    return all;
  }

  void describe(const std::vector<unsigned>& waves) {
    record_.version = kVersion;
    record_.started = to_rfc3339(SystemClock().now());
    record_.command = fmt::format("bh bench boot --on {} --waves {} --repetitions {}{} --yes", fmt::join(names(), ","),
                                  fmt::join(waves, ","), options_.repetitions, options_.limits.flags());
    record_.workloads = {{.name = kBoot,
                          .what = "from the request for power until the node is ready for guests",
                          .in_operations = true,
                          .in_seconds = true}};
    record_.pools = {{.name = text(nodes_.front(), "/netboot/image"), .driver = ""}};
    for (const auto& node : nodes_) {
      record_.nodes.push_back({.name = text(node, "/name"),
                               .kernel = text(node, "/facts/kernel"),
                               .cpu = text(node, "/facts/cpu_model"),
                               .cpus = static_cast<unsigned>(number(node, "/facts/cpus")),
                               .memory_bytes = number(node, "/facts/memory")});
    }
  }

  Status all_waves(const std::vector<unsigned>& waves, KeptResult& kept, const std::stop_token& stop) {
    std::size_t first = 0;  // each wave begins with another node
    for (unsigned repetition = 1; repetition <= options_.repetitions; ++repetition) {
      for (const unsigned size : waves) {
        std::vector<std::string> wave;
        for (unsigned i = 0; i < size; ++i) wave.push_back(text(nodes_[(first + i) % nodes_.size()], "/name"));
        first += size;
        if (auto looked = watch_->look(); !looked) return looked;
        // For whoever finds them off: only this user's note could be read by bh.
        const auto why = fmt::format(
            "it is under way; if bh was killed, these may be off: {} (bh bench boot "
            "--bring-back, or bh node power NODE on)",
            fmt::join(wave, ", "));
        if (auto saved = kept.save(record_, why); !saved) return saved;
        if (auto booted = one_wave(wave, repetition, stop); !booted) return booted;
        if (auto saved = kept.save(record_, "it is under way, or bh was killed"); !saved) return saved;
        if (!record_.runs.back().complete()) {
          for (const auto& part : record_.runs.back().parts) {
            if (!part.error.empty()) return fail(ErrorCode::failed_precondition, "{}: {}", part.node, part.error);
          }
        }
      }
    }
    return {};
  }

  Status one_wave(const std::vector<std::string>& wave, unsigned repetition, const std::stop_token& stop) {
    ProgressLine line(fmt::format("{} node{} at once", wave.size(), wave.size() == 1 ? "" : "s"), context_.quiet);
    line.update("switching off", 0, 0);
    if (auto off = switch_all(wave, "off", stop, line); !off) return forward(off);
    line.update("switching on", 0, 0);
    const auto on = switch_all(wave, "on", stop, line);
    if (!on) return forward(on);
    auto began = on->begin()->second;
    for (const auto& [node, at] : *on) began = std::min(began, at);
    bench::Run run{record_.pools[0].name, kBoot, static_cast<unsigned>(wave.size()), repetition, to_rfc3339(began), {}};
    std::map<std::string, bench::Part> ended;
    const auto until = std::chrono::steady_clock::now() + std::chrono::minutes(options_.minutes);
    while (ended.size() < wave.size() && std::chrono::steady_clock::now() < until && !stop.stop_requested()) {
      for (const auto& node : wave) {
        if (ended.contains(node)) continue;
        const auto boots = api_.get(fmt::format("/nodes/{}/boots", path_segment(node)));
        if (!boots) return forward(boots);
        if (boots->at("items").empty()) continue;
        const auto& boot = boots->at("items").at(0);
        if (auto part = part_of_boot(node, boot, on->at(node), began)) {
          ended.emplace(node, std::move(*part));
          if (record_.pools[0].driver.empty()) record_.pools[0].driver = text(boot, "/root");
        }
      }
      line.update("booting", ended.size(), wave.size());
      if (auto looked = watch_->look(); !looked) return looked;
      std::this_thread::sleep_for(kLook);
    }
    for (const auto& node : wave) {
      if (const auto found = ended.find(node); found != ended.end()) {
        run.parts.push_back(found->second);
      } else {
        run.parts.push_back({.node = node, .error = fmt::format("wasn't ready within {} minutes", options_.minutes)});
      }
    }
    if (stop.stop_requested()) return {};
    line.finish(run.complete() ? "ready" : "not all are ready");
    record_.runs.push_back(std::move(run));
    return {};
  }

  // All at once. When the BMC took the request, of each, by the manager's clock.
  Result<std::map<std::string, Timestamp>> switch_all(const std::vector<std::string>& wave, const std::string& action,
                                                      const std::stop_token& stop, ProgressLine& line) {
    std::map<std::string, std::string> operations;
    Status good;
    for (const auto& node : wave) {
      const auto asked = api_.post(fmt::format("/nodes/{}/power", path_segment(node)), {{"action", action}});
      if (!asked) {
        good = forward(asked);
        break;
      }
      if (action == "off") off_.insert(node);
      operations[node] = text(*asked, "/operation/id");
    }
    std::map<std::string, Timestamp> at;
    for (const auto& [node, id] : operations) {
      // Switching is not cut short: it would leave nodes half way.
      const auto ended = wait_ended(api_, id, {}, nullptr, &line);
      if (!ended) {
        good = forward(ended);
      } else if (text(*ended, "/state") != "succeeded") {
        good = fail(ErrorCode::failed_precondition, "{}: {}", node, text(*ended, "/error/message"));
      } else {
        if (action == "on") off_.erase(node);
        const auto started = parse_rfc3339(text(*ended, "/started"));
        at[node] = (started ? *started : SystemClock().now()) +
                   std::chrono::milliseconds(number(*ended, "/parameters/report/accepted_ms"));
      }
    }
    if (good && stop.stop_requested()) good = fail(ErrorCode::cancelled, "ended before its time");
    if (!good) return forward(good);
    return at;
  }

  Status switch_on_again() {
    if (off_.empty()) return {};
    ProgressLine line("switching on what is off", context_.quiet);
    for (const auto& node : std::set<std::string>(off_)) {
      if (const auto on = switch_all({node}, "on", {}, line); !on) return forward(on);
    }
    line.finish("done");
    return {};
  }

  Context& context_;
  ApiClient& api_;
  const BootOptions& options_;
  std::vector<nlohmann::json> nodes_;
  bench::Record record_;
  std::set<std::string> off_;  // nodes that may be off by our doing
  std::optional<GuestWatch> watch_;
};

}  // namespace

void add_bench_boot(CLI::App& noun, Context& context) {
  const auto options = std::make_shared<BootOptions>();
  auto* boot = noun.add_subcommand(
      "boot", "Measure how long nodes without guests take from power to ready, more and more of them at once");
  auto* count = boot->add_option("--nodes", options->nodes, "So many of those that can be booted (default: all)")
                    ->check(CLI::Range(std::size_t{1}, std::size_t{10'000}));
  boot->add_option("--on", options->on, "These nodes instead")->delimiter(',')->excludes(count);
  boot->add_option("--waves", options->waves, "How many at once, such as 1,2,4 (default: 1, 2, 4, ... all)");
  boot->add_option("--repetitions", options->repetitions, "Of each wave (default: 1)")->check(CLI::Range(1U, 100U));
  boot->add_option("--minutes", options->minutes, "That a wave may take from power to ready (default: 15)")
      ->check(CLI::Range(1U, 240U));
  boot->add_option("--name", options->name, "Of the result (default: bench-1, bench-2, ...)");
  boot->add_option("--out", options->out, "Write the result into this file, too");
  add_guest_limits(*boot, options->limits);
  boot->add_flag("-y,--yes", options->yes, "Don't ask before nodes are switched off");
  boot->add_flag("--bring-back", options->bring_back,
                 "Only switch on again what a bench boot of yours that was killed has left off");
  boot->add_flag("--dry-run", options->dry_run, "Say which nodes in which waves; change nothing");
  on_chosen(*boot, context, [&context, options](ApiClient& api) { return BootBench(context, api, *options).run(); });
}

}  // namespace bridgehead::cli
