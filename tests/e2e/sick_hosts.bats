#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Servers that are not as they should be: their clocks, their disks, their ports, their proxy.

setup_file() {
	load ../support/helpers
	bed_up 2 --disk 1G
}
teardown_file() { bed_down; }

setup() {
	load ../support/helpers
	service_repo "sick$BATS_TEST_NUMBER" h1 h2
}

teardown() {
	[[ -z ${DEPLOY_PID:-} ]] || kill -9 "$DEPLOY_PID" 2>/dev/null || true
	e2e_report
	testbed clock h1 off
	testbed clock h2 off
	testbed free-disk h1
	testbed free-disk h2
	testbed exec h2 umount -l "$(state)" 2>/dev/null || true
	testbed exec h1 umount -l "$(state)" 2>/dev/null || true
	deploy_run remove -y
	service_forget
}

state() { echo "/home/deploy/.deploy/$SERVICE"; }

# A hook that does something to a server in the middle of a push.
at_hook() { # HOOK COMMAND...
	mkdir -p "$APP/.deploy/hooks"
	printf '#!/bin/sh\nexec %s\n' "${*:2}" >"$APP/.deploy/hooks/$1"
	chmod +x "$APP/.deploy/hooks/$1"
}
no_hooks() { rm -rf "$APP/.deploy/hooks"; }

releases() { # hN: "1 live, 2 failed" as that server has it on record
	on "$1" cat "$(state)/releases.jsonl" | jq -Rrs '[split("\n")[] | fromjson?] |
		map(select(.event == "end") | {(.id): .outcome}) as $ends | ($ends | add) as $ends |
		map(select(.event == "begin") | "\(.number) \($ends[.id])") | join(", ")'
}

assert_releases() { # WANTED: on both servers
	assert_equal "$(releases h1)" "$1" "releases on h1"
	assert_equal "$(releases h2)" "$1" "releases on h2"
}

assert_both_serve() {
	assert_serves "$1" "http://$H1_IP/" "$VHOST"
	assert_serves "$1" "http://$H2_IP/" "$VHOST"
}

@test "clocks that are two hours apart mix up no release, no lock and no log" {
	testbed clock h1 +3600
	testbed clock h2 -3600
	deploy_ok push
	deploy_run check
	assert_stdout "h1: its clock is .* ahead of ours"
	assert_stdout "h2: its clock is .* behind ours"
	traffic_start "version 1" "version 2"
	app_commit "Version 2" version.txt="version 2"
	deploy_ok push
	deploy_ok rollback
	deploy_ok rollback "$(app_version)"
	traffic_stop
	assert_both_serve "version 2"
	assert_releases "1 live, 2 live, 3 live, 4 live"
	# The first host is an hour ahead: nobody who lives looks dead by it, and who is dead does.
	at_hook pre-app-boot sh -c "'echo standing; sleep 60'"
	app_commit "Version 3" version.txt="version 3"
	deploy_start push
	deploy_await standing
	local pid=$DEPLOY_PID job=$DEPLOY_JOB
	# Fake: it runs on another machine, so that its heartbeat is all there is.
	testbed exec h1 sh -c "sed -i 's/\"machine\": *\"[^\"]*\"/\"machine\":\"elsewhere\"/' $(state)/lock/*.json"
	mkdir "$BATS_TEST_TMPDIR/colleague"
	(BATS_TEST_TMPDIR=$BATS_TEST_TMPDIR/colleague deploy_fails 7 push)
	kill -9 "$pid"
	wait "$job" || true
	no_hooks
	deploy_ok push --lock-wait=60
	assert_stderr "the lock's owner is gone"
	assert_both_serve "version 3"
	deploy_ok app logs -n 5
	assert_releases "1 live, 2 live, 3 live, 4 live, 5 interrupted, 6 live"
}

@test "a disk that fills up while the image comes ends the push, and the old release serves on" {
	deploy_ok push
	traffic_start "version 1" "version 2"
	testbed fill-disk h2 /var/lib/docker 3000000
	head -c 12000000 /dev/urandom >"$APP/blob"
	app_commit "Something big" version.txt="version 2"
	deploy_fails 5 push
	assert_stderr "h2.*no space left on device"
	assert_both_serve "version 1"
	assert_containers h1 "^$SERVICE" 1
	assert_containers h2 "^$SERVICE" 1
	assert_equal "$(docker_on h2 images -q -f dangling=true)" "" "half an image"
	testbed free-disk h2
	deploy_ok push
	traffic_stop
	assert_both_serve "version 2"
	assert_releases "1 live, 2 failed, 3 live"
}

