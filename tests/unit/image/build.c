/* SPDX-License-Identifier: MIT */
/* Builds on this machine's real daemon, by both builders. */
#include "support.h"

#include "docker/container.h"
#include "util/cancel.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

static struct support S;
static const char *missing;

static int setup(void **state)
{
	missing = support_begin(&S);
	if (!missing) {
		support_shell(&S,
			"git init -q -b main app; cp /usr/bin/busybox app/busybox; cd app;"
			"ln -s busybox sh; echo secret.txt >.dockerignore; echo x >secret.txt;"
			"mkdir sub; echo hi >sub/file; ln -s sub/file link;"
			"printf 'FROM scratch AS base\\nCOPY . /bin/\\nARG NAME=none\\n"
			"RUN [\"/bin/busybox\",\"sh\",\"-c\",\"echo built by $NAME; "
			"test ! -e /bin/secret.txt; test -L /bin/link; cat /bin/link\"]\\n"
			"FROM base AS other\\nRUN [\"/bin/busybox\",\"touch\",\"/other\"]\\n'"
			" >Dockerfile; git add -A; git commit -qm one");
	}
	return 0;
}

static int teardown(void **state)
{
	support_end(&S);
	return 0;
}

static void remove_image(const char *name)
{
	struct error ignored = {0};

	if (docker_image_remove(S.builder, name, true, false, &ignored) != 0) {
		assert_int_equal(ignored.status, 404);
	}
}

static void build_git(enum image_builder use)
{
	CLEANUP_FREE char *dir = fs_join(S.dir, "app");
	CLEANUP_FREE char *image = xasprintf("deploy-unit-build-%s-%d", S.suffix, (int)use);
	CLEANUP_FREE char *more = xasprintf("%s:main-x", image);
	struct config_builder builder = {.context_kind = CONFIG_CONTEXT_GIT,
		.context = "",
		.dockerfile = "Dockerfile",
		.target = "base"};
	struct error err = {0};
	struct source_commit commit;
	struct git_source *source = source_open(dir, &err);
	struct image_build_result result;
	struct docker_image built = {0};

	OK(source_resolve(source, NULL, &commit, &err), err);
	strmap_set(&builder.args, "NAME", "unit");
	strvec_push(&builder.tags, "{branch}-x");
	struct image_build_request req = {.docker = S.builder,
		.ui = S.ui,
		.builder = &builder,
		.source = source,
		.service = "unit",
		.image = image,
		.version = commit.version,
		.commit = commit.id,
		.branch = "main",
		.arch = "amd64",
		.use = use};
	OK(image_build(&req, &result, &err), err);
	assert_false(result.reused);
	assert_int_equal(result.used, use);
	assert_int_equal(result.tags.len, 2);
	OK(docker_image_inspect(S.builder, more, &built, &err), err);
	assert_string_equal(built.id, result.id);
	assert_string_equal(strmap_get(&built.labels, "deploy.commit"), commit.id);
	assert_string_equal(strmap_get(&built.labels, "service"), "unit");
	assert_non_null(strstr(support_shown(&S), "built by unit"));
	docker_image_fini(&built);
	image_build_result_fini(&result);

	/* The same again: nothing is built. */
	OK(image_build(&req, &result, &err), err);
	assert_true(result.reused);
	assert_true(result.ms < 1000);
	image_build_result_fini(&result);
	/* Other arguments: another build. */
	strmap_set(&builder.args, "NAME", "other");
	OK(image_find_built(&req, false, &result, &err), err);
	assert_false(result.reused);
	image_build_result_fini(&result);
	OK(image_find_built(&req, true, &result, &err), err);
	assert_true(result.reused);
	remove_image(result.tags.p[0]);
	remove_image(more);
	image_build_result_fini(&result);
	strmap_fini(&builder.args);
	strvec_fini(&builder.tags);
	source_close(source);
}

/*
 * A FAKE in front of the real daemon: its first build finds that an image of the cache went away.
 * With the real one alone that is a matter of luck.
 */
static atomic_int builds;

