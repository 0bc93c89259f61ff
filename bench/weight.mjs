// What the product weighs: the program, and the page as a browser fetches it.
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { inFolder, report, root } from "./common.mjs";

const program = join(root, "build/release/weaprous");
const kilobytes = (n) => `${(n / 1024).toFixed(1)} KB`;

await inFolder((folder) => {
  const stripped = join(folder, "weaprous");
  execFileSync("strip", ["-o", stripped, program]);
  report("program, stripped", kilobytes(statSync(stripped).size));
  report("program, as built (with line tables)", kilobytes(statSync(program).size));
});

const dist = join(root, "build/release/client/dist");
const files = readdirSync(dist, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.path, entry.name));
const { first, later } = JSON.parse(readFileSync(join(dirname(dist), "weight.json"), "utf8"));
const isLater = (file) => later.includes(`/${relative(dist, file)}`);
for (const file of files.filter((name) => !/\.(br|gz)$/.test(name))) {
  const weight = statSync(files.includes(`${file}.br`) ? `${file}.br` : file).size;
  report(`page: ${relative(dist, file)}, brotli${isLater(file) ? " (when it is opened)" : ""}`, kilobytes(weight));
}
report("page for a first visit, brotli (goal: at most 200 KB)", kilobytes(first));
