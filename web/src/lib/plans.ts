// Plans in words and numbers.
import type { Plan, Schemas } from "../api/client";
import { count } from "./format";

export type PlanAction = Schemas["PlanAction"];

const kinds: { [kind in PlanAction["kind"]]: string } = {
  place: "starts on",
  move: "moves to",
  wake: "is woken",
  sleep: "is emptied for sleep",
};
export const actionWords = (action: PlanAction) => kinds[action.kind];

export function summaryOf(plan: Plan): string {
  const by = (kind: PlanAction["kind"]) => plan.actions.filter((action) => action.kind === kind).length;
  const [moves, places, wakes, sleeps] = [by("move"), by("place"), by("wake"), by("sleep")];
  const parts = [
    moves && count(moves, "move"),
    places && count(places, "placement"),
    wakes && `${count(wakes, "node")} to wake`,
    sleeps && `${count(sleeps, "node")} to empty`,
  ].filter(Boolean);
  return parts.length ? parts.join(", ") : "nothing to do";
}

export interface Flow {
  from: string;
  to: string;
  vms: string[];
  state: PlanAction["state"];
}

// Moves between the same two nodes are one line; it counts as done when all of them are.
export function flowsOf(actions: PlanAction[]): Flow[] {
  const flows = new Map<string, Flow>();
  for (const action of actions) {
    if (action.kind !== "move") continue;
    const key = `${action.from} ${action.to}`;
    const known = flows.get(key);
    if (!known) {
      flows.set(key, { from: action.from_name, to: action.to_name, vms: [action.vm_name], state: action.state });
    } else {
      known.vms.push(action.vm_name);
      if (action.state !== "done") known.state = action.state;
    }
  }
  return [...flows.values()].sort((a, b) => b.vms.length - a.vms.length);
}
