// Who is measured as a proxy: ours, the bare forwarders, and Debian's nginx, HAProxy and h2o. Each has one port for each
// way of asking, and behind it the least server that can answer it; connections to that server are kept; no access log.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../common.mjs";
import { CONNECTIONS_MAX, contender, DESCRIPTORS_MAX, environment, listening, startH2o, startNginx } from "../http/contenders.mjs";
import { firstLine, freePort, LOAD_CORE, program, SERVER_CORE, start } from "../http/measure.mjs";

export const PAIRS = 8000; // two descriptors each
export const POST_BYTES = 1024;
const KEPT = 512; // connections to a server that stay open, unless it is said

/** By way of asking: what the server answers (see bench/http/loop.c), and what is special about the listener. */
const routes = {
  "100b": { answer: "100b.bin" },
  "1k": { answer: "1k.bin" },
  "10k": { answer: "10k.bin" },
  "100k": { answer: "100k.bin" },
  "1m": { answer: "1m.bin" },
  post: { answer: `post:${POST_BYTES}:100b.bin` },
  late: { answer: `late:${PAIRS}:100b.bin`, kept: PAIRS },
  echo: { answer: "echo:", upgrades: true },
  deferred: { answer: "deferred", like: "100b", deferred: true },
  tls: { like: "1k", tls: true },
};
const SIZES = { "100b.bin": 100, "1k.bin": 1024, "10k.bin": 10240, "100k.bin": 102400, "1m.bin": 1048576 };

/** The folder, the certificate, and the servers behind: w.backends has their ports. `backend` is to be stopped. */
export async function proxied(folder, certificate) {
  const own = Object.entries(routes).filter(([, { like }]) => !like);
  const place = (answer) => answer.replace(/[^:]+\.bin/, (name) => join(folder, name));
  for (const [name, bytes] of Object.entries(SIZES)) writeFileSync(join(folder, name), Buffer.alloc(bytes, "k"));
  const backend = start(LOAD_CORE, program("bench-loop"), own.map(([, { answer }]) => place(answer)));
  const ports = (await firstLine(backend, "the server behind")).trim().split(" ").map(Number);
  const both = join(folder, "both.pem"); // as HAProxy wants it
  writeFileSync(both, readFileSync(certificate.certificate, "utf8") + readFileSync(certificate.key, "utf8"));
  const w = { folder, ...certificate, both, backends: Object.fromEntries(own.map(([kind], i) => [kind, ports[i]])) };
  for (const [kind, { like }] of Object.entries(routes)) if (like) w.backends[kind] = w.backends[like];
  return { w, backend };
}

async function freePorts(kinds = Object.keys(routes)) {
  const ports = {};
  for (const kind of kinds) ports[kind] = await freePort();
  return ports;
}

const lines = (ports, line) => Object.entries(ports).map(([kind, port]) => line(kind, port, routes[kind])).join("\n");

/** How: "copy" or "splice". It has no listener that defers, and no TLS. */
export async function forwarder(w, how = "copy", name = "forwarder") {
  const kinds = Object.keys(routes).filter((kind) => !routes[kind].tls && !routes[kind].deferred);
  const child = start(SERVER_CORE, program("bench-forward"), [how, ...kinds.map((kind) => String(w.backends[kind]))], environment(w));
  const ports = (await firstLine(child, name)).trim().split(" ").map(Number);
  return contender(name, child, Object.fromEntries(kinds.map((kind, i) => [kind, ports[i]])));
}
export const splicer = (w) => forwarder(w, "splice", "splice");

