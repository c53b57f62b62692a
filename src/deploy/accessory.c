/* SPDX-License-Identifier: MIT */
#include "accessory.h"

#include "deploy/container.h"
#include "deploy/health.h"
#include "deploy/record.h"
#include "service/bring.h"
#include "util/cancel.h"

#include <stdlib.h>
#include <string.h>

#define RUNNING_MS 2000 /* that it has to stay up when nothing else tells its health */
#define HURRY_S    1    /* to stop a new one in, after Ctrl-C */

static char *name_new(const struct config_accessory *a)
{
	return xasprintf("%s-new", a->container);
}

static char *name_old(const struct config_accessory *a)
{
	return xasprintf("%s-old", a->container);
}

static const struct docker_container_entry *find(
	const struct target *t, const struct config_accessory *a, const char *name)
{
	VEC_FOREACH (&t->seen.containers, i) {
		const struct docker_container_entry *c = &t->seen.containers.p[i];
		if (str_eq(c->name, name) && str_eq(container_label(c, LABEL_KIND), "accessory") &&
			str_eq(container_label(c, LABEL_ACCESSORY), a->name)) {
			return c;
		}
	}
	return NULL;
}

enum accessory_state accessory_look(const struct target *t, const struct config_accessory *a,
	const struct docker_container_entry **c)
{
	CLEANUP_FREE char *fresh = name_new(a);
	CLEANUP_FREE char *old = name_old(a);
	const struct docker_container_entry *main = find(t, a, a->container);
	if (c) {
		*c = main;
	}
	if (find(t, a, fresh) || find(t, a, old)) {
		return ACCESSORY_UNSETTLED;
	}
	if (!main) {
		return ACCESSORY_MISSING;
	}
	return str_eq(main->state, "running") || str_eq(main->state, "restarting")
		       ? ACCESSORY_RUNNING
		       : ACCESSORY_STOPPED;
}

/* Docker tells an image by its ID once its name belongs to another one. */
static bool is_id(const char *image)
{
	return str_starts(image, "sha256:") ||
	       (strlen(image) >= 12 && strspn(image, "0123456789abcdef") == strlen(image));
}

char *accessory_drift(struct deployment *d, const struct target *t,
	const struct config_accessory *a, const struct docker_container_entry *c)
{
	CLEANUP_FREE char *digest = accessory_digest(d, a);
	(void)t;
	if (!is_id(c->image) && !str_eq(c->image, a->image)) {
		return xasprintf("its image is %s, not %s", c->image, a->image);
	}
	if (a->env.secret.len > 0 && d->secrets_loaded < SECRETS_ALL) {
		return NULL; /* not known */
	}
	if (!str_eq(container_label(c, LABEL_CONFIG_DIGEST), digest)) {
		return xstrdup("its settings changed");
	}
	return NULL;
}

int accessory_begin(struct deployment *d, struct error *err)
{
	return record_key(d, err);
}

/* -- Health -- */

/* What tells that a database of this kind takes connections.  By TCP: while they set their data
 * up for the first time, these images run a server that is reached by its socket only. */
static const char *family_probe(const struct config_accessory *a)
{
	static const struct {
		const char *family, *cmd;
	} probes[] = {
		{"postgres", "pg_isready -q -h 127.0.0.1 -U \"${POSTGRES_USER:-postgres}\""},
		{"redis", "redis-cli ping | grep -Eq 'PONG|NOAUTH'"},
		{"mysql", "mysqladmin ping --silent -h 127.0.0.1"},
		{"mariadb", "mariadb-admin ping --silent -h 127.0.0.1 || "
			    "mysqladmin ping --silent -h 127.0.0.1"},
	};
	for (size_t i = 0; i < sizeof(probes) / sizeof(*probes); i++) {
		if (str_eq(probes[i].family, a->family)) {
			return probes[i].cmd;
		}
	}
	return NULL;
}

static bool has_docker_health(struct target *t, const char *container)
{
	struct docker_container c = {0};
	struct error ignored = {0};
	bool has = docker_container_inspect(t->host->docker, container, &c, &ignored) == 0 &&
		   c.health != DOCKER_HEALTH_NONE;
	docker_container_fini(&c);
	return has;
}

static int wait_by(struct target *t, const struct config_accessory *a, const char *container,
	const struct config_health *health, struct error *err)
{
	static const atomic_bool never;
	struct health_request req = {
		.host = t->host,
		.container = container,
		.network = a->network,
		.health = health,
		.deadline_ms = a->boot_timeout_ms,
		.readiness_delay_ms = RUNNING_MS,
		.abandon = &never,
	};
	return health_wait(&req, err);
}

