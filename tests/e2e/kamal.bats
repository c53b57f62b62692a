#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What Kamal's users bring, unchanged: reportify's manifest (as in tests/plan/manifest) with a port of
# the server and no proxy, its .kamal/secrets that is a shell script as well, its SSH port.

setup_file() {
	load ../support/helpers
	bed_up 1
	"$E2E_ROOT/deploy/support/image" app-base:1 postgres:15 redis:7
	docker tag redis:7 redis:7-alpine
	testbed add-user h1 rs-dev
	testbed sshd-option h1 'Port 2121'
}

teardown_file() {
	docker rmi redis:7-alpine >/dev/null 2>&1 || true
	bed_down
}

setup() { load ../support/helpers; }

teardown() {
	SERVICE=reportify-api
	service_forget
	e2e_report
}

reportify() {
	APP=$(e2e_tmp)/app SERVICE=reportify-api
	mkdir -p "$APP/config" "$APP/.kamal"
	git -C "$APP" -c init.defaultBranch=main init -q
	git -C "$APP" config user.name "The Owner"
	git -C "$APP" config user.email owner@reportify.test
	printf 'Host rs-development.net\n    HostName %s\n' "$H1_IP" | cat - "$BED_SSH_CONFIG" >"$(e2e_tmp)/ssh_config"
	sed "s|^ssh:|&\n  config: $(e2e_tmp)/ssh_config|" \
		"$E2E_ROOT/tests/plan/manifest/reportify-owner.yml" >"$APP/config/deploy.yml"
	cat >"$APP/.kamal/secrets" <<-'END'
	#!/usr/bin/env bash
	if [ -f .env.production ]; then
	  export $(grep -v '^#' .env.production | xargs)
	fi
	export RAILS_MASTER_KEY="${RAILS_MASTER_KEY}"
	export JWT_SECRET_KEY="${JWT_SECRET_KEY}"
	export DB_PASSWORD="${DB_PASSWORD}"
	export REDIS_URL="redis://reportify-api-redis:6379/0"
	END
	chmod 700 "$APP/.kamal/secrets"
	export RAILS_MASTER_KEY=master JWT_SECRET_KEY=jwt DB_PASSWORD=opensesame
	app_commit "As it is today" "version.txt=version 1" \
		"bundle=#!/bin/sh
echo \"sidekiq: \$* of \$(cat /app/version.txt)\"
trap 'exit 0' TERM
while :; do sleep 1; done" \
		"Dockerfile=FROM app-base:1
COPY --chmod=755 bundle /bin/bundle
COPY version.txt /app/version.txt"
}

@test "reportify's own Kamal manifest pushes: port, worker, databases on loopback, limits, rollback" {
	reportify
	deploy_ok push
	assert_stderr 'one stops before the new one starts'
	assert_serves "version 1" "http://$H1_IP:3002/"
	deploy_ok accessory logs sidekiq
	assert_stdout 'sidekiq: exec sidekiq -C config/sidekiq.yml of version 1'
	deploy_ok accessory exec redis -- redis-cli ping
	deploy_ok accessory exec db -- psql -U postgres reportify_production -qtAXc 'select 1'
	assert_equal "$(docker_on h1 port reportify-api-db) $(docker_on h1 port reportify-api-redis)" \
		"5432/tcp -> 127.0.0.1:5433 6379/tcp -> 127.0.0.1:6380"
	assert_equal "$(docker_on h1 inspect -f '{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}}' \
		"$(docker_on h1 ps -qf label=deploy.role=web)")" "2147483648 2000000000"
	app_commit "Second" "version.txt=version 2"
	deploy_ok push
	assert_serves "version 2" "http://$H1_IP:3002/"
	deploy_ok rollback
	assert_serves "version 1" "http://$H1_IP:3002/"
}
