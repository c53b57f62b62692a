#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# deploy/examples/rxdx, walked through as its owner's document has it: two services behind nginx with
# headers, limits and TLS, environment files, scaling, logs, alerts. The tests go on from one another.

setup_file() {
	load ../support/helpers
	bed_up 1
	"$E2E_ROOT/deploy/support/image" app-base:1 postgres:15 nginx:1
	export APP=$BATS_FILE_TMPDIR/app TLS=$BATS_FILE_TMPDIR/tls SMTP_PORT
	SMTP_PORT=$(shuf -i 25000-29999 -n 1)
	example_repo rxdx rxdx.example.com=h1
	self_signed "$TLS" rxdx.example.com
	# Here the mail server has a port of its own.
	sed -i "s/localhost:25/localhost:$SMTP_PORT/" "$APP/backend/deploy.yml"
	secrets_file SECRET_KEY=key POSTGRES_PASSWORD=opensesame \
		DATABASE_URL=postgres://rxdx:opensesame@rxdx-backend-postgres/rxdx \
		"CERTIFICATE=\$(cat $TLS/cert.pem)" "CERTIFICATE_KEY=\$(cat $TLS/key.pem)"
	(umask 077 && printf 'ENVIRONMENT=staging\nLLM_MODEL_NAME=small\n' >"$APP/backend/.env.production")
}

teardown_file() {
	docker images -q "rxdx/*" | sort -u | xargs -r docker rmi -f >/dev/null 2>&1 || true
	bed_down
}

setup() { load ../support/helpers; }

teardown() {
	[[ -z ${SMTP_PID:-} ]] || kill "$SMTP_PID" 2>/dev/null || true
	e2e_report
}

backend() { deploy_ok -c backend/deploy.yml "$@"; }
get() { # PATH [CURL OPTION...]
	local path=$1
	shift
	curl -s -m 5 --cacert "$TLS/cert.pem" --resolve "rxdx.example.com:443:$H1_IP" "$@" "https://rxdx.example.com$path"
}
code() { get "$1" -o /dev/null -w '%{http_code}\n'; }
mailed() { # TEXT
	local mail
	for mail in "$BATS_TEST_TMPDIR"/mail/new/*; do
		sed '1,/^$/d' "$mail" | base64 -d | grep "$1" && return
	done
	return 1
}
replicas() { docker_on h1 ps -q --filter label=deploy.service=rxdx-backend --filter label=deploy.role=web | wc -l; }

@test "deployment: both services behind one name, four replicas, nothing but 80 and 443 open" {
	backend setup
	deploy_ok push -c frontend/deploy.yml
	get / | grep -q "RxDx front end"
	assert_equal "$(get /api/)" "version 1"
	assert_equal "$(replicas)" 4
	assert_equal "$(docker_on h1 ps --format '{{.Ports}}' | grep -oE ':[0-9]+->' | sort -u | xargs)" ":443-> :80->"
	backend accessory exec postgres -- psql -U rxdx -d rxdx -qtAXc "show wal_buffers"
	assert_stdout 16MB
}

@test "security: headers on both, TLS 1.2 and 1.3 only, limits of the API and of its login" {
	local path codes
	for path in / /api/; do
		get "$path" -D "$BATS_TEST_TMPDIR/head" -o /dev/null
		assert_equal "$(grep -ciE '^(strict-transport-security: max-age=31536000; includeSubDomains|x-frame-options: SAMEORIGIN|x-content-type-options: nosniff|content-security-policy: )' "$BATS_TEST_TMPDIR/head")" 4 "headers of $path"
	done
	assert_equal "$(curl -s -o /dev/null -w '%{http_code} %{redirect_url}' -H 'Host: rxdx.example.com' "http://$H1_IP/api/")" \
		"308 https://rxdx.example.com/api/"
	openssl s_client -connect "$H1_IP:443" -servername rxdx.example.com -tls1_2 </dev/null 2>&1 | grep -q 'Protocol.*TLSv1.2'
	! openssl s_client -connect "$H1_IP:443" -servername rxdx.example.com -tls1_1 -cipher 'ALL@SECLEVEL=0' </dev/null 2>&1 |
		grep -q 'Cipher is [A-Z]' || fail "TLS 1.1 is spoken"
	# One, and the burst of four; the next ones come too soon.
	codes=$(for _ in 1 2 3 4 5 6 7; do code /api/auth/login; done | sort | uniq -c | xargs)
	assert_equal "$codes" "5 404 2 429"
	assert_equal "$(code /api/)" 200
}

@test "environment: the manifest over the file, the file over nothing" {
	assert_equal "$(get '/api/env?name=ENVIRONMENT')" production
	assert_equal "$(get '/api/env?name=LLM_MODEL_NAME')" small
	assert_equal "$(code '/api/env?name=LLM_STUDIO_URL')" 404
}

@test "scaling: another number of replicas, and requests go to the one with the fewest" {
	local n at=$BATS_TEST_TMPDIR/slow
	sed -i 's/replicas: 4 /replicas: 3 /' "$APP/backend/deploy.yml"
	app_commit "Three are enough"
	backend push
	assert_equal "$(replicas)" 3
	for n in 1 2 3; do
		get '/api/slow?ms=1500' -D "$at.$n" -o /dev/null &
	done
	wait
	assert_equal "$(grep -ih '^x-hostname' "$at".* | sort -u | wc -l)" 3 "who answered three at once"
}

@test "logs: since a time, rotated" {
	backend app logs --since 10m --tail 100
	assert_stdout "listening on 8000"
	backend app logs --since "$(date -u -d '+1 hour' +%Y-%m-%dT%H:%M:%SZ)"
	refute_stdout "listening"
	assert_equal "$(docker_on h1 inspect -f '{{.HostConfig.LogConfig.Config}}' rxdx-backend-postgres)" "map[max-file:3 max-size:10m]"
}

@test "alerts: a health check in cron mails what is wrong" {
	aiosmtpd -n -l "127.0.0.1:$SMTP_PORT" -c aiosmtpd.handlers.Mailbox "$BATS_TEST_TMPDIR/mail" 2>/dev/null 3>&- &
	SMTP_PID=$!
	eventually 10 bash -c "exec 3<>/dev/tcp/127.0.0.1/$SMTP_PORT"
	# The name has no address here, and that is all.
	backend check --notify
	mailed "has no address"
	! mailed postgres || fail "it mails what is well"
	docker_on h1 stop -t 1 rxdx-backend-postgres >/dev/null
	deploy_run -c backend/deploy.yml check --notify
	mailed "accessory postgres stands still"
	backend accessory start postgres
}
