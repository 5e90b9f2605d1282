// Numbers and times as people read them.

const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

export function bytes(value: number): string {
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = unit === 0 || value >= 100 || Number.isInteger(value) ? 0 : 1;
  return `${value.toFixed(digits)} ${units[unit]}`;
}

export const rate = (value: number) => `${bytes(value)}/s`;
export const watts = (value: number) => (value >= 10_000 ? `${(value / 1000).toFixed(1)} kW` : `${Math.round(value)} W`);
// As `bh bench` tells rates: of 10^6 bytes.
export const megabytes = (value: number) => `${(value / 1e6).toFixed(value < 1e8 ? 1 : 0)} MB/s`;
export const percent = (part: number) => `${Math.round(part * 100)} %`;
export const number = (value: number) => value.toLocaleString("en");
export const count = (value: number, one: string, many = `${one}s`) => `${number(value)} ${value === 1 ? one : many}`;

export function cpus(value: number): string {
  return value >= 100 ? number(Math.round(value)) : value.toFixed(value >= 10 || Number.isInteger(value) ? 0 : 1);
}

export function duration(seconds: number): string {
  if (seconds < 1) return "under 1 s";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 36 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

export function ago(time: string, now: number): string {
  if (!time) return "never";
  const seconds = (now - Date.parse(time)) / 1000;
  return seconds < 5 ? "just now" : `${duration(seconds)} ago`;
}

export function clock(time: string): string {
  if (!time) return "";
  const date = new Date(time);
  const sameDay = date.toDateString() === new Date().toDateString();
  return sameDay ? date.toLocaleTimeString("en-GB") : `${date.toLocaleDateString("en-CA")} ${date.toLocaleTimeString("en-GB")}`;
}

// "vm.snapshot.create" -> "Snapshot create"? No: what a person calls it.
const names: Record<string, string> = {
  "vm.create": "Create VM",
  "vm.start": "Start VM",
  "vm.stop": "Stop VM",
  "vm.reboot": "Reboot VM",
  "vm.pause": "Pause VM",
  "vm.resume": "Resume VM",
  "vm.restart": "Restart VM elsewhere",
  "vm.migrate": "Migrate VM",
  "vm.update": "Change VM",
  "vm.delete": "Delete VM",
  "vm.snapshot.create": "Take snapshot",
  "vm.snapshot.rollback": "Roll back",
  "vm.snapshot.delete": "Delete snapshot",
  "image.import": "Import image",
  "image.delete": "Delete image",
  "image.migrate": "Move image",
  "image.flatten": "Flatten image",
  "pool.add": "Add pool",
  "pool.remove": "Remove pool",
  "network.create": "Create network",
  "network.delete": "Delete network",
  "node_image.build": "Build node image",
  "node_image.import": "Import node image",
  "node_image.delete": "Delete node image",
  "plan.apply": "Apply plan",
  "bench.run": "Benchmark",
};
export const operationName = (kind: string) => names[kind] ?? kind;
