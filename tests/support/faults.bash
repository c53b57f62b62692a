# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# For tests/e2e/faults*.bats: something goes wrong in a phase of a push to three hosts.
#
#   fault_case PHASE FAULT      one cell of the table: brings a push to a stand in the phase,
#                               lets the fault happen to the phase's victim, judges
#
# A push is brought to a stand without any help of the tool's own:
# - by a gate: a hook that waits until its gate is opened;
# - by a hold: SIGSTOP for all of a host's sshd (nothing goes in or out for the tool), or for
#   its dockerd (requests stay unanswered). Users' requests pass through neither. All phases
#   end when the last host has done them: with one host held, the other two are done with the
#   phase, and the tool stands in it. Holding a second one before the first is let go makes
#   it step into the next phase and stand there;
# - by what is slow by itself: a build step, a release command, an application, a request.
#
# Load helpers first. One service lives through the cases of a file; a case that fails leaves
# it to its fate, and the next one begins with another.

# What a fault is like for the tool does not need its default of three times 15 s of silence.
FAULT_ALIVE_S=1

# Seconds that a push may go on after a fault. All of its time-outs are below.
FAULT_HANG_S=60

# A cut that passes: less than the silence that the tool takes for death.
CUT_S=20

# --- the bed and the service ---

faults_setup_file() {
	load ../support/helpers
	bed_up 3
}

faults_setup() {
	FAULTS_DIR=$BATS_FILE_TMPDIR LOCK_HOST=h1 VICTIM=h2 FAULT=none
	APP=$FAULTS_DIR/app
	GATES=$FAULTS_DIR/gates
	HELD=() TRAFFIC=() VICTIM_TRAFFIC=() SLOW=()
	export DEPLOY_HOME=$FAULTS_DIR/home TMPDIR=$FAULTS_DIR/tmp
	mkdir -p "$GATES" "$TMPDIR"
	rm -f "$GATES"/*
	if [[ -e $FAULTS_DIR/clean ]]; then
		rm "$FAULTS_DIR/clean"
		read -r SERVICE N <"$FAULTS_DIR/service"
		VHOST=$SERVICE.test
	else
		faults_new_service "faults$BATS_TEST_NUMBER" h1 h2 h3
	fi
}

faults_teardown() {
	local dir
	for dir in "$BATS_TEST_TMPDIR"/{,*/}load.*/; do
		[[ ! -d $dir ]] || touch "$dir/stop"
	done
	[[ -z ${PASSING:-} ]] || wait "$PASSING" || true
	[[ -z ${DEPLOY_PID:-} ]] || kill -9 "$DEPLOY_PID" 2>/dev/null || true
	let_all_go # whom the report asks
	e2e_report
	if [[ -z ${BATS_TEST_COMPLETED:-} ]]; then
		local h
		for h in h1 h2 h3; do
			host_mended "$h" || true
		done
		docker image prune -f >/dev/null 2>&1 || true
	fi
}

# The operator's ssh: it finds out about silence as soon as FAULT_ALIVE_S says.
faults_ssh() { # SECONDS
	{
		printf 'Host *\n    ServerAliveInterval %s\n' "$1"
		cat "$BED_SSH_CONFIG"
	} >"$FAULTS_DIR/ssh_config"
}

faults_new_service() { # NAME HOST...
	rm -rf "$APP"
	N=1
	faults_ssh 15
	service_repo "$1" --release --ssh-config "$FAULTS_DIR/ssh_config" "${@:2}"
	manifest_edit -e '/^release:/,+1d' -e 's/timeout: 5}/timeout: 20}/'
	manifest_add 'retain_containers: 1'
	cp "$APP/deploy.yml" "$FAULTS_DIR/deploy.yml"
	cp "$APP/Dockerfile" "$FAULTS_DIR/Dockerfile"
	app_commit "Version 1" version.txt="version 1"
	gates_make
	deploy_ok push
	# From the third one on each push has something to prune.
	faults_next_version && deploy_ok push
	faults_next_version && deploy_ok push
	faults_look "$BATS_TEST_TMPDIR/look"
	mv "$BATS_TEST_TMPDIR/look/traces" "$FAULTS_DIR/traces"
	looked_ids end "$BATS_TEST_TMPDIR"/look/history.h? >"$FAULTS_DIR/finished"
}

