#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Every release is on record, on the servers.

setup_file() {
	load ../support/helpers
	bed_up 2
}

teardown_file() { bed_down; }

setup() {
	load ../support/helpers
	service_repo "past$BATS_TEST_NUMBER" h1 h2
}

teardown() {
	e2e_report
	service_forget
}

record() { echo "/home/deploy/.deploy/$SERVICE/releases.jsonl"; }

# JQ-FILTER: over the array of releases, as another member of the team sees them
releases() {
	DEPLOY_HOME=$BATS_TEST_TMPDIR/colleague deploy_ok releases --json
	jq -rs "map(select(.result == \"release\")) | sort_by(.number) | $1" "$DEPLOY_STDOUT"
}

@test "releases, show and diff tell what was deployed, by whom and from what" {
	local v1 v2
	deploy_ok push
	v1=$(app_version)
	manifest_add "env:" "  clear: {COLOUR: green}"
	app_commit "Paint it green" version.txt="version 2"
	app_commit "And one more commit"
	deploy_ok push
	v2=$(app_version)
	app_commit "Crash" crash="no"
	deploy_fails 6 push
	deploy_ok rollback
	assert_equal "$(releases 'map("\(.number) \(.outcome) \(.version)") | join(", ")')" \
		"1 live $v1, 2 live $v2, 3 failed $(app_version), 4 live $v1"
	assert_equal "$(releases '.[1] | "\(.subject) \(.performer) \(.command) \(.replaced)"')" \
		"And one more commit author@sample.test push 1"
	assert_equal "$(releases '.[1] | (.duration_ms > 0), (.image_id | startswith("sha256:")), .hosts.h1, .hosts.h2' | tr '\n' ' ')" "true true ok ok "
	assert_equal "$(releases '.[2].error | contains("exit code 3")')" true
	assert_equal "$(releases '.[3] | "\(.command) \(.runs)"')" "rollback 1"
	deploy_ok releases
	assert_stdout "$v2.*And one more commit"
	deploy_ok releases show 2
	assert_stdout "author@sample.test"
	assert_stdout "$v2"
	deploy_ok releases show 2 --json
	assert_equal "$(jq -r 'select(.result) | .config.env.clear.COLOUR' "$DEPLOY_STDOUT")" green
	deploy_ok releases diff 1 2
	assert_stdout "Paint it green"
	assert_stdout "And one more commit"
	assert_stdout "COLOUR"
	deploy_ok releases diff 1 2 --json
	assert_equal "$(jq -r 'select(.result) | .commits | length' "$DEPLOY_STDOUT")" 2
	jq -se 'any(.[]; .result and (.config | tostring | contains("COLOUR")))' "$DEPLOY_STDOUT" >/dev/null ||
		fail "the changed variable is not told"
	deploy_fails 2 releases show 99
	deploy_ok audit
	assert_stdout "author@sample.test.*release 1 \($v1\): live \(deploy push\)"
	assert_stdout "release 3 .*: failed"
	assert_equal "$(wc -l <"$DEPLOY_STDOUT")" 4 "lines of the audit"
	deploy_ok audit --json
	jq -se 'map(select(.result == "audit")) | length == 4' "$DEPLOY_STDOUT" >/dev/null || deploy_show audit
}

@test "both servers have the same record" {
	deploy_ok push
	app_commit "Version 2" version.txt="version 2"
	deploy_ok push
	assert_equal "$(on h1 cat "$(record)")" "$(on h2 cat "$(record)")"
	assert_equal "$(on h1 stat -c %a .deploy "$(record)" | tr '\n' ' ')" "700 600 "
}

@test "a torn last line is ignored and repaired" {
	deploy_ok push
	app_commit "Version 2" version.txt="version 2"
	deploy_ok push
	# The tool died in the middle of a write: half of the last line is there.
	testbed exec h1 truncate -s -100 "$(record)"
	deploy_ok releases
	assert_stdout "live"
	deploy_ok status
	assert_stdout "release 2"
	app_commit "Version 3" version.txt="version 3"
	deploy_ok push
	assert_equal "$(releases 'map("\(.number) \(.outcome)") | join(", ")')" "1 live, 2 live, 3 live"
	# Alone h1's copy tells it all again.
	testbed exec h2 rm "$(record)"
	assert_equal "$(releases 'map("\(.number) \(.outcome)") | join(", ")')" "1 live, 2 live, 3 live"
}

@test "torn on every server, the traffic tells how the last release ended" {
	deploy_ok push
	app_commit "Version 2" version.txt="version 2"
	deploy_ok push
	testbed exec h1 truncate -s -100 "$(record)"
	testbed exec h2 truncate -s -100 "$(record)"
	load_start --expect "version 2" --host-header "$VHOST" "http://$H1_IP" "http://$H2_IP"
	deploy_ok push
	load_stop
	assert_no_failures
	assert_equal "$(releases 'map("\(.number) \(.outcome)") | join(", ")')" "1 live, 2 live"
	deploy_ok rollback
	assert_serves "version 1" "http://$H2_IP/" "$VHOST"
}

