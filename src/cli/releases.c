/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include "deploy/operations.h"

#include <limits.h>

static int parse_number(const char *text, long *number, struct error *err)
{
	if (str_to_long(text, 1, LONG_MAX, number) < 0) {
		error_set(err, ERROR_USAGE, "'%.60s' is no release number", text);
		return error_hint(err, "see 'deploy releases'");
	}
	return 0;
}

const struct command command_releases = {
	.name = "releases",
	.arguments = "",
	.summary = "list the releases on record",
	.description =
		"Number, version, commit, who, when, how long, and what became of it; failed\n"
		"and interrupted ones too.",
	.needs = CLI_NEEDS_DEPLOYMENT,
	.operation = operation_releases_list,
};

static int run_releases_show(struct cli *cli, struct error *err)
{
	long number;

	if (parse_number(cli->argv[0], &number, err) < 0) {
		return -1;
	}
	return operation_releases_show(cli->deployment, number, err);
}

const struct command command_releases_show = {
	.group = "releases",
	.name = "show",
	.arguments = "N",
	.summary = "show all that is known of a release",
	.min_args = 1,
	.max_args = 1,
	.needs = CLI_NEEDS_DEPLOYMENT,
	.run = run_releases_show,
};

static int run_releases_diff(struct cli *cli, struct error *err)
{
	long from, to;

	if (parse_number(cli->argv[0], &from, err) < 0 ||
		parse_number(cli->argv[1], &to, err) < 0) {
		return -1;
	}
	return operation_releases_diff(cli->deployment, from, to, err);
}

const struct command command_releases_diff = {
	.group = "releases",
	.name = "diff",
	.arguments = "N M",
	.summary = "list commits and settings between two releases",
	.min_args = 2,
	.max_args = 2,
	.needs = CLI_NEEDS_DEPLOYMENT,
	.run = run_releases_diff,
};
