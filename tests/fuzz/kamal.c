/* SPDX-License-Identifier: MIT */
/*
 * Kamal's manifests: the first, and that of a destination.  What is made of them has to
 * load, but for values that hang on a variable.
 */
#include "manifest/config.h"
#include "two_files.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *every(void *ctx, const char *name)
{
	return "1";
}

static void check(const char *manifest)
{
	struct config_request req = {.dir = "/", .getenv = every, .destination = "any"};
	struct diagnostics diags = {0};
	struct error err = {0};
	struct config *c = config_load_text(manifest, strlen(manifest), &req, &diags, &err);

	if (c == NULL && strstr(manifest, "${") == NULL) {
		abort();
	}
	config_free(c);
	diagnostics_fini(&diags);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct source files[2] = {{.name = "deploy.yml"}, {.name = "deploy.staging.yml"}};
	size_t n = two_files(data, size, files);
	struct diagnostics diags = {0};
	struct import made = {0};

	(void)import_is_kamal(&files[0]);
	if (import_kamal(files, n, NULL, &made, &diags) < 0) {
		if (diags.errors == 0) {
			abort();
		}
	} else if (n == 1) {
		check(made.manifest);
	}
	diagnostics_fini(&diags);
	import_fini(&made);
	return 0;
}
