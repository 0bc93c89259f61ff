// Rooms over both faces of the calls: made, found, joined, moderated, left; what the devices hear of it.
import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import { ask, online, post, register, run, startTracker } from "./tracker-kit.mjs";

/** One account: its cookie and a way to call. */
async function person(tracker, name) {
  const cookie = await register(tracker, name);
  return {
    name,
    cookie,
    call: async (type, fields = {}) => {
      const response = await post(tracker, `/call/${type}`, fields, { headers: { Cookie: cookie } });
      return { code: response.status, ...response.json };
    },
  };
}

async function people(tracker, ...names) {
  const all = {};
  for (const name of names) all[name] = await person(tracker, name);
  return all;
}

function good(answer) {
  assert.equal(answer.status, "success", JSON.stringify(answer));
  return answer;
}

async function create(who, name, policy = "open", more = {}) {
  return good(await who.call("channel-create", { name, policy, ...more })).channel;
}

test("an open channel: created, found, joined, counted, left; the last owner hands it over first", async (t) => {
  const tracker = await startTracker(t);
  const { an, binh } = await people(tracker, "an", "binh");
  const tea = await create(an, "Tea", "open", { topic: "green or black" });
  assert.equal(tea.policy, "open");
  assert.equal(tea.me.role, "owner");
  assert.equal((await binh.call("channel-create", { name: "tea", policy: "open" })).code, 409, "the name is taken, also in other letters");
  assert.equal((await binh.call("channel-create", { name: "t e a", policy: "open" })).code, 400);
  const listed = good(await binh.call("channel-list", { name: "te" })).channels;
  assert.deepEqual(listed.map(({ name, members, topic }) => ({ name, members, topic })), [{ name: "Tea", members: 1, topic: "green or black" }]);
  assert.equal(good(await binh.call("channel-find", { name: "TEA" })).channel.id, tea.id);
  assert.equal(good(await binh.call("channel-join", { channel: tea.id })).channel.me.state, "member");
  assert.equal((await binh.call("channel-join", { channel: tea.id })).code, 409);
  assert.deepEqual(good(await binh.call("channel-mine")).channels.map(({ name }) => name), ["general", "Tea"]);
  assert.deepEqual(
    good(await binh.call("channel-members", { channel: tea.id })).members.map(({ account, role }) => [account, role]),
    [["an", "owner"], ["binh", "member"]],
  );
  assert.equal((await an.call("channel-leave", { channel: tea.id })).code, 409, "the last owner");
  good(await an.call("channel-hand-over", { channel: tea.id, account: "binh" }));
  assert.deepEqual(
    good(await an.call("channel-members", { channel: tea.id })).members.map(({ account, role }) => [account, role]),
    [["an", "moderator"], ["binh", "owner"]],
  );
  good(await an.call("channel-leave", { channel: tea.id }));
  assert.equal((await an.call("channel-leave", { channel: tea.id })).code, 404);
  assert.equal((await an.call("channel-close", { channel: tea.id })).code, 403);
  good(await binh.call("channel-close", { channel: tea.id }));
  assert.equal((await an.call("channel-find", { channel: tea.id })).code, 404);
});

test("passwords, approvals and invites let in whom they should, and nobody else", async (t) => {
  const tracker = await startTracker(t);
  const { an, binh, chi } = await people(tracker, "an", "binh", "chi");
  const closed = await create(an, "closed", "password", { password: "open sesame" });
  assert.equal(closed.type, "private");
  assert.match(closed.nonce, /^[0-9a-f]{32}$/);
  assert.equal((await binh.call("channel-join", { channel: closed.id })).code, 403);
  assert.equal((await binh.call("channel-join", { channel: closed.id, password: "close sesame" })).code, 403);
  good(await binh.call("channel-join", { channel: closed.id, password: "open sesame" }));

  const club = await create(an, "club", "approval");
  assert.equal(good(await chi.call("channel-join", { channel: club.id, note: "An knows me" })).channel.me.state, "asks");
  assert.equal((await chi.call("channel-members", { channel: club.id })).code, 403);
  const asks = good(await an.call("channel-members", { channel: club.id, state: "asks" })).members;
  assert.deepEqual(asks.map(({ account, note }) => [account, note]), [["chi", "An knows me"]]);
  assert.equal((await chi.call("channel-approve", { channel: club.id, account: "chi" })).code, 403);
  good(await an.call("channel-approve", { channel: club.id, account: "Chi" }));
  assert.equal(good(await chi.call("channel-find", { channel: club.id })).channel.me.state, "member");

  const secret = await create(an, "secret", "invite");
  assert.equal((await binh.call("channel-find", { channel: secret.id })).code, 404, "hidden from others");
  assert.equal((await binh.call("channel-join", { channel: secret.id })).code, 403);
  assert.equal((await binh.call("channel-invite", { channel: secret.id })).code, 403);
  const invite = good(await an.call("channel-invite", { channel: secret.id, uses: 1, expires_s: 60 }));
  assert.equal(invite.path, `/join/${invite.token}`);
  const look = good(await binh.call("channel-invite-look", { token: invite.token }));
  assert.deepEqual([look.name, look.by, look.members], ["secret", "an", 1]);
  const both = await Promise.all([binh, chi].map((who) => who.call("channel-redeem", { token: invite.token })));
  assert.deepEqual(both.map(({ code }) => code).sort(), [200, 404], "one place, two people at one time");
  const other = good(await an.call("channel-invite", { channel: secret.id }));
  assert.equal(good(await an.call("channel-invites", { channel: secret.id })).invites.length, 1);
  good(await an.call("channel-invite-revoke", { channel: secret.id, invite: other.invite }));
  assert.equal((await chi.call("channel-redeem", { token: other.token })).code, 404);
});

