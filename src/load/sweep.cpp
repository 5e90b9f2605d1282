#include "load/sweep.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <thread>

#include "bench/statistics.h"

namespace bridgehead::load {
namespace {

constexpr unsigned kIncompleteInARow = 3;
constexpr std::chrono::milliseconds kMostLead{8000};  // or the plan's own

Status check(const Plan& plan) {
  if (plan.pools.empty() || plan.nodes.empty() || plan.counts.empty() || plan.workloads.empty()) {
    return fail(ErrorCode::invalid_argument, "a benchmark takes a pool, a node and a workload at least");
  }
  if (plan.repetitions < 1 || plan.repetitions > 100) {
    return fail(ErrorCode::invalid_argument, "1 to 100 repetitions, not {}", plan.repetitions);
  }
  if (std::set<std::string>(plan.nodes.begin(), plan.nodes.end()).size() != plan.nodes.size()) {
    return fail(ErrorCode::invalid_argument, "a node is named twice");
  }
  for (const unsigned count : plan.counts) {
    if (count < 1 || count > plan.nodes.size()) {
      return fail(ErrorCode::invalid_argument, "there are {} nodes, so {} can't run", plan.nodes.size(), count);
    }
  }
  std::set<std::string> names;
  for (const auto& pool : plan.pools) {
    if (!pool.path.is_absolute()) {
      return fail(ErrorCode::invalid_argument, "the path of {} must begin with /", pool.facts.name);
    }
    if (!names.insert(pool.facts.name).second) {
      return fail(ErrorCode::invalid_argument, "the pool {} is named twice", pool.facts.name);
    }
  }
  return {};
}

// Seconds after the common start. Who isn't ready by then begins late, also where all do alike.
double latest_begin(const bench::Run& run) {
  double latest = 0;
  for (const auto& part : run.parts) latest = std::max(latest, part.began);
  return latest;
}

template <typename T>
void shuffle(std::vector<T>& list, bench::BootstrapRandom& random) {
  for (std::size_t i = list.size(); i > 1; --i) std::swap(list[i - 1], list[random.below(i)]);
}

class Sweep {
 public:
  Sweep(const Plan& plan, const Ask& ask, const Clock& clock, const AfterRun& after_run, std::stop_token stop,
        const BeforeRun& before_run)
      : plan_(plan),
        ask_(ask),
        clock_(clock),
        after_run_(after_run),
        before_run_(before_run),
        stop_(std::move(stop)),
        random_(plan.seed) {}

  Result<bench::Record> run() {
    record_.name = plan_.name;
    record_.command = plan_.command;
    record_.version = plan_.version;
    record_.started = to_rfc3339(clock_.now());
    record_.notes = plan_.notes;
    for (const auto& pool : plan_.pools) record_.pools.push_back(pool.facts);
    for (const auto& name : plan_.workloads) {
      auto workload = workload_of(name, plan_.size);
      if (!workload) return forward(workload);
      if (!plan_.guests.empty()) {
        if (auto fits = check_in_guest(name); !fits) return forward(fits);
        workload->what += fmt::format("; in {}, on a disk of the guest's own without a file system", plan_.guests);
      }
      record_.workloads.push_back(std::move(*workload));
    }
    if (!plan_.guests.empty()) {
      record_.notes.emplace_back(
          "Measured through guests' disks: each guest reads what it wrote itself, past its own cache.");
    } else if (plan_.nodes.size() == 1) {
      record_.notes.emplace_back("There is one node: it reads what it wrote itself.");
    }
    auto measured = meet();
    if (measured) measured = measure();
    if (plan_.cleans) clean();
    if (!measured) return forward(measured);
    return record_;
  }

 private:
  using Answers = std::vector<Result<ClientAnswer>>;

  // All at once.
  Answers ask_all(const std::vector<std::string>& nodes, const std::function<ClientOrder(const std::string&)>& order,
                  const std::stop_token& stop) {
    Answers answers(nodes.size(), fail(ErrorCode::internal, "it wasn't asked"));
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      threads.emplace_back([&, i] { answers[i] = ask_(nodes[i], order(nodes[i]), stop); });
    }
    threads.clear();
    return answers;
  }

  ClientOrder order(ClientOrder::Action action, const std::string& node, const PoolPlace& pool) const {
    return {.action = action,
            .node = node,
            .pool = pool.facts.name,
            .directory = pool.path / (std::string(kDirectoryPrefix) + plan_.name),
            .workload = plan_.workloads.front(),
            .size = plan_.size,
            .other = node};
  }

