// Rooms over both faces of the calls: made, found, joined, moderated, left; what the devices hear of it.
import assert from "node:assert/strict";
import test from "node:test";
import { online, post, register, startTracker } from "./tracker-kit.mjs";

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
