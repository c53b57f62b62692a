/* SPDX-License-Identifier: MIT */
#include "deploy/health.h"

#include "docker/container.h"
#include "docker/exec.h"
#include "docker/http.h"
#include "util/cancel.h"
#include "util/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_PAUSE_MS 10
#define MISSES_MAX     3
#define TAIL_LINES     25
#define TAIL_BYTES     ((size_t)4096)
#define ANSWER_MAX     ((size_t)4096)

/* What a probe found. */
enum verdict { HEALTHY, NOT_YET, DEAD };

struct watch {
	const struct health_request *req;
	int64_t begun_ms;
	char ip[64];
	char last[512]; /* the last answer, for people */
};

int health_add_logs(struct host *host, const char *container, struct error *err)
{
	CLEANUP_STR struct str tail = STR_INIT(TAIL_BYTES);
	struct error ignored = {0};
	if (docker_container_tail(host->docker, container, TAIL_LINES, &tail, &ignored) == 0) {
		CLEANUP_FREE char *heading = tail.len ? xasprintf("last lines of %s:\n", container)
						      : xasprintf("%s wrote nothing\n", container);
		(void)error_detail(err, heading, strlen(heading));
		(void)error_detail(err, str_c(&tail), tail.len);
	}
	return -1;
}

/* Runs it? Finds its address. */
static enum verdict judge(struct watch *w, const struct docker_container *c, struct error *err)
{
	const struct health_request *req = w->req;
	enum verdict verdict = NOT_YET;
	VEC_FOREACH (&c->networks, i) {
		if (str_eq(c->networks.p[i].name, req->network)) {
			snprintf(w->ip, sizeof(w->ip), "%s", c->networks.p[i].ip);
		}
	}
	if (c->running && c->restart_count > 0) {
		error_set(err, ERROR_UNHEALTHY, "container '%s' ended and was started again",
			req->container);
		verdict = DEAD;
	} else if (!c->running || c->restarting || c->restart_count > 0) {
		error_set(err, ERROR_UNHEALTHY, "container '%s' ended with exit code %d%s%s%s",
			req->container, c->exit_code, c->oom_killed ? " (out of memory)" : "",
			c->error && *c->error ? ": " : "", c->error ? c->error : "");
		verdict = DEAD;
	} else if (req->health->kind == CONFIG_HEALTH_DOCKER ||
		   (req->health->kind == CONFIG_HEALTH_RUNNING && req->docker_too &&
			   c->health != DOCKER_HEALTH_NONE)) {
		verdict = c->health == DOCKER_HEALTHY ? HEALTHY : NOT_YET;
		snprintf(w->last, sizeof(w->last), "Docker says %s%s%.300s",
			c->health == DOCKER_UNHEALTHY     ? "unhealthy"
			: c->health == DOCKER_HEALTH_NONE ? "that it has no HEALTHCHECK"
							  : "starting",
			c->health_log && *c->health_log ? ": " : "",
			c->health_log ? c->health_log : "");
	} else if (req->health->kind == CONFIG_HEALTH_RUNNING &&
		   clock_mono_ms() - w->begun_ms >= req->readiness_delay_ms) {
		verdict = HEALTHY;
	}
	return verdict;
}

static enum verdict look(struct watch *w, struct error *err)
{
	struct docker_container c = {0};
	enum verdict verdict = DEAD;
	if (docker_container_inspect(w->req->host->docker, w->req->container, &c, err) == 0) {
		verdict = judge(w, &c, err);
	}
	docker_container_fini(&c);
	return verdict;
}

static enum verdict probe_http(struct watch *w, int fd)
{
	const struct config_health *health = w->req->health;
	struct strmap headers = {0};
	struct error failed = {0};
	CLEANUP_FREE char *host = xasprintf("%s:%d", w->ip, health->port);
	strmap_set(&headers, "User-Agent", "deploy-health");
	struct http_request req = {
		.method = "GET", .target = health->path, .host = host, .headers = &headers};
	struct http_reply reply = {.body = STR_INIT(ANSWER_MAX)};
	enum verdict verdict = NOT_YET;
	if (http_exchange(fd, &req, health->timeout_ms, &reply, &failed) < 0 &&
		failed.sys != EMSGSIZE) {
		snprintf(w->last, sizeof(w->last), "GET %s: %.300s", health->path, failed.text);
	} else if (reply.status >= 200 && reply.status < 400) {
		verdict = HEALTHY;
	} else {
		snprintf(w->last, sizeof(w->last), "GET %s answered %d: %.300s", health->path,
			reply.status, str_c(&reply.body));
	}
	http_reply_fini(&reply);
	strmap_fini(&headers);
	return verdict;
}

static enum verdict probe_net(struct watch *w, struct error *err)
{
	const struct config_health *health = w->req->health;
	struct error refused = {0};
	if (w->ip[0] == '\0') {
		return look(w, err);
	}
	int fd = host_dial_tcp(w->req->host, w->ip, health->port, &refused);
	if (fd < 0) {
		if (refused.kind != ERROR_REMOTE) {
			*err = refused;
			return DEAD;
		}
		snprintf(w->last, sizeof(w->last), "port %d does not accept connections",
			health->port);
		return look(w, err);
	}
	enum verdict verdict = health->kind == CONFIG_HEALTH_TCP ? HEALTHY : probe_http(w, fd);
	close(fd);
	return verdict == NOT_YET ? look(w, err) : verdict;
}

