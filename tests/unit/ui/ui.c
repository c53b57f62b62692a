/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../../src/ui/internal.h"

#include "util/cancel.h"
#include "util/fs.h"
#include "util/thread.h"

#include <fcntl.h>
#include <pty.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ms;

static int64_t fake_clock(void)
{
	return now_ms;
}

struct bench {
	struct ui *ui;
	FILE *out;
	FILE *err;
};

static struct bench bench(struct ui_options options)
{
	struct bench b = {.out = tmpfile(), .err = tmpfile()};

	assert_non_null(b.out);
	assert_non_null(b.err);
	options.out = b.out;
	options.err = b.err;
	now_ms = 0;
	b.ui = ui_new(&options);
	b.ui->wall_ms = fake_clock;
	b.ui->utf8 = true;
	if (!options.animate) {
		b.ui->mono_ms = fake_clock;
	}
	return b;
}

static char *contents(FILE *f)
{
	struct str s = STR_INIT(STR_MAX_REPLY);

	fflush(f);
	lseek(fileno(f), 0, SEEK_SET);
	assert_int_equal(fd_read_all(fileno(f), &s), 0);
	return str_take(&s);
}

/* Ends it and compares what was written. */
static void assert_written(struct bench *b, const char *out, const char *err)
{
	ui_free(b->ui);
	CLEANUP_FREE char *got_out = contents(b->out);
	CLEANUP_FREE char *got_err = contents(b->err);
	fclose(b->out);
	fclose(b->err);
	assert_string_equal(got_out, out);
	assert_string_equal(got_err, err);
}

static void emit_some(struct ui *ui)
{
	struct error err = {0};

	ui_redact(ui, "hunter2", 7);
	ui_phase_begin(ui, "transfer");
	ui_step(ui, "app1", "sending %s", "hunter2");
	ui_progress(ui, "app1", "layer", 10, 2000000);
	now_ms = 500;
	ui_progress(ui, "app1", "layer", 20, 2000000);
	now_ms = 11000;
	ui_progress(ui, "app1", "layer", 1000000, 2000000);
	ui_done(ui, "app1", "2.0 MB");
	ui_phase_end(ui, "transfer", 11000);
	ui_output(ui, "app1", "release", true, "\033[2Jmigrating\033[31m hunter2\r\n");
	ui_warn(ui, NULL, "two\nlines");
	ui_debug(ui, NULL, "not shown");
	error_set(&err, ERROR_REMOTE, "pull '%s': closed", "hunter2");
	error_host(&err, "app1");
	error_wrap(&err, "push");
	error_detail(&err, "one\ntwo", 7);
	error_hint(&err, "look there");
	ui_error(ui, &err);
	ui_print(ui, "result %s", "hunter2");
	ui_json(ui, json_pack("{s:s,s:[i,i],s:s}", "hunter2", "x\"hunter2", "n", 42, 1234, "u",
			    "h\xc3\xa9"));
	ui_note(ui, "note hunter2\nwith \033[2Jlines\n");
}

static void plain(void **state)
{
	struct bench b = bench((struct ui_options){0});

	setenv("TZ", "UTC", 1);
	tzset();
	ui_redact(b.ui, "1234", 4);
	emit_some(b.ui);
	assert_written(&b, "result [REDACTED]\n",
		"00:00:00  app1  transfer   sending [REDACTED]\n"
		"00:00:11  app1  transfer   layer: 1.0 MB of 2.0 MB\n"
		"00:00:11  app1  transfer   2.0 MB\n"
		"00:00:11  local  transfer   done in 11.0s\n"
		"00:00:11  app1   release |  migrating [REDACTED]\n"
		"00:00:11  local  warning:   two\n"
		"00:00:11  local  warning:   lines\n"
		"deploy: push: host app1: pull '[REDACTED]': closed\n"
		"  one\n"
		"  two\n"
		"hint: look there\n"
		"note [REDACTED]\n"
		"with lines\n");
}

static void quiet_shows_errors_and_results(void **state)
{
	struct bench b = bench((struct ui_options){.verbosity = -1, .animate = true});

	b.ui->mono_ms = fake_clock;
	emit_some(b.ui);
	assert_written(&b, "result [REDACTED]\n",
		"deploy: push: host app1: pull '[REDACTED]': closed\n"
		"  one\n"
		"  two\n"
		"hint: look there\n"
		"note [REDACTED]\n"
		"with lines\n");
}

