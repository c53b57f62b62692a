/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include "util/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static bool has_line(const char *text, const char *line)
{
	size_t len = strlen(line);

	for (const char *s = text; (s = strstr(s, line)) != NULL; s += len) {
		if ((s == text || s[-1] == '\n') &&
			(s[len] == '\n' || s[len] == '\0' || s[len] == '\r')) {
			return true;
		}
	}
	return false;
}

int gitignore_add(const char *dir, const char *const *lines, bool *changed, struct error *err)
{
	CLEANUP_STR struct str text = STR_INIT(STR_MAX_FILE);
	CLEANUP_STR struct str more = STR_INIT(STR_MAX_LINE);
	CLEANUP_FREE char *path = fs_join(dir, ".gitignore");

	if (fs_exists(path) && fs_read(path, &text, err) < 0) {
		return -1;
	}
	for (size_t i = 0; lines[i] != NULL; i++) {
		if (!has_line(str_c(&text), lines[i])) {
			str_addf(&more, "%s\n", lines[i]);
		}
	}
	*changed = more.len > 0;
	if (more.len == 0) {
		return 0;
	}
	CLEANUP_FD int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	bool newline = text.len > 0 && text.p[text.len - 1] != '\n';

	if (fd < 0 || (newline && fd_write_all(fd, "\n", 1) < 0) ||
		fd_write_all(fd, more.p, more.len) < 0) {
		return error_sys(err, ERROR_INTERNAL, errno, "write '%s'", path);
	}
	return 0;
}
