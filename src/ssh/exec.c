/* SPDX-License-Identifier: MIT */
#include "ssh/exec.h"

#include "internal.h"

#include "util/cancel.h"
#include "util/clock.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct ssh_exec_state *ssh_exec_state_ref(struct ssh_exec_state *x)
{
	atomic_fetch_add(&x->refs, 1);
	return x;
}

void ssh_exec_state_unref(struct ssh_exec_state *x)
{
	if (x == NULL || atomic_fetch_sub(&x->refs, 1) != 1) {
		return;
	}
	cleanup_close_(&x->done_fd);
	pthread_mutex_destroy(&x->lock);
	free(x->command);
	free(x);
}

/* RFC 4254, 6.10: names without "SIG". */
static int signal_number(const char *name)
{
	static const struct {
		const char *name;
		int number;
	} signals[] = {
		{"ABRT", SIGABRT},
		{"ALRM", SIGALRM},
		{"FPE", SIGFPE},
		{"HUP", SIGHUP},
		{"ILL", SIGILL},
		{"INT", SIGINT},
		{"KILL", SIGKILL},
		{"PIPE", SIGPIPE},
		{"QUIT", SIGQUIT},
		{"SEGV", SIGSEGV},
		{"TERM", SIGTERM},
		{"USR1", SIGUSR1},
		{"USR2", SIGUSR2},
	};

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		if (strcmp(signals[i].name, name) == 0) {
			return signals[i].number;
		}
	}
	return 127;
}

/* By the pump, when the server has closed the channel. */
void ssh_exec_ended(struct ssh_exec_state *x, LIBSSH2_CHANNEL *ch)
{
	char *name = NULL;
	size_t len = 0;

	(void)libssh2_channel_get_exit_signal(ch, &name, &len, NULL, NULL, NULL, NULL);
	pthread_mutex_lock(&x->lock);
	if (!x->done) {
		x->done = true;
		x->status = libssh2_channel_get_exit_status(ch) & 0xff;
		if (name != NULL) {
			snprintf(x->signal, sizeof(x->signal), "%s", name);
			x->status = 128 + signal_number(x->signal);
		}
	}
	pthread_mutex_unlock(&x->lock);
	if (name != NULL) {
		libssh2_free(x->session->ls, name);
	}
	ssh_event_signal(x->done_fd);
}

void ssh_exec_failed(struct ssh_exec_state *x, const struct error *why)
{
	pthread_mutex_lock(&x->lock);
	if (!x->done) {
		x->done = true;
		x->error = *why;
	}
	pthread_mutex_unlock(&x->lock);
	ssh_event_signal(x->done_fd);
}

static struct ssh_exec_state *state_new(struct ssh_session *s, const char *command)
{
	struct ssh_exec_state *x = xcalloc(1, sizeof(*x));

	atomic_init(&x->refs, 1);
	pthread_mutex_init(&x->lock, NULL);
	x->session = s;
	x->command = xstrdup(command != NULL ? command : "shell");
	x->done_fd = ssh_event_new();
	return x;
}

int ssh_exec_start(struct ssh_session *s, const struct ssh_exec_request *request,
	struct ssh_exec *x, struct error *err)
{
	const char *name = request->command != NULL ? request->command : "shell";
	struct ssh_pending *p = ssh_request_new(s, REQUEST_SESSION, name);

	*x = (struct ssh_exec){.fd = -1, .err_fd = -1, .state = state_new(s, request->command)};
	p->startup = request->command != NULL ? "exec" : "shell";
	p->command = xstrdup(request->command);
	p->pty = request->pty;
	p->term = xstrdup(request->term != NULL ? request->term : "xterm");
	p->cols = request->cols > 0 ? request->cols : 80;
	p->rows = request->rows > 0 ? request->rows : 24;
	p->exec = ssh_exec_state_ref(x->state);
	ssh_request_post(p);
	int rc = ssh_request_wait(p, SSH_OPEN_TIMEOUT_MS, err);
	if (rc == 0) {
		x->fd = take_fd(&p->fd);
		x->err_fd = take_fd(&p->err_fd);
	} else {
		ssh_exec_fini(x);
	}
	ssh_request_unref(p);
	return rc;
}

static int outcome(
	struct ssh_exec_state *x, int *status, char signal[SSH_SIGNAL_SIZE], struct error *err)
{
	int rc = 0;

	pthread_mutex_lock(&x->lock);
	if (x->error.kind != ERROR_NONE) {
		*err = x->error;
		rc = -1;
	} else {
		*status = x->status;
		if (signal != NULL) {
			memcpy(signal, x->signal, SSH_SIGNAL_SIZE);
		}
	}
	pthread_mutex_unlock(&x->lock);
	return rc;
}

/* What is left of a time-out for poll(): -1 for none. */
static int left_ms(int64_t deadline)
{
	int64_t left = deadline - clock_mono_ms();

	return deadline < 0 ? -1 : left < 0 ? 0 : left > 3600000 ? 3600000 : (int)left;
}

static int timed_out(const char *command, int timeout_ms, struct error *err)
{
	return error_set(err, ERROR_REMOTE, "'%s' did not end in %d s", command, timeout_ms / 1000);
}

int ssh_exec_wait(struct ssh_exec *x, int timeout_ms, int *status, char signal[SSH_SIGNAL_SIZE],
	struct error *err)
{
	int64_t deadline = timeout_ms < 0 ? -1 : clock_mono_ms() + timeout_ms;

