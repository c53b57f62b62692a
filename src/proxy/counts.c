/* SPDX-License-Identifier: MIT */
/* Requests served and failed, from the proxy's own access log. */
#include "internal.h"

#include <assert.h>
#include <string.h>

#define COUNT_MAX ((uint64_t)16 << 20) /* bytes of log that are read at most */

static struct proxy_upstream_counts *counts_of(struct proxy_counts *c, const char *name)
{
	VEC_FOREACH (&c->upstreams, i) {
		if (str_eq(c->upstreams.p[i].name, name)) {
			return &c->upstreams.p[i];
		}
	}
	struct proxy_upstream_counts one = {.name = xstrdup(name)};
	vec_push(&c->upstreams, one);
	return &c->upstreams.p[c->upstreams.len - 1];
}

static void add_entry(struct proxy_counts *c, struct proxy_log_entry *e)
{
	char *colon = strrchr(e->upstream, ':');
	if (colon) {
		*colon = '\0';
	}
	struct proxy_upstream_counts *u = counts_of(c, e->upstream);
	bool gateway = e->status >= 502 && e->status <= 504;
	if (gateway && !e->answered) {
		c->failed++;
		u->failed++;
		return;
	}
	c->served++;
	u->served++;
	if (e->status >= 500) {
		c->errors++;
		u->errors++;
	}
}

void proxy_counts_add(struct proxy_counts *c, const struct proxy_driver *d, const char *key,
	const char *text, size_t len)
{
	struct proxy_log_entry e;
	while (len > 0) {
		const char *end = memchr(text, '\n', len);
		size_t n = end ? (size_t)(end - text) : len;
		/* A line that is still being written has no end: the next count has it. */
		if (end && d->parse_log(text, n, &e) && str_eq(e.key, key)) {
			add_entry(c, &e);
		}
		text += n + (end ? 1 : 0);
		len -= n + (end ? 1 : 0);
	}
}

void proxy_counts_fini(struct proxy_counts *c)
{
	VEC_FOREACH (&c->upstreams, i) {
		free(c->upstreams.p[i].name);
	}
	vec_fini(&c->upstreams);
	memset(c, 0, sizeof(*c));
}

int proxy_counts_begin(struct proxy *p, struct error *err)
{
	CLEANUP_FREE char *path = proxy_path(p, "log/access.log");
	struct sftp_batch *b = sftp_batch_new(p->host->sftp);
	const struct sftp_op *op = sftp_stat(b, path);
	int rc = sftp_run(b, PROXY_TIMEOUT_MS, err);
	p->log_offset = rc == 0 && op->status == SFTP_OK ? op->attrs.size : 0;
	p->counting = rc == 0;
	sftp_batch_free(b);
	return rc;
}

/* The log that was current when counting began, when it was rotated since: the newest backup. */
static const struct sftp_entry *rotated(const struct sftp_op *list, uint64_t offset)
{
	const struct sftp_entry *best = NULL;
	for (size_t i = 0; list->status == SFTP_OK && i < list->entries.len; i++) {
		const struct sftp_entry *e = &list->entries.p[i];
		if (str_starts(e->name, "access") && !str_eq(e->name, "access.log") &&
			e->attrs.size >= offset && (!best || e->attrs.mtime >= best->attrs.mtime)) {
			best = e;
		}
	}
	return best;
}

static int read_log(
	struct proxy *p, const char *name, uint64_t from, struct str *out, struct error *err)
{
	CLEANUP_FREE char *relative = xasprintf("log/%s", name);
	CLEANUP_FREE char *path = proxy_path(p, relative);
	struct sftp_batch *b = sftp_batch_new(p->host->sftp);
	const struct sftp_op *op = sftp_read_at(b, path, from, COUNT_MAX);
	int rc = sftp_run(b, 4 * PROXY_TIMEOUT_MS, err);
	if (rc == 0 && op->status == SFTP_OK) {
		str_addn(out, str_c(&op->data), op->data.len);
	}
	sftp_batch_free(b);
	return rc;
}

int proxy_counts_end(struct proxy *p, struct proxy_counts *c, struct error *err)
{
	CLEANUP_FREE char *path = proxy_path(p, "log/access.log");
	CLEANUP_FREE char *dir = proxy_path(p, "log");
	struct str text = STR_INIT(2 * COUNT_MAX + 1);
	struct sftp_batch *b = sftp_batch_new(p->host->sftp);
	memset(c, 0, sizeof(*c));
	assert(p->counting);
	const struct sftp_op *now = sftp_stat(b, path), *list = NULL;
	int rc = sftp_run(b, PROXY_TIMEOUT_MS, err);
	uint64_t size = rc == 0 && now->status == SFTP_OK ? now->attrs.size : 0;
	uint64_t from = p->log_offset;
	if (rc == 0 && size < from) {
		list = sftp_list(b, dir, 256);
		rc = sftp_run(b, PROXY_TIMEOUT_MS, err);
	}
	const struct sftp_entry *old = rc == 0 && list ? rotated(list, from) : NULL;

	if (rc == 0 && old) {
		c->partial = old->attrs.size - from > COUNT_MAX;
		rc = read_log(
			p, old->name, c->partial ? old->attrs.size - COUNT_MAX : from, &text, err);
	}
	if (size < p->log_offset) {
		c->partial = c->partial || !old;
		from = 0;
	}
	if (rc == 0 && size - from > COUNT_MAX) {
		from = size - COUNT_MAX;
		c->partial = true;
	}
	if (rc == 0 && size > from) {
		rc = read_log(p, "access.log", from, &text, err);
	}
	sftp_batch_free(b);
	if (rc == 0) {
		proxy_counts_add(c, p->driver, p->key, str_c(&text), text.len);
	}
	str_fini(&text);
	return rc;
}
