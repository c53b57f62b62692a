#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# `rollout: {strategy: rolling}`: one batch of containers after the other; `canary`: a few, then all
# others.  Replicas with each proxy: proxy_suite.

setup_file() {
	load ../support/helpers
	bed_up 3
}

teardown_file() { bed_down; }

setup() {
	load ../support/helpers
	service_repo "roll$BATS_TEST_NUMBER" h1 h2 h3
}

teardown() {
	e2e_report
	service_forget
}

# roll KEYS: version 1 is live, and what comes is rolled out by these.
roll() {
	deploy_ok push
	manifest_add "deploy_timeout: 2" "rollout: {strategy: rolling, $1}"
}

# A version that does not become healthy on one host.
sick_on() { # HOST (a shell's pattern) VERSION
	cat >"$APP/start" <<-END
		#!/bin/sh
		case \$DEPLOY_HOST in $1) echo "database is down" >/app/unhealthy ;; esac
		exec app
	END
	chmod +x "$APP/start"
	manifest_edit 's/    hosts: \[h1, h2, h3\]/&\n    cmd: \/app\/start/'
	app_commit "Version $2, sick on $1" version.txt="version $2"
}

well() { # VERSION
	manifest_edit '/cmd: .app.start/d'
	app_commit "Version $1" start- version.txt="version $1"
}

assert_serve() { # the versions of h1, h2 and h3
	assert_serves "version $1" "http://$H1_IP/" "$VHOST"
	assert_serves "version $2" "http://$H2_IP/" "$VHOST"
	assert_serves "version $3" "http://$H3_IP/" "$VHOST"
}

assert_one_each() { # every host runs one container of the service
	local h
	for h in h1 h2 h3; do
		assert_containers "$h" "^$SERVICE-web" 1 running
	done
}
# The servers are well again, and the next push has nothing of the last one to mend.
next_push_is_whole() {
	well 3
	deploy_ok push
	traffic_stop
	refute_stderr "mend"
	assert_serve 3 3 3
	assert_one_each
}

@test "one host after the other, with a pause between them, and no request is lost" {
	roll "parallelism: 1, delay: 2, monitor: 1"
	well 2
	deploy_ok plan
	assert_stdout "^batch 2 of 3: switch"
	traffic_start "version 1" "version 2"
	deploy_start push
	deploy_await "the next batch"
	assert_serve 2 1 1
	deploy_await "batch 3 of 3: h3"
	assert_serve 2 2 1
	deploy_wait
	traffic_stop
	assert_equal "$DEPLOY_STATUS" 0 "status"
	assert_stdout "^0 of [0-9]+ requests failed"
	assert_stdout "version .* is live on 3 hosts"
	assert_serve 2 2 2
	assert_one_each
}

@test "a host that fails takes those that moved back with it, and no request is lost" {
	roll "monitor: 1"
	sick_on h2 2
	traffic_start "version 1" "version 2"
	deploy_fails 6 push
	traffic_stop
	assert_stderr "h2: .*not healthy within 2 s: GET /up answered 503: database is down"
	assert_stderr "batch 1 of 3: h1"
	refute_stderr "batch 3 of 3"
	refute_stdout "is live"
	assert_serve 1 1 1
	assert_one_each
	for h in h1 h2 h3; do
		assert_containers "$h" "^$SERVICE-web" 1
	done
	deploy_ok releases --json
	assert_equal "$(jq -rs 'map(select(.number == 2)) | .[0].outcome' "$DEPLOY_STDOUT")" failed
}

@test "a container that ends while its batch is watched is a failure of it" {
	roll "monitor: 60"
	well 2
	TRAFFIC_HOSTS="$H2_IP $H3_IP" traffic_start "version 1"
	deploy_start push
	deploy_await "watching"
	curl -s -m 5 -H "Host: $VHOST" "http://$H1_IP/exit?code=3" || true
	deploy_wait
	traffic_stop
	assert_equal "$DEPLOY_STATUS" 6 "status"
	assert_stderr "h1: .*(ended and was started again|ended with exit code)"
	assert_serve 1 1 1
	assert_one_each
}

