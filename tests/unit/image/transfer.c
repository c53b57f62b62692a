/* SPDX-License-Identifier: MIT */
/* Transfers from this machine's daemon to a second one, each way. */
#include "support.h"

#include "host/host.h"
#include "util/cancel.h"

#include <dirent.h>
#include <pthread.h>

static struct support S;
static const char *missing;
static struct host server;
static char *cache;
static char *app; /* name without tag */

/*
 * Three layers: busybox, `rest` KB of noise, the application's `change`.  The lower two are an
 * image of their own, so that all tags share them.  Without the cache: Docker's classic builder
 * gives up when any image goes away while it looks through all of them.
 */
static void build(const char *tag, int kilobytes, const char *change)
{
	support_shell(&S,
		"mkdir -p app base; cd base; if ! test -e noise; then cp /usr/bin/busybox busybox; "
		"head -c %d000 /dev/urandom >noise; "
		"printf 'FROM scratch\\nCOPY busybox /bin/busybox\\n"
		"COPY noise /noise\\n' >Dockerfile; "
		"DOCKER_BUILDKIT=0 docker build --no-cache -q -t %s:base . >/dev/null; fi; "
		"cd ../app; echo %s >change; "
		"printf 'FROM %s:base\\nCOPY change /change\\n"
		"CMD [\"/bin/busybox\",\"sleep\",\"100\"]\\n' >Dockerfile; "
		"DOCKER_BUILDKIT=0 docker build --no-cache -q -t %s:%s . >/dev/null",
		kilobytes, app, change, app, app, tag);
}

static int setup(void **state)
{
	missing = support_begin(&S);
	if (!missing) {
		missing = support_server(&S);
	}
	cache = fs_join(S.dir, "cache");
	app = xasprintf("deploy-unit-app-%s", S.suffix);
	if (!missing) {
		server.name = xstrdup("server");
		server.ui = S.ui;
		server.docker = S.server;
		build("1", 3000, "one");
		build("2", 3000, "two");
	} else {
		print_message("skipped: %s\n", missing);
	}
	return 0;
}

static int teardown(void **state)
{
	if (!missing) {
		/* by name: an ID whose image has children cannot be removed before them */
		support_shell(&S,
			"docker rmi -f $(docker images --format '{{.Repository}}:{{.Tag}}' %s) "
			">/dev/null",
			app);
	}
	free(server.name);
	free(app);
	free(cache);
	support_end(&S);
	return 0;
}

static struct image_source *open_source(const char *tag, struct strvec *tags)
{
	CLEANUP_FREE char *name = xasprintf("%s:%s", app, tag);
	struct image_source_request req = {
		.docker = S.builder, .ui = S.ui, .image = name, .tags = tags, .cache_dir = cache};
	struct error err = {0};
	struct image_source *s;

	strvec_push(tags, name);
	s = image_source_open(&req, &err);
	if (!s) {
		fail_msg("%s", err.text);
	}
	return s;
}

static void send_it(
	const char *tag, enum image_strategy strategy, struct image_transfer_result *result)
{
	CLEANUP_STRVEC struct strvec tags = {0};
	struct image_source *s = open_source(tag, &tags);
	struct image_transfer_request req = {.host = &server, .strategy = strategy};
	struct error err = {0};

	OK(image_transfer(s, &req, result, &err), err);
	print_message("%s %s: %s, %zu of %zu layers, %llu of %llu bytes, %lld ms\n", tag,
		image_strategy_name(strategy), image_strategy_name(result->used),
		result->layers_sent, result->layers_total, (unsigned long long)result->bytes_sent,
		(unsigned long long)result->bytes_total, (long long)result->ms);
	image_source_free(s);
}

/* Only for these tests: all images of the second daemon go. */
static void clear_server(void)
{
	struct docker_image_list list = {0};
	struct error err = {0};

	OK(docker_image_list(S.server, NULL, &list, &err), err);
	VEC_FOREACH (&list, i) {
		OK(docker_image_remove(S.server, list.p[i].id, true, false, &err), err);
	}
	docker_image_list_fini(&list);
}

