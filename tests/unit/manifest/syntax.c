/* SPDX-License-Identifier: MIT */
#include "manifest/syntax.h"
#include "manifest/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct form {
	const char *(*check)(const char *s);
	const char *text;
	bool right;
};

static const struct form forms[] = {
	{syntax_name, "app", true},
	{syntax_name, "My_app-2", true},
	{syntax_name, "", false},
	{syntax_name, "-app", false},
	{syntax_name, "a/b", false},
	{syntax_name, "..", false},
	{syntax_name, "a.b", false},
	{syntax_name, "a\n", false},
	{syntax_name, "\xc3\xa4", false},
	{syntax_version, "3f2a1c", true},
	{syntax_version, "v1.2.3-rc_1", true},
	{syntax_version, "_x", true},
	{syntax_version, ".x", false},
	{syntax_version, "a..b", false},
	{syntax_version, "a/b", false},
	{syntax_version, "-x", false},
	{syntax_server, "app1.example.com", true},
	{syntax_server, "u@h:22", true},
	{syntax_server, "::1", true},
	{syntax_server, "[::1]", true},
	{syntax_server, "u@[fe80::1]:2222", true},
	{syntax_server, "h:", false},
	{syntax_server, "h:022", false},
	{syntax_server, "h:65536", false},
	{syntax_server, "-h", false},
	{syntax_server, "u@-h", false},
	{syntax_server, "-u@h", false},
	{syntax_server, "[::1]x", false},
	{syntax_server, "[1.2.3.4]", false},
	{syntax_server, "a;b", false},
	{syntax_server, "a$b", false},
	{syntax_domain, "example.com", true},
	{syntax_domain, "*.example.com", true},
	{syntax_domain, "localhost", true},
	{syntax_domain, "*", false},
	{syntax_domain, "a.*", false},
	{syntax_domain, "a..b", false},
	{syntax_domain, "a.com:80", false},
	{syntax_domain, "a-.com", false},
	{syntax_domain, "x{y}", false},
	{syntax_repository, "app", true},
	{syntax_repository, "ghcr.io:5000/a/b__c-d.e", true},
	{syntax_repository, "a//b", false},
	{syntax_repository, "/a", false},
	{syntax_repository, "a/", false},
	{syntax_repository, "A", false},
	{syntax_repository, "a:1", false},
	{syntax_repository, "a___b", false},
	{syntax_image, "postgres:15", true},
	{syntax_image, "localhost:5000/a", true},
	{syntax_image, "a@sha256:0123456789abcdef0123456789abcdef", true},
	{syntax_image, "a@sha256:0123", false},
	{syntax_image, "a:", false},
	{syntax_image, "-a", false},
	{syntax_registry, "ghcr.io", true},
	{syntax_registry, "10.0.0.1:5000", true},
	{syntax_registry, "ghcr.io/x", false},
	{syntax_registry, "user@ghcr.io", false},
	{syntax_env_name, "A_1.b", true},
	{syntax_env_name, "1A", false},
	{syntax_env_name, "A=B", false},
	{syntax_secret_ref, "A:B", true},
	{syntax_secret_ref, "A:", false},
	{syntax_secret_ref, ":B", false},
	{syntax_label, "com.example.team", true},
	{syntax_label, "role", false},
	{syntax_label, "deploy.x", false},
	{syntax_path_inside, "a/../b", true},
	{syntax_path_inside, "a/../../b", false},
	{syntax_path_inside, "..", false},
	{syntax_path_inside, "/a", false},
	{syntax_path_inside, "~/a", false},
	{syntax_path_inside, "-a", false},
	{syntax_path_absolute, "/a/..b", true},
	{syntax_path_absolute, "/a/..", false},
	{syntax_path_absolute, "a", false},
	{syntax_asset_path, "/a:ro,z", true},
	{syntax_asset_path, "/a:", false},
	{syntax_volume, "data:/data", true},
	{syntax_volume, "/srv/a:/b:ro", true},
	{syntax_volume, "data:/", false},
	{syntax_volume, "data:/x:", false},
	{syntax_volume, "data:/x:ro:z", false},
	{syntax_volume, "/a/..:/x", false},
	{syntax_volume, "a\nb:/x", false},
	{syntax_url_path, "/up?x=1&y=%20", true},
	{syntax_url_path, "/a b", false},
	{syntax_url_path, "/\"", false},
	{syntax_url_path, "/a\r\nX: y", false},
	{syntax_path_prefix, "/api/v1", true},
	{syntax_path_prefix, "/a//b", false},
	{syntax_path_prefix, "/{x}", false},
	{syntax_path_prefix, "/a;b", false},
	{syntax_ssh_url, "ssh://u@h:22", true},
	{syntax_ssh_url, "ssh://-h", false},
	{syntax_ssh_url, "ssh://h/p", false},
	{syntax_jump, "a,u@b:22", true},
	{syntax_jump, "a,,b", false},
	{syntax_jump, "a,-b", false},
	{syntax_tag_template, "{branch}-{sha}", true},
	{syntax_tag_template, "{x}", false},
	{syntax_tag_template, "{sha", false},
	{syntax_port_mapping, "127.0.0.1:5433:5432", true},
	{syntax_port_mapping, "80/udp", true},
	{syntax_port_mapping, "[::1]:80:80", true},
	{syntax_port_mapping, "127.0.0.1::80", true},
	{syntax_port_mapping, "8000-8010:80-90", false},
	{syntax_port_mapping, "x:80", false},
	{syntax_port_mapping, "80/sctp", false},
	{syntax_port_mapping, "", false},
	{syntax_limit, "25%", true},
	{syntax_limit, "3", true},
	{syntax_limit, "0", false},
	{syntax_limit, "101%", false},
	{syntax_limit, "%", false},
	{syntax_ratio, "0", true},
	{syntax_ratio, "1", true},
	{syntax_ratio, "1.0", true},
	{syntax_ratio, "0.25", true},
	{syntax_ratio, ".25", true},
	{syntax_ratio, "1.01", false},
	{syntax_ratio, "0.", false},
	{syntax_ratio, "25%", false},
	{syntax_ratio, "-0.1", false},
	{syntax_ratio, "2", false},
	{syntax_ratio, "", false},
	{syntax_mode, "0644", true},
	{syntax_mode, "0888", false},
	{syntax_header, "X-Request-ID", true},
	{syntax_header, "X Y", false},
	{syntax_log_header, "X-Request-ID", true},
	{syntax_log_header, "authorization", false},
	{syntax_log_header, "Set-Cookie", false},
	{syntax_log_header, "X Y", false},
	{syntax_cookie, "shop_1", true},
	{syntax_cookie, "1shop", false},
	{syntax_cookie, "my-shop", false},
	{syntax_cookie, "", false},
	{syntax_number_version, "2.12.0", true},
	{syntax_number_version, "2.", false},
	{syntax_number_version, ".2", false},
	{syntax_alias, "db-console_2", true},
	{syntax_alias, "-x", false},
	{syntax_alias, "X", false},
	{syntax_command, "sh -c 'a b'", true},
	{syntax_command, "  ", false},
	{syntax_command, "a 'b", false},
};

