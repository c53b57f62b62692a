#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# deploy/examples/reportify, walked through as its owner's document has it: Kamal's manifest and
# secrets unchanged, then Traefik in front with ports of its own, logs, backups, scaling, rollback.
# The tests go on from one another.

setup_file() {
	load ../support/helpers
	need_go
	bed_up 1
	"$E2E_ROOT/deploy/support/image" app-base:1 postgres:15 redis:7 traefik:v3
	docker tag redis:7 redis:7-alpine
	testbed load h1 app-base:1
	testbed load h1 traefik:v3
	testbed add-user h1 rs-dev
	testbed sshd-option h1 'Port 2121'
	export APP=$BATS_FILE_TMPDIR/app
	example_repo reportify rs-development.net=h1
	chmod 644 "$APP/.kamal/secrets" # as git leaves it
	self_signed "$APP/config/tls" reportify.rs-development.net
	printf '# Rails\nRAILS_MASTER_KEY=master\nJWT_SECRET_KEY=jwt\nDB_PASSWORD=opensesame\n' >"$APP/.env.production"
}

teardown_file() {
	docker rmi redis:7-alpine >/dev/null 2>&1 || true
	# shellcheck disable=SC2034 # of service_forget
	SERVICE=reportify-api
	service_forget
	bed_down
}

setup() {
	load ../support/helpers
	set -a
	# shellcheck disable=SC1091 # made by setup_file
	. "$APP/.env.production"
	set +a
}

teardown() { e2e_report; }

kamal() { deploy_ok -c config/deploy.yml "$@"; }
fetch() { # PATH [OPTION...]
	curl -s -m 5 --cacert "$APP/config/tls/cert.pem" --resolve "reportify.rs-development.net:8443:$H1_IP" \
		"${@:2}" "https://reportify.rs-development.net:8443$1"
}
sql() { deploy_ok accessory exec db -- psql -U postgres reportify_production -qtAXc "$1" && cat "$DEPLOY_STDOUT"; }
job() { # NAME: one for Sidekiq, until its result is in the database
	deploy_ok accessory exec redis -- redis-cli lpush queue:default "$1"
	eventually 10 job_is_done "$1"
}
job_is_done() { [[ -n $(sql "select 1 from reports where name = '$1'") ]]; }
web() { docker_on h1 ps -q --filter label=deploy.service=reportify-api --filter label=deploy.role=web; }

@test "pre-flight: what holds a port of the service is told, and goes as it is told" {
	docker_on h1 run -d --name old-api -p 3002:3000 app-base:1
	deploy_fails 5 -c config/deploy.yml check
	assert_stdout "FAIL +rs-development.net: port 3002, which web needs, is taken by the container old-api"
	assert_stdout "mend: deploy exec -- docker stop old-api, when nobody needs it"
	kamal exec -- docker rm -f old-api
	kamal check
}

@test "deployment: Kamal's manifest and secrets as they are" {
	kamal push
	assert_stderr 'one stops before the new one starts'
	assert_serves "version 1" "http://$H1_IP:3002/"
	assert_equal "$(docker_on h1 port reportify-api-db) $(docker_on h1 port reportify-api-redis)" \
		"5432/tcp -> 127.0.0.1:5433 6379/tcp -> 127.0.0.1:6380"
	assert_equal "$(docker_on h1 inspect -f '{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}}' "$(web)")" \
		"2147483648 2000000000"
	kamal accessory logs sidekiq
	assert_stdout 'sidekiq: exec sidekiq -C config/sidekiq.yml of version 1'
	kamal accessory logs db
	assert_stdout 'database system is ready'
	kamal accessory logs redis
	assert_stdout 'Ready to accept connections'
	job first
	app_commit "Second" "version.txt=version 2"
	kamal push
	assert_serves "version 2" "http://$H1_IP:3002/"
	kamal rollback
	assert_serves "version 1" "http://$H1_IP:3002/"
}

@test "Traefik in front, Sidekiq a role: the same service, its data where they were" {
	kamal accessory remove sidekiq -y
	app_commit "The second one again" "version.txt=version 2"
	deploy_ok push
	assert_equal "$(fetch /)" "version 2"
	assert_equal "$(fetch /up -o /dev/null -w '%{http_code}')" 200
	assert_equal "$(curl -s -m 5 -o /dev/null -w '%{http_code} %{redirect_url}' \
		--resolve "reportify.rs-development.net:8080:$H1_IP" "http://reportify.rs-development.net:8080/a?b=c")" \
		"301 https://reportify.rs-development.net:8443/a?b=c"
	run curl -s -m 2 "http://$H1_IP:3002/"
	assert_equal "$status" 7
	job second
	assert_equal "$(sql 'select string_agg(made_by, $$, $$) from reports')" "version 1, version 2"
	deploy_ok check
}

@test "monitoring: the state, the logs of all parts" {
	deploy_ok status
	assert_stdout "rs-development.net"
	deploy_ok app logs --roles web
	assert_stdout "listening on 3000"
	deploy_ok app logs --roles sidekiq -n 20
	assert_stdout "sidekiq: second done|sidekiq: exec sidekiq"
	deploy_ok proxy logs -n 5
	deploy_ok accessory details db
	assert_stdout "reportify-api-db"
	deploy_ok app exec --reuse --roles web -- env
	assert_stdout "RAILS_ENV=production"
}

@test "backup: a dump that is verified and comes back, and Redis keeps its data" {
	deploy_ok accessory exec redis -- redis-cli set cached yes
	deploy_ok accessory backup db --verify
	assert_stderr "verified: .* rows"
	sql "drop table reports"
	deploy_ok -y accessory restore db
	assert_equal "$(sql "select count(*) from reports")" 2
	deploy_ok accessory restart redis
	deploy_ok accessory exec redis -- redis-cli get cached
	assert_stdout yes
}

@test "scaling, and back: two containers of two gigabytes and two processors each, then one" {
	sed -i 's/^    options: {memory: 2g/    replicas: 2\n&/' "$APP/deploy.yml"
	app_commit "Two of them" "version.txt=version 3"
	deploy_ok push
	assert_equal "$(web | xargs env DOCKER_HOST="$(testbed docker-host h1)" docker inspect -f \
		'{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}}' | xargs)" "2147483648 2000000000 2147483648 2000000000"
	assert_equal "$(for _ in 1 2 3 4 5 6 7 8; do fetch / -D - -o /dev/null | grep -i '^x-hostname'; done | sort -u | wc -l)" 2
	deploy_ok app exec --reuse -p --roles web -- sh -c 'echo uploaded >/rails/storage/file'
	deploy_ok rollback
	assert_equal "$(fetch /)" "version 2"
	assert_equal "$(web | wc -l)" 1
	deploy_ok app exec --reuse --roles web -- cat /rails/storage/file
	assert_stdout uploaded
	job third
	assert_equal "$(sql "select made_by from reports where name = 'third'")" "version 2"
}
