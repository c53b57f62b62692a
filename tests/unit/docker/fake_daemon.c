/* SPDX-License-Identifier: MIT */
/*
 * The client against a FAKE daemon, for answers that a real one cannot be made to give: garbage,
 * half JSON, errors without words, endless answers, silence.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "docker/container.h"
#include "docker/events.h"
#include "docker/image.h"
#include "docker/system.h"
#include "util/clock.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define PING "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nServer: Fake\r\nContent-Length: 2\r\n\r\nOK"
#define PING_PODMAN                                                                                \
	"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nServer: Libpod/5.4.2 (linux)\r\n"                 \
	"Libpod-Api-Version: 5.4.2\r\nContent-Length: 2\r\n\r\nOK"
#define HEAD_JSON "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

struct fake {
	const char *answer; /* after the request; NULL: nothing is said */
	const char *next;   /* after each further one; NULL: nothing */
	size_t repeat;      /* the `filler` so many times behind it */
	const char *filler;
	bool close; /* at once afterwards; else when the client does */
	pthread_t threads[8];
	int nthreads;
	atomic_int served;
	char asked[8192]; /* of a connection that is not closed at once: what came, as text */
};

struct connection {
	struct fake *fake;
	int fd;
};

static bool send_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t k = send(fd, p, n, MSG_NOSIGNAL);
		if (k <= 0) {
			return false;
		}
		p += k;
		n -= (size_t)k;
	}
	return true;
}

static void *serve(void *arg)
{
	struct connection c = *(struct connection *)arg;
	char buf[65536];
	free(arg);
	ssize_t asked = recv(c.fd, buf, sizeof(buf), 0);
	atomic_fetch_add(&c.fake->served, 1);
	bool open = !c.fake->answer || send_all(c.fd, c.fake->answer, strlen(c.fake->answer));
	for (size_t i = 0; open && i < c.fake->repeat; i++) {
		open = send_all(c.fd, c.fake->filler, strlen(c.fake->filler));
	}
	size_t at = 0;
	while (open && !c.fake->close && asked > 0) {
		for (ssize_t i = 0; i < asked && at + 1 < sizeof(c.fake->asked); i++) {
			c.fake->asked[at++] = buf[i];
		}
		asked = recv(c.fd, buf, sizeof(buf), 0);
		if (asked > 0 && c.fake->next) {
			open = send_all(c.fd, c.fake->next, strlen(c.fake->next));
		}
	}
	close(c.fd);
	return NULL;
}

static int dial(void *ctx, struct error *err)
{
	struct fake *f = ctx;
	int fds[2];
	if (f->nthreads == 8 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) {
		return error_set(err, ERROR_CONNECT, "the fake is busy");
	}
	struct connection *c = malloc(sizeof(*c));
	*c = (struct connection){f, fds[1]};
	pthread_create(&f->threads[f->nthreads++], NULL, serve, c);
	return fds[0];
}

static struct docker *start(struct fake *f)
{
	struct docker_dialer dialer = {.dial = dial, .ctx = f};
	struct docker *d = docker_new(&dialer, "app1");
	docker_set_timeout(d, 500);
	return d;
}

static void stop(struct fake *f, struct docker *d)
{
	docker_free(d);
	for (int i = 0; i < f->nthreads; i++) {
		pthread_join(f->threads[i], NULL);
	}
}

/* An inspect against that answer fails with that text. */
static void expect(const char *answer, int sys, int status, const char *words)
{
	struct fake f = {.answer = answer, .close = true};
	struct error err = {0};
	struct docker_container c = {0};
	struct docker *d = start(&f);
	assert_int_equal(docker_container_inspect(d, "x", &c, &err), -1);
	stop(&f, d);
	if (!strstr(err.text, words) || err.sys != sys || err.status != status) {
		fail_msg("'%s' (%d, %d), expected '%s'", err.text, err.sys, err.status, words);
	}
	assert_int_equal(err.kind, ERROR_REMOTE);
	assert_true(str_starts(err.text, "inspect container 'x': "));
	assert_null(strchr(err.text, '{'));
	assert_null(strchr(err.text, '\n'));
}

