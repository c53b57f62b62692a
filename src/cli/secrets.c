/* SPDX-License-Identifier: MIT */
/* `deploy secrets print`: which secrets resolve; never what they are. */
#include "internal.h"

#include "secrets/dotenv.h"

#include <string.h>

struct row {
	const char *name;
	const char *used_as; /* "env.secret", or "" when the manifest does not name it */
	const char *value;   /* as shown */
	const char *file;    /* that it is from, or NULL */
	struct error error;  /* why there is none */
};

static void resolve(struct row *row, struct dotenv *env, const struct config *config)
{
	struct dotenv_source source = {.dir = config->root};
	size_t n = strlen(config->root);
	const char *file = dotenv_file_of(env, row->name);

	row->file = file != NULL && strncmp(file, config->root, n) == 0 && file[n] == '/'
			    ? file + n + 1
			    : file;
	struct secret *secret = dotenv_resolve(env, row->name, &source, &row->error);

	row->value = secret == NULL            ? "(none)"
		     : secret_len(secret) == 0 ? "(empty)"
					       : SECRET_REDACTED;
	secret_unref(secret);
}

static void show(struct ui *ui, struct ui_table *table, const struct row *row)
{
	const char *cells[] = {row->name, row->value, row->file, row->used_as, row->error.text};

	ui_table_row(table, cells);
	ui_json(ui,
		json_pack("{s:s, s:s, s:s, s:s?, s:s, s:s?}", "result", "secret", "name", row->name,
			"value", row->value, "file", row->file, "used_as", row->used_as, "error",
			row->error.text[0] != '\0' ? row->error.text : NULL));
}

static bool is_used(const struct config_secret_uses *uses, const char *name)
{
	VEC_FOREACH (uses, i) {
		if (strcmp(uses->p[i].name, name) == 0) {
			return true;
		}
	}
	return false;
}

/* Shows all; returns how many the manifest needs and are not there. */
static size_t show_all(struct cli *cli, struct dotenv *env, const struct config_secret_uses *uses,
	struct ui_table *table)
{
	size_t missing = 0;

	VEC_FOREACH (uses, i) {
		struct row row = {.name = uses->p[i].name, .used_as = uses->p[i].key};

		resolve(&row, env, cli->config);
		missing += row.error.kind != ERROR_NONE;
		show(cli->ui, table, &row);
	}
	for (size_t i = 0; dotenv_name(env, i) != NULL; i++) {
		struct row row = {.name = dotenv_name(env, i), .used_as = ""};

		if (!is_used(uses, row.name)) {
			resolve(&row, env, cli->config);
			show(cli->ui, table, &row);
		}
	}
	return missing;
}

static int run_secrets_print(struct cli *cli, struct error *err)
{
	static const char *const headings[] = {"SECRET", "VALUE", "FROM", "USED AS", ""};
	struct config_secret_uses uses = {0};
	struct dotenv *env = dotenv_new();
	struct ui_table *table = ui_table_new(5, headings);
	int status = config_secrets_load(cli->config, true, env, err);

	if (status == 0) {
		config_secret_names(cli->config, &uses);

		size_t missing = show_all(cli, env, &uses, table);

		ui_table_print(cli->ui, table);
		if (missing > 0) {
			status = error_set(err, ERROR_MANIFEST,
				"%zu of the manifest's secrets %s no value", missing,
				missing == 1 ? "has" : "have");
		}
	}
	vec_fini(&uses);
	ui_table_free(table);
	dotenv_free(env);
	return status;
}

const struct command command_secrets_print = {
	.group = "secrets",
	.name = "print",
	.arguments = "",
	.summary = "list the secrets, and which have no value",
	.description =
		"Resolves each secret as a push would, by the commands in the secrets files\n"
		"too, and prints its name, the file it is from and what it is for; the value\n"
		"is never shown.",
	.needs = CLI_NEEDS_MANIFEST,
	.run = run_secrets_print,
};
