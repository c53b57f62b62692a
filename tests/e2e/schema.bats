#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# release.rollback_command: migrations of a real PostgreSQL, and back again.

setup_file() {
	load ../support/helpers
	bed_up 2
	"$E2E_SUPPORT/../../deploy/support/image" postgres:15
}

teardown_file() { bed_down; }

setup() {
	load ../support/helpers
	service_repo "schema$BATS_TEST_NUMBER" h1 h2
	migrating_app
}

teardown() {
	e2e_report
	deploy_run -y accessory remove --data all
	service_forget
}

# The sample application with psql in its image. Its schema is a table of versions: `migrate`
# brings it to the number in the file `schema`, `migrate back` takes the last one back.
migrating_app() {
	manifest_add "env:" "  clear: {COLOUR: blue}" "  secret: [DATABASE_URL]" \
		"release:" "  command: migrate" "  rollback_command: migrate back" \
		"accessories:" "  db:" "    image: postgres:15" "    host: h1" \
		"    env: {clear: {POSTGRES_DB: shop}, secret: [POSTGRES_PASSWORD]}" \
		"    volumes: ['${SERVICE}_db:/var/lib/postgresql/data']"
	secrets_file POSTGRES_PASSWORD=sesame-open \
		"DATABASE_URL=postgres://postgres:sesame-open@$SERVICE-db/shop"
	cat >"$APP/migrate" <<'END'
#!/bin/sh
set -eu
sql() { psql "$DATABASE_URL" -v ON_ERROR_STOP=1 -qtAXc "$1"; }
if [ "${1:-up}" = back ]; then
	echo "back from $(cat /app/version.txt), $COLOUR"
	[ ! -e /app/stuck ] || { echo "cannot drop the column" >&2; exit 3; }
	sql 'delete from versions where n = (select max(n) from versions)'
else
	sql "set client_min_messages = warning; create table if not exists versions (n int)"
	sql "insert into versions select $(cat /app/schema) where not exists (select from versions where n = $(cat /app/schema))"
fi
END
	chmod +x "$APP/migrate"
	cat >"$APP/Dockerfile" <<-END
		FROM app-base:1 AS app
		FROM postgres:15
		ENTRYPOINT []
		COPY --from=app /bin/app /bin/app
		WORKDIR /app
		COPY . /app/
		RUN mv /app/migrate /bin/migrate
		CMD ["/bin/app"]
	END
	app_commit "Version 1" version.txt="version 1" schema=1
	deploy_ok push
	manifest_edit 's/COLOUR: blue/COLOUR: green/'
	app_commit "Version 2" version.txt="version 2" schema=2
}

schema() { docker_on h1 exec "$SERVICE-db" psql -U postgres shop -qtAXc "select string_agg(n::text, ',' order by n) from versions"; }

serves() { # BODY: on both hosts
	assert_serves "$1" "http://$H1_IP/" "$VHOST"
	assert_serves "$1" "http://$H2_IP/" "$VHOST"
}

@test "--migrations takes the schema back in the image and env that are left, before the switch" {
	deploy_ok push
	assert_equal "$(schema)" 1,2
	# What is there now does not matter: it is the command, image and env of the release.
	manifest_edit 's/COLOUR: green/COLOUR: red/; s/migrate back/false/'
	traffic_start "version 1" "version 2"
	deploy_ok rollback --migrations
	traffic_stop
	assert_stderr "schema moved on: release 2 ran 'migrate'"
	assert_stderr "h1.*back from version 2, green"
	assert_equal "$(schema)" 1
	serves "version 1"
	# Each release has on record which command it ran, how it ended and how long it took.
	deploy_ok releases show 2
	assert_stdout "^ran .*release command 'migrate': exit code 0 after [0-9.]+ ?m?s"
	deploy_ok releases show 3
	assert_stdout "^ran .*rollback command 'migrate back' of release 2: exit code 0 after"
	deploy_ok releases --json
	assert_equal "$(jq -rc 'select(.number == 3) | [.undoes, .ran.command, .ran.exit]' "$DEPLOY_STDOUT")" '[2,"migrate back",0]'
	deploy_ok audit
	assert_stdout "release 3 .*: live; rollback command 'migrate back' of release 2: exit code 0"
	assert_containers h1 "rollback" 0
	# It is back: forward again the schema is behind, and back from there is nothing to take back.
	deploy_ok rollback 2
	assert_stderr "schema is behind: release 2 ran 'migrate', and a rollback took it back"
	deploy_ok rollback --migrations 1
	assert_stderr "nothing to take back"
	assert_equal "$(schema)" 1
}

@test "without a terminal the rollback command is not run, and that is said" {
	deploy_ok push
	deploy_ok rollback
	assert_stderr "schema moved on: release 2 ran 'migrate'"
	assert_stderr "rollback command of release 2, 'migrate back', is not run: there is no terminal"
	assert_equal "$(schema)" 1,2
	serves "version 1"
	deploy_ok rollback 2
	deploy_ok rollback --no-migrations 1
	assert_stderr "schema moved on"
	refute_stderr "is not run"
	assert_equal "$(schema)" 1,2
	deploy_fails 2 rollback --migrations --no-migrations
	# Asked for by name, it has to be there.
	manifest_edit '/rollback_command/d'
	app_commit "Version 3" version.txt="version 3" schema=3
	deploy_ok push
	deploy_fails 2 rollback --migrations
	assert_stderr "release 6 has no rollback command"
	serves "version 3"
}

@test "a rollback command that fails leaves traffic and containers where they were" {
	app_commit "Stuck" stuck=yes
	deploy_ok push
	traffic_start "version 2"
	deploy_fails 5 rollback --migrations
	traffic_stop
	assert_stderr "rollback command 'migrate back': it ended with exit code 3"
	assert_stderr "cannot drop the column"
	assert_equal "$(schema)" 1,2
	serves "version 2"
	assert_containers h1 "^$SERVICE-web" 1 running
	assert_containers h2 "^$SERVICE-web" 1 running
	deploy_ok releases show 3
	assert_stdout "failed"
	assert_stdout "rollback command 'migrate back' of release 2: exit code 3"
	# The schema has not moved: the next one would take it back.
	deploy_ok rollback --no-migrations
	assert_stderr "schema moved on: release 2 ran"
	serves "version 1"
}

@test "on a terminal it asks, and does what is answered" {
	deploy_ok push
	deploy_on_terminal "expect Run the rollback command of release 2, 'migrate back'.*y/N" 'type n\r' -- rollback
	assert_equal "$DEPLOY_STATUS" 0 status
	assert_equal "$(schema)" 1,2
	serves "version 1"
	deploy_ok rollback 2
	deploy_on_terminal 'expect y/N' 'type y\r' -- rollback 1
	assert_equal "$DEPLOY_STATUS" 0 status
	assert_equal "$(schema)" 1
	serves "version 1"
}

@test "the schema stays when what came back is not healthy any more" {
	deploy_ok push
	# Taken away from the retired container, by hand.
	docker_on h2 cp "$APP/schema" "$(docker_on h2 ps -aq --filter "status=exited" --filter "name=^$SERVICE-web")":/app/crash
	deploy_fails 6 rollback --migrations
	assert_equal "$(schema)" 1,2
	refute_stderr "back from version 2"
	serves "version 2"
}
