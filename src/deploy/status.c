/* SPDX-License-Identifier: MIT */
/* status: one screen that says what is live where, how it does, and what is not as it should be. */
#include "accessory.h"
#include "backup_schedule.h"
#include "certificates.h"
#include "cron.h"
#include "deploy/operations.h"
#include "disk.h"
#include "run.h"
#include "state.h"

#include "util/clock.h"
#include "util/json.h"

#include <stdlib.h>
#include <string.h>

#define SAMPLE_MS 400 /* between two samples of CPU time */

struct host_status {
	struct docker_stats *before, *after; /* by container of the observation */
	bool *sampled;
	long disk_percent; /* used where Docker keeps its data; -1: not known */
	char disk_free[16];
	struct backup_health *backups; /* by accessory of the deployment */
	struct error *backups_failed;  /* the same: it could not be read */
	json_t *certificates;          /* served there, as --json tells them */
};

struct status {
	struct host_status *hosts; /* by target */
};

/* One sample of every live container, pipelined. */
static void sample(struct deployment *d, struct target *t, struct docker_stats *out, bool *sampled)
{
	size_t n = t->seen.containers.len;
	struct docker_lookup *items = xcalloc(n + 1, sizeof(*items));
	size_t *where = xcalloc(n + 1, sizeof(*where));
	size_t count = 0;
	for (size_t i = 0; i < n; i++) {
		const struct docker_container_entry *c = &t->seen.containers.p[i];
		if (container_is_live(d, t, c) && str_eq(c->state, "running")) {
			items[count] = (struct docker_lookup){
				.kind = DOCKER_LOOKUP_STATS, .name = c->id, .out = &out[i]};
			where[count++] = i;
		}
	}
	struct error ignored = {0};
	bool asked = count > 0 && docker_lookup(t->host->docker, items, count, &ignored) == 0;
	for (size_t i = 0; i < count; i++) {
		sampled[where[i]] = asked && items[i].found;
	}
	free(items);
	free(where);
}

static void read_disk(struct target *t, struct host_status *s)
{
	struct disk_space space;
	s->disk_percent = -1;
	if (disk_space(t->host, &space) == 0) {
		s->disk_percent = space.percent;
		ui_bytes(space.free, s->disk_free);
	}
}

static void look_at_backups(struct deployment *d, struct target *t, struct host_status *h)
{
	h->backups = xcalloc(d->accessories.len + 1, sizeof(*h->backups));
	h->backups_failed = xcalloc(d->accessories.len + 1, sizeof(*h->backups_failed));
	VEC_FOREACH (&d->accessories, i) {
		const struct config_accessory *a = d->accessories.p[i];
		if (a->backup.enabled && target_has_accessory(t, a)) {
			(void)!backup_health_read(d, t, a, &h->backups[i], &h->backups_failed[i]);
		}
	}
}

static void add_certificate(void *ctx, const struct certificate_finding *f)
{
	bool bad = f->error || f->state != CERTIFICATE_GOOD;
	json_t *j = json_pack("{s:s, s:s?, s:s?}", "host", f->server, "name", f->host, "trouble",
		bad ? f->text : NULL);
	if (f->certificate) {
		char when[CLOCK_RFC3339_SIZE];
		json_object_set_new(j, "issuer", json_string(f->certificate->issuer));
		json_object_set_new(j, "serial", json_string(f->certificate->serial));
		json_object_set_new(
			j, "expires", json_string(clock_rfc3339(f->certificate->ends_ms, when)));
		json_object_set_new(j, "days_left",
			json_integer(certificate_days(f->certificate, clock_wall_ms())));
	}
	json_array_append_new(ctx, j);
}

static int measure(struct deployment *d, struct target *t, void *ctx, struct error *err)
{
	struct status *s = ctx;
	struct host_status *h = &s->hosts[t - d->targets];
	size_t n = t->seen.containers.len + 1;
	(void)err;
	h->before = xcalloc(n, sizeof(*h->before));
	h->after = xcalloc(n, sizeof(*h->after));
	h->sampled = xcalloc(n, sizeof(*h->sampled));
	h->certificates = json_array();
	look_at_backups(d, t, h);
	certificates_served(d, t, add_certificate, h->certificates);
	if (t->selected) {
		sample(d, t, h->before, h->sampled);
		int64_t begun = clock_mono_ms();
		read_disk(t, h);
		int64_t rest = SAMPLE_MS - (clock_mono_ms() - begun);
		clock_sleep_ms(rest > 0 ? (int)rest : 0);
		sample(d, t, h->after, h->sampled);
	}
	return 0;
}

