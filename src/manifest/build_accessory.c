/* SPDX-License-Identifier: MIT */
/* accessories: */
#include "internal.h"

#include "manifest/syntax.h"
#include "util/fs.h"

#include <stdio.h>
#include <string.h>

static bool same_host(const struct config_hosts *hosts, const struct config_host *h)
{
	VEC_FOREACH (hosts, i) {
		const struct config_host *other = &hosts->p[i];

		if (strcmp(other->name, h->name) == 0 && other->port == h->port &&
			str_eq(other->user, h->user)) {
			return true;
		}
	}
	return false;
}

static void add_hosts(struct build *b, struct config_hosts *out, const struct config_hosts *more)
{
	VEC_FOREACH (more, i) {
		if (!same_host(out, &more->p[i])) {
			arena_push(b->arena, out, more->p[i]);
		}
	}
}

static void hosts_of_roles(
	struct build *b, const struct node *map, const char *key, struct config_accessory *a)
{
	struct strvec names = {0};

	get_list(b, map, key, false, &names);
	VEC_FOREACH (&names, i) {
		bool found = false;

		VEC_FOREACH (&b->c->roles, j) {
			if (strcmp(b->c->roles.p[j].name, names.p[i]) == 0) {
				add_hosts(b, &a->hosts, &b->c->roles.p[j].hosts);
				found = true;
			}
		}
		if (!found) {
			mistake(b, node_get(map, key), NULL, "there is no role '%s'", names.p[i]);
		}
	}
}

static void hosts_of_tags(
	struct build *b, const struct node *map, const char *key, struct config_accessory *a)
{
	struct strvec names = {0};

	get_list(b, map, key, false, &names);
	VEC_FOREACH (&names, i) {
		size_t before = a->hosts.len;
		struct config_hosts tagged = {0};

		VEC_FOREACH (&b->c->roles, j) {
			const struct config_hosts *hosts = &b->c->roles.p[j].hosts;

			VEC_FOREACH (hosts, k) {
				if (strvec_has(&hosts->p[k].tags, names.p[i])) {
					arena_push(b->arena, &tagged, hosts->p[k]);
				}
			}
		}
		add_hosts(b, &a->hosts, &tagged);
		if (before == a->hosts.len && tagged.len == 0) {
			mistake(b, node_get(map, key), NULL, "no host has the tag '%s'",
				names.p[i]);
		}
	}
}

/* One of host, hosts, role, roles, tag, tags. */
static void build_places(
	struct build *b, const struct node *key, const struct node *map, struct config_accessory *a)
{
	static const char *const keys[] = {"host", "hosts", "role", "roles", "tag", "tags"};
	const char *found = NULL;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const struct node_item *item = node_find(map, keys[i]);

		if (item == NULL || node_is_null(item->value)) {
			continue;
		}
		if (found != NULL) {
			mistake(b, item->key, NULL, "either '%s' or '%s', not both", found,
				keys[i]);
			return;
		}
		found = keys[i];
	}
	if (found == NULL) {
		mistake(b, key, "host: app1.example.com, or role: web",
			"accessory '%s' has no host", a->name);
	} else if (strcmp(found, "host") == 0) {
		struct node one = {.kind = NODE_LIST, .len = 1, .mark = node_get(map, found)->mark};
		struct node_item item = {.value = node_get(map, found)};

		one.p = &item;
		build_hosts(b, &one, &a->hosts);
	} else if (strcmp(found, "hosts") == 0) {
		build_hosts(b, node_get(map, found), &a->hosts);
	} else if (strncmp(found, "role", 4) == 0) {
		hosts_of_roles(b, map, found, a);
	} else {
		hosts_of_tags(b, map, found, a);
	}
}

/* "5432" and "5433:5432" get the loopback address in front: a stranger does not reach them. */
static void build_ports(struct build *b, const struct node *map, struct config_accessory *a)
{
	struct strvec ports = {0};

	if (has(map, "port") && has(map, "ports")) {
		mistake(b, node_find(map, "ports")->key, NULL,
			"either 'port' or 'ports', not both");
	}
	get_list(b, map, "port", false, &ports);
	get_list(b, map, "ports", false, &ports);
	VEC_FOREACH (&ports, i) {
		const char *p = ports.p[i];
		const char *slash = strchr(p, '/');
		size_t n = slash != NULL ? (size_t)(slash - p) : strlen(p);
		const char *inner = memrchr(p, ':', n);
		const char *outer = inner != NULL ? memrchr(p, ':', (size_t)(inner - p)) : NULL;

		if (outer == NULL) {
			p = inner == NULL
				    ? arena_printf(b->arena, "127.0.0.1:%.*s:%s", (int)n, p, p)
				    : arena_printf(b->arena, "127.0.0.1:%s", p);
		}
		arena_push(b->arena, &a->ports, arena_strdup(b->arena, p));
	}
}

