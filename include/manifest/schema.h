/* SPDX-License-Identifier: MIT */
/*
 * The manifest's schema: one const table that validation, the JSON schema
 * (deploy/schema/deploy.schema.json), the manual's test and "did you mean" read.
 *
 * A value may be a scalar, a list or a map, as far as the schema names a form for it.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum schema_scalar {
	SCHEMA_NO_SCALAR,
	SCHEMA_TEXT, /* judged by `format` or `words` */
	SCHEMA_BOOL,
	SCHEMA_INT,          /* min..max */
	SCHEMA_DURATION,     /* min..max, ms */
	SCHEMA_SIZE,         /* min..max, bytes */
	SCHEMA_VALUE,        /* any text, also an empty one: environment, labels */
	SCHEMA_BOOL_OR_TEXT, /* true, false, or a text judged by `format` */
};

struct schema_format {
	const char *what;                    /* "a host: [user@]name[:port]" */
	const char *(*check)(const char *s); /* see manifest/syntax.h */
	const char *pattern;                 /* for the JSON schema, or NULL */
};

/* Forms with rules of their own. */
enum schema_special {
	SCHEMA_PLAIN,
	SCHEMA_ENV,     /* clear/secret/tags, or names directly */
	SCHEMA_OPTIONS, /* options of docker run */
	SCHEMA_HOST,    /* a host, or {host: tags} */
	SCHEMA_ANY,     /* of a later issue: only that it is there is looked at */
};

struct schema_key;

struct schema {
	enum schema_scalar scalar;
	enum schema_special special;
	bool commas; /* a scalar is a list with commas */
	bool unique; /* no two equal entries in a list */
	bool single; /* a list is the name of one secret */
	const struct schema_format *format;
	const char *const *words; /* NULL-terminated */
	int64_t min, max;
	const struct schema *items;        /* a list of these */
	const struct schema_key *keys;     /* a map with these keys */
	const struct schema *values;       /* a map with free keys */
	const struct schema_format *names; /* of the free keys */
};

struct schema_key {
	const char *name; /* NULL ends the table */
	const struct schema *value;
	const char *fallback; /* default as the manual says it, or NULL */
	const char *doc;
	bool required;
	const char *never;   /* refused for good: why, and... */
	const char *instead; /* ...what to use */
};

extern const struct schema schema_root;
extern const struct schema schema_tags; /* of a host in SCHEMA_HOST */
extern const struct schema schema_env;  /* what SCHEMA_ENV means */

/* The table as JSON Schema (draft 2020-12). */
json_t *schema_to_json(void);
