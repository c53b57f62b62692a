/* SPDX-License-Identifier: MIT */
/* A session against a real sshd: channels as descriptors. */
#include "sshd.h"

#include "ssh/exec.h"
#include "ssh/listener.h"
#include "util/digest.h"
#include "util/thread.h"

#include <sys/ioctl.h>

static struct sshd server;
static struct ssh_session *session;

static int start(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	if (sshd_start(&server, NULL)) {
		session = sshd_session(&server);
	}
	return 0;
}

static int stop(void **state)
{
	(void)state;
	ssh_session_close(session);
	sshd_stop(&server);
	return 0;
}

#define NEED_SSHD()                                                                                \
	do {                                                                                       \
		if (session == NULL) {                                                             \
			print_message("no %s here\n", SSHD);                                       \
			skip();                                                                    \
		}                                                                                  \
	} while (0)

static struct error why;

#define must(expression)                                                                           \
	do {                                                                                       \
		why = (struct error){0};                                                           \
		if ((expression) < 0) {                                                            \
			fail_msg("%s: %s", #expression, why.text);                                 \
		}                                                                                  \
	} while (0)

/* An echo server: gives back what it gets, and EOF after EOF. */
struct echo {
	int fd;
	pthread_t thread;
};

static void *echo_one(void *arg)
{
	int fd = *(int *)arg;
	char buf[65536];
	ssize_t n;

	free(arg);
	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		if (fd_write_all(fd, buf, (size_t)n) < 0) {
			break;
		}
	}
	close(fd);
	return NULL;
}

static void *echo_main(void *arg)
{
	struct echo *e = arg;

	for (;;) {
		int *fd = malloc(sizeof(*fd));
		*fd = accept(e->fd, NULL, NULL);
		if (*fd < 0) {
			free(fd);
			return NULL;
		}
		pthread_t t;
		assert_int_equal(thread_start(&t, echo_one, fd), 0);
		pthread_detach(t);
	}
}

static void echo_start(struct echo *e, int fd)
{
	e->fd = fd;
	assert_int_equal(thread_start(&e->thread, echo_main, e), 0);
}

static void echo_stop(struct echo *e)
{
	shutdown(e->fd, SHUT_RDWR);
	pthread_join(e->thread, NULL);
	close(e->fd);
}

static int listen_unix(char path[108])
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/echo.sock", server.dir);
	snprintf(path, 108, "%s", sun.sun_path);
	unlink(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(listen(fd, 128), 0);
	return fd;
}

static void ping_pong(int fd, const char *text)
{
	char buf[64] = {0};
	size_t got = 0;

	assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
	while (got < strlen(text)) {
		ssize_t n = read(fd, buf + got, sizeof(buf) - got);
		assert_true(n > 0);
		got += (size_t)n;
	}
	assert_string_equal(buf, text);
}

static void unix_socket_echoes(void **state)
{
	char path[108];
	struct echo e;
	int fd;

	(void)state;
	NEED_SSHD();
	echo_start(&e, listen_unix(path));
	must(fd = ssh_open_unix(session, path, &why));
	ping_pong(fd, "hello");
	/* Half-close: EOF there, its EOF back. */
	shutdown(fd, SHUT_WR);
	char c;
	assert_int_equal(read(fd, &c, 1), 0);
	close(fd);
	echo_stop(&e);
}

static void missing_socket_is_refused(void **state)
{
	struct error err = {0};

	(void)state;
	NEED_SSHD();
	assert_int_equal(ssh_open_unix(session, "/nowhere/at.sock", &err), -1);
	assert_int_equal(err.kind, ERROR_REMOTE);
	assert_int_equal(err.status, SSH_OPEN_CONNECT_FAILED);
	assert_true(ssh_session_alive(session));
}

static void tcp_echoes(void **state)
{
	int port;
	struct echo e;
	int fd;

	(void)state;
	NEED_SSHD();
	echo_start(&e, listen_loopback(&port));
	must(fd = ssh_open_tcp(session, "127.0.0.1", port, &why));
	ping_pong(fd, "over tcp");
	close(fd);
	echo_stop(&e);
	struct error err = {0};
	assert_int_equal(ssh_open_tcp(session, "127.0.0.1", port, &err), -1);
	assert_int_equal(err.status, SSH_OPEN_CONNECT_FAILED);
}