static void clear_cache(void)
{
	support_shell(&S, "rm -rf cache");
}

static void test_partial(void **state)
{
	struct image_transfer_result r;

	if (missing) {
		skip();
	}
	send_it("1", IMAGE_TRANSFER_AUTO, &r);
	assert_int_equal(r.used, IMAGE_TRANSFER_PARTIAL);
	assert_int_equal(r.layers_sent, 3);
	assert_true(r.bytes_sent > 4900000 && r.bytes_sent < 5100000);
	send_it("2", IMAGE_TRANSFER_AUTO, &r);
	assert_int_equal(r.used, IMAGE_TRANSFER_PARTIAL);
	assert_int_equal(r.layers_sent, 1);
	assert_true(r.bytes_sent < 16384);
	send_it("2", IMAGE_TRANSFER_AUTO, &r);
	assert_int_equal(r.used, IMAGE_TRANSFER_PRESENT);
	assert_int_equal(r.bytes_sent, 0);
	/* Another cache: the layers of the server are asked for. */
	clear_cache();
	build("3", 3000, "three");
	send_it("3", IMAGE_TRANSFER_AUTO, &r);
	assert_int_equal(r.layers_sent, 1);
}

static void test_full(void **state)
{
	struct image_transfer_result r;

	if (missing) {
		skip();
	}
	clear_server();
	send_it("1", IMAGE_TRANSFER_FULL, &r);
	assert_int_equal(r.layers_sent, 3);
	send_it("2", IMAGE_TRANSFER_FULL, &r);
	assert_int_equal(r.layers_sent, 3);
}

/* A layer that was damaged in the cache is found out, and the image arrives all the same. */
static void test_damaged_cache(void **state)
{
	struct image_transfer_result r;

	if (missing) {
		skip();
	}
	clear_server();
	send_it("1", IMAGE_TRANSFER_AUTO, &r);
	clear_server();
	support_shell(&S, "for f in cache/layers/*; do printf X | dd of=$f bs=1 seek=700 "
			  "conv=notrunc 2>/dev/null; done");
	send_it("1", IMAGE_TRANSFER_AUTO, &r);
	assert_int_equal(r.used, IMAGE_TRANSFER_FULL);
}

static void test_cache_bounds(void **state)
{
	CLEANUP_STRVEC struct strvec tags = {0};
	CLEANUP_FREE char *name = xasprintf("%s:1", app);
	CLEANUP_FREE char *layers = xasprintf("%s/layers", cache);
	struct image_transfer_request req = {.host = &server, .strategy = IMAGE_TRANSFER_FULL};
	struct image_transfer_result r;
	struct error err = {0};
	struct stat st;
	uint64_t total = 0;
	struct dirent *e;
	DIR *dir;

	if (missing) {
		skip();
	}
	clear_cache();
	strvec_push(&tags, name);
	struct image_source_request sreq = {.docker = S.builder,
		.ui = S.ui,
		.image = name,
		.tags = &tags,
		.cache_dir = cache,
		.cache_max = 1000};
	struct image_source *s = image_source_open(&sreq, &err);
	assert_non_null(s);
	OK(image_transfer(s, &req, &r, &err), err);
	image_source_free(s);
	dir = opendir(layers);
	while ((e = readdir(dir))) {
		assert_int_equal(fstatat(dirfd(dir), e->d_name, &st, 0), 0);
		if (S_ISREG(st.st_mode)) {
			assert_int_equal(st.st_mode & 0777, 0600);
			total += (uint64_t)st.st_size;
		}
	}
	closedir(dir);
	assert_true(total <= 1000);
	clear_cache();
}

struct many {
	struct image_source *s;
	struct image_transfer_result r;
	struct error err;
	int rc;
};

