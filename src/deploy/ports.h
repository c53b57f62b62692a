/* SPDX-License-Identifier: MIT */
/* Ports of a server that the proxy, a role or an accessory publishes, and what else has them. */
#pragma once

#include "internal.h"

struct port_taken {
	int port;
	const char *needed_by; /* "the proxy", or the name of a role or an accessory */
	const char *container; /* that has it; NULL: a program that is not in one */
	bool of_proxy;
};
typedef void port_fn(void *ctx, struct target *t, const struct port_taken *p);

/* One finding for each port of an observed target that a push could not have.  What cannot be
 * looked at is left out. */
void ports_taken(struct deployment *d, struct target *t, port_fn *found, void *ctx);
