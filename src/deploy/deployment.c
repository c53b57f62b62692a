/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include "util/cancel.h"
#include "util/clock.h"
#include "util/fs.h"
#include "util/proc.h"
#include "util/thread.h"

#include <errno.h>
#include <fnmatch.h>
#include <poll.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define DEFAULT_PARALLEL 64
#define OLDEST_PODMAN    5

/* Ctrl-C ends within 2 s: what is undone by then is undone, the rest is mended by the next command.
 */
#define UNDO_MS 1700

static bool matches(const struct strvec *patterns, const char *name)
{
	if (!patterns || patterns->len == 0) {
		return true;
	}
	VEC_FOREACH (patterns, i) {
		if (fnmatch(patterns->p[i], name, 0) == 0) {
			return true;
		}
	}
	return false;
}

bool target_has_role(const struct target *t, const struct config_role *role)
{
	return config_role_is_on(role, t->address->name);
}

/* One at most: the manifest allows no more. */
static const struct config_role *proxied_role(const struct deployment *d, const struct target *t)
{
	VEC_FOREACH (&d->config->roles, i) {
		const struct config_role *role = &d->config->roles.p[i];
		if (role->proxied && (t->left || target_has_role(t, role))) {
			return role;
		}
	}
	return NULL;
}

bool target_proxied(const struct deployment *d, const struct target *t)
{
	return proxied_role(d, t) != NULL;
}

bool target_proxy_runs(const struct target *t)
{
	return t->seen.proxy_there && t->seen.proxy_container.running;
}

const struct config_proxy *target_proxy(const struct deployment *d, const struct target *t)
{
	const struct config_role *role = proxied_role(d, t);
	return role ? role->proxy : &d->config->proxy;
}

static int check_rootless(const struct deployment *d, const struct target *t, struct error *err)
{
	const struct docker_info *info = &t->host->info;
	for (size_t i = 0; info->rootless && i < d->config->roles.len; i++) {
		const struct config_role *role = &d->config->roles.p[i];
		enum config_health_kind kind = role->health.kind;
		if (!target_has_role(t, role) ||
			(kind != CONFIG_HEALTH_HTTP && kind != CONFIG_HEALTH_TCP)) {
			continue;
		}
		error_set(err, ERROR_REMOTE,
			"%s runs without root there: the addresses of its containers, which the "
			"health check of role '%s' goes to, cannot be reached from the server",
			info->podman ? "podman" : "Docker", role->name);
		return error_hint(err, "use root's daemon there, or `healthcheck: {cmd: ...}`");
	}
	return 0;
}

int target_check_engine(const struct deployment *d, const struct target *t, struct error *err)
{
	const struct docker_info *info = &t->host->info;
	long major = info->podman ? strtol(info->server_version, NULL, 10) : OLDEST_PODMAN;
	if (major < OLDEST_PODMAN) {
		return error_set(err, ERROR_REMOTE,
			"podman %s is too old: podman %d or newer is needed, or Docker",
			info->server_version, OLDEST_PODMAN);
	}
	return check_rootless(d, t, err);
}

bool deployment_has_role(const struct deployment *d, const struct config_role *role)
{
	return matches(&d->roles, role->name);
}

bool container_is_chosen(const struct deployment *d, const struct docker_container_entry *c)
{
	return matches(&d->roles, container_label(c, LABEL_ROLE));
}

bool container_is_proxied(const struct deployment *d, const struct docker_container_entry *c)
{
	VEC_FOREACH (&d->config->roles, i) {
		const struct config_role *role = &d->config->roles.p[i];
		if (str_eq(role->name, container_label(c, LABEL_ROLE))) {
			return role->proxied;
		}
	}
	return false;
}

static bool host_selected(const struct deployment_request *req, const char *name)
{
	if (!matches(req->hosts, name)) {
		return false;
	}
	VEC_FOREACH (&req->config->roles, i) {
		const struct config_role *role = &req->config->roles.p[i];
		if (matches(req->roles, role->name) && config_role_is_on(role, name)) {
			return true;
		}
	}
	return false;
}

/* A name, and no pattern, where hosts may be named that the manifest does not have any more. */
static bool may_have_left(const struct deployment_request *req, size_t i)
{
	return req->left_hosts && !strpbrk(req->hosts->p[i], "*?[");
}

/* A pattern that matches nothing is a mistake, and a dangerous one to overlook. */
static int check_filters(const struct deployment_request *req, const struct config_host_ptrs *hosts,
	struct error *err)
{
	for (size_t i = 0; req->hosts && i < req->hosts->len; i++) {
		bool used = false;
		VEC_FOREACH (hosts, j) {
			used = used || fnmatch(req->hosts->p[i], hosts->p[j]->name, 0) == 0;
		}
		if (!used && !may_have_left(req, i)) {
			return error_set(err, ERROR_USAGE, "--hosts: no host '%s' in '%s'",
				req->hosts->p[i], req->config->file);
		}
	}
	for (size_t i = 0; req->roles && i < req->roles->len; i++) {
		bool used = false;
		VEC_FOREACH (&req->config->roles, j) {
			used = used ||
			       fnmatch(req->roles->p[i], req->config->roles.p[j].name, 0) == 0;
		}
		if (!used) {
			return error_set(err, ERROR_USAGE, "--roles: no role '%s' in '%s'",
				req->roles->p[i], req->config->file);
		}
	}
	return 0;
}

