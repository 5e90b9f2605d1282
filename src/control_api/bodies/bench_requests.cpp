#include "control_api/bodies/bench_requests.h"

#include "control_api/bodies/read_body.h"

namespace bridgehead::control_api {

Result<reconcile::StartBenchmark> read_start_benchmark(std::string_view body) {
  return read_body<reconcile::StartBenchmark>(body, [](ObjectReader& reader, reconcile::StartBenchmark& request) {
    reader.text("name", request.name);
    reader.require("pools");
    reader.objects("pools", [&](ObjectReader& pool) {
      reconcile::BenchmarkPoolRequest one;
      pool.text("pool", one.pool);
      pool.require("pool");
      pool.number("servers", one.servers);
      pool.real("server_link_bits", one.server_link_bits);
      pool.real("server_disk_bytes", one.server_disk_bytes);
      pool.number("copies", one.copies);
      request.pools.push_back(std::move(one));
    });
    reader.texts("nodes", request.nodes);
    reader.number("most_nodes", request.most_nodes);
    reader.text("counts", request.counts);
    reader.texts("workloads", request.workloads);
    reader.size("file_size", request.file_size);
    reader.number("seconds", request.seconds);
    reader.number("repetitions", request.repetitions);
    reader.number("users", request.users);
    reader.size("rate", request.rate);
    reader.real("pressure", request.pressure);
    reader.real("guest_disk_ms", request.guest_disk_ms);
    reader.real("node_link_bits", request.node_link_bits);
    reader.number("seed", request.seed);
    reader.text("guest_image", request.guest_image);
    reader.number("guest_cpus", request.guest_cpus);
    reader.size("guest_memory", request.guest_memory);
  });
}

Result<reconcile::KeepBenchmark> read_keep_benchmark(std::string_view body) {
  return read_body<reconcile::KeepBenchmark>(body, [](ObjectReader& reader, reconcile::KeepBenchmark& request) {
    reader.text("name", request.name);
    reader.text("result", request.result, 1 << 20);
    reader.require("result");
    reader.number("runs", request.runs);
    reader.text("message", request.message);
  });
}

}  // namespace bridgehead::control_api
