/* SPDX-License-Identifier: MIT */
/* Variables in a value. */
#include "manifest/expand.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *get(void *ctx, const char *name)
{
	return name[0] == 'A' ? "${B}$" : name[0] == 'E' ? "" : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = xstrndup((const char *)data, size);
	struct str out = STR_INIT(EXPAND_MAX);
	struct expand_problem problem;
	bool needed = expand_needed(text);

	if (expand_text(text, get, NULL, &out, &problem) != 0) {
		if (problem.message[0] == '\0' || problem.offset + problem.len > strlen(text)) {
			abort();
		}
	} else if (!needed && strcmp(str_c(&out), text) != 0) {
		abort(); /* what has no variable stays as it is */
	}
	str_fini(&out);
	free(text);
	return 0;
}
