#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# `deploy plan` says what will happen, and changes nothing.

setup_file() {
	load ../support/helpers
	bed_up 2
}

teardown_file() { bed_down; }

setup() {
	load ../support/helpers
	service_repo "plan$BATS_TEST_NUMBER" h1 h2
}

teardown() {
	e2e_report
	service_forget
}

# All that a command could change on the hosts and on this machine.
everything() {
	local h
	for h in h1 h2; do
		docker_on "$h" ps -a --no-trunc --format '{{.ID}} {{.Names}} {{.State}}' | sort
		docker_on "$h" images -a --no-trunc --format '{{.ID}} {{.Repository}}:{{.Tag}}' | sort
		docker_on "$h" network ls --format '{{.ID}} {{.Name}}' | sort
		docker_on "$h" volume ls -q | sort
		# Not the proxies' own logs and data.
		testbed exec "$h" sh -c 'find /home/deploy -type f ! -path "*/log/*" ! -path "*/data/*" |
			sort | xargs -r md5sum; find /home/deploy | grep -v /data/ | sort'
	done
	docker images --no-trunc --format '{{.ID}} {{.Repository}}:{{.Tag}}' "$SERVICE" | sort
}

planned() { # STATUS OF plan, AND IT MAY CHANGE NOTHING
	everything >"$BATS_TEST_TMPDIR/before"
	deploy_fails "$1" plan
	everything >"$BATS_TEST_TMPDIR/after"
	diff "$BATS_TEST_TMPDIR/before" "$BATS_TEST_TMPDIR/after" || fail "plan changed something"
}

@test "the plan of a first push names hosts, image and steps, and changes nothing" {
	planned 0
	assert_stdout "h1"
	assert_stdout "h2"
	assert_stdout "$SERVICE:$(app_version)|$SERVICE-web-$(app_version)"
	assert_stdout "proxy"
	assert_containers h1 "^$SERVICE" 0
	deploy_ok push --dry-run
	assert_containers h1 "^$SERVICE" 0
	assert_equal "$(docker images -q "$SERVICE")" "" "images built"
}

@test "the plan of a second push tells what is live and what retires" {
	local v1
	deploy_ok push
	v1=$(app_version)
	app_commit "Version 2" version.txt="version 2"
	planned 0
	assert_stdout "live: release 1, version $v1"
	assert_stdout "$SERVICE-web-$(app_version)"
	assert_stdout "$SERVICE-web-$v1"
	assert_serves "version 1" "http://$H1_IP/" "$VHOST"
	deploy_ok plan --json
	jq -se 'map(select(.result == "plan")) | length == 1' "$DEPLOY_STDOUT" >/dev/null || deploy_show plan
}

@test "the plan says when there is nothing to do" {
	deploy_ok push
	planned 0
	assert_stdout "nothing"
}

@test "changed configuration, env and secrets are told, values of secrets are not" {
	manifest_add "env:" "  clear: {COLOUR: green}" "  secret: [TOKEN]"
	secrets_file TOKEN=sesame
	app_commit "With env"
	deploy_ok push
	manifest_edit 's/green/blue/'
	secrets_file TOKEN=simsalabim OTHER=x
	planned 0
	assert_stdout "COLOUR"
	assert_stdout "green.*blue"
	assert_stdout "secret TOKEN changed"
	refute_stdout "sesame|simsalabim"
	refute_stderr "sesame|simsalabim"
}

@test "a proxy configuration that was edited by hand is told, and mended by the next push" {
	local file
	deploy_ok push
	file=$(on h2 "grep -rl '$VHOST' .deploy/proxy/caddy/services | head -n 1")
	on h2 "echo '# by hand' >>$file"
	planned 0
	assert_stdout "h2.*edited by hand|edited by hand"
	deploy_ok status
	assert_stdout "edited by hand"
	app_commit "Version 2" version.txt="version 2"
	deploy_ok push
	assert_serves "version 2" "http://$H2_IP/" "$VHOST"
	deploy_ok status
	refute_stdout "edited by hand|drift"
}

@test "a live container that was removed by hand is told, and comes back with the next push" {
	deploy_ok push
	docker_on h1 rm -f "$SERVICE-web-$(app_version)"
	planned 0
	assert_stdout "h1.*no container of release 1"
	deploy_ok status
	assert_stdout "no container of release 1"
	deploy_ok push
	assert_serves "version 1" "http://$H1_IP/" "$VHOST"
	assert_containers h1 "^$SERVICE-web" 1 running
}

@test "a live container that was stopped by hand is told" {
	deploy_ok push
	docker_on h2 stop -t 1 "$SERVICE-web-$(app_version)"
	planned 0
	assert_stdout "h2.*stands still"
	deploy_ok app start
	assert_serves "version 1" "http://$H2_IP/" "$VHOST"
}

@test "a proxy that was removed by hand is told, and booted by the next push" {
	deploy_ok push
	docker_on h1 rm -f deploy-proxy-caddy
	planned 0
	assert_stdout "h1.*proxy"
	deploy_ok status
	assert_stdout "h1.*proxy MISSING"
	deploy_ok push
	assert_serves "version 1" "http://$H1_IP/" "$VHOST"
}

@test "a mistake in the manifest is found before anything is touched, all at once" {
	deploy_ok push
	manifest_edit 's/app_port: 3000/app_port: 99999\n  drvier: caddy/'
	manifest_add "retain_containres: 3"
	planned 3
	assert_stderr "deploy.yml:[0-9]+:[0-9]+: error"
	assert_stderr "did you mean 'driver'|there is 'driver'"
	assert_stderr "retain_containers"
	assert_stderr "99999"
	assert_stderr "3 mistakes"
}

@test "the next push does what the plan said" {
	local line
	deploy_ok push
	app_commit "Version 2" version.txt="version 2"
	planned 0
	cp "$DEPLOY_STDOUT" "$BATS_TEST_TMPDIR/plan"
	deploy_ok push
	while read -r line; do
		assert_containers h1 "^$line$" 1
	done < <(grep -oE "$SERVICE-web-[0-9a-f]+" "$BATS_TEST_TMPDIR/plan" | sort -u)
	planned 0
	assert_stdout "nothing"
}
