/* SPDX-License-Identifier: MIT */
/* Everything but servers and proxy. */
#include "internal.h"

#include "manifest/syntax.h"
#include "util/fs.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Manifests of Kamal up to this version are understood. */
#define KAMAL_VERSION "2.12.0"

static bool is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Lexically: no "." and empty parts, ".." taken back. `path` is absolute. */
static char *normal(struct build *b, const char *path)
{
	char *out = arena_alloc(b->arena, strlen(path) + 2);
	size_t n = 0;

	while (*path != '\0') {
		size_t len = strcspn(path, "/");

		if (len == 2 && memcmp(path, "..", 2) == 0) {
			while (n > 0 && out[--n] != '/') {
			}
		} else if (len > 0 && !(len == 1 && *path == '.')) {
			out[n++] = '/';
			memcpy(out + n, path, len);
			n += len;
		}
		path += len + (path[len] == '/');
	}
	if (n == 0) {
		out[n++] = '/';
	}
	out[n] = '\0';
	return out;
}

static bool inside(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	return strncmp(path, folder, n) == 0 &&
	       (path[n] == '\0' || path[n] == '/' || strcmp(folder, "/") == 0);
}

const char *absolute_path(struct build *b, const char *path)
{
	if (strncmp(path, "~/", 2) == 0) {
		char *home = fs_home();
		const char *full =
			home != NULL ? arena_printf(b->arena, "%s/%s", home, path + 2) : path;

		free(home);
		return full;
	}
	return path[0] == '/' ? path : normal(b, arena_printf(b->arena, "%s/%s", b->c->root, path));
}

/* A folder of the work tree; symbolic links may not lead out of it either. */
const char *build_inside(struct build *b, const struct node *n)
{
	const char *limit = b->c->git_root != NULL ? b->c->git_root : b->c->root;
	const char *path = absolute_path(b, n->text);

	if (!inside(path, limit)) {
		mistake(b, n, NULL, "'%s' leaves the repository", n->raw);
	}
	return path;
}

static const char *build_folder(struct build *b, const struct node *n)
{
	const char *limit = b->c->git_root != NULL ? b->c->git_root : b->c->root;
	const char *path = absolute_path(b, n->text);
	char real[PATH_MAX], real_limit[PATH_MAX];

	if (!inside(path, limit)) {
		mistake(b, n, NULL, "'%s' leaves the repository", n->raw);
	} else if (!is_folder(path)) {
		mistake(b, n, NULL, "there is no folder '%s'", n->raw);
	} else if (realpath(path, real) != NULL && realpath(limit, real_limit) != NULL &&
		   !inside(real, real_limit)) {
		mistake(b, n, NULL, "'%s' leads out of the repository", n->raw);
	}
	return path;
}

static void build_context(struct build *b, const struct node *n)
{
	struct config *c = b->c;

	c->builder.context_kind = usable(n) ? CONFIG_CONTEXT_DIR : CONFIG_CONTEXT_GIT;
	if (usable(n)) {
		c->builder.context = build_folder(b, n);
	} else if (c->git_root != NULL && inside(c->root, c->git_root)) {
		const char *sub = c->root + strlen(c->git_root);

		c->builder.context = arena_strdup(b->arena, *sub == '/' ? sub + 1 : sub);
	} else {
		c->builder.context = "";
	}
}

static void check_driver(struct build *b, const struct node *builder)
{
	const struct node *driver = node_get(builder, "driver");
	const char *text = get_text(builder, "driver", "docker");

	if (strncmp(text, "cloud", 5) == 0) {
		mistake(b, driver, "builder.remote: ssh://user@host builds on a machine of yours",
			"Docker Build Cloud is not supported");
	} else if (strcmp(text, "docker") != 0 && strcmp(text, "docker-container") != 0) {
		mistake(b, driver, "leave it out: the daemon builds, with BuildKit where it has it",
			"builder driver '%s' is not supported", text);
	}
}

