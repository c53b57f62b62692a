/* SPDX-License-Identifier: MIT */
#include "util/fs.h"

#include "util/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int fd_write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = write(fd, p, len);
		if (n < 0) {
			if (errno == EINTR) {
				continue;
			}
			return -1;
		}
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int fd_read_all(int fd, struct str *out)
{
	char buf[16384];
	int rc = -1;

	for (;;) {
		ssize_t n = read(fd, buf, sizeof(buf));
		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n <= 0) {
			rc = n == 0 ? 0 : -1;
			break;
		}
		if (str_addn(out, buf, (size_t)n) < 0) {
			errno = EFBIG;
			break;
		}
	}
	if (out->secret) {
		explicit_bzero(buf, sizeof(buf));
	}
	return rc;
}

int fs_read(const char *path, struct str *out, struct error *err)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		return error_sys(err, ERROR_INTERNAL, errno, "open '%s'", path);
	}
	if (fd_read_all(fd, out) < 0) {
		if (errno == EFBIG) {
			error_set(err, ERROR_INTERNAL, "'%s' is larger than %zu bytes", path,
				out->max);
			err->sys = EFBIG;
			return -1;
		}
		return error_sys(err, ERROR_INTERNAL, errno, "read '%s'", path);
	}
	return 0;
}

/* fsync of the folder that holds `path`, so that a rename in it survives a power cut. */
static int sync_parent(const char *path)
{
	const char *slash = strrchr(path, '/');
	CLEANUP_FREE char *dir = slash == NULL   ? xstrdup(".")
				 : slash == path ? xstrdup("/")
						 : xstrndup(path, (size_t)(slash - path));
	CLEANUP_FD int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* Some file systems cannot sync a folder: EINVAL is theirs. */
	return fd < 0 || (fsync(fd) < 0 && errno != EINVAL) ? -1 : 0;
}

int fs_write_atomic(const char *path, const void *data, size_t len, mode_t mode, struct error *err)
{
	char token[17];

	digest_random_hex(8, token);
	CLEANUP_FREE char *tmp = xasprintf("%s.%s.tmp", path, token);
	CLEANUP_FD int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0) {
		return error_sys(err, ERROR_INTERNAL, errno, "create '%s'", tmp);
	}
	/* fchmod: the mode asked for, whatever the umask is. */
	if (fchmod(fd, mode) < 0 || fd_write_all(fd, data, len) < 0 || fsync(fd) < 0 ||
		rename(tmp, path) < 0) {
		int sys = errno;
		unlink(tmp);
		return error_sys(err, ERROR_INTERNAL, sys, "write '%s'", path);
	}
	if (sync_parent(path) < 0) {
		return error_sys(err, ERROR_INTERNAL, errno, "sync the folder of '%s'", path);
	}
	return 0;
}

int fs_mkdirs(const char *path, mode_t mode, struct error *err)
{
	CLEANUP_FREE char *p = xstrdup(path);

	for (char *slash = p; slash != NULL;) {
		slash = strchr(slash + 1, '/');
		if (slash != NULL) {
			*slash = '\0';
		}
		if (mkdir(p, mode) < 0 && errno != EEXIST && errno != EISDIR) {
			return error_sys(err, ERROR_INTERNAL, errno, "create folder '%s'", p);
		}
		if (slash != NULL) {
			*slash = '/';
		}
	}
	struct stat st;
	if (stat(path, &st) < 0) {
		return error_sys(err, ERROR_INTERNAL, errno, "create folder '%s'", path);
	}
	if (!S_ISDIR(st.st_mode)) {
		return error_sys(err, ERROR_INTERNAL, ENOTDIR, "create folder '%s'", path);
	}
	return 0;
}

bool fs_exists(const char *path)
{
	return access(path, F_OK) == 0;
}

char *fs_join(const char *dir, const char *name)
{
	return str_ends(dir, "/") || dir[0] == '\0' ? xasprintf("%s%s", dir, name)
						    : xasprintf("%s/%s", dir, name);
}

char *fs_home(void)
{
	const char *home = getenv("HOME");

	if (home != NULL && home[0] == '/') {
		return xstrdup(home);
	}
	struct passwd pw;
	struct passwd *found = NULL;
	char buf[4096];
	if (getpwuid_r(getuid(), &pw, buf, sizeof(buf), &found) != 0 || found == NULL) {
		return NULL;
	}
	return xstrdup(pw.pw_dir);
}

char *fs_cache_dir(void)
{
	const char *xdg = getenv("XDG_CACHE_HOME");

	if (xdg != NULL && xdg[0] == '/') { /* the specification ignores relative ones */
		return fs_join(xdg, "deploy");
	}
	CLEANUP_FREE char *home = fs_home();
	return home != NULL ? fs_join(home, ".cache/deploy") : xstrdup("/tmp/.cache/deploy");
}
