# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# For the benchmarks beside it: hosts, an application, clocks, and a row of the table.

set -euo pipefail
BENCH_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
: "${BENCH_BUILD:?run it by tests/bench/run}" "${BENCH_WORK:?}" "${BENCH_RUNS:?}" "${BENCH_TABLE:?}"
export DEPLOY=$BENCH_BUILD/deploy
export HOME=$BENCH_WORK/home XDG_CACHE_HOME=$BENCH_WORK/home/.cache
mkdir -p "$HOME"

say() { echo "   $*" >&2; }

# --- hosts

testbed() { "$BENCH_ROOT/tests/support/testbed" --bed "bench-$PPID" "$@"; }

# bed_up N [OPTIONS]: hosts h1..hN, gone when the benchmark ends. $BED_SSH_CONFIG, $H1_IP...
bed_up() {
	trap 'testbed down >/dev/null' EXIT
	testbed up "$@" --owner $$ >/dev/null
	eval "$(testbed env)"
}

on() {
	local host=$1
	shift
	ssh -F "$BED_SSH_CONFIG" "$host" "$@"
}

# --- the application

# app NAME HOST...: a repository of the sample application, which is worked in from then on.
app() {
	local name=$1
	shift
	echo "$name" >>"$BENCH_WORK/apps"
	"$BENCH_ROOT/deploy/support/image" app-base:1
	"$BENCH_ROOT/deploy/examples/sample/make-repo" "$BENCH_WORK/$name" --service "$name" \
		--ssh-config "$BED_SSH_CONFIG" "$@" >/dev/null
	cd "$BENCH_WORK/$name"
}

app_change() { # another layer on top
	date +%s%N >version.txt
	git commit -q -a -m "Change"
}

# Says what a command said only when it fails.
quietly() {
	"$@" >"$BENCH_WORK/said" 2>&1 || { cat "$BENCH_WORK/said" >&2 && return 1; }
}

# --- clocks

now_us() { echo "${EPOCHREALTIME/./}"; }

# timed COMMAND...: runs it, and leaves the milliseconds in $MS.
# shellcheck disable=SC2034
timed() {
	local begun
	begun=$(now_us)
	if ! "$@" >"$BENCH_WORK/out" 2>&1; then
		cat "$BENCH_WORK/out" >&2
		echo "failed: $*" >&2
		return 1
	fi
	MS=$((($(now_us) - begun) / 1000))
}

median() { printf '%s\n' "$@" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
least() { printf '%s\n' "$@" | sort -n | head -1; }
# ratio A B: A / B with two digits.
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / (b ? b : 1) }'; }

# --- the table

# row NAME OURS PEER RATIO TARGET LIMIT [VALUE]: ok when VALUE (or RATIO) is at most LIMIT
row() {
	local verdict
	verdict=$(awk -v v="${7:-$4}" -v l="$6" 'BEGIN { print v + 0 <= l + 0 ? "ok" : "miss" }')
	printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$4" "$5" "$verdict" >>"$BENCH_TABLE"
}