static const char *health_name(const struct docker_container_entry *c)
{
	static const char *const names[] = {[DOCKER_HEALTH_NONE] = "",
		[DOCKER_HEALTH_STARTING] = "starting",
		[DOCKER_HEALTHY] = "healthy",
		[DOCKER_UNHEALTHY] = "unhealthy"};
	return names[c->health];
}

static void add_container(struct deployment *d, const struct target *t, const struct host_status *h,
	size_t i, struct ui_table *table, json_t *list)
{
	const struct docker_container_entry *c = &t->seen.containers.p[i];
	double cpu = h->sampled[i] ? docker_stats_cpu(&h->before[i], &h->after[i]) : -1;
	int64_t memory = h->sampled[i] ? h->after[i].memory : -1;
	char size[16] = "";
	CLEANUP_FREE char *percent = cpu >= 0 ? xasprintf("%.1f%%", cpu) : xstrdup("");
	const char *routed = !container_is_proxied(d, c)         ? ""
			     : observed_route(&t->seen, c->name) ? "yes"
								 : "NO";
	if (memory >= 0) {
		ui_bytes((uint64_t)memory, size);
	}
	ui_table_row(table, (const char *[]){t->host->name, container_label(c, LABEL_ROLE), c->name,
				    c->status, health_name(c), routed, percent, size});
	json_t *j = json_pack("{s:s, s:s, s:s, s:s, s:s, s:b}", "name", c->name, "role",
		container_label(c, LABEL_ROLE), "status", c->status, "state", c->state, "health",
		health_name(c), "routed", observed_route(&t->seen, c->name));
	if (cpu >= 0) {
		json_object_set_new(j, "cpu_percent", json_real(cpu));
		json_object_set_new(j, "memory_bytes", json_integer(memory));
	}
	json_array_append_new(list, j);
}

static json_t *host_json(const struct target *t, const struct host_status *h, json_t *containers)
{
	return json_pack("{s:s, s:s, s:s, s:b, s:I, s:o}", "host", t->host->name, "docker",
		t->host->info.server_version ? t->host->info.server_version : "?", "arch",
		t->host->info.architecture ? t->host->info.architecture : "?", "proxy_running",
		target_proxy_runs(t), "disk_percent", (json_int_t)h->disk_percent, "containers",
		containers);
}

static void show_host(struct deployment *d, const struct target *t, const struct host_status *h)
{
	const char *proxy =
		!t->seen.proxy         ? "no proxied role"
		: !t->seen.proxy_there ? "proxy MISSING"
		: t->seen.proxy_container.running
			? proxy_live(t->seen.proxy)->maintenance ? "in MAINTENANCE" : "proxy runs"
			: "proxy STOPPED";
	CLEANUP_FREE char *disk =
		h->disk_percent < 0
			? xstrdup("disk ?")
			: xasprintf("disk %ld%% used, %s free%s", h->disk_percent, h->disk_free,
				  h->disk_percent >= DISK_WARN_PERCENT ? " (NEARLY FULL)" : "");
	ui_print(d->ui, "%s: %s %s, %s, %s", t->host->name,
		t->host->info.podman ? "podman" : "Docker",
		t->host->info.server_version ? t->host->info.server_version : "?", proxy, disk);
}

static json_t *show_drift(struct deployment *d, struct error *err)
{
	struct plan_hosts hosts = {0};
	struct plan plan;
	json_t *drift = NULL;
	if (state_drift(d, &plan, &hosts, err) == 0) {
		CLEANUP_STR struct str text = STR_INIT(STR_MAX_FILE);
		plan_text(&plan, &hosts, &text);
		if (text.len > 0) {
			ui_print(d->ui, "drift (the next push mends it):\n%s", str_c(&text));
		}
		drift = plan_json(&plan, &hosts);
		json_object_set_new(drift, "nothing", json_boolean(plan.steps.len == 0));
	}
	plan_fini(&plan);
	plan_hosts_fini(&hosts);
	return drift;
}

