/* SPDX-License-Identifier: MIT */
/*
 * A copy of a container for a command of its own: the same image, env, secrets, secret files,
 * volumes and options, as Docker knows them, whatever today's manifest says.  It publishes no port,
 * has no health check and does not come back.
 */
#pragma once

#include "internal.h"

struct fresh_request {
	const char *from; /* id or name of the container, running or not */
	const char *name; /* of the copy */
	const char *kind; /* LABEL_KIND of the copy */
	const struct strvec *argv;
	bool tty; /* with a terminal, and standard input */
};

/* Creates it, not started; after a failure nothing of it is left. */
ERROR_CHECKED int fresh_create(
	struct deployment *d, struct target *t, const struct fresh_request *req, struct error *err);
/* Removes it, running or not; a failure is only told. */
void fresh_remove(struct deployment *d, struct target *t, const char *name);
