/* SPDX-License-Identifier: MIT */
/* Streams, execs, builds and transfers on the real local daemon. */
#include "support.h"

#include "docker/build.h"
#include "docker/events.h"
#include "docker/exec.h"
#include "docker/network.h"
#include "docker/system.h"
#include "util/cancel.h"
#include "util/clock.h"
#include "util/fs.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

static struct docker *d;
static const char *image, *box; /* box: a container that runs */
static const char *missing;

static int setup(void **state)
{
	(void)state;
	missing = support_missing();
	if (missing) {
		return 0;
	}
	struct error err = {0};
	d = support_docker();
	image = support_name("simage");
	box = support_name("box");
	support_image(d, image);
	CLEANUP_DOCKER_SPEC struct docker_container_spec s = {0};
	s.name = xstrdup(box);
	s.image = xstrdup(image);
	s.network = xstrdup("none");
	strvec_push(&s.cmd, "/bin/busybox");
	strvec_push(&s.cmd, "sleep");
	strvec_push(&s.cmd, "1000");
	OK(docker_container_run(d, &s, NULL, NULL, &err), err);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (d) {
		struct error err = {0};
		OK(docker_container_remove(d, box, true, true, &err), err);
		OK(docker_image_remove(d, image, true, false, &err), err);
		docker_free(d);
	}
	return 0;
}

static void need_daemon(void)
{
	if (missing) {
		print_message("# skipped: %s\n", missing);
		skip();
	}
}

static int run(const char *script, const struct http_source *input, int timeout_ms,
	struct support_output *o, int *code, struct error *err)
{
	CLEANUP_STRVEC struct strvec cmd = {0};
	CLEANUP_STRMAP struct strmap env = {0};
	struct secret_map secrets = {0};
	strvec_push(&cmd, "sh");
	strvec_push(&cmd, "-c");
	strvec_push(&cmd, script);
	strmap_set(&env, "CLEAR", "c");
	secret_map_set(&secrets, "SECRET", secret_new("s", 1));
	struct docker_exec_request req = {.cmd = &cmd, .env = &env, .secret_env = &secrets};
	int rc = docker_exec_run(d, box, &req, input, timeout_ms, support_sink, o, code, err);
	secret_map_fini(&secrets);
	return rc;
}

static void exec_gives_both_streams_and_the_exit_code(void **state)
{
	(void)state;
	need_daemon();
	struct error err = {0};
	struct support_output o = SUPPORT_OUTPUT;
	int code = -2;
	OK(run("echo $CLEAR$SECRET; echo bad >&2; exit 7", NULL, 10000, &o, &code, &err), err);
	assert_int_equal(code, 7);
	assert_string_equal(str_c(&o.out), "cs\n");
	assert_string_equal(str_c(&o.err), "bad\n");
	str_fini(&o.out);
	str_fini(&o.err);
}

static void exec_reads_its_input(void **state)
{
	(void)state;
	need_daemon();
	struct error err = {0};
	struct support_output o = SUPPORT_OUTPUT;
	int code = -2;
	size_t n = 3 << 20;
	char *data = malloc(n);
	for (size_t i = 0; i < n; i++) {
		data[i] = (char)('a' + i % 26);
	}
	struct support_bytes bytes = {.p = data, .len = n, .piece = 10000};
	struct http_source input = {.read = support_read, .ctx = &bytes};
	OK(run("/bin/busybox cat", &input, 20000, &o, &code, &err), err);
	assert_int_equal(code, 0);
	assert_int_equal(o.out.len, n);
	assert_memory_equal(o.out.p, data, n);
	free(data);
	str_fini(&o.out);
}

static void exec_ends_at_its_time_out(void **state)
{
	(void)state;
	need_daemon();
	struct error err = {0};
	struct support_output o = SUPPORT_OUTPUT;
	int code = -2;
	int64_t start = clock_mono_ms();
	assert_int_equal(run("/bin/busybox sleep 3", NULL, 200, &o, &code, &err), -1);
	assert_int_equal(err.sys, ETIMEDOUT);
	assert_true(clock_mono_ms() - start < 2000);
}

