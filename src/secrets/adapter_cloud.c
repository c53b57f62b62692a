/* SPDX-License-Identifier: MIT */
/* Secret managers of clouds: aws, gcloud, doppler. */
#include "adapter.h"

#include "util/digest.h"

#include <stdlib.h>
#include <string.h>

/* -- AWS Secrets Manager -- */

#define AWS_BATCH 20 /* most ids that BatchGetSecretValue takes */

/* A secret whose value is a JSON object gives "NAME/KEY" for each of its keys. */
static void aws_give(struct fetching *f, const json_t *secret)
{
	const char *name = json_str_at(secret, "Name", "");
	const json_t *text = json_object_get(secret, "SecretString");
	CLEANUP_SECRET_JSON json_t *object =
		json_is_string(text)
			? json_loadb(json_string_value(text), json_string_length(text), 0, NULL)
			: NULL;
	const char *key;
	json_t *value;

	if (!json_is_object(object)) {
		adapter_give_json_(f, name, text);
	}
	json_object_foreach(object, key, value)
	{
		CLEANUP_FREE char *path = xasprintf("%s/%s", name, key);
		adapter_give_json_(f, path, value);
	}
}

static int aws_batch(struct fetching *f, size_t first, size_t n, struct error *err)
{
	CLEANUP_STRVEC struct strvec args = {0};
	const char *const fixed[] = {
		"aws", "secretsmanager", "batch-get-secret-value", "--secret-id-list"};
	json_t *item;
	size_t i;

	for (i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		strvec_push(&args, fixed[i]);
	}
	for (i = 0; i < n; i++) {
		strvec_push(&args, f->names.p[first + i]);
	}
	if (f->req->account != NULL) {
		strvec_push(&args, "--profile");
		strvec_push(&args, f->req->account);
	}
	strvec_push(&args, "--output");
	strvec_push(&args, "json");
	CLEANUP_SECRET_JSON json_t *answer = adapter_json_(f, adapter_argv_(&args), err);
	if (answer == NULL) {
		return -1;
	}
	const json_t *wrong = json_array_get(json_object_get(answer, "Errors"), 0);
	if (wrong != NULL) {
		return error_set(err, ERROR_MANIFEST, "AWS Secrets Manager: '%s': %s",
			json_str_at(wrong, "SecretId", "?"), json_str_at(wrong, "Message", "?"));
	}
	json_array_foreach(json_object_get(answer, "SecretValues"), i, item)
	{
		aws_give(f, item);
	}
	return 0;
}

static int aws_fetch(struct fetching *f, struct error *err)
{
	for (size_t i = 0; i < f->names.len; i += AWS_BATCH) {
		size_t left = f->names.len - i;
		if (aws_batch(f, i, left < AWS_BATCH ? left : AWS_BATCH, err) < 0) {
			return -1;
		}
	}
	return 0;
}

const struct adapter adapter_aws_ = {
	.name = "aws_secrets_manager",
	.other = "aws",
	.program = "aws",
	.title = "AWS Secrets Manager",
	.joined = true,
	.fetch = aws_fetch,
};

/* -- Google Cloud Secret Manager -- */

static int gcp_logged_in(struct fetching *f, bool *yes, struct error *err)
{
	CLEANUP_SECRET_JSON json_t *accounts =
		adapter_json_(f, ADAPTER_ARGV(f, "auth", "list", "--format=json"), err);

	*yes = json_array_size(accounts) > 0;
	return accounts != NULL ? 0 : -1;
}

static int gcp_login(struct fetching *f, struct error *err)
{
	CLEANUP_STR struct str out = ADAPTER_OUTPUT;
	bool yes = false;

	if (gcp_logged_in(f, &yes, err) < 0) {
		return -1;
	}
	if (!yes && (adapter_ask_(f, ADAPTER_ARGV(f, "auth", "login"), &out, err) < 0 ||
			    gcp_logged_in(f, &yes, err) < 0)) {
		return -1;
	}
	return yes ? 0 : error_set(err, ERROR_MANIFEST, "gcloud has no account logged in");
}

/* --account is USER, or USER|SERVICE_ACCOUNT[,...] to impersonate; USER may be "default". */
static void gcp_account(const struct fetching *f, struct strvec *args)
{
	const char *account = f->req->account != NULL ? f->req->account : "default";
	const char *bar = strchr(account, '|');
	CLEANUP_FREE char *user =
		xstrndup(account, bar != NULL ? (size_t)(bar - account) : strlen(account));

	if (!str_eq(user, "default")) {
		strvec_pushf(args, "--account=%s", user);
	}
	if (bar != NULL) {
		strvec_pushf(args, "--impersonate-service-account=%s", bar + 1);
	}
}

/* gcloud prints the URL-safe alphabet of base64 (RFC 4648, 5). */
static unsigned char *decode(const char *data, size_t *len)
{
	CLEANUP_FREE char *text = xstrdup(data);

	for (char *p = text; *p != '\0'; p++) {
		*p = *p == '-' ? '+' : *p == '_' ? '/' : *p;
	}
	unsigned char *bytes = digest_unbase64(text, len);
	explicit_bzero(text, strlen(text));
	return bytes;
}

