/* SPDX-License-Identifier: MIT */
/* Shared by lock.c and lock_owner.c. */
#pragma once

#include "deploy/lock.h"

#define LOCK_IO_MS    10000
#define LOCK_TREE_MAX 32 /* entries of a lock folder */

/* The owner's file of this process; NULL when it cannot be made. The caller frees. */
char *lock_owner_text(const struct lock_request *req, const char *token);

/*
 * Reads who holds it, and how long it has been silent by the server's clock, which a file that we
 * just wrote there tells.  1, 0 or -1 as lock_read().
 */
ERROR_CHECKED int lock_read_owner(struct host *h, const char *dir, uint32_t server_now,
	struct lock_owner *owner, struct error *err);
