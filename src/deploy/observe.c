/* SPDX-License-Identifier: MIT */
#include "internal.h"
#include "labels.h"

#include "backup_schedule.h"
#include "cron.h"

#include "util/clock.h"
#include "util/digest.h"
#include "util/thread.h"

#include <stdlib.h>
#include <string.h>

#define OBSERVE_TIMEOUT_MS 20000
#define KEY_MAX            ((size_t)128)

void observation_fini(struct observation *o)
{
	history_fini(&o->history);
	docker_container_list_fini(&o->containers);
	docker_image_list_fini(&o->images);
	free(o->networks);
	proxy_close(o->proxy);
	strvec_fini(&o->schedule);
	strvec_fini(&o->schedule_lines);
	strmap_fini(&o->backup_lines);
	docker_container_fini(&o->proxy_container);
	memset(o, 0, sizeof(*o));
}

const char *container_label(const struct docker_container_entry *c, const char *label)
{
	const char *value = strmap_get(&c->labels, label);
	return value ? value : "";
}

long container_release(const struct docker_container_entry *c)
{
	long number;
	return str_to_long(container_label(c, LABEL_RELEASE), 1, 1000000000, &number) == 0 ? number
											   : 0;
}

bool container_is_app(const struct docker_container_entry *c, const char *role)
{
	return str_eq(container_label(c, LABEL_KIND), "app") &&
	       (!role || str_eq(container_label(c, LABEL_ROLE), role));
}

bool container_is_live(
	const struct deployment *d, const struct target *t, const struct docker_container_entry *c)
{
	const char *host = t->address->name;
	long release = container_release(c);
	const struct release *own =
		history_find_id(&d->history, container_label(c, LABEL_RELEASE_ID));
	return release > 0 && container_is_app(c, NULL) &&
	       release == history_serving(&d->history, host, container_label(c, LABEL_ROLE)) &&
	       (!own || own == history_find_on(&d->history, release, host));
}

const struct release *deployment_live(const struct deployment *d)
{
	for (size_t i = d->history.len; i-- > 0;) {
		const struct release *r = &d->history.p[i];
		for (size_t j = 0; r->outcome == RELEASE_LIVE && j < d->n; j++) {
			const struct target *t = &d->targets[j];
			if (t->selected &&
				(r->hosts.len == 0 || strmap_get(&r->hosts, t->address->name))) {
				return r;
			}
		}
	}
	return NULL;
}

bool observed_route(const struct observation *seen, const char *container)
{
	return seen->proxy && strvec_has(&proxy_live(seen->proxy)->live, container);
}

/* The two halves of an observation run side by side: files on one channel, Docker on another. */
struct halves {
	struct deployment *d;
	struct target *t;
	bool lock;
	struct error error[2];
	int result[2];
};

static void take_history(struct observation *seen, const struct sftp_op *op)
{
	seen->history_there = op->status == SFTP_OK;
	if (seen->history_there) {
		seen->history_bytes = op->data.len;
		history_parse(&seen->history, op->data.p ? op->data.p : "", op->data.len);
	}
}

static void take_home(struct host *h, const struct sftp_op *op)
{
	if (!h->home && op->status == SFTP_OK) {
		h->home = xstrdup(str_c(&op->data));
		h->state_dir = xasprintf("%s/%s", h->home, HOST_STATE_DIR);
	}
}

/* What is read of files, queued so that it can share the round trips of the lock. */
struct file_look {
	struct sftp_batch *batch;
	struct sftp_op *home, *history, *key, *lock, *cron, *backups;
	struct proxy_opening *proxy;
};

static int queue_files(
	struct deployment *d, struct target *t, struct file_look *look, struct error *err)
{
	struct host *h = t->host;
	if (host_files(h, err) < 0) {
		return -1;
	}
	CLEANUP_FREE char *history_path = names_state_path(d->config, "releases.jsonl");
	CLEANUP_FREE char *audit_path = names_state_path(d->config, "audit.jsonl");
	CLEANUP_FREE char *key_path = names_state_path(d->config, "key");
	CLEANUP_FREE char *lock_path = names_state_path(d->config, "lock");
	CLEANUP_FREE char *cron_path = names_state_path(d->config, "cron-run");
	CLEANUP_FREE char *backups_path = names_state_path(d->config, BACKUP_SCHEDULE_SCRIPT);
	look->batch = sftp_batch_new(h->sftp);
	look->home = sftp_realpath(look->batch, ".");
	look->history = sftp_read(look->batch, history_path, HISTORY_MAX_BYTES);
	look->key = sftp_read(look->batch, key_path, KEY_MAX);
	sftp_hold(look->batch, history_path); /* for what this command may have to record */
	sftp_hold(look->batch, audit_path);
	look->lock = sftp_stat(look->batch, lock_path);
	look->cron = sftp_stat(look->batch, cron_path);
	look->backups = sftp_stat(look->batch, backups_path);
	if (target_proxied(d, t)) {
		struct proxy_config pc;
		proxy_config_init(&pc, d->config);
		look->proxy = proxy_open_begin(h, &pc, d->config->service, d->config->destination,
			&d->config->proxy.hosts, look->batch, err);
		return look->proxy ? 0 : -1;
	}
	return 0;
}

