/* SPDX-License-Identifier: MIT */
/* servers: */
#include "internal.h"

#include "manifest/syntax.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Text of a host, alone or as the key of its tags. */
static bool build_host(struct build *b, const struct node *n, struct config_host *h)
{
	const struct node *text = n;
	char *user = NULL, *host = NULL;

	if (usable(n) && n->kind == NODE_MAP && n->len == 1) {
		text = n->p[0].key;
		get_list(b, n, text->text, false, &h->tags);
	}
	if (!usable(n) || text->bad || text->kind != NODE_SCALAR) {
		return false;
	}
	syntax_server_split(text->text, &user, &host, &h->port);
	h->mark = mark_at(text);
	h->name = arena_strdup(b->arena, host);
	h->user = arena_strdup(b->arena, user);
	free(host);
	free(user);
	return true;
}

static bool same_name(const struct config_hosts *hosts, const char *name)
{
	VEC_FOREACH (hosts, i) {
		if (strcmp(hosts->p[i].name, name) == 0) {
			return true;
		}
	}
	return false;
}

void build_hosts(struct build *b, const struct node *list, struct config_hosts *out)
{
	for (size_t i = 0; usable(list) && list->kind == NODE_LIST && i < list->len; i++) {
		const struct node *n = list->p[i].value;
		struct config_host h = {0};

		if (!build_host(b, n, &h)) {
			continue;
		}
		if (n->kind == NODE_MAP && same_name(out, h.name)) {
			mistake(b, n->p[0].key, NULL, "host '%s' is in the list already", h.name);
		}
		arena_push(b->arena, out, h);
	}
}

/* `cron:`, each command with its time. */
static void build_crons(struct build *b, const struct node *n, struct config_role *role)
{
	for (size_t i = 0; usable(n) && n->kind == NODE_MAP && i < n->len; i++) {
		struct config_cron cron = {.mark = mark_at(n->p[i].key)};
		struct strvec cmds = {0};

		cron.schedule = syntax_schedule_fields(n->p[i].key->text);
		get_list(b, n, n->p[i].key->text, false, &cmds);
		for (size_t j = 0; !n->p[i].key->bad && j < cmds.len; j++) {
			cron.cmd = cmds.p[j];
			arena_push(b->arena, &role->crons, cron);
		}
	}
}

/* What an unproxied role says of its life. */
static void build_life(struct build *b, const struct node *map, struct config_role *role)
{
	static const char *const not_cron[] = {"cmd", "replicas", "healthcheck", "order", "proxy"};
	const struct node *health = node_get(map, "healthcheck");

	build_crons(b, node_get(map, "cron"), role);
	role->says_order = has(map, "order");
	role->stop_first = str_eq(get_text(map, "order", NULL), "stop-first");
	if (role->crons.len > 0) {
		role->proxied = false;
		role->proxy = NULL;
		for (size_t i = 0; i < sizeof(not_cron) / sizeof(not_cron[0]); i++) {
			if (has(map, not_cron[i])) {
				mistake(b, node_find(map, not_cron[i])->key, NULL,
					"a role with 'cron' has no '%s'", not_cron[i]);
			}
		}
	}
	if (role->proxied) {
		role->health = role->proxy->health;
		if (usable(health)) {
			mistake(b, node_find(map, "healthcheck")->key, "proxy: {healthcheck: ...}",
				"a role with proxy has its health check there");
		}
		if (role->stop_first) {
			mistake(b, node_get(map, "order"), "leave it out, or proxy: false",
				"a role with proxy never stops the old containers first");
		}
		return;
	}
	if (usable(health)) {
		build_health(b, health, 0, &role->health);
	} else {
		role->health = (struct config_health){
			.kind = CONFIG_HEALTH_RUNNING, .interval_ms = 1000, .timeout_ms = 5000};
	}
}

/* What only a shell would understand is given to the program as it is: say so. */
static void check_command(struct build *b, const struct node *cmd)
{
	static const char *const shell[] = {"&&", "||", "|", ";", ">", ">>", "<", "&", "2>&1"};
	struct strvec words = {0};
	const char *found = NULL;

	if (!usable(cmd) || syntax_words(cmd->text, &words) != NULL) {
		strvec_fini(&words);
		return;
	}
	for (size_t i = 0; i < sizeof(shell) / sizeof(shell[0]); i++) {
		if (strvec_has(&words, shell[i])) {
			found = shell[i];
		}
	}
	if (found != NULL) {
		warning(b, cmd, "cmd: sh -c '...'",
			"no shell runs 'cmd': the program gets '%s' as an argument", found);
	}
	strvec_fini(&words);
}

