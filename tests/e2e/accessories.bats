#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Accessories: a real PostgreSQL on a server of its own, a real Redis beside the application.

setup_file() {
	load ../support/helpers
	bed_up 2
	"$E2E_SUPPORT/../../deploy/support/image" postgres:15 redis:7
}

teardown_file() { bed_down; }

setup() {
	load ../support/helpers
	service_repo "acc$BATS_TEST_NUMBER" h1
}

teardown() {
	e2e_report
	[[ ! -e $APP/deploy.yml ]] || deploy_run -y accessory remove --data all
	service_forget
}

with_redis() { manifest_add "accessories:" "  redis: {image: 'redis:7', host: h1, volumes: ['${SERVICE}_redis:/data']}"; }

with_postgres() {
	manifest_add "accessories:" "  db:" "    image: postgres:15" "    host: h2" \
		"    port: 5433:5432" \
		"    env: {clear: {POSTGRES_DB: shop}, secret: [POSTGRES_PASSWORD]}" \
		"    volumes: ['${SERVICE}_db:/var/lib/postgresql/data']" "$@"
	secrets_file POSTGRES_PASSWORD=sesame-open
}

sql() { deploy_ok accessory exec db -- psql -U postgres shop -qtAXc "$1" && cat "$DEPLOY_STDOUT"; }
ready_twice() { [[ $(grep -c "Ready to accept connections" "$DEPLOY_STDOUT") -ge 2 ]]; }
id_of() { docker_on "$1" inspect -f '{{.Id}}' "$2"; }

@test "a push boots a missing PostgreSQL on its own server, before anything else of the release" {
	with_postgres "    files:" "      - {local: init.sql, remote: /docker-entrypoint-initdb.d/init.sql, owner: postgres}" \
		"    directories:" "      - {local: dumps, remote: /dumps, owner: 'postgres:postgres', mode: '0700'}"
	app_commit "Database" "init.sql=create table t (x text); insert into t values ('\${POSTGRES_PASSWORD} \$\${X}');"
	deploy_ok plan
	assert_stdout "h2: boot accessory db and wait until it is healthy"
	deploy_ok push
	assert_equal "$(sql 'select x from t')" 'sesame-open ${X}'
	# Owner and mode; what has a secret in it is closed by default.
	assert_equal "$(docker_on h2 exec "$SERVICE-db" stat -c '%U %a' /docker-entrypoint-initdb.d/init.sql /dumps | tr '\n' ' ')" \
		"postgres 600 postgres 700 "
	# Ports on loopback; comes back by itself; the secret is in no argument.
	assert_equal "$(docker_on h2 port "$SERVICE-db")" "5432/tcp -> 127.0.0.1:5433"
	assert_equal "$(docker_on h2 inspect -f '{{.HostConfig.RestartPolicy.Name}}' "$SERVICE-db")" always
	# The host without a role takes no release record, nor is it one of the release's.
	refute testbed exec h2 test -e "/home/deploy/.deploy/$SERVICE/releases.jsonl"
	deploy_ok releases --json
	refute_stdout '"h2"'
	# The application's network knows it by both names.
	docker_on h2 run --rm --network deploy postgres:15 ping -c 1 db >/dev/null
	docker_on h2 run --rm --network deploy postgres:15 ping -c 1 "$SERVICE-db" >/dev/null
}

@test "one accessory on several servers: each is booted, asked, followed and removed" {
	manifest_add "accessories:" "  redis:" "    image: redis:7" "    hosts: [h1, h2]" \
		"    files: [{local: redis.conf, remote: /etc/redis.conf, mode: '0644'}]" \
		"    cmd: redis-server /etc/redis.conf" "    env: {clear: {LIMIT: 64mb}}"
	app_commit "Two" "redis.conf=maxmemory \${LIMIT}"
	deploy_ok push
	assert_containers h1 "^$SERVICE-redis$" 1 running
	assert_containers h2 "^$SERVICE-redis$" 1 running
	deploy_ok accessory exec redis redis-cli config get maxmemory
	assert_equal "$(grep -c 67108864 "$DEPLOY_STDOUT")" 2 hosts
	assert_stdout "^h1.*67108864"
	deploy_ok accessory exec -p redis -- redis-cli ping
	assert_equal "$(grep -c PONG "$DEPLOY_STDOUT")" 1 hosts
	deploy_ok accessory logs redis --tail 1
	assert_stdout "^h1 $SERVICE-redis | "
	assert_stdout "^h2 $SERVICE-redis | "
	deploy_ok accessory details redis --json
	assert_equal "$(jq -r 'select(.result == "accessory") | .host' "$DEPLOY_STDOUT" | sort | tr '\n' ' ')" "h1 h2 "
	deploy_ok accessory stop redis
	assert_containers h2 "^$SERVICE-redis$" 1 exited
	deploy_ok accessory restart redis
	assert_containers h2 "^$SERVICE-redis$" 1 running
	# One that is gone on one of them is all that a push boots; the other is not touched.
	local before
	before=$(id_of h1 "$SERVICE-redis")
	docker_on h2 rm -f "$SERVICE-redis" >/dev/null
	deploy_ok push
	assert_containers h2 "^$SERVICE-redis$" 1 running
	assert_equal "$(id_of h1 "$SERVICE-redis")" "$before"
}

