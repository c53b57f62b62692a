/* SPDX-License-Identifier: MIT */
#include "logs.h"

#include <limits.h>

const struct cli_option cli_logs_options[] = {
	{"follow", 'f', CLI_FLAG, offsetof(struct logs_options, follow), NULL,
		"go on with what is written from now on", 0, 0, 0},
	{"lines", 'n', CLI_NUMBER, offsetof(struct logs_options, tail), "N",
		"only the last N lines of each container", -1, 0, LONG_MAX},
	{"tail", 0, CLI_NUMBER, offsetof(struct logs_options, tail), "N", "the same as --lines", -1,
		0, LONG_MAX},
	{"since", 's', CLI_TEXT, offsetof(struct logs_options, since), "TIME",
		"only lines from then on", 0, 0, 0},
	{"until", 0, CLI_TEXT, offsetof(struct logs_options, until), "TIME",
		"only lines before that", 0, 0, 0},
	{"grep", 'g', CLI_TEXT, offsetof(struct logs_options, grep), "TEXT",
		"only lines that contain TEXT", 0, 0, 0},
	{"timestamps", 't', CLI_FLAG, offsetof(struct logs_options, timestamps), NULL,
		"put the time in front of each line", 0, 0, 0},
	{NULL, 0, CLI_FLAG, 0, NULL, NULL, 0, 0, 0},
};
