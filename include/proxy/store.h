/* SPDX-License-Identifier: MIT */
/*
 * What a proxy got by itself and would have to order again: certificates with their keys, and its
 * account with the authority.  Files below its data folder, by their paths there.
 */
#pragma once

#include "host/host.h"
#include "secrets/secret.h"

/* ERROR_USAGE for a driver that gets none.  Sets `files`, which may stay empty. */
ERROR_CHECKED int proxy_store_read(
	struct host *h, const char *driver, struct secret_map *files, struct error *err);
/*
 * Puts them there; what else is there stays.  ERROR_USAGE while the proxy runs: it would not see
 * them, and might write over them.
 */
ERROR_CHECKED int proxy_store_write(
	struct host *h, const char *driver, const struct secret_map *files, struct error *err);
