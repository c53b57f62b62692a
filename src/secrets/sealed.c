/* SPDX-License-Identifier: MIT */
#include "secrets/sealed.h"

#include "util/digest.h"
#include "util/fs.h"
#include "util/vec.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC      "deploy-secrets "
#define MAX_PLAIN  ((size_t)1 << 20)
#define MAX_FILE   ((size_t)2 << 20)
#define KEY_SIZE   32
#define CHECK_SIZE 16
#define SALT_SIZE  16
#define NONCE_SIZE 12
#define TAG_SIZE   16
#define COLUMNS    76

/* Written: 32 MiB, about 0.1 s.  Read: up to 256 MiB, so that a file cannot ask for the world. */
#define SCRYPT_N   32768
#define SCRYPT_R   8
#define SCRYPT_P   1
#define MAX_MEMORY ((uint64_t)256 << 20)

struct header {
	long n, r, p;
	unsigned char salt[SALT_SIZE];
	unsigned char check[CHECK_SIZE];
	unsigned char nonce[NONCE_SIZE];
};

struct derived {
	unsigned char key[KEY_SIZE];
	unsigned char check[CHECK_SIZE];
};

bool sealed_is(const char *text, size_t len)
{
	return len >= strlen(MAGIC) && memcmp(text, MAGIC, strlen(MAGIC)) == 0;
}

static int derive(
	const struct secret *key, const struct header *h, struct derived *out, struct error *err)
{
	if (EVP_PBE_scrypt(secret_reveal(key), secret_len(key), h->salt, SALT_SIZE, (uint64_t)h->n,
		    (uint64_t)h->r, (uint64_t)h->p, MAX_MEMORY + ((uint64_t)1 << 20), out->key,
		    sizeof(*out)) != 1) {
		return error_set(err, ERROR_INTERNAL, "scrypt failed");
	}
	return 0;
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Exactly 2 * n digits. */
static int from_hex(const char *text, unsigned char *out, size_t n)
{
	if (strlen(text) != 2 * n) {
		return -1;
	}
	for (size_t i = 0; i < n; i++) {
		int high = hex_digit(text[2 * i]);
		int low = hex_digit(text[2 * i + 1]);
		if (high < 0 || low < 0) {
			return -1;
		}
		out[i] = (unsigned char)(high * 16 + low);
	}
	return 0;
}

static void add_hex(struct str *out, const unsigned char *bytes, size_t n)
{
	str_addc(out, ' ');
	for (size_t i = 0; i < n; i++) {
		str_addf(out, "%02x", bytes[i]);
	}
}

/* -- The first line -- */

static void write_header(const struct header *h, struct str *out)
{
	str_addf(out, MAGIC "1 aes-256-gcm scrypt %ld %ld %ld", h->n, h->r, h->p);
	add_hex(out, h->salt, SALT_SIZE);
	add_hex(out, h->check, CHECK_SIZE);
	add_hex(out, h->nonce, NONCE_SIZE);
}

static bool parameters_fine(const struct header *h)
{
	return h->n >= 1024 && (h->n & (h->n - 1)) == 0 &&
	       (uint64_t)128 * (uint64_t)h->n * (uint64_t)h->r <= MAX_MEMORY;
}

static int read_header(const char *file, const char *line, struct header *h, struct error *err)
{
	CLEANUP_STRVEC struct strvec words = {0};

	for (const char *p = line; *p != '\0';) {
		size_t n = strcspn(p, " ");
		strvec_pushf(&words, "%.*s", (int)n, p);
		p += n + (p[n] == ' ');
	}
	if (words.len > 1 && !str_eq(words.p[1], "1")) {
		return error_set(
			err, ERROR_MANIFEST, "%s:1: written by a newer version of deploy", file);
	}
	if (words.len != 10 || !str_eq(words.p[2], "aes-256-gcm") ||
		!str_eq(words.p[3], "scrypt") || str_to_long(words.p[4], 1, 1 << 24, &h->n) < 0 ||
		str_to_long(words.p[5], 1, 64, &h->r) < 0 ||
		str_to_long(words.p[6], 1, 16, &h->p) < 0 || !parameters_fine(h) ||
		from_hex(words.p[7], h->salt, SALT_SIZE) < 0 ||
		from_hex(words.p[8], h->check, CHECK_SIZE) < 0 ||
		from_hex(words.p[9], h->nonce, NONCE_SIZE) < 0) {
		return error_set(err, ERROR_MANIFEST, "%s:1: the first line is damaged", file);
	}
	return 0;
}

/* -- AES-256-GCM; ad: the first line -- */

static int encrypt(const struct derived *d, const struct header *h, const struct str *ad,
	const struct secret *plain, unsigned char *out, unsigned char tag[TAG_SIZE])
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	const unsigned char *in = (const unsigned char *)secret_reveal(plain);
	int n = 0;
	int ok =
		ctx != NULL &&
		EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, d->key, h->nonce) == 1 &&
		EVP_EncryptUpdate(ctx, NULL, &n, (const unsigned char *)ad->p, (int)ad->len) == 1 &&
		EVP_EncryptUpdate(ctx, out, &n, in, (int)secret_len(plain)) == 1 &&
		EVP_EncryptFinal_ex(ctx, out + n, &n) == 1 &&
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_SIZE, tag) == 1;

	EVP_CIPHER_CTX_free(ctx);
	return ok ? 0 : -1;
}

