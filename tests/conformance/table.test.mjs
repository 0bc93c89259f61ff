// The conformance table over TCP, to a program of its own: each case whole, then in pieces of random lengths.
import { after, test } from "node:test";
import { randomOf, start, stop } from "./server.mjs";
import { play, readTable } from "./table.mjs";

const SEED = Number(process.env.SEED ?? 1);
const servers = { default: await start(["default"]), small: await start(["small"]) };
after(() => Promise.all(Object.values(servers).map(stop)));

for (const [index, c] of readTable().entries()) {
  test(c.name, async () => {
    const random = randomOf(SEED * 10_000 + index);
    await play(servers[c.site].port, c);
    await play(servers[c.site].port, c, () => 1 + Math.floor(random() ** 3 * 40));
  });
}
