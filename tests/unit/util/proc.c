/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/cancel.h"
#include "util/clock.h"
#include "util/proc.h"
#include "util/thread.h"
#include "util/vec.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SH(script) ((const char *const[]){"sh", "-c", script, NULL})

static int install(void **state)
{
	cancel_install();
	return 0;
}

static int reset(void **state)
{
	cancel_reset();
	return 0;
}

static void collect_line(void *ctx, bool is_err, const char *line)
{
	strvec_pushf(ctx, "%c%s", is_err ? '!' : ' ', line);
}

static void collects_output_input_env_and_status(void **state)
{
	struct error err = {0};
	struct proc_result r = {0};
	CLEANUP_STR struct str out = STR_INIT(100);
	CLEANUP_STR struct str errout = STR_INIT(100);
	CLEANUP_STRVEC struct strvec lines = {0};
	struct proc_request req = {
		.argv = SH("cat; echo $FOO $PATH; pwd; echo bad >&2; printf tail; exit 7"),
		.env = (const char *const[]){"FOO=bar", "PATH=/bin:/usr/bin", NULL},
		.dir = "/",
		.input = "in\r\n",
		.input_len = 4,
		.on_line = collect_line,
		.ctx = &lines,
	};

	assert_int_equal(proc_run(&req, &out, &errout, &r, &err), 0);
	assert_int_equal(r.status, 7);
	assert_false(r.timed_out);
	assert_string_equal(str_c(&out), "in\r\nbar /bin:/usr/bin\n/\ntail");
	assert_string_equal(str_c(&errout), "bad\n");
	assert_int_equal(lines.len, 5);
	assert_string_equal(lines.p[0], " in");
	assert_true(strvec_has(&lines, "!bad"));
	assert_true(strvec_has(&lines, " tail"));
}

static void a_missing_program_is_told_by_errno(void **state)
{
	struct error err = {0};
	struct proc_result r;
	struct proc_request req = {.argv = (const char *const[]){"no-such-program", NULL}};

	assert_int_equal(proc_run(&req, NULL, NULL, &r, &err), -1);
	assert_int_equal(err.sys, ENOENT);
	req = (struct proc_request){.argv = SH(":"), .dir = "/nonexistent"};
	assert_int_equal(proc_run(&req, NULL, NULL, &r, &err), -1);
	assert_int_not_equal(err.sys, ENOENT);
}

static void output_beyond_the_maximum_is_dropped(void **state)
{
	struct error err = {0};
	struct proc_result r;
	CLEANUP_STR struct str out = STR_INIT(1000);
	CLEANUP_STRVEC struct strvec lines = {0};
	struct proc_request req = {.argv = SH("head -c 200000 /dev/zero | tr '\\0' x"),
		.on_line = collect_line,
		.ctx = &lines};

	assert_int_equal(proc_run(&req, &out, NULL, &r, &err), 0);
	assert_int_equal(out.len, 1000);
	assert_true(out.overflow);
	assert_int_equal(lines.len, 4); /* 200000 in pieces of STR_MAX_LINE */
}

static void a_large_input_flows_while_output_is_read(void **state)
{
	struct error err = {0};
	struct proc_result r;
	const size_t size = 1 << 20;
	CLEANUP_FREE char *big = xcalloc(size, 1);
	CLEANUP_STR struct str out = STR_INIT(2 << 20);
	struct proc_request req = {
		.argv = (const char *const[]){"cat", NULL}, .input = big, .input_len = size};

	assert_int_equal(proc_run(&req, &out, NULL, &r, &err), 0);
	assert_int_equal(out.len, size);
	req.argv = (const char *const[]){"true", NULL}; /* does not read it */
	assert_int_equal(proc_run(&req, NULL, NULL, &r, &err), 0);
	assert_int_equal(r.status, 0);
}

static void a_time_out_ends_the_whole_group(void **state)
{
	struct error err = {0};
	struct proc_result r;
	CLEANUP_STR struct str out = STR_INIT(100);
	struct proc_request req = {.argv = SH("sleep 100 & echo $!; wait"), .timeout_ms = 100};
	int64_t begin = clock_mono_ms();

	assert_int_equal(proc_run(&req, &out, NULL, &r, &err), 0);
	assert_true(r.timed_out);
	assert_int_equal(r.status, 128 + SIGTERM);
	assert_true(clock_mono_ms() - begin < 2000);
	long pid = strtol(str_c(&out), NULL, 10);
	for (int i = 0; i < 100 && kill((pid_t)pid, 0) == 0; i++) {
		poll(NULL, 0, 10); /* its new parent reaps it */
	}
	req.argv = SH("trap '' TERM; sleep 100 & wait; sleep 100");
	assert_int_equal(proc_run(&req, NULL, NULL, &r, &err), 0);
	assert_int_equal(r.status, 128 + SIGKILL);
}

