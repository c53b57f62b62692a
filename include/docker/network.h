/* SPDX-License-Identifier: MIT */
/* Docker: networks and volumes. */
#pragma once

#include "docker/client.h"

struct docker_network_member {
	char *container_id, *name, *ipv4; /* address without the prefix length */
};
VEC_TYPE(docker_network_members, struct docker_network_member);

struct docker_network {
	char *id, *name, *driver, *subnet, *gateway;
	bool internal, attachable;
	struct strmap labels;
	struct docker_network_members members;
};
/* -1 with status 404 when there is none. */
ERROR_CHECKED int docker_network_inspect(
	struct docker *d, const char *name, struct docker_network *out, struct error *err);
void docker_network_fini(struct docker_network *n);

/* A bridge network; internal: without a way out.  One of that name is success, whatever it is like
 * (Docker itself would make a second one). */
ERROR_CHECKED int docker_network_create(struct docker *d, const char *name, bool internal,
	const struct strmap *labels, struct error *err);
/* Removes those that bear the labels and that no running container is on. */
ERROR_CHECKED int docker_network_prune(
	struct docker *d, const struct docker_filters *labels, struct error *err);
ERROR_CHECKED int docker_network_remove(struct docker *d, const char *name, struct error *err);
/* aliases may be NULL. Being connected already is success. */
ERROR_CHECKED int docker_network_connect(struct docker *d, const char *network,
	const char *container, const struct strvec *aliases, struct error *err);
ERROR_CHECKED int docker_network_disconnect(struct docker *d, const char *network,
	const char *container, bool force, struct error *err);

struct docker_volume {
	char *name, *driver, *mountpoint, *created;
	struct strmap labels;
};
VEC_TYPE(docker_volume_list, struct docker_volume);
/* Creating one that is there gives that one. out may be NULL. */
ERROR_CHECKED int docker_volume_create(struct docker *d, const char *name,
	const struct strmap *labels, struct docker_volume *out, struct error *err);
ERROR_CHECKED int docker_volume_inspect(
	struct docker *d, const char *name, struct docker_volume *out, struct error *err);
ERROR_CHECKED int docker_volume_list(struct docker *d, const struct docker_filters *filters,
	struct docker_volume_list *out, struct error *err);
ERROR_CHECKED int docker_volume_remove(
	struct docker *d, const char *name, bool force, struct error *err);
void docker_volume_fini(struct docker_volume *v);
void docker_volume_list_fini(struct docker_volume_list *v);
