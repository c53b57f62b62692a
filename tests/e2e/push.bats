#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The main job: `deploy push` on two servers.

setup_file() {
	load ../support/helpers
	bed_up 2
}

teardown_file() { bed_down; }

setup() {
	load ../support/helpers
	service_repo "push$BATS_TEST_NUMBER" h1 h2
}

teardown() {
	e2e_report
	service_forget
}

received() { # hN: bytes that came in over its network
	testbed exec "$1" cat /sys/class/net/eth0/statistics/rx_bytes
}

@test "a first push on empty servers brings the proxy, the image and the application" {
	assert_containers h1 . 0
	deploy_ok push
	assert_stdout "version $(app_version) is live on 2 hosts \(release 1\)"
	assert_serves "version 1" "http://$H1_IP/" "$VHOST"
	assert_serves "version 1" "http://$H2_IP/" "$VHOST"
	assert_containers h1 "^$SERVICE-web-$(app_version)$" 1 running
	assert_containers h2 "^$SERVICE-web-$(app_version)$" 1 running
}

@test "a second push under load loses no request, and counts them" {
	deploy_ok push
	app_commit "Version 2" version.txt="version 2"
	traffic_start "version 1" "version 2"
	deploy_ok push
	sleep 0.3
	traffic_stop
	assert_serves "version 2" "http://$H1_IP/" "$VHOST"
	assert_serves "version 2" "http://$H2_IP/" "$VHOST"
	assert_stdout '^0 of [1-9][0-9]+ requests failed during the switch$'
	assert_containers h1 "^$SERVICE-web" 1 running
	assert_containers h1 "^$SERVICE-web" 1 exited
}

@test "the nginx driver loses no request either" {
	manifest_edit 's/driver: caddy/driver: nginx/; s/app_port: 3000/app_port: 3000\n  run: {http_port: 8080, https_port: 8443}/'
	app_commit "Use nginx"
	deploy_run config
	if [[ $DEPLOY_STATUS != 0 ]]; then
		skip "no proxy.run: two proxies cannot share a host"
	fi
	deploy_ok push
	assert_serves "version 1" "http://$H1_IP:8080/" "$VHOST"
	app_commit "Version 2" version.txt="version 2"
	load_start --expect "version 1" --expect "version 2" --host-header "$VHOST" --path '/:9' \
		--path '/slow?ms=800:1' "http://$H1_IP:8080" "http://$H2_IP:8080"
	deploy_ok push
	load_stop
	assert_no_failures
	assert_serves "version 2" "http://$H2_IP:8080/" "$VHOST"
	assert_stdout '^0 of [1-9][0-9]+ requests failed during the switch$'
}

@test "the same version again is nothing to deploy, and sends next to nothing" {
	local before after
	deploy_ok push
	before=$(received h1)
	deploy_ok push
	after=$(received h1)
	assert_stdout "nothing to deploy"
	[[ $((after - before)) -lt 65536 ]] || fail "$((after - before)) bytes"
	deploy_ok releases --json
	assert_equal "$(jq -s 'map(select(.result == "release")) | length' "$DEPLOY_STDOUT")" 1 "releases"
}

@test "--force deploys the same version anew, without a failure" {
	deploy_ok push
	traffic_start "version 1"
	deploy_ok push --force
	traffic_stop
	assert_stdout '\(release 2\)'
	assert_containers h1 "^$SERVICE-web" 1 running
	deploy_ok push --force
	assert_containers h2 "^$SERVICE-web" 1 running
	assert_serves "version 1" "http://$H2_IP/" "$VHOST"
}

@test "replicas: several containers share the traffic of a host" {
	local h
	manifest_edit 's/    hosts: \(.*\)/    hosts: \1\n    replicas: 2/'
	app_commit "Two of them"
	deploy_ok push
	assert_containers h1 "^$SERVICE-web" 2 running
	h=$(for i in 1 2 3 4 5 6 7 8; do
		curl -s -o /dev/null -D - -H "Host: $VHOST" "http://$H1_IP/" | grep -i x-hostname
	done | sort -u | wc -l)
	assert_equal "$h" 2 "containers that answered"
	traffic_start "version 1" "version 2"
	app_commit "Version 2" version.txt="version 2"
	deploy_ok push
	# The number of replicas changes on the way.
	manifest_edit 's/replicas: 2/replicas: 1/'
	app_commit "One is enough"
	deploy_ok push
	traffic_stop
	assert_containers h1 "^$SERVICE-web" 1 running
}

@test "a dirty work tree is told, and not deployed" {
	echo "version dirty" >"$APP/version.txt"
	echo new >"$APP/new-file"
	deploy_ok push
	assert_stderr "2 uncommitted change"
	assert_stderr "$(app_version)"
	assert_serves "version 1" "http://$H1_IP/" "$VHOST"
}

