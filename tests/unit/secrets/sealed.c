/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "secrets/dotenv.h"
#include "secrets/sealed.h"
#include "util/fs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char plain_text[] = "A=1\nPEM='-----BEGIN\nx\n-----END'\n";
static const char key_text[] = "0123456789abcdef0123";

static void sealed_text(struct str *out)
{
	struct secret *plain = secret_new(plain_text, strlen(plain_text));
	struct secret *key = secret_new(key_text, strlen(key_text));
	struct error err = {0};

	assert_int_equal(sealed_make(plain, key, out, &err), 0);
	secret_unref(plain);
	secret_unref(key);
}

/* The text that comes out, or the error. */
static char *opened(const char *text, size_t len, const char *key)
{
	struct secret *k = secret_new(key, strlen(key));
	struct error err = {0};
	struct secret *s = sealed_open("f", text, len, k, &err);
	char *result = s != NULL ? xstrdup(secret_reveal(s)) : xasprintf("error: %s", err.text);

	assert_true(s != NULL || err.kind == ERROR_MANIFEST);
	secret_unref(s);
	secret_unref(k);
	return result;
}

static void opens_what_it_sealed(void **state)
{
	CLEANUP_STR struct str text = STR_INIT(STR_MAX_FILE);
	CLEANUP_STR struct str again = STR_INIT(STR_MAX_FILE);

	sealed_text(&text);
	sealed_text(&again);
	assert_true(sealed_is(text.p, text.len));
	assert_null(strstr(text.p, "PEM"));
	assert_string_not_equal(text.p, again.p); /* a salt and a nonce each */
	CLEANUP_FREE char *out = opened(text.p, text.len, key_text);
	assert_string_equal(out, plain_text);
	CLEANUP_FREE char *wrong = opened(text.p, text.len, "0123456789abcdef0124");
	assert_string_equal(wrong, "error: the key is not the one that 'f' was written with");
}

static void tells_damage(void **state)
{
	CLEANUP_STR struct str text = STR_INIT(STR_MAX_FILE);

	sealed_text(&text);
	char *body = strchr(text.p, '\n') + 1;
	*body = *body == 'A' ? 'B' : 'A';
	CLEANUP_FREE char *flipped = opened(text.p, text.len, key_text);
	assert_string_equal(flipped, "error: 'f' is damaged");
	CLEANUP_FREE char *cut = opened(text.p, (size_t)(body - text.p), key_text);
	assert_string_equal(cut, "error: 'f' is damaged");
	/* the nonce is the last word of the first line */
	body[-2] = body[-2] == 'a' ? 'b' : 'a';
	CLEANUP_FREE char *nonce = opened(text.p, text.len, key_text);
	assert_string_equal(nonce, "error: 'f' is damaged");
}

