// The dashboard in a real browser, on a lab: tests/lab/dashboard_test starts it and this.
//   node lab_test.mjs --packages DIRECTORY --guest IMAGE --tree DIRECTORY
// --guest: of tools/build-demo-image. --tree: of a node image. The manager is the one that `bh` speaks to (BH_SERVER, BH_TOKEN).
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs, promisify } from "node:util";
import { Browser, checked, ok, until } from "./browser.mjs";

const { values: options } = parseArgs({
  options: { packages: { type: "string" }, guest: { type: "string" }, tree: { type: "string" } },
});
const run = async (program, ...words) => (await promisify(execFile)(program, words, { maxBuffer: 64 << 20 })).stdout;
const lab = (...words) => run("bridgehead-lab", "--silent", ...words);
const bh = async (...words) => JSON.parse(await run("bh", ...words, "-o", "json"));
const origin = process.env.BH_SERVER;
const browser = await Browser.start(resolve(options.packages), () => origin);

async function visit() {
  const page = await browser.open();
  page.setDefaultTimeout(600_000); // guests and machines are emulated
  await browser.login(page, process.env.BH_TOKEN);
  return page;
}

async function uploadImage(page) {
  await browser.show(page, "images");
  await page.getByRole("button", { name: "Import" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("File", { exact: true }).setInputFiles(options.guest);
  await dialog.getByLabel("Name", { exact: true }).fill("demo");
  await dialog.getByLabel("Pool", { exact: true }).selectOption("moosefs");
  await dialog.getByLabel("SHA-256").fill(createHash("sha256").update(readFileSync(options.guest)).digest("hex"));
  // As by a line of 32 Mbit/s, so that there is something to see.
  const network = await page.context().newCDPSession(page);
  await network.send("Network.enable");
  const slow = (uploadThroughput) => network.send("Network.emulateNetworkConditions", { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput });
  await slow(4 << 20);
  // What the meter of the upload says, until it is gone with the dialog.
  const told = page.evaluate(
    () =>
      new Promise((done) => {
        const seen = new Set();
        const look = () => {
          const meter = document.querySelector("dialog [role=meter]");
          if (meter) seen.add(Number(meter.getAttribute("aria-valuenow")));
          if (!document.querySelector("dialog") && seen.size) done([...seen]);
          else requestAnimationFrame(look);
        };
        look();
      }),
  );
  await dialog.getByRole("button", { name: "Import" }).click();
  const values = await told;
  await slow(-1);
  assert.ok(values.length > 3 && values.at(-1) > 80 && values.every((value, at) => at === 0 || value > values[at - 1]), `the meter said ${values}`);
  await browser.show(page, "images/demo");
  await page.getByText("ready", { exact: true }).first().waitFor();
  const { virtual_size, allocated } = await bh("image", "show", "demo");
  assert.ok(virtual_size === 20 << 20 && allocated > 8 << 20, `${virtual_size} bytes, ${allocated} on disk`);
  ok(`upload an image into MooseFS, and see how it goes: ${values.length} steps of the meter`);
}

async function createGuest(page) {
  await browser.show(page, "");
  await page.getByRole("link", { name: "Create VM" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name", { exact: true }).fill("web");
  await dialog.getByLabel("Image", { exact: true }).selectOption("demo");
  await dialog.getByRole("button", { name: "Next" }).click();
  await dialog.getByLabel("Memory").fill("256MiB");
  await dialog.getByLabel("Network", { exact: true }).selectOption("lan");
  await dialog.getByRole("button", { name: "Next" }).click();
  await dialog.getByLabel("Node", { exact: true }).selectOption("host1");
  await dialog.getByRole("button", { name: "Create", exact: true }).click();
  await browser.heading(page, "web");
  await page.getByText("running", { exact: true }).first().waitFor();
  ok("create a VM by the wizard, and see QEMU run it");
}

const typed = async (page, word) => {
  const terminal = page.getByRole("group", { name: "Serial console of web" });
  const connect = page.getByRole("button", { name: "Connect", exact: true });
  // It may not be there yet, or not listen; once it does, it answers each line.
  await until("the guest's answer", 600, async () => {
    if (await connect.isVisible()) await connect.click();
    await terminal.click();
    await page.keyboard.type(`${word}\r`);
    return terminal.getByText(`DEMO GUEST HEARD ${word}`).first().waitFor({ timeout: 5000 }).then(() => true, () => false);
  });
};

async function useConsoles(page) {
  await page.getByRole("link", { name: "Serial console" }).click();
  await typed(page, "dashboard");
  ok("type in its serial console, and read its answer");
  await page.getByRole("link", { name: "Screen", exact: true }).click();
  const colours = await until("something on its screen", 600, async () => {
    const seen = await browser.colours(page);
    return seen.length > 1 && seen;
  });
  assert.ok(colours.some((colour) => colour.split(",").every((part) => part > 150)), `no light pixel: ${colours}`);
  ok(`see its screen: ${colours.length} colours`);
}

const hostOf = async () => (await bh("vm", "show", "web")).node_name;

async function migrate(page) {
  await page.getByRole("button", { name: "Move" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("radio", { name: "host2" }).check();
  await dialog.getByRole("button", { name: "Move to host2" }).click();
  await until("the move", 600, async () => (await hostOf()) === "host2");
  await page.getByRole("link", { name: "Overview" }).last().click();
  await page.getByRole("link", { name: "host2", exact: true }).waitFor();
  await page.getByRole("link", { name: "Serial console" }).click();
  await typed(page, "moved");
  ok("move it live to another host, where it answers on");
}

// It is told to be on the other host; the planner knows what follows.
async function applyPlan(page) {
  await browser.show(page, "settings/policy");
  await page.getByRole("button", { name: "New rule" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name", { exact: true }).fill("on-host1");
  await dialog.getByLabel("These guests").selectOption("on");
  await dialog.getByLabel("Nodes", { exact: true }).fill("host1");
  await dialog.getByLabel("Guests", { exact: true }).fill("web");
  await dialog.getByRole("button", { name: "Add it" }).click();
  await dialog.waitFor({ state: "detached" });
  await browser.show(page, "plans");
  await page.getByRole("heading", { name: "Moves from host to host" }).waitFor();
  await page.getByRole("button", { name: "Apply" }).click();
  await dialog.getByRole("button", { name: "Apply" }).click();
  await browser.heading(page, /^Plan /);
  await page.getByText("applied", { exact: true }).waitFor();
  assert.equal(await hostOf(), "host1");
  ok("apply the plan that a new rule calls for: its guest has moved");
}

// All of a machine's way on its own page, from the first word that is heard of it.
async function watchBoot(page, imported) {
  await imported;
  const { machines } = JSON.parse(await lab("status", "-o", "json"));
  const name = `node-${machines[0].mac.replaceAll(":", "")}`;
  await browser.show(page, "nodes");
  await browser.heading(page, "Nodes");
  await lab("power", "m1", "on");
  await page.getByRole("link", { name }).first().click();
  await browser.heading(page, name);
  const steps = await page.evaluate(
    () =>
      new Promise((done) => {
        const seen = [];
        const look = () => {
          const said = document.querySelector("ol.boot")?.getAttribute("aria-label");
          if (said && seen.at(-1) !== said) seen.push(said);
          if (document.querySelector("h1 + .badge")?.textContent === "ready") return done(seen);
          setTimeout(look, 50);
        };
        look();
      }),
  );
  assert.ok(steps.length >= 4, `the page showed ${steps.join("; ")}`);
  await page.getByRole("link", { name: "Boot", exact: true }).click();
  for (const step of ["dhcp", "bootstrap", "kernel", "bridge", "root", "handover", "agent", "ready"]) {
    await page.getByRole("list", { name: "Boot: ready" }).getByText(step, { exact: true }).waitFor();
  }
  assert.equal((await bh("node", "show", name)).state, "ready");
  ok(`watch a machine from power-on to Ready: ${steps.map((step) => step.replace("Boot: ", "")).join(", ")}`);
  await useMachinesConsole(page, name);
}

async function useMachinesConsole(page, name) {
  await run("bh", "node", "bmc", "set", name, "--driver", "lab", "--option", "machine=m1");
  await browser.show(page, `nodes/${name}/power`);
  await page.getByRole("link", { name: "Console", exact: true }).click();
  const terminal = page.getByRole("group", { name: `Serial console of ${name}` });
  await until("its login prompt", 600, async () => {
    await terminal.click();
    await page.keyboard.press("Enter");
    return terminal.getByText(/login:/).first().waitFor({ timeout: 5000 }).then(() => true, () => false);
  });
  ok("type in the console of the machine itself, which asks for a login");
}

async function loseManager(page) {
  await browser.show(page, "vms/web/console");
  await typed(page, "before");
  await lab("manager", "kill");
  await page.getByRole("alert").getByText("can't be reached").waitFor();
  await lab("manager", "start");
  await page.getByRole("alert").waitFor({ state: "detached" });
  await typed(page, "after");
  ok("lose the manager (kill -9) and come back; the guest answers on");
}

await browser.during(async () => {
  const imported = run("bh", "node-image", "import", options.tree, "--name", "debian-12");
  const [page, other] = [await visit(), await visit()];
  const use = async () => {
    await uploadImage(page);
    await createGuest(page);
    await useConsoles(page);
    await migrate(page);
    await applyPlan(page);
  };
  await Promise.all([use(), watchBoot(other, imported)]);
  await loseManager(page);
  assert.deepEqual(browser.faults, []);
  console.log(`${checked()} checks`);
});