int accessory_wait_family(struct target *t, const struct config_accessory *a, const char *container,
	struct error *err)
{
	const char *probe = family_probe(a);
	struct config_health health = {
		.kind = probe ? CONFIG_HEALTH_CMD : CONFIG_HEALTH_RUNNING,
		.cmd = probe,
		.interval_ms = 500,
		.timeout_ms = 5000,
	};
	if (!probe && has_docker_health(t, container)) {
		health.kind = CONFIG_HEALTH_DOCKER;
	}
	return wait_by(t, a, container, &health, err);
}

int accessory_wait(struct deployment *d, struct target *t, const struct config_accessory *a,
	const char *container, struct error *err)
{
	ui_step(d->ui, t->host->name, "waiting for %s to be healthy", a->container);
	if (a->has_health && wait_by(t, a, container, &a->health, err) < 0) {
		return -1;
	}
	/* A command may have asked the server that sets the data up. */
	bool done = a->has_health && (a->health.kind != CONFIG_HEALTH_CMD || !family_probe(a));
	return done ? 0 : accessory_wait_family(t, a, container, err);
}

/* -- Making one -- */

static int bring(struct deployment *d, struct target *t, const struct config_accessory *a,
	bool fresh, char **id, struct error *err)
{
	struct registry_auth auth = {0};
	struct host **others = xcalloc(d->n + 1, sizeof(*others));
	struct bring_request req = {
		.host = t->host, .image = a->image, .auth = &auth, .fresh = fresh};
	for (size_t i = 0; i < d->n; i++) {
		if (d->targets[i].host) {
			others[req.n_others++] = d->targets[i].host;
		}
	}
	req.others = others;
	int result = registry_auth_from_config(
		a->registry.enabled ? &a->registry : &d->config->registry, &d->secrets, &auth, err);
	if (result == 0) {
		result = bring_image(&req, id, err);
	}
	registry_auth_fini(&auth);
	free(others);
	return result;
}

static int ensure_networks(
	struct deployment *d, struct target *t, const struct config_accessory *a, struct error *err)
{
	VEC_FOREACH (&a->networks, i) {
		if (container_network(d, t, a->networks.p[i], err) < 0) {
			return -1;
		}
	}
	return 0;
}

/* Makes "<container>-new", not started. */
static int create(struct deployment *d, struct target *t, const struct config_accessory *a,
	const struct docker_container *old, struct error *err)
{
	CLEANUP_FREE char *name = name_new(a);
	CLEANUP_DOCKER_SPEC struct docker_container_spec spec = {0};
	if (ensure_networks(d, t, a, err) < 0 ||
		accessory_spec(d, t, a, name, old, &spec, err) < 0) {
		return -1;
	}
	return docker_container_create(t->host->docker, &spec, NULL, err);
}

/* Takes the new one away again, whatever became of it. */
static void undo_new(struct deployment *d, struct target *t, const struct config_accessory *a)
{
	CLEANUP_FREE char *name = name_new(a);
	struct error failed = {0};
	int grace_s = cancel_requested() ? HURRY_S : a->stop_timeout_ms / 1000;
	cancel_shield_begin();
	if (docker_container_stop(t->host->docker, name, grace_s, &failed) < 0) {
		failed = (struct error){0}; /* it may not have started */
	}
	if (docker_container_remove(t->host->docker, name, true, true, &failed) < 0) {
		ui_warn(d->ui, t->host->name, "%s", failed.text);
	}
	cancel_shield_end();
}

static int start_new(
	struct deployment *d, struct target *t, const struct config_accessory *a, struct error *err)
{
	CLEANUP_FREE char *name = name_new(a);
	ui_step(d->ui, t->host->name, "starting %s", a->container);
	if (docker_container_start(t->host->docker, name, err) < 0) {
		return -1;
	}
	return accessory_wait(d, t, a, name, err);
}

/* The new one is healthy: from here on it goes forward. */
static int commit_new(
	struct target *t, const struct config_accessory *a, bool has_old, struct error *err)
{
	struct docker *docker = t->host->docker;
	CLEANUP_FREE char *fresh = name_new(a);
	CLEANUP_FREE char *old = name_old(a);
	cancel_shield_begin();
	int result = container_keep_up(docker, fresh, err);
	if (result == 0 && has_old) {
		result = docker_container_rename(docker, a->container, old, err);
	}
	if (result == 0) {
		result = docker_container_rename(docker, fresh, a->container, err);
	}
	/* Its volumes stay: the new one has them. */
	if (result == 0 && has_old) {
		result = docker_container_remove(docker, old, true, false, err);
	}
	cancel_shield_end();
	return result;
}