static void a_daemon_that_keeps_the_pipe_is_not_awaited(void **state)
{
	struct error err = {0};
	struct proc_result r;
	CLEANUP_STR struct str out = STR_INIT(100);
	struct proc_request req = {.argv = SH("sleep 3 & echo ready")};
	int64_t begin = clock_mono_ms();

	assert_int_equal(proc_run(&req, &out, NULL, &r, &err), 0);
	assert_true(clock_mono_ms() - begin < 2500);
	assert_string_equal(str_c(&out), "ready\n");
}

static void *cancel_soon(void *arg)
{
	poll(NULL, 0, 50);
	cancel_now();
	return NULL;
}

static void cancellation_ends_a_process_and_a_sleep(void **state)
{
	struct error err = {0};
	struct proc_result r;
	struct proc_request req = {.argv = SH("sleep 100")};
	pthread_t t;
	int64_t begin = clock_mono_ms();

	assert_int_equal(thread_start(&t, cancel_soon, NULL), 0);
	assert_int_equal(proc_run(&req, NULL, NULL, &r, &err), -1);
	assert_int_equal(err.kind, ERROR_INTERRUPTED);
	clock_sleep_ms(60000);
	pthread_join(t, NULL);
	assert_true(clock_mono_ms() - begin < 5000);
	assert_int_equal(proc_run(&req, NULL, NULL, &r, &err), -1);
	assert_int_equal(cancel_check(&err), -1);
}

static void a_signal_cancels(void **state)
{
	struct error err = {0};
	struct pollfd p = {.fd = cancel_fd(), .events = POLLIN};

	assert_int_equal(poll(&p, 1, 0), 0);
	assert_int_equal(cancel_check(&err), 0);
	raise(SIGTERM);
	assert_int_equal(poll(&p, 1, 1000), 1);
	assert_true(cancel_requested());
}

static void the_shield_hides_it_from_this_thread(void **state)
{
	struct error err = {0};
	struct proc_result r;
	struct proc_request req = {.argv = SH("exit 4")};

	cancel_now();
	cancel_shield_begin();
	cancel_shield_begin();
	cancel_shield_end();
	assert_true(cancel_shielded());
	assert_false(cancel_requested());
	assert_int_equal(cancel_fd(), -1);
	assert_int_equal(proc_run(&req, NULL, NULL, &r, &err), 0);
	assert_int_equal(r.status, 4);
	cancel_shield_end();
	assert_true(cancel_requested());
}

struct counts {
	atomic_int done[100];
	atomic_int running;
	atomic_int most;
	atomic_int shielded;
};

static void count(void *ctx, size_t i)
{
	struct counts *c = ctx;
	int running = atomic_fetch_add(&c->running, 1) + 1;
	int most = atomic_load(&c->most);

	while (running > most && !atomic_compare_exchange_weak(&c->most, &most, running)) {
	}
	poll(NULL, 0, 1);
	atomic_fetch_add(&c->done[i], 1);
	atomic_fetch_add(&c->shielded, cancel_shielded());
	atomic_fetch_sub(&c->running, 1);
}

static void the_pool_runs_each_once_within_its_bound(void **state)
{
	static struct counts c;

	cancel_shield_begin();
	pool_run(100, 8, count, &c);
	cancel_shield_end();
	for (size_t i = 0; i < 100; i++) {
		assert_int_equal(c.done[i], 1);
	}
	assert_in_range(c.most, 2, 8);
	assert_int_equal(c.shielded, 100);
	pool_run(0, 8, count, &c);
	pool_run(1, 0, count, &c);
	assert_int_equal(c.done[0], 2);
}

static void run_one(void *ctx, size_t i)
{
	struct error err = {0};
	struct proc_result r = {0};
	CLEANUP_STR struct str out = STR_INIT(100);
	char n[16];
	struct proc_request req = {.argv = (const char *const[]){"echo", n, NULL}};

	snprintf(n, sizeof(n), "%zu", i);
	int rc = proc_run(&req, &out, NULL, &r, &err);
	if (rc == 0 && r.status == 0 && strtoul(str_c(&out), NULL, 10) == i) {
		atomic_fetch_add((atomic_int *)ctx, 1);
	}
}

static void processes_run_from_many_threads(void **state)
{
	static atomic_int good;

	pool_run(64, 8, run_one, &good);
	assert_int_equal(good, 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(collects_output_input_env_and_status),
		cmocka_unit_test(a_missing_program_is_told_by_errno),
		cmocka_unit_test(output_beyond_the_maximum_is_dropped),
		cmocka_unit_test(a_large_input_flows_while_output_is_read),
		cmocka_unit_test(a_time_out_ends_the_whole_group),
		cmocka_unit_test(a_daemon_that_keeps_the_pipe_is_not_awaited),
		cmocka_unit_test_teardown(cancellation_ends_a_process_and_a_sleep, reset),
		cmocka_unit_test_teardown(a_signal_cancels, reset),
		cmocka_unit_test_teardown(the_shield_hides_it_from_this_thread, reset),
		cmocka_unit_test(the_pool_runs_each_once_within_its_bound),
		cmocka_unit_test(processes_run_from_many_threads),
	};

	return cmocka_run_group_tests(tests, install, NULL);
}
