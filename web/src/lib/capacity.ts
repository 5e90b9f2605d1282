// Sums over nodes and pools.
import type { Node, Pool } from "../api/client";
import { busyCpus } from "./nodes";

// A node that is no member yet, or that nobody has heard of, brings nothing.
export function capacity(nodes: Node[], pools: Pool[]) {
  const sum = { cpus: 0, busy: 0, memory: 0, memoryFree: 0, storage: 0, storageFree: 0 };
  for (const node of nodes) {
    if (node.state === "unreachable") continue;
    sum.cpus += node.facts.cpus;
    sum.busy += busyCpus(node);
    sum.memory += node.facts.memory;
    sum.memoryFree += node.load.memory_available;
  }
  for (const pool of pools) {
    const { total, available } = poolSpace(pool);
    sum.storage += total;
    sum.storageFree += available;
  }
  return sum;
}

// A local pool is another one on each node; a shared one is the same everywhere, as its nodes see it.
export function poolSpace(pool: Pool): { total: number; available: number; shared: boolean } {
  const views = Object.values(pool.nodes).filter((view) => view.total > 0);
  const shared = pool.driver !== "local";
  if (!views.length) return { total: 0, available: 0, shared };
  if (shared) {
    return { total: Math.max(...views.map((view) => view.total)), available: Math.min(...views.map((view) => view.available)), shared };
  }
  let total = 0;
  let available = 0;
  for (const view of views) {
    total += view.total;
    available += view.available;
  }
  return { total, available, shared };
}
