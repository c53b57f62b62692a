/* SPDX-License-Identifier: MIT */
/* The schema table as JSON Schema, for editors. */
#include "manifest/options.h"
#include "manifest/schema.h"
#include "util/str.h"

#include <string.h>

#define SCHEMA_ID "https://json-schema.org/draft/2020-12/schema"
#define VARIABLE  "\\$\\{" /* a value with a variable in it is right for any text */

static json_t *value_json(const struct schema *s);

static json_t *scalar_json(const struct schema *s)
{
	switch (s->scalar) {
	case SCHEMA_BOOL:
		return json_pack("{s:[s,s]}", "type", "boolean", "string");
	case SCHEMA_INT:
		return json_pack("{s:[s,s], s:I, s:I}", "type", "integer", "string", "minimum",
			(json_int_t)s->min, "maximum", (json_int_t)s->max);
	case SCHEMA_DURATION:
		return json_pack("{s:[s,s], s:s}", "type", "number", "string", "pattern",
			"^[0-9][0-9_]*(\\.[0-9]+)?(ms|s|m|min|h|d)?$|" VARIABLE);
	case SCHEMA_SIZE:
		return json_pack("{s:[s,s], s:s}", "type", "number", "string", "pattern",
			"^[0-9][0-9_]*(\\.[0-9]+)?([bB]|[kKmMgGtT]([iI]?[bB])?)?$|" VARIABLE);
	case SCHEMA_VALUE:
		return json_pack("{s:[s,s,s]}", "type", "string", "number", "boolean");
	case SCHEMA_BOOL_OR_TEXT:
		return json_pack("{s:[s,s,s]}", "type", "boolean", "string", "number");
	case SCHEMA_NO_SCALAR:
	case SCHEMA_TEXT:
		break;
	}
	if (s->words != NULL) {
		json_t *words = json_array();

		for (size_t i = 0; s->words[i] != NULL; i++) {
			json_array_append_new(words, json_string(s->words[i]));
		}
		return json_pack("{s:[{s:o}, {s:s, s:s}]}", "anyOf", "enum", words, "type",
			"string", "pattern", VARIABLE);
	}
	json_t *o = json_pack("{s:[s,s]}", "type", "string", "number");

	if (s->format->pattern != NULL && !s->commas) {
		json_object_set_new(o, "pattern", json_sprintf("%s|" VARIABLE, s->format->pattern));
	}
	return o;
}

static void names_json(json_t *o, const struct schema *s)
{
	if (s->names != NULL && s->names->pattern != NULL) {
		json_object_set_new(
			o, "propertyNames", json_pack("{s:s}", "pattern", s->names->pattern));
	}
}

static json_t *options_json(void)
{
	json_t *properties = json_object();
	size_t n;
	const struct option_kind *table = option_table(&n);

	for (size_t i = 0; i < n; i++) {
		if (table[i].refused == NULL) {
			json_object_set_new(properties, table[i].name,
				table[i].list ? json_pack("{s:[s,s,s,s]}", "type", "array",
							"string", "number", "boolean")
					      : json_pack("{s:[s,s,s]}", "type", "string", "number",
							"boolean"));
		}
	}
	return json_pack("{s:s, s:o, s:b}", "type", "object", "properties", properties,
		"additionalProperties", 0);
}

static json_t *map_json(const struct schema *s, bool top)
{
	json_t *o = json_pack("{s:s}", "type", "object");
	json_t *properties = json_object();
	json_t *required = json_array();

	for (const struct schema_key *k = s->keys; k != NULL && k->name != NULL; k++) {
		json_t *v;

		if (k->never != NULL) {
			continue;
		}
		v = value_json(k->value);
		json_object_set_new(v, "description", json_string(k->doc));
		if (k->fallback != NULL) {
			json_object_set_new(v, "x-default", json_string(k->fallback));
		}
		json_object_set_new(properties, k->name, v);
		if (k->required && !top) {
			json_array_append_new(required, json_string(k->name));
		}
	}
	if (s->keys != NULL) {
		json_object_set(o, "properties", properties);
	}
	if (json_array_size(required) > 0) {
		json_object_set(o, "required", required);
	}
	json_decref(properties);
	json_decref(required);
	if (s->values != NULL) {
		json_object_set_new(o, "additionalProperties", value_json(s->values));
	} else {
		json_object_set_new(o, "additionalProperties", json_false());
	}
	if (s->keys == NULL) {
		names_json(o, s);
	}
	if (top) {
		json_object_set_new(o, "patternProperties", json_pack("{s:b}", "^x-", 1));
	}
	return o;
}

/* What is written the same in several places. */
static json_t *special_json(const struct schema *s)
{
	switch (s->special) {
	case SCHEMA_ENV:
		return json_pack("{s:s}", "$ref", "#/$defs/env");
	case SCHEMA_OPTIONS:
		return json_pack("{s:s}", "$ref", "#/$defs/options");
	case SCHEMA_HOST:
		return json_pack("{s:[{s:s, s:s}, {s:s, s:i, s:i}]}", "anyOf", "type", "string",
			"pattern", s->format->pattern, "type", "object", "minProperties", 1,
			"maxProperties", 1);
	case SCHEMA_ANY:
		return json_object();
	case SCHEMA_PLAIN:
		break;
	}
	return NULL;
}

static json_t *value_json(const struct schema *s)
{
	json_t *special = special_json(s);
	json_t *forms = json_array();

	if (special != NULL) {
		json_decref(forms);
		return special;
	}
	if (s->scalar != SCHEMA_NO_SCALAR) {
		json_array_append_new(forms, scalar_json(s));
	}
	if (s->items != NULL) {
		json_t *list =
			json_pack("{s:s, s:o}", "type", "array", "items", value_json(s->items));

		if (s->unique) {
			json_object_set_new(list, "uniqueItems", json_true());
		}
		if (s->single) {
			json_object_set_new(list, "minItems", json_integer(1));
			json_object_set_new(list, "maxItems", json_integer(1));
		}
		json_array_append_new(forms, list);
	}
	if (s->keys != NULL || s->values != NULL) {
		json_array_append_new(forms, map_json(s, false));
	}
	if (json_array_size(forms) == 1) {
		json_t *only = json_incref(json_array_get(forms, 0));

		json_decref(forms);
		return only;
	}
	return json_pack("{s:o}", "anyOf", forms);
}

json_t *schema_to_json(void)
{
	json_t *o = map_json(&schema_root, true);

	json_object_set_new(o, "$schema", json_string(SCHEMA_ID));
	json_object_set_new(o, "title", json_string("Manifest of deploy (deploy.yml)"));
	json_object_set_new(o, "$defs",
		json_pack("{s:o, s:o}", "env", map_json(&schema_env, false), "options",
			options_json()));
	return o;
}
