/* SPDX-License-Identifier: MIT */
#include "service/cipher.h"

#include "util/str.h"
#include "util/vec.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#define SALT_SIZE    16
#define ENC_SIZE     32
#define MAC_SIZE     32
#define CHECK_SIZE   16
#define SCRYPT_N     32768
#define SCRYPT_R     8
#define SCRYPT_P     1
#define SCRYPT_MEM   ((uint64_t)64 << 20)
#define PBKDF2_TIMES 10000
#define SALTED       "Salted__"
#define SALTED_SIZE  8

static int from_hex(const char *text, unsigned char *out, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < 2 * n; i++) {
		const char *d = text[i] ? strchr(digits, text[i]) : NULL;
		if (!d) {
			return -1;
		}
		unsigned char v = (unsigned char)(d - digits);
		out[i / 2] = i % 2 ? (unsigned char)(out[i / 2] << 4 | v) : v;
	}
	return text[2 * n] ? -1 : 0;
}

int cipher_key_make(
	struct cipher_key *k, const struct secret *secret, const char *salt, struct error *err)
{
	unsigned char raw_salt[SALT_SIZE];
	unsigned char raw[ENC_SIZE + MAC_SIZE + CHECK_SIZE];
	if (secret_len(secret) < CIPHER_KEY_MIN) {
		return error_set(err, ERROR_MANIFEST,
			"the key of backups is shorter than %d characters", CIPHER_KEY_MIN);
	}
	if (salt ? from_hex(salt, raw_salt, SALT_SIZE) < 0 : RAND_bytes(raw_salt, SALT_SIZE) != 1) {
		return error_set(err, ERROR_REMOTE, "the salt of the backup's key is damaged");
	}
	if (EVP_PBE_scrypt(secret_reveal(secret), secret_len(secret), raw_salt, SALT_SIZE, SCRYPT_N,
		    SCRYPT_R, SCRYPT_P, SCRYPT_MEM, raw, sizeof(raw)) != 1) {
		return error_set(err, ERROR_INTERNAL, "scrypt failed");
	}
	digest_to_hex(raw_salt, SALT_SIZE, k->salt);
	digest_to_hex(raw, ENC_SIZE, k->pass);
	memcpy(k->mac, raw + ENC_SIZE, MAC_SIZE);
	digest_to_hex(raw + ENC_SIZE + MAC_SIZE, CHECK_SIZE, k->check);
	explicit_bzero(raw, sizeof(raw));
	return 0;
}

void cipher_key_fini(struct cipher_key *k)
{
	explicit_bzero(k, sizeof(*k));
}

void cipher_mac(const struct cipher_key *k, const char *text, char out[DIGEST_HEX_SIZE])
{
	digest_hmac_hex(k->mac, sizeof(k->mac), text, strlen(text), out);
}

bool cipher_same(const char *a, const char *b)
{
	size_t n = strlen(a);
	return n == strlen(b) && CRYPTO_memcmp(a, b, n) == 0;
}

/* -- The data -- */

struct cipher {
	EVP_CIPHER_CTX *ctx;
	char pass[65];
	bool encrypt;
	unsigned char head[CIPHER_HEAD];
	size_t have; /* of the head */
};

struct cipher *cipher_new(const struct cipher_key *k, bool encrypt)
{
	struct cipher *c = xcalloc(1, sizeof(*c));
	memcpy(c->pass, k->pass, sizeof(c->pass));
	c->encrypt = encrypt;
	return c;
}

void cipher_free(struct cipher *c)
{
	if (c) {
		EVP_CIPHER_CTX_free(c->ctx);
		explicit_bzero(c, sizeof(*c));
		free(c);
	}
}

/* The head is known: so are key and counter. */
static int begin(struct cipher *c, struct error *err)
{
	unsigned char raw[32 + 16];
	c->ctx = EVP_CIPHER_CTX_new();
	int ok = c->ctx &&
		 PKCS5_PBKDF2_HMAC(c->pass, (int)strlen(c->pass), c->head + SALTED_SIZE,
			 CIPHER_HEAD - SALTED_SIZE, PBKDF2_TIMES, EVP_sha256(), sizeof(raw),
			 raw) == 1 &&
		 EVP_CipherInit_ex(c->ctx, EVP_aes_256_ctr(), NULL, raw, raw + 32, c->encrypt) == 1;
	explicit_bzero(raw, sizeof(raw));
	return ok ? 0 : error_set(err, ERROR_INTERNAL, "aes-256-ctr failed");
}

static int make_head(struct cipher *c, struct error *err)
{
	memcpy(c->head, SALTED, SALTED_SIZE);
	if (RAND_bytes(c->head + SALTED_SIZE, CIPHER_HEAD - SALTED_SIZE) != 1) {
		return error_set(err, ERROR_INTERNAL, "no random bytes");
	}
	return begin(c, err);
}

int cipher_update(
	struct cipher *c, const void *in, size_t len, void *out, size_t *out_len, struct error *err)
{
	const unsigned char *from = in;
	unsigned char *to = out;
	*out_len = 0;
	if (!c->ctx && c->encrypt) {
		if (make_head(c, err) < 0) {
			return -1;
		}
		memcpy(to, c->head, CIPHER_HEAD);
		to += CIPHER_HEAD;
		*out_len = CIPHER_HEAD;
	}
	for (; !c->ctx && len > 0; len--) {
		c->head[c->have++] = *from++;
		if (c->have < CIPHER_HEAD) {
			continue;
		}
		if (memcmp(c->head, SALTED, SALTED_SIZE) != 0) {
			return error_set(
				err, ERROR_REMOTE, "the backup is not encrypted as it should");
		}
		if (begin(c, err) < 0) {
			return -1;
		}
	}
	while (len > 0) {
		int n = 0;
		size_t some = len < (1 << 20) ? len : 1 << 20;
		if (EVP_CipherUpdate(c->ctx, to, &n, from, (int)some) != 1) {
			return error_set(err, ERROR_INTERNAL, "aes-256-ctr failed");
		}
		from += some;
		to += n;
		*out_len += (size_t)n;
		len -= some;
	}
	return 0;
}
