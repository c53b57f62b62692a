/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include "util/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIR_MAX_ENTRIES ((size_t)4000000) /* of one folder */

struct dir_context {
	int fd;
	char *path; /* real path */
};

static void dir_free(void *p)
{
	struct dir_context *t = p;

	if (t->fd >= 0) {
		close(t->fd);
	}
	free(t->path);
	free(t);
}

static void *dir_open(const struct context_request *req, struct error *err)
{
	struct dir_context *t = xcalloc(1, sizeof(*t));
	const char *path = req->path && *req->path ? req->path : ".";
	CLEANUP_FREE char *joined =
		*path == '/' || !req->root ? xstrdup(path) : fs_join(req->root, path);

	t->path = realpath(joined, NULL);
	t->fd = t->path ? open(t->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (t->fd < 0) {
		error_sys(err, ERROR_MANIFEST, errno, "build context '%s'", joined);
		dir_free(t);
		return NULL;
	}
	return t;
}

/* Opens below the context without following any symlink. */
static int open_beneath(const struct dir_context *t, const char *path, int flags)
{
	int at = dup(t->fd);

	while (at >= 0 && *path) {
		size_t len = strcspn(path, "/");
		bool last = path[len] == '\0';
		char name[NAME_MAX + 1];
		int next = -1;
		if (len > NAME_MAX) {
			errno = ENAMETOOLONG;
		} else {
			memcpy(name, path, len);
			name[len] = '\0';
			next = openat(at, name,
				(last ? flags : O_PATH | O_DIRECTORY) | O_NOFOLLOW | O_CLOEXEC);
		}
		int saved = errno;
		close(at);
		errno = saved;
		at = next;
		path += len + (last ? 0 : 1);
	}
	return at;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct tree_entry *)a)->name, ((const struct tree_entry *)b)->name);
}

static int dir_list(void *p, const char *folder, struct tree_entries *out, struct error *err)
{
	struct dir_context *t = p;
	int fd = *folder ? open_beneath(t, folder, O_RDONLY | O_DIRECTORY)
			 : openat(t->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;

	if (!dir) {
		return error_sys(err, ERROR_MANIFEST, errno, "read folder '%s'", folder);
	}
	while ((e = readdir(dir)) && out->len < DIR_MAX_ENTRIES) {
		struct tree_entry one = {0};
		struct stat st;
		if (str_eq(e->d_name, ".") || str_eq(e->d_name, "..") ||
			fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
			continue;
		}
		if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode)) {
			continue; /* sockets, pipes, devices cannot be copied into an image */
		}
		one.name = xstrdup(e->d_name);
		one.mode = st.st_mode;
		vec_push(out, one);
	}
	closedir(dir);
	if (out->len) {
		qsort(out->p, out->len, sizeof(out->p[0]), by_name);
	}
	return 0;
}

static int read_link(const struct dir_context *t, const char *path, struct tree_file *out)
{
	char target[PATH_MAX + 1];
	CLEANUP_FD int fd = open_beneath(t, path, O_PATH);
	ssize_t n = fd >= 0 ? readlinkat(fd, "", target, sizeof(target)) : -1;

	if (n < 0) {
		return -1;
	}
	out->link = xstrndup(target, (size_t)n);
	out->size = 0;
	return 0;
}

static int dir_open_file(void *p, const char *path, const struct tree_entry *e,
	struct tree_file *out, struct error *err)
{
	struct dir_context *t = p;
	int flags = S_ISLNK(e->mode) ? O_PATH : O_RDONLY | O_NONBLOCK | O_NOCTTY;
	CLEANUP_FD int fd = open_beneath(t, path, flags);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0 || (st.st_mode & S_IFMT) != (e->mode & S_IFMT)) {
		int why = fd < 0 ? errno : EAGAIN;
		error_sys(err, ERROR_MANIFEST, why, "read '%s'", path);
		return why == EACCES ? error_hint(err, "make it readable, or name it in "
						       ".dockerignore")
				     : -1;
	}
	out->mode = st.st_mode;
	out->mtime = st.st_mtime;
	out->size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
	if (S_ISLNK(st.st_mode) && read_link(t, path, out) != 0) {
		return error_sys(err, ERROR_MANIFEST, errno, "read symlink '%s'", path);
	}
	if (S_ISREG(st.st_mode)) {
		out->fd = take_fd(&fd);
	}
	return 0;
}

static int read_fd(int fd, const char *path, struct str *out, struct error *err)
{
	if (fd_read_all(fd, out) != 0) {
		return error_sys(err, ERROR_MANIFEST, errno, "read '%s'", path);
	}
	return 0;
}

static int dir_read(void *p, const char *path, struct str *out, struct error *err)
{
	CLEANUP_FD int fd = open_beneath(p, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);

	return fd < 0 ? 1 : read_fd(fd, path, out, err);
}

static int dir_dockerfile(void *p, const char *path, struct str *out, struct error *err)
{
	struct dir_context *t = p;
	CLEANUP_FREE char *joined = *path == '/' ? xstrdup(path) : fs_join(t->path, path);
	CLEANUP_FREE char *real = realpath(joined, NULL);
	CLEANUP_FD int fd = real ? open(real, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) : -1;
	size_t len = strlen(t->path);

	if (fd < 0) {
		error_sys(err, ERROR_MANIFEST, errno, "Dockerfile '%s'", joined);
		return error_hint(err, "name another one with builder 'dockerfile:'");
	}
	if (strncmp(real, t->path, len) == 0 && (real[len] == '/' || len == 1) && path[0] != '/' &&
		!str_starts(path, "../")) {
		return 0;
	}
	return read_fd(fd, real, out, err) == 0 ? 1 : -1;
}

const struct tree_ops context_dir = {.open = dir_open,
	.list = dir_list,
	.open_file = dir_open_file,
	.read = dir_read,
	.dockerfile = dir_dockerfile,
	.free = dir_free};
