/* SPDX-License-Identifier: MIT */
#pragma once

#include "deploy/plan.h"

struct deployment;

/* What was observed on all targets, by their index. The caller: plan_hosts_fini(). */
void state_hosts(struct deployment *d, struct plan_hosts *out);
