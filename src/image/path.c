/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include <string.h>

/* Takes the last component away, as ".." does; `floor` is where it cannot go below. */
static size_t up(const char *out, size_t n, size_t floor)
{
	while (n > floor && out[n - 1] != '/') {
		n--;
	}
	return n > floor ? n - 1 : n;
}

void path_clean(const char *path, char *out)
{
	bool rooted = path[0] == '/';
	size_t n = rooted ? 1 : 0, floor = n;

	out[0] = '/';
	while (*path) {
		size_t len = strcspn(path, "/");
		bool dots = len == 2 && path[0] == '.' && path[1] == '.';
		if (dots && (rooted || n > floor)) {
			n = up(out, n, floor);
		} else if (len && !(len == 1 && path[0] == '.')) {
			if (n > (rooted ? 1u : 0u)) {
				out[n++] = '/';
			}
			memcpy(out + n, path, len);
			n += len;
			floor = dots ? n : floor;
		}
		path += len;
		path += *path == '/';
	}
	if (!n) {
		out[n++] = '.';
	}
	out[n] = '\0';
}