/* clang-format 14 breaks the strings between the macros apart, further with each run. */
/* clang-format off */
static void json(void **state)
{
	struct bench b = bench((struct ui_options){.json = true, .color = true});

	ui_redact(b.ui, "1234", 4);
	emit_some(b.ui);
#define AT(ms) "{\"time\":\"1970-01-01T00:00:" ms "Z\",\"event\":"
	assert_written(&b,
		AT("00.000") "\"phase-begin\",\"phase\":\"transfer\"}\n" AT(
			"00.000") "\"step\",\"host\":\"app1\",\"text\":\"sending "
				  "[REDACTED]\"}\n" AT("00.000") "\"progress\",\"host\":\"app1\","
								 "\"label\":\"layer\",\"done\":10,"
								 "\"total\":2000000}\n" AT(
									 "11.000") "\"progress\","
										   "\"host\":"
										   "\"app1\","
										   "\"label\":"
										   "\"layer\","
										   "\"done\":"
										   "1000000,"
										   "\"total\":"
										   "2000000}\n" AT("11.000") "\"done\",\"host\":\"app1\",\"text\":\"2.0 MB\"}\n" AT("11.000") "\"phase-end\",\"phase\":\"transfer\",\"ms\":11000}\n" AT(
											   "11.000") "\"output\",\"host\":\"app1\",\"source\":\"release\","
												     "\"stream\":\"stderr\",\"text\":\"migrating [REDACTED]\"}\n" AT("11.000") "\"warning\",\"text\":\"two\\nlines\"}\n" AT(
													     "11.000") "\"error\",\"kind\":\"remote\",\"exit\":5,\"host\":\"app1\","
														       "\"message\":\"push: host app1: pull '[REDACTED]': closed\","
														       "\"detail\":\"one\\ntwo\",\"hint\":\"look there\"}\n"
														       "{\"[REDACTED]\":\"x\\\"[REDACTED]\",\"n\":[42,\"[REDACTED]\"],\"u\":\"h\xc3\xa9\"}\n",
		"");
#undef AT
}
/* clang-format on */

static void a_secret_split_over_writes_is_found(void **state)
{
	struct bench b = bench((struct ui_options){0});

	ui_redact(b.ui, "hunter2", 7);
	for (const char *p = "a hunter2 b hunter3 hunter2hunter2 hunt"; *p != '\0'; p++) {
		ui_write(b.ui, p, 1);
	}
	assert_written(&b, "a [REDACTED] b hunter3 [REDACTED][REDACTED] hunt", "");
}

static void tables_are_aligned(void **state)
{
	struct bench b = bench((struct ui_options){0});
	struct ui_table *t = ui_table_new(3, (const char *const[]){"HOST", "CPU", "STATE"});

	ui_redact(b.ui, "hunter2", 7);
	ui_table_right(t, 1);
	ui_table_row(t, (const char *const[]){"h\xc3\xa9te", "3.1 %", NULL});
	ui_table_row(t,
		(const char *const[]){"\xe5\x81\xa5\xe5\xba\xb7\xe5\xba\xb7", "12 %", "hunter2"});
	ui_table_row(t, (const char *const[]){"", NULL, "\033[2Jx\ny"});
	ui_table_print(b.ui, t);
	ui_table_free(t);
	ui_table_free(NULL);
	assert_written(&b,
		"HOST      CPU  STATE\n"
		"h\xc3\xa9te    3.1 %\n"
		"\xe5\x81\xa5\xe5\xba\xb7\xe5\xba\xb7   12 %  [REDACTED]\n"
		"               x y\n",
		"");
}

/* What the animated terminal writes is replayed by tmux in the review, not here: here it is sound.
 */
static void hammer(void *ctx, size_t i)
{
	struct ui *ui = ctx;
	char host[16];

	snprintf(host, sizeof(host), "app%zu", i);
	ui_step(ui, host, "sending");
	for (uint64_t n = 0; n <= 200; n++) {
		ui_progress(ui, host, "layer", n, 200);
		if (n % 50 == 0) {
			ui_output(ui, host, "build", false, "line with hunter2");
			ui_write(ui, "result\n", 7);
			ui_redact(ui, host, strlen(host));
		}
	}
	ui_done(ui, host, "sent");
}

static void events_come_from_many_threads(void **state)
{
	for (int mode = 0; mode < 3; mode++) {
		struct bench b = bench((struct ui_options){
			.json = mode == 0, .animate = mode == 1, .color = true});
		b.ui->mono_ms = mode == 1 ? b.ui->mono_ms : fake_clock;
		ui_redact(b.ui, "hunter2", 7);
		ui_phase_begin(b.ui, "transfer");
		pool_run(20, 8, hammer, b.ui);
		ui_phase_end(b.ui, "transfer", 100);
		ui_free(b.ui);
		CLEANUP_FREE char *out = contents(b.out);
		CLEANUP_FREE char *err = contents(b.err);
		fclose(b.out);
		fclose(b.err);
		assert_null(strstr(out, "hunter2"));
		assert_null(strstr(err, "hunter2"));
		assert_non_null(strstr(mode == 0 ? out : err, "transfer"));
		assert_null(strstr(err, "\033[?25l")); /* the cursor is never hidden */
	}
}

