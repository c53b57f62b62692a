/* SPDX-License-Identifier: MIT */
/*
 * What a proxy has to know of one service and destination: pure input of the renderings.
 *
 * Everything is borrowed from the caller (the config, mostly) and only read.  Upstreams are
 * container NAMES on the `deploy` network, looked up when a request is sent: addresses change when
 * a server reboots, and a stale one would route to a stranger.
 */
#pragma once

#include "manifest/config.h"
#include "secrets/secret.h"
#include "util/error.h"
#include "util/vec.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Caddy only: a service has two slots, of which one is live.  A push fills the other one and then
 * makes it live; the configuration that is loaded knows only how many containers each has.
 */
struct proxy_slot {
	int replicas; /* 0: empty */
	int port;
};

#define PROXY_PAGE_MAX    ((size_t)256 << 10) /* bytes */
#define PROXY_SNIPPET_MAX ((size_t)64 << 10)

struct proxy_service {
	const char *service;
	const char *destination; /* or NULL */
	const char *release;     /* of the live containers, shown by status ("3f2a1c"); or NULL */

	const struct strvec *hosts;    /* or NULL/empty: every host ("catch-all") */
	const struct strvec *prefixes; /* "/api", or NULL/empty: "/" */
	bool strip_prefix;
	int app_port;

	enum config_tls tls;
	const struct secret *certificate, *private_key; /* PEM; CONFIG_TLS_GIVEN */
	const char *certificate_digest; /* filled in by proxy_*(): names the files on the server */
	const struct config_tls_settings *tls_settings; /* or NULL */
	bool ssl_redirect;

	const char *health_path;  /* asked when a switch is verified; NULL: "/" */
	int response_timeout_ms;  /* to the first byte of an answer; 0: 30 s */
	int64_t max_request_body; /* bytes, 0: no limit */
	bool buffer_requests, buffer_responses;
	const struct strmap *response_headers; /* judged by the manifest; or NULL */
	bool compress;
	const struct config_rate_limits *rate_limits; /* nginx; or NULL */
	const struct config_balancing *balancing;     /* or NULL: as the driver does by itself */
	const char *circuit_breaker;                  /* traefik: its expression; or NULL */
	/* The user's own directives: their text, or NULL; then `snippet_kept` tells whether the
	 * ones that the server has stay. */
	const char *snippet;
	bool snippet_kept;
	const char *snippet_name;   /* as the manifest has it, or NULL */
	const char *snippet_digest; /* filled in by proxy_*(): names the file on the server */
	const struct strvec *log_request, *log_response; /* further headers in the log; or NULL */
	bool own_pages;                                  /* for its errors: proxy_pages_write() */
	bool forward_headers; /* trust X-Forwarded-* of the client (a load balancer in front) */

	struct strvec live; /* container names that get the traffic; owned: proxy_service_fini() */
	/*
	 * Names kept in the configuration so that their in-flight requests can be counted; they get
	 * no request.  Filled in by proxy_switch().
	 */
	struct strvec draining;
	bool onwards; /* one more of a series of switches: proxy_switch_back() takes all back */
	int slot;     /* where `live` goes; it and `slots` are filled in by proxy_*() */
	struct proxy_slot slots[2];

	bool maintenance;
	const char *maintenance_message; /* plain text, or NULL: a default */
};

/* Fills it in from the manifest (no upstreams, no secrets); `p`: of the role. Borrows from both. */
void proxy_service_init(
	struct proxy_service *s, const struct config *c, const struct config_proxy *p);
void proxy_service_fini(struct proxy_service *s);

/* "<service>" or "<service>@<destination>": the fragment's name. The caller frees. */
char *proxy_service_key(const char *service, const char *destination);

/*
 * Judges names, host names, prefixes, ports and the certificate, so that nothing that goes into a
 * configuration file can leave its place there.  ERROR_MANIFEST.
 */
ERROR_CHECKED int proxy_service_check(const struct proxy_service *s, struct error *err);

/*
 * What a fragment's header says (the first two lines: JSON, and a digest over all the rest), read
 * back.  Owned.
 */
struct proxy_state {
	bool present;                          /* a fragment of ours is there */
	bool edited;                           /* its digest does not match: changed by hand */
	char *service, *destination, *release; /* destination, release: "" when none */
	char *id; /* of this very content; the running proxy tells it too */
	struct strvec hosts, prefixes, live, draining;
	int app_port;
	int slot; /* the live one; 0 without slots */
	struct proxy_slot slots[2];
	enum config_tls tls;
	struct config_tls_settings tls_settings;
	char *certificate; /* its digest, "" when none is given */
	char *snippet;     /* the same */
	bool strip, redirect, maintenance;
	char *message; /* "" when none */
	char *shape;   /* digest of all but the upstreams: same shape, same validity */
};
/* Reads the header. Text that is no fragment gives present = false. */
void proxy_state_parse(struct proxy_state *st, const char *text, size_t len);
void proxy_state_fini(struct proxy_state *st);
