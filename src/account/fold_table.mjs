// Prints fold_table.c: `node fold_table.mjs > fold_table.c`. Kept in the repository, so that what counts as one name
// does not change with the Unicode version of whoever builds.
// One row for each letter of the basic plane whose folded form differs from itself: lower case, then compatibility
// decomposition. Hangul syllables decompose by arithmetic, Chinese compatibility characters are left alone, and what no name
// may hold (symbols) is left out.

// Letters of other scripts that are drawn like a Latin one, in lower or in upper case (after folding).
const alike = {
  а: "a", е: "e", о: "o", р: "p", с: "c", у: "y", х: "x", і: "i", ј: "j", ѕ: "s", һ: "h", ԁ: "d", ԛ: "q", ԝ: "w", ӏ: "l",
  в: "b", к: "k", м: "m", н: "h", т: "t", ү: "y", α: "a", β: "b", ε: "e", ζ: "z", η: "h", ι: "i", κ: "k", μ: "m", ν: "v",
  ο: "o", ρ: "p", τ: "t", υ: "y", χ: "x", ϲ: "c", ϳ: "j", օ: "o", ս: "u", հ: "h", ց: "g", ı: "i", ɑ: "a", ɡ: "g", ɩ: "i",
};

const rows = [];
for (let c = 0xaa; c < 0xffe0; c++) {
  if ((c >= 0x2000 && c <= 0x2fff) || (c >= 0xac00 && c <= 0xd7a3) || (c >= 0xd800 && c <= 0xfaff)) continue;
  const letter = String.fromCodePoint(c);
  if (!/\p{L}|\p{N}/u.test(letter)) continue;
  let folded = letter.normalize("NFKD").toLowerCase().replaceAll("ς", "σ").replaceAll("ß", "ss").normalize("NFKD");
  folded = [...folded].map((part) => alike[part] ?? part).join("");
  const points = [...folded].map((part) => part.codePointAt(0));
  if (folded === letter || points.length > 4 || points.some((p) => p > 0xffff)) continue;
  rows.push(`{0x${c.toString(16)}, {${points.map((p) => "0x" + p.toString(16)).join(", ")}}},`);
}
const lines = [];
for (let i = 0; i < rows.length; i += 4) lines.push(`    ${rows.slice(i, i + 4).join(" ")}`);
console.log(`/* Made by fold_table.mjs; not edited by hand. */
#include "account/fold.h"

// clang-format off
const struct fold_row fold_table[] = {
${lines.join("\n")}
};
// clang-format on
const size_t fold_table_count = sizeof fold_table / sizeof fold_table[0];`);
