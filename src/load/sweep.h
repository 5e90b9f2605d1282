// Sweep: a whole benchmark by way of its clients: every pool, number of nodes, workload and repetition, in random
// order, with all clients of a run beginning at one moment. Blocking; whatever happens, the clients' folders are
// removed in the end.
#pragma once

#include <functional>

#include "load/client.h"

namespace bridgehead::load {

struct PoolPlace {
  bench::PoolFacts facts;
  std::filesystem::path path;  // where every node has it mounted
};

struct Plan {
  std::string name;
  std::string command;
  std::string version;
  std::vector<PoolPlace> pools;
  std::vector<std::string> nodes;
  std::vector<unsigned> counts;  // of nodes, each 1..nodes.size()
  std::vector<std::string> workloads;
  Size size;
  unsigned repetitions = 3;
  std::uint64_t seed = 1;  // of the order
  // From the orders to the common start: all clients must have the order and fio ready by then. Where one begins too
  // late the next runs of that workload get more.
  std::chrono::milliseconds least_lead{1500};
  std::string guests;  // "" = the nodes themselves work; otherwise what guests do it in their place, for people
  std::vector<std::string> notes;  // of the record
  bool cleans = true;              // orders the folders' removal in the end; otherwise whoever asked does
};

// Clients that begin further apart than this have not begun together.
inline constexpr std::chrono::milliseconds kMostSkew{50};

// "1-3,5" -> 1 2 3 5. Errors: invalid_argument.
Result<std::vector<unsigned>> parse_counts(std::string_view text, unsigned most);

using Ask = std::function<Result<ClientAnswer>(const std::string& node, const ClientOrder&, std::stop_token)>;
// Before each step: what is done, and how many runs are through, of how many.
using BeforeRun = std::function<void(const std::string& what, std::size_t done, std::size_t all)>;
// After each run: the same, and what there is so far.
using AfterRun = std::function<void(std::size_t done, std::size_t all, const bench::Record& record)>;

// How many runs a plan takes.
std::size_t runs_of(const Plan& plan);

// Runs in which a node was lost are in the record, with why. Errors: those of the plan itself (invalid_argument), a
// node that doesn't answer at all, has no fio or no room (before anything is measured), resource_exhausted (guests
// suffer), failed_precondition (three incomplete runs one after another), cancelled. What was measured until then has
// been told by `after_run`.
Result<bench::Record> carry_out(const Plan& plan, const Ask& ask, const Clock& clock, const AfterRun& after_run,
                                std::stop_token stop = {}, const BeforeRun& before_run = {});

}  // namespace bridgehead::load
