# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What every proxy driver has to do, for tests/support/proxy_suite; the driver is $DRIVER.

proxy_setup_file() {
	load ../support/helpers
	bed_up 2
	[[ ${BATS_TEST_FILENAME##*/} != traefik.bats ]] || { testbed load h1 traefik:v3 && testbed load h2 traefik:v3; }
}

proxy_setup() {
	S=s$BATS_TEST_NUMBER
	V=$S.test
	DEPLOY_DIR=/home/deploy/.deploy/proxy/$DRIVER
	app_repo --driver "$DRIVER" --service "$S" h1
}

proxy_teardown() {
	[[ -z ${LOAD_PID:-} ]] || touch "$LOAD_DIR/stop"
	[[ -z ${APP:-} ]] || deploy_run remove -y
	e2e_report
}

body() { curl -s -m 5 -H "Host: ${2:-$V}" "http://$H1_IP${1:-/}"; }
code() { curl -s -m 5 -o /dev/null -w '%{http_code}' -H "Host: ${2:-$V}" "http://$H1_IP${1:-/}"; }

# Half of the requests being slow, on both sorts of connections at once; what the proxy's log tells is
# what the clients saw.  And a service may have the proxy's own name.
many_switches() {
	local n common
	APP=$(e2e_tmp)/many app_repo --driver "$DRIVER" --service "$DRIVER" h1
	APP=$(e2e_tmp)/many
	deploy_ok push
	common=(--host-header "$DRIVER.test" --rate 150 --path /:1 --path '/slow?ms=800:1'
		--timeout 20000 "http://$H1_IP")
	# nginx before 1.27.4 closes idle kept connections at a reload.
	if [[ $DRIVER == caddy ]]; then
		load_start --strict "${common[@]}"
	else
		load_start "${common[@]}"
	fi
	TRAFFIC=("$LOAD_PID $LOAD_DIR")
	load_start --close "${common[@]}"
	TRAFFIC+=("$LOAD_PID $LOAD_DIR")
	for n in 2 3 4; do
		app_commit "Version $n" version.txt="version $n"
		deploy_ok push --json
		assert_equal "$(jq -r 'select(.result == "release") | .failed_requests' "$DEPLOY_STDOUT")" 0 counted
		[[ $(jq -r 'select(.result == "release") | .requests' "$DEPLOY_STDOUT") -gt 100 ]]
		deploy_ok rollback
	done
	traffic_stop
	assert_serves "version 1" "http://$H1_IP/" "$DRIVER.test"
}

# A stream is a request in flight on the old container: the switch does not touch it, the drain waits
# for it, and when that is over the container ends it.
stream_over_the_switch() {
	local out=$BATS_TEST_TMPDIR/stream pid status=0 seen
	echo 'drain_timeout: 4' >>"$APP/deploy.yml"
	deploy_ok push
	curl -sN -m 120 -H "Host: $V" "http://$H1_IP/stream" >"$out" &
	pid=$!
	eventually 20 test -s "$out"
	app_commit "Version 2" version.txt="version 2"
	deploy_ok push
	assert_stderr "1 request.s. were still in flight after 4 s"
	wait "$pid" || status=$?
	assert_equal "$status" 0 "how the stream ended"
	# A tick each 100 ms: those of the drain came, and the application's own end of the stream.
	seen=$(grep -c '^event: tick' "$out")
	[[ $seen -gt 30 ]] || fail "$seen ticks only"
	assert_equal "$(grep -c '^event: end' "$out")" 1 "ends of the stream"
	assert_serves "version 2" "http://$H1_IP/" "$V"
}

# A web socket is a stream in both directions. curl of Debian 12 speaks none: a connection of bash's.
socket_open() { # FILE: gets all that comes; SOCKET is for sending, SOCKET_PID ends with the connection
	exec {SOCKET}<>"/dev/tcp/$H1_IP/80"
	printf '%s\r\n' "GET /live HTTP/1.1" "Host: $V" "Connection: Upgrade" "Upgrade: websocket" \
		"Sec-WebSocket-Version: 13" "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==" "" >&"$SOCKET"
	timeout 120 cat <&"$SOCKET" >"$1" 3>&- &
	SOCKET_PID=$!
	eventually 20 grep -qa "tick 3" "$1"
	# What RFC 6455, 1.3, says for this key.
	grep -qai '^sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=' "$1"
}

websocket_over_the_switch() {
	local out=$BATS_TEST_TMPDIR/socket
	cc -O1 -static -pthread -s -o "$APP/websocket" "$E2E_SUPPORT/websocket.c"
	manifest_edit 's|^    hosts: .*|&\n    cmd: /app/websocket|'
	manifest_add 'drain_timeout: 4'
	app_commit "Web sockets"
	deploy_ok push
	socket_open "$out"
	app_commit "Version 2" version.txt="version 2"
	deploy_start push
	deploy_await "h1 .*draining"
	assert_equal "$(body)" "version 2" "what new requests get meanwhile"
	# Text, five bytes, masked with zeros.
	printf '\x81\x85\0\0\0\0hello' >&"$SOCKET"
	eventually 3 grep -qa "version 1 heard hello" "$out" || { deploy_show push >&2 && fail "$(tail -c 300 "$out" | cat -v)"; }
	deploy_wait
	assert_equal "$DEPLOY_STATUS" 0 "status of the push"
	assert_stderr "1 request.s. were still in flight after 4 s"
	exec {SOCKET}>&-
	wait "$SOCKET_PID" || fail "it did not end"
	# The application's goodbye came through: a close frame, 1001 (going away).
	assert_equal "$(tail -c 4 "$out" | od -An -tx1)" " 88 02 03 e9" "its end"
	socket_open "$out.again"
	exec {SOCKET}>&-
	grep -qa "version 2 tick 0" "$out.again"
	kill "$SOCKET_PID"
}

# The application of another service on h1, in $OTHER.
other_app() { # NAME OPTION...
	OTHER=$BATS_TEST_TMPDIR/$1
	APP=$OTHER app_repo --driver "$DRIVER" --service "$1" "${@:2}" h1
	echo "other $1" >"$OTHER/version.txt"
	APP=$OTHER app_commit "Other"
}
other_removed() { (APP=$OTHER && deploy_ok remove -y); }

two_services_by_host() {
	other_app "o$S"
	deploy_ok push
	(APP=$OTHER && deploy_ok push)
	assert_serves "version 1" "http://$H1_IP/" "$V"
	assert_serves "other o$S" "http://$H1_IP/" "o$S.test"
	assert_containers h1 '^deploy-proxy-' 1
	app_commit "Version 2" version.txt="version 2"
	deploy_ok push
	assert_serves "version 2" "http://$H1_IP/" "$V"
	assert_serves "other o$S" "http://$H1_IP/" "o$S.test"
	deploy_ok remove -y
	assert_serves "other o$S" "http://$H1_IP/" "o$S.test"
	other_removed
}

two_services_by_path() {
	other_app "o$S" --host "$V"
	deploy_ok push
	(APP=$OTHER && deploy_run push && deploy_show push >&2 && [[ $DEPLOY_STATUS -ne 0 ]] &&
		assert_stderr "'$S'" && assert_stderr "$V")
	assert_serves "version 1" "http://$H1_IP/" "$V"
	assert_containers h1 "^o$S-" 0
	sed -i "s|^  app_port:|  path_prefix: /api\n  app_port:|" "$OTHER/deploy.yml"
	APP=$OTHER app_commit "Below /api"
	deploy_ok push
	(APP=$OTHER && deploy_ok push)
	assert_serves "version 1" "http://$H1_IP/" "$V"
	assert_serves "other o$S" "http://$H1_IP/api/" "$V"
	assert_serves "other o$S" "http://$H1_IP/api" "$V"
	assert_equal "$(code /apis)" 404 "/apis of the first"
	assert_equal "$(curl -s -H "Host: $V" "http://$H1_IP/api/env?name=PORT" | wc -c)" \
		"$(curl -s -H "Host: $V" "http://$H1_IP/env?name=PORT" | wc -c)" "stripped path"
	sed -i "s|^  path_prefix:|  strip_path_prefix: false\n  path_prefix:|" "$OTHER/deploy.yml"
	APP=$OTHER app_commit "As it is"
	(
		APP=$OTHER
		# its health check goes to the container itself
		deploy_ok push
	)
	assert_equal "$(code /api/up)" 404 "a path that is not stripped"
	assert_serves "version 1" "http://$H1_IP/" "$V"
	other_removed
}

maintenance_on_and_off() {
	deploy_ok push
	deploy_ok app maintenance -m 'Back at <noon> & "soon"'
	curl -s -i -m 5 -H "Host: $V" "http://$H1_IP/any/path" >"$BATS_TEST_TMPDIR/page"
	grep -E '^HTTP/1.1 503' "$BATS_TEST_TMPDIR/page"
	grep -iE '^retry-after: [0-9]+' "$BATS_TEST_TMPDIR/page"
	grep -iE '^content-type: text/html' "$BATS_TEST_TMPDIR/page"
	grep -E 'Back at &(lt|#60);noon&(gt|#62); &(amp|#38); ' "$BATS_TEST_TMPDIR/page"
	deploy_ok status
	grep -i maintenance "$DEPLOY_STDOUT" "$DEPLOY_STDERR"
	# A push in between keeps the page up.
	app_commit "Version 2" version.txt="version 2"
	deploy_ok push
	assert_equal "$(code /)" 503 "after a push"
	deploy_ok app live
	assert_serves "version 2" "http://$H1_IP/" "$V"
}

# give_certificate DAYS [NAME [KEY]]: a new one in $TLS and in the secrets; KEY: with another's key.
give_certificate() {
	TLS=$BATS_TEST_TMPDIR/tls
	self_signed "$TLS" "${2:-$V}" "$1"
	secrets_file "CERT=\"$(cat "$TLS/cert.pem")\"" "KEY=\"$(cat "${3:-$TLS/key.pem}")\""
	manifest_edit 's|^  ssl: .*|  ssl: {certificate_pem: CERT, private_key_pem: KEY}|'
}
https() { curl -s -m 5 --cacert "$TLS/cert.pem" --resolve "$V:443:$H1_IP" "https://$V/" "$@"; }
tls_client() { openssl s_client -connect "$H1_IP:443" -servername "$V" "$@" </dev/null 2>&1; }
serial() { openssl x509 -noout -serial | cut -d= -f2; }

answer() { # CURL OPTION...: status line and headers of an answer, its body (as sent) in $BATS_TEST_TMPDIR/body
	curl -s -m 5 -D - -o "$BATS_TEST_TMPDIR/body" -H "Host: $V" "$@" | tr -d '\r'
}

headers_and_compression() {
	manifest_edit 's|^  ssl: .*|&\n  compress: true\n  response_headers:\n    X-Frame-Options: DENY\n    X-Version: secret\n    Content-Security-Policy: "default-src '"'self'"'; img-src *"|'
	app_commit "Headers" version.txt="version 1$(printf '%01000d' 0)"
	deploy_ok push
	answer "http://$H1_IP/" >"$BATS_TEST_TMPDIR/head"
	grep -qix 'x-frame-options: DENY' "$BATS_TEST_TMPDIR/head"
	grep -qiFx "content-security-policy: default-src 'self'; img-src *" "$BATS_TEST_TMPDIR/head"
	# In place of the application's own, not beside it.
	assert_equal "$(grep -i '^x-version:' "$BATS_TEST_TMPDIR/head")" "X-Version: secret"
	! grep -qi '^content-encoding' "$BATS_TEST_TMPDIR/head" || fail "compressed, and nobody asked"
	answer -H "Accept-Encoding: gzip" "http://$H1_IP/" >"$BATS_TEST_TMPDIR/head"
	grep -qix 'content-encoding: gzip' "$BATS_TEST_TMPDIR/head"
	assert_equal "$(gunzip <"$BATS_TEST_TMPDIR/body" | wc -c)" 1010
	# Taken away again.
	manifest_edit '/response_headers/,/Policy/d'
	app_commit "No headers"
	deploy_ok push
	! answer "http://$H1_IP/" | grep -i '^x-frame-options' || fail "the header is still there"
}

given_certificate() {
	give_certificate 90
	app_commit "With TLS"
	deploy_ok push
	assert_equal "$(https -f)" "version 1" https
	curl -s -i -m 5 -H "Host: $V" "http://$H1_IP/a?b=c" >"$BATS_TEST_TMPDIR/redirect"
	grep -E '^HTTP/1.1 30[1278]' "$BATS_TEST_TMPDIR/redirect"
	grep -iE "^location: https://$V/a\\?b=c" "$BATS_TEST_TMPDIR/redirect"
	# The key is readable by its owner alone, and in no other place.
	testbed exec h1 bash -c 'cd /home/deploy/.deploy && grep -rl "PRIVATE KEY" . | xargs stat -c "%a %n"' \
		>"$BATS_TEST_TMPDIR/keys"
	assert_equal "$(grep -cv '^600 \|^400 ' "$BATS_TEST_TMPDIR/keys" || true)" 0 "keys that others may read"
	app_commit "Version 2" version.txt="version 2"
	deploy_ok push
	assert_equal "$(https -f)" "version 2" https
}

# Of the certificates given these alone lie on the server, with the mark of who has put them there.
given_lie() { # FILE...
	local lie
	lie=$(testbed exec h1 find "$DEPLOY_DIR/certs" -type f ! -name 'default.*')
	assert_equal "$(wc -l <<<"$lie")" $((3 * $#)) "files of certificates ($lie)"
	lie=$(testbed exec h1 find "$DEPLOY_DIR/certs" -name '*.crt' ! -name 'default.*' -exec grep -h . {} +)
	assert_equal "$(sort <<<"$lie")" "$(grep -h . "$@" | sort)" "certificates on the server"
}

# The same version with renewed secrets; what is wrong with a given one, and how long it is good.
renewed_certificate() {
	local before first
	give_certificate 10
	manifest_edit 's|^  ssl: .*|&\n  ssl_redirect: false|'
	app_commit "With TLS"
	deploy_ok push
	assert_stderr "CERT: the given certificate is good for 9 days"
	deploy_ok check
	assert_stdout "warning  h1: $V: the certificate is good for 9 days, until .*, by $V"
	first=$(tls_client | serial)
	before=$(docker_on h1 inspect -f '{{.Id}} {{.State.StartedAt}}' "deploy-proxy-$DRIVER")
	load_start --host-header "$V" --rate 150 --keepalive --path /:9 --path '/slow?ms=700:1' "http://$H1_IP"
	give_certificate 90
	deploy_ok push
	assert_equal "$(tls_client | serial)" "$(serial <"$TLS/cert.pem")" "serial of what is served"
	load_stop
	assert_no_failures
	[[ $first != "$(serial <"$TLS/cert.pem")" ]]
	assert_equal "$(https -f)" "version 1" https
	assert_equal "$(docker_on h1 inspect -f '{{.Id}} {{.State.StartedAt}}' "deploy-proxy-$DRIVER")" "$before" \
		"the proxy's container"
	deploy_ok status
	assert_stdout "^h1 +$V +$V +89 +20"
	deploy_ok status --json
	jq -e --arg serial "$(serial <"$TLS/cert.pem")" --arg name "$V" '.certificates ==
		[(.certificates[0] | {host: "h1", name: $name, trouble: null, issuer: $name, serial: $serial,
		expires, days_left: 89})]' "$DEPLOY_STDOUT"
	deploy_ok push
	refute_stderr "certificate"
	assert_stdout "nothing to deploy"
	given_lie "$TLS/cert.pem"

	# What a killed tool has put there lies beside it, and goes with the next push.
	cp "$TLS/cert.pem" "$TLS/live.pem"
	give_certificate 80
	mkdir -p "$APP/.deploy/hooks"
	printf '#!/bin/sh\nkill -9 $PPID\n' >"$APP/.deploy/hooks/post-app-boot"
	chmod +x "$APP/.deploy/hooks/post-app-boot"
	app_commit "Version 2" version.txt="version 2"
	deploy_fails 137 push
	rm "$APP/.deploy/hooks/post-app-boot"
	given_lie "$TLS/live.pem" "$TLS/cert.pem"
	cp "$TLS/key.pem" "$TLS/old.pem"
	give_certificate 90 "$V" "$TLS/old.pem"
	deploy_fails 3 push
	assert_stderr "CERT and KEY: the given private key does not belong"
	give_certificate 90 other.test
	deploy_fails 3 push
	assert_stderr "the given certificate is not for '$V', it is for other names: other.test"
	deploy_fails 5 check
	assert_stdout "FAIL +CERT: the given certificate is not for '$V'"
	assert_stdout "ok +h1: $V: the certificate is good"
	give_certificate -1
	deploy_ok push
	assert_stderr "CERT: the given certificate has expired on"
	deploy_fails 5 check
	assert_stdout "FAIL +h1: $V: the certificate has expired on"
	given_lie "$TLS/cert.pem"
	deploy_ok remove -y
	assert_equal "$(testbed exec h1 find "$DEPLOY_DIR/certs" -type f ! -name 'default.*')" "" "certificates of a removed service"
}

# Which client gets in, and by which cipher; HSTS is told by HTTPS alone, and to errors too.
tls_settings() {
	local suite=ECDHE-ECDSA-AES256-GCM-SHA384
	give_certificate 90
	manifest_edit "s|^  ssl: .*|&\n  ssl_redirect: false\n  tls: {ciphers: [$suite], hsts: true}|"
	app_commit "Ciphers"
	deploy_ok push
	tls_client -tls1_2 | grep "Cipher is $suite"
	tls_client -tls1_2 -cipher 'ALL:!AES256' | grep "alert handshake failure"
	tls_client -tls1_3 | grep "Cipher is TLS_"
	tls_client -tls1_1 -cipher 'ALL:@SECLEVEL=0' | grep "alert protocol version"
	https -D "$BATS_TEST_TMPDIR/headers" | grep "version 1"
	assert_equal "$(grep -ci '^strict-transport-security: max-age=31536000.$' "$BATS_TEST_TMPDIR/headers")" 1 HSTS
	deploy_ok app maintenance
	https -D "$BATS_TEST_TMPDIR/headers" >/dev/null
	grep '^HTTP.* 503' "$BATS_TEST_TMPDIR/headers"
	assert_equal "$(grep -ci '^strict-transport-security: ' "$BATS_TEST_TMPDIR/headers")" 1 "HSTS of an error"
	deploy_ok app live
	curl -s -i -m 5 -H "Host: $V" "http://$H1_IP/" >"$BATS_TEST_TMPDIR/headers"
	grep "version 1" "$BATS_TEST_TMPDIR/headers"
	assert_equal "$(grep -ci '^strict' "$BATS_TEST_TMPDIR/headers" || true)" 0 "HSTS by HTTP"
	# The same version, other settings.
	manifest_edit 's|^  tls: .*|  tls: {min_version: "1.3"}|'
	deploy_ok push
	tls_client -tls1_3 | grep "Cipher is TLS_"
	# Of nginx 1.22 a request is turned away, of others the handshake.
	https --tls-max 1.2 -o /dev/null -w '%{http_code}' >"$BATS_TEST_TMPDIR/code" || true
	grep -E '^(421|000)$' "$BATS_TEST_TMPDIR/code"
	assert_equal "$(https --tlsv1.3)" "version 1" "by TLS 1.3"
}

edited_by_hand() {
	local file ext
	case $DRIVER in
	caddy) ext=caddy ;;
	nginx) ext=conf ;;
	traefik) ext=yml ;;
	esac
	file=$DEPLOY_DIR/services/$S.$ext
	deploy_ok push
	testbed exec h1 sh -c 'echo "# mine" >>"$0"' "$file"
	deploy_ok status
	assert_stdout 'by hand|drift'
	deploy_ok plan
	assert_stdout 'by hand'
	app_commit "Version 2" version.txt="version 2"
	deploy_ok push
	assert_serves "version 2" "http://$H1_IP/" "$V"
	! testbed exec h1 grep -F '# mine' "$file" || fail "the edit is still there"
	deploy_ok status
	refute_stdout 'by hand'
}

removed_by_hand() {
	deploy_ok push
	docker_on h1 rm -f "deploy-proxy-$DRIVER"
	docker_on h1 stop -t 1 "$S-web-$(app_version)"
	deploy_ok check
	assert_stdout "warning  h1: $S-web-$(app_version) is live, but stands still"
	assert_stdout "warning  h1: the proxy does not run"
	deploy_ok status
	assert_stdout 'proxy'
	deploy_ok plan
	assert_stdout 'proxy'
	deploy_ok push
	assert_serves "version 1" "http://$H1_IP/" "$V"
}

# Docker gives the port to one container at a time: new connections wait, nobody is refused.
# Docker gives a port to one container at a time: who comes meanwhile waits, and is not refused.
reboot_under_load() {
	local connections
	deploy_ok push
	for connections in --keepalive --close; do
		load_start "$connections" --host-header "$V" --rate 150 --path /:9 \
			--path '/slow?ms=700:1' "http://$H1_IP"
		sleep 0.3
		deploy_ok proxy reboot
		assert_stderr 'proxy rebooted; new connections waited for [0-9]+ ms'
		sleep 0.3
		load_stop
		assert_no_failures
	done
	assert_serves "version 1" "http://$H1_IP/" "$V"
	assert_containers h1 '^deploy-proxy-.*-(gate|old)$' 0
}

proxy_commands() {
	deploy_ok push
	body / >/dev/null
	body '/env?name=ABC' >/dev/null
	sleep 0.2
	deploy_ok proxy logs -n 20
	assert_stdout '/env\?name=ABC'
	deploy_ok proxy logs -g 'name=ABC'
	assert_equal "$(grep -c . "$DEPLOY_STDOUT")" 1 "lines with ABC"
	deploy_ok proxy logs --json
	jq -e . "$DEPLOY_STDOUT" >/dev/null
	deploy_ok proxy details
	assert_stdout "$S for $V"
	deploy_ok proxy config
	assert_stdout "services/$S\\."
	deploy_ok proxy reboot
	assert_serves "version 1" "http://$H1_IP/" "$V"
	deploy_fails 2 proxy remove
	assert_containers h1 '^deploy-proxy-' 1 running
	deploy_ok proxy remove -y
	assert_containers h1 '^deploy-proxy-' 0
	deploy_ok proxy boot
	assert_serves "version 1" "http://$H1_IP/" "$V"
}

power_cut_and_on() {
	sed -i 's/hosts: \[h1\]/hosts: [h1, h2]/' "$APP/deploy.yml"
	app_commit "Two hosts"
	deploy_ok push
	app_commit "Version 2" version.txt="version 2"
	deploy_ok push
	testbed power-cut h2
	assert_serves "version 2" "http://$H1_IP/" "$V"
	testbed power-on h2
	eventually 30 assert_serves "version 2" "http://$H2_IP/" "$V"
	assert_containers h2 "^$S-web-" 1 running
	deploy_ok status
	refute_stdout 'drift|by hand|not running'
}

# The containers of the service end, and nobody answers: what users see.
nobody_answers() {
	docker_on h1 ps -q --filter "name=^$S-web" | xargs docker -H "$(testbed docker-host h1)" stop -t 1 >/dev/null
	error_page
}
# error_page CURL-OPTION...: its text and status (nginx: 504 while it knows the old address).
error_page() { curl -s -m 30 -w ' %{http_code}' "$@" -H "Host: $V" "http://$H1_IP/" | tr -d '\n'; }

# The commit's pages, not those of the work tree; for every method; and the built-in one without.
own_error_pages() {
	manifest_add "error_pages_path: pages"
	mkdir "$APP/pages"
	app_commit "Pages" pages/5xx.html="<p>ours</p>" pages/500.html="<p>the application's</p>"
	echo "not committed" | tee "$APP/pages/502.html" >"$APP/pages/504.html"
	deploy_ok push
	nobody_answers >/dev/null
	[[ $(error_page -X POST -d x=1) =~ ^"<p>ours</p> "50[24]$ ]]
	rm "$APP"/pages/50[24].html
	app_commit "Another" pages/502.html="<p>another</p>" pages/504.html="<p>another</p>"
	deploy_ok push
	[[ $(nobody_answers) =~ ^"<p>another</p> "50[24]$ ]]
	manifest_edit '/^error_pages_path/d'
	app_commit "None"
	deploy_ok push
	[[ $(nobody_answers) =~ "This site is not answering" ]]
	deploy_ok remove -y
	testbed exec h1 find "$DEPLOY_DIR/pages" "$DEPLOY_DIR/next" -mindepth 1 >"$BATS_TEST_TMPDIR/left"
	assert_equal "$(cat "$BATS_TEST_TMPDIR/left")" "" "what is left on the server"
}

# replicas_of N: that many containers, and more settings of the proxy.
replicas_of() { # N LINE...
	local lines
	lines=$(printf '\\n  %s' "${@:2}")
	manifest_edit "s|^    hosts: .*|&\n    replicas: $1|; s|^  ssl: .*|&$lines|"
	app_commit "$1 replicas"
}
# answered_by CURL-OPTION...: the container that answers.
answered_by() { curl -sf -m 10 -D - -o /dev/null -H "Host: $V" "$@" "http://$H1_IP/" | tr -d '\r' | sed -n 's/^[Xx]-[Hh]ostname: //p'; }
# spread N: how many requests each container answered of N, one after another.
spread() { for _ in $(seq "$1"); do answered_by; done | sort | uniq -c | awk '{print $1}' | xargs; }

# Every policy that the manifest has; a change of it is a change of what is served, without a release.
policies() {
	local n at=$BATS_TEST_TMPDIR/slow
	replicas_of 3 "load_balancing: {weights: [2, 1]}"
	deploy_fails 3 config
	assert_stderr "all containers of a release on a host are equal"
	manifest_edit 's|weights: .*}|policy: round_robin}|'
	app_commit "Round robin"
	deploy_ok push
	assert_equal "$(spread 9)" "3 3 3" round_robin
	manifest_edit 's|policy: .*}|policy: ip_hash}|'
	deploy_ok push
	assert_equal "$(spread 6)" "6" ip_hash
	manifest_edit 's|policy: .*}|policy: random}|'
	if [[ $DRIVER == traefik ]]; then
		deploy_fails 3 config
		assert_stderr "the traefik driver has no 'random'"
		assert_stderr "= driver: caddy, or driver: nginx"
		manifest_edit 's|policy: .*}|policy: round_robin}|'
		deploy_ok push
	else
		deploy_ok push
		eventually 20 seen_all 3
		manifest_edit 's|policy: .*}|policy: least_conn}|'
		deploy_ok push
		# Three at once go to three.
		for n in 1 2 3; do
			curl -sf -m 10 -D "$at.$n" -o /dev/null -H "Host: $V" "http://$H1_IP/slow?ms=1500" &
		done
		wait
		assert_equal "$(grep -ih '^x-hostname' "$at".* | sort -u | wc -l)" 3 least_conn
	fi
	# A container that is gone costs nobody an answer.
	docker_on h1 ps -q --filter "name=^$S-web" | head -1 | xargs docker -H "$(testbed docker-host h1)" kill >/dev/null
	for n in 1 2 3 4 5 6 7 8; do
		assert_equal "$(code /)" 200
	done
	deploy_ok push
}
another_answers() { [[ $(answered_by -b "$1") != "$2" ]]; } # JAR CONTAINER
seen_all() { [[ $(spread 12 | wc -w) -eq $1 ]]; }

# One replica after the other gets the traffic; what they replace has it back when one fails.
rolling_replicas() {
	replicas_of 3
	manifest_edit 's|^    replicas: .*|&\n    cmd: /app/start|'
	manifest_add 'deploy_timeout: 3' 'rollout: {strategy: rolling, delay: 1s, monitor: 1s}'
	printf '#!/bin/sh\nexec app\n' >"$APP/start"
	chmod +x "$APP/start"
	app_commit "Version 1" version.txt="version 1"
	deploy_ok push
	load_start --host-header "$V" --rate 200 --expect "version 1" --expect "version 2" --timeout 30000 \
		--path '/:9' --path '/slow?ms=1000:1' "http://$H1_IP"
	printf '#!/bin/sh\ncase $DEPLOY_CONTAINER_NAME in *-3) touch /app/unhealthy ;; esac\nexec app\n' >"$APP/start"
	app_commit "Version 2, of which the last one is sick" version.txt="version 2"
	deploy_start push
	deploy_await "batch 2 of 3: h1 .replica 2 of 3"
	eventually 10 both_answer
	deploy_wait
	assert_equal "$DEPLOY_STATUS" 6 status
	assert_stderr "h1: .*-3' was not healthy"
	assert_equal "$(versions)" "version 1" "who answers after the failure"
	assert_containers h1 "^$S-web" 3 running
	printf '#!/bin/sh\nexec app\n' >"$APP/start"
	app_commit "Version 2, well" version.txt="version 2"
	deploy_ok push
	load_stop
	assert_no_failures
	assert_equal "$(versions)" "version 2" "who answers in the end"
	assert_containers h1 "^$S-web" 3 running
}
versions() { for _ in 1 2 3 4 5 6 7 8 9; do curl -sf -m 10 -H "Host: $V" "http://$H1_IP/" && echo; done | sort -u | grep .; }
both_answer() { [[ $(versions | wc -l) -eq 2 ]]; }

# A client stays with its container; when that retires, or dies, the client has another one, and no
# error.  Attributes of the cookie; the switch loses no request of such clients.
sticky_sessions() {
	local jar=$BATS_TEST_TMPDIR/jar first cookie
	replicas_of 3 "load_balancing: {sticky: {cookie: shop, max_age: 1h}}"
	deploy_ok push
	first=$(answered_by -c "$jar")
	assert_equal "$(for _ in 1 2 3 4 5 6 7 8; do answered_by -b "$jar"; done | sort -u)" "$first" "who answers"
	cookie=$(answer "http://$H1_IP/" | grep -i '^set-cookie: shop=')
	grep -qE '^[^:]*: shop=[0-9a-f]+; Path=/; .*HttpOnly' <<<"$cookie"
	grep -q 'SameSite=Lax' <<<"$cookie"
	grep -q 'Max-Age=3600' <<<"$cookie"
	eventually 20 seen_all 3
	cookie=$(awk '$6 == "shop" {print $7}' "$jar")
	load_start --host-header "$V" --rate 100 --header "Cookie: shop=$cookie" --path /:5 --path '/slow?ms=500:1' "http://$H1_IP"
	app_commit "Version 2" version.txt="version 2"
	deploy_ok push
	load_stop
	assert_no_failures
	first=$(answered_by -b "$jar" -c "$jar")
	assert_equal "$(for _ in 1 2 3 4 5 6; do answered_by -b "$jar"; done | sort -u)" "$first" "who answers now"
	docker_on h1 kill "$first" >/dev/null
	# Traefik asks them from time to time: deploy-manifest(5).
	[[ $DRIVER != traefik ]] || eventually 20 another_answers "$jar" "$first"
	for _ in 1 2 3 4; do
		[[ $(answered_by -b "$jar" -c "$jar") != "$first" ]]
	done
}

# Names, wildcards and nobody's names; the size of a request, and the time for its answer.
hosts_and_limits() {
	manifest_edit "s|^  host: .*|  hosts: [$V, \"*.$V\"]\n  response_timeout: 1\n  buffering: {max_request_body: 2k}|"
	app_commit "Limits"
	deploy_ok push
	assert_serves "version 1" "http://$H1_IP/" "$V"
	assert_serves "version 1" "http://$H1_IP/" "any.$V"
	assert_equal "$(code / "$(tr "[:lower:]" "[:upper:]" <<<"$V")")" 200 "a name in capitals"
	assert_equal "$(code / "x$V")" 404 "another name that ends so"
	assert_equal "$(code / nobody.test)" 404 "nobody's name"
	assert_equal "$(head -c 2000 /dev/zero | answer_code /echo --data-binary @-)" 200 "a small body"
	assert_equal "$(head -c 3000 /dev/zero | answer_code /echo --data-binary @-)" 413 "a large body"
	assert_equal "$(answer_code '/slow?ms=200')" 200 "an answer in time"
	assert_equal "$(answer_code '/slow?ms=4000')" 504 "an answer that is late"
}
answer_code() { curl -s -m 10 -o /dev/null -w '%{http_code}' -H "Host: $V" "${@:2}" "http://$H1_IP$1"; }

# The user's own directives, in the proxy's language: of the commit, judged by the proxy, with the
# release that they belong to.
snippets() {
	local good broken refused before
	if [[ $DRIVER == traefik ]]; then
		refuses 'snippet: deploy/snippet' nginx
		return
	fi
	case $DRIVER in
	nginx)
		good='add_header X-Snippet one always;' broken='add_headr X-Snippet two;'
		refused='unknown directive "add_headr"'
		;;
	caddy)
		good='header X-Snippet one' broken='headr X-Snippet two'
		refused='unrecognized directive: headr'
		;;
	esac
	app_commit "With a file" deploy/snippet="$good"
	deploy_ok push
	# The version is live: its settings change, and it stays.
	manifest_edit 's|^  ssl: .*|&\n  snippet: deploy/snippet|'
	deploy_ok plan
	assert_stdout "with the proxy's new settings"
	deploy_ok push
	assert_equal "$(snippet_seen)" one
	deploy_ok push
	assert_stdout "nothing to deploy"
	app_commit "Second" deploy/snippet="${good/one/two}" version.txt="version 2"
	echo "not committed" >"$APP/deploy/snippet"
	deploy_ok push
	assert_equal "$(snippet_seen)" two
	deploy_ok app maintenance
	deploy_ok app live
	assert_equal "$(snippet_seen)" two "after a maintenance"
	before=$(testbed exec h1 find "$DEPLOY_DIR" -name "*$S*" -newermt 1970-01-02 -printf '%p %T@\n' | sort)
	app_commit "Broken" deploy/snippet="$broken" version.txt="version 3"
	deploy_fails 5 push
	assert_stderr "$DRIVER refuses the new configuration"
	assert_stderr "$refused"
	assert_serves "version 2" "http://$H1_IP/" "$V"
	assert_equal "$(snippet_seen)" two "after a refusal"
	assert_equal "$(testbed exec h1 find "$DEPLOY_DIR" -name "*$S*" -newermt 1970-01-02 -printf '%p %T@\n' | sort)" "$before" files
	app_commit "Gone" deploy/snippet- version.txt="version 4"
	deploy_fails 3 push
	assert_stderr "has no file 'deploy/snippet'"
	deploy_ok rollback
	assert_equal "$(snippet_seen)" one "after a rollback"
	deploy_ok remove -y
	assert_equal "$(testbed exec h1 find "$DEPLOY_DIR/snippets" -mindepth 1)" "" "what is left"
}
snippet_seen() { answer "http://$H1_IP/" | sed -n 's/^[Xx]-[Ss]nippet: //p'; }

