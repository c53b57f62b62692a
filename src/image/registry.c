/* SPDX-License-Identifier: MIT */
#include "image/registry.h"

#include "docker/system.h"
#include "util/digest.h"
#include "util/fs.h"
#include "util/json.h"
#include "util/proc.h"

#include <errno.h>
#include <string.h>

#define HUB                "https://index.docker.io/v1/" /* Docker Hub's key in config.json */
#define MAX_LOGINS         64
#define HELPER_TIMEOUT_MS  10000
#define HELPER_REPLY_BYTES ((size_t)64 << 10)

static int look_up(const struct secret_map *secrets, const char *name,
	const struct config_mark *mark, struct secret **out, struct error *err)
{
	struct secret *s = secrets ? secret_map_get(secrets, name) : NULL;

	if (!s) {
		error_set(err, ERROR_MANIFEST, "%s:%d: registry secret '%s' is not set",
			mark->file ? mark->file : "registry", mark->line, name);
		return error_hint(err, "add a line '%s=...' to .deploy/secrets", name);
	}
	*out = secret_ref(s);
	return 0;
}

int registry_auth_from_config(const struct config_registry *registry,
	const struct secret_map *secrets, struct registry_auth *out, struct error *err)
{
	struct secret *user = NULL;

	memset(out, 0, sizeof(*out));
	if (!registry->enabled || !registry->password_secret) {
		return 0;
	}
	if (look_up(secrets, registry->password_secret, &registry->mark, &out->password, err) !=
		0) {
		return -1;
	}
	out->server = xstrdup(registry->server);
	if (registry->username_secret) {
		if (look_up(secrets, registry->username_secret, &registry->mark, &user, err) != 0) {
			registry_auth_fini(out);
			return -1;
		}
		out->username = xstrdup(secret_reveal(user));
		secret_unref(user);
	} else {
		out->username = xstrdup(registry->username ? registry->username : "");
	}
	return 0;
}

void registry_auth_fini(struct registry_auth *a)
{
	free(a->server);
	free(a->username);
	secret_unref(a->password);
	memset(a, 0, sizeof(*a));
}

bool registry_auth_is_set(const struct registry_auth *a)
{
	return a && a->password;
}

struct docker_auth registry_auth_docker(const struct registry_auth *a)
{
	return (struct docker_auth){
		.server = a->server, .username = a->username, .password = a->password};
}

char *registry_of(const char *image)
{
	size_t len = strcspn(image, "/");

	/* The rule of Docker's reference grammar: a first part with '.' or ':', or localhost. */
	if (image[len] != '/') {
		return NULL;
	}
	if (!memchr(image, '.', len) && !memchr(image, ':', len) &&
		!(len == 9 && memcmp(image, "localhost", 9) == 0)) {
		return NULL;
	}
	return xstrndup(image, len);
}

/* Host part of a key of "auths": scheme and path away; Docker Hub is "". */
static char *bare_name(const char *name)
{
	const char *p = name ? strstr(name, "://") : NULL;
	char *host;

	p = p ? p + 3 : name ? name : "";
	host = xstrndup(p, strcspn(p, "/"));
	if (str_eq(host, "docker.io") || str_eq(host, "index.docker.io") ||
		str_eq(host, "registry-1.docker.io")) {
		*host = '\0';
	}
	return host;
}

bool registry_same(const char *a, const char *b)
{
	CLEANUP_FREE char *x = bare_name(a), *y = bare_name(b);

	return str_eq(x, y);
}

/* "dXNlcjpwYXNz" -> user, pass. */
static void take_auth(const char *encoded, struct registry_auth *out)
{
	size_t len = 0;
	unsigned char *raw = digest_unbase64(encoded, &len);
	const char *colon = raw ? memchr(raw, ':', len) : NULL;

	if (colon) {
		size_t user = (size_t)(colon - (const char *)raw);
		out->username = xstrndup((const char *)raw, user);
		out->password = secret_new(colon + 1, len - user - 1);
	}
	if (raw) {
		explicit_bzero(raw, len);
		free(raw);
	}
}

