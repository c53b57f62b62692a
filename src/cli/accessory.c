/* SPDX-License-Identifier: MIT */
/* accessory boot, reboot, start, stop, restart, upgrade, details, remove. */
#include "internal.h"

#include "deploy/operations.h"

const struct command command_accessory_boot = {
	.group = "accessory",
	.name = "boot",
	.arguments = "NAME|all",
	.summary = "start an accessory where it does not run",
	.description = "A push boots those that are missing by itself.",
	.min_args = 1,
	.max_args = 1,
	.needs = CLI_NEEDS_DEPLOYMENT,
	.flags = CLI_LOCKS,
	.on_accessory = operation_accessory_boot,
};

const struct command command_accessory_reboot = {
	.group = "accessory",
	.name = "reboot",
	.arguments = "NAME|all",
	.summary = "put a fresh container in its place, as configured",
	.description = "On the same volumes. The old container comes back when the new one does\n"
		       "not become healthy. It is away between the two.",
	.min_args = 1,
	.max_args = 1,
	.needs = CLI_NEEDS_DEPLOYMENT,
	.flags = CLI_LOCKS,
	.on_accessory = operation_accessory_reboot,
};

const struct command command_accessory_upgrade = {
	.group = "accessory",
	.name = "upgrade",
	.arguments = "NAME|all",
	.summary = "reboot it with the newest image of its name",
	.description =
		"Nothing is stopped when there is no newer image. Refused when it would put\n"
		"another major version of PostgreSQL on the same data.",
	.min_args = 1,
	.max_args = 1,
	.needs = CLI_NEEDS_DEPLOYMENT,
	.flags = CLI_LOCKS,
	.on_accessory = operation_accessory_upgrade,
};

const struct command command_accessory_start = {
	.group = "accessory",
	.name = "start",
	.arguments = "NAME|all",
	.summary = "start its container again after a stop",
	.min_args = 1,
	.max_args = 1,
	.needs = CLI_NEEDS_DEPLOYMENT,
	.flags = CLI_LOCKS,
	.on_accessory = operation_accessory_start,
};

const struct command command_accessory_stop = {
	.group = "accessory",
	.name = "stop",
	.arguments = "NAME|all",
	.summary = "stop its container",
	.min_args = 1,
	.max_args = 1,
	.needs = CLI_NEEDS_DEPLOYMENT,
	.flags = CLI_LOCKS,
	.on_accessory = operation_accessory_stop,
};

const struct command command_accessory_restart = {
	.group = "accessory",
	.name = "restart",
	.arguments = "NAME|all",
	.summary = "stop and start its container",
	.min_args = 1,
	.max_args = 1,
	.needs = CLI_NEEDS_DEPLOYMENT,
	.flags = CLI_LOCKS,
	.on_accessory = operation_accessory_restart,
};

const struct command command_accessory_details = {
	.group = "accessory",
	.name = "details",
	.arguments = "[NAME|all]",
	.summary = "show the containers of accessories",
	.max_args = 1,
	.needs = CLI_NEEDS_DEPLOYMENT,
	.on_accessory = operation_accessory_details,
};

struct remove_options {
	bool data;
};

static const struct cli_option remove_options[] = {
	{"data", 0, CLI_FLAG, offsetof(struct remove_options, data), NULL,
		"remove its volumes and folders too", 0, 0, 0},
	{NULL, 0, CLI_FLAG, 0, NULL, NULL, 0, 0, 0},
};

static int run_accessory_remove(struct cli *cli, struct error *err)
{
	const struct remove_options *options = cli->options;

	return operation_accessory_remove(cli->deployment, cli->argv[0], options->data, err);
}

const struct command command_accessory_remove = {
	.group = "accessory",
	.name = "remove",
	.arguments = "NAME|all",
	.summary = "remove its container; its data only when told",
	.description = "Asks first. Backups are never removed by this.",
	.options = remove_options,
	.options_size = sizeof(struct remove_options),
	.min_args = 1,
	.max_args = 1,
	.needs = CLI_NEEDS_DEPLOYMENT,
	.flags = CLI_LOCKS,
	.run = run_accessory_remove,
};
