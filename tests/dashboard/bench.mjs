// What dashboard_test runs on: a manager, and a rack that works without a hypervisor.
import { spawn } from "node:child_process";
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { until } from "./browser.mjs";

export class Bench {
  #directory = mkdtempSync(join(tmpdir(), "dashboard-test-"));
  #manager = null;
  #rack = null;
  #starts = 0;
  port = 0;
  agentPort = 0;

  constructor(programs) {
    this.programs = programs;
  }
  get origin() {
    return `https://127.0.0.1:${this.port}`;
  }

  async makeRack(nodes, guests) {
    const state = join(this.#directory, "state");
    writeFileSync(join(this.#directory, "manager.toml"), `state_dir = "${state}"\n`);
    this.#rack = spawn(join(this.programs, "dashboard_rack"), [state, nodes, guests], { stdio: ["pipe", "pipe", "inherit"] });
    this.#rack.on("exit", (code) => code && console.error(`dashboard_rack ended with ${code}`));
    const lines = createInterface({ input: this.#rack.stdout });
    this.token = await new Promise((done, failed) => (lines.once("line", done), lines.once("close", () => failed(new Error("no rack")))));
  }
  async startManager() {
    const log = join(this.#directory, `manager-${++this.#starts}.log`);
    this.#manager = spawn(
      join(this.programs, "bridgehead-manager"),
      ["--config", join(this.#directory, "manager.toml"), "--listen", `127.0.0.1:${this.port}`, "--agent-listen", `127.0.0.1:${this.agentPort}`],
      { stdio: ["ignore", "ignore", openSync(log, "w")] },
    );
    const ready = await until("MANAGER_READY", 120, () =>
      /MANAGER_READY.*REST at 127.0.0.1:(\d+).*agents at 127.0.0.1:(\d+)/.exec(readFileSync(log, "utf8")),
    );
    [this.port, this.agentPort] = [Number(ready[1]), Number(ready[2])];
  }
  connectAgents() {
    this.#rack.stdin.write(`${this.agentPort}\n`);
  }
  killManager() {
    return new Promise((gone) => (this.#manager.once("exit", gone), this.#manager.kill("SIGKILL")));
  }
  // As a program asks, with a token.
  api(method, path, body, token = this.token) {
    return new Promise((done, failed) => {
      const asked = request(
        `${this.origin}/api/v1${path}`,
        { method, rejectUnauthorized: false, headers: { Authorization: `Bearer ${token}`, ...(body && { "Content-Type": "application/json" }) } },
        (answer) => {
          let text = "";
          answer.on("data", (part) => (text += part));
          answer.on("end", () => done({ status: answer.statusCode, body: text.startsWith("{") ? JSON.parse(text) : text }));
        },
      );
      asked.on("error", failed);
      asked.end(body && JSON.stringify(body));
    });
  }
  async end() {
    this.#rack?.kill();
    this.#manager?.kill("SIGKILL");
    rmSync(this.#directory, { recursive: true, force: true, maxRetries: 5 });
  }
}
