// WebAssembly modules as bytes (core specification, chapter 5): taken apart and put together again, so that only
// what is used is served. What is not understood is an error in words, never a guess.

class Reader {
  constructor(bytes, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  get done() {
    return this.at >= this.bytes.length;
  }

  byte() {
    if (this.done) throw new Error("a WebAssembly module ends too early");
    return this.bytes[this.at++];
  }

  /** An unsigned number in LEB128; of a signed one only the length is right, which is enough to pass it by. */
  number() {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  }

  take(length) {
    if (this.at + length > this.bytes.length) throw new Error("a WebAssembly module ends too early");
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  vector(item) {
    return Array.from({ length: this.number() }, () => item(this));
  }

  numbers(count) {
    for (let i = 0; i < count; i++) this.number();
  }
}

const SECTION = { custom: 0, type: 1, import: 2, function: 3, export: 7, start: 8, element: 9, code: 10 };

/** [{ id, body }] of a module, in order. */
function sectionsOf(module) {
  const reader = new Reader(module, 8);
  const sections = [];
  while (!reader.done) {
    const id = reader.byte();
    sections.push({ id, body: reader.take(reader.number()) });
  }
  return sections;
}

function leb(value) {
  const bytes = [];
  do {
    bytes.push((value % 128) | (value >= 128 ? 0x80 : 0));
    value = Math.floor(value / 128);
  } while (value > 0);
  return Buffer.from(bytes);
}

const sized = (body) => Buffer.concat([leb(body.length), body]);
const vectorOf = (items) => Buffer.concat([leb(items.length), ...items]);
const joined = (module, sections) =>
  Buffer.concat([module.subarray(0, 8), ...sections.flatMap(({ id, body }) => [Buffer.of(id), sized(body)])]);

/** The module without its custom sections: names of functions and the like, which only people read. */
export function withoutCustomSections(module) {
  return joined(module, sectionsOf(module).filter(({ id }) => id !== SECTION.custom));
}

// How many numbers follow an instruction of the group 0xfc (saturating conversions, bulk memory).
const BULK_NUMBERS = [0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 2, 1, 2, 1, 2, 1, 1, 1];

/** Passes one instruction by (chapter 5.4); `uses` collects what it can call. */
function passInstruction(reader, uses) {
  const code = reader.byte();
  if (code === 0x10 || code === 0x12 || code === 0xd2) uses.functions.add(reader.number()); // calls, ref.func
  else if (code === 0x11 || code === 0x13) {
    uses.types.add(reader.number()); // a call through the table
    reader.number();
  } else if (code >= 0x02 && code <= 0x04) reader.number(); // a block and its type
  else if (code === 0x0c || code === 0x0d) reader.number();
  else if (code === 0x0e) {
    reader.vector((r) => r.number());
    reader.number();
  } else if (code === 0x1c) reader.vector((r) => r.byte());
  else if (code >= 0x20 && code <= 0x26) reader.number(); // variables, tables
  else if (code >= 0x28 && code <= 0x3e) reader.numbers(2); // memory: alignment, offset
  else if (code >= 0x3f && code <= 0x42) reader.number();
  else if (code === 0x43) reader.take(4);
  else if (code === 0x44) reader.take(8);
  else if (code === 0xfc) {
    const numbers = BULK_NUMBERS[reader.number()];
    if (numbers === undefined) throw new Error("an unknown WebAssembly instruction of the group 0xfc");
    reader.numbers(numbers);
  } else if (code === 0xd0) reader.byte();
  else if (!(code <= 0x01 || code === 0x05 || code === 0x0b || code === 0x0f || code === 0x1a || code === 0x1b ||
             (code >= 0x45 && code <= 0xc4) || code === 0xd1)) {
    throw new Error(`an unknown WebAssembly instruction 0x${code.toString(16)}`);
  }
}

/** What the body of a function can call: numbers of functions, and types of calls through the table. */
function usesOf(body) {
  const reader = new Reader(body);
  const uses = { functions: new Set(), types: new Set() };
  reader.vector((r) => [r.number(), r.byte()]); // its variables
  while (!reader.done) passInstruction(reader, uses);
  if (body[body.length - 1] !== 0x0b) throw new Error("the body of a WebAssembly function does not end where it should");
  return uses;
}

function readExports(body) {
  return new Reader(body).vector((reader) => {
    const start = reader.at;
    const name = Buffer.from(reader.take(reader.number())).toString();
    const kind = reader.byte();
    const index = reader.number();
    return { name, kind, index, bytes: body.subarray(start, reader.at) };
  });
}

function readImportedTypes(body) {
  return new Reader(body).vector((reader) => {
    reader.take(reader.number());
    reader.take(reader.number());
    if (reader.byte() !== 0) throw new Error("a WebAssembly module imports something that is no function");
    return reader.number();
  });
}

/** Functions in the table: segments of the plain form only, at an offset that is a constant. */
function readTable(body) {
  return new Reader(body).vector((reader) => {
    if (reader.number() !== 0 || reader.byte() !== 0x41) throw new Error("a table of a form that is not known");
    reader.number();
    if (reader.byte() !== 0x0b) throw new Error("a table of a form that is not known");
    return reader.vector((r) => r.number());
  }).flat();
}

function readTypes(body) {
  return new Reader(body).vector((reader) => {
    const start = reader.at;
    reader.byte();
    reader.vector((r) => r.byte());
    reader.vector((r) => r.byte());
    return body.subarray(start, reader.at).toString("hex");
  });
}

/** Numbers of all functions that can run when only `roots` are called. A call through the table reaches all of its
 *  functions of the same type. */
function reachable(roots, { types, typeOf, imported, bodies, table }) {
  const found = new Set();
  const called = new Set(); // types of calls through the table
  const waiting = [...roots];
  while (waiting.length > 0) {
    const index = waiting.pop();
    if (found.has(index)) continue;
    found.add(index);
    if (index < imported) continue;
    const uses = usesOf(bodies[index - imported]);
    waiting.push(...uses.functions);
    for (const type of [...uses.types].map((number) => types[number])) {
      if (called.has(type)) continue;
      called.add(type);
      waiting.push(...table.filter((entry) => types[typeOf[entry]] === type));
    }
  }
  return found;
}

const UNREACHABLE = Buffer.from([3, 0, 0x00, 0x0b]); // a body that traps: three bytes, no variables

/** The module with only the named exports, and with bodies only of the functions that these can reach; the others
 *  trap. Throws when a named export is missing. */
export function withOnlyExports(module, names) {
  const sections = sectionsOf(module).filter(({ id }) => id !== SECTION.custom);
  const body = (id) => sections.find((section) => section.id === id)?.body ?? Buffer.of(0);
  const exports = readExports(body(SECTION.export)).filter(({ name }) => names.has(name));
  const missing = [...names].filter((name) => !exports.some((entry) => entry.name === name));
  if (missing.length > 0) throw new Error(`the WebAssembly module does not export ${missing.join(", ")}`);

  const importedTypes = readImportedTypes(body(SECTION.import));
  const bodies = new Reader(body(SECTION.code)).vector((reader) => reader.take(reader.number()));
  const roots = exports.filter(({ kind }) => kind === 0).map(({ index }) => index);
  const start = sections.find(({ id }) => id === SECTION.start);
  if (start) roots.push(new Reader(start.body).number());
  const kept = reachable(roots, {
    types: readTypes(body(SECTION.type)),
    typeOf: [...importedTypes, ...new Reader(body(SECTION.function)).vector((reader) => reader.number())],
    imported: importedTypes.length,
    bodies,
    table: readTable(body(SECTION.element)),
  });
  const code = bodies.map((bytes, i) => (kept.has(i + importedTypes.length) ? sized(bytes) : UNREACHABLE));
  return joined(module, sections.map(({ id, body: bytes }) => {
    if (id === SECTION.export) return { id, body: vectorOf(exports.map((entry) => entry.bytes)) };
    if (id === SECTION.code) return { id, body: vectorOf(code) };
    return { id, body: bytes };
  }));
}
