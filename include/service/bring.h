/* SPDX-License-Identifier: MIT */
/*
 * An image that is not built here, on a server: pulled by the server's daemon; where that cannot
 * (no way out, a registry that refuses), brought over SSH from whoever has it.
 */
#pragma once

#include "host/host.h"
#include "image/registry.h"
#include "util/error.h"

struct bring_request {
	struct host *host;
	const char *image; /* with its tag */
	const struct registry_auth
		*auth;              /* of the manifest's registry, used when it is that one's */
	bool fresh;                 /* look for a newer one though it is there */
	struct host *const *others; /* further servers to ask */
	size_t n_others;
};

/* *id: the image there; the caller's. */
ERROR_CHECKED int bring_image(const struct bring_request *req, char **id, struct error *err);