static int name_is_free(struct target *t, const struct config_accessory *a, struct error *err)
{
	struct docker_container c = {0};
	struct error absent = {0};
	int result = 0;
	if (docker_container_inspect(t->host->docker, a->container, &c, &absent) == 0) {
		const char *owner = strmap_get(&c.labels, LABEL_SERVICE);
		const char *destination = strmap_get(&c.labels, LABEL_DESTINATION);
		error_set(err, ERROR_REMOTE,
			"there is a container '%s' already, and it is not this accessory%s%s%s%s",
			a->container, owner ? ": it belongs to " : "", owner ? owner : "",
			destination && *destination ? "@" : "", destination ? destination : "");
		result = error_hint(err, "'service:' of the accessory gives it another name; or "
					 "stop that one, and docker rename it");
	} else if (absent.status != 404) {
		*err = absent;
		result = -1;
	}
	docker_container_fini(&c);
	return result;
}

static void tell_unnamed_volumes(
	struct deployment *d, struct target *t, const struct config_accessory *a)
{
	struct docker_container c = {0};
	struct error ignored = {0};
	if (docker_container_inspect(t->host->docker, a->container, &c, &ignored) == 0) {
		VEC_FOREACH (&c.mounts, i) {
			const struct docker_mount *m = &c.mounts.p[i];
			if (m->type == DOCKER_MOUNT_VOLUME &&
				accessory_volume_is_unnamed(m->source)) {
				ui_warn(d->ui, t->host->name,
					"accessory '%s' keeps data in '%s', for which the manifest "
					"has no volume: it is lost from sight when the container "
					"is "
					"removed",
					a->name, m->target);
			}
		}
	}
	docker_container_fini(&c);
}

int accessory_boot(
	struct deployment *d, struct target *t, const struct config_accessory *a, struct error *err)
{
	CLEANUP_FREE char *id = NULL;
	ui_step(d->ui, t->host->name, "booting accessory %s", a->name);
	if (accessory_settle(d, t, a, err) < 0) {
		return -1;
	}
	if (accessory_look(t, a, NULL) != ACCESSORY_MISSING) {
		return 0; /* what was interrupted has come back */
	}
	if (name_is_free(t, a, err) < 0 || bring(d, t, a, false, &id, err) < 0 ||
		create(d, t, a, NULL, err) < 0) {
		return error_wrap(err, "boot accessory '%s'", a->name);
	}
	if (start_new(d, t, a, err) < 0) {
		undo_new(d, t, a);
		return error_wrap(err, "boot accessory '%s'", a->name);
	}
	if (commit_new(t, a, false, err) < 0) {
		return error_wrap(err, "boot accessory '%s'", a->name);
	}
	tell_unnamed_volumes(d, t, a);
	ui_done(d->ui, t->host->name, "accessory %s is healthy", a->name);
	return 0;
}

/* -- Exchanging one -- */

static const char *env_of(const struct strvec *env, const char *name)
{
	size_t n = strlen(name);
	VEC_FOREACH (env, i) {
		if (strncmp(env->p[i], name, n) == 0 && env->p[i][n] == '=') {
			return env->p[i] + n + 1;
		}
	}
	return NULL;
}

/* PostgreSQL does not read the data of another major version, and says so only when it is down. */
static int check_major(struct target *t, const struct config_accessory *a,
	const struct docker_container *old, struct error *err)
{
	struct docker_image image = {0};
	if (docker_image_inspect(t->host->docker, a->image, &image, err) < 0) {
		return -1;
	}
	const char *now = env_of(&old->env, "PG_MAJOR");
	const char *then = env_of(&image.env, "PG_MAJOR");
	int result = 0;
	if (now && then && !str_eq(now, then)) {
		error_set(err, ERROR_USAGE,
			"'%s' is PostgreSQL %s, which cannot read the data of PostgreSQL %s that "
			"accessory '%s' has",
			a->image, then, now, a->name);
		result = error_hint(err,
			"move the data by a dump: make a second accessory with new volumes, "
			"pg_dump from '%s', pg_restore into it",
			a->name);
	}
	docker_image_fini(&image);
	return result;
}

