/* SPDX-License-Identifier: MIT */
/*
 * The reverse proxy of a server, as the deploy layer commands it.
 *
 * ONE container per server and driver (`deploy-proxy-<driver>`), shared by all services there, runs
 * as the SSH user, publishes only its HTTP(S) ports, and lives in <state_dir>/proxy/<driver>/:
 *
 *   main configuration       written by proxy_boot()
 *   services/<key>.<ext>     one fragment per service and destination, replaced atomically
 *   certs/ data/ log/        certificates given (0600), the proxy's own, access and error logs
 *   run/                     unix sockets (0700): admin, and `probe`: never on a network
 *
 * How a candidate is seen through the proxy before users' traffic moves: the `probe` socket, which
 * only the SSH user can reach, forwards to whatever container a request names.  So no token is
 * needed that could leak, no configuration changes before the switch, and each push reloads the
 * proxy once.  The same socket carries every service's routes: verification passes through the very
 * routing that users get, without TLS, DNS or published ports in the way.
 *
 * Order of a push, per host (round trips in sequence; caddy, then nginx where it differs):
 *
 * - p = proxy_open(): reads what is there [2, shared with the caller's batch; 2 more when other
 *   services are there];
 * - proxy_stage(p, svc): conflicts, certificates, files; validation by the proxy itself when more
 *   than the upstreams changed; nothing that serves is touched [2, nginx about 5, beside the start;
 * 6 more with validation].  Give it the names that the switch will have: else the switch does it;
 * - proxy_ready(p): the probe's connection is opened beside other work;
 * - proxy_counts_begin(p) [1];
 * - proxy_probe(p, name): each candidate answers through the proxy [1; 2 without proxy_ready()];
 * - proxy_switch(p, svc): caddy: one folder made or removed, then verified [2]; nginx: rename, HUP,
 *   old workers stopped accepting, verified [8]; else put back;
 * - proxy_drain(p, ...) [1 to 2, then as long as requests are in flight];
 * - proxy_counts_end(p) [1; 2 more when there were requests];
 * - proxy_close(p).
 *
 * Killed between any two steps: users are served by the old or the new containers, both of which
 * still run; what is on disk was validated before it got there.  With caddy the disk is always what
 * runs; with nginx proxy_running() tells whether it is, and proxy_switch() mends it.  With caddy a
 * switch survives a power cut once any file of that file system was fsynced: the caller's record of
 * it does that.
 */
#pragma once

#include "host/host.h"
#include "proxy/service.h"

struct proxy; /* one service on one host; use from one thread at a time */

/* The driver's container and shared settings; the same for all services of a host. */
struct proxy_config {
	const char *driver; /* "caddy", "nginx", "traefik" */
	const char *image;
	const char *network; /* "deploy" */
	int http_port, https_port;
	const struct strvec *bind_ips; /* addresses to publish on; NULL/empty: all */
	bool no_ports;                 /* publish none: something else is in front */
	int metrics_port;              /* for Prometheus; 0: none */
	const char *metrics_ip;        /* that it is published on */
	const char *container;   /* its name; NULL: deploy-proxy-<driver> (tests have others) */
	const char *acme_email;  /* or NULL */
	const char *acme_server; /* directory URL; NULL: the driver's default */
	const char *acme_ca;     /* PEM: roots of that server's own HTTPS; NULL: public ones */
	int64_t log_max_size;    /* bytes of the container's own log; 0: 10 MiB */
	const struct config_options *options; /* of the container; or NULL */
};
void proxy_config_init(struct proxy_config *pc, const struct config *c);

/* Label of the container: the folder on the server that it reads, below a login's ~/.deploy. */
#define PROXY_LABEL_ROOT    "deploy.proxy.root"
#define PROXY_LABEL_METRICS "deploy.proxy.metrics" /* port of the metrics */

/* "deploy-proxy-caddy"; the caller frees. */
char *proxy_container_name(const char *driver);
/* ERROR_MANIFEST for a driver that there is not; names those that there are. */
ERROR_CHECKED int proxy_driver_check(const char *driver, struct error *err);

/* -- The container -- */

