/* SPDX-License-Identifier: MIT */
/* accessory backup, backups, restore. */
#include "backup.h"

#include "deploy/operations.h"
#include "deploy/record.h"
#include "util/cancel.h"
#include "util/clock.h"

#include <stdlib.h>
#include <string.h>

#define DAY_MS      ((int64_t)24 * 3600 * 1000)
#define SHOWN_HEX   12 /* digits of a checksum in a table */
#define SAFETY_NOTE "before the restore of "

/* Accessories without `backup:` are left out of "all", and refused by name. */
static int only_backed_up(struct deployment *d, const char *name, struct error *err)
{
	struct accessory_ptrs kept = {0};
	if (deployment_only_accessory(d, name, err) < 0) {
		return -1;
	}
	VEC_FOREACH (&d->accessories, i) {
		if (d->accessories.p[i]->backup.enabled) {
			vec_push(&kept, d->accessories.p[i]);
		}
	}
	vec_fini(&d->accessories);
	d->accessories = kept;
	if (kept.len == 0) {
		error_set(err, ERROR_USAGE, "'%s' has no 'backup' in '%s'", name, d->config->file);
		return error_hint(err, "backup: {}; see deploy-manifest(5)");
	}
	return deployment_load_backup_secrets(d, err);
}

static const char *age(int64_t then_ms, char buf[CLOCK_RFC3339_SIZE])
{
	return clock_duration(clock_wall_ms() - then_ms, buf);
}

static json_t *info_json(const char *result, const struct backup_info *b)
{
	char when[CLOCK_RFC3339_SIZE];
	return json_pack("{s:s, s:s, s:s, s:I, s:s, s:s?, s:s?, s:s?, s:s?, s:b}", "result", result,
		"id", b->id, "time", clock_rfc3339(b->time_ms, when), "size", (json_int_t)b->size,
		"sha256", b->sha256, "accessory", b->accessory, "host", b->host, "kind", b->kind,
		"note", b->note, "encrypted", *b->salt != '\0');
}

/* -- Backup -- */

/* Those that are older than `keep` days, but never the newest. */
static int prune(struct deployment *d, struct target *t, const struct config_accessory *a,
	const struct store *s, struct error *err)
{
	struct backup_infos all = {0};
	int64_t limit = clock_wall_ms() - (int64_t)a->backup.keep_days * DAY_MS;
	int result = store_list(s, &all, err);
	for (size_t i = 0; result == 0 && i + 1 < all.len; i++) {
		if (all.p[i].time_ms < limit) {
			result = store_remove(s, &all.p[i], err);
			ui_debug(d->ui, t->host->name, "removed backup %s", all.p[i].id);
		}
	}
	backup_infos_fini(&all);
	return result < 0 ? error_wrap(err, "remove old backups") : 0;
}

/* Restores it where nobody is, and says how much is there. */
static int verify(struct deployment *d, struct target *t, const struct config_accessory *a,
	const struct store *s, const struct backup_info *info, struct str *count, struct error *err)
{
	CLEANUP_FREE char *name = NULL;
	CLEANUP_FREE char *script = backup_count_script(a);
	int result = backup_scratch(d, t, a, s, info, false, &name, err);
	if (result == 0 && script) {
		result = backup_script(t, name, script, NULL, a->backup.timeout_ms, count, err);
	}
	if (name) {
		backup_scratch_remove(d, t, name);
	}
	return result < 0 ? error_wrap(err, "verify backup '%s'", info->id) : 0;
}

struct backing_up {
	bool verify;
	pthread_mutex_t lock;
	json_t *done; /* what is told at the end */
};

static int is_running(const struct target *t, const struct config_accessory *a, struct error *err)
{
	if (accessory_look(t, a, NULL) == ACCESSORY_RUNNING) {
		return 0;
	}
	error_set(err, ERROR_REMOTE, "it does not run");
	return error_hint(err, "deploy accessory boot %s", a->name);
}

static int back_up(struct deployment *d, struct target *t, const struct config_accessory *a,
	struct backing_up *b, struct error *err)
{
	char size[16];
	CLEANUP_BACKUP_PLACE struct backup_place p = {0};
	CLEANUP_STR struct str count = STR_INIT(STR_MAX_LINE);
	struct backup_info info = {0};
	if (accessory_settle(d, t, a, err) < 0 || is_running(t, a, err) < 0 ||
		backup_place_open(d, t, a, &p, err) < 0 ||
		backup_take(d, t, a, &p.store, NULL, &info, err) < 0) {
		return -1;
	}
	int result = b->verify ? verify(d, t, a, &p.store, &info, &count, err) : 0;
	if (result == 0) {
		result = prune(d, t, a, &p.store, err);
	}
	bool verified = b->verify && result == 0;
	ui_done(d->ui, t->host->name, "backup %s of %s: %s%s%s", info.id, a->name,
		ui_bytes(info.size, size), verified ? ", verified: " : "", str_c(&count));
	json_t *j = info_json("backup", &info);
	if (verified) {
		json_object_set_new(j, "verified", json_string(str_c(&count)));
	}
	pthread_mutex_lock(&b->lock);
	json_array_append_new(b->done, j);
	pthread_mutex_unlock(&b->lock);
	backup_info_fini(&info);
	return result;
}

