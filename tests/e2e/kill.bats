#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# kill -9 and Ctrl-C in each phase of a push: users notice nothing, the next push mends.
#
# Each case stops the tool where it stands still by itself: a hook that waits, a build
# step that sleeps, an application that is slow to start, requests that are slow to drain.

setup_file() {
	load ../support/helpers
	bed_up 2
}

teardown_file() { bed_down; }

setup() {
	load ../support/helpers
	service_repo "kill$BATS_TEST_NUMBER" --release h1 h2
}

teardown() {
	[[ -z ${DEPLOY_PID:-} ]] || kill -9 "$DEPLOY_PID" 2>/dev/null || true
	testbed net-restore h2 2>/dev/null || true
	e2e_report
	service_forget
}

state() { echo "/home/deploy/.deploy/$SERVICE"; }

hook_waits() { # NAME: the hook stands until the test is over
	mkdir -p "$APP/.deploy/hooks"
	printf '#!/bin/sh\necho "standing in %s"\nexec sleep 30\n' "$1" >"$APP/.deploy/hooks/$1"
	chmod +x "$APP/.deploy/hooks/$1"
}

first_push() {
	deploy_ok push
	traffic_start "version 1" "version 2" "version 3"
	app_commit "Version 2" version.txt="version 2"
}

killed_at() { # REGEX
	deploy_start push
	deploy_await "$1" 90
	deploy_signal -9
	deploy_wait
	rm -rf "$APP/.deploy/hooks"
}

# Nothing is left over: containers are there of releases that were live, and no others.
assert_clean() {
	local h left lived
	deploy_ok releases --json
	lived=$(jq -s 'map(select(.result == "release" and .outcome == "live") | .runs) | unique | length' "$DEPLOY_STDOUT")
	for h in h1 h2; do
		assert_containers "$h" "^$SERVICE-web" 1 running
		assert_containers "$h" "^$SERVICE" "$lived"
		left=$(on "$h" "find $(state) .deploy/proxy/caddy/check -mindepth 1;
			find .deploy -name '*.tmp*' -o -name '*.new'" |
			grep -vE '/(key|releases.jsonl|audit.jsonl)$' || true)
		assert_equal "$left" "" "left over on $h"
	done
	deploy_ok lock status
	assert_stdout "^free$"
	deploy_ok status
	refute_stdout "drift"
}

# The next push succeeds by itself, and nobody has seen anything.
mended_by_push() {
	app_commit "Version 3" version.txt="version 3" release-sleep- start-delay-ms-
	sed -i '/RUN sleep/d' "$APP/Dockerfile"
	app_commit "Mended"
	deploy_ok push
	traffic_stop
	assert_serves "version 3" "http://$H1_IP/" "$VHOST"
	assert_serves "version 3" "http://$H2_IP/" "$VHOST"
	assert_clean
}

outcome_of() { # NUMBER
	deploy_ok releases --json
	jq -rs "map(select(.result == \"release\" and .number == $1)) | .[0].outcome" "$DEPLOY_STDOUT"
}

@test "kill -9 during the build leaves nothing" {
	first_push
	echo 'RUN sleep 8' >>"$APP/Dockerfile"
	app_commit "Slow to build"
	killed_at 'RUN sleep|sleep 8'
	deploy_ok status
	assert_stdout "release 1"
	mended_by_push
}

@test "kill -9 before anything is brought leaves nothing" {
	first_push
	hook_waits pre-deploy
	killed_at "standing in pre-deploy"
	mended_by_push
}

@test "kill -9 during the release command: the next push ends it" {
	first_push
	app_commit "Slow" release-sleep=60
	killed_at "migrating to version 2"
	deploy_ok status
	assert_stdout "of release 2|release 2"
	assert_stdout "drift"
	mended_by_push
	assert_equal "$(outcome_of 2)" interrupted
}

@test "kill -9 after the release command, before candidates" {
	first_push
	hook_waits pre-app-boot
	killed_at "standing in pre-app-boot"
	deploy_ok status
	assert_stdout "drift"
	mended_by_push
	assert_equal "$(outcome_of 2)" interrupted
}

@test "kill -9 while candidates start: the next push removes them" {
	first_push
	app_commit "Slow to start" start-delay-ms=20000
	killed_at "waiting for .* healthy"
	# Docker goes on with a start that was asked for
	eventually 5 assert_containers h1 "^$SERVICE-web" 2 running
	deploy_ok status
	assert_stdout "drift"
	assert_stdout "$SERVICE-web-$(app_version)"
	mended_by_push
	assert_equal "$(outcome_of 2)" interrupted
}

@test "kill -9 right after the switch: the new release goes on" {
	first_push
	# It dies between the switch and the record, or in the drain soon after it.
	killed_at "serves $(app_version)"
	deploy_ok status
	mended_by_push
	[[ $(outcome_of 2) == live || $(outcome_of 2) == interrupted ]]
}

@test "kill -9 during the drain: the new release is live, the old one is stopped later" {
	local slow
	first_push
	# A request in flight keeps the drain waiting for 6 s; it has to get its answer too.
	curl -s -m 20 -H "Host: $VHOST" "http://$H1_IP/slow?ms=6000" >"$BATS_TEST_TMPDIR/slow" 3>&- &
	slow=$!
	killed_at "draining"
	assert_serves "version 2" "http://$H1_IP/" "$VHOST"
	deploy_ok status
	assert_stdout "release 2"
	wait "$slow"
	assert_equal "$(cat "$BATS_TEST_TMPDIR/slow")" "version 1" "the slow answer"
	mended_by_push
	assert_equal "$(outcome_of 2)" live
}

