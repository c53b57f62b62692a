/* SPDX-License-Identifier: MIT */
/*
 * Golden renderings: tests/plan/proxy/<case>.json describes a service, its neighbours and a proxy;
 * <case>.txt is what is written for it.  DEPLOY_GOLDEN=write makes the .txt files anew.
 */
#include "../../../src/proxy/internal.h"

#include "util/fs.h"
#include "util/json.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define FOLDER "tests/plan/proxy"

static void strings(const json_t *j, const char *path, struct strvec *out)
{
	size_t i;
	json_t *item;
	json_array_foreach((json_t *)(uintptr_t)json_at(j, path), i, item)
	{
		strvec_push(out, json_string_value(item));
	}
}

static enum config_tls tls_of(const json_t *j)
{
	const char *tls = json_str_at(j, "tls", "none");
	return str_eq(tls, "auto")    ? CONFIG_TLS_AUTO
	       : str_eq(tls, "given") ? CONFIG_TLS_GIVEN
				      : CONFIG_TLS_NONE;
}

static void read_neighbours(struct proxy *p, const json_t *all)
{
	size_t i;
	json_t *j;
	json_array_foreach((json_t *)(uintptr_t)json_at(all, "others"), i, j)
	{
		struct proxy_other o = {.key = xstrdup(json_str_at(j, "key", "other"))};
		o.state.present = true;
		o.state.tls = tls_of(j);
		o.state.certificate = xstrdup(json_str_at(j, "certificate", ""));
		o.state.redirect = json_bool_at(j, "redirect", 0);
		o.state.strip = json_bool_at(j, "strip", 0);
		strings(j, "hosts", &o.state.hosts);
		strings(j, "prefixes", &o.state.prefixes);
		vec_push(&p->others, o);
	}
}

static void read_answers(
	const json_t *all, struct strmap *headers, struct config_rate_limits *limits)
{
	size_t i;
	const char *key;
	json_t *j;
	json_object_foreach((json_t *)(uintptr_t)json_at(all, "headers"), key, j)
	{
		strmap_set(headers, key, json_string_value(j));
	}
	json_array_foreach((json_t *)(uintptr_t)json_at(all, "limits"), i, j)
	{
		struct config_rate_limit l = {.path = json_str_at(j, "path", "/"),
			.requests = (int)json_int_at(j, "requests", 1),
			.per_minute = json_bool_at(j, "per_minute", 0),
			.burst = (int)json_int_at(j, "burst", 0)};
		vec_push(limits, l);
	}
}

static struct config_balancing balancing_of(const json_t *j)
{
	struct config_balancing b = {.cookie = json_str_at(j, "balancing.cookie", NULL),
		.secure = json_bool_at(j, "balancing.secure", 0),
		.max_age_s = json_int_at(j, "balancing.max_age", 0)};
	for (int i = 0; config_balance_names[i]; i++) {
		if (str_eq(json_str_at(j, "balancing.policy", ""), config_balance_names[i])) {
			b.policy = (enum config_balance_policy)i;
		}
	}
	return b;
}