static int take_files(
	const struct deployment *d, struct target *t, struct file_look *look, struct error *err)
{
	struct observation *seen = &t->seen;
	if (look->history->status != SFTP_OK && look->history->status != SFTP_NOENT) {
		*err = look->history->error;
		return error_wrap(err, "read the release history");
	}
	take_home(t->host, look->home);
	if (!t->host->home) {
		*err = look->home->error;
		return error_wrap(err, "find the home folder");
	}
	take_history(seen, look->history);
	seen->lock_there = look->lock->status == SFTP_OK && t != &d->targets[d->lock_target];
	seen->cron_installed = look->cron->status == SFTP_OK;
	seen->backups_installed = look->backups->status == SFTP_OK;
	seen->key_there = look->key->status == SFTP_OK && look->key->data.len == 64;
	if (seen->key_there) {
		memcpy(seen->key, look->key->data.p, 64);
	} else {
		digest_random_hex(32, seen->key); /* written with the first record */
	}
	if (look->proxy) {
		seen->proxy = proxy_open_end(look->proxy, err);
		look->proxy = NULL;
		return seen->proxy ? 0 : -1;
	}
	return 0;
}

static void end_look(struct file_look *look)
{
	proxy_open_cancel(look->proxy);
	sftp_batch_free(look->batch);
	memset(look, 0, sizeof(*look));
}

static int observe_files(struct deployment *d, struct target *t, struct error *err)
{
	struct file_look look = {0};
	int result = queue_files(d, t, &look, err);
	if (result == 0) {
		result = sftp_run(look.batch, OBSERVE_TIMEOUT_MS, err);
	}
	if (result == 0) {
		result = take_files(d, t, &look, err);
	}
	end_look(&look);
	return result;
}

/*
 * The lock and the files in the same round trips.  The history was read before the lock was had:
 * when it has grown since, or somebody had to be waited for, it is read once more.
 */
static int lock_and_observe(struct deployment *d, struct target *t, struct error *err)
{
	struct file_look look = {0};
	uint64_t size = 0;
	CLEANUP_FREE char *dir = names_state_dir(d->config);
	CLEANUP_FREE char *history_path = names_state_path(d->config, "releases.jsonl");
	int result = queue_files(d, t, &look, err);
	if (result == 0) {
		struct lock_request req = {
			.host = t->host,
			.dir = dir,
			.performer = d->performer,
			.operator_host = d->operator_host,
			.command = d->command,
			.wait_s = d->lock_wait_s,
			.abandon = &d->lock_abandon,
			.beside = look.batch,
			.watch = history_path,
			.watch_size = &size,
		};
		d->lock = lock_acquire(&req, err);
		result = d->lock ? take_files(d, t, &look, err) : -1;
	}
	end_look(&look);
	if (result == 0 && size != t->seen.history_bytes) {
		history_fini(&t->seen.history);
		proxy_close(t->seen.proxy);
		t->seen.proxy = NULL;
		return observe_files(d, t, err);
	}
	return result;
}

static void take_networks(struct observation *seen, const struct docker_lookup *items,
	struct docker_network *found, size_t n)
{
	seen->networks = xcalloc(n, sizeof(*seen->networks));
	for (size_t i = 0; i < n; i++) {
		seen->networks[i].there = items[i].found;
		seen->networks[i].internal = found[i].internal;
		docker_network_fini(&found[i]);
	}
	free(found);
}

#define LOOKUPS 4 /* beside the networks */

