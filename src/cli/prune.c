/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include "deploy/operations.h"

const struct command command_prune = {
	.name = "prune",
	.arguments = "",
	.summary = "remove old containers and images now",
	.description =
		"Keeps what is live and the last releases (retain_containers) for rollback. A\n"
		"push does the same at its end.",
	.needs = CLI_NEEDS_DEPLOYMENT,
	.flags = CLI_LOCKS,
	.operation = operation_prune,
};