test("moderators kick, ban and mute those below them; devices hear of what concerns them", async (t) => {
  const tracker = await startTracker(t);
  const { an, binh, chi } = await people(tracker, "an", "binh", "chi");
  const tea = await create(an, "tea");
  for (const who of [binh, chi]) good(await who.call("channel-join", { channel: tea.id }));
  const device = await online(t, tracker, chi.cookie);
  assert.deepEqual(device.welcome.channels.map(({ name }) => name), ["general", "tea"]);
  const news = () => device.socket.next("channel");
  assert.equal((await binh.call("channel-kick", { channel: tea.id, account: "chi" })).code, 403);
  good(await an.call("channel-role", { channel: tea.id, account: "binh", role: "moderator" }));
  good(await binh.call("channel-mute", { channel: tea.id, account: "chi", seconds: 60 }));
  const muted = await news();
  assert.equal(muted.change, "changed");
  assert.ok(muted.channel.me.muted_until_ms > Date.now());
  good(await binh.call("channel-unmute", { channel: tea.id, account: "chi" }));
  assert.equal((await news()).channel.me.muted_until_ms, 0);
  good(await binh.call("channel-kick", { channel: tea.id, account: "chi", note: "a break" }));
  assert.deepEqual(await news(), { type: "channel", change: "removed", id: tea.id, why: "kicked" });
  good(await binh.call("channel-ban", { channel: tea.id, account: "chi" }));
  assert.equal((await news()).why, "banned");
  assert.equal((await device.socket.ask("channel-join", { channel: tea.id })).code, 403, "also over the socket");
  assert.equal((await binh.call("channel-ban", { channel: tea.id, account: "an" })).code, 403, "an owner");
  good(await binh.call("channel-unban", { channel: tea.id, account: "chi" }));
  assert.equal((await news()).why, "unbanned");
  assert.equal((await device.socket.ask("channel-join", { channel: tea.id })).status, "success");
  assert.equal((await news()).change, "added");
});

/** What a person says through a classic route. */
async function say(tracker, who, channel_name, message) {
  return ask(tracker, "POST", "/send-channel-message", {
    headers: { Cookie: who.cookie, "Content-Type": "application/json", Accept: "application/json" },
    body: JSON.stringify({ channel_name, message }),
  });
}

async function said(tracker, who, channel_name, message) {
  const response = await say(tracker, who, channel_name, message);
  assert.equal(response.status, 200, response.text);
}

/** Asks until the answer is as wanted: what was said is indexed a moment later. */
async function until(call, wanted, what) {
  for (let i = 0; i < 400; i++) {
    const answer = await call();
    if (wanted(answer)) return answer;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`never: ${what}, but ${JSON.stringify(await call()).slice(0, 400)}`);
}

const texts = ({ messages }) => messages.filter(({ kind }) => kind === "text").map(({ text }) => text);
const decisions = ({ messages }) => messages.filter(({ kind }) => kind === "decision").map(({ decision }) => decision.act);