/* Back to the old one: it only has to be started. */
static int back_to_old(struct deployment *d, struct target *t, const struct config_accessory *a,
	bool ran, struct error *why)
{
	struct error failed = {0};
	undo_new(d, t, a);
	cancel_shield_begin();
	int result = !ran ? 0 : container_start(t->host->docker, a->container, &failed);
	if (result == 0 && ran) {
		result = container_keep_up(t->host->docker, a->container, &failed);
	}
	/* After Ctrl-C there is no time to watch it. */
	if (result == 0 && ran && why->kind != ERROR_INTERRUPTED) {
		result = accessory_wait(d, t, a, a->container, &failed);
	}
	cancel_shield_end();
	if (result < 0) {
		ui_warn(d->ui, t->host->name, "accessory '%s' does not come back either: %s",
			a->name, failed.text);
		return -1;
	}
	ui_info(d->ui, t->host->name, "accessory %s: the old container is back", a->name);
	return -1;
}

static int exchange(struct deployment *d, struct target *t, const struct config_accessory *a,
	const struct docker_container *old, struct error *err)
{
	if (create(d, t, a, old, err) < 0) {
		return -1;
	}
	ui_step(d->ui, t->host->name, "stopping %s", a->container);
	if (container_retire(t->host->docker, a->container, a->stop_timeout_ms / 1000, err) < 0 ||
		start_new(d, t, a, err) < 0) {
		return back_to_old(d, t, a, old->running, err);
	}
	return commit_new(t, a, true, err);
}

int accessory_replace(struct deployment *d, struct target *t, const struct config_accessory *a,
	bool fresh, bool *done, struct error *err)
{
	CLEANUP_FREE char *id = NULL;
	struct docker_container old = {0};
	const struct docker_container_entry *c = NULL;
	if (accessory_settle(d, t, a, err) < 0) {
		return -1;
	}
	if (accessory_look(t, a, &c) == ACCESSORY_MISSING) {
		return accessory_boot(d, t, a, err);
	}
	CLEANUP_FREE char *drift = accessory_drift(d, t, a, c);
	if (bring(d, t, a, fresh, &id, err) < 0) {
		return -1;
	}
	if (fresh && str_eq(id, c->image_id) && !drift) {
		if (done) {
			*done = false;
		}
		return 0;
	}
	int result = docker_container_inspect(t->host->docker, a->container, &old, err);
	if (result == 0) {
		result = check_major(t, a, &old, err);
	}
	if (result == 0) {
		result = exchange(d, t, a, &old, err);
	}
	docker_container_fini(&old);
	if (result == 0) {
		accessory_tidy_files(d, t, a);
	}
	return result;
}

/* -- After an interruption -- */

static int settle_old(struct target *t, const struct config_accessory *a, bool has_main,
	bool has_new, struct error *err)
{
	struct docker *docker = t->host->docker;
	CLEANUP_FREE char *fresh = name_new(a);
	CLEANUP_FREE char *old = name_old(a);
	if (has_main) {
		return docker_container_remove(docker, old, true, false, err);
	}
	if (has_new) {
		return docker_container_rename(docker, fresh, a->container, err) < 0
			       ? -1
			       : docker_container_remove(docker, old, true, false, err);
	}
	if (docker_container_rename(docker, old, a->container, err) < 0 ||
		container_start(docker, a->container, err) < 0) {
		return -1;
	}
	return container_keep_up(docker, a->container, err);
}

int accessory_settle(
	struct deployment *d, struct target *t, const struct config_accessory *a, struct error *err)
{
	const struct docker_container_entry *c = NULL;
	CLEANUP_FREE char *fresh = name_new(a);
	CLEANUP_FREE char *old = name_old(a);
	if (accessory_look(t, a, &c) != ACCESSORY_UNSETTLED) {
		return 0;
	}
	ui_warn(d->ui, t->host->name, "accessory '%s': ending what an interrupted run left",
		a->name);
	int result = 0;
	if (find(t, a, old)) {
		result = settle_old(t, a, c != NULL, find(t, a, fresh) != NULL, err);
	} else {
		undo_new(d, t, a);
		if (c && !str_eq(c->state, "running")) {
			result = container_start(t->host->docker, c->name, err);
			result =
				result == 0 ? container_keep_up(t->host->docker, c->name, err) : -1;
		}
	}
	if (result < 0) {
		return error_wrap(err, "accessory '%s'", a->name);
	}
	return observe_containers(d, t, err);
}
