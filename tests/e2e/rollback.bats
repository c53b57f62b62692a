#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# `deploy rollback`: the previous good release as it was, in one command.

setup_file() {
	load ../support/helpers
	bed_up 2
}

teardown_file() { bed_down; }

setup() {
	load ../support/helpers
	service_repo "back$BATS_TEST_NUMBER" h1 h2
}

teardown() {
	e2e_report
	service_forget
}

push_version() { # N
	app_commit "Version $1" version.txt="version $1"
	deploy_ok push
}

serves() { # N
	assert_serves "version $1" "http://$H1_IP/" "$VHOST"
	assert_serves "version $1" "http://$H2_IP/" "$VHOST"
}

@test "rollback without an argument brings back the previous release, and loses no request" {
	local before
	push_version 1
	before=$(docker_on h1 ps -q --no-trunc --filter "name=$SERVICE-web")
	push_version 2
	traffic_start "version 1" "version 2"
	deploy_ok rollback
	sleep 0.3
	traffic_stop
	serves 1
	assert_stdout '^0 of [0-9]+ requests failed'
	assert_stdout 'release 3'
	assert_equal "$(docker_on h1 ps -q --no-trunc --filter "name=$SERVICE-web")" "$before" "the container"
	assert_containers h2 "^$SERVICE-web" 1 running
}

@test "rollback sends next to nothing: no rebuild, no pull" {
	local before after
	push_version 1
	push_version 2
	# Neither the sources nor an image of this machine are needed.
	service_forget
	echo 'FROM nowhere.invalid/none' >"$APP/Dockerfile"
	app_commit "Cannot be built"
	before=$(testbed exec h2 cat /sys/class/net/eth0/statistics/rx_bytes)
	deploy_ok rollback
	after=$(testbed exec h2 cat /sys/class/net/eth0/statistics/rx_bytes)
	[[ $((after - before)) -lt 65536 ]] || fail "$((after - before)) bytes"
	serves 1
}

@test "rollback twice goes further back, and a push goes forward again" {
	push_version 1
	push_version 2
	push_version 3
	deploy_ok rollback
	serves 2
	deploy_ok rollback
	serves 1
	deploy_fails 2 rollback
	assert_stderr "no earlier release"
	serves 1
	push_version 4
	serves 4
	deploy_ok rollback
	serves 1
}

@test "rollback to a version, backward and forward" {
	local v1 v3
	push_version 1
	v1=$(app_version)
	push_version 2
	push_version 3
	v3=$(app_version)
	deploy_ok rollback "$v1"
	serves 1
	deploy_ok rollback "$v3"
	serves 3
	deploy_fails 2 rollback "$v3"
	assert_stderr "is what is live now"
	deploy_fails 2 rollback fffffff
	assert_stderr "no release with version 'fffffff'"
}

@test "rollback skips a release that failed" {
	push_version 1
	app_commit "Crash" crash="no"
	deploy_fails 6 push
	app_commit "Mended" crash-
	push_version 2
	deploy_ok rollback
	serves 1
}

@test "rollback brings the env and the secrets of that release, whatever they are today" {
	manifest_add "env:" "  clear: {COLOUR: green}" "  secret: [TOKEN]"
	secrets_file TOKEN=old-token
	push_version 1
	manifest_edit 's/green/blue/'
	secrets_file TOKEN=new-token
	push_version 2
	assert_serves new-token "http://$H1_IP/env?name=TOKEN" "$VHOST"
	rm "$APP/.deploy/secrets"
	secrets_file TOKEN=newest-token
	deploy_ok rollback
	serves 1
	assert_serves old-token "http://$H1_IP/env?name=TOKEN" "$VHOST"
	assert_serves green "http://$H2_IP/env?name=COLOUR" "$VHOST"
	# The secret lost altogether is no hindrance either.
	push_version 3
	rm "$APP/.deploy/secrets"
	deploy_ok rollback
	assert_serves old-token "http://$H1_IP/env?name=TOKEN" "$VHOST"
}

@test "a retired container that was removed by hand is made again from its sibling" {
	manifest_add "env:" "  secret: [TOKEN]"
	secrets_file TOKEN=old-token
	push_version 1
	docker_on h1 inspect --format '{{.Image}}' "$SERVICE-web-$(app_version)" >"$BATS_TEST_TMPDIR/image"
	local v1
	v1=$(app_version)
	secrets_file TOKEN=new-token
	push_version 2
	docker_on h1 rm "$SERVICE-web-$v1"
	deploy_ok rollback
	serves 1
	assert_serves old-token "http://$H1_IP/env?name=TOKEN" "$VHOST"
	assert_containers h1 "^$SERVICE-web-$v1$" 1 running
	assert_equal "$(docker_on h1 inspect --format '{{.Image}}' "$SERVICE-web-$v1")" "$(cat "$BATS_TEST_TMPDIR/image")" "image"
}

@test "the image of a container that was removed with it is brought from the sibling" {
	push_version 1
	local v1
	v1=$(app_version)
	push_version 2
	docker_on h1 rm "$SERVICE-web-$v1"
	docker_on h1 rmi "$SERVICE:$v1"
	deploy_ok rollback
	serves 1
	assert_containers h1 "^$SERVICE-web-$v1$" 1 running
	# Neither there: what to do is said, and what serves goes on.
	push_version 3
	docker_on h1 rm "$SERVICE-web-$v1"
	docker_on h1 rmi -f "$SERVICE:$v1"
	docker_on h2 rmi -f "$SERVICE:$v1"
	deploy_fails 5 rollback
	assert_stderr "hint: deploy push --version $v1"
	serves 3
}

