// Draws /status.json, which it asks for each second; of the samples only those that are new come with it.
"use strict";

const KEPT = 300; // samples, one a second
const EVERY_MS = 1000;
const PATIENCE_MS = 3000;
const SVG = "http://www.w3.org/2000/svg";

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

const byId = (id) => document.getElementById(id);

/** An element with attributes and children; texts are texts, never markup. */
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// --- words for numbers ---

function count(value) {
  return value < 100_000 ? whole.format(value) : short.format(value);
}

function rate(value) {
  return value < 10 && value > 0 ? value.toFixed(1) : count(Math.round(value));
}

function milliseconds(value) {
  if (value === null) return "–";
  return value < 10 ? value.toFixed(1) : whole.format(Math.round(value));
}

function bytes(value) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let at = 0;
  for (; value >= 1000 && at < units.length - 1; at++) value /= 1000;
  return `${value < 10 && at ? value.toFixed(1) : Math.round(value)} ${units[at]}`;
}

function duration(seconds) {
  const parts = [
    [86400, "d"],
    [3600, "h"],
    [60, "min"],
    [1, "s"],
  ];
  const from = parts.findIndex(([size]) => seconds >= size);
  if (from < 0) return "0 s";
  return parts
    .slice(from, from + 2)
    .map(([size, unit], i) => [Math.floor(i ? (seconds % parts[from][0]) / size : seconds / size), unit])
    .filter(([n], i) => n || !i)
    .map(([n, unit]) => `${n} ${unit}`)
    .join(" ");
}

const many = (n, thing) => `${whole.format(n)} ${thing}${n === 1 ? "" : "s"}`;

// --- samples ---

/** The last KEPT samples of one server, or of all. */
class History {
  constructor() {
    this.requests = [];
    this.failures = [];
    this.latency = [];
  }

  add({ requests, failures, latency_us: latency }) {
    this.requests = this.requests.concat(requests).slice(-KEPT);
    this.failures = this.failures.concat(failures).slice(-KEPT);
    this.latency = this.latency.concat(latency).slice(-KEPT);
  }
}

/** Points, the newest at the right end; a null is a gap. */
function path(values, most, height) {
  let text = "";
  let drawing = false;
  values.forEach((value, i) => {
    if (value === null) {
      drawing = false;
      return;
    }
    const x = KEPT - values.length + i;
    const y = height - (value / most) * height;
    text += `${drawing ? "L" : "M"}${x} ${y.toFixed(1)}`;
    if (!drawing && (i + 1 === values.length || values[i + 1] === null)) text += "h1"; // alone, and yet seen
    drawing = true;
  });
  return text;
}

class Spark {
  constructor(what) {
    this.what = what;
    this.svg = document.createElementNS(SVG, "svg");
    this.svg.setAttribute("class", "spark");
    this.svg.setAttribute("viewBox", `0 -1 ${KEPT} 26`);
    this.svg.setAttribute("preserveAspectRatio", "none");
    this.svg.setAttribute("role", "img");
    for (const name of ["area", "line", "failed"]) {
      this[name] = document.createElementNS(SVG, "path");
      this[name].setAttribute("class", name);
      this.svg.append(this[name]);
    }
  }

  draw(values, failures, words) {
    const known = values.filter((value) => value !== null);
    const most = Math.max(1, ...known);
    const line = path(values, most, 24);
    this.line.setAttribute("d", line);
    this.area.setAttribute("d", line && !values.includes(null) ? `${line}L${KEPT - 1} 24L${KEPT - values.length} 24Z` : "");
    this.failed.setAttribute("d", failures.map((n, i) => (n ? `M${KEPT - failures.length + i} 24v-5` : "")).join(""));
    const failed = failures.filter((n) => n).length;
    this.svg.setAttribute(
      "aria-label",
      known.length
        ? `${this.what} in the last five minutes: at most ${words(most)}${failed ? `; failures in ${many(failed, "second")}` : ""}`
        : `${this.what} in the last five minutes: nothing`,
    );
  }
}

