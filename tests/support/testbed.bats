#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The test bed itself: what the end-to-end tests take for granted. It needs no
# binary of the tool.
# shellcheck disable=SC2030,SC2031,SC2034 # bats runs each test in a process of its own

setup_file() {
	load helpers
	before=$BATS_FILE_TMPDIR/before
	machine_state >"$before"
	bed_up 2
}

teardown_file() {
	load helpers
	bed_down
}

setup() {
	load helpers
}

# What a bed might leave on this machine; other beds come and go meanwhile.
machine_state() {
	local i=${1:-none}
	ip -o link | awk '{ print $2 }' | grep -E "^tb$i@" || true
	grep -E 'deploy-testbed|/run/netns/' /proc/mounts || true
	iptables-save | grep -E '10\.77\.|tb[0-9]' || true
	find /sys/fs/cgroup -maxdepth 3 -type d -path "*/deploy-testbed/$i" || true
	ip -o addr show | grep -E "10\.77\.$i\." || true
}

serve_everywhere() {
	local h
	for h in h1 h2; do
		docker_on "$h" rm -f sample >/dev/null 2>&1 || true
		docker_on "$h" run -d --name sample --restart unless-stopped -p 3000:3000 app-base:1 >/dev/null
		eventually 5 curl -sf -o /dev/null "http://$(testbed ip "$h"):3000/up"
	done
}

@test "user deploy logs in by key, checks the host key, and may use Docker" {
	run on h1 'hostname; id -un; docker version --format "{{.Server.Os}}"'
	assert_equal "$output" $'h1\ndeploy\nlinux' "answer of h1"
}

@test "hosts reach each other and the operator, and nothing else" {
	run on h1 "head -c 4 </dev/tcp/h2/22"
	assert_equal "$output" SSH- "h2's banner"
	run on h1 "ip route get 192.0.2.1"
	[ "$status" -ne 0 ]
}

@test "each host has its own Docker with the preloaded images" {
	run docker_on h1 image inspect -f '{{len .RootFS.Layers}}' caddy:2 nginx:1 registry:2 app-base:1
	assert_equal "$output" $'1\n1\n1\n1' layers
	docker_on h1 tag app-base:1 only-here:1
	run docker_on h2 image inspect only-here:1
	[ "$status" -ne 0 ]
}

@test "removing a preloaded image on one host leaves the other's alone" {
	docker_on h1 rmi nginx:1
	docker_on h2 run --rm --entrypoint nginx nginx:1 -t
	testbed load h1 nginx:1
}

@test "memory limits of containers hold" {
	run docker_on h1 run --rm -m 16m app-base:1 sh -c 'dd if=/dev/zero of=/dev/null bs=64M count=1'
	[ "$status" -ne 0 ]
}

@test "a power cut is silence, and the disk is there at power-on" {
	serve_everywhere
	on h2 'echo kept >kept; sync'
	exec 5<>"/dev/tcp/$H2_IP/22"
	head -c 4 <&5 >/dev/null
	testbed power-cut h2
	run timeout 1 cat <&5
	assert_equal "$status" 124 "an open connection hears nothing"
	exec 5>&-
	testbed power-on h2
	assert_equal "$(on h2 cat kept)" kept
	eventually 5 curl -sf -o /dev/null "http://$H2_IP:3000/up"
}

@test "a network cut is silence, and connections live on after a short one" {
	serve_everywhere
	exec 5<>"/dev/tcp/$H1_IP/3000"
	testbed net-cut h1
	run curl -s -m 0.5 "http://$H1_IP:3000/"
	assert_equal "$status" 28 "curl's time-out"
	printf 'GET /up HTTP/1.0\r\n\r\n' >&5
	testbed net-restore h1
	assert_equal "$(timeout 5 tail -n 1 <&5)" ok
}

# Docker 20.10 stops what survived it when it comes back, and takes that for a stop
# by hand: containers of "unless-stopped" stay down, those of "always" come back.
@test "containers run on while dockerd is dead" {
	docker_on h1 rm -f sample >/dev/null 2>&1 || true
	docker_on h1 run -d --name sample --restart always --network host app-base:1
	eventually 5 curl -sf -o /dev/null "http://$H1_IP:3000/up"
	testbed kill-dockerd h1
	curl -sf -m 1 -o /dev/null "http://$H1_IP:3000/up"
	run on h1 docker ps
	[ "$status" -ne 0 ]
	testbed start-dockerd h1
	eventually 5 curl -sf -o /dev/null "http://$H1_IP:3000/up"
	docker_on h1 rm -f sample
}

