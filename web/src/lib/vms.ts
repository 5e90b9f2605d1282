// What can be done to VMs, with the words for it.
import { call, type VmSummary } from "../api/client";
import { ask } from "./ask.svelte";
import { count } from "./format";

type Phase = VmSummary["phase"];
export type PowerAction = "start" | "stop" | "reboot" | "pause" | "resume";

// In which phases an action makes sense; the manager has the last word.
export const possible: { [action in PowerAction]: Phase[] } = {
  start: ["stopped", "failed"],
  stop: ["running", "paused", "unknown"],
  reboot: ["running"],
  pause: ["running"],
  resume: ["paused"],
};
const doing: { [action in PowerAction]: string } = {
  start: "Start",
  stop: "Stop",
  reboot: "Reboot",
  pause: "Pause",
  resume: "Resume",
};

type Named = { name: string };
const listed = (vms: Named[]) => (vms.length === 1 ? (vms[0]?.name ?? "") : count(vms.length, "VM"));
const names = (vms: Named[]) => {
  const first = vms.slice(0, 8).map((vm) => vm.name);
  return vms.length > 8 ? `${first.join(", ")} and ${vms.length - 8} more` : first.join(", ");
};

// A few at a time: a thousand requests at once would only wait for each other.
async function each<T>(vms: Named[], action: (vm: string) => Promise<T>): Promise<T[]> {
  const answers: T[] = [];
  for (let at = 0; at < vms.length; at += 4) {
    answers.push(...(await Promise.all(vms.slice(at, at + 4).map((vm) => action(vm.name)))));
  }
  return answers;
}
const operationsOf = <T extends { operation: unknown }>(answers: T[]) => ({ operations: answers.map((one) => one.operation) });

function send(action: PowerAction, vm: string, force: boolean) {
  const path = { vm };
  switch (action) {
    case "start":
      return call("post", "/api/v1/vms/{vm}/start", { path, body: {} });
    case "stop":
      return call("post", "/api/v1/vms/{vm}/stop", { path, body: { force } });
    case "reboot":
      return call("post", "/api/v1/vms/{vm}/reboot", { path, body: { force } });
    case "pause":
      return call("post", "/api/v1/vms/{vm}/pause", { path, body: {} });
    case "resume":
      return call("post", "/api/v1/vms/{vm}/resume", { path, body: {} });
  }
}

export function power(action: PowerAction, vms: Named[]) {
  const run = async (force: boolean) => operationsOf(await each(vms, (vm) => send(action, vm, force)));
  const what = `${doing[action]} ${listed(vms)}`;
  // What only begins or goes on harms nobody.
  if (action === "start" || action === "resume") return void ask.run(what, () => run(false));
  const texts = {
    stop: "The guest is asked to shut down; after 60 s it is switched off.",
    reboot: "The guest is asked to restart.",
    pause: "The guest stands still until it is resumed; who talks to it waits.",
  };
  ask.confirm({
    title: `${what}?`,
    text: vms.length > 1 ? names(vms) : texts[action],
    consequences: vms.length > 1 ? [texts[action]] : [],
    action: doing[action],
    danger: action !== "pause",
    option: action === "pause" ? undefined : "At once, without asking the guest: what it has not written is lost",
    run,
  });
}

export function remove(vms: Named[], done: () => void = () => {}) {
  ask.confirm({
    title: `Delete ${listed(vms)}?`,
    text: vms.length > 1 ? names(vms) : "This can't be undone.",
    consequences: ["A running guest is switched off at once.", "Its disks and snapshots are deleted."],
    action: "Delete",
    danger: true,
    option: "Keep the disks, detached, as images",
    run: async (keep) => {
      const answers = await each(vms, (vm) =>
        call("delete", "/api/v1/vms/{vm}", { path: { vm }, query: { keep_disks: keep } }),
      );
      done();
      return operationsOf(answers);
    },
  });
}

export function migrate(vms: Named[]) {
  ask.confirm({
    title: `Move ${listed(vms)} to other nodes?`,
    text: names(vms),
    consequences: ["Each goes live, while it runs, to the least loaded node that passes all checks."],
    action: "Move",
    run: async () =>
      operationsOf(await each(vms, (vm) => call("post", "/api/v1/vms/{vm}/migrate", { path: { vm }, body: {} }))),
  });
}

export function snapshot(vms: Named[], name: string) {
  void ask.run(`Snapshot ${name} of ${listed(vms)}`, async () =>
    operationsOf(await each(vms, (vm) => call("post", "/api/v1/vms/{vm}/snapshots", { path: { vm }, body: { name } }))),
  );
}
