/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

/* Options up to the next word; false when there is one that is not global. */
static int take_globals(struct cli *cli, const char *const *argv, size_t *at, struct error *err)
{
	struct cli_option_set set = {cli_global_options, &cli->globals};

	while (argv[*at] != NULL && cli_is_option(argv[*at])) {
		if (cli_option_take(&set, 1, argv, at, err) < 0) {
			return -1;
		}
	}
	return 0;
}

/* Global options behind a word that may be an alias: they say which manifest explains it. */
static void peek_globals(struct cli *cli, const char *const *argv, size_t at)
{
	struct cli_option_set set = {cli_global_options, &cli->globals};

	while (argv[at] != NULL && strcmp(argv[at], "--") != 0) {
		struct error ignored = {0};

		if (!cli_is_option(argv[at]) || cli_option_take(&set, 1, argv, &at, &ignored) < 0) {
			at += argv[at] != NULL;
		}
	}
}

static int group_needs_command(const char *group, struct error *err)
{
	struct str names = STR_INIT(sizeof(err->hint) - 1);

	for (size_t i = 0; command_table[i] != NULL; i++) {
		if (str_eq(command_table[i]->group, group)) {
			str_addf(&names, "%s%s", names.len > 0 ? ", " : "", command_table[i]->name);
		}
	}
	error_set(err, ERROR_USAGE, "'%s' needs one more word", group);
	error_hint(err, "one of: %s", str_c(&names));
	str_fini(&names);
	return -1;
}

/* The second word of a group, or the command that has the group's own name. */
static int parse_group(struct cli *cli, struct cli_parsed *parsed, const char *const *argv,
	size_t *at, struct error *err)
{
	const struct command *bare = command_find(NULL, parsed->group);
	size_t start = *at;
	struct error option_error = {0};

	if (take_globals(cli, argv, at, &option_error) < 0) {
		if (bare == NULL) {
			*err = option_error;
			return -1;
		}
		*at = start;
	}
	cli->command = argv[*at] != NULL ? command_find(parsed->group, argv[*at]) : NULL;
	if (cli->command != NULL) {
		++*at;
		return 0;
	}
	if (bare != NULL) {
		cli->command = bare;
		return 0;
	}
	if (argv[*at] != NULL) {
		return cli_unknown_command(parsed->group, argv[*at], err);
	}
	return cli->globals.help ? 0 : group_needs_command(parsed->group, err);
}

static int parse_command(struct cli *cli, struct cli_parsed *parsed, const char *const *argv,
	size_t *at, struct error *err)
{
	const char *word;

	if (take_globals(cli, argv, at, err) < 0) {
		return -1;
	}
	word = argv[*at];
	if (word == NULL) {
		if (cli->globals.help) {
			return 0;
		}
		error_set(err, ERROR_USAGE, "no command given");
		return error_hint(err, "see 'deploy help'");
	}
	if (command_group_find(word) != NULL) {
		parsed->group = word;
		++*at;
		return parse_group(cli, parsed, argv, at, err);
	}
	cli->command = command_find(NULL, word);
	if (cli->command == NULL) {
		parsed->unknown = word;
		parsed->unknown_at = *at;
		peek_globals(cli, argv, *at + 1);
		return 0;
	}
	++*at;
	return 0;
}

static int check_arguments(const struct command *c, const struct cli_words *rest, struct error *err)
{
	char path[COMMAND_PATH_SIZE];
	CLEANUP_STR struct str usage = STR_INIT(sizeof(err->hint) - 1);

	if (rest->len >= c->min_args && rest->len <= c->max_args) {
		return 0;
	}
	if (rest->len < c->min_args) {
		error_set(err, ERROR_USAGE, "'%s' needs %s: %s", command_path(c, path),
			c->min_args > 1 ? "more arguments" : "an argument", c->arguments);
	} else {
		error_set(err, ERROR_USAGE, "'%s' does not take the argument '%.80s'",
			command_path(c, path), rest->p[c->max_args]);
	}
	help_usage(c, &usage);
	return error_hint(err, "%s", str_c(&usage));
}

int cli_parse(
	struct cli *cli, const char *const *argv, struct cli_parsed *parsed, struct error *err)
{
	size_t at = 0;
	char path[COMMAND_PATH_SIZE];

	cli_options_init(&(struct cli_option_set){cli_global_options, &cli->globals});
	if (parse_command(cli, parsed, argv, &at, err) < 0) {
		return -1;
	}
	if (cli->command == NULL) {
		return 0;
	}
	const struct command *c = cli->command;

	parsed->options = c->options != NULL ? xcalloc(1, c->options_size) : NULL;

	struct cli_option_set sets[] = {
		{c->options, parsed->options},
		{cli_global_options, &cli->globals},
	};

	cli_options_init(&sets[0]);
	while (argv[at] != NULL && strcmp(argv[at], "--") != 0) {
		if (!cli_is_option(argv[at])) {
			vec_push(&parsed->rest, argv[at++]);
			if ((c->flags & CLI_WORDS) != 0) {
				break;
			}
		} else if (cli_option_take(sets, 2, argv, &at, err) < 0) {
			if (err->hint[0] == '\0') {
				error_hint(err, "see 'deploy %s --help'", command_path(c, path));
			}
			return -1;
		}
	}
	/* "--" is ours only where options could still come: `exec ls -- x` belongs to ls */
	if (argv[at] != NULL && strcmp(argv[at], "--") == 0 &&
		((c->flags & CLI_WORDS) == 0 || parsed->rest.len == 0)) {
		at++;
	}
	while (argv[at] != NULL) {
		vec_push(&parsed->rest, argv[at++]);
	}
	vec_push(&parsed->rest, NULL);
	parsed->rest.len--;
	cli->options = parsed->options;
	cli->argc = parsed->rest.len;
	cli->argv = parsed->rest.p;
	return cli->globals.help ? 0 : check_arguments(c, &parsed->rest, err);
}

void cli_parsed_fini(struct cli *cli, struct cli_parsed *parsed)
{
	if (parsed->options != NULL) {
		cli_options_fini(&(struct cli_option_set){cli->command->options, parsed->options});
	}
	cli_options_fini(&(struct cli_option_set){cli_global_options, &cli->globals});
	free(parsed->options);
	vec_fini(&parsed->rest);
}
