/* SPDX-License-Identifier: MIT */
/*
 * The gate, with the kernel's own packet filter, in a network namespace of the test's: what is in
 * front of a port waits, everything else passes, and nothing is left when the gatekeeper has ended.
 */
#include "../../../src/proxy/gate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define HTTP     80
#define HTTPS    443
#define OTHER    22
#define WAITS_MS 300   /* an open port of loopback answers in less than one */
#define SENT_MS  10000 /* it sends again after 1 and 3 s */

static char folder[] = "/tmp/deploy-gate-XXXXXX";
static bool isolated;

static void path_of(const char *name, char out[64])
{
	snprintf(out, 64, "%s/%s", folder, name);
}

static void write_file(const char *name, const void *bytes, size_t len)
{
	char path[64];
	path_of(name, path);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
}

static socklen_t address(const char *ip, int port, struct sockaddr_storage *out)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, ip, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		return sizeof(*v4);
	}
	assert_int_equal(inet_pton(AF_INET6, ip, &v6->sin6_addr), 1);
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons((uint16_t)port);
	return sizeof(*v6);
}

static void listen_at(int port)
{
	struct sockaddr_storage a;
	socklen_t len = address("::", port, &a);
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
	assert_int_equal(listen(fd, 16), 0);
}

/* Begins to connect; the descriptor. */
static int begin_connect(const char *ip, int port)
{
	struct sockaddr_storage a;
	socklen_t len = address(ip, port, &a);
	int fd = socket(a.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_true(connect(fd, (struct sockaddr *)&a, len) == 0 || errno == EINPROGRESS);
	return fd;
}

/* Whether it stands within `ms`; waiting is no failure, being refused is. */
static bool connected(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int error = 0;
	socklen_t len = sizeof(error);
	if (poll(&p, 1, ms) == 0) {
		return false;
	}
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len), 0);
	assert_int_equal(error, 0);
	return true;
}

static void assert_passes(const char *ip, int port)
{
	int fd = begin_connect(ip, port);
	assert_true(connected(fd, SENT_MS));
	close(fd);
}

static int assert_waits(const char *ip, int port)
{
	int fd = begin_connect(ip, port);
	assert_false(connected(fd, WAITS_MS));
	return fd;
}

static int held = -1; /* what the gatekeeper's input hangs on */

/* Its process, and in *words what it says first. */
static pid_t keep(const char *seconds, char words[128])
{
	char program[64], rules[64];
	int out[2], in[2];
	path_of("gatekeeper", program);
	path_of("rules", rules);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(in[0], STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		execl(program, program, rules, seconds, (char *)NULL);
		_exit(127);
	}
	close(out[1]);
	close(in[0]);
	held = in[1];
	size_t len = 0;
	for (ssize_t n; (n = read(out[0], words + len, 127 - len)) > 0;) {
		len += (size_t)n;
		if (words[len - 1] == '\n') {
			break;
		}
	}
	words[len] = '\0';
	close(out[0]);
	return pid;
}

static void write_rules(const struct docker_ports *ports)
{
	struct error err = {0};
	CLEANUP_STR struct str rules = STR_INIT(STR_MAX_LINE);
	assert_int_equal(gate_rules("test-gate", ports, &rules, &err), 0);
	write_file("rules", str_c(&rules), rules.len);
}

static pid_t shut(const struct docker_ports *ports, const char *seconds)
{
	char words[128];
	write_rules(ports);
	pid_t pid = keep(seconds, words);
	assert_string_equal(words, "shut\n");
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(held);
}

#define PORTS(...)                                                                                 \
	&(struct docker_ports)                                                                     \
	{                                                                                          \
		.p = (struct docker_port[]){__VA_ARGS__},                                          \
		.len = sizeof((struct docker_port[]){__VA_ARGS__}) / sizeof(struct docker_port)    \
	}

static void need_namespace(void)
{
	if (!isolated) {
		skip();
	}
}

static void what_is_new_waits_until_it_opens(void **state)
{
	(void)state;
	need_namespace();
	int before = begin_connect("127.0.0.1", HTTP);
	assert_true(connected(before, SENT_MS));
	pid_t keeper = shut(PORTS({.host_port = HTTP}, {.host_port = HTTPS}), "60");
	int waits[] = {assert_waits("127.0.0.1", HTTP), assert_waits("127.0.0.7", HTTPS),
		assert_waits("::1", HTTP)};
	assert_passes("127.0.0.1", OTHER);
	/* One that stands goes on. */
	assert_int_equal(write(before, "x", 1), 1);
	int unsent = 1;
	for (int i = 0; i < 100 && unsent > 0; i++) {
		assert_int_equal(ioctl(before, TIOCOUTQ, &unsent), 0);
		usleep(10000);
	}
	assert_int_equal(unsent, 0); /* acknowledged */
	/* Killed: the kernel takes the rules away, and what waited goes through. */
	end(keeper);
	for (size_t i = 0; i < 3; i++) {
		assert_true(connected(waits[i], SENT_MS));
		close(waits[i]);
	}
	close(before);
}