test("history in pages both ways, search, what is new and mentions, which agree on all devices", async (t) => {
  const tracker = await startTracker(t);
  const { an, binh, chi } = await people(tracker, "an", "binh", "chi");
  const tea = await create(an, "tea");
  good(await binh.call("channel-join", { channel: tea.id }));
  for (let i = 0; i < 7; i++) await said(tracker, an, "tea", `cup ${i}`);
  await said(tracker, an, "tea", "Trà xanh for @Binh, not for @chi or an@binh.example.");
  const history = (fields = {}) => binh.call("history", { channel: tea.id, ...fields });
  const all = await until(history, (answer) => texts(good(answer)).length === 8, "eight messages");
  assert.deepEqual(texts(all).slice(0, 7), [0, 1, 2, 3, 4, 5, 6].map((i) => `cup ${i}`));
  assert.equal((await chi.call("history", { channel: tea.id })).code, 403);

  const newest = good(await history({ limit: 3 }));
  assert.equal(newest.more, true);
  const older = good(await history({ limit: 3, before: newest.messages[0].at }));
  assert.deepEqual(texts(older), ["cup 2", "cup 3", "cup 4"]);
  assert.deepEqual(texts(good(await history({ limit: 2, after: older.messages[2].at }))), ["cup 5", "cup 6"]);
  assert.equal((await history({ before: "yesterday" })).code, 400);

  const search = (query, fields = {}) => binh.call("search", { query, ...fields });
  const found = good(await search("tra XANH"));
  assert.equal(found.messages.length, 1);
  assert.deepEqual(found.messages[0].excerpt.filter(({ hit }) => hit).map(({ text }) => text), ["Trà", "xanh"]);
  assert.equal(good(await search("cup")).messages.length, 7);
  assert.equal(good(await search("cup", { limit: 3 })).more, true);
  assert.equal(good(await search("cup", { channel: "00".repeat(32) })).messages.length, 0);
  for (const nasty of ['"', "cup OR", "NEAR(cup", "text:cup", "cup*) --", "^cup", "-cup"]) {
    const answer = await search(nasty);
    assert.ok(answer.code === 200 || answer.code === 400, `${nasty}: ${answer.code}`);
  }
  assert.equal(good(await chi.call("search", { query: "cup" })).messages.length, 0, "not in the channel");

  const mine = (answer) => good(answer).channels.find(({ channel }) => channel === tea.id);
  assert.deepEqual([mine(await binh.call("unread")).unread, mine(await binh.call("unread")).mentions], [8, 1]);
  assert.equal(mine(await an.call("unread")).unread, 0, "one's own are not new");
  const device = await online(t, tracker, binh.cookie);
  const marked = good(await binh.call("mark-read", { channel: tea.id, at: newest.messages[0].at }));
  assert.equal(marked.unread, 2);
  const news = await device.socket.next("read");
  assert.deepEqual([news.channel, news.unread, news.read], [tea.id, 2, newest.messages[0].at]);
  assert.equal(good(await device.socket.ask("mark-read", { channel: tea.id, at: all.messages[0].at })).unread, 2, "it does not go back");
  assert.equal(good(await binh.call("mark-read", { channel: tea.id, at: all.messages[0].at, unread: true })).unread >= 7, true, "but when that is wanted");
  assert.equal((await chi.call("mark-read", { channel: tea.id, at: all.messages[0].at })).code, 403);

  const mentions = good(await binh.call("mentions")).mentions;
  assert.deepEqual(mentions.map(({ account, channel, seen }) => [account, channel, seen]), [["an", tea.id, false]]);
  assert.equal(good(await chi.call("mentions")).mentions.length, 0, "not in the channel");
  good(await binh.call("mentions-seen"));
  assert.equal(good(await binh.call("mentions")).mentions[0].seen, true);
  await said(tracker, an, "tea", "again @binh");
  const pushed = await device.socket.next("mention");
  assert.deepEqual([pushed.account, pushed.text, pushed.channel], ["an", "again @binh", tea.id]);
});

