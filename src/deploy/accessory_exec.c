/* SPDX-License-Identifier: MIT */
/* accessory logs, exec and console. */
#include "accessory.h"
#include "labels.h"

#include "deploy/operations.h"
#include "deploy/output.h"
#include "service/logs.h"

#include <stdlib.h>

int operation_accessory_logs(struct deployment *d, const char *name,
	const struct logs_options *options, struct error *err)
{
	if (deployment_only_accessory(d, name, err) < 0 || deployment_look(d, err) < 0) {
		return -1;
	}
	CLEANUP_FILTERS struct label_filters labels;
	struct logs_source *sources = xcalloc(d->n * d->accessories.len, sizeof(*sources));
	size_t n = 0;
	label_filters_init(&labels, d->config);
	label_filters_add(&labels, LABEL_KIND, "accessory");
	if (d->accessories.len == 1) {
		label_filters_add(&labels, LABEL_ACCESSORY, d->accessories.p[0]->name);
	}
	for (size_t i = 0; i < d->n; i++) {
		const struct target *t = &d->targets[i];
		VEC_FOREACH (&d->accessories, j) {
			const struct docker_container_entry *c = NULL;
			if (target_has_accessory(t, d->accessories.p[j])) {
				(void)accessory_look(t, d->accessories.p[j], &c);
			}
			if (c) {
				sources[n++] = (struct logs_source){
					.host = t->host, .container = c->id, .name = c->name};
			}
		}
	}
	int result = n > 0 ? logs_show(d, sources, n, &labels.list, n > 1, options, err)
			   : error_set(err, ERROR_USAGE, "no container of '%s' is there", name);
	free(sources);
	return result;
}

struct accessory_exec {
	struct exec_round round;
	const struct config_accessory *a;
	struct target *only; /* NULL: all */
	bool interactive;
};

static int exec_one(struct deployment *d, struct target *t, void *ctx, struct error *err)
{
	struct accessory_exec *x = ctx;
	struct exec_end *end = &x->round.ends[t - d->targets];
	const struct docker_container_entry *c = NULL;
	if (!target_has_accessory(t, x->a) || (x->only && x->only != t)) {
		return 0;
	}
	if (accessory_look(t, x->a, &c) == ACCESSORY_MISSING || !c ||
		!str_eq(c->state, "running")) {
		error_set(err, ERROR_REMOTE, "accessory '%s' does not run", x->a->name);
		return error_hint(err, "deploy accessory boot %s", x->a->name);
	}
	int result = exec_in_container(
		t, c->id, &x->round.argv, x->interactive, x->round.output, &end->status, err);
	end->ran = result == 0;
	return result;
}

int operation_accessory_exec(struct deployment *d, const char *name,
	const struct exec_options *options, int *exit_status, struct error *err)
{
	struct accessory_exec x = {.interactive = options->interactive};
	size_t hosts = 0;
	if (deployment_only_accessory(d, name, err) < 0) {
		return -1;
	}
	if (d->accessories.len > 1) {
		return error_set(err, ERROR_USAGE, "a command is run in one accessory");
	}
	if (deployment_look(d, err) < 0) {
		return -1;
	}
	x.a = d->accessories.p[0];
	for (size_t i = d->n; i-- > 0;) {
		if (target_has_accessory(&d->targets[i], x.a)) {
			x.only = options->interactive || options->primary ? &d->targets[i] : NULL;
			hosts++;
		}
	}
	exec_round_begin(&x.round, d, options->argv, hosts > 1 && !x.only);
	int result = deployment_each(d, exec_one, &x, err);
	exec_round_end(&x.round, d, exit_status);
	return result;
}

/* The passwords stay in the container's environment. */
static const char *console_command(const struct config_accessory *a)
{
	static const struct {
		const char *family, *command;
	} consoles[] = {
		{"postgres", "exec psql -U \"${POSTGRES_USER:-postgres}\" "
			     "\"${POSTGRES_DB:-${POSTGRES_USER:-postgres}}\""},
		{"redis", "exec redis-cli"},
		{"mysql", "export MYSQL_PWD=\"$MYSQL_ROOT_PASSWORD\"; exec mysql $MYSQL_DATABASE"},
		{"mariadb", "export MYSQL_PWD=\"${MARIADB_ROOT_PASSWORD:-$MYSQL_ROOT_PASSWORD}\"; "
			    "exec mariadb ${MARIADB_DATABASE:-$MYSQL_DATABASE}"},
	};
	for (size_t i = 0; i < sizeof(consoles) / sizeof(*consoles); i++) {
		if (str_eq(consoles[i].family, a->family)) {
			return consoles[i].command;
		}
	}
	return "if command -v bash >/dev/null 2>&1; then exec bash; fi; exec sh";
}

int operation_accessory_console(
	struct deployment *d, const char *name, int *exit_status, struct error *err)
{
	const struct config_accessory *a = NULL;
	VEC_FOREACH (&d->config->accessories, i) {
		if (str_eq(d->config->accessories.p[i].name, name)) {
			a = &d->config->accessories.p[i];
		}
	}
	const char *const argv[] = {"sh", "-c", a ? console_command(a) : "", NULL};
	struct exec_options options = {.argv = argv, .interactive = true, .primary = true};
	return operation_accessory_exec(d, name, &options, exit_status, err);
}
