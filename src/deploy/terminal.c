/* SPDX-License-Identifier: MIT */
#include "terminal.h"

#include "util/cancel.h"
#include "util/fs.h"

#include <errno.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

/* How soon a changed window is noticed; asked for rather than signalled: no handler is needed. */
#define WINDOW_POLL_MS 200

static void follow_window(const struct terminal_peer *peer, struct winsize *last)
{
	struct winsize now = {0};
	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &now) == 0 &&
		(now.ws_row != last->ws_row || now.ws_col != last->ws_col)) {
		*last = now;
		peer->resize(peer->ctx, now.ws_row, now.ws_col);
	}
}

/* 1: go on; 0: the end; -1 with errno. */
static int copy(int from, int to)
{
	char buf[16384];
	ssize_t n = read(from, buf, sizeof(buf));
	if (n < 0 && errno == EINTR) {
		return 1;
	}
	return n <= 0 ? 0 : fd_write_all(to, buf, (size_t)n) < 0 ? -1 : 1;
}

static int loop(const struct terminal_peer *peer, struct error *err)
{
	struct winsize window = {0};
	struct pollfd fds[3] = {{.fd = STDIN_FILENO, .events = POLLIN},
		{.fd = peer->fd, .events = POLLIN}, {.fd = cancel_fd(), .events = POLLIN}};
	for (;;) {
		follow_window(peer, &window);
		if (poll(fds, 3, WINDOW_POLL_MS) < 0 && errno != EINTR) {
			return error_sys(err, ERROR_INTERNAL, errno, "poll");
		}
		if (cancel_check(err) < 0) {
			return -1;
		}
		if (fds[1].revents && copy(peer->fd, STDOUT_FILENO) <= 0) {
			return 0;
		}
		if (fds[0].fd >= 0 && fds[0].revents && copy(STDIN_FILENO, peer->fd) <= 0) {
			shutdown(peer->fd, SHUT_WR);
			fds[0].fd = -1;
		}
	}
}

int terminal_run(const struct terminal_peer *peer, struct error *err)
{
	struct termios saved, raw;
	if (tcgetattr(STDIN_FILENO, &saved) < 0) {
		error_set(err, ERROR_USAGE, "standard input is no terminal");
		return error_hint(err, "leave -i out");
	}
	raw = saved;
	cfmakeraw(&raw);
	tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	int result = loop(peer, err);
	tcsetattr(STDIN_FILENO, TCSADRAIN, &saved);
	return result;
}
