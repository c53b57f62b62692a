#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Git hooks that push: pre-push, post-commit, and post-receive by a real `git push` over SSH.

setup_file() {
	load ../support/helpers
	bed_up 1
	export GIT_HOME=$BATS_FILE_TMPDIR/server
	git_server_up
}

teardown_file() {
	kill "$(cat "$GIT_HOME/sshd.pid" 2>/dev/null)" 2>/dev/null || true
	bed_down
}

setup() {
	load ../support/helpers
	service_repo "hook$BATS_TEST_NUMBER" h1
	BARE=$BATS_TEST_TMPDIR/shop.git
}

teardown() {
	e2e_report
	service_forget
}

# This machine as the server that holds the repository: an sshd of our own on loopback.
git_server_up() {
	mkdir -m 700 "$GIT_HOME"
	[[ -d /run/sshd ]] || mkdir -m 755 /run/sshd
	ssh-keygen -q -t ed25519 -N '' -f "$GIT_HOME/host"
	ssh-keygen -q -t ed25519 -N '' -f "$GIT_HOME/id"
	cp "$GIT_HOME/id.pub" "$GIT_HOME/authorized_keys"
	local port
	for port in $(shuf -i 20000-29999 -n 20); do
		/usr/sbin/sshd -f /dev/null -p "$port" -h "$GIT_HOME/host" -o ListenAddress=127.0.0.1 \
			-o AuthorizedKeysFile="$GIT_HOME/authorized_keys" -o StrictModes=no \
			-o PermitRootLogin=yes -o PidFile="$GIT_HOME/sshd.pid" -E "$GIT_HOME/log" && break
	done
	echo "$port" >"$GIT_HOME/port"
	eventually 20 test -s "$GIT_HOME/sshd.pid"
	ssh-keyscan -T 20 -p "$port" 127.0.0.1 >"$GIT_HOME/known_hosts" 2>/dev/null
}

hook_in() { # FOLDER ARG...
	local dir=$1
	shift
	(cd "$dir" && "$DEPLOY_BIN" hook "$@")
}

git_push() { # ARG...: what the person sees is in $OUT
	OUT=$BATS_TEST_TMPDIR/pushed
	GIT_SSH_COMMAND="ssh -F /dev/null -i $GIT_HOME/id -o IdentitiesOnly=yes -o IdentityAgent=none \
		-o UserKnownHostsFile=$GIT_HOME/known_hosts" git -C "$APP" push "$@" >"$OUT" 2>&1
}

said() { grep -qE -- "$1" "$OUT" || { cat "$OUT" >&2 && return 1; }; }
not_said() { ! grep -qE -- "$1" "$OUT" || { cat "$OUT" >&2 && return 1; }; }

serves() { assert_serves "$1" "http://$H1_IP/" "$VHOST"; }

bare_up() {
	git init -q --bare -b main "$BARE"
	git -C "$APP" remote add origin "ssh://root@127.0.0.1:$(<"$GIT_HOME/port")$BARE"
	hook_in "$BARE" install --on post-receive --branch main
	mkdir -m 700 "$BARE/deploy"
}

@test "pre-push deploys the branch before git sends it, and stops git when that fails" {
	git init -q --bare -b main "$BARE"
	git -C "$APP" remote add origin "$BARE"
	hook_in "$APP" install --branch main
	git_push origin HEAD:main
	said "version $(app_version) is live on h1"
	serves "version 1"

	app_commit "Other" version.txt="other"
	git_push origin HEAD:feature
	not_said "deploying"
	serves "version 1"

	app_commit "Broken" version.txt="version 2" unhealthy=1
	! git_push origin HEAD:main || fail "git went on"
	said "not healthy"
	[[ $(git -C "$BARE" rev-parse main) != "$(git -C "$APP" rev-parse HEAD)" ]]
	serves "version 1"
	git_push --no-verify origin HEAD:main
	git_push origin :feature
	not_said "deploying"
}

