/* SPDX-License-Identifier: MIT */
/*
 * A FAKE builder whose image and whose `docker save` mean no good: names that leave their folder,
 * links, sizes that lie, entries that come twice, other bytes than their digest says.  Nothing is
 * written but into the layer cache, nothing wrong is handed on, and it ends.
 */
#include "support.h"

#include "image/save.h"
#include "image/tar.h"

#include "../../../src/image/origin.h"

#include <dirent.h>
#include <pthread.h>

#define PING "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nServer: Fake\r\nContent-Length: 2\r\n\r\nOK"

/* "hello" and "world", by their digests. */
#define HELLO "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define WORLD "486ea46224d1bb4fb680f34f7c9ad96a8f24ec88be73ea8e5a6c65260e9cb8a7"
#define IMAGE "\"Architecture\":\"amd64\",\"Os\":\"linux\",\"Created\":\"\",\"Size\":10"

struct fake {
	struct str inspect, tar;
	char dir[64]; /* holds the cache, and nothing else */
	char id[IMAGE_ID_SIZE];
	pthread_t threads[8];
	size_t n;
};

struct connection {
	struct fake *fake;
	int fd;
};

static bool say(int fd, const void *data, size_t n)
{
	for (const char *p = data; n > 0;) {
		ssize_t k = send(fd, p, n, MSG_NOSIGNAL);
		if (k <= 0) {
			return false;
		}
		p += k;
		n -= (size_t)k;
	}
	return true;
}