static void add_left(struct deployment *d, const struct deployment_request *req,
	const struct config_host_ptrs *hosts)
{
	for (size_t i = 0; req->hosts && i < req->hosts->len; i++) {
		bool there = !may_have_left(req, i);
		VEC_FOREACH (hosts, j) {
			there = there || str_eq(req->hosts->p[i], hosts->p[j]->name);
		}
		if (!there) {
			struct config_host left = {.name = xstrdup(req->hosts->p[i])};
			vec_push(&d->left, left);
		}
	}
}

static int choose_targets(
	struct deployment *d, const struct deployment_request *req, struct error *err)
{
	struct config_host_ptrs hosts = {0};
	struct config_host_ptrs all = {0};
	config_all_hosts(d->config, &hosts);
	config_all_hosts(d->config, &all);
	config_accessory_hosts(d->config, &all);
	int result = check_filters(req, &all, err);
	const struct config_role *primary = d->config->primary_role;
	const char *lock_host = primary && primary->hosts.len ? primary->hosts.p[0].name : NULL;
	if (result == 0) {
		add_left(d, req, &all);
	}
	d->targets = xcalloc(all.len + d->left.len + 1, sizeof(*d->targets));
	d->lock_target = SIZE_MAX;
	VEC_FOREACH (&hosts, i) {
		bool selected = host_selected(req, hosts.p[i]->name);
		bool lock = str_eq(hosts.p[i]->name, lock_host);
		/* With a host that left, all are asked: it may be one of them under another name.
		 */
		if (result == 0 && (selected || lock || d->left.len > 0)) {
			d->lock_target = lock ? d->n : d->lock_target;
			d->targets[d->n++] =
				(struct target){.address = hosts.p[i], .selected = selected};
		}
	}
	VEC_FOREACH (&d->left, i) {
		d->targets[d->n++] =
			(struct target){.address = &d->left.p[i], .selected = true, .left = true};
	}
	vec_fini(&hosts);
	vec_fini(&all);
	if (result == 0 && d->lock_target == SIZE_MAX) {
		result = error_set(err, ERROR_MANIFEST, "'%s' names no server", d->config->file);
	}
	return result;
}

/* Who deploys: git's user.email, as colleagues know it; else the login name. */
static char *performer_name(void)
{
	CLEANUP_STR struct str out = STR_INIT(STR_MAX_LINE);
	struct error ignored = {0};
	struct proc_result result = {0};
	static const char *const argv[] = {"git", "config", "user.email", NULL};
	struct proc_request req = {.argv = argv, .timeout_ms = 2000};
	const char *given = getenv("DEPLOY_PERFORMER");
	if (given && *given) {
		return xstrdup(given);
	}
	if (proc_run(&req, &out, NULL, &result, &ignored) == 0 && result.status == 0 &&
		out.len > 1) {
		return xstrndup(out.p, strcspn(out.p, "\r\n"));
	}
	const struct passwd *pw = getpwuid(getuid());
	return xstrdup(pw ? pw->pw_name : "unknown");
}

struct ssh_fabric *deployment_fabric(struct deployment *d)
{
	pthread_mutex_lock(&d->fabric_lock);
	if (!d->fabric) {
		d->fabric = ssh_fabric_new(d->parallel);
	}
	struct ssh_fabric *fabric = d->fabric;
	pthread_mutex_unlock(&d->fabric_lock);
	return fabric;
}

void deployment_close_fabric(struct deployment *d)
{
	pthread_mutex_lock(&d->fabric_lock);
	ssh_fabric_free(d->fabric);
	d->fabric = NULL;
	pthread_mutex_unlock(&d->fabric_lock);
}

/* Waits for a cancellation, gives the undoing its time, then cuts the connections. */
static void *watch(void *arg)
{
	struct deployment *d = arg;
	struct pollfd fds[2] = {
		{.fd = d->watchdog_stop, .events = POLLIN}, {.fd = cancel_fd(), .events = POLLIN}};
	while (poll(fds, 2, -1) < 0 && errno == EINTR) {
	}
	if (fds[0].revents || poll(fds, 1, UNDO_MS) != 0) {
		return NULL;
	}
	pthread_mutex_lock(&d->fabric_lock);
	if (d->fabric) {
		ssh_fabric_abort(d->fabric, "interrupted");
	}
	pthread_mutex_unlock(&d->fabric_lock);
	return NULL;
}

static void stop_watch(struct deployment *d)
{
	uint64_t one = 1;
	if (d->watched && write(d->watchdog_stop, &one, sizeof(one)) == sizeof(one)) {
		pthread_join(d->watchdog, NULL);
	}
	close(d->watchdog_stop);
	pthread_mutex_destroy(&d->fabric_lock);
}

