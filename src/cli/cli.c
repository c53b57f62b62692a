/* SPDX-License-Identifier: MIT */
/* One run of the tool: read the line, open what the command needs, run it, say what went wrong. */
#include "internal.h"

#include "alias.h"
#include "util/cancel.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool terminal_can(FILE *stream)
{
	const char *term = getenv("TERM");

	return isatty(fileno(stream)) && term != NULL && term[0] != '\0' &&
	       strcmp(term, "dumb") != 0;
}

bool cli_wants_color(const struct cli_globals *globals)
{
	const char *no_color = getenv("NO_COLOR");

	/* no-color.org: any value that is not empty */
	return !globals->no_color && !globals->json && (no_color == NULL || no_color[0] == '\0') &&
	       terminal_can(stdout) && terminal_can(stderr);
}

static struct ui *open_ui(const struct cli_globals *globals, FILE *out, FILE *errout)
{
	struct ui_options options = {
		.verbosity = globals->quiet ? -1 : globals->verbose,
		.json = globals->json,
		.color = cli_wants_color(globals),
		.animate = !globals->json && !globals->quiet && terminal_can(errout),
		.assume_yes = globals->assume_yes,
		.out = out,
		.err = errout,
	};

	return ui_new(&options);
}

static int open_deployment(struct cli *cli, const char *command, struct error *err)
{
	struct deployment_request request = {
		.config = cli->config,
		.ui = cli->ui,
		.command = command,
		.version = cli->globals.version,
		.hosts = &cli->globals.hosts,
		.left_hosts = (cli->command->flags & CLI_LEFT_HOSTS) != 0,
		.roles = &cli->globals.roles,
		.lock_wait_s = cli->globals.lock_wait_s,
		.parallel = (int)cli->globals.parallel,
	};

	cli->deployment = deployment_new(&request, err);
	return cli->deployment != NULL ? 0 : -1;
}

/* Puts the command in front of what failed; `build: build: ...` says it once too often. */
static void name_command(const char *path, struct error *err)
{
	CLEANUP_FREE char *prefix = xasprintf("%s: ", path);

	if (err->kind != ERROR_USAGE && err->kind != ERROR_MANIFEST &&
		!str_starts(err->text, prefix)) {
		error_wrap(err, "%s", path);
	}
}

static int do_command(struct cli *cli, struct error *err)
{
	const struct command *c = cli->command;

	if (c->operation) {
		return c->operation(cli->deployment, err);
	}
	if (c->on_accessory) {
		return c->on_accessory(cli->deployment, cli->argc > 0 ? cli->argv[0] : "all", err);
	}
	return c->run(cli, err);
}

/* Opens what the command needs, runs it, and closes. */
static int run_command(struct cli *cli, struct error *err)
{
	const struct command *c = cli->command;
	char path[COMMAND_PATH_SIZE];
	CLEANUP_FREE char *typed = xasprintf("deploy %s", command_path(c, path));
	int status = 0;

	if (c->needs >= CLI_NEEDS_MANIFEST) {
		cancel_install();
		cli->config = cli_load_config(&cli->globals, cli->ui, err);
		status = cli->config != NULL ? 0 : -1;
	}
	if (status == 0 && c->needs >= CLI_NEEDS_DEPLOYMENT) {
		status = open_deployment(cli, typed, err);
	}
	if (status == 0) {
		status = do_command(cli, err);
	}
	if (status < 0) {
		name_command(path, err);
	}
	deployment_free(cli->deployment);
	config_free(cli->config);
	return status;
}

static int show_help(struct cli *cli, const struct cli_parsed *parsed)
{
	if (cli->command != NULL) {
		help_command(cli->ui, cli->command);
	} else if (parsed->group != NULL) {
		help_group(cli->ui, command_group_find(parsed->group));
	} else {
		help_tool(cli->ui);
	}
	return 0;
}

static int report(struct ui *ui, const struct error *err)
{
	ui_error(ui, err);
	/* whatever a cancelled call failed with, the reason is Ctrl-C */
	return error_exit_status(cancel_requested() ? ERROR_INTERRUPTED : err->kind);
}

/* What one reading of the line owns. */
struct reading {
	struct cli cli;
	struct cli_parsed parsed;
};

static void reading_fini(struct reading *r)
{
	ui_free(r->cli.ui);
	cli_parsed_fini(&r->cli, &r->parsed);
}

/* Reads one line, which an alias may replace by another. */
static int run_line(const char *const *argv, int depth, FILE *out, FILE *errout)
{
	__attribute__((cleanup(reading_fini))) struct reading r = {0};
	CLEANUP_STRVEC struct strvec words = {0};
	struct cli_words line = {0};
	struct error err = {0};
	int status = cli_parse(&r.cli, argv, &r.parsed, &err);

	r.cli.ui = open_ui(&r.cli.globals, out, errout);
	if (status < 0) {
		return report(r.cli.ui, &err);
	}
	if (r.parsed.unknown != NULL) {
		if (depth >= ALIAS_DEPTH) {
			error_set(&err, ERROR_MANIFEST, "alias '%s' leads back to itself",
				r.parsed.unknown);
			return report(r.cli.ui, &err);
		}
		if (alias_expand(&r.cli, argv, &r.parsed, &words, &line, &err) < 0) {
			return report(r.cli.ui, &err);
		}
		status = run_line(line.p, depth + 1, out, errout);
		vec_fini(&line);
		return status;
	}
	if (r.cli.globals.help) {
		return show_help(&r.cli, &r.parsed);
	}
	if (run_command(&r.cli, &err) < 0) {
		return report(r.cli.ui, &err);
	}
	return r.cli.exit_status;
}

int cli_main(int argc, char **argv, FILE *out, FILE *errout)
{
	struct cli_words line = {0};
	int status;

	/* `--version` has a value everywhere else: alone it asks for ours */
	bool version =
		argc == 2 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0);

	if (version) {
		vec_push(&line, "version");
	}
	for (int i = 1; i < argc && !version; i++) {
		vec_push(&line, argv[i]);
	}
	vec_push(&line, NULL);
	status = run_line(line.p, 0, out, errout);
	vec_fini(&line);
	/* a full disk or a closed pipe must not look like success */
	if ((fflush(out) != 0 || ferror(out) != 0) && status == 0) {
		status = error_exit_status(ERROR_INTERNAL);
	}
	return status;
}
