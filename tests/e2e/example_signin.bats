#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# deploy/examples/signin, walked through as its owner's document has it: the pipeline's jobs (fake:
# there is no runner, their lines are played), both paths over HTTPS, the database within, rollback.
# The tests go on from one another.

setup_file() {
	load ../support/helpers
	bed_up 1
	"$E2E_ROOT/deploy/support/image" app-base:1 postgres:15 nginx:1
	export APP=$BATS_FILE_TMPDIR/app CI_REGISTRY DEPLOY_SSH_KEY CI_REGISTRY_USER=gitlab CI_REGISTRY_PASSWORD=token
	CI_REGISTRY=$(testbed registry up "$CI_REGISTRY_USER" "$CI_REGISTRY_PASSWORD")
	example_repo signin signin.example.com=h1
	# The runner has the key in a variable only.
	DEPLOY_SSH_KEY=$(base64 -w0 "$BED_KEY")
	sed -i /IdentityFile/d "$(e2e_tmp)/ssh_config"
	self_signed "$BATS_FILE_TMPDIR" signin.example.com
	secrets_file SECRET_KEY_BASE=base POSTGRES_PASSWORD=opensesame \
		DATABASE_URL=postgres://signin:opensesame@signin-backend-db/signin \
		"CI_REGISTRY_USER=\"\$CI_REGISTRY_USER\"" "CI_REGISTRY_PASSWORD=\"\$CI_REGISTRY_PASSWORD\"" \
		"CERTIFICATE=\$(cat $BATS_FILE_TMPDIR/cert.pem)" "CERTIFICATE_KEY=\$(cat $BATS_FILE_TMPDIR/key.pem)"
}

teardown_file() {
	docker images -q "$CI_REGISTRY/acme/signin/*" | sort -u | xargs -r docker rmi -f >/dev/null 2>&1 || true
	bed_down
}

setup() { load ../support/helpers; }

teardown() { e2e_report; }

# job NAME: its lines that are the tool's.
job() {
	local line
	while read -r line; do
		# shellcheck disable=SC2086 # words
		deploy_ok ${line#deploy }
	done < <(python3 - "$APP/.gitlab-ci.yml" "$1" <<-'END'
		import sys, yaml
		lines = yaml.safe_load(open(sys.argv[1]))[sys.argv[2]]['script']
		print('\n'.join(l for l in lines if l.startswith('deploy ')))
	END
	)
}

fetch() { # PATH [OPTION...]
	curl -s -m 5 --cacert "$BATS_FILE_TMPDIR/cert.pem" --resolve "signin.example.com:443:$H1_IP" \
		"${@:2}" "https://signin.example.com$1"
}

@test "the pipeline builds, pushes images by commit, and deploys with a key from a variable" {
	python3 -c 'import yaml' 2>/dev/null || skip "python3-yaml is not there"
	job build_backend
	job build_frontend
	job push_images
	job deploy_prod
	assert_equal "$(docker_on h1 ps --format '{{.Names}}' | grep -c -- "-$(app_version)$")" 2
	docker_on h1 image inspect "$CI_REGISTRY/acme/signin/backend:$(app_version)" >/dev/null
}

@test "/api is the backend's and all else the front end's, over HTTPS by the given certificate" {
	assert_equal "$(fetch /api/)" "version 1"
	fetch / | grep -F 'Sign in 1'
	fetch /health.html | grep -qx OK
	assert_equal "$(fetch /api/health -o /dev/null -w '%{http_code}')" 200
	assert_equal "$(curl -s -m 5 -o /dev/null -w '%{http_code}' -H 'Host: signin.example.com' "http://$H1_IP/api/")" 308
}

@test "the database is reached from within alone" {
	deploy_ok -c backend/deploy.yml accessory exec db -- psql -U signin signin -qtAXc 'select count(*) from schema_migrations'
	assert_stdout 1
	assert_equal "$(docker_on h1 port signin-backend-db)" ""
}

@test "a backend and a front end are released and rolled back apart" {
	app_commit "Version 2" "backend/version.txt=version 2" "frontend/dist/index.html=<h1>Sign in 2</h1>"
	job push_images
	job deploy_prod
	assert_equal "$(fetch /api/)" "version 2"
	fetch / | grep -F 'Sign in 2'
	deploy_ok -c backend/deploy.yml rollback
	assert_equal "$(fetch /api/)" "version 1"
	fetch / | grep -F 'Sign in 2'
}
