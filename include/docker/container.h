/* SPDX-License-Identifier: MIT */
/* Docker: containers. Names and IDs are taken alike. */
#pragma once

#include "docker/client.h"
#include "docker/frames.h"
#include "docker/spec.h"

enum docker_health { DOCKER_HEALTH_NONE, DOCKER_HEALTH_STARTING, DOCKER_HEALTHY, DOCKER_UNHEALTHY };

struct docker_container_network {
	char *name, *ip, *gateway; /* ip "" when it does not run */
	struct strvec aliases;
};
VEC_TYPE(docker_container_networks, struct docker_container_network);

struct docker_container {
	char *id, *name;        /* name without the leading slash */
	char *image_id, *image; /* "sha256:...", and as it was asked for */
	char *created;          /* RFC 3339 */
	/* State */
	char *state; /* created, running, paused, restarting, removing, exited, dead */
	bool running, restarting, oom_killed;
	int pid, exit_code, restart_count;
	char *error;                    /* why it could not start, or "" */
	char *started_at, *finished_at; /* RFC 3339 */
	enum docker_health health;
	int failing_streak;
	char *health_log; /* output of the last probe, or "" */
	/* Config */
	struct strvec env, cmd, entrypoint; /* env holds secrets: never print or store it */
	struct strmap labels;
	char *user, *stop_signal, *log_driver, *restart;
	bool tty;
	struct docker_container_networks networks;
	struct docker_ports ports; /* published, as bound */
	struct docker_mounts mounts;
	json_t *config, *host_config; /* as the daemon gave them (for clones) */
};
ERROR_CHECKED int docker_container_inspect(
	struct docker *d, const char *name, struct docker_container *out, struct error *err);
void docker_container_fini(struct docker_container *c);

struct docker_container_entry {
	char *id, *name, *image, *image_id;
	char *state, *status;      /* "running", "Up 2 hours (healthy)" */
	int64_t created;           /* seconds since 1970 */
	enum docker_health health; /* read from status */
	struct strmap labels;
	struct docker_container_networks networks;
	struct docker_ports ports;
};
VEC_TYPE(docker_container_list, struct docker_container_entry);
/* filters: label, name, status, network, volume, id, ancestor, health. all: stopped ones too. */
ERROR_CHECKED int docker_container_list(struct docker *d, bool all,
	const struct docker_filters *filters, struct docker_container_list *out, struct error *err);
void docker_container_list_fini(struct docker_container_list *l);

/* And connects it to the spec's further networks. *id (may be NULL) is the caller's, also where
 * connecting failed. 404 is a missing image, 409 a taken name. */
ERROR_CHECKED int docker_container_create(
	struct docker *d, const struct docker_container_spec *s, char **id, struct error *err);
/*
 * The same, and starts it, in one round trip. When it was created but did
 * not start, it is left (the caller looks at its state, then removes it).  *seen (may be NULL) is
 * how it is right after the start, asked for in the same round trip; without an id: unknown.
 */
ERROR_CHECKED int docker_container_run(struct docker *d, const struct docker_container_spec *s,
	char **id, struct docker_container *seen, struct error *err);

/* Started (or stopped) already is success. */
ERROR_CHECKED int docker_container_start(struct docker *d, const char *name, struct error *err);
/* timeout_s: before SIGKILL; -1: the container's own. The call waits as long. */
ERROR_CHECKED int docker_container_stop(
	struct docker *d, const char *name, int timeout_s, struct error *err);
ERROR_CHECKED int docker_container_restart(
	struct docker *d, const char *name, int timeout_s, struct error *err);
/* signal NULL: KILL. Not running is success. */
ERROR_CHECKED int docker_container_kill(
	struct docker *d, const char *name, const char *signal, struct error *err);
ERROR_CHECKED int docker_container_rename(
	struct docker *d, const char *name, const char *new_name, struct error *err);
/* policy as in the spec. */
ERROR_CHECKED int docker_container_update_restart(
	struct docker *d, const char *name, const char *policy, int max_retries, struct error *err);
/* The same, and a start or stop, in one round trip. `seen` as in docker_container_run(). */
ERROR_CHECKED int docker_container_update_start(struct docker *d, const char *name,
	const char *policy, struct docker_container *seen, struct error *err);
ERROR_CHECKED int docker_container_update_stop(
	struct docker *d, const char *name, const char *policy, int timeout_s, struct error *err);
