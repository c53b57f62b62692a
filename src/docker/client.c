/* SPDX-License-Identifier: MIT */
/* The pool of connections to one daemon, and the version it speaks. */
#include "internal.h"

#include "util/cancel.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct docker {
	struct docker_dialer dialer;
	char *host;           /* or NULL */
	pthread_mutex_t lock; /* all below */
	struct http_conn *idle[DOCKER_IDLE_MAX];
	size_t nidle;
	int head_ms;
	int api; /* negotiated, 0 = not yet */
	struct docker_ping ping;
	struct docker_counters counters;
};

#define DEFAULT_HEAD_MS 60000

static int dial_unix(const char *path, struct error *err)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(sa.sun_path)) {
		return error_sys(err, ERROR_CONNECT, ENAMETOOLONG, "docker socket '%s'", path);
	}
	memcpy(sa.sun_path, path, strlen(path));
	CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		return error_sys(err, ERROR_INTERNAL, errno, "socket");
	}
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0) {
		return error_sys(err, ERROR_CONNECT, errno, "docker socket '%s'", path);
	}
	return take_fd(&fd);
}

int docker_dial_local(void *ctx, struct error *err)
{
	(void)ctx;
	const char *given = getenv("DOCKER_HOST");
	if (given && *given) {
		if (!str_starts(given, "unix://")) {
			error_set(err, ERROR_CONNECT, "DOCKER_HOST is '%s', not a unix socket",
				given);
			return error_hint(err, "set DOCKER_HOST=unix:///path, or unset it");
		}
		return dial_unix(given + strlen("unix://"), err);
	}
	int fd = dial_unix("/var/run/docker.sock", err);
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	static const char *const others[] = {"docker.sock", "podman/podman.sock"};
	for (size_t i = 0; fd < 0 && runtime && *runtime && i < 2; i++) {
		CLEANUP_FREE char *path = xasprintf("%s/%s", runtime, others[i]);
		struct error ignored = {0}; /* the first one's error is the one to tell */
		fd = dial_unix(path, &ignored);
	}
	if (fd < 0) {
		struct error ignored = {0};
		fd = dial_unix("/run/podman/podman.sock", &ignored);
	}
	if (fd < 0) {
		return error_hint(err, err->sys == EACCES
					       ? "add yourself to the group 'docker'"
					       : "is Docker installed and running here?");
	}
	*err = (struct error){0};
	return fd;
}

struct docker *docker_new(const struct docker_dialer *dialer, const char *host)
{
	struct docker *d = xcalloc(1, sizeof(*d));
	d->dialer = *dialer;
	d->host = xstrdup(host);
	d->head_ms = DEFAULT_HEAD_MS;
	pthread_mutex_init(&d->lock, NULL);
	return d;
}

void docker_free(struct docker *d)
{
	if (!d) {
		return;
	}
	for (size_t i = 0; i < d->nidle; i++) {
		http_conn_free(d->idle[i]);
	}
	pthread_mutex_destroy(&d->lock);
	free(d->host);
	free(d);
}

void docker_set_timeout(struct docker *d, int head_ms)
{
	pthread_mutex_lock(&d->lock);
	d->head_ms = head_ms;
	pthread_mutex_unlock(&d->lock);
}

int docker_head_ms(struct docker *d)
{
	pthread_mutex_lock(&d->lock);
	int ms = d->head_ms;
	pthread_mutex_unlock(&d->lock);
	return ms;
}

void docker_counters(struct docker *d, struct docker_counters *out)
{
	pthread_mutex_lock(&d->lock);
	*out = d->counters;
	pthread_mutex_unlock(&d->lock);
}

void docker_count(struct docker *d, struct http_conn *c, uint64_t requests, uint64_t exchanges)
{
	uint64_t sent, received;
	http_conn_count(c, &sent, &received);
	pthread_mutex_lock(&d->lock);
	d->counters.requests += requests;
	d->counters.exchanges += exchanges;
	d->counters.bytes_sent += sent;
	d->counters.bytes_received += received;
	pthread_mutex_unlock(&d->lock);
}

int docker_api(struct docker *d)
{
	pthread_mutex_lock(&d->lock);
	int api = d->api;
	pthread_mutex_unlock(&d->lock);
	return api;
}

const char *docker_host(const struct docker *d)
{
	return d->host;
}

static struct http_conn *dial(struct docker *d, struct error *err)
{
	if (cancel_check(err) != 0) {
		return NULL;
	}
	int fd = d->dialer.dial(d->dialer.ctx, err);
	if (fd < 0) {
		return NULL;
	}
	pthread_mutex_lock(&d->lock);
	d->counters.dials++;
	pthread_mutex_unlock(&d->lock);
	return http_conn_new(fd);
}

static struct http_conn *pop_idle(struct docker *d)
{
	pthread_mutex_lock(&d->lock);
	struct http_conn *c = d->nidle > 0 ? d->idle[--d->nidle] : NULL;
	pthread_mutex_unlock(&d->lock);
	return c;
}

