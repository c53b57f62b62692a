/* SPDX-License-Identifier: MIT */
/* check: every reason why a push would fail, each with its mend, found without changing anything.
 */
#include "backup_schedule.h"
#include "builder.h"
#include "certificates.h"
#include "cron.h"
#include "deploy/operations.h"
#include "disk.h"
#include "internal.h"
#include "ports.h"
#include "state.h"

#include "ssh/exec.h"
#include "util/clock.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_TIMEOUT_MS 10000
#define CLOCK_SKEW_MS   30000 /* certificates and logs suffer beyond */
#define OLDEST_DOCKER   41    /* API of Docker 20.10 */

enum level { CHECK_OK, CHECK_WARN, CHECK_FAIL };
static const char *const level_names[] = {"ok", "warning", "FAIL"};
static const char *const level_words[] = {"ok", "warning", "fail"};

struct finding {
	enum level level;
	char *host, *what, *mend;
};

struct findings {
	pthread_mutex_t lock;
	VEC_TYPE(finding_vec, struct finding) list;
};

__attribute__((format(printf, 5, 6))) static void found(struct findings *f, enum level level,
	const char *host, const char *mend, const char *fmt, ...)
{
	struct str what = STR_INIT(STR_MAX_LINE);
	va_list ap;
	va_start(ap, fmt);
	str_vaddf(&what, fmt, ap);
	va_end(ap);
	struct finding one = {level, xstrdup(host), str_take(&what), xstrdup(mend)};
	pthread_mutex_lock(&f->lock);
	vec_push(&f->list, one);
	pthread_mutex_unlock(&f->lock);
}

static void found_error(struct findings *f, const char *host, const struct error *err)
{
	found(f, CHECK_FAIL, host, err->hint[0] ? err->hint : NULL, "%s%s%s", err->text,
		err->detail[0] ? "\n" : "", err->detail);
}

/* -- This machine -- */

static void check_builder(struct deployment *d, struct findings *f, const struct version *v)
{
	struct builder b = {0};
	struct error err = {0};
	struct docker_ping ping = {0};
	if (builder_open(&b, d, v, &err) < 0 ||
		docker_ping(b.host->docker, true, &ping, &err) < 0) {
		(void)error_hint(&err, "start Docker here, or build on a server (builder.remote)");
		found_error(f, NULL, &err);
	} else {
		found(f, CHECK_OK, NULL, NULL, "builder: %s", ping.server);
		if (d->config->registry.enabled &&
			registry_login(b.host->docker, &b.auth, &err) < 0) {
			found_error(f, NULL, &err);
		}
	}
	builder_fini(&b);
}

static void check_here(struct deployment *d, struct findings *f)
{
	struct version v = {0};
	struct error err = {0};
	if (version_resolve(d, &v, &err) < 0) {
		found_error(f, NULL, &err);
	} else {
		found(f, CHECK_OK, NULL, NULL, "version %s%s%s", v.version, v.subject ? ": " : "",
			v.subject ? v.subject : "");
		check_builder(d, f, &v);
	}
	version_fini(&v);
}

/* -- A server -- */

static void check_docker(struct deployment *d, struct target *t, struct findings *f)
{
	const struct docker_info *info = &t->host->info;
	const char *name = t->host->name;
	int api = docker_api(t->host->docker);
	if (api < OLDEST_DOCKER) {
		found(f, CHECK_FAIL, name, "install Docker 20.10 or newer",
			"Docker %s is too old (API 1.%d)", info->server_version, api);
	} else {
		found(f, CHECK_OK, name, NULL, "%s %s, %s, %s%s",
			info->podman ? "podman" : "Docker", info->server_version,
			info->architecture, info->driver,
			info->containerd_store ? " (containerd image store)" : "");
	}
	struct error err = {0};
	if (target_check_engine(d, t, &err) < 0) {
		found_error(f, name, &err);
	}
	const struct strvec *arch = &d->config->builder.arch;
	if (arch->len > 0 && !strvec_has(arch, info->architecture)) {
		found(f, CHECK_FAIL, name, "add it to builder.arch",
			"the server is %s, and builder.arch does not name it", info->architecture);
	}
}