/* Stops one and starts another, which has been created, as soon as the first one has ended: without
 * a round trip in between, for what only one can have (a port). */
ERROR_CHECKED int docker_container_relieve(
	struct docker *d, const char *old, int timeout_s, const char *successor, struct error *err);
/* Not there is success. volumes: its anonymous ones too. */
ERROR_CHECKED int docker_container_remove(
	struct docker *d, const char *name, bool force, bool volumes, struct error *err);
/*
 * Removes these containers, running or not, with their anonymous volumes, and then these images,
 * all in one round trip.  What is not there is success, and so is an image that stays because a
 * container or another tag needs it.
 */
ERROR_CHECKED int docker_discard(struct docker *d, const struct strvec *containers,
	const struct strvec *images, struct error *err);

/*
 * Waiting for an exit.  docker_wait_open() returns once the daemon watches, so that nothing is
 * missed when the container is started after it.  Returns 1 with *exit_code, 0 when timeout_ms (-1:
 * for ever) went by, -1 with *err.
 */
enum docker_wait_for { DOCKER_WAIT_NOT_RUNNING, DOCKER_WAIT_NEXT_EXIT, DOCKER_WAIT_REMOVED };
struct docker_wait;
struct docker_wait *docker_wait_open(
	struct docker *d, const char *name, enum docker_wait_for what, struct error *err);
int docker_wait_next(struct docker_wait *w, int timeout_ms, int *exit_code, struct error *err);
int docker_wait_fd(const struct docker_wait *w);
void docker_wait_close(struct docker_wait *w);

/* Output of logs, attach and exec.  Another number than 0 from `sink` ends it without error. */
struct docker_logs_request {
	bool no_stdout, no_stderr, follow, timestamps;
	int tail;          /* last lines; 0: all; -1: none */
	const char *since; /* RFC 3339, or seconds since 1970 with fraction; or NULL */
	const char *until;
	bool tty; /* as the container has it (docker_container.tty): bytes are not framed */
};
/* Calls sink for each piece (lines may be split). Returns at the end of the log. */
ERROR_CHECKED int docker_container_logs(struct docker *d, const char *name,
	const struct docker_logs_request *req, frames_sink *sink, void *ctx, struct error *err);
/* The same, to be polled and read by the caller, who decodes with frames_feed. */
struct docker_stream *docker_container_logs_open(struct docker *d, const char *name,
	const struct docker_logs_request *req, struct error *err);
/* The last `lines` lines of both streams as text, for errors; at most out->max bytes, the last. */
ERROR_CHECKED int docker_container_tail(
	struct docker *d, const char *name, int lines, struct str *out, struct error *err);

/* A descriptor for both directions (stdin, framed or raw output); the caller's. */
ERROR_CHECKED int docker_container_attach(
	struct docker *d, const char *name, bool with_stdin, bool with_logs, struct error *err);
ERROR_CHECKED int docker_container_resize(
	struct docker *d, const char *name, int rows, int columns, struct error *err);

struct docker_top {
	struct strvec titles;
	struct strvec cells; /* row by row, titles.len of them each */
};
ERROR_CHECKED int docker_container_top(
	struct docker *d, const char *name, struct docker_top *out, struct error *err);
void docker_top_fini(struct docker_top *t);

struct docker_stats {
	int64_t memory, memory_limit; /* bytes, without the page cache */
	uint64_t cpu_ns, system_ns;   /* counters: two samples give a percentage */
	int cpus;
	double cpu_percent; /* of one CPU; -1 in a one-shot answer (no earlier sample) */
	int64_t net_rx, net_tx, block_read, block_write; /* bytes */
	int64_t pids;
};
/* one_shot: at once, without cpu_percent (API 1.41); else the daemon takes two samples, 1-2 s. */
ERROR_CHECKED int docker_container_stats(struct docker *d, const char *name, bool one_shot,
	struct docker_stats *out, struct error *err);
/* CPU percentage between two samples; -1 when there is none. */
double docker_stats_cpu(const struct docker_stats *before, const struct docker_stats *after);

/* A tar of `path` in the container, as a stream. */
struct docker_stream *docker_container_archive_get(
	struct docker *d, const char *name, const char *path, struct error *err);
/* Unpacks a tar into the folder `path`, which is there. */
ERROR_CHECKED int docker_container_archive_put(struct docker *d, const char *name, const char *path,
	const struct http_source *tar, struct error *err);
