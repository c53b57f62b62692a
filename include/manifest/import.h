/* SPDX-License-Identifier: MIT */
/*
 * A manifest that does what Compose files say (compose-spec.io), for `deploy init --from`.
 *
 * One service is the application: the first that is built and publishes a port.  Others of the same
 * image are roles beside it, databases and the like are accessories, a proxy is left out for that
 * is the tool's own.  What has no equal stands in the manifest as a comment at its place: nothing
 * is lost without a word.
 */
#pragma once

#include "manifest/diagnostic.h"

struct import {
	char *manifest; /* deploy.yml */
	char *secrets;  /* lines for .deploy/secrets: they may hold passwords */
};
void import_fini(struct import *i); /* wipes the secrets */

/*
 * Each file is laid over those before it, as Compose does it.  `service`: the name when the files
 * have none.  0, or -1 with the mistakes in diags.
 */
int import_compose(const struct source *files, size_t n, const char *service, struct import *out,
	struct diagnostics *diags);
