#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Secrets: as files in containers, from password managers, encrypted; and which of them changed.

setup_file() {
	load ../support/helpers
	bed_up 1
}

teardown_file() { bed_down; }

setup() {
	load ../support/helpers
	service_repo "secretfiles$BATS_TEST_NUMBER" h1
}

teardown() {
	e2e_report
	service_forget
}

container() { # release number
	docker_on h1 ps -aqf "label=deploy.service=$SERVICE" -f "label=deploy.release=$1" \
		-f label=deploy.kind=app
}

# "mode uid content" of a file in the running container of a release.
file_in() { # release path
	docker_on h1 exec -u 0 "$(container "$1")" sh -c "stat -c '%a %u' $2; cat $2"
}

@test "a secret file is there for every container, for its user only, over restarts and rollbacks" {
	manifest_edit 's/^    hosts:.*/&\n    options: {user: nobody}/'
	manifest_add "release: {command: cat /app/config/tls.key}" \
		"secret_files: {TLS_KEY: /app/config/tls.key}"
	secrets_file "TLS_KEY='-----BEGIN" "first' # of two lines"
	app_commit "A key"
	deploy_ok push
	assert_equal "$(file_in 1 /app/config/tls.key)" "400 65534
-----BEGIN
first"
	docker_on h1 inspect "$(container 1)" >"$BATS_TEST_TMPDIR/inspect"
	refute grep -q first "$BATS_TEST_TMPDIR/inspect"
	deploy_ok app exec -- sh -c 'id -u; cat /app/config/tls.key'
	assert_stdout '^65534$'
	assert_stdout '^first$'

	secrets_file "TLS_KEY=second"
	deploy_ok plan
	assert_stdout 'secret TLS_KEY changed'
	refute_stdout 'second'
	app_commit "Version 2" version.txt="version 2"
	deploy_ok push
	assert_equal "$(file_in 2 /app/config/tls.key)" "400 65534
second"
	docker_on h1 restart -t 1 "$(container 2)" >/dev/null
	assert_equal "$(file_in 2 /app/config/tls.key | tail -1)" second
	deploy_ok releases diff 1 2
	assert_stdout 'secret TLS_KEY: changed'
	deploy_ok rollback
	assert_equal "$(file_in 1 /app/config/tls.key | tail -1)" first
}

@test "a secret file works with a read-only root, and goes with its container" {
	manifest_edit 's/^    hosts:.*/&\n    options: {read-only: true, tmpfs: [\/tmp, \/run], user: "1234:5"}/'
	manifest_add "secret_files: {TLS_KEY: /run/key}"
	secrets_file "TLS_KEY=first"
	app_commit "Read-only"
	deploy_fails 3 push
	assert_stderr "deploy.yml:[0-9]+:[0-9]+: secret_files: '/run/key' cannot be written into a tmpfs"
	assert_containers h1 "$SERVICE" 0

	manifest_edit 's,/run/key,/run/secrets/key,'
	app_commit "A folder of its own"
	deploy_ok push
	assert_equal "$(file_in 1 /run/secrets/key)" "400 1234
first"
	docker_on h1 restart -t 1 "$(container 1)" >/dev/null
	assert_equal "$(file_in 1 /run/secrets/key | tail -1)" first
	deploy_ok app exec -- cat /run/secrets/key
	assert_stdout '^first$'

	# A container that is made again for a rollback has the file of that release.
	manifest_edit 's/^    hosts:.*/&\n    replicas: 2/'
	app_commit "Two"
	deploy_ok push
	secrets_file "TLS_KEY=third"
	app_commit "Three" version.txt="version 3"
	deploy_ok push
	container 2 | head -1 | xargs -I{} docker -H "$(testbed docker-host h1)" rm -fv {} >/dev/null
	deploy_ok rollback
	for id in $(container 2); do
		assert_equal "$(docker_on h1 exec -u 0 "$id" cat /run/secrets/key)" first
	done
	assert_equal "$(container 2 | wc -l)" 2
	deploy_ok remove -y
	assert_equal "$(docker_on h1 volume ls -q)" ""
}

