/* SPDX-License-Identifier: MIT */
/* networks: */
#include "internal.h"

#include <stdio.h>
#include <string.h>

#define SHARED "deploy" /* of all services of a server: the proxy is on it */

/* Docker's own. */
static bool is_builtin(const char *name)
{
	static const char *const builtin[] = {"bridge", "default", "host", "none", SHARED};

	for (size_t i = 0; i < sizeof(builtin) / sizeof(builtin[0]); i++) {
		if (strcmp(builtin[i], name) == 0) {
			return true;
		}
	}
	return false;
}

/* No service, destination or network has a dot: no two of them have one name in Docker. */
static const char *name_in_docker(struct build *b, const char *key)
{
	const struct config *c = b->c;
	const char *service = c->service != NULL ? c->service : "";

	return c->destination != NULL
		       ? arena_printf(b->arena, "%s.%s.%s", service, c->destination, key)
		       : arena_printf(b->arena, "%s.%s", service, key);
}

static void build_network(struct build *b, const struct node *key, const struct node *map)
{
	struct config_network n = {.key = key->text, .mark = mark_at(key)};

	n.internal = get_bool(map, "internal", false);
	n.external = get_bool(map, "external", false);
	n.own = !n.external;
	n.name = n.external ? get_text(map, "name", n.key) : name_in_docker(b, n.key);
	if (is_builtin(n.key)) {
		mistake(b, key, NULL, "'%s' is %s", n.key,
			strcmp(n.key, SHARED) == 0
				? "the network that is always there: it needs no entry here"
				: "a word of Docker's: give it another name");
	}
	if (n.external && n.internal) {
		mistake(b, node_get(map, "internal"), NULL,
			"an external network is what its owner made of it");
	}
	if (!n.external && has(map, "name")) {
		mistake(b, node_get(map, "name"), "external: true",
			"only an external network has a name of its own; this one is '%s'", n.name);
	}
	arena_push(b->arena, &b->c->networks, n);
}

void build_networks(struct build *b)
{
	const struct node *all = node_get(b->root, "networks");
	struct config_network shared = {.key = SHARED, .name = SHARED};

	b->c->network = SHARED;
	arena_push(b->arena, &b->c->networks, shared);
	for (size_t i = 0; usable(all) && all->kind == NODE_MAP && i < all->len; i++) {
		if (!all->p[i].key->bad) {
			build_network(b, all->p[i].key, all->p[i].value);
		}
	}
}

static const struct config_network *find(const struct build *b, const char *key)
{
	VEC_FOREACH (&b->c->networks, i) {
		if (strcmp(b->c->networks.p[i].key, key) == 0) {
			return &b->c->networks.p[i];
		}
	}
	return NULL;
}

static const struct config_network *find_or_tell(
	struct build *b, const struct node *at, const char *key)
{
	const struct config_network *n = find(b, key);
	const struct config_networks *all = &b->c->networks;

	if (n == NULL) {
		const char *near = diagnostics_nearest(key, all->p, all->len, sizeof(all->p[0]));
		char hint[160];

		snprintf(hint, sizeof(hint),
			near != NULL ? "did you mean '%.100s'?" : "networks: {%.100s: {}}",
			near != NULL ? near : key);
		mistake(b, at, hint, "there is no network '%s' under 'networks'", key);
	}
	return n;
}

void build_attached(struct build *b, const struct node *map, struct config_network_ptrs *out)
{
	const struct node *list = node_get(map, "networks");
	struct strvec keys = {0};

	get_list(b, map, "networks", false, &keys);
	VEC_FOREACH (&keys, i) {
		const struct config_network *n = find_or_tell(b, list, keys.p[i]);

		if (n != NULL) {
			arena_push(b->arena, out, n);
		}
	}
	if (out->len == 0) {
		arena_push(b->arena, out, &b->c->networks.p[0]);
	}
}

void build_attached_to_proxy(struct build *b, struct config_network_ptrs *networks)
{
	const struct config_network *shared = &b->c->networks.p[0];
	struct config_network_ptrs ordered = {0};

	arena_push(b->arena, &ordered, shared);
	VEC_FOREACH (networks, i) {
		if (networks->p[i] != shared) {
			arena_push(b->arena, &ordered, networks->p[i]);
		}
	}
	*networks = ordered;
}

const struct config_network *build_network_named(struct build *b, const char *name)
{
	const struct config_network *n = find(b, name);

	if (n == NULL) {
		struct config_network *other = arena_alloc(b->arena, sizeof(*other));

		*other = (struct config_network){.key = name, .name = name};
		n = other;
	}
	return n;
}
