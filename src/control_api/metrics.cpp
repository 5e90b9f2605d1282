#include "control_api/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <unistd.h>

#include <sstream>

#include "base/file.h"
#include "control_api/events/event_hub.h"
#include "control_api/services.h"
#include "model/enum_names.h"

namespace bridgehead::control_api {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

class Families {
 public:
  void add(const std::string& name, const std::string& help, MetricType type, double value,
           const std::map<std::string, std::string>& labels = {}) {
    const auto [at, fresh] = index_.emplace(name, all_.size());
    if (fresh) {
      MetricFamily family;
      family.name = name;
      family.help = help;
      family.type = type;
      all_.push_back(std::move(family));
    }
    ClientMetric metric;
    for (const auto& [key, text] : labels) metric.label.push_back({key, text});
    if (type == MetricType::Counter) {
      metric.counter.value = value;
    } else {
      metric.gauge.value = value;
    }
    all_[at->second].metric.push_back(std::move(metric));
  }
  void gauge(const std::string& name, const std::string& help, double value,
             const std::map<std::string, std::string>& labels = {}) {
    add(name, help, MetricType::Gauge, value, labels);
  }
  void counter(const std::string& name, const std::string& help, double value) {
    add(name, help, MetricType::Counter, value);
  }
  std::vector<MetricFamily> take() { return std::move(all_); }

 private:
  std::vector<MetricFamily> all_;
  std::map<std::string, std::size_t> index_;
};

// One series for each value of the enumeration, zeros too, so that alerts don't meet gaps.
template <typename E, typename T, typename Of>
void count_by(Families& families, const std::string& name, const std::string& help, const std::string& label,
              const std::vector<state::Record<T>>& records, Of&& of) {
  std::map<E, double> counts;
  for (const auto& record : records) ++counts[of(record->value)];
  for (const auto& [value, text] : model::EnumNames<E>::values) {
    families.gauge(name, help, counts[value], {{label, std::string(text)}});
  }
}

std::vector<state::Record<model::Alert>> open_alerts(const state::Inventory& inventory) {
  auto alerts = inventory.all<model::Alert>();
  std::erase_if(alerts, [](const auto& alert) { return alert->value.cleared != Timestamp{}; });
  return alerts;
}

void add_inventory(Families& families, const state::Inventory& inventory) {
  using namespace model;
  count_by<NodeState>(families, "bridgehead_nodes", "Nodes by state", "state", inventory.all<Node>(),
                      [](const Node& node) { return node.state; });
  count_by<VmPhase>(families, "bridgehead_vms", "Guests by phase", "phase", inventory.all<Vm>(),
                    [](const Vm& vm) { return vm.status.phase; });
  count_by<ImageState>(families, "bridgehead_images", "Images by state", "state", inventory.all<Image>(),
                       [](const Image& image) { return image.state; });
  count_by<OperationState>(families, "bridgehead_operations", "Operations kept, by state", "state",
                           inventory.all<Operation>(), [](const Operation& operation) { return operation.state; });
  count_by<AlertSeverity>(families, "bridgehead_alerts", "Alerts that are open, by severity", "severity",
                          open_alerts(inventory), [](const Alert& alert) { return alert.severity; });
  for (const auto& alert : open_alerts(inventory)) {
    families.gauge("bridgehead_alert", "1 for each alert that is open", 1,
                   {{"condition", alert->value.condition},
                    {"severity", std::string(to_string(alert->value.severity))},
                    {"object_kind", alert->value.object_kind},
                    {"object", alert->value.object}});
  }
  for (const auto& pool : inventory.all<Pool>()) {
    for (const auto& [id, on_node] : pool->value.nodes) {
      const auto node = inventory.find<Node>(id);
      const std::map<std::string, std::string> labels = {{"pool", pool->value.name},
                                                         {"node", node ? node->value.name : id.str()}};
      families.gauge("bridgehead_pool_ready", "1 if the pool is usable on the node", on_node.ready ? 1 : 0, labels);
      families.gauge("bridgehead_pool_size_bytes", "Size of the pool's file system",
                     static_cast<double>(on_node.total.count()), labels);
      families.gauge("bridgehead_pool_available_bytes", "Free space in the pool",
                     static_cast<double>(on_node.available.count()), labels);
    }
  }
  families.gauge("bridgehead_state_revision", "Revision of the state store", static_cast<double>(inventory.revision()));
}

void add_reconcile(Families& families, const reconcile::ReconcileMetrics& metrics) {
  const auto add = [&](const char* name, const char* help, const std::atomic<std::uint64_t>& value, double scale = 1) {
    families.counter(fmt::format("bridgehead_reconcile_{}", name), help, static_cast<double>(value.load()) * scale);
  };
  add("passes_total", "Passes of the reconciler", metrics.passes);
  add("pass_seconds_total", "Time spent in passes", metrics.pass_microseconds, 1e-6);
  families.gauge("bridgehead_reconcile_longest_pass_seconds", "The longest pass so far",
                 static_cast<double>(metrics.longest_pass_microseconds.load()) * 1e-6);
  add("conflicts_total", "Commits that had to be decided again", metrics.conflicts);
  add("assignments_sent_total", "Assignments sent to agents", metrics.assignments_sent);
  add("observations_total", "Guest observations taken in", metrics.observations);
  add("operations_succeeded_total", "Operations that ended well", metrics.operations_succeeded);
  add("operations_failed_total", "Operations that failed", metrics.operations_failed);
  add("operations_cancelled_total", "Operations that were cancelled", metrics.operations_cancelled);
}

// The names that Prometheus' own client libraries use (process_*), from proc(5).
void add_process(Families& families) {
  const double ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  const double page = static_cast<double>(::sysconf(_SC_PAGESIZE));
  if (const auto stat = read_file("/proc/self/stat", 64_KiB)) {
    // The name in parentheses may hold spaces: the fields are counted from behind it (state is field 3).
    std::istringstream fields(stat->substr(std::min(stat->rfind(')') + 2, stat->size())));
    std::vector<std::string> values{"", "", ""};
    for (std::string value; fields >> value;) values.push_back(value);
    const auto number = [&](std::size_t field) { return values.size() > field ? std::atof(values[field].c_str()) : 0; };
    families.counter("process_cpu_seconds_total", "CPU time used", (number(14) + number(15)) / ticks);
    families.gauge("process_threads", "Threads", number(20));
    families.gauge("process_virtual_memory_bytes", "Address space", number(23));
    families.gauge("process_resident_memory_bytes", "Memory in RAM", number(24) * page);
  }
  std::error_code error;
  double open = 0;
  for (auto at = std::filesystem::directory_iterator("/proc/self/fd", error);
       !error && at != std::filesystem::directory_iterator(); at.increment(error)) {
    ++open;
  }
  families.gauge("process_open_fds", "Open file descriptors", open);
}

}  // namespace