static void say_it_went_away(int client, char *buf, size_t size)
{
	static const char answer[] =
		"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
		"{\"errorDetail\":{\"message\":\"unable to find image "
		"\\\"sha256:2734d8381f1e\\\"\"},"
		"\"error\":\"unable to find image \\\"sha256:2734d8381f1e\\\"\"}\r\n";
	struct pollfd p = {.fd = client, .events = POLLIN};

	while (poll(&p, 1, 300) > 0 && read(client, buf, size) > 0) {
	}
	(void)fd_write_all(client, answer, sizeof(answer) - 1);
}

static bool is_first_build(const char *buf, ssize_t n)
{
	return memmem(buf, (size_t)n, "/build?", 7) != NULL && atomic_fetch_add(&builds, 1) == 0;
}

static void *between(void *arg)
{
	int client = *(int *)arg, daemon = docker_dial_local(NULL, &(struct error){0});
	struct pollfd p[2] = {{client, POLLIN, 0}, {daemon, POLLIN, 0}};
	bool open = true;
	char buf[65536];

	free(arg);
	while (open && poll(p, 2, -1) > 0) {
		for (int i = 0; open && i < 2; i++) {
			if (!p[i].revents) {
				continue;
			}
			ssize_t n = read(p[i].fd, buf, sizeof(buf));
			if (i == 0 && n > 0 && is_first_build(buf, n)) {
				say_it_went_away(client, buf, sizeof(buf));
				n = 0;
			}
			open = n > 0 && fd_write_all(p[1 - i].fd, buf, (size_t)n) == 0;
		}
	}
	close(client);
	close(daemon);
	return NULL;
}

static int dial_between(void *ctx, struct error *err)
{
	int fds[2];
	int *mine = malloc(sizeof(*mine));
	pthread_t thread;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	*mine = fds[1];
	pthread_create(&thread, NULL, between, mine);
	pthread_detach(thread);
	return fds[0];
}

static void test_cache_goes_away(void **state)
{
	struct docker_dialer dialer = {.dial = dial_between};
	struct docker *real = S.builder;

	if (missing) {
		skip();
	}
	atomic_store(&builds, 0);
	S.builder = docker_new(&dialer, NULL);
	build_git(IMAGE_BUILDER_CLASSIC);
	assert_int_equal(atomic_load(&builds), 2);
	docker_free(S.builder);
	S.builder = real;
}

static void test_git_classic(void **state)
{
	if (missing) {
		skip();
	}
	build_git(IMAGE_BUILDER_CLASSIC);
}

static void test_git_buildkit(void **state)
{
	if (missing) {
		skip();
	}
	build_git(IMAGE_BUILDER_BUILDKIT);
}

/* Builds what the Dockerfile of `name` says; the caller looks at result and error. */
static int build_dir(const char *name, const char *dockerfile, enum image_builder use,
	struct config_builder *builder, const struct secret_map *secrets,
	struct image_build_result *result, struct error *err)
{
	CLEANUP_FREE char *image = xasprintf("deploy-unit-%s-%s", name, S.suffix);
	struct image_build_request req = {.docker = S.builder,
		.ui = S.ui,
		.builder = builder,
		.root = S.dir,
		.service = "unit",
		.image = image,
		.version = "v1",
		.secrets = secrets,
		.use = use};

	support_shell(&S, "mkdir -p %s; cp /usr/bin/busybox %s/busybox; printf '%s' >%s/Dockerfile",
		name, name, dockerfile, name);
	builder->context_kind = CONFIG_CONTEXT_DIR;
	builder->context = name;
	return image_build(&req, result, err);
}

static void failing(enum image_builder use)
{
	struct config_builder builder = {.no_cache = true};
	struct image_build_result result;
	struct error err = {0};

	assert_int_equal(
		build_dir("failing",
			"FROM scratch\\nCOPY busybox /bin/busybox\\nRUN "
			"[\"/bin/busybox\",\"sh\",\"-c\",\"echo first; echo last words >&2; "
			"exit 7\"]\\n",
			use, &builder, NULL, &result, &err),
		-1);
	assert_int_equal(err.kind, ERROR_REMOTE);
	assert_non_null(strstr(err.text, "build: step '"));
	assert_non_null(strstr(err.text, "/bin/busybox sh -c"));
	assert_non_null(strstr(err.text, "7"));
	assert_non_null(strstr(err.detail, "first\n"));
	assert_non_null(strstr(err.detail, "last words\n"));
}