static void render_all(const json_t *j, struct str *out)
{
	struct strvec hosts = {0}, prefixes = {0}, log_request = {0}, log_response = {0};
	struct config_balancing balancing = balancing_of(j);
	struct strmap headers = {0};
	struct config_rate_limits limits = {0};
	struct config_tls_settings settings = {
		.only_13 = json_bool_at(j, "only_13", 0), .hsts = json_bool_at(j, "hsts", 0)};
	struct error err = {0};
	struct proxy *p = xcalloc(1, sizeof(*p));
	struct proxy_service s = {
		.service = json_str_at(j, "service", "shop"),
		.destination = json_str_at(j, "destination", NULL),
		.release = json_str_at(j, "release", "3f2a1c"),
		.hosts = &hosts,
		.prefixes = &prefixes,
		.strip_prefix = json_bool_at(j, "strip", 0),
		.app_port = (int)json_int_at(j, "port", 3000),
		.tls = tls_of(j),
		.tls_settings = &settings,
		.certificate_digest = json_str_at(j, "certificate", NULL),
		.ssl_redirect = json_bool_at(j, "redirect", 0),
		.response_timeout_ms = (int)json_int_at(j, "response_timeout", 30000),
		.max_request_body = json_int_at(j, "max_body", 0),
		.buffer_requests = json_bool_at(j, "buffer_requests", 0),
		.buffer_responses = json_bool_at(j, "buffer_responses", 0),
		.forward_headers = json_bool_at(j, "forward_headers", 0),
		.response_headers = &headers,
		.compress = json_bool_at(j, "compress", 0),
		.rate_limits = &limits,
		.balancing = &balancing,
		.circuit_breaker = json_str_at(j, "circuit_breaker", NULL),
		.snippet_digest = json_str_at(j, "snippet", NULL),
		.log_request = &log_request,
		.log_response = &log_response,
		.maintenance = json_bool_at(j, "maintenance", 0),
		.maintenance_message = json_str_at(j, "message", NULL),
	};
	read_answers(j, &headers, &limits);
	strings(j, "hosts", &hosts);
	strings(j, "ciphers", &settings.ciphers);
	strings(j, "log_request", &log_request);
	strings(j, "log_response", &log_response);
	strings(j, "prefixes", &prefixes);
	strings(j, "live", &s.live);
	strings(j, "draining", &s.draining);
	s.slots[0] = (struct proxy_slot){.replicas = (int)s.live.len, .port = s.app_port};
	s.slots[1] = (struct proxy_slot){.replicas = (int)s.draining.len, .port = s.app_port};
	p->config = (struct proxy_config){.driver = json_str_at(j, "driver", ""),
		.metrics_port = (int)json_int_at(j, "metrics_port", 0),
		.acme_email = json_str_at(j, "acme_email", NULL),
		.acme_server = json_str_at(j, "acme_server", NULL),
		.acme_ca = json_str_at(j, "acme_ca", NULL),
		.http_port = (int)json_int_at(j, "http_port", 80),
		.https_port = (int)json_int_at(j, "https_port", 443)};
	p->driver = proxy_driver_find(p->config.driver);
	assert_non_null(p->driver);
	p->version = proxy_version_parse(json_str_at(j, "version", ""));
	p->key = proxy_service_key(s.service, s.destination);
	p->sid = proxy_sid(p->key);
	read_neighbours(p, j);

	int rc = proxy_service_check(&s, &err) < 0 || proxy_conflicts(p, &s, &err) < 0 ? -1 : 0;
	if (rc < 0) {
		str_addf(out, "refused: %s\n", err.text);
	} else {
		struct proxy_files files = {0};
		proxy_plan_files(p, &s, "services", &files);
		VEC_FOREACH (&files, i) {
			struct proxy_state st;
			str_addf(out, "--- %s\n%s", files.p[i].path, files.p[i].text);
			proxy_state_parse(&st, files.p[i].text, strlen(files.p[i].text));
			assert_int_equal(st.present, i == 0);
			assert_false(st.edited);
			if (st.present) {
				assert_int_equal(st.tls_settings.only_13, settings.only_13);
				assert_int_equal(st.tls_settings.hsts, settings.hsts);
				assert_int_equal(st.tls_settings.ciphers.len, settings.ciphers.len);
			}
			proxy_state_fini(&st);
		}
		proxy_files_fini(&files);
	}
	if (json_bool_at(j, "main", 0)) {
		struct proxy_main m = {.config = &p->config, .version = p->version};
		str_addf(out, "--- %s\n", p->driver->main);
		p->driver->render_main(&m, out);
	}
	strmap_fini(&headers);
	vec_fini(&limits);
	strvec_fini(&hosts);
	strvec_fini(&settings.ciphers);
	strvec_fini(&log_request);
	strvec_fini(&log_response);
	strvec_fini(&prefixes);
	proxy_service_fini(&s);
	proxy_close(p);
}

static void one_case(const char *name)
{
	struct error err = {0};
	struct str in = STR_INIT(STR_MAX_FILE), want = STR_INIT(STR_MAX_FILE);
	struct str got = STR_INIT(STR_MAX_FILE);
	char *path = xasprintf(FOLDER "/%s", name);
	assert_int_equal(fs_read(path, &in, &err), 0);
	json_t *j = json_parse(str_c(&in), in.len, name, &err);
	if (!j) {
		fail_msg("%s", err.text);
	}
	render_all(j, &got);
	memcpy(path + strlen(path) - 4, "txt", 4);
	if (getenv("DEPLOY_GOLDEN")) {
		assert_int_equal(fs_write_atomic(path, str_c(&got), got.len, 0644, &err), 0);
	}
	assert_int_equal(fs_read(path, &want, &err), 0);
	if (!str_eq(str_c(&want), str_c(&got))) {
		print_error("%s: got:\n%s", name, str_c(&got));
	}
	assert_string_equal(str_c(&want), str_c(&got));
	json_decref(j);
	free(path);
	str_fini(&in);
	str_fini(&want);
	str_fini(&got);
}

static void test_golden(void **state)
{
	struct dirent **names = NULL;
	int n = scandir(FOLDER, &names, NULL, alphasort);
	int cases = 0;
	for (int i = 0; i < n; i++) {
		if (str_ends(names[i]->d_name, ".json")) {
			one_case(names[i]->d_name);
			cases++;
		}
		free(names[i]);
	}
	free(names);
	assert_true(cases > 0);
}

