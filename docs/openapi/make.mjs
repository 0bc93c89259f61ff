// Makes docs/openapi.json, the interfaces as OpenAPI 3.1, of the descriptions beside this file: run it after a change there. The
// contract test (tests/integration/contract.test.mjs) compares both with the running server.
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as account from "./account.mjs";
import * as channels from "./channels.mjs";
import * as classic from "./classic.mjs";
import * as people from "./people.mjs";
import { object, one, ref, text, whole, maybe } from "./words.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const areas = { account, people, channels };
const WORDS = {
  400: "A field is wrong", 401: "Not logged in", 403: "Not allowed", 404: "Not found", 409: "Not possible as things are", 413: "Too large", 429: "Too fast",
  503: "Busy, or shutting down", 507: "The disk is full",
};
const json = (schema) => ({ content: { "application/json": { schema } } });
const security = { person: [{ session: [] }], admin: [{ session: [] }], named: [{ session: [] }, {}], reader: [{ session: [] }, {}], peer: [{ pool: [] }, {}], anybody: [] };

function failures(operation, schema) {
  const statuses = new Set([...(operation.errors ?? []), 503, 507]);
  if (operation.fields) statuses.add(400).add(403).add(413);
  if (operation.who !== "anybody") statuses.add(401).add(403);
  return Object.fromEntries([...statuses].sort().map((status) => [status, { $ref: `#/components/responses/${schema}${status}` }]));
}

function bodyOf(fields) {
  const schema = object(fields);
  return { content: { "application/json": { schema }, "application/x-www-form-urlencoded": { schema } } };
}

function answersOf(operation) {
  if (operation.page) return Object.fromEntries(operation.page.map((status) => [status, { description: "A page", content: { "text/html": { schema: text } } }]));
  if (operation.socket) return { 101: { description: "A WebSocket" } };
  if (operation.plain) return { 200: { description: "Done", content: { "*/*": { schema: text } } } };
  return {
    200: { description: "Done", ...json(operation.answer) },
    ...(operation.redirects && { 302: { description: "Done, for who does not ask for JSON", headers: { Location: { schema: text } } } }),
  };
}

function pathItem(method, path, operation, tag) {
  const parameters = (operation.parameters ?? []).map((name) => ({ name, in: "path", required: true, schema: text }));
  return {
    operationId: `${method.toLowerCase()}${path.replace(/[^a-z]+/gi, "-").replace(/-$/, "") || "-root"}`,
    ...(operation.summary && { summary: operation.summary }),
    tags: [tag],
    "x-who": operation.who,
    ...(operation.room && { "x-room": operation.room }),
    ...(operation.ends && { "x-ends": true }),
    ...(operation.waits && { "x-waits": true }),
    security: security[operation.who],
    ...(parameters.length && { parameters }),
    ...(operation.fields && { requestBody: bodyOf(operation.fields) }),
    responses: { ...answersOf(operation), ...failures(operation, operation.failure ? "Failure" : "Error") },
  };
}

export function openapi() {
  const paths = {};
  for (const [key, operation] of Object.entries(classic.routes)) {
    const [method, path] = key.split(" ");
    (paths[path] ??= {})[method.toLowerCase()] = pathItem(method, path, operation, "classic");
  }
  const schemas = {
    Error: object({ status: one("error"), message: text, code: maybe(whole), needs: maybe(text), ticket: maybe(text) }),
    Failure: object({ status: one("failure", "error"), message: text }),
    ...classic.schemas,
  };
  for (const [tag, area] of Object.entries(areas)) {
    Object.assign(schemas, area.schemas);
    for (const [type, call] of Object.entries(area.calls)) {
      const path = `/call/${type}`;
      const operation = { ...call, fields: call.fields ?? {}, answer: object({ status: one("success"), ...call.answer }) };
      paths[path] = { post: pathItem("POST", path, operation, tag) };
    }
  }
  return {
    openapi: "3.1.0",
    info: { title: "weaprous tracker", version: "1", description: "docs/api.md tells it in words.", license: { name: "MIT", identifier: "MIT" } },
    servers: [{ url: "http://127.0.0.1:9000" }],
    paths,
    components: {
      schemas,
      responses: Object.fromEntries(
        ["Error", "Failure"].flatMap((schema) => Object.entries(WORDS).map(([status, description]) => [`${schema}${status}`, { description, ...json(ref(schema)) }])),
      ),
      securitySchemes: {
        session: { type: "apiKey", in: "cookie", name: "session" },
        pool: { type: "http", scheme: "bearer", description: "The file pool-secret of the data folder" },
      },
    },
  };
}

/** One operation on a line: for people who compare two versions. */
function lines(value, depth) {
  if (depth === 0) return JSON.stringify(value);
  const entries = Object.entries(value).map(([key, each]) => `${JSON.stringify(key)}: ${typeof each === "object" && !Array.isArray(each) ? lines(each, depth - 1) : JSON.stringify(each)}`);
  return `{\n${entries.join(",\n")}\n}`;
}

export const openapiText = () => `${lines(openapi(), 3)}\n`;
export const openapiFile = join(here, "../openapi.json");
export const openapiIsCurrent = () => readFileSync(openapiFile, "utf8") === openapiText();

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(openapiFile, openapiText());
