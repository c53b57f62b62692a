/* SPDX-License-Identifier: MIT */
/*
 * Kamal's manifests: "\0" parts that of a destination from the first.  What is made of them has to
 * load, but for values that hang on a variable.
 */
#include "manifest/config.h"
#include "manifest/import.h"

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
	const char *text = (const char *)data;
	const char *parting = size > 0 ? memchr(text, '\0', size) : NULL;
	size_t first = parting != NULL ? (size_t)(parting - text) : size;
	struct source files[] = {{"deploy.yml", text, first},
		{"deploy.staging.yml", text + first + 1, parting != NULL ? size - first - 1 : 0}};
	struct diagnostics diags = {0};
	struct import made = {0};

	(void)import_is_kamal(&files[0]);
	if (import_kamal(files, parting != NULL ? 2 : 1, NULL, &made, &diags) < 0) {
		if (diags.errors == 0) {
			abort();
		}
	} else if (parting == NULL) {
		check(made.manifest);
	}
	diagnostics_fini(&diags);
	import_fini(&made);
	return 0;
}