static void many_channels_at_once(void **state)
{
	enum { N = 50 };
	char path[108];
	struct echo e;
	struct ssh_pending *p[N];
	int fd[N];

	(void)state;
	NEED_SSHD();
	echo_start(&e, listen_unix(path));
	for (int i = 0; i < N; i++) {
		p[i] = ssh_open_unix_start(session, path);
	}
	for (int i = 0; i < N; i++) {
		must(fd[i] = ssh_pending_wait(p[i], &why));
	}
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < N; i++) {
			char text[64];
			snprintf(text, sizeof(text), "channel %d round %d", i, round);
			ping_pong(fd[i], text);
		}
	}
	for (int i = 0; i < N; i++) {
		close(fd[i]);
	}
	struct ssh_stats stats;
	for (int i = 0; i < 500; i++) {
		ssh_session_stats(session, &stats);
		if (stats.open == 0) {
			break;
		}
		usleep(10000);
	}
	assert_int_equal(stats.open, 0);
	echo_stop(&e);
}

static void cancelled_pending_is_closed(void **state)
{
	char path[108];
	struct echo e;

	(void)state;
	NEED_SSHD();
	echo_start(&e, listen_unix(path));
	for (int i = 0; i < 10; i++) {
		ssh_pending_cancel(ssh_open_unix_start(session, path));
	}
	int fd;
	must(fd = ssh_open_unix(session, path, &why));
	ping_pong(fd, "still there");
	close(fd);
	echo_stop(&e);
}

#define BULK  ((size_t)100 << 20)
#define BLOCK ((size_t)256 << 10)

static void fill(unsigned char *p, size_t len, uint64_t *seed)
{
	for (size_t i = 0; i + 8 <= len; i += 8) {
		*seed = *seed * 6364136223846793005u + 1442695040888963407u;
		memcpy(p + i, seed, 8);
	}
}

struct bulk {
	int fd;
	char hex[DIGEST_HEX_SIZE];
	size_t bytes;
};

static void *bulk_reader(void *arg)
{
	struct bulk *b = arg;
	unsigned char *buf = malloc(BLOCK);
	struct digest *d = digest_new();
	ssize_t n;

	while ((n = read(b->fd, buf, BLOCK)) > 0) {
		digest_update(d, buf, (size_t)n);
		b->bytes += (size_t)n;
	}
	digest_hex(d, b->hex);
	digest_free(d);
	free(buf);
	return NULL;
}

static void hundred_megabytes_both_ways(void **state)
{
	char path[108];
	struct echo e;
	struct bulk b = {0};
	pthread_t t;
	uint64_t seed = 1;
	char hex[DIGEST_HEX_SIZE];

	(void)state;
	NEED_SSHD();
	echo_start(&e, listen_unix(path));
	must(b.fd = ssh_open_unix(session, path, &why));
	assert_int_equal(thread_start(&t, bulk_reader, &b), 0);
	unsigned char *buf = malloc(BLOCK);
	struct digest *d = digest_new();
	int64_t begin = clock_mono_ms();
	for (size_t done = 0; done < BULK; done += BLOCK) {
		fill(buf, BLOCK, &seed);
		digest_update(d, buf, BLOCK);
		assert_int_equal(fd_write_all(b.fd, buf, BLOCK), 0);
	}
	shutdown(b.fd, SHUT_WR);
	pthread_join(t, NULL);
	int64_t ms = clock_mono_ms() - begin;
	digest_hex(d, hex);
	digest_free(d);
	free(buf);
	close(b.fd);
	print_message("echo of 100 MB with digests: %d ms\n", (int)ms);
	assert_int_equal(b.bytes, BULK);
	assert_string_equal(b.hex, hex);
	echo_stop(&e);
}

static void slow_reader_gets_everything(void **state)
{
	struct ssh_exec x = {0};
	struct ssh_exec_request req = {.command = "head -c 30000000 /dev/zero; printf end >&2"};
	size_t got = 0;
	ssize_t n;
	char buf[100000];
	int status = -1;

	(void)state;
	NEED_SSHD();
	must(ssh_exec_start(session, &req, &x, &why));
	usleep(300000);
	while ((n = read(x.fd, buf, sizeof(buf))) > 0) {
		got += (size_t)n;
		if (got < 1000000) {
			usleep(1000);
		}
	}
	assert_int_equal(got, 30000000);
	n = read(x.err_fd, buf, sizeof(buf));
	assert_int_equal(n, 3);
	must(ssh_exec_wait(&x, 5000, &status, NULL, &why));
	assert_int_equal(status, 0);
	ssh_exec_fini(&x);
}

