/* SPDX-License-Identifier: MIT */
#include "deploy/history.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BEGIN(n, v)                                                                                \
	"{\"event\":\"begin\",\"time\":\"2026-01-02T03:04:05.000Z\",\"number\":" n                 \
	",\"id\":\"000000000000000" n "\",\"command\":\"push\",\"version\":\"" v "\",\"runs\":" n  \
	"}\n"
#define END(n, o)                                                                                  \
	"{\"event\":\"end\",\"time\":\"2026-01-02T03:04:09.000Z\",\"id\":\"000000000000000" n      \
	"\",\"outcome\":\"" o "\"}\n"

static void parse(struct history *h, const char *text)
{
	history_init(h);
	history_parse(h, text, strlen(text));
}

static void test_fold(void **state)
{
	struct history h;
	(void)state;
	parse(&h, BEGIN("1", "aaaa") END("1", "live") BEGIN("2", "bbbb") END("2", "failed"));
	assert_int_equal(h.len, 2);
	assert_int_equal(h.p[0].outcome, RELEASE_LIVE);
	assert_int_equal(h.p[1].outcome, RELEASE_FAILED);
	assert_int_equal(history_live(&h)->number, 1);
	assert_int_equal(history_next_number(&h), 3);
	assert_int_equal(h.p[0].finished_ms - h.p[0].started_ms, 4000);
	assert_false(h.torn);
	history_fini(&h);
}

static void test_torn_and_garbage(void **state)
{
	struct history h;
	(void)state;
	parse(&h, BEGIN("1", "aaaa") "garbage\n\n{\"event\":\"end\"}\n" END(
			  "1", "live") "{\"event\":\"begin\",\"numb");
	assert_int_equal(h.len, 1);
	assert_int_equal(h.skipped_lines, 3);
	assert_true(h.torn);
	assert_int_equal(h.p[0].outcome, RELEASE_LIVE);
	/* What is appended next must not run into the torn line. */
	struct str missing = STR_INIT(STR_MAX_FILE);
	history_missing(&h, &h, &missing);
	assert_string_equal(str_c(&missing), "\n");
	str_fini(&missing);
	history_fini(&h);
}

static void test_end_without_begin_is_skipped(void **state)
{
	struct history h;
	(void)state;
	parse(&h, END("1", "live"));
	assert_int_equal(h.len, 0);
	assert_int_equal(h.skipped_lines, 1);
	assert_null(history_live(&h));
	history_fini(&h);
}

/* Copies that know different things: together they know everything, in whatever order. */
static void test_merge_and_missing(void **state)
{
	struct history a, b, both;
	struct str missing = STR_INIT(STR_MAX_FILE);
	(void)state;
	parse(&a, BEGIN("1", "aaaa") END("1", "live") BEGIN("3", "cccc"));
	parse(&b, BEGIN("2", "bbbb") END("2", "live") BEGIN("3", "cccc") END("3", "failed"));
	history_init(&both);
	history_merge(&both, &a);
	history_merge(&both, &b);
	assert_int_equal(both.len, 3);
	assert_int_equal(both.p[1].number, 2);
	assert_int_equal(both.p[2].outcome, RELEASE_FAILED);
	history_missing(&both, &a, &missing);
	history_parse(&a, str_c(&missing), missing.len);
	assert_int_equal(a.len, 3);
	assert_int_equal(a.p[2].outcome, RELEASE_FAILED);
	str_reset(&missing);
	history_missing(&both, &a, &missing);
	assert_int_equal(missing.len, 0);
	str_fini(&missing);
	history_fini(&a);
	history_fini(&b);
	history_fini(&both);
}

/* What repair thought of a release gives way to the word of the one who made it live. */
static void test_live_overrules_interrupted(void **state)
{
	struct history h;
	(void)state;
	parse(&h, BEGIN("1", "aaaa") END("1", "interrupted") END("1", "live"));
	assert_int_equal(h.p[0].outcome, RELEASE_LIVE);
	history_fini(&h);
	parse(&h, BEGIN("1", "aaaa") END("1", "live") END("1", "interrupted"));
	assert_int_equal(h.p[0].outcome, RELEASE_LIVE);
	history_fini(&h);
}