static void wrong_answers_are_clear_errors(void **state)
{
	(void)state;
	expect("SSH-2.0-OpenSSH_9.2\r\n", EPROTO, 0, "not HTTP");
	expect("\0\0\0", ECONNRESET, 0, "without an answer");
	expect("HTTP/1.1 200", ECONNRESET, 0, "breaks off in its head");
	expect("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK", EPROTO, 0, "no Docker daemon");
	expect(PING HEAD_JSON "Content-Length: 9\r\n\r\n{\"Id\": \"x", EPROTO, 0, "not whole JSON");
	expect(PING HEAD_JSON "Content-Length: 99\r\n\r\n{\"Id\": \"x", ECONNRESET, 0,
		"breaks off");
	expect(PING HEAD_JSON "Content-Length: -5\r\n\r\n", EPROTO, 0, "not HTTP");
	expect(PING HEAD_JSON "Content-Length: 99999999999\r\n\r\n", EMSGSIZE, 0, "99999999999");
	expect(PING HEAD_JSON "Transfer-Encoding: chunked\r\n\r\nzz\r\n", EPROTO, 0, "not HTTP");
	expect(PING HEAD_JSON "Content-Length: 2\r\n\r\n[]", 0, 0, "of another kind");
	expect(PING HEAD_JSON "Content-Length: 0\r\n\r\n", 0, 0, "of another kind");
}

static void statuses_are_errors_with_the_daemons_words(void **state)
{
	(void)state;
	expect(PING "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", 0, 500, "HTTP 500 without");
	expect(PING "HTTP/1.1 500 Oops\r\nContent-Length: 8\r\n\r\n{\"a\":[1]", 0, 500,
		"HTTP 500 without");
	expect(PING
		"HTTP/1.1 404 x\r\nContent-Length: 32\r\n\r\n{\"message\":\"No such\\ncontainer\"}",
		0, 404, "inspect container 'x': No such container");
	expect(PING "HTTP/1.1 502 x\r\nContent-Length: 18\r\n\r\nBad gateway.\r\n\r\n...", 0, 502,
		"Bad gateway.");
	expect(PING "HTTP/1.1 301 Moved\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", 0, 301,
		"301");
}

static void an_old_daemon_is_refused(void **state)
{
	(void)state;
	expect("HTTP/1.1 200 OK\r\nApi-Version: 1.39\r\nContent-Length: 2\r\n\r\nOK", 0, 0,
		"Docker is too old: its API version is 1.39, at least 1.40");
}

static void silence_ends_at_the_time_out(void **state)
{
	(void)state;
	struct fake f = {0};
	struct error err = {0};
	struct docker_container c = {0};
	struct docker *d = start(&f);
	int64_t began = clock_mono_ms();
	assert_int_equal(docker_container_inspect(d, "x", &c, &err), -1);
	assert_int_equal(err.sys, ETIMEDOUT);
	assert_true(clock_mono_ms() - began < 3000);
	stop(&f, d);
}

static long peak_kib(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return u.ru_maxrss;
}

/* Far more than the bounds, in every place; memory does not grow with it. */
static void endless_answers_are_cut(void **state)
{
	(void)state;
	char *filler = malloc((1 << 20) + 1);
	memset(filler, 'x', 1 << 20);
	filler[1 << 20] = '\0';
	static const char *const begins[] = {"HTTP/1.1 200 OK\r\nX: ", PING HEAD_JSON "\r\n[\"",
		PING "HTTP/1.1 500 x\r\n\r\n{\"message\":\"",
		PING "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;"};
	long before = peak_kib();
	for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++) {
		struct fake f = {.answer = begins[i], .repeat = 10000, .filler = filler};
		struct error err = {0};
		struct docker_container c = {0};
		struct docker *d = start(&f);
		docker_set_timeout(d, 10000);
		assert_int_equal(docker_container_inspect(d, "x", &c, &err), -1);
		assert_true(err.sys == EMSGSIZE || err.sys == EPROTO || err.status == 500);
		stop(&f, d);
	}
	assert_true(peak_kib() - before < 128 << 10);
	free(filler);
}