static int observe_docker(struct deployment *d, struct target *t, struct error *err)
{
	const struct config *c = d->config;
	struct observation *seen = &t->seen;
	size_t networks = c->networks.len;
	struct docker_network *found = xcalloc(networks, sizeof(*found));
	struct docker_lookup *items = xcalloc(LOOKUPS + networks, sizeof(*items));
	CLEANUP_FILTERS struct label_filters filters;
	CLEANUP_FREE char *proxy_name =
		c->proxy.enabled ? proxy_container_name(c->proxy.driver) : xstrdup("-");
	label_filters_init(&filters, c);
	items[0] = (struct docker_lookup){.kind = DOCKER_LOOKUP_CONTAINERS,
		.filters = &filters.list,
		.out = &seen->containers};
	items[1] = (struct docker_lookup){.kind = DOCKER_LOOKUP_IMAGES, .out = &seen->images};
	items[2] = (struct docker_lookup){
		.kind = DOCKER_LOOKUP_CONTAINER, .name = proxy_name, .out = &seen->proxy_container};
	for (size_t i = 0; i < networks; i++) {
		items[3 + i] = (struct docker_lookup){.kind = DOCKER_LOOKUP_NETWORK,
			.name = c->networks.p[i].name,
			.out = &found[i]};
	}
	items[3 + networks] =
		(struct docker_lookup){.kind = DOCKER_LOOKUP_INFO, .out = &t->host->info};
	size_t n = LOOKUPS + networks - (t->host->info.architecture ? 1 : 0);
	int result = docker_lookup(t->host->docker, items, n, err);
	seen->proxy_there = items[2].found;
	take_networks(seen, items + 3, found, networks);
	free(items);
	return result;
}

static void observe_half(void *ctx, size_t i)
{
	struct halves *h = ctx;
	if (i == 2) {
		docker_warm(h->t->host->docker);
	} else if (i == 1) {
		h->result[i] = observe_docker(h->d, h->t, &h->error[i]);
	} else if (h->lock) {
		h->result[i] = lock_and_observe(h->d, h->t, &h->error[i]);
	} else {
		h->result[i] = observe_files(h->d, h->t, &h->error[i]);
	}
}

int observe_check_proxy(const struct deployment *d, const struct target *t, struct error *err)
{
	const char *root = strmap_get(&t->seen.proxy_container.labels, PROXY_LABEL_ROOT);
	if (!t->seen.proxy_there || !root || !t->host->state_dir) {
		return 0;
	}
	CLEANUP_FREE char *ours =
		xasprintf("%s/proxy/%s", t->host->state_dir, d->config->proxy.driver);
	if (str_eq(root, ours)) {
		return 0;
	}
	error_set(err, ERROR_REMOTE,
		"the proxy there belongs to another login: it reads '%s', and not '%s'", root,
		ours);
	return error_hint(err, "let all services of a server use the same ssh.user");
}

int observe(struct deployment *d, struct target *t, bool lock, struct error *err)
{
	struct halves h = {.d = d, .t = t, .lock = lock};
	observation_fini(&t->seen);
	/* What changes something asks Docker two things at once right afterwards. */
	pool_run(lock ? 3 : 2, 3, observe_half, &h);
	for (int i = 0; i < 2; i++) {
		if (h.result[i] < 0) {
			*err = h.error[i];
			return -1;
		}
	}
	return cron_look(d, t, err);
}

int observe_containers(struct deployment *d, struct target *t, struct error *err)
{
	CLEANUP_FILTERS struct label_filters filters;
	label_filters_init(&filters, d->config);
	docker_container_list_fini(&t->seen.containers);
	return docker_container_list(
		t->host->docker, true, &filters.list, &t->seen.containers, err);
}

/* Has this release containers behind the proxy that run, but without traffic? */
static bool waits_for_traffic(const struct deployment *d, const char *id)
{
	for (size_t i = 0; i < d->n; i++) {
		const struct observation *seen = &d->targets[i].seen;
		VEC_FOREACH (&seen->containers, j) {
			const struct docker_container_entry *c = &seen->containers.p[j];
			if (str_eq(container_label(c, LABEL_RELEASE_ID), id) &&
				container_is_proxied(d, c) && str_eq(c->state, "running") &&
				!observed_route(seen, c->name)) {
				return true;
			}
		}
	}
	return false;
}

/*
 * Containers are there of releases that no history knows (`all`), or that serve though it does not
 * know them: what can be known from these.  Returns how many were added.
 */
