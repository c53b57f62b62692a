/* SPDX-License-Identifier: MIT */
/*
 * exec: a command on the servers, in parallel, each line told by its host; and the round of hosts
 * that app exec and accessory exec make with it.
 */
#include "deploy/operations.h"
#include "deploy/output.h"
#include "internal.h"

#include "ssh/exec.h"
#include "util/cancel.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SIZE 32768

struct shell {
	struct exec_round round;
	char *command;
};

void exec_round_begin(
	struct exec_round *r, struct deployment *d, const char *const *argv, bool many)
{
	*r = (struct exec_round){.output = output_new(d->ui, many)};
	for (size_t i = 0; argv[i]; i++) {
		strvec_push(&r->argv, argv[i]);
	}
	r->ends = xcalloc(d->n, sizeof(*r->ends));
}

void exec_round_end(struct exec_round *r, struct deployment *d, int *exit_status)
{
	*exit_status = 0;
	for (size_t i = 0; i < d->n; i++) {
		const struct exec_end *end = &r->ends[i];
		if (end->ran) {
			*exit_status = *exit_status ? *exit_status : end->status;
			ui_json(d->ui, json_pack("{s:s, s:s, s:i}", "result", "exit", "host",
					       d->targets[i].address->name, "status", end->status));
		}
	}
	output_free(r->output);
	strvec_fini(&r->argv);
	free(r->ends);
}

/* One word is a shell command line; several are the words of one command. */
static char *command_line(const struct strvec *argv)
{
	struct str line = STR_INIT(STR_MAX_REPLY);
	if (argv->len == 1) {
		return xstrdup(argv->p[0]);
	}
	VEC_FOREACH (argv, i) {
		str_add(&line, i ? " " : "");
		ssh_quote(&line, argv->p[i]);
	}
	return str_take(&line);
}

/* Reads both streams until both end. */
static int pump(struct ssh_exec *x, struct output_host *out, struct error *err)
{
	char buf[READ_SIZE];
	struct pollfd fds[3] = {{.fd = x->fd, .events = POLLIN},
		{.fd = x->err_fd, .events = POLLIN}, {.fd = cancel_fd(), .events = POLLIN}};
	while (fds[0].fd >= 0 || fds[1].fd >= 0) {
		if (poll(fds, 3, -1) < 0 && errno != EINTR) {
			return error_sys(err, ERROR_INTERNAL, errno, "poll");
		}
		if (cancel_check(err) < 0) {
			return -1;
		}
		for (int i = 0; i < 2; i++) {
			if (fds[i].fd < 0 || !fds[i].revents) {
				continue;
			}
			ssize_t n = read(fds[i].fd, buf, sizeof(buf));
			if (n <= 0) {
				fds[i].fd = -1;
			} else {
				output_bytes(out, i == 1, buf, (size_t)n);
			}
		}
	}
	return 0;
}

static int run_there(struct shell *s, const struct target *t, int *status, struct error *err)
{
	struct ssh_exec x = {.fd = -1, .err_fd = -1};
	struct ssh_exec_request req = {.command = s->command};
	if (ssh_exec_start(t->host->ssh, &req, &x, err) < 0) {
		return -1;
	}
	shutdown(x.fd, SHUT_WR);
	struct output_host *out = output_host_new(s->round.output, t->host->name);
	int result = pump(&x, out, err);
	output_host_free(out);
	if (result == 0) {
		result = ssh_exec_wait(&x, -1, status, NULL, err);
	}
	ssh_exec_fini(&x);
	return result;
}

static int run_one(struct deployment *d, struct target *t, void *ctx, struct error *err)
{
	struct shell *s = ctx;
	struct exec_end *end = &s->round.ends[t - d->targets];
	if (!t->selected) {
		return 0;
	}
	if (deployment_reach_one(d, t, err) < 0) {
		return -1;
	}
	int result = run_there(s, t, &end->status, err);
	if (result < 0) {
		(void)host_error(t->host, err);
	} else if (end->status != 0) {
		ui_warn(d->ui, t->host->name, "exit status %d", end->status);
	}
	end->ran = result == 0;
	deployment_leave_one(d, t);
	return result;
}

int operation_exec(
	struct deployment *d, const char *const *argv, int *exit_status, struct error *err)
{
	struct shell s = {0};
	size_t selected = 0;
	if (deployment_load_secrets(d, SECRETS_SSH, err) < 0) {
		return -1;
	}
	for (size_t i = 0; i < d->n; i++) {
		selected += d->targets[i].selected;
	}
	exec_round_begin(&s.round, d, argv, selected > 1);
	s.command = command_line(&s.round.argv);
	int result = deployment_each(d, run_one, &s, err);
	exec_round_end(&s.round, d, exit_status);
	free(s.command);
	return result;
}
