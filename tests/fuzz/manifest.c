/* SPDX-License-Identifier: MIT */
/* A manifest: "\0" parts it into deploy.yml and one laid over it. */
#include "manifest/config.h"
#include "manifest/digest.h"
#include "manifest/tree.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *get(void *ctx, const char *name)
{
	return name[0] == 'A' ? "value" : name[0] == 'E' ? "" : NULL;
}

/* What loads has to print, and load again. */
static void check(const struct config *c, const struct config_request *req)
{
	struct diagnostics diags = {0};
	struct error err = {0};
	struct config_secret_uses uses = {0};
	char digest[DIGEST_HEX_SIZE];
	char *text = config_to_yaml(c);
	struct config *again = config_load_text(text, strlen(text), req, &diags, &err);

	if (again == NULL) {
		abort();
	}
	config_secret_names(c, &uses);
	vec_fini(&uses);
	config_digest(c, c->primary_role, NULL, NULL, NULL, digest);
	config_free(again);
	diagnostics_fini(&diags);
	free(text);
}

static void overlay(const char *base, size_t base_len, const char *over, size_t over_len)
{
	struct arena arena = {0};
	struct diagnostics diags = {0};
	struct source one = {"one.yml", base, base_len}, two = {"two.yml", over, over_len};
	struct node *a = tree_parse(&arena, &one, &diags);
	struct node *b = tree_parse(&arena, &two, &diags);

	if (a != NULL && b != NULL) {
		tree_expand(&arena, tree_overlay(&arena, a, b), get, NULL, &diags);
	}
	diagnostics_fini(&diags);
	arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	const char *parting = size > 0 ? memchr(text, '\0', size) : NULL;
	struct config_request req = {.dir = "/", .getenv = get};
	struct diagnostics diags = {0};
	struct error err = {0};
	struct str shown = STR_INIT(STR_MAX_FILE);

	if (parting != NULL) {
		overlay(text, (size_t)(parting - text), parting + 1,
			size - (size_t)(parting - text) - 1);
		return 0;
	}
	struct config *c = config_load_text(text, size, &req, &diags, &err);

	diagnostics_render(&diags, true, &shown);
	if (c != NULL) {
		check(c, &req);
	} else if (err.kind == ERROR_NONE) {
		abort();
	}
	str_fini(&shown);
	config_free(c);
	diagnostics_fini(&diags);
	return 0;
}
