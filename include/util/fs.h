/* SPDX-License-Identifier: MIT */
/* Local files. */
#pragma once

#include "util/error.h"
#include "util/str.h"

#include <stdbool.h>
#include <sys/types.h>

/* Appends the whole file to `out`. Fails when it is larger than out->max. */
ERROR_CHECKED int fs_read(const char *path, struct str *out, struct error *err);

/* Temporary file beside it, fsync, rename: readers see the old or the new bytes. */
ERROR_CHECKED int fs_write_atomic(
	const char *path, const void *data, size_t len, mode_t mode, struct error *err);

/* mkdir -p. */
ERROR_CHECKED int fs_mkdirs(const char *path, mode_t mode, struct error *err);

bool fs_exists(const char *path);

/* "<dir>/<name>"; the caller frees. */
char *fs_join(const char *dir, const char *name);

/* $XDG_CACHE_HOME/deploy, else ~/.cache/deploy. The caller frees. */
char *fs_cache_dir(void);

/* Home folder: $HOME, else the password database. The caller frees; NULL when there is none. */
char *fs_home(void);

/* Write all, restarting on EINTR: 0, or -1 with errno. */
int fd_write_all(int fd, const void *data, size_t len);
/* Reads until EOF, appending to `out`: 0; -1 with errno (EFBIG on overflow). */
int fd_read_all(int fd, struct str *out);
