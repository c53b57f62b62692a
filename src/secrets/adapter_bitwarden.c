/* SPDX-License-Identifier: MIT */
/* Bitwarden: bw, and bws for its Secrets Manager. */
#include "adapter.h"

#include <stdlib.h>
#include <string.h>

static int status_of(struct fetching *f, char **status, struct error *err)
{
	CLEANUP_SECRET_JSON json_t *answer = adapter_json_(f, ADAPTER_ARGV(f, "status"), err);

	if (answer == NULL) {
		return -1;
	}
	free(*status);
	*status = xstrdup(json_str_at(answer, "status", ""));
	return 0;
}

/* The session goes into the environment of the calls that follow. */
static int unlock(struct fetching *f, struct error *err)
{
	CLEANUP_STR struct str session = ADAPTER_OUTPUT;

	if (adapter_ask_(f, ADAPTER_ARGV(f, "unlock", "--raw"), &session, err) < 0) {
		return -1;
	}
	size_t len = strcspn(str_c(&session), "\r\n");
	if (len > 0) {
		strvec_pushf(&f->env, "BW_SESSION=%.*s", (int)len, str_c(&session));
	}
	return 0;
}

static int login(struct fetching *f, struct error *err)
{
	CLEANUP_STR struct str ignored = ADAPTER_OUTPUT;
	CLEANUP_FREE char *status = NULL;

	if (status_of(f, &status, err) < 0) {
		return -1;
	}
	if (str_eq(status, "unauthenticated")) {
		if (adapter_ask_(f, ADAPTER_ARGV(f, "login", f->req->account), &ignored, err) < 0 ||
			status_of(f, &status, err) < 0) {
			return -1;
		}
	}
	if (str_eq(status, "locked") && (unlock(f, err) < 0 || status_of(f, &status, err) < 0)) {
		return -1;
	}
	if (!str_eq(status, "unlocked")) {
		return error_set(err, ERROR_MANIFEST, "Bitwarden is %s, not unlocked", status);
	}
	str_reset(&ignored);
	return adapter_call_(f, ADAPTER_ARGV(f, "sync"), &ignored, NULL, err);
}

static int give_field(struct fetching *f, const char *item, const json_t *fields, const char *name,
	struct error *err)
{
	CLEANUP_FREE char *key = xasprintf("%s/%s", item, name);
	json_t *field;
	size_t i;

	json_array_foreach(fields, i, field)
	{
		if (str_eq(json_str_at(field, "name", ""), name)) {
			adapter_give_json_(f, key, json_object_get(field, "value"));
			return 0;
		}
	}
	return adapter_missing_(f, key, err);
}

/* The password of a login, else all the fields. */
static int give_item(struct fetching *f, const char *item, const json_t *answer, struct error *err)
{
	const json_t *password = json_at(answer, "login.password");
	const json_t *fields = json_object_get(answer, "fields");
	json_t *field;
	size_t i;

	if (json_is_string(password)) {
		adapter_give_json_(f, item, password);
		return 0;
	}
	if (json_array_size(fields) == 0) {
		return error_set(err, ERROR_MANIFEST,
			"Bitwarden: item '%s' has neither a password nor fields", item);
	}
	json_array_foreach(fields, i, field)
	{
		if (give_field(f, item, fields, json_str_at(field, "name", ""), err) < 0) {
			return -1;
		}
	}
	return 0;
}

static size_t item_len(const char *name)
{
	return strcspn(name, "/");
}

static bool same_item(const char *a, const char *b)
{
	return item_len(a) == item_len(b) && strncmp(a, b, item_len(a)) == 0;
}

/* Everything that is asked of the item of name `first`: one call. */
static int fetch_item(struct fetching *f, size_t first, struct error *err)
{
	CLEANUP_FREE char *item = xstrndup(f->names.p[first], item_len(f->names.p[first]));
	CLEANUP_SECRET_JSON json_t *answer =
		adapter_json_(f, ADAPTER_ARGV(f, "get", "item", item), err);

	if (answer == NULL) {
		return error_wrap(err, "item '%s'", item);
	}
	for (size_t i = first; i < f->names.len; i++) {
		const char *name = f->names.p[i];
		if (!same_item(name, item)) {
			continue;
		}
		const char *field = name + strlen(item);
		int rc = *field == '/' ? give_field(f, item, json_object_get(answer, "fields"),
						 field + 1, err)
				       : give_item(f, item, answer, err);
		if (rc < 0) {
			return -1;
		}
	}
	return 0;
}

static int fetch(struct fetching *f, struct error *err)
{
	VEC_FOREACH (&f->names, i) {
		bool done = false;
		for (size_t k = 0; k < i; k++) {
			done = done || same_item(f->names.p[k], f->names.p[i]);
		}
		if (!done && fetch_item(f, i, err) < 0) {
			return -1;
		}
	}
	return 0;
}

const struct adapter adapter_bitwarden_ = {
	.name = "bitwarden",
	.program = "bw",
	.title = "Bitwarden",
	.needs_account = true,
	.joined = true,
	.login = login,
	.fetch = fetch,
};

/* -- Secrets Manager; its token is in $BWS_ACCESS_TOKEN -- */

static void give_secret(struct fetching *f, const json_t *secret)
{
	const char *key = json_str_at(secret, "key", NULL);

	if (key != NULL) {
		adapter_give_json_(f, key, json_object_get(secret, "value"));
	}
}

/* All of a project, or all there is. */
static int list(struct fetching *f, const char *project, struct error *err)
{
	CLEANUP_SECRET_JSON json_t *answer =
		adapter_json_(f, ADAPTER_ARGV(f, "secret", "list", project), err);
	json_t *secret;
	size_t i;

	if (answer == NULL) {
		return -1;
	}
	json_array_foreach(answer, i, secret)
	{
		give_secret(f, secret);
	}
	return 0;
}

static int sm_fetch(struct fetching *f, struct error *err)
{
	if (f->req->n == 1 && str_eq(f->req->names[0], "all")) {
		return list(f, f->req->from, err);
	}
	if (f->req->n == 1 && str_ends(f->req->names[0], "/all")) {
		CLEANUP_FREE char *project =
			xstrndup(f->req->names[0], strlen(f->req->names[0]) - 4);
		return list(f, project, err);
	}
	VEC_FOREACH (&f->names, i) {
		CLEANUP_SECRET_JSON json_t *answer =
			adapter_json_(f, ADAPTER_ARGV(f, "secret", "get", f->names.p[i]), err);
		if (answer == NULL) {
			return error_wrap(err, "secret '%s'", f->names.p[i]);
		}
		give_secret(f, answer);
	}
	return 0;
}

const struct adapter adapter_bitwarden_sm_ = {
	.name = "bitwarden-sm",
	.other = "bitwarden_secrets_manager",
	.program = "bws",
	.title = "Bitwarden Secrets Manager",
	.joined = true,
	.fetch = sm_fetch,
};
