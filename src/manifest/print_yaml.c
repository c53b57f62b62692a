/* SPDX-License-Identifier: MIT */
/* JSON as YAML that config_load() reads back to the same. */
#include "internal.h"

#include "print.h"

#include "manifest/syntax.h"

#include <stdlib.h>
#include <string.h>

#define YAML_MAX ((size_t)16 << 20)

/* Without quotes only what no YAML reader takes for anything but a text. */
static bool is_plain(const char *s)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	static const char more[] = "0123456789_./@-";

	if (*s == '\0' || (strchr(letters, *s) == NULL && *s != '/') || syntax_bool(s) >= 0 ||
		strcasecmp(s, "null") == 0) {
		return false;
	}
	for (const char *p = s; *p != '\0'; p++) {
		if (strchr(letters, *p) == NULL && strchr(more, *p) == NULL) {
			return false;
		}
	}
	return true;
}

/* `variables`: the text has such on purpose. Else dollars in front of a brace are doubled: see
 * manifest/expand.h. */
static const char *add_dollars(const char *p, bool variables, struct str *out)
{
	size_t n = strspn(p, "$");

	for (size_t i = 0; i < (p[n] == '{' && !variables ? 2 * n : n); i++) {
		str_addc(out, '$');
	}
	return p + n;
}

static void add_text(const char *s, bool variables, struct str *out)
{
	if (is_plain(s)) {
		str_add(out, s);
		return;
	}
	str_addc(out, '"');
	for (const char *p = s; *p != '\0';) {
		unsigned char c = (unsigned char)*p;

		if (c == '$') {
			p = add_dollars(p, variables, out);
			continue;
		}
		if (c == '"' || c == '\\') {
			str_addf(out, "\\%c", c);
		} else if (c == '\n') {
			str_add(out, "\\n");
		} else if (c == '\t') {
			str_add(out, "\\t");
		} else if (c < 0x20 || c == 0x7F || (c == '<' && p[1] == '%')) {
			str_addf(out, "\\x%02x", c);
		} else if (c == 0xC2 && (unsigned char)p[1] < 0xA0) { /* C1 control characters */
			str_addf(out, "\\x%02x", (unsigned char)p[1]);
			p++;
		} else {
			str_addc(out, (char)c);
		}
		p++;
	}
	str_addc(out, '"');
}

static void add_scalar(const json_t *v, bool variables, struct str *out)
{
	if (json_is_string(v)) {
		add_text(json_string_value(v), variables, out);
	} else if (json_is_integer(v)) {
		str_addf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
	} else {
		str_add(out, json_is_true(v) ? "true" : "false");
	}
}

static void add_map(const json_t *map, int indent, bool in_item, bool variables, struct str *out);

/* The items of a list; a map's first entry stands behind its dash. */
static void add_list(const json_t *list, int indent, bool variables, struct str *out)
{
	str_add(out, json_array_size(list) == 0 ? " []\n" : "\n");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *item = json_array_get(list, i);

		str_addf(out, "%*s- ", indent, "");
		if (json_is_object(item)) {
			add_map(item, indent + 2, true, variables, out);
		} else {
			add_scalar(item, variables, out);
			str_addc(out, '\n');
		}
	}
}

/* A map's entries at `indent`; in an item the first one's indent is written already. */
static void add_map(const json_t *map, int indent, bool in_item, bool variables, struct str *out)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)map, key, v)
	{
		str_addf(out, "%*s", in_item ? 0 : indent, "");
		in_item = false;
		add_text(key, false, out);
		str_addc(out, ':');
		if (json_is_object(v)) {
			str_addc(out, '\n');
			add_map(v, indent + 2, false, variables, out);
		} else if (json_is_array(v)) {
			add_list(v, indent + 2, variables, out);
		} else {
			str_addc(out, ' ');
			add_scalar(v, variables, out);
			str_addc(out, '\n');
		}
	}
}

void print_yaml(const json_t *map, bool variables, struct str *out)
{
	add_map(map, 0, false, variables, out);
}

char *config_to_yaml(const struct config *c)
{
	struct str out = STR_INIT(YAML_MAX);
	json_t *o = config_to_json(c);

	print_yaml(o, false, &out);
	json_decref(o);
	return str_take(&out);
}
