/* SPDX-License-Identifier: MIT */
/* `deploy hook`: git hooks that push. */
#include "internal.h"

#include "deploy/git_hook.h"

#include <string.h>

struct hook_options {
	struct strvec on;
	const char *branch;
};

static const struct cli_option install_options[] = {
	{"on", 'o', CLI_LIST, offsetof(struct hook_options, on), "HOOK",
		"pre-push (default), post-commit or post-receive", 0, 0, 0},
	{"branch", 'b', CLI_TEXT, offsetof(struct hook_options, branch), "NAME",
		"the branch that is deployed (default: the present one)", 0, 0, 0},
	{NULL, 0, CLI_FLAG, 0, NULL, NULL, 0, 0, 0},
};

static const struct cli_option uninstall_options[] = {
	{"on", 'o', CLI_LIST, offsetof(struct hook_options, on), "HOOK",
		"only this one (default: all of deploy's)", 0, 0, 0},
	{NULL, 0, CLI_FLAG, 0, NULL, NULL, 0, 0, 0},
};

static void show(struct cli *cli, const struct git_hook *h)
{
	ui_json(cli->ui,
		json_pack("{s:s, s:s, s:s, s:s?, s:s?, s:s, s:b}", "result", "hook", "name",
			git_hook_name(h->kind), "branch", h->branch, "destination", h->destination,
			"config_file", h->config_file, "path", h->path, "chained", h->chained));
}

static int install_one(struct cli *cli, const char *name, struct error *err)
{
	const struct hook_options *o = cli->options;
	struct git_hook out = {0};
	/* The settings are only read. */
	struct git_hook wanted = {
		.branch = (char *)(uintptr_t)o->branch,
		.destination = (char *)(uintptr_t)cli->globals.destination,
		.config_file = (char *)(uintptr_t)cli->globals.config_file,
	};

	if (git_hook_find(name, &wanted.kind, err) < 0 ||
		git_hook_install(&wanted, &out, err) < 0) {
		return -1;
	}
	ui_print(cli->ui, "%s: deploys '%s'%s%s%s", out.path, out.branch,
		out.destination != NULL ? " to " : "",
		out.destination != NULL ? out.destination : "",
		out.chained ? ", after the hook that was there" : "");
	show(cli, &out);
	git_hook_fini(&out);
	return 0;
}

static int run_install(struct cli *cli, struct error *err)
{
	const struct hook_options *o = cli->options;

	if (o->on.len == 0) {
		return install_one(cli, "pre-push", err);
	}
	VEC_FOREACH (&o->on, i) {
		if (install_one(cli, o->on.p[i], err) < 0) {
			return -1;
		}
	}
	return 0;
}

const struct command command_hook_install = {
	.group = "hook",
	.name = "install",
	.arguments = "",
	.summary = "let git deploy a branch",
	.description =
		"pre-push deploys before git sends the branch, and stops git when that fails;\n"
		"post-commit deploys each commit; post-receive deploys what is pushed to this\n"
		"repository, which may be a bare one. A hook that is there is kept and runs\n"
		"first. -d and -c are kept for the push.",
	.options = install_options,
	.options_size = sizeof(struct hook_options),
	.needs = CLI_NEEDS_NOTHING,
	.run = run_install,
};

static int uninstall_one(struct cli *cli, enum git_hook_kind kind, bool *any, struct error *err)
{
	bool was = false;

	if (git_hook_uninstall(kind, &was, err) < 0) {
		return -1;
	}
	if (was) {
		*any = true;
		ui_print(cli->ui, "%s: taken away", git_hook_name(kind));
		ui_json(cli->ui, json_pack("{s:s, s:s}", "result", "hook-removed", "name",
					 git_hook_name(kind)));
	}
	return 0;
}

/* All of ours; another's hook is passed over unless it is named. */
static int uninstall_all(struct cli *cli, bool *any, struct error *err)
{
	struct git_hooks hooks = {0};
	int status = git_hook_list(&hooks, err);

	for (size_t i = 0; status == 0 && i < hooks.len; i++) {
		status = uninstall_one(cli, hooks.p[i].kind, any, err);
	}
	git_hooks_fini(&hooks);
	return status;
}

static int run_uninstall(struct cli *cli, struct error *err)
{
	const struct hook_options *o = cli->options;
	bool any = false;
	int status = o->on.len == 0 ? uninstall_all(cli, &any, err) : 0;

	for (size_t i = 0; status == 0 && i < o->on.len; i++) {
		enum git_hook_kind kind;

		status = git_hook_find(o->on.p[i], &kind, err);
		status = status == 0 ? uninstall_one(cli, kind, &any, err) : status;
	}
	if (status == 0 && !any) {
		ui_print(cli->ui, "no hook of deploy is here");
	}
	return status;
}

const struct command command_hook_uninstall = {
	.group = "hook",
	.name = "uninstall",
	.arguments = "",
	.summary = "take git hooks away, and give back others",
	.options = uninstall_options,
	.options_size = sizeof(struct hook_options),
	.needs = CLI_NEEDS_NOTHING,
	.run = run_uninstall,
};

static int run_list(struct cli *cli, struct error *err)
{
	static const char *const headings[] = {
		"HOOK", "BRANCH", "DESTINATION", "BEFORE IT", "PATH"};
	struct git_hooks hooks = {0};

	if (git_hook_list(&hooks, err) < 0) {
		return -1;
	}
	struct ui_table *table = ui_table_new(5, headings);

	VEC_FOREACH (&hooks, i) {
		const struct git_hook *h = &hooks.p[i];
		const char *cells[] = {git_hook_name(h->kind), h->branch,
			h->destination != NULL ? h->destination : "", h->chained ? "another" : "",
			h->path};

		ui_table_row(table, cells);
		show(cli, h);
	}
	ui_table_print(cli->ui, table);
	ui_table_free(table);
	git_hooks_fini(&hooks);
	return 0;
}

const struct command command_hook_list = {
	.group = "hook",
	.name = "list",
	.arguments = "",
	.summary = "list the git hooks that deploy",
	.needs = CLI_NEEDS_NOTHING,
	.run = run_list,
};

static int run_run(struct cli *cli, struct error *err)
{
	enum git_hook_kind kind;

	if (git_hook_find(cli->argv[0], &kind, err) < 0) {
		return -1;
	}
	return git_hook_run(kind, cli->argv + 1, cli->ui, &cli->exit_status, err);
}

const struct command command_hook_run = {
	.group = "hook",
	.name = "run",
	.arguments = "HOOK [ARG...]",
	.summary = "do what git called a hook for",
	.description = "For git: the installed hooks call it, with git's words on stdin.",
	.min_args = 1,
	.max_args = CLI_MANY,
	.flags = CLI_WORDS,
	.needs = CLI_NEEDS_NOTHING,
	.run = run_run,
};