void build_builder(struct build *b)
{
	static const char *const attestations[] = {"provenance", "sbom"};
	const struct node *n = node_get(b->root, "builder");
	struct config_builder *out = &b->c->builder;

	build_context(b, node_get(n, "context"));
	out->dockerfile = get_text(n, "dockerfile", "Dockerfile");
	out->target = get_text(n, "target", NULL);
	get_map(b, n, "args", &out->args);
	get_list(b, n, "secrets", false, &out->secrets);
	get_list(b, n, "tags", false, &out->tags);
	get_list(b, n, "arch", false, &out->arch);
	out->remote = get_text(n, "remote", NULL);
	out->local = get_bool(n, "local", true);
	out->no_cache = get_bool(n, "no_cache", false);
	out->pull = get_bool(n, "pull", false);
	out->mark = mark_at(n);
	check_driver(b, n);
	if (!out->local && out->remote == NULL) {
		mistake(b, node_get(n, "local"), "builder.remote: ssh://user@host",
			"without 'remote' nothing could build");
	}
	for (size_t i = 0; i < 2; i++) {
		const struct node *a = node_get(n, attestations[i]);

		if (usable(a) && syntax_bool(a->text) != 0) {
			mistake(b, a, "false, or leave it out", "'%s' is not supported",
				attestations[i]);
		}
	}
	if (has(n, "cache")) {
		warning(b, node_find(n, "cache")->key, "leave it out",
			"'builder.cache' has no effect: the builder keeps its own cache");
	}
	if (has(n, "local") && out->local && out->remote != NULL) {
		warning(b, node_find(n, "local")->key, "leave it out",
			"'builder.local' has no effect: with 'remote' all is built there");
	}
}

/* A login as Kamal writes it: a text, or a list with the name of one secret. */
static void build_login(struct build *b, const struct node *registry, const char *key,
	const char **clear, const char **secret, struct config_mark *mark)
{
	const struct node *n = node_get(registry, key);

	if (n == NULL || node_is_null(n)) {
		mistake(b, registry,
			clear != NULL ? "username: NAME, or [SECRET]"
				      : "password: [REGISTRY_PASSWORD]",
			"'registry.%s' is missing", key);
		return;
	}
	*mark = mark_at(n);
	if (n->bad) {
		return;
	}
	if (n->kind == NODE_LIST) {
		if (!usable(n->p[0].value)) {
			return;
		}
		*secret = n->p[0].value->text;
		*mark = mark_at(n->p[0].value);
	} else if (clear != NULL) {
		*clear = n->text;
	} else {
		mistake(b, node_find(registry, key)->key,
			"name a secret: password: [REGISTRY_PASSWORD], and put it into "
			".deploy/secrets",
			"a password does not belong in the manifest");
	}
}

static void image_name(struct build *b, const struct node *image)
{
	struct config *c = b->c;
	const char *server = c->registry.enabled ? c->registry.server : NULL;
	const char *name = usable(image) ? image->text : NULL;

	if (name == NULL && c->registry.enabled && (image == NULL || !image->bad)) {
		mistake(b, node_get(b->root, "registry"), "image: user/name",
			"with a registry, 'image' has to be named");
	}
	if (name == NULL) {
		char *lower = arena_strdup(b->arena, c->service != NULL ? c->service : "");

		for (char *p = lower; *p != '\0'; p++) {
			*p = *p >= 'A' && *p <= 'Z' ? (char)(*p | 0x20) : *p;
		}
		name = lower;
		if (*name != '\0' && syntax_repository(name) != NULL) {
			mistake(b, node_get(b->root, "service"), "image: name",
				"no image can be named '%s': name it with 'image'", name);
		}
	}
	c->image = name;
	if (server != NULL && !(str_starts(name, server) && name[strlen(server)] == '/')) {
		c->image = arena_printf(b->arena, "%s/%s", server, name);
		if (syntax_repository(c->image) != NULL) {
			mistake(b, image, "leave the registry out of 'image'",
				"'%s' is no image name with '%s' in front", name, server);
		}
	}
}

