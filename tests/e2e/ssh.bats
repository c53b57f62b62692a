#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# How the servers are reached, and how it is told when they are not.

setup_file() {
	load ../support/helpers
	bed_up 2
}
teardown_file() {
	load ../support/helpers
	bed_down
}
setup() {
	load ../support/helpers
	S=s$BATS_TEST_NUMBER
	CONFIG=$BATS_TEST_TMPDIR/ssh_config
	cp "$BED_SSH_CONFIG" "$CONFIG"
	app_repo --service "$S" --host '' h1
	sed -i "s|config: .*|config: $CONFIG|" "$APP/deploy.yml"
	app_commit "A configuration of its own"
}
teardown() {
	testbed sshd-option h1 --reset
	cp "$BED_SSH_CONFIG" "$CONFIG"
	printf 'ssh: {user: deploy, config: %s}\nservice: %s\nservers: [h1]\n' "$CONFIG" "$S" >"$APP/deploy.yml"
	deploy_run remove -y
	e2e_report
}

# known_hosts FILE [KEY FILE OF ANOTHER HOST]: which file the configuration names.
known_hosts() { sed -i "s|UserKnownHostsFile .*|UserKnownHostsFile $1|" "$CONFIG"; }

add_ssh() { # LINE...: to the manifest's ssh map
	printf '  %s\n' "$@" >>"$APP/deploy.yml"
	app_commit "ssh: $1"
}

untouched() {
	assert_containers h1 "^$S-" 0
	! testbed exec h1 test -e "/home/deploy/.deploy/$S/releases.jsonl" || fail "$S was begun on h1"
	! testbed exec h1 test -e "/home/deploy/.deploy/$S/lock" || fail "a lock was left on h1"
}

@test "an unknown host key is refused with its fingerprint and how to accept it" {
	local print
	: >"$BATS_TEST_TMPDIR/known"
	known_hosts "$BATS_TEST_TMPDIR/known"
	deploy_fails 4 push
	print=$(ssh-keygen -l -f "$BED/h1/key.pub" | cut -d' ' -f2)
	grep -F "$print" "$DEPLOY_STDERR"
	assert_stderr 'ssh-keyscan|ssh .*h1|accept-new'
	[[ ! -s $BATS_TEST_TMPDIR/known ]]
	untouched
}

@test "a changed host key is refused, also with accept-new" {
	sed 's/^h2,/h1,/; /^h1,/!b' "$BED_KNOWN_HOSTS" | grep -v "^h1,$H1_IP " |
		sed "s/$H2_IP/$H1_IP/" >"$BATS_TEST_TMPDIR/known"
	known_hosts "$BATS_TEST_TMPDIR/known"
	deploy_fails 4 push
	assert_stderr 'CHANGED'
	assert_stderr 'ssh-keygen .*-R'
	add_ssh "host_key_check: accept-new"
	deploy_fails 4 push
	assert_stderr 'CHANGED'
	untouched
}

@test "accept-new records an unknown key, and checks it from then on" {
	: >"$BATS_TEST_TMPDIR/known"
	known_hosts "$BATS_TEST_TMPDIR/known"
	add_ssh "host_key_check: accept-new"
	deploy_ok push
	grep -F "$(cut -d' ' -f2 "$BED/h1/key.pub")" "$BATS_TEST_TMPDIR/known"
	sed -i '/host_key_check/d' "$APP/deploy.yml"
	deploy_ok status
}

@test "hashed known hosts are understood" {
	cp "$BED_KNOWN_HOSTS" "$BATS_TEST_TMPDIR/known"
	ssh-keygen -H -f "$BATS_TEST_TMPDIR/known" >/dev/null 2>&1
	refute grep -E "^h1" "$BATS_TEST_TMPDIR/known"
	known_hosts "$BATS_TEST_TMPDIR/known"
	deploy_ok push
	assert_serves "version 1" "http://$H1_IP/"
}

@test "a server that only a jump host reaches" {
	sed -i 's/hosts: \[h1\]/hosts: [h2]/' "$APP/deploy.yml"
	add_ssh "proxy: h1"
	testbed exec h2 iptables -I INPUT -p tcp --dport 22 -s "$BED_OPERATOR" -j DROP
	deploy_run push
	local status=$DEPLOY_STATUS
	deploy_show push >&2
	deploy_run remove -y
	testbed exec h2 iptables -D INPUT -p tcp --dport 22 -s "$BED_OPERATOR" -j DROP
	assert_equal "$status" 0 status
	assert_equal "$DEPLOY_STATUS" 0 "status of remove"
}

