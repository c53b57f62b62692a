/* SPDX-License-Identifier: MIT */
/*
 * Plans as data.  Each folder beside this file is a case: `deploy.yml` (or the shared one here),
 * `state.json` (what is asked, the history, what was seen), `expected.txt` (the plan, or the
 *error). A new case is a new folder.  UPDATE=1 writes expected.txt; look at the diff before you
 *commit it.
 *
 * state.json:
 *	"version": "v2" | "rollback": "" or "3" | "mend": true |
 *	"undo": "rollback command", with "rollback" |
 *	"prune": true;  "force": true;  "roles": ["web"]
 *	"history": events as in releases.jsonl ("time" may be left out)
 *	"hosts": {"app1": {"containers":
 *[{"name","role","release","replica","running","image","release_id", "digest","kind","cron"}],
 *"images":
 *{"sha256:..": "tag"}, "routes": [..], "schedule": [..], "proxy": true,
 *...}}
 *	"edited", "differs" of a host: the proxy's configuration, by hand or from the manifest
 *	"accessories" of a host: {"db": "missing" | "stopped" | "drifted"}; others of it run
 *	"backups_differ": ["db"]: what cron does to back them up; "backups_left": ["old"]
 */
#include "deploy/plan.h"

#include "util/fs.h"
#include "util/json.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *text_of(const json_t *j, const char *key, const char *otherwise)
{
	return xstrdup(json_str_at(j, key, otherwise));
}

static void read_container(struct plan_host *h, const json_t *j)
{
	struct plan_container c = {
		.name = text_of(j, "name", "?"),
		.id = text_of(j, "name", "?"),
		.image_id = text_of(j, "image", "sha256:1"),
		.kind = text_of(j, "kind", "app"),
		.role = text_of(j, "role", "web"),
		.release_id = text_of(j, "release_id", ""),
		.digest = text_of(j, "digest", "same"),
		.cron = text_of(j, "cron", NULL),
		.release = (long)json_int_at(j, "release", 0),
		.replica = (int)json_int_at(j, "replica", 1),
		.running = json_bool_at(j, "running", 1),
	};
	vec_push(&h->containers, c);
}

/* Those of the manifest that run on the host; "accessories": {"db": "missing"}. */
static void read_accessories(const struct config *c, struct plan_host *h, const char *name,
	const json_t *states, const json_t *differ)
{
	VEC_FOREACH (&c->accessories, i) {
		const struct config_accessory *a = &c->accessories.p[i];
		const char *state = json_str_at(states, a->name, "running");
		struct plan_accessory seen = {.accessory = a,
			.missing = str_eq(state, "missing"),
			.running = !str_eq(state, "stopped") && !str_eq(state, "missing"),
			.drift = str_eq(state, "drifted") ? xstrdup("its settings changed") : NULL};
		for (size_t j = 0; j < json_array_size(differ); j++) {
			seen.schedule_differs =
				seen.schedule_differs ||
				str_eq(json_string_value(json_array_get(differ, j)), a->name);
		}
		VEC_FOREACH (&a->hosts, j) {
			if (str_eq(a->hosts.p[j].name, name)) {
				vec_push(&h->accessories, seen);
			}
		}
	}
}

static void read_networks(
	const struct config *config, const json_t *keys, struct config_network_ptrs *out)
{
	for (size_t i = 0; i < json_array_size(keys); i++) {
		VEC_FOREACH (&config->networks, j) {
			const struct config_network *n = &config->networks.p[j];
			if (str_eq(n->key, json_string_value(json_array_get(keys, i)))) {
				vec_push(out, n);
			}
		}
	}
}

static void read_host(
	const struct config *config, struct plan_hosts *hosts, const char *name, json_t *j)
{
	struct plan_host h = {
		.name = name,
		.selected = json_bool_at(j, "selected", 1),
		.proxy_running = json_bool_at(j, "proxy", 1),
		.routes_edited = json_bool_at(j, "edited", 0),
		.routes_differ = json_bool_at(j, "differs", 0),
		.routes_mix = json_bool_at(j, "mix", 1),
	};
	size_t i;
	json_t *item;
	const char *key;
	if (!json_bool_at(j, "network", 1)) {
		vec_push(&h.networks_missing, &config->networks.p[0]);
	}
	read_networks(config, json_object_get(j, "networks_missing"), &h.networks_missing);
	read_networks(config, json_object_get(j, "networks_differ"), &h.networks_differ);
	json_array_foreach(json_object_get(j, "containers"), i, item)
	{
		read_container(&h, item);
	}
	json_object_foreach(json_object_get(j, "images"), key, item)
	{
		struct plan_image image = {.id = xstrdup(key), .ours = true};
		strvec_push(&image.tags, json_string_value(item));
		vec_push(&h.images, image);
	}
	json_array_foreach(json_object_get(j, "routes"), i, item)
	{
		strvec_push(&h.routes, json_string_value(item));
	}
	h.routes_there = json_bool_at(j, "routed", h.routes.len > 0);
	json_array_foreach(json_object_get(j, "schedule"), i, item)
	{
		strvec_push(&h.schedule, json_string_value(item));
	}
	VEC_FOREACH (&config->roles, k) {
		strmap_set(&h.digests, config->roles.p[k].name, json_str_at(j, "digest", "same"));
	}
	read_accessories(config, &h, name, json_object_get(j, "accessories"),
		json_object_get(j, "backups_differ"));
	json_array_foreach(json_object_get(j, "backups_left"), i, item)
	{
		strvec_push(&h.backups_left, json_string_value(item));
	}
	vec_push(hosts, h);
}

