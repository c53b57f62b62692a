/* SPDX-License-Identifier: MIT */
/* Passbolt: go-passbolt-cli. Names are [FOLDER/...]NAME. */
#include "adapter.h"

#include <string.h>

static int login(struct fetching *f, struct error *err)
{
	CLEANUP_STR struct str out = ADAPTER_OUTPUT;

	return adapter_call_(f, ADAPTER_ARGV(f, "verify"), &out, NULL, err);
}

static const char *base_name(const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash != NULL ? slash + 1 : name;
}

/* The id of the folder whose path is the first `len` bytes of `path`; NULL: there is none. */
static const char *folder_id(const json_t *folders, const char *path, size_t len)
{
	const char *parent = "";
	size_t at = 0;

	while (at < len) {
		size_t n = strcspn(path + at, "/");
		const char *id = NULL;
		json_t *folder;
		size_t i;
		json_array_foreach(folders, i, folder)
		{
			const char *name = json_str_at(folder, "name", "");
			if (strlen(name) == n && strncmp(name, path + at, n) == 0 &&
				str_eq(json_str_at(folder, "folder_parent_id", ""), parent)) {
				id = json_str_at(folder, "id", NULL);
			}
		}
		if (id == NULL) {
			return NULL;
		}
		parent = id;
		at += n + 1;
	}
	return parent;
}

/* A string of the filter's language (CEL). */
static void quote(struct str *out, const char *text)
{
	str_addc(out, '"');
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\') {
			str_addc(out, '\\');
		}
		str_addc(out, *text);
	}
	str_addc(out, '"');
}

static int make_filter(struct fetching *f, struct str *filter, struct error *err)
{
	bool nested = false;

	VEC_FOREACH (&f->names, i) {
		nested = nested || strchr(f->names.p[i], '/') != NULL;
	}
	CLEANUP_SECRET_JSON json_t *folders =
		nested ? adapter_json_(f, ADAPTER_ARGV(f, "list", "folders", "--json"), err)
		       : json_array();
	if (folders == NULL) {
		return -1;
	}
	VEC_FOREACH (&f->names, i) {
		const char *name = f->names.p[i];
		const char *base = base_name(name);
		const char *id =
			folder_id(folders, name, base > name ? (size_t)(base - name - 1) : 0);
		if (id == NULL) {
			return error_set(err, ERROR_MANIFEST, "Passbolt has no folder '%.*s'",
				(int)(base - name - 1), name);
		}
		str_addf(filter, "%s(Name == ", i > 0 ? " || " : "");
		quote(filter, base);
		str_add(filter, " && FolderParentID == ");
		quote(filter, id);
		str_addc(filter, ')');
	}
	return 0;
}

static int fetch(struct fetching *f, struct error *err)
{
	CLEANUP_STR struct str filter = STR_INIT(STR_MAX_LINE);
	json_t *item;
	size_t i;

	if (make_filter(f, &filter, err) < 0) {
		return -1;
	}
	CLEANUP_SECRET_JSON json_t *answer = adapter_json_(f,
		ADAPTER_ARGV(f, "list", "resources", "--filter", str_c(&filter), "--column", "name",
			"--column", "password", "--json"),
		err);
	if (answer == NULL) {
		return -1;
	}
	json_array_foreach(answer, i, item)
	{
		const char *name = json_str_at(item, "name", NULL);
		if (name != NULL) {
			adapter_give_json_(f, name, json_object_get(item, "password"));
		}
	}
	VEC_FOREACH (&f->names, k) {
		if (secret_map_get(f->out, base_name(f->names.p[k])) == NULL) {
			return adapter_missing_(f, f->names.p[k], err);
		}
	}
	return 0;
}

const struct adapter adapter_passbolt_ = {
	.name = "passbolt",
	.program = "passbolt",
	.title = "Passbolt",
	.joined = true,
	.login = login,
	.fetch = fetch,
};