struct Metrics::State {
  prometheus::Registry registry;
  prometheus::Family<prometheus::Counter>& requests = prometheus::BuildCounter()
                                                          .Name("bridgehead_http_requests_total")
                                                          .Help("Requests answered, by route, method and status")
                                                          .Register(registry);
  prometheus::Family<prometheus::Histogram>& durations =
      prometheus::BuildHistogram()
          .Name("bridgehead_http_request_seconds")
          .Help("From a request's head to the end of its answer; streams not counted")
          .Register(registry);
  const prometheus::Histogram::BucketBoundaries buckets{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                                        0.1,   0.25,   0.5,   1,    2.5,   10};
};

Metrics::Metrics() : state_(std::make_unique<State>()) {}
Metrics::~Metrics() = default;

void Metrics::count_request(const Route* route, http::Method method, unsigned status, std::chrono::nanoseconds took) {
  // Only the table's patterns become labels: what clients send would fill the memory.
  const std::string pattern(route != nullptr ? route->pattern : "none");
  state_->requests
      .Add({{"route", pattern}, {"method", std::string(to_string(method))}, {"status", std::to_string(status)}})
      .Increment();
  if (route != nullptr && route->answer != nullptr) {
    state_->durations.Add({{"route", pattern}}, state_->buckets).Observe(std::chrono::duration<double>(took).count());
  }
}

std::string Metrics::render(const Services& services) const {
  Families families;
  add_inventory(families, services.inventory());
  add_reconcile(families, services.reconcile_metrics);
  families.gauge("bridgehead_event_streams", "Clients that listen to events",
                 static_cast<double>(services.events.streams()));
  families.gauge("bridgehead_info", "The version that runs", 1, {{"version", services.config.version}});
  if (services.extra_metrics) {
    for (const auto& extra : services.extra_metrics()) {
      families.add(extra.name, extra.help,
                   extra.type == ExtraMetric::Type::counter ? MetricType::Counter : MetricType::Gauge, extra.value,
                   extra.labels);
    }
  }
  add_process(families);
  auto all = state_->registry.Collect();
  for (auto& family : families.take()) all.push_back(std::move(family));
  return prometheus::TextSerializer().Serialize(all);
}

}  // namespace bridgehead::control_api
