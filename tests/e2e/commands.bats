#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Every command once, as text and with --json, beside what the other files have.

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
	S=s$BATS_TEST_NUMBER
	V=$S.test
}
teardown() {
	[[ -z ${APP:-} || -z ${REMOVE:-} ]] || deploy_run remove -y
	e2e_report
}

app() { # HOST...: a repository of its own
	app_repo --service "$S" "$@"
	REMOVE=1
}

# Every line of stdout is one object; prints those whose result is $1.
results() {
	jq -e -c 'select(type != "object") | halt_error(1)' "$DEPLOY_STDOUT" >/dev/null 2>&1 &&
		fail "not only objects"
	jq -c "select(.result == \"$1\")" "$DEPLOY_STDOUT" || fail "not JSON:" "$(cat "$DEPLOY_STDOUT")"
}

# json_of RESULT COMMAND...: it ends well, and there is such a result.
json_of() {
	local result=$1
	shift
	deploy_ok "$@" --json
	[[ -n $(results "$result") ]] || { deploy_show "$@" >&2 && fail "no '$result' of '$*'"; }
}

@test "help, version and completion need no manifest" {
	local shell
	APP=$BATS_TEST_TMPDIR/empty
	mkdir "$APP"
	deploy_ok help
	assert_stdout 'push'
	deploy_ok help push
	assert_stdout 'skip-build'
	deploy_ok push --help
	assert_stdout 'skip-build'
	deploy_ok version
	assert_stdout '^[a-z ]*[0-9]+\.[0-9]+'
	json_of tool version
	for shell in bash zsh fish; do
		deploy_ok completion "$shell"
		[[ $(wc -l <"$DEPLOY_STDOUT") -gt 10 ]]
	done
	bash -n <("$DEPLOY_BIN" completion bash)
	deploy_fails 2 nosuch
	deploy_fails 2 psuh
	assert_stderr "deploy push"
	deploy_fails 3 status
	assert_stderr 'deploy init'
}

@test "init writes what a first push needs, and never over what is there" {
	APP=$BATS_TEST_TMPDIR/new-app
	git init -q "$APP"
	printf 'FROM app-base:1\nEXPOSE 4321\n' >"$APP/Dockerfile"
	deploy_ok init
	assert_equal "$(stat -c %a "$APP/.deploy/secrets")" 600 mode
	git -C "$APP" check-ignore -q .deploy/secrets
	grep -F 4321 "$APP/deploy.yml"
	deploy_ok config
	assert_stdout 'service: new-app'
	echo '# mine' >>"$APP/deploy.yml"
	json_of init init
	results init | jq -e '.kept | length > 0'
	grep -F '# mine' "$APP/deploy.yml"
}

@test "init --from makes a manifest of Compose files that pushes as it is" {
	app h1
	mv "$APP/deploy.yml" "$BATS_TEST_TMPDIR/before.yml"
	cat >"$APP/docker-compose.yml" <<-END
	name: $S
	services:
	  site: {build: ., environment: [GREETING=hello, "API_TOKEN=tell nobody"]}
	END
	cat >"$APP/docker-compose.prod.yml" <<-END
	services:
	  site: {ports: ["80:3000"], mem_limit: 64m, environment: {GREETING: good day}}
	  front: {image: caddy, ports: ["443:443"]}
	END
	rm -rf "$APP/.deploy"
	deploy_ok init --from docker-compose.yml,docker-compose.prod.yml
	refute grep -F 'tell nobody' "$APP/deploy.yml" "$DEPLOY_STDOUT" "$DEPLOY_STDERR"
	grep -F '# services.front' "$APP/deploy.yml"
	grep -Fx 'API_TOKEN="tell nobody"' "$APP/.deploy/secrets"
	deploy_fails 2 init --from docker-compose.yml
	assert_stderr 'there is a deploy.yml already'
	sed -i 's/192.0.2.10/h1/' "$APP/deploy.yml"
	grep -A9 -E '^ssh:' "$BATS_TEST_TMPDIR/before.yml" >>"$APP/deploy.yml"
	app_commit "Made of Compose files"
	deploy_ok push
	docker_on h1 inspect "$(docker_on h1 ps -qf "label=deploy.service=$S")" >"$BATS_TEST_TMPDIR/c"
	jq -e '.[0].HostConfig.Memory == 67108864 and
		(.[0].Config.Env | index("GREETING=good day") and index("API_TOKEN=tell nobody"))' "$BATS_TEST_TMPDIR/c"
}

