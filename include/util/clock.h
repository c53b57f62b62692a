/* SPDX-License-Identifier: MIT */
/* Time. */
#pragma once

#include <stdint.h>

int64_t clock_mono_ms(void); /* monotonic, for durations */
int64_t clock_wall_ms(void); /* since 1970 UTC */
void clock_sleep_ms(int ms); /* returns at once when cancelled (util/cancel.h) */

#define CLOCK_RFC3339_SIZE 32
/* "2026-01-02T03:04:05.678Z" into buf; returns buf. */
const char *clock_rfc3339(int64_t wall_ms, char buf[CLOCK_RFC3339_SIZE]);
/* Reverse, with any fraction and offset: ms since 1970, or -1. */
int64_t clock_parse_rfc3339(const char *text);
/* "0.4s", "12.3s", "2m05s", "3h12m", "5d": for people. Returns buf. */
const char *clock_duration(int64_t ms, char buf[CLOCK_RFC3339_SIZE]);
