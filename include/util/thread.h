/* SPDX-License-Identifier: MIT */
/* Threads: linear code per host in a bounded pool of workers. */
#pragma once

#include <pthread.h>
#include <stddef.h>

/*
 * Runs fn(ctx, i) for every i below `n`, at most `max_parallel` at once (0 is 1), and returns when
 * all have ended.  With one thread to use it runs on the caller's.  Workers inherit the caller's
 * cancel shield.  The barrier between two phases is the end of the call.
 *
 * With fewer threads than n, the i-th may start only after an earlier one has ended: fn must not
 * wait for another i.
 */
void pool_run(size_t n, size_t max_parallel, void (*fn)(void *ctx, size_t i), void *ctx);

/*
 * pthread_create with all signals blocked in the new thread, so that signal handlers run on the
 * main thread only.  Its owner joins it.  0, or an errno value.
 */
int thread_start(pthread_t *thread, void *(*fn)(void *arg), void *arg);
