/* SPDX-License-Identifier: MIT */
/* 1Password: op, version 2. */
#include "adapter.h"

#include <stdlib.h>
#include <string.h>

/* A token for a service or a Connect server in the environment is login enough. */
static bool has_token(void)
{
	return getenv("OP_SERVICE_ACCOUNT_TOKEN") != NULL || getenv("OP_CONNECT_TOKEN") != NULL;
}

/* Takes `export OP_SESSION[_x]="TOKEN"`; with the desktop application there is no such line. */
static void take_session(struct fetching *f, const char *text)
{
	const char *name = strstr(text, "OP_SESSION");
	const char *equals = name != NULL ? strchr(name, '=') : NULL;

	if (equals == NULL) {
		return;
	}
	const char *value = equals + 1 + (equals[1] == '"');
	strvec_pushf(&f->env, "%.*s=%.*s", (int)(equals - name), name,
		(int)strcspn(value, "\"\r\n"), value);
}

static int login(struct fetching *f, struct error *err)
{
	CLEANUP_STR struct str out = ADAPTER_OUTPUT;
	const char *account = f->req->account;
	int status = 0;

	if (has_token()) {
		return 0;
	}
	if (account == NULL) {
		return error_set(
			err, ERROR_MANIFEST, "adapter '%s' needs --account", f->adapter->name);
	}
	if (adapter_call_(f, ADAPTER_ARGV(f, "account", "get", "--account", account), &out, &status,
		    err) < 0) {
		return -1;
	}
	if (status == 0) {
		return 0;
	}
	str_reset(&out);
	if (adapter_ask_(f, ADAPTER_ARGV(f, "signin", "--account", account, "--force"), &out, err) <
		0) {
		return -1;
	}
	take_session(f, str_c(&out));
	return 0;
}

static const char *without_scheme(const char *reference)
{
	return str_starts(reference, "op://") ? reference + 5 : reference;
}

/* "op://vault/item/section/field" is the key, without a last "/password". */
static void give_field(struct fetching *f, const json_t *field)
{
	const char *reference = json_str_at(field, "reference", NULL);

	if (reference == NULL) {
		return;
	}
	reference = without_scheme(reference);
	size_t len = strlen(reference) - (str_ends(reference, "/password") ? 9 : 0);
	CLEANUP_FREE char *key = xstrndup(reference, len);
	adapter_give_json_(f, key, json_object_get(field, "value"));
}

/* `labels`: "label=a.b,label=c", or NULL for all fields. */
static int get_item(struct fetching *f, const char *vault, const char *item, const char *labels,
	struct error *err)
{
	CLEANUP_STRVEC struct strvec args = {0};
	const char *const fixed[] = {
		"op", "item", "get", item, "--vault", vault, "--format", "json"};

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		strvec_push(&args, fixed[i]);
	}
	if (f->req->account != NULL) {
		strvec_push(&args, "--account");
		strvec_push(&args, f->req->account);
	}
	if (labels != NULL) {
		strvec_push(&args, "--fields");
		strvec_push(&args, labels);
	}
	CLEANUP_SECRET_JSON json_t *answer = adapter_json_(f, adapter_argv_(&args), err);
	if (answer == NULL) {
		return error_wrap(err, "item '%s' in vault '%s'", item, vault);
	}
	const json_t *fields = labels == NULL ? json_object_get(answer, "fields") : answer;
	if (json_is_object(fields)) {
		give_field(f, fields); /* a single one */
	}
	size_t i;
	json_t *field;
	json_array_foreach(fields, i, field)
	{
		give_field(f, field);
	}
	return 0;
}

/* "vault/item[/section]/field" -> its pieces; field "password" when there is none. */
struct reference {
	char *vault, *item, *field;
};

static void reference_fini(struct reference *r)
{
	free(r->vault);
	free(r->item);
	free(r->field);
}

static int split(const char *text, struct reference *r, struct error *err)
{
	const char *vault = without_scheme(text);
	const char *item = strchr(vault, '/');
	const char *field = item != NULL ? strchr(item + 1, '/') : NULL;

	if (item == NULL || item == vault || item[1] == '\0') {
		return error_set(err, ERROR_MANIFEST,
			"1Password: '%s' is not VAULT/ITEM[/SECTION][/FIELD]", text);
	}
	r->vault = xstrndup(vault, (size_t)(item - vault));
	r->item =
		field != NULL ? xstrndup(item + 1, (size_t)(field - item - 1)) : xstrdup(item + 1);
	r->field = xstrdup(field != NULL ? field + 1 : "password");
	for (char *p = r->field; *p != '\0'; p++) {
		*p = *p == '/' ? '.' : *p;
	}
	return 0;
}

/* One call for each item. */
static int fetch_items(struct fetching *f, const struct reference *refs, struct error *err)
{
	for (size_t i = 0; i < f->names.len; i++) {
		CLEANUP_STR struct str labels = STR_INIT(STR_MAX_LINE);
		bool done = false;
		for (size_t k = 0; k < f->names.len; k++) {
			if (!str_eq(refs[k].vault, refs[i].vault) ||
				!str_eq(refs[k].item, refs[i].item)) {
				continue;
			}
			done = done || k < i;
			str_addf(&labels, "%slabel=%s", labels.len > 0 ? "," : "", refs[k].field);
		}
		if (!done && get_item(f, refs[i].vault, refs[i].item, str_c(&labels), err) < 0) {
			return -1;
		}
	}
	return 0;
}

static int fetch_all(struct fetching *f, struct error *err)
{
	struct reference r = {0};
	int rc = split(f->req->from, &r, err);

	if (rc == 0) {
		rc = get_item(f, r.vault, r.item, NULL, err);
	}
	reference_fini(&r);
	return rc;
}

static int fetch(struct fetching *f, struct error *err)
{
	int rc = 0;

	if (f->names.len == 0) {
		return fetch_all(f, err);
	}
	struct reference *refs = xcalloc(f->names.len, sizeof(*refs));
	VEC_FOREACH (&f->names, i) {
		rc = rc < 0 ? -1 : split(f->names.p[i], &refs[i], err);
	}
	if (rc == 0) {
		rc = fetch_items(f, refs, err);
	}
	VEC_FOREACH (&f->names, i) {
		reference_fini(&refs[i]);
	}
	free(refs);
	return rc;
}

const struct adapter adapter_onepassword_ = {
	.name = "1password",
	.other = "one_password",
	.program = "op",
	.title = "1Password",
	.joined = true,
	.all = true,
	.login = login,
	.fetch = fetch,
};
