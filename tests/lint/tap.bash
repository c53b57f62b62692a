# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Shared by the lint tests: TAP on stdout, one line a check. LINT_BUILD and LINT_CLANG are build
# folders, LINT_JOBS the number of parallel jobs; tests/run sets them.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root" || exit 1
# shellcheck disable=SC2034 # used by those who source this
jobs=${LINT_JOBS:-$(nproc)}
tap_n=0 tap_bad=0

ok() { printf 'ok %d - %s\n' $((++tap_n)) "$1"; }
not_ok() { # name [lines that say why]
	printf 'not ok %d - %s\n' $((++tap_n)) "$1"
	[[ -z ${2:-} ]] || printf '# %s\n' "${2//$'\n'/$'\n# '}"
	tap_bad=1
}
skip() { printf 'ok %d - %s # SKIP %s\n' $((++tap_n)) "$1" "$2"; }
# not_ok when there are lines, else ok
check_empty() { if [[ -n $2 ]]; then not_ok "$1" "$2"; else ok "$1"; fi; }
finish() {
	printf '1..%d\n' $tap_n
	exit $tap_bad
}
# Files of the project, as git sees them: also new ones, without what is ignored or gone.
files() {
	local f
	git ls-files --cached --others --exclude-standard -- "$@" | sort -u | while read -r f; do
		[[ -f $f ]] && printf '%s\n' "$f"
	done
}
