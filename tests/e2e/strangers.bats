#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Servers, daemons and input that mean no good: refused in bounded time and memory, in clear words,
# and nothing is touched.  Servers that no real program can be made to be are fakes, and named so.

setup_file() {
	load ../support/helpers
	bed_up 3
}
teardown_file() {
	load ../support/helpers
	bed_down
}
setup() {
	load ../support/helpers
	S=s$BATS_TEST_NUMBER
	CONFIG=$BATS_TEST_TMPDIR/ssh_config
	cp "$BED_SSH_CONFIG" "$CONFIG"
	app_repo --service "$S" --host '' h1
	sed -i "s|config: .*|config: $CONFIG|" "$APP/deploy.yml"
	app_commit "A configuration of its own"
}
teardown() {
	[[ -z ${FAKE:-} ]] || kill "$FAKE" || true
	cp "$BED_SSH_CONFIG" "$CONFIG"
	printf 'ssh: {user: deploy, config: %s}\nservice: %s\nservers: [h1]\n' "$CONFIG" "$S" >"$APP/deploy.yml"
	[[ -z ${TOUCHED:-} ]] || deploy_run remove -y
	e2e_report
}

# fake KIND MODE: on this machine; its port in $PORT.
fake() {
	rm -f "$BATS_TEST_TMPDIR/port"
	"$E2E_SUPPORT/fake-server" "$1" "$2" "$BATS_TEST_TMPDIR/port" 3>&- &
	FAKE=$!
	eventually 10 test -s "$BATS_TEST_TMPDIR/port"
	PORT=$(cat "$BATS_TEST_TMPDIR/port")
}

fake_ends() {
	kill "$FAKE"
	wait "$FAKE" || true
	FAKE=
}

# deploy_bounded SECONDS ARGS...: it ends by itself, and never needs more than 64 MB.
deploy_bounded() {
	local limit=$1 most=64000 used
	! ldd "$DEPLOY_BIN" | grep -q libasan || most=640000
	shift
	deploy_files
	DEPLOY_STATUS=0
	(cd "$APP" && deploy_env perl -e "$MEASURE" "$BATS_TEST_TMPDIR/used" \
		timeout -k 5 "$limit" "$DEPLOY_BIN" "$@") \
		</dev/null >"$DEPLOY_STDOUT" 2>"$DEPLOY_STDERR" 3>&- || DEPLOY_STATUS=$?
	used=$(cat "$BATS_TEST_TMPDIR/used")
	((DEPLOY_STATUS != 124 && DEPLOY_STATUS != 137)) || fail "deploy $* did not end"
	((used > 1000 && used < most)) || fail "deploy $* took $used kB of memory"
}

# FILE COMMAND...: runs it, and writes how much memory in kB it took at most: getrusage(2)'s ru_maxrss.
MEASURE='
my $file = shift;
my $status = system { $ARGV[0] } @ARGV;
my $usage = "\0" x 144;
syscall(`uname -m` =~ /x86_64/ ? 98 : 165, -1, $usage) == 0 or die $!;
open my $f, ">", $file or die $!;
print $f +(unpack "q*", $usage)[4];
exit($status & 127 ? 128 + ($status & 127) : $status >> 8);
'

# refuses STATUS REGEX SECONDS ARGS...
refuses() {
	deploy_bounded "$3" "${@:4}"
	deploy_show "${*:4}" >&2
	assert_equal "$DEPLOY_STATUS" "$1" "status of ${*:4}"
	assert_stderr "$2"
	refute_stderr '[^[:print:][:space:]]'
}

untouched() {
	assert_containers h1 "^$S-" 0
	refute testbed exec h1 test -e "/home/deploy/.deploy/$S/releases.jsonl"
	refute testbed exec h1 test -e "/home/deploy/.deploy/$S/lock"
}

# --- SSH

@test "an encrypted key without a terminal is told, and its passphrase is not asked for ever" {
	ssh-keygen -q -t ed25519 -N 'very secret' -f "$BATS_TEST_TMPDIR/locked"
	sed -i "s|IdentityFile .*|IdentityFile $BATS_TEST_TMPDIR/locked|" "$CONFIG"
	refuses 4 "locked.*(passphrase|encrypted)" 20 push
	untouched
}

