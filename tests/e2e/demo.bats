#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# deploy/demo, as a newcomer runs it: on this machine's own Docker, and nothing of it stays.

setup_file() {
	load ../support/helpers
	for c in docker git jq curl gcc meson ninja; do
		command -v "$c" >/dev/null || skip "$c is not there: deploy/support/packages build demo"
	done
	[[ -x /usr/sbin/sshd ]] || skip "sshd is not there: deploy/support/packages demo"
	[[ ! -e /tmp/deploy-demo-$UID ]] || skip "a demo is kept on this machine: deploy/demo --down"
	docker info >/dev/null 2>&1 || skip "Docker is not there, or not for this user"
	if docker container inspect deploy-proxy-caddy deploy-proxy-nginx >/dev/null 2>&1; then
		skip "this machine's Docker has proxies of its own"
	fi
}

setup() { load ../support/helpers; }

teardown() {
	"$E2E_ROOT/deploy/demo" --down >/dev/null 2>&1 3>&- || true
}

demo() {
	timeout -k 20 600 "$E2E_ROOT/deploy/demo" "$@" </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1 3>&-
}

says() {
	grep -qE -- "$1" "$BATS_TEST_TMPDIR/out" && return
	cat "$BATS_TEST_TMPDIR/out" >&2
	fail "the demo does not say '$1'"
}

# What the demo shall not change, and what shall not stay behind.
traces() {
	docker ps -a --filter label=service=deploy-demo --format '{{.Names}}'
	docker image ls --filter label=deploy.service=deploy-demo --format '{{.ID}}'
	docker network ls --filter name='^deploy$' --format '{{.Name}}'
	docker image ls --format '{{.Repository}}:{{.Tag}}' | grep -xE 'app-base:1|caddy:2|nginx:1' | sort
	ls -d "/tmp/deploy-demo-$UID" ~/.deploy 2>/dev/null
	ls -lA --time-style=full-iso ~/.ssh ~/.docker ~/.gitconfig 2>/dev/null
	pgrep -fa "sshd.*/tmp/deploy-demo-$UID"
	true
}

@test "the demo pushes, pushes under load, refuses a broken version, rolls back, and is gone" {
	local before
	before=$(traces)
	demo || { cat "$BATS_TEST_TMPDIR/out" >&2 && fail "the demo failed"; }
	says 'is live on demo-server \(release 1\)'
	says 'is live on demo-server \(release 2\)'
	says '^0 of [1-9][0-9]* requests failed during the switch$'
	says 'ended with exit code 3$'
	says 'DATABASE_URL is not set'
	says 'is live again on demo-server \(release 4\)'
	says '^0 of [1-9][0-9]+ requests failed in '
	# The old version answered after the broken push, and the first one at the end.
	assert_equal "$(grep '^version [0-9]$' "$BATS_TEST_TMPDIR/out" | tr '\n' ' ')" \
		"version 1 version 2 version 2 version 1 " "answers"
	assert_equal "$(traces)" "$before" "traces"
	! grep -q $'\e' "$BATS_TEST_TMPDIR/out" || fail "escape sequences in a file"
}

@test "a demo that is kept serves, is replaced by the next, and can be taken down" {
	local before url
	before=$(traces)
	demo --keep || { cat "$BATS_TEST_TMPDIR/out" >&2 && fail "the demo failed"; }
	url=$(sed -n 's,^  \(http://[^ ]*\)$,\1,p' "$BATS_TEST_TMPDIR/out")
	assert_serves "version 1" "$url"
	demo --keep --driver nginx || { cat "$BATS_TEST_TMPDIR/out" >&2 && fail "the second failed"; }
	says '^Taking down the demo that was left here'
	assert_serves "version 1" "$url"
	demo --down
	says '^Taken down'
	assert_equal "$(traces)" "$before" "traces"
}

@test "Ctrl-C takes the demo down" {
	local before pid
	before=$(traces)
	# A group of its own, as a terminal gives it, that gets the signal as a whole.
	env --default-signal=INT setsid "$E2E_ROOT/deploy/demo" </dev/null \
		>"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	pid=$!
	eventually 300 grep -q '^2\. A new version' "$BATS_TEST_TMPDIR/out"
	kill -INT -- "-$pid"
	local status=0
	wait "$pid" || status=$?
	assert_equal "$status" 130 "exit status"
	says '^Taken down'
	assert_equal "$(traces)" "$before" "traces"
}
