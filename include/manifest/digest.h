/* SPDX-License-Identifier: MIT */
/*
 * One value for all that determines a role's containers but the image's version: command, env,
 * secrets, options, labels, volumes, logging, stop time-out, network, assets.  It is a label of
 * each container; where it differs from the manifest's, the container has drifted.
 *
 * Order of keys in the manifest does not matter, order within an option's list does.
 */
#pragma once

#include "manifest/config.h"
#include "util/digest.h"

/*
 * A keyed digest (hex) of a secret's value, made by the caller so that no value comes here; `buf`
 * may be used for it.  NULL: not known, only its name counts.
 */
typedef const char *config_secret_mac(void *ctx, const char *name, char buf[DIGEST_HEX_SIZE]);

/* Of the role's containers on `host`, whose tags may set variables. `mac` may be NULL. */
void config_digest(const struct config *c, const struct config_role *role, const char *host,
	config_secret_mac *mac, void *ctx, char out[DIGEST_HEX_SIZE]);

/* The same of an accessory's container but its image: also what its files have in them now. */
void config_accessory_digest(const struct config *c, const struct config_accessory *a,
	config_secret_mac *mac, void *ctx, char out[DIGEST_HEX_SIZE]);
