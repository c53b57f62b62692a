#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# One deploy at a time.

setup_file() {
	load ../support/helpers
	bed_up 2
}

teardown_file() { bed_down; }

setup() {
	load ../support/helpers
	service_repo "lock$BATS_TEST_NUMBER" h1 h2
}

teardown() {
	[[ -z ${DEPLOY_PID:-} ]] || kill -9 "$DEPLOY_PID" 2>/dev/null || true
	e2e_report
	service_forget
}

state() { echo "/home/deploy/.deploy/$SERVICE"; }

# A push that stands in its pre-app-boot hook, lock in hand, until $GO is there.
push_standing() {
	GO=$BATS_TEST_TMPDIR/go
	mkdir -p "$APP/.deploy/hooks"
	printf '#!/bin/sh\necho standing\nwhile [ ! -e %s ]; do sleep 0.05; done\n' "$GO" \
		>"$APP/.deploy/hooks/pre-app-boot"
	chmod +x "$APP/.deploy/hooks/pre-app-boot"
	deploy_start push
	deploy_await standing
	HOLDER_JOB=$DEPLOY_JOB HOLDER_PID=$DEPLOY_PID
}

holder_ends() { # STATUS
	local status=0
	touch "$GO"
	wait "$HOLDER_JOB" || status=$?
	assert_equal "$status" "$1" "status of the holder"
}

# The same, by another member of the team, in a clone of the repository.
colleague() {
	[[ -d $BATS_TEST_TMPDIR/clone ]] || git clone -q "$APP" "$BATS_TEST_TMPDIR/clone"
	git -C "$BATS_TEST_TMPDIR/clone" config user.email colleague@sample.test
	git -C "$BATS_TEST_TMPDIR/clone" pull -q
	mkdir -p "$BATS_TEST_TMPDIR/other"
	local mine=$APP tmp=$BATS_TEST_TMPDIR status=0
	APP=$tmp/clone BATS_TEST_TMPDIR=$tmp/other
	"$@" || status=$?
	APP=$mine BATS_TEST_TMPDIR=$tmp
	return "$status"
}

@test "a second push is refused, and told who holds the lock" {
	local h2_only
	push_standing
	for h2_only in "" "--hosts h2"; do
		# shellcheck disable=SC2086
		colleague deploy_fails 7 push $h2_only
		assert_stderr "locked by author@sample.test on $(hostname) since 20.*: 'deploy push'"
		assert_stderr "hint: .*--lock-wait"
	done
	colleague deploy_fails 7 rollback
	colleague deploy_ok status
	colleague deploy_ok lock status
	assert_stdout "held by author@sample.test"
	holder_ends 0
	colleague deploy_ok lock status
	assert_stdout "^free$"
	assert_serves "version 1" "http://$H2_IP/" "$VHOST"
}

@test "with --lock-wait the second push waits its turn, and deploys on top" {
	local job
	push_standing
	git clone -q "$APP" "$BATS_TEST_TMPDIR/clone"
	mkdir -p "$BATS_TEST_TMPDIR/clone/.deploy"
	(
		APP=$BATS_TEST_TMPDIR/clone BATS_TEST_TMPDIR=$BATS_TEST_TMPDIR/waiting
		mkdir "$BATS_TEST_TMPDIR"
		app_commit "Version 2" version.txt="version 2"
		deploy_ok push --lock-wait=60
	) 3>&- >"$BATS_TEST_TMPDIR/waiter" 2>&1 &
	job=$!
	eventually 20 grep -q "waiting: locked by" "$BATS_TEST_TMPDIR/waiting/stderr"
	holder_ends 0
	wait "$job" || fail "$(cat "$BATS_TEST_TMPDIR/waiter")"
	assert_serves "version 2" "http://$H1_IP/" "$VHOST"
	deploy_ok releases --json
	assert_equal "$(jq -rs 'map(select(.result == "release")) | sort_by(.number) | map("\(.number) \(.outcome) \(.replaced)") | join(", ")' "$DEPLOY_STDOUT")" \
		"1 live 0, 2 live 1"
}