static void test_lines_round_trip(void **state)
{
	struct history h, again;
	struct str lines = STR_INIT(STR_MAX_FILE);
	(void)state;
	struct release r = {
		.number = 7,
		.runs = 7,
		.id = strdup("00000000000000ab"),
		.outcome = RELEASE_FAILED,
		.command = strdup("push"),
		.version = strdup("v7"),
		.subject = strdup("quotes \" and\nnewlines \\ and \xc3\xa9"),
		.error = strdup("host h1: no"),
		.lock_host = strdup("h2"),
		.started_ms = 1767323045000,
		.finished_ms = 1767323049000,
		.requests = 10,
		.failed_requests = 0,
		.bytes_sent = 42,
	};
	strmap_set(&r.hosts, "h1", "ok");
	history_begin_line(&r, &lines);
	history_end_line(&r, &lines);
	parse(&again, str_c(&lines));
	history_init(&h);
	history_put(&h, &r);
	assert_int_equal(again.len, 1);
	assert_string_equal(again.p[0].subject, r.subject);
	assert_string_equal(again.p[0].error, r.error);
	assert_string_equal(again.p[0].lock_host, r.lock_host);
	assert_string_equal(strmap_get(&again.p[0].hosts, "h1"), "ok");
	assert_int_equal(again.p[0].requests, 10);
	assert_int_equal(again.p[0].bytes_sent, 42);
	assert_int_equal(again.p[0].started_ms, r.started_ms);
	release_fini(&r);
	str_fini(&lines);
	history_fini(&h);
	history_fini(&again);
}

/* Counted after the end was on record: a line of its own, which copies that lack it get. */
static void test_counts(void **state)
{
	struct history h, copy;
	struct str missing = STR_INIT(STR_MAX_FILE);
	(void)state;
	parse(&h,
		BEGIN("1", "aaaa") END("1",
			"live") "{\"event\":\"counts\",\"id\":\"0000000000000001\",\"requests\":7,"
				"\"failed_requests\":0}\n"
				"{\"event\":\"counts\",\"id\":\"0000000000000002\",\"requests\":7}"
				"\n");
	assert_int_equal(h.p[0].requests, 7);
	assert_int_equal(h.p[0].failed_requests, 0);
	assert_int_equal(h.skipped_lines, 1);
	parse(&copy, BEGIN("1", "aaaa") END("1", "live"));
	assert_int_equal(copy.p[0].requests, -1);
	history_missing(&h, &copy, &missing);
	history_parse(&copy, str_c(&missing), missing.len);
	assert_int_equal(copy.p[0].requests, 7);
	str_reset(&missing);
	history_missing(&h, &copy, &missing);
	assert_int_equal(missing.len, 0);
	str_fini(&missing);
	history_fini(&h);
	history_fini(&copy);
}

static void test_lookup(void **state)
{
	struct history h;
	(void)state;
	parse(&h, BEGIN("1", "3f2a1c0b9d") END("1", "live") BEGIN("2", "3f2b000000")
			  END("2", "live") BEGIN("3", "777") END("3", "live")
				  BEGIN("4", "badbadbad0") END("4", "failed"));
	assert_int_equal(history_lookup(&h, "3f2a1c0b9d")->number, 1);
	assert_int_equal(history_lookup(&h, "3f2a")->number, 1);
	assert_int_equal(history_lookup(&h, "2")->number, 2);
	assert_int_equal(history_lookup(&h, "v2")->number, 2);
	assert_int_equal(history_lookup(&h, "777")->number, 3);
	assert_null(history_lookup(&h, "3f2")); /* too short to be sure */
	assert_null(history_lookup(&h, "badbadbad0"));
	assert_null(history_lookup(&h, "99"));
	history_fini(&h);
}

