/* SPDX-License-Identifier: MIT */
/* Compose files: "\0" parts them.  What is made of them has to be YAML with a service in it. */
#include "manifest/import.h"
#include "manifest/tree.h"

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
	const char *text = (const char *)data;
	const char *parting = size > 0 ? memchr(text, '\0', size) : NULL;
	size_t first = parting != NULL ? (size_t)(parting - text) : size;
	struct source files[] = {{"one.yml", text, first},
		{"two.yml", text + first + 1, parting != NULL ? size - first - 1 : 0}};
	struct diagnostics diags = {0};
	struct import made = {0};

	if (import_compose(files, parting != NULL ? 2 : 1, "app", &made, &diags) == 0) {
		check(made.manifest);
	} else if (diags.errors == 0) {
		abort();
	}
	diagnostics_fini(&diags);
	import_fini(&made);
	return 0;
}
