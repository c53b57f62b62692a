/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../../src/ui/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A live region without colour at time 0, and what it says. */
struct bench {
	struct live live;
	struct screen screen;
	struct strvec stayed;
};

static struct bench bench(int columns, int rows)
{
	return (struct bench){.screen = {.columns = columns, .rows = rows, .utf8 = true}};
}

static void fini(struct bench *b)
{
	live_fini(&b->live);
	strvec_fini(&b->stayed);
}

static void say(struct bench *b, enum event_kind kind, const char *host, const char *label,
	const char *text, int64_t now)
{
	struct event e = {.kind = kind, .host = host, .label = label, .text = text, .ms = now};

	live_event(&b->live, &e, &b->screen, now, &b->stayed);
}

static void bytes(struct bench *b, const char *host, uint64_t done, uint64_t total, int64_t now)
{
	struct event e = {.kind = EVENT_PROGRESS, .host = host, .done = done, .total = total};

	live_event(&b->live, &e, &b->screen, now, &b->stayed);
}

static char *joined(const struct strvec *lines)
{
	struct str out = STR_INIT(STR_MAX_FILE);

	VEC_FOREACH (lines, i) {
		str_addf(&out, "%s\n", lines->p[i]);
	}
	return str_take(&out);
}

static void assert_drawn(struct bench *b, int64_t now, const char *expected)
{
	CLEANUP_STRVEC struct strvec lines = {0};

	live_draw(&b->live, &b->screen, now, &lines);
	VEC_FOREACH (&lines, i) {
		assert_true(text_width(lines.p[i]) < b->screen.columns);
	}
	CLEANUP_FREE char *text = joined(&lines);
	assert_string_equal(text, expected);
}

static void assert_stayed(struct bench *b, const char *expected)
{
	CLEANUP_FREE char *text = joined(&b->stayed);

	assert_string_equal(text, expected);
	strvec_fini(&b->stayed);
}

static void hosts_move_through_a_phase(void **state)
{
	struct bench b = bench(100, 24);

	say(&b, EVENT_PHASE_BEGIN, NULL, "transfer", NULL, 0);
	say(&b, EVENT_STEP, "app10", NULL, "sending a", 0);
	say(&b, EVENT_STEP, "app2", NULL, "asking\nmore", 0);
	bytes(&b, "app10", 0, 2000000, 0);
	bytes(&b, "app10", 500000, 2000000, 1000);
	assert_drawn(&b, 1000,
		"  • transfer         1s\n"
		"    · app2   asking\n"
		"    · app10  sending a  ━━━━━───────────────  500 kB of 2.0 MB    500 kB/s\n");
	say(&b, EVENT_DONE, "app10", NULL, "2.0 MB sent", 2000);
	assert_drawn(&b, 2500,
		"  • transfer         2s\n"
		"    · app2   asking\n"
		"    ✓ app10  2.0 MB sent\n");
	assert_stayed(&b, "");
	say(&b, EVENT_DONE, "app2", NULL, "nothing to send", 2600);
	say(&b, EVENT_PHASE_END, NULL, "transfer", NULL, 2600);
	assert_drawn(&b, 2600, "");
	assert_stayed(&b, "  ✓ transfer       2.6s\n"
			  "      app2   nothing to send\n"
			  "      app10  2.0 MB sent\n");
	fini(&b);
}

static void equal_outcomes_are_said_once(void **state)
{
	struct bench b = bench(100, 24);

	say(&b, EVENT_PHASE_BEGIN, NULL, "health", NULL, 0);
	say(&b, EVENT_DONE, "a", NULL, "healthy", 0);
	say(&b, EVENT_DONE, "b", NULL, "healthy", 0);
	say(&b, EVENT_PHASE_END, NULL, "health", NULL, 100);
	say(&b, EVENT_PHASE_BEGIN, NULL, "build", NULL, 100);
	say(&b, EVENT_STEP, NULL, NULL, "building", 100);
	say(&b, EVENT_DONE, NULL, NULL, "from the git tree", 200);
	say(&b, EVENT_PHASE_END, NULL, "build", NULL, 200);
	assert_stayed(&b, "  ✓ health         0.1s  2 hosts: healthy\n"
			  "  ✓ build          0.2s  from the git tree\n");
	say(&b, EVENT_DONE, "a", NULL, "stopped", 0); /* outside of a phase it stays at once */
	assert_stayed(&b, "  ✓ a  stopped\n");
	fini(&b);
}