static void refuses_bad_headers(void **state)
{
	static const char salt[] =
		" 00112233445566778899aabbccddeeff 00112233445566778899aabbccddeeff"
		" 00112233445566778899aabb\nAAAA\n";
	static const struct {
		const char *head, *error;
	} cases[] = {
		{"deploy-secrets 2 something new",
			"error: f:1: written by a newer version of deploy"},
		{"deploy-secrets 1 aes-256-gcm scrypt 32767 8 1",
			"error: f:1: the first line is damaged"},
		{"deploy-secrets 1 aes-256-gcm scrypt 8388608 8 1",
			"error: f:1: the first line is damaged"},
		{"deploy-secrets 1 aes-256-gcm scrypt 32768 8 -1",
			"error: f:1: the first line is damaged"},
		{"deploy-secrets 1 rot13 scrypt 32768 8 1",
			"error: f:1: the first line is damaged"},
		{"deploy-secrets 1", "error: f:1: the first line is damaged"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP_FREE char *text = xasprintf("%s%s", cases[i].head, salt);
		CLEANUP_FREE char *found = opened(text, strlen(text), key_text);
		assert_string_equal(found, cases[i].error);
	}
}

/* -- The key, and files in a folder -- */

static int folder_make(void **state)
{
	char *dir = xstrdup("/tmp/deploy-sealed-XXXXXX");

	assert_non_null(mkdtemp(dir));
	unsetenv(SEALED_KEY_VARIABLE);
	*state = dir;
	return 0;
}

static int folder_remove(void **state)
{
	static const char *const names[] = {"secrets.key", "secrets.enc", "secrets"};
	char *dir = *state;

	for (size_t i = 0; i < 3; i++) {
		CLEANUP_FREE char *path = fs_join(dir, names[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(dir), 0);
	free(dir);
	return 0;
}

static void key_of_a_file(void **state)
{
	CLEANUP_FREE char *path = fs_join(*state, "secrets.key");
	struct error err = {0};

	assert_null(sealed_key(*state, &err));
	assert_int_equal(err.sys, ENOENT);
	err = (struct error){0};
	assert_int_equal(sealed_key_make(*state, &err), 0);
	struct secret *key = sealed_key(*state, &err);
	assert_non_null(key);
	assert_int_equal(secret_len(key), 64);
	secret_unref(key);
	assert_int_equal(sealed_key_make(*state, &err), -1); /* never over another */

	err = (struct error){0};
	assert_int_equal(chmod(path, 0640), 0);
	assert_null(sealed_key(*state, &err));
	assert_non_null(strstr(err.text, "other users can read the key"));
	assert_int_equal(err.sys, 0);

	err = (struct error){0};
	assert_int_equal(fs_write_atomic(path, "short\n", 6, 0600, &err), 0);
	assert_null(sealed_key(*state, &err));
	assert_non_null(strstr(err.text, "shorter than 16"));

	setenv(SEALED_KEY_VARIABLE, key_text, 1);
	key = sealed_key(*state, &err);
	assert_non_null(key);
	assert_string_equal(secret_reveal(key), key_text);
	secret_unref(key);
	unsetenv(SEALED_KEY_VARIABLE);
}

static void put(void *dir, const char *name, const char *text, mode_t mode)
{
	CLEANUP_FREE char *path = fs_join(dir, name);
	struct error err = {0};

	assert_int_equal(fs_write_atomic(path, text, strlen(text), mode, &err), 0);
	assert_int_equal(chmod(path, mode), 0);
}

/* A sealed file is read as a plain one, whoever can read it; its entries serve later files. */
static void is_read_as_a_secrets_file(void **state)
{
	CLEANUP_STR struct str text = STR_INIT(STR_MAX_FILE);
	CLEANUP_FREE char *sealed = fs_join(*state, "secrets.enc");
	CLEANUP_FREE char *plain = fs_join(*state, "secrets");
	struct error err = {0};

	sealed_text(&text);
	put(*state, "secrets.enc", text.p, 0644);
	put(*state, "secrets", "URL=x://$A\n", 0644);
	struct dotenv *d = dotenv_new();
	assert_int_equal(dotenv_load(d, sealed, &err), -1);
	assert_non_null(strstr(err.text, "the key of the encrypted secrets is missing"));
	assert_int_equal(err.sys, 0);
	dotenv_free(d);

	put(*state, "secrets.key", key_text, 0600);
	d = dotenv_new();
	err = (struct error){0};
	assert_int_equal(dotenv_load(d, sealed, &err), 0);
	assert_int_equal(dotenv_load(d, plain, &err), 0);
	struct secret *url = dotenv_resolve(d, "URL", NULL, &err);
	struct secret *pem = dotenv_resolve(d, "PEM", NULL, &err);
	assert_string_equal(secret_reveal(url), "x://1");
	assert_string_equal(secret_reveal(pem), "-----BEGIN\nx\n-----END");
	assert_string_equal(dotenv_file_of(d, "URL"), plain);
	assert_string_equal(dotenv_file_of(d, "PEM"), sealed);
	assert_null(dotenv_file_of(d, "NONE"));
	secret_unref(url);
	secret_unref(pem);
	dotenv_free(d);

	put(*state, "secrets.enc", text.p, 0666);
	d = dotenv_new();
	assert_int_equal(dotenv_load(d, sealed, &err), -1);
	assert_non_null(strstr(err.text, "other users can write"));
	dotenv_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opens_what_it_sealed),
		cmocka_unit_test(tells_damage),
		cmocka_unit_test(refuses_bad_headers),
		cmocka_unit_test_setup_teardown(key_of_a_file, folder_make, folder_remove),
		cmocka_unit_test_setup_teardown(
			is_read_as_a_secrets_file, folder_make, folder_remove),
	};

	return cmocka_run_group_tests_name("sealed", tests, NULL, NULL);
}
