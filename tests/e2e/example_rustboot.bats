#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# deploy/examples/rustboot, walked through as its owner's document has it: hardened containers, three
# layers of health, rolling update of three replicas, metrics, logs, backup and recovery. The tests
# go on from one another.

setup_file() {
	load ../support/helpers
	bed_up 2
	"$E2E_ROOT/deploy/support/image" app-base:1 postgres:15 redis:7 nginx:1
	export APP=$BATS_FILE_TMPDIR/app
	example_repo rustboot app1.rustboot.example=h1 app2.rustboot.example=h2
	secrets_file POSTGRES_PASSWORD=opensesame \
		DATABASE_URL=postgres://rustboot:opensesame@rustboot-postgres/rustboot_db
}

teardown_file() {
	SERVICE=rustboot
	service_forget
	bed_down
}

setup() {
	load ../support/helpers
	SERVICE=rustboot VHOST=rustboot.example
}

teardown() { e2e_report; }

sql() { deploy_ok accessory exec postgres -- psql -U rustboot rustboot_db -qtAXc "$1" && cat "$DEPLOY_STDOUT"; }
containers() { docker_on "$1" ps -q --filter label=deploy.service=rustboot --filter label=deploy.role=app; }
inspect() { # hN FORMAT: of one container of the application there
	docker_on "$1" inspect -f "$2" "$(containers "$1" | head -n 1)"
}

@test "deployment: database first, migrations, three healthy replicas on each server" {
	deploy_ok push
	local h
	for h in h1 h2; do
		assert_serves "version 1" "http://$(testbed ip "$h")/" "$VHOST"
		assert_equal "$(containers "$h" | wc -l)" 3
	done
	assert_equal "$(sql "select count(*) from app.migrations")" 1
	assert_equal "$(sql "show max_connections")" 200
	deploy_ok accessory exec redis -- redis-cli config get appendonly
	assert_stdout yes
}

@test "security: user, read-only root, capabilities, no new privileges, limits" {
	assert_equal "$(inspect h1 '{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.CapAdd}} {{.HostConfig.SecurityOpt}}')" \
		"1000 true [ALL] [NET_BIND_SERVICE] [no-new-privileges]"
	assert_equal "$(inspect h2 '{{.HostConfig.NanoCpus}} {{.HostConfig.Memory}} {{.HostConfig.MemoryReservation}}')" \
		"2000000000 1073741824 536870912"
	deploy_ok app exec --reuse --hosts app1.rustboot.example -- sh -c 'touch /tmp/fits; ! touch /app/not; id -u'
	assert_stdout 1000
	# The document's three layers: Docker's own health check is the second one.
	deploy_ok app exec --reuse --hosts app1.rustboot.example -- wget -q -O - http://127.0.0.1:8080/health
	assert_equal "$(inspect h1 '{{json .Config.Healthcheck.Test}}' | grep -c health)" 1
}

@test "images are tagged as latest and by branch and commit" {
	local short
	short=$(git -C "$APP" rev-parse HEAD | cut -c1-7)
	docker image inspect rustboot:latest >/dev/null
	docker images --format '{{.Tag}}' rustboot | grep -q "^main-$short"
}

@test "monitoring: metrics on the network of the containers only, logs in JSON" {
	docker_on h1 run --rm --network deploy --entrypoint wget postgres:15 -q -O - http://app:8080/metrics |
		grep -q '^app_requests_total [1-9]'
	run curl -s -m 2 "http://$H1_IP:8080/metrics"
	assert_equal "$status" 7
	deploy_ok app logs -n 200
	grep -o '{.*}' "$DEPLOY_STDOUT" | jq -es 'map(select(.path == "/health")) | length > 0' >/dev/null
	assert_equal "$(inspect h1 '{{.HostConfig.LogConfig.Type}} {{index .HostConfig.LogConfig.Config "max-file"}}')" \
		"json-file 5"
	deploy_ok status
	assert_stdout "app2.rustboot.example"
}

@test "a rolling update, a replica at a time, loses no request" {
	app_commit "Version 2" version.txt="version 2"
	traffic_start "version 1" "version 2"
	deploy_ok push
	assert_stderr "the next batch comes in 10 s"
	assert_stderr "batch 5 of 6: app2.* .replica 2 of 3"
	traffic_stop
	assert_serves "version 2" "http://$H2_IP/" "$VHOST"
	assert_equal "$(sql "select count(*) from app.migrations")" 2
}

@test "recovery: a backup, its verification, a restore, and the rows counted" {
	sql "insert into app.users (name) select 'user ' || n from generate_series(1, 500) n"
	deploy_ok accessory backup postgres --verify
	assert_stderr "verified: .* rows"
	sql "drop schema app cascade"
	deploy_ok -y accessory restore postgres
	assert_equal "$(sql "select count(*) from app.users")" 500
	deploy_ok accessory exec redis -- redis-cli set survives yes
	deploy_ok accessory restart redis
	deploy_ok accessory exec redis -- redis-cli get survives
	assert_stdout yes
}

@test "rollback brings version 1 back" {
	traffic_start "version 1" "version 2"
	deploy_ok rollback
	traffic_stop
	assert_serves "version 1" "http://$H1_IP/" "$VHOST"
	assert_serves "version 1" "http://$H2_IP/" "$VHOST"
}
