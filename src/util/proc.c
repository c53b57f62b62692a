/* SPDX-License-Identifier: MIT */
#include "util/proc.h"

#include "util/cancel.h"
#include "util/clock.h"
#include "util/vec.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILL_AFTER_MS  2000 /* between SIGTERM and SIGKILL, after a time-out */
#define CANCEL_KILL_MS 1000 /* the same after Ctrl-C: the tool has to end within 2 s */
#define STRAGGLER_MS   250  /* how long output of grandchildren is awaited after the child's end */
#define REAP_TICK_MS   20   /* where the kernel has no pidfd */

extern char **environ;

/* One of the child's output pipes. */
struct stream {
	int fd; /* -1 after EOF */
	bool is_err;
	struct str *collect;
	struct str line;
};

struct child {
	const struct proc_request *req;
	pid_t pid;
	int pidfd; /* -1: none, poll by time */
	int in;
	size_t written;
	struct stream out;
	struct stream err;
	bool reaped;
	int wait_status;
	int64_t deadline; /* of the present stage; 0 = none */
	bool terminated;  /* SIGTERM was sent */
	bool cancelled;
	bool timed_out;
};

static void close_fd(int *fd)
{
	cleanup_close_(fd);
	*fd = -1;
}

/* Ours, with req->env laid over it.  The strings are borrowed; the caller frees the array. */
static char **make_env(const char *const *extra)
{
	size_t n = 0;
	size_t m = 0;

	while (environ != NULL && environ[n] != NULL) {
		n++;
	}
	while (extra != NULL && extra[m] != NULL) {
		m++;
	}
	char **env = xcalloc(n + m + 1, sizeof(*env));
	size_t len = 0;
	for (size_t i = 0; i < n; i++) {
		bool replaced = false;
		size_t name = strcspn(environ[i], "=") + 1;
		for (size_t k = 0; k < m && !replaced; k++) {
			replaced = strncmp(environ[i], extra[k], name) == 0;
		}
		if (!replaced) {
			env[len++] = environ[i];
		}
	}
	for (size_t k = 0; k < m; k++) {
		memcpy(&env[len++], &extra[k], sizeof(char *));
	}
	return env;
}