struct deployment *deployment_new(const struct deployment_request *req, struct error *err)
{
	struct deployment *d = xcalloc(1, sizeof(*d));
	char name[256] = "";
	d->config = req->config;
	d->ui = req->ui;
	d->command = xstrdup(req->command);
	d->begun_ms = clock_mono_ms();
	d->version = xstrdup(req->version);
	d->lock_wait_s = req->lock_wait_s;
	d->parallel = req->parallel > 0 ? req->parallel : DEFAULT_PARALLEL;
	if (d->config->ssh.max_parallel > 0 && d->config->ssh.max_parallel < d->parallel) {
		d->parallel = d->config->ssh.max_parallel;
	}
	if (req->roles) {
		strvec_copy(&d->roles, req->roles);
	}
	if (req->hosts) {
		strvec_copy(&d->hosts, req->hosts);
	}
	gethostname(name, sizeof(name) - 1);
	d->operator_host = xstrdup(name);
	d->performer = performer_name();
	history_init(&d->history);
	pthread_mutex_init(&d->fabric_lock, NULL);
	d->watchdog_stop = eventfd(0, EFD_CLOEXEC);
	d->watched = thread_start(&d->watchdog, watch, d) == 0;
	if (choose_targets(d, req, err) < 0) {
		deployment_free(d);
		return NULL;
	}
	return d;
}

static void disconnect(void *ctx, size_t i)
{
	struct deployment *d = ctx;
	observation_fini(&d->targets[i].seen);
	host_close(d->targets[i].host);
}

void deployment_free(struct deployment *d)
{
	if (!d) {
		return;
	}
	deployment_end(d);
	pool_run(d->n, (size_t)d->parallel, disconnect, d);
	deployment_close_fabric(d);
	stop_watch(d);
	source_close(d->source);
	history_fini(&d->history);
	secret_map_fini(&d->secrets);
	VEC_FOREACH (&d->ssh_keys, i) {
		secret_unref(d->ssh_keys.p[i]);
	}
	vec_fini(&d->ssh_keys);
	strvec_fini(&d->roles);
	strvec_fini(&d->hosts);
	vec_fini(&d->accessories);
	VEC_FOREACH (&d->left, i) {
		void *name = NULL;
		memcpy(&name, &d->left.p[i].name, sizeof(name)); /* ours here, though const */
		free(name);
	}
	vec_fini(&d->left);
	free(d->targets);
	free(d->command);
	free(d->version);
	free(d->performer);
	free(d->operator_host);
	free(d);
}

struct target *deployment_primary(struct deployment *d)
{
	for (size_t i = 0; i < d->n; i++) {
		if (d->targets[i].selected &&
			target_has_role(&d->targets[i], d->config->primary_role)) {
			return &d->targets[i];
		}
	}
	return NULL;
}

struct each {
	struct deployment *d;
	target_fn *fn;
	void *ctx;
};

static void run_one(void *ctx, size_t i)
{
	struct each *e = ctx;
	struct target *t = &e->d->targets[i];
	struct error err = {0};
	t->error = (struct error){0};
	if (e->fn(e->d, t, e->ctx, &err) < 0) {
		if (t->host) {
			(void)host_error(t->host, &err);
		} else {
			(void)error_host(&err, t->address->name);
		}
		t->error = err;
	}
}

/* The error that tells most: not of those that were only cancelled because another one failed. */
static const struct target *worst(const struct deployment *d)
{
	const struct target *found = NULL;
	for (size_t i = 0; i < d->n; i++) {
		const struct target *t = &d->targets[i];
		if (t->error.kind != ERROR_NONE &&
			(!found || (found->error.kind == ERROR_INTERRUPTED &&
					   t->error.kind != ERROR_INTERRUPTED))) {
			found = t;
		}
	}
	return found;
}

int deployment_each(struct deployment *d, target_fn *fn, void *ctx, struct error *err)
{
	struct each e = {.d = d, .fn = fn, .ctx = ctx};
	pool_run(d->n, (size_t)d->parallel, run_one, &e);
	const struct target *first = worst(d);
	if (!first) {
		return 0;
	}
	for (size_t i = 0; i < d->n; i++) {
		const struct target *t = &d->targets[i];
		if (!d->errors_kept && t != first && t->error.kind != ERROR_NONE &&
			t->error.kind != ERROR_INTERRUPTED) {
			ui_error(d->ui, &t->error);
		}
	}
	*err = first->error;
	return -1;
}

void deployment_each_best_effort(struct deployment *d, const char *what, target_fn *fn, void *ctx)
{
	struct each e = {.d = d, .fn = fn, .ctx = ctx};
	pool_run(d->n, (size_t)d->parallel, run_one, &e);
	for (size_t i = 0; i < d->n; i++) {
		if (d->targets[i].error.kind != ERROR_NONE) {
			const char *host = d->targets[i].address->name;
			const char *text = d->targets[i].error.text;
			CLEANUP_FREE char *prefix = xasprintf("host %s: ", host);
			ui_warn(d->ui, host, "%s: %s", what,
				text + (str_starts(text, prefix) ? strlen(prefix) : 0));
		}
	}
}
