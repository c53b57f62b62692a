/* SPDX-License-Identifier: MIT */
/*
 * Secrets files that can be committed: one line of text that says how, then base64.
 *
 *	deploy-secrets 1 aes-256-gcm scrypt N r p SALT CHECK NONCE
 *
 * scrypt (RFC 7914) of the key and SALT gives 48 bytes: the AES key, and CHECK, which tells a wrong
 * key from a damaged file.  The line is authenticated with the content.  Salt and nonce are fresh
 * each time.
 *
 * The key is a text of at least SEALED_KEY_MIN bytes: $DEPLOY_SECRETS_KEY, else the file
 * secrets.key beside the sealed file, which nobody else may be able to read.
 *
 * Errors are ERROR_MANIFEST.
 */
#pragma once

#include "secrets/secret.h"
#include "util/error.h"
#include "util/str.h"

#include <stdbool.h>

#define SEALED_KEY_VARIABLE "DEPLOY_SECRETS_KEY"
#define SEALED_KEY_FILE     "secrets.key"
#define SEALED_KEY_MIN      16

/* Does the text begin as a sealed file does? */
bool sealed_is(const char *text, size_t len);

/* What is in it: a new reference, or NULL. `file` is its name in errors. */
ERROR_CHECKED struct secret *sealed_open(const char *file, const char *text, size_t len,
	const struct secret *key, struct error *err);

/* Appends the file's text. */
ERROR_CHECKED int sealed_make(
	const struct secret *plain, const struct secret *key, struct str *out, struct error *err);

/* The key for sealed files in `dir`: a new reference; NULL, with err->sys ENOENT when there is
 * none. */
ERROR_CHECKED struct secret *sealed_key(const char *dir, struct error *err);
/* Makes the file of a fresh random key in `dir`, which has none. */
ERROR_CHECKED int sealed_key_make(const char *dir, struct error *err);