@test "pause stops where a host fails, and the next push or rollback makes the fleet one" {
	roll "monitor: 1, failure_action: pause"
	sick_on h2 2
	traffic_start "version 1" "version 2" "version 3"
	deploy_fails 8 push
	assert_stderr "release 2 is live on h1 only, and paused: .*h2.*database is down"
	assert_serve 2 1 1
	assert_one_each
	deploy_ok releases show 2
	assert_stdout "hosts +h1: ok"
	assert_stdout "h2: .*database is down"
	assert_stdout "h3: not begun"
	# Nothing is half-done: the next command finds nothing to mend.
	deploy_ok releases
	assert_stdout "live on h1"
	next_push_is_whole
	sick_on h2 4
	deploy_fails 8 push
	assert_serve 4 3 3
	deploy_ok rollback
	assert_serve 3 3 3
	assert_one_each
}

@test "a failure that is borne leaves only that host behind" {
	roll "parallelism: 100%, monitor: 1, max_failure_ratio: 0.34"
	sick_on h2 2
	traffic_start "version 1" "version 2"
	deploy_fails 8 push
	traffic_stop
	assert_stderr "release 2 is live on h1, h3 only: .*h2"
	assert_serve 2 1 2
	assert_one_each
}

@test "killed between two batches: the next command takes the first one back" {
	roll "monitor: 0, delay: 60"
	well 2
	traffic_start "version 1" "version 2"
	deploy_start push
	deploy_await "the next batch"
	deploy_signal -9
	deploy_wait
	assert_serve 2 1 1
	deploy_fails 2 rollback --lock-wait=60
	traffic_stop
	assert_serve 1 1 1
	assert_one_each
}

@test "roles without proxy change with their host, and go back with it" {
	manifest_edit '/^proxy:/i\  clock:\n    hosts: [h1]\n    cmd: sh -c "exec sleep 1000"\n    order: stop-first\n    stop_timeout: 1'
	manifest_edit '/^proxy:/i\  worker:\n    hosts: [h1]\n    cmd: sh -c "exec sleep 1000"\n    stop_timeout: 1'
	manifest_add "readiness_delay: 1"
	deploy_ok push
	local before
	before=$(docker_on h1 ps -q --no-trunc --filter "name=^$SERVICE-" | sort)
	manifest_add "deploy_timeout: 2" "rollout: {strategy: rolling, monitor: 1}"
	sick_on h2 2
	deploy_fails 6 push
	assert_stderr "h1 .*stopping $SERVICE-clock"
	assert_equal "$(docker_on h1 ps -q --no-trunc --filter "name=^$SERVICE-" | sort)" "$before" "containers of h1"
	assert_serve 1 1 1
}

@test "continue: hosts that fail stay behind, however many, and the next push makes the fleet one" {
	roll "monitor: 1, failure_action: continue"
	sick_on 'h[12]' 2
	traffic_start "version 1" "version 2" "version 3"
	deploy_fails 8 push
	assert_stderr "release 2 is live on h3 only: .*h1.*database is down"
	refute_stderr "paused"
	assert_serve 1 1 2
	assert_one_each
	deploy_ok releases show 2
	assert_stdout "hosts +h3: ok"
	assert_stdout "h2: .*database is down"
	well 3
	deploy_ok push
	traffic_stop
	assert_serve 3 3 3
	assert_one_each
}

@test "Ctrl-C in the middle of a batch takes all batches back, and no request is lost" {
	roll "monitor: 1"
	manifest_edit 's/deploy_timeout: 2/deploy_timeout: 60/' # the second batch takes as long
	sick_on h2 2
	traffic_start "version 1" "version 2" "version 3"
	deploy_start push
	deploy_await "batch 2 of 3: h2"
	eventually 20 assert_containers h2 "^$SERVICE-web" 2 running
	assert_serve 2 1 1
	deploy_signal -INT
	deploy_wait
	assert_equal "$DEPLOY_STATUS" 130 status
	refute_stdout "is live"
	assert_serve 1 1 1
	assert_one_each
	deploy_ok releases --json
	assert_equal "$(jq -rs 'map(select(.number == 2)) | .[0].outcome' "$DEPLOY_STDOUT")" interrupted
	next_push_is_whole
}

# three_on_h1: three replicas on one host, each a batch.
three_on_h1() { # KEYS
	manifest_edit 's/hosts: .h1, h2, h3./hosts: [h1]\n    replicas: 3/'
	roll "$1"
	well 2
}
assert_all_serve() { # VERSION: all that the proxy has
	local n
	for n in 1 2 3 4 5 6; do
		assert_serves "version $1" "http://$H1_IP/" "$VHOST"
	done
	assert_containers h1 "^$SERVICE-web" 3 running
}

