/* SPDX-License-Identifier: MIT */
/* `deploy secrets fetch` and `extract`, with the words of Kamal's. */
#include "internal.h"

#include "secrets/adapter.h"
#include "util/fs.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

struct fetch_options {
	const char *adapter, *account, *from;
	bool inline_;
};

static const struct cli_option fetch_options[] = {
	{"adapter", 'a', CLI_TEXT, offsetof(struct fetch_options, adapter), "NAME",
		"where they are: 1password, bitwarden, vault, ...", 0, 0, 0},
	{"account", 0, CLI_TEXT, offsetof(struct fetch_options, account), "ACCOUNT",
		"account, user or profile to fetch as", 0, 0, 0},
	{"from", 0, CLI_TEXT, offsetof(struct fetch_options, from), "PLACE",
		"vault, item, folder, path or file they are in", 0, 0, 0},
	{"inline", 0, CLI_FLAG, offsetof(struct fetch_options, inline_), NULL,
		"escape what is printed, as one word for a shell", 0, 0, 0},
	{NULL, 0, CLI_FLAG, 0, NULL, NULL, 0, 0, 0},
};

static int run_secrets_fetch(struct cli *cli, struct error *err)
{
	const struct fetch_options *o = cli->options;
	CLEANUP_STR struct str json = STR_SECRET_INIT(STR_MAX_FILE);
	CLEANUP_STR struct str escaped = STR_SECRET_INIT(STR_MAX_FILE);
	struct secret_map found = {0};
	struct adapter_request req = {.adapter = o->adapter,
		.account = o->account,
		.from = o->from,
		.names = cli->argv,
		.n = cli->argc};

	if (o->adapter == NULL) {
		return error_set(err, ERROR_USAGE, "which adapter? --adapter NAME says it");
	}
	int status = adapter_fetch(&req, &found, err);
	if (status == 0) {
		status = secrets_to_json(&found, &json, err);
	}
	if (status == 0 && o->inline_) {
		secrets_shell_escape(json.p, json.len, &escaped);
	}
	if (status == 0 && ui_is_json(cli->ui)) {
		ui_json(cli->ui, json_pack("{s:s, s:o}", "result", "fetch", "secrets",
					 json_loadb(json.p, json.len, 0, NULL)));
	} else if (status == 0) {
		struct str *out = o->inline_ ? &escaped : &json;
		str_addc(out, '\n');
		ui_write(cli->ui, str_c(out), out->len);
	}
	secret_map_fini(&found);
	return status;
}

const struct command command_secrets_fetch = {
	.group = "secrets",
	.name = "fetch",
	.arguments = "SECRET...",
	.summary = "fetch secrets from a password manager",
	.description =
		"Asks the program of a password manager or secret store, and prints what it\n"
		"gives as one JSON object. In a secrets file $(deploy secrets fetch ...) and\n"
		"$(kamal secrets fetch ...) do the same; see deploy-secrets(1).",
	.options = fetch_options,
	.options_size = sizeof(struct fetch_options),
	.max_args = CLI_MANY,
	.run = run_secrets_fetch,
};

/* What was fetched: the arguments behind the name (an unquoted $JSON is several), or stdin. */
static int read_fetched(const struct cli *cli, struct str *json, struct error *err)
{
	if (cli->argc == 1 || (cli->argc == 2 && strcmp(cli->argv[1], "-") == 0)) {
		if (isatty(STDIN_FILENO)) {
			return error_set(err, ERROR_USAGE,
				"what a fetch printed is missing: an argument, or on stdin");
		}
		if (fd_read_all(STDIN_FILENO, json) < 0) {
			return error_sys(err, ERROR_USAGE, errno, "read stdin");
		}
		return 0;
	}
	for (size_t i = 1; i < cli->argc; i++) {
		str_add(json, i > 1 ? " " : "");
		str_add(json, cli->argv[i]);
	}
	return 0;
}

static int run_secrets_extract(struct cli *cli, struct error *err)
{
	CLEANUP_STR struct str json = STR_SECRET_INIT(STR_MAX_FILE);

	if (read_fetched(cli, &json, err) < 0) {
		return -1;
	}
	struct secret *value = secrets_extract(cli->argv[0], str_c(&json), json.len, err);
	if (value == NULL) {
		return -1;
	}
	ui_json(cli->ui, json_pack("{s:s, s:s, s:s%}", "result", "secret", "name", cli->argv[0],
				 "value", secret_reveal(value), secret_len(value)));
	ui_write(cli->ui, secret_reveal(value), secret_len(value));
	ui_write(cli->ui, "\n", 1);
	secret_unref(value);
	return 0;
}

const struct command command_secrets_extract = {
	.group = "secrets",
	.name = "extract",
	.arguments = "NAME [JSON]",
	.summary = "take one secret out of what was fetched",
	.description =
		"Prints the value of NAME, or of the first key that ends with /NAME, in the\n"
		"JSON that fetch printed: the argument, or stdin.",
	.min_args = 1,
	.max_args = CLI_MANY,
	.run = run_secrets_extract,
};