/** buffers: directives; without any, nginx's default of 4 KB and 8 of 4 KB. */
export async function nginx(w, name = "nginx", buffers = "") {
  const ports = await freePorts();
  const server = (kind, port, { tls, deferred, upgrades, kept = KEPT }) => `
  upstream ${kind} { server 127.0.0.1:${w.backends[kind]}; keepalive ${kept}; keepalive_requests 1000000000; keepalive_timeout 600s; }
  server { listen 127.0.0.1:${port} backlog=4096${tls ? " ssl" : ""}${deferred ? " deferred" : ""};
    location / { proxy_pass http://${kind}; ${upgrades ? 'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";' : 'proxy_set_header Connection "";'} } }`;
  const child = await startNginx(w, name, ports["100b"], `proxy_http_version 1.1; proxy_read_timeout 600s; ${buffers} ${lines(ports, server)}`);
  return contender(name, child, ports);
}
export const nginx64k = (w) => nginx(w, "nginx 64k", "proxy_buffer_size 64k; proxy_buffers 8 64k; proxy_busy_buffers_size 128k;");

export async function haproxy(w) {
  const ports = await freePorts();
  const file = join(w.folder, "haproxy.cfg");
  const section = (kind, port, { tls, deferred }) => `
listen ${kind}
  bind 127.0.0.1:${port} backlog 4096 ${tls ? `ssl crt ${w.both}` : ""} ${deferred ? "defer-accept" : ""}
  server s 127.0.0.1:${w.backends[kind]}`;
  writeFileSync(
    file,
    `global
  nbthread 1
  no strict-limits
  ulimit-n ${DESCRIPTORS_MAX}
  maxconn ${CONNECTIONS_MAX}
  tune.pool-high-fd-ratio 90
  tune.pool-low-fd-ratio 80
defaults
  mode http
  http-reuse always
  timeout connect 10s
  timeout client 600s
  timeout server 600s
  timeout tunnel 600s
  maxconn ${CONNECTIONS_MAX}
${lines(ports, section)}
`,
  );
  const child = start(SERVER_CORE, "haproxy", ["-f", file, "-db", "-q"], environment(w));
  await listening(ports["100b"], child, "haproxy");
  return contender("haproxy", child, ports);
}

export async function h2o(w) {
  const ports = await freePorts();
  const host = (kind, port, { tls }) => `  "127.0.0.1:${port}":
    listen: { host: 127.0.0.1, port: ${port}${tls ? `, ssl: { certificate-file: ${w.certificate}, key-file: ${w.key} }` : ""} }
    paths:
      /:
        proxy.reverse.url: "http://127.0.0.1:${w.backends[kind]}/"`;
  const child = await startH2o(w, ports["100b"], `proxy.timeout.keepalive: 600000\nproxy.timeout.io: 600000\nproxy.websocket: ON\nhosts:\n${lines(ports, host)}\n`);
  return contender("h2o", child, ports);
}

const PROGRAM = process.env.WEAPROUS ?? join(root, "build/release/weaprous");
const AGAIN = process.env.WEAPROUS_AGAIN ?? PROGRAM;

/** libweaprous as `weaprous proxy`. */
export async function ours(w, { name = "ours", workers = 1, program = PROGRAM } = {}) {
  const ports = await freePorts();
  const own = join(w.folder, name.replaceAll(" ", "-"));
  mkdirSync(own, { recursive: true });
  const config = join(own, "proxy.conf");
  const host = (kind, port, { tls, kept = KEPT }) => `
listen 127.0.0.1:${port}${tls ? ` cert=${w.certificate} key=${w.key}` : ""};
host "127.0.0.1:${port}" {
  proxy_pass http://127.0.0.1:${w.backends[kind]};
  keepalive ${kept} idle=600s;
}`;
  writeFileSync(config, `max_connections ${CONNECTIONS_MAX};\nclient_timeout idle=600s;\ntimeout read=600s;\n${lines(ports, host)}\n`);
  const child = start(SERVER_CORE, program, ["proxy", "--config", config, "--workers", String(workers)], environment(w));
  await listening(ports["100b"], child, name);
  return contender(name, child, ports);
}
export const oursAgain = (w) => ours(w, { name: "ours again", program: AGAIN });
export const twoWorkers = (w) => ours(w, { name: "two workers", workers: 2 });