static void show_live(struct deployment *d)
{
	const struct release *live = deployment_live(d);
	const struct release *last = d->history.len ? &d->history.p[d->history.len - 1] : NULL;
	CLEANUP_FREE char *key = names_service_key(d->config);
	if (!live) {
		ui_print(d->ui, "%s: no release is live", key);
	} else {
		char when[CLOCK_RFC3339_SIZE];
		ui_print(d->ui, "%s: release %ld, version %s%s%s, since %.16sZ, by %s", key,
			live->number, live->version, live->subject ? ", " : "",
			live->subject ? live->subject : "", clock_rfc3339(live->finished_ms, when),
			live->performer);
	}
	if (last && last != live) {
		ui_print(d->ui, "last: release %ld, version %s: %s%s%s", last->number,
			last->version, release_outcome_name(last->outcome), last->error ? ": " : "",
			last->error ? last->error : "");
	}
}

static const char *accessory_health(const struct docker_container_entry *c)
{
	return c ? health_name(c) : "";
}

static void add_accessory(struct deployment *d, const struct target *t,
	const struct config_accessory *a, struct ui_table *table, json_t *list)
{
	const struct docker_container_entry *c = NULL;
	static const char *const states[] = {[ACCESSORY_MISSING] = "MISSING",
		[ACCESSORY_STOPPED] = "STOPPED",
		[ACCESSORY_RUNNING] = "running",
		[ACCESSORY_UNSETTLED] = "INTERRUPTED"};
	enum accessory_state state = accessory_look(t, a, &c);
	bool runs = state == ACCESSORY_RUNNING;
	(void)d;
	ui_table_row(
		table, (const char *[]){t->host->name, a->name, a->container,
			       runs ? c->status : states[state], accessory_health(c), "", "", ""});
	json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s}", "accessory", a->name,
					    "host", t->host->name, "name", a->container, "state",
					    states[state], "status", c ? c->status : ""));
}

static json_t *add_accessories(struct deployment *d, struct ui_table *table)
{
	json_t *list = json_array();
	for (size_t i = 0; i < d->n; i++) {
		VEC_FOREACH (&d->accessories, j) {
			if (target_has_accessory(&d->targets[i], d->accessories.p[j])) {
				add_accessory(d, &d->targets[i], d->accessories.p[j], table, list);
			}
		}
	}
	return list;
}

static void show_job(struct deployment *d, const struct target *t, const struct str *runs,
	const struct docker_container_entry *c, struct ui_table *table, json_t *list)
{
	const char *schedule = container_label(c, LABEL_CRON);
	const char *command = container_label(c, LABEL_CRON_COMMAND);
	bool runs_now = str_eq(c->state, "running");
	bool scheduled = strvec_has(&t->seen.schedule, c->name);
	struct cron_run last = {0};
	bool ran = cron_last(runs, container_label(c, LABEL_CRON_ID), &last);
	char took[CLOCK_RFC3339_SIZE] = "";
	CLEANUP_FREE char *exit_code = !ran                 ? xstrdup("")
				       : last.exit_code < 0 ? xstrdup("?")
							    : xasprintf("%d", last.exit_code);
	if (ran) {
		clock_duration(
			clock_parse_rfc3339(last.ended) - clock_parse_rfc3339(last.started), took);
	}
	ui_table_row(table, (const char *[]){t->host->name, schedule, command,
				    !scheduled ? "NOT SCHEDULED"
				    : runs_now ? "runs now"
				    : ran      ? last.started
					       : "has not run yet",
				    exit_code, took});
	json_t *j = json_pack("{s:s, s:s, s:s, s:s, s:b, s:b}", "host", t->host->name, "container",
		c->name, "schedule", schedule, "command", command, "scheduled", scheduled,
		"running", runs_now);
	if (ran) {
		json_object_set_new(j, "started", json_string(last.started));
		json_object_set_new(j, "ended", json_string(last.ended));
		json_object_set_new(j, "exit", json_integer(last.exit_code));
	}
	json_array_append_new(list, j);
}

