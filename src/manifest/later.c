/* SPDX-License-Identifier: MIT */
/*
 * What is parsed and validated, but not done yet.  An issue that brings one deletes its line here
 * (and in the golden cases under tests/plan/manifest).
 */
#include "internal.h"

#include <string.h>

static const struct {
	const char *path; /* in the schema */
	const char *what;
} keys[] = {
	{"accessories.*.proxy", "accessories behind the proxy are"},
};

const char *later_key(const char *schema_path)
{
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (strcmp(keys[i].path, schema_path) == 0) {
			return keys[i].what;
		}
	}
	return NULL;
}
