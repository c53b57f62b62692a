/* SPDX-License-Identifier: MIT */
/* Digests and random tokens, by OpenSSL. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define DIGEST_HEX_SIZE 65 /* 64 hex digits and NUL */

struct digest; /* a running SHA-256 */

struct digest *digest_new(void);
void digest_update(struct digest *d, const void *data, size_t len);
void digest_hex(struct digest *d, char out[DIGEST_HEX_SIZE]); /* ends it; d can only be freed */
void digest_free(struct digest *d);

void digest_sha256_hex(const void *data, size_t len, char out[DIGEST_HEX_SIZE]);
void digest_hmac_hex(
	const void *key, size_t key_len, const void *data, size_t len, char out[DIGEST_HEX_SIZE]);

/* "sha256:" and 64 lower-case hex digits? NULL is none. */
bool digest_is_sha256(const char *text);

/* Lower-case hex into out (2 * len + 1). */
void digest_to_hex(const void *data, size_t len, char *out);
/* `bytes` random bytes as lower-case hex into out (2 * bytes + 1). Aborts when there are none. */
void digest_random_hex(size_t bytes, char *out);

/* Standard base64 without line breaks; the caller frees. url: URL-safe alphabet. */
char *digest_base64(const void *data, size_t len, int url);
/* NULL when it is not base64; *len gets the size. The caller frees. */
unsigned char *digest_unbase64(const char *text, size_t *len);
