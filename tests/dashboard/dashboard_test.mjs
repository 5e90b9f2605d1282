// The dashboard in a real browser, on the pages of a real manager.
//   node dashboard_test.mjs --bin DIRECTORY --packages DIRECTORY [--screenshots DIRECTORY]
// --packages: where playwright-core and axe-core are installed. --screenshots: also writes a picture of each page.
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { Bench, openBrowser, until } from "./bench.mjs";

const { values: options } = parseArgs({
  options: { bin: { type: "string" }, packages: { type: "string" }, screenshots: { type: "string" } },
});
const patience = Number(process.env.PATIENCE ?? 60_000); // ms, for what takes a second on a machine that does nothing else
const bench = new Bench(resolve(options.bin));
const { browser, axe } = await openBrowser(resolve(options.packages));
const began = Date.now();
let checks = 0;
function ok(what) {
  checks++;
  console.log(`ok: ${what} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
}

// What must never be: requests to elsewhere, what the Content-Security-Policy refuses, serious findings of axe-core.
const faults = [];
async function open(scheme = "light", size = { width: 1280, height: 860 }) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, colorScheme: scheme, viewport: size });
  const page = await context.newPage();
  page.setDefaultTimeout(patience);
  page.on("request", (request) => {
    if (!/^(wss|https):\/\/127\.0\.0\.1:|^(data|blob):/.test(request.url())) faults.push(`asked ${request.url()}`);
  });
  page.on("console", (message) => {
    if (/content security policy|refused to/i.test(message.text())) faults.push(message.text());
  });
  page.on("pageerror", (error) => faults.push(String(error)));
  return page;
}
async function login(page, token = bench.token) {
  await page.goto(`${bench.origin}/`);
  await page.getByLabel("Access token").fill(token);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.locator("#main").waitFor();
}
const show = (page, path) => page.goto(`${bench.origin}/#/${path}`);
const heading = (page, name) => page.getByRole("heading", { name, level: 1 }).waitFor();
async function picture(page, name) {
  if (!options.screenshots) return;
  mkdirSync(options.screenshots, { recursive: true });
  writeFileSync(join(options.screenshots, `${name}.png`), await page.screenshot({ animations: "disabled" }));
}
async function accessible(page, what) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  const serious = violations.filter((one) => one.impact === "serious" || one.impact === "critical");
  faults.push(...serious.map((one) => `${what}: ${one.id} at ${one.nodes.map((node) => node.target.join(" ")).join(", ")}`));
}

// Each page with what its heading says.
const pages = [
  ["overview", "", /well|need/],
  ["nodes", "nodes", "Nodes"],
  ["node", "nodes/node-0003", "node-0003"],
  ["boot", "nodes/booting-machine/boot", "booting-machine"],
  ["vms", "vms", "VMs"],
  ["vm", "vms/guest-00003", "guest-00003"],
  ["images", "images", "Images"],
  ["image", "images/debian-12", "debian-12"],
  ["pools", "pools", "Pools"],
  ["pool", "pools/shared", "shared"],
  ["plans", "plans", "Plans"],
  ["what-if", "plans/what-if", "What if …"],
  ["activity", "activity", "Activity"],
  ["events", "activity/events", "Activity"],
  ["tokens", "settings/tokens", "Settings"],
  ["join", "settings/nodes", "Settings"],
  ["networks", "settings/networks", "Settings"],
  ["policy", "settings/policy", "Settings"],
  ["profiles", "settings/profiles", "Settings"],
];

const plain = new Set(["image", "pool", "what-if", "events", "join", "networks", "profiles"]); // not worth a picture

async function firstPage() {
  const page = await open();
  const client = await page.context().newCDPSession(page);
  await client.send("Network.enable");
  let bytes = 0;
  client.on("Network.loadingFinished", (event) => (bytes += event.encodedDataLength));
  await page.goto(`${bench.origin}/`);
  await page.getByLabel("Access token").fill("bh_wrong");
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("alert").getByText("unknown or has expired").waitFor();
  await login(page);
  await heading(page, /well|need/);
  assert.ok(bytes < 300 * 1024, `the first page took ${bytes} bytes`);
  const [cookie] = await page.context().cookies();
  assert.deepEqual([cookie.httpOnly, cookie.secure, cookie.sameSite], [true, true, "Strict"]);
  assert.equal(await page.evaluate(() => document.cookie), "");
  ok(`log in; the first page is ${Math.round(bytes / 1024)} KiB`);
  const at = Date.now();
  await page.reload();
  await page.getByRole("link", { name: "Create VM" }).waitFor();
  ok(`the page is there again after ${Date.now() - at} ms`);
  return page;
}

async function createAndUse(page) {
  await page.getByRole("link", { name: "Create VM" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name").fill("fresh");
  await dialog.getByRole("button", { name: "Next" }).click();
  await dialog.getByLabel("Memory").fill("2GiB");
  await picture(page, "create-light");
  await dialog.getByRole("button", { name: "Next" }).click();
  await dialog.getByRole("button", { name: "Create", exact: true }).click();
  await heading(page, "fresh");
  await page.getByText("running", { exact: true }).first().waitFor();
  ok("create a VM, and see it run");

  await page.getByRole("link", { name: "Serial console" }).click();
  const terminal = page.getByRole("group", { name: "Serial console of fresh" });
  await terminal.getByText("guest login:").first().waitFor();
  await page.keyboard.type("dashboard");
  await terminal.getByText("guest login: dashboard").first().waitFor();
  await picture(page, "console-light");
  assert.equal((await bench.api("PATCH", "/vms/fresh", { labels: { seen: "yes" } })).status < 300, true);
  await page.keyboard.type("-again");
  await terminal.getByText("guest login: dashboard-again").first().waitFor();
  ok("type in its serial console, which news of the guest don't disturb");

  await page.getByRole("link", { name: "Screen", exact: true }).click();
  await until("a colour on the guest's screen", 60, () =>
    page.evaluate(() => {
      const canvas = document.querySelector(".screen canvas");
      if (!canvas?.width) return false;
      const [red, green, blue] = canvas.getContext("2d").getImageData(10, 10, 1, 1).data;
      return red + green + blue > 150 && green === 0x80;
    }),
  );
  await picture(page, "screen-light");
  ok("see its screen");

  const nodeOf = async () => (await bench.api("GET", "/vms/fresh")).body.node_name;
  const before = await nodeOf();
  await page.getByRole("button", { name: "Move" }).click();
  await page.getByRole("dialog").getByRole("button", { name: /^Move to/ }).click();
  await until("the move", 60, async () => (await nodeOf()) !== before);
  await page.getByRole("link", { name: "Overview" }).last().click();
  await page.getByRole("link", { name: await nodeOf(), exact: true }).waitFor();
  ok("move it to another node");

  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByRole("dialog").getByText("asked to shut down").waitFor();
  await picture(page, "confirm-light");
  await page.getByRole("dialog").getByRole("button", { name: "Stop" }).click();
  await page.getByText("stopped", { exact: true }).first().waitFor();
  ok("stop it, after a question that says what happens");
}

async function everyPage(page, scheme) {
  for (const [name, path, title] of pages) {
    await show(page, path);
    await heading(page, title);
    await page.getByText("Loading …").first().waitFor({ state: "detached" });
    await accessible(page, `${name}, ${scheme}`);
    if (!plain.has(name)) await picture(page, `${name}-${scheme}`);
  }
  assert.equal(await page.evaluate(() => window.broken), undefined, "a script in a name ran");
  assert.deepEqual(faults, []);
  ok(`${pages.length} pages, ${scheme}: no serious finding of axe-core, and scripts in names don't run`);
}

async function plan(page) {
  await show(page, "plans");
  await page.getByRole("heading", { name: "Moves from host to host" }).waitFor();
  await picture(page, "plan-light");
  await page.getByRole("button", { name: "Apply" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Apply" }).click();
  await page.getByRole("heading", { name: /^Plan / }).waitFor();
  await page.getByText("applied", { exact: true }).waitFor();
  ok("look at a plan and apply it");
}

async function uploadImage(page) {
  await show(page, "images");
  await page.getByRole("button", { name: "Import" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("File", { exact: true }).setInputFiles({ name: "mine.raw", mimeType: "application/octet-stream", buffer: Buffer.alloc(3 << 20, 7) });
  await dialog.getByRole("button", { name: "Import" }).click();
  await dialog.waitFor({ state: "detached" });
  await until("the image", 60, async () => (await bench.api("GET", "/images/mine")).body.state === "ready");
  await show(page, "images/mine");
  await page.getByText("ready", { exact: true }).first().waitFor();
  ok("upload an image");
}

async function approve(page) {
  await show(page, "nodes");
  await page.getByRole("list", { name: /^Boot:/ }).waitFor();
  await page.getByRole("button", { name: "Approve", exact: true }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Approve" }).click();
  await page.getByRole("heading", { name: "1 machine waits" }).waitFor({ state: "detached" });
  ok("approve a machine, with another's boot in sight");
}

// Ten guests at once, and how soon the page shows what somebody else does.
async function others(page) {
  await show(page, "vms");
  await page.getByRole("searchbox").fill("guest-0001");
  await page.getByRole("checkbox", { name: "Choose all that are listed" }).check();
  await page.getByText("10 chosen").waitFor();
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Stop" }).click();
  await until("ten that are stopped", 60, async () => (await page.getByRole("cell").getByText("stopped", { exact: true }).count()) === 10);
  ok("stop ten at once");

  await show(page, "activity/events");
  await heading(page, "Activity");
  await page.evaluate(() => {
    const seen = new MutationObserver(() => {
      if (!document.querySelector("[role=table]")?.textContent?.includes("guest-00050")) return;
      window.seenAt = Date.now();
      seen.disconnect();
    });
    seen.observe(document.body, { childList: true, subtree: true, characterData: true });
  });
  const asked = Date.now();
  assert.equal((await bench.api("POST", "/vms/guest-00050/pause", {})).status, 202);
  const took = (await until("the event", 60, () => page.evaluate(() => window.seenAt))) - asked;
  assert.ok(took < 5000);
  ok(`what somebody else does is shown ${took} ms after it was asked for`);
}

async function viewer(page) {
  await show(page, "settings/tokens");
  await page.getByLabel("Name").fill("looker");
  await page.getByRole("button", { name: "Make it" }).click();
  const token = await page.locator("code.secret").textContent();
  const other = await open("dark", { width: 400, height: 800 });
  await login(other, token);
  await show(other, "vms/guest-00004");
  await heading(other, "guest-00004");
  await other.getByRole("heading", { name: "Disks" }).waitFor();
  assert.equal(await other.getByRole("button", { name: /Start|Stop|Reboot|Pause|Move|Delete|Resize|Remove|Add/ }).count(), 0);
  await show(other, "vms/guest-00004/console");
  await other.getByText("needs the role operator").waitFor();
  // And whatever the page offers: its cookie changes nothing.
  const statuses = await other.evaluate(async () => {
    const asked = [
      ["POST", "/vms/guest-00004/stop", {}],
      ["DELETE", "/vms/guest-00004"],
      ["POST", "/vms", { name: "x", image: "debian-12" }],
      ["POST", "/tokens", { name: "x", role: "admin" }],
      ["PATCH", "/policy", { balance: "auto" }],
      ["POST", "/nodes/node-0001/drain"],
    ];
    const answers = asked.map(([method, path, body]) =>
      fetch(`/api/v1${path}`, {
        method,
        headers: body ? { "Content-Type": "application/json" } : {},
        body: body && JSON.stringify(body),
      }),
    );
    return (await Promise.all(answers)).map((answer) => answer.status);
  });
  assert.deepEqual([...new Set(statuses)], [403]);
  await show(other, "");
  await heading(other, /well|need/);
  await picture(other, "phone-dark");
  const wide = await other.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  assert.ok(!wide, "the page is wider than a phone");
  await other.context().close();
  ok("a viewer changes nothing; it fits a phone");
}

async function longList() {
  const page = await open();
  const vm = (n) => ({
    id: `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`,
    name: `many-${String(n).padStart(5, "0")}`,
    phase: n % 7 ? "running" : "stopped",
    node: `node-${String(n % 1000).padStart(4, "0")}`,
    cpus: 4,
    cpu_use: (n % 40) / 10,
    memory: 4 << 30,
    ip: `10.20.${n % 250}.${n % 200}`,
    message: "",
    created: "2026-01-01T00:00:00.000Z",
  });
  const items = Array.from({ length: 20_000 }, (_, n) => vm(n));
  await page.route(/vms\?summary=true/, (route) => route.fulfill({ json: { items, revision: 1 } }));
  await login(page);
  await show(page, "vms");
  await page.getByText("20,000 VMs").waitFor();
  const { frames, busy, rows } = await page.evaluate(async () => {
    const table = document.querySelector("[role=table]");
    const frame = () => new Promise((next) => requestAnimationFrame(next));
    let busy = 0;
    let frames = 0;
    const began = performance.now();
    while (performance.now() - began < 2000) {
      table.scrollTop += 900;
      await frame();
      const at = performance.now();
      await new Promise((next) => setTimeout(next)); // after the rows were made and laid out
      busy += performance.now() - at;
      frames++;
    }
    return { frames: frames / 2, busy: busy / frames, rows: table.querySelectorAll("[role=row]").length };
  });
  assert.ok(rows < 100, `${rows} rows exist at once`);
  await page.getByRole("searchbox").fill("many-19999");
  await page.getByRole("link", { name: "many-19999" }).waitFor();
  await page.context().close();
  ok(`20,000 VMs scroll at ${frames} frames a second, ${busy.toFixed(1)} ms of work each, ${rows} rows at a time`);
}

async function comeBack(page) {
  await show(page, "");
  await heading(page, /well|need/);
  await bench.killManager();
  await page.getByRole("alert").getByText("can't be reached").waitFor();
  await picture(page, "lost-light");
  await bench.startManager();
  bench.connectAgents();
  await page.getByRole("alert").waitFor({ state: "detached" });
  await page.getByText(/12 of \d+ nodes ready/).waitFor();
  ok("lose the manager, and come back");
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByLabel("Access token").waitFor();
  await picture(page, "login-light");
  ok("log out");
}

async function main() {
  await bench.makeRack(12, 96);
  await bench.startManager();
  bench.connectAgents();
  await until("all agents", 120, async () => (await bench.api("GET", "/status")).body.nodes.ready === 12);
  ok("12 nodes are ready");
  const page = await firstPage();
  await createAndUse(page);
  await others(page);
  await uploadImage(page);
  await everyPage(page, "light");
  await plan(page);
  await approve(page);
  await viewer(page);
  const dark = await open("dark");
  await login(dark);
  await everyPage(dark, "dark");
  await dark.context().close();
  await longList();
  await comeBack(page);
  assert.deepEqual(faults, []);
  console.log(`${checks} checks`);
}

try {
  await main();
} catch (failure) {
  for (const page of browser.contexts().flatMap((context) => context.pages())) {
    console.error(`${page.url()} says:\n${await page.locator("body").innerText()}`);
  }
  throw failure;
} finally {
  await browser.close();
  await bench.end();
}
