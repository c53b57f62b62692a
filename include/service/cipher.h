/* SPDX-License-Identifier: MIT */
/*
 * Encrypted backups, of any size, in a form that openssl(1) and sha256sum(1) can write and read
 * too: a server makes one by its schedule, and whoever has the key gets at it without this tool.
 *
 *	data    as `openssl enc -aes-256-ctr -pbkdf2 -pass file:PASS` writes it: "Salted__", 8
 *	        random bytes, then the ciphertext; key and counter are PBKDF2-HMAC-SHA256 of PASS
 *	        and those 8 bytes, 10,000 rounds
 *	mac     HMAC-SHA256 of a text that names the backup and holds the SHA-256 of its data
 *	        (store.h), so that data, and which backup they are, are both vouched for
 *
 * PASS is 64 hex digits: the first 32 of the 80 bytes that scrypt (RFC 7914; N 32768, r 8, p 1)
 * makes of the secret and a salt of 16 bytes.  The next 32 are the key of the HMAC; the last 16,
 * `check`, tell a wrong key from damage.  Salt, check and mac stand beside the data.
 *
 * Encrypt-then-MAC over the whole, not AES-GCM by pieces: openssl(1) writes no authenticated
 * stream.  So a reader compares the whole with its checksum, and that with the mac, before it uses
 * anything, and again while it reads (store.h does).
 */
#pragma once

#include "secrets/secret.h"
#include "util/digest.h"
#include "util/error.h"

#include <stdbool.h>

#define CIPHER_SALT_HEX  33 /* sizes with NUL */
#define CIPHER_CHECK_HEX 33
#define CIPHER_HEAD      16 /* bytes that the data are longer by */
#define CIPHER_KEY_MIN   16 /* bytes of a secret */

struct cipher_key {
	char salt[CIPHER_SALT_HEX], check[CIPHER_CHECK_HEX];
	char pass[65];
	unsigned char mac[32];
};

/* About 0.1 s. `salt` NULL: a fresh one. ERROR_MANIFEST for a secret that is too short. */
ERROR_CHECKED int cipher_key_make(
	struct cipher_key *k, const struct secret *secret, const char *salt, struct error *err);
void cipher_key_fini(struct cipher_key *k); /* zeroes */

void cipher_mac(const struct cipher_key *k, const char *text, char out[DIGEST_HEX_SIZE]);
bool cipher_same(const char *a, const char *b); /* in constant time for equal lengths */

struct cipher;
struct cipher *cipher_new(const struct cipher_key *k, bool encrypt);
void cipher_free(struct cipher *c); /* NULL is fine */
/* Of `len` bytes, at most len + CIPHER_HEAD into `out`, which is not `in`: how many. */
ERROR_CHECKED int cipher_update(struct cipher *c, const void *in, size_t len, void *out,
	size_t *out_len, struct error *err);