@test "context '.' deploys the work tree, under a version of its own" {
	manifest_add "builder:" "  context: ."
	app_commit "Take the work tree"
	echo "version dirty" >"$APP/version.txt"
	deploy_ok push
	assert_stderr "uncommitted change.* deployed"
	assert_stdout "version $(app_version)-dirty-"
	assert_serves "version dirty" "http://$H1_IP/" "$VHOST"
	echo "version dirtier" >"$APP/version.txt"
	sleep 1 # the version has seconds
	deploy_ok push
	assert_serves "version dirtier" "http://$H2_IP/" "$VHOST"
}

@test "a destination stands beside production on the same hosts" {
	printf 'proxy:\n  host: staging.%s\n' "$VHOST" >"$APP/deploy.staging.yml"
	app_commit "Staging too"
	deploy_ok push
	app_commit "Version 2" version.txt="version 2"
	deploy_ok push -d staging
	assert_serves "version 1" "http://$H1_IP/" "$VHOST"
	assert_serves "version 2" "http://$H1_IP/" "staging.$VHOST"
	assert_containers h1 "^$SERVICE-web-staging-$(app_version)$" 1 running
	deploy_ok releases --json
	assert_equal "$(jq -s 'map(select(.result == "release")) | length' "$DEPLOY_STDOUT")" 1 "production's releases"
	deploy_ok push
	assert_serves "version 2" "http://$H2_IP/" "$VHOST"
	assert_containers h2 "^$SERVICE-web" 2 running
}

@test "--hosts deploys to some, and the rest goes on as it was" {
	deploy_ok push
	app_commit "Version 2" version.txt="version 2"
	deploy_ok push --hosts h2
	assert_serves "version 1" "http://$H1_IP/" "$VHOST"
	assert_serves "version 2" "http://$H2_IP/" "$VHOST"
	# The whole fleet follows, though the version is live on one host already.
	deploy_ok push
	assert_serves "version 2" "http://$H1_IP/" "$VHOST"
	assert_serves "version 2" "http://$H2_IP/" "$VHOST"
	deploy_fails 2 push --hosts nowhere
	assert_stderr "no host 'nowhere'"
}

@test "a change of the configuration alone makes a new release of the same version" {
	local version
	deploy_ok push
	version=$(app_version)
	manifest_add "env:" "  clear: {COLOUR: green}"
	deploy_ok push --version "$version"
	assert_stdout "version $version is live on 2 hosts \(release 2\)"
	assert_serves "green" "http://$H1_IP/env?name=COLOUR" "$VHOST"
}

secrets_of_all_kinds() {
	manifest_add "env:" "  secret: [PEM, QUOTES, DOLLAR]"
	PEM=$(openssl genpkey -algorithm ed25519)
	# shellcheck disable=SC2016
	QUOTES='he said "it'\''s 5 o'\''clock" \n' DOLLAR='pa$$word-$HOME-${PATH}-`id`'
	mkdir -p "$APP/.deploy"
	{
		printf 'PEM="%s"\n' "$PEM"
		printf '%s\n' 'QUOTES="he said \"it'\''s 5 o'\''clock\" \\n"'
		printf '%s\n' "DOLLAR='$DOLLAR'"
	} >"$APP/.deploy/secrets"
	chmod 600 "$APP/.deploy/secrets"
	app_commit "With secrets"
}

# Samples the command lines of all processes, of the hosts too: they are this machine's.
watch_ps() {
	while [[ ! -e $BATS_TEST_TMPDIR/ps-stop ]]; do
		cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' '\n'
		sleep 0.05
	done >"$BATS_TEST_TMPDIR/ps"
}

@test "secrets arrive intact, and are seen nowhere else" {
	local name needle h watcher
	secrets_of_all_kinds
	watch_ps 3>&- &
	watcher=$!
	deploy_ok push -v
	touch "$BATS_TEST_TMPDIR/ps-stop"
	wait "$watcher"
	for name in PEM QUOTES DOLLAR; do
		assert_equal "$(curl -s -H "Host: $VHOST" "http://$H1_IP/env?name=$name")" "${!name}" "$name"
	done
	cp "$DEPLOY_STDOUT" "$BATS_TEST_TMPDIR/out1"
	cp "$DEPLOY_STDERR" "$BATS_TEST_TMPDIR/err1"
	deploy_ok push --force --json -v
	cat "$DEPLOY_STDOUT" "$DEPLOY_STDERR" >"$BATS_TEST_TMPDIR/out2"
	for name in plan config "releases show 1" audit "secrets print" status; do
		# shellcheck disable=SC2086
		deploy_run $name
		cat "$DEPLOY_STDOUT" "$DEPLOY_STDERR" >>"$BATS_TEST_TMPDIR/out2"
	done
	for needle in "$(sed -n 2p <<<"$PEM")" "5 o'clock" 'pa$$word'; do
		! grep -rF -- "$needle" "$BATS_TEST_TMPDIR/ps" "$BATS_TEST_TMPDIR/out1" "$BATS_TEST_TMPDIR/err1" \
			"$BATS_TEST_TMPDIR/out2" "$BATS_TEST_TMPDIR/home" || fail "'$needle' was seen"
		for h in h1 h2; do
			! testbed exec "$h" grep -rF -- "$needle" /home /tmp /var/log /root ||
				fail "'$needle' is in a file of $h"
		done
	done
}