@test "a hook that is there runs first, and is given back as it was" {
	local hook=$APP/.git/hooks/pre-push before
	git init -q --bare -b main "$BARE"
	git -C "$APP" remote add origin "$BARE"
	printf '#!/bin/sh\necho "mine: $*"\ncat >>%s\n[ ! -e %s ]\n' \
		"$BATS_TEST_TMPDIR/seen" "$BATS_TEST_TMPDIR/refuse" >"$hook"
	chmod 751 "$hook"
	before=$(stat -c '%a %i' "$hook" && cat "$hook")
	hook_in "$APP" install --branch main
	hook_in "$APP" install --branch main # again is no harm
	hook_in "$APP" list | grep -E '^pre-push +main +another'

	touch "$BATS_TEST_TMPDIR/refuse"
	! git_push origin HEAD:main || fail "git went on"
	said "mine: origin $BARE"
	not_said "deploying"
	rm "$BATS_TEST_TMPDIR/refuse"
	git_push origin HEAD:main
	said "is live"
	grep -q "HEAD $(git -C "$APP" rev-parse HEAD) refs/heads/main" "$BATS_TEST_TMPDIR/seen"

	hook_in "$APP" uninstall
	assert_equal "$(stat -c '%a %i' "$hook" && cat "$hook")" "$before" hook
	! ls "$APP/.git/hooks/"*before-deploy || fail "left over"
	[[ $(hook_in "$APP" uninstall) == "no hook of deploy is here" ]]
	# Another's hook stays.
	! hook_in "$APP" uninstall --on pre-push 2>"$BATS_TEST_TMPDIR/why" || fail "taken away"
	grep "was not made by deploy" "$BATS_TEST_TMPDIR/why"
	[[ -x $hook ]]
}

@test "post-commit deploys each commit on the branch, and none on another" {
	hook_in "$APP" install --on post-commit
	app_commit "Version 2" version.txt="version 2"
	serves "version 2"
	git -C "$APP" checkout -q -b feature
	app_commit "Version 3" version.txt="version 3"
	serves "version 2"
}

@test "a git push over SSH to a bare repository deploys, and its person sees it" {
	bare_up
	(umask 077 && echo "GREETING=from the bare repository" >"$BARE/deploy/secrets")
	sed -i '/^env:/d' "$APP/deploy.yml"
	printf 'env: {secret: [GREETING]}\n' >>"$APP/deploy.yml"
	app_commit "With a secret"
	git_push origin HEAD:main
	said "remote: .*version $(app_version) is live on h1"
	serves "version 1"
	docker_on h1 inspect "$SERVICE-web-$(app_version)" --format '{{.Config.Env}}' |
		grep -q "GREETING=from the bare repository"
	# The image came from the tree: nothing was checked out but the manifest.
	[[ -f $BARE/deploy/work/deploy.yml && ! -e $BARE/deploy/work/Dockerfile ]]
	(cd "$BARE/deploy/work" && "$DEPLOY_BIN" releases show 1 --json) | grep -q 'author@sample.test'

	app_commit "Elsewhere" version.txt="elsewhere"
	git_push origin HEAD:feature
	said "remote: .*'feature' is not deployed, only 'main' is"
	not_said "deploying"
	serves "version 1"

	app_commit "Broken" version.txt="broken" unhealthy=1
	git_push origin HEAD:main
	said "remote: .*not healthy"
	serves "version 1"
}

@test "two git pushes at once deploy one after the other, and leave out what is old already" {
	bare_up
	git_push origin HEAD:main
	# The first one stands until all are there.
	mkdir -p "$APP/.deploy/hooks"
	# shellcheck disable=SC2016 # the hook expands
	printf '#!/bin/sh\ntouch %s\nn=0\nwhile [ ! -e %s ] && [ $n -lt 900 ]; do sleep 0.1; n=$((n + 1)); done\n' \
		"$BATS_TEST_TMPDIR/stands" "$BATS_TEST_TMPDIR/go" >"$APP/.deploy/hooks/pre-deploy"
	chmod +x "$APP/.deploy/hooks/pre-deploy"
	app_commit "Slow" version.txt="slow"
	git_push origin HEAD:main &
	local first=$! second third
	eventually 30 test -e "$BATS_TEST_TMPDIR/stands"
	mv "$BATS_TEST_TMPDIR/pushed" "$BATS_TEST_TMPDIR/pushed.1"
	app_commit "Version 2" version.txt="version 2"
	git_push origin HEAD:main &
	second=$!
	eventually 30 grep -q "waiting for its end" "$BATS_TEST_TMPDIR/pushed"
	mv "$BATS_TEST_TMPDIR/pushed" "$BATS_TEST_TMPDIR/pushed.2"
	app_commit "Version 3" version.txt="version 3"
	git_push origin HEAD:main &
	third=$!
	eventually 30 grep -q "waiting for its end" "$BATS_TEST_TMPDIR/pushed"
	touch "$BATS_TEST_TMPDIR/go"
	wait "$first" "$second" "$third"
	OUT=$BATS_TEST_TMPDIR/pushed.1 said "is live"
	OUT=$BATS_TEST_TMPDIR/pushed.2 said "a later commit of 'main' is there"
	said "version $(app_version) is live"
	serves "version 3"
}
