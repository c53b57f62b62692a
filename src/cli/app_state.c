/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include "deploy/operations.h"

const struct command command_app_start = {
	.group = "app",
	.name = "start",
	.arguments = "",
	.summary = "start the live release again after a stop",
	.needs = CLI_NEEDS_DEPLOYMENT,
	.flags = CLI_LOCKS,
	.operation = operation_app_start,
};

const struct command command_app_stop = {
	.group = "app",
	.name = "stop",
	.arguments = "",
	.summary = "stop the containers of the live release",
	.description =
		"The site answers with an error until it is started again; a page that says why\n"
		"is put up by 'deploy app maintenance'.",
	.needs = CLI_NEEDS_DEPLOYMENT,
	.flags = CLI_LOCKS,
	.operation = operation_app_stop,
};

const struct command command_app_restart = {
	.group = "app",
	.name = "restart",
	.arguments = "",
	.summary = "replace the containers by fresh ones",
	.description =
		"The same release and settings, with the care of a push: new containers become\n"
		"healthy before the old ones go.",
	.needs = CLI_NEEDS_DEPLOYMENT,
	.flags = CLI_LOCKS,
	.operation = operation_app_restart,
};

const struct command command_app_containers = {
	.group = "app",
	.name = "containers",
	.arguments = "",
	.summary = "list the containers of the service",
	.needs = CLI_NEEDS_DEPLOYMENT,
	.operation = operation_app_containers,
};

const struct command command_app_version = {
	.group = "app",
	.name = "version",
	.arguments = "",
	.summary = "print the version that runs on each server",
	.needs = CLI_NEEDS_DEPLOYMENT,
	.operation = operation_app_version,
};