/* NAME, PROJECT/NAME or PROJECT/NAME/VERSION; the result is "PROJECT/NAME". */
static int gcp_one(struct fetching *f, const char *wanted, struct error *err)
{
	CLEANUP_STRVEC struct strvec args = {0};
	const char *slash = strchr(wanted, '/');
	const char *name = slash != NULL ? slash + 1 : wanted;
	size_t name_len = strcspn(name, "/");
	const char *version = name[name_len] == '/' ? name + name_len + 1 : "latest";
	CLEANUP_FREE char *project =
		slash != NULL ? xstrndup(wanted, (size_t)(slash - wanted)) : xstrdup("default");
	CLEANUP_FREE char *key = xasprintf("%s/%.*s", project, (int)name_len, name);
	const char *const fixed[] = {"gcloud", "secrets", "versions", "access", version};

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		strvec_push(&args, fixed[i]);
	}
	strvec_pushf(&args, "--secret=%.*s", (int)name_len, name);
	if (!str_eq(project, "default")) {
		strvec_pushf(&args, "--project=%s", project);
	}
	gcp_account(f, &args);
	strvec_push(&args, "--format=json");
	CLEANUP_SECRET_JSON json_t *answer = adapter_json_(f, adapter_argv_(&args), err);
	if (answer == NULL) {
		return error_wrap(err, "secret '%s'", key);
	}
	size_t len = 0;
	unsigned char *bytes = decode(json_str_at(answer, "payload.data", ""), &len);
	if (bytes == NULL) {
		return error_set(err, ERROR_MANIFEST, "gcloud: secret '%s' is not base64", key);
	}
	adapter_give_(f, key, (const char *)bytes, len);
	explicit_bzero(bytes, len);
	free(bytes);
	return 0;
}

static int gcp_fetch(struct fetching *f, struct error *err)
{
	VEC_FOREACH (&f->names, i) {
		if (gcp_one(f, f->names.p[i], err) < 0) {
			return -1;
		}
	}
	return 0;
}

const struct adapter adapter_gcp_ = {
	.name = "gcp",
	.other = "gcp_secret_manager",
	.program = "gcloud",
	.title = "Google Cloud Secret Manager",
	.joined = true,
	.login = gcp_login,
	.fetch = gcp_fetch,
};

/* -- Doppler -- */

static int doppler_login(struct fetching *f, struct error *err)
{
	CLEANUP_STR struct str out = ADAPTER_OUTPUT;
	int status = 0;

	if (adapter_call_(f, ADAPTER_ARGV(f, "me", "--json"), &out, &status, err) < 0) {
		return -1;
	}
	str_reset(&out);
	return status == 0 ? 0 : adapter_ask_(f, ADAPTER_ARGV(f, "login", "-y"), &out, err);
}

/* A service token says which project and configuration; else PROJECT/CONFIG is in front. */
static int doppler_scope(const struct fetching *f, struct strvec *args, struct error *err)
{
	const char *token = getenv("DOPPLER_TOKEN");
	const char *first = f->names.p[0];
	const char *config = strchr(first, '/');
	const char *rest = config != NULL ? strchr(config + 1, '/') : NULL;

	if (token != NULL && strncmp(token, "dp.st", 5) == 0) {
		return 0;
	}
	if (rest == NULL) {
		return error_set(err, ERROR_MANIFEST, "Doppler: --from PROJECT/CONFIG is missing");
	}
	strvec_push(args, "-p");
	strvec_pushf(args, "%.*s", (int)(config - first), first);
	strvec_push(args, "-c");
	strvec_pushf(args, "%.*s", (int)(rest - config - 1), config + 1);
	return 0;
}

static int doppler_fetch(struct fetching *f, struct error *err)
{
	CLEANUP_STRVEC struct strvec args = {0};
	const char *key;
	json_t *value;

	strvec_push(&args, "doppler");
	strvec_push(&args, "secrets");
	strvec_push(&args, "get");
	VEC_FOREACH (&f->names, i) {
		const char *slash = strrchr(f->names.p[i], '/');
		strvec_push(&args, slash != NULL ? slash + 1 : f->names.p[i]);
	}
	strvec_push(&args, "--json");
	if (doppler_scope(f, &args, err) < 0) {
		return -1;
	}
	CLEANUP_SECRET_JSON json_t *answer = adapter_json_(f, adapter_argv_(&args), err);
	json_object_foreach(answer, key, value)
	{
		adapter_give_json_(f, key, json_object_get(value, "computed"));
	}
	return answer != NULL ? 0 : -1;
}

const struct adapter adapter_doppler_ = {
	.name = "doppler",
	.program = "doppler",
	.title = "Doppler",
	.joined = true,
	.login = doppler_login,
	.fetch = doppler_fetch,
};
