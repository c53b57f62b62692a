/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include "deploy/operations.h"

struct audit_options {
	long lines;
};

static const struct cli_option options[] = {
	{"lines", 'n', CLI_NUMBER, offsetof(struct audit_options, lines), "N",
		"the last N entries; default 50", 50, 1, 1000000},
	{NULL, 0, CLI_FLAG, 0, NULL, NULL, 0, 0, 0},
};

static int run_audit(struct cli *cli, struct error *err)
{
	const struct audit_options *audit = cli->options;

	return operation_audit(cli->deployment, audit->lines, err);
}

const struct command command_audit = {
	.name = "audit",
	.arguments = "",
	.summary = "show who did what on the servers, and when",
	.options = options,
	.options_size = sizeof(struct audit_options),
	.needs = CLI_NEEDS_DEPLOYMENT,
	.run = run_audit,
};
