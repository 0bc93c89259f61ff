// Short words for the schemas that the descriptions of the interfaces are made of (JSON Schema, as OpenAPI 3.1 has it).
export const text = { type: "string" };
export const line = (max, min = 0) => ({ type: "string", minLength: min, maxLength: max });
export const id = { type: "string", pattern: "^[0-9a-f]{64}$" };
export const token = id;
export const name = line(32, 1);
/** Milliseconds since 1970. */
export const time = { type: "integer", minimum: 0 };
export const count = { type: "integer", minimum: 0 };
export const whole = { type: "integer" };
export const flag = { type: "boolean" };
export const one = (...values) => ({ enum: values });
export const list = (items) => ({ type: "array", items });
export const nullable = (schema) => ({ anyOf: [schema, { type: "null" }] });
/** A number of a form is text. */
export const number = (min, max) => ({ anyOf: [{ type: "integer", minimum: min, maximum: max }, { type: "string", pattern: "^-?[0-9]+$" }] });
export const truth = { anyOf: [{ type: "boolean" }, { enum: ["true", "false"] }] };
const MAYBE = Symbol("maybe");
/** A field that need not be there. */
export const maybe = (schema) => ({ [MAYBE]: schema });
export const object = (fields) => {
  const entries = Object.entries(fields);
  const required = entries.filter(([, schema]) => !schema[MAYBE]).map(([key]) => key);
  return {
    type: "object",
    ...(required.length && { required }),
    properties: Object.fromEntries(entries.map(([key, schema]) => [key, schema[MAYBE] ?? schema])),
  };
};
export const ref = (schema) => ({ $ref: `#/components/schemas/${schema}` });
