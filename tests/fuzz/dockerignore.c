/* SPDX-License-Identifier: MIT */
/* A .dockerignore, and behind the first NUL a path. */
#include "image/dockerignore.h"
#include "util/str.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PATH 256 /* matching costs pattern times path */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct dockerignore *parse(const char *text, size_t len)
{
	struct error err = {0};
	struct dockerignore *d = dockerignore_parse(text, len, "x", &err);

	assert((d == NULL) == (err.kind != ERROR_NONE));
	return d;
}

/* The same patterns with another one behind them. */
static bool match_with(const char *text, size_t len, const char *more, const char *path)
{
	CLEANUP_STR struct str all = STR_INIT(STR_MAX_FILE);

	str_addn(&all, text, len);
	str_addf(&all, "\n%s\n", more);
	struct dockerignore *d = parse(all.p, all.len);
	bool matches = d != NULL && dockerignore_match(d, path);
	assert(d != NULL);
	dockerignore_free(d);
	return matches;
}

static void check(const struct dockerignore *d, const char *text, size_t len, const char *path)
{
	bool out = dockerignore_match(d, path);
	CLEANUP_FREE char *below = xasprintf("%s/a", path);
	bool takes_back = memchr(text, '!', len) != NULL;

	/* What is in a folder that is left out is left out, unless a pattern takes it back. */
	assert(!out || takes_back || dockerignore_match(d, below));
	assert(!out || !dockerignore_can_skip(d, path) || dockerignore_match(d, below));
	assert(takes_back || dockerignore_can_skip(d, path));
	/* The last pattern wins. */
	assert(match_with(text, len, "**", path));
	assert(!match_with(text, len, "!**", path));
	assert(match_with(text, len, "# **", path) == out);
	assert(!dockerignore_match(NULL, path));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	const char *nul = size > 0 ? memchr(text, '\0', size) : NULL;
	size_t len = nul != NULL ? (size_t)(nul - text) : size;
	struct dockerignore *d = parse(text, len);

	if (d != NULL && nul != NULL && size - len - 1 < MAX_PATH) {
		CLEANUP_FREE char *path = xstrndup(nul + 1, size - len - 1);
		if (*path != '\0' && *path != '/' && strstr(path, "//") == NULL &&
			!str_ends(path, "/")) {
			check(d, text, len, path);
		}
	}
	dockerignore_free(d);
	return 0;
}