/* docker-credential-NAME get (docker's credential helper protocol); none is no error. */
static int ask_helper(
	const char *helper, const char *server, struct registry_auth *out, struct error *err)
{
	CLEANUP_FREE char *program = xasprintf("docker-credential-%s", helper);
	const char *argv[] = {program, "get", NULL};
	const char *name = server ? server : HUB;
	struct proc_request req = {.argv = argv,
		.input = name,
		.input_len = strlen(name),
		.timeout_ms = HELPER_TIMEOUT_MS};
	CLEANUP_STR struct str reply = STR_INIT(HELPER_REPLY_BYTES);
	CLEANUP_JSON json_t *json = NULL;
	struct proc_result result = {0};
	struct error ignored = {0};

	if (strchr(helper, '/')) {
		return error_set(err, ERROR_MANIFEST, "docker credential helper '%s'", helper);
	}
	if (proc_run(&req, &reply, NULL, &result, &ignored) != 0 || result.status != 0) {
		return 0;
	}
	json = json_parse(str_c(&reply), reply.len, program, &ignored);
	if (json && !str_eq(json_str_at(json, "Username", ""), "<token>")) {
		const char *password = json_str_at(json, "Secret", NULL);
		out->username = xstrdup(json_str_at(json, "Username", ""));
		out->password = password ? secret_new(password, strlen(password)) : NULL;
	}
	explicit_bzero(reply.p, reply.len);
	return 0;
}

static int search_config(
	const json_t *config, const char *server, struct registry_auth *out, struct error *err)
{
	const char *helper = NULL, *key;
	const json_t *value;
	void *it;

	for (it = json_object_iter(json_object_get(config, "credHelpers")); it && !helper;
		it = json_object_iter_next(json_object_get(config, "credHelpers"), it)) {
		if (registry_same(json_object_iter_key(it), server)) {
			helper = json_string_value(json_object_iter_value(it));
		}
	}
	helper = helper ? helper : json_str_at(config, "credsStore", NULL);
	if (helper && *helper && ask_helper(helper, server, out, err) != 0) {
		return -1;
	}
	for (it = json_object_iter(json_object_get(config, "auths")); it && !out->password;
		it = json_object_iter_next(json_object_get(config, "auths"), it)) {
		key = json_object_iter_key(it);
		value = json_object_iter_value(it);
		if (registry_same(key, server) && json_object_get(value, "auth")) {
			take_auth(json_str_at(value, "auth", ""), out);
		}
	}
	return 0;
}

/* The operator's config.json; NULL when there is none (*err untouched) or it is broken. */
static json_t *load_config(struct error *err)
{
	const char *dir = getenv("DOCKER_CONFIG");
	CLEANUP_FREE char *home = fs_home();
	CLEANUP_FREE char *path = NULL;
	CLEANUP_STR struct str text = STR_INIT(STR_MAX_FILE);

	if (dir && *dir) {
		path = fs_join(dir, "config.json");
	} else {
		path = xasprintf("%s/.docker/config.json", home ? home : "");
	}
	if (!fs_exists(path) || fs_read(path, &text, err) != 0) {
		return NULL;
	}
	return json_parse(str_c(&text), text.len, path, err);
}

int registry_auth_from_docker(const char *server, struct registry_auth *out, struct error *err)
{
	struct error why = {0};
	CLEANUP_JSON json_t *config = load_config(&why);

	memset(out, 0, sizeof(*out));
	if (why.kind != ERROR_NONE) {
		*err = why;
		return -1;
	}
	if (!config) {
		return 0;
	}
	if (search_config(config, server, out, err) != 0) {
		return -1;
	}
	if (out->password) {
		out->server = xstrdup(server);
	} else {
		registry_auth_fini(out);
	}
	return 0;
}

size_t registry_auths_from_docker(struct registry_auth **out, struct error *err)
{
	CLEANUP_JSON json_t *config = load_config(err);
	json_t *lists[] = {
		json_object_get(config, "auths"), json_object_get(config, "credHelpers")};
	size_t n = 0;

	*out = NULL;
	for (size_t l = 0; l < 2; l++) {
		for (void *it = json_object_iter(lists[l]); it && n < MAX_LOGINS;
			it = json_object_iter_next(lists[l], it)) {
			struct registry_auth one = {0};
			const char *server = json_object_iter_key(it);
			if (search_config(config, server, &one, err) != 0 || !one.password) {
				registry_auth_fini(&one);
				continue;
			}
			one.server = registry_same(server, NULL) ? NULL : xstrdup(server);
			*out = xrealloc(*out, (n + 1) * sizeof(**out));
			(*out)[n++] = one;
		}
	}
	return n;
}

int registry_login(struct docker *docker, const struct registry_auth *a, struct error *err)
{
	struct docker_auth auth = registry_auth_docker(a);

	if (docker_auth_check(docker, &auth, err) != 0) {
		error_wrap(err, "registry user '%s'", a->username);
		return error_hint(err, "check registry 'username:' and the password's secret");
	}
	return 0;
}
