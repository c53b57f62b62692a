/* SPDX-License-Identifier: MIT */
#include "util/digest.h"

#include "util/str.h"

#include <assert.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

struct digest {
	EVP_MD_CTX *ctx;
};

void digest_to_hex(const void *data, size_t len, char *out)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *bytes = data;

	for (size_t i = 0; i < len; i++) {
		out[2 * i] = hex[bytes[i] >> 4];
		out[2 * i + 1] = hex[bytes[i] & 15];
	}
	out[2 * len] = '\0';
}

/* OpenSSL fails here only without memory or with a broken installation. */
static void must(int ok)
{
	if (ok != 1) {
		abort();
	}
}

struct digest *digest_new(void)
{
	struct digest *d = xcalloc(1, sizeof(*d));

	d->ctx = EVP_MD_CTX_new();
	must(d->ctx != NULL);
	must(EVP_DigestInit_ex(d->ctx, EVP_sha256(), NULL));
	return d;
}

void digest_update(struct digest *d, const void *data, size_t len)
{
	must(EVP_DigestUpdate(d->ctx, data, len));
}

void digest_hex(struct digest *d, char out[DIGEST_HEX_SIZE])
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned int len = 0;

	must(EVP_DigestFinal_ex(d->ctx, sum, &len));
	assert(len == 32);
	digest_to_hex(sum, len, out);
}

void digest_free(struct digest *d)
{
	if (d != NULL) {
		EVP_MD_CTX_free(d->ctx);
		free(d);
	}
}

void digest_sha256_hex(const void *data, size_t len, char out[DIGEST_HEX_SIZE])
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned int n = 0;

	must(EVP_Digest(data, len, sum, &n, EVP_sha256(), NULL));
	digest_to_hex(sum, n, out);
}

void digest_hmac_hex(
	const void *key, size_t key_len, const void *data, size_t len, char out[DIGEST_HEX_SIZE])
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned int n = 0;

	must(HMAC(EVP_sha256(), key_len ? key : "", (int)key_len, data, len, sum, &n) != NULL);
	digest_to_hex(sum, n, out);
}

bool digest_is_sha256(const char *text)
{
	const char *hex = text && str_starts(text, "sha256:") ? text + strlen("sha256:") : "";

	return strlen(hex) == DIGEST_HEX_SIZE - 1 &&
	       strspn(hex, "0123456789abcdef") == DIGEST_HEX_SIZE - 1;
}

void digest_random_hex(size_t bytes, char *out)
{
	unsigned char raw[64];

	assert(bytes <= sizeof(raw));
	must(RAND_bytes(raw, (int)bytes));
	digest_to_hex(raw, bytes, out);
}

char *digest_base64(const void *data, size_t len, int url)
{
	static const char standard[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *in = data;
	char *out = xcalloc((len + 2) / 3 * 4 + 1, 1);
	char *o = out;

	for (size_t i = 0; i < len; i += 3) {
		size_t n = len - i < 3 ? len - i : 3;
		unsigned v = (unsigned)in[i] << 16 | (n > 1 ? (unsigned)in[i + 1] << 8 : 0) |
			     (n > 2 ? (unsigned)in[i + 2] : 0);
		*o++ = standard[v >> 18];
		*o++ = standard[v >> 12 & 63];
		*o++ = n > 1 ? standard[v >> 6 & 63] : '=';
		*o++ = n > 2 ? standard[v & 63] : '=';
	}
	for (char *c = out; url && *c != '\0'; c++) {
		*c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
	}
	return out;
}

static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z') {
		return c - 'A';
	}
	if (c >= 'a' && c <= 'z') {
		return c - 'a' + 26;
	}
	if (c >= '0' && c <= '9') {
		return c - '0' + 52;
	}
	return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

unsigned char *digest_unbase64(const char *text, size_t *len)
{
	size_t n = strlen(text);

	while (n > 0 && text[n - 1] == '=' && strlen(text) - n < 2) {
		n--;
	}
	if (n % 4 == 1 || (n < strlen(text) && strlen(text) % 4 != 0)) {
		return NULL;
	}
	unsigned char *out = xcalloc(n / 4 * 3 + 4, 1);
	size_t o = 0;
	unsigned acc = 0;
	for (size_t i = 0; i < n; i++) {
		int v = base64_value(text[i]);
		if (v < 0) {
			free(out);
			return NULL;
		}
		acc = (acc << 6 | (unsigned)v) & 0xffffff;
		if (i % 4 != 0) {
			out[o++] = (unsigned char)(acc >> (6 - 2 * (i % 4)));
		}
	}
	*len = o;
	return out;
}