static void check_disk(struct target *t, struct findings *f)
{
	struct disk_space space;
	char size[16];
	if (disk_space(t->host, &space) < 0) {
		found(f, CHECK_WARN, t->host->name, NULL, "the free disk space could not be read");
		return;
	}
	ui_bytes(space.free, size);
	if (space.percent >= DISK_WARN_PERCENT) {
		found(f, space.percent >= 98 ? CHECK_FAIL : CHECK_WARN, t->host->name,
			"deploy prune, or docker system prune there", "disk %ld%% full, %s free",
			space.percent, size);
	} else {
		found(f, CHECK_OK, t->host->name, NULL, "disk: %s free", size);
	}
}

static void found_port(void *ctx, struct target *t, const struct port_taken *p)
{
	CLEANUP_FREE char *stop =
		p->container ? xasprintf("deploy exec -- docker stop %s, when nobody needs it",
				       p->container)
			     : xstrdup("stop what listens there");
	CLEANUP_FREE char *mend = xasprintf("%s; or %s", stop,
		p->of_proxy ? "set proxy.run.http_port and https_port" : "publish another port");
	found(ctx, CHECK_FAIL, t->host->name, mend, "port %d, which %s needs, is taken%s%s",
		p->port, p->needed_by, p->container ? " by the container " : "",
		p->container ? p->container : "");
}

static void check_clock(struct target *t, struct findings *f)
{
	CLEANUP_STR struct str out = STR_INIT(STR_MAX_LINE);
	struct error ignored = {0};
	int status = 1;
	long seconds;
	if (ssh_run(t->host->ssh, "date +%s", NULL, 0, &out, NULL, FILE_TIMEOUT_MS, &status,
		    &ignored) < 0 ||
		sscanf(str_c(&out), "%ld", &seconds) != 1) {
		return;
	}
	int64_t skew = (int64_t)seconds * 1000 - clock_wall_ms();
	if (skew > CLOCK_SKEW_MS || skew < -CLOCK_SKEW_MS) {
		char text[CLOCK_RFC3339_SIZE];
		found(f, CHECK_WARN, t->host->name, "let it keep time by NTP (systemd-timesyncd)",
			"its clock is %s %s ours", clock_duration(skew < 0 ? -skew : skew, text),
			skew < 0 ? "behind" : "ahead of");
	}
}

static void check_forwarding(struct target *t, struct findings *f)
{
	if (t->host->dial_stdio) {
		found(f, CHECK_WARN, t->host->name, "AllowStreamLocalForwarding yes in sshd_config",
			"sshd forwards no unix sockets: slower, by 'docker system dial-stdio'");
	}
	struct error why = {0};
	int fd =
		host_dial_tcp(t->host, "127.0.0.1", 1, &why); /* nobody is there: refused is fine */
	if (fd >= 0) {
		close(fd);
	}
	if (t->host->tcp_by_shell) {
		found(f, CHECK_WARN, t->host->name, "AllowTcpForwarding yes in sshd_config",
			"sshd forwards no TCP: health checks go by bash there");
	}
}

static void check_cron(struct deployment *d, const struct target *t, struct findings *f)
{
	if (!cron_is_host(d, t) && !backup_schedule_is_host(d, t)) {
		return;
	}
	if (t->seen.cron == CRON_MISSING) {
		found(f, CHECK_FAIL, t->host->name, "apt-get install cron",
			"there is no cron for the jobs of the manifest");
	} else if (t->seen.cron == CRON_STOPPED) {
		found(f, CHECK_WARN, t->host->name, "systemctl enable --now cron",
			"cron does not run, and so no job does");
	} else {
		found(f, CHECK_OK, t->host->name, NULL, "cron runs");
	}
}

static void check_backups(struct deployment *d, struct target *t, struct findings *f)
{
	VEC_FOREACH (&d->accessories, i) {
		const struct config_accessory *a = d->accessories.p[i];
		struct backup_health h = {0};
		struct error err = {0};
		char old[CLOCK_RFC3339_SIZE];
		if (!a->backup.enabled || !target_has_accessory(t, a)) {
			continue;
		}
		if (backup_health_read(d, t, a, &h, &err) < 0) {
			found(f, CHECK_WARN, t->host->name, err.hint[0] ? err.hint : NULL,
				"the backups of %s cannot be listed: %s", a->name, err.text);
		} else if (h.trouble) {
			CLEANUP_FREE char *mend = xasprintf("deploy accessory backup %s", a->name);
			found(f, CHECK_WARN, t->host->name, mend, "backups of %s: %s", a->name,
				h.trouble);
		} else if (h.any) {
			found(f, CHECK_OK, t->host->name, NULL, "backup of %s: %s old", a->name,
				clock_duration(clock_wall_ms() - h.newest.time_ms, old));
		}
		backup_health_fini(&h);
	}
}

