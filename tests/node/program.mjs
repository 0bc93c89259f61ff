// Starting the real program: the one that WEAPROUS names, else the release build.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { root } from "./load.mjs";

const PATIENCE_MS = 20_000;
const program = process.env.WEAPROUS ?? join(root, "build/release/weaprous");

/** `weaprous up` with its data in the folder, on the port (0: any free one); resolves once it has printed its address. */
export async function startTracker(folder, wanted = 0) {
  const child = spawn(program, ["up", "--server-port", String(wanted), "--data", folder], { stdio: ["ignore", "pipe", "pipe"] });
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