static void read_history(struct history *h, json_t *events)
{
	CLEANUP_STR struct str lines = STR_INIT(STR_MAX_FILE);
	size_t i;
	json_t *item;
	json_array_foreach(events, i, item)
	{
		if (!json_object_get(item, "time")) {
			json_object_set_new(item, "time", json_string("2026-01-02T03:04:05.000Z"));
		}
		char *line = json_text(item);
		str_addf(&lines, "%s\n", line);
		free(line);
	}
	history_init(h);
	history_parse(h, str_c(&lines), lines.len);
}

static int make(const json_t *state, struct plan_request *req, struct plan *p, struct error *err)
{
	const char *back = json_str_at(state, "rollback", NULL);
	req->version = json_str_at(state, "version", "v9");
	req->force = json_bool_at(state, "force", 0);
	if (json_bool_at(state, "mend", 0)) {
		return plan_mend(req, p, err);
	}
	if (json_bool_at(state, "prune", 0)) {
		plan_prune(req, p);
		return 0;
	}
	if (back) {
		req->back_to =
			*back ? history_lookup(req->history, back)
			      : history_previous_good(req->history, history_live(req->history));
		if (!req->back_to) {
			return error_set(err, ERROR_USAGE, "nothing to go back to");
		}
		const struct release *live = history_live(req->history);
		req->left = live ? history_owner(req->history, live) : NULL;
		req->undo = json_str_at(state, "undo", NULL);
	}
	return plan_release(req, p, err);
}

static void plan_case(const char *dir, struct str *out)
{
	CLEANUP_STR struct str text = STR_INIT(STR_MAX_FILE);
	struct diagnostics diags = {0};
	struct error err = {0};
	struct plan_hosts hosts = {0};
	struct history history;
	struct plan plan;
	CLEANUP_FREE char *own = xasprintf("%s/deploy.yml", dir);
	CLEANUP_FREE char *shared = xasprintf("%s/../deploy.yml", dir);
	CLEANUP_FREE char *state_path = xasprintf("%s/state.json", dir);
	struct config_request creq = {.file = fs_exists(own) ? own : shared};
	struct config *config = config_load(&creq, &diags, &err);
	CLEANUP_JSON json_t *state = NULL;
	if (config && fs_read(state_path, &text, &err) == 0) {
		state = json_parse(text.p, text.len, state_path, &err);
	}
	if (!config || !state) {
		diagnostics_render(&diags, false, out);
		str_addf(out, "error: %s\n", err.text);
		return;
	}
	const char *name;
	json_t *item;
	json_object_foreach(json_object_get(state, "hosts"), name, item)
	{
		read_host(config, &hosts, name, item);
	}
	read_history(&history, json_object_get(state, "history"));
	CLEANUP_STRVEC struct strvec roles = {0};
	size_t i;
	json_array_foreach(json_object_get(state, "roles"), i, item)
	{
		strvec_push(&roles, json_string_value(item));
	}
	struct plan_request req = {
		.config = config, .history = &history, .hosts = &hosts, .roles = &roles};
	plan_init(&plan);
	if (make(state, &req, &plan, &err) < 0) {
		str_addf(out, "error: %s\n", err.text);
	} else {
		plan_text(&plan, &hosts, out);
	}
	plan_fini(&plan);
	history_fini(&history);
	plan_hosts_fini(&hosts);
	diagnostics_fini(&diags);
	config_free(config);
}

static int check_case(const char *root, const char *name, int number)
{
	CLEANUP_STR struct str got = STR_INIT(STR_MAX_FILE);
	CLEANUP_STR struct str want = STR_INIT(STR_MAX_FILE);
	CLEANUP_FREE char *dir = fs_join(root, name);
	CLEANUP_FREE char *expected = fs_join(dir, "expected.txt");
	struct error err = {0};
	plan_case(dir, &got);
	if (getenv("UPDATE") && fs_write_atomic(expected, str_c(&got), got.len, 0644, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
	}
	bool same = fs_read(expected, &want, &err) == 0 && str_eq(str_c(&got), str_c(&want));
	printf("%sok %d - plan %s\n", same ? "" : "not ", number, name);
	if (!same) {
		printf("# got:\n%s# wanted:\n%s", str_c(&got), str_c(&want));
	}
	return same;
}

int main(int argc, char **argv)
{
	const char *root = argc > 1 ? argv[1] : "tests/plan/deploy";
	struct dirent **names;
	int n = scandir(root, &names, NULL, alphasort);
	int number = 0, failed = 0;
	for (int i = 0; i < n; i++) {
		CLEANUP_FREE char *state = xasprintf("%s/%s/state.json", root, names[i]->d_name);
		if (fs_exists(state) && !check_case(root, names[i]->d_name, ++number)) {
			failed++;
		}
		free(names[i]);
	}
	if (n > 0) {
		free(names);
	}
	printf("1..%d\n", number);
	return failed > 0 || number == 0;
}