const inMilliseconds = (us) => `${milliseconds(us / 1000)} ms`;
const aSecond = (n) => `${count(n)} a second`;

// --- the totals ---

class Tile {
  constructor(title, { spark, wide } = {}) {
    this.big = make("strong");
    this.small = make("small");
    this.element = make("div", { class: wide ? "tile wide" : "tile" }, make("h2", {}, title), this.big, this.small);
    this.spark = spark ? new Spark(spark) : null;
    if (this.spark) this.element.append(this.spark.svg);
  }

  show(big, small) {
    setText(this.big, big);
    setText(this.small, small);
  }
}

const tiles = {
  rate: new Tile("Requests to servers a second", { spark: "Requests a second", wide: true }),
  latency: new Tile("Latency, half of the answers", { spark: "Mean latency", wide: true }),
  active: new Tile("Requests under way"),
  clients: new Tile("Connections of clients"),
  failures: new Tile("Failures of servers"),
  answers: new Tile("Errors for clients (5xx)"),
  bytes: new Tile("Bodies of answers"),
};
byId("totals").append(...Object.values(tiles).map((tile) => tile.element));

function showTotals(status, history) {
  const { totals } = status;
  const waiting = status.groups.reduce((sum, group) => sum + group.waiting, 0);
  const { p50, p95, p99 } = totals.latency_ms;
  const { connections, answers } = status.clients;
  const answered = Object.values(answers).reduce((sum, n) => sum + n, 0);
  const errors = answers["5xx"];
  tiles.rate.show(rate(totals.rate), `${count(totals.requests)} since the start`);
  tiles.latency.show(
    p50 === null ? "–" : `${milliseconds(p50)} ms`,
    p50 === null ? "no answer in the last minute" : `95 %: ${milliseconds(p95)} ms, 99 %: ${milliseconds(p99)} ms`,
  );
  tiles.active.show(count(totals.active), waiting ? `and ${count(waiting)} waiting for a server` : "none is waiting for a server");
  tiles.clients.show(count(connections), `to servers ${count(totals.connections)}, ${count(totals.idle)} idle`);
  tiles.failures.show(count(totals.failures), `${count(totals.retried)} retried on another server`);
  tiles.answers.show(count(errors), answered ? `${((100 * errors) / answered).toFixed(errors ? 2 : 0)} % of all; 4xx: ${count(answers["4xx"])}` : "no answer yet");
  tiles.bytes.show(bytes(totals.received_bytes), `of requests ${bytes(totals.sent_bytes)}`);
  tiles.rate.spark.draw(history.requests, history.failures, aSecond);
  tiles.latency.spark.draw(history.latency, [], inMilliseconds);
}

// --- the servers ---

const STATES = {
  up: ["● up", "good"],
  "slow-start": ["◐ slow start", "wait"],
  trial: ["◐ on trial", "wait"],
  down: ["▲ down", "bad"],
};

/** Name, class, and what it shows of a server. */
const COLUMNS = [
  ["Requests/s", "drawn", (s) => rate(s.rate), "requests"],
  ["Latency ms, 50 / 95 / 99 %", "drawn", (s) => [s.latency_ms.p50, s.latency_ms.p95, s.latency_ms.p99].map(milliseconds).join(" / "), "latency"],
  ["Weight", "", (s) => (s.backup ? "backup" : count(s.weight))],
  ["Active", "", (s) => count(s.active) + (s.max_conns ? ` of ${count(s.max_conns)}` : "")],
  ["Idle", "", (s) => count(s.idle)],
  ["Requests", "", (s) => count(s.requests)],
  ["Failures", "some", (s) => count(s.failures)],
  ["Retried", "", (s) => count(s.retried)],
  ...["2xx", "3xx", "4xx"].map((name) => [name, "", (s) => count(s.answers[name])]),
  ["5xx", "some", (s) => count(s.answers["5xx"])],
];

