// How a pool is, from what its nodes say.
import type { Pool } from "../api/client";

export function healthOf(pool: Pool): { state: string; tone: "good" | "warn" | "bad" | "idle"; ready: number; nodes: number; down: string[] } {
  const views = Object.values(pool.nodes);
  const ready = views.filter((view) => view.ready).length;
  const down = [...new Set(views.flatMap((view) => view.targets_down))];
  const counts = { ready, nodes: views.length, down };
  if (pool.deleting) return { state: "deleting", tone: "idle", ...counts };
  if (!views.length) return { state: "on no node yet", tone: "idle", ...counts };
  if (ready === 0) return { state: "not usable", tone: "bad", ...counts };
  if (down.length) return { state: "targets down", tone: "bad", ...counts };
  if (ready < views.length) return { state: "not everywhere", tone: "warn", ...counts };
  return { state: "healthy", tone: "good", ...counts };
}
