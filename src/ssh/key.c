/* SPDX-License-Identifier: MIT */
/* Private key files: what they are, and RSA signatures. */
#include "keys.h"
#include "wire.h"

#include "util/digest.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#define BEGIN_OPENSSH "-----BEGIN OPENSSH PRIVATE KEY-----"
#define END_OPENSSH   "-----END OPENSSH PRIVATE KEY-----"
#define MAGIC         "openssh-key-v1" /* PROTOCOL.key; its NUL belongs to it */

/* The bytes between the two lines; NULL when it is not such a file. The caller frees. */
static unsigned char *openssh_body(const char *text, size_t len, size_t *out_len)
{
	CLEANUP_STR struct str clean = STR_INIT(SSH_KEY_MAX);
	CLEANUP_FREE char *copy = xstrndup(text, len);
	char *begin = strstr(copy, BEGIN_OPENSSH);
	char *end = begin != NULL ? strstr(begin, END_OPENSSH) : NULL;

	if (end == NULL) {
		return NULL;
	}
	for (const char *p = begin + strlen(BEGIN_OPENSSH); p < end; p++) {
		if (*p != '\n' && *p != '\r' && *p != ' ') {
			str_addc(&clean, *p);
		}
	}
	unsigned char *bytes = clean.overflow ? NULL : digest_unbase64(str_c(&clean), out_len);
	OPENSSL_cleanse(copy, strlen(copy));
	OPENSSL_cleanse(clean.p, clean.len);
	return bytes;
}

/* Up to and with the public key; *rest is then at the private part. */
static int openssh_header(
	const void *body, size_t len, struct ssh_key_info *info, struct wire *rest)
{
	struct wire w = wire_reader(body, len);
	size_t n;

	if (len < sizeof(MAGIC) || memcmp(body, MAGIC, sizeof(MAGIC)) != 0) {
		return -1;
	}
	w.p += sizeof(MAGIC);
	w.len -= sizeof(MAGIC);
	info->openssh = true;
	info->encrypted = !wire_is(&w, "none");
	(void)wire_string(&w, &n); /* kdf */
	(void)wire_string(&w, &n); /* its options */
	if (wire_u32(&w) != 1) {
		return -1;
	}
	const uint8_t *blob = wire_string(&w, &n);
	if (w.bad || n == 0) {
		return -1;
	}
	str_addn(&info->blob, blob, n);
	struct wire type = wire_reader(blob, n);
	info->rsa = wire_is(&type, "ssh-rsa");
	*rest = w;
	return 0;
}

int ssh_key_inspect(const char *text, size_t len, struct ssh_key_info *info)
{
	size_t body_len = 0;

	*info = (struct ssh_key_info){.blob = STR_INIT(SSH_KEY_MAX)};
	unsigned char *body = openssh_body(text, len, &body_len);
	if (body != NULL) {
		struct wire rest;
		int rc = openssh_header(body, body_len, info, &rest);
		OPENSSL_cleanse(body, body_len);
		free(body);
		return rc;
	}
	CLEANUP_FREE char *copy = xstrndup(text, len);
	if (strstr(copy, "PRIVATE KEY-----") == NULL) {
		OPENSSL_cleanse(copy, strlen(copy));
		return -1;
	}
	info->encrypted = strstr(copy, "ENCRYPTED") != NULL;
	info->rsa = strstr(copy, "BEGIN RSA ") != NULL;
	OPENSSL_cleanse(copy, strlen(copy));
	if (!info->encrypted && !info->rsa) {
		struct ssh_rsa *key = ssh_rsa_load(text, len, NULL);
		info->rsa = key != NULL; /* PKCS#8 does not say so on its first line */
		ssh_rsa_free(key);
	}
	return 0;
}

void ssh_key_info_fini(struct ssh_key_info *info)
{
	str_fini(&info->blob);
}

int ssh_public_line(const char *line, struct str *blob)
{
	const char *p = strchr(line, ' ');
	size_t len = 0;

	if (p == NULL) {
		return -1;
	}
	p += strspn(p, " ");
	CLEANUP_FREE char *text = xstrndup(p, strcspn(p, " \r\n"));
	unsigned char *bytes = digest_unbase64(text, &len);
	if (bytes == NULL || len == 0) {
		free(bytes);
		return -1;
	}
	str_addn(blob, bytes, len);
	free(bytes);
	return blob->overflow ? -1 : 0;
}

struct ssh_rsa {
	EVP_PKEY *key;
};

static BIGNUM *next_number(struct wire *w)
{
	size_t len;
	const uint8_t *p = wire_string(w, &len);

	return BN_bin2bn(p, (int)len, NULL);
}

