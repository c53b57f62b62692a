/* SPDX-License-Identifier: MIT */
#include "manifest/import.h"

#include "import.h"
#include "import_cut.h"

#include <stdlib.h>
#include <string.h>

#define MANIFEST_MAX ((size_t)1 << 20)

void import_fini(struct import *i)
{
	free(i->manifest);
	if (i->secrets != NULL) {
		explicit_bzero(i->secrets, strlen(i->secrets));
	}
	free(i->secrets);
	strmap_fini(&i->destinations);
	*i = (struct import){0};
}

/* -- Files, one over the other -- */

static struct node *scalar(struct arena *a, const char *text, const struct node *like)
{
	struct node *n = arena_alloc(a, sizeof(*n));

	*n = (struct node){.kind = NODE_SCALAR, .mark = like->mark, .text = text, .raw = text};
	return n;
}

/* ["A=b", "C"] as {A: b, C: null}. */
static struct node *as_map(struct arena *a, struct node *list)
{
	struct node *map = arena_alloc(a, sizeof(*map));

	*map = (struct node){.kind = NODE_MAP, .mark = list->mark};
	for (size_t i = 0; i < list->len; i++) {
		struct node *n = list->p[i].value;
		if (n->kind != NODE_SCALAR) {
			continue;
		}
		size_t len = strcspn(n->text, "=");
		struct node_item item = {.key = scalar(a, arena_strndup(a, n->text, len), n),
			.value = scalar(a, n->text[len] == '=' ? n->text + len + 1 : "", n)};
		item.value->plain = n->text[len] == '\0';
		arena_push(a, map, item);
	}
	return map;
}

static bool same_item(const struct node *a, const struct node *b)
{
	if (a->kind == NODE_MAP && b->kind == NODE_MAP) {
		return str_eq(get_text(a, "target", ""), get_text(b, "target", ""));
	}
	return a->kind == NODE_SCALAR && b->kind == NODE_SCALAR && strcmp(a->text, b->text) == 0;
}

/* Compose adds these lists to each other; all else is as tree_overlay() does it. */
static void join_lists(
	struct arena *a, const struct node *base, const struct node *over, struct node *merged)
{
	static const char *const keys[] = {"cap_add", "cap_drop", "devices", "dns", "dns_search",
		"env_file", "expose", "extra_hosts", "ports", "security_opt", "tmpfs", "volumes"};

	for (size_t i = 0; i < merged->len; i++) {
		const char *key = merged->p[i].key->text;
		const struct node *lists[] = {node_get(base, key), node_get(over, key)};
		bool joined = false;
		for (size_t k = 0; k < sizeof(keys) / sizeof(*keys); k++) {
			joined = joined || strcmp(keys[k], key) == 0;
		}
		if (!joined || lists[0] == NULL || lists[1] == NULL ||
			lists[0]->kind != NODE_LIST || lists[1]->kind != NODE_LIST) {
			continue;
		}
		struct node *all = arena_alloc(a, sizeof(*all));
		*all = (struct node){.kind = NODE_LIST, .mark = lists[1]->mark};
		for (size_t l = 0; l < 2; l++) {
			for (size_t j = 0; j < lists[l]->len; j++) {
				bool there = false;
				for (size_t k = 0; k < all->len; k++) {
					there = there ||
						same_item(all->p[k].value, lists[l]->p[j].value);
				}
				if (!there) {
					arena_push(a, all, lists[l]->p[j]);
				}
			}
		}
		merged->p[i].value = all;
	}
}

static struct node *services_of(const struct node *root)
{
	struct node *services = node_get(root, "services");

	return services != NULL && services->kind == NODE_MAP ? services : NULL;
}

