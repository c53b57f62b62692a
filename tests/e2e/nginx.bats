#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The nginx driver. What the tests do is in tests/support/proxy_tests.bash.

setup_file() {
	load ../support/proxy_tests
	proxy_setup_file
}
teardown_file() {
	load ../support/helpers
	bed_down
}
setup() {
	load ../support/helpers
	load ../support/proxy_tests
	DRIVER=nginx
	proxy_setup
}
teardown() { proxy_teardown; }

@test "switches under load lose no request on kept connections" { switches_without_loss --keepalive; }

@test "switches under load lose no request on fresh connections" { switches_without_loss --close; }

@test "six switches under 300 requests a second, half of them slow, lose none" { many_switches; }

@test "a stream goes on over the switch, and ends with its container after drain_timeout" {
	stream_over_the_switch
}

@test "a web socket goes on over the switch in both directions, and its goodbye comes through" {
	websocket_over_the_switch
}

@test "two services share the proxy by host name" { two_services_by_host; }

@test "two services share a host name by path, stripped or not" { two_services_by_path; }

@test "a host name that another service has is refused, naming it" { conflict_is_refused; }

@test "maintenance shows its page until live, whatever is pushed" { maintenance_on_and_off; }

@test "response headers and compression" { headers_and_compression; }

@test "rate limits: by path, by address, and none for the push itself" { rate_limits; }

@test "a given certificate serves HTTPS, and HTTP is redirected" { given_certificate; }

@test "a renewed certificate is served without a restart, one that is no good is refused or told" {
	renewed_certificate
}

@test "versions and ciphers of TLS, and HSTS, are as the manifest has them" { tls_settings; }

@test "a configuration edited by hand is told, and mended by the next push" { edited_by_hand conf; }

@test "a proxy container removed by hand is told, and comes back with the next push" { removed_by_hand; }

@test "its own errors are shown by pages of the commit" { own_error_pages; }

@test "a reboot of the proxy under load" { reboot_under_load; }

@test "proxy logs, details, config, reboot, remove and boot" { proxy_commands; }

@test "after a power cut all serves again without the tool" { power_cut_and_on; }