@test "sshd dies with its sessions, and comes back" {
	on h1 sleep 30 &
	eventually 5 on h1 pgrep -x sleep
	testbed kill-sshd h1
	run wait %1
	assert_equal "$status" 255 "the session's status"
	testbed start-sshd h1
	on h1 true
}

@test "an option of sshd can be set and reset" {
	run on h1 'true'
	assert_equal "$status" 0
	testbed sshd-option h1 'PermitTTY no' 'AllowUsers nobody'
	run on h1 true
	assert_equal "$status" 255 "refused"
	testbed sshd-option h1 --reset
	on h1 true
}

@test "a delay is added to the round trip, and taken away" {
	local ms
	testbed netem h1 100ms
	ms=$(on h1 true && ping_ms "$H1_IP")
	testbed netem h1 off
	echo "round trip $ms ms"
	((ms >= 99 && ms < 120))
	((${ms:-0} > $(ping_ms "$H1_IP")))
}

# A TCP handshake is one round trip.
ping_ms() {
	curl -s -o /dev/null -w '%{time_connect}' "telnet://$1:22" --max-time 0.5 |
		awk '{ printf "%d\n", $1 * 1000 }'
}

@test "the clock of what SSH runs can be shifted" {
	testbed clock h1 +3600
	local there here
	there=$(on h1 date +%s)
	here=$(date +%s)
	testbed clock h1 off
	((there - here > 3590 && there - here < 3610))
	((($(on h1 date +%s) - here) < 60))
}

@test "a folder's disk fills up and is freed with what was written" {
	on h1 'mkdir -p state && echo old >state/f'
	testbed fill-disk h1 /home/deploy/state
	run on h1 'head -c 8192 /dev/zero >state/g'
	[ "$status" -ne 0 ]
	testbed free-disk h1 /home/deploy/state
	on h1 'head -c 8192 /dev/zero >state/g && grep -q old state/f'
}

@test "further users: without Docker, with sudo" {
	testbed add-user h1 other --no-docker --sudo
	run on other@h1 docker ps
	[ "$status" -ne 0 ]
	on other@h1 sudo docker ps
}

@test "a second bed stands beside the first; with a disk of its own Docker's fills up" {
	local first=$TESTBED TESTBED=$TESTBED-second
	testbed up 1 --disk 400M --owner $$
	[ "$(testbed ip h1)" != "$(TESTBED=$first testbed ip h1)" ]
	docker_on h1 run --rm app-base:1 true
	testbed fill-disk h1
	run docker_on h1 run --rm app-base:1 head -c 1M /dev/zero
	[ "$status" -ne 0 ]
	testbed free-disk h1
	docker_on h1 run --rm app-base:1 true
	testbed power-cut h1
	testbed power-on h1
	docker_on h1 run --rm app-base:1 true
	testbed down
}

@test "a registry on the bed is trusted by this machine's daemon and the hosts" {
	local at
	"$E2E_ROOT/deploy/support/image" app-base:1
	at=$(testbed registry up)
	docker tag app-base:1 "$at/app-base:1"
	docker push -q "$at/app-base:1"
	docker rmi "$at/app-base:1"
	docker_on h1 pull -q "$at/app-base:1"
	testbed registry down
}

@test "hosts without Docker have no trace of it" {
	local TESTBED=$TESTBED-bare
	testbed up 1 --no-docker --owner $$
	BED_SSH_CONFIG=$(testbed dir)/ssh_config
	run on h1 'command -v docker dockerd'
	[ "$status" -ne 0 ]
	testbed down
}

@test "reap removes the bed of a dead owner whole, and no other" {
	local i TESTBED_MINE=$TESTBED TESTBED=$TESTBED-orphan
	bash -c '"$0" up 1 --owner $$; kill -9 $$' "$E2E_SUPPORT/testbed" || true
	i=$(<"$(testbed dir)/index")
	[ -n "$(machine_state "$i")" ]
	testbed reap
	[ ! -e "$(testbed dir)" ]
	assert_equal "$(machine_state "$i")" "" "what is left"
	TESTBED=$TESTBED_MINE testbed exec h1 true
}