@test "an env file's variables go to the containers as secrets" {
	manifest_add "env_file: .env.production"
	secrets_file TOKEN=from-secrets
	echo .env.production >>"$APP/.git/info/exclude"
	app_commit "Env file"
	deploy_ok status
	deploy_fails 3 push
	assert_stderr "deploy.yml:[0-9]+:[0-9]+: open '.*/.env.production'"
	manifest_add "env: {clear: {COLOUR: blue}, secret: [TOKEN]}"
	app_commit "Env"
	printf '%s\n' 'PLAIN=plain-value' 'TOKEN=hidden' 'COLOUR=red' 'BOTH="${TOKEN}
second"' >"$APP/.env.production"
	chmod 644 "$APP/.env.production"
	deploy_fails 3 push
	assert_stderr 'other users can read this file'
	assert_containers h1 "$SERVICE" 0
	chmod 600 "$APP/.env.production"
	deploy_ok push -v
	refute_stderr 'plain-value'
	docker_on h1 exec "$(container 1)" env >"$BATS_TEST_TMPDIR/env"
	grep -qx PLAIN=plain-value "$BATS_TEST_TMPDIR/env"
	grep -qx COLOUR=blue "$BATS_TEST_TMPDIR/env"
	grep -qx TOKEN=from-secrets "$BATS_TEST_TMPDIR/env"
	grep -qx BOTH=hidden "$BATS_TEST_TMPDIR/env"
	deploy_ok secrets print
	assert_stdout '.env.production:PLAIN +\[REDACTED\] +.env.production +env_file'
	sed -i s/plain-value/other-value/ "$APP/.env.production"
	deploy_ok plan
	assert_stdout 'secret .env.production:PLAIN changed'
}

@test "secrets of a password manager and of an encrypted file reach the containers" {
	mkdir "$BATS_TEST_TMPDIR/bin"
	# fake pass: what it prints for one entry
	printf '#!/bin/sh\n[ "$*" = "show shop/db" ] && printf "pass%%s\\nuser: ann\\n" word\n' \
		>"$BATS_TEST_TMPDIR/bin/pass"
	# fake editor
	printf '#!/bin/sh\necho "SEALED=sealed-$PREFIX" >"$1"\n' >"$BATS_TEST_TMPDIR/bin/edit"
	chmod +x "$BATS_TEST_TMPDIR"/bin/*
	export PATH=$BATS_TEST_TMPDIR/bin:$PATH
	manifest_add "env: {secret: [PASSWORD, USER_NAME, SEALED]}"
	secrets_file 'ALL=$(kamal secrets fetch --adapter pass --from shop db db:user)' \
		'PASSWORD=$(kamal secrets extract db $ALL)' \
		'USER_NAME=$(bundle exec kamal secrets extract db:user ${ALL})'
	PREFIX=value EDITOR=edit deploy_ok secrets edit
	refute grep -q value "$APP/.deploy/secrets.enc"
	assert_equal "$(stat -c %a "$APP/.deploy/secrets.key")" 600
	deploy_ok secrets print
	assert_stdout 'PASSWORD +\[REDACTED\] +.deploy/secrets +env.secret'
	assert_stdout 'SEALED +\[REDACTED\] +.deploy/secrets.enc +env.secret'
	app_commit "Secrets"
	assert_equal "$(git -C "$APP" ls-files .deploy)" .deploy/secrets.enc
	deploy_ok push
	docker_on h1 exec "$(container 1)" env >"$BATS_TEST_TMPDIR/env"
	grep -qx PASSWORD=password "$BATS_TEST_TMPDIR/env"
	grep -qx USER_NAME=ann "$BATS_TEST_TMPDIR/env"
	grep -qx SEALED=sealed-value "$BATS_TEST_TMPDIR/env"

	# Another who has the key in the environment only.
	key=$(cat "$APP/.deploy/secrets.key")
	rm "$APP/.deploy/secrets.key"
	deploy_fails 3 plan
	assert_stderr 'the key of the encrypted secrets is missing'
	DEPLOY_SECRETS_KEY=$key deploy_ok plan
	DEPLOY_SECRETS_KEY=another-key-than-that deploy_fails 3 plan
	assert_stderr 'the key is not the one'
}