static void test_forms(void **state)
{
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		const char *wrong = forms[i].check(forms[i].text);

		if ((wrong == NULL) != forms[i].right) {
			print_message(
				"# '%s': %s\n", forms[i].text, wrong != NULL ? wrong : "right");
		}
		assert_int_equal(wrong == NULL, forms[i].right);
	}
}

/* Too long is refused everywhere, never cut or overrun. */
static void test_long(void **state)
{
	char *text = xcalloc(1, 100001);

	for (size_t i = 0; i < 100000; i++) {
		text[i] = 'a';
	}
	assert_non_null(syntax_name(text));
	assert_non_null(syntax_version(text));
	assert_non_null(syntax_server(text));
	assert_non_null(syntax_domain(text));
	assert_non_null(syntax_image(text));
	assert_non_null(syntax_registry(text));
	assert_non_null(syntax_env_name(text));
	assert_non_null(syntax_secret_ref(text));
	assert_non_null(syntax_label(text));
	assert_non_null(syntax_path_inside(text));
	assert_non_null(syntax_volume(text));
	assert_non_null(syntax_tag_template(text));
	assert_non_null(syntax_jump(text));
	assert_non_null(syntax_limit(text));
	assert_non_null(syntax_ratio(text));
	text[50000] = ':';
	assert_non_null(syntax_secret_ref(text));
	assert_non_null(syntax_volume(text));
	assert_non_null(syntax_image(text));
	text[50000] = '@';
	assert_non_null(syntax_server(text));
	free(text);
}

static void check_split(const char *text, const char *user, const char *host, int port)
{
	char *u = NULL, *h = NULL;
	int p = -1;

	syntax_server_split(text, &u, &h, &p);
	assert_true(str_eq(u, user));
	assert_string_equal(h, host);
	assert_int_equal(p, port);
	free(u);
	free(h);
}

static void test_server_split(void **state)
{
	check_split("host", NULL, "host", 0);
	check_split("u@host:22", "u", "host", 22);
	check_split("::1", NULL, "::1", 0);
	check_split("[::1]:22", NULL, "::1", 22);
	check_split("u@[::1]", "u", "::1", 0);
}

