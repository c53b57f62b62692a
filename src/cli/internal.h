/* SPDX-License-Identifier: MIT */
/* What the files of the command line share. */
#pragma once

#include "cli/command.h"
#include "cli/main.h"

/*
 * Finds the command and reads all options.  *rest collects the arguments (borrowed pointers into
 * argv).  When a help was asked for, cli->globals.help is set and cli->command may be NULL (then
 * *group is the group whose help it is, or NULL).  A first word that is no command is left in
 * *unknown, for aliases; nothing behind it is read then.
 */
VEC_TYPE(cli_words, const char *);
struct cli_parsed {
	struct cli_words rest;
	const char *group;
	const char *unknown;
	size_t unknown_at; /* its place in argv */
	void *options;     /* the command's values, on the heap */
};
ERROR_CHECKED int cli_parse(
	struct cli *cli, const char *const *argv, struct cli_parsed *parsed, struct error *err);
void cli_parsed_fini(struct cli *cli, struct cli_parsed *parsed);

/* ERROR_USAGE for a word that is no command of the group (NULL: at all), with the best hint. */
int cli_unknown_command(const char *group, const char *word, struct error *err);

/*
 * Loads the manifest as the global options say; shows its diagnostics.
 * The caller frees with config_free().
 */
ERROR_CHECKED struct config *cli_load_config(
	const struct cli_globals *globals, struct ui *ui, struct error *err);

/* The same without showing anything: for aliases. */
ERROR_CHECKED struct config *cli_load_config_quietly(
	const struct cli_globals *globals, struct error *err);

/* Mistakes of a file, on stderr or as JSON. */
void cli_show_diagnostics(struct ui *ui, const struct diagnostics *diags, bool color);

/* Colours only for people: a terminal that can, and nobody said no. */
bool cli_wants_color(const struct cli_globals *globals);

/* Help on the tool, a group or a command, in the file's own words; at most 80 columns. */
void help_tool(struct ui *ui);
void help_group(struct ui *ui, const struct command_group *group);
void help_command(struct ui *ui, const struct command *command);
/* The line "Usage: deploy ..." without its newline. */
void help_usage(const struct command *command, struct str *out);

/* Appends those of the lines (NULL-terminated) that <dir>/.gitignore has not. */
ERROR_CHECKED int gitignore_add(
	const char *dir, const char *const *lines, bool *changed, struct error *err);

/* A command to run: one argument is a line of words, as with Kamal; several are the words. */
ERROR_CHECKED int cli_command_words(
	const char *const *argv, size_t argc, struct strvec *words, struct error *err);

/* Completion scripts, appended to out. */
void completion_bash(struct str *out);
void completion_zsh(struct str *out);
void completion_fish(struct str *out);

/* The manifest and the files that `init` writes; see init_text.c. */
struct init_facts {
	const char *service;
	int app_port;         /* 0: not known */
	bool port_from_image; /* found in the Dockerfile */
	bool dockerfile;
};
void init_manifest_text(const struct init_facts *facts, struct str *out);
extern const char init_secrets_text[];
struct init_hook {
	const char *name; /* without .sample */
	const char *text;
};
extern const struct init_hook init_hooks[]; /* name NULL at the end */
/* The port of the last EXPOSE of a Dockerfile's text, or 0. */
int init_exposed_port(const char *dockerfile);
/* A valid service name made of a folder's; the caller frees. */
char *init_service_name(const char *folder);

/* One struct for each command, in the order of command_table. */
extern const struct command command_init, command_setup, command_push, command_rollback;
extern const struct command command_plan, command_build, command_status;
extern const struct command command_releases, command_releases_show, command_releases_diff;
extern const struct command command_app_logs, command_app_exec, command_app_console;
extern const struct command command_app_start, command_app_stop, command_app_restart;
extern const struct command command_app_containers, command_app_version;
extern const struct command command_app_maintenance, command_app_live;
extern const struct command command_accessory_boot, command_accessory_reboot;
extern const struct command command_accessory_start, command_accessory_stop;
extern const struct command command_accessory_restart, command_accessory_logs;
extern const struct command command_accessory_exec, command_accessory_console;
extern const struct command command_accessory_details, command_accessory_upgrade;
extern const struct command command_accessory_remove, command_accessory_backup;
extern const struct command command_accessory_backups, command_accessory_restore;
extern const struct command command_proxy_boot, command_proxy_reboot, command_proxy_logs;
extern const struct command command_proxy_details, command_proxy_config, command_proxy_remove;
extern const struct command command_proxy_backup, command_proxy_restore;
extern const struct command command_exec;
extern const struct command command_lock_status, command_lock_acquire, command_lock_release;
extern const struct command command_audit, command_prune, command_remove;
extern const struct command command_secrets_print, command_secrets_edit, command_secrets_fetch,
	command_secrets_extract;
extern const struct command command_config, command_check;
extern const struct command command_hook_install, command_hook_uninstall, command_hook_list;
extern const struct command command_hook_run;
extern const struct command command_help, command_version, command_completion;