enum proxy_boot_outcome { PROXY_BOOTED, PROXY_STARTED, PROXY_RECONFIGURED, PROXY_UNCHANGED };
struct proxy_boot_result {
	enum proxy_boot_outcome outcome;
	long version; /* of the proxy, as it says itself; 0: it does not tell */
	char *drift;  /* how the running container differs from the manifest ("image ...; ports
			..."), mended by proxy_reboot(); or NULL. The caller frees. */
};
/*
 * Makes sure that it runs: network, folders, image (pulled when missing), container, main
 * configuration.  Idempotent; a running proxy that differs keeps running, and that is told.
 */
ERROR_CHECKED int proxy_boot(struct host *h, const struct proxy_config *pc,
	struct proxy_boot_result *result, struct error *err);
/* For what was opened before the boot: what it writes depends on the proxy's version, and would
 * differ, and be loaded, at the next switch. */
void proxy_booted(struct proxy *p, const struct proxy_boot_result *result);
/*
 * A new container in place of the old one, with the manifest's image and options.  The new one is
 * created before the old one is told to stop; open requests get up to `drain_ms`.  The port belongs
 * to one container at a time: new connections are held back by the server's kernel from before the
 * old one stops until the new one answers (see src/proxy/gate.h), and come through then.  Where
 * that cannot be, they are refused meanwhile.  When the new one does not start the old one comes
 * back.
 */
struct proxy_reboot_result {
	int gap_ms;    /* that new connections waited, or were refused */
	char *refused; /* why they could not be held back; NULL: they waited. The caller frees. */
};
ERROR_CHECKED int proxy_reboot(struct host *h, const struct proxy_config *pc, int drain_ms,
	struct proxy_reboot_result *result, struct error *err);
/* Stops and removes it; `data`: its folder too (certificates!). */
ERROR_CHECKED int proxy_remove(struct host *h, const char *driver, bool data, struct error *err);

struct proxy_details {
	bool present, running;
	char *container_id, *image, *image_id, *version, *started_at, *status;
	int http_port, https_port;
	struct proxy_state *services; /* all fragments of the host */
	size_t services_len;
};
ERROR_CHECKED int proxy_details(
	struct host *h, const char *driver, struct proxy_details *d, struct error *err);
void proxy_details_fini(struct proxy_details *d);

/* The last `lines` lines of access and error log of all services, then, with follow, further ones
 * until cancelled. Calls line(ctx, text) for each. */
ERROR_CHECKED int proxy_logs(struct host *h, const char *driver, int lines, bool follow,
	void (*line)(void *ctx, const char *text), void *ctx, struct error *err);

/* -- One service -- */

/* Reads this service's fragment and those of others. The proxy need not run, nor be there. */
ERROR_CHECKED struct proxy *proxy_open(struct host *h, const struct proxy_config *pc,
	const char *service, const char *destination, struct error *err);
/*
 * The same in two halves, so that the reads share the round trips of the caller's batch: begin
 * queues them (host->home need not be known yet), end takes what the batch brought.  Between them
 * the batch is run.  `hosts`: names whose files a switch will want, as in struct proxy_service.
 */
struct proxy_opening;
ERROR_CHECKED struct proxy_opening *proxy_open_begin(struct host *h, const struct proxy_config *pc,
	const char *service, const char *destination, const struct strvec *hosts,
	struct sftp_batch *b, struct error *err);
ERROR_CHECKED struct proxy *proxy_open_end(struct proxy_opening *o, struct error *err);
void proxy_open_cancel(struct proxy_opening *o); /* instead of end; NULL is fine */

void proxy_close(struct proxy *p); /* NULL is fine */

/* What the file said at proxy_open(), or after the last switch. */
const struct proxy_state *proxy_live(const struct proxy *p);
/* Asks the running proxy which content it serves: *same tells whether it is the file's. */
ERROR_CHECKED int proxy_running(struct proxy *p, bool *same, struct error *err);

/* Would a switch to `svc` change more than which containers are live? Asks no server. */
bool proxy_differs(const struct proxy *p, const struct proxy_service *svc);

/* The rendered fragment, for plan and `proxy config`; the caller frees. Pure. */
ERROR_CHECKED char *proxy_render(
	const struct proxy *p, const struct proxy_service *svc, struct error *err);