struct http_conn *docker_acquire(struct docker *d, bool fresh, bool *reused, struct error *err)
{
	struct http_conn *c;
	while (!fresh && (c = pop_idle(d))) {
		if (http_conn_alive(c)) {
			*reused = true;
			return c;
		}
		http_conn_free(c); /* the daemon closed it, or said something unasked */
	}
	*reused = false;
	return dial(d, err);
}

void docker_release(struct docker *d, struct http_conn *c)
{
	if (!c) {
		return;
	}
	docker_count(d, c, 0, 0);
	bool kept = false;
	if (http_conn_reusable(c)) {
		pthread_mutex_lock(&d->lock);
		if (d->nidle < DOCKER_IDLE_MAX) {
			d->idle[d->nidle++] = c;
			kept = true;
		}
		pthread_mutex_unlock(&d->lock);
	}
	if (!kept) {
		http_conn_free(c);
	}
}

void docker_warm(struct docker *d)
{
	pthread_mutex_lock(&d->lock);
	size_t idle = d->nidle;
	pthread_mutex_unlock(&d->lock);
	struct error ignored = {0};
	if (idle == 0) {
		docker_release(d, dial(d, &ignored));
	}
}

/* -- Version -- */

void docker_versioned(struct docker *d, const char *path, struct str *out)
{
	int api = docker_api(d);
	if (api > 0 && !str_eq(path, "/_ping")) {
		str_addf(out, "/v1.%d", api);
	}
	str_add(out, path);
}

/* "1.41" gives 41; -1 when it is not that. */
static int minor_version(const char *text)
{
	long minor;
	if (!str_starts(text, "1.") || str_to_long(text + 2, 0, 9999, &minor) != 0) {
		return -1;
	}
	return (int)minor;
}

static void copy_text(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from ? from : "");
}

/* Takes the ping's headers in. */
static int learn(struct docker *d, const struct strmap *headers, struct error *err)
{
	struct docker_ping ping = {0};
	const char *api = strmap_get(headers, "api-version");
	const char *builder = strmap_get(headers, "builder-version");
	ping.api = api ? minor_version(api) : -1;
	if (ping.api < 0) {
		return error_sys(err, ERROR_REMOTE, EPROTO,
			"this is no Docker daemon: its ping names no API version");
	}
	ping.builder = str_eq(builder, "1") ? 1 : str_eq(builder, "2") ? 2 : 0;
	ping.podman = strmap_get(headers, "libpod-api-version") != NULL;
	ping.experimental = str_eq(strmap_get(headers, "docker-experimental"), "true");
	copy_text(ping.os, sizeof(ping.os), strmap_get(headers, "ostype"));
	copy_text(ping.server, sizeof(ping.server), strmap_get(headers, "server"));
	if (ping.api < DOCKER_API_MIN) {
		error_set(err, ERROR_REMOTE,
			"Docker is too old: its API version is 1.%d, at least 1.%d is needed",
			ping.api, DOCKER_API_MIN);
		return error_hint(err, "install Docker 19.03 or newer on the server");
	}
	pthread_mutex_lock(&d->lock);
	d->ping = ping;
	d->api = ping.api < DOCKER_API_OURS ? ping.api : DOCKER_API_OURS;
	pthread_mutex_unlock(&d->lock);
	return 0;
}

int docker_read_ping(struct docker *d, struct http_conn *c, struct error *err)
{
	struct http_timer t = http_timer_start(docker_head_ms(d));
	CLEANUP_STR struct str body = STR_INIT(STR_MAX_LINE);
	if (http_conn_head(c, false, &t, err) != 0) {
		return -1;
	}
	if (http_conn_status(c) >= 300) {
		return docker_reply_error(d, c, &t, err);
	}
	if (learn(d, http_conn_headers(c), err) != 0) {
		return -1;
	}
	return http_conn_collect(c, &body, &t, err);
}

int docker_negotiate(struct docker *d, struct http_conn *c, struct error *err)
{
	if (docker_api(d) > 0) {
		return 0;
	}
	http_conn_request(c, &(struct http_request){.method = "GET", .target = "/_ping"}, false);
	docker_count(d, c, 1, 1);
	return docker_read_ping(d, c, err);
}

int docker_ping(struct docker *d, bool fresh, struct docker_ping *out, struct error *err)
{
	if (fresh || docker_api(d) == 0) {
		bool reused;
		struct http_conn *c = docker_acquire(d, false, &reused, err);
		if (!c) {
			return -1;
		}
		struct http_request ping = {.method = "GET", .target = "/_ping"};
		http_conn_request(c, &ping, false);
		docker_count(d, c, 1, 1);
		int rc = docker_read_ping(d, c, err);
		if (rc == 0) {
			docker_release(d, c);
		} else {
			http_conn_free(c);
			return -1;
		}
	}
	pthread_mutex_lock(&d->lock);
	*out = d->ping;
	pthread_mutex_unlock(&d->lock);
	return 0;
}