static void exec_tells_status_and_signal(void **state)
{
	int status = -1;
	CLEANUP_STR struct str out = STR_INIT(1000);
	CLEANUP_STR struct str errout = STR_INIT(1000);
	char name[SSH_SIGNAL_SIZE] = "";

	(void)state;
	NEED_SSHD();
	must(ssh_run(session, "cat; echo to-stderr >&2; exit 7", "input", 5, &out, &errout, 10000,
		&status, &why));
	assert_int_equal(status, 7);
	assert_string_equal(str_c(&out), "input");
	assert_string_equal(str_c(&errout), "to-stderr\n");
	struct ssh_exec x = {0};
	struct ssh_exec_request req = {.command = "kill -TERM $$"};
	must(ssh_exec_start(session, &req, &x, &why));
	must(ssh_exec_wait(&x, 10000, &status, name, &why));
	assert_int_equal(status, 128 + SIGTERM);
	assert_string_equal(name, "TERM");
	ssh_exec_fini(&x);
}

static void exec_time_out_hangs_it_up(void **state)
{
	int status;
	struct error err = {0};
	CLEANUP_STR struct str out = STR_INIT(1000);

	(void)state;
	NEED_SSHD();
	assert_int_equal(ssh_run(session, "sleep 60", NULL, 0, &out, NULL, 200, &status, &err), -1);
	assert_int_equal(err.kind, ERROR_REMOTE);
	assert_true(ssh_session_alive(session));
}

static void terminal_has_its_size(void **state)
{
	struct ssh_exec x = {0};
	struct ssh_exec_request req = {
		.command = "stty size; read x; stty size", .pty = true, .cols = 101, .rows = 33};
	CLEANUP_STR struct str out = STR_INIT(1000);
	char buf[256];
	ssize_t n;
	int status;

	(void)state;
	NEED_SSHD();
	must(ssh_exec_start(session, &req, &x, &why));
	assert_int_equal(x.err_fd, -1);
	while (strstr(str_c(&out), "33 101\r\n") == NULL) {
		n = read(x.fd, buf, sizeof(buf));
		assert_true(n > 0);
		str_addn(&out, buf, (size_t)n);
	}
	ssh_exec_resize(&x, 120, 40);
	usleep(100000);
	assert_int_equal(fd_write_all(x.fd, "\n", 1), 0);
	while ((n = read(x.fd, buf, sizeof(buf))) > 0) {
		str_addn(&out, buf, (size_t)n);
	}
	assert_non_null(strstr(str_c(&out), "40 120"));
	must(ssh_exec_wait(&x, 5000, &status, NULL, &why));
	ssh_exec_fini(&x);
}

static void reverse_forward_accepts(void **state)
{
	int port = 0;
	struct error err = {0};

	(void)state;
	NEED_SSHD();
	struct ssh_listener *l = ssh_listen(session, "127.0.0.1", 0, &port, &err);
	assert_non_null(l);
	assert_true(port > 0);
	assert_int_equal(ssh_listener_accept(l, 50, &err), -1);
	assert_int_equal(err.kind, ERROR_NONE);
	for (int i = 0; i < 20; i++) {
		int out = connect_loopback(port);
		assert_true(out >= 0);
		struct pollfd p = {.fd = ssh_listener_fd(l), .events = POLLIN};
		assert_int_equal(poll(&p, 1, 5000), 1);
		int in = ssh_listener_accept(l, 5000, &err);
		assert_true(in >= 0);
		char c = 0;
		assert_int_equal(fd_write_all(out, "x", 1), 0);
		assert_int_equal(read(in, &c, 1), 1);
		assert_int_equal(c, 'x');
		assert_int_equal(fd_write_all(in, "y", 1), 0);
		assert_int_equal(read(out, &c, 1), 1);
		assert_int_equal(c, 'y');
		close(i % 2 ? in : out);
		assert_int_equal(read(i % 2 ? out : in, &c, 1), 0);
		close(i % 2 ? out : in);
	}
	ssh_listener_close(l);
	usleep(50000);
	int fd = connect_loopback(port);
	assert_int_equal(fd, -1);
}

