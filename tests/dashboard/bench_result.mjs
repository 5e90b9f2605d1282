// A result as `bh bench run` writes it: two pools, one to five nodes, three times each.
export function benchResult(name, factor) {
  const nodes = ["host1", "host2", "host3", "host4", "host5"];
  const workloads = [
    { name: "image-write", what: "sequential write, 1 MiB blocks", in_operations: false, writes: true, node_bytes: 2 ** 31, block_bytes: 2 ** 20, seconds: 0, direct: false },
    { name: "random-read", what: "random read, 4 KiB blocks", in_operations: true, writes: false, node_bytes: 2 ** 31, block_bytes: 4096, seconds: 20, direct: true },
  ];
  const pools = [
    { name: "nfs1", driver: "nfs", layout: "", servers: 1, server_link_bits: 2e8, server_disk_bytes: 0, copies: 1 },
    { name: "fast", driver: "moosefs", layout: "", servers: 5, server_link_bits: 2e8, server_disk_bytes: 0, copies: 1 },
  ];
  const runs = [];
  for (const workload of workloads) {
    for (const pool of pools) {
      for (let count = 1; count <= nodes.length; count++) {
        for (let repetition = 1; repetition <= 3; repetition++) {
          // One server's link is full at once; five grow with the nodes.
          const all = (pool.name === "nfs1" ? 23.7e6 : (86e6 * count) / (1 + 0.06 * (count - 1))) * (0.97 + 0.015 * repetition) * (pool.name === "fast" ? factor : 1);
          const amount = workload.in_operations ? all / 8192 : all;
          const parts = nodes.slice(0, count).map((node) => ({
            node, bytes: Math.round((all * 20) / count), operations: Math.round((amount * 20) / count), began: 0.01, seconds: 20,
            p50_ms: 4, p99_ms: 9 + count, cpu_busy: 0.1 + count / 50, link_busy: 0.9, error: "",
          }));
          runs.push({ pool: pool.name, workload: workload.name, nodes: count, repetition, started: "2026-01-02T03:04:05Z", parts });
        }
      }
    }
  }
  const facts = nodes.map((node) => ({ name: node, kernel: "6.1.0", cpu: "AMD EPYC 7302", cpus: 32, memory_bytes: 2 ** 37, link_bits: 1e9 }));
  const record = { format: "bridgehead-bench", format_version: 1, name, command: "bh bench run", started: "2026-01-02T03:04:05Z", version: "0.1.0", fio: "fio-3.33", nodes: facts, pools, workloads, runs, notes: [] };
  return { name: `${name}.json`, mimeType: "application/json", buffer: Buffer.from(JSON.stringify(record)) };
}