static void test_failing(void **state)
{
	if (missing) {
		skip();
	}
	failing(IMAGE_BUILDER_CLASSIC);
	failing(IMAGE_BUILDER_BUILDKIT);
}

static void test_secret(void **state)
{
	struct config_builder builder = {.no_cache = true};
	struct secret_map secrets = {0};
	struct image_build_result result;
	struct error err = {0};
	const char *dockerfile =
		"FROM scratch\\nCOPY busybox /bin/busybox\\n"
		"RUN --mount=type=secret,id=TOKEN [\"/bin/busybox\",\"sh\",\"-c\","
		"\"wc -l </run/secrets/TOKEN; /bin/busybox md5sum /run/secrets/TOKEN >/sum\"]\\n";

	if (missing) {
		skip();
	}
	strvec_push(&builder.secrets, "TOKEN");
	assert_int_equal(build_dir("secret", dockerfile, IMAGE_BUILDER_BUILDKIT, &builder, &secrets,
				 &result, &err),
		-1);
	assert_non_null(strstr(err.text, "build secret 'TOKEN' is not set"));
	secret_map_set(&secrets, "TOKEN", secret_new("line 1\nline 2\n", 14));
	err = (struct error){0};
	assert_int_equal(build_dir("secret", dockerfile, IMAGE_BUILDER_CLASSIC, &builder, &secrets,
				 &result, &err),
		-1);
	assert_int_equal(err.kind, ERROR_MANIFEST);
	assert_non_null(strstr(err.text, "need BuildKit"));
	OK(build_dir("secret", dockerfile, IMAGE_BUILDER_AUTO, &builder, &secrets, &result, &err),
		err);
	assert_int_equal(result.used, IMAGE_BUILDER_BUILDKIT);
	assert_null(strstr(support_shown(&S), "line 1"));
	remove_image(result.tags.p[0]);
	image_build_result_fini(&result);
	strvec_fini(&builder.secrets);
	secret_map_fini(&secrets);
}

static void *cancel_soon(void *arg)
{
	usleep(1500000);
	cancel_now();
	return NULL;
}

static void cancelled(enum image_builder use)
{
	struct config_builder builder = {.no_cache = true};
	struct image_build_result result;
	struct error err = {0};
	pthread_t thread;
	int64_t since = clock_mono_ms();

	pthread_create(&thread, NULL, cancel_soon, NULL);
	assert_int_equal(build_dir("cancel",
				 "FROM scratch\\nCOPY busybox /bin/busybox\\nRUN "
				 "[\"/bin/busybox\",\"sleep\",\"60\"]\\n",
				 use, &builder, NULL, &result, &err),
		-1);
	pthread_join(thread, NULL);
	assert_int_equal(err.kind, ERROR_INTERRUPTED);
	assert_true(clock_mono_ms() - since < 3500);
	cancel_reset();
}

static void test_cancel(void **state)
{
	if (missing) {
		skip();
	}
	cancel_install();
	cancelled(IMAGE_BUILDER_CLASSIC);
	cancelled(IMAGE_BUILDER_BUILDKIT);
}

static const struct {
	const char *pattern, *branch, *want;
} tags[] = {
	{"latest", "main", "latest"},
	{"{branch}-{sha}", "main", "main-3f2a1c0b9d"},
	{"{branch}", "feature/x y", "feature-x-y"},
	{"{version}", "", "v1.2"},
	{"{branch}-{sha}", "", "3f2a1c0b9d"},
	{".-x", "", "x"},
	{"{nope}", "", NULL},
	{"{branch}", "", NULL},
	{"", "", NULL},
};

static void test_tags(void **state)
{
	for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
		struct error err = {0};
		CLEANUP_FREE char *tag = image_tag_expand(tags[i].pattern, "v1.2",
			"3f2a1c0b9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a", tags[i].branch, &err);
		if (!str_eq(tag, tags[i].want)) {
			fail_msg("case %zu: '%s'", i, tag ? tag : err.text);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tags),
		cmocka_unit_test(test_git_classic),
		cmocka_unit_test(test_cache_goes_away),
		cmocka_unit_test(test_git_buildkit),
		cmocka_unit_test(test_failing),
		cmocka_unit_test(test_secret),
		cmocka_unit_test(test_cancel),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
