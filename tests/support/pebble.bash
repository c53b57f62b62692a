# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# An ACME authority on this machine, at the bed's address of it: pebble, Let's Encrypt's own for
# tests. Every host name leads to h1, where it asks port 80. Certificates by it are real, but for
# its root: $PEBBLE/roots.pem. Its own HTTPS has another root: $PEBBLE/ca.pem.

pebble_up() {
	local program
	need_go
	export PEBBLE=$BATS_FILE_TMPDIR/pebble
	mkdir -p "$PEBBLE"
	for program in pebble pebble-challtestsrv; do
		ln -s "$("$E2E_ROOT/deploy/support/image" --program $program)" "$PEBBLE/$program"
	done
	export PEBBLE_URL=https://$BED_OPERATOR:14000/dir
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=pebble \
		-addext "subjectAltName=IP:$BED_OPERATOR" -keyout "$PEBBLE/key.pem" \
		-out "$PEBBLE/ca.pem" 2>/dev/null
	cat >"$PEBBLE/config.json" <<-END
	{"pebble": {"listenAddress": "$BED_OPERATOR:14000",
	 "managementListenAddress": "$BED_OPERATOR:15000",
	 "certificate": "$PEBBLE/ca.pem", "privateKey": "$PEBBLE/key.pem",
	 "httpPort": 80, "tlsPort": 443, "keyAlgorithm": "ecdsa",
	 "profiles": {"default": {"description": "90 days", "validityPeriod": 7776000}}}}
	END
	"$PEBBLE/pebble-challtestsrv" -management "$BED_OPERATOR:8055" -dnsserver "$BED_OPERATOR:8053" \
		-http01 "" -https01 "" -tlsalpn01 "" -doh "" -defaultIPv4 "$H1_IP" -defaultIPv6 "" \
		>"$PEBBLE/dns.log" 2>&1 3>&- &
	echo $! >"$PEBBLE/pids"
	PEBBLE_VA_NOSLEEP=1 PEBBLE_WFE_NONCEREJECT=0 "$PEBBLE/pebble" -config "$PEBBLE/config.json" \
		-dnsserver "$BED_OPERATOR:8053" >"$PEBBLE/log" 2>&1 3>&- &
	echo $! >>"$PEBBLE/pids"
	curl -sS --cacert "$PEBBLE/ca.pem" --retry 60 --retry-delay 1 --retry-connrefused \
		-o "$PEBBLE/roots.pem" "https://$BED_OPERATOR:15000/roots/0" || cat "$PEBBLE"/*log >&2
}

pebble_down() {
	[[ ! -s ${PEBBLE:-/nowhere}/pids ]] || xargs kill <"$PEBBLE/pids" || true
}

# How many certificates it has given, and how many orders it has had.
pebble_issued() { grep -c 'Issued certificate' "$PEBBLE/log" || true; }
pebble_asked() { grep -c 'POST /order-plz' "$PEBBLE/log" || true; }

# pebble_serial NAME: h1 has a certificate by it for that name; prints its serial number.
pebble_serial() {
	openssl s_client -connect "$H1_IP:443" -servername "$1" -CAfile "$PEBBLE/roots.pem" \
		-verify_return_error </dev/null 2>/dev/null | openssl x509 -noout -serial
}

# pebble_await NAME: until that is so. The proxy asks for one as soon as it has the name.
pebble_await() {
	local i
	for ((i = 0; i < 120; i++)); do
		! pebble_serial "$1" >/dev/null 2>&1 || return 0
		sleep 0.5
	done
	tail -n 30 "$PEBBLE/log" >&2
	fail "no certificate for '$1'"
}
