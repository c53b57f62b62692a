/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include <string.h>

static const struct {
	const char *name;
	void (*write)(struct str *out);
} shells[] = {
	{"bash", completion_bash},
	{"zsh", completion_zsh},
	{"fish", completion_fish},
};

static int run_completion(struct cli *cli, struct error *err)
{
	for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++) {
		if (strcmp(shells[i].name, cli->argv[0]) == 0) {
			CLEANUP_STR struct str out = STR_INIT(STR_MAX_FILE);

			shells[i].write(&out);
			ui_write(cli->ui, str_c(&out), out.len);
			return 0;
		}
	}
	error_set(err, ERROR_USAGE, "no completion for the shell '%.40s'", cli->argv[0]);
	return error_hint(err, "one of: bash, zsh, fish");
}

const struct command command_completion = {
	.name = "completion",
	.arguments = "bash|zsh|fish",
	.summary = "print a completion script for a shell",
	.description = "bash: eval \"$(deploy completion bash)\" in ~/.bashrc\n"
		       "zsh:  deploy completion zsh > a folder of $fpath, as _deploy\n"
		       "fish: deploy completion fish > ~/.config/fish/completions/deploy.fish",
	.min_args = 1,
	.max_args = 1,
	.run = run_completion,
};
