/* SPDX-License-Identifier: MIT */
/* Containers and the networks that they are on. */
#include "deploy/container.h"
#include "internal.h"
#include "labels.h"

#include <stdlib.h>
#include <string.h>

int container_network(const struct deployment *d, const struct target *t,
	const struct config_network *n, struct error *err)
{
	CLEANUP_STRMAP struct strmap labels = {0};
	if (n->external || str_eq(n->name, "host") || str_eq(n->name, "none") ||
		str_eq(n->name, "bridge")) {
		return 0;
	}
	if (n->own) {
		labels_add(&labels, d->config);
	}
	return docker_network_create(t->host->docker, n->name, n->internal, &labels, err);
}

void container_networks_remove(const struct deployment *d, const struct target *t)
{
	CLEANUP_FILTERS struct label_filters ours;
	struct error failed = {0};
	label_filters_init(&ours, d->config);
	if (docker_network_prune(t->host->docker, &ours.list, &failed) < 0) {
		ui_warn(d->ui, t->host->name, "%s", failed.text);
	}
}

void container_add_networks(
	const struct config_network_ptrs *networks, struct docker_container_spec *spec)
{
	spec->network = xstrdup(networks->p[0]->name);
	for (size_t i = 1; i < networks->len; i++) {
		strvec_push(&spec->more_networks, networks->p[i]->name);
	}
}

/* podman says "bridge" for every network that somebody made. */
static const char *first_network(const struct docker_container *from)
{
	const char *mode = json_str_at(from->host_config, "NetworkMode", "");
	VEC_FOREACH (&from->networks, i) {
		if (str_eq(from->networks.p[i].name, mode)) {
			return mode;
		}
	}
	return from->networks.len > 0 ? from->networks.p[0].name : mode;
}

void container_copy_first_network(const struct docker_container *from, json_t *body)
{
	json_object_set_new(body, "NetworkingConfig",
		json_pack("{s:{s:{}}}", "EndpointsConfig", first_network(from)));
}

int container_copy_networks(struct docker *docker, const struct docker_container *from,
	const char *name, struct error *err)
{
	VEC_FOREACH (&from->networks, i) {
		const char *network = from->networks.p[i].name;
		if (!str_eq(network, first_network(from)) &&
			docker_network_connect(docker, network, name, NULL, err) < 0) {
			return -1;
		}
	}
	return 0;
}

/*
 * A stopped container holds its networks by ID: one that was removed and made anew has another.
 * Connecting to it by name again mends that.
 */
static int reconnect(struct docker *docker, const char *name, struct error *err)
{
	struct docker_container c = {0};
	int result = docker_container_inspect(docker, name, &c, err);
	for (size_t i = 0; result == 0 && i < c.networks.len; i++) {
		const struct docker_container_network *n = &c.networks.p[i];
		struct error ignored = {0};
		(void)!docker_network_disconnect(docker, n->name, name, true, &ignored);
		result = docker_network_connect(docker, n->name, name, &n->aliases, err);
	}
	docker_container_fini(&c);
	return result;
}

static bool network_gone(const struct error *err)
{
	return strstr(err->text, "network") && strstr(err->text, "not found");
}

int container_start(struct docker *docker, const char *name, struct error *err)
{
	if (docker_container_start(docker, name, err) == 0) {
		return 0;
	}
	if (!network_gone(err)) {
		return -1;
	}
	struct error ignored = {0};
	if (reconnect(docker, name, &ignored) < 0) {
		return -1;
	}
	*err = (struct error){0};
	return docker_container_start(docker, name, err);
}

int container_revive(
	struct docker *docker, const char *name, struct docker_container *seen, struct error *err)
{
	struct error refused = {0};
	if (docker_container_update_start(docker, name, "no", seen, &refused) == 0) {
		return 0;
	}
	if (!network_gone(&refused)) {
		*err = refused;
		return -1;
	}
	docker_container_fini(seen);
	return container_start(docker, name, err);
}
