#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Logs of all hosts while things happen to them, and commands on a real terminal.

setup_file() {
	load ../support/helpers
	bed_up 2
	"$E2E_SUPPORT/../../deploy/support/image" postgres:15 redis:7
}

teardown_file() { bed_down; }

setup() {
	load ../support/helpers
	service_repo "sessions$BATS_TEST_NUMBER" h1 h2
}

teardown() {
	e2e_report
	deploy_run -y remove
	service_forget
}

say() { # hN LINE: a container there writes it
	local ip=${1^^}_IP
	curl -sf -m 5 -H "Host: $VHOST" "http://${!ip}/log?line=$2" >/dev/null
}

run_beside() { # ARGS...: another one of the team, while deploy_start's goes on
	(cd "$APP" && deploy_env "$DEPLOY_BIN" "$@") >"$BATS_TEST_TMPDIR/beside" 2>&1 3>&-
}

@test "logs -f go on through a crash, a restart and a push on every host" {
	deploy_ok push
	deploy_start app logs -f --tail 0
	eventually 20 say_until_shown h1 first-h1
	eventually 20 say_until_shown h2 first-h2
	# It ends by itself, and Docker starts it again.
	docker_on h1 restart -t 1 "$(docker_on h1 ps -q --filter "name=^$SERVICE-web")" >/dev/null
	eventually 20 say h1 after-a-crash
	deploy_await after-a-crash
	run_beside app restart
	eventually 20 say h1 after-a-restart-h1
	eventually 20 say h2 after-a-restart-h2
	deploy_await after-a-restart-h1
	deploy_await after-a-restart-h2
	app_commit "Version 2" version.txt="version 2"
	run_beside push
	say h1 after-a-push-h1
	say h2 after-a-push-h2
	deploy_await after-a-push-h1
	deploy_await after-a-push-h2
	deploy_signal -INT
	deploy_wait
	assert_stdout "^h1 $SERVICE-web-.* \| .*after-a-push-h1"
	assert_stdout "^h2 $SERVICE-web-.* \| .*after-a-push-h2"
	local word
	for word in after-a-crash after-a-restart-h1 after-a-restart-h2 after-a-push-h1 after-a-push-h2; do
		assert_equal "$(grep -c "$word" "$DEPLOY_STDOUT")" 1 "times '$word' was shown"
	done
}

say_until_shown() {
	say "$1" "$2"
	grep -q "$2" "$DEPLOY_STDOUT"
}

@test "--since, --until, --tail and --grep choose lines" {
	local middle
	deploy_ok push
	say h1 early-1
	say h2 early-2
	sleep 1.1
	middle=$(date -u +%Y-%m-%dT%H:%M:%SZ)
	sleep 1.1
	say h1 late-1
	say h2 late-2
	deploy_ok app logs --since "$middle"
	assert_stdout late-1
	refute_stdout early
	deploy_ok app logs --until "$middle"
	assert_stdout early-2
	refute_stdout late
	deploy_ok app logs --since 1h
	assert_stdout early-1
	deploy_ok app logs --tail 1 --grep late
	assert_equal "$(grep -c . "$DEPLOY_STDOUT")" 2 lines
	deploy_ok app logs --grep early-1
	assert_equal "$(grep -c . "$DEPLOY_STDOUT")" 1 lines
	deploy_fails 2 app logs --since yesterday
	# Coloured by host on a terminal, and nowhere else.
	refute_stdout $'\033'
	deploy_on_terminal -- app logs --grep early
	assert_equal "$DEPLOY_STATUS" 0 status
	assert_stdout $'\033\\[36mh1 '
	assert_stdout $'\033\\[32mh2 '
	deploy_on_terminal -- app logs --grep early --no-color
	refute_stdout $'\033\\[3'
}