static void paused_events_come_after(void **state)
{
	struct bench b = bench((struct ui_options){.animate = true});

	ui_pause(b.ui);
	ui_info(b.ui, NULL, "later");
	fflush(b.err);
	assert_int_equal(lseek(fileno(b.err), 0, SEEK_END), 0);
	ui_resume(b.ui);
	assert_true(lseek(fileno(b.err), 0, SEEK_END) > 0);
	assert_written(&b, "", "\r\033[J  later\n\033[J");
}

static void no_ui_is_fine(void **state)
{
	ui_step(NULL, "a", "b");
	ui_output(NULL, "a", "b", false, "c");
	ui_progress(NULL, "a", "b", 1, 2);
	ui_phase_begin(NULL, "a");
	ui_print(NULL, "a");
	ui_free(NULL);
	assert_false(ui_is_json(NULL));
}

/* A terminal whose other end answers. */
struct pty {
	int master;
	int slave;
	char name[64];
};

static struct pty open_pty(void)
{
	struct pty p;
	assert_int_equal(openpty(&p.master, &p.slave, p.name, NULL, NULL), 0);
	return p;
}

static void close_pty(struct pty *p)
{
	close(p->master);
	close(p->slave);
}

static void prompts_ask_the_terminal(void **state)
{
	static const struct {
		const char *answer;
		int rc;
	} cases[] = {{"y\n", 0}, {"YES\n", 0}, {"n\n", -1}, {"\n", -1}, {"yesterday\n", -1}};
	struct error err = {0};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench b = bench((struct ui_options){0});
		struct pty p = open_pty();
		b.ui->tty = p.name;
		assert_int_equal(
			fd_write_all(p.master, cases[i].answer, strlen(cases[i].answer)), 0);
		assert_int_equal(ui_confirm(b.ui, &err, "Remove '%s'?", "db"), cases[i].rc);
		assert_written(&b, "", "");
		close_pty(&p);
	}
	assert_int_equal(err.kind, ERROR_INTERRUPTED);
	struct bench b = bench((struct ui_options){0});
	b.ui->tty = "/nonexistent";
	assert_int_equal(ui_confirm(b.ui, &err, "Remove?"), -1);
	assert_int_equal(err.kind, ERROR_USAGE);
	assert_non_null(strstr(err.hint, "-y"));
	b.ui->options.assume_yes = true;
	assert_int_equal(ui_confirm(b.ui, &err, "Remove?"), 0);
	assert_written(&b, "", "");
}

static void *answer_secret(void *arg)
{
	struct pty *p = arg;
	char buf[64] = "";
	struct termios t;

	/* The question, then the line; the terminal echoes nothing of it. */
	if (read(p->master, buf, sizeof(buf) - 1) > 0 && tcgetattr(p->slave, &t) == 0 &&
		(t.c_lflag & ECHO) == 0) {
		(void)fd_write_all(p->master, "pass word\n", 10);
	} else {
		(void)fd_write_all(p->master, "echo is on\n", 11);
	}
	return NULL;
}

static void secrets_are_asked_without_echo(void **state)
{
	struct bench b = bench((struct ui_options){0});
	struct pty p = open_pty();
	struct error err = {0};
	struct termios t;
	pthread_t thread;

	b.ui->tty = p.name;
	assert_int_equal(thread_start(&thread, answer_secret, &p), 0);
	CLEANUP_FREE char *got = ui_ask_secret(b.ui, "Passphrase: ", &err);
	pthread_join(thread, NULL);
	assert_string_equal(got, "pass word");
	assert_int_equal(tcgetattr(p.slave, &t), 0);
	assert_true((t.c_lflag & ECHO) != 0);
	cancel_now();
	assert_null(ui_ask_secret(b.ui, "Passphrase: ", &err));
	assert_int_equal(err.kind, ERROR_INTERRUPTED);
	assert_int_equal(tcgetattr(p.slave, &t), 0);
	assert_true((t.c_lflag & ECHO) != 0);
	cancel_reset();
	assert_written(&b, "", "");
	close_pty(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain),
		cmocka_unit_test(quiet_shows_errors_and_results),
		cmocka_unit_test(json),
		cmocka_unit_test(a_secret_split_over_writes_is_found),
		cmocka_unit_test(tables_are_aligned),
		cmocka_unit_test(events_come_from_many_threads),
		cmocka_unit_test(paused_events_come_after),
		cmocka_unit_test(no_ui_is_fine),
		cmocka_unit_test(prompts_ask_the_terminal),
		cmocka_unit_test(secrets_are_asked_without_echo),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
