// Who is measured: our server, the bare loop, and Debian's nginx, h2o and lighttpd. All serve the same folder, without an access log.
import { mkdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { ended, firstLine, freePort, has, program, SERVER_CORE, start } from "./measure.mjs";

export const JSON_PATH = "/users/12345";
export const TREE_PATH = "/trees/12345"; // of ours only
export const JSON_ANSWER = '{"ok":true,"id":12345,"name":"bench"}';
export const DESCRIPTORS_MAX = 20000; // each process may have at most so many on many machines
export const CONNECTIONS_MAX = 18000;
/** Servers are where only root looks; w.env: further variables. */
export const environment = (w) => ({ env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin`, ...w.env } });

/** What every contender serves and is certified by; without a certificate it serves plain HTTP only. */
export function world(folder, certificate) {
  const www = join(folder, "www");
  mkdirSync(www, { mode: 0o755 });
  for (const kilobytes of [1, 10, 100]) writeFileSync(join(www, `${kilobytes}k.bin`), Buffer.alloc(kilobytes * 1024, "k"));
  writeFileSync(join(folder, "answer.json"), JSON_ANSWER);
  return { folder, www, ...certificate };
}

export async function listening(port, child, name) {
  for (let i = 0; i < 100; i++) {
    if (child.exitCode !== null) break;
    const open = await new Promise((resolve) => {
      const socket = connect(port, "127.0.0.1");
      socket.once("connect", () => resolve(socket.destroy()));
      socket.once("error", () => resolve(false));
    });
    if (open !== false) return;
    await delay(50);
  }
  child.kill();
  await ended(child);
  throw new Error(`${name} did not start: ${child.errors}`);
}

/** `ports` by kind of connection: plain, deferred (the kernel accepts when the first bytes are there), tls, and for the loop by answer. */
export function contender(name, child, ports, connectionsMax = CONNECTIONS_MAX) {
  return { name, child, pid: child.pid, ports, connectionsMax };
}

export async function ours(w, { workers = 1, name = "ours" } = {}) {
  const tls = w.certificate && (await freePort());
  const secure = tls ? [String(tls), w.certificate, w.key] : [];
  const child = start(SERVER_CORE, program("bench-server"), [w.www, String(workers), ...secure], environment(w));
  const plain = Number(await firstLine(child, "our server"));
  return contender(name, child, { plain, deferred: plain, tls }); // it defers unless told not to
}

/** One listener for each answer. */
export async function loop(w) {
  const answers = ["1k", "10k", "100k"].map((file) => join(w.www, `${file}.bin`));
  const files = [...answers, join(w.folder, "answer.json"), `close:${answers[0]}`, `deferred:${answers[0]}`, "upgrade:"];
  const child = start(SERVER_CORE, program("bench-loop"), files);
  const [one, ten, hundred, json, close, deferred, socket] = (await firstLine(child, "the bare loop")).trim().split(" ").map(Number);
  return contender("loop", child, { "1k": one, "10k": ten, "100k": hundred, json, socket, close, deferred });
}

/** nginx with one worker and no access log; http: what else is in that block, port: one that it listens on. */
export async function startNginx(w, name, port, http) {
  const own = join(w.folder, name.replaceAll(" ", "-"));
  mkdirSync(own, { recursive: true });
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((kind) => `${kind}_temp_path ${own}/${kind};`).join(" ");
  writeFileSync(
    join(own, "nginx.conf"),
    `daemon off; worker_processes 1; worker_rlimit_nofile ${DESCRIPTORS_MAX}; pid ${own}/pid; error_log ${own}/error.log;
${process.getuid() === 0 ? "user root;" : ""}
events { worker_connections ${CONNECTIONS_MAX}; }
http { access_log off; keepalive_requests 1000000000; keepalive_timeout 600; default_type application/octet-stream; ${temporary}
  ${w.certificate ? `ssl_certificate ${w.certificate}; ssl_certificate_key ${w.key}; ssl_protocols TLSv1.2 TLSv1.3;` : ""}
  ${http} }
`,
  );
  const child = start(SERVER_CORE, "nginx", ["-c", join(own, "nginx.conf"), "-p", own, "-e", join(own, "error.log")], environment(w));
  await listening(port, child, name);
  return child;
}

export async function nginx(w) {
  const [plain, deferred, tls] = [await freePort(), await freePort(), await freePort()];
  const child = await startNginx(
    w,
    "nginx",
    plain,
    `sendfile on; tcp_nopush on; open_file_cache max=100 inactive=600s;
  server { listen 127.0.0.1:${plain} backlog=4096; listen 127.0.0.1:${deferred} backlog=4096 deferred; ${w.certificate ? `listen 127.0.0.1:${tls} ssl backlog=4096;` : ""}
    root ${w.www}; etag on;
    location = ${JSON_PATH} { default_type application/json; return 200 '${JSON_ANSWER}'; } }`,
  );
  return contender("nginx", child, { plain, deferred, tls });
}

/** h2o on one thread; hosts: that part of its configuration, port: one that it listens on. */
export async function startH2o(w, port, hosts) {
  const file = join(w.folder, "h2o.conf");
  writeFileSync(
    file,
    `num-threads: 1
max-connections: ${CONNECTIONS_MAX}
http1-request-timeout: 600
${process.getuid() === 0 ? "user: root" : ""}
${hosts}`,
  );
  const child = start(SERVER_CORE, "h2o", ["-m", "worker", "-c", file], environment(w));
  await listening(port, child, "h2o");
  return child;
}

export async function h2o(w) {
  const [plain, tls] = [await freePort(), await freePort()];
  const child = await startH2o(
    w,
    plain,
    `listen: { host: 127.0.0.1, port: ${plain} }
hosts:
  default:
${w.certificate ? `    listen: { host: 127.0.0.1, port: ${tls}, ssl: { certificate-file: ${w.certificate}, key-file: ${w.key} } }` : ""}
    paths:
      /:
        file.dir: ${w.www}
`,
  );
  return contender("h2o", child, { plain, deferred: plain, tls }); // it defers too
}

export async function lighttpd(w) {
  const [plain, tls] = [await freePort(), await freePort()];
  const file = join(w.folder, "lighttpd.conf");
  writeFileSync(
    file,
    `server.modules = ( ${w.certificate ? '"mod_openssl"' : ""} )
server.document-root = "${w.www}"
server.bind = "127.0.0.1"
server.port = ${plain}
server.listen-backlog = 4096
server.max-fds = ${DESCRIPTORS_MAX}
server.max-connections = ${DESCRIPTORS_MAX / 2}
server.max-keep-alive-requests = 1000000000
server.max-keep-alive-idle = 600
server.errorlog = "${w.folder}/lighttpd.log"
mimetype.assign = ( "" => "application/octet-stream" )
${w.certificate ? `$SERVER["socket"] == "127.0.0.1:${tls}" { ssl.engine = "enable" ssl.pemfile = "${w.certificate}" ssl.privkey = "${w.key}" }` : ""}
`,
  );
  const child = start(SERVER_CORE, "lighttpd", ["-D", "-f", file], environment(w));
  await listening(plain, child, "lighttpd");
  return contender("lighttpd", child, { plain, tls }, DESCRIPTORS_MAX / 2 - 500); // it takes half as many connections as descriptors
}

const packages = { nginx: ["nginx"], h2o: ["h2o"], lighttpd: ["lighttpd", "lighttpd-mod-openssl"], haproxy: ["haproxy"] };

/** Those of the starters, by name, whose program is there (the first word of the name); says who is left out. */
export function installed(starters) {
  const programOf = (name) => name.split(" ")[0];
  const absent = [...new Set(Object.keys(starters).map(programOf))].filter((name) => packages[name] && !has(name));
  if (absent.length) console.log(`Without ${absent.join(", ")}, which is not installed: apt-get install --no-install-recommends ${absent.flatMap((name) => packages[name]).join(" ")} (switch their services off afterwards).`);
  return new Map(Object.entries(starters).filter(([name]) => !absent.includes(programOf(name))));
}