@test "--lock-wait gives up after its seconds" {
	local begun=$SECONDS
	push_standing
	colleague deploy_fails 7 push --lock-wait=2
	[[ $((SECONDS - begun)) -lt 20 ]]
	holder_ends 0
}

@test "the lock of a dead owner on this machine is taken over at once" {
	local begun
	push_standing
	kill -9 "$HOLDER_PID"
	wait "$HOLDER_JOB" || true
	touch "$GO"
	colleague deploy_ok lock status
	assert_stdout "its owner is gone"
	begun=$SECONDS
	colleague deploy_ok push
	[[ $((SECONDS - begun)) -lt 15 ]] || fail "took $((SECONDS - begun)) s"
	assert_stderr "the lock's owner is gone"
	assert_equal "$(on h1 ls "$(state)" | grep -E 'lock|beat' || true)" "" "left over"
}

# Fake: makes the lock look as if its owner were on another machine, silent for SECONDS.
owner_elsewhere() { # SECONDS
	testbed exec h1 sh -c "cd $(state) &&
		sed -i 's/\"machine\": *\"[^\"]*\"/\"machine\":\"ffffffff-0000 pid:[1]\"/' lock/*.json &&
		find lock . -maxdepth 1 -name '*.json' -path '*lock*' -o -maxdepth 1 -name 'beat.*' |
			xargs touch -d '$1 seconds ago'"
}

@test "the lock of a dead owner elsewhere is taken over when it has been silent for 30 s (fake)" {
	deploy_ok push
	app_commit "Version 2" version.txt="version 2"
	push_standing
	kill -9 "$HOLDER_PID"
	wait "$HOLDER_JOB" || true
	touch "$GO"
	sleep 0.1
	testbed exec h1 touch "$(state)/beat.$(on h1 "cat $(state)/lock/*.json" | jq -r .token)"
	owner_elsewhere 20
	colleague deploy_fails 7 push
	owner_elsewhere 33
	colleague deploy_ok push
	assert_stderr "the lock's owner is gone .*silent for 3"
	assert_serves "version 2" "http://$H2_IP/" "$VHOST"
}

@test "a lock whose owner could write nothing is taken over when it has been silent for 30 s (fake)" {
	local lock
	lock=$(state)/lock
	deploy_ok push
	on h1 "mkdir $lock && : >$lock/0123456789abcdef0123456789abcdef.json"
	deploy_fails 7 push --force
	on h1 "touch -d '40 seconds ago' $lock/*.json"
	deploy_ok push --force
	assert_equal "$(on h1 ls "$(state)" | grep -E 'lock|beat' || true)" "" "left over"
}

@test "an owner that is alive but slow keeps its lock" {
	local beats
	push_standing
	owner_elsewhere 25
	beats() { on h1 "stat -c %Y $(state)/beat.*" 2>/dev/null | sort -n | tail -1; }
	# It beats on, though nothing moves in its push.
	fresh() {
		local last
		last=$(beats)
		[[ -n $last && $(($(on h1 date +%s) - last)) -lt 12 ]]
	}
	eventually 40 fresh
	colleague deploy_fails 7 push
	holder_ends 0
	assert_equal "$(on h1 ls "$(state)" | grep -E 'lock|beat' || true)" "" "left over"
}

# All servers' workers come to the lock at once, and one of them asks whether it is still theirs.
@test "an owner that slept goes on when nobody has taken its lock" {
	local status=0
	deploy_ok push
	app_commit "Version 2" version.txt="version 2"
	push_standing
	kill -STOP "$HOLDER_PID"
	sleep 17
	# The answer takes its time.
	testbed netem h1 300ms
	touch "$GO"
	kill -CONT "$HOLDER_PID"
	wait "$HOLDER_JOB" || status=$?
	testbed netem h1 off
	deploy_show push >&2
	assert_equal "$status" 0 "status of the push"
	assert_serves "version 2" "http://$H2_IP/" "$VHOST"
}

@test "an owner whose lock was taken away stops before the switch" {
	deploy_ok push
	app_commit "Version 2" version.txt="version 2"
	push_standing
	colleague deploy_ok lock release
	colleague deploy_ok lock acquire -m "hands off"
	# Its heartbeat tells it.
	sleep 6
	local status=0
	touch "$GO"
	wait "$HOLDER_JOB" || status=$?
	assert_equal "$status" 7 status
	assert_serves "version 1" "http://$H1_IP/" "$VHOST"
	DEPLOY_STDERR=$BATS_TEST_TMPDIR/stderr
	assert_stderr "the lock was taken away"
	colleague deploy_ok lock status
	assert_stdout "hands off"
	assert_containers h1 "^$SERVICE-web" 1
	colleague deploy_ok lock release
}

@test "lock acquire keeps everybody out until lock release" {
	deploy_ok lock acquire -m "moving the database"
	colleague deploy_fails 7 push
	assert_stderr "moving the database"
	colleague deploy_fails 7 lock acquire
	colleague deploy_ok lock status --json
	assert_equal "$(jq -r 'select(.result) | "\(.held) \(.message) \(.dead)"' "$DEPLOY_STDOUT")" "true moving the database false"
	# It is nobody's process: time does not end it. Fake: an hour ago.
	testbed exec h1 sh -c "touch -d '1 hour ago' $(state)/lock/*.json"
	colleague deploy_fails 7 push
	colleague deploy_ok lock release
	assert_stdout "released"
	colleague deploy_ok lock release
	assert_stdout "it was free"
	colleague deploy_ok push
}

@test "a failed push and a mistaken manifest give the lock back" {
	app_commit "Crash" crash="no"
	deploy_fails 6 push
	deploy_ok lock status
	assert_stdout "^free$"
	assert_equal "$(on h1 ls "$(state)" | grep -E 'lock|beat|now' || true)" "" "left over"
}

@test "with another first host in the manifest a push sees the lock that an older manifest took" {
	deploy_ok push
	app_commit "Version 2" version.txt="version 2"
	push_standing
	git clone -q "$APP" "$BATS_TEST_TMPDIR/clone"
	sed -i 's/\bh1\b/hX/; s/\bh2\b/h1/; s/\bhX\b/h2/' "$BATS_TEST_TMPDIR/clone/deploy.yml"
	git -C "$BATS_TEST_TMPDIR/clone" -c user.name=c -c user.email=c@sample.test commit -qam "h2 first"
	colleague deploy_fails 7 push
	assert_stderr "host h1: locked by author@sample.test"
	kill -9 "$HOLDER_PID"
	wait "$HOLDER_JOB" || true
	touch "$GO"
	colleague deploy_ok push
	assert_stderr "the lock's owner is gone"
	assert_serves "version 2" "http://$H1_IP/" "$VHOST"
	for host in h1 h2; do
		assert_equal "$(on $host ls "$(state)" | grep -E 'lock|beat' || true)" "" "left over on $host"
	done
}

# A clone whose manifest has these servers.
clone_with_hosts() { # LIST
	git clone -q "$APP" "$BATS_TEST_TMPDIR/clone"
	sed -i "s/hosts: .*/hosts: [$1]/" "$BATS_TEST_TMPDIR/clone/deploy.yml"
	git -C "$BATS_TEST_TMPDIR/clone" -c user.name=c -c user.email=c@sample.test commit -qam "Servers: $1"
}

