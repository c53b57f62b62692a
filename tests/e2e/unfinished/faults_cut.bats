#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# As faults.bats: one host has no network for 20 s, which is less than what the tool takes for
# death. Whether a push outlives that or gives up, all of the hosts are of one mind after it.

setup_file() {
	load ../../support/helpers
	load ../../support/faults
	faults_setup_file
}
teardown_file() { bed_down; }
setup() {
	load ../../support/helpers
	load ../../support/faults
	load ../../support/faults_cut
}
teardown() { faults_teardown; }

# Without boot, since the proxy is one for all services of a host; prune is a part of retire.
@test "20 s without network in all phases of a push" { cut_all_phases; }
