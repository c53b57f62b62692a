#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Roles beside the web: h1 has web, h2 web and a worker, h3 a worker only, and so no proxy.

setup_file() {
	load ../support/helpers
	bed_up 3
}

teardown_file() { bed_down; }

setup() {
	load ../support/helpers
	roles_repo "roles$BATS_TEST_NUMBER"
}

teardown() {
	e2e_report
	[[ -z ${DEPLOY_PID:-} ]] || kill -9 "$DEPLOY_PID" 2>/dev/null || true
	service_forget
}

# A repository whose worker works on the files in $JOBS of its hosts.
roles_repo() { # NAME
	local h
	service_repo "$1" h1 h2
	JOBS=/var/tmp/$SERVICE-jobs
	cp "$E2E_ROOT/deploy/examples/sample/worker" "$APP/worker"
	for h in h2 h3; do
		testbed exec "$h" install -d -m 777 "$JOBS"
	done
	role worker "hosts: [h2, h3]" "cmd: sh /app/worker" "stop_timeout: 20" \
		"healthcheck: {cmd: test -e /tmp/ready, interval: 100ms}" "volumes: ['$JOBS:/jobs']"
	manifest_add "readiness_delay: 1"
}

# Puts a role into the manifest.
role() { # NAME LINE...
	local name=$1 line
	shift
	manifest_edit "/^proxy:/i\\  $name:"
	for line in "$@"; do
		manifest_edit "/^proxy:/i\\    ${line//\\/\\\\}"
	done
}

push_version() { # N [FILE=CONTENT]...
	local n=$1
	shift
	app_commit "Version $n" version.txt="version $n" "$@"
	deploy_ok push
}

web_serves() { # N
	assert_serves "version $1" "http://$H1_IP/" "$VHOST"
	assert_serves "version $1" "http://$H2_IP/" "$VHOST"
}

# The IDs of the containers of a role that run on a host.
running() { # HOST ROLE
	docker_on "$1" ps -q --no-trunc --filter "label=deploy.service=$SERVICE" \
		--filter "label=deploy.role=$2" --filter label=deploy.kind=app | sort
}

# The versions that a role's running containers have on a host.
versions() { # HOST ROLE
	local id
	for id in $(running "$1" "$2"); do
		docker_on "$1" exec "$id" cat /app/version.txt
	done | sort | paste -sd, -
}

all_of() { # HOST ROLE: names, stopped ones too
	docker_on "$1" ps -a --filter "label=deploy.service=$SERVICE" \
		--filter "label=deploy.role=$2" --format '{{.Names}}'
}

job() { # HOST NAME SECONDS: puts a job there, and waits until somebody has taken it
	local i
	testbed exec "$1" sh -c "echo $3 >$JOBS/$2.new; mv $JOBS/$2.new $JOBS/$2.job"
	for ((i = 0; i < 200; i++)); do
		if testbed exec "$1" test -e "$JOBS/$2.job.taken"; then
			return
		fi
		sleep 0.05
	done
	fail "nobody takes the job $2 on $1"
}

jobs_done() { # HOST
	testbed exec "$1" sh -c "cat $JOBS/done 2>/dev/null || true" | paste -sd, -
}

@test "a job in flight is finished by the old worker, and the new one takes the next" {
	push_version 1
	web_serves 1
	assert_equal "$(versions h2 worker) $(versions h3 worker)" "version 1 version 1" "the workers"
	assert_equal "$(docker_on h3 ps -aq --filter name=deploy-proxy)" "" "no proxy where no role needs one"
	job h3 long 3
	push_version 2
	web_serves 2
	assert_equal "$(jobs_done h3)" "long version 1" "the job"
	assert_equal "$(versions h2 worker) $(versions h3 worker)" "version 2 version 2" "the workers"
	assert_equal "$(docker_on h3 ps -a --filter "name=$SERVICE-worker" --filter status=exited --format '{{.Status}}' | cut -c1-10)" \
		"Exited (0)" "the old worker"
	job h3 next 0
	deploy_ok rollback
	web_serves 1
	assert_equal "$(versions h2 worker) $(versions h3 worker)" "version 1 version 1" "the workers"
	assert_equal "$(jobs_done h3)" "long version 1,next version 2" "the jobs"
}

