/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "secrets/secret.h"
#include "util/str.h"
#include "util/thread.h"

#include <string.h>

static void holds_any_bytes(void **state)
{
	struct secret *s = secret_new("a\0b", 3);
	struct secret *empty = secret_new(NULL, 0);

	assert_int_equal(secret_len(s), 3);
	assert_memory_equal(secret_reveal(s), "a\0b", 4);
	assert_string_equal(secret_reveal(empty), "");
	secret_unref(s);
	secret_unref(empty);
	secret_unref(NULL);
	assert_null(secret_ref(NULL));
}

static void a_large_value_fits(void **state)
{
	CLEANUP_FREE char *big = xcalloc(1 << 20, 1);

	memset(big, 'x', 1 << 20);
	struct secret *s = secret_new(big, 1 << 20);
	assert_memory_equal(secret_reveal(s), big, 1 << 20);
	assert_int_equal(secret_reveal(s)[1 << 20], '\0');
	secret_unref(s);
}

static void share(void *ctx, size_t i)
{
	struct secret *mine = secret_ref(ctx);

	if (secret_len(mine) == 1) {
		secret_unref(mine);
	}
}

static void references_are_counted_across_threads(void **state)
{
	struct secret *s = secret_new("x", 1);

	pool_run(1000, 8, share, s);
	assert_string_equal(secret_reveal(s), "x");
	secret_unref(s);
}

static void the_map_replaces_and_keeps_order(void **state)
{
	struct secret_map m = {0};

	for (int i = 0; i < 20; i++) {
		CLEANUP_FREE char *name = xasprintf("N%d", i);
		secret_map_set(&m, name, secret_new(name, strlen(name)));
	}
	secret_map_set(&m, "N3", secret_new("new", 3));
	secret_map_set(&m, "N4", secret_ref(secret_map_get(&m, "N4")));
	assert_int_equal(m.len, 20);
	assert_string_equal(m.p[3].name, "N3");
	assert_string_equal(secret_reveal(secret_map_get(&m, "N3")), "new");
	assert_null(secret_map_get(&m, "nope"));
	secret_map_fini(&m);
	assert_int_equal(m.len, 0);
	secret_map_fini(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holds_any_bytes),
		cmocka_unit_test(a_large_value_fits),
		cmocka_unit_test(references_are_counted_across_threads),
		cmocka_unit_test(the_map_replaces_and_keeps_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