static void found_certificate(void *ctx, const struct certificate_finding *c)
{
	static const enum level levels[] = {[CERTIFICATE_GOOD] = CHECK_OK,
		[CERTIFICATE_ENDS_SOON] = CHECK_WARN,
		[CERTIFICATE_EXPIRED] = CHECK_FAIL,
		[CERTIFICATE_OTHER_NAME] = CHECK_FAIL};
	found(ctx, c->error ? CHECK_FAIL : levels[c->state], c->server, c->mend, "%s", c->what);
}

static void check_lock(struct deployment *d, struct findings *f)
{
	struct target *t = &d->targets[d->lock_target];
	struct lock_owner o = {0};
	struct error ignored = {0};
	CLEANUP_FREE char *dir = names_state_dir(d->config);
	if (t->host && lock_read(t->host, dir, &o, &ignored) == 1 && !o.dead) {
		found(f, CHECK_WARN, t->host->name, "wait, or deploy lock release",
			"locked by %s on %s: '%s'", o.performer, o.host, o.command);
	}
	lock_owner_fini(&o);
}

struct checking {
	struct deployment *d;
	struct findings *f;
	bool *skip; /* by target: it could not be looked at, which was told */
};

static int check_target(struct deployment *d, struct target *t, void *ctx, struct error *err)
{
	struct checking *c = ctx;
	(void)err;
	if ((!t->selected && !t->accessories) || c->skip[t - d->targets]) {
		return 0;
	}
	check_docker(d, t, c->f);
	check_disk(t, c->f);
	ports_taken(d, t, found_port, c->f);
	check_clock(t, c->f);
	check_forwarding(t, c->f);
	check_cron(d, t, c->f);
	check_backups(d, t, c->f);
	certificates_served(d, t, found_certificate, c->f);
	return 0;
}

/* -- Names -- */

static void check_domain(struct deployment *d, struct findings *f, const char *name)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found_addresses = NULL;
	(void)d;
	if (strchr(name, '*')) {
		return;
	}
	int failed = getaddrinfo(name, NULL, &hints, &found_addresses);
	if (failed) {
		found(f, CHECK_WARN, NULL, "add an A or AAAA record that leads to the servers",
			"'%s' has no address: %s", name, gai_strerror(failed));
		return;
	}
	found(f, CHECK_OK, NULL, NULL, "'%s' has an address", name);
	freeaddrinfo(found_addresses);
}

/* -- All of it -- */

static int by_host(const void *a, const void *b)
{
	const struct finding *x = a, *y = b;
	int order = strcmp(x->host ? x->host : "", y->host ? y->host : "");
	return order ? order : (int)y->level - (int)x->level;
}

static size_t show(struct deployment *d, struct findings *f)
{
	size_t failed = 0;
	qsort(f->list.p, f->list.len, sizeof(*f->list.p), by_host);
	VEC_FOREACH (&f->list, i) {
		const struct finding *one = &f->list.p[i];
		failed += one->level == CHECK_FAIL;
		ui_print(d->ui, "%-8s %s%s%s%s%s", level_names[one->level],
			one->host ? one->host : "", one->host ? ": " : "", one->what,
			one->mend ? "\n         mend: " : "", one->mend ? one->mend : "");
		ui_json(d->ui, json_pack("{s:s, s:s?, s:s, s:s, s:s?}", "result", "check", "host",
				       one->host, "level", level_words[one->level], "what",
				       one->what, "mend", one->mend));
	}
	return failed;
}

