/* SPDX-License-Identifier: MIT */
/*
 * What one kind of proxy does: pure renderings, and the few things that differ at run time.  One
 * const table per driver (src/proxy/caddy.c, nginx.c, traefik.c); found by proxy_driver_find().
 *
 * Files, seen from inside the container below PROXY_ETC (read-only there):
 *
 *   <main>               fixed settings; includes services/ and hosts/
 *   services/<key>.<ext> the fragment: what a push changes.  Upstreams, maintenance, the id.
 *   live/<sid>/          (caddy) which containers are live: see slots.c
 *   services/<key>.loc   (nginx) how a request is passed on: time-outs, sizes, headers
 *   <sites>/<host>.<ext> one per host name: which prefix goes to which service, TLS.  It is
 * computed from the headers of all fragments, so that two services can share a host.
 */
#pragma once

#include "docker/spec.h"
#include "proxy/proxy.h"
#include "util/json.h"
#include "util/str.h"

#define PROXY_ETC          "/etc/deploy"           /* the driver's folder of the host */
#define PROXY_RUN          "/run/deploy"           /* its run/: sockets */
#define PROXY_LOG          "/var/log/deploy"       /* its log/ */
#define PROXY_VAR          "/var/lib/deploy"       /* its data/ */
#define PROXY_PAGES        PROXY_ETC "/pages"      /* <sid>/502.html: a service's own */
#define PROXY_SNIPPETS     PROXY_ETC "/snippets"   /* <sid>-<digest>.<ext>: the user's own */
#define PROXY_PROBE_HOST   "probe.deploy.internal" /* on the probe socket: any container by name */
#define PROXY_ID_HOST      "id.deploy.internal"    /* <service id>.<this>: the id that runs */
#define PROXY_HEADER       "X-Deploy-Upstream"     /* on the probe socket only */
#define PROXY_MAX_FRAGMENT ((size_t)256 << 10)     /* bytes */
#define PROXY_ID_SIZE      17

/* major * 1000000 + minor * 1000 + patch; 0: not known, which must render for the oldest. */
#define PROXY_VERSION(major, minor, patch) ((major)*1000000L + (minor)*1000L + (patch))

struct proxy_render {
	const struct proxy_service *svc;
	const char *key; /* "reportify@staging" */
	const char *sid; /* 10 hex digits of the key: for identifiers */
	const char *id;  /* of this content */
	const char *dir; /* "services", or the folder where a candidate lies to be validated */
	long version;    /* of the proxy */
	int http_port, https_port;
};

/* One prefix of a host name, and whose it is. */
struct proxy_claim {
	char *prefix; /* "/" or "/api" */
	char *key, *sid;
	bool strip;
	bool mine; /* of the service being rendered */
};
VEC_TYPE(proxy_claims, struct proxy_claim);

struct proxy_site {
	const char *host; /* "" for every host */
	enum config_tls tls;
	const struct config_tls_settings *tls_settings; /* never NULL */
	const char *certificate_digest;
	bool redirect;
	struct proxy_claims claims; /* longest prefix first */
};

struct proxy_main {
	const struct proxy_config *config;
	long version;
	bool root; /* the container runs as root */
	const struct strvec
		*includes; /* files relative to PROXY_ETC; NULL: what is in services/, hosts/ */
};

struct proxy_files;

/* One line of the access log. */
struct proxy_log_entry {
	char key[160];
	char upstream[256]; /* container or address, with port; "" */
	int status;
	bool answered; /* the container answered */
};

struct proxy_driver {
	const char *name, *ext, *main;
	const char *sites; /* folder of the files of host names */
	const char *default_image;
	/* Below its data folder: certificates that it got by itself, and accounts. NULL: none. */
	const char *const *store;
	bool listens_early; /* before it has read its files */
	bool slots;         /* switches by live/, without a reload (slots.c) */
	/* What lies in its folder before a container is made, besides the configuration.  May be
	 * NULL. */
	void (*render_files)(struct proxy_files *out);
	void (*render_main)(const struct proxy_main *m, struct str *out);
	void (*render_service)(const struct proxy_render *r, struct str *out);
	void (*render_location)(const struct proxy_render *r, struct str *out); /* or NULL */
	void (*render_site)(
		const struct proxy_render *r, const struct proxy_site *site, struct str *out);
	/* Command line of the container; of the validation of PROXY_ETC/<file>; of its version. */
	void (*command)(const struct proxy_config *c, struct docker_container_spec *spec);
	void (*validate)(struct strvec *argv, const char *file);
	void (*version)(struct strvec *argv);
	/* Notes what `reload` and `in_flight` have to know of the time before. May be NULL. */
	int (*before)(struct proxy *p, struct error *err);
	/* Loads what is on disk; synchronous: new requests are served by it when this returns. */
	int (*reload)(struct proxy *p, struct error *err);
	int (*in_flight)(
		struct proxy *p, const struct strvec *names, int *count, struct error *err);
	bool (*parse_log)(const char *line, size_t len, struct proxy_log_entry *e);
};

/* Whether the service's requests are shared otherwise than the driver does by itself. */
static inline bool proxy_balances(const struct proxy_service *s)
{
	const struct config_balancing *b = s->balancing;
	return b && (b->policy != CONFIG_BALANCE_DEFAULT || b->cookie);
}

const struct proxy_driver *proxy_driver_find(const char *name); /* NULL: there is none */
extern const struct proxy_driver proxy_caddy, proxy_nginx, proxy_traefik;

/* -- Renderings shared by the drivers; pure -- */

#define PROXY_HSTS "max-age=31536000" /* of Strict-Transport-Security: a year */
extern const struct config_tls_settings proxy_tls_defaults;

/* Header and fragment of a service. */
void proxy_render_fragment(const struct proxy_driver *d, struct proxy_render *r,
	char id[PROXY_ID_SIZE], struct str *out);
/* 10 hex digits that name a key in identifiers. The caller frees. */
char *proxy_sid(const char *key);
/* Digest of what is not upstreams, maintenance or release. The caller frees. */
char *proxy_shape(const struct proxy_driver *d, const struct proxy_service *svc, long version);
/* JSON, which YAML includes; it holds no "{{", at which Traefik's templates begin. */
void proxy_json_add(struct str *out, const json_t *j, size_t flags);
/* Alternatives of a regular expression: the decimal numbers that are larger than `n`. */
void proxy_add_larger(int64_t n, struct str *out);
/* Where `acme_ca` lies below PROXY_ETC: the name changes with it. NULL without one; caller frees.
 */
char *proxy_acme_ca_file(const struct proxy_config *c);
/* "2.6.2", "v2.8.4 h1:...", "nginx version: nginx/1.22.1": the number, or 0. */
long proxy_version_parse(const char *text);

/* The pages: HTML without '`', '{{', '$' and '"', so that every configuration language can quote
 * it. */
extern const char *const proxy_page_head, *const proxy_page_tail;
#define PROXY_DEFAULT_MAINTENANCE "We are working on it and will be back in a few minutes."
/* Appends text, escaped for HTML and for every configuration language. */
void proxy_page_escape(struct str *out, const char *text);
