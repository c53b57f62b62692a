/* SPDX-License-Identifier: MIT */
/* The user's hooks: executables in .deploy/hooks (or .kamal/hooks), run on this machine. */
#pragma once

#include "deploy/deployment.h"
#include "deploy/history.h"

/*
 * Runs the hook when there is one; its output is shown.  ERROR_REMOTE when it ends with another
 * status than 0.  `release` may be NULL; `why` is what deploy-failed is told.
 */
ERROR_CHECKED int hooks_run(struct deployment *d, const char *name, const struct release *release,
	const struct error *why, struct error *err);

void deployment_skip_hooks(struct deployment *d);