/* "local:remote[:options]" */
static bool split_file(struct build *b, const struct node *n, struct config_file *f)
{
	const char *colon = strchr(n->text, ':');
	const char *options = colon != NULL ? strchr(colon + 1, ':') : NULL;

	if (colon == NULL || colon == n->text || colon[1] != '/') {
		mistake(b, n, "files: [config/my.cnf:/etc/mysql/my.cnf]",
			"'%s' is not local:/path/in/the/container", n->raw);
		return false;
	}
	f->local = arena_strndup(b->arena, n->text, (size_t)(colon - n->text));
	f->remote = options != NULL
			    ? arena_strndup(b->arena, colon + 1, (size_t)(options - colon - 1))
			    : colon + 1;
	f->options = options != NULL ? options + 1 : NULL;
	return true;
}

static bool build_file(struct build *b, const struct node *n, bool folder, struct config_file *f)
{
	f->mark = mark_at(n);
	if (n->kind == NODE_MAP) {
		f->local = get_text(n, "local", NULL);
		f->remote = get_text(n, "remote", NULL);
		f->mode = get_text(n, "mode", NULL);
		f->owner = get_text(n, "owner", NULL);
		f->options = get_text(n, "options", NULL);
	} else if (!split_file(b, n, f)) {
		return false;
	}
	if (f->local == NULL || f->remote == NULL) {
		return false; /* told by the schema */
	}
	const char *wrong = syntax_path_absolute(f->remote);

	if (wrong != NULL) {
		mistake(b, n, NULL, "'%s' %s", f->remote, wrong);
		return false;
	}
	if (folder) {
		wrong = syntax_path_inside(f->local);
		if (wrong != NULL) {
			mistake(b, n, "a name: it is made below ~/.deploy on the server", "'%s' %s",
				f->local, wrong);
		}
		return wrong == NULL;
	}
	if (str_ends(f->local, ".erb")) {
		mistake(b, n, "write ${NAME} into it and name it without .erb",
			"'%s' is a Ruby template", f->local);
		return false;
	}
	const char *written = f->local;

	f->local = absolute_path(b, written);
	f->expand = true;
	if (!fs_exists(f->local)) {
		mistake(b, n, NULL, "there is no file '%s'", written);
		return false;
	}
	return true;
}

static void build_files(struct build *b, const struct node *map, const char *key, bool folder,
	struct config_files *out)
{
	const struct node *n = node_get(map, key);

	for (size_t i = 0; usable(n) && n->kind == NODE_LIST && i < n->len; i++) {
		struct config_file f = {0};

		if (usable(n->p[i].value) && build_file(b, n->p[i].value, folder, &f)) {
			arena_push(b->arena, out, f);
		}
	}
}

/*
 * The application's own image, with another command: as Kamal does, what is built is `latest`, too,
 * and that is what the accessory gets.
 */
static void tag_latest(struct build *b, const struct node *n, const char *image)
{
	struct strvec *tags = &b->c->builder.tags;
	size_t len = b->c->image != NULL ? strlen(b->c->image) : 0;

	if (len == 0 || strncmp(image, b->c->image, len) != 0 ||
		(image[len] != '\0' && strcmp(image + len, ":latest") != 0)) {
		return;
	}
	if (!strvec_has(tags, "latest")) {
		arena_push(b->arena, tags, arena_strdup(b->arena, "latest"));
	}
	warning(b, n, "servers: {worker: {hosts: [...], cmd: ...}} changes with each release",
		"an accessory of the application's image keeps the one that it was booted with");
}

static void build_accessory_networks(
	struct build *b, const struct node *map, struct config_accessory *a)
{
	const char *one = get_text(map, "network", NULL);
	bool way_out = false;

