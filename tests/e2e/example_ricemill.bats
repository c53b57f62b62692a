#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# deploy/examples/ricemill, walked through as its owner's document has it: Traefik with a certificate
# from a real ACME authority (pebble), two networks, migrations, scaling, monitoring, backups, rollback.
# The tests go on from one another.

setup_file() {
	load ../support/helpers
	load ../support/pebble
	bed_up 1
	pebble_up
	"$E2E_ROOT/deploy/support/image" app-base:1 postgres:15 traefik:v3
	testbed load h1 traefik:v3
	testbed load h1 postgres:15
	export APP=$BATS_FILE_TMPDIR/app
	example_repo ricemill graindesk.in=h1
	# Here the authority is another one than Let's Encrypt.
	cp "$PEBBLE/ca.pem" "$APP/authority.pem"
	sed -i "s|acme: {|&server: \"$PEBBLE_URL\", ca: authority.pem, |" "$APP/deploy.yml"
	app_commit "Its own authority"
	secrets_file POSTGRES_PASSWORD=opensesame SECRET_KEY_BASE=key \
		DATABASE_URL=postgres://ricemill:opensesame@ricemill-postgres/ricemill_prod
}

teardown_file() {
	load ../support/pebble
	# shellcheck disable=SC2034 # of service_forget
	SERVICE=ricemill
	service_forget
	pebble_down
	bed_down
}

setup() {
	load ../support/helpers
	load ../support/pebble
}

teardown() { e2e_report; }

fetch() { # PATH [OPTION...]
	curl -s -m 10 --cacert "$PEBBLE/roots.pem" --resolve "graindesk.in:443:$H1_IP" "${@:2}" "https://graindesk.in$1"
}
code() { fetch "$1" -o /dev/null -w '%{http_code}\n'; }
sql() { deploy_ok accessory exec postgres -- psql -U ricemill ricemill_prod -qtAXc "$1" && cat "$DEPLOY_STDOUT"; }
web() { docker_on h1 ps -q --filter label=deploy.service=ricemill --filter label=deploy.role=web; }
inspect() { docker_on h1 inspect -f "$2" "$1"; } # CONTAINER FORMAT

@test "deployment: certificate by HTTP-01, https, migrations before traffic" {
	deploy_ok setup
	pebble_await graindesk.in
	assert_equal "$(fetch /)" "version 1"
	assert_equal "$(sql "select count(*) from schema_migrations")" 1
	assert_equal "$(curl -s -o /dev/null -w '%{redirect_url}' -H 'Host: graindesk.in' "http://$H1_IP/a?b")" \
		"https://graindesk.in/a?b"
}

@test "security: headers, user, limits, the database on its own network" {
	local app
	app=$(web)
	fetch /bytes?n=5000 --compressed -D "$BATS_TEST_TMPDIR/head" -o /dev/null
	assert_equal "$(grep -ciE '^(strict-transport-security: max-age=31536000|x-frame-options: DENY|x-content-type-options: nosniff|referrer-policy: strict)' "$BATS_TEST_TMPDIR/head")" 4
	assert_equal "$(inspect "$app" '{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.NanoCpus}} {{.HostConfig.Memory}} {{.HostConfig.RestartPolicy.Name}}')" \
		"1000 true 2000000000 2147483648 always"
	assert_equal "$(inspect deploy-proxy-traefik '{{.HostConfig.NanoCpus}} {{.HostConfig.Memory}}')" "500000000 536870912"
	# The database: no port, and no way in but over its network.
	assert_equal "$(docker_on h1 port ricemill-postgres)" ""
	assert_equal "$(inspect ricemill-postgres '{{len .NetworkSettings.Networks}}')" 1
	deploy_ok app exec --reuse -- pg_isready -h ricemill-postgres -U ricemill
	refute docker_on h1 run --rm --network deploy --entrypoint pg_isready postgres:15 -t 2 -h ricemill-postgres
	openssl s_client -connect "$H1_IP:443" -servername graindesk.in -tls1_2 </dev/null 2>&1 | grep -q 'Protocol.*TLSv1.2'
}

