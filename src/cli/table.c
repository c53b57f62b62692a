/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include "manifest/diagnostic.h"

#include <string.h>

const struct command *const command_table[] = {
	&command_init,
	&command_setup,
	&command_push,
	&command_rollback,
	&command_plan,
	&command_build,
	&command_status,
	&command_releases,
	&command_releases_show,
	&command_releases_diff,
	&command_app_logs,
	&command_app_exec,
	&command_app_console,
	&command_app_start,
	&command_app_stop,
	&command_app_restart,
	&command_app_containers,
	&command_app_version,
	&command_app_maintenance,
	&command_app_live,
	&command_accessory_boot,
	&command_accessory_reboot,
	&command_accessory_start,
	&command_accessory_stop,
	&command_accessory_restart,
	&command_accessory_logs,
	&command_accessory_exec,
	&command_accessory_console,
	&command_accessory_details,
	&command_accessory_upgrade,
	&command_accessory_backup,
	&command_accessory_backups,
	&command_accessory_restore,
	&command_accessory_remove,
	&command_proxy_boot,
	&command_proxy_reboot,
	&command_proxy_logs,
	&command_proxy_details,
	&command_proxy_config,
	&command_proxy_backup,
	&command_proxy_restore,
	&command_proxy_remove,
	&command_exec,
	&command_lock_status,
	&command_lock_acquire,
	&command_lock_release,
	&command_audit,
	&command_prune,
	&command_remove,
	&command_secrets_print,
	&command_secrets_edit,
	&command_secrets_fetch,
	&command_secrets_extract,
	&command_hook_install,
	&command_hook_uninstall,
	&command_hook_list,
	&command_hook_run,
	&command_config,
	&command_check,
	&command_help,
	&command_version,
	&command_completion,
	NULL,
};

const struct command_group command_groups[] = {
	{"releases", "list, compare and look into releases"},
	{"app", "the application: logs, a shell, start, stop, version"},
	{"accessory", "databases and other services beside the application"},
	{"proxy", "the proxy container of each server"},
	{"lock", "the deploy lock: who holds it, take it, free it"},
	{"secrets", "secrets files, and secrets of password managers"},
	{"hook", "git hooks that push"},
	{NULL, NULL},
};

const struct cli_option cli_global_options[] = {
	{"config-file", 'c', CLI_TEXT, offsetof(struct cli_globals, config_file), "FILE",
		"manifest; default deploy.yml or config/deploy.yml", 0, 0, 0},
	{"destination", 'd', CLI_TEXT, offsetof(struct cli_globals, destination), "NAME",
		"lay deploy.NAME.yml over the manifest", 0, 0, 0},
	{"hosts", 0, CLI_LIST, offsetof(struct cli_globals, hosts), "HOST,...",
		"only these servers; shell patterns are fine", 0, 0, 0},
	{"roles", 0, CLI_LIST, offsetof(struct cli_globals, roles), "ROLE,...", "only these roles",
		0, 0, 0},
	{"version", 0, CLI_TEXT, offsetof(struct cli_globals, version), "VERSION",
		"version to work with; default the commit's short id", 0, 0, 0},
	{"lock-wait", 0, CLI_WAIT, offsetof(struct cli_globals, lock_wait_s), "SECONDS",
		"wait for a lock that is held; without a number, until free", 0, 0, 7L * 24 * 3600},
	{"parallel", 0, CLI_NUMBER, offsetof(struct cli_globals, parallel), "N",
		"servers worked on at once; default 64", 0, 1, 4096},
	{"json", 0, CLI_FLAG, offsetof(struct cli_globals, json), NULL,
		"print JSON, one object a line; see deploy-json(7)", 0, 0, 0},
	{"no-color", 0, CLI_FLAG, offsetof(struct cli_globals, no_color), NULL,
		"print no colours; NO_COLOR does the same", 0, 0, 0},
	{"quiet", 'q', CLI_FLAG, offsetof(struct cli_globals, quiet), NULL,
		"print results and errors only", 0, 0, 0},
	{"verbose", 'v', CLI_COUNT, offsetof(struct cli_globals, verbose), NULL,
		"print more; -vv prints most", 0, 0, 0},
	{"yes", 'y', CLI_FLAG, offsetof(struct cli_globals, assume_yes), NULL,
		"answer yes to every question", 0, 0, 0},
	{"help", 'h', CLI_FLAG, offsetof(struct cli_globals, help), NULL,
		"print help on the command and stop", 0, 0, 0},
	{NULL, 0, CLI_FLAG, 0, NULL, NULL, 0, 0, 0},
};

