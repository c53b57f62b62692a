/* SPDX-License-Identifier: MIT */
/* Small pure parts: owners of placed files, what stands beside a backup. */
#include "service/place.h"
#include "service/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
			     "postgresql:x:70:71::/:/bin/sh\n"
			     "postgres:x:999:998::/var/lib/postgresql:/bin/sh\n"
			     "odd:x:many:1::/:/bin/sh\n"
			     "short:x";
static const char group[] = "root:x:0:\nssl-cert:x:101:postgres\npostgres:x:998:\n";

static void test_owners(void **state)
{
	static const struct {
		const char *owner;
		int result;
		uint32_t uid, gid;
	} cases[] = {
		{"0", 0, 0, 0},
		{"999", 0, 999, 999},
		{"999:5", 0, 999, 5},
		{"root", 0, 0, 0},
		{"postgres", 0, 999, 998},
		{"postgres:ssl-cert", 0, 999, 101},
		{"postgres:7", 0, 999, 7},
		{"5:postgres", 0, 5, 998},
		{"postgre", -1, 0, 0},
		{"nobody", -1, 0, 0},
		{"postgres:nobody", -1, 0, 0},
		{"odd", -1, 0, 0},
		{"short", -1, 0, 0},
		{"", -1, 0, 0},
		{"99999999999", -1, 0, 0},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint32_t uid = 12345, gid = 12345;
		assert_int_equal(
			place_owner(cases[i].owner, passwd, group, &uid, &gid), cases[i].result);
		if (cases[i].result == 0) {
			assert_int_equal(uid, cases[i].uid);
			assert_int_equal(gid, cases[i].gid);
		}
	}
	uint32_t uid, gid;
	assert_int_equal(place_owner("root", "", "", &uid, &gid), -1);
}

static void test_info_round_trip(void **state)
{
	struct backup_info b = {.id = "20260102T030405Z-a1b2c3",
		.time_ms = 1767323045678,
		.size = 12345678901,
		.accessory = xstrdup("db"),
		.host = xstrdup("db1"),
		.note = xstrdup("before the restore of \"x\"")};
	struct backup_info again;
	(void)state;
	memset(b.sha256, 'a', DIGEST_HEX_SIZE - 1);
	CLEANUP_FREE char *text = backup_info_text(&b);
	assert_int_equal(backup_info_parse(text, strlen(text), &again), 0);
	assert_string_equal(again.id, b.id);
	assert_string_equal(again.sha256, b.sha256);
	assert_string_equal(again.accessory, "db");
	assert_string_equal(again.note, b.note);
	assert_null(again.image);
	assert_true(again.time_ms == b.time_ms && again.size == b.size);
	backup_info_fini(&b);
	backup_info_fini(&again);
}

/* It names files: nothing of a stranger's making may lead elsewhere. */
static void test_info_refused(void **state)
{
	static const char *const wrong[] = {
		"",
		"{}",
		"[1]",
		"{\"id\":\"a\"",
		"{\"id\":\"../a\",\"time\":\"2026-01-02T03:04:05Z\",\"size\":1,\"sha256\":\"H\"}",
		"{\"id\":\"a\",\"time\":\"2026-01-02T03:04:05Z\",\"size\":-1,\"sha256\":\"H\"}",
		"{\"id\":\"a\",\"time\":\"yesterday\",\"size\":1,\"sha256\":\"H\"}",
		"{\"id\":\"-rf\",\"time\":\"2026-01-02T03:04:05Z\",\"size\":1,\"sha256\":\"H\"}",
		("{\"id\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"time\":"
		 "\"2026-01-02T03:04:05Z\",\"size\":1,\"sha256\":\"H\"}"),
	};
	static const char sum[] =
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct backup_info b;
		struct str text = STR_INIT(STR_MAX_LINE);
		for (const char *p = wrong[i]; *p; p++) {
			str_addf(&text, *p == 'H' ? "%s" : "%.1s", *p == 'H' ? sum : p);
		}
		assert_int_equal(backup_info_parse(str_c(&text), text.len, &b), -1);
		str_fini(&text);
	}
	const char *good = "{\"id\":\"a\",\"time\":\"2026-01-02T03:04:05Z\",\"size\":1,\"sha256\":"
			   "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}";
	struct backup_info b;
	assert_int_equal(backup_info_parse(good, strlen(good), &b), 0);
	backup_info_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_owners),
		cmocka_unit_test(test_info_round_trip),
		cmocka_unit_test(test_info_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
