/* SPDX-License-Identifier: MIT */
/*
 * A manifest that does what Compose files (compose-spec.io) or Kamal's say, for
 * `deploy init --from`.  What has no equal stands in the manifest as a comment at its place:
 * nothing is lost without a word.
 */
#pragma once

#include "manifest/diagnostic.h"
#include "util/map.h"

struct import {
	char *manifest;             /* deploy.yml */
	struct strmap destinations; /* by name: deploy.<name>.yml */
	char *secrets;              /* lines for .deploy/secrets: they may hold passwords */
};
void import_fini(struct import *i); /* wipes the secrets */

/*
 * One service is the application: the first that is built and publishes a port.  Others of the same
 * image are roles beside it, databases and the like are accessories, a proxy is left out for that
 * is the tool's own.  Each file is laid over those before it, as Compose does it.  `service`: the
 * name when the files have none.  0, or -1 with the mistakes in diags.
 */
int import_compose(const struct source *files, size_t n, const char *service, struct import *out,
	struct diagnostics *diags);

/* A line begins with `service:`, and none with `services:`. */
bool import_is_kamal(const struct source *file);

/*
 * The files as they are, the first as deploy.yml and each other one ("deploy.staging.yml") as that
 * of a destination.  Keys that the manifest refuses become comments with its reason; other
 * mistakes, and ERB, are told.  `hooks`: names in .kamal/hooks; NULL: there is no .kamal, and
 * out->secrets has a line for each secret that takes it from the environment.  0, or -1 with the
 * mistakes in diags, which has to be empty.
 */
int import_kamal(const struct source *files, size_t n, const struct strvec *hooks,
	struct import *out, struct diagnostics *diags);
