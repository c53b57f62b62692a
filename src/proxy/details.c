/* SPDX-License-Identifier: MIT */
/* What `proxy details` and `proxy logs` show. */
#include "internal.h"

#include "docker/container.h"
#include "util/cancel.h"
#include "util/clock.h"

#include <string.h>

#define TAIL_BYTES ((size_t)256 << 10) /* of each log, from which the last lines are taken */
#define POLL_MS    500

static void read_ports(const struct docker_container *c, struct proxy_details *d)
{
	const char *label = strmap_get(&c->labels, PROXY_LABEL_METRICS);
	long metrics = 0;
	if (label && str_to_long(label, 1, 65535, &metrics) < 0) {
		metrics = 0;
	}
	VEC_FOREACH (&c->ports, i) {
		int port = c->ports.p[i].host_port;
		if (port == metrics) {
			continue;
		}
		if (d->http_port == 0 || port == d->http_port) {
			d->http_port = port;
		} else if (d->https_port == 0 || port == d->https_port) {
			d->https_port = port;
		}
	}
	if (d->https_port && d->https_port < d->http_port) {
		int other = d->http_port;
		d->http_port = d->https_port;
		d->https_port = other;
	}
}

static void take_state(struct proxy_details *d, struct proxy_state *st)
{
	if (st->present) {
		d->services = xrealloc(d->services, (d->services_len + 1) * sizeof(*d->services));
		d->services[d->services_len++] = *st;
		memset(st, 0, sizeof(*st));
	}
}

static int read_container(struct proxy *p, struct proxy_details *d, struct error *err)
{
	struct docker_container c = {0};
	if (docker_container_inspect(p->host->docker, p->container, &c, err) < 0) {
		if (err->status != 404) {
			return -1;
		}
		*err = (struct error){0};
		return 0;
	}
	d->present = true;
	d->running = c.running;
	d->container_id = xstrdup(c.id);
	d->image = xstrdup(c.image);
	d->image_id = xstrdup(c.image_id);
	d->started_at = xstrdup(c.started_at);
	d->status = xstrdup(c.state);
	read_ports(&c, d);
	docker_container_fini(&c);
	return 0;
}

int proxy_details(struct host *h, const char *driver, struct proxy_details *d, struct error *err)
{
	struct proxy_config pc = {.driver = driver};
	memset(d, 0, sizeof(*d));
	/* A key that no service can have, so that all of them are others. */
	struct proxy *p = proxy_open(h, &pc, "@", NULL, err);
	if (!p) {
		return -1;
	}
	int rc = read_container(p, d, err);
	if (rc == 0 && p->version) {
		d->version = xasprintf("%ld.%ld.%ld", p->version / 1000000,
			p->version / 1000 % 1000, p->version % 1000);
	}
	for (size_t i = 0; rc == 0 && i < p->others.len; i++) {
		take_state(d, &p->others.p[i].state);
	}
	proxy_close(p);
	return rc < 0 ? host_error(h, err) : 0;
}

void proxy_details_fini(struct proxy_details *d)
{
	char **texts[] = {
		&d->container_id, &d->image, &d->image_id, &d->version, &d->started_at, &d->status};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		free(*texts[i]);
	}
	for (size_t i = 0; i < d->services_len; i++) {
		proxy_state_fini(&d->services[i]);
	}
	free(d->services);
	memset(d, 0, sizeof(*d));
}

/* One log being read. */
struct tail {
	char *path;
	uint64_t offset;
	struct str rest; /* an unfinished line */
};

static void give_lines(
	struct tail *t, int last, void (*line)(void *ctx, const char *text), void *ctx)
{
	char *end;
	size_t total = 0, n = 0;
	for (const char *q = str_c(&t->rest); (q = strchr(q, '\n')); q++) {
		total++;
	}
	while (t->rest.len && (end = memchr(t->rest.p, '\n', t->rest.len))) {
		*end = '\0';
		if (last < 0 || n + (size_t)last >= total) {
			line(ctx, t->rest.p);
		}
		n++;
		str_consume(&t->rest, (size_t)(end + 1 - t->rest.p));
	}
}

static int read_tail(struct proxy *p, struct tail *t, bool first, struct error *err)
{
	struct sftp_batch *b = sftp_batch_new(p->host->sftp);
	const struct sftp_op *op = sftp_stat(b, t->path);
	int rc = sftp_run(b, PROXY_TIMEOUT_MS, err);
	uint64_t size = rc == 0 && op->status == SFTP_OK ? op->attrs.size : 0;
	if (first) {
		t->offset = size > TAIL_BYTES ? size - TAIL_BYTES : 0;
	} else if (size < t->offset) {
		t->offset = 0; /* rotated */
	}
	if (rc == 0 && size > t->offset) {
		const struct sftp_op *data = sftp_read_at(b, t->path, t->offset, TAIL_BYTES);
		rc = sftp_run(b, PROXY_TIMEOUT_MS, err);
		if (rc == 0 && data->status == SFTP_OK) {
			t->offset += data->data.len;
			if (str_addn(&t->rest, str_c(&data->data), data->data.len) < 0) {
				str_reset(&t->rest); /* a line without end: let it go */
			}
		}
	}
	sftp_batch_free(b);
	return rc;
}

int proxy_logs(struct host *h, const char *driver, int lines, bool follow,
	void (*line)(void *ctx, const char *text), void *ctx, struct error *err)
{
	struct proxy_config pc = {.driver = driver};
	struct proxy *p = proxy_new(h, &pc, "@", NULL, err);
	if (!p) {
		return host_error(h, err);
	}
	struct tail tails[2] = {{.path = proxy_path(p, "log/error.log")},
		{.path = proxy_path(p, "log/access.log")}};
	int rc = 0;
	for (bool first = true; rc == 0 && (first || follow); first = false) {
		for (int i = 0; i < 2 && rc == 0; i++) {
			tails[i].rest.max = 4 * TAIL_BYTES;
			rc = read_tail(p, &tails[i], first, err);
			if (rc == 0) {
				give_lines(&tails[i], first ? lines : -1, line, ctx);
			}
		}
		if (follow && rc == 0) {
			clock_sleep_ms(POLL_MS);
			rc = cancel_check(err);
		}
	}
	for (int i = 0; i < 2; i++) {
		free(tails[i].path);
		str_fini(&tails[i].rest);
	}
	proxy_close(p);
	return rc < 0 ? host_error(h, err) : 0;
}