@test "kill -9 between the switch of one host and of the other: the next push makes the fleet one" {
	deploy_ok push
	TRAFFIC_HOSTS=$H1_IP traffic_start "version 1" "version 2" "version 3"
	cat >"$APP/start" <<-'END'
		#!/bin/sh
		if [ "$DEPLOY_HOST" = h1 ]; then echo 4000 >/app/start-delay-ms; fi
		exec app
	END
	chmod +x "$APP/start"
	manifest_edit 's/    hosts: \(.*\)/    hosts: \1\n    cmd: \/app\/start/'
	app_commit "Version 2, slow on h1" version.txt="version 2"
	deploy_start push
	deploy_await "h2 .*1 container" 60
	testbed net-cut h2
	deploy_await "h1 .*serves $(app_version)" 90
	deploy_signal -9
	deploy_wait
	assert_serves "version 2" "http://$H1_IP/" "$VHOST"
	testbed net-restore h2
	# What the dead tool had sent may still arrive there: then the release goes on.
	deploy_ok status
	assert_stdout "drift"
	rm "$APP/start"
	manifest_edit '/cmd:/d'
	mended_by_push
	[[ $(outcome_of 2) == interrupted || $(outcome_of 2) == live ]]
}

@test "a rollback that is killed is mended by the next one" {
	deploy_ok push
	app_commit "Version 2" version.txt="version 2"
	deploy_ok push
	traffic_start "version 1" "version 2"
	deploy_start rollback
	deploy_await "starting|waiting for" 20
	deploy_signal -9
	deploy_wait
	deploy_ok status
	deploy_ok rollback
	traffic_stop
	assert_serves "version 1" "http://$H1_IP/" "$VHOST"
	assert_serves "version 1" "http://$H2_IP/" "$VHOST"
	assert_clean
}

# --- Ctrl-C ---

interrupted_at() { # REGEX
	local begun
	deploy_start push
	deploy_await "$1" 90
	begun=${EPOCHREALTIME/./}
	deploy_signal -INT
	deploy_wait
	assert_took_less 2500 "$begun" || { deploy_show push && return 1; }
	[[ $DEPLOY_STATUS == 130 ]] || { deploy_show push && fail "not 130"; }
	rm -rf "$APP/.deploy/hooks"
}

assert_undone() {
	traffic_stop
	assert_serves "version 1" "http://$H1_IP/" "$VHOST"
	assert_serves "version 1" "http://$H2_IP/" "$VHOST"
	assert_clean
}

@test "Ctrl-C during the build ends within 2 s, and undoes" {
	first_push
	echo 'RUN sleep 8' >>"$APP/Dockerfile"
	app_commit "Slow to build"
	interrupted_at 'RUN sleep|sleep 8'
	assert_undone
}

@test "Ctrl-C in a hook ends within 2 s, and undoes" {
	first_push
	hook_waits pre-app-boot
	interrupted_at "standing in pre-app-boot"
	assert_undone
	assert_equal "$(outcome_of 2)" interrupted
}

@test "Ctrl-C while candidates start ends within 2 s, and undoes" {
	first_push
	app_commit "Slow to start" start-delay-ms=20000
	interrupted_at "waiting for .* healthy"
	assert_undone
	assert_equal "$(outcome_of 2)" interrupted
}

@test "Ctrl-C right after the switch: one release or the other, everywhere" {
	local body
	first_push
	deploy_start push
	deploy_await "serves $(app_version)"
	deploy_signal -INT
	deploy_wait
	[[ $DEPLOY_STATUS == 130 || $DEPLOY_STATUS == 0 ]] || { deploy_show push && fail "status"; }
	body=$(curl -s -H "Host: $VHOST" "http://$H1_IP/")
	assert_serves "$body" "http://$H2_IP/" "$VHOST"
	mended_by_push
}

@test "Ctrl-C during the drain: the new release is live, and the lock is free" {
	first_push
	curl -s -m 20 -H "Host: $VHOST" "http://$H1_IP/slow?ms=6000" >"$BATS_TEST_TMPDIR/slow" 3>&- &
	local slow=$!
	deploy_start push
	deploy_await "draining"
	sleep 0.3
	local begun=${EPOCHREALTIME/./}
	deploy_signal -INT
	deploy_wait
	assert_took_less 2500 "$begun" || { deploy_show push && return 1; }
	deploy_ok lock status
	assert_stdout "^free$"
	assert_serves "version 2" "http://$H2_IP/" "$VHOST"
	assert_equal "$(outcome_of 2)" live
	wait "$slow"
	assert_equal "$(cat "$BATS_TEST_TMPDIR/slow")" "version 1" "the slow answer"
	mended_by_push
}

@test "Ctrl-C while waiting for the lock ends at once" {
	deploy_ok lock acquire -m "held"
	deploy_start push --lock-wait=60
	deploy_await "waiting: locked by"
	local begun=${EPOCHREALTIME/./}
	deploy_signal -INT
	deploy_wait
	assert_took_less 2500 "$begun"
	assert_equal "$DEPLOY_STATUS" 130 status
	deploy_ok lock release
}
