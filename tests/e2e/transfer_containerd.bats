#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The same with images in containerd's store, as new Docker has them: there a
# partial load cannot be, and the servers pull through SSH.

setup_file() {
	load ../support/helpers
	export TESTBED_SUITE=trixie
	bed_up 1 --containerd-store
}
teardown_file() {
	load ../support/helpers
	bed_down
}
setup() {
	load ../support/helpers
	app_repo --service "s$BATS_TEST_NUMBER" --host '' h1
	unset DEPLOY_TRANSFER
}
teardown() {
	[[ -z ${APP:-} ]] || deploy_run remove -y
	e2e_report
}

received() { testbed exec "$1" cat /sys/class/net/eth0/statistics/rx_bytes; }

@test "the server pulls through SSH, and only what it lacks" {
	local before counted
	head -c 8000000 /dev/urandom >"$APP/big"
	printf 'FROM app-base:1\nCOPY big /app/\nCOPY small version.txt /app/\n' >"$APP/Dockerfile"
	head -c 1000000 /dev/urandom >"$APP/small"
	app_commit "A big layer"
	deploy_ok push -v
	assert_stderr 'image there \(reverse, '
	assert_serves "version 1" "http://$H1_IP/"
	head -c 1000000 /dev/urandom >"$APP/small"
	app_commit "Version 2" version.txt="version 2"
	before=$(received h1)
	deploy_ok push -v
	counted=$(($(received h1) - before))
	assert_stderr 'image there \(reverse, '
	((counted < 1000000 * 106 / 100 + 65536 + 100000)) || fail "$counted bytes on the wire"
	assert_serves "version 2" "http://$H1_IP/"
	deploy_ok rollback
	assert_serves "version 1" "http://$H1_IP/"
	before=$(received h1)
	deploy_ok push --force
	counted=$(($(received h1) - before))
	((counted < 65536 + 1100000)) || fail "forced: $counted bytes on the wire"
}

@test "a forward that sshd makes public is refused, and another way taken" {
	testbed sshd-option h1 'GatewayPorts yes'
	deploy_run push -v
	testbed sshd-option h1 --reset
	deploy_show push >&2
	assert_equal "$DEPLOY_STATUS" 0 status
	assert_stderr 'GatewayPorts'
	assert_stderr 'image there \(full, '
	assert_serves "version 1" "http://$H1_IP/"
}
