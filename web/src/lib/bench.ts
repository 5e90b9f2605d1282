// Results of `bh bench`: the file that a run writes, or what `bh bench report -o json` makes of one, which has fitted curves,
// too. Rates follow from runs as in src/bench/record.cpp.
import { megabytes, number } from "./format";

interface Part {
  node: string;
  bytes: number;
  operations: number;
  began: number; // seconds after the common start
  seconds: number;
  p99_ms: number;
  cpu_busy: number | null; // part of all its CPUs
  error: string;
}
interface Run {
  pool: string;
  workload: string;
  nodes: number;
  repetition: number;
  parts: Part[];
}
interface Workload {
  name: string;
  what: string;
  in_operations: boolean;
  in_seconds?: boolean; // told is how long a run takes
  node_bytes: number;
  block_bytes: number;
  seconds: number;
  direct: boolean;
}
interface Pool {
  name: string;
  driver: string;
  servers: number;
  copies: number;
}
interface BenchRecord {
  format: string;
  format_version: number;
  name: string;
  command: string;
  started: string;
  version: string;
  nodes: { name: string; cpu: string; cpus: number; kernel: string }[];
  pools: Pool[];
  workloads: Workload[];
  runs: Run[];
  notes: string[];
}
// A part of `bh bench report -o json`.
export interface Fit {
  workload: string;
  pool: string;
  form: "usl" | "hard_limit";
  usl: { lambda: number; sigma: number; kappa: number; peak: number | null };
  hard_limit: { per_node: number; limit: number | null };
  bottleneck: string;
  because: string;
  advice: string;
}
export interface Result {
  id: string; // of this page
  record: BenchRecord;
  fits: Fit[];
}
export interface Group {
  workload: string;
  pool: string;
  nodes: number;
  rates: number[]; // of its complete runs, bytes or operations a second, all nodes together
  median: number;
  lost: number; // runs that a node didn't finish
  p99: number; // ms, the median of the slowest node's
  cpuBusy: number | null; // the busiest node's, the median of the runs
}

const isObject = (value: unknown): value is { [key: string]: unknown } => typeof value === "object" && value !== null;
function lists(value: { [key: string]: unknown }, ...names: string[]): boolean {
  return names.every((name) => Array.isArray(value[name]));
}

// Throws an Error whose message says what is wrong with the text.
export function readResult(id: string, text: string): Result {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new Error("this is no JSON");
  }
  if (!isObject(json)) throw new Error("this is no result of bh bench");
  const record = isObject(json.record) ? json.record : json;
  if (record.format !== "bridgehead-bench") throw new Error("this is no result of bh bench");
  if (typeof record.format_version !== "number" || record.format_version > 1) throw new Error("a newer version of Bridgehead made this");
  const whole = lists(record, "nodes", "pools", "workloads", "runs") && typeof record.name === "string";
  const runs = whole ? (record.runs as unknown[]) : [];
  if (!whole || !runs.every((run) => isObject(run) && lists(run, "parts") && typeof run.nodes === "number")) {
    throw new Error("parts of the result are missing");
  }
  return { id, record: { notes: [], ...record } as unknown as BenchRecord, fits: Array.isArray(json.scaling) ? (json.scaling as Fit[]) : [] };
}

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
}

// A rate of this workload as people read it; of what is told by its time that time.
export function rateText(workload: Workload | undefined, rate: number): string {
  if (workload?.in_seconds) return rate > 0 ? `${(1 / rate).toFixed(2)} s` : "";
  return workload?.in_operations ? `${number(Math.round(rate))} /s` : megabytes(rate);
}

// What was moved by all nodes, by the time from the first begin to the last end.
function rateOf(run: Run, workload: Workload): number {
  const good = run.parts.filter((part) => !part.error);
  const amount = workload.in_seconds ? 1 : good.reduce((sum, part) => sum + (workload.in_operations ? part.operations : part.bytes), 0);
  const first = Math.min(...good.map((part) => part.began));
  const last = Math.max(...good.map((part) => part.began + part.seconds));
  return last > first ? amount / (last - first) : 0;
}
const complete = (run: Run) => run.parts.length === run.nodes && run.parts.every((part) => !part.error);

// By workload, pool and number of nodes.
export function groupsOf({ record }: Result): Group[] {
  const groups: Group[] = [];
  for (const workload of record.workloads) {
    for (const pool of record.pools) {
      const runs = record.runs.filter((run) => run.workload === workload.name && run.pool === pool.name);
      for (const nodes of [...new Set(runs.map((run) => run.nodes))].sort((a, b) => a - b)) {
        const all = runs.filter((run) => run.nodes === nodes);
        const good = all.filter(complete);
        const rates = good.map((run) => rateOf(run, workload));
        const busy = good.flatMap((run) => run.parts.map((part) => part.cpu_busy ?? -1)).filter((part) => part >= 0);
        groups.push({
          workload: workload.name,
          pool: pool.name,
          nodes,
          rates,
          median: median(rates),
          lost: all.length - good.length,
          p99: median(good.map((run) => Math.max(...run.parts.map((part) => part.p99_ms)))),
          cpuBusy: busy.length ? Math.max(...busy) : null,
        });
      }
    }
  }
  return groups;
}

// What the fitted curve says at a number of nodes; null where the file has none.
export function curveAt(fit: Fit, nodes: number): number {
  if (fit.form === "hard_limit") return Math.min(fit.hard_limit.per_node * nodes, fit.hard_limit.limit ?? Infinity);
  const { lambda, sigma, kappa } = fit.usl;
  return (lambda * nodes) / (1 + sigma * (nodes - 1) + kappa * nodes * (nodes - 1));
}

export interface Pair {
  workload: string;
  pools: string; // of the one, or "one / other"
  nodes: number;
  before: Group;
  after: Group;
  told: boolean; // whether the runs of one are all above those of the other
  refusal: string; // why the two can't be compared
}

const settings = ({ what, node_bytes, block_bytes, seconds, direct }: Workload) => JSON.stringify([what, node_bytes, block_bytes, seconds, direct]);

// The same workload and number of nodes in the same pool; pools of other names are paired where each result has one.
export function compare(before: Result, after: Result): Pair[] {
  const [olds, news] = [groupsOf(before), groupsOf(after)];
  const one = before.record.pools.length === 1 && after.record.pools.length === 1;
  return olds.flatMap((old) => {
    const other = news.find((group) => group.workload === old.workload && group.nodes === old.nodes && (one || group.pool === old.pool));
    if (!other || !old.rates.length || !other.rates.length) return [];
    const setting = (result: Result) => result.record.workloads.find((workload) => workload.name === old.workload)!;
    const cpus = (result: Result) => [...new Set(result.record.nodes.map((node) => node.cpu))].sort().join();
    const refusal =
      settings(setting(before)) !== settings(setting(after))
        ? "other settings"
        : cpus(before) !== cpus(after)
          ? "other CPUs"
          : Math.max(old.cpuBusy ?? 0, other.cpuBusy ?? 0) >= 0.9
            ? "clients' CPUs were the limit"
            : "";
    const told = Math.min(...other.rates) > Math.max(...old.rates) || Math.max(...other.rates) < Math.min(...old.rates);
    const pools = old.pool === other.pool ? old.pool : `${old.pool} / ${other.pool}`;
    return [{ workload: old.workload, pools, nodes: old.nodes, before: old, after: other, told, refusal }];
  });
}