static EVP_PKEY *assemble(BIGNUM *n, BIGNUM *e, BIGNUM *d)
{
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	EVP_PKEY *key = NULL;
	OSSL_PARAM *params = NULL;

	if (build != NULL && ctx != NULL &&
		OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) &&
		OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) &&
		OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_D, d)) {
		params = OSSL_PARAM_BLD_to_param(build);
	}
	if (params == NULL || EVP_PKEY_fromdata_init(ctx) <= 0 ||
		EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params) <= 0) {
		key = NULL;
	}
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

/* PROTOCOL.key: the private part is two equal random numbers, then type and the key's numbers. */
static EVP_PKEY *openssh_rsa(const void *body, size_t len)
{
	struct ssh_key_info info = {.blob = STR_INIT(SSH_KEY_MAX)};
	struct wire rest;
	EVP_PKEY *key = NULL;

	int rc = openssh_header(body, len, &info, &rest);
	if (rc == 0 && !info.encrypted && info.rsa) {
		struct wire w = wire_sub(&rest);
		bool same = wire_u32(&w) == wire_u32(&w);
		bool rsa = wire_is(&w, "ssh-rsa");
		BIGNUM *n = next_number(&w);
		BIGNUM *e = next_number(&w);
		BIGNUM *d = next_number(&w);
		if (same && rsa && !w.bad && n != NULL && e != NULL && d != NULL) {
			key = assemble(n, e, d);
		}
		BN_free(n);
		BN_free(e);
		BN_clear_free(d);
	}
	ssh_key_info_fini(&info);
	return key;
}

/* Without a passphrase OpenSSL would ask on the terminal. */
static int no_prompt(char *buf, int size, int rwflag, void *ctx)
{
	const char *passphrase = ctx;

	(void)rwflag;
	size_t len = passphrase != NULL ? strlen(passphrase) : 0;
	if (passphrase == NULL || len > (size_t)size) {
		return -1;
	}
	memcpy(buf, passphrase, len);
	return (int)len;
}

struct ssh_rsa *ssh_rsa_load(const char *text, size_t len, const char *passphrase)
{
	size_t body_len = 0;
	unsigned char *body = openssh_body(text, len, &body_len);
	EVP_PKEY *key = NULL;

	if (body != NULL) {
		key = openssh_rsa(body, body_len);
		OPENSSL_cleanse(body, body_len);
		free(body);
	} else {
		BIO *bio = BIO_new_mem_buf(text, (int)len);
		char *phrase = xstrdup(passphrase); /* the callback's argument is not const */
		key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, no_prompt, phrase) : NULL;
		BIO_free(bio);
		if (phrase != NULL) {
			OPENSSL_cleanse(phrase, strlen(phrase));
		}
		free(phrase);
	}
	if (key != NULL && EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA) {
		EVP_PKEY_free(key);
		key = NULL;
	}
	if (key == NULL) {
		return NULL;
	}
	struct ssh_rsa *rsa = xcalloc(1, sizeof(*rsa));
	rsa->key = key;
	return rsa;
}

void ssh_rsa_free(struct ssh_rsa *key)
{
	if (key != NULL) {
		EVP_PKEY_free(key->key);
		free(key);
	}
}

/* RFC 4251, 5: mpint; positive numbers with the high bit set get a zero in front. */
static void put_number(struct str *out, const EVP_PKEY *key, const char *name)
{
	BIGNUM *n = NULL;
	uint8_t bytes[2049] = {0}; /* 16384 bits and the zero */

	if (EVP_PKEY_get_bn_param(key, name, &n) && BN_num_bytes(n) < (int)sizeof(bytes)) {
		int len = BN_bn2bin(n, bytes + 1);
		bool high = len > 0 && (bytes[1] & 0x80) != 0;
		wire_put_string(out, bytes + (high ? 0 : 1), (size_t)len + (high ? 1 : 0));
	}
	BN_free(n);
}

void ssh_rsa_blob(const struct ssh_rsa *key, struct str *blob)
{
	wire_put_text(blob, "ssh-rsa");
	put_number(blob, key->key, OSSL_PKEY_PARAM_RSA_E);
	put_number(blob, key->key, OSSL_PKEY_PARAM_RSA_N);
}

int ssh_rsa_sign(const struct ssh_rsa *key, const char *algorithm, const void *data, size_t len,
	struct str *signature)
{
	const EVP_MD *md = str_eq(algorithm, "rsa-sha2-512")   ? EVP_sha512()
			   : str_eq(algorithm, "rsa-sha2-256") ? EVP_sha256()
							       : EVP_sha1();
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t out[2048];
	size_t out_len = sizeof(out);
	int rc = -1;

	if (ctx != NULL && EVP_DigestSignInit(ctx, NULL, md, NULL, key->key) > 0 &&
		EVP_DigestSign(ctx, out, &out_len, data, len) > 0) {
		rc = str_addn(signature, out, out_len);
	}
	EVP_MD_CTX_free(ctx);
	return rc;
}