  const std::string& next_to(const std::string& node) const {
    const auto place = std::find(plan_.nodes.begin(), plan_.nodes.end(), node) - plan_.nodes.begin();
    return plan_.nodes[(static_cast<std::size_t>(place) + 1) % plan_.nodes.size()];
  }

  Error about(const std::string& node, Error error) const {
    error.message = fmt::format("{}: {}", node, error.message);
    return error;
  }

  // Who they are, and how long an order takes to reach them.
  Status meet() {
    const auto began = clock_.monotonic();
    const auto answers = ask_all(
        plan_.nodes, [&](const auto& node) { return order(ClientOrder::Action::facts, node, plan_.pools.front()); },
        stop_);
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(clock_.monotonic() - began);
    // In a guest that is fio's start, not the way there; its plan knows how long that takes.
    lead_ = plan_.guests.empty() ? std::max(plan_.least_lead, 3 * took) : plan_.least_lead;
    std::optional<Error> wrong;
    for (std::size_t i = 0; i < answers.size(); ++i) {
      if (!answers[i]) {
        const auto error = about(plan_.nodes[i], answers[i].error());
        if (wrong) {
          wrong->message += "; " + error.message;
        } else {
          wrong = error;
        }
        continue;
      }
      record_.nodes.push_back(answers[i]->facts);
      record_.fio = answers[i]->fio;
    }
    return wrong ? Status(fail(*wrong)) : Status();
  }

  // fio asks for all small files before it is ready.
  std::chrono::milliseconds lead_for(const std::string& workload) const {
    const auto known = leads_.find(workload);
    return known != leads_.end() ? known->second : needs_small_files(workload) ? lead_ * 3 / 2 : lead_;
  }

  Answers run_together(const std::vector<std::string>& nodes, const PoolPlace& pool, const std::string& workload,
                       Bytes space) {
    const auto lead = lead_for(workload);
    const auto at = clock_.now() + lead;
    return ask_all(
        nodes,
        [&](const auto& node) {
          auto asked = order(ClientOrder::Action::run, node, pool);
          asked.workload = workload;
          asked.other = next_to(node);
          asked.at = at;
          asked.space = space;
          return asked;
        },
        stop_);
  }

  // Every node's files, so that each can read another's; it warms up as well, and doesn't count.
  Status prepare(const PoolPlace& pool) {
    std::set<std::string> writers;
    for (const auto& workload : plan_.workloads) writers.insert(prepared_by(workload));
    writers.erase("");
    const auto all = plan_.size.node_bytes * (plan_.nodes.size() * writers.size());
    for (const auto& writer : writers) {
      tell(fmt::format("first files on {}", pool.facts.name));
      const auto wanted = workload_of(writer, plan_.size)->node_bytes;
      const auto answers = run_together(plan_.nodes, pool, writer, writer == *writers.begin() ? all : Bytes());
      if (stop_.stop_requested()) return fail(ErrorCode::cancelled, "the benchmark was cancelled");
      for (std::size_t i = 0; i < answers.size(); ++i) {
        if (!answers[i]) return fail(about(plan_.nodes[i] + " on " + pool.facts.name, answers[i].error()));
        if (answers[i]->part.bytes < wanted) {
          return fail_with_hint(ErrorCode::timeout,
                                fmt::format("{} didn't get its files of {} into {} in time", plan_.nodes[i],
                                            plan_.size.node_bytes.human(), pool.facts.name),
                                "Give it more seconds, or smaller files.");
        }
      }
    }
    return {};
  }

  void tell(const std::string& what) const {
    if (before_run_) before_run_(what, record_.runs.size(), runs_of(plan_));
  }

  struct Block {
    std::size_t pool;
    unsigned count;
    unsigned repetition;
  };

  Status measure() {
    for (const auto& pool : plan_.pools) {
      if (auto prepared = prepare(pool); !prepared) return prepared;
    }
    std::vector<Block> blocks;
    for (std::size_t pool = 0; pool < plan_.pools.size(); ++pool) {
      for (const unsigned count : plan_.counts) {
        for (unsigned repetition = 1; repetition <= plan_.repetitions; ++repetition) {
          blocks.push_back({pool, count, repetition});
        }
      }
    }
    // What changes with time (other load, a disk that fills) must not look like a matter of nodes or pools.
    shuffle(blocks, random_);
    const auto all = runs_of(plan_);
    for (const auto& block : blocks) {
      auto nodes = plan_.nodes;
      shuffle(nodes, random_);
      nodes.resize(block.count);
      for (const auto& workload : plan_.workloads) {
        if (auto ran = run_once(block, nodes, workload); !ran) return ran;
        after_run_(record_.runs.size(), all, record_);
      }
    }
    return {};
  }

