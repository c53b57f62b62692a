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

static int run_proxy_backup(struct cli *cli, struct error *err)
{
	return operation_proxy_backup(cli->deployment, cli->argv[0], err);
}

const struct command command_proxy_backup = {
	.group = "proxy",
	.name = "backup",
	.arguments = "FILE",
	.summary = "keep the automatic certificates in a file here",
	.description = "With their keys, and the account with the authority: of caddy and traefik.",
	.min_args = 1,
	.max_args = 1,
	.needs = CLI_NEEDS_DEPLOYMENT,
	.run = run_proxy_backup,
};

struct proxy_restore_options {
	const char *from;
};

static const struct cli_option restore_options[] = {
	{"from", 0, CLI_TEXT, offsetof(struct proxy_restore_options, from), "HOST",
		"what every server gets (default: what was its own)", 0, 0, 0},
	{NULL, 0, CLI_FLAG, 0, NULL, NULL, 0, 0, 0},
};

static int run_proxy_restore(struct cli *cli, struct error *err)
{
	const struct proxy_restore_options *options = cli->options;

	return operation_proxy_restore(cli->deployment, cli->argv[0], options->from, err);
}

const struct command command_proxy_restore = {
	.group = "proxy",
	.name = "restore",
	.arguments = "FILE",
	.summary = "put such certificates back",
	.description = "Before the proxy is made, so that no new ones are ordered.",
	.options = restore_options,
	.options_size = sizeof(struct proxy_restore_options),
	.min_args = 1,
	.max_args = 1,
	.needs = CLI_NEEDS_DEPLOYMENT,
	.flags = CLI_LOCKS,
	.run = run_proxy_restore,
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