/* Whose login: the manifest's, or an accessory's own. */
void build_registry(struct build *b, const struct node *n, struct config_registry *out)
{
	const char *server = get_text(n, "server", NULL);

	out->mark = mark_at(n);
	if (!usable(n)) {
		return;
	}
	out->enabled = true;
	out->server = server;
	if (server != NULL &&
		(strcmp(server, "docker.io") == 0 || strcmp(server, "index.docker.io") == 0 ||
			strcmp(server, "hub.docker.com") == 0)) {
		out->server = NULL;
	}
	build_login(b, n, "username", &out->username, &out->username_secret, &out->username_mark);
	build_login(b, n, "password", NULL, &out->password_secret, &out->password_mark);
}

static void build_own_registry(struct build *b)
{
	const struct node *n = node_get(b->root, "registry");
	const char *server = get_text(n, "server", NULL);

	if (usable(n) && server != NULL && str_starts(server, "localhost") &&
		(server[9] == '\0' || server[9] == ':')) {
		/* Kamal starts one there and tunnels it: here the image simply travels over SSH */
		b->c->registry.mark = mark_at(n);
		b->c->registry.local = true;
	} else {
		build_registry(b, n, &b->c->registry);
	}
	image_name(b, node_get(b->root, "image"));
}

/* Kamal's, for its SSH library. */
static void warn_starts(struct build *b, const struct node *ssh, const struct node *sshkit)
{
	static const struct {
		const char *key, *why;
	} keys[] = {
		{"max_concurrent_starts", "at most 8 handshakes run at once to one address"},
		{"pool_idle_timeout", "connections are kept for the whole command"},
		{"dns_retries", "names are looked up by the system's resolver, as it is set up"},
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (has(sshkit, keys[i].key)) {
			warning(b, node_find(sshkit, keys[i].key)->key, "leave it out",
				"'sshkit.%s' has no effect: %s", keys[i].key, keys[i].why);
		}
	}
	if (has(ssh, keys[0].key)) {
		warning(b, node_find(ssh, keys[0].key)->key, "leave it out",
			"'ssh.%s' has no effect: %s", keys[0].key, keys[0].why);
	}
}

void build_ssh(struct build *b)
{
	const struct node *n = node_get(b->root, "ssh");
	const struct node *sshkit = node_get(b->root, "sshkit");
	struct config_ssh *out = &b->c->ssh;
	struct strvec keys = {0}, files = {0};
	const char *config = get_text(n, "config", NULL);

	out->mark = mark_at(n);
	out->user = get_text(n, "user", NULL);
	out->port = get_int(n, "port", 0);
	out->proxy = get_text(n, "proxy", NULL);
	get_list(b, n, "keys", false, &keys);
	VEC_FOREACH (&keys, i) {
		arena_push(
			b->arena, &out->keys, arena_strdup(b->arena, absolute_path(b, keys.p[i])));
	}
	get_list(b, n, "key_data", false, &out->key_data_secrets);
	out->keys_only = get_bool(n, "keys_only", false);
	out->use_config = config == NULL || syntax_bool(config) != 0;
	if (config == NULL || syntax_bool(config) < 0) {
		get_list(b, n, "config", false, &files);
	}
	VEC_FOREACH (&files, i) {
		arena_push(b->arena, &out->config_files,
			arena_strdup(b->arena, absolute_path(b, files.p[i])));
	}
	if (has(n, "known_hosts")) {
		out->known_hosts = absolute_path(b, get_text(n, "known_hosts", ""));
	}
	out->host_key_check = str_eq(get_text(n, "host_key_check", NULL), "accept-new")
				      ? CONFIG_HOST_KEY_ACCEPT_NEW
				      : CONFIG_HOST_KEY_STRICT;
	out->connect_timeout_ms = get_ms(n, "connect_timeout", 0);
	out->keepalive_ms = get_ms(n, "keepalive", 0);
	out->max_parallel = get_int(n, "max_parallel", 0);
	warn_starts(b, n, sshkit);
	out->max_concurrent_starts =
		get_int(n, "max_concurrent_starts", get_int(sshkit, "max_concurrent_starts", 0));
	out->dns_retries = get_int(sshkit, "dns_retries", 3);
	out->log_level = get_text(n, "log_level", NULL);
	if (get_bool(n, "forward_agent", false)) {
		warning(b, node_find(n, "forward_agent")->key, "leave it out",
			"the SSH agent is never forwarded");
	}
}

