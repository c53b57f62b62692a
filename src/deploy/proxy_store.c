/* SPDX-License-Identifier: MIT */
/*
 * proxy backup and restore: the certificates that the proxies got by themselves, of all servers in
 * one file here, so that a new server need not order them again (authorities give only some a
 * week).
 *
 *   {"deploy": "proxy", "driver": "caddy", "made": TIME, "hosts": {"app1": {"PATH": "TEXT"}}}
 */
#include "deploy/operations.h"
#include "deploy/record.h"
#include "run.h"

#include "proxy/store.h"
#include "util/clock.h"
#include "util/fs.h"

#include <stdlib.h>
#include <string.h>

struct kept {
	json_t *file;     /* of the whole file */
	const char *from; /* whose store every server gets; NULL: its own */
};

static int need_automatic(struct deployment *d, struct error *err)
{
	if (d->config->proxy.enabled) {
		return 0;
	}
	return error_set(err, ERROR_USAGE, "'%s' has no proxy", d->config->file);
}

static json_t *host_json(const struct secret_map *files, struct error *err)
{
	json_t *o = json_object();
	for (size_t i = 0; i < files->len; i++) {
		json_t *text = json_stringn(
			secret_reveal(files->p[i].value), secret_len(files->p[i].value));
		if (!text) {
			json_decref(o);
			error_set(err, ERROR_REMOTE, "'%s' is no text", files->p[i].name);
			return NULL;
		}
		json_object_set_new(o, files->p[i].name, text);
	}
	return o;
}

static int read_one(struct deployment *d, struct target *t, json_t *hosts, struct error *err)
{
	struct secret_map files = {0};
	int rc = proxy_store_read(t->host, d->config->proxy.driver, &files, err);
	json_t *o = rc == 0 && files.len > 0 ? host_json(&files, err) : NULL;
	if (rc == 0 && files.len > 0) {
		rc = o ? 0 : -1;
	}
	if (o) {
		json_object_set_new(hosts, t->address->name, o);
		ui_done(d->ui, t->host->name, "%zu files of the certificate store", files.len);
	} else if (rc == 0) {
		ui_warn(d->ui, t->host->name,
			"the proxy has no certificates that it got by itself");
	}
	secret_map_fini(&files);
	return rc;
}

static int write_kept(const char *path, const json_t *file, struct error *err)
{
	char *text = json_text(file);
	int rc = fs_write_atomic(path, text, strlen(text), 0600, err);
	explicit_bzero(text, strlen(text));
	free(text);
	return rc;
}

int operation_proxy_backup(struct deployment *d, const char *path, struct error *err)
{
	char made[CLOCK_RFC3339_SIZE];
	if (need_automatic(d, err) < 0 || deployment_look(d, err) < 0) {
		return -1;
	}
	clock_rfc3339(clock_wall_ms(), made);
	json_t *hosts = json_object();
	CLEANUP_JSON json_t *file = json_pack("{s:s, s:s, s:s, s:o}", "deploy", "proxy", "driver",
		d->config->proxy.driver, "made", made, "hosts", hosts);
	for (size_t i = 0; i < d->n; i++) {
		struct target *t = &d->targets[i];
		if (t->selected && target_proxied(d, t) && read_one(d, t, hosts, err) < 0) {
			return -1;
		}
	}
	if (json_object_size(hosts) == 0) {
		return error_set(err, ERROR_REMOTE, "there is nothing to back up");
	}
	if (write_kept(path, file, err) < 0) {
		return -1;
	}
	ui_print(d->ui, "%s", path);
	ui_json(d->ui, json_pack("{s:s, s:s, s:i}", "result", "backup", "file", path, "hosts",
			       (int)json_object_size(hosts)));
	return 0;
}

/* -- Back -- */

static int read_kept(struct deployment *d, const char *path, struct kept *k, struct error *err)
{
	CLEANUP_STR struct str text = STR_SECRET_INIT(STR_MAX_FILE);
	struct error ignored = {0};
	if (fs_read(path, &text, err) < 0) {
		return -1;
	}
	k->file = json_parse(str_c(&text), text.len, path, &ignored);
	if (!str_eq(json_str_at(k->file, "deploy", ""), "proxy") ||
		!json_is_object(json_at(k->file, "hosts"))) {
		return error_set(err, ERROR_USAGE, "'%s' is no backup of a proxy", path);
	}
	const char *driver = json_str_at(k->file, "driver", "");
	if (!str_eq(driver, d->config->proxy.driver)) {
		return error_set(err, ERROR_USAGE,
			"'%s' is of the driver '%s', and this one is '%s'", path, driver,
			d->config->proxy.driver);
	}
	return 0;
}

static const json_t *store_for(const struct kept *k, const struct target *t, struct error *err)
{
	const char *name = k->from ? k->from : t->address->name;
	const json_t *hosts = json_at(k->file, "hosts");
	const json_t *store = json_object_get(hosts, name);
	if (json_is_object(store)) {
		return store;
	}
	struct str names = STR_INIT(STR_MAX_LINE);
	const char *one;
	const json_t *value;
	json_object_foreach((json_t *)(uintptr_t)hosts, one, value)
	{
		str_addf(&names, "%s%s", names.len ? ", " : "", one);
	}
	error_set(err, ERROR_USAGE, "the backup has nothing of '%s'", name);
	(void)error_hint(
		err, "it has: %s; --from takes one of them for every server", str_c(&names));
	str_fini(&names);
	return NULL;
}

static int write_one(struct deployment *d, struct target *t, void *ctx, struct error *err)
{
	const struct kept *k = ctx;
	struct secret_map files = {0};
	const char *path;
	const json_t *text;
	if (!t->selected || !target_proxied(d, t)) {
		return 0;
	}
	const json_t *store = store_for(k, t, err);
	if (!store) {
		return host_error(t->host, err);
	}
	json_object_foreach((json_t *)(uintptr_t)store, path, text)
	{
		if (json_is_string(text)) {
			secret_map_set(&files, path,
				secret_new(json_string_value(text), json_string_length(text)));
		}
	}
	int rc = proxy_store_write(t->host, d->config->proxy.driver, &files, err);
	if (rc == 0) {
		ui_done(d->ui, t->host->name, "%zu files of the certificate store put back",
			files.len);
	}
	secret_map_fini(&files);
	return rc;
}

int operation_proxy_restore(
	struct deployment *d, const char *path, const char *from, struct error *err)
{
	struct kept k = {.from = from};
	int rc = need_automatic(d, err);
	if (rc == 0) {
		rc = read_kept(d, path, &k, err);
	}
	if (rc == 0) {
		rc = deployment_begin(d, err);
		rc = rc == 0 ? deployment_each(d, write_one, &k, err) : rc;
		if (rc == 0) {
			record_audit(d, "restored the proxy's certificates");
		}
		deployment_end(d);
	}
	json_decref(k.file);
	return rc;
}
