/* SPDX-License-Identifier: MIT */
#include "util/json.h"

#include "util/str.h"

#include <string.h>

json_t *json_parse(const char *text, size_t len, const char *what, struct error *err)
{
	json_error_t je;
	json_t *j = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &je);

	if (j == NULL) {
		error_set(err, ERROR_REMOTE, "%s: not valid JSON at line %d, column %d: %s", what,
			je.line, je.column, je.text);
	}
	return j;
}

const json_t *json_at(const json_t *j, const char *path)
{
	while (j != NULL && *path != '\0') {
		size_t n = strcspn(path, ".");
		char key[256];
		if (n >= sizeof(key)) {
			return NULL;
		}
		memcpy(key, path, n);
		key[n] = '\0';
		j = json_object_get(j, key);
		path += n + (path[n] == '.');
	}
	return j;
}

const char *json_str_at(const json_t *j, const char *path, const char *otherwise)
{
	const char *s = json_string_value(json_at(j, path));

	return s != NULL ? s : otherwise;
}

int64_t json_int_at(const json_t *j, const char *path, int64_t otherwise)
{
	const json_t *v = json_at(j, path);

	return json_is_integer(v) ? (int64_t)json_integer_value(v) : otherwise;
}

int json_bool_at(const json_t *j, const char *path, int otherwise)
{
	const json_t *v = json_at(j, path);

	return json_is_boolean(v) ? json_is_true(v) : otherwise;
}

char *json_text(const json_t *j)
{
	char *text = json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY | JSON_PRESERVE_ORDER);

	return text != NULL ? text : xstrdup("null");
}