@test "the login is limited, nothing else" {
	local codes
	codes=$(for _ in 1 2 3 4 5 6 7 8; do code /users/log_in; done | sort | uniq -c | xargs)
	[[ $codes == "5 404 3 429" || $codes == "4 404 4 429" ]] || fail "$codes"
	assert_equal "$(code /)" 200
}

# The circuit breaker is closed again, all the way.
steady() {
	local i
	for ((i = 0; i < 20; i++)); do
		[[ $(fetch /) == "version 1" ]] || return 1
	done
}

@test "failures: a container that ends comes back; owner's page and circuit breaker when none answers" {
	local app i
	app=$(web)
	fetch "/exit?code=1" -o /dev/null || true
	eventually 60 steady
	assert_equal "$(inspect "$app" '{{.RestartCount}}')" 1
	deploy_ok app stop
	fetch / -w ' %{http_code}' | tr -d '\n' | grep -E "mill stands still.* 50[234]$"
	for ((i = 0; i < 30; i++)); do code /; done >"$BATS_TEST_TMPDIR/codes"
	grep -q 503 "$BATS_TEST_TMPDIR/codes"
	deploy_ok app start
	eventually 60 steady
}

@test "monitoring: days of the certificate, health, logs, metrics" {
	deploy_ok status
	assert_stdout "graindesk.in +Pebble.* 8[0-9] +20"
	deploy_run check # the name has no address here
	assert_stdout "graindesk.in: the certificate .*8[0-9] days"
	code /users/log_in >/dev/null # those of before may be far up: `steady` may have asked often
	deploy_ok proxy logs -n 200
	assert_stdout "/users/log_in"
	deploy_ok app logs -n 20
	assert_stdout "listening on 4000"
	on h1 curl -s http://127.0.0.1:9090/metrics | grep -q '^traefik_'
	refute curl -s -m 2 "http://$H1_IP:9090/metrics"
}

@test "scaling, an update and a rollback: no request fails" {
	local stop=$BATS_TEST_TMPDIR/stop
	while [[ ! -e $stop ]]; do fetch / -w ' %{http_code}\n' | xargs; done >"$BATS_TEST_TMPDIR/answers" 3>&- &
	sed -i 's/replicas: 1 /replicas: 3 /' "$APP/deploy.yml"
	app_commit "Three are better"
	deploy_ok push
	assert_equal "$(web | wc -l)" 3
	for _ in {1..15}; do fetch / -D - -o /dev/null | grep -i '^x-hostname'; done | sort -u >"$BATS_TEST_TMPDIR/hosts"
	assert_equal "$(wc -l <"$BATS_TEST_TMPDIR/hosts")" 3
	app_commit "Version 2" version.txt="version 2"
	deploy_ok push
	assert_equal "$(fetch /)" "version 2"
	assert_equal "$(sql "select count(*) from schema_migrations")" 3
	deploy_ok rollback
	assert_equal "$(fetch /)" "version 1"
	touch "$stop"
	wait
	assert_equal "$(sort "$BATS_TEST_TMPDIR/answers" | uniq -c | awk '{print $2, $3, $4}' | xargs)" \
		"version 1 200 version 2 200"
}

@test "backups: the database, tried and restored; the certificates, on a new proxy" {
	local serial file=$BATS_TEST_TMPDIR/certificates
	sql "insert into bags (paddy) select 'bag ' || n from generate_series(1, 300) n"
	deploy_ok accessory backup postgres --verify
	assert_stderr "verified: .* rows"
	sql "drop table bags"
	deploy_ok -y accessory restore postgres
	assert_equal "$(sql "select count(*) from bags")" 300
	on h1 crontab -l | grep -q ricemill
	serial=$(pebble_serial graindesk.in)
	deploy_ok proxy backup "$file"
	deploy_ok -y proxy remove
	on h1 rm -r .deploy/proxy/traefik
	deploy_ok proxy restore "$file"
	deploy_ok push
	pebble_await graindesk.in
	assert_equal "$(pebble_serial graindesk.in) $(pebble_issued)" "$serial 1"
	assert_equal "$(fetch /)" "version 2"
}
