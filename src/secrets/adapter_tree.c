/* SPDX-License-Identifier: MIT */
/* Stores of JSON trees: sops (a file) and HashiCorp Vault (a path of its KV engine). */
#include "adapter.h"

#include <string.h>

/* The leaf at a path of keys between slashes, or NULL. */
static const json_t *leaf(const json_t *tree, const char *path)
{
	while (tree != NULL && *path != '\0') {
		size_t n = strcspn(path, "/");
		CLEANUP_FREE char *key = xstrndup(path, n);
		tree = json_object_get(tree, key);
		path += n + (path[n] == '/');
	}
	return tree;
}

static void give_all(struct fetching *f, const char *prefix, json_t *tree)
{
	const char *key;
	json_t *value;

	json_object_foreach(tree, key, value)
	{
		CLEANUP_FREE char *path =
			xasprintf("%s%s%s", prefix, *prefix != '\0' ? "/" : "", key);
		if (json_is_object(value)) {
			give_all(f, path, value);
		} else {
			adapter_give_json_(f, path, value);
		}
	}
}

static int sops_fetch(struct fetching *f, struct error *err)
{
	CLEANUP_SECRET_JSON json_t *tree = adapter_json_(
		f, ADAPTER_ARGV(f, "--decrypt", "--output-type", "json", f->req->from), err);

	if (tree == NULL) {
		return error_wrap(err, "file '%s'", f->req->from);
	}
	if (f->names.len == 0) {
		give_all(f, "", tree);
	}
	VEC_FOREACH (&f->names, i) {
		const json_t *value = leaf(tree, f->names.p[i]);
		if (value == NULL || json_is_null(value)) {
			return adapter_missing_(f, f->names.p[i], err);
		}
		adapter_give_json_(f, f->names.p[i], value);
	}
	return 0;
}

const struct adapter adapter_sops_ = {
	.name = "sops",
	.program = "sops",
	.title = "SOPS",
	.needs_from = true,
	.all = true,
	.fetch = sops_fetch,
};

/* -- Vault: names are MOUNT/PATH/FIELD; its address and token are in the environment -- */

static size_t path_len(const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash != NULL ? (size_t)(slash - name) : 0;
}

static json_t *vault_get(struct fetching *f, const char *path, struct error *err)
{
	json_t *answer = adapter_json_(f, ADAPTER_ARGV(f, "kv", "get", "-format=json", path), err);

	if (answer == NULL) {
		(void)error_wrap(err, "path '%s'", path);
	}
	return answer;
}

/* Version 2 of the engine puts the fields one level deeper, beside their metadata. */
static json_t *fields_of(const json_t *answer)
{
	json_t *data = json_object_get(answer, "data");
	json_t *inner = json_object_get(data, "data");

	return json_is_object(inner) && json_is_object(json_object_get(data, "metadata")) ? inner
											  : data;
}

/* All fields asked for at the path of name `first`: one call. */
static int vault_path(struct fetching *f, size_t first, struct error *err)
{
	size_t len = path_len(f->names.p[first]);
	CLEANUP_FREE char *path = xstrndup(f->names.p[first], len);

	if (len == 0) {
		return error_set(err, ERROR_MANIFEST, "Vault: '%s' is not MOUNT/PATH/FIELD",
			f->names.p[first]);
	}
	CLEANUP_SECRET_JSON json_t *answer = vault_get(f, path, err);
	if (answer == NULL) {
		return -1;
	}
	for (size_t i = first; i < f->names.len; i++) {
		const char *name = f->names.p[i];
		if (path_len(name) != len || strncmp(name, path, len) != 0) {
			continue;
		}
		const json_t *value = json_object_get(fields_of(answer), name + len + 1);
		if (value == NULL || json_is_null(value)) {
			return adapter_missing_(f, name, err);
		}
		adapter_give_json_(f, name, value);
	}
	return 0;
}

static int vault_fetch(struct fetching *f, struct error *err)
{
	if (f->names.len == 0) {
		CLEANUP_SECRET_JSON json_t *answer = vault_get(f, f->req->from, err);
		if (answer == NULL) {
			return -1;
		}
		give_all(f, f->req->from, fields_of(answer));
		return 0;
	}
	VEC_FOREACH (&f->names, i) {
		bool done = false;
		for (size_t k = 0; k < i; k++) {
			size_t len = path_len(f->names.p[i]);
			done = done || (path_len(f->names.p[k]) == len &&
					       strncmp(f->names.p[k], f->names.p[i], len) == 0);
		}
		if (!done && vault_path(f, i, err) < 0) {
			return -1;
		}
	}
	return 0;
}

const struct adapter adapter_vault_ = {
	.name = "vault",
	.program = "vault",
	.title = "Vault",
	.joined = true,
	.all = true,
	.fetch = vault_fetch,
};
