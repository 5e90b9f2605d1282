// Client: one order of a benchmark, carried out on one node. Blocking; thread-safe.
#pragma once

#include <stop_token>

#include "base/clock.h"
#include "load/workloads.h"

namespace bridgehead::load {

// Folders of benchmarks begin with it; no other is ever written to or removed.
inline constexpr std::string_view kDirectoryPrefix = "bridgehead-bench-";

// One order: what a client is to do.
struct ClientOrder {
  enum class Action { facts, run, clean } action = Action::facts;
  std::string node;
  std::string pool;                 // for people, and for who passes the order on
  std::filesystem::path directory;  // of this benchmark, in the pool: its parent must be there
  // run:
  std::string workload;
  Size size;
  std::string other;    // whose file is read
  Timestamp at{};       // the common start, by this node's clock
  Bytes space;          // that must be free before; 0: isn't asked
  double pressure = 0;  // percent: where guests wait for longer, it gives up; 0: it doesn't look
  // Both or none: the guest (a VM's id) that does the node's work, and the serial number of the disk on which.
  std::string guest;
  std::string disk;
};

struct ClientAnswer {
  bench::NodeFacts facts;  // of facts
  std::string fio;         // its version
  bench::Part part;        // of run
};

// Errors: invalid_argument (the order itself), resource_exhausted (too little space; guests suffer), unsupported (fio
// isn't installed), failed_precondition (it came after the common start), timeout, cancelled, io_error.
Result<ClientAnswer> carry_out(const ClientOrder& order, CommandRunner& runner, const Clock& clock,
                               std::stop_token stop = {}, const std::filesystem::path& root = "/");

double unix_seconds(Timestamp time);
// The order came before the common start. Errors: failed_precondition.
Status check_start(Timestamp at, const Clock& clock);

// What is passed to a client on another node, and back.
std::string write_order(const ClientOrder& order);
Result<ClientOrder> read_order(std::string_view text);
std::string write_answer(const Result<ClientAnswer>& answer);
// The answer, or the error that the client had.
Result<ClientAnswer> read_answer(std::string_view text);

}  // namespace bridgehead::load