/* What the child does between fork and exec; 0 or an errno value. */
static int prepare(const struct proc_request *req, int in, int out, int errout,
	posix_spawn_file_actions_t *actions, posix_spawnattr_t *attr)
{
	sigset_t none;
	sigset_t all;
	short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;

	sigemptyset(&none);
	sigfillset(&all);
	sigdelset(&all, SIGKILL);
	sigdelset(&all, SIGSTOP);
	posix_spawnattr_setsigmask(attr, &none);
	posix_spawnattr_setsigdefault(attr, &all);
	if (!req->terminal) {
		flags |= POSIX_SPAWN_SETPGROUP;
		posix_spawnattr_setpgroup(attr, 0);
	}
	posix_spawnattr_setflags(attr, flags);
	int rc = 0;
	if (in >= 0) {
		rc = posix_spawn_file_actions_adddup2(actions, in, STDIN_FILENO);
	} else if (!req->inherit) {
		rc = posix_spawn_file_actions_addopen(
			actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	}
	if (rc == 0 && out >= 0) {
		rc = posix_spawn_file_actions_adddup2(actions, out, STDOUT_FILENO);
	}
	if (rc == 0 && errout >= 0) {
		rc = posix_spawn_file_actions_adddup2(actions, errout, STDERR_FILENO);
	}
	if (rc == 0 && req->dir != NULL) {
		rc = posix_spawn_file_actions_addchdir_np(actions, req->dir);
	}
	return rc;
}

static int spawn(struct child *c, int in, int out, int errout)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	char **argv = NULL;

	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	/* posix_spawnp takes char *const *, and changes nothing. */
	memcpy(&argv, &c->req->argv, sizeof(argv));
	char **env = make_env(c->req->env);
	int rc = prepare(c->req, in, out, errout, &actions, &attr);
	if (rc == 0) {
		rc = posix_spawnp(&c->pid, argv[0], &actions, &attr, argv, env);
	}
	free(env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return rc;
}

/* Pipes, process, and our ends of the pipes without blocking. */
static int start(struct child *c, struct error *err)
{
	const char *name = c->req->argv[0];
	int in[2] = {-1, -1};
	int out[2] = {-1, -1};
	int errout[2] = {-1, -1};
	int rc = 0;

	if (c->req->dir != NULL && access(c->req->dir, X_OK) < 0) {
		/* Else ENOENT would seem to be the program's. */
		error_sys(err, ERROR_INTERNAL, errno, "run '%s' in '%s'", name, c->req->dir);
		err->sys = 0;
		return -1;
	}
	bool ours_out = c->req->inherit && c->out.collect == NULL && c->req->on_line == NULL;
	if ((c->req->input != NULL && pipe2(in, O_CLOEXEC) < 0) ||
		(!ours_out && pipe2(out, O_CLOEXEC) < 0) ||
		(!c->req->inherit && pipe2(errout, O_CLOEXEC) < 0)) {
		rc = errno;
	}
	if (rc == 0) {
		rc = spawn(c, in[0], out[1], errout[1]);
	}
	close_fd(&in[0]);
	close_fd(&out[1]);
	close_fd(&errout[1]);
	c->in = in[1];
	c->out.fd = out[0];
	c->err.fd = errout[0];
	if (rc != 0) {
		return error_sys(err, ERROR_INTERNAL, rc, "run '%s'", name);
	}
	const int ours[] = {c->in, c->out.fd, c->err.fd};
	for (size_t i = 0; i < 3; i++) {
		if (ours[i] >= 0) {
			fcntl(ours[i], F_SETFL, O_NONBLOCK);
		}
	}
	c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	if (c->in >= 0 && c->req->input_len == 0) {
		close_fd(&c->in);
	}
	return 0;
}

/* SIGPIPE is ignored by cancel_install(); a test that did not call it is covered by blocking. */
static void feed(struct child *c)
{
	const char *p = c->req->input;
	ssize_t n = write(c->in, p + c->written, c->req->input_len - c->written);

	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		return;
	}
	if (n > 0) {
		c->written += (size_t)n;
	}
	if (n < 0 || c->written == c->req->input_len) {
		close_fd(&c->in); /* EPIPE: it does not want the rest */
	}
}

static void emit(struct child *c, struct stream *s)
{
	if (s->line.len > 0 && s->line.p[s->line.len - 1] == '\r') {
		s->line.p[--s->line.len] = '\0';
	}
	c->req->on_line(c->req->ctx, s->is_err, str_c(&s->line));
	str_reset(&s->line);
}

/* Cuts bytes into lines; a line beyond STR_MAX_LINE is handed over in pieces. */
static void feed_lines(struct child *c, struct stream *s, const char *p, size_t len)
{
	while (len > 0) {
		const char *newline = memchr(p, '\n', len);
		size_t n = newline != NULL ? (size_t)(newline - p) : len;
		size_t room = s->line.max - s->line.len;
		size_t take = n < room ? n : room;
		str_addn(&s->line, p, take);
		p += take;
		len -= take;
		if (take < n) {
			emit(c, s);
		} else if (newline != NULL) {
			emit(c, s);
			p++;
			len--;
		}
	}
}

/* Keeps what still fits. */
static void collect(struct str *to, const char *p, size_t len)
{
	if (to == NULL || to->overflow) {
		return;
	}
	size_t room = to->max - to->len;
	str_addn(to, p, len < room ? len : room);
	if (len > room) {
		to->overflow = true;
	}
}

static void drain(struct child *c, struct stream *s)
{
	char buf[16384];
	ssize_t n = read(s->fd, buf, sizeof(buf));

	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		return;
	}
	if (n <= 0) {
		close_fd(&s->fd);
		return;
	}
	collect(s->collect, buf, (size_t)n);
	if (c->req->on_line != NULL) {
		feed_lines(c, s, buf, (size_t)n);
	}
	if (s->collect != NULL && s->collect->secret) {
		explicit_bzero(buf, (size_t)n);
	}
}

static void signal_child(const struct child *c, int sig)
{
	/* Until it is reaped the id cannot be another's. The group may outlive its leader. */
	if (c->req->terminal) {
		if (!c->reaped) {
			kill(c->pid, sig);
		}
	} else {
		kill(-c->pid, sig);
	}
}

