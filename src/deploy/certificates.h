/* SPDX-License-Identifier: MIT */
/* The certificates of the service: those that the secrets give, and those that its proxies serve.
 */
#pragma once

#include "internal.h"

#include "proxy/certificate.h"

struct certificate_finding {
	const char *server;                    /* NULL: of the secrets */
	const char *host;                      /* the name; NULL: any */
	const struct certificate *certificate; /* or NULL */
	enum certificate_state state;
	const struct error *error; /* it cannot be read, or its key is another's; else NULL */
	const char *text;          /* "has expired on 2026-11-24"; or what the error says */
	const char *what;          /* the same as a whole line */
	const char *mend;          /* NULL when all is well */
};
typedef void certificate_fn(void *ctx, const struct certificate_finding *f);

/* Judges those given by secrets that are loaded: one finding each. */
void certificates_given(struct deployment *d, certificate_fn *found, void *ctx);

/* Asks the proxy of an observed target, when it runs and the service is on it: one finding for each
 * host name, and for "" when it has none. */
void certificates_served(struct deployment *d, struct target *t, certificate_fn *found, void *ctx);

/* Refuses a given certificate that would do harm (ERROR_MANIFEST): that is for other names, or not
 * of its key.  Warns of one that has expired or soon will.  The secrets have to be there. */
ERROR_CHECKED int certificates_check(struct deployment *d, struct error *err);