@test "a key file that is none is told with its name" {
	printf 'no key\n' >"$BATS_TEST_TMPDIR/garbage"
	chmod 600 "$BATS_TEST_TMPDIR/garbage"
	sed -i "s|IdentityFile .*|IdentityFile $BATS_TEST_TMPDIR/garbage|" "$CONFIG"
	refuses 4 "garbage" 20 push
	head -c 20000000 /dev/urandom >"$BATS_TEST_TMPDIR/garbage"
	refuses 4 "garbage" 20 push
	untouched
}

@test "a fake SSH server that says nothing, garbage, or greets for ever" {
	local mode words
	for mode in silent garbage banner version; do
		case $mode in
		silent) words='no answer' ;;
		garbage) words='no SSH server' ;;
		version) words='handshake' ;;
		*) words='without end' ;;
		esac
		fake ssh $mode
		cat >"$APP/deploy.yml" <<-END
			service: $S
			servers: ["127.0.0.1:$PORT"]
			proxy: {app_port: 3000, ssl: false}
			ssh: {user: deploy, config: $CONFIG, connect_timeout: 2}
		END
		refuses 4 "$words" 30 status
		fake_ends
	done
}

@test "two jump hosts in a row" {
	manifest_edit 's/hosts: \[h1\]/hosts: [h3]/'
	printf '  proxy: h1,h2\n' >>"$APP/deploy.yml"
	app_commit "Far away"
	testbed exec h2 iptables -I INPUT -p tcp --dport 22 -s "$BED_OPERATOR" -j DROP
	testbed exec h3 iptables -I INPUT -p tcp --dport 22 -s "$BED_OPERATOR,$H1_IP" -j DROP
	deploy_run push
	local status=$DEPLOY_STATUS
	deploy_show push >&2
	assert_serves "version 1" "http://$H3_IP/"
	deploy_run remove -y
	testbed exec h2 iptables -D INPUT -p tcp --dport 22 -s "$BED_OPERATOR" -j DROP
	testbed exec h3 iptables -D INPUT -p tcp --dport 22 -s "$BED_OPERATOR,$H1_IP" -j DROP
	assert_equal "$status $DEPLOY_STATUS" "0 0" "status of push and of remove"
}

# --- Docker

@test "a fake Docker daemon: garbage, errors, half a JSON, 10 GB" {
	local mode words job
	testbed stop-dockerd h1
	for mode in garbage error half endless; do
		case $mode in
		garbage) words='not HTTP' ;;
		error) words='the disk is on fire' ;;
		half) words='breaks off' ;;
		endless) words='larger than 16 MiB' ;;
		esac
		testbed exec h1 perl - docker $mode /run/docker.sock <"$E2E_SUPPORT/fake-server" 3>&- &
		job=$!
		eventually 10 testbed exec h1 test -S /run/docker.sock
		for command in status push "app exec -- true" "app logs" check; do
			# shellcheck disable=SC2086
			deploy_bounded 60 $command
			cat "$DEPLOY_STDOUT" "$DEPLOY_STDERR" >"$BATS_TEST_TMPDIR/said"
			[[ $DEPLOY_STATUS -eq 5 || $command == check && $DEPLOY_STATUS -ne 0 ]] &&
				grep -qE "$words" "$BATS_TEST_TMPDIR/said" || {
				deploy_show "$command against $mode" >&2
				BAD=1
				break 2
			}
		done
		testbed exec h1 pkill -x perl
		wait "$job" || true
		testbed exec h1 rm -f /run/docker.sock
	done
	testbed exec h1 pkill -x perl || true
	testbed exec h1 rm -f /run/docker.sock
	testbed start-dockerd h1
	[[ -z ${BAD:-} ]]
	untouched
}

# --- names and options

@test "names that leave their folder, and options in the place of names" {
	local word
	mkdir -p "$APP/sub"
	printf 'service: evil\nservers: [h1]\n' >"$APP/deploy.x.yml"
	for word in ../x ../../etc/passwd -x /etc/passwd 'a/../b' '$(touch evil)' $'a\nb' ''; do
		refuses 2 "" 20 push "--version=$word"
		refuses 2 "" 20 rollback "--version=$word"
		deploy_bounded 20 push "--destination=$word"
		[[ $DEPLOY_STATUS -eq 2 || $DEPLOY_STATUS -eq 3 ]] || fail "destination '$word': $DEPLOY_STATUS"
		refuses 2 "" 20 status "--roles=$word"
		refuses 2 "" 20 status "--hosts=$word"
		refuses 2 "" 20 releases show -- "$word"
		refuses 2 "" 20 rollback -- "$word"
	done
	refute test -e "$APP/evil"
	untouched
}