/* Before it is shared: environments and labels as maps. */
static void normalise(struct arena *a, struct node *root)
{
	struct node *services = services_of(root);

	for (size_t i = 0; services != NULL && i < services->len; i++) {
		struct node *s = services->p[i].value;
		for (size_t j = 0; s->kind == NODE_MAP && j < s->len; j++) {
			const char *key = s->p[j].key->text;
			if ((strcmp(key, "environment") == 0 || strcmp(key, "labels") == 0) &&
				s->p[j].value->kind == NODE_LIST) {
				s->p[j].value = as_map(a, s->p[j].value);
			}
		}
	}
}

static struct node *overlay(struct arena *a, struct node *base, struct node *over)
{
	struct node *merged = tree_overlay(a, base, over);
	struct node *all = services_of(merged);

	for (size_t i = 0; all != NULL && i < all->len; i++) {
		const char *name = all->p[i].key->text;
		const struct node *was = node_get(services_of(base), name);
		const struct node *is = node_get(services_of(over), name);
		if (was != NULL && is != NULL && all->p[i].value->kind == NODE_MAP) {
			join_lists(a, was, is, all->p[i].value);
		}
	}
	return merged;
}

static struct node *read_files(
	struct importing *im, const struct source *files, size_t n, struct diagnostics *diags)
{
	struct node *root = NULL;

	for (size_t i = 0; i < n; i++) {
		struct node *one = tree_parse(&im->arena, &files[i], diags);
		if (one == NULL || diags->errors > 0) {
			return NULL;
		}
		normalise(&im->arena, one);
		root = root == NULL ? one : overlay(&im->arena, root, one);
	}
	return root;
}

/* -- Which service is what -- */

/* An image's name without registry, folder, tag and digest. */
static char *image_word(struct importing *im, const struct node *s)
{
	const char *image = get_text(s, "image", "");
	const char *slash = strrchr(image, '/');
	const char *word = slash != NULL ? slash + 1 : image;

	return arena_strndup(&im->arena, word, strcspn(word, ":@"));
}

static bool is_one_of(const char *word, const char *const *list)
{
	for (; *list != NULL; list++) {
		if (strncmp(word, *list, strlen(*list)) == 0) {
			return true;
		}
	}
	return false;
}

static bool is_proxy(struct importing *im, const struct node *s)
{
	static const char *const names[] = {
		"nginx", "traefik", "caddy", "haproxy", "httpd", "envoy", "certbot", "swag", NULL};

	return node_get(s, "build") == NULL && is_one_of(image_word(im, s), names);
}

static bool is_store(struct importing *im, const struct node *s)
{
	static const char *const names[] = {"postgres", "postgis", "pgvector", "mysql", "mariadb",
		"redis", "valkey", "mongo", "memcached", "rabbitmq", "elasticsearch", "opensearch",
		"minio", "meilisearch", "clickhouse", "influxdb", "nats", "kafka", "zookeeper",
		"prometheus", "grafana", "adminer", "pgadmin", "mailhog", "timescaledb",
		"typesense", "keydb", "dragonfly", "cassandra", "neo4j", "vault", "loki", "jaeger",
		NULL};

	return node_get(s, "build") == NULL && is_one_of(image_word(im, s), names);
}

static bool is_left_out(const struct node *s)
{
	return s->kind != NODE_MAP || node_get(s, "profiles") != NULL;
}

/* What its image is made of. */
static const char *origin(struct importing *im, const struct node *s)
{
	const struct node *build = node_get(s, "build");
	const struct node *context =
		build != NULL && build->kind == NODE_MAP ? node_get(build, "context") : build;

	if (build == NULL) {
		return get_text(s, "image", "");
	}
	return arena_printf(&im->arena, "build %s %s %s",
		context != NULL && context->kind == NODE_SCALAR ? context->text : ".",
		get_text(build, "dockerfile", ""), get_text(build, "target", ""));
}

/* Built or of its image, as the application. */
static bool is_of(struct importing *im, const struct node *s, const struct node *app)
{
	return strcmp(origin(im, s), origin(im, app)) == 0 ||
	       (has(app, "image") && str_eq(get_text(s, "image", ""), get_text(app, "image", "-")));
}

