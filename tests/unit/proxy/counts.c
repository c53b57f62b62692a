/* SPDX-License-Identifier: MIT */
#include "../../../src/proxy/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Lines as caddy 2.6.2, nginx 1.22.1 and Traefik 3.6.0 wrote them, shortened. */
static const char caddy_log[] =
	"{\"ts\":1.5,\"request\":{\"uri\":\"/"
	"\"},\"user_id\":\"shop|shop-web-1:3000|1.5ms\",\"status\":200}\n"
	"{\"ts\":1.6,\"user_id\":\"shop|shop-web-2:3000|2ms\",\"status\":500}\n"
	"{\"ts\":1.7,\"user_id\":\"shop|shop-web-2:3000|2ms\",\"status\":503}\n"
	"{\"ts\":1.8,\"user_id\":\"shop|shop-web-1:3000|\",\"status\":502}\n"
	"{\"ts\":1.9,\"user_id\":\"other|x:3000|\",\"status\":502}\n"
	"{\"ts\":2.0,\"user_id\":\"\",\"status\":404}\n"
	"not json\n"
	"{\"ts\":2.1,\"user_id\":\"shop|shop-web-1:3000|1ms\",\"status\":200}";

static const char nginx_log[] =
	"{\"ts\":1.5,\"key\":\"shop\",\"upstream\":\"shop-web-1:3000\",\"answered\":\"0.001\","
	"\"status\":200}\n"
	"{\"ts\":1.6,\"key\":\"shop\",\"upstream\":\"shop-web-2:3000\",\"answered\":\"-, "
	"0.002\",\"status\":500}\n"
	"{\"ts\":1.7,\"key\":\"shop\",\"upstream\":\"shop-web-2:3000\",\"answered\":\"0.2\","
	"\"status\":503}\n"
	"{\"ts\":1.8,\"key\":\"shop\",\"upstream\":\"shop-web-1:3000\",\"answered\":\"-\","
	"\"status\":502}\n"
	"{\"ts\":1.9,\"key\":\"\",\"upstream\":\"\",\"answered\":\"\",\"status\":404}\n"
	"not json\n"
	"{\"ts\":2.1,\"key\":\"shop\",\"status\":200,\"answered\":\"1\"}";

#define TRAEFIK(router, upstream, status, more)                                                    \
	"{\"DownstreamStatus\":" status ",\"RouterName\":\"" router                                \
	"@file\",\"ServiceAddr\":\"" upstream "\"," more "\"time\":\"2026-11-21T19:31:02Z\"}\n"
static const char traefik_log[] = TRAEFIK("shop:0:0:http", "shop-web-1:3000", "200",
	"\"origin_Date\":\"Sat\",") TRAEFIK("shop:0:0:http", "shop-web-2:3000", "500", "")
	TRAEFIK("shop:0:0:http", "shop-web-2:3000", "503", "\"origin_Content-Type\":\"text/html\",")
		TRAEFIK("shop:0:0:http", "shop-web-1:3000", "502", "") TRAEFIK(
			"shop+staging:0:0:http", "x:3000", "502",
			"") "{\"DownstreamStatus\":404,\"RouterName\":\"\"}\nnot json\n"
			    "{\"DownstreamStatus\":200,\"RouterName\":\"shop:0:0:http@file\"}";

static struct proxy_upstream_counts named(const struct proxy_counts *c, const char *name)
{
	VEC_FOREACH (&c->upstreams, i) {
		if (str_eq(c->upstreams.p[i].name, name)) {
			return c->upstreams.p[i];
		}
	}
	return (struct proxy_upstream_counts){0};
}

static void check(const struct proxy_driver *d, const char *text, size_t len)
{
	struct proxy_counts c = {0};
	proxy_counts_add(&c, d, "shop", text, len);
	assert_int_equal(c.served, 3); /* the last line has no end yet */
	assert_int_equal(c.failed, 1);
	assert_int_equal(c.errors, 2);
	assert_int_equal(c.upstreams.len, 2);
	assert_int_equal(named(&c, "shop-web-1").served, 1);
	assert_int_equal(named(&c, "shop-web-1").failed, 1);
	assert_int_equal(named(&c, "shop-web-2").served, 2);
	proxy_counts_fini(&c);
}

static void test_caddy(void **state)
{
	check(&proxy_caddy, caddy_log, sizeof(caddy_log) - 1);
}

static void test_nginx(void **state)
{
	check(&proxy_nginx, nginx_log, sizeof(nginx_log) - 1);
}

static void test_traefik(void **state)
{
	struct proxy_log_entry e;
	static const char page[] = TRAEFIK("shop+staging:0:1:https", "127.0.0.1:61080", "504",
		"\"ServiceName\":\"deploy:pages@file\",\"origin_Content-Type\":\"text/html\",");
	check(&proxy_traefik, traefik_log, sizeof(traefik_log) - 1);
	assert_true(proxy_traefik.parse_log(page, sizeof(page) - 2, &e));
	assert_string_equal(e.key, "shop@staging");
	assert_string_equal(e.upstream, "");
	assert_false(e.answered);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_caddy),
		cmocka_unit_test(test_nginx),
		cmocka_unit_test(test_traefik),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