/* A copy whose numbers and strings are hostile is skipped line by line, never an abort. */
static void test_hostile_lines(void **state)
{
	static const char *const lines[] = {
		"{\"event\":\"begin\",\"number\":-1,\"id\":\"0000000000000001\",\"version\":\"v\"}"
		"\n",
		("{\"event\":\"begin\",\"number\":99999999999999,\"id\":\"0000000000000001\","
		 "\"version\":\"v\"}\n"),
		"{\"event\":\"begin\",\"number\":1,\"id\":\"../../../../etc\",\"version\":\"v\"}\n",
		"{\"event\":\"begin\",\"number\":1,\"id\":\"0000000000000001\"}\n",
		"[1]\n",
		"null\n",
		"\"begin\"\n",
		"{\"event\":{}}\n",
	};
	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		struct history h;
		parse(&h, lines[i]);
		assert_int_equal(h.len, 0);
		assert_int_equal(h.skipped_lines, 1);
		history_fini(&h);
	}
}

static void add(struct history *h, long number, enum release_outcome outcome)
{
	char id[RELEASE_ID_HEX + 1];
	snprintf(id, sizeof(id), "%016lx", (unsigned long)number);
	struct release r = {.number = number,
		.runs = number,
		.id = id,
		.version = id,
		.outcome = outcome,
		.config = json_pack("{s:s}", "x", id)};
	history_put(h, &r);
	json_decref(r.config);
}

/* However many pushes failed since: without the live release its containers would go. */
static void test_compaction_keeps_what_is_live(void **state)
{
	struct history h, again;
	CLEANUP_STR struct str text = STR_INIT(HISTORY_MAX_BYTES);
	(void)state;
	history_init(&h);
	add(&h, 1, RELEASE_LIVE);
	for (long i = 2; i < 3000; i++) {
		add(&h, i, RELEASE_FAILED);
	}
	history_compacted(&h, &text);
	assert_true(text.len < HISTORY_COMPACT_AT / 2);
	history_init(&again);
	history_parse(&again, str_c(&text), text.len);
	assert_true(again.len < 2000);
	assert_int_equal(again.skipped_lines, 0);
	assert_int_equal(history_live(&again)->number, 1);
	assert_null(again.p[0].config);
	assert_int_equal(again.p[again.len - 1].number, 2999);
	assert_non_null(again.p[again.len - 1].config);
	history_fini(&again);
	history_fini(&h);
}

/* Two servers that disagree on how a release failed must not grow with each record. */
static void test_missing_leaves_a_second_end_out(void **state)
{
	struct history h, copy;
	CLEANUP_STR struct str text = STR_INIT(STR_MAX_FILE);
	(void)state;
	parse(&h, BEGIN("1", "aaaa") END("1", "failed"));
	parse(&copy, BEGIN("1", "aaaa") END("1", "interrupted"));
	history_missing(&h, &copy, &text);
	assert_string_equal(str_c(&text), "");
	history_fini(&h);
	history_fini(&copy);
}

#define BEGIN_ID(n, id, t)                                                                         \
	"{\"event\":\"begin\",\"time\":\"2026-01-0" t "T00:00:00.000Z\",\"number\":" n             \
	",\"id\":\"" id "\",\"command\":\"push\",\"version\":\"v\",\"runs\":" n                    \
	",\"hosts\":{\"h" t "\":\"ok\"}}\n"
#define END_ID(id, o) "{\"event\":\"end\",\"id\":\"" id "\",\"outcome\":\"" o "\"}\n"