static void an_endless_progress_line_is_cut(void **state)
{
	(void)state;
	struct fake f = {.answer = PING, .repeat = 0};
	struct error err = {0};
	struct docker_ping ping;
	struct docker *d = start(&f);
	assert_int_equal(docker_ping(d, true, &ping, &err), 0);
	stop(&f, d);
	char *filler = malloc((1 << 20) + 1);
	memset(filler, ' ', 1 << 20);
	filler[1 << 20] = '\0';
	f = (struct fake){.answer = PING "HTTP/1.1 200 OK\r\n\r\n{\"status\":",
		.repeat = 100,
		.filler = filler};
	d = start(&f);
	struct docker_events *e = docker_events_open(d, NULL, 0, &err);
	assert_non_null(e);
	struct docker_event event;
	assert_int_equal(docker_events_next(e, &event, 5000, &err), -1);
	assert_int_equal(err.sys, EMSGSIZE);
	docker_events_close(e);
	stop(&f, d);
	free(filler);
}

static ssize_t zeros(void *ctx, void *buf, size_t n, struct error *err)
{
	(void)err;
	memset(buf, 0, n);
	*(uint64_t *)ctx += n;
	return (ssize_t)n;
}

static ssize_t broken(void *ctx, void *buf, size_t n, struct error *err)
{
	(void)ctx;
	(void)buf;
	(void)n;
	return error_set(err, ERROR_INTERNAL, "the disk is gone");
}

/* A daemon that refuses an upload does not get all of it, and its words are told. */
static void an_upload_ends_with_the_refusal(void **state)
{
	(void)state;
	struct fake f = {.answer = PING
			 "HTTP/1.1 507 Full\r\nConnection: close\r\nContent-Length: 30\r\n\r\n"
			 "{\"message\":\"no space left...\"}",
		.close = true};
	struct error err = {0};
	struct docker *d = start(&f);
	uint64_t sent = 0;
	struct http_source source = {.read = zeros, .ctx = &sent, .length = -1};
	assert_int_equal(docker_image_load(d, &source, NULL, NULL, &err), -1);
	assert_int_equal(err.status, 507);
	assert_non_null(strstr(err.text, "load image: no space left..."));
	assert_true(sent < 64 << 20);
	stop(&f, d);
}

static void a_failing_source_is_the_error(void **state)
{
	(void)state;
	struct fake f = {.answer = PING};
	struct error err = {0};
	struct docker *d = start(&f);
	struct http_source source = {.read = broken, .length = -1};
	assert_int_equal(docker_image_load(d, &source, NULL, NULL, &err), -1);
	assert_string_equal(err.text, "load image: the disk is gone");
	stop(&f, d);
}

/* A connection that was closed while idle costs no error. */
static void a_closed_idle_connection_is_replaced(void **state)
{
	(void)state;
	struct fake f = {.answer = PING HEAD_JSON "Content-Length: 2\r\n\r\n{}", .close = true};
	struct error err = {0};
	struct docker_info info = {0};
	struct docker *d = start(&f);
	assert_int_equal(docker_info(d, &info, &err), 0);
	docker_info_fini(&info);
	pthread_join(f.threads[0], NULL); /* its end is closed now */
	f.answer = HEAD_JSON "Content-Length: 2\r\n\r\n{}";
	assert_int_equal(docker_info(d, &info, &err), 0);
	docker_info_fini(&info);
	docker_free(d);
	pthread_join(f.threads[1], NULL);
	assert_int_equal(atomic_load(&f.served), 2);
}