@test "a branch whose name is an option, or has what no tag may have" {
	local branch
	TOUCHED=1
	printf 'builder: {tags: ["{branch}", "b-{branch}-{sha}"]}\n' >>"$APP/deploy.yml"
	app_commit "With tags"
	for branch in '-rf' 'feature/$(touch${IFS}evil);x' '--privileged'; do
		git -C "$APP" update-ref "refs/heads/$branch" HEAD
		git -C "$APP" symbolic-ref HEAD "refs/heads/$branch"
		deploy_ok build
	done
	refute test -e "$APP/evil"
	docker images --format '{{.Tag}}' "$S" | sort >"$BATS_TEST_TMPDIR/tags"
	grep -x rf "$BATS_TEST_TMPDIR/tags"
	grep -x privileged "$BATS_TEST_TMPDIR/tags"
	grep -xF 'feature---touch--IFS-evil--x' "$BATS_TEST_TMPDIR/tags"
	docker images --format '{{.Repository}}:{{.Tag}}' "$S" | xargs docker rmi -f >/dev/null
}

# --- manifests and secrets

@test "a manifest of 10 MB, a deep one, a bomb of aliases, and a variable that is not UTF-8" {
	local i
	{ cat "$APP/deploy.yml" && yes '# a comment' | head -c 10000000; } >"$APP/big.yml"
	refuses 3 'larger than' 20 config -c big.yml
	{ cat "$APP/deploy.yml" && printf 'x-a: ' && printf '[%.0s' {1..100000}; } >"$APP/deep.yml"
	refuses 3 'deep' 20 config -c deep.yml
	{
		cat "$APP/deploy.yml"
		printf 'x-0: &a0 [x, x, x, x, x, x, x, x, x, x]\n'
		for i in {1..30}; do
			printf "x-$i: &a$i [%s]\n" "$(printf "*a$((i - 1)),%.0s" {1..10})"
		done
	} >"$APP/bomb.yml"
	refuses 3 'more than|too many|entries' 20 config -c bomb.yml
	{ cat "$APP/deploy.yml" && yes 'x-a: &a {b: [*a, "${A:-${B:-${C}}}"]}' | head -c 1000000; } >"$APP/many.yml"
	deploy_bounded 30 config -c many.yml
	assert_equal "$DEPLOY_STATUS" 3 status
	printf 'env: {clear: {A: "x${BAD}"}}\n' >>"$APP/deploy.yml"
	BAD=$'a\xffb' refuses 3 'not UTF-8' 20 config
}

@test "secrets of 100 KB, with NUL, and with what shells and JSON stumble over" {
	TOUCHED=1
	printf 'env: {secret: [BIG, ODD, LINES]}\n' >>"$APP/deploy.yml"
	app_commit "With secrets"
	BIG=$(head -c 75000 /dev/urandom | base64 -w0)
	ODD=$'a\tb\r "$HOME" `id` \\ \x01\x7f \xc3\xa4 %s {{.ID}} </script> '
	LINES_=$'\n-----BEGIN-----\nx\n\n y\n-----END-----\n\n'
	printf '%s' "$BIG" >"$APP/.big"
	printf '%s' "$ODD" >"$APP/.odd"
	secrets_file 'BIG=$(cat .big)' 'ODD=$(cat .odd)' "LINES=\"$LINES_\""
	deploy_ok push
	assert_equal "$(curl -s "http://$H1_IP/env?name=BIG" | md5sum)" "$(printf '%s' "$BIG" | md5sum)" BIG
	assert_equal "$(curl -s "http://$H1_IP/env?name=ODD" | od -An -v -tx1)" "$(printf '%s' "$ODD" | od -An -v -tx1)" ODD
	assert_equal "$(curl -s "http://$H1_IP/env?name=LINES" | od -An -v -tx1)" "$(printf '%s' "$LINES_" | od -An -v -tx1)" LINES
	secrets_file 'BIG=$(printf "a\0b")' ODD=x LINES=y
	refuses 3 "BIG.*NUL" 20 push --force
	refute_stderr 'a.b'
	assert_serves "version 1" "http://$H1_IP/"
}