static int back_up_target(struct deployment *d, struct target *t, void *ctx, struct error *err)
{
	VEC_FOREACH (&d->accessories, i) {
		const struct config_accessory *a = d->accessories.p[i];
		if (target_has_accessory(t, a) && back_up(d, t, a, ctx, err) < 0) {
			return error_wrap(err, "accessory '%s'", a->name);
		}
	}
	return 0;
}

static void audit(struct deployment *d, const char *what, const char *name, int result)
{
	CLEANUP_FREE char *told =
		xasprintf("%s accessory %s%s", what, name, result < 0 ? ": failed" : "");
	cancel_shield_begin();
	record_audit(d, told);
	cancel_shield_end();
}

int operation_accessory_backup(
	struct deployment *d, const char *name, bool verify_it, struct error *err)
{
	struct backing_up b = {.verify = verify_it, .lock = PTHREAD_MUTEX_INITIALIZER};
	if (only_backed_up(d, name, err) < 0 || deployment_begin_beside(d, err) < 0) {
		return -1;
	}
	b.done = json_array();
	int result = deployment_each(d, back_up_target, &b, err);
	for (size_t i = 0; i < json_array_size(b.done); i++) {
		ui_json(d->ui, json_incref(json_array_get(b.done, i)));
	}
	json_decref(b.done);
	audit(d, "backed up", name, result);
	deployment_end(d);
	return result;
}

/* -- List -- */

static int list_one(struct deployment *d, struct target *t, const struct config_accessory *a,
	struct ui_table *table, struct error *err)
{
	CLEANUP_BACKUP_PLACE struct backup_place p = {0};
	struct backup_infos all = {0};
	if (backup_place_open(d, t, a, &p, err) < 0) {
		return -1;
	}
	if (store_list(&p.store, &all, err) < 0) {
		return host_error(p.host ? p.host : t->host, err);
	}
	for (size_t i = all.len; i-- > 0;) {
		const struct backup_info *b = &all.p[i];
		char size[16], old[CLOCK_RFC3339_SIZE];
		CLEANUP_FREE char *sum = xstrndup(b->sha256, SHOWN_HEX);
		ui_table_row(table,
			(const char *[]){t->address->name, a->name, b->id, age(b->time_ms, old),
				ui_bytes(b->size, size), sum, b->note});
		ui_json(d->ui, info_json("backup", b));
	}
	backup_infos_fini(&all);
	return 0;
}

int operation_accessory_backups(struct deployment *d, const char *name, struct error *err)
{
	static const char *const headings[] = {
		"HOST", "ACCESSORY", "BACKUP", "AGE", "SIZE", "SHA256", "NOTE"};
	if (only_backed_up(d, name, err) < 0 || deployment_look(d, err) < 0) {
		return -1;
	}
	struct ui_table *table = ui_table_new(7, headings);
	ui_table_right(table, 3);
	ui_table_right(table, 4);
	int result = 0;
	for (size_t i = 0; i < d->n; i++) {
		for (size_t j = 0; result == 0 && j < d->accessories.len; j++) {
			if (target_has_accessory(&d->targets[i], d->accessories.p[j])) {
				result = list_one(
					d, &d->targets[i], d->accessories.p[j], table, err);
			}
		}
	}
	if (result == 0) {
		ui_table_print(d->ui, table);
	}
	ui_table_free(table);
	return result;
}

/* -- Restore -- */

/*
 * The one that is meant: by its ID or an unambiguous beginning, else the newest that was not made
 * by a restore, and that is `encrypted` where the manifest has a key: a folder that others write to
 * may have one of theirs.  Borrowed from `all`.
 */
static const struct backup_info *choose(
	const struct backup_infos *all, const char *id, bool encrypted, struct error *err)
{
	const struct backup_info *found = NULL;
	for (size_t i = all->len; i-- > 0;) {
		const struct backup_info *b = &all->p[i];
		bool safety = b->note && str_starts(b->note, SAFETY_NOTE);
		if (id ? !str_starts(b->id, id) : safety || (encrypted && !*b->salt)) {
			continue;
		}
		if (id && found) {
			error_set(err, ERROR_USAGE, "'%s' begins more than one backup", id);
			return NULL;
		}
		found = b;
		if (!id) {
			break;
		}
	}
	if (!found) {
		error_set(err, ERROR_USAGE, id ? "there is no backup '%s'" : "there is no backup%s",
			id ? id : "");
		(void)error_hint(err, "deploy accessory backups lists them");
	}
	return found;
}

static struct target *only_target(struct deployment *d, const char *name, struct error *err)
{
	struct target *found = NULL;
	for (size_t i = 0; i < d->n; i++) {
		if (!target_has_accessory(&d->targets[i], d->accessories.p[0])) {
			continue;
		}
		if (found) {
			error_set(err, ERROR_USAGE, "'%s' runs on several servers", name);
			(void)error_hint(err, "choose one of them by --hosts");
			return NULL;
		}
		found = &d->targets[i];
	}
	return found;
}

