// A browser on a manager's pages, and what must never be there: requests to elsewhere, what the Content-Security-Policy
// refuses, errors in scripts, serious findings of axe-core.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

export async function until(what, seconds, look) {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`waited ${seconds} s in vain for: ${what}`);
    await pause(50);
  }
}

// For what a noisy machine makes slow at times: the best of some tries has to be good enough.
export async function bestOf(tries, good, measure) {
  let best = Infinity;
  for (let n = 0; n < tries && !(best < good); n++) best = Math.min(best, await measure());
  return best;
}

const began = Date.now();
let checks = 0;
export const checked = () => checks;
export function ok(what) {
  checks++;
  console.log(`ok: ${what} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
}

export class Browser {
  faults = [];
  #browser = null;
  #axe = "";
  #origin;

  // `packages`: where playwright-core and axe-core are installed. `origin`: of the manager, which may change its port.
  static async start(packages, origin) {
    const from = createRequire(join(packages, "package.json"));
    const made = new Browser();
    made.#origin = origin;
    made.#axe = readFileSync(from.resolve("axe-core/axe.min.js"), "utf8");
    made.#browser = await from("playwright-core").chromium.launch({
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      chromiumSandbox: process.getuid() !== 0, // root may not
    });
    return made;
  }

  async open(scheme = "light", size = { width: 1280, height: 860 }) {
    const context = await this.#browser.newContext({ ignoreHTTPSErrors: true, colorScheme: scheme, viewport: size });
    const page = await context.newPage();
    page.setDefaultTimeout(Number(process.env.PATIENCE ?? 60_000)); // for what takes a second where nothing else runs
    page.on("request", (request) => {
      const { protocol, host } = new URL(request.url());
      const own = ["https:", "wss:"].includes(protocol) && host === new URL(this.#origin()).host;
      if (!own && !["data:", "blob:"].includes(protocol)) this.faults.push(`asked ${request.url()}`);
    });
    page.on("console", (message) => {
      if (/content security policy|refused to/i.test(message.text())) this.faults.push(message.text());
    });
    page.on("pageerror", (error) => this.faults.push(error.stack ?? String(error)));
    return page;
  }
  async login(page, token) {
    await page.goto(`${this.#origin()}/`);
    await page.getByLabel("Access token").fill(token);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.locator("#main").waitFor();
  }
  show(page, path) {
    return page.goto(`${this.#origin()}/#/${path}`);
  }
  heading(page, name) {
    return page.getByRole("heading", { name, level: 1 }).waitFor();
  }
  async accessible(page, what) {
    await page.evaluate(this.#axe);
    const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
    const serious = violations.filter((one) => one.impact === "serious" || one.impact === "critical");
    this.faults.push(...serious.map((one) => `${what}: ${one.id} at ${one.nodes.map((node) => node.target.join(" ")).join(", ")}`));
  }
  // Tells the CPU time that the page's main thread has taken, in ms: whatever else this machine does.
  async cpuMeter(page) {
    const client = await page.context().newCDPSession(page);
    await client.send("Performance.enable", { timeDomain: "threadTicks" });
    return async () => 1000 * (await client.send("Performance.getMetrics")).metrics.find(({ name }) => name === "TaskDuration").value;
  }
  // Something other than one colour on a guest's screen: how many colours, of a grid of its pixels.
  colours(page) {
    return page.evaluate(() => {
      const canvas = document.querySelector(".screen canvas");
      if (!canvas?.width) return [];
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      const seen = new Set();
      for (let at = 0; at < data.length; at += 4) seen.add(`${data[at]},${data[at + 1]},${data[at + 2]}`);
      return [...seen];
    });
  }
  // Runs `test`, tells what the pages say when it fails, and ends.
  async during(test) {
    try {
      await test();
    } catch (failure) {
      for (const page of this.#browser.contexts().flatMap((context) => context.pages())) {
        console.error(`${page.url()} says:\n${await page.locator("body").innerText()}`);
      }
      throw failure;
    } finally {
      await this.#browser.close();
    }
  }
}