static int decrypt(const struct derived *d, const struct header *h, const struct str *ad,
	const unsigned char *in, size_t len, unsigned char *tag, unsigned char *out)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n = 0;
	int ok =
		ctx != NULL &&
		EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, d->key, h->nonce) == 1 &&
		EVP_DecryptUpdate(ctx, NULL, &n, (const unsigned char *)ad->p, (int)ad->len) == 1 &&
		EVP_DecryptUpdate(ctx, out, &n, in, (int)len) == 1 &&
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_SIZE, tag) == 1 &&
		EVP_DecryptFinal_ex(ctx, out + n, &n) == 1;

	EVP_CIPHER_CTX_free(ctx);
	return ok ? 0 : -1;
}

/* -- Whole files -- */

int sealed_make(
	const struct secret *plain, const struct secret *key, struct str *out, struct error *err)
{
	struct header h = {.n = SCRYPT_N, .r = SCRYPT_R, .p = SCRYPT_P};
	CLEANUP_STR struct str line = STR_INIT(STR_MAX_LINE);
	struct derived d = {{0}, {0}};
	size_t len = secret_len(plain);

	if (len > MAX_PLAIN) {
		return error_set(err, ERROR_MANIFEST, "larger than %zu bytes", MAX_PLAIN);
	}
	if (RAND_bytes(h.salt, SALT_SIZE) != 1 || RAND_bytes(h.nonce, NONCE_SIZE) != 1) {
		return error_set(err, ERROR_INTERNAL, "no random bytes");
	}
	if (derive(key, &h, &d, err) < 0) {
		return -1;
	}
	memcpy(h.check, d.check, CHECK_SIZE);
	write_header(&h, &line);
	unsigned char *bytes = xcalloc(1, len + TAG_SIZE);
	int rc = encrypt(&d, &h, &line, plain, bytes, bytes + len);
	explicit_bzero(&d, sizeof(d));
	if (rc == 0) {
		CLEANUP_FREE char *text = digest_base64(bytes, len + TAG_SIZE, 0);
		size_t n = strlen(text);
		str_addf(out, "%s\n", str_c(&line));
		for (size_t i = 0; i < n; i += COLUMNS) {
			str_addn(out, text + i, n - i < COLUMNS ? n - i : COLUMNS);
			str_addc(out, '\n');
		}
	}
	free(bytes);
	return rc < 0 ? error_set(err, ERROR_INTERNAL, "aes-256-gcm failed") : 0;
}

/* The bytes behind the first line. */
static unsigned char *read_body(const char *text, size_t len, size_t *n)
{
	CLEANUP_STR struct str base64 = STR_INIT(MAX_FILE);

	for (size_t i = 0; i < len; i++) {
		if (text[i] != '\n' && text[i] != '\r') {
			str_addc(&base64, text[i]);
		}
	}
	return digest_unbase64(str_c(&base64), n);
}

static struct secret *open_body(const char *file, const struct derived *d, const struct header *h,
	const struct str *line, unsigned char *body, size_t n, struct error *err)
{
	struct secret *plain = NULL;

	if (body != NULL && n >= TAG_SIZE) {
		size_t len = n - TAG_SIZE;
		unsigned char *out = xcalloc(1, len + 1);
		if (decrypt(d, h, line, body, len, body + len, out) == 0) {
			plain = secret_new(out, len);
		}
		explicit_bzero(out, len);
		free(out);
	}
	if (plain == NULL) {
		error_set(err, ERROR_MANIFEST, "'%s' is damaged", file);
		error_hint(err, "take it from git again");
	}
	return plain;
}