/*
 * Prepares a switch to `svc` (its `live` may still be empty): refuses a host and prefix that
 * another service has, by its name; puts the given certificate there; lets the proxy validate the
 * new configuration.  Nothing that serves is touched.
 */
ERROR_CHECKED int proxy_stage(struct proxy *p, const struct proxy_service *svc, struct error *err);

/* Begins the connection of the next proxy_probe() beside other work. */
void proxy_ready(struct proxy *p);

struct proxy_answer {
	int status; /* HTTP; 0: none came */
	int ms;
	bool by_proxy; /* the proxy itself answered: the container did not (502, 504) */
};
/* GET `path` of container `name` through the proxy. ERROR_UNHEALTHY: no answer by the container. */
ERROR_CHECKED int proxy_probe(struct proxy *p, const struct proxy_service *svc, const char *name,
	const char *path, int timeout_ms, struct proxy_answer *answer, struct error *err);

/*
 * Makes `svc` what is served: svc->live gets all new requests when this returns.  What was live and
 * no longer is goes to svc->draining.  On refusal, or when the new ones do not answer through the
 * proxy (10 s), the old fragment is put back, loaded and verified, and *err says why.  The same for
 * maintenance on and off, and for mending drift.
 */
ERROR_CHECKED int proxy_switch(struct proxy *p, struct proxy_service *svc, struct error *err);
/*
 * Takes the last proxy_switch() of this proxy back (another host failed), and those before it up to
 * the one that was not `onwards`.
 */
ERROR_CHECKED int proxy_switch_back(struct proxy *p, struct error *err);

/* Removes the given certificates that the service has on the server and does not use: after a
 * switch that will not be taken back. Asks the server only when there are any. */
ERROR_CHECKED int proxy_prune(struct proxy *p, struct error *err);

/* Requests that `names` are working on now. */
ERROR_CHECKED int proxy_in_flight(
	struct proxy *p, const struct strvec *names, int *count, struct error *err);
/* Whether none in flight right after a switch is none for good: so with slots, where the proxy
 * itself counts; an old worker of nginx may still be reading a request. */
bool proxy_counts_at_once(const struct proxy *p);
/*
 * Can the containers that are live, and as many that listen on `port`, have the traffic together
 * while one after the other is replaced?
 */
bool proxy_mixes(const struct proxy *p, int port);
/* Waits until that is 0; *left: how many there still were after timeout_ms. */
ERROR_CHECKED int proxy_drain(
	struct proxy *p, const struct strvec *names, int timeout_ms, int *left, struct error *err);

/*
 * Requests between begin and end, from the proxy's own access log.  `failed`: the proxy had to
 * answer 502, 503 or 504 because no container did.  `errors`: 5xx that a container itself answered,
 * which is no fault of the switch.
 */
struct proxy_upstream_counts {
	char *name; /* container; "" where no container was chosen */
	uint64_t served, failed, errors;
};
VEC_TYPE(proxy_upstream_counts_vec, struct proxy_upstream_counts);
struct proxy_counts {
	uint64_t served, failed,
		errors; /* served: all requests that were answered, failed not among them */
	bool partial;   /* the log was too long to read whole: the last 16 MiB count */
	struct proxy_upstream_counts_vec upstreams;
};
ERROR_CHECKED int proxy_counts_begin(struct proxy *p, struct error *err);
ERROR_CHECKED int proxy_counts_end(struct proxy *p, struct proxy_counts *c, struct error *err);
void proxy_counts_fini(struct proxy_counts *c);

/* Takes the service off the proxy: fragment, certificates, logs. Not there is success. */
ERROR_CHECKED int proxy_remove_service(struct proxy *p, struct error *err);

/* -- pages.c -- */

/* The service's own pages for errors of the proxy: status ("502") -> HTML.  Read when they are
 * shown, with own_pages; the others that it had are removed. */
ERROR_CHECKED int proxy_pages_write(struct proxy *p, const struct strmap *pages, struct error *err);
/* The statuses that pages are for; NULL at the end. */
extern const char *const proxy_page_statuses[];
