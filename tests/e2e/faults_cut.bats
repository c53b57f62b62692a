#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# As faults.bats: one host has no network for 20 s, which is less than what the tool takes for
# death. A push may outlive that or give up; when it has ended, all three hosts serve the release
# that its status speaks of, and what has to be so after each fault is so.

setup_file() {
	load ../support/helpers
	load ../support/faults
	faults_setup_file
}
teardown_file() { bed_down; }
setup() {
	load ../support/helpers
	load ../support/faults
	faults_setup
}
teardown() { faults_teardown; }

@test "connect: a host has no network for 20 s" { fault_case connect cut_that_passes; }
@test "lock: a host has no network for 20 s" { fault_case lock cut_that_passes; }
@test "build: a host has no network for 20 s" { fault_case build cut_that_passes; }
@test "transfer: a host has no network for 20 s" { fault_case transfer cut_that_passes; }
@test "boot: a host has no network for 20 s" { fault_case boot cut_that_passes; }
@test "release: a host has no network for 20 s" { fault_case release cut_that_passes; }
@test "candidates: a host has no network for 20 s" { fault_case candidates cut_that_passes; }
@test "health: a host has no network for 20 s" { fault_case health cut_that_passes; }
@test "switch: a host has no network for 20 s" { fault_case switch cut_that_passes; }
@test "record: a host has no network for 20 s" { fault_case record cut_that_passes; }
@test "drain: a host has no network for 20 s" { fault_case drain cut_that_passes; }
@test "retire: a host has no network for 20 s" { fault_case retire cut_that_passes; }
@test "prune: a host has no network for 20 s" { fault_case prune cut_that_passes; }