@test "docker system prune on a server before a rollback" {
	push_version 1
	local v1
	v1=$(app_version)
	push_version 2
	# All that does not run, and all images that nothing runs of. The images of the bed come back.
	docker_on h2 system prune -af >/dev/null
	refute docker_on h2 image inspect "$SERVICE:$v1" >/dev/null 2>&1
	traffic_start "version 1" "version 2"
	deploy_ok rollback
	traffic_stop
	serves 1
	assert_containers h2 "^$SERVICE-web-$v1$" 1 running
	assert_equal "$(docker_on h1 inspect --format '{{.Image}}' "$SERVICE-web-$v1")" \
		"$(docker_on h2 inspect --format '{{.Image}}' "$SERVICE-web-$v1")" "image"
	testbed load h2 app-base:1
}

@test "a retired container comes back though its network was made anew by hand" {
	push_version 1
	push_version 2
	# Everything on that network has to go first, also what other tests left.
	docker_on h1 rm -f deploy-proxy-caddy >/dev/null
	docker_on h1 ps -q | xargs -r docker -H "$(testbed docker-host h1)" stop -t 1 >/dev/null
	docker_on h1 network rm deploy
	deploy_ok push --force
	deploy_ok rollback
	serves 2
	deploy_ok rollback "$(git -C "$APP" rev-parse HEAD~1 | cut -c1-10)"
	serves 1
}

@test "a release of which nothing is left cannot come back, and says so" {
	push_version 1
	local v1
	v1=$(app_version)
	push_version 2
	docker_on h1 rm "$SERVICE-web-$v1"
	docker_on h2 rm "$SERVICE-web-$v1"
	deploy_run rollback
	[[ $DEPLOY_STATUS == 5 || $DEPLOY_STATUS == 2 ]] || deploy_fails 5 rollback
	assert_stderr "none of its containers is left"
	assert_stderr "deploy push --version $v1"
	serves 2
	deploy_ok push --version "$v1"
	serves 1
}

@test "nothing to go back to is said in clear words" {
	deploy_fails 2 rollback
	assert_stderr "no earlier release"
	push_version 1
	deploy_fails 2 rollback
	assert_stderr "no earlier release"
	serves 1
}

@test "a release that does not become healthy any more leaves the present one alone" {
	manifest_edit 's/    hosts: \(.*\)/    hosts: \1\n    volumes: ["\/var\/tmp\/back:\/data"]\n    cmd: \/app\/start/'
	manifest_add "deploy_timeout: 2"
	app_commit "A volume" start=$'#!/bin/sh\n[ ! -e /data/sick ] || cp /data/sick /app/crash\nexec app'
	chmod +x "$APP/start"
	push_version 1
	push_version 2
	testbed exec h2 sh -c 'echo "schema is too new" >/var/tmp/back/sick'
	traffic_start "version 2"
	deploy_fails 6 rollback
	traffic_stop
	assert_stderr "schema is too new"
	assert_containers h1 "^$SERVICE-web" 1 running
	assert_containers h2 "^$SERVICE-web" 1 running
	assert_containers h2 "^$SERVICE-web" 2
	testbed exec h2 rm /var/tmp/back/sick
}

@test "replicas come back together" {
	manifest_edit 's/    hosts: \(.*\)/    hosts: \1\n    replicas: 2/'
	push_version 1
	push_version 2
	deploy_ok rollback
	serves 1
	assert_containers h1 "^$SERVICE-web" 2 running
	assert_containers h2 "^$SERVICE-web" 2 running
}

@test "hooks: post-rollback runs, post-deploy does not" {
	mkdir -p "$APP/.deploy/hooks"
	local hook
	for hook in post-rollback post-deploy; do
		printf '#!/bin/sh\necho "%s $DEPLOY_VERSION $DEPLOY_COMMAND" >>%s\n' "$hook" "$BATS_TEST_TMPDIR/hooks" >"$APP/.deploy/hooks/$hook"
		chmod +x "$APP/.deploy/hooks/$hook"
	done
	push_version 1
	local v1
	v1=$(app_version)
	push_version 2
	: >"$BATS_TEST_TMPDIR/hooks"
	deploy_ok rollback
	assert_equal "$(cat "$BATS_TEST_TMPDIR/hooks")" "post-rollback $v1 rollback"
}

@test "a rollback that is killed is mended by the next one" {
	local h
	push_version 1
	push_version 2
	traffic_start "version 1" "version 2"
	deploy_start rollback
	deploy_await "starting|waiting for" 20
	deploy_signal -9
	deploy_wait
	deploy_ok status
	deploy_ok rollback
	traffic_stop
	serves 1
	for h in h1 h2; do
		assert_containers "$h" "^$SERVICE-web" 1 running
		assert_containers "$h" "^$SERVICE" 2
	done
	deploy_ok lock status
	assert_stdout "^free$"
	deploy_ok status
	refute_stdout "drift"
}
