#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Servers without Docker, and `deploy setup`.

setup_file() {
	load ../support/helpers
	bed_up 1 --no-docker
	# The hosts' image has Docker's packages; without these it looks as if not.
	testbed exec h1 sh -c 'rm -f /usr/bin/docker /usr/sbin/dockerd /usr/bin/dockerd'
}
teardown_file() {
	load ../support/helpers
	bed_down
}
setup() {
	load ../support/helpers
	app_repo --host '' h1
}
teardown() { e2e_report; }

untouched() {
	! testbed exec h1 test -e /home/deploy/.deploy/sample/releases.jsonl || fail "a release was begun"
	! testbed exec h1 test -e /home/deploy/.deploy/sample/lock || fail "a lock was left"
}

@test "setup says what to install where Docker is missing, and changes nothing" {
	deploy_fails 5 setup
	assert_stderr 'Docker is not installed'
	assert_stderr 'setup --install-docker'
	assert_stderr 'apt-get install docker.io'
	untouched
}

@test "push says that Docker is missing" {
	deploy_run push
	deploy_show push >&2
	[[ $DEPLOY_STATUS -eq 4 || $DEPLOY_STATUS -eq 5 ]]
	assert_stderr 'Docker'
	assert_stderr 'setup'
	untouched
}

@test "check says that Docker is missing, and how to mend it" {
	deploy_run check
	[[ $DEPLOY_STATUS -ne 0 ]]
	grep -E 'h1.*Docker' "$DEPLOY_STDOUT"
}

@test "setup --install-docker without root or sudo says so" {
	deploy_fails 5 setup --install-docker
	assert_stderr 'sudo'
	untouched
}

# The way out to the package registry, for one bed; prints how to take it back.
way_out() {
	local dev
	dev=$(ip route show default | sed -n 's/.* dev \([^ ]*\).*/\1/p' | head -1)
	[[ -n $dev ]] || return 1
	sysctl -qw net.ipv4.ip_forward=1
	iptables -t nat -A POSTROUTING -s "$BED_NET.0/24" -o "$dev" -j MASQUERADE
	iptables -I FORWARD -s "$BED_NET.0/24" -j ACCEPT
	iptables -I FORWARD -d "$BED_NET.0/24" -j ACCEPT
	testbed exec h1 ip route add default via "$BED_NET.1"
	testbed exec h1 sh -c 'cat >/etc/resolv.conf' </etc/resolv.conf
	printf 'iptables -t nat -D POSTROUTING -s %s -o %s -j MASQUERADE\n' "$BED_NET.0/24" "$dev"
	printf 'iptables -D FORWARD -%s '"$BED_NET.0/24"' -j ACCEPT\n' s d
}

@test "setup --install-docker installs it by sudo, joins the group, starts it, and pushes" {
	testbed exec h1 dpkg --purge --force-all docker.io containerd runc >/dev/null 2>&1
	testbed exec h1 cp -a /etc/apt/sources.list /etc/apt/sources.list.kept
	testbed add-user h1 op --sudo --no-docker
	# Fake: there is no systemd in these hosts, and Debian's script for sysvinit may not mount
	# cgroups in a namespace.
	testbed exec h1 sh -c "cat >/usr/local/sbin/service && chmod 755 /usr/local/sbin/service" <<-'END'
	#!/bin/sh
	exec testbed-service start-dockerd
	END
	way_out >"$BATS_TEST_TMPDIR/back"
	rm -rf "$APP"
	app_repo --host '' op@h1
	deploy_run setup --install-docker
	sh -e "$BATS_TEST_TMPDIR/back"
	deploy_show setup >&2
	assert_stderr 'Docker installed'
	refute_stderr 'daemon is not running|permission denied'
	testbed exec h1 id -nG op | grep -w docker
	# No registry with the proxy's image can be reached from here.
	assert_stderr "pull 'caddy:2'"
	testbed load h1 caddy:2
	deploy_ok setup --install-docker
	refute_stderr 'installing Docker'
	assert_serves "version 1" "http://$H1_IP/" "$VHOST"
}