  Status run_once(const Block& block, const std::vector<std::string>& nodes, const std::string& workload) {
    const auto& pool = plan_.pools[block.pool];
    bench::Run run{pool.facts.name, workload, block.count, block.repetition, to_rfc3339(clock_.now()), {}};
    tell(fmt::format("{} on {}, {} node{}", workload, pool.facts.name, block.count, block.count == 1 ? "" : "s"));
    const auto answers = run_together(nodes, pool, workload, Bytes());
    if (stop_.stop_requested()) return fail(ErrorCode::cancelled, "the benchmark was cancelled");
    std::string why;
    for (std::size_t i = 0; i < answers.size(); ++i) {
      if (answers[i]) {
        run.parts.push_back(answers[i]->part);
        continue;
      }
      bench::Part lost;
      lost.node = nodes[i];
      if (answers[i].error().code == ErrorCode::resource_exhausted) return fail(about(nodes[i], answers[i].error()));
      lost.error = answers[i].error().message;
      why = nodes[i] + ": " + lost.error;
      run.parts.push_back(std::move(lost));
    }
    incomplete_ = run.complete() ? 0 : incomplete_ + 1;
    if (latest_begin(run) > std::chrono::duration<double>(kMostSkew).count()) {
      leads_[workload] = std::min(lead_for(workload) * 3 / 2, std::max(kMostLead, 2 * plan_.least_lead));
    }
    record_.runs.push_back(std::move(run));
    if (incomplete_ < kIncompleteInARow) return {};
    return fail(ErrorCode::failed_precondition, "{} runs in a row lost a node; the last one {}", incomplete_, why);
  }

  // Not by the stop token: it is asked for after that, too.
  void clean() {
    for (const auto& pool : plan_.pools) {
      const auto answers =
          ask_all(plan_.nodes, [&](const auto& node) { return order(ClientOrder::Action::clean, node, pool); }, {});
      for (std::size_t i = 0; i < answers.size(); ++i) {
        if (answers[i]) continue;
        record_.notes.push_back(fmt::format("{} may be left on {} in {}: {}",
                                            order(ClientOrder::Action::clean, "", pool).directory.native(),
                                            plan_.nodes[i], pool.facts.name, answers[i].error().message));
      }
    }
  }

  const Plan& plan_;
  const Ask& ask_;
  const Clock& clock_;
  const AfterRun& after_run_;
  const BeforeRun& before_run_;
  const std::stop_token stop_;
  bench::BootstrapRandom random_;
  bench::Record record_;
  std::chrono::milliseconds lead_{};
  std::map<std::string, std::chrono::milliseconds> leads_;  // of workloads that take longer to get ready
  unsigned incomplete_ = 0;
};

}  // namespace

Result<std::vector<unsigned>> parse_counts(std::string_view text, unsigned most) {
  std::set<unsigned> counts;
  const auto wrong = [&] {
    return fail(ErrorCode::invalid_argument, "write numbers of nodes as 1-3,5, from 1 to {}, not '{}'", most, text);
  };
  for (std::size_t begin = 0; begin <= text.size();) {
    const auto end = std::min(text.find(',', begin), text.size());
    const auto word = text.substr(begin, end - begin);
    const auto dash = word.find('-');
    const auto number = [&](std::string_view digits) {
      unsigned value = 0;
      const auto [rest, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
      return error == std::errc() && rest == digits.data() + digits.size() && value <= most ? value : 0;
    };
    const unsigned low = number(word.substr(0, dash));
    const unsigned high = dash == std::string_view::npos ? low : number(word.substr(dash + 1));
    if (low == 0 || high < low) return wrong();
    for (unsigned count = low; count <= high; ++count) counts.insert(count);
    begin = end + 1;
  }
  return std::vector<unsigned>(counts.begin(), counts.end());
}

std::size_t runs_of(const Plan& plan) {
  return plan.pools.size() * plan.counts.size() * plan.repetitions * plan.workloads.size();
}

Result<bench::Record> carry_out(const Plan& plan, const Ask& ask, const Clock& clock, const AfterRun& after_run,
                                std::stop_token stop, const BeforeRun& before_run) {
  if (auto sound = check(plan); !sound) return forward(sound);
  return Sweep(plan, ask, clock, after_run, std::move(stop), before_run).run();
}

}  // namespace bridgehead::load