static void dead_server_is_told(void **state)
{
	struct error err = {0};
	char c;

	(void)state;
	NEED_SSHD();
	struct sshd other;
	assert_true(sshd_start(&other, NULL));
	struct ssh_session *s = sshd_session(&other);
	struct ssh_exec x = {0};
	struct ssh_exec_request req = {.command = "cat"};
	must(ssh_exec_start(s, &req, &x, &why));
	ping_pong(x.fd, "up");
	sshd_kill(&other);
	assert_int_equal(read(x.fd, &c, 1), 0);
	int status;
	assert_int_equal(ssh_exec_wait(&x, 5000, &status, NULL, &err), -1);
	assert_int_equal(err.kind, ERROR_CONNECT);
	assert_non_null(strstr(err.text, "connection lost"));
	assert_int_equal(ssh_session_error(s, &err), -1);
	assert_int_equal(ssh_open_unix(s, "/x", &err), -1);
	assert_int_equal(err.kind, ERROR_CONNECT);
	ssh_exec_fini(&x);
	ssh_session_close(s);
	sshd_stop(&other);
}

static void frozen_server_is_told(void **state)
{
	struct error err = {0};
	char c;
	char pids[32];

	(void)state;
	NEED_SSHD();
	struct sshd other;
	assert_true(sshd_start(&other, NULL));
	struct ssh_options o = sshd_options(&other);
	o.keepalive_ms = 200;
	struct ssh_session *s = sshd_open(&o, &err);
	assert_non_null(s);
	struct ssh_exec x = {0};
	struct ssh_exec_request req = {.command = "echo $PPID; exec cat"};
	must(ssh_exec_start(s, &req, &x, &why));
	ssize_t n = read(x.fd, pids, sizeof(pids) - 1);
	assert_true(n > 0);
	pids[n] = '\0';
	pid_t pid = (pid_t)strtol(pids, NULL, 10);
	usleep(500000); /* three intervals of silence, answered by the server */
	ping_pong(x.fd, "alive");
	kill(pid, SIGSTOP);
	int64_t begin = clock_mono_ms();
	assert_int_equal(read(x.fd, &c, 1), 0);
	assert_true(clock_mono_ms() - begin < 3000);
	assert_int_equal(ssh_session_error(s, &err), -1);
	assert_non_null(strstr(err.text, "no answer"));
	kill(pid, SIGCONT);
	ssh_exec_fini(&x);
	ssh_session_close(s);
	sshd_stop(&other);
}

static void close_with_open_channels_is_quick(void **state)
{
	struct ssh_exec x = {0};
	struct ssh_exec_request req = {.command = "yes"};
	char c;

	(void)state;
	NEED_SSHD();
	struct ssh_session *s = sshd_session(&server);
	must(ssh_exec_start(s, &req, &x, &why));
	assert_int_equal(read(x.fd, &c, 1), 1);
	int64_t begin = clock_mono_ms();
	ssh_session_close(s);
	assert_true(clock_mono_ms() - begin < 2000);
	while (read(x.fd, &c, 1) > 0) {
	}
	ssh_exec_fini(&x);
}

static void idle_session_lives(void **state)
{
	(void)state;
	NEED_SSHD();
	struct sshd other;
	struct error err = {0};
	assert_true(sshd_start(&other, "ClientAliveInterval 1\nClientAliveCountMax 2"));
	struct ssh_options o = sshd_options(&other);
	o.keepalive_ms = 1000;
	struct ssh_session *s = sshd_open(&o, &err);
	assert_non_null(s);
	usleep(4500000);
	assert_true(ssh_session_alive(s));
	int status = -1;
	/* A machine that writes a gigabyte beside it may take seconds for a login shell. */
	must(ssh_run(s, "true", NULL, 0, NULL, NULL, 30000, &status, &why));
	assert_int_equal(status, 0);
	ssh_session_close(s);
	sshd_stop(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unix_socket_echoes),
		cmocka_unit_test(missing_socket_is_refused),
		cmocka_unit_test(tcp_echoes),
		cmocka_unit_test(many_channels_at_once),
		cmocka_unit_test(cancelled_pending_is_closed),
		cmocka_unit_test(hundred_megabytes_both_ways),
		cmocka_unit_test(slow_reader_gets_everything),
		cmocka_unit_test(exec_tells_status_and_signal),
		cmocka_unit_test(exec_time_out_hangs_it_up),
		cmocka_unit_test(terminal_has_its_size),
		cmocka_unit_test(reverse_forward_accepts),
		cmocka_unit_test(dead_server_is_told),
		cmocka_unit_test(frozen_server_is_told),
		cmocka_unit_test(close_with_open_channels_is_quick),
		cmocka_unit_test(idle_session_lives),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