/* The jobs of cron, and how each ended the last time. */
static json_t *show_jobs(struct deployment *d)
{
	static const char *const headings[] = {"HOST", "TIMES", "JOB", "LAST RUN", "EXIT", "TOOK"};
	struct ui_table *table = ui_table_new(6, headings);
	json_t *list = json_array();
	for (size_t i = 0; i < d->n; i++) {
		struct target *t = &d->targets[i];
		CLEANUP_STR struct str runs = STR_INIT((size_t)1 << 20);
		struct error failed = {0};
		if (t->selected && t->seen.cron_installed && cron_read(d, t, &runs, &failed) < 0) {
			ui_warn(d->ui, t->host->name, "%s", failed.text);
		}
		VEC_FOREACH (&t->seen.containers, j) {
			const struct docker_container_entry *c = &t->seen.containers.p[j];
			if (t->selected && cron_is_job(c) && container_is_chosen(d, c) &&
				container_is_live(d, t, c)) {
				show_job(d, t, &runs, c, table, list);
			}
		}
	}
	if (json_array_size(list) > 0) {
		ui_table_print(d->ui, table);
	}
	ui_table_free(table);
	return list;
}

static json_t *backup_json(const struct target *t, const struct config_accessory *a,
	const struct backup_health *h, const char *trouble)
{
	char when[CLOCK_RFC3339_SIZE];
	json_t *j = json_pack("{s:s, s:s, s:s?, s:s?}", "host", t->host->name, "accessory", a->name,
		"schedule", a->backup.schedule, "trouble", trouble);
	if (h->any) {
		json_object_set_new(j, "id", json_string(h->newest.id));
		json_object_set_new(j, "time", json_string(clock_rfc3339(h->newest.time_ms, when)));
		json_object_set_new(j, "size", json_integer((json_int_t)h->newest.size));
	}
	if (h->ran) {
		json_object_set_new(j, "last_run", json_string(h->last.started));
		json_object_set_new(j, "last_exit", json_integer(h->last.exit_code));
	}
	return j;
}

static void show_backup(const struct target *t, const struct config_accessory *a,
	const struct backup_health *h, const struct error *failed, struct ui_table *table,
	json_t *list)
{
	char old[CLOCK_RFC3339_SIZE] = "", size[16] = "";
	const char *trouble = failed->kind != ERROR_NONE ? failed->text : h->trouble;
	CLEANUP_FREE char *code = h->ran ? xasprintf("%d", h->last.exit_code) : xstrdup("");
	if (h->any) {
		clock_duration(clock_wall_ms() - h->newest.time_ms, old);
		ui_bytes(h->newest.size, size);
	}
	ui_table_row(table, (const char *[]){t->host->name, a->name, h->any ? h->newest.id : "none",
				    old, size, a->backup.schedule ? a->backup.schedule : "by hand",
				    h->ran ? h->last.started : "", code, trouble ? trouble : ""});
	json_array_append_new(list, backup_json(t, a, h, trouble));
}

/* The newest backup of each accessory, and how the last one that cron made ended. */
static json_t *show_backups(struct deployment *d, const struct status *s)
{
	static const char *const headings[] = {"HOST", "ACCESSORY", "LAST GOOD BACKUP", "AGE",
		"SIZE", "TIMES", "LAST RUN", "EXIT", "TROUBLE"};
	struct ui_table *table = ui_table_new(9, headings);
	json_t *list = json_array();
	for (size_t i = 0; i < d->n; i++) {
		VEC_FOREACH (&d->accessories, j) {
			const struct config_accessory *a = d->accessories.p[j];
			if (a->backup.enabled && target_has_accessory(&d->targets[i], a)) {
				show_backup(&d->targets[i], a, &s->hosts[i].backups[j],
					&s->hosts[i].backups_failed[j], table, list);
			}
		}
	}
	if (json_array_size(list) > 0) {
		ui_table_print(d->ui, table);
	}
	ui_table_free(table);
	return list;
}

