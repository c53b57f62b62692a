/* SPDX-License-Identifier: MIT */
/* Small pure parts: names, commands, the lock's owner. */
#include "deploy/container.h"
#include "deploy/lock.h"
#include "deploy/names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static void test_names(void **state)
{
	struct config c = {.service = "shop", .image = "shop"};
	struct config_role one = {.name = "web", .replicas = 1};
	struct config_role two = {.name = "web", .replicas = 2};
	(void)state;
	CLEANUP_FREE char *plain = names_container(&c, &one, "v1", 0, 1);
	assert_string_equal(plain, "shop-web-v1");
	CLEANUP_FREE char *replica = names_container(&c, &two, "v1", 0, 2);
	assert_string_equal(replica, "shop-web-v1-2");
	CLEANUP_FREE char *again = names_container(&c, &two, "v1", 7, 2);
	assert_string_equal(again, "shop-web-v1-r7-2");
	c.destination = "staging";
	CLEANUP_FREE char *staging = names_container(&c, &one, "v1", 0, 1);
	assert_string_equal(staging, "shop-web-staging-v1");
	/* What is too long for a DNS name is cut, differently for each; version and replica stay.
	 */
	c.service = "a-service-with-a-very-long-name-that-somebody-chose";
	CLEANUP_FREE char *first = names_container(&c, &two, "0123456789", 0, 1);
	CLEANUP_FREE char *second = names_container(&c, &two, "0123456789", 0, 2);
	CLEANUP_FREE char *same = names_container(&c, &two, "0123456789", 0, 2);
	assert_int_equal(strlen(first), NAMES_CONTAINER_MAX);
	assert_string_equal(
		first, "a-service-with-a-very-long-name-that-some-31aeaf4b-0123456789-1");
	assert_string_not_equal(first, second);
	assert_string_equal(second, same);
	CLEANUP_FREE char *clone = names_clone(second, 12, 2);
	assert_int_equal(strlen(clone), NAMES_CONTAINER_MAX);
	assert_string_equal(clone + strlen(clone) - 6, "-r12-2");
	char version[129];
	memset(version, 'v', 128);
	version[128] = '\0';
	CLEANUP_FREE char *long_version = names_container(&c, &two, version, 0, 2);
	assert_int_equal(strlen(long_version), NAMES_CONTAINER_MAX);
	c.service = "shop";
	CLEANUP_FREE char *path = names_state_path(&c, "key");
	assert_string_equal(path, ".deploy/shop@staging/key");
	CLEANUP_FREE char *image = names_image(&c, "v1");
	assert_string_equal(image, "shop:v1");
}

static void assert_command(const char *text, size_t n, const char *const *wanted)
{
	struct strvec words = {0};
	struct error err = {0};
	assert_int_equal(container_command(text, &words, &err), 0);
	assert_int_equal(words.len, n);
	for (size_t i = 0; i < n; i++) {
		assert_string_equal(words.p[i], wanted[i]);
	}
	strvec_fini(&words);
}

/* Plain words need no shell in the image; shell syntax gets one. */
static void test_commands(void **state)
{
	(void)state;
	assert_command("bin/rails db:migrate", 2, (const char *[]){"bin/rails", "db:migrate"});
	assert_command("echo 'a b' \"c d\"", 3, (const char *[]){"echo", "a b", "c d"});
	assert_command("a && b", 3, (const char *[]){"sh", "-c", "a && b"});
	assert_command("echo $HOME", 3, (const char *[]){"sh", "-c", "echo $HOME"});
	assert_command("X=1 run", 3, (const char *[]){"sh", "-c", "X=1 run"});
	struct strvec words = {0};
	struct error err = {0};
	assert_int_equal(container_command("", &words, &err), -1);
	assert_int_equal(container_command("echo 'open", &words, &err), -1);
	strvec_fini(&words);
}

static void test_owner(void **state)
{
	static const char good[] =
		"{\"token\":\"0123456789abcdef0123456789abcdef\",\"performer\":\"ann\",\"host\":"
		"\"x\","
		"\"command\":\"deploy push\",\"machine\":\"m\",\"pid\":7,\"pid_start\":9,"
		"\"since\":\"2026-01-02T03:04:05.000Z\",\"manual\":true}";
	static const char *const bad[] = {"", "{}", "[]", "{\"token\":\"short\"}",
		"{\"token\":\"0123456789abcdef0123456789abcd/.\"}", "{\"token\":7}"};
	struct lock_owner o = {0};
	(void)state;
	assert_int_equal(lock_owner_parse(good, strlen(good), &o), 0);
	assert_string_equal(o.performer, "ann");
	assert_int_equal(o.pid, 7);
	assert_true(o.manual);
	lock_owner_fini(&o);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(lock_owner_parse(bad[i], strlen(bad[i]), &o), -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_owner),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
