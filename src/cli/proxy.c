/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include "logs.h"

const struct command command_proxy_boot = {
	.group = "proxy",
	.name = "boot",
	.arguments = "",
	.summary = "start the proxy where it does not run",
	.needs = CLI_NEEDS_DEPLOYMENT,
	.flags = CLI_LOCKS,
	.operation = operation_proxy_boot,
};

const struct command command_proxy_reboot = {
	.group = "proxy",
	.name = "reboot",
	.arguments = "",
	.summary = "replace the proxy container by a fresh one",
	.description =
		"Needed after a change of its image, ports or options. One server after the\n"
		"other; all services behind the proxy are affected.",
	.needs = CLI_NEEDS_DEPLOYMENT,
	.flags = CLI_LOCKS,
	.operation = operation_proxy_reboot,
};

static int run_proxy_logs(struct cli *cli, struct error *err)
{
	return operation_proxy_logs(cli->deployment, cli->options, err);
}

const struct command command_proxy_logs = {
	.group = "proxy",
	.name = "logs",
	.arguments = "",
	.summary = "print the proxies' logs, in order of time",
	.description = "TIME is an age (30s, 10m, 2h, 3d) or a time (2026-01-31T08:00:00Z).",
	.options = cli_logs_options,
	.options_size = sizeof(struct logs_options),
	.needs = CLI_NEEDS_DEPLOYMENT,
	.run = run_proxy_logs,
};

const struct command command_proxy_details = {
	.group = "proxy",
	.name = "details",
	.arguments = "",
	.summary = "show the proxy containers and what they route",
	.needs = CLI_NEEDS_DEPLOYMENT,
	.operation = operation_proxy_details,
};

const struct command command_proxy_config = {
	.group = "proxy",
	.name = "config",
	.arguments = "",
	.summary = "print the proxy configuration of this service",
	.description = "What the manifest gives, and, where a server has something else, how it\n"
		       "differs.",
	.needs = CLI_NEEDS_DEPLOYMENT,
	.operation = operation_proxy_config,
};

const struct command command_proxy_remove = {
	.group = "proxy",
	.name = "remove",
	.arguments = "",
	.summary = "remove the proxy container from the servers",
	.description = "Asks first, and names the other services that it serves.",
	.needs = CLI_NEEDS_DEPLOYMENT,
	.flags = CLI_LOCKS,
	.operation = operation_proxy_remove,
};
