/* SPDX-License-Identifier: MIT */
/* Where files are looked for, digests, secrets. */
#include "manifest/config.h"
#include "manifest/digest.h"
#include "util/fs.h"
#include "util/proc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MANIFEST "service: app\nservers: [a]\n"

static char dir[64];

static void put(const char *name, const char *text)
{
	char *path = fs_join(dir, name);
	struct error err = {0};
	char *slash = strrchr(path, '/');

	*slash = '\0';
	assert_int_equal(fs_mkdirs(path, 0755, &err), 0);
	*slash = '/';
	assert_int_equal(fs_write_atomic(path, text, strlen(text), 0644, &err), 0);
	free(path);
}

static int set_up(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/manifest-XXXXXX");
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static void remove_all(const char *path)
{
	const char *argv[] = {"rm", "-rf", "--", path, NULL};
	struct proc_request req = {.argv = argv, .timeout_ms = 10000};
	struct proc_result result = {0};
	struct error err = {0};

	assert_int_equal(proc_run(&req, NULL, NULL, &result, &err), 0);
}

static int tear_down(void **state)
{
	remove_all(dir);
	return 0;
}

static struct config *load(const char *sub, const char *file, const char *dest, struct error *err)
{
	char *where = sub[0] != '\0' ? fs_join(dir, sub) : xstrdup(dir);
	struct config_request req = {.file = file, .dir = where, .destination = dest};
	struct diagnostics diags = {0};
	struct config *c = config_load(&req, &diags, err);

	diagnostics_fini(&diags);
	free(where);
	return c;
}

static void test_found_upwards(void **state)
{
	struct error err = {0};
	struct config *c;

	put("repo/.git/HEAD", "");
	put("repo/config/deploy.yml", MANIFEST);
	put("repo/a/b/x", "");
	c = load("repo/a/b", NULL, NULL, &err);
	assert_non_null(c);
	assert_true(str_ends(c->root, "/repo"));
	assert_string_equal(c->root, c->git_root);
	assert_string_equal(c->builder.context, "");
	config_free(c);
	put("repo/a/deploy.yml", MANIFEST);
	c = load("repo/a/b", NULL, NULL, &err);
	assert_non_null(c);
	assert_true(str_ends(c->root, "/repo/a"));
	assert_true(str_ends(c->git_root, "/repo"));
	assert_string_equal(c->builder.context, "a");
	config_free(c);
}

static void test_not_found(void **state)
{
	struct error err = {0};

	put("deploy.yml", MANIFEST); /* above the repository: not ours */
	put("repo/.git/HEAD", "");
	assert_null(load("repo", NULL, NULL, &err));
	assert_int_equal(err.kind, ERROR_MANIFEST);
	assert_true(err.hint[0] != '\0');
	err = (struct error){0};
	assert_null(load("", "nowhere.yml", NULL, &err));
	assert_int_equal(err.kind, ERROR_MANIFEST);
	err = (struct error){0};
	assert_null(load("", ".", NULL, &err)); /* a folder */
	assert_int_equal(err.kind, ERROR_MANIFEST);
}

static void test_too_large(void **state)
{
	struct error err = {0};
	char *path = fs_join(dir, "deploy.yml");

	put("deploy.yml", MANIFEST);
	assert_int_equal(truncate(path, 10 << 20), 0);
	assert_null(load("", NULL, NULL, &err));
	assert_int_equal(err.kind, ERROR_MANIFEST);
	free(path);
}

static void test_kamal_folders(void **state)
{
	struct error err = {0};
	struct config *c;

	put("deploy.yml", MANIFEST);
	put("deploy.staging.yml", "env: {A: 1}\n");
	put(".kamal/secrets", "");
	put(".kamal/secrets-common", "");
	put(".kamal/secrets.staging", "");
	put(".kamal/hooks/pre-build", "");
	c = load("", NULL, NULL, &err);
	assert_non_null(c);
	assert_true(str_ends(c->hooks_path, "/.kamal/hooks"));
	assert_int_equal(c->secrets_files.len, 2);
	assert_true(str_ends(c->secrets_files.p[0], "/.kamal/secrets-common"));
	assert_true(str_ends(c->secrets_files.p[1], "/.kamal/secrets"));
	config_free(c);
	c = load("", NULL, "staging", &err);
	assert_non_null(c);
	assert_int_equal(c->secrets_files.len, 2);
	assert_true(str_ends(c->secrets_files.p[1], "/.kamal/secrets.staging"));
	config_free(c);
	put(".kamal/secrets.enc", "");
	put(".kamal/secrets-common.enc", "");
	put(".kamal/secrets.staging.enc", "");
	c = load("", NULL, "staging", &err);
	assert_non_null(c);
	assert_int_equal(c->secrets_files.len, 4);
	assert_true(str_ends(c->secrets_files.p[0], "/.kamal/secrets-common.enc"));
	assert_true(str_ends(c->secrets_files.p[1], "/.kamal/secrets-common"));
	assert_true(str_ends(c->secrets_files.p[2], "/.kamal/secrets.staging.enc"));
	assert_true(str_ends(c->secrets_files.p[3], "/.kamal/secrets.staging"));
	config_free(c);
	put(".deploy/secrets", "");
	c = load("", NULL, NULL, &err);
	assert_non_null(c);
	assert_null(c->hooks_path);
	assert_int_equal(c->secrets_files.len, 1);
	assert_true(str_ends(c->secrets_files.p[0], "/.deploy/secrets"));
	config_free(c);
}

static void test_context_by_link(void **state)
{
	struct error err = {0};
	char *link = fs_join(dir, "out");

	put(".git/HEAD", "");
	put("deploy.yml", MANIFEST "builder: {context: out}\n");
	assert_int_equal(symlink("/etc", link), 0);
	assert_null(load("", NULL, NULL, &err));
	assert_int_equal(unlink(link), 0);
	put("out/x", "");
	err = (struct error){0};
	struct config *c = load("", NULL, NULL, &err);

	assert_non_null(c);
	assert_int_equal(c->builder.context_kind, CONFIG_CONTEXT_DIR);
	config_free(c);
	free(link);
}

static struct config *text(const char *manifest)
{
	struct config_request req = {.dir = dir};
	struct diagnostics diags = {0};
	struct error err = {0};
	struct config *c = config_load_text(manifest, strlen(manifest), &req, &diags, &err);

	diagnostics_fini(&diags);
	assert_non_null(c);
	return c;
}

static const char *mac(void *ctx, const char *name, char buf[DIGEST_HEX_SIZE])
{
	return ctx;
}

static void digest_of(const char *manifest, void *key, char out[DIGEST_HEX_SIZE])
{
	struct config *c = text(manifest);

	config_digest(c, c->primary_role, NULL, key != NULL ? mac : NULL, key, out);
	config_free(c);
}

static void test_digest(void **state)
{
	static const char *const same[] = {
		"service: app\nservers: {web: {hosts: [a], options: {cpus: 2, memory: 1g}}}\n"
		"env: {A: 1, B: 2}\nlabels: {x: y, z: w}\n",
		"service: app\nservers: {web: {hosts: [b, c], replicas: 3, options: "
		"{memory: 1g, cpus: 2}}}\nenv: {B: 2, A: 1}\nlabels: {z: w, x: y}\n"
		"retain_containers: 9\nproxy: {app_port: 3000}\n",
	};
	static const char *const others[] = {
		MANIFEST,
		MANIFEST "env: {A: 1}\n",
		MANIFEST "env: {A: 2}\n",
		MANIFEST "env: {secret: [A]}\n",
		MANIFEST "env: {secret: [\"A:B\"]}\n",
		MANIFEST "labels: {A: 1}\n",
		MANIFEST "volumes: [a:/b]\n",
		MANIFEST "logging: {driver: none}\n",
		MANIFEST "stop_timeout: 11\n",
		MANIFEST "image: other\n",
		MANIFEST "asset_path: /x\n",
		"service: app\nservers: {web: {hosts: [a], cmd: x}}\n",
		"service: app\nservers: {web: {hosts: [a], options: {tmpfs: [/a, /b]}}}\n",
		"service: app\nservers: {web: {hosts: [a], options: {tmpfs: [/b, /a]}}}\n",
		"service: app2\nservers: [a]\n",
	};
	const size_t n = sizeof(others) / sizeof(others[0]);
	char got[sizeof(others) / sizeof(others[0])][DIGEST_HEX_SIZE];
	char one[DIGEST_HEX_SIZE], two[DIGEST_HEX_SIZE];

	digest_of(same[0], NULL, one);
	digest_of(same[1], NULL, two);
	assert_string_equal(one, two);
	for (size_t i = 0; i < n; i++) {
		digest_of(others[i], NULL, got[i]);
		for (size_t j = 0; j < i; j++) {
			assert_string_not_equal(got[i], got[j]);
		}
	}
	char key_a[] = "a", key_b[] = "b";

	digest_of(others[3], key_a, one);
	digest_of(others[3], key_b, two);
	assert_string_not_equal(one, two);
}

/* The service's variables, then the role's, then those of the host's tags in their order. */
static void test_host_env(void **state)
{
	struct config *c =
		text("service: app\n"
		     "servers: {web: {hosts: [a: [eu, big], b: eu, c], env: {B: role}}}\n"
		     "env:\n"
		     "  clear: {A: 1, B: 1, S: 1}\n"
		     "  secret: [T]\n"
		     "  tags:\n"
		     "    big: {clear: {A: big, T: clear}}\n"
		     "    eu: {clear: {A: eu}, secret: [S]}\n");
	static const struct {
		const char *host, *a, *b, *s, *t;
		size_t secrets;
	} cases[] = {
		{"a", "eu", "role", NULL, "clear", 1},
		{"b", "eu", "role", NULL, NULL, 2},
		{"c", "1", "role", "1", NULL, 1},
		{NULL, "1", "role", "1", NULL, 1},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct config_env env;

		config_host_env(c, c->primary_role, cases[i].host, &env);
		assert_string_equal(strmap_get(&env.clear, "A"), cases[i].a);
		assert_string_equal(strmap_get(&env.clear, "B"), cases[i].b);
		assert_true(str_eq(strmap_get(&env.clear, "S"), cases[i].s));
		assert_true(str_eq(strmap_get(&env.clear, "T"), cases[i].t));
		assert_int_equal(env.secret.len, cases[i].secrets);
		config_env_fini(&env);
	}
	config_free(c);
}

static bool has_a(void *ctx, const char *name)
{
	return strcmp(name, "A") == 0;
}

static void test_secrets(void **state)
{
	struct config *c = text("service: app\nimage: x/app\nservers: [h]\n"
				"env: {secret: [A, \"ALIAS:B\"]}\n"
				"registry: {username: [U], password: [A]}\n"
				"builder: {secrets: [A, N]}\nssh: {key_data: [K]}\n");
	struct config_secret_uses uses = {0};
	struct diagnostics diags = {0};
	struct error err = {0};
	struct str out = STR_INIT(STR_MAX_FILE);

	config_secret_names(c, &uses);
	assert_int_equal(uses.len, 7);
	assert_string_equal(uses.p[1].name, "B");
	vec_fini(&uses);
	assert_int_equal(config_secrets_check(c, has_a, NULL, &diags, &err), -1);
	assert_int_equal(err.kind, ERROR_MANIFEST);
	assert_string_equal(err.text, "secrets not there: B, U, N, K");
	diagnostics_render(&diags, false, &out);
	assert_non_null(strstr(str_c(&out),
		"deploy.yml:4:19: error: secret 'B' (for env.secret) is not there\n"
		"    4 | env: {secret: [A, \"ALIAS:B\"]}\n"));
	assert_non_null(strstr(str_c(&out), "deploy.yml:6:24: error: secret 'N'"));
	str_fini(&out);
	diagnostics_fini(&diags);
	config_free(c);
}

static void test_all_hosts(void **state)
{
	struct config *c = text("service: app\nservers: [h, \"u@h\", \"h:22\"]\n");
	struct config_host_ptrs hosts = {0};

	config_all_hosts(c, &hosts);
	assert_int_equal(hosts.len, 3);
	assert_string_equal(hosts.p[1]->user, "u");
	assert_int_equal(hosts.p[2]->port, 22);
	vec_fini(&hosts);
	config_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_found_upwards, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_not_found, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_too_large, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_kamal_folders, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_context_by_link, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_digest, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_host_env, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_secrets, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_all_hosts, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
