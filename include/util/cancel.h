/* SPDX-License-Identifier: MIT */
/*
 * Cancellation: Ctrl-C, SIGTERM and SIGHUP set a flag and make a descriptor readable; blocking
 * code polls that descriptor beside its own.  This is the only global state that is written.
 *
 * After cancellation, clean-up work (undo, unlock) still has to talk to servers: it runs between
 * cancel_shield_begin() and cancel_shield_end(), inside which this thread is not cancelled, but
 * bounded by its own time-outs.
 */
#pragma once

#include "util/error.h"

#include <stdbool.h>
#include <stdint.h>

/* Installs the handlers (SIGINT, SIGTERM, SIGHUP; SIGPIPE is ignored). Call once, in main. */
void cancel_install(void);
/* What the handler does; also for tests and for a sibling's failure. Async-signal-safe. */
void cancel_now(void);
bool cancel_requested(void); /* false inside a shield */
/* Readable once cancelled; -1 inside a shield (poll ignores it). Never close it. */
int cancel_fd(void);
/* -1 with ERROR_INTERRUPTED when cancelled, else 0. */
ERROR_CHECKED int cancel_check(struct error *err);
/*
 * Waits for events (POLLIN, POLLOUT) on fd until `deadline` (clock_mono_ms()).  1 with *revents (0
 * when a signal came); 0 when the time is over; -1 when cancelled.
 */
ERROR_CHECKED int cancel_poll(
	int fd, short events, int64_t deadline, short *revents, struct error *err);
void cancel_shield_begin(void); /* nests; per thread */
void cancel_shield_end(void);
bool cancel_shielded(void); /* is this thread inside one? for handing it on to a worker */
void cancel_reset(void);    /* for tests */