@test "killed between two replicas of a host: the next command takes the first one back" {
	three_on_h1 "delay: 60, monitor: 0"
	TRAFFIC_HOSTS=$H1_IP traffic_start "version 1" "version 2"
	deploy_start push
	deploy_await "the next batch"
	deploy_signal -9
	deploy_wait
	deploy_fails 2 rollback --lock-wait=60
	traffic_stop
	assert_all_serve 1
	manifest_edit 's/delay: 60/delay: 0/'
	deploy_ok push
	assert_stdout "is live"
	assert_all_serve 2
}

last_is_watched() { sed '1,/batch 3 of 3/d' "$DEPLOY_STDERR" | grep -q watching; }

@test "the last replica of a host ends while it is watched: all of them go back" {
	three_on_h1 "monitor: 3"
	deploy_start push
	deploy_await "batch 3 of 3: h1 .replica 3 of 3"
	eventually 20 last_is_watched
	docker_on h1 kill "$SERVICE-web-$(app_version)-3" >/dev/null
	deploy_wait
	assert_equal "$DEPLOY_STATUS" 6 status
	assert_stderr "h1: .*-3' (ended|is not running)"
	assert_all_serve 1
	assert_containers h1 "^$SERVICE-web" 3
}

canary() { manifest_edit "s/strategy: rolling/strategy: canary/"; }
answer_of_h1_is() { assert_serves "version $1" "http://$H1_IP/" "$VHOST"; }

@test "canary: one replica serves beside the old ones, then all the rest at once, and no request is lost" {
	manifest_edit 's/hosts: .h1, h2, h3./hosts: [h1, h2]\n    replicas: 2/'
	roll "delay: 4, monitor: 1"
	canary
	well 2
	deploy_ok plan
	assert_stdout "^the canary .batch 1 of 2.: switch"
	assert_stdout "^the rest .batch 2 of 2.: switch"
	TRAFFIC_RATE=80 TRAFFIC_HOSTS="$H1_IP $H2_IP" traffic_start "version 1" "version 2"
	deploy_start push
	deploy_await "watching 1 container for"
	assert_stderr "the canary .batch 1 of 2.: h1 .replica 1 of 2.$"
	eventually 3 answer_of_h1_is 1
	eventually 3 answer_of_h1_is 2
	assert_containers h1 "^$SERVICE-web" 3 running
	assert_containers h2 "^$SERVICE-web" 2
	deploy_wait
	traffic_stop
	assert_equal "$DEPLOY_STATUS" 0 "status"
	assert_stderr "the rest comes in 4 s"
	assert_stderr "the rest .batch 2 of 2.: h1 .replica 2 of 2., h2$"
	assert_stdout "^0 of [0-9]+ requests failed"
	for h in "$H1_IP" "$H2_IP"; do
		assert_serves "version 2" "http://$h/" "$VHOST"
		assert_serves "version 2" "http://$h/" "$VHOST"
	done
	assert_containers h1 "^$SERVICE-web" 2 running
	assert_containers h2 "^$SERVICE-web" 2 running
}

all_containers() { for h in h1 h2 h3; do docker_on "$h" ps -aq --no-trunc --filter "name=^$SERVICE-web"; done; }

@test "a canary that turns sick goes back and the rest is not touched; paused, it outlives a sick rest" {
	local before
	roll "monitor: 60, failure_action: pause"
	canary
	well 2
	before=$(all_containers)
	TRAFFIC_RATE=80 traffic_start "version 1" "version 2" "version 3"
	deploy_start push
	deploy_await "watching 1 container for"
	assert_serve 2 1 1
	docker_on h1 exec "$SERVICE-web-$(app_version)" sh -c 'echo "queue is full" >/app/unhealthy'
	deploy_wait
	assert_equal "$DEPLOY_STATUS" 6 "status"
	assert_stderr "h1: .*queue is full"
	refute_stderr "the rest"
	assert_serve 1 1 1
	assert_equal "$(all_containers)" "$before" "containers"
	deploy_ok releases show 2
	assert_stdout "failed"
	manifest_edit 's/monitor: 60/monitor: 1/'
	sick_on h2 3
	deploy_fails 8 push
	traffic_stop
	assert_stderr "release 3 is live on h1 only, and paused: .*h2.*database is down"
	assert_stderr "the next push or rollback brings all hosts to one release"
	assert_serve 3 1 1
	assert_one_each
}
