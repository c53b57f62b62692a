#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The pipelines of deploy/ci, step by step as GitLab and GitHub run them (fake: there is no runner
# here; their shells, variables and order are played), against real servers.

setup_file() {
	load ../support/helpers
	bed_up 1
}

teardown_file() { bed_down; }

setup() {
	load ../support/helpers
	service_repo "ci$BATS_TEST_NUMBER" h1
	command -v python3 >/dev/null || skip "python3 is not there"
	python3 -c 'import yaml' 2>/dev/null || skip "python3-yaml is not there"
	mkdir -p "$APP/bin" "$BATS_TEST_TMPDIR/path"
	ln -s "$DEPLOY_BIN" "$BATS_TEST_TMPDIR/path/deploy"
	printf '#!/bin/sh\necho tested\n' >"$APP/bin/test"
	chmod +x "$APP/bin/test"
	# The servers as CI knows them: no key on the disk, their host keys from a variable. ssh takes
	# the home from the user's account, which here is not the runner's.
	CI_HOME=$BATS_TEST_TMPDIR/ci
	grep -v IdentityFile "$BED_SSH_CONFIG" |
		sed "/UserKnownHostsFile/d; s|^Host .*|&\n  UserKnownHostsFile $CI_HOME/.ssh/known_hosts|" \
		>"$BATS_TEST_TMPDIR/ssh_config"
	manifest_edit "s|$BED_SSH_CONFIG|$BATS_TEST_TMPDIR/ssh_config|"
	manifest_add 'builder: {tags: ["{branch}-{sha}", "${IMAGE_TAG:-latest}"]}'
	printf 'env: {clear: {STAGE: staging}}\n' >"$APP/deploy.staging.yml"
	printf 'env: {clear: {STAGE: production}}\nproxy: {host: %s.production}\n' "$SERVICE" >"$APP/deploy.production.yml"
	app_commit "Pipelines"
}

teardown() {
	e2e_report
	deploy_run -y remove -d staging
	deploy_run -y remove -d production
	service_forget
}

# steps FILE JOB: its shell steps, one a line (they are of one line each).
steps() {
	python3 - "$E2E_ROOT/deploy/ci/$1" "$2" <<-'END'
	import sys, yaml
	pipeline = yaml.safe_load(open(sys.argv[1]))
	if 'jobs' in pipeline:
	    lines = [s['run'] for s in pipeline['jobs'][sys.argv[2]]['steps'] if 'run' in s]
	else:
	    lines = pipeline['default']['before_script'] + pipeline[sys.argv[2]]['script']
	print('\n'.join(line.strip() for line in lines))
	END
}

# job FILE JOB [NAME=VALUE]...: in the shell of a runner, with a home of its own.
job() {
	local file=$1 name=$2
	shift 2
	steps "$file" "$name" >"$BATS_TEST_TMPDIR/steps"
	[[ -s $BATS_TEST_TMPDIR/steps ]]
	deploy_files
	DEPLOY_HOME=$CI_HOME
	rm -rf "$CI_HOME"
	mkdir -p "$CI_HOME"
	git config --file "$DEPLOY_HOME/.gitconfig" safe.directory '*'
	(cd "$APP" && deploy_env env "PATH=$BATS_TEST_TMPDIR/path:$PATH" "HOME=$DEPLOY_HOME" CI=true "$@" \
		bash -eo pipefail "$BATS_TEST_TMPDIR/steps") </dev/null >"$DEPLOY_STDOUT" 2>"$DEPLOY_STDERR" 3>&- || {
		# shellcheck disable=SC2034 # deploy_show prints it
		DEPLOY_STATUS=$?
		deploy_show "job $name of $file"
		return 1
	}
	! grep -rqF "$(sed -n 3p "$BED/id_ed25519")" "$DEPLOY_HOME" "$APP" || fail "the key was written"
	unset DEPLOY_HOME
}

tags() { docker images --format '{{.Tag}}' "$SERVICE" | sort | tr '\n' ' '; }
at() { curl -s -m 5 -H "Host: $1" "http://$H1_IP/env?name=STAGE"; }

@test "GitLab's jobs test, build, deploy to staging and production, and roll back" {
	local sha
	export KNOWN_HOSTS=$BED_KNOWN_HOSTS
	sha=$(app_version)
	job gitlab-ci.yml test
	grep -q tested "$DEPLOY_STDOUT"
	job gitlab-ci.yml build
	[[ $(tags) == "$sha latest main-"* ]] || fail "tags: $(tags)"
	job gitlab-ci.yml build "IMAGE_TAG=pr-12"
	[[ $(tags) == *" pr-12 "* ]] || fail "tags: $(tags)"
	job gitlab-ci.yml staging "DEPLOY_SSH_KEY=$(base64 -w0 "$BED/id_ed25519")"
	assert_equal "$(at "$VHOST")" staging
	job gitlab-ci.yml production "DEPLOY_SSH_KEY=$(base64 -w0 "$BED/id_ed25519")"
	assert_equal "$(at "$SERVICE.production")" production
	app_commit "Version 2" version.txt="version 2"
	job gitlab-ci.yml build
	job gitlab-ci.yml production "DEPLOY_SSH_KEY=$(base64 -w0 "$BED/id_ed25519")"
	assert_serves "version 2" "http://$H1_IP/" "$SERVICE.production"
	job gitlab-ci.yml rollback "DEPLOY_SSH_KEY=$(base64 -w0 "$BED/id_ed25519")"
	assert_serves "version 1" "http://$H1_IP/" "$SERVICE.production"
	# Who has no key, or whose servers are unknown, gets a clear word and changes nothing.
	refute job gitlab-ci.yml production
	assert_stderr "DEPLOY_SSH_KEY|no key|authent"
	KNOWN_HOSTS=/dev/null refute job gitlab-ci.yml staging "DEPLOY_SSH_KEY=$(base64 -w0 "$BED/id_ed25519")"
	assert_stderr "not known|unknown"
}

@test "GitHub's jobs test, build with a version's tag, and deploy with a plain key" {
	local sha known
	known=$(<"$BED_KNOWN_HOSTS")
	sha=$(app_version)
	job github-workflow.yml test
	job github-workflow.yml build "IMAGE_TAG=v1.2.3"
	[[ $(tags) == "$sha main-"*" v1.2.3 " ]] || fail "tags: $(tags)"
	job github-workflow.yml staging "KNOWN_HOSTS=$known" "DEPLOY_SSH_KEY=$(<"$BED/id_ed25519")"
	assert_equal "$(at "$VHOST")" staging
	job github-workflow.yml production "KNOWN_HOSTS=$known" "DEPLOY_SSH_KEY=$(<"$BED/id_ed25519")"
	assert_equal "$(at "$SERVICE.production")" production
}
