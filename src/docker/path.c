/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include <string.h>

void docker_path(struct str *out, const char *prefix, const char *name, const char *suffix)
{
	str_add(out, prefix);
	http_escape(out, name, true);
	str_add(out, suffix);
}

void docker_query(struct str *out, const char *key, const char *value)
{
	str_addc(out, strchr(str_c(out), '?') ? '&' : '?');
	str_add(out, key);
	str_addc(out, '=');
	http_escape(out, value, false);
}

void docker_query_int(struct str *out, const char *key, int64_t value)
{
	char text[24];
	snprintf(text, sizeof(text), "%lld", (long long)value);
	docker_query(out, key, text);
}

void docker_query_filters(struct str *out, const struct docker_filters *filters)
{
	if (!filters || filters->len == 0) {
		return;
	}
	CLEANUP_JSON json_t *j = json_object();
	VEC_FOREACH (filters, i) {
		const struct docker_filter *f = &filters->p[i];
		json_t *values = json_object_get(j, f->key);
		if (!values) {
			values = json_array();
			json_object_set_new(j, f->key, values);
		}
		json_array_append_new(values, json_string(f->value));
	}
	CLEANUP_FREE char *text = json_text(j);
	docker_query(out, "filters", text);
}
