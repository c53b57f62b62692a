/* SPDX-License-Identifier: MIT */
/* releases, releases show, releases diff. */
#include "deploy/operations.h"
#include "internal.h"

#include "util/clock.h"

#include <stdlib.h>
#include <string.h>

#define DIFF_MAX_COMMITS 200
#define MARK_HOSTS       3 /* named in the list; the rest is counted */

/* Is it what serves as some role of the manifest on this host? */
static bool serves_on(const struct deployment *d, const struct release *r, const char *host)
{
	VEC_FOREACH (&d->config->roles, i) {
		const struct config_role *role = &d->config->roles.p[i];
		VEC_FOREACH (&role->hosts, j) {
			if (str_eq(role->hosts.p[j].name, host) &&
				history_latest(&d->history, host, role->name) == r) {
				return true;
			}
		}
	}
	return false;
}

/* "live", "retired", "failed"...  *hosts: those that it serves on. */
static const char *state_of(
	const struct deployment *d, const struct release *r, struct strvec *hosts, bool *all)
{
	struct config_host_ptrs named = {0};
	config_all_hosts(d->config, &named);
	VEC_FOREACH (&named, i) {
		if (r->outcome == RELEASE_LIVE && serves_on(d, r, named.p[i]->name)) {
			strvec_push(hosts, named.p[i]->name);
		}
	}
	*all = hosts->len == named.len;
	vec_fini(&named);
	return r->outcome != RELEASE_LIVE ? release_outcome_name(r->outcome)
	       : hosts->len > 0           ? "live"
					  : "retired";
}

/* The same for people: where --hosts or --roles left hosts behind, it says where. */
static char *mark(const struct deployment *d, const struct release *r)
{
	CLEANUP_STRVEC struct strvec hosts = {0};
	bool all = false;
	const char *state = state_of(d, r, &hosts, &all);
	if (hosts.len == 0 || all) {
		return xstrdup(state);
	}
	CLEANUP_STR struct str text = STR_INIT(STR_MAX_LINE);
	str_add(&text, "live on ");
	for (size_t i = 0; i < hosts.len && i < MARK_HOSTS; i++) {
		str_addf(&text, "%s%s", i > 0 ? ", " : "", hosts.p[i]);
	}
	if (hosts.len > MARK_HOSTS) {
		str_addf(&text, " and %zu more", hosts.len - MARK_HOSTS);
	}
	return str_take(&text);
}

static void add_state(const struct deployment *d, const struct release *r, json_t *j)
{
	CLEANUP_STRVEC struct strvec hosts = {0};
	bool all = false;
	json_object_set_new(j, "state", json_string(state_of(d, r, &hosts, &all)));
	json_t *list = json_array();
	VEC_FOREACH (&hosts, i) {
		json_array_append_new(list, json_string(hosts.p[i]));
	}
	json_object_set_new(j, "live_on", list);
}

static void list_row(struct deployment *d, struct ui_table *table, const struct release *r)
{
	char when[CLOCK_RFC3339_SIZE], took[CLOCK_RFC3339_SIZE] = "";
	CLEANUP_FREE char *number = xasprintf("%ld", r->number);
	CLEANUP_FREE char *state = mark(d, r);
	CLEANUP_FREE char *what = r->runs != r->number ? xasprintf("rollback to %ld", r->runs)
						       : xstrdup(r->subject ? r->subject : "");
	clock_rfc3339(r->started_ms, when);
	when[10] = ' ';
	when[16] = '\0'; /* to the minute */
	if (r->finished_ms > r->started_ms) {
		clock_duration(r->finished_ms - r->started_ms, took);
	}
	ui_table_row(
		table, (const char *[]){number, state, r->version, when, took, r->performer, what});
}