@test "logs of 40 MB on each host go through little memory" {
	manifest_edit 's/^servers:/servers:\n  noisy:\n    hosts: [h1, h2]\n    cmd: sh \/app\/noise\n    logging: {driver: json-file, options: {max-size: 200m}}/'
	app_commit "Noise" noise='yes "a line of the log that is not long, but there are many of them" | head -c 40000000; touch /tmp/done; exec sleep 1000000'
	deploy_ok push
	eventually 60 all_was_written h1
	eventually 60 all_was_written h2
	deploy_files
	(cd "$APP" && deploy_env python3 -c '
import resource, subprocess, sys
out = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE).stdout
print(len(out), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)' \
		"$DEPLOY_BIN" app logs --roles noisy) >"$DEPLOY_STDOUT" 2>"$DEPLOY_STDERR" 3>&-
	cat "$DEPLOY_STDOUT"
	(($(cut -d' ' -f1 "$DEPLOY_STDOUT") >= 80000000)) || fail "not all lines came"
	(($(cut -d' ' -f2 "$DEPLOY_STDOUT") < 60000)) || fail "it took more than 60 MB of memory"
}

all_was_written() {
	docker_on "$1" exec "$(docker_on "$1" ps -q --filter "name=^$SERVICE-noisy")" test -e /tmp/done
}

@test "app exec -i is a real terminal: size, resize, Ctrl-C, exit code" {
	local reuse
	deploy_ok push
	for reuse in --reuse ""; do
		# shellcheck disable=SC2086
		deploy_on_terminal 'type tty; echo in-$((40+2))\r' 'expect /dev/pts/' 'expect in-42' \
			'type stty size\r' 'expect 24 80' 'resize 33 101' \
			'type sleep 0.6; stty size\r' 'expect 33 101' \
			'type sleep 1000 || echo sleep-$((1+1))-ended\r' 'expect sleep 1000' 'type \x03' \
			'type echo still-$((1+1))-here\r' 'expect still-2-here' 'type exit 7\r' \
			-- app exec -i $reuse sh
		assert_equal "$DEPLOY_STATUS" 7 "status with '$reuse'"
	done
	assert_containers h1 "^$SERVICE" 1
	# On one host, unless it is not interactive.
	deploy_fails 3 app exec -- sh -c 'hostname; exit 3'
	assert_equal "$(grep -c . "$DEPLOY_STDOUT")" 2 hosts
	deploy_fails 2 app exec -i -- sh
	assert_stderr "no terminal"
}

@test "consoles: the application's shell, psql and redis-cli" {
	manifest_add "accessories:" "  db:" "    image: postgres:15" "    host: h2" \
		"    env: {clear: {POSTGRES_DB: shop, POSTGRES_HOST_AUTH_METHOD: trust}}" \
		"  redis: {image: 'redis:7', host: h1}" \
		"aliases:" "  sql: accessory exec db psql -U postgres shop -qtAXc" "  con: app console"
	deploy_ok push
	deploy_on_terminal 'type select 40+2 as answer;\r' 'expect answer' 'expect 42' \
		'type select pg_sleep(1000);\r' 'expect pg_sleep' 'type \x03' 'expect canceling statement' \
		'type \\q\r' -- accessory console db
	assert_equal "$DEPLOY_STATUS" 0 status
	deploy_on_terminal 'expect 6379> ' 'type set a b\r' 'expect OK' 'type get a\r' 'expect "b"' 'type quit\r' \
		-- accessory console redis
	assert_equal "$DEPLOY_STATUS" 0 status
	deploy_on_terminal 'type cat /app/version.txt\r' 'expect version 1' 'type exit 4\r' -- con
	assert_equal "$DEPLOY_STATUS" 4 status
	# An alias takes the words behind it.
	deploy_ok sql 'select 40+2'
	assert_equal "$(cat "$DEPLOY_STDOUT")" 42
	deploy_on_terminal 'expect [$#] ' 'type exit 5\r' -- accessory exec -i db sh
	assert_equal "$DEPLOY_STATUS" 5 status
}
