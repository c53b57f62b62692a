/* SPDX-License-Identifier: MIT */
/* What the files of this folder share. */
#pragma once

#include "proxy/driver.h"

/* A service's own fragment, and those of the others, as read. */
struct proxy_other {
	char *key;
	struct proxy_state state;
};
VEC_TYPE(proxy_others, struct proxy_other);

/* A file as it was before a switch, to put it back. */
struct proxy_file {
	char *path; /* relative to the driver's folder */
	char *text; /* NULL: there is none */
};
VEC_TYPE(proxy_files, struct proxy_file);

VEC_TYPE(proxy_pids, int);

/* slots.c: what is live, as a switch sets it and takes it back. Owned. */
struct proxy_turn {
	int slot;
	bool away; /* maintenance */
	char *message, *release;
	struct strvec live, draining; /* of that slot, and of the other */
};

struct proxy_slot_reads {
	const struct sftp_op *marker, *sets[2], *away, *message;
};

#define PROXY_PREPARED 2 /* connections for a switch: to verify it, and to drain */

struct proxy {
	struct host *host;
	struct proxy_config config;
	const struct proxy_driver *driver;
	char *container; /* name */
	char *root;      /* absolute folder of the driver on the server */
	char *service, *destination, *key, *sid;
	long version;             /* of the running proxy; 0 not known */
	struct proxy_state state; /* what the file says */
	struct proxy_others others;
	struct strvec certs;     /* digests of the given certificates that it has put there */
	struct proxy_files undo; /* as they were before the last switch */
	bool can_undo;
	struct proxy_files staged; /* complete in next/<key>/, one rename away */
	struct proxy_files seen;   /* those of the service's files that were read, as on disk */
	int64_t reloaded_ms;       /* clock_mono_ms() of the last reload; 0: none */
	bool unsure; /* it may run something else than the files say: load in any case */
	struct proxy_turn undo_turn;
	bool undo_refilled; /* the slot of undo_turn holds something else by now */
	char *filled; /* what lies in the slot that is not live; NULL: nothing that we know of */
	struct {      /* connections that were begun beforehand, each to another socket */
		struct ssh_pending *pending; /* NULL: none */
		const char *socket;
	} prepared[PROXY_PREPARED];
	/* nginx: the master and its workers before the reload, as the host sees them. */
	int master;
	struct proxy_pids workers;
	/* Access log: where counting began. */
	uint64_t log_offset;
	bool counting;
};

#define PROXY_TIMEOUT_MS 15000 /* one exchange with the server */
#define PROXY_VERIFY_MS  10000 /* new containers have to answer through the proxy by then */

char *proxy_path(const struct proxy *p, const char *relative); /* absolute; the caller frees */

/* sites.c: which prefix of a host belongs to whom. */
ERROR_CHECKED int proxy_conflicts(
	const struct proxy *p, const struct proxy_service *svc, struct error *err);
/* All files that `svc` wants, the fragment first; `dir` as in struct proxy_render. */
void proxy_plan_files(const struct proxy *p, const struct proxy_service *svc, const char *dir,
	struct proxy_files *out);
/* Those of them besides the fragment, by path. */
void proxy_further_paths(const struct proxy *p, const struct strvec *hosts, struct strvec *out);
/* Files of ours that `want` no longer has, or sites that lose our claim: with their new text or
 * NULL. */
void proxy_plan_removals(
	const struct proxy *p, const struct proxy_files *want, struct proxy_files *out);
const char *proxy_files_get(const struct proxy_files *f, const char *path); /* NULL: not there */
bool proxy_files_has(const struct proxy_files *f, const char *path);
void proxy_files_set(struct proxy_files *f, const char *path, const char *text);
void proxy_files_fini(struct proxy_files *f);

/* admin.c: HTTP over the proxy's unix sockets. */
struct proxy_request {
	const char *socket; /* "admin.sock", "probe.sock" */
	const char *host;   /* "" for an empty one */
	const char *method, *target, *type;
	const char *upstream; /* PROXY_HEADER ("name:port"), or NULL */
	const char *host_for; /* with upstream: the Host that the container sees */
	bool https;           /* with upstream: what X-Forwarded-Proto says */
	const void *body;
	size_t body_len;
	int timeout_ms;
};
/* Begins a connection beside other work, for the next proxy_http() to that socket; to two sockets
 * at most. */
void proxy_prepare(struct proxy *p, const char *socket);
void proxy_unprepare(struct proxy *p);
ERROR_CHECKED int proxy_http(struct proxy *p, const struct proxy_request *req,
	struct http_reply *reply, struct error *err);