static void a_cancelled_exec_ends_at_once(void **state)
{
	(void)state;
	need_daemon();
	struct error err = {0};
	struct support_output o = SUPPORT_OUTPUT;
	int code = -2;
	cancel_now();
	assert_int_equal(run("/bin/busybox sleep 3", NULL, 0, &o, &code, &err), -1);
	assert_int_equal(err.kind, ERROR_INTERRUPTED);
	cancel_reset();
}

static void exec_with_a_terminal_is_a_descriptor(void **state)
{
	(void)state;
	need_daemon();
	struct error err = {0};
	CLEANUP_STRVEC struct strvec cmd = {0};
	CLEANUP_FREE char *id = NULL;
	CLEANUP_STR struct str out = STR_INIT(4096);
	bool running;
	int code = -1;
	strvec_push(&cmd, "sh");
	struct docker_exec_request req = {.cmd = &cmd, .tty = true, .with_stdin = true};
	OK(docker_exec_create(d, box, &req, &id, &err), err);
	CLEANUP_FD int fd = docker_exec_start(d, id, true, &err);
	assert_true(fd >= 0);
	OK(docker_exec_resize(d, id, 33, 99, &err), err);
	static const char script[] = "/bin/busybox stty size; exit 5\n";
	assert_int_equal(write(fd, script, strlen(script)), (ssize_t)strlen(script));
	assert_int_equal(fd_read_all(fd, &out), 0);
	assert_non_null(strstr(str_c(&out), "33 99"));
	OK(docker_exec_inspect(d, id, &running, &code, &err), err);
	assert_false(running);
	assert_int_equal(code, 5);
}

static void events_tell_start_and_death(void **state)
{
	(void)state;
	need_daemon();
	struct error err = {0};
	const char *name = support_name("events");
	struct docker_filters filters = {0};
	struct docker_event e = {0};
	vec_push(&filters, ((struct docker_filter){"type", "container"}));
	vec_push(&filters, ((struct docker_filter){"container", name}));
	vec_push(&filters, ((struct docker_filter){"event", "start"}));
	vec_push(&filters, ((struct docker_filter){"event", "die"}));
	struct docker_events *events = docker_events_open(d, &filters, 0, &err);
	assert_non_null(events);
	assert_int_equal(docker_events_next(events, &e, 0, &err), 0);
	CLEANUP_DOCKER_SPEC struct docker_container_spec s = {0};
	s.name = xstrdup(name);
	s.image = xstrdup(image);
	s.network = xstrdup("none");
	strvec_push(&s.cmd, "sh");
	strvec_push(&s.cmd, "-c");
	strvec_push(&s.cmd, "exit 9");
	OK(docker_container_run(d, &s, NULL, NULL, &err), err);
	assert_int_equal(docker_events_next(events, &e, 10000, &err), 1);
	assert_string_equal(e.action, "start");
	assert_string_equal(e.name, name);
	assert_int_equal(docker_events_next(events, &e, 10000, &err), 1);
	assert_string_equal(e.action, "die");
	assert_int_equal(e.exit_code, 9);
	assert_true(e.time_ns > 0);
	docker_events_close(events);
	vec_fini(&filters);
	OK(docker_container_remove(d, name, true, true, &err), err);
}

struct collected {
	char *p;
	size_t len;
};

static struct collected read_all(struct docker_stream *s)
{
	struct collected c = {.p = malloc((size_t)16 << 20)};
	struct error err = {0};
	for (ssize_t n; (n = docker_stream_read(
				 s, c.p + c.len, ((size_t)16 << 20) - c.len, 20000, &err)) != 0;) {
		assert_true(n > 0);
		c.len += (size_t)n;
	}
	return c;
}

