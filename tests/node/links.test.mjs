// Direct connections without the tracker: offers and candidates go over the links that there are.
import assert from "node:assert/strict";
import { test } from "node:test";
import { loadModules } from "./load.mjs";
import { createClock, settle } from "./world.mjs";

const { createLinks, NO_SWITCHES, toUtf8, fromUtf8 } = await loadModules("links", "protocol", "bytes");
const BINH = "b".repeat(64);

function scene({ tracker = "waiting", linked = true } = {}) {
  const log = { commands: [], posted: [], signals: [], connecting: [], ups: [], downs: [] };
  const state = { tracker };
  const shell = {
    command(command) {
      if (command.kind === "signal" && !linked) throw Object.assign(new Error("nobody is linked"), { code: "NOT_FOUND" });
      log.commands.push(command);
      return 0;
    },
    linkUp: (info) => log.ups.push(info),
    linkDown: (link) => log.downs.push(link),
  };
  const tab = { post: (message) => log.posted.push(message) };
  const clock = createClock();
  const links = createLinks({
    shell, clock, tab: () => tab, switches: () => NO_SWITCHES,
    tracker: { state: () => state.tracker, signal: async (to, signal) => void log.signals.push({ to, ...signal }) },
    accountOf: () => undefined, connecting: (...what) => log.connecting.push(what), ice: () => [],
  });
  const posted = (t) => log.posted.filter((message) => message.t === t);
  const sent = () => log.commands.filter(({ kind }) => kind === "signal").map(({ device, bytes }) => ({ to: device, ...JSON.parse(fromUtf8(bytes)) }));
  return { log, state, links, tab, posted, sent, clock };
}
const offer = { type: "offer", sdp: "v=0" };

test("without the tracker an offer goes over the links that there are, and the answer comes back over them", async () => {
  const { links, tab, posted, sent, log } = scene();
  links.connect(BINH, "direct");
  const [{ attempt }] = posted("rtc-dial");
  links.fromTab(tab, { t: "rtc-signal", attempt, description: offer });
  await settle();
  const [{ to, attempt: name, description }] = sent();
  assert.deepEqual({ to, description }, { to: BINH, description: offer });
  links.signalBytes(BINH, toUtf8(JSON.stringify({ attempt: name, description: { type: "answer", sdp: "v=1" } })));
  assert.equal(posted("rtc-signal").at(-1).description.type, "answer");
  assert.equal(log.commands.filter(({ kind }) => kind === "connect-failed").length, 0);
});

test("with the tracker it goes over the tracker", async () => {
  const { links, tab, posted, sent, log } = scene({ tracker: "online" });
  links.connect(BINH, "direct");
  links.fromTab(tab, { t: "rtc-signal", attempt: posted("rtc-dial")[0].attempt, description: offer });
  await settle();
  assert.equal(log.signals.length, 1);
  assert.equal(sent().length, 0);
});

test("an offer that nobody can bring fails the attempt, and a relay without the tracker fails at once", async () => {
  const { links, tab, posted, log } = scene({ linked: false });
  links.connect(BINH, "direct");
  links.fromTab(tab, { t: "rtc-signal", attempt: posted("rtc-dial")[0].attempt, description: offer });
  await settle();
  assert.equal(posted("rtc-close").length, 1);
  links.connect(BINH, "relay");
  assert.deepEqual(log.commands.map(({ kind, path }) => [kind, path]), [["connect-failed", "direct"], ["connect-failed", "relay"]]);
});

test("an offer that others brought is accepted; what is no signal changes nothing", () => {
  const { links, posted } = scene();
  const bad = ["", "no JSON", "null", "7", '"text"', "[]", "{}", '{"attempt":7}', '{"attempt":"a","description":null}',
    '{"attempt":"a","description":{"type":"answer"}}', JSON.stringify({ attempt: "x".repeat(65), description: offer })];
  for (const text of bad) links.signalBytes(BINH, toUtf8(text));
  links.signalBytes(BINH, new Uint8Array([0xff, 0xfe]));
  assert.equal(posted("rtc-accept").length, 0);
  links.signalBytes(BINH, toUtf8(JSON.stringify({ attempt: "a", description: offer })));
  assert.deepEqual(posted("rtc-accept")[0].description, offer);
});

test("when the replica has moved its link is begun again in the same socket, after pauses that grow", async () => {
  const { links, log, clock } = scene({ tracker: "online" });
  links.trackerUp(BINH);
  assert.deepEqual(log.ups.map(({ path, initiator, expected, binding }) => [path, initiator, expected, binding]), [["tracker", true, BINH, "tracker"]]);
  const pauses = [];
  for (let i = 0; i < 6; i++) {
    const count = log.ups.length;
    links.relayClosed(0);
    assert.equal(log.downs.length, count, "the old link is down");
    const from = clock.now();
    while (log.ups.length === count) await clock.pass(10);
    pauses.push(clock.now() - from);
  }
  assert.ok(pauses[0] <= 250 && pauses[5] >= 5 * pauses[0] && pauses[5] <= 15_000, String(pauses));
  await clock.pass(20_000);
  links.relayClosed(0);
  const from = clock.now();
  const count = log.ups.length;
  while (log.ups.length === count) await clock.pass(10);
  assert.ok(clock.now() - from <= 250, "one that lasted is begun again soon");

  links.relayClosed(0);
  links.trackerDown();
  await clock.pass(20_000);
  assert.equal(log.ups.length, count + 1, "without the tracker there is nothing to begin");
});