/* The live one takes over what a scratch server has read: whole, or nothing of it. */
static int restore_redis(struct deployment *d, struct target *t, const struct config_accessory *a,
	const struct store *s, const struct backup_info *b, struct error *err)
{
	CLEANUP_FREE char *name = NULL;
	if (backup_scratch(d, t, a, s, b, true, &name, err) < 0) {
		return -1;
	}
	CLEANUP_FREE char *script = backup_take_over_script(name);
	int result = backup_script(t, a->container, script, NULL, a->backup.timeout_ms, NULL, err);
	backup_scratch_remove(d, t, name);
	return result;
}

static int restore_it(struct deployment *d, struct target *t, const struct config_accessory *a,
	const struct store *s, const struct backup_info *b, struct error *err)
{
	CLEANUP_FREE char *script = backup_restore_script(a);
	ui_step(d->ui, t->host->name, "restoring %s", b->id);
	if (!script) {
		return restore_redis(d, t, a, s, b, err);
	}
	struct store_reader *r = store_open(s, b, err);
	if (!r) {
		return -1;
	}
	struct http_source source = store_source(r);
	int result =
		backup_script(t, a->container, script, &source, a->backup.timeout_ms, NULL, err);
	store_close(r);
	return result;
}

static int take_safety(struct deployment *d, struct target *t, const struct config_accessory *a,
	const struct store *s, const struct backup_info *b, struct error *err)
{
	CLEANUP_FREE char *note = xasprintf(SAFETY_NOTE "%s", b->id);
	struct backup_info safety = {0};
	if (backup_take(d, t, a, s, note, &safety, err) < 0) {
		(void)error_wrap(err, "the safety backup");
		return error_hint(err, "--no-safety restores without one");
	}
	ui_done(d->ui, t->host->name, "what was there is backup %s", safety.id);
	backup_info_fini(&safety);
	return 0;
}

int backup_restore(struct deployment *d, struct target *t, const struct config_accessory *a,
	const struct store *s, const struct backup_info *b, bool safety, struct error *err)
{
	CLEANUP_STR struct str count = STR_INIT(STR_MAX_LINE);
	CLEANUP_FREE char *script = backup_count_script(a);
	if (accessory_settle(d, t, a, err) < 0 || is_running(t, a, err) < 0) {
		return -1;
	}
	ui_step(d->ui, t->host->name, "reading backup %s", b->id);
	if (store_check(s, b, err) < 0 || (safety && take_safety(d, t, a, s, b, err) < 0)) {
		return -1;
	}
	if (restore_it(d, t, a, s, b, err) < 0) {
		return error_wrap(err, "restore backup '%s'", b->id);
	}
	if (script && backup_script(t, a->container, script, NULL, a->backup.timeout_ms, &count,
			      err) < 0) {
		return error_wrap(err, "backup '%s' is restored, but not as it should", b->id);
	}
	ui_done(d->ui, t->host->name, "%s is restored from %s%s%s", a->name, b->id,
		count.len ? ": " : "", str_c(&count));
	json_t *j = info_json("restore", b);
	json_object_set_new(j, "verified", json_string(str_c(&count)));
	ui_json(d->ui, j);
	return 0;
}

static int confirm(struct deployment *d, const struct target *t, const struct config_accessory *a,
	const struct backup_info *b, bool safety, struct error *err)
{
	char size[16], old[CLOCK_RFC3339_SIZE];
	return ui_confirm(d->ui, err,
		"Restore '%s' of '%s' on %s from backup %s (%s old, %s)? What it has now is "
		"replaced%s.",
		a->name, d->config->service, t->address->name, b->id, age(b->time_ms, old),
		ui_bytes(b->size, size),
		safety ? "; it is backed up first" : ", AND NOT backed up first");
}

int operation_accessory_restore(struct deployment *d, const char *name,
	const struct restore_options *options, struct error *err)
{
	struct backup_infos all = {0};
	CLEANUP_BACKUP_PLACE struct backup_place p = {0};
	if (only_backed_up(d, name, err) < 0) {
		return -1;
	}
	if (str_eq(name, "all")) {
		return error_set(err, ERROR_USAGE, "one accessory is restored at a time");
	}
	const struct config_accessory *a = d->accessories.p[0];
	struct target *t = only_target(d, name, err);
	if (!t || deployment_look(d, err) < 0 || backup_place_open(d, t, a, &p, err) < 0) {
		return -1;
	}
	int result = store_list(&p.store, &all, err);
	const struct backup_info *b =
		result == 0 ? choose(&all, options->id, a->backup.key_secret, err) : NULL;
	if (!b || confirm(d, t, a, b, !options->no_safety, err) < 0 ||
		deployment_begin_beside(d, err) < 0) {
		backup_infos_fini(&all);
		return -1;
	}
	result = backup_restore(d, t, a, &p.store, b, !options->no_safety, err);
	if (result < 0) {
		(void)error_wrap(err, "accessory '%s'", a->name);
		(void)host_error(t->host, err);
	}
	audit(d, "restored", name, result);
	deployment_end(d);
	backup_infos_fini(&all);
	return result;
}
