/* SPDX-License-Identifier: MIT */
/*
 * Files and folders of an accessory on its server, with owner and mode.
 *
 * The SSH user may not chown, and an image need not have a shell: so Docker itself unpacks them,
 * through a container of the image that is made for it, has the folder mounted, and never starts.
 * Names of owners are those of that image's /etc/passwd and /etc/group.
 */
#pragma once

#include "host/host.h"
#include "util/error.h"
#include "util/map.h"
#include "util/vec.h"

struct place_item {
	const char *path;  /* below the folder, without ".." */
	const char *owner; /* "uid[:gid]" or names; NULL: root, and a folder's stays as it is */
	const char *mode;  /* octal; NULL: 0644, of a folder 0755 */
	bool folder;
	struct str data; /* of a file; may be secret. The caller's. */
};
VEC_TYPE(place_items, struct place_item);

struct place_request {
	struct host *host;
	const char *folder; /* on the server, absolute; folders are made there with mode 0700 */
	const char *image;
	const char *name;            /* of the container that is made for it */
	const struct strmap *labels; /* of that: who finds it left over removes it */
	const struct place_items *items;
};

/* A file that is there is replaced.  ERROR_MANIFEST for an owner that the image does not know. */
ERROR_CHECKED int place_items(const struct place_request *req, struct error *err);

/*
 * The numbers of "user[:group]" by the text of /etc/passwd and /etc/group; of a user without a
 * group its own one.  -1 when a name is in none of them.  Pure.
 */
ERROR_CHECKED int place_owner(
	const char *owner, const char *passwd, const char *group, uint32_t *uid, uint32_t *gid);
