// Memory of `weaprous up`: idle, and with idle people (each a logged-in WebSocket).
import { readFileSync } from "node:fs";
import WebSocket from "ws";
import { PASSWORD, Tracker } from "../tests/browser/world.mjs";
import { inFolder, report } from "./common.mjs";

const PEOPLE = 200;

function memory(pid) {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  const kilobytes = (name) => Number(new RegExp(`^${name}: +(\\d+)`, "m").exec(text)[1]);
  return { rss: kilobytes("Rss"), pss: kilobytes("Pss"), own: kilobytes("Private_Dirty") };
}
const words = ({ rss, pss, own }) => `RSS ${(rss / 1024).toFixed(1)} MB, PSS ${(pss / 1024).toFixed(1)} MB, private dirty ${(own / 1024).toFixed(1)} MB`;

async function session(tracker, name) {
  const answer = await fetch(`${tracker.url}/register`, {
    method: "POST",
    headers: { accept: "application/json" },
    body: new URLSearchParams({ username: name, password: PASSWORD }),
  });
  if (answer.status !== 200) throw new Error(`register: ${answer.status} ${await answer.text()}`);
  return /session=[^;]+/.exec(answer.headers.get("set-cookie"))[0];
}

await inFolder(async (folder) => {
  const tracker = new Tracker(folder);
  await tracker.start();
  await new Promise((resolve) => setTimeout(resolve, 1000));
  report("weaprous up, idle", words(memory(tracker.child.pid)));
  const cookie = await session(tracker, "sockets");
  const before = memory(tracker.child.pid);
  const sockets = [];
  for (let i = 0; i < PEOPLE; i++) {
    const socket = new WebSocket(`${tracker.url.replace("http", "ws")}/ws`, { headers: { cookie } });
    await new Promise((resolve, reject) => socket.once("message", resolve).once("error", reject));
    sockets.push(socket);
  }
  const after = memory(tracker.child.pid);
  report("after one registration (Argon2id has been used)", words(before));
  report(`each of ${PEOPLE} idle sockets`, `${((after.own - before.own) / PEOPLE).toFixed(1)} KB private`);
  for (const socket of sockets) socket.terminate();
  await tracker.end("SIGTERM");
});