struct secret *sealed_open(
	const char *file, const char *text, size_t len, const struct secret *key, struct error *err)
{
	CLEANUP_STR struct str line = STR_INIT(STR_MAX_LINE);
	const char *newline = memchr(text, '\n', len);
	size_t first = newline != NULL ? (size_t)(newline - text) : len;
	struct derived d;
	struct header h;
	size_t n = 0;

	str_addn(&line, text, first > 0 && text[first - 1] == '\r' ? first - 1 : first);
	if (read_header(file, str_c(&line), &h, err) < 0 || derive(key, &h, &d, err) < 0) {
		return NULL;
	}
	if (CRYPTO_memcmp(h.check, d.check, CHECK_SIZE) != 0) {
		explicit_bzero(&d, sizeof(d));
		error_set(err, ERROR_MANIFEST, "the key is not the one that '%s' was written with",
			file);
		error_hint(err, "the key is in $" SEALED_KEY_VARIABLE ", else in " SEALED_KEY_FILE
				" beside the file");
		return NULL;
	}
	unsigned char *body = read_body(text + first, len - first, &n);
	struct secret *plain = open_body(file, &d, &h, &line, body, n, err);
	explicit_bzero(&d, sizeof(d));
	free(body);
	return plain;
}

/* -- The key -- */

static struct secret *trimmed(const char *what, const char *text, size_t len, struct error *err)
{
	while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL) {
		len--;
	}
	if (len < SEALED_KEY_MIN) {
		error_set(err, ERROR_MANIFEST, "the key in %s is shorter than %d characters", what,
			SEALED_KEY_MIN);
		return NULL;
	}
	return secret_new(text, len);
}

static struct secret *key_of_file(const char *path, struct error *err)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	CLEANUP_STR struct str text = STR_SECRET_INIT(STR_MAX_LINE);
	struct stat st;

	if (fd < 0 && errno == ENOENT) {
		error_set(err, ERROR_MANIFEST, "the key of the encrypted secrets is missing");
		error_hint(err,
			"set $" SEALED_KEY_VARIABLE ", or put the key into '%s' (chmod 600)", path);
		err->sys = ENOENT;
		return NULL;
	}
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		error_sys(err, ERROR_MANIFEST, fd < 0 ? errno : EINVAL, "open '%s'", path);
		err->sys = 0;
		return NULL;
	}
	if ((st.st_mode & 077) != 0) {
		error_set(err, ERROR_MANIFEST, "other users can read the key '%s' (mode %04o)",
			path, (unsigned)st.st_mode & 07777);
		error_hint(err, "chmod 600 %s", path);
		return NULL;
	}
	if (fd_read_all(fd, &text) < 0) {
		error_set(err, ERROR_MANIFEST, "read '%s'", path);
		return NULL;
	}
	CLEANUP_FREE char *what = xasprintf("'%s'", path);
	return trimmed(what, str_c(&text), text.len, err);
}

struct secret *sealed_key(const char *dir, struct error *err)
{
	const char *text = getenv(SEALED_KEY_VARIABLE);
	CLEANUP_FREE char *path = fs_join(dir, SEALED_KEY_FILE);

	if (text != NULL && text[0] != '\0') {
		return trimmed("$" SEALED_KEY_VARIABLE, text, strlen(text), err);
	}
	return key_of_file(path, err);
}

int sealed_key_make(const char *dir, struct error *err)
{
	CLEANUP_FREE char *path = fs_join(dir, SEALED_KEY_FILE);
	char text[2 * KEY_SIZE + 2];

	digest_random_hex(KEY_SIZE, text);
	text[sizeof(text) - 2] = '\n';
	CLEANUP_FD int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int rc = fd < 0 || fd_write_all(fd, text, sizeof(text) - 1) < 0 || fsync(fd) < 0 ? -1 : 0;
	explicit_bzero(text, sizeof(text));
	return rc < 0 ? error_sys(err, ERROR_MANIFEST, errno, "write '%s'", path) : 0;
}