/* A first push has to make all of it. */
static void check_drift(struct deployment *d, struct findings *f)
{
	struct plan_hosts hosts = {0};
	struct plan drift;
	struct error err = {0};
	if (!history_live(&d->history)) {
		return;
	}
	if (state_drift(d, &drift, &hosts, &err) < 0) {
		found_error(f, NULL, &err);
	}
	VEC_FOREACH (&drift.notes, i) {
		found(f, CHECK_WARN, NULL, NULL, "%s", drift.notes.p[i]);
	}
	VEC_FOREACH (&drift.steps, i) {
		const struct plan_step *s = &drift.steps.p[i];
		CLEANUP_STR struct str text = STR_INIT(STR_MAX_LINE);
		plan_step_text(s, &text);
		found(f, CHECK_WARN, s->host == PLAN_NO_HOST ? NULL : hosts.p[s->host].name,
			"deploy push", "drift, the next push has to %s", str_c(&text));
	}
	for (size_t i = 0; i < d->n; i++) {
		const struct target *t = &d->targets[i];
		if (t->selected && target_proxied(d, t) && !target_proxy_runs(t)) {
			found(f, CHECK_WARN, t->host->name, "deploy proxy boot",
				"the proxy does not run");
		}
	}
	plan_fini(&drift);
	plan_hosts_fini(&hosts);
}

static void check_servers(struct deployment *d, struct findings *f)
{
	struct error err = {0};
	struct checking c = {.d = d, .f = f};
	c.skip = xcalloc(d->n, sizeof(*c.skip));
	d->errors_kept = true;
	if (deployment_look(d, &err) == 0) {
		check_drift(d, f);
	} else {
		for (size_t i = 0; i < d->n; i++) {
			c.skip[i] = d->targets[i].error.kind != ERROR_NONE;
			if (c.skip[i]) {
				found_error(f, d->targets[i].address->name, &d->targets[i].error);
			}
		}
	}
	deployment_each_best_effort(d, "check", check_target, &c);
	if (!c.skip[d->lock_target]) {
		check_lock(d, f);
	}
	free(c.skip);
}

/* All that is not well; nobody is told that all is. */
static void notify(struct deployment *d, const struct findings *f, size_t failed)
{
	json_t *list = json_array();
	CLEANUP_STR struct str lines = STR_INIT(STR_MAX_FILE);
	VEC_FOREACH (&f->list, i) {
		const struct finding *one = &f->list.p[i];
		CLEANUP_FREE char *what = ui_scrub(d->ui, one->what);
		if (one->level == CHECK_OK) {
			continue;
		}
		str_addf(&lines, "\n%s %s%s%s%s%s", level_names[one->level],
			one->host ? one->host : "", one->host ? ": " : "", what,
			one->mend ? "; mend: " : "", one->mend ? one->mend : "");
		json_array_append_new(
			list, json_pack("{s:s?, s:s, s:s, s:s?}", "host", one->host, "level",
				      level_words[one->level], "what", what, "mend", one->mend));
	}
	size_t n = json_array_size(list), warned = n - failed;
	if (n == 0) {
		json_decref(list);
		return;
	}
	CLEANUP_FREE char *text = xasprintf("%zu to mend, %zu warning%s%s", failed, warned,
		warned == 1 ? "" : "s", str_c(&lines));
	notify_check(d, text, list);
}

int operation_check(struct deployment *d, const struct check_options *options, struct error *err)
{
	struct findings f = {.lock = PTHREAD_MUTEX_INITIALIZER};
	struct error secrets = {0};
	if (options->notify && notify_check_wanted(d, err) < 0) {
		return -1;
	}
	deployment_add_accessories(d);
	if (deployment_load_secrets(d, SECRETS_ALL, &secrets) < 0) {
		found_error(&f, NULL, &secrets);
	}
	check_here(d, &f);
	certificates_given(d, found_certificate, &f);
	if (secrets.kind == ERROR_NONE) {
		check_servers(d, &f);
	}
	VEC_FOREACH (&d->config->proxy.hosts, i) {
		check_domain(d, &f, d->config->proxy.hosts.p[i]);
	}
	size_t failed = show(d, &f);
	if (options->notify) {
		notify(d, &f, failed);
	}
	VEC_FOREACH (&f.list, i) {
		free(f.list.p[i].host);
		free(f.list.p[i].what);
		free(f.list.p[i].mend);
	}
	vec_fini(&f.list);
	if (failed > 0) {
		return error_set(err, ERROR_REMOTE, "%zu finding(s) have to be mended", failed);
	}
	return 0;
}