int operation_releases_list(struct deployment *d, struct error *err)
{
	static const char *const headings[] = {
		"RELEASE", "STATE", "VERSION", "WHEN (UTC)", "TOOK", "BY", "WHAT"};
	if (deployment_look(d, err) < 0) {
		return -1;
	}
	struct ui_table *table = ui_table_new(7, headings);
	ui_table_right(table, 0);
	for (size_t i = d->history.len; i-- > 0;) {
		json_t *j = release_to_json(&d->history.p[i]);
		list_row(d, table, &d->history.p[i]);
		json_object_del(j, "config");
		json_object_set_new(j, "result", json_string("release"));
		add_state(d, &d->history.p[i], j);
		ui_json(d->ui, j);
	}
	if (d->history.len == 0) {
		ui_print(d->ui, "no release yet: deploy push makes the first");
	} else {
		ui_table_print(d->ui, table);
	}
	ui_table_free(table);
	return 0;
}

static const struct release *find(struct deployment *d, long number, struct error *err)
{
	const struct release *r = history_find(&d->history, number);
	if (!r) {
		error_set(err, ERROR_USAGE, "there is no release %ld on record", number);
		(void)error_hint(err, "deploy releases lists them");
	}
	return r;
}

static void show_line(struct deployment *d, const char *name, const char *value)
{
	if (value && *value) {
		ui_print(d->ui, "%-14s %s", name, value);
	}
}

static void show_times(struct deployment *d, const struct release *r)
{
	char when[CLOCK_RFC3339_SIZE], took[CLOCK_RFC3339_SIZE];
	show_line(d, "started", clock_rfc3339(r->started_ms, when));
	if (r->finished_ms) {
		clock_duration(r->finished_ms - r->started_ms, took);
		show_line(d, "took", took);
	}
}

int operation_releases_show(struct deployment *d, long number, struct error *err)
{
	if (deployment_look(d, err) < 0) {
		return -1;
	}
	const struct release *r = find(d, number, err);
	if (!r) {
		return -1;
	}
	CLEANUP_FREE char *state = mark(d, r);
	CLEANUP_FREE char *heading = xasprintf("%ld (%s)", r->number, state);
	CLEANUP_FREE char *replaced = r->replaced ? xasprintf("release %ld", r->replaced) : NULL;
	CLEANUP_FREE char *runs = r->runs != r->number ? xasprintf("release %ld", r->runs) : NULL;
	CLEANUP_FREE char *ran = release_ran_text(r);
	show_line(d, "release", heading);
	show_line(d, "version", r->version);
	show_line(d, "commit", r->commit);
	show_line(d, "subject", r->subject);
	show_line(d, "command", r->command);
	show_line(d, "went back to", runs);
	show_line(d, "replaced", replaced);
	show_line(d, "by", r->performer);
	show_line(d, "from", r->operator_host);
	show_times(d, r);
	show_line(d, "image", r->image);
	show_line(d, "image id", r->image_id);
	show_line(d, "ran", ran);
	show_line(d, "error", r->error);
	if (r->requests >= 0) {
		ui_print(d->ui, "%-14s %lld of %lld failed during the switch", "requests",
			(long long)r->failed_requests, (long long)r->requests);
	}
	VEC_FOREACH (&r->hosts, i) {
		ui_print(d->ui, "%-14s %s: %s", i == 0 ? "hosts" : "", r->hosts.p[i].key,
			r->hosts.p[i].value);
	}
	VEC_FOREACH (&r->stayed, i) {
		ui_print(d->ui, "%-14s %s: %s", i == 0 ? "stayed behind" : "", r->stayed.p[i].key,
			r->stayed.p[i].value);
	}
	VEC_FOREACH (&r->snapshots, i) {
		ui_print(d->ui, "%-14s %s: %s", i == 0 ? "snapshots" : "", r->snapshots.p[i].key,
			r->snapshots.p[i].value);
	}
	json_t *j = release_to_json(r);
	json_object_set_new(j, "result", json_string("release"));
	ui_json(d->ui, j);
	return 0;
}

/* -- diff -- */

static char *value_text(const json_t *value)
{
	char *text = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_SORT_KEYS) : NULL;
	return text ? text : xstrdup("(not set)");
}