/*
 * A port of the server is one container's: it stops before the next one starts, as Kamal's users
 * do by hand.  Behind the proxy nothing ever stops first.
 */
static void check_publish(struct build *b, const struct node *map, struct config_role *role)
{
	const struct node *options = node_get(map, "options");
	const struct node *publish = node_get(options, "publish");
	struct strvec ports = {0};

	get_list(b, options, "publish", false, &ports);
	VEC_FOREACH (&ports, i) {
		if (strchr(ports.p[i], ':') == NULL) {
			continue;
		}
		if (role->proxied || role->crons.len > 0 || role->replicas > 1 ||
			(has(map, "order") && !role->stop_first)) {
			mistake(b, publish,
				role->proxied
					? "the proxy reaches the container by itself; leave it out"
					: "leave the server's port out: Docker chooses one",
				"port '%s' of the server cannot be held by the old and the new "
				"container",
				ports.p[i]);
		} else if (!role->stop_first) {
			role->stop_first = true;
			warning(b, publish,
				"behind the proxy there is no such gap; or say it: order: "
				"stop-first",
				"port '%s' of the server can be held by one container: the old "
				"one stops before the new one starts",
				ports.p[i]);
		}
	}
}

static void build_volumes(struct build *b, const struct node *map, struct strvec *out)
{
	VEC_FOREACH (&b->c->volumes, i) {
		arena_push(b->arena, out, b->c->volumes.p[i]);
	}
	get_list(b, map, "volumes", false, out);
}

static void build_asset_path(struct build *b, const char *text, struct config_role *role)
{
	const char *colon = text != NULL ? strchr(text, ':') : NULL;

	if (text != NULL) {
		role->asset_path = arena_strndup(
			b->arena, text, colon != NULL ? (size_t)(colon - text) : strlen(text));
		role->asset_mount = colon != NULL ? colon + 1 : NULL;
	}
}

static void build_role_proxy(struct build *b, const struct node *own, struct config_role *role)
{
	struct node *root = node_get(b->root, "proxy");
	bool off = usable(root) && root->kind == NODE_SCALAR && syntax_bool(root->text) == 0;

	if (usable(own)) {
		off = own->kind == NODE_SCALAR && syntax_bool(own->text) == 0;
	} else if (!str_eq(role->name, b->primary)) {
		off = true; /* as Kamal: only the primary role, unless it is said */
	}
	role->proxied = !off;
	if (off) {
		return;
	}
	struct config_proxy *proxy = arena_alloc(b->arena, sizeof(*proxy));
	bool maps = usable(own) && own->kind == NODE_MAP;
	const struct node *n = root;

	if (maps && usable(root) && root->kind == NODE_MAP) {
		struct node *over = node_get(node_get(b->root, "servers"), role->name);

		n = tree_overlay(b->arena, root, node_get(over, "proxy"));
	} else if (maps) {
		n = own;
	}
	build_proxy(b, n, proxy);
	role->proxy = proxy;
}

static void build_role(
	struct build *b, const struct node *key, const struct node *n, struct config_role *role)
{
	struct config *c = b->c;
	const struct node *map = n->kind == NODE_MAP ? n : NULL;

	role->mark = mark_at(key != NULL ? key : n);
	build_hosts(b, map != NULL ? node_get(map, "hosts") : n, &role->hosts);
	role->cmd = get_text(map, "cmd", NULL);
	check_command(b, node_get(map, "cmd"));
	role->replicas = get_int(map, "replicas", 1);
	build_env_files(b, b->root, &role->env);
	build_env(b, node_get(b->root, "env"), &role->env);
	build_env_files(b, map, &role->env);
	build_env(b, node_get(map, "env"), &role->env);
	build_options(b, node_get(map, "options"), &role->options);
	get_map(b, b->root, "labels", &role->labels);
	get_map(b, map, "labels", &role->labels);
	build_volumes(b, map, &role->volumes);
	build_logging(b, node_get(b->root, "logging"), &role->logging);
	build_logging(b, node_get(map, "logging"), &role->logging);
	build_asset_path(b, get_text(map, "asset_path", c->asset_path), role);
	if (has(map, "asset_path")) {
		warning(b, node_find(map, "asset_path")->key, NULL,
			"'asset_path' has no effect yet: a page that was loaded before the switch "
			"does not find its old assets after it");
	}
	build_role_proxy(b, node_get(map, "proxy"), role);
	build_attached(b, map, &role->networks);
	if (role->proxied) {
		build_attached_to_proxy(b, &role->networks);
	}
	build_life(b, map, role);
	check_publish(b, map, role);
	role->stop_timeout_ms = get_ms(map, "stop_timeout",
		get_ms(b->root, "stop_timeout", role->proxied ? 10000 : c->drain_timeout_ms));
	if (role->hosts.len == 0 && !c->allow_empty_roles && (map == NULL || !map->bad) &&
		b->diags->errors == 0) {
		mistake(b, key != NULL ? key : n, "or allow_empty_roles: true",
			"role '%s' has no hosts", role->name);
	}
}