/* What the proxies serve, and how long it is still good. */
static json_t *show_certificates(struct deployment *d, const struct status *s)
{
	static const char *const headings[] = {
		"HOST", "CERTIFICATE", "ISSUER", "DAYS LEFT", "EXPIRES", "TROUBLE"};
	struct ui_table *table = ui_table_new(6, headings);
	json_t *list = json_array();
	ui_table_right(table, 3);
	for (size_t i = 0; i < d->n; i++) {
		size_t at;
		json_t *j;
		json_array_foreach(s->hosts[i].certificates, at, j)
		{
			CLEANUP_FREE char *days =
				json_at(j, "days_left")
					? xasprintf("%ld", (long)json_int_at(j, "days_left", 0))
					: xstrdup("");
			CLEANUP_FREE char *expires =
				xasprintf("%.10s", json_str_at(j, "expires", ""));
			ui_table_row(table, (const char *[]){json_str_at(j, "host", ""),
						    json_str_at(j, "name", "any name"),
						    json_str_at(j, "issuer", ""), days, expires,
						    json_str_at(j, "trouble", "")});
			json_array_append(list, j);
		}
	}
	if (json_array_size(list) > 0) {
		ui_table_print(d->ui, table);
	}
	ui_table_free(table);
	return list;
}

static void show_all(struct deployment *d, const struct status *s, json_t *drift)
{
	static const char *const headings[] = {
		"HOST", "ROLE", "CONTAINER", "STATUS", "HEALTH", "ROUTED", "CPU", "MEMORY"};
	struct ui_table *table = ui_table_new(8, headings);
	const struct release *live = deployment_live(d);
	json_t *hosts = json_array();
	ui_table_right(table, 6);
	ui_table_right(table, 7);
	for (size_t i = 0; i < d->n; i++) {
		const struct target *t = &d->targets[i];
		json_t *containers = json_array();
		for (size_t j = 0; t->selected && j < t->seen.containers.len; j++) {
			if (container_is_chosen(d, &t->seen.containers.p[j]) &&
				!cron_is_job(&t->seen.containers.p[j]) &&
				container_is_live(d, t, &t->seen.containers.p[j])) {
				add_container(d, t, &s->hosts[i], j, table, containers);
			}
		}
		if (t->selected) {
			show_host(d, t, &s->hosts[i]);
			json_array_append_new(hosts, host_json(t, &s->hosts[i], containers));
		} else {
			json_decref(containers);
		}
	}
	json_t *accessories = add_accessories(d, table);
	ui_table_print(d->ui, table);
	ui_table_free(table);
	json_t *jobs = show_jobs(d);
	json_t *backups = show_backups(d, s);
	json_t *certificates = show_certificates(d, s);
	json_t *release = live ? release_to_json(live) : json_null();
	if (live) {
		json_object_del(release, "config");
	}
	ui_json(d->ui, json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "result",
			       "status", "service", d->config->service, "live", release, "hosts",
			       hosts, "accessories", accessories, "jobs", jobs, "backups", backups,
			       "certificates", certificates, "drift", drift));
}

/* What is in a bucket cannot be told without its keys. */
static int load_bucket_keys(struct deployment *d, struct error *err)
{
	VEC_FOREACH (&d->accessories, i) {
		if (d->accessories.p[i]->backup.place == CONFIG_BACKUP_S3) {
			return deployment_load_backup_secrets(d, err);
		}
	}
	return 0;
}

int operation_status(struct deployment *d, struct error *err)
{
	struct status s = {0};
	deployment_add_accessories(d);
	if (load_bucket_keys(d, err) < 0 || deployment_look(d, err) < 0) {
		return -1;
	}
	deployment_tell_left(d);
	s.hosts = xcalloc(d->n, sizeof(*s.hosts));
	int result = deployment_each(d, measure, &s, err);
	if (result == 0) {
		show_live(d);
		json_t *drift = show_drift(d, err);
		result = drift ? 0 : -1;
		if (drift) {
			show_all(d, &s, drift);
		}
	}
	for (size_t i = 0; i < d->n; i++) {
		free(s.hosts[i].before);
		free(s.hosts[i].after);
		free(s.hosts[i].sampled);
		for (size_t j = 0; s.hosts[i].backups && j < d->accessories.len; j++) {
			backup_health_fini(&s.hosts[i].backups[j]);
		}
		free(s.hosts[i].backups);
		free(s.hosts[i].backups_failed);
		json_decref(s.hosts[i].certificates);
	}
	free(s.hosts);
	return result;
}