/* Two servers that did not know of each other have both counted from 1. */
static void test_split_numbers(void **state)
{
	struct history h;
	(void)state;
	parse(&h,
		BEGIN_ID("1", "aaaaaaaaaaaaaaaa", "1") END_ID("aaaaaaaaaaaaaaaa", "live") BEGIN_ID(
			"1", "cccccccccccccccc", "3") END_ID("cccccccccccccccc", "failed")
			BEGIN_ID("1", "bbbbbbbbbbbbbbbb", "2") END_ID("bbbbbbbbbbbbbbbb", "live"));
	assert_int_equal(h.len, 3);
	assert_string_equal(history_find(&h, 1)->id, "bbbbbbbbbbbbbbbb");
	assert_string_equal(history_find_on(&h, 1, "h1")->id, "aaaaaaaaaaaaaaaa");
	assert_string_equal(history_find_on(&h, 1, "h3")->id, "cccccccccccccccc");
	assert_string_equal(history_find_on(&h, 1, "other")->id, "bbbbbbbbbbbbbbbb");
	assert_string_equal(history_find_id(&h, "aaaaaaaaaaaaaaaa")->id, "aaaaaaaaaaaaaaaa");
	assert_null(history_find_id(&h, "dddddddddddddddd"));
	assert_ptr_equal(history_owner(&h, &h.p[0]), &h.p[0]);
	history_fini(&h);
}

/* Whatever the order of the lines, all are found and in order. */
static void test_many_in_reverse(void **state)
{
	struct history h;
	struct str lines = STR_INIT(STR_MAX_FILE);
	enum { MANY = 20000 };
	(void)state;
	for (int i = MANY; i > 0; i--) {
		str_addf(&lines,
			"{\"event\":\"begin\",\"number\":%d,\"id\":\"%016x\",\"version\":\"v\"}\n",
			i, i);
	}
	history_init(&h);
	history_parse(&h, str_c(&lines), lines.len);
	assert_int_equal(h.len, MANY);
	for (size_t i = 0; i < MANY; i++) {
		assert_int_equal(h.p[i].number, i + 1);
		assert_ptr_equal(history_find_id(&h, h.p[i].id), &h.p[i]);
	}
	str_fini(&lines);
	history_fini(&h);
}

/* A rolling push begins for all hosts, and may end on some of them. */
static void test_hosts_that_stayed(void **state)
{
	static const char text[] =
		"{\"event\":\"begin\",\"number\":1,\"id\":\"0000000000000001\",\"time\":"
		"\"2026-01-02T03:04:05Z\",\"version\":\"v1\",\"runs\":1,\"hosts\":{\"h1\":"
		"\"pending\","
		"\"h2\":\"pending\"}}\n"
		"{\"event\":\"end\",\"id\":\"0000000000000001\",\"time\":\"2026-01-02T03:04:06Z\","
		"\"outcome\":\"live\",\"hosts\":{\"h1\":\"ok\"},\"stayed\":{\"h2\":\"not "
		"begun\"}}\n";
	static const char next[] = BEGIN("2", "v2") END("2", "live");
	struct history h, again;
	CLEANUP_STR struct str lines = STR_INIT(STR_MAX_REPLY);
	(void)state;
	history_init(&h);
	history_init(&again);
	history_parse(&h, text, strlen(text));
	history_missing(&h, &again, &lines);
	history_parse(&again, str_c(&lines), lines.len);
	assert_int_equal(history_serving(&again, "h1", "web"), 1);
	assert_int_equal(history_serving(&again, "h2", "web"), 0);
	assert_string_equal(strmap_get(&again.p[0].stayed, "h2"), "not begun");
	/* Nothing to go back to, since it failed somewhere. */
	history_parse(&again, next, strlen(next));
	assert_null(history_previous_good(&again, history_live(&again)));
	strmap_fini(&again.p[0].stayed);
	assert_int_equal(history_previous_good(&again, history_live(&again))->number, 1);
	history_fini(&again);
	history_fini(&h);
}

