// Benchmarks of pools, and what came of them.
#include <algorithm>

#include "control_api/bodies/bench_requests.h"
#include "control_api/resources/answers.h"
#include "control_api/resources/handlers.h"
#include "model/json.h"
#include "reconcile/commands/benchmarks.h"

namespace bridgehead::control_api {
namespace {

// Without the result, which may be large; whether there is one is told.
nlohmann::json summary_of(const model::Benchmark& benchmark) {
  nlohmann::json json = benchmark;
  json.erase("result");
  json["measured"] = !benchmark.result.empty();
  json["settings"]["pool_names"] = nlohmann::json::array();
  for (const auto& pool : benchmark.settings.pools) json["settings"]["pool_names"].push_back(pool.name);
  json["settings"]["node_names"] = nlohmann::json::array();
  for (const auto& node : benchmark.settings.nodes) json["settings"]["node_names"].push_back(node.name);
  return json;
}

Result<http::Response> benchmark_answer(const reconcile::Caller& caller, unsigned status,
                                        const Result<model::Benchmark>& benchmark) {
  if (!benchmark) return forward(benchmark);
  nlohmann::json body = {{"benchmark", summary_of(*benchmark)}};
  if (caller.dry_run) body["dry_run"] = true;
  return json_answer(caller.dry_run ? 200 : status, body);
}

}  // namespace

Result<http::Response> list_benchmarks(Services& services, const Call&) {
  const auto revision = services.inventory().revision();
  auto all = services.inventory().all<model::Benchmark>();
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a->value.created > b->value.created; });
  return list_answer(revision, all, [](std::string& out, const state::Record<model::Benchmark>& record) {
    out += dump(summary_of(record->value));
    return true;
  });
}

Result<http::Response> start_benchmark(Services& services, const Call& call) {
  const auto request = read_start_benchmark(call.body);
  if (!request) return forward(request);
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  const auto accepted = reconcile::start_benchmark(services.commander, *caller, *request);
  if (!accepted) return forward(accepted);
  return accepted_answer(*caller, "benchmark", summary_of(accepted->object), accepted->operation);
}

Result<http::Response> get_benchmark(Services& services, const Call& call) {
  const auto record = reconcile::resolve<model::Benchmark>(services.inventory(), call.parameters[0]);
  if (!record) return forward(record);
  auto json = summary_of((*record)->value);
  const auto& result = (*record)->value.result;
  json["result"] = result.empty() ? nlohmann::json() : nlohmann::json::parse(result, nullptr, false);
  return json_answer(200, json);
}

Result<http::Response> keep_benchmark(Services& services, const Call& call) {
  const auto request = read_keep_benchmark(call.body);
  if (!request) return forward(request);
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  return benchmark_answer(*caller, 201, reconcile::keep_benchmark(services.commander, *caller, *request));
}

Result<http::Response> keep_more_of_benchmark(Services& services, const Call& call) {
  const auto request = read_keep_benchmark(call.body);
  if (!request) return forward(request);
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  return benchmark_answer(*caller, 200,
                          reconcile::keep_benchmark(services.commander, *caller, *request, call.parameters[0]));
}

Result<http::Response> remove_benchmark(Services& services, const Call& call) {
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  return benchmark_answer(*caller, 200, reconcile::remove_benchmark(services.commander, *caller, call.parameters[0]));
}

}  // namespace bridgehead::control_api
