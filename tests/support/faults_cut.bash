# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# For tests/e2e/faults_cut.bats; load faults.bash first.
#
# Such a cut is long, so all phases have theirs at the same time, each with a service of its
# own, whose first host is the one that is cut: it has the lock and runs the release command.
CUT_S=20
CUT_PHASES=(connect lock build transfer release candidates switch record drain retire)

cut_all_phases() {
	local phase jobs=() failed=()
	CUT=$BATS_TEST_TMPDIR
	for phase in "${CUT_PHASES[@]}"; do
		mkdir -p "$CUT/$phase"
		(cut_one "$phase") >"$CUT/$phase/log" 2>&1 3>&- &
		jobs+=($!)
	done
	cut_conduct || failed+=("their conductor")
	touch "$CUT/given-up"
	for phase in "${CUT_PHASES[@]}"; do
		wait "${jobs[0]}" || failed+=("$phase")
		jobs=("${jobs[@]:1}")
		echo "# $phase: $(cat "$CUT/$phase/status" 2>/dev/null)" >&3
	done
	((${#failed[@]} == 0)) && return
	for phase in "${failed[@]}"; do
		echo "--- $phase" >&2
		cat "$CUT/$phase/log" >&2 || true
	done
	fail "failed: ${failed[*]}"
}

# A phase says that it has come so far; cut_wait_all waits until they all have.
cut_reached() { touch "$BATS_TEST_TMPDIR/at-$1"; }
cut_wait() { # FILE
	local end=$((SECONDS + 240))
	until [[ -e $1 ]]; do
		if [[ -e $CUT/given-up ]] || ((SECONDS >= end)); then
			fail "waited for $1"
		fi
		sleep 0.05
	done
}
cut_wait_all() { # NAME PHASE...
	local name=$1 phase end=$((SECONDS + 240))
	for phase in "${@:2}"; do
		until [[ -e $CUT/$phase/at-$name ]]; do
			# Who failed has its own word on it.
			((SECONDS < end)) || fail "$phase did not come to '$name'"
			sleep 0.05
		done
	done
}

cut_conduct() {
	cut_wait_all ready "${CUT_PHASES[@]}" || return
	touch "$CUT/stand"
	cut_wait_all standing build release lock drain retire || return
	testbed exec h3 pkill -STOP -x sshd
	touch "$CUT/stand-record"
	cut_wait_all standing record || true
	testbed net-cut h2
	testbed exec h3 pkill -CONT -x sshd
	touch "$CUT/cut"
	sleep "$CUT_S"
	testbed net-restore h2
	cut_wait_all ended "${CUT_PHASES[@]}" || return
	touch "$CUT/mended"
	cut_wait_all pushed "${CUT_PHASES[@]}" || return
	touch "$CUT/look"
}

# Stands in the phase, or before it when the cut itself is what makes it stand.
cut_stand() {
	case $PHASE in
	connect) push_to_gate pre-connect ;;
	transfer)
		head -c 6000000 /dev/urandom >"$APP/blob"
		app_commit "Something big"
		push_to_gate pre-deploy
		;;
	candidates) push_to_gate pre-app-boot ;;
	switch | record) push_to_gate post-app-boot ;;
	esac
	cut_reached ready
	cut_wait "$CUT/stand"
	case $PHASE in
	lock | build | release | drain | retire) "stand_$PHASE" ;;
	record)
		cut_wait "$CUT/stand-record"
		rm "$GATES"/*
		deploy_await "h1 .*serves"
		deploy_await "h2 .*serves"
		;;
	esac
	cut_reached standing
}

# One after the other: they all boot the same proxy.
cut_first_push() {
	local lock
	exec {lock}>"$CUT/boot"
	flock "$lock"
	faults_new_service "$@" {lock}>&-
	exec {lock}>&-
}

# Nobody waits for who has failed.
cut_left() { # STATUS
	[[ $1 == 0 ]] || touch "$BATS_TEST_TMPDIR"/at-{ready,standing,ended,pushed}
	[[ -z ${DEPLOY_PID:-} ]] || kill -9 "$DEPLOY_PID" 2>/dev/null || true
}

cut_one() { # PHASE: runs beside the others, in a shell of its own
	trap 'cut_left $?' EXIT
	# shellcheck disable=SC2034 # faults.bash reads them
	BATS_TEST_TMPDIR=$CUT/$1 FAULTS_DIR=$CUT/$1 LOCK_HOST=h2 VICTIM=h2 PHASE=$1 FAULT=cut20 SLOW_S=8
	APP=$FAULTS_DIR/app GATES=$FAULTS_DIR/gates
	export DEPLOY_HOME=$FAULTS_DIR/home TMPDIR=$FAULTS_DIR/tmp TRAFFIC_RATE=16
	mkdir -p "$GATES" "$TMPDIR"
	cut_first_push "cut-$PHASE" h2 h1 h3
	# shellcheck disable=SC2034
	OLD=$N
	faults_traffic_start
	faults_next_version
	cut_stand
	cut_wait "$CUT/cut"
	rm -f "$GATES"/*
	sleep 2
	colleague_is_done
	FAULT_HANG_S=90 faults_wait
	cut_reached ended
	echo "$DEPLOY_STATUS" >"$FAULTS_DIR/status"
	tail -n 3 "$DEPLOY_STDERR" >>"$FAULTS_DIR/status"
	deploy_show push
	slow_requests_answered
	cut_wait "$CUT/mended"
	assert_one_release same
	time_passes
	next_push_succeeds
	traffic_stop
	cut_reached pushed
	cut_wait "$CUT/look"
	faults_look "$FAULTS_DIR/look"
	assert_containers_left "$FAULTS_DIR/look"
	refute grep -E "/tmp/|/check/|/$SERVICE/(lock|beat|now)" "$FAULTS_DIR/look/traces"
	assert_history_whole "$FAULTS_DIR/look"
}