/* A version of dotted numbers against another: <0, 0, >0. */
static int compare_versions(const char *a, const char *b)
{
	while (*a != '\0' || *b != '\0') {
		char *end_a, *end_b;
		unsigned long x = strtoul(a, &end_a, 10), y = strtoul(b, &end_b, 10);

		if (x != y) {
			return x < y ? -1 : 1;
		}
		a = end_a + (*end_a == '.');
		b = end_b + (*end_b == '.');
	}
	return 0;
}

/* "3", or "25%" of `all`; at least one. */
static int at_a_time(const char *limit, size_t all)
{
	int n = (int)strtol(limit, NULL, 10);

	if (str_ends(limit, "%")) {
		n = (int)all * n / 100;
	}
	return n > 0 ? n : 1;
}

static size_t count_hosts(const struct build *b)
{
	struct config_host_ptrs hosts = {0};

	config_all_hosts(b->c, &hosts);
	size_t n = hosts.len;
	vec_fini(&hosts);
	return n;
}

/* The roles of a host change together, so that the one with most replicas counts. */
static size_t count_replicas(const struct build *b)
{
	struct config_host_ptrs hosts = {0};
	size_t n = 0;

	config_all_hosts(b->c, &hosts);
	VEC_FOREACH (&hosts, i) {
		int most = 1;

		VEC_FOREACH (&b->c->roles, j) {
			const struct config_role *role = &b->c->roles.p[j];

			if (role->replicas > most && config_role_is_on(role, hosts.p[i]->name)) {
				most = role->replicas;
			}
		}
		n += (size_t)most;
	}
	vec_fini(&hosts);
	return n;
}

static void build_boot(struct build *b)
{
	const struct node *n = node_get(b->root, "boot");
	const char *limit = get_text(n, "limit", NULL);
	struct config_boot *out = &b->c->boot;

	out->wait_ms = get_ms(n, "wait", 0);
	out->parallel_roles = get_bool(n, "parallel_roles", false);
	if (has(n, "parallel_roles")) {
		warning(b, node_find(n, "parallel_roles")->key, "leave it out",
			"'boot.parallel_roles' has no effect: there is one role, on all its "
			"servers at once");
	}
	if (limit != NULL) {
		out->limit = at_a_time(limit, count_hosts(b));
	}
}

static void check_rollout(struct build *b, const struct node *n)
{
	static const char *const keys[] = {
		"parallelism", "delay", "order", "monitor", "failure_action", "max_failure_ratio"};
	/* A strategy that is wrong says enough. */
	const char *strategy = get_text(n, "strategy", "all-at-once");
	bool canary = b->c->rollout.canary;

	if (b->c->rollout.rolling && b->c->boot.limit > 0) {
		mistake(b, node_find(node_get(b->root, "boot"), "limit")->key,
			"rollout: {parallelism: ..., delay: ...}",
			"'boot.limit' is for all-at-once: strategy '%s' has batches of its own",
			strategy);
	}
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (str_eq(strategy, "all-at-once") && has(n, keys[i])) {
			mistake(b, node_find(n, keys[i])->key, "strategy: rolling, or canary",
				"'rollout.%s' is for a release that comes in batches", keys[i]);
		}
	}
	if (canary && b->c->rollout.failure_action == CONFIG_FAILURE_CONTINUE) {
		mistake(b, node_get(n, "failure_action"), "rollback or pause",
			"a canary that fails ends the push: 'continue' is for the rolling "
			"strategy");
	}
	if (canary && b->c->rollout.max_failure_ratio > 0) {
		mistake(b, node_find(n, "max_failure_ratio")->key, "leave it out",
			"a canary that fails ends the push: 'rollout.max_failure_ratio' is for the "
			"rolling strategy");
	}
}