static int keep_output(void *ctx, enum frames_stream stream, const void *data, size_t len)
{
	struct str *out = ctx;
	(void)stream;
	str_addn(out, data, len);
	return 0;
}

static enum verdict probe_command(struct watch *w, struct error *err)
{
	const struct config_health *health = w->req->health;
	CLEANUP_STRVEC struct strvec cmd = {0};
	CLEANUP_STR struct str out = STR_INIT(ANSWER_MAX);
	struct error failed = {0};
	int status = -1;
	strvec_push(&cmd, "sh");
	strvec_push(&cmd, "-c");
	strvec_push(&cmd, health->cmd);
	struct docker_exec_request req = {.cmd = &cmd};
	if (docker_exec_run(w->req->host->docker, w->req->container, &req, NULL, health->timeout_ms,
		    keep_output, &out, &status, &failed) < 0) {
		snprintf(w->last, sizeof(w->last), "%.400s", failed.text);
	} else if (status == 0) {
		return HEALTHY;
	} else {
		snprintf(w->last, sizeof(w->last), "'%.100s' ended with exit code %d: %.300s",
			health->cmd, status, str_c(&out));
	}
	return look(w, err);
}

static enum verdict probe(struct watch *w, struct error *err)
{
	switch (w->req->health->kind) {
	case CONFIG_HEALTH_HTTP:
	case CONFIG_HEALTH_TCP:
		return probe_net(w, err);
	case CONFIG_HEALTH_CMD:
		return probe_command(w, err);
	case CONFIG_HEALTH_DOCKER:
	case CONFIG_HEALTH_RUNNING:
		break;
	}
	return look(w, err);
}

/* -1 when nobody waits for it any more. */
static int may_wait(const struct health_request *req, struct error *err)
{
	if (cancel_check(err) < 0) {
		return -1;
	}
	return atomic_load(req->abandon)
		       ? error_set(err, ERROR_INTERRUPTED, "given up: another one failed")
		       : 0;
}

static int interval_of(const struct health_request *req)
{
	return req->health->interval_ms > 0 ? req->health->interval_ms : 1000;
}

static int ended(const struct health_request *req, const struct error *why, struct error *err)
{
	*err = *why;
	return err->kind == ERROR_UNHEALTHY ? health_add_logs(req->host, req->container, err) : -1;
}

int health_wait(const struct health_request *req, struct error *err)
{
	struct watch w = {.req = req, .begun_ms = clock_mono_ms()};
	int interval = interval_of(req);
	int pause = FIRST_PAUSE_MS;
	const struct docker_container *seen = req->seen && req->seen->id ? req->seen : NULL;
	for (;; seen = NULL) {
		struct error why = {0};
		enum verdict verdict = seen ? judge(&w, seen, &why) : NOT_YET;
		if (verdict == NOT_YET && (!seen || w.ip[0])) {
			verdict = probe(&w, &why);
		}
		if (verdict == HEALTHY) {
			return 0;
		}
		if (verdict == DEAD) {
			return ended(req, &why, err);
		}
		if (clock_mono_ms() - w.begun_ms >= req->deadline_ms) {
			error_set(err, ERROR_UNHEALTHY, "'%s' was not healthy within %d s: %s",
				req->container, req->deadline_ms / 1000,
				w.last[0] ? w.last : "no answer");
			return health_add_logs(req->host, req->container, err);
		}
		clock_sleep_ms(pause);
		if (may_wait(req, err) < 0) {
			return -1;
		}
		pause = pause * 3 / 2 < interval ? pause * 3 / 2 : interval;
	}
}

int health_watch(const struct health_request *req, int for_ms, struct error *err)
{
	struct health_request now = *req;
	now.readiness_delay_ms = 0; /* it was up for that long when it was found healthy */
	struct watch w = {.req = &now, .begun_ms = clock_mono_ms()};
	enum config_health_kind kind = req->health->kind;
	bool asks = kind != CONFIG_HEALTH_DOCKER && kind != CONFIG_HEALTH_RUNNING;
	int misses = 0;
	for (;;) {
		struct error why = {0};
		enum verdict verdict = look(&w, &why); /* also whether Docker started it again */
		if (verdict == NOT_YET && asks) {
			verdict = probe(&w, &why);
		}
		if (verdict == DEAD) {
			return ended(req, &why, err);
		}
		misses = verdict == HEALTHY ? 0 : misses + 1;
		if (misses == MISSES_MAX) {
			error_set(err, ERROR_UNHEALTHY, "'%s' became unhealthy: %s", req->container,
				w.last[0] ? w.last : "no answer");
			return health_add_logs(req->host, req->container, err);
		}
		int64_t left = w.begun_ms + for_ms - clock_mono_ms();
		if (left <= 0 && misses == 0) {
			return 0;
		}
		int pause = interval_of(req);
		clock_sleep_ms(misses == 0 && left < pause ? (int)left : pause);
		if (may_wait(req, err) < 0) {
			return -1;
		}
	}
}
