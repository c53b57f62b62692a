#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The core of the tool on each generation of Docker with each kind of image store, on podman's
# compatible socket, and through the OpenSSH that Debian has beside each. What was run is said
# for the README's table (bats --tap shows it, as "# generation: ...").

setup() { load ../support/helpers; }

teardown() {
	e2e_report
	[[ -z ${SERVICE:-} ]] || service_forget
	bed_down
}

# begin USER [OPTIONS OF testbed up]
begin() {
	local user=$1
	shift
	unset DEPLOY_TRANSFER
	to_be_had "$@"
	bed_up 1 "$@"
	service_repo "gen$BATS_TEST_NUMBER" --user "$user" h1
	manifest_add "secret_files: {TOKEN: /run/secrets/token}"
	secrets_file TOKEN=sesame-open
}

# core WAY OTHER: WAY is how the image travels by itself there, OTHER another that works when it is
# asked for.
core() {
	local way=$1 other=$2
	head -c 8000000 /dev/urandom >"$APP/big"
	printf 'FROM app-base:1\nCOPY big /app/\nCOPY app /app/\n' >"$APP/Dockerfile"
	change 1
	what_was_run
	first_push "$way"
	load_start --rate "${RATE:-50}" --timeout 30000 --host-header "$VHOST" "http://$H1_IP"
	counted_push "$way" 2
	DEPLOY_TRANSFER=$other deploy_push "$other" 3
	unhealthy_push
	rolls_back
	another_proxy
	load_stop
	assert_no_failures
	logs_exec_and_status
	leaves_nothing
}

# sid may be in a state that cannot be installed, and a machine without a mirror.
to_be_had() {
	local status=0
	[[ $EUID -eq 0 ]] || skip "test hosts need root"
	testbed prepare "$@" >"$BATS_TEST_TMPDIR/prepare" 2>&1 || status=$?
	((status == 0)) && return
	((status != 69)) || skip "$(grep -h '^E:' "$BATS_TEST_TMPDIR/prepare" | head -n 1 | cut -c1-200)"
	cat "$BATS_TEST_TMPDIR/prepare"
	return "$status"
}

what_was_run() {
	local ssh
	ssh=$(testbed exec h1 /usr/sbin/sshd -V 2>&1 | grep -o 'OpenSSH_[^ ,]*')
	curl -s --unix-socket "$(testbed docker-host h1 | cut -d/ -f3-)" http://d/info | jq -r --arg ssh "$ssh" \
		'"# generation: \(if .BuildahVersion then "podman" else "Docker" end) \(.ServerVersion), " +
		"\(.Driver), cgroup \(.CgroupVersion), \($ssh)"' >&3
}

# As Docker 29 does by itself.
refuse_old_api() {
	testbed stop-dockerd h1
	testbed exec h1 env DOCKER_MIN_API_VERSION=1.44 testbed-service start-dockerd
	eventually 60 docker_on h1 version
	refute env DOCKER_API_VERSION=1.43 DOCKER_HOST="$(testbed docker-host h1)" docker info
}

change() { # NUMBER: 1 MB that no layer can share
	mkdir -p "$APP/app"
	head -c 1000000 /dev/urandom >"$APP/app/small"
	app_commit "Version $1" app/version.txt="version $1"
}

deploy_push() { # WAY [NUMBER]
	[[ -z ${2:-} ]] || change "$2"
	deploy_ok push -v
	assert_stderr "image there \\($1, "
	assert_serves "version ${2:-1}" "http://$H1_IP/" "$VHOST"
}

first_push() { deploy_push "$1"; }

counted_push() { # WAY NUMBER: of 9 MB only the changed one travels
	local before counted
	before=$(testbed exec h1 cat /sys/class/net/eth0/statistics/rx_bytes)
	change "$2"
	deploy_ok push -v
	counted=$(($(testbed exec h1 cat /sys/class/net/eth0/statistics/rx_bytes) - before))
	assert_stderr "image there \\($1, "
	assert_serves "version $2" "http://$H1_IP/" "$VHOST"
	# beside the layer: packets' headers, the load's requests
	((counted > 1000000 && counted < 2500000)) || fail "$counted bytes on the wire"
}