static void test_numbers(void **state)
{
	int64_t n = 0;

	assert_int_equal(syntax_duration("10"), 10000);
	assert_int_equal(syntax_duration("500ms"), 500);
	assert_int_equal(syntax_duration("1.5s"), 1500);
	assert_int_equal(syntax_duration("2m"), 120000);
	assert_int_equal(syntax_duration("1h"), 3600000);
	assert_int_equal(syntax_duration(""), -1);
	assert_int_equal(syntax_duration("s"), -1);
	assert_int_equal(syntax_duration("-1"), -1);
	assert_int_equal(syntax_duration("1 s"), -1);
	assert_int_equal(syntax_duration("1."), -1);
	assert_int_equal(syntax_duration("999999999999999999999"), -1);
	assert_int_equal(syntax_size("0"), 0);
	assert_int_equal(syntax_size("512k"), 512 << 10);
	assert_int_equal(syntax_size("1.5g"), (int64_t)3 << 29);
	assert_int_equal(syntax_size("1GiB"), (int64_t)1 << 30);
	assert_int_equal(syntax_size("1gb"), (int64_t)1 << 30);
	assert_int_equal(syntax_size("40_000_000"), 40000000);
	assert_int_equal(syntax_size("1gg"), -1);
	assert_int_equal(syntax_size("b"), -1);
	assert_int_equal(syntax_size("9999999999t"), -1);
	assert_int_equal(syntax_integer("1_000", &n), 0);
	assert_int_equal(n, 1000);
	assert_int_equal(syntax_integer("-5", &n), 0);
	assert_int_equal(n, -5);
	assert_int_equal(syntax_integer("010", &n), -1);
	assert_int_equal(syntax_integer("0x1F", &n), -1);
	assert_int_equal(syntax_integer("1_", &n), -1);
	assert_int_equal(syntax_integer("99999999999999999999", &n), -1);
	assert_int_equal(syntax_bool("Yes"), 1);
	assert_int_equal(syntax_bool("off"), 0);
	assert_int_equal(syntax_bool("1"), -1);
}

static void check_words(const char *text, const char *joined)
{
	struct strvec words = {0};
	struct str out = STR_INIT(1024);
	const char *wrong = syntax_words(text, &words);

	VEC_FOREACH (&words, i) {
		str_addf(&out, "[%s]", words.p[i]);
	}
	assert_string_equal(wrong != NULL ? "wrong" : str_c(&out), joined);
	str_fini(&out);
	strvec_fini(&words);
}

static void test_words(void **state)
{
	check_words("", "");
	check_words(" a  b\tc\n", "[a][b][c]");
	check_words("sh -c 'a \"b\" $c'", "[sh][-c][a \"b\" $c]");
	check_words("a\\ b \"c\\\"d\\n\"", "[a b][c\"d\\n]");
	check_words("'' \"\"", "[][]");
	check_words("a'b'\"c\"d", "[abcd]");
	check_words("a 'b", "wrong");
	check_words("a \"b", "wrong");
	check_words("a \\", "wrong");
	check_words("a && b", "[a][&&][b]");
}

static void test_options(void **state)
{
	size_t n;
	const struct option_kind *table = option_table(&n);

	for (size_t i = 1; i < n; i++) { /* sorted: a place for each */
		assert_true(strcmp(table[i - 1].name, table[i].name) < 0);
	}
	assert_null(option_find("--memory"));
	assert_null(option_check(option_find("memory"), "512m"));
	assert_non_null(option_check(option_find("memory"), "lots"));
	assert_null(option_check(option_find("memory-swap"), "-1"));
	assert_non_null(option_check(option_find("cpus"), "0"));
	assert_null(option_check(option_find("cpus"), "0.5"));
	assert_null(option_check(option_find("restart"), "on-failure:3"));
	assert_non_null(option_check(option_find("restart"), "on-failure:x"));
	assert_non_null(option_check(option_find("user"), "a\nb"));
}

static void test_schedule_gaps(void **state)
{
	static const struct {
		const char *fields;
		int64_t minutes;
	} cases[] = {
		{"17 3 * * *", 1440},
		{"17 * * * *", 60},
		{"* * * * *", 1},
		{"17 3 * * 0", 7 * 1440},
		{"17 3 * * 7", 7 * 1440},
		{"17 3 1 * *", 31 * 1440},
		{"30 */6 * * *", 360},
		{"0 4,22 * * *", 18 * 60},
		{"0 0 * * mon-fri", 3 * 1440},
		{"0 0 29 2 *", (int64_t)(4 * 365 + 1) * 1440},
		{"0 0 1 * mon", 7 * 1440}, /* both: either */
		{"0 0 30 2 *", 0},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_null(syntax_schedule(cases[i].fields));
		assert_int_equal(syntax_schedule_gap_ms(cases[i].fields), cases[i].minutes * 60000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_server_split),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_schedule_gaps),
		cmocka_unit_test(test_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
