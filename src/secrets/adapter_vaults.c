/* SPDX-License-Identifier: MIT */
/* Password managers of one call: lpass, enpass-cli, pass. */
#include "adapter.h"

#include <string.h>

/* -- LastPass -- */

static int lastpass_login(struct fetching *f, struct error *err)
{
	CLEANUP_STR struct str out = ADAPTER_OUTPUT;
	CLEANUP_FREE char *wanted = xasprintf("Logged in as %s.", f->req->account);
	int status = 0;

	if (adapter_call_(f, ADAPTER_ARGV(f, "status", "--color", "never"), &out, &status, err) <
		0) {
		return -1;
	}
	if (strncmp(str_c(&out), wanted, strlen(wanted)) == 0) {
		return 0;
	}
	str_reset(&out);
	return adapter_ask_(f, ADAPTER_ARGV(f, "login", f->req->account), &out, err);
}

static int lastpass_fetch(struct fetching *f, struct error *err)
{
	CLEANUP_STRVEC struct strvec args = {0};
	json_t *item;
	size_t i;

	strvec_push(&args, "lpass");
	strvec_push(&args, "show");
	strvec_copy(&args, &f->names);
	strvec_push(&args, "--json");
	CLEANUP_SECRET_JSON json_t *answer = adapter_json_(f, adapter_argv_(&args), err);
	if (answer == NULL) {
		return -1;
	}
	json_array_foreach(answer, i, item)
	{
		const char *name = json_str_at(item, "fullname", NULL);
		if (name != NULL) {
			adapter_give_json_(f, name, json_object_get(item, "password"));
		}
	}
	VEC_FOREACH (&f->names, k) {
		if (secret_map_get(f->out, f->names.p[k]) == NULL) {
			return adapter_missing_(f, f->names.p[k], err);
		}
	}
	return 0;
}

const struct adapter adapter_lastpass_ = {
	.name = "lastpass",
	.other = "last_pass",
	.program = "lpass",
	.title = "LastPass",
	.needs_account = true,
	.joined = true,
	.login = lastpass_login,
	.fetch = lastpass_fetch,
};

/* -- Enpass; --from is the vault's path -- */

static bool asked_for(const struct fetching *f, const char *title, const char *key)
{
	return strvec_has(&f->names, title) || strvec_has(&f->names, key);
}

static int enpass_give(struct fetching *f, const json_t *item, struct error *err)
{
	const char *title = json_str_at(item, "title", "");
	const char *label = json_str_at(item, "label", "");
	const char *password = json_str_at(item, "password", "");
	CLEANUP_FREE char *key = xasprintf("%s%s%s", title, *label != '\0' ? "/" : "", label);

	if (*title == '\0' || *password == '\0' || !asked_for(f, title, key)) {
		return 0;
	}
	if (secret_map_get(f->out, key) != NULL) {
		return error_set(err, ERROR_MANIFEST, "Enpass: '%s' is there more than once", key);
	}
	adapter_give_(f, key, password, strlen(password));
	return 0;
}

static int enpass_fetch(struct fetching *f, struct error *err)
{
	CLEANUP_STRVEC struct strvec args = {0};
	CLEANUP_STRVEC struct strvec titles = {0};
	const char *const fixed[] = {"enpass-cli", "-json", "-vault", f->req->from, "show"};
	json_t *item;
	size_t i;

	for (i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		strvec_push(&args, fixed[i]);
	}
	VEC_FOREACH (&f->names, k) {
		const char *slash = strrchr(f->names.p[k], '/');
		CLEANUP_FREE char *title = xstrndup(f->names.p[k],
			slash != NULL ? (size_t)(slash - f->names.p[k]) : strlen(f->names.p[k]));
		if (!strvec_has(&titles, title)) {
			strvec_push(&titles, title);
			strvec_push(&args, title);
		}
	}
	CLEANUP_SECRET_JSON json_t *answer = adapter_json_(f, adapter_argv_(&args), err);
	if (answer == NULL) {
		return -1;
	}
	json_array_foreach(answer, i, item)
	{
		if (enpass_give(f, item, err) < 0) {
			return -1;
		}
	}
	return 0;
}

const struct adapter adapter_enpass_ = {
	.name = "enpass",
	.program = "enpass-cli",
	.title = "Enpass",
	.needs_from = true,
	.fetch = enpass_fetch,
};

/* -- pass -- */

/*
 * An entry's first line is the password, as pass has it; "NAME:FIELD" is what stands behind
 * "FIELD:" in a line below, and "NAME:all" is the whole entry (a PEM file).
 */
static int pass_give(
	struct fetching *f, const char *key, const char *field, const char *text, struct error *err)
{
	size_t n = strlen(text);

	if (field == NULL) {
		adapter_give_(f, key, text, strcspn(text, "\n"));
		return 0;
	}
	if (str_eq(field, "all")) {
		adapter_give_(f, key, text, n > 0 && text[n - 1] == '\n' ? n - 1 : n);
		return 0;
	}
	for (const char *line = strchr(text, '\n'); line != NULL; line = strchr(line, '\n')) {
		line++;
		size_t len = strlen(field);
		if (strncmp(line, field, len) == 0 && line[len] == ':') {
			line += len + 1;
			line += strspn(line, " \t");
			adapter_give_(f, key, line, strcspn(line, "\n"));
			return 0;
		}
	}
	return adapter_missing_(f, key, err);
}

static int pass_fetch(struct fetching *f, struct error *err)
{
	VEC_FOREACH (&f->names, i) {
		CLEANUP_STR struct str out = ADAPTER_OUTPUT;
		const char *key = f->names.p[i];
		const char *colon = strrchr(key, ':');
		CLEANUP_FREE char *entry =
			xstrndup(key, colon != NULL ? (size_t)(colon - key) : strlen(key));
		if (adapter_call_(f, ADAPTER_ARGV(f, "show", entry), &out, NULL, err) < 0) {
			return error_wrap(err, "entry '%s'", entry);
		}
		if (pass_give(f, key, colon != NULL ? colon + 1 : NULL, str_c(&out), err) < 0) {
			return -1;
		}
	}
	return 0;
}

const struct adapter adapter_pass_ = {
	.name = "pass",
	.program = "pass",
	.title = "pass",
	.joined = true,
	.fetch = pass_fetch,
};
