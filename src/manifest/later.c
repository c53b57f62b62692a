/* SPDX-License-Identifier: MIT */
/*
 * What is parsed and validated, but not done yet.  An issue that brings one deletes its line here
 * (and in the golden cases under tests/plan/manifest).
 */
#include "internal.h"

#include <string.h>

static const struct {
	const char *path;  /* in the schema */
	const char *value; /* NULL: the key itself */
	const char *what;
} keys[] = {
	{"accessories.*.proxy", NULL, "accessories behind the proxy are"},
	{"rollout.strategy", "canary", "strategy 'canary' is"},
};

const char *later_key(const char *schema_path, const char *value)
{
	/* a role's own proxy is as the service's */
	if (strncmp(schema_path, "servers.*.proxy.", 16) == 0) {
		schema_path += 10;
	}
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (strcmp(keys[i].path, schema_path) == 0 &&
			(keys[i].value == NULL || str_eq(keys[i].value, value))) {
			return keys[i].what;
		}
	}
	return NULL;
}