static void build_rollout(struct build *b)
{
	const struct node *n = node_get(b->root, "rollout");
	const char *action = get_text(n, "failure_action", NULL);
	struct config_rollout *out = &b->c->rollout;

	out->canary = str_eq(get_text(n, "strategy", NULL), "canary");
	out->rolling = out->canary || str_eq(get_text(n, "strategy", NULL), "rolling");
	out->parallelism = at_a_time(get_text(n, "parallelism", "1"), count_replicas(b));
	out->stop_first = out->rolling && str_eq(get_text(n, "order", NULL), "stop-first");
	out->delay_ms = get_ms(n, "delay", 0);
	out->monitor_ms = get_ms(n, "monitor", out->canary ? 30000 : 5000);
	out->max_failure_ratio = strtod(get_text(n, "max_failure_ratio", "0"), NULL);
	out->failure_action = str_eq(action, "pause")      ? CONFIG_FAILURE_PAUSE
			      : str_eq(action, "continue") ? CONFIG_FAILURE_CONTINUE
							   : CONFIG_FAILURE_ROLLBACK;
	for (size_t i = 0; out->stop_first && i < b->c->roles.len; i++) {
		struct config_role *role = &b->c->roles.p[i];

		if (role->proxied) {
			warning(b, node_get(n, "order"), NULL,
				"role '%s' is behind the proxy: its new containers start beside "
				"the old ones all the same",
				role->name);
		} else if (role->crons.len == 0 && !role->says_order) {
			role->stop_first = true;
		}
	}
	check_rollout(b, n);
}

static void build_hooks_output(struct build *b)
{
	static const char *const hooks[] = {"pre-connect", "pre-build", "pre-deploy",
		"pre-app-boot", "post-app-boot", "post-deploy", "pre-proxy-reboot",
		"post-proxy-reboot", "docker-setup", "deploy-failed", "post-rollback"};
	const size_t n_hooks = sizeof(hooks) / sizeof(hooks[0]);
	const struct node *n = node_get(b->root, "hooks_output");
	const char *all = get_text(b->root, "hooks_output", NULL);

	if (all != NULL) {
		b->c->hooks_output = all + (*all == ':');
	}
	for (size_t i = 0; usable(n) && n->kind == NODE_MAP && i < n->len; i++) {
		const char *name = n->p[i].key->text;
		const char *level = usable(n->p[i].value) ? n->p[i].value->text : NULL;
		bool known = false;

		for (size_t j = 0; j < n_hooks; j++) {
			known = known || strcmp(hooks[j], name) == 0;
		}
		if (!known && !n->p[i].key->bad) {
			const char *near =
				diagnostics_nearest(name, hooks, n_hooks, sizeof(hooks[0]));
			char hint[64];

			snprintf(
				hint, sizeof(hint), "did you mean '%s'?", near != NULL ? near : "");
			mistake(b, n->p[i].key, near != NULL ? hint : NULL,
				"there is no hook '%.100s'", name);
		} else if (level != NULL) {
			arena_map_set(
				b->arena, &b->c->hooks_output_of, name, level + (*level == ':'));
		}
	}
}

static const char *hooks_folder(struct build *b)
{
	const struct node *n = node_get(b->root, "hooks_path");
	const char *path;

	if (usable(n)) {
		path = absolute_path(b, n->text);
		if (!is_folder(path)) {
			mistake(b, n, NULL, "there is no folder '%s'", n->raw);
		}
		return path;
	}
	path = arena_printf(b->arena, "%s/.deploy", b->c->root);
	path = is_folder(path) ? arena_printf(b->arena, "%s/hooks", path)
			       : arena_printf(b->arena, "%s/.kamal/hooks", b->c->root);
	return is_folder(path) ? path : NULL;
}

/*
 * As Kamal: <path>-common, then <path>, or with a destination <path>.<destination> instead; before
 * each of them the sealed one, ".enc".
 */
