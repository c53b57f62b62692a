/* SPDX-License-Identifier: MIT */
/* What a fetch gave, as JSON, and back. */
#include "adapter.h"

#include <stdlib.h>
#include <string.h>

static void quote(const char *text, size_t len, struct str *out)
{
	static const char special[] = "\"\\\n\t\r\b\f", letter[] = "\"\\ntrbf";

	str_addc(out, '"');
	for (size_t i = 0; i < len; i++) {
		const char *known = text[i] != '\0' ? strchr(special, text[i]) : NULL;
		if (known != NULL) {
			str_addc(out, '\\');
			str_addc(out, letter[known - special]);
		} else if ((unsigned char)text[i] < ' ') {
			str_addf(out, "\\u%04x", (unsigned char)text[i]);
		} else {
			str_addc(out, text[i]);
		}
	}
	str_addc(out, '"');
}

int secrets_to_json(const struct secret_map *map, struct str *out, struct error *err)
{
	str_addc(out, '{');
	for (size_t i = 0; i < map->len; i++) {
		const struct secret *value = map->p[i].value;
		json_t *text = json_stringn(secret_reveal(value), secret_len(value));
		if (text == NULL) {
			return error_set(err, ERROR_MANIFEST,
				"the value of '%s' is not UTF-8, which JSON cannot carry",
				map->p[i].name);
		}
		json_decref(text);
		str_add(out, i > 0 ? "," : "");
		quote(map->p[i].name, strlen(map->p[i].name), out);
		str_addc(out, ':');
		quote(secret_reveal(value), secret_len(value), out);
	}
	str_addc(out, '}');
	return out->overflow ? error_set(err, ERROR_MANIFEST, "the secrets are too large") : 0;
}

void secrets_shell_escape(const char *text, size_t len, struct str *out)
{
	static const char plain[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.,:+/@";

	for (size_t i = 0; i < len; i++) {
		bool continuation = ((unsigned char)text[i] & 0xc0) == 0x80;
		if (text[i] == '\n') {
			str_add(out, "'\n'");
			continue;
		}
		if (!continuation && strchr(plain, text[i]) == NULL) {
			str_addc(out, '\\');
		}
		str_addc(out, text[i]);
	}
}

/* Takes away one level of backslashes. */
static void unescape(const char *text, size_t len, struct str *out)
{
	for (size_t i = 0; i < len; i++) {
		i += text[i] == '\\' && i + 1 < len;
		str_addc(out, text[i]);
	}
}

static const json_t *find(const json_t *object, const char *name)
{
	CLEANUP_FREE char *suffix = xasprintf("/%s", name);
	const json_t *exact = json_object_get(object, name);
	json_t *copy;
	memcpy(&copy, &object, sizeof(copy)); /* jansson's iteration wants no const; reads only */

	if (exact != NULL && !json_is_null(exact)) {
		return exact;
	}
	for (void *it = json_object_iter(copy); it != NULL; it = json_object_iter_next(copy, it)) {
		if (str_ends(json_object_iter_key(it), suffix) &&
			!json_is_null(json_object_iter_value(it))) {
			return json_object_iter_value(it);
		}
	}
	return NULL;
}

static struct secret *value_of(const json_t *value)
{
	if (json_is_string(value)) {
		return secret_new(json_string_value(value), json_string_length(value));
	}
	char *text = json_text(value);
	struct secret *secret = secret_new(text, strlen(text));
	explicit_bzero(text, strlen(text));
	free(text);
	return secret;
}

struct secret *secrets_extract(const char *name, const char *json, size_t len, struct error *err)
{
	CLEANUP_STR struct str plain = STR_SECRET_INIT(STR_MAX_FILE);

	while (len > 0 && strchr(" \t\r\n", *json) != NULL) {
		json++;
		len--;
	}
	if (len > 0 && *json == '\\') {
		unescape(json, len, &plain);
		json = str_c(&plain);
		len = plain.len;
	}
	/* jansson's own message would quote the text. */
	CLEANUP_SECRET_JSON json_t *object = json_loadb(json, len, 0, NULL);
	if (!json_is_object(object)) {
		error_set(err, ERROR_MANIFEST,
			"extract '%s': what was given is not the JSON object of a fetch", name);
		return NULL;
	}
	const json_t *value = find(object, name);
	if (value == NULL) {
		error_set(err, ERROR_MANIFEST, "extract '%s': the fetch did not give it", name);
		return NULL;
	}
	return value_of(value);
}
