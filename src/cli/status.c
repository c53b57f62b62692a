/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include "deploy/operations.h"

const struct command command_status = {
	.name = "status",
	.arguments = "",
	.summary = "show what runs on each server",
	.description =
		"Release, containers and their health, CPU and memory, disk, days that the\n"
		"certificate is still good, and drift: what differs from the release on record.",
	.needs = CLI_NEEDS_DEPLOYMENT,
	.operation = operation_status,
};
