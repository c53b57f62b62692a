#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# How the image comes to the servers without a registry.

setup_file() {
	load ../support/helpers
	bed_up 2
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

image_id() { docker_on "$1" image inspect -f '{{.Id}}' "$2"; }

# What a way brings is the image that was built here, and it serves.
brings_the_image() {
	export DEPLOY_TRANSFER=$1
	deploy_ok push -v
	assert_stderr "image there \\($1,"
	assert_serves "version 1" "http://$H1_IP/"
	assert_equal "$(image_id h1 "s$BATS_TEST_NUMBER:$(app_version_live)")" \
		"$(docker image inspect -f '{{.Id}}' "s$BATS_TEST_NUMBER:$(app_version_live)")" "image id"
	app_commit "Version 2" version.txt="version 2"
	deploy_ok push -v
	assert_stderr "image there \\($1,"
	assert_serves "version 2" "http://$H1_IP/"
}

app_version_live() {
	(cd "$APP" && deploy_env "$DEPLOY_BIN" app version --json -q 2>/dev/null) |
		jq -r 'select(.result == "version") | .version'
}

@test "DEPLOY_TRANSFER=partial brings the image" { brings_the_image partial; }

@test "DEPLOY_TRANSFER=reverse brings the image by a pull through SSH" { brings_the_image reverse; }

@test "DEPLOY_TRANSFER=full brings the image" { brings_the_image full; }

# What listens on the loopback of h1: containerd does too.
listeners() { testbed exec h1 cat /proc/net/tcp | awk '$4 == "0A" { print $2 }' | sort; }

@test "a reverse pull leaves no name, no listener and no forward on the server" {
	local before
	deploy_ok proxy boot
	before=$(listeners)
	DEPLOY_TRANSFER=reverse deploy_ok push
	docker_on h1 images --format '{{.Repository}}' >"$BATS_TEST_TMPDIR/names"
	! grep -F 127.0.0.1 "$BATS_TEST_TMPDIR/names" || fail "a pull's name is left"
	eventually 2 assert_equal "$(listeners)" "$before" listeners
}

@test "the way is chosen by itself, and -v says which" {
	deploy_ok push -v
	assert_stderr 'image there \(partial, .* sent, 1 of 2 layers\)'
}

sends_a_changed_layer_only() {
	local before sent counted
	export DEPLOY_TRANSFER=$1
	head -c 8000000 /dev/urandom >"$APP/big"
	printf 'FROM app-base:1\nCOPY big /app/\nCOPY small version.txt /app/\n' >"$APP/Dockerfile"
	head -c 1000000 /dev/urandom >"$APP/small"
	app_commit "A big layer"
	deploy_ok push
	head -c 1000000 /dev/urandom >"$APP/small"
	app_commit "Another small layer"
	before=$(received h1)
	deploy_ok push --json
	counted=$(($(received h1) - before))
	sent=$(jq -r 'select(.result == "release") | .bytes_sent' "$DEPLOY_STDOUT")
	((sent > 1000000 && sent < 1100000 + 65536)) || fail "says $sent bytes"
	# headers of packets, and acknowledgements of what came back
	((counted < 1000000 * 106 / 100 + 65536 + 100000)) || fail "$counted bytes on the wire"
	deploy_ok releases --json
	assert_equal "$(jq -r 'select(.result == "release") | .bytes_sent' "$DEPLOY_STDOUT" | head -n 1)" \
		"$sent" "bytes on record"
}

@test "a changed layer of 1 MB on a bigger image sends about that" { sends_a_changed_layer_only partial; }

@test "a pull through SSH fetches the changed layer only" { sends_a_changed_layer_only reverse; }

@test "a push of what is live sends less than 64 KiB to a server" {
	local before
	deploy_ok push
	before=$(received h1)
	deploy_ok push
	(($(received h1) - before < 65536)) || fail "$(($(received h1) - before)) bytes on the wire"
	before=$(received h1)
	deploy_ok push --force
	(($(received h1) - before < 65536)) || fail "forced: $(($(received h1) - before)) bytes on the wire"
}

@test "layers that came with another service's image are not sent again" {
	deploy_ok push
	(
		APP=$BATS_TEST_TMPDIR/other app_repo --service "other$BATS_TEST_NUMBER" --host other.test h1
		APP=$BATS_TEST_TMPDIR/other
		deploy_ok push -v
		assert_stderr 'image there \(partial, .* sent, [01] of 2 layers\)'
		deploy_ok remove -y
	)
}

@test "two servers get the image at the same time" {
	sed -i 's/hosts: \[h1\]/hosts: [h1, h2]/' "$APP/deploy.yml"
	app_commit "Two servers"
	deploy_ok push
	assert_serves "version 1" "http://$H1_IP/"
	assert_serves "version 1" "http://$H2_IP/"
	assert_equal "$(image_id h1 "s$BATS_TEST_NUMBER:$(app_version_live)")" \
		"$(image_id h2 "s$BATS_TEST_NUMBER:$(app_version_live)")" "image id"
}

@test "a reverse forward that sshd makes public is refused" {
	testbed sshd-option h1 'GatewayPorts yes'
	DEPLOY_TRANSFER=reverse deploy_run push -v
	testbed sshd-option h1 --reset
	deploy_show push >&2
	assert_equal "$DEPLOY_STATUS" 5 status
	assert_stderr 'GatewayPorts'
	assert_containers h1 "^s$BATS_TEST_NUMBER-" 0
}

@test "an image of another architecture is refused before it is sent" {
	printf 'FROM --platform=linux/arm64 scratch\nCOPY version.txt /\nCMD ["/none"]\n' >"$APP/Dockerfile"
	printf 'builder: {arch: arm64}\n' >>"$APP/deploy.yml"
	app_commit "For another machine"
	deploy_run push
	deploy_show push >&2
	[[ $DEPLOY_STATUS -ne 0 ]]
	grep -E 'arm64' "$DEPLOY_STDERR"
	grep -E 'amd64' "$DEPLOY_STDERR"
	assert_containers h1 "^s$BATS_TEST_NUMBER-" 0
}