class Row {
  constructor() {
    this.history = new History();
    this.name = make("th", { scope: "row", role: "rowheader", class: "name" });
    this.word = make("span", { class: "pill" });
    this.why = make("small");
    this.element = make("tr", { role: "row" }, this.name, make("td", { role: "cell", class: "state" }, this.word, this.why));
    this.cells = COLUMNS.map(([name, kind, , draws]) => {
      const cell = make("td", { role: "cell", "data-name": name, class: kind === "some" ? "" : kind });
      const text = make("span");
      cell.append(text);
      let spark = null;
      if (draws) {
        spark = new Spark(draws === "requests" ? "Requests a second" : "Mean latency");
        cell.append(spark.svg);
      }
      this.element.append(cell);
      return { cell, text, spark };
    });
  }

  show(server) {
    const down = server.state === "down";
    const [word, mark] = STATES[server.state];
    setText(this.name, `${server.tls ? "https://" : ""}${server.server}`);
    setText(this.word, word);
    this.word.className = `pill ${mark}`;
    this.element.className = down ? "down" : "";
    setText(this.why, this.words(server, down));
    COLUMNS.forEach(([, kind, text, draws], i) => {
      const { cell, text: span, spark } = this.cells[i];
      const value = text(server);
      setText(span, value);
      if (kind === "some") cell.className = value === "0" ? "zero" : "some";
      else if (!draws) cell.classList.toggle("zero", value === "0");
      if (draws === "requests") spark.draw(this.history.requests, this.history.failures, aSecond);
      if (draws === "latency") spark.draw(this.history.latency, [], inMilliseconds);
    });
  }

  words(server, down) {
    const since = server.since_s === null ? "" : `for ${duration(server.since_s)}`;
    if (!down) return server.state === "trial" && server.why ? `was down: ${server.why}` : since;
    const trial = server.trial_in_s === null ? "" : `; tried again in ${duration(server.trial_in_s)} at the latest`;
    return `${since}${since && server.why ? ": " : ""}${server.why ?? ""}${trial}`;
  }
}

class Group {
  constructor() {
    this.rows = new Map();
    this.title = make("h2");
    this.facts = make("p");
    this.body = make("tbody", { role: "rowgroup" });
    const names = ["Server", "State", ...COLUMNS.map(([name]) => name)];
    const heads = names.map((name, i) => make("th", { scope: "col", role: "columnheader", class: ["name", "state"][i] ?? "" }, name));
    this.table = make("table", { role: "table" }, make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, ...heads)), this.body);
    this.element = make(
      "section",
      { class: "group" },
      make("header", {}, this.title, this.facts),
      make("div", { class: "table", tabindex: "0", role: "group" }, this.table),
    );
  }

  show(group, title) {
    setText(this.title, title);
    this.table.setAttribute("aria-label", `Servers of ${title}`);
    this.table.parentElement.setAttribute("aria-label", `Servers of ${title}`);
    const facts = [group.policy];
    if (group.check) facts.push(`checked by ${group.check}`);
    if (group.waiting) facts.push(`${many(group.waiting, "request")} waiting`);
    setText(this.facts, facts.join(", "));
    this.element.classList.toggle("down", group.servers.every(({ state }) => state === "down" || state === "trial"));
    const keys = new Set();
    group.servers.forEach((server, at) => {
      const key = `${server.tls} ${server.server}`;
      if (keys.has(key)) return;
      keys.add(key);
      if (!this.rows.has(key)) this.rows.set(key, new Row());
      const row = this.rows.get(key);
      if (this.body.children[at] !== row.element) this.body.insertBefore(row.element, this.body.children[at] ?? null);
      if (server.history) row.history.add(server.history);
      row.show(server);
    });
    forget(this.rows, keys);
  }
}

function forget(shown, keys) {
  for (const [key, { element }] of shown) {
    if (keys.has(key)) continue;
    element.remove();
    shown.delete(key);
  }
}

