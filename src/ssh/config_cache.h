/* SPDX-License-Identifier: MIT */
/*
 * `ssh -G` costs 5 ms of CPU for each host.  Where the user's and the system's configuration say
 * the same of all hosts (no Host but "*", no Match, no token that stands for the host), one answer
 * does for all of them.  Thread-safe.
 */
#pragma once

#include "ssh/target.h"

struct ssh_config_cache;

struct ssh_config_cache *ssh_config_cache_new(void);
void ssh_config_cache_free(struct ssh_config_cache *c);

/* As ssh_target_resolve(); `cache` may be NULL. */
ERROR_CHECKED int ssh_target_resolve_cached(const struct ssh_options *options,
	struct ssh_config_cache *cache, struct ssh_target *target, struct error *err);

/*
 * Appends the text kept for `key`, or what `ask` appends: 1; -1 as `ask` said.  Where the
 * configuration (of `config_file`, or NULL: the user's and the system's) is not the same for all
 * hosts, `ask` is called each time: 0.
 */
ERROR_CHECKED int ssh_config_cached(struct ssh_config_cache *c, const char *config_file,
	const char *key, int (*ask)(void *ctx, struct str *out, struct error *err), void *ctx,
	struct str *out, struct error *err);

/* Whether that text of a configuration file says the same of all hosts; Include is not followed:
 * its arguments are appended to `includes`.  Pure. */
bool ssh_config_is_general(const char *text, size_t len, struct strvec *includes);
