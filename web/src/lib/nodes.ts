// What a person wants to know of a node, in a word.
import type { Node } from "../api/client";

export const bootSteps = ["dhcp", "bootstrap", "kernel", "bridge", "root", "handover", "agent", "ready"] as const;
const stepNames: { [step: string]: string } = {
  dhcp: "asks for an address",
  bootstrap: "asks what to boot",
  kernel: "kernel runs",
  bridge: "builds its bridge",
  root: "mounts its root",
  handover: "starts the system",
  agent: "agent starts",
  ready: "ready",
  fallback: "runs without its bridge",
  failed: "boot failed",
};
export const stepName = (step: string) => stepNames[step] ?? step;

export interface Mood {
  state: string;
  tone: "good" | "warn" | "bad" | "idle" | "busy";
}

export function moodOf(node: Node): Mood {
  if (node.netboot?.approval === "waiting") return { state: "waits for approval", tone: "warn" };
  if (node.netboot?.approval === "refused") return { state: "refused", tone: "idle" };
  if (node.netboot && !node.boot && !node.last_seen) return { state: "not booted yet", tone: "idle" };
  if (node.state !== "ready" && node.to_be_off && node.bmc) return { state: "asleep", tone: "idle" };
  const step = node.boot?.step;
  if (node.state !== "ready" && step && step !== "ready" && step !== "agent") {
    if (step === "failed") return { state: "boot failed", tone: "bad" };
    if (node.boot && (!node.last_seen || node.boot.since > node.last_seen)) return { state: stepName(step), tone: "busy" };
  }
  if (node.draining) return { state: "draining", tone: "warn" };
  if (node.state === "ready") {
    if (node.to_be_off) return { state: "ready, to be off", tone: "idle" };
    return node.schedulable ? { state: "ready", tone: "good" } : { state: "closed", tone: "idle" };
  }
  return node.state === "unreachable" ? { state: "unreachable", tone: "bad" } : { state: "not ready", tone: "warn" };
}

// Whether the driver of its BMC reaches its machine's serial console.
export const hasConsole = (node: Node) => node.bmc !== null && node.bmc !== undefined && ["ipmi", "lab"].includes(node.bmc.driver);

// As measured from its guests and itself where its agent does that, or else by its load.
export const busyCpus = (node: Node) => node.use?.cpus ?? Math.min(node.load.load1, node.facts.cpus);
export const busyPart = (node: Node) => (node.facts.cpus ? Math.min(1, busyCpus(node) / node.facts.cpus) : 0);
export const memoryPart = (node: Node) => (node.facts.memory ? 1 - node.load.memory_available / node.facts.memory : 0);