@test "workers start once the web is healthy on every host" {
	push_version 1
	app_commit "Slow to begin" version.txt="version 2" start-delay-ms=1500
	deploy_start push
	deploy_await "waiting for $SERVICE-web-"
	while kill -0 "$DEPLOY_PID" 2>/dev/null && [[ -z $(all_of h3 worker | sed 1d) ]]; do
		sleep 0.05
	done
	local web
	for web in "$(running h1 web)" "$(running h2 web)"; do
		assert_equal "$(wc -l <<<"$web")" 2 "the candidates"
	done
	assert_equal "$(docker_on h1 logs "$(docker_on h1 ps -lq)" 2>&1 | grep -c listening)" 1 "the web listens"
	deploy_wait
	assert_equal "$DEPLOY_STATUS" 0 "the push"
}

@test "a worker that fails moves nothing anywhere: neither traffic nor workers" {
	local before
	push_version 1
	before=$(running h2 worker; running h3 worker; running h1 web; running h2 web)
	app_commit "Sick" version.txt="version 2" worker-crash="no such queue"
	deploy_fails 6 push
	assert_stderr "ended with exit code 5"
	assert_stderr "no such queue"
	web_serves 1
	assert_equal "$(running h2 worker; running h3 worker; running h1 web; running h2 web)" "$before" "what runs"
	assert_equal "$(all_of h2 worker; all_of h3 worker; all_of h1 web | wc -l | tr -d ' ')" \
		"$(all_of h2 worker | head -1; all_of h3 worker | head -1; echo 1)" "what is left"
	deploy_ok status
	refute_stdout drift
}

@test "stop-first: never two at a time, and when the new one fails everything goes back" {
	local before
	role clock "hosts: [h3]" "cmd: sh /app/worker" "order: stop-first" "stop_timeout: 20" \
		"healthcheck: {cmd: test -e /tmp/ready, interval: 100ms}" \
		"volumes: ['$JOBS-clock:/jobs']" "options: {cap-add: [CHOWN]}"
	testbed exec h3 install -d -m 777 "$JOBS-clock"
	push_version 1
	push_version 2
	assert_equal "$(testbed exec h3 cat "$JOBS-clock/ran" | paste -sd, -)" \
		"begin version 1,end version 1,begin version 2" "who ran when"
	before=$(running h3 clock; running h3 worker; running h1 web)
	# The image's other worker is well: only the clock is sick.
	manifest_edit "/order: stop-first/,/healthcheck/s/test -e [^,]*/test -e \\/never/"
	manifest_edit "s/^proxy:/deploy_timeout: 3\nproxy:/"
	app_commit "Version 3" version.txt="version 3"
	deploy_fails 6 push
	assert_stderr "was not healthy within 3 s"
	web_serves 2
	assert_equal "$(versions h3 clock),$(versions h3 worker),$(versions h2 worker)" \
		"version 2,version 2,version 2" "the workers"
	assert_equal "$(running h3 clock; running h3 worker; running h1 web)" "$before" "what runs"
	assert_equal "$(testbed exec h3 tail -n 2 "$JOBS-clock/ran" | paste -sd, -)" \
		"end version 3,begin version 2" "one at a time, also on the way back"
	deploy_ok status
	refute_stdout drift
}

@test "killed while a stop-first role is replaced: the next command brings the old one back" {
	role clock "hosts: [h3]" "cmd: sh /app/worker" "order: stop-first" "stop_timeout: 20" \
		"volumes: ['$JOBS:/jobs']"
	push_version 1
	job h3 long 3
	app_commit "Version 2" version.txt="version 2"
	deploy_start push
	deploy_await "stopping $SERVICE-clock-"
	deploy_signal -9
	deploy_wait || true
	deploy_ok app start
	web_serves 1
	assert_equal "$(versions h3 clock),$(versions h3 worker),$(versions h2 worker)" \
		"version 1,version 1,version 1" "the workers"
	assert_equal "$(all_of h3 clock | wc -l | tr -d ' ')" 1 "the clocks"
	push_version 3
	assert_equal "$(versions h3 clock),$(versions h3 worker)" "version 3,version 3" "the workers"
}

