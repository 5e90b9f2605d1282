// What the pages show, kept as the cluster is now: lists that are loaded when a page first needs them, and then follow the
// event stream. A lost stream is taken up again where it broke; what was missed comes with it, or everything is read anew.
import {
  call,
  type ClusterEvent,
  type Image,
  type Network,
  type Node,
  type Operation,
  type Plan,
  type Pool,
  type Schemas,
  type Vm,
  type VmSummary,
} from "../api/client";
import { openStream } from "./stream";

interface Record {
  id: string;
  name: string;
}

// How many changed records are fetched one by one; beyond that the list is read once.
const fewRecords = 20;
const mostEvents = 1000;

export class Collection<T extends Record> {
  items = $state.raw<T[]>([]);
  loaded = $state(false);
  failure = $state("");
  private wanted = false;
  private running: Promise<void> | null = null;
  private again = false;
  private took = 0;
  private lastRead = 0;

  constructor(
    private readonly list: () => Promise<T[]>,
    private readonly one?: (id: string) => Promise<T>,
  ) {}

  // For a page that shows it. Cheap when it is there.
  want(): this {
    if (!this.wanted) {
      this.wanted = true;
      queueMicrotask(() => void this.read());
    }
    return this;
  }
  find(idOrName: string): T | undefined {
    return this.items.find((item) => item.id === idOrName) ?? this.items.find((item) => item.name === idOrName);
  }
  forget() {
    this.wanted = false;
    this.loaded = false;
    this.items = [];
  }

  read(): Promise<void> {
    if (!this.wanted) return Promise.resolve();
    if (this.running) {
      this.again = true;
      return this.running;
    }
    this.running = this.readNow().finally(() => {
      this.running = null;
      if (!this.again) return;
      this.again = false;
      // A long list that changes all the time is not read all the time.
      setTimeout(() => void this.read(), this.took * 4);
    });
    return this.running;
  }
  private async readNow() {
    const began = performance.now();
    try {
      this.items = await this.list();
      this.loaded = true;
      this.failure = "";
    } catch (failure) {
      this.failure = failure instanceof Error ? failure.message : String(failure);
    }
    this.lastRead = performance.now();
    this.took = this.lastRead - began;
  }

  async touched(ids: Set<string>) {
    if (!this.wanted || !this.loaded) return;
    if (!this.one || ids.size > fewRecords || this.running) return this.read();
    const one = this.one;
    const answers = await Promise.all(
      [...ids].map(async (id) => ({ id, record: await one(id).catch(() => null) })), // gone, mostly
    );
    const changed = new Map(answers.map(({ id, record }) => [id, record]));
    const kept: T[] = [];
    for (const item of this.items) {
      const record = changed.get(item.id);
      changed.delete(item.id);
      if (record !== null) kept.push(record ?? item);
    }
    const added = [...changed.values()].filter((record) => record !== null && record !== undefined);
    if (added.length) kept.push(...added), kept.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
    this.items = kept;
  }

  // Measured values change without events. What is slow to read is read seldom.
  poll(seconds: number) {
    if (!this.wanted || this.running || document.hidden) return;
    if (performance.now() - this.lastRead > Math.max(seconds * 1000, this.took * 50)) void this.read();
  }
}

export function summarize(vm: Vm): VmSummary {
  return {
    id: vm.id,
    name: vm.name,
    phase: vm.status.phase,
    node: vm.node_name,
    cpus: vm.spec.cpus,
    cpu_use: vm.use?.cpus ?? null,
    memory: vm.spec.memory,
    ip: vm.status.ip_addresses[0] ?? "",
    message: vm.status.message,
    created: vm.created,
  };
}

type Heard = (event: ClusterEvent) => void;

class Live {
  connected = $state(true);
  now = $state(Date.now()); // for "3 s ago"
  events = $state.raw<ClusterEvent[]>([]); // newest first
  status = $state.raw<Schemas["Status"] | null>(null);

  readonly vms = new Collection<VmSummary>(
    async () => (await call("get", "/api/v1/vms", { query: { summary: true } })).items as VmSummary[],
    async (vm) => summarize(await call("get", "/api/v1/vms/{vm}", { path: { vm } })),
  );
  readonly nodes = new Collection<Node>(
    async () => (await call("get", "/api/v1/nodes")).items,
    (node) => call("get", "/api/v1/nodes/{node}", { path: { node } }),
  );
  readonly images = new Collection<Image>(
    async () => (await call("get", "/api/v1/images")).items,
    (image) => call("get", "/api/v1/images/{image}", { path: { image } }),
  );
  readonly pools = new Collection<Pool>(
    async () => (await call("get", "/api/v1/pools")).items,
    (pool) => call("get", "/api/v1/pools/{pool}", { path: { pool } }),
  );
  readonly networks = new Collection<Network>(async () => (await call("get", "/api/v1/networks")).items);
  readonly operations = new Collection<Operation & Record>(async () =>
    (await call("get", "/api/v1/operations", { query: { limit: 500 } })).items.map(named),
  );
  readonly plans = new Collection<Plan>(async () => (await call("get", "/api/v1/plans")).items);

