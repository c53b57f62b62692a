/* SPDX-License-Identifier: MIT */
#include "deploy/hooks.h"

#include "internal.h"
#include "util/cancel.h"
#include "util/clock.h"
#include "util/fs.h"
#include "util/proc.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HOOK_TIMEOUT_MS (30 * 60 * 1000)
#define HOOK_HURRY_MS   5000 /* after Ctrl-C somebody waits for the end */
#define MAX_KEPT        200  /* lines of a quiet hook */

struct hook_output {
	struct ui *ui;
	const char *name;
	bool quiet;
	struct strvec kept; /* of a quiet one, shown when it fails */
};

static void show(void *ctx, bool is_err, const char *line)
{
	struct hook_output *o = ctx;
	if (o->quiet) {
		if (o->kept.len < MAX_KEPT) {
			strvec_push(&o->kept, line);
		}
		return;
	}
	ui_output(o->ui, NULL, o->name, is_err, line);
}

/* Every variable under our name and under Kamal's, so that hooks can come along as they are. */
static void add(struct strvec *env, const char *name, const char *value)
{
	strvec_pushf(env, "DEPLOY_%s=%s", name, value ? value : "");
	strvec_pushf(env, "KAMAL_%s=%s", name, value ? value : "");
}

static void add_lists(struct deployment *d, struct strvec *env)
{
	CLEANUP_STR struct str hosts = STR_INIT(STR_MAX_LINE);
	CLEANUP_STR struct str roles = STR_INIT(STR_MAX_LINE);
	for (size_t i = 0; i < d->n; i++) {
		if (d->targets[i].selected) {
			str_addf(&hosts, "%s%s", hosts.len ? "," : "", d->targets[i].address->name);
		}
	}
	VEC_FOREACH (&d->config->roles, i) {
		const struct config_role *role = &d->config->roles.p[i];
		if (deployment_has_role(d, role)) {
			str_addf(&roles, "%s%s", roles.len ? "," : "", role->name);
		}
	}
	add(env, "HOSTS", str_c(&hosts));
	add(env, "ROLES", str_c(&roles));
}

/* "deploy app stop": Kamal has "app" and "stop", without the program. */
static void add_command(struct deployment *d, struct strvec *env)
{
	const char *space = strchr(d->command, ' ');
	const char *word = space ? space + 1 : d->command;
	size_t n = strcspn(word, " ");
	CLEANUP_FREE char *command = xstrndup(word, n);
	add(env, "COMMAND", command);
	if (word[n]) {
		add(env, "SUBCOMMAND", word + n + 1);
	}
}

static void environment(struct deployment *d, const struct release *release,
	const struct error *why, struct strvec *env)
{
	char when[CLOCK_RFC3339_SIZE];
	CLEANUP_FREE char *number = xasprintf("%ld", release ? release->number : 0);
	CLEANUP_FREE char *seconds = xasprintf(
		"%lld", release && release->started_ms
				? (long long)(clock_wall_ms() - release->started_ms) / 1000
				: 0);
	add(env, "VERSION", release ? release->version : d->version);
	add(env, "SERVICE", d->config->service);
	add(env, "DESTINATION", d->config->destination);
	add_command(d, env);
	add(env, "PERFORMER", d->performer);
	add(env, "RELEASE", release ? number : "");
	add(env, "RUNTIME", seconds);
	add(env, "RECORDED_AT", clock_rfc3339(clock_wall_ms(), when));
	add_lists(d, env);
	if (why) {
		add(env, "REASON", why->text);
		add(env, "FAILED_HOST", why->host);
	}
}

/* 'hooks_output', for one hook or all. */
static bool is_quiet(const struct config *c, const char *name)
{
	const char *own = strmap_get(&c->hooks_output_of, name);
	return str_eq(own ? own : c->hooks_output, "quiet");
}

static void show_kept(struct hook_output *o)
{
	VEC_FOREACH (&o->kept, i) {
		ui_output(o->ui, NULL, o->name, false, o->kept.p[i]);
	}
}

int hooks_run(struct deployment *d, const char *name, const struct release *release,
	const struct error *why, struct error *err)
{
	if (!d->config->hooks_path || d->skip_hooks) {
		return 0;
	}
	CLEANUP_FREE char *path = fs_join(d->config->hooks_path, name);
	if (access(path, X_OK) < 0) {
		if (fs_exists(path)) {
			ui_warn(d->ui, NULL, "hook '%s' is not executable, so it is not run", path);
		}
		return 0;
	}
	CLEANUP_STRVEC struct strvec env = {0};
	environment(d, release, why, &env);
	vec_push(&env, NULL);
	const char *const argv[] = {path, NULL};
	struct hook_output output = {.ui = d->ui, .name = name, .quiet = is_quiet(d->config, name)};
	struct proc_request req = {
		.argv = argv,
		.env = (const char *const *)env.p,
		.dir = d->config->root,
		.timeout_ms = cancel_shielded() ? HOOK_HURRY_MS : HOOK_TIMEOUT_MS,
		.on_line = show,
		.ctx = &output,
	};
	struct proc_result result = {0};
	ui_debug(d->ui, NULL, "hook %s", name);
	int failed = proc_run(&req, NULL, NULL, &result, err);
	env.len--; /* the closing NULL is no string to free */
	if (failed < 0 || result.status != 0) {
		show_kept(&output);
	}
	strvec_fini(&output.kept);
	if (failed < 0) {
		return error_wrap(err, "hook '%s'", name);
	}
	if (result.status != 0) {
		return error_set(err, ERROR_REMOTE, "hook '%s' %s %d", name,
			result.timed_out ? "took too long: status" : "ended with status",
			result.status);
	}
	return 0;
}

void deployment_skip_hooks(struct deployment *d)
{
	d->skip_hooks = true;
}
