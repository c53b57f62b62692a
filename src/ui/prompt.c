/* SPDX-License-Identifier: MIT */
/* Questions, on the terminal itself: stdin and stdout may be anything. */
#include "internal.h"

#include "util/cancel.h"
#include "util/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <termios.h>
#include <unistd.h>

#define MAX_ANSWER 4096

/* A line without its end into `out`; -1 with *err when cancelled or closed. */
static int read_line(int fd, struct str *out, struct error *err)
{
	for (;;) {
		struct pollfd p[] = {
			{.fd = fd, .events = POLLIN}, {.fd = cancel_fd(), .events = POLLIN}};
		char c = '\0';
		if (poll(p, 2, -1) < 0 && errno != EINTR) {
			return error_sys(err, ERROR_INTERNAL, errno, "read from the terminal");
		}
		if (cancel_check(err) < 0) {
			return -1;
		}
		if (p[0].revents == 0) {
			continue;
		}
		ssize_t n = read(fd, &c, 1);
		if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
			continue;
		}
		if (n <= 0) {
			return error_set(err, ERROR_INTERRUPTED, "the terminal was closed");
		}
		if (c == '\n' || c == '\r') {
			return 0;
		}
		(void)str_addc(out, c); /* what is too long is cut */
	}
}

/* Asks and reads; the terminal is the caller's meanwhile. */
static int ask(
	struct ui *ui, int fd, const char *question, bool echo, struct str *out, struct error *err)
{
	struct termios before;
	struct termios silent;

	pthread_mutex_lock(&ui->lock);
	ui->renderer->pause(ui);
	pthread_mutex_unlock(&ui->lock);
	bool changed = !echo && tcgetattr(fd, &before) == 0;
	if (changed) {
		silent = before;
		silent.c_lflag &= ~(tcflag_t)ECHO;
		changed = tcsetattr(fd, TCSAFLUSH, &silent) == 0;
	}
	(void)fd_write_all(fd, question, strlen(question));
	int rc = read_line(fd, out, err);
	if (changed) {
		tcsetattr(fd, TCSAFLUSH, &before);
	}
	if (!echo || rc < 0) {
		(void)fd_write_all(fd, "\n", 1);
	}
	pthread_mutex_lock(&ui->lock);
	ui->renderer->resume(ui);
	pthread_mutex_unlock(&ui->lock);
	return rc;
}

static char *clean_question(struct ui *ui, const char *question)
{
	struct str out = STR_INIT(STR_MAX_LINE);

	pthread_mutex_lock(&ui->lock);
	ui_clean(ui, question, false, &out);
	pthread_mutex_unlock(&ui->lock);
	return str_take(&out);
}

static int ask_yes_no(
	struct ui *ui, const char *question, enum ui_answer *answer, struct error *err)
{
	CLEANUP_STR struct str line = STR_INIT(MAX_ANSWER);
	CLEANUP_FD int fd = -1;

	if (ui->options.assume_yes) {
		*answer = UI_YES;
		return 0;
	}
	fd = ui->options.json ? -1 : open(ui->tty, O_RDWR | O_CLOEXEC | O_NOCTTY);
	*answer = UI_UNASKED;
	if (fd < 0) {
		return 0;
	}
	CLEANUP_FREE char *prompt = xasprintf("%s [y/N] ", question);
	if (ask(ui, fd, prompt, true, &line, err) < 0) {
		return -1;
	}
	const char *a = str_c(&line);
	*answer = strcasecmp(a, "y") == 0 || strcasecmp(a, "yes") == 0 ? UI_YES : UI_NO;
	return 0;
}

int ui_ask(struct ui *ui, enum ui_answer *answer, struct error *err, const char *fmt, ...)
{
	va_list ap;
	CLEANUP_STR struct str text = STR_INIT(STR_MAX_LINE);

	va_start(ap, fmt);
	str_vaddf(&text, fmt, ap);
	va_end(ap);
	CLEANUP_FREE char *question = clean_question(ui, str_c(&text));
	return ask_yes_no(ui, question, answer, err);
}

int ui_confirm(struct ui *ui, struct error *err, const char *fmt, ...)
{
	va_list ap;
	enum ui_answer answer;
	CLEANUP_STR struct str text = STR_INIT(STR_MAX_LINE);

	va_start(ap, fmt);
	str_vaddf(&text, fmt, ap);
	va_end(ap);
	CLEANUP_FREE char *question = clean_question(ui, str_c(&text));
	if (ask_yes_no(ui, question, &answer, err) < 0) {
		return -1;
	}
	if (answer == UI_UNASKED) {
		error_set(err, ERROR_USAGE, "cannot ask without a terminal: %s", question);
		return error_hint(err, "give -y to say yes");
	}
	return answer == UI_YES ? 0 : error_set(err, ERROR_INTERRUPTED, "not confirmed");
}

char *ui_ask_secret(struct ui *ui, const char *prompt, struct error *err)
{
	CLEANUP_STR struct str answer = STR_SECRET_INIT(MAX_ANSWER);
	CLEANUP_FREE char *question = clean_question(ui, prompt);
	CLEANUP_FD int fd = open(ui->tty, O_RDWR | O_CLOEXEC | O_NOCTTY);

	if (fd < 0) {
		error_set(err, ERROR_CONNECT, "cannot ask without a terminal: %s", question);
		return NULL;
	}
	if (ask(ui, fd, question, false, &answer, err) < 0) {
		return NULL;
	}
	return str_take(&answer);
}
