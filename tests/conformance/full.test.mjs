// A server with all the connections that it may have: it says so, leaves others in the kernel's queue, does not spin, and
// serves them as soon as there is room.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import net from "node:net";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { program, start, stop, within } from "./server.mjs";

const DESCRIPTORS = 200;
const CLIENTS = 300;

/** A connection that asks once and stays. */
function client(port) {
  const socket = net.connect({ host: "127.0.0.1", port });
  const it = { socket, answered: false };
  socket.on("error", () => {});
  socket.on("data", () => (it.answered = true));
  socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  return it;
}

async function until(what, condition) {
  const deadline = Date.now() + 30_000;
  while (!condition()) {
    assert.ok(Date.now() < deadline, `${what} did not come`);
    await pause(20);
  }
}

/** Hundredths of a second of processor time. */
function cpuOf(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

async function fill(site, limit, said) {
  const server = await start(["-c", `ulimit -n ${DESCRIPTORS} && exec "$0" "$1"`, program, site], { command: "sh" });
  const clients = Array.from({ length: CLIENTS }, () => client(server.port));
  const answered = () => clients.filter((it) => it.answered).length;
  try {
    await until("the limit", () => answered() >= limit - 20 && said.test(server.errors()));
    await pause(300);
    assert.ok(answered() <= limit, `${answered()} were answered, ${limit} may be`);
    // Several tries: what is counted may be the end of the filling.
    for (let tries = 3, used = 100; used > 15; tries--) {
      assert.ok(tries > 0, `${used} % of a processor while nothing can be done`);
      const before = cpuOf(server.child.pid);
      await pause(1000);
      used = cpuOf(server.child.pid) - before;
    }
    // Each that goes lets another in, until all have been answered.
    for (let gone = 0; answered() < CLIENTS; ) {
      const before = answered();
      for (const it of clients) if (it.answered && !it.gone && ++gone) it.gone = it.socket.destroy();
      await until("room", () => answered() > before);
    }
    for (const it of clients) it.socket.destroy();
    const late = client(server.port);
    await until("an answer afterwards", () => late.answered);
    late.socket.destroy();
    assert.ok(server.errors().match(said), "it is said");
    await stop(server);
  } finally {
    for (const it of clients) it.socket.destroy();
  }
}

test("at its limit of connections the server says so and waits", () =>
  within(fill("default", DESCRIPTORS - 64, /connections are open, which is the limit/), "the end", 60_000));

test("without descriptors the server says so and waits", () =>
  within(fill("greedy", DESCRIPTORS, /accepts no connections for now: too many open files/), "the end", 60_000));