/* Words of Kamal and others, and what does the same here. */
static const struct {
	const char *word, *here;
} elsewhere[] = {
	{"deploy", "push"},
	{"redeploy", "push --force"},
	{"details", "status"},
	{"ps", "status"},
	{"logs", "app logs"},
	{"console", "app console"},
	{"shell", "app console"},
	{"bash", "app console"},
	{"restart", "app restart"},
	{"stop", "app stop"},
	{"start", "app start"},
	{"maintenance", "app maintenance"},
	{"live", "app live"},
	{"history", "releases"},
	{"server", "exec"},
	{"server exec", "exec"},
	{"app details", "app containers"},
	{"app images", "releases"},
	{"app boot", "push --skip-build"},
	{"app rollback", "rollback"},
	{"app remove", "remove"},
	{"app stale_containers", "prune"},
	{"proxy start", "proxy boot"},
	{"proxy restart", "proxy reboot"},
	{"proxy boot_config", "proxy config"},
	{"doctor", "check"},
	{"docs", "help"},
	{"undo", "rollback"},
	{"up", "push"},
	{"down", "remove"},
};

const struct command *command_find(const char *group, const char *name)
{
	for (size_t i = 0; command_table[i] != NULL; i++) {
		if (str_eq(command_table[i]->group, group) &&
			strcmp(command_table[i]->name, name) == 0) {
			return command_table[i];
		}
	}
	return NULL;
}

const struct command_group *command_group_find(const char *name)
{
	for (const struct command_group *g = command_groups; g->name != NULL; g++) {
		if (strcmp(g->name, name) == 0) {
			return g;
		}
	}
	return NULL;
}

const char *command_nearest(const char *group, const char *word)
{
	VEC_TYPE(names, const char *) names = {0};

	for (size_t i = 0; command_table[i] != NULL; i++) {
		if (str_eq(command_table[i]->group, group)) {
			vec_push(&names, command_table[i]->name);
		}
	}
	for (const struct command_group *g = command_groups; group == NULL && g->name != NULL;
		g++) {
		vec_push(&names, g->name);
	}
	const char *nearest = diagnostics_nearest(word, names.p, names.len, sizeof(*names.p));

	vec_fini(&names);
	return nearest;
}

const char *command_path(const struct command *c, char buf[COMMAND_PATH_SIZE])
{
	struct str path = STR_INIT(COMMAND_PATH_SIZE);

	str_addf(&path, "%s%s%s", c->group != NULL ? c->group : "", c->group != NULL ? " " : "",
		c->name);
	memcpy(buf, str_c(&path), path.len + 1);
	str_fini(&path);
	return buf;
}

int cli_unknown_command(const char *group, const char *word, struct error *err)
{
	CLEANUP_FREE char *path =
		xasprintf("%s%s%s", group != NULL ? group : "", group != NULL ? " " : "", word);
	const char *nearest;

	error_set(err, ERROR_USAGE, "unknown command '%.80s'", path);
	for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++) {
		if (strcmp(elsewhere[i].word, path) == 0) {
			return error_hint(err, "here it is 'deploy %s'", elsewhere[i].here);
		}
	}
	nearest = command_nearest(group, word);
	if (nearest != NULL) {
		return error_hint(err, "did you mean 'deploy %s%s%s'?", group != NULL ? group : "",
			group != NULL ? " " : "", nearest);
	}
	return error_hint(
		err, "see 'deploy help%s%s'", group != NULL ? " " : "", group != NULL ? group : "");
}