logged_headers() {
	if [[ $DRIVER != nginx ]]; then
		refuses 'logging: {request_headers: [X-Real-Ip]}' nginx
		return
	fi
	manifest_edit 's|^  ssl: .*|&\n  logging: {request_headers: [X-Real-Ip, Accept], response_headers: [X-Version]}|'
	app_commit "Logged"
	deploy_ok push
	answer_code "/up?logged" -H "X-Real-Ip: 192.0.2.7\"" -H "Authorization: Bearer opensesame"
	app_commit "Version 2" version.txt="version 2"
	deploy_ok push --json
	assert_equal "$(jq -r 'select(.result == "release") | .requests' "$DEPLOY_STDOUT")" 0 "requests of nobody"
	deploy_ok proxy logs -g logged --json
	jq -es '.[0] | tostring | contains("192.0.2.7")' "$DEPLOY_STDOUT" >/dev/null || fail "$(cat "$DEPLOY_STDOUT")"
	testbed exec h1 tail -n 3 "$DEPLOY_DIR/log/access.log" >"$BATS_TEST_TMPDIR/log"
	jq -es 'map(select(.uri == "/up?logged"))[0] | .request_headers == {"X-Real-Ip": "192.0.2.7\"", "Accept": "*/*"} and
		.response_headers == {"X-Version": "version 1"}' "$BATS_TEST_TMPDIR/log" || fail "$(cat "$BATS_TEST_TMPDIR/log")"
	! grep opensesame "$BATS_TEST_TMPDIR/log" || fail "a secret is in the log"
}