@test "a record deleted on one server comes from the other" {
	deploy_ok push
	app_commit "Version 2" version.txt="version 2"
	deploy_ok push
	testbed exec h1 rm "$(record)"
	deploy_ok rollback
	assert_serves "version 1" "http://$H1_IP/" "$VHOST"
	assert_equal "$(on h1 cat "$(record)" | jq -s 'map(.number // empty) | unique')" "$(on h2 cat "$(record)" | jq -s 'map(.number // empty) | unique')"
}

@test "a record deleted on all servers is rebuilt from the containers, and said aloud" {
	local v1
	deploy_ok push
	v1=$(app_version)
	app_commit "Version 2" version.txt="version 2"
	deploy_ok push
	testbed exec h1 rm "$(record)"
	testbed exec h2 rm "$(record)"
	deploy_ok status
	assert_stderr "no server has a release history: rebuilt 2 release"
	load_start --expect "version 2" --expect "version 3" --host-header "$VHOST" "http://$H1_IP" "http://$H2_IP"
	app_commit "Version 3" version.txt="version 3"
	deploy_ok push
	load_stop
	assert_no_failures
	assert_stderr "rebuilt 2 release"
	assert_equal "$(releases 'map("\(.number) \(.outcome)") | join(", ")')" "1 live, 2 live, 3 live"
	refute_stderr "rebuilt"
	deploy_ok rollback "$v1"
	assert_serves "version 1" "http://$H2_IP/" "$VHOST"
}

@test "a whole ~/.deploy deleted on all servers neither stops the service nor the next push" {
	deploy_ok push
	app_commit "Version 2" version.txt="version 2"
	traffic_start "version 1" "version 2"
	testbed exec h1 rm -rf "/home/deploy/.deploy/$SERVICE"
	testbed exec h2 rm -rf "/home/deploy/.deploy/$SERVICE"
	deploy_ok push
	traffic_stop
	assert_serves "version 2" "http://$H1_IP/" "$VHOST"
}

@test "garbage in a record is skipped, and told" {
	deploy_ok push
	testbed exec h2 sh -c "echo '{\"event\": 7, \"number\": {}}' >>$(record); head -c 300 /dev/urandom >>$(record)"
	deploy_ok releases
	assert_stderr "h2.*damaged line"
	app_commit "Version 2" version.txt="version 2"
	deploy_ok push
	assert_equal "$(releases 'map("\(.number) \(.outcome)") | join(", ")')" "1 live, 2 live"
}

@test "releases says where each is live when --hosts left hosts behind" {
	deploy_ok push
	app_commit "Version 2" version.txt="version 2"
	deploy_ok push --hosts h1
	deploy_ok releases
	assert_stdout '^ *2 +live on h1 '
	assert_stdout '^ *1 +live on h2 '
	assert_equal "$(releases 'map("\(.number) \(.state) \(.live_on | join("+"))") | join(", ")')" "1 live h2, 2 live h1"
	# What keeps serving after a failure is told for each host.
	app_commit "Crash" crash="no"
	deploy_fails 6 push
	assert_stderr "release 2\) keeps serving on h1"
	assert_stderr "release 1\) keeps serving on h2"
	app_commit "Mended" crash-
	deploy_ok push
	deploy_ok releases
	assert_stdout '^ *4 +live  '
	assert_stdout '^ *1 +retired '
}

@test "a host that left the manifest is told of, and can be taken off" {
	local word
	deploy_ok push
	manifest_edit 's/\[h1, h2\]/[h1]/'
	app_commit "Without h2" version.txt="version 2"
	for word in plan status push; do
		deploy_ok "$word"
		assert_stderr "host 'h2' is not in the manifest any more, .*release 1.*'deploy remove --hosts h2'"
	done
	assert_containers h2 "^$SERVICE-web" 1 running
	deploy_fails 2 remove --hosts h3 -y
	assert_stderr "none of that name left"
	deploy_ok remove --hosts h2 -y
	assert_containers h2 "^$SERVICE-web" 0
	refute on h2 test -e "/home/deploy/.deploy/$SERVICE"
	refute curl -sf -H "Host: $VHOST" "http://$H2_IP/"
	assert_serves "version 2" "http://$H1_IP/" "$VHOST"
	deploy_ok plan
	refute grep -q "not in the manifest" "$DEPLOY_STDERR"
	assert_equal "$(releases 'map("\(.number) \(.outcome)") | join(", ")')" "1 live, 2 live"
}

@test "a host under a new name is no host that left" {
	deploy_ok push
	sed -e 's/Host h2 /Host h2 renamed /' "$BED_SSH_CONFIG" >"$BATS_TEST_TMPDIR/ssh_config"
	manifest_edit "s/\[h1, h2\]/[h1, renamed]/; s,$BED_SSH_CONFIG,$BATS_TEST_TMPDIR/ssh_config,"
	app_commit "Another name" version.txt="version 2"
	deploy_ok push
	assert_stderr "host 'h2' is not in the manifest any more"
	deploy_ok remove --hosts h2 -y
	assert_stderr "the same server as 'renamed'"
	assert_serves "version 2" "http://$H2_IP/" "$VHOST"
	deploy_ok plan
	refute grep -q "not in the manifest" "$DEPLOY_STDERR"
}
