/* SPDX-License-Identifier: MIT */
/*
 * Headers of a tar archive (POSIX.1-2017, pax: "ustar Interchange Format" and "pax Extended
 * Header").  Pure.  Written here, and not by libarchive, because contexts and images are pulled by
 * the consumer while their content still grows, names are bytes of any locale, and the same input
 * has to give the same bytes.
 */
#pragma once

#include "util/str.h"

#include <stdint.h>
#include <sys/types.h>

#define TAR_BLOCK 512

struct tar_entry {
	const char *path; /* relative; a folder's gets its '/' here */
	const char *link; /* symlink's target, else NULL */
	uint64_t size;    /* regular file */
	mode_t mode;      /* type (S_IFREG, S_IFDIR, S_IFLNK) and permission bits */
	int64_t mtime;    /* seconds; below 0 is written as 0 */
	uint32_t uid, gid;
};

/* Appends the header block, and a pax header before it where the ustar fields are too small. */
void tar_header(struct str *out, const struct tar_entry *e);
/* Zero bytes that must follow `size` bytes of content. */
size_t tar_padding(uint64_t size);
/* Appends the two zero blocks of the end. */
void tar_end(struct str *out);
