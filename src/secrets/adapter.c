/* SPDX-License-Identifier: MIT */
#include "adapter.h"

#include "util/proc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CALL_TIMEOUT_MS 300000 /* somebody may have to touch a key */

static const struct adapter *const adapters[] = {
	&adapter_onepassword_,
	&adapter_bitwarden_,
	&adapter_bitwarden_sm_,
	&adapter_lastpass_,
	&adapter_enpass_,
	&adapter_passbolt_,
	&adapter_pass_,
	&adapter_sops_,
	&adapter_aws_,
	&adapter_gcp_,
	&adapter_vault_,
	&adapter_doppler_,
};
#define ADAPTERS (sizeof(adapters) / sizeof(adapters[0]))

const char *adapter_name(size_t i)
{
	return i < ADAPTERS ? adapters[i]->name : NULL;
}

static const struct adapter *find(const char *name, struct error *err)
{
	CLEANUP_STR struct str names = STR_INIT(400);

	for (size_t i = 0; i < ADAPTERS; i++) {
		const struct adapter *a = adapters[i];
		if (str_eq(a->name, name) || (a->other != NULL && str_eq(a->other, name))) {
			return a;
		}
		str_addf(&names, "%s%s", i > 0 ? ", " : "", a->name);
	}
	error_set(err, ERROR_MANIFEST, "there is no adapter '%.40s'", name);
	error_hint(err, "one of: %s", str_c(&names));
	return NULL;
}

/* -- What the adapters use -- */

const char *const *adapter_argv_(struct strvec *args)
{
	vec_push(args, NULL);
	return (const char *const *)args->p;
}

static int run(struct fetching *f, const char *const *argv, bool asks, struct str *out, int *status,
	struct error *err)
{
	CLEANUP_STR struct str errout = STR_INIT(STR_MAX_LINE);
	struct proc_result result = {0};
	struct proc_request req = {
		.argv = argv,
		.dir = f->req->dir,
		.timeout_ms = CALL_TIMEOUT_MS,
		.terminal = true,
		.inherit = asks,
	};
	vec_push(&f->env, NULL);
	req.env = (const char *const *)f->env.p;
	int rc = proc_run(&req, out, &errout, &result, err);
	f->env.len--;
	if (rc < 0) {
		if (err->sys == ENOENT) {
			error_set(err, ERROR_MANIFEST, "%s: the program '%s' is not installed",
				f->adapter->title, argv[0]);
		}
		return -1;
	}
	if (status != NULL) {
		*status = result.status;
	}
	if (result.timed_out || out->overflow || (result.status != 0 && status == NULL)) {
		error_set(err, ERROR_MANIFEST, "%s: '%s %s' %s", f->adapter->title, argv[0],
			argv[1] != NULL ? argv[1] : "",
			result.timed_out ? "did not end in time"
			: out->overflow  ? "printed too much"
					 : "failed");
		err->status = result.status;
		return error_detail(err, str_c(&errout), errout.len);
	}
	return 0;
}

int adapter_call_(struct fetching *f, const char *const *argv, struct str *out, int *status,
	struct error *err)
{
	return run(f, argv, false, out, status, err);
}

int adapter_ask_(struct fetching *f, const char *const *argv, struct str *out, struct error *err)
{
	return run(f, argv, true, out, NULL, err);
}

json_t *adapter_parse_(const struct fetching *f, const struct str *text, struct error *err)
{
	json_error_t where;
	json_t *j = json_loadb(str_c(text), text->len, JSON_DECODE_ANY, &where);

	if (j == NULL) {
		error_set(err, ERROR_MANIFEST, "%s: '%s' did not print JSON (line %d, column %d)",
			f->adapter->title, f->adapter->program, where.line, where.column);
	}
	return j;
}

json_t *adapter_json_(struct fetching *f, const char *const *argv, struct error *err)
{
	CLEANUP_STR struct str out = ADAPTER_OUTPUT;

	return adapter_call_(f, argv, &out, NULL, err) < 0 ? NULL : adapter_parse_(f, &out, err);
}

static void wipe(json_t *j)
{
	const char *key;
	json_t *value;
	size_t i;

	if (json_is_string(j)) {
		char *text = NULL;
		const char *held = json_string_value(j);
		memcpy(&text, &held, sizeof(text)); /* ours to zero: nobody else has this tree */
		explicit_bzero(text, json_string_length(j));
	}
	json_object_foreach(j, key, value)
	{
		wipe(value);
	}
	json_array_foreach(j, i, value)
	{
		wipe(value);
	}
}

void adapter_json_free_(json_t **j)
{
	wipe(*j);
	json_decref(*j);
}

void adapter_give_(struct fetching *f, const char *key, const char *value, size_t len)
{
	secret_map_set(f->out, key, secret_new(value, len));
}

void adapter_give_json_(struct fetching *f, const char *key, const json_t *value)
{
	if (json_is_string(value)) {
		adapter_give_(f, key, json_string_value(value), json_string_length(value));
	} else if (value != NULL && !json_is_null(value)) {
		char *text = json_text(value);
		adapter_give_(f, key, text, strlen(text));
		explicit_bzero(text, strlen(text));
		free(text);
	}
}

int adapter_missing_(const struct fetching *f, const char *name, struct error *err)
{
	return error_set(err, ERROR_MANIFEST, "%s has no '%s'", f->adapter->title, name);
}

/* -- The call -- */

/* A name that would be an option of the program. */
static int refuse_option(const char *what, const char *text, struct error *err)
{
	if (text != NULL && (text[0] == '-' || strstr(text, "/-") != NULL)) {
		return error_set(err, ERROR_MANIFEST, "%s '%s' begins with '-'", what, text);
	}
	return 0;
}

static int check(const struct adapter *a, const struct adapter_request *req, struct error *err)
{
	if (a->needs_account && req->account == NULL) {
		return error_set(err, ERROR_MANIFEST, "adapter '%s' needs --account", a->name);
	}
	if (a->needs_from && req->from == NULL) {
		return error_set(err, ERROR_MANIFEST, "adapter '%s' needs --from", a->name);
	}
	if (req->n == 0 && (!a->all || req->from == NULL)) {
		return error_set(err, ERROR_MANIFEST, "adapter '%s': which secrets?", a->name);
	}
	if (refuse_option("--account", req->account, err) < 0 ||
		refuse_option("--from", req->from, err) < 0) {
		return -1;
	}
	for (size_t i = 0; i < req->n; i++) {
		if (req->names[i][0] == '\0') {
			return error_set(err, ERROR_MANIFEST, "a secret's name is empty");
		}
		if (refuse_option("secret", req->names[i], err) < 0) {
			return -1;
		}
	}
	return 0;
}

int adapter_fetch(const struct adapter_request *req, struct secret_map *out, struct error *err)
{
	const struct adapter *a = find(req->adapter, err);
	struct fetching f = {.adapter = a, .req = req, .out = out};

	if (a == NULL || check(a, req, err) < 0) {
		return -1;
	}
	for (size_t i = 0; i < req->n; i++) {
		bool joined = a->joined && req->from != NULL;
		strvec_pushf(&f.names, "%s%s%s", joined ? req->from : "", joined ? "/" : "",
			req->names[i]);
	}
	int rc = a->login != NULL ? a->login(&f, err) : 0;
	if (rc == 0) {
		rc = a->fetch(&f, err);
	}
	VEC_FOREACH (&f.env, i) {
		explicit_bzero(f.env.p[i], strlen(f.env.p[i]));
	}
	strvec_fini(&f.env);
	strvec_fini(&f.names);
	return rc;
}
