/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include "deploy/operations.h"

const struct command command_check = {
	.name = "check",
	.arguments = "",
	.summary = "say why a push would fail, and how to mend it",
	.description =
		"Looks at names, SSH, Docker and its version, disk, ports, clock, forwarding,\n"
		"architecture, secrets and certificates, and changes nothing. Exits with 5 when\n"
		"something has to be mended.",
	.needs = CLI_NEEDS_DEPLOYMENT,
	.operation = operation_check,
};
