/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/clock.h"
#include "util/digest.h"
#include "util/fs.h"
#include "util/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/deploy-test-XXXXXX";

static int make_dir(void **state)
{
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static int remove_dir(void **state)
{
	CLEANUP_FREE char *file = fs_join(dir, "file");
	CLEANUP_FREE char *b = fs_join(dir, "a/b");
	CLEANUP_FREE char *a = fs_join(dir, "a");

	unlink(file);
	rmdir(b);
	rmdir(a);
	return rmdir(dir);
}

static void atomic_write_replaces_and_sets_the_mode(void **state)
{
	struct error err = {0};
	CLEANUP_FREE char *path = fs_join(dir, "file");
	CLEANUP_STR struct str s = STR_INIT(5);
	struct stat st;

	assert_int_equal(fs_write_atomic(path, "first", 5, 0666, &err), 0);
	assert_int_equal(fs_write_atomic(path, "secon", 5, 0600, &err), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(fs_read(path, &s, &err), 0);
	assert_string_equal(str_c(&s), "secon");
	assert_int_equal(fs_write_atomic(path, "longer", 6, 0600, &err), 0);
	str_reset(&s);
	assert_int_equal(fs_read(path, &s, &err), -1);
	assert_int_equal(err.sys, EFBIG);
	assert_int_equal(fs_read("/nonexistent", &s, &err), -1);
	assert_int_equal(err.sys, ENOENT);
	assert_int_equal(fs_write_atomic("/nonexistent/x", "", 0, 0600, &err), -1);
}

static void mkdirs_makes_parents_and_tells_a_file_in_the_way(void **state)
{
	struct error err = {0};
	CLEANUP_FREE char *path = fs_join(dir, "a/b");
	CLEANUP_FREE char *file = fs_join(dir, "file");

	assert_int_equal(fs_mkdirs(path, 0700, &err), 0);
	assert_int_equal(fs_mkdirs(path, 0700, &err), 0);
	assert_true(fs_exists(path));
	assert_int_equal(fs_write_atomic(file, "", 0, 0600, &err), 0);
	assert_int_equal(fs_mkdirs(file, 0700, &err), -1);
	assert_int_equal(err.sys, ENOTDIR);
}

static void cache_dir_follows_xdg(void **state)
{
	setenv("XDG_CACHE_HOME", "/x", 1);
	CLEANUP_FREE char *a = fs_cache_dir();
	assert_string_equal(a, "/x/deploy");
	setenv("XDG_CACHE_HOME", "relative", 1);
	setenv("HOME", "/h", 1);
	CLEANUP_FREE char *b = fs_cache_dir();
	assert_string_equal(b, "/h/.cache/deploy");
}

static void rfc3339_there_and_back(void **state)
{
	char buf[CLOCK_RFC3339_SIZE];

	assert_string_equal(clock_rfc3339(1767322984678, buf), "2026-01-02T03:03:04.678Z");
	assert_string_equal(clock_rfc3339(0, buf), "1970-01-01T00:00:00.000Z");
	clock_rfc3339(INT64_MAX, buf);
	clock_rfc3339(INT64_MIN, buf);
	static const struct {
		const char *text;
		int64_t ms;
	} cases[] = {
		{"2026-01-02T03:03:04.678Z", 1767322984678},
		{"2026-01-02T03:03:04.678901234Z", 1767322984678},
		{"2026-01-02T05:03:04+02:00", 1767322984000},
		{"2026-01-01 22:03:04.5-05:00", 1767322984500},
		{"0001-01-01T00:00:00Z", -1}, /* Docker's "never" */
		{"2026-01-02T03:03:04", -1},
		{"2026-01-02T03:03:04.Z", -1},
		{"2026-13-02T03:03:04Z", -1},
		{"2026-01-02T03:03:04Zx", -1},
		{"", -1},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(clock_parse_rfc3339(cases[i].text), cases[i].ms);
	}
}

static void durations_are_short(void **state)
{
	static const struct {
		int64_t ms;
		const char *text;
	} cases[] = {
		{-5, "0.0s"},
		{440, "0.4s"},
		{12345, "12.3s"},
		{59949, "59.9s"},
		{59951, "1m00s"},
		{125000, "2m05s"},
		{3599600, "1h00m"},
		{11520000, "3h12m"},
		{5 * 86400000LL, "5d"},
	};
	char buf[CLOCK_RFC3339_SIZE];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_string_equal(clock_duration(cases[i].ms, buf), cases[i].text);
	}
}

static void digests_match_their_vectors(void **state)
{
	char hex[DIGEST_HEX_SIZE];
	char again[DIGEST_HEX_SIZE];

	digest_sha256_hex("abc", 3, hex);
	assert_string_equal(
		hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	struct digest *d = digest_new();
	digest_update(d, "a", 1);
	digest_update(d, "bc", 2);
	digest_hex(d, again);
	digest_free(d);
	digest_free(NULL);
	assert_string_equal(hex, again);
	/* RFC 4231, test case 2 */
	digest_hmac_hex("Jefe", 4, "what do ya want for nothing?", 28, hex);
	assert_string_equal(
		hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	digest_random_hex(16, hex);
	digest_random_hex(16, again);
	assert_int_equal(strlen(hex), 32);
	assert_string_not_equal(hex, again);
}

static void base64_there_and_back(void **state)
{
	/* RFC 4648, section 10 */
	static const char *const cases[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="},
		{"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="},
		{"foobar", "Zm9vYmFy"}, {"\xfb\xff", "+/8="}};
	static const char *const wrong[] = {
		"Z", "Zg=", "Zg===", "Z===", "Zm9v!", "=", "Zm=v", "Zm9v "};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = 99;
		CLEANUP_FREE char *text = digest_base64(cases[i][0], strlen(cases[i][0]), 0);
		assert_string_equal(text, cases[i][1]);
		CLEANUP_FREE unsigned char *back = digest_unbase64(text, &len);
		assert_int_equal(len, strlen(cases[i][0]));
		assert_memory_equal(back, cases[i][0], len);
	}
	CLEANUP_FREE char *url = digest_base64("\xfb\xff", 2, 1);
	assert_string_equal(url, "-_8=");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		size_t len = 0;
		assert_null(digest_unbase64(wrong[i], &len));
	}
}

static void json_looks_up_along_a_path(void **state)
{
	struct error err = {0};
	const char *text = "{\"State\":{\"Health\":{\"Status\":\"healthy\",\"N\":3,\"B\":true}}}";
	CLEANUP_JSON json_t *j = json_parse(text, strlen(text), "answer", &err);

	assert_non_null(j);
	assert_string_equal(json_str_at(j, "State.Health.Status", "x"), "healthy");
	assert_string_equal(json_str_at(j, "State.Nope.Status", "x"), "x");
	assert_string_equal(json_str_at(j, "State.Health.N", "x"), "x");
	assert_int_equal(json_int_at(j, "State.Health.N", 0), 3);
	assert_int_equal(json_bool_at(j, "State.Health.B", 0), 1);
	assert_string_equal(json_str_at(NULL, "State", "x"), "x");
	CLEANUP_FREE char *out = json_text(j);
	assert_string_equal(out, text);
	assert_null(json_parse("{\"a\":1,\"a\":2}", 13, "answer", &err));
	assert_null(json_parse("{\"a\":", 5, "answer", &err));
	assert_non_null(strstr(err.text, "answer: not valid JSON at line 1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(atomic_write_replaces_and_sets_the_mode),
		cmocka_unit_test(mkdirs_makes_parents_and_tells_a_file_in_the_way),
		cmocka_unit_test(cache_dir_follows_xdg),
		cmocka_unit_test(rfc3339_there_and_back),
		cmocka_unit_test(durations_are_short),
		cmocka_unit_test(digests_match_their_vectors),
		cmocka_unit_test(base64_there_and_back),
		cmocka_unit_test(json_looks_up_along_a_path),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
