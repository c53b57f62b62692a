/* SPDX-License-Identifier: MIT */
/* What the dotenv parser hands to the resolver. */
#pragma once

#include "secrets/adapter.h"
#include "secrets/dotenv.h"
#include "util/vec.h"

enum part_kind {
	PART_LITERAL,
	PART_VARIABLE, /* text is the name */
	PART_COMMAND,  /* text is the command */
};

/* A piece of a value; its text lies in dotenv.text, NUL-terminated. */
struct part {
	enum part_kind kind;
	unsigned line;
	size_t text;
	size_t len;
	size_t otherwise; /* of a variable: text of its default; 0 = none */
};
VEC_TYPE(part_vec, struct part);

struct entry {
	char *name;
	size_t prefix;    /* of the name: "<env file>:"; 0 = none */
	const char *file; /* borrowed from dotenv.files */
	unsigned line;
	struct part_vec parts;
	struct secret *value; /* once resolved */
};
VEC_TYPE(entry_vec, struct entry);

struct dotenv {
	struct entry_vec entries;
	struct strvec files;
	struct strvec names;
	const char *prefix; /* name of the env file that is being parsed, or NULL */
	struct str text;    /* secret; texts of all parts; offset 0 is never used */
};

/* The last entry of that name before index `end`, or NULL. */
struct entry *dotenv_find_(const struct dotenv *d, const char *name, size_t end);
/* Length of the variable's name at `p` ([A-Za-z0-9_]+). */
size_t dotenv_name_len_(const char *p, const char *end);

/* -- inline.c -- */

VEC_TYPE(inline_names, const char *);

/* What an inline command needs from the outside. */
struct inline_source {
	/* Appends the value of a variable; `otherwise` (or NULL) stands for one that is not set. */
	int (*variable)(void *ctx, const char *name, const char *otherwise, struct str *out,
		struct error *err);
	void *ctx;
	dotenv_fetch *fetch; /* NULL: adapter_fetch() */
	void *fetch_ctx;
	const char *dir;
};

/* Is it `kamal secrets fetch|extract ...` (or deploy's), and nothing else? */
bool inline_is_ours_(const char *command);
/* Appends what it would print, without its newline. Only for a command that is ours. */
ERROR_CHECKED int inline_run_(const char *command, const struct inline_source *source,
	struct str *out, struct error *err);