static const char fragment[] =
	"# deploy-proxy {\"service\":\"a\",\"live\":[\"x\",1,\"y\"],\"id\":\"z\"}\n"
	"# sha256 "
	"0000000000000000000000000000000000000000000000000000000000000000\n"
	"body\n";

static void test_edited_fragment_is_told(void **state)
{
	struct proxy_state st;
	proxy_state_parse(&st, fragment, sizeof(fragment) - 1);
	assert_true(st.present);
	assert_true(st.edited);
	assert_int_equal(st.live.len, 2);
	assert_string_equal(st.live.p[1], "y");
	proxy_state_fini(&st);
}

static void test_any_cut_of_a_fragment_is_harmless(void **state)
{
	for (size_t n = 0; n < sizeof(fragment); n++) {
		struct proxy_state st;
		char *cut = xstrndup(fragment, n);
		proxy_state_parse(&st, cut, n);
		proxy_state_fini(&st);
		free(cut);
	}
}

static void test_versions(void **state)
{
	static const struct {
		const char *text;
		long version;
	} cases[] = {
		{"2.6.2\n", PROXY_VERSION(2, 6, 2)},
		{"v2.8.4 h1:q3pe0wpBj1OcHFZ3n/1nl4V4bxBrYoSoab7rL9BMYNk=\n",
			PROXY_VERSION(2, 8, 4)},
		{"nginx version: nginx/1.22.1\n", PROXY_VERSION(1, 22, 1)},
		{"nginx version: nginx/1.31.5 (Ubuntu)", PROXY_VERSION(1, 31, 5)},
		{"unknown\n", 0},
		{"", 0},
		{"99999999999999999999.1.1", 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(proxy_version_parse(cases[i].text), cases[i].version);
	}
}

static void test_names_that_leave_their_place_are_refused(void **state)
{
	static const char *const hosts[] = {"a b", "a{b}", "a;b", "../x", "a\nb", "", "-a", ".a",
		"a/b", "a..b", "*", "*.*.a", "a:80"};
	static const char *const prefixes[] = {
		"api", "/a b", "/a;", "/{x}", "/../x", "//a", "", "/$a"};
	struct error err;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		struct strvec v = {0};
		struct proxy_service s = {.service = "shop", .hosts = &v, .app_port = 80};
		strvec_push(&v, hosts[i]);
		if (proxy_service_check(&s, &err) == 0) {
			fail_msg("host '%s' was taken", hosts[i]);
		}
		strvec_fini(&v);
	}
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		struct strvec v = {0};
		struct proxy_service s = {.service = "shop", .prefixes = &v, .app_port = 80};
		strvec_push(&v, prefixes[i]);
		if (proxy_service_check(&s, &err) == 0) {
			fail_msg("prefix '%s' was taken", prefixes[i]);
		}
		strvec_fini(&v);
	}
}

static void test_escape_leaves_nothing_special(void **state)
{
	struct str out = STR_INIT(STR_MAX_LINE);
	proxy_page_escape(&out, "a`$\"'{}<>\\&\nä");
	assert_null(strpbrk(str_c(&out), "`$\"'{}\\\n"));
	assert_non_null(strstr(str_c(&out), "ä"));
	assert_null(strpbrk(proxy_page_head, "`$\"\\\n"));
	assert_null(strpbrk(proxy_page_tail, "`$\"\\\n"));
	str_fini(&out);
}

static void test_connections(void **state)
{
	static const char text[] =
		"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt\n"
		"   0: 00000000:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000\n"
		"   1: 050012AC:0BB8 020012AC:D2F0 01 00000000:00000000 00:00000000 00000000\n"
		"   2: 050012AC:0BB8 030012AC:D2F0 01 00000000:00000000 00:00000000 00000000\n"
		"   3: 050012AC:0BB8 020012AC:D2F4 06 00000000:00000000 00:00000000 00000000\n"
		"   4: 050012AC:0BB9 020012AC:D2F6 01 00000000:00000000 00:00000000 00000000\n"
		"   5: 0000000000000000FFFF0000050012AC:0BB8 0000000000000000FFFF0000020012AC:D2F8 "
		"01 0\n";
	assert_int_equal(proxy_count_connections(text, 3000, "020012AC"), 2);
	assert_int_equal(proxy_count_connections("", 3000, "020012AC"), 0);
	assert_int_equal(proxy_count_connections("garbage\n\n:::\n", 3000, "020012AC"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_edited_fragment_is_told),
		cmocka_unit_test(test_any_cut_of_a_fragment_is_harmless),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_names_that_leave_their_place_are_refused),
		cmocka_unit_test(test_escape_leaves_nothing_special),
		cmocka_unit_test(test_connections),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
