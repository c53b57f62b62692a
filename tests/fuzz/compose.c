/* SPDX-License-Identifier: MIT */
/* Two Compose files.  What is made of them has to be YAML with a service in it. */
#include "manifest/tree.h"
#include "two_files.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *manifest)
{
	struct arena arena = {0};
	struct diagnostics diags = {0};
	struct source source = {"deploy.yml", manifest, strlen(manifest)};
	struct node *root = tree_parse(&arena, &source, &diags);

	if (root == NULL || node_get(root, "service") == NULL ||
		node_get(root, "servers") == NULL) {
		abort();
	}
	diagnostics_fini(&diags);
	arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct source files[2] = {{.name = "one.yml"}, {.name = "two.yml"}};
	size_t n = two_files(data, size, files);
	struct diagnostics diags = {0};
	struct import made = {0};

	if (import_compose(files, n, "app", &made, &diags) == 0) {
		check(made.manifest);
	} else if (diags.errors == 0) {
		abort();
	}
	diagnostics_fini(&diags);
	import_fini(&made);
	return 0;
}
