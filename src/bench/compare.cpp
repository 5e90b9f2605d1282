// Groups of repetitions, and which of them may stand beside each other.
#include <algorithm>
#include <cmath>

#include "bench/study.h"

namespace bridgehead::bench {
namespace {

template <typename T>
std::size_t place_of(const std::vector<T>& list, std::string_view name) {
  return static_cast<std::size_t>(
      std::find_if(list.begin(), list.end(), [&](const auto& one) { return one.name == name; }) - list.begin());
}

struct Gathered {
  Group group;
  std::vector<double> p99, cpu, link;
};

void take(const Run& run, const Workload& workload, Gathered& gathered) {
  auto& group = gathered.group;
  if (!run.complete()) {
    ++group.lost;
    return;
  }
  group.rates.push_back(rate_of(run, workload));
  group.number.push_back(run.repetition);
  group.skew = std::max(group.skew, run.skew());
  double p99 = 0;
  std::optional<double> cpu, link;
  for (const auto& part : run.parts) {
    p99 = std::max(p99, part.p99_ms);
    if (part.cpu_busy) cpu = std::max(cpu.value_or(0), *part.cpu_busy);
    if (part.link_busy) link = std::max(link.value_or(0), *part.link_busy);
  }
  gathered.p99.push_back(p99);
  if (cpu) gathered.cpu.push_back(*cpu);
  if (link) gathered.link.push_back(*link);
}

// How the load reached the storage; empty: the same way.
std::string other_way(const Record& a, const Record& b) {
  if (a.through_guests() != b.through_guests()) {
    return "one was measured through guests' disks, the other on the nodes themselves";
  }
  return a.emulated() != b.emulated() ? "emulated guests against guests with KVM" : "";
}

std::string differing_settings(const Workload& a, const Workload& b, bool across) {
  if (a.block_bytes != b.block_bytes) return "blocks of another size";
  if (a.node_bytes != b.node_bytes) return "another amount of data for each node";
  if (a.seconds != b.seconds) return "another length";
  if (a.direct != b.direct) return "one through the page cache, the other past it";
  if (a.in_operations != b.in_operations || a.in_seconds != b.in_seconds || a.writes != b.writes ||
      (a.what != b.what && !across))
    return "another kind of work";
  return "";
}

// Why a ratio of the two would mislead; empty: it wouldn't.
std::string why_not(const Record& ra, const Group& a, const Record& rb, const Group& b, bool across) {
  const auto* wa = ra.workload(a.workload);
  const auto* wb = rb.workload(b.workload);
  if (const auto way = other_way(ra, rb); !way.empty() && !across) return way;
  if (const auto differs = differing_settings(*wa, *wb, across); !differs.empty()) return differs;
  for (const auto* group : {&a, &b}) {
    if (group->rates.empty()) return fmt::format("no run on {} was complete", group->pool);
  }
  for (const auto& [record, group] : {std::pair(&ra, &a), std::pair(&rb, &b)}) {
    if (group->cpu_busy.value_or(0) >= kBusyClient) {
      return fmt::format("with {} {} the limit ({:.0f} % busy), not the storage", group->pool, busy_clients(*record),
                         *group->cpu_busy * 100);
    }
  }
  const auto copies_a = ra.pool(a.pool)->copies;
  const auto copies_b = rb.pool(b.pool)->copies;
  if (wa->writes && copies_a != 0 && copies_b != 0 && copies_a != copies_b) {
    return fmt::format("{} copies of each block against {}", copies_a, copies_b);
  }
  return "";
}

Comparison compare(const Record& ra, const Group& a, const Record& rb, const Group& b, bool across = false) {
  Comparison row{a.workload, a.nodes, a.pool, b.pool, a.rate.median, b.rate.median, std::nullopt, ""};
  row.refusal = why_not(ra, a, rb, b, across);
  if (row.refusal.empty()) row.ratio = ratio_of(a.rates, b.rates);
  return row;
}

// The slowest of the hosts is what counts: it holds the others up.
struct Hosts {
  unsigned cpus = 0;
  double link_bits = 0;
  std::string kernel;
};
Hosts hosts_of(const Record& record) {
  Hosts hosts;
  for (const auto& node : record.nodes) {
    if (hosts.cpus == 0 || node.cpus < hosts.cpus) hosts.cpus = node.cpus;
    if (hosts.link_bits == 0 || node.link_bits < hosts.link_bits) hosts.link_bits = node.link_bits;
    if (hosts.kernel.find(node.kernel) == std::string::npos)
      hosts.kernel += (hosts.kernel.empty() ? "" : ", ") + node.kernel;
  }
  return hosts;
}

std::string other_hosts(const Hosts& a, const Hosts& b) {
  if (a.cpus != 0 && b.cpus != 0 && a.cpus != b.cpus) return fmt::format("hosts of {} CPUs against {}", a.cpus, b.cpus);
  if (a.link_bits > 0 && b.link_bits > 0 && a.link_bits != b.link_bits) {
    return fmt::format("links of {:.0f} Mbit/s against {:.0f}", a.link_bits / 1e6, b.link_bits / 1e6);
  }
  return "";
}

}  // namespace

std::vector<Group> groups_of(const Record& record) {
  std::vector<Gathered> all;
  for (const auto& run : record.runs) {
    const auto* workload = record.workload(run.workload);
    if (workload == nullptr || record.pool(run.pool) == nullptr) continue;
    auto found = std::find_if(all.begin(), all.end(), [&](const Gathered& one) {
      return one.group.workload == run.workload && one.group.pool == run.pool && one.group.nodes == run.nodes;
    });
    if (found == all.end()) {
      all.emplace_back();
      found = std::prev(all.end());
      found->group.workload = run.workload;
      found->group.pool = run.pool;
      found->group.nodes = run.nodes;
    }
    take(run, *workload, *found);
  }
  std::stable_sort(all.begin(), all.end(), [&](const Gathered& a, const Gathered& b) {
    const auto key = [&](const Group& group) {
      return std::tuple(place_of(record.workloads, group.workload), place_of(record.pools, group.pool), group.nodes);
    };
    return key(a.group) < key(b.group);
  });
  std::vector<Group> groups;
  for (auto& [group, p99, cpu, link] : all) {
    group.rate = summarise(group.rates);
    if (!p99.empty()) group.p99_ms = median_of(p99);
    if (!cpu.empty()) group.cpu_busy = median_of(cpu);
    if (!link.empty()) group.link_busy = median_of(link);
    groups.push_back(std::move(group));
  }
  return groups;
}

std::vector<Comparison> compare_pools(const Record& record) {
  std::vector<Comparison> rows;
  if (record.pools.size() < 2) return rows;
  const auto nfs =
      std::find_if(record.pools.begin(), record.pools.end(), [](const auto& pool) { return pool.driver == "nfs"; });
  const auto& base = nfs == record.pools.end() ? record.pools.front() : *nfs;
  const auto groups = groups_of(record);
  for (const auto& group : groups) {
    if (group.pool == base.name) continue;
    const auto beside = std::find_if(groups.begin(), groups.end(), [&](const Group& one) {
      return one.pool == base.name && one.workload == group.workload && one.nodes == group.nodes;
    });
    if (beside != groups.end()) rows.push_back(compare(record, *beside, record, group));
  }
  return rows;
}

std::vector<Comparison> compare_peers(const Record& record) {
  std::vector<Comparison> rows;
  const auto groups = groups_of(record);
  for (const auto& peer : groups) {
    const auto& main = record.workload(peer.workload)->peer_of;
    const auto beside = std::find_if(groups.begin(), groups.end(), [&](const Group& one) {
      return one.workload == main && one.pool == peer.pool && one.nodes == peer.nodes;
    });
    if (main.empty() || beside == groups.end()) continue;
    Comparison row{main, peer.nodes, peer.workload, peer.pool, peer.rate.median, beside->rate.median, std::nullopt, ""};
    if (peer.rates.empty() || beside->rates.empty()) {
      row.refusal = "one of them was never done";
    } else {
      row.ratio = ratio_of(peer.rates, beside->rates);
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string busy_clients(const Record& record) {
  if (!record.through_guests()) return "the client's CPUs were";
  return record.emulated() ? "the CPU of the emulated guests, or of their nodes, was"
                           : "the CPU of the guests (a thread of QEMU's), or of their nodes, was";
}

Result<RecordComparison> compare_records(const Record& a, const Record& b, bool across) {
  RecordComparison comparison;
  const auto ours = groups_of(a);
  const auto theirs = groups_of(b);
  const bool one_each = a.pools.size() == 1 && b.pools.size() == 1;
  const auto hosts_a = hosts_of(a);
  const auto hosts_b = hosts_of(b);
  const auto other = other_hosts(hosts_a, hosts_b);
  for (const auto& group : ours) {
    const auto peer = std::find_if(theirs.begin(), theirs.end(), [&](const Group& one) {
      return one.workload == group.workload && one.nodes == group.nodes && (one.pool == group.pool || one_each);
    });
    if (peer == theirs.end()) continue;
    auto row = compare(a, group, b, *peer, across);
    if (row.refusal.empty() && !other.empty()) {
      row.ratio.reset();
      row.refusal = other;
    }
    row.a = a.name + ": " + row.a;
    row.b = b.name + ": " + row.b;
    comparison.rows.push_back(std::move(row));
  }
  if (comparison.rows.empty()) {
    return fail_with_hint(ErrorCode::failed_precondition,
                          fmt::format("{} and {} have no workload with as many nodes in common", a.name, b.name),
                          "Run both with the same workloads and nodes.");
  }
  const auto warn = [&](std::string_view what, const std::string& x, const std::string& y) {
    if (x != y) comparison.warnings.push_back(fmt::format("They differ in {}: {} against {}.", what, x, y));
  };
  if (const auto way = other_way(a, b); !way.empty() && across) {
    comparison.warnings.push_back(
        fmt::format("Asked for all the same: {}. The ratios are about that way, not about the storage.", way));
  }
  warn("the kernel", hosts_a.kernel, hosts_b.kernel);
  warn("fio's version", a.fio, b.fio);
  warn("Bridgehead's version", a.version, b.version);
  for (const auto& pool : a.pools) {
    const auto* peer = one_each ? &b.pools.front() : b.pool(pool.name);
    if (peer == nullptr) continue;
    warn("the layout of " + pool.name, pool.layout, peer->layout);
    warn("the servers of " + pool.name, std::to_string(pool.servers), std::to_string(peer->servers));
  }
  return comparison;
}

}  // namespace bridgehead::bench