@test "a push never touches one that is there, and tells how it differs" {
	with_redis
	deploy_ok push
	local id
	id=$(id_of h1 "$SERVICE-redis")
	manifest_edit 's/redis: {/&cmd: "redis-server --maxmemory 64mb", /'
	app_commit "Less memory" version.txt="version 2"
	deploy_ok push
	assert_stderr "accessory redis differs from the manifest: its settings changed .deploy accessory reboot redis"
	assert_equal "$(id_of h1 "$SERVICE-redis")" "$id"
	deploy_ok accessory exec redis redis-cli set a kept
	deploy_ok accessory reboot redis
	refute assert_equal "$(id_of h1 "$SERVICE-redis")" "$id"
	deploy_ok accessory exec redis -- redis-cli config get maxmemory
	assert_stdout 67108864
	deploy_ok accessory exec redis redis-cli get a
	assert_stdout kept
	# A release that is live already does not keep a missing one from being booted.
	deploy_ok -y accessory remove redis
	deploy_ok push
	assert_stdout "nothing to deploy"
	assert_containers h1 "^$SERVICE-redis\$" 1 running
}

@test "a reboot or upgrade that does not become healthy brings the old container back" {
	with_redis
	deploy_ok accessory boot redis
	deploy_ok accessory exec redis redis-cli set a kept
	local id
	id=$(id_of h1 "$SERVICE-redis")
	manifest_edit 's/redis: {/&cmd: "redis-server --no-such-option yes", boot_timeout: 10, /'
	deploy_fails 6 accessory reboot redis
	assert_stderr "no-such-option"
	assert_stderr "the old container is back"
	assert_equal "$(id_of h1 "$SERVICE-redis")" "$id"
	assert_containers h1 "$SERVICE-redis" 1 running
	deploy_ok accessory exec redis redis-cli get a
	assert_stdout kept
	deploy_ok accessory details
	assert_stdout "redis.*running.*its settings changed"
}

@test "an upgrade runs a newer image on the same volumes, and refuses another major version" {
	with_postgres
	deploy_ok accessory boot db
	sql 'create table t as select 42 as x'
	deploy_ok accessory upgrade db
	assert_stderr "has the newest postgres:15 already"
	# A newer image of the name, and one that says to be PostgreSQL 16, made of the same.
	docker tag postgres:15 "postgres:$SERVICE"
	manifest_edit "s/postgres:15/postgres:$SERVICE/"
	deploy_ok accessory reboot db
	printf 'FROM postgres:15\nLABEL newer=yes\n' | DOCKER_BUILDKIT=0 docker build -q -t "postgres:$SERVICE" - >/dev/null
	deploy_ok accessory upgrade db
	assert_equal "$(docker_on h2 inspect -f '{{.Config.Labels.newer}}' "$SERVICE-db")" yes
	assert_equal "$(sql 'select x from t')" 42
	printf 'FROM postgres:15\nENV PG_MAJOR=16\n' | DOCKER_BUILDKIT=0 docker build -q -t "postgres:$SERVICE" - >/dev/null
	deploy_fails 2 accessory upgrade db
	assert_stderr "PostgreSQL 16, which cannot read the data of PostgreSQL 15"
	assert_equal "$(sql 'select x from t')" 42
	docker rmi -f "postgres:$SERVICE" >/dev/null
}

@test "a database that does not come up ends the push before the release, with its last lines" {
	with_postgres
	manifest_edit 's/, secret: \[POSTGRES_PASSWORD\]//'
	manifest_add "    boot_timeout: 20"
	app_commit "No password"
	deploy_fails 6 push
	assert_stderr "superuser password is not specified"
	assert_containers h2 "$SERVICE" 0
	assert_containers h1 "^$SERVICE-web" 0
}