  private close: (() => void) | null = null;
  private revision = 0;
  private pending: ClusterEvent[] = [];
  private scheduled = false;
  private timers: ReturnType<typeof setTimeout>[] = [];
  private readonly listeners = new Set<Heard>();
  private retry = 0;
  private statusRunning = false;

  private get collections(): Collection<never>[] {
    const { vms, nodes, images, pools, networks, operations, plans } = this;
    return [vms, nodes, images, pools, networks, operations, plans] as unknown as Collection<never>[];
  }

  async start() {
    this.timers.push(
      setInterval(() => {
        this.now = Date.now();
        this.nodes.poll(5);
        this.vms.poll(15);
        this.pools.poll(15);
      }, 1000),
      setInterval(() => void this.readStatus(), 5000),
    );
    this.operations.want();
    void this.readStatus();
    try {
      const { items, revision } = await call("get", "/api/v1/events", { query: { limit: 200 } });
      this.events = items.reverse();
      this.revision = revision;
    } catch {
      // The stream says whether the manager can be reached.
    }
    this.open();
  }
  stop() {
    this.timers.forEach(clearInterval);
    this.timers = [];
    clearTimeout(this.retry);
    this.close?.();
    this.close = null;
    this.events = [];
    this.status = null;
    this.collections.forEach((one) => one.forget());
  }
  // Until the returned function is called.
  listen(heard: Heard): () => void {
    this.listeners.add(heard);
    return () => this.listeners.delete(heard);
  }

  async readStatus() {
    if (this.statusRunning || document.hidden) return;
    this.statusRunning = true;
    try {
      this.status = await call("get", "/api/v1/status");
    } catch {
      // Told by the stream.
    }
    this.statusRunning = false;
  }

  private open() {
    this.close = openStream(`/api/v1/events/stream?since=${this.revision}`, {
      opened: () => {
        if (!this.connected) this.readAll(); // whatever was missed
        this.connected = true;
      },
      heard: (kind, data) => this.hear(kind, data),
      ended: () => {
        if (!this.close) return; // by stop()
        this.connected = false;
        this.retry = window.setTimeout(() => this.open(), 1000);
      },
    });
  }
  private readAll() {
    this.collections.forEach((one) => void one.read());
    void this.readStatus();
  }

  private hear(kind: string, data: string) {
    if (kind === "stream.gap" || kind === "stream.dropped") return this.readAll();
    if (kind === "operation.progress") return this.progress(named(JSON.parse(data) as Operation));
    const event = JSON.parse(data) as ClusterEvent;
    this.revision = Math.max(this.revision, event.revision);
    this.pending.push(event);
    if (this.scheduled) return;
    this.scheduled = true;
    setTimeout(() => this.flush(), 16);
  }
  // What an operation has changed isn't always told by an event of its own.
  private touchTargets(operations: Set<string>, by: ByKind) {
    for (const operation of this.operations.items) {
      if (operations.has(operation.id) && operation.finished && operation.target) void by[operation.target_kind]?.touched(new Set([operation.target]));
    }
  }
  private progress(operation: Operation & Record) {
    const known = this.operations.items.some((one) => one.id === operation.id);
    const items = this.operations.items.map((one) => (one.id === operation.id ? operation : one));
    this.operations.items = known ? items : [operation, ...items];
  }
  private flush() {
    this.scheduled = false;
    const events = this.pending;
    this.pending = [];
    this.events = [...events.toReversed(), ...this.events].slice(0, mostEvents);
    const ids = new Map<string, Set<string>>();
    for (const event of events) {
      // What isn't one record of its kind (the cluster, all agents) has no id.
      if (event.object) ids.set(event.object_kind, (ids.get(event.object_kind) ?? new Set()).add(event.object));
      for (const heard of this.listeners) heard(event);
    }
    const by: ByKind = {
      vm: this.vms as never,
      node: this.nodes as never,
      image: this.images as never,
      pool: this.pools as never,
      network: this.networks as never,
      plan: this.plans as never,
    };
    for (const [kind, changed] of ids) void by[kind]?.touched(changed);
    // Operations are named by what they act on; their list is short.
    const operations = new Set(events.filter((one) => one.kind.startsWith("operation.")).map((one) => one.object));
    if (operations.size) void this.operations.read().then(() => this.touchTargets(operations, by));
    if (ids.has("vm")) void this.images.read(); // disks come and go with their VMs
    void this.readStatus();
  }
}

type ByKind = { [kind: string]: Collection<never> };
const named = (operation: Operation): Operation & Record => ({ ...operation, name: operation.target_name });

export const live = new Live();