@test "a full disk is found before anything is touched" {
	local h
	deploy_ok push
	app_commit "Version 2" version.txt="version 2"
	traffic_start "version 1" "version 2"
	for h in h1 h2; do
		testbed fill-disk "$h"
		deploy_fails 5 push
		assert_stderr "$h.*no space left"
		assert_both_serve "version 1"
		assert_containers h1 "^$SERVICE" 1
		assert_containers h2 "^$SERVICE" 1
		testbed free-disk "$h"
		deploy_ok lock status
		assert_stdout "^free$"
	done
	deploy_ok push
	traffic_stop
	assert_both_serve "version 2"
	assert_equal "$(releases h1)" "$(releases h2)" "releases"
	assert_equal "$(on h1 ls "$(state)" | grep -E 'lock|beat|now' || true)" "" "left over"
}

# A disk has room for what still goes into a file's last page of 4096 bytes: 100 bytes are left
# there, and the next line is torn.
full_at_the_record() { # HOST
	cat >"$BATS_TEST_TMPDIR/full" <<-END
		#!/bin/sh
		"$E2E_SUPPORT/testbed" exec $1 sh -c 'cd $(state) && size=\$(stat -c %s releases.jsonl) &&
			head -c \$((3996 - size % 4096)) /dev/zero | tr "\\0" "\\n" >>releases.jsonl'
		"$E2E_SUPPORT/testbed" fill-disk $1 $(state)
	END
	chmod +x "$BATS_TEST_TMPDIR/full"
	at_hook post-app-boot "$BATS_TEST_TMPDIR/full"
}

@test "a disk that fills up before the release is on record costs no release, and the next push writes it" {
	local h n=1
	deploy_ok push
	traffic_start "version 1" "version 2" "version 3" "version 4"
	for h in h2 h1; do
		n=$((n + 1))
		full_at_the_record "$h"
		app_commit "Full" version.txt="version $n"
		deploy_fails 8 push
		assert_stderr "release $n is live, but not everywhere on record: host $h: .*no space left"
		assert_both_serve "version $n"
		no_hooks
		testbed free-disk "$h" "$(state)"
	done
	app_commit "Version 4" version.txt="version 4"
	deploy_ok push
	traffic_stop
	assert_both_serve "version 4"
	assert_releases "1 live, 2 live, 3 live, 4 live"
	deploy_ok rollback
	assert_both_serve "version 3"
}

@test "a port that somebody else has is told with its number, and nothing is left of the first push" {
	docker_on h1 rm -f deploy-proxy-caddy >/dev/null 2>&1 || true
	docker_on h2 rm -f deploy-proxy-caddy >/dev/null 2>&1 || true
	docker_on h2 run -d --name squatter -p 80:3000 app-base:1
	deploy_run check
	assert_stdout "h2.*port 80, which the proxy needs, is taken"
	deploy_fails 5 push
	assert_stderr "h2.*(port is already allocated|:80.*in use)"
	assert_containers h1 "^$SERVICE" 0
	assert_containers h2 "^$SERVICE" 0
	docker_on h2 rm -f squatter
	deploy_ok push
	assert_both_serve "version 1"
}

@test "a proxy that is gone when the traffic moves ends the push, and who has switched goes back" {
	deploy_ok push
	at_hook post-app-boot docker -H "$(testbed docker-host h2)" rm -f deploy-proxy-caddy
	app_commit "Version 2" version.txt="version 2"
	TRAFFIC_HOSTS=$H1_IP traffic_start "version 1" "version 2" "version 3"
	deploy_fails 5 push
	assert_stderr "switch the traffic: host h2: connect to the proxy"
	assert_stderr "release 1\\) keeps serving"
	assert_serves "version 1" "http://$H1_IP/" "$VHOST"
	assert_containers h1 "^$SERVICE" 1
	no_hooks
	app_commit "Version 3" version.txt="version 3"
	deploy_ok push
	traffic_stop
	assert_both_serve "version 3"
	assert_containers h1 "^$SERVICE" 2
	assert_containers h2 "^$SERVICE" 2
	assert_releases "1 live, 2 failed, 3 live"
}
