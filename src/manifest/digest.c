/* SPDX-License-Identifier: MIT */
#include "manifest/digest.h"

#include "util/fs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Length before text: no two settings give the same bytes. */
static void feed(struct digest *d, const char *text)
{
	char head[32];
	size_t n = text != NULL ? strlen(text) : 0;

	snprintf(head, sizeof(head), text != NULL ? "%zu:" : "-:", n);
	digest_update(d, head, strlen(head));
	digest_update(d, text != NULL ? text : "", n);
}

static void feed_number(struct digest *d, const char *what, int64_t n)
{
	char text[32];

	snprintf(text, sizeof(text), "%lld", (long long)n);
	feed(d, what);
	feed(d, text);
}

/* By their first member, a name. */
static int by_name(const void *a, const void *b)
{
	const char *const *const *x = a;
	const char *const *const *y = b;

	return strcmp(**x, **y);
}

/* Pointers to the n entries (each beginning with its name), sorted; the caller frees. */
static const void **sorted(const void *p, size_t n, size_t size)
{
	const void **order = xcalloc(n + 1, sizeof(*order));

	for (size_t i = 0; i < n; i++) {
		order[i] = (const char *)p + i * size;
	}
	qsort(order, n, sizeof(*order), by_name);
	return order;
}

static void feed_map(struct digest *d, const char *what, const struct strmap *m)
{
	const void **order = sorted(m->p, m->len, sizeof(m->p[0]));

	feed_number(d, what, (int64_t)m->len);
	for (size_t i = 0; i < m->len; i++) {
		const struct strmap_entry *e = order[i];

		feed(d, e->key);
		feed(d, e->value);
	}
	free(order);
}

static void feed_secrets(
	struct digest *d, const struct config_secret_refs *refs, config_secret_mac *mac, void *ctx)
{
	const void **order = sorted(refs->p, refs->len, sizeof(refs->p[0]));

	feed_number(d, "secret", (int64_t)refs->len);
	for (size_t i = 0; i < refs->len; i++) {
		const struct config_secret_ref *r = order[i];
		char buf[DIGEST_HEX_SIZE] = "";

		feed(d, r->name);
		feed(d, r->from);
		feed(d, mac != NULL ? mac(ctx, r->from, buf) : NULL);
	}
	free(order);
}

static void feed_options(struct digest *d, const struct config_options *options)
{
	const void **order = sorted(options->p, options->len, sizeof(options->p[0]));

	feed_number(d, "options", (int64_t)options->len);
	for (size_t i = 0; i < options->len; i++) {
		const struct config_option *o = order[i];

		feed(d, o->name);
		feed_number(d, "values", (int64_t)o->values.len);
		VEC_FOREACH (&o->values, j) {
			feed(d, o->values.p[j]);
		}
	}
	free(order);
}

static void feed_volumes(struct digest *d, const struct strvec *volumes)
{
	const void **order = sorted(volumes->p, volumes->len, sizeof(volumes->p[0]));

	feed_number(d, "volumes", (int64_t)volumes->len);
	for (size_t i = 0; i < volumes->len; i++) {
		const char *const *text = order[i];

		feed(d, *text);
	}
	free(order);
}

static void feed_secret_files(struct digest *d, const struct config_secret_files *files,
	config_secret_mac *mac, void *ctx)
{
	VEC_FOREACH (files, i) {
		char buf[DIGEST_HEX_SIZE] = "";

		feed(d, "secret file");
		feed(d, files->p[i].from);
		feed(d, files->p[i].path);
		feed(d, mac != NULL ? mac(ctx, files->p[i].from, buf) : NULL);
	}
}

static void feed_networks(struct digest *d, const struct config_network_ptrs *networks)
{
	VEC_FOREACH (networks, i) {
		feed(d, networks->p[i]->name);
	}
}

void config_digest(const struct config *c, const struct config_role *role, const char *host,
	config_secret_mac *mac, void *ctx, char out[DIGEST_HEX_SIZE])
{
	struct digest *d = digest_new();
	struct config_env env;

	config_host_env(c, role, host, &env);

	feed(d, "deploy container 1");
	feed(d, c->service);
	feed(d, c->destination);
	feed(d, c->image);
	feed(d, role->name);
	feed(d, role->cmd);
	feed_map(d, "clear", &env.clear);
	feed_secrets(d, &env.secret, mac, ctx);
	feed_secret_files(d, &c->secret_files, mac, ctx);
	feed_options(d, &role->options);
	feed_map(d, "labels", &role->labels);
	feed_volumes(d, &role->volumes);
	feed(d, role->logging.driver);
	feed_map(d, "logging", &role->logging.options);
	feed_number(d, "stop_timeout", role->stop_timeout_ms);
	feed_networks(d, &role->networks);
	feed(d, role->asset_path);
	feed(d, role->asset_mount);
	VEC_FOREACH (&role->crons, i) {
		feed(d, "cron");
		feed(d, role->crons.p[i].schedule);
		feed(d, role->crons.p[i].cmd);
	}
	digest_hex(d, out);
	digest_free(d);
	config_env_fini(&env);
}

/* `local` is a file here only where it may have variables in it: not of a folder. */
static void feed_files(struct digest *d, const char *what, const struct config_files *files)
{
	VEC_FOREACH (files, i) {
		const struct config_file *f = &files->p[i];
		CLEANUP_STR struct str content = STR_INIT(CONFIG_FILE_MAX);
		struct error ignored = {0};

		feed(d, what);
		feed(d, f->expand ? NULL : f->local);
		feed(d, f->remote);
		feed(d, f->mode);
		feed(d, f->owner);
		feed(d, f->options);
		if (f->expand && fs_read(f->local, &content, &ignored) == 0) {
			feed(d, str_c(&content));
		}
	}
}

void config_accessory_digest(const struct config *c, const struct config_accessory *a,
	config_secret_mac *mac, void *ctx, char out[DIGEST_HEX_SIZE])
{
	struct digest *d = digest_new();

	feed(d, "deploy accessory 1");
	feed(d, c->service);
	feed(d, c->destination);
	feed(d, a->name);
	feed(d, a->container);
	feed(d, a->cmd);
	VEC_FOREACH (&a->ports, i) {
		feed(d, a->ports.p[i]);
	}
	feed_map(d, "clear", &a->env.clear);
	feed_secrets(d, &a->env.secret, mac, ctx);
	feed_options(d, &a->options);
	feed_map(d, "labels", &a->labels);
	feed_volumes(d, &a->volumes);
	feed_files(d, "file", &a->files);
	feed_files(d, "folder", &a->directories);
	feed_networks(d, &a->networks);
	feed(d, a->logging.driver);
	feed_map(d, "logging", &a->logging.options);
	feed_number(d, "stop_timeout", a->stop_timeout_ms);
	digest_hex(d, out);
	digest_free(d);
}