/** The hosts and paths that lead to each group. */
function titles(status) {
  const names = status.groups.map(() => []);
  for (const host of status.hosts) {
    for (const { path: prefix, group } of host.paths) {
      const text = host.names.map((name) => name + (prefix === "/" ? "" : prefix)).join(", ");
      names[group]?.push(text);
    }
  }
  return names.map((list, i) => list.join(", ") || status.groups[i].name);
}

const groups = new Map();
function showGroups(status) {
  const parent = byId("groups");
  const names = titles(status);
  const keys = new Set();
  status.groups.forEach((group, at) => {
    keys.add(group.name);
    if (!groups.has(group.name)) groups.set(group.name, new Group());
    const shown = groups.get(group.name);
    if (parent.children[at] !== shown.element) parent.insertBefore(shown.element, parent.children[at] ?? null);
    shown.show(group, names[at]);
  });
  forget(groups, keys);
}

// --- the head ---

function icon(colour) {
  const svg = `<svg xmlns="${SVG}" viewBox="0 0 16 16"><circle cx="8" cy="8" r="7" fill="${colour}"/></svg>`;
  const href = `data:image/svg+xml,${encodeURIComponent(svg)}`;
  if (byId("icon").href !== href) byId("icon").href = href;
}

function showHead(status) {
  const { servers, down } = status.totals; // down: a trial is not over either
  const summary = byId("summary");
  const words = !down
    ? servers === 1
      ? "The server is up"
      : `All ${whole.format(servers)} servers are up`
    : servers === 1
      ? "The server is down"
      : `${whole.format(down)} of ${whole.format(servers)} servers ${down === 1 ? "is" : "are"} down`;
  setText(summary, words);
  summary.className = `pill ${down ? "bad" : "good"}`;
  document.title = `${down ? `(${down} down) ` : ""}weaprous proxy`;
  icon(down ? "#c0392b" : "#2e8b57");
  const { number, loaded_s, refused_s } = status.configuration;
  const at = (seconds) => clock.format(new Date(seconds * 1000));
  const facts = [
    ["Configuration", `${number}, since ${at(loaded_s)}${refused_s ? `; a newer one was refused at ${at(refused_s)}, the log says why` : ""}`],
    ["Running for", duration(status.uptime_s)],
    ["Workers", count(status.workers)],
    ["Version", status.version],
  ];
  const list = byId("facts");
  if (!list.children.length) list.append(...facts.map(([name]) => make("div", {}, make("dt", {}, name), make("dd"))));
  facts.forEach(([, value], i) => setText(list.children[i].lastChild, value));
}

// --- each second ---

let total = new History();
let next = 0;
let began = null;
let answeredAt = null;

function show(status) {
  if (status.began_s !== began) {
    // Another run of the proxy: what was drawn is not its.
    began = status.began_s;
    total = new History();
    for (const { rows } of groups.values()) for (const row of rows.values()) row.history = new History();
  }
  next = status.samples;
  if (status.totals.history) total.add(status.totals.history);
  showHead(status);
  showTotals(status, total);
  showGroups(status);
}

function silent(is) {
  const line = byId("silent");
  line.hidden = !is;
  document.body.classList.toggle("silent", is);
  if (!is) return;
  setText(line, answeredAt ? `The proxy has not answered since ${clock.format(answeredAt)}. What is shown here is from then.` : "The proxy does not answer.");
  document.title = "(no answer) weaprous proxy";
  icon("#888888");
}

async function update() {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), PATIENCE_MS);
  try {
    const response = await fetch(`/status.json?since=${next}`, { signal: abort.signal, cache: "no-store" });
    if (!response.ok) throw new Error(`status ${response.status}`);
    const status = await response.json();
    answeredAt = new Date();
    silent(false);
    show(status);
  } catch {
    silent(true);
  } finally {
    clearTimeout(timer);
    setTimeout(update, EVERY_MS);
  }
}
update();