static void build_secrets_files(struct build *b)
{
	struct config *c = b->c;
	const char *base = get_text(b->root, "secrets_path", NULL);
	const char *own = arena_printf(b->arena, "%s/.deploy", c->root);
	const char *kamal = arena_printf(b->arena, "%s/.kamal", c->root);

	if (base == NULL) {
		base = !is_folder(own) && is_folder(kamal) ? ".kamal/secrets" : ".deploy/secrets";
	}
	base = absolute_path(b, base);
	c->secrets_common = arena_printf(b->arena, "%s-common", base);
	c->secrets_wanted = c->destination != NULL
				    ? arena_printf(b->arena, "%s.%s", base, c->destination)
				    : base;
	char *files[] = {
		arena_printf(b->arena, "%s.enc", c->secrets_common),
		arena_strdup(b->arena, c->secrets_common),
		arena_printf(b->arena, "%s.enc", c->secrets_wanted),
		arena_strdup(b->arena, c->secrets_wanted),
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		if (fs_exists(files[i])) {
			arena_push(b->arena, &c->secrets_files, files[i]);
		}
	}
}

static void check_minimum(struct build *b)
{
	const struct node *n = node_get(b->root, "minimum_version");

	if (usable(n) && compare_versions(n->text, KAMAL_VERSION) > 0) {
		mistake(b, n, NULL,
			"the manifest asks for Kamal %s; manifests up to Kamal %s are understood",
			n->raw, KAMAL_VERSION);
	}
	if (has(b->root, "run_directory")) {
		warning(b, node_find(b->root, "run_directory")->key, "leave it out",
			"'run_directory' has no effect: what is kept on a server is in ~/.deploy");
	}
}

void build_root(struct build *b)
{
	const struct node *r = b->root;
	const struct node *release = node_get(r, "release");
	const struct node *pages = node_get(r, "error_pages_path");
	struct config *c = b->c;

	c->service = get_text(r, "service", NULL);
	build_networks(b);
	c->retain_containers = get_int(r, "retain_containers", 5);
	c->readiness_delay_ms = get_ms(r, "readiness_delay", 7000);
	c->deploy_timeout_ms = get_ms(r, "deploy_timeout", 30000);
	c->drain_timeout_ms = get_ms(r, "drain_timeout", 30000);
	c->allow_empty_roles = get_bool(r, "allow_empty_roles", false);
	c->require_destination = get_bool(r, "require_destination", false);
	c->minimum_version = get_text(r, "minimum_version", NULL);
	c->asset_path = get_text(r, "asset_path", NULL);
	if (c->asset_path != NULL) {
		warning(b, node_find(r, "asset_path")->key, NULL,
			"'asset_path' has no effect yet: a page that was loaded before the switch "
			"does not find its old assets after it");
	}
	c->error_pages_path = usable(pages) ? build_folder(b, pages) : NULL;
	c->release.command = get_text(release, "command", NULL);
	c->release.timeout_ms = get_ms(release, "timeout", 600000);
	c->release.rollback_command = get_text(release, "rollback_command", NULL);
	if (c->release.rollback_command != NULL && c->release.command == NULL) {
		mistake(b, node_get(release, "rollback_command"), "release: {command: ...}",
			"'rollback_command' takes back what 'command' did, and there is none");
	}
	get_list(b, release, "snapshot", false, &c->release.snapshots);
	get_map(b, r, "labels", &c->labels);
	get_map(b, r, "aliases", &c->aliases);
	get_list(b, r, "volumes", false, &c->volumes);
	build_env_files(b, r, &c->env);
	build_env(b, node_get(r, "env"), &c->env);
	build_logging(b, node_get(r, "logging"), &c->logging);
	check_minimum(b);
	build_own_registry(b);
	build_builder(b);
	build_ssh(b);
	build_env_tags(b);
	build_servers(b);
	build_accessories(b);
	build_secret_files(b);
	build_notify(b);
	build_boot(b);
	build_rollout(b);
	build_hooks_output(b);
	c->hooks_path = hooks_folder(b);
	build_secrets_files(b);
	if (c->require_destination && c->destination == NULL) {
		mistake(b, node_get(r, "require_destination"), "-d NAME, for deploy.NAME.yml",
			"a destination has to be named");
	}
}