static void test_hosts_that_left(void **state)
{
	struct history a, b;
	struct str lines = STR_INIT(STR_MAX_FILE);
	(void)state;
	parse(&a, BEGIN("1", "aaaa") END("1", "live"));
	parse(&b, BEGIN("1", "aaaa") END("1", "live"));
	assert_int_equal(history_left_at(&a, "h3"), 0);
	history_leave(&a, "h3", 4);
	history_leave(&a, "h3", 2);
	assert_int_equal(history_left_at(&a, "h3"), 4);
	history_missing(&a, &b, &lines);
	history_parse(&b, str_c(&lines), lines.len);
	assert_int_equal(history_left_at(&b, "h3"), 4);
	str_reset(&lines);
	history_missing(&a, &b, &lines);
	assert_int_equal(lines.len, 0);
	history_compacted(&a, &lines);
	history_fini(&b);
	history_parse(&b, str_c(&lines), lines.len);
	assert_int_equal(history_left_at(&b, "h3"), 4);
	history_fini(&b);
	history_merge(&b, &a);
	assert_int_equal(history_left_at(&b, "h3"), 4);
	str_fini(&lines);
	history_fini(&a);
	history_fini(&b);
}

/* What ran survives the way to another copy, and tells how the schema stands. */
static void test_schema(void **state)
{
	static const char begin_rollback[] =
		"{\"event\":\"begin\",\"number\":3,\"id\":\"0000000000000003\",\"command\":"
		"\"rollback\",\"version\":\"aaaa\",\"runs\":1,\"undoes\":2}\n";
	struct history h, copy;
	struct str lines = STR_INIT(STR_MAX_FILE);
	(void)state;
	parse(&h, BEGIN("1", "aaaa") END("1", "live")
			  BEGIN("2", "bbbb") "{\"event\":\"end\",\"id\":\"0000000000000002\","
					     "\"outcome\":\"live\","
					     "\"ran\":{\"command\":\"migrate\",\"exit\":0,"
					     "\"duration_ms\":1500}}\n");
	assert_int_equal(history_schema(&h, &h.p[0]), SCHEMA_STAYED);
	assert_int_equal(history_schema(&h, &h.p[1]), SCHEMA_MOVED);
	/* A rollback that died may have taken it back. */
	history_parse(&h, begin_rollback, strlen(begin_rollback));
	history_parse(&h, END("3", "interrupted"), strlen(END("3", "interrupted")));
	assert_int_equal(history_schema(&h, &h.p[1]), SCHEMA_PERHAPS);
	history_init(&copy);
	history_missing(&h, &copy, &lines);
	history_parse(&copy, str_c(&lines), lines.len);
	assert_int_equal(copy.len, 3);
	assert_string_equal(copy.p[1].ran, "migrate");
	assert_int_equal(copy.p[1].ran_status, 0);
	assert_int_equal(copy.p[1].ran_ms, 1500);
	assert_int_equal(copy.p[2].undoes, 2);
	assert_int_equal(history_schema(&copy, &copy.p[1]), SCHEMA_PERHAPS);
	char *text = release_ran_text(&copy.p[1]);
	assert_string_equal(text, "release command 'migrate': exit code 0 after 1.5s");
	free(text);
	str_reset(&lines);
	history_schema_text(&copy, 0, 9, 0, SCHEMA_MOVED, &lines);
	assert_string_equal(str_c(&lines), "release 2 (perhaps: interrupted) ran 'migrate'");
	str_fini(&lines);
	history_fini(&copy);
	history_fini(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compaction_keeps_what_is_live),
		cmocka_unit_test(test_missing_leaves_a_second_end_out),
		cmocka_unit_test(test_fold),
		cmocka_unit_test(test_schema),
		cmocka_unit_test(test_torn_and_garbage),
		cmocka_unit_test(test_end_without_begin_is_skipped),
		cmocka_unit_test(test_merge_and_missing),
		cmocka_unit_test(test_live_overrules_interrupted),
		cmocka_unit_test(test_lines_round_trip),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_lookup),
		cmocka_unit_test(test_hostile_lines),
		cmocka_unit_test(test_split_numbers),
		cmocka_unit_test(test_many_in_reverse),
		cmocka_unit_test(test_hosts_that_stayed),
		cmocka_unit_test(test_hosts_that_left),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
