// The world of one browser test: a tracker of its own on a loopback port with its own data folder, one Chromium,
// and a browser context (its own storage, so its own device) for each person.
//
//   const world = await openWorld(t);            closed when the test ends, with screenshots if it failed
//   const an = await world.register("An");       a new context, registered, on the chat page
//   await an.say("hello"); await binh.sees("hello");
//
// Every wait is for an event or a state of the page, with a deadline; nothing here sleeps for luck.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const root = fileURLToPath(new URL("../..", import.meta.url));
export const program = process.env.WEAPROUS ?? join(root, "build/release/weaprous");
const screenshots = join(root, "build/test/browser");
export const PASSWORD = "correct horse battery staple";
export const PATIENCE_MS = 15_000;

const launchOptions = {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  headless: true,
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    // Pages that are not in front must run as those of another person's machine do.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--host-resolver-rules=MAP *.test 127.0.0.1",
  ],
};

/** Calls `attempt` until it no longer throws; its last error after the deadline. */
export async function eventually(attempt, patienceMs = PATIENCE_MS) {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** For `ms` milliseconds `attempt` must not throw: what must not happen early. */
export async function always(attempt, ms) {
  const deadline = Date.now() + ms;
  while (Date.now() < deadline) {
    await attempt();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** `weaprous up`, as a person starts it. Killed and started again it keeps its port and its data. */
export class Tracker {
  /** subcommand: "tracker" may share its folder with others. */
  constructor(folder, subcommand = "up") {
    this.folder = folder;
    this.subcommand = subcommand;
    this.port = 0;
    this.output = "";
  }

  async start() {
    const child = spawn(program, [this.subcommand, "--server-port", String(this.port), "--data", this.folder], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.child = child;
    let printed = "";
    const url = new Promise((resolve, reject) => {
      const deadline = setTimeout(() => reject(new Error(`no address within 20 s:\n${printed}`)), 20_000);
      const read = (bytes) => {
        printed += bytes;
        this.output += bytes;
        const found = /http:\/\/[\d.]+:(\d+)/.exec(printed);
        if (found) resolve(Number(found[1])), clearTimeout(deadline);
      };
      child.stdout.on("data", read);
      child.stderr.on("data", read);
      child.once("error", reject);
      child.once("exit", (code, signal) => {
        clearTimeout(deadline);
        reject(new Error(`the tracker ended with ${code ?? signal}:\n${printed}`));
      });
    });
    this.port = await url;
    await eventually(async () => assert.ok((await fetch(`${this.url}/login`)).status < 500));
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Ends it with a signal and waits until it is gone; answers its exit code. */
  async end(signal) {
    const { child } = this;
    if (!child || child.exitCode !== null || child.signalCode !== null) return child?.exitCode;
    const gone = once(child, "exit");
    child.kill("SIGCONT");
    child.kill(signal);
    await gone;
    return child.exitCode;
  }

  /** While it is down: deletes every entry from its replica; answers how many there were. */
  forgetEntries() {
    const sql = (text) => execFileSync("sqlite3", [join(this.folder, "weaprous.db"), text], { encoding: "utf8" });
    const before = Number(sql("select count(*) from entries"));
    sql("delete from entries");
    return before;
  }

  kill() {
    return this.end("SIGKILL");
  }
  freeze() {
    this.child.kill("SIGSTOP");
  }
  thaw() {
    this.child.kill("SIGCONT");
  }
}

/** What a test can switch in a page: direct links that come to nothing, as between two strict NATs. */
function switchable(allowed) {
  const Native = window.RTCPeerConnection;
  window.directAllowed = allowed;
  window.RTCPeerConnection = new Proxy(Native, {
    construct(target, [configuration = {}]) {
      // "relay" without any relay server: no candidate is gathered and none is answered.
      return new target(window.directAllowed ? configuration : { ...configuration, iceTransportPolicy: "relay" });
    },
  });
}

/** One tab of one person. */
export class Tab {
  constructor(page, who) {
    this.page = page;
    this.who = who;
    this.errors = [];
    page.on("pageerror", (error) => this.errors.push(String(error)));
    page.on("console", (line) => {
      // A refused connection or status is no error of the page: the tests take the tracker away. And Chromium
      // says on every plain http:// page that it ignores a header which protects https:// ones.
      const expected = /Failed to load resource|WebSocket connection|Cross-Origin-Opener-Policy header has been ignored/;
      if (line.type() === "error" && !expected.test(line.text()))
        this.errors.push(line.text());
    });
  }

  get messages() {
    return this.page.locator("article.message");
  }

  /** Texts of the people's messages, as shown, from top to bottom. */
  texts() {
    return this.messages.locator(".text").allTextContents();
  }

  /** What the page says about each message that has this text: account, mark, and in words how it came. */
  async about(text) {
    const all = await this.messages.evaluateAll((rows) =>
      rows.map((row) => ({
        text: row.querySelector(".text").textContent,
        account: row.querySelector("bdi")?.textContent,
        mark: row.querySelector(".mark")?.classList[1],
        words: row.querySelector(".extras .sr-only")?.textContent ?? "",
      })),
    );
    return all.filter((message) => message.text === text);
  }

  /** The one message with this text, once it is there. */
  sees(text, patienceMs) {
    return eventually(async () => {
      const found = await this.about(text);
      assert.equal(found.length, 1, `${this.who} shows "${text}" ${found.length} times: ${await this.texts()}`);
      return found[0];
    }, patienceMs);
  }

  /** As sees, and the page says that it came this way. */
  async seesVia(text, way, patienceMs) {
    const message = await this.sees(text, patienceMs);
    assert.match(message.words, way, `how "${text}" came to ${this.who}`);
    return message;
  }

  /** Waits until the own message carries this mark. */
  marked(text, mark, patienceMs) {
    return eventually(async () => assert.equal((await this.about(text))[0]?.mark, mark, `mark of "${text}"`), patienceMs);
  }

  get composer() {
    return this.page.locator("#composer");
  }

  async say(text) {
    await this.composer.fill(text);
    await this.composer.press("Enter");
    await eventually(async () => assert.equal(await this.composer.inputValue(), "", "the composer is emptied"));
  }

  /** Members as the list shows them: name, and how they are reached or where they are. */
  members() {
    return this.page
      .getByRole("group", { name: "Members" })
      .locator("div.member-row")
      .evaluateAll((rows) =>
        rows.map((row) => ({
          account: row.querySelector(".name").textContent,
          state: row.querySelector(".faint").textContent,
          devices: row.querySelector(".grow").dataset.tip ?? "",
        })),
      );
  }

  /** The rows of one account: one, unless something is wrong. */
  async member(account) {
    return (await this.members()).filter((row) => row.account === account);
  }

  /** Waits until this account is one device in the list. */
  oneDevice(account) {
    return eventually(async () => {
      const rows = await this.member(account);
      assert.equal(rows.length, 1, `rows of ${account} at ${this.who}`);
      assert.doesNotMatch(rows[0].devices, /\d+ devices/);
    });
  }

  /** Waits until the list says that this person is reached so ("direct", "via relay"). */
  linked(account, way, patienceMs) {
    return eventually(async () => {
      const rows = await this.member(account);
      assert.equal(rows.length, 1, `rows of ${account} at ${this.who}`);
      assert.equal(rows[0].state.split(",")[0], way, `${this.who}'s link to ${account}`);
    }, patienceMs);
  }

  /** Waits for a word of the connection pill; answers the sentence of the banner, if there is one. */
  connection(word, patienceMs) {
    return eventually(async () => {
      assert.equal((await this.page.locator(".pill").innerText()).trim(), word);
      return (await this.page.locator(".banner").allInnerTexts()).join(" ");
    }, patienceMs);
  }

  /** Opens the account's dialog, does something there, closes it. */
  async inAccount(work) {
    await this.page.getByRole("button", { name: /Account and settings/ }).click();
    const result = await work(this.page.locator("dialog[open]"));
    await this.page.keyboard.press("Escape");
    return result;
  }

  /** The short code of this device. */
  device() {
    return this.inAccount((dialog) => dialog.locator("code").innerText());
  }

  async ready(patienceMs) {
    await this.composer.waitFor({ timeout: patienceMs ?? PATIENCE_MS });
  }

  async enter(mode, name, password) {
    await this.page.getByLabel("Name").fill(name);
    await this.page.getByLabel("Password", { exact: true }).fill(password);
    await this.page.getByRole("button", { name: mode === "register" ? "Create account" : "Log in" }).click();
  }

  async allowDirect(allowed) {
    await this.page.evaluate((yes) => (window.directAllowed = yes), allowed);
  }

  /** What a laptop's browser says when it joins another network. */
  async networkChanged() {
    await this.page.evaluate(() => window.dispatchEvent(new Event("online")));
  }
}

/** One browser profile: context (private) or folder (comes back after the browser was closed). */
export class Person {
  constructor(world, name, context) {
    this.world = world;
    this.name = name;
    this.context = context;
    this.tabs = [];
  }

  async tab(path = "/", base = this.world.tracker.url) {
    const page = this.context.pages().find((open) => open.url() === "about:blank") ?? (await this.context.newPage());
    const tab = new Tab(page, this.name);
    this.tabs.push(tab);
    await page.goto(base + path);
    return tab;
  }
}

export class World {
  async start(folder, subcommand) {
    this.folder = folder;
    this.people = [];
    this.tracker = new Tracker(join(folder, "data"), subcommand);
    [this.browser] = await Promise.all([chromium.launch(launchOptions), this.tracker.start()]);
  }

  /** A person's browser without any page. `direct: false`: direct links fail; `init`: script run in every page. */
  async person(name, { direct = true, init, profile, ...options } = {}) {
    const settings = { locale: "en-US", viewport: { width: 1280, height: 2000 }, ...options };
    const context = profile
      ? await chromium.launchPersistentContext(profile, { ...launchOptions, ...settings })
      : await this.browser.newContext(settings);
    context.setDefaultTimeout(PATIENCE_MS);
    await context.addInitScript(switchable, direct);
    if (init) await context.addInitScript(init);
    const person = new Person(this, name, context);
    this.people.push(person);
    return person;
  }

  /** A tab of a new person who registered and sees the channel. */
  async register(name, { base, ...options } = {}) {
    const person = await this.person(name, options);
    const tab = await person.tab("/register", base);
    await tab.enter("register", name, PASSWORD);
    await tab.ready(8000); // a first message within a minute needs a page at once
    tab.person = person;
    return tab;
  }

  /** A tab in a new browser of a person who has an account. */
  async login(name, { base, ...options } = {}) {
    const person = await this.person(name, options);
    const tab = await person.tab("/login", base);
    await tab.enter("login", name, PASSWORD);
    await tab.ready();
    tab.person = person;
    return tab;
  }

  tabs() {
    return this.people.flatMap((person) => person.tabs);
  }

  async stop(failed, title) {
    if (failed) {
      mkdirSync(screenshots, { recursive: true });
      const stem = join(screenshots, title.replace(/\W+/g, "-").slice(0, 80));
      for (const [i, tab] of this.tabs().entries())
        await tab.page.screenshot({ path: `${stem}-${i}-${tab.who}.png` }).catch(() => {});
    }
    const errors = this.tabs().flatMap((tab) => tab.errors.map((error) => `${tab.who}: ${error}`));
    for (const person of this.people) await person.context.close().catch(() => {});
    await this.browser?.close();
    await this.tracker.end("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true });
    return errors;
  }
}

/** Runs `scenario(world)` in a world of its own; a page that reports an error fails the test too. */
export async function inWorld(t, scenario, subcommand = "up") {
  const world = new World();
  let failed = true;
  try {
    await world.start(mkdtempSync(join(tmpdir(), "weaprous-browser-")), subcommand);
    await scenario(world);
    failed = false;
  } finally {
    if (failed && world.tracker?.output) t.diagnostic(world.tracker.output.slice(-2000));
    const errors = await world.stop(failed, t.name);
    if (failed) for (const error of errors) t.diagnostic(error);
    else assert.deepEqual(errors, [], "errors in the pages' consoles");
  }
}