static int worth(struct importing *im, const struct node *s)
{
	return (node_get(s, "build") != NULL ? 4 : 0) + (node_get(s, "ports") != NULL ? 2 : 0) +
	       (import_inside_port(im, s) != 0 ? 1 : 0);
}

static const struct node_item *find_app(struct importing *im)
{
	const struct node_item *best = NULL;

	for (size_t i = 0; i < im->services->len; i++) {
		const struct node_item *item = &im->services->p[i];
		if (is_left_out(item->value) || is_proxy(im, item->value) ||
			is_store(im, item->value) || *origin(im, item->value) == '\0') {
			continue;
		}
		if (best == NULL || worth(im, item->value) > worth(im, best->value)) {
			best = item;
		}
	}
	return best;
}

/* -- Sections -- */

/* The comments that have come together, and the key. */
static void section(struct importing *im, struct str *out, const char *key, json_t *value)
{
	json_t *o = json_object();
	bool empty =
		!json_is_string(value) && json_array_size(value) + json_object_size(value) == 0;

	str_add(out, empty && im->comments.len == 0 ? "" : "\n");
	VEC_FOREACH (&im->comments, i) {
		import_add_comment(out, 0, im->comments.p[i]);
	}
	if (!empty) {
		json_object_set(o, key, value);
	}
	print_yaml(o, true, out);
	json_decref(value);
	json_decref(o);
	strvec_fini(&im->comments);
}

static void write_builder(struct importing *im, const struct node *app, struct str *out)
{
	const struct node *build = node_get(app, "build"), *args = node_get(build, "args");
	json_t *o = json_object(), *values = json_object();
	const char *context = build != NULL && build->kind == NODE_SCALAR
				      ? build->text
				      : get_text(build, "context", ".");
	const char *folder = strncmp(context, "./", 2) == 0 ? context + 2 : context;

	if (build != NULL && *folder != '\0' && strcmp(folder, ".") != 0) {
		import_comment(im, "context is a folder of the git tree");
		put_text(o, "context", folder);
	}
	put_text(o, "dockerfile", get_text(build, "dockerfile", NULL));
	put_text(o, "target", get_text(build, "target", NULL));
	if (args != NULL && args->kind == NODE_LIST) {
		args = as_map(&im->arena, (struct node *)(uintptr_t)args);
	}
	for (size_t i = 0; args != NULL && args->kind == NODE_MAP && i < args->len; i++) {
		const struct node *v = args->p[i].value;
		const char *name = args->p[i].key->text;
		put_text(values, name,
			node_is_null(v) ? arena_printf(&im->arena, "${%s}", name)
					: import_text(im, v));
	}
	put_new(o, "args", values);
	section(im, out, "builder", o);
}

static int replicas(const struct node *s)
{
	const char *text = get_text(node_get(s, "deploy"), "replicas", get_text(s, "scale", "1"));
	long n = 1;

	return str_to_long(text, 1, 1000, &n) == 0 ? (int)n : 1;
}

/* "external: true", or the older "external: {name: x}" */
static bool is_external(const struct node *n)
{
	const struct node *external = node_get(n, "external");

	return external != NULL && (external->kind == NODE_MAP || get_bool(n, "external", false));
}

static const char *external_name(const struct node *n)
{
	return get_text(n, "name", get_text(node_get(n, "external"), "name", NULL));
}

static void write_networks(struct importing *im, struct str *out)
{
	const struct node *all = im->networks;
	json_t *o = json_object();

	for (size_t i = 0; all != NULL && all->kind == NODE_MAP && i < all->len; i++) {
		const struct node *n = all->p[i].value;
		const char *name = all->p[i].key->text;
		json_t *one = json_object();

		if (strcmp(name, "default") == 0) {
			json_decref(one);
			continue;
		}
		if (is_external(n)) {
			import_comment(im, "networks.%s: has to be on the servers already", name);
			json_object_set_new(one, "external", json_true());
			put_text(one, "name", external_name(n));
		} else {
			json_object_set_new(
				one, "internal", json_boolean(get_bool(n, "internal", false)));
		}
		json_object_set_new(o, name, one);
	}
	if (json_object_size(o) > 0) {
		import_comment(im, "beside the one that all services of a server share, 'deploy'");
	}
	section(im, out, "networks", o);
}

