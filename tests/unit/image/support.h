/* SPDX-License-Identifier: MIT */
/* For tests against real daemons: the local one as builder, a second one as server. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "docker/image.h"
#include "docker/system.h"
#include "image/build.h"
#include "image/transfer.h"
#include "util/clock.h"
#include "util/digest.h"
#include "util/fs.h"
#include "util/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define OK(call, err)                                                                              \
	do {                                                                                       \
		if ((call) != 0) {                                                                 \
			fail_msg("%s: %s\n%s", #call, (err).text, (err).detail);                   \
		}                                                                                  \
	} while (0)

struct support {
	char dir[64];
	struct ui *ui;
	FILE *screen; /* what ui wrote */
	char *shown;
	size_t shown_len;
	struct docker *builder;
	pid_t dockerd; /* the second daemon */
	char *socket;
	struct docker *server;
	char suffix[16];
};

static inline void support_shell(struct support *s, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static inline void support_shell(struct support *s, const char *fmt, ...)
{
	CLEANUP_STR struct str script = STR_INIT(STR_MAX_FILE);
	CLEANUP_STR struct str out = STR_INIT(STR_MAX_FILE);
	const char *argv[] = {"sh", "-euc", NULL, NULL};
	const char *env[] = {"GIT_AUTHOR_NAME=Ann", "GIT_AUTHOR_EMAIL=ann@example.com",
		"GIT_COMMITTER_NAME=Ann", "GIT_COMMITTER_EMAIL=ann@example.com",
		"GIT_CONFIG_GLOBAL=/dev/null", NULL};
	struct proc_request req = {.argv = argv, .env = env, .dir = s->dir, .timeout_ms = 60000};
	struct proc_result result = {0};
	struct error err = {0};
	va_list ap;

	va_start(ap, fmt);
	str_vaddf(&script, fmt, ap);
	va_end(ap);
	argv[2] = str_c(&script);
	OK(proc_run(&req, &out, &out, &result, &err), err);
	if (result.status != 0) {
		fail_msg("%s: %s", str_c(&script), str_c(&out));
	}
}

static inline int support_dial(void *ctx, struct error *err)
{
	const struct support *s = ctx;
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", s->socket);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0) {
		int why = errno;
		close(fd);
		return error_sys(err, ERROR_CONNECT, why, "connect to '%s'", s->socket);
	}
	return fd;
}

/* NULL when it is there, else why these tests cannot run. */
static inline const char *support_begin(struct support *s)
{
	struct docker_dialer dialer = {.dial = docker_dial_local};
	struct docker_ping ping;
	struct error err = {0};
	int rc;

	memset(s, 0, sizeof(*s));
	snprintf(s->dir, sizeof(s->dir), "/tmp/deploy-test-image.XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->suffix, sizeof(s->suffix), "%d", (int)getpid());
	s->screen = open_memstream(&s->shown, &s->shown_len);
	s->ui = ui_new(&(struct ui_options){.verbosity = 1, .out = s->screen, .err = s->screen});
	s->builder = docker_new(&dialer, NULL);
	rc = docker_ping(s->builder, true, &ping, &err);
	if (rc != 0) {
		return "no Docker daemon answers on this machine";
	}
	return access("/usr/bin/busybox", X_OK) == 0 ? NULL : "no busybox to make an image of";
}

/* The second daemon, on folders of its own; NULL or why not. */
static inline const char *support_server(struct support *s)
{
	struct docker_dialer dialer = {.dial = support_dial, .ctx = s};
	struct docker_ping ping;

	if (geteuid() != 0) {
		return "a second dockerd needs root";
	}
	s->socket = xasprintf("%s/docker.sock", s->dir);
	s->dockerd = fork();
	if (s->dockerd == 0) {
		/* A network namespace of its own: with --bridge=none a dockerd deletes docker0. */
		CLEANUP_FREE char *script = xasprintf(
			"ip link set lo up; exec dockerd --data-root=%s/data --exec-root=%s/exec "
			"--pidfile=%s/pid --host=unix://%s --bridge=none --iptables=false "
			">%s/dockerd.log 2>&1",
			s->dir, s->dir, s->dir, s->socket, s->dir);
		execlp("unshare", "unshare", "-n", "sh", "-c", script, (char *)NULL);
		_exit(127);
	}
	s->server = docker_new(&dialer, "server");
	for (int i = 0; i < 300; i++) {
		struct error err = {0};
		if (docker_ping(s->server, true, &ping, &err) == 0) {
			return NULL;
		}
		usleep(50000);
	}
	return "the second dockerd does not start";
}

static inline void support_end(struct support *s)
{
	docker_free(s->builder);
	docker_free(s->server);
	if (s->dockerd > 0) {
		kill(s->dockerd, SIGTERM);
		waitpid(s->dockerd, NULL, 0);
	}
	ui_free(s->ui);
	fclose(s->screen);
	free(s->shown);
	free(s->socket);
	const char *argv[] = {"rm", "-rf", s->dir, NULL};
	struct proc_request req = {.argv = argv, .timeout_ms = 60000};
	struct proc_result result = {0};
	struct error err = {0};
	assert_int_equal(proc_run(&req, NULL, NULL, &result, &err), 0);
}

static inline const char *support_shown(struct support *s)
{
	fflush(s->screen);
	return s->shown;
}
