#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Hooks of the user's: when they run, what they are told, and what becomes of a command they end.

setup_file() {
	load ../support/helpers
	bed_up 2
}

teardown_file() { bed_down; }

setup() {
	load ../support/helpers
	service_repo "hooks$BATS_TEST_NUMBER" h1 h2
	RAN=$BATS_TEST_TMPDIR/ran
	mkdir -p "$APP/.deploy/hooks"
}

teardown() {
	e2e_report
	deploy_run -y remove
	service_forget
}

hook() { # NAME LINE...
	printf '%s\n' '#!/bin/sh' "${@:2}" >"$APP/.deploy/hooks/$1"
	chmod +x "$APP/.deploy/hooks/$1"
}

all_hooks() {
	local name
	for name in pre-connect pre-build pre-deploy pre-app-boot post-app-boot post-deploy deploy-failed \
		post-rollback pre-proxy-reboot post-proxy-reboot docker-setup; do
		hook "$name" "env | grep -E '^(DEPLOY|KAMAL)_' | sort >$RAN.$name" "echo $name >>$RAN" "echo out-of-$name"
	done
}

ran() { tr '\n' ' ' <"$RAN"; }
told() { sed -n "s/^$2=//p" "$RAN.$1"; } # HOOK VARIABLE

@test "hooks run in their order, with the release in their environment, and their output is shown" {
	all_hooks
	deploy_ok push --hosts h1,h2
	assert_equal "$(ran)" "pre-connect pre-build pre-deploy pre-app-boot post-app-boot post-deploy "
	assert_stderr "out-of-post-deploy"
	assert_equal "$(told post-deploy DEPLOY_VERSION)" "$(app_version)"
	assert_equal "$(told post-deploy DEPLOY_SERVICE)" "$SERVICE"
	assert_equal "$(told post-deploy DEPLOY_DESTINATION)" ""
	assert_equal "$(told post-deploy DEPLOY_HOSTS)" h1,h2
	assert_equal "$(told post-deploy DEPLOY_ROLES)" web
	assert_equal "$(told post-deploy DEPLOY_COMMAND)" push
	assert_equal "$(told post-deploy DEPLOY_PERFORMER)" author@sample.test
	assert_equal "$(told post-deploy DEPLOY_RELEASE)" 1
	[[ $(told post-deploy DEPLOY_RUNTIME) =~ ^[0-9]+$ ]] || fail "no runtime"
	# Kamal's names have the same values.
	assert_equal "$(sed -n 's/^KAMAL_//p' "$RAN.post-deploy")" \
		"$(grep -v '^DEPLOY_BIN=' "$RAN.post-deploy" | sed -n 's/^DEPLOY_//p')"
	assert_equal "$(told post-deploy KAMAL_HOSTS)" h1,h2
	rm "$RAN"
	app_commit "Version 2" version.txt="version 2"
	deploy_ok push
	rm "$RAN"
	deploy_ok rollback
	assert_equal "$(ran)" "pre-app-boot post-app-boot post-rollback "
	assert_equal "$(told post-rollback DEPLOY_COMMAND)" rollback
	assert_equal "$(told post-rollback DEPLOY_RELEASE)" 3
	rm "$RAN"
	deploy_ok proxy reboot
	assert_equal "$(ran)" "pre-proxy-reboot post-proxy-reboot "
	rm "$RAN"
	deploy_ok push --force --skip-hooks
	[[ ! -e $RAN ]] || fail "with --skip-hooks: $(ran)"
	app_commit "Version 3" version.txt="version 3"
	deploy_ok setup
	assert_equal "$(ran)" "pre-connect docker-setup pre-build pre-deploy pre-app-boot post-app-boot post-deploy "
}

@test "deploy-failed gets the reason and the host; a hook that fails ends the push before it moves" {
	all_hooks
	deploy_ok push
	rm "$RAN"
	app_commit "Sick" version.txt="version 2" unhealthy="not today"
	deploy_fails 6 push --hosts h2
	assert_equal "$(ran)" "pre-connect pre-build pre-deploy pre-app-boot deploy-failed "
	assert_equal "$(told deploy-failed DEPLOY_FAILED_HOST)" h2
	assert_equal "$(told deploy-failed DEPLOY_RELEASE)" 2
	grep -q "h2" <<<"$(told deploy-failed DEPLOY_REASON)" || fail "$(told deploy-failed DEPLOY_REASON)"
	app_commit "Well" unhealthy- version.txt="version 3"
	for one in pre-connect pre-build pre-deploy pre-app-boot post-app-boot; do
		hook "$one" "echo no, says $one; exit 9"
		deploy_fails 5 push
		assert_stderr "hook '$one' ended with status 9"
		assert_stderr "no, says $one"
		assert_serves "version 0" "http://$H1_IP/" "$VHOST" || assert_serves "version 1" "http://$H1_IP/" "$VHOST"
		assert_containers h1 "^$SERVICE-web" 1
		rm "$APP/.deploy/hooks/$one"
	done
	# The last one only warns: the release is live.
	hook post-deploy "exit 9"
	deploy_ok push
	assert_stderr "hook 'post-deploy' ended with status 9"
	assert_serves "version 3" "http://$H2_IP/" "$VHOST"
}

@test "a hook that hangs is stopped after 30 minutes (fake clock, 2000 times as fast)" {
	local lib
	lib=$(ls /usr/lib/*/faketime/libfaketimeMT.so.1 2>/dev/null) || skip "libfaketime is not there"
	hook pre-connect "echo waiting; exec sleep 100000000"
	deploy_files
	DEPLOY_STATUS=0
	(cd "$APP" && deploy_env timeout 100 env LD_PRELOAD="$lib" FAKETIME='+0 x2000' "$DEPLOY_BIN" push) \
		</dev/null >"$DEPLOY_STDOUT" 2>"$DEPLOY_STDERR" 3>&- || DEPLOY_STATUS=$?
	assert_equal "$DEPLOY_STATUS" 5 status
	assert_stderr "hook 'pre-connect' took too long"
	assert_stderr "waiting"
}

@test "a changed secret is told by name in plan, push and history, never by value" {
	manifest_add "env:" "  secret: [TOKEN, OTHER]"
	secrets_file TOKEN=sesame-one OTHER=stays-as-it-is
	app_commit "Secrets"
	deploy_ok push
	secrets_file TOKEN=sesame-two OTHER=stays-as-it-is
	app_commit "Version 2" version.txt="version 2"
	deploy_ok plan
	assert_stdout "secret TOKEN changed"
	refute_stdout "OTHER"
	deploy_ok push
	assert_stderr "secret TOKEN changed"
	refute_stderr "secret OTHER"
	deploy_ok releases diff 1 2
	assert_stdout "secret TOKEN: changed"
	refute_stdout "secret OTHER"
	# Keyed: whoever reads the record cannot try values.
	deploy_ok releases --json
	assert_equal "$(jq -rs 'map(.env_digests.TOKEN) | unique | length' "$DEPLOY_STDOUT")" 2 digests
	assert_equal "$(jq -rs 'map(.env_digests.OTHER) | unique | length' "$DEPLOY_STDOUT")" 1 digests
	refute_stdout "$(printf sesame-one | sha256sum | cut -c1-16)"
	refute testbed exec h1 grep -rE "sesame-(one|two)" "/home/deploy/.deploy/$SERVICE"
	# A rollback says nothing of it, and has the old one on record.
	deploy_ok rollback
	deploy_ok releases diff 2 3
	assert_stdout "secret TOKEN: changed"
	deploy_ok releases diff 1 3
	refute_stdout "secret TOKEN"
}