@test "Ctrl-C leaves a job of a new worker to its end" {
	push_version 1
	role slow "hosts: [h3]" "healthcheck: {cmd: test -e /never}"
	app_commit "Version 2" version.txt="version 2"
	deploy_start push
	deploy_await "waiting for $SERVICE-slow-"
	# Stop the old ones, so that it is the new worker that takes the job.
	docker_on h3 stop "$(docker_on h3 ps -q --filter "name=$SERVICE-worker" | tail -1)" >/dev/null
	job h3 long 4
	deploy_signal -INT
	deploy_wait
	assert_equal "$DEPLOY_STATUS" 130 "the push"
	assert_equal "$(jobs_done h3)" "" "the job"
	deploy_ok app start
	assert_equal "$(jobs_done h3)" "long version 2" "the job"
	assert_equal "$(versions h3 worker) $(versions h2 worker)" "version 1 version 1" "the workers"
}

@test "app, logs, exec and status take the chosen roles only" {
	local web
	push_version 1
	web=$(running h2 web)
	deploy_ok app stop --roles worker
	assert_equal "$(running h2 worker)$(running h3 worker)" "" "the workers"
	assert_equal "$(running h2 web)" "$web" "the web"
	deploy_ok app start --roles worker
	assert_equal "$(versions h2 worker) $(versions h3 worker)" "version 1 version 1" "the workers"
	deploy_ok app logs --roles worker
	assert_stdout "worker: version 1 begins"
	refute_stdout "listening"
	deploy_ok app exec --reuse --roles worker -- sh -c 'echo "in $DEPLOY_CONTAINER_NAME"'
	assert_stdout "in $SERVICE-worker-"
	refute_stdout "in $SERVICE-web-"
	deploy_ok app exec --reuse -- sh -c 'echo "in $DEPLOY_CONTAINER_NAME"'
	assert_equal "$(grep -c "in $SERVICE-web-" "$DEPLOY_STDOUT"),$(grep -c "in $SERVICE-worker-" "$DEPLOY_STDOUT")" "2,1" "where"
	deploy_ok status --roles worker
	refute_stdout "$SERVICE-web-"
	app_commit "Version 2" version.txt="version 2"
	deploy_ok push --roles worker
	web_serves 1
	assert_equal "$(versions h2 worker) $(versions h3 worker)" "version 2 version 2" "the workers"
}

# --- cron ---

cron_repo() {
	printf '%s\n' 'echo "$1 $(cat /app/version.txt)" >>/jobs/ran' 'sleep "${2:-0}"' 'exit "${3:-0}"' >"$APP/job"
	role jobs "hosts: [h2, h3]" "volumes: ['$JOBS:/jobs']" "cron:" \
		'  "0 3 * * *": sh /app/job nightly 2 7' '  "* * * * *": [sh /app/job often]'
}

crontab_of() { # HOST
	on "$1" crontab -l 2>/dev/null || true
}

# What cron would do with a line of the block.
run_job() { # HOST SCHEDULE
	local line
	line=$(crontab_of "$1" | grep -F "$2 " | grep -F "$SERVICE/cron-run")
	[[ -n $line ]] || fail "no line '$2' on $1:" "$(crontab_of "$1")"
	on "$1" "${line#"$2 "}"
}

ran() { # HOST NAME
	testbed exec "$1" sh -c "grep '^$2 ' $JOBS/ran || true" | paste -sd, -
}

@test "cron runs each job of the live release once, on one host, and status tells how it ended" {
	cron_repo
	testbed exec h2 sh -c 'pgrep -x cron >/dev/null || cron'
	on h2 'echo "5 5 * * * true # mine" | crontab -'
	push_version 1
	assert_equal "$(crontab_of h2 | grep -c "$SERVICE/cron-run"),$(crontab_of h3 | grep -c "$SERVICE/cron-run")" "2,0" "the lines"
	crontab_of h2 | grep -q '^5 5 .* true # mine$' || fail "$(crontab_of h2)"
	deploy_ok status
	assert_stdout "has not run yet"
	# Twice at a time: the second gives way.
	run_job h2 "0 3 * * *" &
	sleep 0.7
	run_job h2 "0 3 * * *"
	wait $!
	assert_equal "$(ran h2 nightly)" "nightly version 1" "the runs"
	deploy_ok status
	assert_stdout '0 3 \* \* \* +sh /app/job nightly 2 7 +20[0-9T:-]+Z +7 '
	push_version 2
	assert_equal "$(crontab_of h2 | grep -c "$SERVICE/cron-run")" 2 "the lines"
	run_job h2 "0 3 * * *"
	assert_equal "$(ran h2 nightly)" "nightly version 1,nightly version 2" "the runs"
	deploy_ok rollback
	run_job h2 "0 3 * * *"
	assert_equal "$(ran h2 nightly)" "nightly version 1,nightly version 2,nightly version 1" "the runs"
	deploy_ok status
	refute_stdout drift
	# The real cron, in its own time.
	local i
	for ((i = 0; i < 130; i++)); do
		[[ -z $(ran h2 often) ]] || break
		sleep 0.5
	done
	[[ $(ran h2 often) == "often version"* ]] || fail "cron ran nothing: $(crontab_of h2)"
	deploy_ok app stop --roles jobs
	assert_equal "$(crontab_of h2 | grep -c "$SERVICE/cron-run")" 0 "the lines"
	deploy_ok app start --roles jobs
	assert_equal "$(crontab_of h2 | grep -c "$SERVICE/cron-run")" 2 "the lines"
	deploy_ok remove -y
	assert_equal "$(crontab_of h2 | grep -v '^#')" "5 5 * * * true # mine" "the crontab"
}