static size_t rebuild_from(struct deployment *d, const struct target *t, bool all)
{
	size_t before = d->history.len;
	VEC_FOREACH (&t->seen.containers, i) {
		const struct docker_container_entry *c = &t->seen.containers.p[i];
		const char *id = container_label(c, LABEL_RELEASE_ID);
		if (!container_is_app(c, NULL) || cron_is_job(c) || container_release(c) == 0 ||
			strlen(id) != RELEASE_ID_HEX) {
			continue;
		}
		bool routed = observed_route(&t->seen, c->name);
		const struct release *known = history_find_id(&d->history, id);
		if ((known && !routed) || (!all && (!routed || known))) {
			continue;
		}
		struct release r = {
			.number = container_release(c),
			.runs = container_release(c),
			.id = xstrdup(id),
			.outcome = routed ? RELEASE_LIVE : RELEASE_INTERRUPTED,
			.command = xstrdup("push"),
			.version = xstrdup(container_label(c, LABEL_VERSION)),
			.commit = xstrdup(strmap_get(&c->labels, LABEL_COMMIT)),
			.subject = xstrdup(strmap_get(&c->labels, LABEL_SUBJECT)),
			.image = xstrdup(c->image),
			.image_id = xstrdup(c->image_id),
			.config_digest = xstrdup(container_label(c, LABEL_CONFIG_DIGEST)),
			.started_ms = c->created * 1000,
			.finished_ms = c->created * 1000,
			.requests = -1,
			.failed_requests = -1,
			.recovered = true,
		};
		/* A stopped container that once served is a retired one, good to go back to; a
		 * worker that runs is at work, unless its release waits for its traffic. */
		if (str_eq(c->state, "exited") ||
			(str_eq(c->state, "running") && !routed && !container_is_proxied(d, c) &&
				!waits_for_traffic(d, id))) {
			r.outcome = RELEASE_LIVE;
		}
		history_put(&d->history, &r);
		release_fini(&r);
	}
	return d->history.len - before;
}

/* The rebuilt releases do not say which one was gone back to; the proxies do. */
static void rebuild_live(struct deployment *d)
{
	const struct release *serves = NULL;
	for (size_t i = 0; i < d->n; i++) {
		const struct observation *seen = &d->targets[i].seen;
		VEC_FOREACH (&seen->containers, j) {
			if (observed_route(seen, seen->containers.p[j].name)) {
				serves = history_find_id(&d->history,
					container_label(&seen->containers.p[j], LABEL_RELEASE_ID));
			}
		}
	}
	const struct release *live = history_live(&d->history);
	if (!live || !serves || live->runs == serves->number) {
		return;
	}
	struct release r;
	release_copy(&r, serves);
	free(r.id);
	free(r.command);
	r.id = xcalloc(1, RELEASE_ID_HEX + 1);
	digest_random_hex(RELEASE_ID_HEX / 2, r.id);
	r.command = xstrdup("rollback");
	r.number = history_next_number(&d->history);
	r.runs = serves->number;
	r.replaced = live->number;
	r.started_ms = r.finished_ms = clock_wall_ms();
	history_put(&d->history, &r);
	release_fini(&r);
}

static bool any_containers(const struct deployment *d)
{
	for (size_t i = 0; i < d->n; i++) {
		VEC_FOREACH (&d->targets[i].seen.containers, j) {
			if (container_is_app(&d->targets[i].seen.containers.p[j], NULL)) {
				return true;
			}
		}
	}
	return false;
}

void observe_merge(struct deployment *d)
{
	history_fini(&d->history);
	for (size_t i = 0; i < d->n; i++) {
		struct target *t = &d->targets[i];
		history_merge(&d->history, &t->seen.history);
		if (t->seen.history.skipped_lines > 0) {
			ui_warn(d->ui, t->host->name,
				"%zu damaged line(s) in the release history were skipped",
				t->seen.history.skipped_lines);
		}
	}
	/* An empty or spoiled file (a power cut, a full disk) is none. */
	bool lost = d->history.len == 0 && any_containers(d);
	size_t rebuilt = 0;
	for (size_t i = 0; i < d->n; i++) {
		rebuilt += rebuild_from(d, &d->targets[i], lost);
	}
	if (lost) {
		rebuild_live(d);
		ui_warn(d->ui, NULL,
			"no server has a release history: rebuilt %zu release(s) from containers",
			d->history.len);
	} else if (rebuilt > 0) {
		ui_warn(d->ui, NULL,
			"the release history lacks %zu release(s) that serve: rebuilt from "
			"containers",
			rebuilt);
	}
}
