/* SPDX-License-Identifier: MIT */
/*
 * Secrets files, in the syntax of Kamal's (the Ruby gem dotenv 3, with commands):
 *
 *	# comment
 *	NAME=value # comment            unquoted: trimmed, \x is x
 *	export NAME='as it is, may
 *	have lines'
 *	NAME="text $OTHER ${OTHER} ${OTHER:-default} \$literal"
 *	NAME=$(command | other)         by `sh -c`; trailing newlines are cut
 *	ALL=$(kamal secrets fetch ...)  answered here, as is `deploy secrets fetch`; and
 *	NAME=$(kamal secrets extract NAME $ALL)
 *
 * A variable is the nearest earlier entry of that name, else the environment; one that is nowhere
 * is an error, where Kamal silently takes "".  "\n" in double quotes stays as it is, as in dotenv
 *3, unless DOTENV_LINEBREAK_MODE=legacy stands above it in the file.  Differing from dotenv: a '#'
 * within a word or a command does not cut the value there, and a quote that is not closed is an
 * error, not text.  Earlier entries that a command names are in its environment (dotenv writes
 * them into its text, which would put them into argv).
 *
 * Nothing runs when a file is read.  Resolving a name runs the commands that this name needs, once.
 *
 * Errors are ERROR_MANIFEST, begin with "file:line: ", and never carry a value.  Not thread-safe.
 */
#pragma once

#include "secrets/adapter.h"
#include "secrets/secret.h"
#include "util/error.h"
#include "util/str.h"

#include <stdbool.h>

#define DOTENV_MAX_FILE  ((size_t)1 << 20) /* bytes of a file */
#define DOTENV_MAX_VALUE ((size_t)1 << 20) /* bytes of a value, all of its references replaced */

struct dotenv;

struct dotenv *dotenv_new(void);
void dotenv_free(struct dotenv *d); /* NULL is fine */

/* Adds the entries of `text`; touches nothing else.  `file` is its name in errors (copied). */
ERROR_CHECKED int dotenv_parse(
	struct dotenv *d, const char *file, const char *text, size_t len, struct error *err);

/*
 * Reads and adds a file.  Refused: a file that others can write (its commands would be theirs), and
 * one with literal values that others can read.  A sealed file (secrets/sealed.h) is opened with
 * the key that belongs to it.  err->sys is ENOENT when there is none.
 */
ERROR_CHECKED int dotenv_load(struct dotenv *d, const char *path, struct error *err);

/*
 * The same of an env file (.env.production): its entries are "<name>:NAME", apart from those of
 * secrets files, which they can refer to when these were loaded before.
 */
ERROR_CHECKED int dotenv_load_env_file(
	struct dotenv *d, const char *path, const char *name, struct error *err);

/*
 * Adds <root>/.deploy/secrets-common and secrets[.<destination>], or those in .kamal where there is
 * no .deploy; later ones win.  Files that are not there are passed over.  destination may be NULL.
 */
ERROR_CHECKED int dotenv_load_default(
	struct dotenv *d, const char *root, const char *destination, struct error *err);

/* As adapter_fetch(). */
typedef int dotenv_fetch(
	void *ctx, const struct adapter_request *req, struct secret_map *out, struct error *err);

/* What resolving needs from the outside; fields that are NULL mean the real thing. */
struct dotenv_source {
	/* Appends the output of a command.  `env`: "K=V", NULL-terminated, to add to ours. */
	int (*run)(void *ctx, const char *command, const char *const *env, struct str *out,
		struct error *err);
	/* A variable of the environment, borrowed; or NULL. */
	const char *(*variable)(void *ctx, const char *name);
	dotenv_fetch *fetch;
	void *ctx;
	const char *dir; /* where the real commands run; NULL = here */
};

/* The value of `name`: a new reference; NULL on failure. `source` may be NULL. */
ERROR_CHECKED struct secret *dotenv_resolve(
	struct dotenv *d, const char *name, const struct dotenv_source *source, struct error *err);

bool dotenv_has(const struct dotenv *d, const char *name);
/* The distinct names, in order of their first entry; borrowed. NULL behind the last. */
const char *dotenv_name(const struct dotenv *d, size_t i);
/* The file that the value of `name` is from, as given to dotenv_load; NULL when it is not there. */
const char *dotenv_file_of(const struct dotenv *d, const char *name);
