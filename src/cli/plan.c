/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include "deploy/operations.h"

const struct command command_plan = {
	.name = "plan",
	.arguments = "",
	.summary = "show what a push would change, and change nothing",
	.description =
		"Compares the manifest, the secrets and the commit with what really runs on\n"
		"each server, and prints the steps that 'deploy push' would take. Containers or\n"
		"settings that were changed by hand are shown as drift.",
	.needs = CLI_NEEDS_DEPLOYMENT,
	.operation = operation_plan,
};