/* Leaves of the two trees that differ, by dotted path. */
static void diff_values(
	struct deployment *d, const char *path, json_t *from, json_t *to, json_t *out)
{
	if (json_is_object(from) && json_is_object(to)) {
		const char *key;
		json_t *value;
		json_object_foreach(from, key, value)
		{
			if (str_starts(key, "x-")) {
				continue; /* where files lie on this machine, or what is no key */
			}
			CLEANUP_FREE char *below = xasprintf("%s%s%s", path, *path ? "." : "", key);
			diff_values(d, below, value, json_object_get(to, key), out);
		}
		json_object_foreach(to, key, value)
		{
			if (!json_object_get(from, key) && !str_starts(key, "x-")) {
				CLEANUP_FREE char *below =
					xasprintf("%s%s%s", path, *path ? "." : "", key);
				diff_values(d, below, NULL, value, out);
			}
		}
	} else if (!from || !to || !json_equal(from, to)) {
		CLEANUP_FREE char *before = value_text(from);
		CLEANUP_FREE char *after = value_text(to);
		ui_print(d->ui, "  %s: %s -> %s", path, before, after);
		json_array_append_new(
			out, json_pack("{s:s, s:O?, s:O?}", "key", path, "from", from, "to", to));
	}
}

void releases_diff_config(struct deployment *d, json_t *from, json_t *to, json_t *out)
{
	diff_values(d, "", from, to, out);
}

static void diff_secrets(
	struct deployment *d, const struct release *from, const struct release *to, json_t *out)
{
	VEC_FOREACH (&to->env_digests, i) {
		const char *name = to->env_digests.p[i].key;
		const char *before = strmap_get(&from->env_digests, name);
		if (!before || !str_eq(before, to->env_digests.p[i].value)) {
			ui_print(d->ui, "  secret %s: %s", name, before ? "changed" : "new");
			json_array_append_new(out, json_string(name));
		}
	}
	VEC_FOREACH (&from->env_digests, i) {
		const char *name = from->env_digests.p[i].key;
		if (!strmap_get(&to->env_digests, name)) {
			ui_print(d->ui, "  secret %s: gone", name);
			json_array_append_new(out, json_string(name));
		}
	}
}

static void diff_commits(
	struct deployment *d, const struct release *from, const struct release *to, json_t *out)
{
	struct source_commits commits = {0};
	struct error why = {0};
	bool more = false;
	if (!d->source) {
		d->source = source_open(d->config->root, &why);
	}
	if (!d->source || !from->commit || !to->commit ||
		source_log(d->source, from->commit, to->commit, DIFF_MAX_COMMITS, &commits, &more,
			&why) < 0) {
		ui_print(d->ui, "  the commits between %s and %s are not known here", from->version,
			to->version);
		return;
	}
	VEC_FOREACH (&commits, i) {
		const struct source_commit *c = &commits.p[i];
		ui_print(d->ui, "  %s %s (%s)", c->version, c->subject, c->author);
		json_array_append_new(out, json_pack("{s:s, s:s, s:s}", "commit", c->id, "subject",
						   c->subject, "author", c->author));
	}
	if (more) {
		ui_print(d->ui, "  ... and more");
	}
	vec_fini(&commits);
}

int operation_releases_diff(
	struct deployment *d, long from_number, long to_number, struct error *err)
{
	if (deployment_look(d, err) < 0) {
		return -1;
	}
	const struct release *from = find(d, from_number, err);
	const struct release *to = from ? find(d, to_number, err) : NULL;
	if (!to) {
		return -1;
	}
	json_t *commits = json_array(), *config = json_array(), *secrets = json_array();
	ui_print(d->ui, "commits from release %ld (%s) to %ld (%s)", from->number, from->version,
		to->number, to->version);
	diff_commits(d, from, to, commits);
	ui_print(d->ui, "configuration");
	releases_diff_config(d, from->config, to->config, config);
	diff_secrets(d, from, to, secrets);
	ui_json(d->ui, json_pack("{s:s, s:I, s:I, s:o, s:o, s:o}", "result", "diff", "from",
			       (json_int_t)from_number, "to", (json_int_t)to_number, "commits",
			       commits, "config", config, "secrets", secrets));
	return 0;
}
