#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What is not healthy gets no traffic, and moves nothing anywhere.

setup_file() {
	load ../support/helpers
	bed_up 2
}

teardown_file() { bed_down; }

setup() {
	load ../support/helpers
	service_repo "health$BATS_TEST_NUMBER" h1 h2
}

teardown() {
	e2e_report
	service_forget
}

# Only this host's container does this before the application starts.
on_host_only() { # HOST COMMAND
	cat >"$APP/start" <<-END
		#!/bin/sh
		if [ "\$DEPLOY_HOST" = $1 ]; then $2; fi
		exec app
	END
	chmod +x "$APP/start"
	grep -q 'cmd:' "$APP/deploy.yml" || manifest_edit 's/    hosts: \(.*\)/    hosts: \1\n    cmd: \/app\/start/'
}

assert_nothing_moved() { # all hosts serve version 1 by the one container
	local h
	for h in h1 h2; do
		assert_containers "$h" "^$SERVICE" 1
		assert_containers "$h" "^$SERVICE-web" 1 running
	done
	assert_serves "version 1" "http://$H1_IP/" "$VHOST"
	assert_serves "version 1" "http://$H2_IP/" "$VHOST"
}

@test "an unhealthy candidate on one of two hosts moves nothing anywhere" {
	deploy_ok push
	app_commit "Version 2, sick on h2" version.txt="version 2"
	on_host_only h2 'echo "database is down" >/app/unhealthy'
	app_commit "Sick"
	manifest_add "deploy_timeout: 3"
	app_commit "Not for long"
	traffic_start "version 1"
	deploy_fails 6 push
	traffic_stop
	assert_stderr "h2: .*not healthy within 3 s: GET /up answered 503: database is down"
	assert_stderr "app: version version 2 listening"
	refute_stdout "is live"
	assert_nothing_moved
	deploy_ok releases --json
	assert_equal "$(jq -rs 'map(select(.number == 2)) | .[0].outcome' "$DEPLOY_STDOUT")" failed
}

@test "a candidate that crashes ends the push with its exit code and last lines" {
	deploy_ok push
	app_commit "Crash" crash="cannot find libfoo.so.7" version.txt="version 2"
	deploy_fails 6 push
	assert_stderr "ended with exit code 3"
	assert_stderr "cannot find libfoo.so.7"
	assert_nothing_moved
}

@test "a candidate that crashes at once on a first push leaves nothing but the proxy" {
	app_commit "Crash" crash="no luck"
	deploy_fails 6 push
	assert_stderr "no luck"
	assert_containers h1 "^$SERVICE" 0
	assert_containers h2 "^$SERVICE" 0
	app_commit "Mended" crash-
	deploy_ok push
	assert_stdout '\(release 2\)'
	assert_serves "version 1" "http://$H2_IP/" "$VHOST"
}

@test "a port that is never opened is given up after deploy_timeout" {
	local begun
	deploy_ok push
	manifest_add "deploy_timeout: 2"
	app_commit "Hang" hang=yes version.txt="version 2"
	begun=$SECONDS
	deploy_fails 6 push
	[[ $((SECONDS - begun)) -le 20 ]] || fail "took $((SECONDS - begun)) s"
	assert_stderr "not healthy within 2 s: port 3000 does not accept connections"
	assert_nothing_moved
}

@test "a health check that hangs ends with its own time-out, and the push with deploy_timeout" {
	local begun check
	deploy_ok push
	manifest_add "deploy_timeout: 3"
	# It is there, and never answers; it never ends; and Docker's own never ends.
	for check in "{path: '/slow?ms=600000', timeout: 1}" "{cmd: sleep 600, timeout: 1}" "{docker: true}"; do
		manifest_edit "s|healthcheck: .*|healthcheck: $check|"
		printf 'FROM app-base:1\nCOPY . /app/\nHEALTHCHECK --interval=1s --timeout=600s CMD sleep 600\n' \
			>"$APP/Dockerfile"
		app_commit "Hang in $check" version.txt="version 2"
		begun=$SECONDS
		deploy_fails 6 push
		[[ $((SECONDS - begun)) -le 30 ]] || fail "took $((SECONDS - begun)) s"
		assert_stderr "not healthy within 3 s"
		assert_nothing_moved
	done
}

@test "an image that cannot start says why" {
	deploy_ok push
	manifest_edit 's/    hosts: \(.*\)/    hosts: \1\n    cmd: no-such-program/'
	app_commit "Wrong command"
	deploy_run push
	[[ $DEPLOY_STATUS == 5 || $DEPLOY_STATUS == 6 ]] || deploy_fails 6 push
	assert_stderr "no-such-program"
	assert_nothing_moved
}

@test "a health check by TCP takes what listens, whatever it answers" {
	manifest_edit 's/healthcheck: .*/healthcheck: {tcp: true}/'
	app_commit "By TCP" unhealthy="not for HTTP"
	deploy_ok push
	assert_serves "version 1" "http://$H1_IP/" "$VHOST"
}

@test "a health check by a command tells its exit code and output" {
	manifest_edit "s/healthcheck: .*/healthcheck: {cmd: 'cat \/app\/ready'}/"
	manifest_add "deploy_timeout: 3"
	app_commit "By a command" ready=yes
	deploy_ok push
	app_commit "Not ready" ready- version.txt="version 2"
	deploy_fails 6 push
	assert_stderr "'cat /app/ready' ended with exit code 1: .*ready"
	assert_nothing_moved
}

@test "the image's own HEALTHCHECK counts when it is asked for" {
	manifest_edit "s/healthcheck: .*/healthcheck: {docker: true}/"
	manifest_add "deploy_timeout: 4"
	printf 'FROM app-base:1\nCOPY . /app/\nHEALTHCHECK --interval=1s --timeout=2s --retries=1 CMD test -e /app/ready\n' >"$APP/Dockerfile"
	app_commit "By Docker" ready=yes
	deploy_ok push
	app_commit "Not ready" ready- version.txt="version 2"
	deploy_fails 6 push
	assert_stderr "Docker says unhealthy"
	assert_nothing_moved
}

@test "a sick replica is enough to end the push" {
	manifest_edit 's/    hosts: \(.*\)/    hosts: \1\n    replicas: 2/'
	app_commit "Two of them"
	deploy_ok push
	on_host_only h1 'case $DEPLOY_CONTAINER_NAME in *-2) echo "second fails" >/app/crash ;; esac'
	app_commit "One is sick"
	deploy_fails 6 push
	assert_stderr "second fails"
	assert_containers h1 "^$SERVICE" 2
	assert_containers h2 "^$SERVICE" 2
	assert_serves "version 1" "http://$H1_IP/" "$VHOST"
}

@test "an application that needs its time to start gets it" {
	deploy_ok push
	app_commit "Slow to start" start-delay-ms=1500 version.txt="version 2"
	traffic_start "version 1" "version 2"
	deploy_ok push
	traffic_stop
	assert_serves "version 2" "http://$H1_IP/" "$VHOST"
}
