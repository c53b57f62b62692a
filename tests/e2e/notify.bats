#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Notifications: webhook, Slack's, e-mail; on success, failure and rollback.

setup_file() {
	load ../support/helpers
	bed_up 1
}

teardown_file() { bed_down; }

setup() {
	load ../support/helpers
	service_repo "notify$BATS_TEST_NUMBER" h1
	GOT=$BATS_TEST_TMPDIR/got
	mkdir "$GOT"
	HTTP_PORT=$(shuf -i 20000-24999 -n 1)
	SMTP_PORT=$(shuf -i 25000-29999 -n 1)
	receive_http &
	HTTP_PID=$!
	aiosmtpd -n -l "127.0.0.1:$SMTP_PORT" -c aiosmtpd.handlers.Mailbox "$GOT/mail" 2>/dev/null &
	SMTP_PID=$!
	eventually 10 answers "$HTTP_PORT"
	eventually 10 answers "$SMTP_PORT"
	# What follows the manifest's own keys in this file.
	secrets_file "SLACK_URL=http://127.0.0.1:$HTTP_PORT/slack/very-secret-path" "HOOK_KEY=the signing key"
}

teardown() {
	kill "$HTTP_PID" "$SMTP_PID" 2>/dev/null || true
	e2e_report
	service_forget
}

answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Each request becomes a file: the path, the headers, the body.
receive_http() {
	exec python3 - "$HTTP_PORT" "$GOT" <<-'END'
	import http.server, sys, os, itertools
	count = itertools.count(1)
	class Handler(http.server.BaseHTTPRequestHandler):
	    def do_POST(self):
	        body = self.rfile.read(int(self.headers['Content-Length']))
	        name = '%s/%d' % (sys.argv[2], next(count))
	        with open(name + '.head', 'w') as f:
	            f.write(self.path + '\n' + str(self.headers))
	        with open(name + '.body', 'wb') as f:
	            f.write(body)
	        self.send_response(500 if os.path.exists(sys.argv[2] + '/refuse') else 204)
	        self.end_headers()
	    def log_message(self, *args):
	        pass
	http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Handler).serve_forever()
	END
}

notify() { # LINE...: the manifest's list
	printf 'notify:\n' >>"$APP/deploy.yml"
	printf '  - %s\n' "$@" >>"$APP/deploy.yml"
	app_commit "Tell"
}

body_with() { grep -lE -- "$1" "$GOT"/*.body | head -1; }

@test "a webhook gets signed JSON on success, failure and rollback" {
	local body head
	notify "{webhook: \"http://127.0.0.1:$HTTP_PORT/hook\", secret: [HOOK_KEY]}"
	deploy_ok push
	body=$(body_with '"event":"success"')
	head=${body%.body}.head
	assert_equal "$(head -1 "$head")" /hook path
	assert_equal "$(jq -r '[.service, .version, .release, .performer, .hosts[0]] | join(" ")' "$body")" \
		"$SERVICE $(app_version) 1 author@sample.test h1" details
	assert_equal "$(sed -n 's/^X-Deploy-Signature: //p' "$head")" \
		"sha256=$(openssl dgst -sha256 -hmac 'the signing key' -r "$body" | cut -d' ' -f1)" signature

	app_commit "Broken" version.txt="broken" unhealthy=1
	deploy_fails 6 push
	body=$(body_with '"event":"failure"')
	jq -r .reason "$body" | grep -q "not healthy"
	assert_equal "$(jq -r .host "$body")" h1 host

	app_commit "Version 2" version.txt="version 2" unhealthy-
	deploy_ok push
	deploy_ok rollback
	body=$(body_with '"event":"rollback"')
	jq -r .text "$body" | grep -q "$SERVICE: rolled back: version .* is live on 1 host (release"
}

@test "Slack gets a line, and only what it asked for; its URL stays secret" {
	notify "{slack: [SLACK_URL], on: [failure]}"
	deploy_ok push -v
	! compgen -G "$GOT/*.body" || fail "told of a success"
	app_commit "Broken" version.txt="broken" unhealthy=1
	touch "$GOT/refuse"
	deploy_fails 6 push -v
	assert_equal "$(head -1 "$GOT/1.head")" /slack/very-secret-path path
	assert_equal "$(jq -r 'keys | join(" ")' "$GOT/1.body")" text keys
	assert_stderr "notify .*slack.*the answer was 500"
	refute_stderr "very-secret-path"
}

@test "a mail is sent by SMTP, with a subject that any commit may have" {
	notify "{email: [\"Ops <ops@example.test>\", dev@example.test], smtp: \"127.0.0.1:$SMTP_PORT\", from: \"Deploy <deploy@example.test>\"}"
	deploy_ok push
	local mail
	mail=$(find "$GOT/mail/new" -type f)
	grep -q "^From: Deploy <deploy@example.test>" "$mail"
	grep -q "^X-RcptTo: ops@example.test, dev@example.test" "$mail"
	grep -q "^Subject: $SERVICE: version $(app_version) is live on 1 host" "$mail"
	sed '1,/^$/d' "$mail" | base64 -d | grep -q '"event": "success"'
}

@test "who cannot be told fails no release, and takes no time" {
	kill "$HTTP_PID" "$SMTP_PID"
	notify "{webhook: \"http://127.0.0.1:$HTTP_PORT/hook\"}" \
		"{email: ops@example.test, smtp: \"127.0.0.1:$SMTP_PORT\"}"
	deploy_ok push
	assert_stderr "notify \(deploy.yml:[0-9]+, webhook\): "
	assert_stderr "notify \(deploy.yml:[0-9]+, email\): "
	assert_serves "version 1" "http://$H1_IP/" "$VHOST"
}

@test "check --notify tells what is wrong, to those who asked, and nothing when all is well" {
	deploy_fails 3 check --notify
	assert_stderr "no entry of 'notify'"
	notify "{webhook: \"http://127.0.0.1:$HTTP_PORT/hook\", secret: [HOOK_KEY]}" \
		"{slack: [SLACK_URL], on: [failure]}" \
		"{email: ops@example.test, smtp: \"127.0.0.1:$SMTP_PORT\", on: [check]}"
	# A name that leads to the host: what is well in all else.
	manifest_edit "s|^  host: .*|  host: localhost|"
	app_commit "Well"
	deploy_ok check --notify
	refute_stdout "^(warning|FAIL)"
	! compgen -G "$GOT/*.body" || fail "told of nothing: $(cat "$GOT"/*.body)"

	manifest_edit "s|^  host: .*|  host: nowhere.invalid|"
	app_commit "A name without an address"
	deploy_ok check --notify
	assert_equal "$(jq -r '[.event, .service, .findings[0].level] | join(" ")' "$GOT/1.body")" \
		"check $SERVICE warning" "what the webhook got"
	assert_equal "$(jq -r '.text | split("\n")[0]' "$GOT/1.body")" "$SERVICE: check: 0 to mend, 1 warning" text
	jq -r '.findings[0].what' "$GOT/1.body" | grep "'nowhere.invalid' has no address"
	[[ ! -e $GOT/2.body ]] || fail "Slack was told, which did not ask"
	grep -r "^Subject: $SERVICE: check: 0 to mend, 1 warning" "$GOT/mail"

	testbed kill-sshd h1
	deploy_fails 5 check --notify
	assert_equal "$(jq -r '.findings | map(select(.level == "fail"))[0].host' "$GOT/2.body")" h1 host
	testbed start-sshd h1
}