/* connections.c: those that the proxy has to the containers' port.  Not 0 within late_ms of a
 * reload: a request may still come by the configuration of before. */
ERROR_CHECKED int proxy_connections(
	struct proxy *p, const struct strvec *names, int late_ms, int *count, struct error *err);
/* Established ones from an address to a local port in the text of /proc/PID/net/tcp or tcp6;
 * remote_hex: 8 digits as there. */
int proxy_count_connections(const char *text, int port, const char *remote_hex);

/* counts.c: adds a piece of the access log; a line without its end is left out. */
void proxy_counts_add(struct proxy_counts *c, const struct proxy_driver *d, const char *key,
	const char *text, size_t len);
/* container.c */
ERROR_CHECKED int proxy_exec(struct proxy *p, const struct strvec *argv, struct str *out,
	int *exit_code, struct error *err);
/* The version that proxy_boot() found; 0 when it did not run yet. */
long proxy_facts_version(const char *text, size_t len);

/* certs.c: given certificates, and which of them are whose. */
#define PROXY_MAX_CERTS 4096 /* files */
/* The folder's list, as it is now. */
void proxy_certs_take(struct proxy *p, const struct sftp_op *list);
void proxy_certs_write(struct proxy *p, struct sftp_batch *b, const struct proxy_service *full);
/* Queues that this service's go, except `keep` (may be NULL) and those that another one has too;
 * none when there is no list. */
void proxy_certs_drop(
	struct proxy *p, const struct sftp_op *list, const char *keep, struct sftp_batch *b);

/* pages.c: what lies beside the fragment of a service that goes. */
ERROR_CHECKED int proxy_leftovers_remove(struct proxy *p, struct error *err);
/* nginx_balance.c: how nginx chooses among the containers, and what it logs. */
void nginx_render_balance(const struct proxy_render *r, struct str *out);
bool nginx_logs(const struct proxy_service *s); /* further headers */
void nginx_render_log(const struct proxy_render *r, struct str *out);
/* Fields of every line of the access log, without the braces around them. */
extern const char *const nginx_log_fields;
void nginx_add_proxy_headers(struct str *out, const char *tabs);

/* proxy.c: without reading anything. */
ERROR_CHECKED struct proxy *proxy_new(struct host *h, const struct proxy_config *pc,
	const char *service, const char *destination, struct error *err);

/* slots.c: only for drivers that have them. */
void proxy_slots_queue(
	struct sftp_batch *b, const char *folder, const char *sid, struct proxy_slot_reads *r);
void proxy_slots_take(const struct proxy_slot_reads *r, struct proxy_state *st);
/* Which slot `full` goes to: the live one when its containers are live already, else the other. */
void proxy_slots_choose(const struct proxy *p, struct proxy_service *full);
/* Fills the slot that `full` goes to, which is not live. */
ERROR_CHECKED int proxy_slots_fill(
	struct proxy *p, const struct proxy_service *full, struct error *err);
bool proxy_slots_filled(const struct proxy *p, const struct proxy_service *full);
ERROR_CHECKED int proxy_slots_turn(struct proxy *p, const struct proxy_turn *to, struct error *err);
void proxy_slots_remove(struct proxy *p, struct sftp_batch *b);
void proxy_turn_of_state(struct proxy_turn *t, const struct proxy_state *st);
void proxy_turn_of_service(
	struct proxy_turn *t, const struct proxy *p, const struct proxy_service *full);
void proxy_turn_into_state(const struct proxy_turn *t, struct proxy_state *st);
void proxy_turn_fini(struct proxy_turn *t);

/* proxy.c: what a switch needs of it. */
char *proxy_fragment_path(const struct proxy *p);               /* the caller frees */
char *proxy_next_path(const struct proxy *p, const char *live); /* the caller frees */
/* A copy of `svc` as it will be rendered: certificate named, slot chosen, draining filled in. */
void proxy_complete(
	const struct proxy *p, const struct proxy_service *svc, struct proxy_service *out);
void proxy_completed_fini(struct proxy_service *s);
/* Another slot becomes live. */
bool proxy_flips(const struct proxy *p, const struct proxy_service *full);
/* Judges it, and tells what differs from the disk. */
ERROR_CHECKED int proxy_prepare_change(struct proxy *p, const struct proxy_service *full,
	struct proxy_files *change, struct error *err);

static inline char *take_text(char **s)
{
	char *taken = *s;
	*s = NULL;
	return taken;
}
