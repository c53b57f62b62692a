#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Automatic certificates, by a real ACME authority (pebble) over HTTP-01. The tests go on from one
# another.

setup_file() {
	load ../support/helpers
	load ../support/pebble
	bed_up 1
	pebble_up
	export APP=$BATS_FILE_TMPDIR/app
	app_repo h1
	cp "$PEBBLE/ca.pem" "$APP/authority.pem"
}

teardown_file() {
	load ../support/helpers
	load ../support/pebble
	pebble_down
	bed_down
}

setup() {
	load ../support/helpers
	load ../support/pebble
	APP=$BATS_FILE_TMPDIR/app
}

teardown() { e2e_report; }

secured() { # DRIVER
	cat <<-END
	proxy:
	  driver: $1
	  host: sample.test
	  app_port: 3000
	  ssl: true
	  acme: {email: ops@sample.test, server: "$PEBBLE_URL", ca: authority.pem}
	END
}

fetch() { curl -sS --cacert "$PEBBLE/roots.pem" --resolve "sample.test:443:$H1_IP" https://sample.test/; }

# The proxy and all that it had are lost; its certificate comes back from a backup.
keeps_its_certificate() { # DRIVER
	local file=$BATS_TEST_TMPDIR/certificates serial asked
	serial=$(pebble_serial sample.test)
	deploy_ok proxy backup "$file"
	assert_equal "$(stat -c %a "$file")" 600
	deploy_fails 2 proxy restore "$file"
	assert_stderr "the proxy runs"
	deploy_ok -y proxy remove
	on h1 rm -r ".deploy/proxy/$1"
	asked=$(pebble_asked)
	[[ $asked -gt 0 ]]
	deploy_ok proxy restore "$file"
	deploy_ok push
	pebble_await sample.test
	assert_equal "$(pebble_serial sample.test)" "$serial"
	assert_equal "$(pebble_asked)" "$asked"
}

@test "caddy: a push has a certificate by HTTP-01, and status and check tell its days" {
	sed -i '/^proxy:/,/^[^ ]/{/^proxy:/d;/^ /d}' "$APP/deploy.yml"
	app_commit "With TLS" "deploy.yml=$(cat "$APP/deploy.yml"; secured caddy)"
	deploy_ok push
	pebble_await sample.test
	assert_equal "$(fetch)" "version 1"
	assert_equal "$(pebble_issued)" 1
	deploy_ok status
	assert_stdout "sample.test +Pebble.* 8[0-9] +20"
	deploy_ok check
	assert_stdout "sample.test: the certificate .*8[0-9] days.*by Pebble"
}

@test "caddy: after the loss of the proxy's folder a backup brings the certificate back" {
	keeps_its_certificate caddy
}

@test "traefik: the same, and a reboot of the proxy needs no further one" {
	"$E2E_ROOT/deploy/support/image" traefik:v3
	testbed load h1 traefik:v3
	deploy_ok -y proxy remove
	sed -i 's/driver: caddy/driver: traefik/' "$APP/deploy.yml"
	app_commit "By Traefik" "version.txt=version 2"
	deploy_ok push
	pebble_await sample.test
	assert_equal "$(fetch)" "version 2"
	assert_equal "$(pebble_issued)" 2
	deploy_ok status
	assert_stdout "sample.test +Pebble.* 8[0-9] +20"
	deploy_ok proxy reboot
	pebble_await sample.test
	assert_equal "$(pebble_issued)" 2
}

@test "traefik: after the loss of the proxy's folder a backup brings the certificate back" {
	deploy_fails 2 proxy restore /dev/null
	keeps_its_certificate traefik
}
