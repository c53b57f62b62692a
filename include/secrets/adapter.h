/* SPDX-License-Identifier: MIT */
/*
 * Password managers and secret stores, each through its own program (op, bw, pass, vault, ...),
 * with the words of `kamal secrets fetch` and `kamal secrets extract` of Kamal 2.
 *
 * A program is started by argv, never by a shell; neither a secret nor a session's token is ever in
 * an argv.  It may ask on the terminal.  Names, --from and --account become arguments, and one that
 * begins with '-' is refused.  Errors are ERROR_MANIFEST and carry what the program said.
 */
#pragma once

#include "secrets/secret.h"
#include "util/error.h"
#include "util/str.h"

struct adapter_request {
	const char *adapter;      /* "1password", "bitwarden", ... */
	const char *account;      /* or NULL */
	const char *from;         /* a vault, item, folder or file: goes before names; or NULL */
	const char *const *names; /* n of them; some adapters give all there is for none */
	size_t n;
	const char *dir; /* where the program runs; NULL: here */
};

/* Adds what was asked for to `out`, under the names that Kamal gives it ("vault/item/field"). */
ERROR_CHECKED int adapter_fetch(
	const struct adapter_request *req, struct secret_map *out, struct error *err);

/* What --adapter takes, in order; NULL behind the last. */
const char *adapter_name(size_t i);

/* The JSON object of a map: compact, in order; `out` should be a secret's. -1: not UTF-8. */
ERROR_CHECKED int secrets_to_json(const struct secret_map *map, struct str *out, struct error *err);

/* Escapes for a shell as Ruby's Shellwords do, which is what `kamal secrets fetch --inline` gives.
 */
void secrets_shell_escape(const char *text, size_t len, struct str *out);

/*
 * The value of `name`, or of the first key that ends with "/name", in such an object, shell-escaped
 * or not.  A new reference; NULL with ERROR_MANIFEST.
 */
ERROR_CHECKED struct secret *secrets_extract(
	const char *name, const char *json, size_t len, struct error *err);
