/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include <stdio.h>
#include <string.h>

#define HELP_COLUMNS   80
#define OPTION_COLUMN  30 /* where an option's sentence begins */
#define COMMAND_COLUMN 26

/* `text` from `column` on, broken at blanks; the cursor is at `at`. */
static void add_wrapped(struct str *out, const char *text, size_t at, size_t column)
{
	if (at + 2 > column) {
		str_addc(out, '\n');
		at = 0;
	}
	str_addf(out, "%*s", (int)(column - at), "");
	at = column;
	while (*text != '\0') {
		size_t len = strcspn(text, " ");

		if (at > column && at + 1 + len > HELP_COLUMNS - 1) {
			str_addf(out, "\n%*s", (int)column, "");
			at = column;
		} else if (at > column) {
			str_addc(out, ' ');
			at++;
		}
		str_addn(out, text, len);
		at += len;
		text += len + (text[len] == ' ');
	}
	str_addc(out, '\n');
}

static void add_option(struct str *out, const struct cli_option *o)
{
	struct str left = STR_INIT(256);

	if (o->letter != '\0') {
		str_addf(&left, "  -%c, --%s", o->letter, o->name);
	} else {
		str_addf(&left, "      --%s", o->name);
	}
	if (o->kind == CLI_WAIT) {
		str_addf(&left, "[=%s]", o->value);
	} else if (o->value != NULL) {
		str_addf(&left, " %s", o->value);
	}
	str_add(out, str_c(&left));
	add_wrapped(out, o->help, left.len, OPTION_COLUMN);
	str_fini(&left);
}

static void add_options(struct str *out, const char *heading, const struct cli_option *table)
{
	if (table == NULL || table->name == NULL) {
		return;
	}
	str_addf(out, "\n%s:\n", heading);
	for (const struct cli_option *o = table; o->name != NULL; o++) {
		add_option(out, o);
	}
}

static void add_command(struct str *out, const char *path, const char *summary)
{
	str_addf(out, "  %s", path);
	add_wrapped(out, summary, strlen(path) + 2, COMMAND_COLUMN);
}

void help_usage(const struct command *command, struct str *out)
{
	char path[COMMAND_PATH_SIZE];

	str_addf(out, "usage: deploy %s [options]%s%s", command_path(command, path),
		command->arguments[0] != '\0' ? " " : "", command->arguments);
}

static void print(struct ui *ui, struct str *out)
{
	ui_write(ui, str_c(out), out->len);
	str_fini(out);
}

void help_command(struct ui *ui, const struct command *command)
{
	struct str out = STR_INIT(STR_MAX_LINE);
	char path[COMMAND_PATH_SIZE];

	str_addf(&out, "deploy %s - %s\n\n", command_path(command, path), command->summary);
	help_usage(command, &out);
	str_addc(&out, '\n');
	if (command->description != NULL) {
		str_addf(&out, "\n%s\n", command->description);
	}
	add_options(&out, "Options", command->options);
	add_options(&out, "Global options", cli_global_options);
	print(ui, &out);
}

static void add_group_commands(struct str *out, const char *group)
{
	char path[COMMAND_PATH_SIZE];

	for (size_t i = 0; command_table[i] != NULL; i++) {
		const struct command *c = command_table[i];

		/* `releases` is a command and the group of `releases show` */
		if (str_eq(c->group, group) || (c->group == NULL && strcmp(c->name, group) == 0)) {
			CLEANUP_FREE char *left = xasprintf("%s%s%s", command_path(c, path),
				c->arguments[0] != '\0' ? " " : "", c->arguments);

			add_command(out, left, c->summary);
		}
	}
}

void help_group(struct ui *ui, const struct command_group *group)
{
	struct str out = STR_INIT(STR_MAX_LINE);

	str_addf(&out,
		"deploy %s - %s\n\nusage: deploy %s COMMAND [options] [arguments]\n\nCommands:\n",
		group->name, group->summary, group->name);
	add_group_commands(&out, group->name);
	str_addf(&out, "\nOptions of each: deploy %s COMMAND --help\n", group->name);
	print(ui, &out);
}

void help_tool(struct ui *ui)
{
	struct str out = STR_INIT(STR_MAX_LINE);
	const char *seen = NULL;

	str_add(&out, "deploy - puts containers of an application on your own servers over SSH\n\n"
		      "usage: deploy [options] COMMAND [options] [arguments]\n\nCommands:\n");
	for (size_t i = 0; command_table[i] != NULL; i++) {
		const struct command *c = command_table[i];

		if (c->group == NULL && command_group_find(c->name) == NULL) {
			add_command(&out, c->name, c->summary);
		} else if (!str_eq(c->group != NULL ? c->group : c->name, seen)) {
			seen = c->group != NULL ? c->group : c->name;
			CLEANUP_FREE char *left = xasprintf("%s ...", seen);

			add_command(&out, left, command_group_find(seen)->summary);
		}
	}
	add_options(&out, "Options of every command", cli_global_options);
	str_add(&out, "\nMore: deploy help COMMAND, man deploy, man deploy-COMMAND.\n"
		      "A first start: deploy init, deploy check, deploy setup.\n");
	print(ui, &out);
}

static int run_help(struct cli *cli, struct error *err)
{
	const char *group =
		cli->argc > 0 && command_group_find(cli->argv[0]) != NULL ? cli->argv[0] : NULL;
	const char *name = cli->argc > 0 ? cli->argv[cli->argc - 1] : NULL;
	const struct command *command;

	if (cli->argc == 0) {
		help_tool(cli->ui);
		return 0;
	}
	if (cli->argc == 1 && group != NULL) {
		help_group(cli->ui, command_group_find(group));
		return 0;
	}
	command = command_find(cli->argc == 2 ? cli->argv[0] : NULL, name);
	if (command == NULL) {
		return cli_unknown_command(cli->argc == 2 ? cli->argv[0] : NULL, name, err);
	}
	help_command(cli->ui, command);
	return 0;
}

const struct command command_help = {
	.name = "help",
	.arguments = "[COMMAND]",
	.summary = "print help on the tool or a command",
	.max_args = 2,
	.run = run_help,
};
