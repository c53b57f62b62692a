/* SPDX-License-Identifier: MIT */
#include "util/thread.h"

#include "util/cancel.h"
#include "util/str.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

struct pool {
	atomic_size_t next;
	size_t n;
	bool shielded;
	void (*fn)(void *ctx, size_t i);
	void *ctx;
};

static void work(struct pool *pool)
{
	for (;;) {
		size_t i = atomic_fetch_add(&pool->next, 1);
		if (i >= pool->n) {
			return;
		}
		pool->fn(pool->ctx, i);
	}
}

static void *worker(void *arg)
{
	struct pool *pool = arg;

	if (pool->shielded) {
		cancel_shield_begin();
	}
	work(pool);
	if (pool->shielded) {
		cancel_shield_end();
	}
	return NULL;
}

int thread_start(pthread_t *thread, void *(*fn)(void *arg), void *arg)
{
	sigset_t all;
	sigset_t old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int rc = pthread_create(thread, NULL, fn, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}

void pool_run(size_t n, size_t max_parallel, void (*fn)(void *ctx, size_t i), void *ctx)
{
	struct pool pool = {.n = n, .shielded = cancel_shielded(), .fn = fn, .ctx = ctx};
	size_t threads = n < max_parallel ? n : max_parallel;

	if (threads <= 1) {
		work(&pool);
		return;
	}
	pthread_t *t = xcalloc(threads, sizeof(*t));
	size_t started = 0;
	while (started < threads && thread_start(&t[started], worker, &pool) == 0) {
		started++;
	}
	if (started < threads) {
		work(&pool); /* no more threads to be had: go on with what there is */
	}
	for (size_t i = 0; i < started; i++) {
		pthread_join(t[i], NULL);
	}
	free(t);
}