@test "ProxyJump of the ssh configuration is followed" {
	sed -i 's/hosts: \[h1\]/hosts: [h2]/' "$APP/deploy.yml"
	app_commit "On h2"
	sed -i "s|^Host h2 .*|&\n    ProxyJump h1|" "$CONFIG"
	testbed exec h2 iptables -I INPUT -p tcp --dport 22 -s "$BED_OPERATOR" -j DROP
	deploy_run status
	testbed exec h2 iptables -D INPUT -p tcp --dport 22 -s "$BED_OPERATOR" -j DROP
	deploy_show status >&2
	assert_equal "$DEPLOY_STATUS" 0 status
}

@test "another port than 22, in the manifest or with the host" {
	testbed sshd-option h1 'Port 22' 'Port 2121'
	sed "s/^h1,[^ ]*/[h1]:2121,[$H1_IP]:2121/" "$BED_KNOWN_HOSTS" >"$BATS_TEST_TMPDIR/known"
	known_hosts "$BATS_TEST_TMPDIR/known"
	testbed exec h1 iptables -I INPUT -p tcp --dport 22 -s "$BED_OPERATOR" -j REJECT
	sed -i 's/hosts: \[h1\]/hosts: ["h1:2121"]/' "$APP/deploy.yml"
	app_commit "At port 2121"
	deploy_run push
	deploy_show push >&2
	local status=$DEPLOY_STATUS
	sed -i 's/"h1:2121"/h1/' "$APP/deploy.yml"
	add_ssh "port: 2121"
	deploy_run status
	testbed exec h1 iptables -D INPUT -p tcp --dport 22 -s "$BED_OPERATOR" -j REJECT
	assert_equal "$status" 0 "status of push"
	assert_equal "$DEPLOY_STATUS" 0 "status of status"
}

@test "a private key from the secrets" {
	mkdir -p "$APP/.deploy"
	printf 'DEPLOY_KEY="%s"\n' "$(cat "$BED_KEY")" >"$APP/.deploy/secrets"
	chmod 600 "$APP/.deploy/secrets"
	sed -i 's|IdentityFile .*|IdentityFile /nowhere|' "$CONFIG"
	deploy_fails 4 status
	add_ssh "key_data: [DEPLOY_KEY]" "keys_only: true"
	deploy_ok status
	refute_stderr 'PRIVATE KEY'
}

@test "a private key that is named in the manifest" {
	sed -i 's|IdentityFile .*|IdentityFile /nowhere|' "$CONFIG"
	add_ssh "keys: [$BED_KEY]"
	deploy_ok status
}

@test "a key of the agent" {
	sed -i 's|IdentityFile .*||; s|IdentitiesOnly .*||; s|IdentityAgent .*||' "$CONFIG"
	eval "$(ssh-agent -s)" >/dev/null
	ssh-add -q "$BED_KEY" 3>&-
	deploy_files
	DEPLOY_STATUS=0
	(cd "$APP" && agent=$SSH_AUTH_SOCK && deploy_env env SSH_AUTH_SOCK="$agent" "$DEPLOY_BIN" status) \
		</dev/null >"$DEPLOY_STDOUT" 2>"$DEPLOY_STDERR" 3>&- || DEPLOY_STATUS=$?
	kill "$SSH_AGENT_PID"
	deploy_show status >&2
	assert_equal "$DEPLOY_STATUS" 0 status
}

@test "a refused key is told with what was tried" {
	ssh-keygen -q -t ed25519 -N '' -f "$BATS_TEST_TMPDIR/stranger"
	sed -i "s|IdentityFile .*|IdentityFile $BATS_TEST_TMPDIR/stranger|" "$CONFIG"
	deploy_fails 4 push
	assert_stderr 'stranger'
	assert_stderr "deploy"
	untouched
}

@test "AllowStreamLocalForwarding no: Docker is reached another way" {
	testbed sshd-option h1 'AllowStreamLocalForwarding no'
	deploy_ok push
	assert_serves "version 1" "http://$H1_IP/"
	app_commit "Version 2" version.txt="version 2"
	deploy_ok push
	assert_serves "version 2" "http://$H1_IP/"
}

@test "AllowTcpForwarding no: health is watched another way" {
	testbed sshd-option h1 'AllowTcpForwarding no'
	echo 'deploy_timeout: 3' >>"$APP/deploy.yml"
	deploy_ok push
	assert_serves "version 1" "http://$H1_IP/"
	app_commit "Not healthy" unhealthy=nope
	deploy_fails 6 push
	assert_serves "version 1" "http://$H1_IP/"
}