@test "logs -f follow through a restart, stop stays stopped, remove asks and keeps the data" {
	with_redis
	deploy_ok accessory boot all
	deploy_start accessory logs redis -f
	deploy_await "Ready to accept connections"
	(cd "$APP" && deploy_env "$DEPLOY_BIN" accessory restart redis) >/dev/null 2>&1
	eventually 30 ready_twice
	deploy_signal -INT
	deploy_wait
	deploy_ok accessory exec redis redis-cli set a kept
	deploy_ok accessory stop redis
	assert_containers h1 "$SERVICE-redis" 1 exited
	deploy_fails 5 accessory exec redis redis-cli ping
	deploy_ok accessory start redis
	deploy_fails 2 accessory remove redis
	assert_containers h1 "$SERVICE-redis" 1 running
	deploy_ok -y accessory remove redis
	assert_containers h1 "$SERVICE-redis" 0
	deploy_ok accessory boot redis
	deploy_ok accessory exec redis redis-cli get a
	assert_stdout kept
	deploy_ok -y accessory remove --data redis
	refute docker_on h1 volume inspect "${SERVICE}_redis"
	deploy_fails 2 accessory boot rediss
	assert_stderr "did you mean 'redis'"
}

@test "a reboot that was killed is ended by the next command, without loss" {
	with_redis
	deploy_ok accessory boot redis
	deploy_ok accessory exec redis redis-cli set a kept
	deploy_start accessory reboot redis
	deploy_await "stopping|starting"
	deploy_signal -9
	deploy_wait
	deploy_ok push
	deploy_ok accessory boot redis
	assert_containers h1 "$SERVICE-redis" 1 running
	assert_containers h1 "^$SERVICE-redis\$" 1 running
	deploy_ok accessory exec redis redis-cli get a
	assert_stdout kept
}

# knocks NETWORK HOST PORT: somebody on that network gets through to it.
knocks() { docker_on h1 run --rm --network "$1" --entrypoint sh redis:7 -c "nc -w 3 $2 $3 -e true"; }

@test "an accessory on an internal network: the app reaches it, others do not, and it has no way out" {
	manifest_edit 's/^    hosts: .*/&\n    networks: [backend]/'
	manifest_add "networks: {backend: {internal: true}}" \
		"accessories:" "  redis: {image: 'redis:7', host: h1, networks: [backend], volumes: ['${SERVICE}_redis:/data']}"
	deploy_ok plan
	assert_stdout "h1: create network $SERVICE.backend .internal"
	deploy_ok push
	local app address
	app=$(docker_on h1 ps -q --filter "name=^$SERVICE-web")
	address=$(docker_on h1 inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$SERVICE-redis")
	assert_serves "version 1" "http://$H1_IP/" "$VHOST"
	knocks "container:$app" redis 6379
	knocks deploy "$H2_IP" 22
	refute knocks deploy "$SERVICE-redis" 6379
	refute knocks deploy "$address" 6379
	refute knocks "container:$SERVICE-redis" "$H2_IP" 22
	# A command beside the application, a second release and the one gone back to are there too.
	app_commit "Two" version.txt="version 2"
	deploy_ok push
	deploy_ok rollback
	assert_serves "version 1" "http://$H1_IP/" "$VHOST"
	knocks "container:$(docker_on h1 ps -q --filter "name=^$SERVICE-web")" redis 6379
	# What Docker cannot change is told.
	manifest_edit 's/internal: true/internal: false/'
	deploy_ok plan
	assert_stdout "network $SERVICE.backend is internal, the manifest wants it open"
	deploy_ok -y remove
	docker_on h1 network inspect "$SERVICE.backend" >/dev/null
	deploy_ok -y accessory remove --data redis
	refute docker_on h1 network inspect "$SERVICE.backend"
}

@test "a container of that name which is somebody else's is left alone" {
	with_redis
	docker_on h1 run -d --name "$SERVICE-redis" redis:7 >/dev/null 2>&1 ||
		{ docker save redis:7 | docker_on h1 load -q && docker_on h1 run -d --name "$SERVICE-redis" redis:7; } >/dev/null
	deploy_fails 5 accessory boot redis
	assert_stderr "there is a container '$SERVICE-redis' already, and it is not this accessory"
	assert_containers h1 "$SERVICE-redis" 1 running
	docker_on h1 rm -f "$SERVICE-redis" >/dev/null
}