@test "init --from takes what Kamal's manifest has and is refused out of it, and the rest pushes" {
	app h1
	mkdir -p "$APP/config" "$APP/.kamal/hooks"
	rm -rf "$APP/.deploy"
	cat >"$APP/config/deploy.yml" <<-END
	service: $S
	servers: [h1]
	proxy: {app_port: 3000, run: {version: v0.9.0}} # kamal-proxy's
	env:
	  clear: {GREETING: hello}
	  secret: [API_TOKEN]
	output:
	  file: {path: /var/log/kamal}
	$(grep -A9 -E '^ssh:' "$APP/deploy.yml")
	END
	printf 'env: {clear: {GREETING: staged}}\nbuilder: {multiarch: false}\n' >"$APP/config/deploy.staging.yml"
	# shellcheck disable=SC2016 # for the tool
	printf 'if [ -f .env ]; then\n  export $(xargs <.env)\nfi\nexport API_TOKEN="$GIVEN"\n' >"$APP/.kamal/secrets-common"
	chmod 600 "$APP/.kamal/secrets-common"
	printf '#!/bin/sh\necho "$KAMAL_VERSION" >pre-deploy-ran\n' >"$APP/.kamal/hooks/pre-deploy"
	chmod +x "$APP/.kamal/hooks/pre-deploy"
	rm "$APP/deploy.yml"
	app_commit "As under Kamal"
	deploy_fails 3 config
	deploy_ok init --from config/deploy.yml
	deploy_fails 2 init --from config/deploy.yml
	grep -Fx '# output:' "$APP/deploy.yml"
	grep -F 'hooks: pre-deploy' "$APP/deploy.yml"
	grep -Fx 'proxy: {app_port: 3000, run: {}} # kamal-proxy'"'s" "$APP/deploy.yml"
	refute test -e "$APP/.deploy"
	deploy_ok config
	GIVEN='told nobody' deploy_ok push -d staging
	test -s "$APP/pre-deploy-ran"
	docker_on h1 inspect "$(docker_on h1 ps -qf "label=deploy.service=$S")" >"$BATS_TEST_TMPDIR/c"
	jq -e '.[0].Config.Env | index("GREETING=staged") and index("API_TOKEN=told nobody")' "$BATS_TEST_TMPDIR/c"
	# It takes every host name that no other service has.
	GIVEN='told nobody' deploy_ok remove -y -d staging
	printf 'service: %s\nservers: [<%%= ENV["HOST"] %%>]\n' "$S" >"$APP/config/deploy.yml"
	rm "$APP/deploy.yml"
	deploy_fails 3 init --from config/deploy.yml
	assert_stderr 'config/deploy.yml:2:11'
	# shellcheck disable=SC2016 # for the tool
	assert_stderr 'write [$][{]HOST[}]'
	refute test -e "$APP/deploy.yml"
}