/* The role that `primary_role` names, else "web", else the first. */
static struct config_role *find_primary(struct build *b)
{
	const struct node *wanted = node_get(b->root, "primary_role");
	const char *name = usable(wanted) ? wanted->text : "web";
	struct config_roles *roles = &b->c->roles;

	VEC_FOREACH (roles, i) {
		if (strcmp(roles->p[i].name, name) == 0) {
			return &roles->p[i];
		}
	}
	if (usable(wanted)) {
		const char *near =
			diagnostics_nearest(name, roles->p, roles->len, sizeof(roles->p[0]));
		char hint[128];

		snprintf(hint, sizeof(hint), "did you mean '%s'?", near != NULL ? near : "");
		mistake(b, wanted, near != NULL ? hint : NULL, "there is no role '%s'", name);
	}
	return roles->len > 0 ? &roles->p[0] : NULL;
}

static bool has_host(const struct config_role *role, const char *name)
{
	VEC_FOREACH (&role->hosts, i) {
		if (strcmp(role->hosts.p[i].name, name) == 0) {
			return true;
		}
	}
	return false;
}

/* A service has one set of routes on a host: two roles would send each other's traffic. */
static void check_one_proxied(struct build *b, const struct node *servers)
{
	struct config_roles *roles = &b->c->roles;

	VEC_FOREACH (roles, i) {
		const struct node_item *item = node_find(servers, roles->p[i].name);

		for (size_t j = 0; roles->p[i].proxied && item != NULL && j < i; j++) {
			VEC_FOREACH (&roles->p[i].hosts, k) {
				const char *host = roles->p[i].hosts.p[k].name;

				if (roles->p[j].proxied && has_host(&roles->p[j], host)) {
					mistake(b, item->key,
						"put them on different hosts, or give one 'proxy: "
						"false'",
						"role '%s': on host '%s' role '%s' has the proxy's "
						"traffic already",
						roles->p[i].name, host, roles->p[j].name);
					break;
				}
			}
		}
	}
}

/* Known before the roles are built: it alone has the proxy by itself. */
static const char *primary_name(struct build *b, const struct node *servers)
{
	const char *named = get_text(b->root, "primary_role", NULL);

	if (servers->kind != NODE_MAP || servers->len == 0) {
		return named != NULL ? named : "web";
	}
	if (named != NULL && node_get(servers, named) != NULL) {
		return named;
	}
	return node_get(servers, "web") != NULL ? "web" : servers->p[0].key->text;
}

void build_servers(struct build *b)
{
	const struct node *servers = node_get(b->root, "servers");
	struct config *c = b->c;

	if (!usable(servers) || servers->kind == NODE_SCALAR) {
		return;
	}
	b->primary = primary_name(b, servers);
	if (servers->kind == NODE_LIST) {
		struct config_role role = {.name = b->primary};

		build_role(b, NULL, servers, &role);
		arena_push(b->arena, &c->roles, role);
	}
	for (size_t i = 0; servers->kind == NODE_MAP && i < servers->len; i++) {
		const struct node *n = servers->p[i].value;
		struct config_role role = {.name = servers->p[i].key->text};

		if (!servers->p[i].key->bad && n->kind != NODE_SCALAR) {
			build_role(b, servers->p[i].key, n, &role);
			arena_push(b->arena, &c->roles, role);
		}
	}
	struct config_role *primary = find_primary(b);

	c->primary_role = primary;
	if (primary != NULL && primary->hosts.len == 0 && c->allow_empty_roles) {
		mistake(b, servers, NULL, "the primary role '%s' needs a host", primary->name);
	}
	if (primary == NULL && servers->len == 0) {
		mistake(b, servers, "servers: [app1.example.com]", "'servers' names no host");
	}
	check_one_proxied(b, servers);
	if (primary != NULL && primary->proxy != NULL) {
		c->proxy = *primary->proxy;
	}
}
