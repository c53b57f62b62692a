/* SPDX-License-Identifier: MIT */
/* The ways an image takes to a host, one function each. They bring it; transfer.c verifies. */
#pragma once

#include "docker/system.h"
#include "host/host.h"
#include "origin.h"

struct way {
	struct image_source *s;
	struct host *host;
	const struct registry_auth *auth;
	const struct docker_image_list *images; /* what the host has */
	const bool *missing;                    /* layers that it lacks, as far as is known */
	struct image_transfer_result *result;
	char expected_id[IMAGE_ID_SIZE]; /* out: the ID that it must have there; "": not known */
};

ERROR_CHECKED int way_load(struct way *w, bool whole, struct error *err);
ERROR_CHECKED int way_reverse(struct way *w, struct error *err);
ERROR_CHECKED int way_registry(struct way *w, struct error *err);

/* Gives the image all its names there, but those in `have` (may be NULL). */
ERROR_CHECKED int way_tag(
	const struct way *w, const char *reference, const struct strvec *have, struct error *err);