static void *transfer_thread(void *arg)
{
	struct many *m = arg;
	struct image_transfer_request req = {.host = &server, .strategy = IMAGE_TRANSFER_FULL};

	m->rc = image_transfer(m->s, &req, &m->r, &m->err);
	return NULL;
}

/* Eight threads share one source: the builder is read once. */
static void test_many_hosts(void **state)
{
	CLEANUP_STRVEC struct strvec tags = {0};
	struct many many[8] = {0};
	pthread_t threads[8];
	struct docker_counters before, after;

	if (missing) {
		skip();
	}
	clear_server();
	clear_cache();
	struct image_source *s = open_source("1", &tags);
	docker_counters(S.builder, &before);
	for (int i = 0; i < 8; i++) {
		many[i].s = s;
		pthread_create(&threads[i], NULL, transfer_thread, &many[i]);
	}
	for (int i = 0; i < 8; i++) {
		pthread_join(threads[i], NULL);
		OK(many[i].rc, many[i].err);
	}
	docker_counters(S.builder, &after);
	assert_int_equal(after.requests - before.requests, 1);
	image_source_free(s);
}

static void test_wrong_arch(void **state)
{
	CLEANUP_STRVEC struct strvec tags = {0};
	struct docker_info info = {.architecture = xstrdup("arm64"), .driver = xstrdup("overlay2")};
	struct image_known known = {.info = &info};
	struct image_transfer_request req = {.host = &server, .known = &known};
	struct image_transfer_result r;
	struct error err = {0};

	if (missing) {
		docker_info_fini(&info);
		skip();
	}
	struct image_source *s = open_source("1", &tags);
	assert_int_equal(image_transfer(s, &req, &r, &err), -1);
	assert_int_equal(err.kind, ERROR_MANIFEST);
	assert_non_null(strstr(err.text, "the image is for amd64, the server is arm64"));
	image_source_free(s);
	docker_info_fini(&info);
}

/* With what the observe step knows: a load and an inspect, in two round trips. */
static void test_round_trips(void **state)
{
	CLEANUP_STRVEC struct strvec tags = {0};
	struct docker_info info = {0};
	struct docker_image_list images = {0};
	struct image_known known = {.info = &info, .images = &images};
	struct image_transfer_request req = {.host = &server, .known = &known};
	struct image_transfer_result r;
	struct docker_counters before, after;
	struct error err = {0};

	if (missing) {
		skip();
	}
	send_it("1", IMAGE_TRANSFER_AUTO, &r);
	build("4", 3000, "four");
	OK(docker_info(S.server, &info, &err), err);
	OK(docker_image_list(S.server, NULL, &images, &err), err);
	struct image_source *s = open_source("4", &tags);
	docker_counters(S.server, &before);
	OK(image_transfer(s, &req, &r, &err), err);
	docker_counters(S.server, &after);
	assert_int_equal(r.layers_sent, 1);
	assert_int_equal(after.exchanges - before.exchanges, 2);
	print_message("one changed layer: %llu bytes, %lld ms\n", (unsigned long long)r.bytes_sent,
		(long long)r.ms);
	image_source_free(s);
	docker_image_list_fini(&images);
	docker_info_fini(&info);
}

static void test_names(void **state)
{
	enum image_strategy s;

	assert_int_equal(image_strategy_parse("partial", &s), 0);
	assert_int_equal(s, IMAGE_TRANSFER_PARTIAL);
	assert_int_equal(image_strategy_parse("auto", &s), 0);
	assert_int_equal(image_strategy_parse("present", &s), -1);
	assert_int_equal(image_strategy_parse("", &s), -1);
	assert_string_equal(image_strategy_name(IMAGE_TRANSFER_REGISTRY), "registry");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_partial),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_damaged_cache),
		cmocka_unit_test(test_cache_bounds),
		cmocka_unit_test(test_many_hosts),
		cmocka_unit_test(test_wrong_arch),
		cmocka_unit_test(test_round_trips),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