static void only_the_addresses_that_are_published(void **state)
{
	(void)state;
	need_namespace();
	char v4[] = "127.0.0.2", v6[] = "::1";
	pid_t keeper =
		shut(PORTS({.host_ip = v4, .host_port = HTTP}, {.host_ip = v6, .host_port = HTTPS}),
			"60");
	close(assert_waits("127.0.0.2", HTTP));
	close(assert_waits("::1", HTTPS));
	assert_passes("127.0.0.1", HTTP);
	assert_passes("127.0.0.2", HTTPS);
	assert_passes("::1", HTTP);
	end(keeper);
	assert_passes("127.0.0.2", HTTP);
}

static void it_opens_when_nobody_holds_it(void **state)
{
	(void)state;
	need_namespace();
	int status = -1;
	pid_t keeper = shut(PORTS({.host_port = HTTP}), "60");
	int waits = assert_waits("127.0.0.1", HTTP);
	close(held);
	assert_int_equal(waitpid(keeper, &status, 0), keeper);
	assert_int_equal(status, 0);
	assert_true(connected(waits, SENT_MS));
	close(waits);
}

static void it_opens_by_the_clock(void **state)
{
	(void)state;
	need_namespace();
	int status = -1;
	pid_t keeper = shut(PORTS({.host_port = HTTP}), "1");
	int waits = assert_waits("127.0.0.1", HTTP);
	assert_int_equal(waitpid(keeper, &status, 0), keeper);
	assert_int_equal(status, 0);
	assert_true(connected(waits, SENT_MS));
	close(waits);
	close(held);
}

/* Two at once are two owners of one table: the second one says so, and the first one keeps it. */
static void what_the_kernel_refuses_is_said(void **state)
{
	(void)state;
	need_namespace();
	char words[128];
	int status = 0;
	pid_t keeper = shut(PORTS({.host_port = HTTP}), "60");
	int first = held;
	pid_t second = keep("60", words);
	assert_int_equal(waitpid(second, &status, 0), second);
	close(held);
	held = first;
	assert_int_equal(WEXITSTATUS(status), 1);
	assert_string_equal(words, "the kernel refuses the packet filter: error 1\n");
	close(assert_waits("127.0.0.1", HTTP));
	end(keeper);
	write_file("rules", "", 0);
	end(keep("60", words));
	assert_string_equal(words, "cannot read the rules: error 0\n");
}

static void an_address_that_is_none_is_refused(void **state)
{
	(void)state;
	struct error err = {0};
	char name[] = "eth0";
	CLEANUP_STR struct str rules = STR_INIT(STR_MAX_LINE);
	assert_int_equal(
		gate_rules("t", PORTS({.host_ip = name, .host_port = HTTP}), &rules, &err), -1);
	assert_string_equal(err.text, "'eth0' is no IP address");
}

static void up(const char *name)
{
	struct ifreq r = {.ifr_flags = IFF_UP};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &r), 0);
	close(fd);
}

static int begin_all(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(folder));
	write_file("gatekeeper", gatekeeper, gatekeeper_len);
	int spaces = CLONE_NEWNET | (getuid() == 0 ? 0 : CLONE_NEWUSER);
	isolated = gatekeeper_len > 0 && unshare(spaces) == 0;
	if (!isolated) {
		print_message("# skipped: no network namespace of one's own here\n");
		return 0;
	}
	up("lo");
	listen_at(HTTP);
	listen_at(HTTPS);
	listen_at(OTHER);
	return 0;
}

static int end_all(void **state)
{
	char path[64];
	(void)state;
	path_of("gatekeeper", path);
	unlink(path);
	path_of("rules", path);
	unlink(path);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_new_waits_until_it_opens),
		cmocka_unit_test(only_the_addresses_that_are_published),
		cmocka_unit_test(it_opens_when_nobody_holds_it),
		cmocka_unit_test(it_opens_by_the_clock),
		cmocka_unit_test(what_the_kernel_refuses_is_said),
		cmocka_unit_test(an_address_that_is_none_is_refused),
	};
	return cmocka_run_group_tests_name("proxy/gate", tests, begin_all, end_all);
}