test("what moderators hide is gone for all and said in the channel; an export has the rest", async (t) => {
  const tracker = await startTracker(t);
  const { an, binh, chi } = await people(tracker, "an", "binh", "chi");
  const tea = await create(an, "tea");
  good(await binh.call("channel-join", { channel: tea.id }));
  await said(tracker, an, "tea", "welcome");
  for (let i = 0; i < 3; i++) await said(tracker, binh, "tea", `rude ${i}`);
  const history = () => an.call("history", { channel: tea.id });
  await until(history, (answer) => texts(good(answer)).length === 4, "four messages");
  assert.equal((await binh.call("channel-hide", { channel: tea.id, account: "an" })).code, 403);
  assert.equal(good(await an.call("channel-hide", { channel: tea.id, account: "binh" })).messages, 3);
  const left = await until(history, (answer) => decisions(good(answer)).includes("hide"), "the decision in the channel");
  assert.deepEqual(texts(left), ["welcome"]);
  const hide = left.messages.find(({ decision }) => decision?.act === "hide").decision;
  assert.deepEqual([hide.by, hide.account, hide.number], ["an", "binh", 3]);
  assert.equal(good(await an.call("search", { query: "rude" })).messages.length, 0);
  assert.equal(good(await an.call("channel-show", { channel: tea.id, account: "binh" })).messages, 3);
  const shown = good(await history());
  assert.deepEqual(texts(shown), ["welcome", "rude 0", "rude 1", "rude 2"]);
  const one = shown.messages.find(({ text }) => text === "rude 1");
  good(await an.call("channel-hide", { channel: tea.id, author: one.author, seq: one.seq }));
  assert.deepEqual(texts(good(await history())), ["welcome", "rude 0", "rude 2"]);
  assert.equal((await an.call("channel-hide", { channel: tea.id, author: one.author, seq: 999 })).code, 404);

  const get = (who, path) => ask(tracker, "GET", path, { headers: { Cookie: who.cookie } });
  const json = await get(an, `/export/${tea.id}.json`);
  assert.equal(json.status, 200);
  assert.match(json.headers["content-disposition"], /^attachment; filename="channel-[0-9a-f]{8}\.json"$/);
  assert.deepEqual(texts(json.json), ["welcome", "rude 0", "rude 2"]);
  const text = await get(an, `/export/${tea.id}.txt`);
  assert.match(text.text, /^#tea\n\n/);
  assert.match(text.text, /\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ an: welcome\n/);
  assert.equal((await get(chi, `/export/${tea.id}.json`)).status, 403);
  assert.equal((await ask(tracker, "GET", `/export/${tea.id}.json`)).status, 401);
  assert.equal((await get(an, `/export/${tea.id}.exe`)).status, 404);
});

test("who is muted, banned or too fast does not get a word in through the server", async (t) => {
  const tracker = await startTracker(t);
  const { an, binh } = await people(tracker, "an", "binh");
  const tea = await create(an, "tea");
  good(await binh.call("channel-join", { channel: tea.id }));
  await said(tracker, binh, "tea", "hello");
  good(await an.call("channel-mute", { channel: tea.id, account: "binh", seconds: 600 }));
  assert.equal((await say(tracker, binh, "tea", "muted")).status, 403);
  good(await an.call("channel-unmute", { channel: tea.id, account: "binh" }));
  await said(tracker, binh, "tea", "thanks");
  good(await an.call("channel-slow", { channel: tea.id, seconds: 600 }));
  await said(tracker, binh, "tea", "slowly");
  const fast = await say(tracker, binh, "tea", "too fast");
  assert.ok(fast.status === 429 || fast.status === 403, `${fast.status}`);
  await said(tracker, an, "tea", "moderators may");
  await said(tracker, an, "tea", "as fast as they like");
  good(await an.call("channel-ban", { channel: tea.id, account: "binh" }));
  assert.equal((await say(tracker, binh, "tea", "banned")).status, 403);
  assert.equal((await binh.call("history", { channel: tea.id })).code, 403);
  const seen = await until(() => an.call("history", { channel: tea.id }), (answer) => decisions(good(answer)).includes("ban"), "the ban in the channel");
  assert.deepEqual(texts(seen), ["hello", "thanks", "slowly", "moderators may", "as fast as they like"]);
  assert.deepEqual(decisions(seen), ["role", "mute", "unmute", "slow", "ban"]);
  // The replica and the index come back as they were.
  await tracker.end("SIGTERM");
  const again = await startTracker(t, { folder: tracker.folder });
  const cookie = { headers: { Cookie: an.cookie } };
  const answer = await post(again, "/call/history", { channel: tea.id }, cookie);
  assert.deepEqual(decisions(answer.json), ["role", "mute", "unmute", "slow", "ban"]);
  assert.equal((await say(again, binh, "tea", "still banned")).status, 403);
});

test("after a restore the server goes on in no feed that others may have more of, but its tables hold at once", async (t) => {
  const tracker = await startTracker(t);
  const { an, binh } = await people(tracker, "an", "binh");
  const tea = await create(an, "tea");
  good(await binh.call("channel-join", { channel: tea.id }));
  await until(() => an.call("history", { channel: tea.id }), (answer) => decisions(good(answer)).length === 1, "who owns it");
  await tracker.end("SIGTERM");
  const backup = join(tracker.folder, "backup");
  assert.equal((await run(["backup", backup, "--data", join(tracker.folder, "data")])).code, 0);
  const restored = join(tracker.folder, "other");
  assert.equal((await run(["restore", backup, "--data", join(restored, "data")])).code, 0);
  const again = await startTracker(t, { folder: restored });
  const call = async (who, type, fields) => (await post(again, `/call/${type}`, fields, { headers: { Cookie: who.cookie } })).json;
  good(await call(an, "channel-ban", { channel: tea.id, account: "binh" }));
  assert.equal((await call(binh, "history", { channel: tea.id })).code, 403);
  good(await call(an, "channel-create", { name: "new", policy: "open" }));
  await new Promise((resolve) => setTimeout(resolve, 1500));
  assert.deepEqual(decisions(await call(an, "history", { channel: tea.id })), ["role"]);
});
