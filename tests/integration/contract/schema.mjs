// Compares answers with docs/openapi.json: the part of JSON Schema that it uses, and which operations there are.
import { openapi } from "../../../docs/openapi/make.mjs";

export const description = openapi();
const KNOWN = new Set(["$ref", "type", "properties", "required", "items", "enum", "anyOf", "pattern", "minimum", "maximum", "minLength", "maxLength"]);
const TYPES = {
  string: (value) => typeof value === "string",
  integer: Number.isInteger,
  boolean: (value) => typeof value === "boolean",
  null: (value) => value === null,
  array: Array.isArray,
  object: (value) => typeof value === "object" && value !== null && !Array.isArray(value),
};

/** What is wrong with the value, in words; undefined when it fits. */
export function misfit(schema, value, at = "answer") {
  for (const word of Object.keys(schema)) if (!KNOWN.has(word)) throw new Error(`the schema of ${at} says ${word}, which is not known here`);
  if (schema.$ref) return misfit(description.components.schemas[schema.$ref.split("/").at(-1)], value, at);
  if (schema.anyOf) return schema.anyOf.some((each) => !misfit(each, value, at)) ? undefined : `${at} fits none of several: ${JSON.stringify(value)}`;
  if (schema.enum && !schema.enum.includes(value)) return `${at} is none of ${schema.enum}: ${JSON.stringify(value)}`;
  if (schema.type && !TYPES[schema.type](value)) return `${at} is no ${schema.type}: ${JSON.stringify(value)}`;
  if (schema.pattern && !new RegExp(schema.pattern, "u").test(value)) return `${at} does not match ${schema.pattern}: ${value}`;
  if (value < schema.minimum || value > schema.maximum) return `${at} is out of bounds: ${value}`;
  if (typeof value === "string" && ([...value].length < (schema.minLength ?? 0) || [...value].length > (schema.maxLength ?? Infinity))) return `${at} is too short or too long`;
  for (const key of schema.required ?? []) if (!Object.hasOwn(value, key)) return `${at}.${key} is missing`;
  for (const [key, each] of Object.entries(schema.properties ?? {})) {
    const wrong = Object.hasOwn(value, key) ? misfit(each, value[key], `${at}.${key}`) : undefined;
    if (wrong) return wrong;
  }
  for (const [i, item] of schema.items ? value.entries() : []) {
    const wrong = misfit(schema.items, item, `${at}[${i}]`);
    if (wrong) return wrong;
  }
  return undefined;
}

/** Every operation: {method, path, call (of /call/...), ...what OpenAPI says}. */
export const operations = Object.entries(description.paths).flatMap(([path, item]) =>
  Object.entries(item).map(([method, operation]) => ({ ...operation, method: method.toUpperCase(), path, call: path.startsWith("/call/") ? path.slice(6) : undefined })),
);

/** What is wrong with an answer of this operation; undefined when nothing is. */
export function wrongAnswer(operation, { status, json }) {
  const found = operation.responses[status], named = found?.$ref?.split("/").at(-1);
  const response = named ? description.components.responses[named] : found;
  if (!response) return `${operation.path} does not say that it answers ${status}`;
  const schema = response.content?.["application/json"]?.schema;
  return schema ? misfit(schema, json, operation.path) : undefined;
}

export const operationOf = (method, path) => operations.find((each) => each.method === method && each.path === path);
