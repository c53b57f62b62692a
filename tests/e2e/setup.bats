#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Servers without Docker, and `deploy setup`.

setup_file() {
	load ../support/helpers
	bed_up 1 --no-docker
	# The hosts' image has Docker's packages; without these it looks as if not.
	testbed exec h1 sh -c 'rm -f /usr/bin/docker /usr/sbin/dockerd /usr/bin/dockerd'
}
teardown_file() {
	load ../support/helpers
	bed_down
}
setup() {
	load ../support/helpers
	app_repo --host '' h1
}
teardown() { e2e_report; }

untouched() {
	! testbed exec h1 test -e /home/deploy/.deploy/sample/releases.jsonl || fail "a release was begun"
	! testbed exec h1 test -e /home/deploy/.deploy/sample/lock || fail "a lock was left"
}

@test "setup says what to install where Docker is missing, and changes nothing" {
	deploy_fails 5 setup
	assert_stderr 'Docker is not installed'
	assert_stderr 'setup --install-docker'
	assert_stderr 'apt-get install docker.io'
	untouched
}

@test "push says that Docker is missing" {
	deploy_run push
	deploy_show push >&2
	[[ $DEPLOY_STATUS -eq 4 || $DEPLOY_STATUS -eq 5 ]]
	assert_stderr 'Docker'
	assert_stderr 'setup'
	untouched
}

@test "check says that Docker is missing, and how to mend it" {
	deploy_run check
	[[ $DEPLOY_STATUS -ne 0 ]]
	grep -E 'h1.*Docker' "$DEPLOY_STDOUT"
}

@test "setup --install-docker without root or sudo says so" {
	deploy_fails 5 setup --install-docker
	assert_stderr 'sudo'
	untouched
}