@test "a user who may not use Docker is told what to do" {
	testbed exec h1 id plain >/dev/null 2>&1 || testbed add-user h1 plain --no-docker
	sed -i 's/user: deploy/user: plain/' "$APP/deploy.yml"
	app_commit "As plain"
	deploy_run push
	deploy_show push >&2
	[[ $DEPLOY_STATUS -eq 4 || $DEPLOY_STATUS -eq 5 ]]
	assert_stderr 'docker group|group docker|usermod -aG docker'
	untouched
	deploy_run check
	[[ $DEPLOY_STATUS -ne 0 ]]
	grep -E 'docker group|usermod' "$DEPLOY_STDOUT" "$DEPLOY_STDERR"
}

@test "a user with sudo and without the group can deploy or is told" {
	testbed exec h1 id sudoer >/dev/null 2>&1 || testbed add-user h1 sudoer --no-docker --sudo
	sed -i 's/user: deploy/user: sudoer/' "$APP/deploy.yml"
	app_commit "As sudoer"
	deploy_run status
	[[ $DEPLOY_STATUS -eq 0 ]] || assert_stderr 'usermod -aG docker'
}

@test "a login shell that is not bash, and that talks" {
	testbed exec h2 id other >/dev/null 2>&1 || testbed add-user h2 other --shell /bin/sh
	testbed exec h2 sh -c 'echo "echo hello from the profile" >>/home/other/.profile'
	sed -i 's/user: deploy/user: other/; s/hosts: \[h1\]/hosts: [h2]/' "$APP/deploy.yml"
	app_commit "As other"
	docker_on h2 rm -f deploy-proxy-caddy
	deploy_ok push
	assert_serves "version 1" "http://$H2_IP/"
	deploy_ok remove -y
	deploy_ok proxy remove -y
}

@test "a proxy of another login on the server is told" {
	deploy_ok push
	testbed exec h1 id second >/dev/null 2>&1 || testbed add-user h1 second
	sed -i "s/user: deploy/user: second/; s/service: .*/service: b$S/" "$APP/deploy.yml"
	app_commit "As second"
	deploy_fails 5 push
	assert_stderr 'login'
	assert_stderr '/home/deploy/.deploy/proxy'
	assert_containers h1 "^b$S-" 0
	deploy_run remove -y
}

@test "a dead host ends the push in time, and the other one is not touched" {
	sed -i 's/hosts: \[h1\]/hosts: [h1, h2]/' "$APP/deploy.yml"
	add_ssh "connect_timeout: 2"
	testbed net-cut h2
	local begun=$SECONDS
	deploy_run push
	testbed net-restore h2
	deploy_show push >&2
	assert_equal "$DEPLOY_STATUS" 4 status
	((SECONDS - begun <= 6)) || fail "it took $((SECONDS - begun)) s"
	assert_stderr 'h2'
	untouched
}

@test "a port where nothing listens, and a name without address, are told" {
	sed -i 's/hosts: \[h1\]/hosts: ["h1:2999", nosuch.invalid]/' "$APP/deploy.yml"
	app_commit "Wrong addresses"
	deploy_fails 4 push
	assert_stderr 'refused'
	assert_stderr 'nosuch.invalid'
	untouched
}

@test "a key from DEPLOY_SSH_KEY, plain or in base64, is used and never written" {
	sed -i '/IdentityFile/d' "$CONFIG"
	export TMPDIR=$BATS_TEST_TMPDIR/tmp XDG_CACHE_HOME=$BATS_TEST_TMPDIR/cache
	mkdir "$TMPDIR" "$XDG_CACHE_HOME"
	deploy_fails 4 exec -- true
	DEPLOY_SSH_KEY="$(<"$BED/id_ed25519")" deploy_ok exec -- true
	DEPLOY_SSH_KEY="$(base64 "$BED/id_ed25519")" deploy_ok push -v
	refute_stderr "$(sed -n 3p "$BED/id_ed25519" | cut -c1-30)"
	! grep -rqF "$(sed -n 3p "$BED/id_ed25519")" "$TMPDIR" "$XDG_CACHE_HOME" "$APP" || fail "written"
	mkdir -p "$APP/.deploy/hooks"
	printf '#!/bin/sh\necho "key: ${DEPLOY_SSH_KEY:-none}"\n' >"$APP/.deploy/hooks/pre-connect"
	chmod +x "$APP/.deploy/hooks/pre-connect"
	DEPLOY_SSH_KEY="$(base64 -w0 "$BED/id_ed25519")" deploy_ok push --force
	grep -q "key: none" "$DEPLOY_STDOUT" "$DEPLOY_STDERR"
	DEPLOY_SSH_KEY="no key" deploy_fails 2 exec -- true
	assert_stderr "DEPLOY_SSH_KEY holds no private key"
	refute_stderr "no key'"
}
