/* SPDX-License-Identifier: MIT */
/*
 * A real sshd on a free port of loopback with keys of its own, for the tests of this folder.  Its
 * functions are static inline because each test is a program of one file.
 */
#pragma once

#include "ssh/session.h"
#include "util/clock.h"
#include "util/fs.h"
#include "util/proc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SSHD "/usr/sbin/sshd"

struct sshd {
	char dir[64];
	int port;
	pid_t pid;
	char user[64];
	char key[96];         /* private key that it accepts */
	char known_hosts[96]; /* knows its key */
	struct strvec key_files;
};

static inline int run_program(const char *const *argv)
{
	struct proc_request req = {.argv = argv, .timeout_ms = 20000};
	struct proc_result result = {0};
	struct str out = STR_INIT(65536);
	struct error err = {0};
	int rc = proc_run(&req, &out, &out, &result, &err);

	if (rc < 0 || result.status != 0) {
		print_message("%s: %s %s\n", argv[0], err.text, str_c(&out));
	}
	str_fini(&out);
	return rc < 0 ? -1 : result.status;
}

static inline void make_key(const char *file, const char *type, const char *passphrase)
{
	const char *argv[] = {"ssh-keygen", "-q", "-t", type, "-N", passphrase, "-f", file, NULL};

	assert_int_equal(run_program(argv), 0);
}

static inline int free_port(void)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	close(fd);
	return ntohs(in.sin_port);
}

static inline int connect_loopback(int port)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&in, sizeof(in)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* A listening socket on loopback; *port gets its port. */
static inline int listen_loopback(int *port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(listen(fd, 128), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	*port = ntohs(in.sin_port);
	return fd;
}

static inline void sshd_launch(struct sshd *d)
{
	char conf[96];

	snprintf(conf, sizeof(conf), "%s/sshd_config", d->dir);
	d->pid = fork();
	if (d->pid == 0) {
		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		char log[96];
		snprintf(log, sizeof(log), "%s/log", d->dir);
		execl(SSHD, SSHD, "-D", "-E", log, "-f", conf, (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < 500; i++) {
		int fd = connect_loopback(d->port);
		if (fd >= 0) {
			close(fd);
			return;
		}
		usleep(10000);
	}
	fail_msg("sshd does not listen");
}

/* Kills it with all its connections, as a dying server would. */
static inline void sshd_kill(struct sshd *d)
{
	char pattern[96];

	if (d->pid <= 0) {
		return;
	}
	/* Sessions have process groups of their own: they are the children of that sshd. */
	snprintf(pattern, sizeof(pattern), "%d", (int)d->pid);
	const char *argv[] = {"ps", "-o", "pid=", "--ppid", pattern, NULL};
	struct proc_request req = {.argv = argv, .timeout_ms = 5000};
	struct proc_result result;
	struct str out = STR_INIT(65536);
	struct error err = {0};
	kill(d->pid, SIGSTOP); /* it starts no more of them */
	if (proc_run(&req, &out, NULL, &result, &err) == 0 && out.len > 0) {
		char *save = NULL;
		for (char *p = strtok_r(out.p, " \n", &save); p != NULL;
			p = strtok_r(NULL, " \n", &save)) {
			kill((pid_t)strtol(p, NULL, 10), SIGKILL);
		}
	}
	str_fini(&out);
	kill(d->pid, SIGKILL);
	waitpid(d->pid, NULL, 0);
	d->pid = 0;
}

/* Starts one; `extra` is added to its configuration. False when there is no sshd here. */
static inline bool sshd_start(struct sshd *d, const char *extra)
{
	char path[128];
	struct str text = STR_INIT(65536);
	struct str pub = STR_INIT(65536);
	struct error err = {0};
	const struct passwd *pw = getpwuid(getuid());

	*d = (struct sshd){0};
	if (access(SSHD, X_OK) < 0) {
		return false;
	}
	if (getuid() == 0) {
		mkdir("/run/sshd", 0755);
	}
	snprintf(d->user, sizeof(d->user), "%s", pw != NULL ? pw->pw_name : "root");
	snprintf(d->dir, sizeof(d->dir), "/tmp/deploy-ssh.XXXXXX");
	assert_non_null(mkdtemp(d->dir));
	d->port = free_port();
	snprintf(path, sizeof(path), "%s/host", d->dir);
	make_key(path, "ed25519", "");
	snprintf(d->key, sizeof(d->key), "%s/user", d->dir);
	make_key(d->key, "ed25519", "");
	strvec_push(&d->key_files, d->key);
	snprintf(path, sizeof(path), "%s/user.pub", d->dir);
	assert_int_equal(fs_read(path, &pub, &err), 0);
	snprintf(path, sizeof(path), "%s/authorized_keys", d->dir);
	assert_int_equal(fs_write_atomic(path, pub.p, pub.len, 0600, &err), 0);
	str_reset(&pub);
	snprintf(path, sizeof(path), "%s/host.pub", d->dir);
	assert_int_equal(fs_read(path, &pub, &err), 0);
	str_addf(&text, "[127.0.0.1]:%d %s", d->port, str_c(&pub));
	snprintf(d->known_hosts, sizeof(d->known_hosts), "%s/known_hosts", d->dir);
	assert_int_equal(fs_write_atomic(d->known_hosts, text.p, text.len, 0600, &err), 0);
	str_reset(&text);
	str_addf(&text,
		"Port %d\nListenAddress 127.0.0.1\nHostKey %s/host\nAuthorizedKeysFile "
		"%s/authorized_keys\nStrictModes no\nPidFile none\nUsePAM no\n"
		"PermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
		"Subsystem sftp internal-sftp\nLogLevel DEBUG1\nMaxSessions 100\n%s\n",
		d->port, d->dir, d->dir, extra != NULL ? extra : "");
	snprintf(path, sizeof(path), "%s/sshd_config", d->dir);
	assert_int_equal(fs_write_atomic(path, text.p, text.len, 0600, &err), 0);
	str_fini(&text);
	str_fini(&pub);
	sshd_launch(d);
	return true;
}

static inline void sshd_stop(struct sshd *d)
{
	sshd_kill(d);
	if (d->dir[0] != '\0') {
		const char *argv[] = {"rm", "-rf", d->dir, NULL};
		run_program(argv);
	}
	strvec_fini(&d->key_files);
}

/* How to reach it: its key only, its known_hosts. */
static inline struct ssh_options sshd_options(const struct sshd *d)
{
	return (struct ssh_options){.host = "127.0.0.1",
		.user = d->user,
		.port = d->port,
		.no_config = true,
		.key_files = &d->key_files,
		.keys_only = true,
		.known_hosts = d->known_hosts,
		.connect_timeout_ms = 10000};
}

static inline struct ssh_session *sshd_open(const struct ssh_options *o, struct error *err)
{
	struct ssh_target target;

	if (ssh_target_resolve(o, &target, err) < 0) {
		return NULL;
	}
	struct ssh_session *s = ssh_session_open(&target, NULL, NULL, err);
	ssh_target_fini(&target);
	return s;
}

static inline struct ssh_session *sshd_session(const struct sshd *d)
{
	struct ssh_options o = sshd_options(d);
	struct error err = {0};
	struct ssh_session *s = sshd_open(&o, &err);

	if (s == NULL) {
		fail_msg("%s\n%s", err.text, err.hint);
	}
	return s;
}