static json_t *role(struct importing *im, const char *name, const struct node *s, bool primary,
	const struct node *app)
{
	json_t *o = json_object(), *hosts = json_array();

	json_array_append_new(hosts, json_string(IMPORT_HOST));
	put_new(o, "hosts", hosts);
	if (replicas(s) > 1) {
		put_int(o, "replicas", replicas(s));
	}
	import_container(im, name, s, o);
	import_networks(im, s, o);
	if (primary) {
		/* asked through the proxy, and its env is everybody's */
		json_object_del(o, "healthcheck");
		import_volumes(im, name, s, false, o);
		return o;
	}
	import_env(im, name, s, node_get(app, "environment"), o);
	import_volumes(im, name, s, false, o);
	if (node_get(s, "ports") != NULL) {
		import_comment(
			im, "services.%s.ports: only the first role is behind the proxy", name);
	}
	return o;
}

static void write_servers(struct importing *im, const struct node_item *app, struct str *out)
{
	json_t *o = json_object();

	import_comment(im, "your servers: addresses, names, or ssh aliases");
	if (strcmp(app->key->text, "web") != 0) {
		import_comment(im, "web is services.%s", app->key->text);
	}
	put_new(o, "web", role(im, app->key->text, app->value, true, NULL));
	for (size_t i = 0; i < im->services->len; i++) {
		const struct node_item *s = &im->services->p[i];
		if (s != app && !is_left_out(s->value) && is_of(im, s->value, app->value)) {
			put_new(o, s->key->text,
				role(im, s->key->text, s->value, false, app->value));
		}
	}
	section(im, out, "servers", o);
}

const char *import_label_host(struct importing *im, const struct node *labels)
{
	for (size_t i = 0; labels != NULL && labels->kind == NODE_MAP && i < labels->len; i++) {
		const struct node *v = labels->p[i].value;
		const char *at = v->kind == NODE_SCALAR ? strstr(v->text, "Host(`") : NULL;
		if (at != NULL) {
			struct node host = {
				.text = arena_strndup(&im->arena, at + 6, strcspn(at + 6, "`"))};
			return import_text(im, &host);
		}
	}
	return NULL;
}

static void take_acme(struct importing *im, const char *flag, json_t *out)
{
	static const char *const keys[][2] = {
		{".acme.email=", "email"}, {".acme.caserver=", "server"}};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const char *at = strcasestr(flag, keys[i][0]);
		if (at != NULL) {
			at += strlen(keys[i][0]);
			struct node value = {
				.text = arena_strndup(&im->arena, at, strcspn(at, " \t\n"))};
			put_text(out, keys[i][1], import_text(im, &value));
		}
	}
}

json_t *import_acme(struct importing *im, const struct node *args)
{
	json_t *o = json_object();

	if (args != NULL && args->kind == NODE_MAP) {
		for (size_t i = 0; i < args->len; i++) {
			const struct node *v = args->p[i].value;
			if (v->kind == NODE_SCALAR) {
				take_acme(im,
					arena_printf(
						&im->arena, "%s=%s", args->p[i].key->text, v->text),
					o);
			}
		}
		return o;
	}
	for (size_t i = 0; i < import_count(args); i++) {
		const struct node *n = import_item(args, i);
		if (n->kind == NODE_SCALAR) {
			take_acme(im, n->text, o);
		}
	}
	return o;
}

/* "http://localhost:3000/up" within the test of a healthcheck. */
static const char *health_path(struct importing *im, const struct node *s)
{
	const struct node *test = node_get(node_get(s, "healthcheck"), "test");

	for (size_t i = 0; i < import_count(test); i++) {
		const struct node *n = import_item(test, i);
		const char *url = n->kind == NODE_SCALAR ? strstr(n->text, "http://") : NULL;
		const char *path = url != NULL ? strchr(url + 7, '/') : NULL;
		if (path != NULL) {
			return arena_strndup(&im->arena, path, strcspn(path, " \t'\"|;&?)"));
		}
	}
	return NULL;
}

