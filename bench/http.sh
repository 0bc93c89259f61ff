#!/bin/sh
# bench/http.sh [ROUNDS [SECONDS]]: CPU per request of our HTTP server and of nginx, 1 KB from memory and from a cached
# file, keep-alive and one connection each; in turn, A B A B, because the machine's speed drifts. Prints medians and
# the ratio. Needs nginx, wrk and build/release/examples/hello (or WEAPROUS_HELLO). Loopback only.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
rounds=${1:-5}
seconds=${2:-3}
hello=${WEAPROUS_HELLO:-$root/build/release/examples/hello}
nginx=$(command -v nginx || echo /usr/sbin/nginx)
for program in wrk "$nginx" "$hello"; do
    command -v "$program" >/dev/null || { echo "bench/http.sh: $program is missing" >&2; exit 1; }
done
work=$(mktemp -d)
pids=
stop() {
    # shellcheck disable=SC2086 # one word each
    [ -z "$pids" ] || kill $pids 2>/dev/null || true
    wait
    rm -rf "$work"
}
trap stop EXIT
trap 'exit 1' INT TERM

# The first free port from $1 up.
free_port() {
    port=$1
    while ss -Hltn "sport = :$port" | grep -q .; do port=$((port + 1)); done
    echo "$port"
}

nginx_port=$(free_port 18500)
mkdir "$work/html" "$work/tmp"
head -c 1024 /dev/zero | tr '\0' k >"$work/html/kilobyte.bin"
chmod -R a+rX "$work"
cat >"$work/nginx.conf" <<CONF
daemon off;
worker_processes 1;
pid $work/nginx.pid;
error_log $work/error.log;
events { worker_connections 1024; }
http {
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 100000000;
    keepalive_timeout 600;
    open_file_cache max=100 inactive=60s;
    default_type application/octet-stream;
    client_body_temp_path $work/tmp/a; proxy_temp_path $work/tmp/b; fastcgi_temp_path $work/tmp/c;
    uwsgi_temp_path $work/tmp/d; scgi_temp_path $work/tmp/e;
    server { listen 127.0.0.1:$nginx_port${NGINX_LISTEN_OPTIONS:+ $NGINX_LISTEN_OPTIONS}; root $work/html; etag on; }
}
CONF

# on_core N COMMAND...: server and load on a core each, where that is possible.
on_core() {
    core=$1
    shift
    if command -v taskset >/dev/null && [ "$(nproc)" -gt 1 ]; then exec taskset -c "$core" "$@"; else exec "$@"; fi
}
(on_core 0 "$nginx" -c "$work/nginx.conf" -p "$work" 2>/dev/null) &
pids="$pids $!"
nginx_pid=$!
(on_core 0 "$hello" 127.0.0.1 0) >"$work/hello.out" 2>&1 &
pids="$pids $!"
hello_pid=$!
tries=0
until [ -s "$work/hello.out" ] && [ -s "$work/nginx.pid" ] && pgrep -P "$nginx_pid" >/dev/null; do
    tries=$((tries + 1))
    [ $tries -lt 50 ] || { echo "bench/http.sh: a server did not start" >&2; cat "$work/hello.out" "$work/error.log" >&2; exit 1; }
    sleep 0.1
done
hello_url=$(cat "$work/hello.out")

# Clock ticks that a process and its children have used.
ticks() {
    for pid in "$1" $(pgrep -P "$1" || true); do cat "/proc/$pid/stat"; done | sed 's/.*) //' | awk '{ t += $12 + $13 } END { print t }'
}
hertz=$(getconf CLK_TCK)

# measure NAME PID URL [HEADER]: one line "NAME us-per-request requests-per-second" to the results.
measure() {
    before=$(ticks "$2")
    (on_core 1 wrk -t1 -c64 -d"${seconds}s" ${4:+-H "$4"} "$3") >"$work/wrk.out"
    after=$(ticks "$2")
    awk -v name="$1" -v ticks=$((after - before)) -v hertz="$hertz" '
        /requests in/ { n = $1 } /Requests\/sec/ { rate = $2 } /Non-2xx|Socket errors: connect [1-9]/ { bad = 1 }
        END { if (!n || bad) { print "bad answers from " name > "/dev/stderr"; exit 1 }
              printf "%s %.3f %.0f\n", name, ticks * 1e6 / hertz / n, rate }' "$work/wrk.out" >>"$work/results"
}

# compare TITLE OURS THEIRS: medians and ratio.
compare() {
    awk -v title="$1" -v a="$2" -v b="$3" '
        function median(list, n,   i, j, t) {
            for (i = 2; i <= n; i++) for (j = i; j > 1 && list[j] < list[j - 1]; j--) { t = list[j]; list[j] = list[j - 1]; list[j - 1] = t }
            return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
        }
        $1 == a { x[++n] = $2; xr[n] = $3 } $1 == b { y[++m] = $2; yr[m] = $3 }
        END { p = median(x, n); q = median(y, m)
              printf "%-26s ours %6.2f us  nginx %6.2f us  CPU ratio %.2f   requests/s %6.0f and %6.0f\n", title, p, q, p / q, median(xr, n), median(yr, m) }' "$work/results"
}

round=0
while [ $round -lt "$rounds" ]; do
    measure ours "$hello_pid" "${hello_url}kilobyte.bin"
    measure nginx "$nginx_pid" "http://127.0.0.1:$nginx_port/kilobyte.bin"
    measure ours_close "$hello_pid" "${hello_url}kilobyte.bin" 'Connection: close'
    measure nginx_close "$nginx_pid" "http://127.0.0.1:$nginx_port/kilobyte.bin" 'Connection: close'
    measure json "$hello_pid" "${hello_url}json"
    round=$((round + 1))
done
echo "1 KB, 64 connections, $rounds rounds of $seconds s in turn; CPU of the server per request (noise: about 6 %)"
compare 'keep-alive' ours nginx
compare 'new connection each' ours_close nginx_close
compare 'our JSON, their 1 KB' json nginx