@test "mistakes of the manifest are shown all at once, and nothing is touched" {
	app h1
	cat >"$APP/deploy.yml" <<-END
	service: $S
	imagge: $S
	servers: [h1]
	proxy: {app_port: many, host: [}
	END
	deploy_fails 3 push
	assert_stderr 'deploy.yml:[0-9]+:[0-9]+'
	cat >"$APP/deploy.yml" <<-END
	service: "bad name"
	imagge: $S
	servers: [h1]
	proxy: {app_port: many}
	retain_containers: 0
	END
	deploy_fails 3 push
	assert_stderr 'deploy.yml:1:'
	assert_stderr 'deploy.yml:2:.*imagge'
	assert_stderr "did you mean 'image'"
	assert_stderr 'deploy.yml:4:'
	assert_stderr 'deploy.yml:5:'
	deploy_fails 3 config --json
	assert_equal "$(jq -s '[.[] | select(.event == "diagnostic" and .level == "error")] | length' "$DEPLOY_STDOUT")" 4 mistakes
	refute testbed exec h1 test -e "/home/deploy/.deploy/$S"
	REMOVE=
}

@test "config shows what is resolved, with the destination laid over" {
	app h1
	printf 'env:\n  clear: {A: one, B: "two ${UNSET:-and} a half"}\n  secret: [TOKEN]\n' >>"$APP/deploy.yml"
	printf 'env:\n  clear: {A: other}\n' >"$APP/deploy.staging.yml"
	mkdir -p "$APP/.deploy"
	echo 'TOKEN=geheim' >"$APP/.deploy/secrets"
	chmod 600 "$APP/.deploy/secrets"
	deploy_ok config
	assert_stdout 'two and a half'
	assert_stdout 'A: one'
	refute_stdout geheim
	deploy_ok config -d staging
	assert_stdout 'A: other'
	json_of manifest config
	refute_stdout geheim
	deploy_ok secrets print
	refute_stdout geheim
	json_of secret secrets print
	REMOVE=
}

@test "check, plan and build change nothing on the servers" {
	app h1 h2
	deploy_ok check
	assert_stdout 'h1: Docker'
	deploy_ok check --json
	results check | grep -q . || results finding | grep -q . || fail "no result of check"
	deploy_ok plan
	assert_stdout 'h1'
	json_of plan plan
	json_of plan push --dry-run
	deploy_ok build
	json_of build build
	docker image inspect "$(results build | jq -r '.tags[0]')" >/dev/null
	deploy_ok status
	deploy_ok releases
	assert_containers h1 "^$S-" 0
	refute testbed exec h1 test -e "/home/deploy/.deploy/$S/releases.jsonl"
}

@test "status, releases, app version and containers, audit" {
	app h1 h2
	deploy_ok push
	app_commit "Version 2" version.txt="version 2"
	deploy_ok push
	deploy_ok status
	assert_stdout 'release 2'
	assert_stdout "^h2 +web +$S-web-"
	json_of status status
	results status | jq -e '.live.number == 2 and (.hosts | length) == 2 and (.drift.steps | length) == 0'
	deploy_ok releases
	assert_stdout '^ +2 +live'
	assert_stdout '^ +1 +retired'
	json_of release releases
	deploy_ok releases show 1
	assert_stdout 'Version 1'
	json_of release releases show 1
	deploy_ok releases diff 1 2
	assert_stdout 'Version 2'
	refute_stdout 'x-'
	json_of diff releases diff 1 2
	results diff | jq -e '(.commits | length) == 1'
	deploy_fails 2 releases show 99
	deploy_ok app version
	assert_equal "$(cat "$DEPLOY_STDOUT")" "$(results version; jq -r .version "$(json_version)")" version
	deploy_ok app containers
	assert_equal "$(grep -c live "$DEPLOY_STDOUT")" 2 "live containers"
	json_of container app containers
	assert_equal "$(results container | jq -s 'length')" 4 containers
	deploy_ok audit
	assert_stdout 'release 2 .*live'
	json_of audit audit
}

json_version() {
	(cd "$APP" && deploy_env "$DEPLOY_BIN" releases --json -q) 2>/dev/null |
		jq -c 'select(.result == "release" and .state == "live")' >"$BATS_TEST_TMPDIR/live"
	echo "$BATS_TEST_TMPDIR/live"
}

@test "app exec: fresh containers, --reuse, -p, and exit statuses passed on" {
	app h1 h2
	printf 'env:\n  clear: {GREETING: "hello you"}\n' >>"$APP/deploy.yml"
	app_commit "An environment"
	deploy_ok push
	deploy_ok app exec -- sh -c 'echo "$GREETING"'
	assert_equal "$(grep -c 'hello you' "$DEPLOY_STDOUT")" 2 hosts
	deploy_ok app exec -p 'cat version.txt'
	assert_equal "$(cat "$DEPLOY_STDOUT")" "version 1"
	deploy_ok app exec --reuse -p hostname
	deploy_fails 9 app exec -p -- sh -c 'exit 9'
	deploy_fails 9 app exec --reuse -- sh -c 'exit 9'
	deploy_ok app exec -p --json -- sh -c 'echo out; echo err >&2'
	results output | jq -se 'any(.[]; .stream == "stderr" and .line == "err")'
	results exit | jq -e '.status == 0'
	deploy_run app exec -p nosuchprogram
	[[ $DEPLOY_STATUS -ne 0 ]]
	assert_stderr 'nosuchprogram'
	assert_containers h1 "^$S-" 1
}

@test "app console gives a terminal in a running container" {
	app h1
	deploy_ok push
	command -v script >/dev/null || skip "script(1) is not there"
	printf 'tty && echo in-$((40 + 2)) && cat /app/version.txt; exit 5\n' >"$BATS_TEST_TMPDIR/keys"
	# script's own input has to stay open until the shell has ended.
	(cat "$BATS_TEST_TMPDIR/keys"; sleep 3) | (cd "$APP" &&
		deploy_env timeout 20 script -qec "$DEPLOY_BIN app console" /dev/null) >"$BATS_TEST_TMPDIR/screen" 3>&- ||
		echo "status $?" >>"$BATS_TEST_TMPDIR/screen"
	cat "$BATS_TEST_TMPDIR/screen"
	grep -F '/dev/pts/' "$BATS_TEST_TMPDIR/screen"
	grep -F 'in-42' "$BATS_TEST_TMPDIR/screen"
	grep -F 'version 1' "$BATS_TEST_TMPDIR/screen"
	grep -F 'status 5' "$BATS_TEST_TMPDIR/screen"
	deploy_fails 2 app console
	assert_stderr 'terminal'
}

@test "exec runs on the servers, and passes the exit status on" {
	app h1 h2
	deploy_ok exec -- uname -n
	assert_stdout 'h1.*h1'
	assert_stdout 'h2.*h2'
	deploy_ok exec --hosts h2 -- uname -n
	refute_stdout 'h1'
	deploy_fails 7 exec -- sh -c 'exit 7'
	deploy_ok exec --json -- echo 'a  b' '$HOME' "it's"
	results exit | jq -s -e 'length == 2'
	results output | jq -s -e 'all(.line == "a  b $HOME it\u0027s")'
	# One that is not reached is told, and keeps it from nobody else.
	manifest_edit 's/\[h1, h2\]/[h1, nowhere, h2]/'
	deploy_fails 4 exec -- uname -n
	assert_stdout 'h1.*h1'
	assert_stdout 'h2.*h2'
	assert_stderr 'nowhere'
	REMOVE=
}

@test "app logs are merged over the hosts in order of time" {
	local i
	app h1 h2
	deploy_ok push
	for i in 1 2 3 4; do
		curl -s -m 5 -H "Host: $V" "http://$H1_IP/log?line=mark-${i}a" >/dev/null
		curl -s -m 5 -H "Host: $V" "http://$H2_IP/log?line=mark-${i}b" >/dev/null
	done
	deploy_ok app logs -g mark
	assert_equal "$(grep -oE 'mark-[0-9][ab]' "$DEPLOY_STDOUT" | tr '\n' ' ')" \
		"mark-1a mark-1b mark-2a mark-2b mark-3a mark-3b mark-4a mark-4b " order
	deploy_ok app logs -n 1 -t
	assert_equal "$(wc -l <"$DEPLOY_STDOUT")" 2 lines
	json_of log app logs -g mark
	assert_equal "$(results log | jq -r .line | grep -c mark)" 8 lines
	deploy_ok app logs --hosts h1 -g mark
	refute_stdout 'mark-.b'
	deploy_ok app logs --since 1h --until 1h
	refute_stdout mark
}

@test "app logs -f follows through a push, and ends with Ctrl-C" {
	app h1
	deploy_ok push
	deploy_start app logs -f
	deploy_await 'listening'
	curl -s -m 5 -H "Host: $V" "http://$H1_IP/log?line=before-the-push" >/dev/null
	deploy_await 'before-the-push'
	app_commit "Version 2" version.txt="version 2"
	(deploy_files; cd "$APP" && deploy_env "$DEPLOY_BIN" push) >"$BATS_TEST_TMPDIR/push" 2>&1 3>&-
	curl -s -m 5 -H "Host: $V" "http://$H1_IP/log?line=after-the-push" >/dev/null
	deploy_await 'after-the-push'
	deploy_signal -INT
	deploy_wait
	[[ $DEPLOY_STATUS -eq 0 || $DEPLOY_STATUS -eq 130 ]]
	assert_stdout 'version 2'
	assert_equal "$(grep -c 'before-the-push' "$DEPLOY_STDOUT")" 1 "times it was shown"
}

@test "app stop, start and restart" {
	app h1 h2
	deploy_ok push
	deploy_ok app stop
	assert_containers h1 "^$S-web-" 0 running
	# caddy looks for another one for 5 s first
	[[ $(curl -s -m 20 -o /dev/null -w '%{http_code}' -H "Host: $V" "http://$H1_IP/") == 50[234] ]]
	deploy_ok status
	assert_stdout 'Exited|stopped|not running'
	deploy_ok app start
	eventually 5 assert_serves "version 1" "http://$H1_IP/" "$V"
	eventually 5 assert_serves "version 1" "http://$H2_IP/" "$V"
	load_start --host-header "$V" --rate 100 "http://$H1_IP" "http://$H2_IP"
	deploy_ok app restart
	load_stop
	assert_no_failures
	assert_containers h1 "^$S-web-" 1 running
	json_of release releases
}

@test "lock acquire holds off pushes until lock release" {
	app h1
	deploy_ok lock status
	assert_stdout free
	deploy_ok lock acquire -m 'Fair in the city'
	deploy_ok lock status
	assert_stdout 'Fair in the city'
	json_of lock lock status
	results lock | jq -e '.held == true and .message == "Fair in the city"'
	deploy_fails 7 push
	assert_stderr 'Fair in the city'
	deploy_fails 7 lock acquire
	deploy_ok lock release
	deploy_ok push
	json_of lock lock status
	results lock | jq -e '.held == false'
}

@test "prune keeps as many releases as retain_containers says" {
	local n
	app h1
	printf 'retain_containers: 2\n' >>"$APP/deploy.yml"
	deploy_ok push
	for n in 2 3 4; do
		app_commit "Version $n" version.txt="version $n"
		deploy_ok push
	done
	# the live one, and two for a rollback
	assert_containers h1 "^$S-web-" 3
	sed -i 's/retain_containers: 2/retain_containers: 1/' "$APP/deploy.yml"
	deploy_ok prune
	assert_containers h1 "^$S-web-" 2
	assert_containers h1 "^$S-web-" 1 running
	deploy_ok prune --json
	deploy_ok rollback
	assert_serves "version 3" "http://$H1_IP/" "$V"
	assert_equal "$(docker_on h1 images --format '{{.Tag}}' "$S" | wc -l)" 2 "images left"
}

@test "remove asks, and leaves nothing of the service behind" {
	app h1 h2
	deploy_ok push
	local h first
	first=$(app_version)
	app_commit "Version 2" version.txt="version 2"
	deploy_ok push
	# An image that has lost its name goes as well.
	docker_on h1 tag "$S:$(app_version)" "$S:$first"
	deploy_fails 2 remove
	assert_stderr 'give -y'
	assert_containers h1 "^$S-" 2
	deploy_ok remove -y
	for h in h1 h2; do
		assert_containers "$h" "^$S-" 0
		assert_equal "$(docker_on "$h" images -q "$S" | wc -l)" 0 "images on $h"
		assert_equal "$(docker_on "$h" images -q -f "label=deploy.service=$S" | wc -l)" 0 "nameless ones on $h"
		! testbed exec "$h" find /home/deploy/.deploy -path "*$S*" | grep . || fail "files on $h"
	done
	[[ $(curl -s -m 5 -o /dev/null -w '%{http_code}' -H "Host: $V" "http://$H1_IP/") != 200 ]]
	deploy_ok status
	deploy_ok remove -y
	deploy_ok push
	assert_serves "version 2" "http://$H1_IP/" "$V"
}

@test "a manifest of Kamal 2 pushes unchanged" {
	app h1
	git -C "$APP" rm -q deploy.yml
	mkdir -p "$APP/config" "$APP/.kamal/hooks"
	cat >"$APP/config/deploy.yml" <<-END
	# Name of your application. Used to uniquely configure containers.
	service: $S

	# Name of the container image.
	image: my-user/$S

	# Deploy to these servers.
	servers:
	  web:
	    - h1

	proxy:
	  ssl: false
	  host: $V
	  app_port: 3000
	  healthcheck:
	    interval: 1
	    path: /up
	    timeout: 5

	registry:
	  server: localhost:5555

	builder:
	  arch: amd64

	env:
	  clear:
	    DB_HOST: 192.168.0.2
	  secret:
	    - RAILS_MASTER_KEY

	aliases:
	  shell: app exec --interactive --reuse "bash"
	  hello: app exec -p "cat version.txt"

	ssh:
	  user: deploy
	  config: $BED_SSH_CONFIG

	retain_containers: 3
	boot:
	  limit: 10
	  wait: 2
	END
	printf 'K=$(echo 42)\nRAILS_MASTER_KEY=$(echo from-a-command)-$K\n' >"$APP/.kamal/secrets"
	printf '#!/bin/sh\necho "$KAMAL_VERSION $KAMAL_HOSTS $KAMAL_COMMAND" >"%s/hook"\n' "$BATS_TEST_TMPDIR" \
		>"$APP/.kamal/hooks/post-deploy"
	chmod +x "$APP/.kamal/hooks/post-deploy"
	app_commit "As Kamal has it"
	deploy_ok config
	deploy_ok push
	assert_serves "version 1" "http://$H1_IP/" "$V"
	assert_equal "$(curl -s -H "Host: $V" "http://$H1_IP/env?name=RAILS_MASTER_KEY")" "from-a-command-42" secret
	grep -F ' h1 ' "$BATS_TEST_TMPDIR/hook"
	deploy_ok hello
	assert_equal "$(cat "$DEPLOY_STDOUT")" "version 1"
	app_commit "Version 2" version.txt="version 2"
	deploy_ok push
	deploy_ok rollback
	assert_serves "version 1" "http://$H1_IP/" "$V"
}

@test "the same commit from another folder is nothing to deploy" {
	app h1
	deploy_ok push
	git clone -q "$APP" "$BATS_TEST_TMPDIR/clone"
	APP=$BATS_TEST_TMPDIR/clone deploy_ok push
	assert_stdout 'nothing to deploy'
}

@test "the proxy's log has the manifest's limit" {
	app h1
	deploy_ok push
	manifest_edit 's/^proxy:/proxy:\n  run: {log_max_size: 20k}/'
	deploy_ok proxy reboot -y
	assert_equal "$(docker_on h1 inspect --format '{{index .HostConfig.LogConfig.Config "max-size"}}' deploy-proxy-caddy)" 20480
	manifest_edit '/log_max_size/d'
	deploy_ok proxy reboot -y
	assert_serves "version 1" "http://$H1_IP/" "$V"
}

# proxies STATE PATTERN: there is such a container of a proxy's on h1.
proxies() {
	docker_on h1 ps -a --format '{{.State}} {{.Names}}' | grep -qE "^($1) deploy-proxy-caddy$2\$"
}

# The last moment is short, and may be over.
proxies_or_ended() { proxies "$@" || ! kill -0 "$DEPLOY_PID" 2>/dev/null; }

@test "a reboot of the proxy that is killed leaves nothing shut, and pushes go on" {
	local moment slow version=1
	app h1
	deploy_ok push
	for moment in "created -new" "running -gate" "running -new"; do
		# The old one ends when this is answered.
		curl -s -o /dev/null -H "Host: $V" "http://$H1_IP/slow?ms=2000" &
		slow=$!
		sleep 0.1
		deploy_start proxy reboot
		eventually 20 proxies_or_ended "${moment% *}" "${moment#* }"
		deploy_signal -9 || true
		deploy_wait
		wait $slow || true
		eventually 20 refute proxies running -gate
		version=$((version + 1))
		app_commit "Version $version" version.txt="version $version"
		# One push may come while the old one is still ending, and say that it is gone.
		deploy_run push
		[[ $DEPLOY_STATUS == 0 ]] || deploy_ok push
		assert_serves "version $version" "http://$H1_IP/" "$V"
	done
	deploy_ok proxy reboot
	assert_serves "version $version" "http://$H1_IP/" "$V"
	assert_containers h1 '^deploy-proxy-' 1 running
	assert_containers h1 '^deploy-proxy-' 1
}

@test "proxy reboot takes one server after the other" {
	local h1_done h2_begun
	app h1 h2
	deploy_ok push
	deploy_ok proxy reboot -y
	h1_done=$(grep -nE 'h1 .*proxy rebooted' "$DEPLOY_STDERR" | cut -d: -f1)
	h2_begun=$(grep -nE 'h2 .*rebooting the proxy' "$DEPLOY_STDERR" | cut -d: -f1)
	[[ $h1_done -lt $h2_begun ]] || fail "$(cat "$DEPLOY_STDERR")"
	assert_serves "version 1" "http://$H1_IP/" "$V"
	assert_serves "version 1" "http://$H2_IP/" "$V"
}