static void write_proxy(struct importing *im, const struct node_item *app, struct str *out)
{
	json_t *o = json_object(), *health = json_object();
	const char *host = import_label_host(im, node_get(app->value, "labels")),
		   *path = health_path(im, app->value);
	const char *driver = "caddy";
	json_t *acme = json_object();
	int port = import_inside_port(im, app->value);

	for (size_t i = 0; i < im->services->len; i++) {
		const struct node_item *s = &im->services->p[i];
		if (is_left_out(s->value) || !is_proxy(im, s->value)) {
			continue;
		}
		if (str_eq(image_word(im, s->value), "nginx")) {
			driver = "nginx";
		} else if (str_eq(image_word(im, s->value), "traefik")) {
			driver = "traefik";
			json_decref(acme);
			acme = import_acme(im, node_get(s->value, "command"));
		}
		import_comment(im, "services.%s: the tool runs the proxy, and writes what it needs",
			s->key->text);
	}
	put_text(o, "driver", driver);
	put_text(o, "host", host);
	if (port != 0) {
		put_int(o, "app_port", port);
	} else {
		import_comment(im, "app_port: where the application listens in its container");
		put_int(o, "app_port", 3000);
	}
	bool ssl = host != NULL && !str_eq(driver, "nginx");
	json_object_set_new(o, "ssl", json_boolean(ssl));
	put_new(o, "acme", ssl ? json_incref(acme) : json_object());
	json_decref(acme);
	if (host == NULL) {
		import_comment(
			im, "ssl: true makes certificates by themselves, once there is a host");
	}
	if (path == NULL) {
		import_comment(im, "healthcheck: has to answer 200 before a release gets traffic");
	}
	put_text(health, "path", path != NULL ? path : "/");
	put_new(o, "healthcheck", health);
	section(im, out, "proxy", o);
}

static json_t *accessory(struct importing *im, const char *name, const struct node *s)
{
	json_t *o = json_object(), *ports = json_array();
	struct import_port port;

	put_text(o, "image",
		get_text(s, "image", NULL) ? import_text(im, node_get(s, "image")) : NULL);
	put_text(o, "host", IMPORT_HOST);
	for (size_t i = 0; import_port(im, s, i, &port); i++) {
		if (port.outside == NULL) {
			continue;
		}
		if (port.address == NULL) {
			import_comment(im,
				"services.%s.ports: on loopback now; put 0.0.0.0: in front "
				"for all the world",
				name);
		}
		json_array_append_new(
			ports, json_string(arena_printf(&im->arena, "%s%s%s:%s",
				       port.address ? port.address : "", port.address ? ":" : "",
				       port.outside, port.inside)));
	}
	if (json_array_size(ports) == 1) {
		put_text(o, "port", json_string_value(json_array_get(ports, 0)));
		json_decref(ports);
	} else {
		put_new(o, "ports", ports);
	}
	import_env(im, name, s, NULL, o);
	import_volumes(im, name, s, true, o);
	import_container(im, name, s, o);
	import_networks(im, s, o);
	if (replicas(s) > 1) {
		import_comment(im, "services.%s.deploy.replicas: one of it on each host", name);
	}
	return o;
}

static void write_accessories(struct importing *im, const struct node_item *app, struct str *out)
{
	json_t *o = json_object();

	for (size_t i = 0; i < im->services->len; i++) {
		const struct node_item *s = &im->services->p[i];
		const char *name = s->key->text;
		if (is_left_out(s->value)) {
			import_comment(im, "services.%s is left out: empty, or of a profile", name);
		} else if (*origin(im, s->value) == '\0') {
			import_comment(im, "services.%s has neither image nor build", name);
		} else if (s == app || is_of(im, s->value, app->value) || is_proxy(im, s->value)) {
			continue;
		} else if (node_get(s->value, "build") != NULL) {
			import_comment(im,
				"services.%s is built of something else: a manifest of its own (-c "
				"deploy-%s.yml), on the same servers and behind the same proxy",
				name, name);
		} else {
			put_new(o, name, accessory(im, name, s->value));
		}
	}
	section(im, out, "accessories", o);
}