static bool answer(struct fake *f, int fd, const char *head)
{
	char begin[128];

	if (strstr(head, "/_ping ") && !say(fd, PING, strlen(PING))) {
		return false;
	}
	if (strstr(head, "/json ")) {
		snprintf(begin, sizeof(begin), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n",
			f->inspect.len);
		return say(fd, begin, strlen(begin)) && say(fd, f->inspect.p, f->inspect.len);
	}
	if (strstr(head, "/get?")) {
		(void)snprintf(
			begin, sizeof(begin), "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
		(void)(say(fd, begin, strlen(begin)) && say(fd, f->tar.p, f->tar.len));
		return false;
	}
	return true;
}

static void *serve(void *arg)
{
	struct connection c = *(struct connection *)arg;
	char head[4096];
	ssize_t n;

	free(arg);
	/* Whole requests come in one packet here: they are small, and have no body. */
	while ((n = recv(c.fd, head, sizeof(head) - 1, 0)) > 0) {
		head[n] = '\0';
		if (!answer(c.fake, c.fd, head)) {
			break;
		}
	}
	close(c.fd);
	return NULL;
}

static int dial(void *ctx, struct error *err)
{
	struct fake *f = ctx;
	int fds[2];

	if (f->n == 8 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) {
		return error_set(err, ERROR_CONNECT, "the fake is busy");
	}
	struct connection *c = malloc(sizeof(*c));
	*c = (struct connection){f, fds[1]};
	assert_int_equal(pthread_create(&f->threads[f->n++], NULL, serve, c), 0);
	return fds[0];
}

/* -- What it sends -- */

static void add(struct str *tar, const char *name, mode_t mode, uint64_t size, const char *data)
{
	struct tar_entry e = {.path = name,
		.link = S_ISLNK(mode) ? "/etc/passwd" : NULL,
		.size = size,
		.mode = mode};

	tar_header(tar, &e);
	str_add(tar, data);
	for (size_t n = tar_padding(strlen(data)); n; n--) {
		str_addc(tar, '\0');
	}
}

static void add_file(struct str *tar, const char *name, const char *data)
{
	add(tar, name, S_IFREG | 0644, strlen(data), data);
}

static void config_of(struct fake *f, struct str *out)
{
	char hex[DIGEST_HEX_SIZE];

	str_add(out, "{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:" HELLO
		     "\",\"sha256:" WORLD "\"]}}");
	digest_sha256_hex(out->p, out->len, hex);
	snprintf(f->id, sizeof(f->id), "sha256:%s", hex);
}

static void add_config(struct fake *f)
{
	CLEANUP_STR struct str config = STR_INIT(STR_MAX_LINE);
	char name[DIGEST_HEX_SIZE + 8];

	config_of(f, &config);
	snprintf(name, sizeof(name), "%s.json", f->id + strlen("sha256:"));
	add_file(&f->tar, name, str_c(&config));
}

/* -- The test's side -- */

static struct docker *start(struct fake *f)
{
	CLEANUP_STR struct str config = STR_INIT(STR_MAX_LINE);
	struct docker_dialer dialer = {.dial = dial, .ctx = f};

	*f = (struct fake){.inspect = STR_INIT(STR_MAX_LINE), .tar = STR_INIT(STR_MAX_FILE)};
	snprintf(f->dir, sizeof(f->dir), "/tmp/test-hostile-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	config_of(f, &config);
	str_addf(&f->inspect,
		"{\"Id\":\"%s\"," IMAGE
		",\"RootFS\":{\"Type\":\"layers\",\"Layers\":[\"sha256:" HELLO "\",\"sha256:" WORLD
		"\"]}}",
		f->id);
	return docker_new(&dialer, "builder");
}

static void stop(struct fake *f, struct docker *d)
{
	const char *rm[] = {"rm", "-r", f->dir, NULL};
	struct proc_request req = {.argv = rm, .timeout_ms = 10000};
	struct proc_result result = {0};
	struct error err = {0};

	docker_free(d);
	for (size_t i = 0; i < f->n; i++) {
		pthread_join(f->threads[i], NULL);
	}
	OK(proc_run(&req, NULL, NULL, &result, &err), err);
	assert_int_equal(result.status, 0);
	str_fini(&f->inspect);
	str_fini(&f->tar);
}

static struct image_source *open_image(struct fake *f, struct docker *d, struct error *err)
{
	CLEANUP_FREE char *cache = fs_join(f->dir, "cache");
	CLEANUP_STRVEC struct strvec tags = {0};

	strvec_push(&tags, "app:1");
	struct image_source_request req = {
		.docker = d, .image = "app:1", .tags = &tags, .cache_dir = cache};
	return image_source_open(&req, err);
}

/* The bytes of a layer, or the error. */
static int read_layer(struct image_source *s, size_t i, struct str *out, struct error *err)
{
	char buf[3];
	ssize_t n;

	str_reset(out);
	if (origin_wait_layer(s, i, err) != 0) {
		return -1;
	}
	while ((n = origin_read(s, i, out->len, buf, sizeof(buf), err)) > 0) {
		str_addn(out, buf, (size_t)n);
	}
	return (int)n;
}

static int names_in(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int n = 0;

	assert_non_null(d);
	while ((e = readdir(d))) {
		n += e->d_name[0] != '.' || strlen(e->d_name) > 2;
	}
	closedir(d);
	return n;
}

/* Layers in the cache: `n` that are whole, and nothing that was begun; nothing beside the cache. */
static void check_files(struct fake *f, int n)
{
	CLEANUP_FREE char *layers = fs_join(f->dir, "cache/layers");

	assert_int_equal(names_in(layers), n);
	assert_int_equal(names_in(f->dir), 1);
}

/* Both layers are asked for; `text` is what reading them says, "" when all is well. */
static void expect(struct fake *f, struct docker *d, const char *text, int cached)
{
	CLEANUP_STR struct str got = STR_INIT(STR_MAX_LINE);
	const bool both[] = {true, true};
	struct origin_need need = {.layers = both, .config = true};
	struct error err = {0};

	tar_end(&f->tar);
	struct image_source *s = open_image(f, d, &err);
	assert_non_null(s);
	if (origin_want(s, &need, &err) == 0 && read_layer(s, 0, &got, &err) == 0) {
		assert_string_equal(str_c(&got), "hello");
		assert_int_equal(s->layers[0].size, 5);
		if (read_layer(s, 1, &got, &err) == 0) {
			assert_string_equal(str_c(&got), "world");
			assert_int_equal(s->layers[1].size, 5);
		}
	}
	if (!*text ? err.kind != ERROR_NONE : !strstr(err.text, text)) {
		fail_msg("'%s', expected '%s'", err.text, text);
	}
	image_source_free(s);
	check_files(f, cached);
	stop(f, d);
}

static void what_is_right_arrives(void **state)
{
	struct fake f;
	struct docker *d = start(&f);

	add_file(&f.tar, "blobs/sha256/" HELLO, "hello");
	add_config(&f);
	add_file(&f.tar, "blobs/sha256/" WORLD, "world");
	expect(&f, d, "", 2);
}

static void an_entry_that_comes_twice_changes_nothing(void **state)
{
	struct fake f;
	struct docker *d = start(&f);

	add_file(&f.tar, "blobs/sha256/" HELLO, "hello");
	add_file(&f.tar, "blobs/sha256/" HELLO, "hello, and more than that");
	add(&f.tar, "blobs/sha256/" HELLO, S_IFREG | 0644, 0, "");
	add_config(&f);
	add_file(&f.tar, "blobs/sha256/" WORLD, "world");
	expect(&f, d, "", 2);
}

static void other_bytes_than_the_digest_says_are_refused(void **state)
{
	struct fake f;
	struct docker *d = start(&f);

	add_file(&f.tar, "blobs/sha256/" HELLO, "hullo");
	add_config(&f);
	add_file(&f.tar, "blobs/sha256/" WORLD, "world");
	expect(&f, d, "another digest", 0);
}

static void names_and_links_lead_nowhere(void **state)
{
	struct fake f;
	struct docker *d = start(&f);

	add_file(&f.tar, "../../outside", "hello");
	add_file(&f.tar, "/tmp/test-hostile-outside", "hello");
	add_file(&f.tar, "blobs/sha256/../../../outside", "hello!");
	add(&f.tar, "blobs/sha256/" HELLO, S_IFLNK | 0777, 0, "");
	add(&f.tar, "blobs/sha256/" WORLD, S_IFLNK | 0777, 0, "");
	add_config(&f);
	expect(&f, d, "is not in it", 0);
	assert_int_equal(access("/tmp/test-hostile-outside", F_OK), -1);
}

static void a_size_that_lies_is_the_end_of_the_stream(void **state)
{
	static const uint64_t sizes[] = {6, 100, (uint64_t)1 << 40, (uint64_t)1 << 62};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct fake f;
		struct docker *d = start(&f);

		add_config(&f);
		add(&f.tar, "blobs/sha256/" HELLO, S_IFREG | 0644, sizes[i], "hello");
		expect(&f, d, "saved image", 0);
	}
}

static void an_image_that_is_none_is_refused(void **state)
{
	static const char *const lists[] = {"\"x\"", "\"\"", "\"sha256:\"", "\"sha256:../../x\"",
		"\"md5:" HELLO "\"", "\"sha256:" HELLO "0\"",
		"\"sha256:" HELLO
		"\",\"sha256:2CF24DBA5FB0A30E26E83B2AC5B9E29E1B161E5C1FA7425E73043362938B9824\""};
	static const char *const ids[] = {"x", "", "sha256:", "sha256:../../../../etc/passwd"};

	for (size_t i = 0; i < 7 + 4; i++) {
		struct fake f;
		struct docker *d = start(&f);
		struct error err = {0};

		str_reset(&f.inspect);
		str_addf(&f.inspect, "{\"Id\":\"%s\"," IMAGE ",\"RootFS\":{\"Layers\":[%s]}}",
			i < 7 ? f.id : ids[i - 7], i < 7 ? lists[i] : "\"sha256:" HELLO "\"");
		assert_null(open_image(&f, d, &err));
		assert_int_equal(err.kind, ERROR_REMOTE);
		stop(&f, d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_right_arrives),
		cmocka_unit_test(an_entry_that_comes_twice_changes_nothing),
		cmocka_unit_test(other_bytes_than_the_digest_says_are_refused),
		cmocka_unit_test(names_and_links_lead_nowhere),
		cmocka_unit_test(a_size_that_lies_is_the_end_of_the_stream),
		cmocka_unit_test(an_image_that_is_none_is_refused),
	};
	return cmocka_run_group_tests_name("docker save, fake builder", tests, NULL, NULL);
}