@test "a bed killed with -9 while it comes up is removed whole" {
	local i pid TESTBED=$TESTBED-half
	bash -c 'exec setsid "$0" up 2 --owner $$' "$E2E_SUPPORT/testbed" >/dev/null 2>&1 3>&- &
	pid=$!
	eventually 10 test -e "$(testbed dir)/h1/disk"
	kill -9 -- "$pid"
	i=$(<"$(testbed dir)/index")
	testbed reap
	[ ! -e "$(testbed dir)" ]
	assert_equal "$(machine_state "$i")" "" "what is left"
}

@test "down leaves nothing behind" {
	local i TESTBED=$TESTBED-gone
	testbed up 2 --owner $$
	docker_on h1 run -d app-base:1
	testbed netem h1 20ms
	i=$(<"$(testbed dir)/index")
	testbed down
	[ ! -e "$(testbed dir)" ]
	assert_equal "$(machine_state "$i")" "" "what is left"
}

@test "the load generator counts what a careless switch loses" {
	serve_everywhere
	load_start --rate 100 "http://$H1_IP:3000"
	docker_on h1 restart -t 1 sample
	sleep 0.5
	load_stop
	[ "$(load_value .failed)" -gt 0 ]
	load_start --rate 100 --path /slow?ms=300 --path /:3 "http://$H1_IP:3000"
	sleep 1
	load_stop
	assert_no_failures
	assert_equal "$(load_value '.bodies[0].body')" unknown
}

# sample_image NAME: of the repository as it is committed.
sample_image() { git -C "$APP" archive HEAD | DOCKER_BUILDKIT=0 docker build -q -t "$1" - >/dev/null; }

@test "the sample application does what files of its repository say" {
	app_repo --driver nginx --release h1 h2
	grep -q "driver: nginx" "$APP/deploy.yml"
	app_commit "Break it" unhealthy="database gone" start-delay-ms=200 release-fails="no table"
	sample_image bed-sample:1
	docker rm -f bed-sample >/dev/null 2>&1 || true
	docker run -d --name bed-sample --network host -e PORT=3999 bed-sample:1 >/dev/null
	eventually 5 assert_serves "version 1" http://127.0.0.1:3999/
	assert_serves "database gone" http://127.0.0.1:3999/up
	assert_equal "$(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:3999/up)" 503
	run docker exec bed-sample release
	assert_equal "$status" 4 "status of the release command"
	curl -s -o "$BATS_TEST_TMPDIR/slow" 'http://127.0.0.1:3999/slow?ms=800' 3>&- &
	sleep 0.2
	docker stop -t 5 bed-sample >/dev/null
	wait
	assert_equal "$(cat "$BATS_TEST_TMPDIR/slow")" "version 1" "the answer in flight at SIGTERM"
	assert_equal "$(docker inspect -f '{{.State.ExitCode}}' bed-sample)" 0
	docker rm bed-sample
	app_commit "Crash" crash="no such column" unhealthy-
	sample_image bed-sample:1
	run docker run --rm bed-sample:1
	echo "$output"
	assert_equal "$status" 3 "status of a crash"
	assert_equal "${lines[1]}" "no such column"
	docker rmi bed-sample:1
}

@test "the tool's runs are judged, awaited and interrupted" {
	app_repo h1
	DEPLOY_BIN=$BATS_TEST_TMPDIR/deploy
	cat >"$DEPLOY_BIN" <<-'END'
	#!/bin/bash
	trap 'echo interrupted >&2; exit 130' INT
	echo "out $PWD"; echo "err $HOME" >&2
	[ "$1" != sleep ] || for _ in {1..100}; do sleep 0.1; done
	exit "${1:-0}"
	END
	chmod +x "$DEPLOY_BIN"
	deploy_ok 0
	assert_stdout "^out $APP$"
	assert_stderr "^err $BATS_TEST_TMPDIR/home$"
	deploy_fails 6 6
	run deploy_ok 5
	[ "$status" -ne 0 ]
	deploy_start sleep
	deploy_await '^out'
	deploy_signal -INT
	deploy_wait
	assert_equal "$DEPLOY_STATUS" 130
	assert_stderr interrupted
	deploy_start sleep
	deploy_await '^out'
	deploy_signal -9
	deploy_wait
	assert_equal "$DEPLOY_STATUS" 137
}