@test "a failed push leaves the schedule as it was, and one without the role takes it away" {
	cron_repo
	push_version 1
	local before
	before=$(crontab_of h2)
	app_commit "Sick" version.txt="version 2" worker-crash=sick
	deploy_fails 6 push
	assert_equal "$(crontab_of h2)" "$before" "the crontab"
	deploy_ok status
	refute_stdout drift
	manifest_edit '/^  jobs:/,/often/d'
	app_commit "Without jobs" version.txt="version 3" worker-crash-
	deploy_ok push
	assert_equal "$(crontab_of h2 | grep -c "$SERVICE/cron-run")" 0 "the lines"
}

@test "without cron on the server a push with jobs is refused before anything is touched" {
	cron_repo
	testbed exec h2 mv /usr/bin/crontab /usr/bin/crontab.away
	app_commit "Version 1" version.txt="version 1"
	deploy_run push
	local status=$DEPLOY_STATUS
	deploy_run check
	testbed exec h2 mv /usr/bin/crontab.away /usr/bin/crontab
	assert_stdout "there is no cron for the jobs"
	assert_equal "$status" 5 "the push"
	assert_equal "$(docker_on h1 ps -aq --filter "label=deploy.service=$SERVICE")" "" "what is there"
}

# --- what a role has of its own ---

@test "a role has its own command, env, options, labels, logging, volumes, replicas and check" {
	local id
	role api "hosts: [h3]" "replicas: 2" "env: {clear: {PORT: '4000', COLOR: green}}" \
		"options: {memory: 64m, read-only: true, tmpfs: [/tmp]}" "labels: {team: api}" \
		"logging: {driver: json-file, options: {max-size: 3m}}" \
		"healthcheck: {path: /up, port: 4000}"
	role plain "hosts: [h3]" "healthcheck: {tcp: 3000}"
	role sick "hosts: [h2]" "cmd: sh /app/worker" "volumes: ['$JOBS:/jobs']" \
		"options: {health-cmd: 'test -e /tmp/ready', health-interval: 1s}"
	push_version 1
	assert_equal "$(running h3 api | wc -l),$(running h3 plain | wc -l),$(running h2 sick | wc -l)" "2,1,1" "the roles"
	id=$(running h3 api | head -1)
	assert_equal "$(docker_on h3 inspect -f \
		'{{.HostConfig.Memory}} {{.HostConfig.ReadonlyRootfs}} {{.Config.Labels.team}} {{index .HostConfig.LogConfig.Config "max-size"}}' "$id")" \
		"67108864 true api 3m" "the api's container"
	assert_equal "$(docker_on h3 exec "$id" sh -c 'echo "$COLOR $PORT"')" "green 4000" "its environment"
	# Docker's own check decides where the role has one: it never says healthy now.
	manifest_edit "s/^proxy:/deploy_timeout: 5\nproxy:/"
	app_commit "Version 2" version.txt="version 2" worker-sick=yes
	manifest_edit '/^  worker:/,/volumes/s/test -e [^,]*/true/'
	deploy_fails 6 push
	assert_stderr "sick-.* was not healthy within [0-9]+ s: Docker says (starting|unhealthy)"
	web_serves 1
	assert_equal "$(running h3 api | wc -l),$(versions h3 plain)" "2,version 1" "the roles"
}
