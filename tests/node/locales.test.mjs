// Every word of the page exists in every language, in the plural forms that the language has, and with the
// same values to fill in; and every word that the page asks for exists.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const ui = fileURLToPath(new URL("../../client/ui/", import.meta.url));
// The words that everybody needs at once, and those of the pages that are fetched when they are opened.
const languages = Object.fromEntries(
  readdirSync(`${ui}locales`).map((file) => [
    file.replace(".json", ""),
    Object.assign({}, ...["", "desk/"].map((part) => JSON.parse(readFileSync(`${ui}${part}locales/${file}`, "utf8")))),
  ]),
);

const forms = (text) => (typeof text === "string" ? [text] : Object.values(text));
const values = (text) => [...new Set(text.match(/\{\w+\}/g) ?? [])].sort();

/** Plural categories that whole numbers up to 200 have in this language. */
function categories(language) {
  const rules = new Intl.PluralRules(language);
  return new Set(Array.from({ length: 200 }, (_, n) => rules.select(n)));
}

function sources(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? sources(`${folder}${entry.name}/`) : /\.tsx?$/.test(entry.name) ? [`${folder}${entry.name}`] : [],
  );
}

test("the languages are English, Portuguese and Vietnamese", () => {
  assert.deepEqual(Object.keys(languages).sort(), ["en", "pt", "vi"]);
});

for (const [language, texts] of Object.entries(languages)) {
  test(`${language} has exactly the keys of English, none of them empty`, () => {
    assert.deepEqual(Object.keys(texts).sort(), Object.keys(languages.en).sort());
    for (const [key, text] of Object.entries(texts))
      for (const form of forms(text)) assert.ok(form.trim().length > 0, key);
  });

  test(`${language} has the plural forms that its numbers need`, () => {
    for (const [key, text] of Object.entries(texts)) {
      if (typeof text === "string") continue;
      for (const category of categories(language)) assert.ok(category in text, `${key}: no form "${category}"`);
    }
  });

  test(`${language} fills in the same values as English`, () => {
    for (const [key, text] of Object.entries(texts)) {
      const expected = values(forms(languages.en[key]).join(" "));
      for (const form of forms(text)) assert.deepEqual(values(form), expected, key);
    }
  });
}

test("a key with plural forms in one language has them in all", () => {
  for (const [key, text] of Object.entries(languages.en))
    for (const [language, texts] of Object.entries(languages))
      assert.equal(typeof texts[key], typeof text, `${language}: ${key}`);
});

test("every key is used by the page", () => {
  const code = sources(ui).map((file) => readFileSync(file, "utf8")).join("\n");
  // t(`state.${state}`) and the like use a whole family of keys.
  const families = [...code.matchAll(/`([\w.-]+\.)\$\{[^}]+\}([\w.-]*)`/g)];
  const inFamily = (key) => families.some(([, head, tail]) => key.startsWith(head) && key.endsWith(tail));
  const unused = Object.keys(languages.en).filter((key) => !code.includes(`"${key}"`) && !inFamily(key));
  assert.deepEqual(unused, []);
});
