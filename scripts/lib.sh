# Shell code shared by ./run, ./test and scripts/*. POSIX sh; sourced with $root (the repository) set.
#
# Everything here may be called again at no cost: what is already there is left alone.
# shellcheck shell=sh disable=SC2154
jobs=${JOBS:-$(nproc 2>/dev/null || echo 2)}

say() { printf '%s\n' "$*"; }
die() {
    printf '%s\n' "$*" >&2
    exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# usage_if_asked "$1" TEXT: prints TEXT and ends when the first argument asks for help.
usage_if_asked() {
    case ${1:-} in -h | --help) say "$2" && exit 0 ;; esac
}

# packages_of CLASS...: names from packaging/debian-packages.txt; "build" is the class without a word.
packages_of() {
    awk -v want=" $* " '/^#/ || !NF { next } { class = NF > 1 ? $2 : "build" } index(want, " " class " ") { print $1 }' \
        "$root/packaging/debian-packages.txt"
}

# Those of the named packages that are not installed. Node.js and npm often come from elsewhere than Debian,
# under one name; the command counts.
missing_packages() {
    installed=" $(dpkg-query -W -f='${Package}:${db:Status-Status} ' "$@" 2>/dev/null) " || true
    for name in "$@"; do
        case $installed in *" $name:installed "*) continue ;; esac
        case $name in
        nodejs) ! have node || continue ;;
        npm) ! have npm || continue ;;
        esac
        say "$name"
    done
}

# install_packages CLASS...: installs what is missing of these classes, asking first when sudo is needed.
install_packages() {
    if ! have dpkg-query; then
        say "This is not a Debian system: please see to it that what packaging/debian-packages.txt lists is there."
        return 0
    fi
    # shellcheck disable=SC2046 # one word for each package
    set -- $(missing_packages $(packages_of "$@"))
    [ $# -gt 0 ] || return 0
    as_root=
    if [ "$(id -u)" != 0 ]; then
        have sudo || die "$# Debian packages are missing and there is no sudo. Please run as root: apt-get install --no-install-recommends $*"
        as_root=sudo
        if [ -t 0 ] && [ -z "${CI:-}" ]; then
            say "These Debian packages are missing: $*"
            printf 'Install them now with sudo? [Y/n] '
            read -r answer || answer=n
            case $answer in '' | [Yy]*) ;; *) die "Nothing was installed. Without these packages it cannot be built." ;; esac
        else
            as_root='sudo -n'
            $as_root true 2>/dev/null || die "sudo asks for a password and nobody is there to type it. Please run as root: apt-get install --no-install-recommends $*"
        fi
    fi
    say "Installing $# missing Debian packages (a minute or two): $*"
    log=$(mktemp)
    if ! $as_root apt-get -q -o DPkg::Lock::Timeout=120 update >"$log" 2>&1 ||
        ! $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120 \
            install --no-install-recommends "$@" >>"$log" 2>&1 </dev/null; then
        tail -n 20 "$log" >&2
        die "apt-get could not install the packages; its last lines are above, all of them in $log."
    fi
    rm -f "$log"
}

# nginx_unpacked: nginx for the tests when it is not installed; unpacked only, for installing it starts a service.
nginx_unpacked() {
    unpacked=$root/build/nginx
    [ ! -x /usr/sbin/nginx ] && [ ! -x "$unpacked/usr/sbin/nginx" ] && have dpkg-deb || return 0
    say "Fetching nginx, as a server behind the proxy."
    mkdir -p "$unpacked"
    (cd "$unpacked" && rm -f nginx_*.deb && apt-get -q download nginx && dpkg-deb -x nginx_*.deb .) >"$unpacked/log" 2>&1 ||
        say "nginx could not be fetched; its lines are in $unpacked/log. Tests that need it will fail."
}

# npm_packages: node_modules as package-lock.json says.
npm_packages() {
    stamp=$root/node_modules/.package-lock.json
    [ ! -f "$stamp" ] || [ -n "$(find "$root/package-lock.json" -newer "$stamp")" ] || return 0
    say "Fetching the page's npm packages."
    (cd "$root" && npm ci --no-audit --no-fund --loglevel=error --no-progress >/dev/null) ||
        die "npm ci failed; without the npm packages the page cannot be built."
    touch "$stamp"
}

# build_preset PRESET [NINJA-ARGUMENT...]: configures when there is nothing yet or the presets changed, then builds.
build_preset() {
    preset=$1
    shift
    folder=$root/build/$preset
    if [ ! -f "$folder/build.ninja" ] || [ -n "$(find "$root/CMakePresets.json" -newer "$folder/build.ninja")" ]; then
        say "Building $preset; the first time takes about a minute."
        (cd "$root" && cmake --preset "$preset" --log-level=WARNING >/dev/null) || return 1
        [ ! -t 1 ] || {
            (cd "$folder" && ninja -j "$jobs" "$@")
            return
        }
    fi
    # When nothing changed, nothing is said; when it takes a while, something is.
    words=$(mktemp)
    (sleep 2 >/dev/null 2>&1 && say "Building what changed in $preset.") &
    hint=$!
    built=0
    (cd "$folder" && ninja -j "$jobs" --quiet "$@") >"$words" 2>&1 || built=$?
    kill "$hint" 2>/dev/null || true
    wait "$hint" 2>/dev/null || true
    grep -vE '^(ninja: no work to do\.|-- (Configuring|Generating) done|-- Build files have been written.*|page: .*KB.*)$' "$words" || true
    rm -f "$words"
    return "$built"
}