faults_next_version() { # [FILE=CONTENT | FILE-]...
	N=$((N + 1))
	app_commit "Version $N" version.txt="version $N" "$@"
}

# --- standing still ---

gates_make() {
	local g
	mkdir -p "$APP/.deploy/hooks"
	for g in pre-connect pre-deploy pre-app-boot post-app-boot; do
		cat >"$APP/.deploy/hooks/$g" <<-END
			#!/bin/sh
			[ -e "$GATES/$g" ] || exit 0
			echo "standing in $g"
			n=0
			while [ -e "$GATES/$g" ] && [ \$n -lt 1500 ]; do sleep 0.02; n=\$((n + 1)); done
		END
		chmod +x "$APP/.deploy/hooks/$g"
	done
}

# A push that comes to a stand at a gate.
push_to_gate() { # GATE [OPTIONS OF push]
	local gate=$1
	shift
	touch "$GATES/$gate"
	deploy_start push -v "$@"
	deploy_await "standing in $gate"
}
gate_open() { rm -f "$GATES/$1"; }

hold() { # sshd|dockerd HOST
	testbed exec "$2" pkill -STOP -x "$1"
	HELD+=("$1 $2")
}

let_go() { # sshd|dockerd HOST
	testbed exec "$2" pkill -CONT -x "$1" 2>/dev/null || true
}

