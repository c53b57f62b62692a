/* SPDX-License-Identifier: MIT */
/* Encrypted backups: what goes in comes out, whatever the pieces; that openssl(1) reads them is
 * shown by tests/e2e/backups.bats. */
#include "service/cipher.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#define LEN 5000

static void make_key(struct cipher_key *k, const char *text, const char *salt)
{
	struct error err = {0};
	struct secret *s = secret_new(text, strlen(text));
	assert_int_equal(cipher_key_make(k, s, salt, &err), 0);
	secret_unref(s);
}

/* `data` through a cipher in pieces of `piece` bytes; its new length. */
static size_t through(const struct cipher_key *k, bool encrypt, const unsigned char *data,
	size_t len, size_t piece, unsigned char *out)
{
	struct error err = {0};
	struct cipher *c = cipher_new(k, encrypt);
	size_t total = 0, n;
	for (size_t i = 0; i < len; i += piece) {
		size_t some = len - i < piece ? len - i : piece;
		assert_int_equal(cipher_update(c, data + i, some, out + total, &n, &err), 0);
		total += n;
	}
	cipher_free(c);
	return total;
}

static void test_pieces(void **state)
{
	static const size_t pieces[] = {1, 7, 16, 17, LEN};
	static unsigned char plain[LEN], sealed[LEN + CIPHER_HEAD], again[LEN + CIPHER_HEAD];
	struct cipher_key k;
	(void)state;
	for (size_t i = 0; i < LEN; i++) {
		plain[i] = (unsigned char)(i * 7);
	}
	make_key(&k, "a secret of some length", NULL);
	for (size_t i = 0; i < 5; i++) {
		for (size_t j = 0; j < 5; j++) {
			assert_int_equal(through(&k, true, plain, LEN, pieces[i], sealed),
				LEN + CIPHER_HEAD);
			assert_memory_equal(sealed, "Salted__", 8);
			assert_memory_not_equal(sealed + CIPHER_HEAD, plain, LEN);
			assert_int_equal(
				through(&k, false, sealed, sizeof(sealed), pieces[j], again), LEN);
			assert_memory_equal(again, plain, LEN);
		}
	}
	cipher_key_fini(&k);
}

static void test_keys(void **state)
{
	struct error err = {0};
	struct cipher_key a, b;
	char mac[DIGEST_HEX_SIZE], other[DIGEST_HEX_SIZE];
	(void)state;
	make_key(&a, "a secret of some length", NULL);
	make_key(&b, "a secret of some length", a.salt);
	assert_string_equal(a.pass, b.pass);
	assert_string_equal(a.check, b.check);
	cipher_mac(&a, "text", mac);
	cipher_mac(&b, "text", other);
	assert_true(cipher_same(mac, other));
	cipher_mac(&b, "texT", other);
	assert_false(cipher_same(mac, other));
	make_key(&b, "a secret of some lengtH", a.salt);
	assert_string_not_equal(a.check, b.check);
	make_key(&b, "a secret of some length", NULL);
	assert_string_not_equal(a.pass, b.pass);
	struct secret *s = secret_new("short", 5);
	assert_int_equal(cipher_key_make(&b, s, NULL, &err), -1);
	secret_unref(s);
}

static void test_not_encrypted(void **state)
{
	struct error err = {0};
	struct cipher_key k;
	char out[64];
	size_t n;
	(void)state;
	make_key(&k, "a secret of some length", NULL);
	struct cipher *c = cipher_new(&k, false);
	assert_int_equal(cipher_update(c, "PGDMP, and so on and on", 23, out, &n, &err), -1);
	cipher_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_not_encrypted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
