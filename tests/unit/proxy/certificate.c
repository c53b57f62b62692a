/* SPDX-License-Identifier: MIT */
#include "proxy/certificate.h"

#include "util/str.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DAY 86400L
#define NOW ((int64_t)1700000000000) /* 2023-11-14 */

static struct secret *pem_of(X509 *x, EVP_PKEY *key)
{
	BIO *b = BIO_new(BIO_s_mem());
	char *text = NULL;
	assert_int_equal(x ? PEM_write_bio_X509(b, x)
			   : PEM_write_bio_PrivateKey(b, key, NULL, NULL, 0, NULL, NULL),
		1);
	long n = BIO_get_mem_data(b, &text);
	struct secret *s = secret_new(text, (size_t)n);
	BIO_free(b);
	return s;
}

/* Self-signed, for `san`; good from NOW + begins to NOW + ends, in seconds. */
static struct secret *make(EVP_PKEY *key, const char *san, long begins, long ends)
{
	X509 *x = X509_new();
	X509V3_CTX ctx;
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 0x1234);
	ASN1_TIME_set(X509_getm_notBefore(x), (time_t)(NOW / 1000 + begins));
	ASN1_TIME_set(X509_getm_notAfter(x), (time_t)(NOW / 1000 + ends));
	X509_set_pubkey(x, key);
	X509_NAME *name = X509_get_subject_name(x);
	X509_NAME_add_entry_by_txt(
		name, "CN", MBSTRING_UTF8, (const unsigned char *)"Tester", -1, -1, 0);
	X509_set_issuer_name(x, name);
	X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, NID_subject_alt_name, san);
	X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	struct secret *pem = pem_of(x, NULL);
	X509_free(x);
	return pem;
}

static void judges(void **state)
{
	static const struct {
		long begins, ends; /* days */
		const char *host;
		bool automatic;
		enum certificate_state state;
		const char *text;
	} cases[] = {
		{-10, 80, "a.test", false, CERTIFICATE_GOOD,
			"is good for 80 days, until 2024-02-02"},
		{-10, 80, NULL, false, CERTIFICATE_GOOD, "is good for 80 days, until 2024-02-02"},
		{-69, 21, "a.test", false, CERTIFICATE_GOOD,
			"is good for 21 days, until 2023-12-05"},
		{-70, 20, "a.test", true, CERTIFICATE_ENDS_SOON,
			"is good for 20 days, until 2023-12-04"},
		{-2, 4, "a.test", true, CERTIFICATE_GOOD, "is good for 4 days, until 2023-11-18"},
		{-5, 1, "a.test", true, CERTIFICATE_ENDS_SOON,
			"is good for 1 day, until 2023-11-15"},
		{-2, 4, "a.test", false, CERTIFICATE_ENDS_SOON,
			"is good for 4 days, until 2023-11-18"},
		{-90, 0, "a.test", false, CERTIFICATE_EXPIRED, "has expired on 2023-11-14"},
		{-90, -3, NULL, true, CERTIFICATE_EXPIRED, "has expired on 2023-11-11"},
		{3, 90, "a.test", false, CERTIFICATE_EXPIRED, "is not valid before 2023-11-17"},
		{-1, 90, "x.b.test", false, CERTIFICATE_GOOD, NULL},
		{-1, 90, "*.b.test", false, CERTIFICATE_GOOD, NULL},
		{-1, 90, "A.TEST", false, CERTIFICATE_GOOD, NULL},
		{-1, 90, "c.test", false, CERTIFICATE_OTHER_NAME,
			"is for other names: a.test, *.b.test"},
		{-1, 90, "*.c.test", false, CERTIFICATE_OTHER_NAME, NULL},
		{-1, -1, "x.a.test", false, CERTIFICATE_OTHER_NAME, NULL},
	};
	EVP_PKEY *key = EVP_EC_gen("P-256");
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct certificate c = {0};
		struct error err = {0};
		struct secret *pem = make(
			key, "DNS:a.test,DNS:*.b.test", cases[i].begins * DAY, cases[i].ends * DAY);
		assert_int_equal(certificate_read(pem, &c, &err), 0);
		assert_string_equal(c.issuer, "Tester");
		assert_string_equal(c.serial, "1234");
		enum certificate_state got =
			certificate_judge(&c, cases[i].host, cases[i].automatic, NOW);
		assert_int_equal(got, cases[i].state);
		CLEANUP_FREE char *text = certificate_text(&c, got, NOW);
		if (cases[i].text) {
			assert_string_equal(text, cases[i].text);
		}
		certificate_fini(&c);
		secret_unref(pem);
	}
	EVP_PKEY_free(key);
}

static void days_are_whole_and_negative_once_expired(void **state)
{
	struct certificate c = {.ends_ms = NOW};
	(void)state;
	assert_int_equal(certificate_days(&c, NOW), 0);
	assert_int_equal(certificate_days(&c, NOW - DAY * 1000), 1);
	assert_int_equal(certificate_days(&c, NOW - DAY * 1000 + 1), 0);
	assert_int_equal(certificate_days(&c, NOW + 1), -1);
	assert_int_equal(certificate_days(&c, NOW + DAY * 1000 + 1), -2);
}

static void a_key_is_its_own_or_refused(void **state)
{
	EVP_PKEY *keys[] = {EVP_EC_gen("P-256"), EVP_EC_gen("P-256")};
	struct secret *pem = make(keys[0], "DNS:a.test", 0, DAY);
	struct secret *own = pem_of(NULL, keys[0]), *other = pem_of(NULL, keys[1]);
	struct certificate c = {0};
	struct error err = {0};
	(void)state;
	assert_int_equal(certificate_read(pem, &c, &err), 0);
	assert_int_equal(certificate_check_key(&c, own, &err), 0);
	assert_int_equal(certificate_check_key(&c, other, &err), -1);
	assert_non_null(strstr(err.text, "does not belong"));
	assert_int_equal(certificate_check_key(&c, pem, &err), -1);
	assert_non_null(strstr(err.text, "no PEM key"));
	certificate_fini(&c);
	assert_int_equal(certificate_read(own, &c, &err), -1);
	assert_int_equal(err.kind, ERROR_MANIFEST);
	secret_unref(pem);
	secret_unref(own);
	secret_unref(other);
	EVP_PKEY_free(keys[0]);
	EVP_PKEY_free(keys[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(judges),
		cmocka_unit_test(days_are_whole_and_negative_once_expired),
		cmocka_unit_test(a_key_is_its_own_or_refused),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("certificate", tests, NULL, NULL);
}