	for (;;) {
		struct pollfd fds[] = {
			{.fd = x->state->done_fd, .events = POLLIN},
			{.fd = cancel_fd(), .events = POLLIN},
		};
		int n = poll(fds, 2, left_ms(deadline));
		if (n > 0 && fds[0].revents != 0) {
			return outcome(x->state, status, signal, err);
		}
		if (cancel_check(err) < 0) {
			return -1;
		}
		if (n == 0 && left_ms(deadline) == 0) {
			return timed_out(x->state->command, timeout_ms, err);
		}
	}
}

static void post(struct ssh_exec *x, enum request_kind kind, int cols, int rows)
{
	struct ssh_pending *p = ssh_request_new(x->state->session, kind, x->state->command);

	p->exec = ssh_exec_state_ref(x->state);
	p->cols = cols;
	p->rows = rows;
	ssh_request_post(p);
	ssh_request_unref(p);
}

static bool running(struct ssh_exec_state *x)
{
	pthread_mutex_lock(&x->lock);
	bool yes = !x->done;
	pthread_mutex_unlock(&x->lock);
	return yes;
}

void ssh_exec_resize(struct ssh_exec *x, int cols, int rows)
{
	if (x->state != NULL && running(x->state)) {
		post(x, REQUEST_RESIZE, cols, rows);
	}
}

void ssh_exec_fini(struct ssh_exec *x)
{
	if (x == NULL || x->state == NULL) {
		return;
	}
	cleanup_close_(&x->fd);
	cleanup_close_(&x->err_fd);
	x->fd = x->err_fd = -1;
	atomic_store(&x->state->abandoned, true);
	if (running(x->state)) {
		post(x, REQUEST_ABANDON, 0, 0);
	}
	ssh_exec_state_unref(x->state);
	x->state = NULL;
}

/* ssh_run(): one thread moves all three streams. */
struct run {
	struct ssh_exec *x;
	const char *input;
	size_t input_len, written;
	bool out_open, err_open, in_open;
};

static void keep(struct str *to, const char *p, size_t len)
{
	if (to != NULL && !to->overflow) {
		size_t room = to->max - to->len;
		str_addn(to, p, len < room ? len : room);
		to->overflow = len > room;
	}
}

static bool drain(int fd, struct str *to)
{
	char buf[65536];
	ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (n > 0) {
		keep(to, buf, (size_t)n);
	}
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void feed(struct run *r)
{
	ssize_t n = send(r->x->fd, r->input + r->written, r->input_len - r->written,
		MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		return;
	}
	r->written += n > 0 ? (size_t)n : 0;
	if (n < 0 || r->written == r->input_len) {
		(void)shutdown(r->x->fd, SHUT_WR);
		r->in_open = false;
	}
}

static int move(struct run *r, struct str *out, struct str *errout, int64_t deadline,
	int timeout_ms, struct error *err)
{
	while (r->out_open || r->err_open) {
		struct pollfd fds[] = {
			{.fd = r->out_open ? r->x->fd : -1,
				.events = (short)(POLLIN | (r->in_open ? POLLOUT : 0))},
			{.fd = r->err_open ? r->x->err_fd : -1, .events = POLLIN},
			{.fd = cancel_fd(), .events = POLLIN},
		};
		int n = poll(fds, 3, left_ms(deadline));
		if (cancel_check(err) < 0) {
			return -1;
		}
		if (n == 0 && left_ms(deadline) == 0) {
			return timed_out(r->x->state->command, timeout_ms, err);
		}
		if (n <= 0) {
			continue;
		}
		if (r->in_open && fds[0].revents & POLLOUT) {
			feed(r);
		}
		if (fds[0].revents & (POLLIN | POLLHUP | POLLERR)) {
			r->out_open = drain(r->x->fd, out);
		}
		if (fds[1].revents != 0) {
			r->err_open = drain(r->x->err_fd, errout);
		}
	}
	return 0;
}

int ssh_run(struct ssh_session *s, const char *command, const void *input, size_t input_len,
	struct str *out, struct str *errout, int timeout_ms, int *status, struct error *err)
{
	const struct ssh_exec_request request = {.command = command};
	int64_t deadline = timeout_ms < 0 ? -1 : clock_mono_ms() + timeout_ms;
	struct ssh_exec x = {.fd = -1, .err_fd = -1};

	if (ssh_exec_start(s, &request, &x, err) < 0) {
		return -1;
	}
	struct run r = {.x = &x,
		.input = input,
		.input_len = input_len,
		.out_open = true,
		.err_open = true,
		.in_open = input_len > 0};
	if (!r.in_open) {
		(void)shutdown(x.fd, SHUT_WR);
	}
	int rc = move(&r, out, errout, deadline, timeout_ms, err);
	if (rc == 0) {
		rc = ssh_exec_wait(&x, left_ms(deadline), status, NULL, err);
	}
	ssh_exec_fini(&x);
	return rc;
}

void ssh_quote(struct str *out, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "@%_+=:,./-";

	if (*word != '\0' && word[strspn(word, plain)] == '\0') {
		str_add(out, word);
		return;
	}
	str_addc(out, '\'');
	for (const char *p = word; *p != '\0'; p++) {
		if (*p == '\'') {
			str_add(out, "'\\''");
		} else {
			str_addc(out, *p);
		}
	}
	str_addc(out, '\'');
}
