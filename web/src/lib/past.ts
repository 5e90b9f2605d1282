// What was measured before the page was opened, as charts take it.
import type { Schemas } from "../api/client";

type UsePast = Schemas["UsePast"];
export type Point = NonNullable<UsePast["points"][number]>;

// In the middle of each step, the last one now; what lies before the first measurement is left out.
export function pastTimes(past: UsePast, now: number): { times: number[]; points: (Point | null)[] } {
  const begin = Date.parse(past.from) / 1000;
  const first = past.points.findIndex((point) => point !== null);
  if (first < 0) return { times: [], points: [] };
  const points = past.points.slice(first);
  const times = points.map((_, index) => Math.min(begin + (first + index + 0.5) * past.step_seconds, now));
  return { times, points };
}
