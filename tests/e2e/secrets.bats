#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Marked secrets of every kind, all commands, -v and --json; then the marks are searched for, plain and
# encoded, in every file that came to be on every machine, in all output, and in all command lines.
# Where they belong is written down in allowed_on_host and allowed_here.

setup_file() {
	load ../support/helpers
	bed_up 2
}
teardown_file() {
	load ../support/helpers
	[[ -z ${REGISTRY:-} ]] || docker images -q --filter "reference=$REGISTRY/*/*" | sort -u |
		xargs -r docker rmi -f >/dev/null
	bed_down
}
setup() {
	load ../support/helpers
	command -v script >/dev/null || skip "script(1) is not there"
	S=secret
	OUT=$BATS_TEST_TMPDIR/out
	MARKS=$BATS_TEST_TMPDIR/marks
	mkdir "$OUT"
	: >"$MARKS"
}
teardown() {
	touch "$BATS_TEST_TMPDIR/ps-stop"
	[[ -z ${APP:-} ]] || deploy_run remove -y
	e2e_report
}

random_word() { head -c 600 /dev/urandom | tr -dc a-zA-Z0-9 | head -c 24; }

# search_for NAME TEXT: letters and digits, so that JSON and URLs have them as they are; in base64,
# wherever they begin in a group of three, what does not depend on the neighbours; in hexadecimal.
search_for() {
	[[ $2 =~ ^[A-Za-z0-9]{16,}$ ]] || fail "$1: no mark '$2'"
	{
		echo "$2"
		printf '%s' "$2" | head -c $((${#2} / 3 * 3)) | base64 -w0 && echo
		printf 'x%s' "$2" | head -c $(((${#2} + 1) / 3 * 3)) | base64 -w0 | cut -c5-
		printf 'xx%s' "$2" | head -c $(((${#2} + 2) / 3 * 3)) | base64 -w0 | cut -c5-
		printf '%s' "$2" | od -An -v -tx1 | tr -d ' \n' && echo
	} >>"$MARKS"
}

# Letters and digits in a row, of a line of a key that is not the same in all keys.
mark_of_key() { sed -n "$2p" "$1" | grep -oE '[A-Za-z0-9]{16,}' | head -n 1 | cut -c1-24; }

marked_secrets() {
	ENV=$(random_word) PASSWORD=$(random_word) BUILD=$(random_word) PASSPHRASE=$(random_word)
	LINES_=$(random_word) FILE=$(random_word) ENV_FILE=$(random_word) FETCHED=$(random_word)
	ssh-keygen -q -t ed25519 -N "$PASSPHRASE" -f "$BATS_TEST_TMPDIR/locked"
	until [[ -n $(mark_of_key "$BATS_TEST_TMPDIR/key" 5 2>/dev/null) ]]; do
		rm -f "$BATS_TEST_TMPDIR/key"
		ssh-keygen -q -t ed25519 -N '' -C '' -f "$BATS_TEST_TMPDIR/key"
	done
	until [[ -n $(mark_of_key "$BATS_TEST_TMPDIR/tls.key" 3 2>/dev/null) ]]; do
		openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=secret.test \
			-keyout "$BATS_TEST_TMPDIR/tls.key" -out "$BATS_TEST_TMPDIR/tls.pem" 2>/dev/null
	done
	for h in h1 h2; do
		cat "$BATS_TEST_TMPDIR/locked.pub" "$BATS_TEST_TMPDIR/key.pub" |
			testbed exec $h sh -c 'cat >>/home/deploy/.ssh/authorized_keys'
	done
	search_for ENV "$ENV"
	search_for PASSWORD "$PASSWORD"
	search_for BUILD "$BUILD"
	search_for PASSPHRASE "$PASSPHRASE"
	search_for LINES "$LINES_"
	search_for FILE "$FILE"
	search_for ENV_FILE "$ENV_FILE"
	search_for FETCHED "$FETCHED"
	search_for key "$(mark_of_key "$BATS_TEST_TMPDIR/key" 5)"
	search_for tls "$(mark_of_key "$BATS_TEST_TMPDIR/tls.key" 3)"
}

write_secrets() {
	local quoted='a "quoted" $dollar'
	secrets_file "TOKEN='$ENV'" "LINES='first
$quoted $LINES_
last'" "REGISTRY_PASSWORD='$PASSWORD'" "NPM_TOKEN='$BUILD'" \
		"SSH_KEY='$(cat "$BATS_TEST_TMPDIR/key")'" \
		"TLS_CERT='$(cat "$BATS_TEST_TMPDIR/tls.pem")'" "TLS_KEY='$(cat "$BATS_TEST_TMPDIR/tls.key")'" \
		"FILE='$FILE'" 'ALL=$(kamal secrets fetch -a pass fetched)' \
		'FETCHED=$(kamal secrets extract fetched $ALL)'
	(umask 077 && echo "IN_ENV_FILE=$ENV_FILE" >"$APP/.env.production")
	echo .env.production >>"$APP/.git/info/exclude"
	# fake pass
	mkdir "$BATS_TEST_TMPDIR/bin"
	printf '#!/bin/sh\necho %s\n' "$FETCHED" >"$BATS_TEST_TMPDIR/bin/pass"
	chmod +x "$BATS_TEST_TMPDIR/bin/pass"
	PATH=$BATS_TEST_TMPDIR/bin:$PATH
}

application() {
	app_repo --service "$S" --host secret.test h1 h2
	sed -i "/^image:/d; s|ssl: false|ssl: {certificate_pem: TLS_CERT, private_key_pem: TLS_KEY}|" "$APP/deploy.yml"
	sed "s|IdentityFile .*|IdentityFile $BATS_TEST_TMPDIR/locked|" "$BED_SSH_CONFIG" >"$BATS_TEST_TMPDIR/ssh_config"
	sed -i "s|config: .*|config: $BATS_TEST_TMPDIR/ssh_config|" "$APP/deploy.yml"
	manifest_add "image: acme/$S" \
		"registry: {server: \"$REGISTRY\", username: joe, password: [REGISTRY_PASSWORD]}" \
		'builder: {secrets: [NPM_TOKEN]}' \
		'env: {secret: [TOKEN, LINES, FETCHED]}' \
		'env_file: .env.production' \
		'secret_files: {FILE: /run/secrets/file}' \
		'release: {command: "echo migrating with $TOKEN"}' \
		'x-keys: &keys {key_data: [SSH_KEY], keys_only: true}'
	write_secrets
	cat >"$APP/Dockerfile" <<-'END'
		FROM app-base:1
		COPY . /app/
		RUN --mount=type=secret,id=NPM_TOKEN sh -c 'echo fetching with $(cat /run/secrets/NPM_TOKEN)'
	END
	app_commit "With secrets"
}

# said NAME ARGS...: runs it and keeps what it says. $SAID_STATUS when it is to fail.
said() {
	deploy_run "${@:2}"
	cp "$DEPLOY_STDOUT" "$OUT/$1.stdout"
	cp "$DEPLOY_STDERR" "$OUT/$1.stderr"
	[[ $DEPLOY_STATUS -eq ${SAID_STATUS:-0} ]] || { deploy_show "${@:2}" >&2 && return 1; }
}

watch_ps() {
	while [[ ! -e $BATS_TEST_TMPDIR/ps-stop ]]; do
		cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' '\n'
		sleep 0.05
	done >"$OUT/ps"
}

# Files whose status changed after the stamp, so also what was unpacked with an older date.
files_with_marks() {
	find "$@" -type f -cnewer "$STAMP" -print0 2>/dev/null | xargs -0 grep -laF -f "$MARKS" -- 2>/dev/null || true
}

# - the env of a container, which Docker and containerd keep: Docker's record of it, containerd's
#   database, and what its runtime starts it from;
# - what the broken release wrote to its own output, which is Docker's log of it;
# - the key that the proxy serves with;
# - a secret that is a file, in the layer of its container.
allowed_on_host() {
	grep -vE -e '^/var/lib/docker/containers/[0-9a-f]{64}/(config\.v2\.json|[0-9a-f]{64}-json\.log)$' \
		-e '^/var/lib/containerd/io\.containerd\.metadata\.v1\.bolt/meta\.db$' \
		-e '^/run/(docker/)?containerd/.*/moby/[0-9a-f]{64}/config\.json$' \
		-e '^/var/lib/docker/overlay2/[0-9a-f]{64}/(diff|merged)/run/secrets/file$' \
		-e '^/home/deploy/\.deploy/proxy/caddy/.*\.key$' || true
}

search_host() { # hN
	testbed exec "$1" sh -c 'cat >/run/marks' <"$MARKS"
	testbed exec "$1" sh -c 'find / \( -path /proc -o -path /sys -o -path /run/marks \) -prune -o \
		-type f -cnewer /run/stamp -print0 | xargs -0 grep -laF -f /run/marks -- 2>/dev/null' |
		sort -u >"$BATS_TEST_TMPDIR/$1-found" || true
	testbed exec "$1" rm /run/marks
	grep -q config.v2.json "$BATS_TEST_TMPDIR/$1-found" || fail "$1: the search finds nothing at all"
	allowed_on_host <"$BATS_TEST_TMPDIR/$1-found" >"$BATS_TEST_TMPDIR/$1-wrong"
	[[ ! -s $BATS_TEST_TMPDIR/$1-wrong ]] || fail "on $1:" "$(cat "$BATS_TEST_TMPDIR/$1-wrong")"
}

# The secrets file and what this test made itself: keys and the list of marks.
allowed_here() {
	grep -vxF -e "$APP/.deploy/secrets" -e "$MARKS" -e "$BATS_TEST_TMPDIR/key" \
		-e "$BATS_TEST_TMPDIR/tls.key" -e "$APP/.env.production" -e "$BATS_TEST_TMPDIR/bin/pass" || true
}

search_here() {
	local wrong
	touch "$APP/.deploy/secrets"
	wrong=$(files_with_marks "$BATS_TEST_TMPDIR" /dev/shm /root /home)
	grep -qxF "$APP/.deploy/secrets" <<<"$wrong" || fail "here: the search finds nothing at all"
	wrong=$(allowed_here <<<"$wrong")
	wrong+=$(find /tmp /var/tmp -maxdepth 2 \( -path '*/bats-run-*' -o -path '*/deploy-testbed' \) -prune -o \
		-type f -cnewer "$STAMP" -size -64M -print0 2>/dev/null | xargs -0 grep -laF -f "$MARKS" -- 2>/dev/null || true)
	[[ -z $wrong ]] || fail "here:" "$wrong" "$(cd "$OUT" && grep -raF -f "$MARKS" . | cut -c1-300 | head -n 20)"
}

search_image() {
	local image
	image=$(docker images --format '{{.Repository}}:{{.Tag}}' "$REGISTRY/acme/$S" | head -n 1)
	docker history --no-trunc "$image" >"$BATS_TEST_TMPDIR/image"
	docker image inspect "$image" >>"$BATS_TEST_TMPDIR/image"
	docker save "$image" >>"$BATS_TEST_TMPDIR/image"
	refute grep -qaF -f "$MARKS" "$BATS_TEST_TMPDIR/image"
	rm "$BATS_TEST_TMPDIR/image"
}

# At each prompt, and not before: the terminal would show it. The input stays open to the end.
type_passphrase() {
	local asked=0 now
	until grep -qE 'is live|deploy: push:' "$OUT/terminal" 2>/dev/null; do
		now=$(grep -aoi 'passphrase' "$OUT/terminal" 2>/dev/null | wc -l)
		if ((now > asked)); then
			sleep 0.2
			echo "$PASSPHRASE"
			asked=$now
		fi
		sleep 0.1
	done
}

all_commands() {
	local command
	for command in plan config status "releases" "releases show 1" audit "secrets print" check \
		"app logs" "app containers" "app version" "app exec -p -- true" "exec -- uptime" \
		"proxy config" "proxy details" "proxy logs" "lock status" "releases diff 1 2"; do
		# shellcheck disable=SC2086
		said "${command// /-}" -v ${command/ -- / --json -- }
		# shellcheck disable=SC2086
		[[ $command == *" -- "* ]] || said "${command// /-}-json" -v $command --json
	done
}

@test "secrets are found only where they belong" {
	local watcher
	marked_secrets
	REGISTRY=$(testbed registry up joe "$PASSWORD")
	export REGISTRY
	application
	STAMP=$BATS_TEST_TMPDIR/stamp
	touch "$STAMP"
	testbed exec h1 touch /run/stamp
	testbed exec h2 touch /run/stamp
	watch_ps 3>&- &
	watcher=$!
	type_passphrase | (cd "$APP" && deploy_env timeout 120 script -qefc "$DEPLOY_BIN push -v" "$OUT/terminal") \
		>/dev/null 3>&- || { cat "$OUT/terminal" >&2 && fail "push on a terminal"; }
	grep -F 'is live on 2 hosts' "$OUT/terminal"
	# The others log in with a key of the secrets file.
	sed -i 's|IdentityFile .*|IdentityFile /nowhere|' "$BATS_TEST_TMPDIR/ssh_config"
	sed -i 's|^ssh:|ssh:\n  <<: *keys|; /^x-keys/d' "$APP/deploy.yml"
	sed -i "1i x-keys: \&keys {key_data: [SSH_KEY], keys_only: true}" "$APP/deploy.yml"
	app_commit "Version 2" version.txt="version 2"
	said push -vv --json push
	assert_equal "$(curl -sk --resolve "secret.test:443:$H1_IP" 'https://secret.test/env?name=TOKEN' | md5sum)" \
		"$(printf '%s' "$ENV" | md5sum)" TOKEN
	printf 'CMD ["sh", "-c", "echo my token is $TOKEN; echo of $LINES; exit 3"]\n' >>"$APP/Dockerfile"
	app_commit "Broken, and talks"
	SAID_STATUS=6 said push-failed -v push
	grep -F 'my token is' "$OUT/push-failed.stderr"
	SAID_STATUS=6 said push-failed-json --json -v push
	said rollback -v rollback
	all_commands
	touch "$BATS_TEST_TMPDIR/ps-stop"
	wait "$watcher"
	grep -qF "$DEPLOY_BIN" "$OUT/ps" || fail "ps was not sampled"
	search_here
	search_host h1
	search_host h2
	search_image
}
