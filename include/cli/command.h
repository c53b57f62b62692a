/* SPDX-License-Identifier: MIT */
/*
 * The commands of the tool: a const table of structs, one for each command, each in a file of its
 * own (or with its near relatives).  Parsing, help, completion and the checks of tests/lint all
 * read this table, so that they cannot differ.
 */
#pragma once

#include "cli/option.h"
#include "deploy/deployment.h"
#include "manifest/config.h"
#include "ui/ui.h"
#include "util/error.h"

#include <stdbool.h>
#include <stddef.h>

/* Options that all commands have, before or after the command's name. */
struct cli_globals {
	const char *config_file, *destination, *version;
	struct strvec hosts, roles;
	int verbose; /* how many -v */
	bool quiet, json, no_color, assume_yes, help;
	int lock_wait_s; /* 0: not given; -1: as long as it takes */
	long parallel;   /* 0: not given */
};
extern const struct cli_option cli_global_options[];

/* What a command needs opened before it runs; each includes those above it. */
enum cli_needs {
	CLI_NEEDS_NOTHING,
	CLI_NEEDS_MANIFEST,   /* cli->config */
	CLI_NEEDS_DEPLOYMENT, /* cli->deployment; --hosts and --roles checked, nothing connected */
};

#define CLI_WORDS      1u /* options end at the first argument: the rest is another program's */
#define CLI_LOCKS      2u /* takes the deploy lock: --lock-wait matters */
#define CLI_LEFT_HOSTS 4u /* --hosts may name such as left the manifest */
#define CLI_MANY       SIZE_MAX

/* One run of the tool. */
struct cli {
	struct cli_globals globals;
	const struct command *command;
	const void *options;     /* values of command->options; NULL when it has none */
	size_t argc;             /* arguments behind the command's name, without options */
	const char *const *argv; /* argc of them and a NULL */
	struct ui *ui;
	struct config *config; /* by command->needs, else NULL */
	struct deployment *deployment;
	int exit_status; /* what a command that succeeded exits with (a remote command's) */
};

struct command {
	const char *group;                /* "app"; NULL: none */
	const char *name;                 /* "logs" */
	const char *arguments;            /* "[VERSION]"; "" */
	const char *summary;              /* one line, imperative, at most 52 columns */
	const char *description;          /* more lines of at most 78 columns, or NULL */
	const struct cli_option *options; /* or NULL */
	size_t options_size;
	size_t min_args, max_args; /* CLI_MANY: no limit */
	enum cli_needs needs;
	unsigned flags;
	/* What it does, one of these: */
	int (*run)(struct cli *cli, struct error *err);
	int (*operation)(struct deployment *d, struct error *err);
	int (*on_accessory)(
		struct deployment *d, const char *name, struct error *err); /* or "all" */
};

/* A word that comes before others: "app" in "app logs". */
struct command_group {
	const char *name;
	const char *summary;
};

extern const struct command *const command_table[]; /* in the order of help; NULL at the end */
extern const struct command_group command_groups[]; /* name NULL at the end */

/* NULL when there is none. group may be NULL. */
const struct command *command_find(const char *group, const char *name);
const struct command_group *command_group_find(const char *name);
/* The nearest name to a word that is no command (of this group), or NULL. */
const char *command_nearest(const char *group, const char *word);
/* "app logs"; returns buf. */
#define COMMAND_PATH_SIZE 64
const char *command_path(const struct command *c, char buf[COMMAND_PATH_SIZE]);
