/* SPDX-License-Identifier: MIT */
/* A secrets file, with commands that are only written down. */
#include "secrets/dotenv.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Puts out what it was given, so that it can be compared. */
static int run(
	void *ctx, const char *command, const char *const *env, struct str *out, struct error *err)
{
	++*(size_t *)ctx;
	str_add(out, command);
	for (; *env != NULL; env++) {
		assert(strchr(*env, '=') != NULL);
		str_addf(out, "|%s", *env);
	}
	return out->overflow ? error_set(err, ERROR_MANIFEST, "too much") : 0;
}

static const char *variable(void *ctx, const char *name)
{
	return strlen(name) % 2 != 0 ? name : NULL;
}

/* No program is run: each name is its own value. */
static int fetch(
	void *ctx, const struct adapter_request *req, struct secret_map *out, struct error *err)
{
	++*(size_t *)ctx;
	for (size_t i = 0; i < req->n; i++) {
		secret_map_set(
			out, req->names[i], secret_new(req->names[i], strlen(req->names[i])));
	}
	return 0;
}

static struct dotenv *parse(const char *text, size_t len)
{
	struct dotenv *d = dotenv_new();
	struct error err = {0};

	if (dotenv_parse(d, "f", text, len, &err) < 0) {
		assert(err.kind == ERROR_MANIFEST && str_starts(err.text, "f:"));
		dotenv_free(d);
		return NULL;
	}
	return d;
}

static struct secret *resolve(struct dotenv *d, const char *name, size_t *runs)
{
	struct dotenv_source source = {
		.run = run, .variable = variable, .fetch = fetch, .ctx = runs};
	struct error err = {0};
	struct secret *s = dotenv_resolve(d, name, &source, &err);

	assert((s == NULL) == (err.kind != ERROR_NONE));
	assert(s == NULL || secret_len(s) <= DOTENV_MAX_VALUE);
	return s;
}

static bool same(const struct secret *a, const struct secret *b)
{
	return (a == NULL) == (b == NULL) &&
	       (a == NULL ||
		       (secret_len(a) == secret_len(b) &&
			       memcmp(secret_reveal(a), secret_reveal(b), secret_len(a)) == 0));
}

/* The value is the same whatever was resolved before, and a command runs once. */
static void check(struct dotenv *d, struct dotenv *fresh, const char *name)
{
	size_t first = 0, again = 0, other = 0;
	struct secret *a = resolve(d, name, &first);
	struct secret *b = resolve(d, name, &again);
	struct secret *c = resolve(fresh, name, &other);

	assert(same(a, b) && same(a, c));
	assert(a == NULL || again == 0);
	secret_unref(a);
	secret_unref(b);
	secret_unref(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dotenv *d = parse((const char *)data, size);
	const char *name;

	for (size_t i = 0; d != NULL && (name = dotenv_name(d, i)) != NULL; i++) {
		struct dotenv *fresh = parse((const char *)data, size);
		assert(fresh != NULL && dotenv_has(fresh, name) && *name != '\0');
		if (i < 8) {
			check(d, fresh, name);
		}
		dotenv_free(fresh);
	}
	dotenv_free(d);
	return 0;
}
