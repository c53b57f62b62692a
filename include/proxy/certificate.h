/* SPDX-License-Identifier: MIT */
/*
 * X.509 certificates, given by secrets or served by a proxy.  They are read, not trusted: no chain
 * is followed, and no authority asked.
 */
#pragma once

#include "secrets/secret.h"
#include "util/error.h"
#include "util/str.h"

#include <stdbool.h>
#include <stdint.h>

#define CERTIFICATE_WARN_DAYS 21 /* what is to end sooner is warned about */

struct certificate {
	char *issuer;               /* common name, else organisation, of who signed it */
	char *serial;               /* hexadecimal */
	int64_t begins_ms, ends_ms; /* wall clock */
	struct x509_st *x509;
};
void certificate_fini(struct certificate *c);

/* The first one of a PEM text. ERROR_MANIFEST. */
ERROR_CHECKED int certificate_read(
	const struct secret *pem, struct certificate *out, struct error *err);
/* ERROR_MANIFEST when it is no PEM key without a pass phrase, or that of another certificate. */
ERROR_CHECKED int certificate_check_key(
	const struct certificate *c, const struct secret *key, struct error *err);

/*
 * Shakes hands by TLS on `fd`, which stays the caller's, and takes the certificate that is served
 * for `host` ("*.example.com" asks for a name below it; NULL sends none).  10 s at most.
 */
ERROR_CHECKED int certificate_served(
	int fd, const char *host, struct certificate *out, struct error *err);

enum certificate_state {
	CERTIFICATE_GOOD,
	CERTIFICATE_ENDS_SOON,
	CERTIFICATE_EXPIRED, /* or not valid yet */
	CERTIFICATE_OTHER_NAME,
};
/* The worst that can be said of it for `host` (NULL: any).  `automatic`: it is renewed by itself
 * when a third of its life is left, so that it may be shorter than CERTIFICATE_WARN_DAYS. */
enum certificate_state certificate_judge(
	const struct certificate *c, const char *host, bool automatic, int64_t now_ms);
/* Whole days that it is still good; negative: expired. */
long certificate_days(const struct certificate *c, int64_t now_ms);
/* "is good for 3 days, until 2026-11-24"; "has expired on ..."; "is for other names: a, b". The
 * caller frees. */
char *certificate_text(const struct certificate *c, enum certificate_state state, int64_t now_ms);

/* One that nobody trusts, with a new key, both as PEM: for whom no certificate is meant. */
void certificate_make(const char *name, struct str *certificate, struct str *key);
