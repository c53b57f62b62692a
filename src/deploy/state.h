/* SPDX-License-Identifier: MIT */
#pragma once

#include "deploy/plan.h"

struct deployment;

/* What was observed on all targets, by their index. The caller: plan_hosts_fini(). */
void state_hosts(struct deployment *d, struct plan_hosts *out);
/*
 * What is not as it should be, as what the next push would do of itself, and notes of what it would
 * not.  The caller: plan_fini() and plan_hosts_fini(), also after a failure.
 */
ERROR_CHECKED int state_drift(
	struct deployment *d, struct plan *drift, struct plan_hosts *hosts, struct error *err);