let_all_go() {
	local one
	for one in "${HELD[@]}"; do
		# shellcheck disable=SC2086
		let_go $one
	done
	HELD=()
	rm -f "$GATES"/*
}

# Requests that are being answered meanwhile, each by the release that it came to.
slow_requests() { # BODY MS HOST...
	local body=$1 ms=$2 h
	shift 2
	for h in "$@"; do
		curl -sv -m 60 -H "Host: $VHOST" "http://$(testbed ip "$h")/slow?ms=$ms" \
			>"$BATS_TEST_TMPDIR/slow.$h" 2>"$BATS_TEST_TMPDIR/sent.$h" 3>&- &
		SLOW+=("$! $h $body")
	done
	for h in "$@"; do
		eventually 10 grep -q '^> GET' "$BATS_TEST_TMPDIR/sent.$h"
	done
	sleep 0.2
}

# Each of these leaves a push in $DEPLOY_PID that stands in the phase, on $VICTIM.
stand_connect() {
	hold sshd "$VICTIM"
	deploy_start push -v
	deploy_await "$VICTIM .*connecting"
	sleep 0.2
}

stand_lock() {
	deploy_ok lock acquire -m "a colleague's"
	deploy_start push -v --lock-wait=60
	deploy_await "waiting: locked by"
}

stand_build() {
	echo "RUN sleep ${SLOW_S:-3}" >>"$APP/Dockerfile"
	app_commit "Slow to build"
	deploy_start push -v
	deploy_await 'RUN sleep'
	eventually 5 testbed exec "$LOCK_HOST" test -e "/home/deploy/.deploy/$SERVICE/lock"
}

stand_transfer() {
	# As much as fills all buffers on the way, and cannot be compressed.
	head -c 6000000 /dev/urandom >"$APP/blob"
	app_commit "Something big"
	push_to_gate pre-deploy
	hold dockerd "$VICTIM"
	gate_open pre-deploy
	deploy_await "h1 .*image there"
	deploy_await "h3 .*image there"
}

# What is missing on the victim is its proxy; where Docker itself dies, an accessory (faults.bats).
boots_accessory() { [[ $PHASE:$FAULT == boot:@(power|dockerd) ]]; }

stand_boot() {
	if boots_accessory; then
		manifest_add 'accessories:' "  side: {image: 'app-base:1', host: $VICTIM}"
		push_to_gate pre-deploy
		gate_open pre-deploy
		deploy_await "$VICTIM .*booting accessory side"
		hold dockerd "$VICTIM"
		return
	fi
	docker_on "$VICTIM" rm -f deploy-proxy-caddy >/dev/null
	push_to_gate pre-deploy
	gate_open pre-deploy
	deploy_await "$VICTIM .*booting the caddy proxy"
	hold dockerd "$VICTIM"
}

stand_release() {
	manifest_add 'release:' '  command: release'
	app_commit "Slow to migrate" release-sleep="${SLOW_S:-4}"
	deploy_start push -v
	deploy_await "migrating to version $N"
}

# Docker was asked for a container here, and the others wait to be healthy.
stand_candidates() {
	app_commit "Slow to start" start-delay-ms=1500
	push_to_gate pre-app-boot
	hold dockerd "$VICTIM"
	gate_open pre-app-boot
	deploy_await "h1 .*waiting for .* healthy"
	deploy_await "h3 .*waiting for .* healthy"
}

stand_health() {
	app_commit "Slow to start" start-delay-ms=4000
	deploy_start push -v
	deploy_await "$VICTIM .*waiting for .* healthy"
}

# The other two serve the new release, and the victim is being switched.
stand_switch() {
	push_to_gate post-app-boot
	hold sshd "$VICTIM"
	gate_open post-app-boot
	deploy_await "h1 .*serves"
	deploy_await "h3 .*serves"
	slow_requests "version $N" 2000 h1 h3
}

# Who had the lock gives it back, where that can be.
colleague_is_done() {
	[[ $PHASE != lock ]] ||
		testbed exec "$LOCK_HOST" rm -rf "/home/deploy/.deploy/$SERVICE/lock" 2>/dev/null || true
}

history_says_live() {
	testbed exec "$1" tail -n 1 "/home/deploy/.deploy/$SERVICE/releases.jsonl" | grep -q '"outcome":"live"'
}

# All are switched; the other two have it on record.
stand_record() {
	push_to_gate post-app-boot
	hold sshd h3
	gate_open post-app-boot
	deploy_await "h1 .*serves"
	deploy_await "$VICTIM .*serves"
	hold sshd "$VICTIM"
	let_go sshd h3
	deploy_await "h3 .*serves"
	eventually 5 history_says_live h1
	eventually 5 history_says_live h3
}

stand_drain() {
	push_to_gate post-app-boot
	slow_requests "version $OLD" 3000 h1 h2 h3
	gate_open post-app-boot
	deploy_await "$VICTIM .*draining"
	sleep 0.1
}

# Docker was asked to stop the old container, and does not answer.
stand_retire() {
	push_to_gate post-app-boot
	slow_requests "version $OLD" 3000 "$VICTIM"
	gate_open post-app-boot
	deploy_await "$VICTIM .*draining"
	hold dockerd "$VICTIM"
	wait "${SLOW[0]%% *}" || true
	sleep 0.5
}

# Nothing stands still here: the hold comes as quickly as it can, and what is to be removed is large.
stand_prune() {
	local pid old upper
	push_to_gate post-app-boot
	old=$(docker_on "$VICTIM" ps -aq --filter status=exited --filter "label=deploy.service=$SERVICE" | tail -n 1)
	upper=$(docker_on "$VICTIM" inspect -f '{{.GraphDriver.Data.UpperDir}}' "$old")
	testbed exec "$VICTIM" bash -c 'mkdir "$0/many" && cd "$0/many" && seq 20000 | xargs touch' "$upper"
	pid=$(pgrep -x dockerd --ns "$(cut -d' ' -f1 "$BED/$VICTIM/init")" --nslist pid)
	gate_open post-app-boot
	deploy_await "$VICTIM .*old container stopped"
	kill -STOP "$pid"
	HELD+=("dockerd $VICTIM")
}

# --- faults ---

fault_kill() { deploy_signal -9; }
fault_ctrl_c() { deploy_signal -INT; }
fault_cut() { testbed net-cut "$VICTIM"; }
fault_cut_that_passes() {
	testbed net-cut "$VICTIM"
	(sleep "$CUT_S" && testbed net-restore "$VICTIM") 3>&- &
	PASSING=$!
	FAULT_HANG_S=$((FAULT_HANG_S + CUT_S))
}
fault_power() { testbed power-cut "$VICTIM"; }
fault_dockerd() { testbed kill-dockerd "$VICTIM"; }
fault_sshd() { testbed kill-sshd "$VICTIM"; }

# As a host comes back by itself, or by its own operator.
host_mended() {
	testbed net-restore "$1" 2>/dev/null || true
	if ! testbed exec "$1" pkill -CONT -x 'sshd|dockerd' 2>/dev/null; then
		testbed power-on "$1" 2>/dev/null || true
	fi
	testbed exec "$1" test -e /run/sshd.pid || testbed start-sshd "$1"
	testbed exec "$1" pgrep -x dockerd >/dev/null || testbed start-dockerd "$1"
}

# Do users of the victim get their answers all the while?
# - boot: its proxy is what most pushes have to boot;
# - dockerd from the switch on: Docker's name server dies with it, so that the proxy of that host connects
#   to no container any more, neither to the new ones nor, once its connections of before have
#   ended, to the old ones. In the other phases its connections live on.
victim_serves() {
	! fault_takes_host "$FAULT" && { [[ $PHASE != boot ]] || boots_accessory; } &&
		[[ $PHASE:$FAULT != @(switch|record|drain|retire):dockerd ]]
}

# What lies beside the lock may be another's who is taking it just now, up to some minutes.
time_passes() {
	testbed exec "$LOCK_HOST" find "/home/deploy/.deploy/$SERVICE" \( -name 'lock.*' -o -name 'beat.*' \) \
		-exec touch -d '-1 hour' {} +
}

# Does the fault take the host from its users?
fault_takes_host() { [[ $1 == cut* || $1 == power ]]; }

# --- what is left of it ---

# Looks at all hosts at once: history.hN, docker.hN (JSON), and in `traces` the names of all
# files, ports, networks and volumes that do not differ from release to release.
faults_look() { # FOLDER
	local h jobs=()
	mkdir -p "$1"
	for h in h1 h2 h3; do
		look_at "$h" "$1" 3>&- &
		jobs+=($!)
	done
	wait "${jobs[@]}"
	{
		cat "$1"/traces.h?
		find "$TMPDIR" -mindepth 1
	} >"$1/traces"
}

look_at() { # HOST FOLDER
	# shellcheck disable=SC2016
	testbed exec "$1" bash -c '
		cd /home/deploy
		echo "$(<.deploy/$0/releases.jsonl)"
		echo ---
		curl -s -w "\n" --unix-socket /run/docker.sock "http://d/{containers/json?all=1,images/json,networks,volumes}"
		echo ---
		# A lock that was being made: nobody knows whose it is, and it goes when it is a minute old.
		find .deploy -not \( -path "*/lock.*" -newermt "61 seconds ago" \) -not -path "*/caddy/live/*" -not -path "*/caddy/log/*" -not -path "*/caddy/data/*"
		find /tmp /var/tmp -mindepth 1 -not -path "*-release/release.log"
		ss -Hltn | awk "{print \$4}" | grep -v 127.0.0' "$SERVICE" >"$2/all.$1"
	sed '/^---$/,$d' "$2/all.$1" >"$2/history.$1"
	sed '1,/^---$/d; /^---$/,$d' "$2/all.$1" >"$2/docker.$1"
	{
		sed '1,/^---$/d' "$2/all.$1" | sed '1,/^---$/d'
		jq -r 'if type == "object" then .Volumes[]? | "volume " + .Name
			else .[] | select(.Driver) | "network " + .Name end' "$2/docker.$1"
	} | sed "s/^/$1 /" | LC_ALL=C sort >"$2/traces.$1"
}

# Of the service on a host: "running NAME", "exited NAME", "image ID" and "untagged ID".
looked_docker() { # FOLDER HOST
	jq -r --arg service "$SERVICE" 'select(type == "array") | .[] |
		if .Labels["deploy.service"] == $service and .State then .State + " " + .Names[0][1:]
		elif any(.RepoTags[]?; startswith($service + ":")) then "image " + .Id
		elif has("RepoTags") and (.RepoTags | length == 0 or .[0] == "<none>:<none>") then "untagged " + .Id
		else empty end' "$1/docker.$2" | sort
}

looked_ids() { # begin|end FILE...
	jq -Rr --arg event "$1" 'fromjson? | select(.event == $event) | .id' "${@:2}" | sort -u
}

# One container runs, the one before it is stopped, with their images; else there is nothing.
assert_containers_left() { # FOLDER
	local h live
	live=$SERVICE-web-$(app_version)
	for h in h1 h2 h3; do
		looked_docker "$1" "$h" >"$1/what"
		if [[ $(cut -d' ' -f1 "$1/what" | tr '\n' ' ') != "exited image image running " ]] ||
			! grep -q "^running $live" "$1/what"; then
			fail "on $h, where $live is live:" "$(cat "$1/what")"
		fi
	done
}

assert_nothing_left() { # FOLDER
	assert_containers_left "$1"
	traces_as_before "$1" || eventually 10 look_again "$1" || {
		diff "$FAULTS_DIR/traces" "$1/traces" >&2 || true
		fail "left over"
	}
}
traces_as_before() { cmp -s "$FAULTS_DIR/traces" "$1/traces"; }
look_again() { faults_look "$1" && traces_as_before "$1"; }

# Each host knows all releases that were finished anywhere, and of none that is not.
assert_history_whole() { # FOLDER
	local h lost
	for h in h1 h2 h3; do
		looked_ids end "$1/history.$h" >"$1/finished"
		lost=$(comm -23 "$FAULTS_DIR/finished" "$1/finished")
		[[ -z $lost ]] || fail "$h lost finished releases: $lost"
		lost=$(comm -3 "$1/finished" <(looked_ids begin "$1/history.$h"))
		[[ -z $lost ]] || fail "$h: releases without a begin or an end: $lost"
	done
}

# What is on record of the release that the fault hit, once the next push has mended it.
assert_on_record() { # FOLDER VERSION
	local got want
	got=$(jq -Rsr --arg version "$2" '[split("\n")[] | fromjson?] |
		(map(select(.event == "begin" and .version == $version)) | last | .id) as $id |
		map(select(.event == "end" and .id == $id)) | last | .outcome' "$1/history.h3")
	case $PHASE:$FAULT in
	*:cut_that_passes) if push_is_live; then want=live; else want='(null|failed|interrupted)'; fi ;;
	connect:* | lock:* | build:kill | build:ctrl_c) want=null ;;
	build:*) want='(null|failed)' ;; # seen at once, or by the first who needs that host
	boot:*) return ;; # of a version that was live before
	record:* | drain:* | retire:* | prune:*) want=live ;;
	switch:kill) want='(interrupted|live)' ;;
	*:kill | *:ctrl_c) want=interrupted ;;
	*) want='(failed|interrupted)' ;;
	esac
	[[ $got =~ ^$want$ ]] || fail "on record as $got, wanted $want"
}

# --- a case ---

# The tool has ended, or it hangs.
faults_wait() {
	local end=$((SECONDS + FAULT_HANG_S))
	while kill -0 "$DEPLOY_PID" 2>/dev/null; do
		if ((SECONDS >= end)); then
			DEPLOY_STATUS=hangs
			deploy_show push >&2
			fail "the push still runs $FAULT_HANG_S s after the fault"
		fi
		sleep 0.02
	done
	deploy_wait
}

# What the users of a host get: "old", "new" or something else.
served_by() {
	local body
	body=$(curl -s -m 20 -H "Host: $VHOST" "http://$(testbed ip "$1")/" || true)
	case $body in
	"version $OLD") echo old ;;
	"version $N") echo new ;;
	*) echo "'$body'" ;;
	esac
}

# All hosts that can be reached serve the same release, the one that the status speaks of.
assert_one_release() { # WANTED: old or new
	local h want=$1 got
	for h in h1 h2 h3; do
		[[ $h != "$VICTIM" || $FAULT == cut_that_passes ]] || victim_serves || continue
		got=$(served_by "$h")
		[[ $got == "$want" ]] || { deploy_show push >&2 && fail "$h serves $got, wanted $want"; }
	done
}

# Nothing says whether a push outlives a cut that passes; but what it says is so on all hosts.
push_is_live() { [[ $FAULT_STATUS == [08] ]]; }
assert_outlived_or_not() {
	wait "$PASSING" || return
	PASSING=
	[[ $FAULT_STATUS == [045678] ]] || { deploy_show push >&2 && fail "status $DEPLOY_STATUS"; }
	if push_is_live; then assert_one_release new; else assert_one_release old; fi
}

assert_outcome() {
	local late=0
	if [[ $FAULT == cut_that_passes ]]; then
		assert_outlived_or_not
		return
	fi
	[[ " record drain retire prune " != *" $PHASE "* ]] || late=1
	case $FAULT:$late in
	kill:*) [[ $DEPLOY_STATUS == 137 ]] || { deploy_show push >&2 && fail "it was over"; } ;;
	ctrl_c:0) assert_equal "$DEPLOY_STATUS" 130 status ;;
	ctrl_c:1) [[ $DEPLOY_STATUS == 130 || $DEPLOY_STATUS == 0 ]] ;;
	*:0) [[ $DEPLOY_STATUS == [456] ]] && assert_stderr "$VICTIM" ;;
	*:1) [[ $DEPLOY_STATUS == 8 || $DEPLOY_STATUS == 0 ]] ;;
	esac || { deploy_show push >&2 && fail "status $DEPLOY_STATUS"; }
	# What goes wrong on one host does not keep the others from waiting for their users.
	refute_stderr 'h[13] .*warning: +drain' || return
	case $FAULT:$PHASE in
	kill:switch) ;; # the next push makes them one
	*) if ((late)); then assert_one_release new; else assert_one_release old; fi ;;
	esac
}

slow_requests_answered() {
	local one pid h body
	for one in "${SLOW[@]}"; do
		read -r pid h body <<<"$one"
		wait "$pid" 2>/dev/null || true
		[[ $h == "$VICTIM" ]] && fault_takes_host "$FAULT" && continue
		assert_equal "$(cat "$BATS_TEST_TMPDIR/slow.$h")" "$body" "the slow answer of $h"
	done
}

faults_traffic_start() {
	local bodies=("version $N" "version $((N + 1))" "version $((N + 2))") h others=() own=()
	for h in h1 h2 h3; do
		if [[ $h != "$VICTIM" ]]; then
			others+=("$(testbed ip "$h")")
		elif victim_serves; then
			own+=("$(testbed ip "$h")")
		fi
	done
	if [[ $FAULT != dockerd ]]; then
		others+=("${own[@]}")
		own=()
	fi
	export TRAFFIC_SLOW_MS=200
	if ((${#own[@]})); then
		TRAFFIC_HOSTS=${own[*]} traffic_start "${bodies[@]}"
		VICTIM_TRAFFIC=("${TRAFFIC[@]}")
	fi
	TRAFFIC_HOSTS=${others[*]} traffic_start "${bodies[@]}"
}

# A daemon that starts after its death restarts all containers: not the tool's doing.
victim_traffic_stop() {
	local others=("${TRAFFIC[@]}")
	TRAFFIC=("${VICTIM_TRAFFIC[@]}")
	VICTIM_TRAFFIC=()
	((${#TRAFFIC[@]} == 0)) || traffic_stop
	TRAFFIC=("${others[@]}")
}

next_push_succeeds() {
	boots_accessory || cp "$FAULTS_DIR/deploy.yml" "$FAULTS_DIR/Dockerfile" "$APP/"
	faults_next_version release-sleep- start-delay-ms- blob-
	deploy_ok push -v
	local h
	for h in h1 h2 h3; do
		assert_equal "$(served_by "$h")" new "what $h serves"
	done
	if boots_accessory; then
		assert_containers "$VICTIM" "^$SERVICE-side\$" 1 running
		deploy_ok -y accessory remove --data side
		cp "$FAULTS_DIR/deploy.yml" "$APP/"
	fi
}

fault_case() { # PHASE FAULT
	local version begun
	PHASE=$1 FAULT=$2 OLD=$N
	[[ " lock build release " != *" $PHASE "* ]] || VICTIM=h1 # has the lock, runs the command
	faults_ssh 15
	[[ $FAULT != @(cut|power) ]] || faults_ssh "$FAULT_ALIVE_S"
	faults_traffic_start
	faults_next_version
	"stand_$PHASE"
	version=$(app_version)
	begun=${EPOCHREALTIME/./}
	"fault_$FAULT"
	let_all_go
	[[ $FAULT == ctrl_c ]] || colleague_is_done
	faults_wait
	FAULT_STATUS=$DEPLOY_STATUS
	[[ $FAULT != ctrl_c ]] || assert_took_less 2500 "$begun"
	assert_outcome
	slow_requests_answered
	victim_traffic_stop
	[[ $FAULT == kill || $FAULT == ctrl_c ]] || host_mended "$VICTIM"
	colleague_is_done
	time_passes
	next_push_succeeds
	traffic_stop
	faults_look "$BATS_TEST_TMPDIR/look"
	assert_nothing_left "$BATS_TEST_TMPDIR/look"
	assert_history_whole "$BATS_TEST_TMPDIR/look"
	assert_on_record "$BATS_TEST_TMPDIR/look" "$version"
	looked_ids end "$BATS_TEST_TMPDIR"/look/history.h? >"$FAULTS_DIR/finished"
	echo "$SERVICE $N" >"$FAULTS_DIR/service"
	touch "$FAULTS_DIR/clean"
}
