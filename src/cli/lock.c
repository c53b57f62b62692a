/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include "deploy/operations.h"

const struct command command_lock_status = {
	.group = "lock",
	.name = "status",
	.arguments = "",
	.summary = "show who holds the deploy lock",
	.needs = CLI_NEEDS_DEPLOYMENT,
	.operation = operation_lock_status,
};

struct acquire_options {
	const char *message;
};

static const struct cli_option options[] = {
	{"message", 'm', CLI_TEXT, offsetof(struct acquire_options, message), "TEXT",
		"why, for those who find it held", 0, 0, 0},
	{NULL, 0, CLI_FLAG, 0, NULL, NULL, 0, 0, 0},
};

static int run_lock_acquire(struct cli *cli, struct error *err)
{
	const struct acquire_options *acquire = cli->options;

	return operation_lock_acquire(cli->deployment, acquire->message, err);
}

const struct command command_lock_acquire = {
	.group = "lock",
	.name = "acquire",
	.arguments = "",
	.summary = "take the lock, so that nobody deploys",
	.description = "Held until 'deploy lock release', also when this machine is off.",
	.options = options,
	.options_size = sizeof(struct acquire_options),
	.needs = CLI_NEEDS_DEPLOYMENT,
	.flags = CLI_LOCKS,
	.run = run_lock_acquire,
};

const struct command command_lock_release = {
	.group = "lock",
	.name = "release",
	.arguments = "",
	.summary = "free the lock, whoever holds it",
	.description =
		"For a lock of your own, and for one whose owner is gone. A dead owner normally\n"
		"needs no hand: its lock expires.",
	.needs = CLI_NEEDS_DEPLOYMENT,
	.operation = operation_lock_release,
};