	if (one != NULL && has(map, "networks")) {
		mistake(b, node_find(map, "networks")->key, NULL,
			"either 'network' or 'networks', not both");
	}
	if (one != NULL) {
		arena_push(b->arena, &a->networks, build_network_named(b, one));
	} else {
		build_attached(b, map, &a->networks);
	}
	a->network = a->networks.p[0]->name;
	VEC_FOREACH (&a->networks, i) {
		way_out = way_out || !a->networks.p[i]->internal;
	}
	if (a->ports.len > 0 && !way_out) {
		warning(b, node_find(map, has(map, "ports") ? "ports" : "port")->key,
			"leave the port out, or attach it to a network that is not internal too",
			"accessory '%s': Docker publishes no port of an internal network", a->name);
	}
}

static void build_accessory(struct build *b, const struct node *key, const struct node *map)
{
	struct config_accessory a = {.name = key->text, .mark = mark_at(key)};
	const struct node *health = node_get(map, "healthcheck");

	a.container = get_text(map, "service",
		b->c->service != NULL ? arena_printf(b->arena, "%s-%s", b->c->service, a.name)
				      : a.name);
	a.image = get_text(map, "image", "");
	build_registry(b, node_get(map, "registry"), &a.registry);
	if (a.registry.server != NULL && a.image[0] != '\0') {
		size_t n = strlen(a.registry.server);
		bool there = str_starts(a.image, a.registry.server) && a.image[n] == '/';
		a.image = there ? a.image
				: arena_printf(b->arena, "%s/%s", a.registry.server, a.image);
	}
	a.family = image_family(a.image);
	tag_latest(b, node_get(map, "image"), a.image);
	build_places(b, key, map, &a);
	a.cmd = get_text(map, "cmd", NULL);
	build_ports(b, map, &a);
	build_env_files(b, map, &a.env);
	build_env(b, node_get(map, "env"), &a.env);
	build_options(b, node_get(map, "options"), &a.options);
	get_map(b, map, "labels", &a.labels);
	get_list(b, map, "volumes", false, &a.volumes);
	build_files(b, map, "files", false, &a.files);
	build_files(b, map, "directories", true, &a.directories);
	build_accessory_networks(b, map, &a);
	a.has_health = usable(health);
	if (a.has_health) {
		build_health(b, health, 0, &a.health);
	}
	a.boot_timeout_ms = get_ms(map, "boot_timeout", 60000);
	a.stop_timeout_ms = get_ms(map, "stop_timeout", 30000);
	build_logging(b, node_get(b->root, "logging"), &a.logging);
	build_logging(b, node_get(map, "logging"), &a.logging);
	build_backup(b, node_get(map, "backup"), &a);
	arena_push(b->arena, &b->c->accessories, a);
}

static void check_names(struct build *b, const struct node *all)
{
	const struct config_accessories *list = &b->c->accessories;

	VEC_FOREACH (list, i) {
		for (size_t j = 0; j < i; j++) {
			if (strcmp(list->p[i].container, list->p[j].container) == 0) {
				mistake(b, node_find(all, list->p[i].name)->key, NULL,
					"accessories '%s' and '%s' have the same container '%s'",
					list->p[j].name, list->p[i].name, list->p[i].container);
			}
		}
	}
	VEC_FOREACH (&b->c->release.snapshots, i) {
		const struct node *n = node_get(node_get(b->root, "release"), "snapshot");
		const char *name = b->c->release.snapshots.p[i];
		bool found = false;

		VEC_FOREACH (list, j) {
			if (strcmp(list->p[j].name, name) == 0) {
				found = true;
				if (!list->p[j].backup.enabled) {
					mistake(b, n, "backup: {kind: postgres}",
						"accessory '%s' has no 'backup'", name);
				}
			}
		}
		if (!found) {
			mistake(b, n, NULL, "there is no accessory '%s'", name);
		}
	}
}

void build_accessories(struct build *b)
{
	const struct node *n = node_get(b->root, "accessories");

	for (size_t i = 0; usable(n) && n->kind == NODE_MAP && i < n->len; i++) {
		const struct node *map = n->p[i].value;

		if (!n->p[i].key->bad && usable(map) && map->kind == NODE_MAP) {
			build_accessory(b, n->p[i].key, map);
		}
	}
	check_names(b, n);
}
