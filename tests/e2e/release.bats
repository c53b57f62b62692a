#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The release command: once a push, before anything new starts.

setup_file() {
	load ../support/helpers
	bed_up 2
}

teardown_file() { bed_down; }

setup() {
	load ../support/helpers
	service_repo "release$BATS_TEST_NUMBER" --release h1 h2
}

teardown() {
	e2e_report
	service_forget
}

runs_on() { # hN: the lines that the release command wrote there
	testbed exec "$1" sh -c "cat /var/tmp/$SERVICE-release/release.log 2>/dev/null || true"
}

@test "the release command runs once, on the primary host, in the new image with the env" {
	manifest_edit 's/command: release/command: release with $COLOUR and $TOKEN/'
	manifest_add "env:" "  clear: {COLOUR: green}" "  secret: [TOKEN]"
	secrets_file TOKEN=sesame
	app_commit "Use the env"
	deploy_ok push
	assert_equal "$(runs_on h1)" "version 1 with green and sesame"
	assert_equal "$(runs_on h2)" ""
	assert_stderr "h1.*release: migrating to version 1"
	assert_stderr "h1.*release: done"
	app_commit "Version 2" version.txt="version 2"
	deploy_ok push
	assert_equal "$(runs_on h1)" "version 1 with green and sesame
version 2 with green and sesame"
	# Not when there is nothing to do, nor on a rollback.
	deploy_ok push
	deploy_ok rollback
	assert_equal "$(runs_on h1 | wc -l)" 2
	assert_containers h1 "release.*release" 0
	assert_containers h1 "^$SERVICE" 2
}

@test "its output is streamed while it runs" {
	app_commit "Slow" release-sleep=4
	deploy_start push
	deploy_await "migrating to version 1" 20
	kill -0 "$DEPLOY_PID"
	assert_equal "$(runs_on h1)" ""
	deploy_wait
	assert_equal "$DEPLOY_STATUS" 0 status
}

@test "a failing release command ends the push, and the old release serves on" {
	deploy_ok push
	app_commit "Fail" release-fails="relation users does not exist" version.txt="version 2"
	traffic_start "version 1"
	deploy_fails 5 push
	traffic_stop
	assert_stderr "release command 'release': it ended with exit code 4"
	assert_stderr "relation users does not exist"
	assert_containers h1 "^$SERVICE" 1
	assert_containers h2 "^$SERVICE" 1
	deploy_ok releases
	assert_stdout "failed"
	app_commit "Mended" release-fails-
	deploy_ok push
	assert_serves "version 2" "http://$H2_IP/" "$VHOST"
}

@test "a hanging release command is stopped after release.timeout" {
	local begun
	deploy_ok push
	manifest_edit 's/command: release/command: release\n  timeout: 2/'
	app_commit "Hang" release-sleep=600 version.txt="version 2"
	begun=$SECONDS
	deploy_fails 5 push
	[[ $((SECONDS - begun)) -le 15 ]] || fail "took $((SECONDS - begun)) s"
	assert_stderr "longer than"
	assert_stderr "migrating to version 2"
	assert_containers h1 "^$SERVICE" 1
	assert_equal "$(runs_on h1)" "version 1"
	assert_serves "version 1" "http://$H1_IP/" "$VHOST"
}

@test "Ctrl-C during the release command stops it" {
	local begun
	deploy_ok push
	app_commit "Slow" release-sleep=600 version.txt="version 2"
	deploy_start push
	deploy_await "migrating to version 2" 20
	begun=${EPOCHREALTIME/./}
	deploy_signal -INT
	deploy_wait
	assert_equal "$DEPLOY_STATUS" 130 status
	assert_took_less 2500 "$begun"
	assert_containers h1 "^$SERVICE" 1
	deploy_ok lock status
	assert_stdout "^free$"
	deploy_ok releases --json
	assert_equal "$(jq -rs 'map(select(.number == 2)) | .[0].outcome' "$DEPLOY_STDOUT")" interrupted
	assert_equal "$(runs_on h1)" "version 1"
}

@test "a first push with a failing release command leaves no container" {
	app_commit "Fail" release-fails="no database"
	deploy_fails 5 push
	assert_containers h1 "^$SERVICE" 0
	assert_containers h2 "^$SERVICE" 0
}
