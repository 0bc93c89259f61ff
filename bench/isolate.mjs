// A measurement runs where nobody else is, and says under which conditions.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { has } from "./http/measure.mjs";

export const congestion = () => process.env.WEAPROUS_BENCH_CONGESTION ?? readFileSync("/proc/sys/net/ipv4/tcp_congestion_control", "utf8").trim();

/** The script again, in a network namespace of its own, where that is allowed: ports enough, and CUBIC, which is what most machines have. */
export function isolate(script) {
  if (process.env.WEAPROUS_BENCH_CONGESTION || !has("unshare") || !has("ip") || !has("setpriv")) return;
  const prepare = `ip link set lo up
    echo 1 >/proc/sys/net/ipv4/tcp_tw_reuse
    echo '10000 65000' >/proc/sys/net/ipv4/ip_local_port_range
    for to in 127.0.0.0/8 127.0.0.1; do ip route change local $to dev lo table local proto kernel scope host src 127.0.0.1 congctl cubic && WEAPROUS_BENCH_CONGESTION=cubic; done
    exec setpriv --pdeathsig TERM "$@"`; // who ends us ends the measurement
  const namespace = process.getuid() === 0 ? ["--net"] : ["--net", "--map-root-user"];
  if (spawnSync("unshare", [...namespace, "true"]).status !== 0) return;
  const env = { ...process.env, WEAPROUS_BENCH_CONGESTION: congestion() };
  const { status } = spawnSync("unshare", [...namespace, "sh", "-c", prepare, "sh", process.execPath, fileURLToPath(script), ...process.argv.slice(2)], { stdio: "inherit", env });
  process.exit(status ?? 1);
}
