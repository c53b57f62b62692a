/* SPDX-License-Identifier: MIT */
/*
 * Command line options, described by const tables and written into plain structs: each entry names
 * the member by its offset, and its kind says what type the member has.
 *
 * Understood: --name, --name=value, --name value, -n, -n value, -nvalue, -abc (flags together).
 * Long names may not be cut short: a script that does would break with the next option.
 */
#pragma once

#include "util/error.h"
#include "util/vec.h"

#include <stdbool.h>
#include <stddef.h>

enum cli_option_kind {
	CLI_FLAG,   /* bool: true when given */
	CLI_COUNT,  /* int: how often it was given */
	CLI_TEXT,   /* const char *: borrowed from the arguments, never empty */
	CLI_LIST,   /* struct strvec: words between commas; may be repeated; cli_options_fini() */
	CLI_NUMBER, /* long in min..max */
	CLI_WAIT,   /* int: seconds in =SECONDS, -1 without; never takes the next argument */
};

struct cli_option {
	const char *name; /* without dashes; NULL ends a table */
	char letter;      /* 0: none */
	enum cli_option_kind kind;
	size_t offset;     /* of the member in the struct of values */
	const char *value; /* what help calls the value: "FILE"; NULL for flags and counts */
	const char *help;  /* one sentence, lower case, no full stop */
	long preset;       /* CLI_NUMBER: when it is not given */
	long min, max;     /* CLI_NUMBER, CLI_WAIT */
};

/* A table and the struct that its offsets are of. */
struct cli_option_set {
	const struct cli_option *table; /* NULL: none */
	void *values;
};

/* Sets the presets. */
void cli_options_init(const struct cli_option_set *set);
/* Frees the lists. */
void cli_options_fini(const struct cli_option_set *set);

/* "-x" and "--x", but neither "-" nor "--". */
bool cli_is_option(const char *argument);

/*
 * Takes the option at argv[*at] (cli_is_option is true of it) and its value, looking through the
 * sets in order; *at moves behind them.  ERROR_USAGE: unknown (hint: did you mean), a value that is
 * missing, not wanted, or wrong.
 */
ERROR_CHECKED int cli_option_take(const struct cli_option_set *sets, size_t n,
	const char *const *argv, size_t *at, struct error *err);

/* The entry of this name or letter (name NULL), or NULL. */
const struct cli_option *cli_option_find(
	const struct cli_option *table, const char *name, size_t name_len, char letter);

/* True when the option takes the next argument as its value. */
bool cli_option_wants_value(const struct cli_option *option);