static void a_failed_phase_names_who_was_not_done(void **state)
{
	struct bench b = bench(100, 24);

	say(&b, EVENT_PHASE_BEGIN, NULL, "health", NULL, 0);
	say(&b, EVENT_DONE, "a", NULL, "healthy", 0);
	say(&b, EVENT_STEP, "b", NULL, "GET /up: 503", 0);
	say(&b, EVENT_PHASE_FAIL, NULL, "health", NULL, 1000);
	assert_stayed(&b, "  ✗ health         1.0s  b: GET /up: 503\n");
	say(&b, EVENT_PHASE_BEGIN, NULL, "undo", NULL, 1000);
	say(&b, EVENT_ERROR, NULL, NULL, "deploy: push\n  detail\n", 3000);
	assert_drawn(&b, 3000, "");
	assert_stayed(&b, "  ✗ undo           2.0s\ndeploy: push\n  detail\n");
	fini(&b);
}

static void overlapping_phases_keep_their_hosts(void **state)
{
	struct bench b = bench(100, 24);

	say(&b, EVENT_PHASE_BEGIN, NULL, "connect", NULL, 0);
	say(&b, EVENT_STEP, "a", NULL, "connecting", 0);
	say(&b, EVENT_PHASE_BEGIN, NULL, "build", NULL, 0);
	say(&b, EVENT_STEP, NULL, NULL, "building", 0);
	say(&b, EVENT_DONE, "a", NULL, "Docker 26", 0);
	say(&b, EVENT_PHASE_END, NULL, "connect", NULL, 500);
	assert_drawn(&b, 500, "  • build            0s\n    · local  building\n");
	assert_stayed(&b, "  ✓ connect        0.5s  a: Docker 26\n");
	fini(&b);
}

static void many_hosts_are_collapsed(void **state)
{
	struct bench b = bench(40, 6);
	char name[16];

	say(&b, EVENT_PHASE_BEGIN, NULL, "health", NULL, 0);
	for (int i = 1; i <= 20; i++) {
		snprintf(name, sizeof(name), "h%d", i);
		say(&b, EVENT_STEP, name, NULL, "waiting", 0);
		if (i <= 2 || i > 5) {
			say(&b, EVENT_DONE, name, NULL, "healthy", 0);
		}
	}
	assert_drawn(&b, 0,
		"  • health           0s\n"
		"    · h3   waiting\n"
		"    · h4   waiting\n"
		"    · h5   waiting\n"
		"      and 17 more, 17 of them done\n");
	b.screen.rows = 8;
	assert_drawn(&b, 0,
		"  • health           0s\n"
		"    ✓ h1   healthy\n"
		"    ✓ h2   healthy\n"
		"    · h3   waiting\n"
		"    · h4   waiting\n"
		"    · h5   waiting\n"
		"      and 15 more, 15 of them done\n");
	fini(&b);
}

static void no_size_of_screen_breaks_it(void **state)
{
	struct bench b = bench(80, 24);

	say(&b, EVENT_PHASE_BEGIN, NULL, "a phase with a long name", NULL, 0);
	say(&b, EVENT_PHASE_BEGIN, NULL, "other", NULL, 0);
	say(&b, EVENT_STEP, "app1.example.com", NULL, "\xe5\x81\xa5\xe5\xba\xb7 waiting", 0);
	say(&b, EVENT_STEP, "app2.example.com", NULL, "sending", 0);
	bytes(&b, "app2.example.com", 5, 1, 0); /* more than all */
	for (int color = 0; color < 2; color++) {
		b.screen.color = color != 0;
		for (int columns = 1; columns < 130; columns++) {
			for (int rows = 1; rows < 7; rows++) {
				CLEANUP_STRVEC struct strvec lines = {0};
				b.screen.columns = columns;
				b.screen.rows = rows;
				live_draw(&b.live, &b.screen, 99999, &lines);
				assert_true(lines.len <= (size_t)(rows > 2 ? rows - 1 : 1));
				VEC_FOREACH (&lines, i) {
					assert_true(text_width(lines.p[i]) < columns);
				}
			}
		}
	}
	fini(&b);
}

static void output_has_its_source(void **state)
{
	struct bench b = bench(80, 24);

	say(&b, EVENT_OUTPUT, "app1", "release", "one\ntwo", 0);
	say(&b, EVENT_OUTPUT, NULL, "build", "Step 1/2", 0);
	say(&b, EVENT_WARN, "app1", NULL, "disk\nis full", 0);
	say(&b, EVENT_INFO, NULL, NULL, "note", 0);
	assert_stayed(&b, "  app1 release │ one\n"
			  "                 two\n"
			  "  build │ Step 1/2\n"
			  "  ! app1  disk\n"
			  "    is full\n"
			  "  note\n");
	fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hosts_move_through_a_phase),
		cmocka_unit_test(equal_outcomes_are_said_once),
		cmocka_unit_test(a_failed_phase_names_who_was_not_done),
		cmocka_unit_test(overlapping_phases_keep_their_hosts),
		cmocka_unit_test(many_hosts_are_collapsed),
		cmocka_unit_test(no_size_of_screen_breaks_it),
		cmocka_unit_test(output_has_its_source),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
