// Starting the real program: the one that WEAPROUS names, else the release build.
import { execFileSync, spawn } from "node:child_process";
import { join } from "node:path";
import { root } from "./load.mjs";

const PATIENCE_MS = 20_000;
const program = process.env.WEAPROUS ?? join(root, "build/release/weaprous");

/** Gives what went into a node, as bytes, to a native node: throws unless the same comes out. Tells how many calls. */
export function replayTrace(bytes) {
  const said = execFileSync(program, ["trace", "replay", "-"], { input: bytes, encoding: "utf8", maxBuffer: 1 << 20 });
  const [, calls, actions, out] = /^In: +(\d+) calls [^]*Out: (\d+) actions, (\d+) bytes, the same/.exec(said).map(Number);
  return { calls, actions, out, complete: !said.includes("ends before") };
}

/** `weaprous up` with its data in the folder, on the port (0: any free one); resolves once it has printed its address. */
export async function startTracker(folder, wanted = 0, options = []) {
  const words = ["up", "--server-port", String(wanted), "--data", folder, ...options];
  const child = spawn(program, words, { stdio: ["ignore", "pipe", "pipe"] });
  const port = await new Promise((resolve, reject) => {
    let printed = "";
    const deadline = setTimeout(() => reject(new Error(`no address within ${PATIENCE_MS} ms:\n${printed}`)), PATIENCE_MS);
    const read = (bytes) => {
      printed += bytes;
      const found = /http:\/\/[\d.]+:(\d+)/.exec(printed);
      if (found) resolve(Number(found[1])), clearTimeout(deadline);
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`the tracker ended with ${code}:\n${printed}`)));
  });
  return { child, port };
}