@test "a first host that left the manifest altogether is asked for its lock once more" {
	deploy_ok push
	app_commit "Version 2" version.txt="version 2"
	push_standing
	clone_with_hosts h2
	colleague deploy_fails 7 push
	assert_stderr "host h1: locked by author@sample.test"
	holder_ends 0
	colleague deploy_ok push --force
	assert_equal "$(on h1 ls "$(state)" | grep -E 'lock|beat' || true)" "" "left over on h1"
	# The newest release had its lock on h2: nobody asks h1 any more.
	testbed kill-sshd h1
	colleague deploy_ok push --force
	testbed start-sshd h1
	refute_stderr "h1.*older manifest"
}

@test "a first host that is gone for good does not keep the next release back" {
	deploy_ok push
	clone_with_hosts h2
	testbed kill-sshd h1
	colleague deploy_ok push
	testbed start-sshd h1
	assert_stderr "h1.*had the lock of the last release, and cannot be asked"
}

@test "a first host under a new name does not wait for its own lock" {
	deploy_ok push
	sed -e 's/Host h1 /Host h1 renamed /' "$BED_SSH_CONFIG" >"$BATS_TEST_TMPDIR/ssh_config"
	manifest_edit "s/\[h1, h2\]/[renamed, h2]/; s,$BED_SSH_CONFIG,$BATS_TEST_TMPDIR/ssh_config,"
	app_commit "Another name" version.txt="version 2"
	deploy_ok push
	assert_serves "version 2" "http://$H1_IP/" "$VHOST"
}