# What a driver cannot do is refused by name, with the driver that can.
refuses() { # LINE WHO-CAN
	manifest_edit "s#^  ssl: .*#&\n  $1#"
	deploy_fails 3 config
	assert_stderr "the (proxy )?(driver )?$DRIVER (driver )?"
	assert_stderr "= .*driver: $2"
}

rate_limits() {
	local codes
	if [[ $DRIVER == caddy ]]; then
		refuses 'rate_limits: [{rate: 10/s}]' nginx
		return
	fi
	manifest_edit 's|^  ssl: .*|&\n  rate_limits:\n    - {path: /, rate: 50/s, burst: 500}\n    - {path: /up, rate: 5/m, burst: 1}|'
	app_commit "Limits"
	deploy_ok push
	codes=$(for _ in 1 2 3 4; do code /up; echo; done | sort | uniq -c | xargs)
	assert_equal "$codes" "2 200 2 429"
	# Not the whole service, nor a path that only begins like it; and encoding is no way around.
	assert_equal "$(code /)" 200
	assert_equal "$(code /upper)" 404
	assert_equal "$(code /%75p)" 429
	app_commit "Version 2" version.txt="version 2"
	deploy_ok push
	assert_serves "version 2" "http://$H1_IP/" "$V"
}

metrics() {
	local line='caddy_http_requests_total{.*} [1-9]'
	if [[ $DRIVER == nginx ]]; then
		refuses 'run: {metrics_port: 9191}' caddy
		return
	fi
	[[ $DRIVER == caddy ]] || line='traefik_service_requests_total{.*} [1-9]'
	manifest_edit 's/^  app_port:.*/&\n  run: {metrics_port: 9191}/'
	deploy_ok push
	deploy_ok -y proxy reboot
	assert_serves "version 1" "http://$H1_IP/" "$V"
	testbed exec h1 curl -s -m 5 http://127.0.0.1:9191/metrics >"$BATS_TEST_TMPDIR/metrics"
	grep -q "^$line" "$BATS_TEST_TMPDIR/metrics"
	refute curl -s -m 5 "http://$H1_IP:9191/metrics"
	deploy_ok proxy details
	refute_stdout 9191
}