static void reap(struct child *c, int flags)
{
	pid_t pid;

	do {
		pid = waitpid(c->pid, &c->wait_status, flags);
	} while (pid < 0 && errno == EINTR);
	if (pid == c->pid || (pid < 0 && errno == ECHILD)) {
		c->reaped = true;
		c->deadline = clock_mono_ms() + STRAGGLER_MS;
		/* Nothing of a group that had to be ended may stay behind. */
		if (c->terminated) {
			signal_child(c, SIGKILL);
		}
	}
}

/* Acts on a passed deadline or a cancellation. */
static void enforce(struct child *c)
{
	int64_t now = clock_mono_ms();

	if (c->reaped) {
		return;
	}
	if (!c->terminated && cancel_requested()) {
		c->cancelled = true;
		c->terminated = true;
		c->deadline = now + CANCEL_KILL_MS;
		signal_child(c, SIGTERM);
	} else if (c->deadline != 0 && now >= c->deadline) {
		signal_child(c, c->terminated ? SIGKILL : SIGTERM);
		c->timed_out = c->timed_out || !c->terminated;
		c->terminated = true;
		c->deadline = now + KILL_AFTER_MS;
	}
}

static int wait_ms(const struct child *c)
{
	int64_t left = -1;

	if (c->deadline != 0) {
		left = c->deadline - clock_mono_ms();
		left = left < 0 ? 0 : left > 3600000 ? 3600000 : left;
	}
	if (!c->reaped && c->pidfd < 0 && (left < 0 || left > REAP_TICK_MS)) {
		left = REAP_TICK_MS;
	}
	return (int)left;
}

static bool finished(const struct child *c)
{
	return c->reaped && ((c->out.fd < 0 && c->err.fd < 0) || clock_mono_ms() >= c->deadline);
}

static void run(struct child *c)
{
	while (!finished(c)) {
		enforce(c);
		struct pollfd p[] = {
			{.fd = c->in, .events = POLLOUT},
			{.fd = c->out.fd, .events = POLLIN},
			{.fd = c->err.fd, .events = POLLIN},
			{.fd = c->reaped ? -1 : c->pidfd, .events = POLLIN},
			{.fd = c->terminated ? -1 : cancel_fd(), .events = POLLIN},
		};
		if (poll(p, sizeof(p) / sizeof(p[0]), wait_ms(c)) < 0) {
			continue; /* EINTR */
		}
		if (p[0].revents != 0) {
			feed(c);
		}
		if (p[1].revents != 0) {
			drain(c, &c->out);
		}
		if (p[2].revents != 0) {
			drain(c, &c->err);
		}
		if (!c->reaped && (c->pidfd < 0 || p[3].revents != 0)) {
			reap(c, WNOHANG);
		}
	}
}

static int exit_status(int wait_status)
{
	return WIFEXITED(wait_status)     ? WEXITSTATUS(wait_status)
	       : WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status)
					  : 255;
}

int proc_run(const struct proc_request *req, struct str *out, struct str *errout,
	struct proc_result *result, struct error *err)
{
	struct child c = {.req = req,
		.pidfd = -1,
		.in = -1,
		.out = {.fd = -1, .collect = out, .line = STR_INIT(STR_MAX_LINE)},
		.err = {.fd = -1,
			.is_err = true,
			.collect = errout,
			.line = STR_INIT(STR_MAX_LINE)}};

	if (cancel_check(err) < 0) {
		return -1;
	}
	int rc = start(&c, err);
	if (rc == 0) {
		c.deadline = req->timeout_ms > 0 ? clock_mono_ms() + req->timeout_ms : 0;
		run(&c);
	}
	close_fd(&c.in);
	close_fd(&c.out.fd);
	close_fd(&c.err.fd);
	close_fd(&c.pidfd);
	if (rc == 0 && req->on_line != NULL) {
		if (c.out.line.len > 0) {
			emit(&c, &c.out);
		}
		if (c.err.line.len > 0) {
			emit(&c, &c.err);
		}
	}
	str_fini(&c.out.line);
	str_fini(&c.err.line);
	if (rc < 0) {
		return -1;
	}
	if (c.cancelled) {
		return error_set(err, ERROR_INTERRUPTED, "'%s' was interrupted", req->argv[0]);
	}
	*result = (struct proc_result){
		.status = exit_status(c.wait_status), .timed_out = c.timed_out};
	return 0;
}