unhealthy_push() {
	app_commit "Sick" app/version.txt="version 4" app/unhealthy="database is down"
	manifest_add "deploy_timeout: 3"
	app_commit "Not for long"
	deploy_fails 6 push
	assert_stderr "not healthy within 3 s: .*503"
	assert_serves "version 3" "http://$H1_IP/" "$VHOST"
	app_commit "Well" app/unhealthy-
}

rolls_back() {
	deploy_ok rollback
	assert_serves "version 2" "http://$H1_IP/" "$VHOST"
	deploy_ok rollback
	assert_serves "version 1" "http://$H1_IP/" "$VHOST"
}

another_proxy() {
	deploy_ok proxy reboot
	assert_stderr 'proxy rebooted; new connections waited'
	assert_serves "version 1" "http://$H1_IP/" "$VHOST"
}

logs_exec_and_status() {
	deploy_ok app logs
	assert_stdout 'app: version version 1 listening'
	deploy_ok app exec -p -- cat version.txt
	assert_stdout '^version '
	deploy_ok app exec --reuse -p -- cat version.txt
	assert_stdout '^version 1$'
	# The secret file came along with the rollback, and comes along into a fresh container.
	deploy_ok app exec --reuse -p -- cat /run/secrets/token
	assert_equal "$(cat "$DEPLOY_STDOUT")" sesame-open
	deploy_ok app exec -p -- stat -c '%u %a' /run/secrets/token
	assert_equal "$(cat "$DEPLOY_STDOUT")" "0 400"
	deploy_fails 9 app exec -p -- sh -c 'exit 9'
	deploy_fails 9 app exec --reuse -p -- sh -c 'exit 9'
	deploy_ok status --json
	jq -se 'map(select(.result == "status"))[0] | .drift.steps | length == 0' "$DEPLOY_STDOUT" ||
		deploy_show status
	deploy_ok releases
	assert_stdout ' live +'
	deploy_ok check
}

leaves_nothing() {
	deploy_ok remove -y
	assert_containers h1 "^$SERVICE" 0
	docker_on h1 images --format '{{.Repository}}' >"$BATS_TEST_TMPDIR/names"
	refute grep -E "$SERVICE|127\.0\.0\.1" "$BATS_TEST_TMPDIR/names"
}

@test "Docker 20.10, graph driver" {
	begin deploy --suite bookworm
	core partial reverse
}

@test "Docker 26.1, graph driver" {
	begin deploy --suite trixie
	core partial reverse
}

@test "Docker 26.1, containerd's store" {
	begin deploy --suite trixie --containerd-store
	core reverse full
}

@test "Docker 28.5 (sid has it or a newer one), graph driver" {
	begin deploy --suite sid
	core partial reverse
}

@test "Docker 28.5 (sid has it or a newer one), containerd's store" {
	begin deploy --suite sid --containerd-store
	refuse_old_api
	core reverse full
}

@test "podman, root's socket" {
	begin deploy --suite trixie --podman
	deploy_fails 4 push
	assert_stderr 'podman has no socket there that the SSH user may use'
	manifest_edit 's/user: deploy/user: root/'
	core reverse full
}

@test "podman 4 is refused before anything is touched" {
	begin root --suite bookworm --podman
	deploy_fails 5 push
	assert_stderr "podman 4.* is too old: podman 5 or newer is needed"
	deploy_fails 5 check
	assert_stdout "podman 4.* is too old"
	assert_containers h1 . 0
}

# Its containers' addresses cannot be reached from the server: a check by HTTP is refused before
# anything is touched, one by a command works.
@test "podman without root" {
	begin deploy --suite trixie --podman-rootless
	testbed load h1 caddy:2
	deploy_fails 5 push
	assert_stderr "podman runs without root there: .* cannot be reached from the server"
	assert_stderr 'hint: .*healthcheck: \{cmd: '
	assert_containers h1 . 0
	testbed exec h1 sysctl -qw net.ipv4.ip_unprivileged_port_start=80
	manifest_edit 's|healthcheck: .*|healthcheck: {cmd: "wget -q -O- http://127.0.0.1:3000/up"}|'
	RATE=20 # each packet goes through two programs there
	# Without root nothing can be held back: that is told, and the load stays away.
	another_proxy() {
		load_stop
		assert_no_failures
		deploy_ok proxy reboot
		assert_stderr 'cannot hold connections back: Docker runs without root there'
		load_start --rate "$RATE" --timeout 30000 --host-header "$VHOST" "http://$H1_IP"
	}
	core reverse full
}
