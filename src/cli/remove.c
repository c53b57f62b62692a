/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include "deploy/operations.h"

const struct command command_remove = {
	.name = "remove",
	.arguments = "",
	.summary = "take the service off the servers",
	.description =
		"Its containers, its route in the proxy, its images and its history. Asks\n"
		"first. Other services and the proxy itself stay; see 'deploy proxy remove'.\n"
		"With --hosts only there; also on a host that left the manifest.",
	.needs = CLI_NEEDS_DEPLOYMENT,
	.flags = CLI_LOCKS | CLI_LEFT_HOSTS,
	.operation = operation_remove,
};