@test "what killed owners left beside the lock goes with the next one (fake leftovers)" {
	local token=0123456789abcdef0123456789abcdef
	deploy_ok push
	on h1 "cd $(state) && mkdir lock.$token && touch lock.$token/$token.json beat.$token now.$token &&
		touch -d '5 minutes ago' beat.$token now.$token lock.$token"
	# One that is young may be somebody's who tries at this moment.
	on h1 "touch $(state)/beat.ffffffffffffffffffffffffffffffff"
	deploy_ok push --force
	assert_equal "$(on h1 ls "$(state)" | grep -E 'lock|beat|now')" "beat.ffffffffffffffffffffffffffffffff" "left over"
}

@test "a failed build ends the waiting for the lock" {
	local begun=$SECONDS
	push_standing
	git clone -q "$APP" "$BATS_TEST_TMPDIR/clone"
	echo "RUN /no-such-program" >>"$BATS_TEST_TMPDIR/clone/Dockerfile"
	git -C "$BATS_TEST_TMPDIR/clone" -c user.name=c -c user.email=c@sample.test commit -qam "Broken"
	colleague deploy_fails 5 push --lock-wait=300
	assert_stderr "build"
	refute grep -q "no longer waited" "$BATS_TEST_TMPDIR/other/stderr"
	[[ $((SECONDS - begun)) -lt 100 ]]
	holder_ends 0
}

@test "a first push that fails before there is a release leaves no folder" {
	echo "RUN /no-such-program" >>"$APP/Dockerfile"
	app_commit "Broken"
	deploy_fails 5 push
	refute on h1 test -e "$(state)"
	refute on h2 test -e "$(state)"
}

@test "a push that waits while the service is removed deploys it anew, or is removed whole" {
	deploy_ok push
	deploy_ok lock acquire
	git clone -q "$APP" "$BATS_TEST_TMPDIR/clone"
	mkdir "$BATS_TEST_TMPDIR/second"
	(
		BATS_TEST_TMPDIR=$BATS_TEST_TMPDIR/second
		deploy_ok remove -y --lock-wait=120
	) 3>&- >"$BATS_TEST_TMPDIR/remover" 2>&1 &
	local remover=$!
	eventually 20 grep -q "waiting: locked by" "$BATS_TEST_TMPDIR/second/stderr"
	deploy_start push --force --lock-wait=120
	deploy_await "waiting: locked by"
	colleague deploy_ok lock release
	wait "$remover" || fail "$(cat "$BATS_TEST_TMPDIR/remover")"
	deploy_wait
	assert_equal "$DEPLOY_STATUS" 0 "status of the push"
	if [[ -n $(docker_on h1 ps -q --filter "name=^$SERVICE-web") ]]; then
		on h1 test -s "$(state)/releases.jsonl"
		on h2 test -s "$(state)/releases.jsonl"
	else
		refute on h1 test -e "$(state)"
		refute on h2 test -e "$(state)"
	fi
	deploy_ok lock status
	assert_stdout "^free$"
}

@test "Ctrl-C runs the hook deploy-failed" {
	push_standing
	printf '#!/bin/sh\necho "$DEPLOY_VERSION $DEPLOY_REASON" >%s\n' "$BATS_TEST_TMPDIR/failed" \
		>"$APP/.deploy/hooks/deploy-failed"
	chmod +x "$APP/.deploy/hooks/deploy-failed"
	kill -INT "$HOLDER_PID"
	holder_ends 130
	assert_equal "$(cut -d' ' -f1 "$BATS_TEST_TMPDIR/failed")" "$(app_version)"
}