static void an_image_is_saved_removed_and_loaded(void **state)
{
	(void)state;
	need_daemon();
	struct error err = {0};
	CLEANUP_STRVEC struct strvec names = {0};
	CLEANUP_FREE char *tagged = xasprintf("%s:copy", image);
	struct docker_image before = {0};
	struct docker_image after = {0};
	struct docker_image_history history = {0};
	OK(docker_image_tag(d, image, tagged, &err), err);
	OK(docker_image_inspect(d, tagged, &before, &err), err);
	strvec_push(&names, tagged);
	struct docker_stream *s = docker_image_save(d, &names, &err);
	assert_non_null(s);
	struct collected tar = read_all(s);
	docker_stream_close(s);
	assert_true(tar.len > 1000000);
	OK(docker_image_remove(d, tagged, false, false, &err), err);
	for (int chunked = 0; chunked < 2; chunked++) {
		struct support_bytes bytes = {.p = tar.p, .len = tar.len, .piece = 70001};
		struct http_source source = {.read = support_read,
			.ctx = &bytes,
			.length = chunked ? -1 : (int64_t)tar.len};
		OK(docker_image_load(d, &source, NULL, NULL, &err), err);
	}
	OK(docker_image_inspect(d, tagged, &after, &err), err);
	assert_string_equal(before.id, after.id);
	OK(docker_image_history(d, tagged, &history, &err), err);
	assert_int_equal(history.len, 1);
	docker_image_history_fini(&history);
	docker_image_fini(&before);
	docker_image_fini(&after);
	OK(docker_image_remove(d, tagged, false, false, &err), err);
	free(tar.p);
}

static void garbage_is_not_loaded(void **state)
{
	(void)state;
	need_daemon();
	struct error err = {0};
	struct support_bytes bytes = {.p = "this is no tar", .len = 14};
	struct http_source source = {.read = support_read, .ctx = &bytes, .length = -1};
	assert_int_equal(docker_image_load(d, &source, NULL, NULL, &err), -1);
	assert_int_equal(err.kind, ERROR_REMOTE);
	assert_non_null(strstr(err.text, "load image: "));
}

static void on_build(void *ctx, const struct docker_progress *p)
{
	if (p->stream) {
		str_add(ctx, p->stream);
	}
}

static int build(const char *dockerfile, struct str *output, char **id, struct error *err)
{
	char *tar = calloc(1, 1 << 20);
	size_t len = 0;
	struct archive *a = archive_write_new();
	archive_write_set_format_pax_restricted(a);
	archive_write_open_memory(a, tar, 1 << 20, &len);
	support_add(a, "Dockerfile", S_IFREG | 0644, dockerfile, strlen(dockerfile));
	archive_write_close(a);
	archive_write_free(a);
	struct support_bytes bytes = {.p = tar, .len = len};
	struct http_source context = {.read = support_read, .ctx = &bytes, .length = -1};
	CLEANUP_STRVEC struct strvec tags = {0};
	strvec_push(&tags, support_name("built"));
	struct docker_build_request req = {.tags = &tags, .network = "none"};
	int rc = docker_build(d, &req, &context, on_build, output, id, err);
	if (rc == 0) {
		OK(docker_image_remove(d, tags.p[0], true, false, err), *err);
	}
	free(tar);
	return rc;
}

static void a_build_gives_the_image_and_its_output(void **state)
{
	(void)state;
	need_daemon();
	struct error err = {0};
	CLEANUP_STR struct str output = STR_INIT(STR_MAX_FILE);
	CLEANUP_FREE char *id = NULL;
	CLEANUP_FREE char *good = xasprintf("FROM %s\nRUN echo from the build\n", image);
	OK(build(good, &output, &id, &err), err);
	assert_true(str_starts(id, "sha256:"));
	assert_non_null(strstr(str_c(&output), "from the build"));
}

