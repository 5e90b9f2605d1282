// Study: what a record says. Groups of repetitions, pools beside each other, the curve over the nodes with its
// bottleneck, sizes that weren't measured. Pure; thread-safe.
#pragma once

#include "bench/bend.h"
#include "bench/record.h"

namespace bridgehead::bench {

// All repetitions of one workload on one pool with so many nodes.
struct Group {
  std::string workload;
  std::string pool;
  unsigned nodes = 0;
  std::vector<double> rates;       // of the complete runs, in their order
  std::vector<unsigned> number;    // which repetition each of them was
  Summary rate;                    // count 0: there is no complete run
  std::size_t lost = 0;            // incomplete runs
  double p99_ms = 0;               // median over runs of the slowest node's
  double skew = 0;                 // worst
  std::optional<double> cpu_busy;  // median over runs of the busiest node's; nullopt: not measured
  std::optional<double> link_busy;
};

// By workload and pool as the record names them, then by nodes.
std::vector<Group> groups_of(const Record& record);

// A client this busy is the limit itself (its own work, not only fio's, counts).
constexpr double kBusyClient = 0.9;
// What was the limit then, up to the verb: "the client's CPUs were".
std::string busy_clients(const Record& record);

struct Comparison {
  std::string workload;
  unsigned nodes = 0;
  std::string a, b;  // what is compared: pools, or names of records
  double median_a = 0, median_b = 0;
  std::optional<Ratio> ratio;  // b over a
  std::string refusal;         // why there is none
};

// Each further pool beside the first NFS one, else beside the first.
std::vector<Comparison> compare_pools(const Record& record);

// Workloads beside their peers, on the same pool with as many nodes: `a` is the peer.
std::vector<Comparison> compare_peers(const Record& record);

struct RecordComparison {
  std::vector<Comparison> rows;       // `a`, `b` are "record: pool"
  std::vector<std::string> warnings;  // what else differs between the two environments
};
// The same pool and workload with as many nodes in both; pools under another name are paired where each has one.
// `across`: also where one was measured through guests and the other on the nodes, or one through emulated guests and
// the other with KVM; then the ratio is about that, and a warning says so.
// Errors: failed_precondition (they have nothing in common).
Result<RecordComparison> compare_records(const Record& a, const Record& b, bool across = false);

// What holds the rate at the most nodes that were measured.
struct Diagnosis {
  std::string bottleneck;  // "the servers' links"; "nothing yet"; "unknown"
  std::string because;     // a sentence
  std::string advice;      // a sentence
  struct Limit {
    std::string name;
    double rate = 0;  // at the most nodes
  };
  std::vector<Limit> limits;  // what is known
};

struct Scaling {
  std::string workload;
  std::string pool;
  std::vector<ScalePoint> points;
  ScaleFit fit;
  BendFit bend;
  Form form = Form::law;
  Result<Validation> validation;  // the first half's form, and no more than the known limits
  Form validated_form = Form::law;
  Diagnosis diagnosis;
  // The better form's.
  double at(double nodes) const;
};

// Errors: not_found (no runs), and those of fit_scale.
Result<Scaling> study_scaling(const Record& record, const std::string& workload, const std::string& pool,
                              const FitOptions& options = {});

struct Sizes {
  double clients = 0;
  std::optional<unsigned> servers;    // otherwise as measured
  std::optional<double> server_bits;  // link of each server
  std::optional<double> client_bits;  // link of each client
};

struct Prediction {
  double rate = 0;
  Interval interval;  // of another run there
  std::string limited_by;
  double best_clients = 0;               // where it grows no more; infinite: not known
  std::vector<std::string> assumptions;  // sentences
};

// Errors: failed_precondition (what was measured is not known, or can't carry the question), invalid_argument.
Result<Prediction> predict(const Record& record, const Scaling& scaling, const Sizes& sizes);

}  // namespace bridgehead::bench