static json_t *env_files(struct importing *im, const struct node *app)
{
	const struct node *n = node_get(app, "env_file");
	json_t *list = json_array();

	for (size_t i = 0; i < import_count(n); i++) {
		const struct node *file = import_item(n, i);
		const char *path = file->kind == NODE_MAP ? get_text(file, "path", NULL)
							  : import_text(im, file);
		if (path != NULL) {
			json_array_append_new(
				list, json_string(strncmp(path, "./", 2) == 0 ? path + 2 : path));
		}
	}
	return list;
}

/* Without tag and digest. */
static const char *bare_image(struct importing *im, const char *image)
{
	const char *slash = strrchr(image, '/');
	size_t folders = slash != NULL ? (size_t)(slash - image) : 0;

	return arena_strndup(&im->arena, image, folders + strcspn(image + folders, ":@$"));
}

static void write_manifest(
	struct importing *im, const struct node_item *app, const char *service, struct str *out)
{
	const char *image = get_text(app->value, "image", NULL);
	bool built = node_get(app->value, "build") != NULL;
	json_t *env = json_object();

	str_addf(out,
		"# What runs where, made of Compose files by 'deploy init --from'. Read it "
		"through:\n"
		"# all keys are in deploy-manifest(5), what it comes to says 'deploy config'.\n"
		"service: %s\n",
		service);
	if (image != NULL && built) {
		import_comment(im, "it was '%s' under Compose", image);
	}
	if (built) {
		import_comment(im,
			"a bare name needs no registry: the image travels over SSH, missing layers "
			"only");
	} else {
		import_comment(im, "it is not built here: deploy push --skip-build");
	}
	section(im, out, "image", json_string(built ? service : bare_image(im, image)));
	write_builder(im, app->value, out);
	write_servers(im, app, out);
	write_proxy(im, app, out);
	section(im, out, "env_file", env_files(im, app->value));
	import_env(im, app->key->text, app->value, NULL, env);
	section(im, out, "env", json_incref(json_object_get(env, "env")));
	json_decref(env);
	write_networks(im, out);
	write_accessories(im, app, out);
	section(im, out, "rollout", import_rollout(im, app->key->text, app->value));
}

int import_compose(const struct source *files, size_t n, const char *service, struct import *out,
	struct diagnostics *diags)
{
	struct importing im = {.diags = diags, .secrets = STR_SECRET_INIT(MANIFEST_MAX)};
	struct str text = STR_INIT(MANIFEST_MAX);
	const struct node *root = read_files(&im, files, n, diags);
	const struct node_item *app = NULL;

	if (root != NULL) {
		im.services = services_of(root);
		im.project = get_text(root, "name", service);
		im.networks = node_get(root, "networks");
		app = im.services != NULL ? find_app(&im) : NULL;
		if (app == NULL) {
			diagnostics_add(diags, DIAGNOSTIC_ERROR, &root->mark,
				"it has to be of Compose's form: services, with one that is built",
				"no service here could be the application");
		}
	}
	if (app != NULL) {
		write_manifest(&im, app, im.project, &text);
		out->manifest = str_take(&text);
		out->secrets = str_take(&im.secrets);
	}
	str_fini(&text);
	str_fini(&im.secrets);
	VEC_FOREACH (&im.named, i) {
		explicit_bzero(im.named.p[i].value, strlen(im.named.p[i].value));
	}
	strmap_fini(&im.named);
	strvec_fini(&im.comments);
	arena_fini(&im.arena);
	return app != NULL ? 0 : -1;
}