static void a_failed_build_has_the_daemons_words(void **state)
{
	(void)state;
	need_daemon();
	struct error err = {0};
	CLEANUP_STR struct str output = STR_INIT(STR_MAX_FILE);
	CLEANUP_FREE char *id = NULL;
	CLEANUP_FREE char *bad = xasprintf("FROM %s\nRUN echo before; exit 3\n", image);
	assert_int_equal(build(bad, &output, &id, &err), -1);
	assert_non_null(strstr(err.text, "returned a non-zero code: 3"));
	assert_non_null(strstr(str_c(&output), "before"));
	assert_int_equal(build("FRM x\n", &output, &id, &err), -1);
	assert_non_null(strstr(err.text, "FRM"));
}

/* The daemon is the HTTP/2 client on it: its preface is the first that comes, whole. */
static void a_build_session_speaks_http2(void **state)
{
	(void)state;
	need_daemon();
	struct error err = {0};
	CLEANUP_STRMAP struct strmap headers = {0};
	CLEANUP_STRVEC struct strvec methods = {0};
	char preface[24];
	strmap_set(&headers, "X-Docker-Expose-Session-Uuid", support_name("session"));
	strmap_set(&headers, "X-Docker-Expose-Session-Name", "unit");
	strvec_push(&methods, "/grpc.health.v1.Health/Check");
	CLEANUP_FD int fd = docker_session_open(d, &headers, &methods, &err);
	if (fd < 0) {
		print_message("# skipped: no BuildKit here: %s\n", err.text);
		skip();
	}
	struct pollfd p = {.fd = fd, .events = POLLIN};
	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_int_equal(recv(fd, preface, sizeof(preface), MSG_WAITALL), sizeof(preface));
	assert_memory_equal(preface, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", sizeof(preface));
}

static void files_go_in_and_out(void **state)
{
	(void)state;
	need_daemon();
	struct error err = {0};
	char tar[20480];
	size_t len = 0;
	struct archive *a = archive_write_new();
	archive_write_set_format_pax_restricted(a);
	archive_write_open_memory(a, tar, sizeof(tar), &len);
	support_add(a, "hello.txt", S_IFREG | 0644, "hi there", 8);
	archive_write_close(a);
	archive_write_free(a);
	struct support_bytes bytes = {.p = tar, .len = len};
	struct http_source source = {.read = support_read, .ctx = &bytes, .length = -1};
	OK(docker_container_archive_put(d, box, "/tmp", &source, &err), err);
	struct docker_stream *s = docker_container_archive_get(d, box, "/tmp/hello.txt", &err);
	assert_non_null(s);
	struct collected c = read_all(s);
	docker_stream_close(s);
	assert_memory_equal(c.p + 512, "hi there", 8);
	free(c.p);
	assert_null(docker_container_archive_get(d, box, "/no/such", &err));
	assert_int_equal(err.status, 404);
}

static void attach_is_a_descriptor(void **state)
{
	(void)state;
	need_daemon();
	struct error err = {0};
	const char *name = support_name("attach");
	CLEANUP_DOCKER_SPEC struct docker_container_spec s = {0};
	CLEANUP_STR struct str out = STR_INIT(4096);
	struct support_output o = SUPPORT_OUTPUT;
	struct frames frames;
	s.name = xstrdup(name);
	s.image = xstrdup(image);
	s.network = xstrdup("none");
	s.open_stdin = s.attach = true;
	strvec_push(&s.cmd, "/bin/busybox");
	strvec_push(&s.cmd, "cat");
	OK(docker_container_create(d, &s, NULL, &err), err);
	CLEANUP_FD int fd = docker_container_attach(d, name, true, false, &err);
	assert_true(fd >= 0);
	OK(docker_container_start(d, name, &err), err);
	assert_int_equal(write(fd, "ping\n", 5), 5);
	shutdown(fd, SHUT_WR);
	assert_int_equal(fd_read_all(fd, &out), 0);
	frames_init(&frames, false);
	assert_int_equal(frames_feed(&frames, out.p, out.len, support_sink, &o), 0);
	assert_string_equal(str_c(&o.out), "ping\n");
	str_fini(&o.out);
	OK(docker_container_remove(d, name, true, true, &err), err);
}

static void volumes_come_and_go(void **state)
{
	(void)state;
	need_daemon();
	struct error err = {0};
	const char *name = support_name("volume");
	struct docker_volume v = {0};
	struct docker_volume_list list = {0};
	struct docker_filters filters = {0};
	CLEANUP_STRMAP struct strmap labels = {0};
	strmap_set(&labels, "a", "b");
	OK(docker_volume_create(d, name, &labels, NULL, &err), err);
	OK(docker_volume_inspect(d, name, &v, &err), err);
	assert_string_equal(v.name, name);
	assert_string_equal(strmap_get(&v.labels, "a"), "b");
	docker_volume_fini(&v);
	vec_push(&filters, ((struct docker_filter){"name", name}));
	OK(docker_volume_list(d, &filters, &list, &err), err);
	assert_int_equal(list.len, 1);
	docker_volume_list_fini(&list);
	vec_fini(&filters);
	OK(docker_volume_remove(d, name, false, &err), err);
	assert_int_equal(docker_volume_inspect(d, name, &v, &err), -1);
	assert_int_equal(err.status, 404);
}

static void system_calls_answer(void **state)
{
	(void)state;
	need_daemon();
	struct error err = {0};
	struct docker_version v = {0};
	struct docker_usage u = {0};
	struct docker_auth auth = {.server = "127.0.0.1:1", .username = "u"};
	OK(docker_version(d, &v, &err), err);
	assert_true(str_starts(v.api_version, "1."));
	docker_version_fini(&v);
	OK(docker_usage(d, &u, &err), err);
	assert_true(u.images_count > 0);
	assert_int_equal(docker_auth_check(d, &auth, &err), -1);
	assert_non_null(strstr(err.text, "log in to '127.0.0.1:1'"));
	err = (struct error){0};
	assert_int_equal(
		docker_image_pull(d, "127.0.0.1:1/none:1", NULL, &auth, NULL, NULL, &err), -1);
	assert_non_null(strstr(err.text, "pull '127.0.0.1:1/none:1': "));
}

/* Many threads on one object; for the thread sanitizer above all. */
static void *asker(void *arg)
{
	struct docker *shared = arg;
	for (int i = 0; i < 20; i++) {
		struct error err = {0};
		struct docker_container c = {0};
		if (docker_container_inspect(shared, box, &c, &err) != 0) {
			return (void *)1;
		}
		docker_container_fini(&c);
	}
	return NULL;
}

static void threads_share_one_object(void **state)
{
	(void)state;
	need_daemon();
	struct docker *shared = support_docker();
	pthread_t threads[8];
	struct docker_counters n;
	for (size_t i = 0; i < 8; i++) {
		assert_int_equal(pthread_create(&threads[i], NULL, asker, shared), 0);
	}
	for (size_t i = 0; i < 8; i++) {
		void *failed;
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	docker_counters(shared, &n);
	assert_true(n.requests >= 160);
	assert_true(n.dials <= 8); /* connections are used again */
	docker_free(shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exec_gives_both_streams_and_the_exit_code),
		cmocka_unit_test(exec_reads_its_input),
		cmocka_unit_test(exec_ends_at_its_time_out),
		cmocka_unit_test(a_cancelled_exec_ends_at_once),
		cmocka_unit_test(exec_with_a_terminal_is_a_descriptor),
		cmocka_unit_test(events_tell_start_and_death),
		cmocka_unit_test(an_image_is_saved_removed_and_loaded),
		cmocka_unit_test(garbage_is_not_loaded),
		cmocka_unit_test(a_build_gives_the_image_and_its_output),
		cmocka_unit_test(a_failed_build_has_the_daemons_words),
		cmocka_unit_test(a_build_session_speaks_http2),
		cmocka_unit_test(files_go_in_and_out),
		cmocka_unit_test(attach_is_a_descriptor),
		cmocka_unit_test(volumes_come_and_go),
		cmocka_unit_test(system_calls_answer),
		cmocka_unit_test(threads_share_one_object),
	};
	return cmocka_run_group_tests_name("docker streams", tests, setup, teardown);
}