static void expect_pull(const char *ping, const char *reference, const char *request)
{
	struct fake f = {.answer = ping, .next = HEAD_JSON "Content-Length: 0\r\n\r\n"};
	struct error err = {0};
	struct docker *d = start(&f);
	if (docker_image_pull(d, reference, NULL, NULL, NULL, NULL, &err) != 0) {
		fail_msg("%s", err.text);
	}
	stop(&f, d);
	assert_non_null(strstr(f.asked, request));
}

/* From a registry on loopback podman pulls without TLS only when its own API is asked. */
static void podman_is_told_that_loopback_has_no_tls(void **state)
{
	(void)state;
	expect_pull(PING, "127.0.0.1:5000/a/b:1",
		"POST /v1.41/images/create?fromImage=127.0.0.1%3A5000%2Fa%2Fb&tag=1 ");
	expect_pull(PING_PODMAN, "127.0.0.1:5000/a/b:1",
		"POST "
		"/v1.41/libpod/images/"
		"pull?tlsVerify=false&reference=127.0.0.1%3A5000%2Fa%2Fb%3A1 ");
	expect_pull(PING_PODMAN, "ghcr.io/a/b:1",
		"POST /v1.41/images/create?fromImage=ghcr.io%2Fa%2Fb&tag=1 ");
}

static void list_images(const char *ping, const char *json, struct docker_image_list *images)
{
	CLEANUP_FREE char *answer =
		xasprintf("%s" HEAD_JSON "Content-Length: %zu\r\n\r\n%s", ping, strlen(json), json);
	struct fake f = {.answer = answer};
	struct error err = {0};
	struct docker *d = start(&f);
	assert_int_equal(docker_image_list(d, NULL, images, &err), 0);
	stop(&f, d);
}

/* As Docker 20.10 lists one that it was about to remove when it was killed. */
static void an_image_without_a_name_has_no_tags(void **state)
{
	(void)state;
	struct docker_image_list images = {0};
	list_images(PING,
		"[{\"Id\":\"sha256:1\",\"RepoTags\":[\"<none>:<none>\"],"
		"\"RepoDigests\":[\"<none>@<none>\"]}]",
		&images);
	assert_int_equal(images.len, 1);
	assert_int_equal(images.p[0].tags.len, 0);
	assert_int_equal(images.p[0].digests.len, 0);
	docker_image_list_fini(&images);
}

static void podmans_image_names_are_those_of_docker(void **state)
{
	(void)state;
	struct docker_image_list images = {0};
	list_images(PING_PODMAN,
		"[{\"Id\":\"sha256:1\",\"RepoTags\":[\"docker.io/library/caddy:2\","
		"\"docker.io/acme/app:3\",\"localhost/x:1\",\"ghcr.io/a/b:2\"]}]",
		&images);
	assert_int_equal(images.len, 1);
	assert_int_equal(images.p[0].tags.len, 4);
	assert_string_equal(images.p[0].tags.p[0], "caddy:2");
	assert_string_equal(images.p[0].tags.p[1], "acme/app:3");
	assert_string_equal(images.p[0].tags.p[2], "localhost/x:1");
	assert_string_equal(images.p[0].tags.p[3], "ghcr.io/a/b:2");
	docker_image_list_fini(&images);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrong_answers_are_clear_errors),
		cmocka_unit_test(statuses_are_errors_with_the_daemons_words),
		cmocka_unit_test(an_old_daemon_is_refused),
		cmocka_unit_test(silence_ends_at_the_time_out),
		cmocka_unit_test(endless_answers_are_cut),
		cmocka_unit_test(an_endless_progress_line_is_cut),
		cmocka_unit_test(an_upload_ends_with_the_refusal),
		cmocka_unit_test(a_failing_source_is_the_error),
		cmocka_unit_test(a_closed_idle_connection_is_replaced),
		cmocka_unit_test(podman_is_told_that_loopback_has_no_tls),
		cmocka_unit_test(an_image_without_a_name_has_no_tags),
		cmocka_unit_test(podmans_image_names_are_those_of_docker),
	};
	return cmocka_run_group_tests_name("docker client, fake daemon", tests, NULL, NULL);
}