@test "a missing secret is found before anything is touched" {
	manifest_add "env:" "  secret: [NOT_THERE]"
	app_commit "Needs a secret"
	deploy_fails 3 push
	assert_stderr NOT_THERE
	assert_containers h1 "^$SERVICE" 0
}

@test "a stranger's container with the name of a new one is told, and not started" {
	deploy_ok push
	app_commit "Version 2" version.txt="version 2"
	docker_on h2 create --name "$SERVICE-web-$(app_version)" "$SERVICE:$(git -C "$APP" rev-parse HEAD~1 | cut -c1-10)"
	deploy_fails 5 push
	assert_stderr "container '$SERVICE-web-$(app_version)' already, and it is not one of this service"
	assert_equal "$(docker_on h2 inspect --format '{{.State.Status}}' "$SERVICE-web-$(app_version)")" created "the stranger's"
	assert_serves "version 1" "http://$H2_IP/" "$VHOST"
	docker_on h2 rename "$SERVICE-web-$(app_version)" "stranger-$SERVICE"
	deploy_ok push
	assert_serves "version 2" "http://$H2_IP/" "$VHOST"
}

@test "a proxy that another login started is refused, on every server" {
	deploy_ok push
	testbed exec h2 docker rm -f deploy-proxy-caddy
	testbed add-user h2 other
	(APP=$BATS_TEST_TMPDIR/other
	app_repo --service "other$BATS_TEST_NUMBER" other@h2
	deploy_ok push)
	app_commit "Version 2" version.txt="version 2"
	deploy_fails 5 push
	assert_stderr "h2.*belongs to another login"
	assert_containers h1 "^$SERVICE-web-$(app_version)" 0
	testbed exec h2 sh -c 'docker rm -f $(docker ps -aq)'
}

# The Docker of a server that never saw a push.
server_anew() { # HOST
	docker_on "$1" ps -aq | xargs -r docker -H "$(testbed docker-host "$1")" rm -fv >/dev/null
	docker_on "$1" network ls -q --no-trunc --filter 'name=^deploy$' |
		xargs -r docker -H "$(testbed docker-host "$1")" network rm >/dev/null
	testbed exec "$1" rm -rf /home/deploy/.deploy
}

# Docker 20.10 lets two clients make a network of one name at the same time, and then finds the
# name ambiguous.
@test "the first pushes of four services to a server at once leave one network and one proxy" {
	local go=$BATS_TEST_TMPDIR/go which
	declare -A app job err
	server_anew h1
	for which in one two three four; do
		app[$which]=$BATS_TEST_TMPDIR/$which/app
		mkdir "$BATS_TEST_TMPDIR/$which"
		APP=${app[$which]} app_repo --service "$which$BATS_TEST_NUMBER" h1
		mkdir -p "${app[$which]}/.deploy/hooks"
		printf '#!/bin/sh\necho standing\nwhile [ ! -e %s ]; do sleep 0.02; done\n' "$go" \
			>"${app[$which]}/.deploy/hooks/pre-deploy"
		chmod +x "${app[$which]}/.deploy/hooks/pre-deploy"
	done
	for which in one two three four; do
		app_push_started "$which"
		deploy_await standing
	done
	# Docker stands still until all have asked it for something: they go on side by side.
	testbed exec h1 pkill -STOP -x dockerd
	touch "$go"
	for which in one two three four; do
		eventually 20 grep -q "bringing the image" "${err[$which]}" || break
	done
	testbed exec h1 pkill -CONT -x dockerd
	for which in one two three four; do
		wait "${job[$which]}" || fail "push of $which:" "$(cat "${err[$which]}")"
		assert_serves "version 1" "http://$H1_IP/" "$which$BATS_TEST_NUMBER.test"
	done
	assert_equal "$(docker_on h1 network ls --format '{{.Name}}' | grep -c '^deploy$')" 1 "networks"
	assert_containers h1 '^deploy-proxy-' 1 running
	for which in one two three four; do
		(APP=${app[$which]} SERVICE=$which$BATS_TEST_NUMBER && deploy_ok remove -y && service_forget)
	done
}

app_push_started() { # WHICH: into the caller's tables
	local BATS_TEST_TMPDIR=$BATS_TEST_TMPDIR/$1 APP=${app[$1]}
	deploy_start push
	job[$1]=$DEPLOY_JOB err[$1]=$DEPLOY_STDERR
}
