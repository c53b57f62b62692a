/* SPDX-License-Identifier: MIT */
/*
 * The agent's protocol, draft-miller-ssh-agent.  libssh2's own client asks for SHA-1 signatures of
 * RSA keys and waits without bound.
 */
#include "keys.h"
#include "wire.h"

#include "util/cancel.h"
#include "util/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define REQUEST_IDENTITIES 11
#define IDENTITIES_ANSWER  12
#define SIGN_REQUEST       13
#define SIGN_RESPONSE      14
#define RSA_SHA2_256       2 /* flags of a sign request */
#define RSA_SHA2_512       4
#define MAX_REPLY          ((size_t)256 << 10)
#define ASK_MS             5000

int ssh_agent_open(struct ssh_agent *a, const char *path, struct error *err)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};

	*a = (struct ssh_agent){.fd = -1};
	if (strlen(path) >= sizeof(sun.sun_path)) {
		return error_set(err, ERROR_CONNECT, "agent: path '%s' is too long", path);
	}
	memcpy(sun.sun_path, path, strlen(path));
	a->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (a->fd < 0 || connect(a->fd, (const struct sockaddr *)&sun, sizeof(sun)) < 0) {
		error_sys(err, ERROR_CONNECT, errno, "agent '%s'", path);
		ssh_agent_close(a);
		return -1;
	}
	return 0;
}

void ssh_agent_close(struct ssh_agent *a)
{
	for (size_t i = 0; i < a->n; i++) {
		str_fini(&a->keys[i].blob);
		free(a->keys[i].comment);
	}
	free(a->keys);
	cleanup_close_(&a->fd);
	*a = (struct ssh_agent){.fd = -1};
}

/* Moves `len` bytes one way or the other. */
static int transfer(int fd, uint8_t *p, size_t len, bool out, int64_t deadline, struct error *err)
{
	while (len > 0) {
		ssize_t n = out ? send(fd, p, len, MSG_NOSIGNAL) : recv(fd, p, len, 0);
		if (n > 0) {
			p += n;
			len -= (size_t)n;
			continue;
		}
		if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
			return error_set(err, ERROR_CONNECT, "agent: it closed the connection");
		}
		struct pollfd fds[] = {
			{.fd = fd, .events = out ? POLLOUT : POLLIN},
			{.fd = cancel_fd(), .events = POLLIN},
		};
		int64_t left = deadline - clock_mono_ms();
		if (cancel_check(err) < 0) {
			return -1;
		}
		if (left <= 0) {
			return error_set(err, ERROR_CONNECT, "agent: it does not answer");
		}
		(void)poll(fds, 2, (int)left);
	}
	return 0;
}

static int ask(struct ssh_agent *a, const struct str *request, int timeout_ms, struct str *reply,
	struct error *err)
{
	int64_t deadline = clock_mono_ms() + timeout_ms;
	CLEANUP_STR struct str framed = STR_INIT(MAX_REPLY);
	uint8_t head[4];

	wire_put_string(&framed, request->p, request->len);
	if (transfer(a->fd, (uint8_t *)framed.p, framed.len, true, deadline, err) < 0 ||
		transfer(a->fd, head, sizeof(head), false, deadline, err) < 0) {
		return -1;
	}
	struct wire w = wire_reader(head, sizeof(head));
	size_t len = wire_u32(&w);
	if (len == 0 || len > MAX_REPLY) {
		return error_set(err, ERROR_CONNECT, "agent: an answer of %zu bytes", len);
	}
	uint8_t *body = xcalloc(1, len);
	int rc = transfer(a->fd, body, len, false, deadline, err);
	if (rc == 0) {
		str_addn(reply, body, len);
	}
	free(body);
	return rc;
}

int ssh_agent_parse(const void *reply, size_t len, struct ssh_agent *a)
{
	struct wire w = wire_reader(reply, len);
	uint8_t type = wire_u8(&w);
	uint32_t n = wire_u32(&w);

	if (w.bad || type != IDENTITIES_ANSWER) {
		return -1;
	}
	n = n < SSH_AGENT_MAX_KEYS ? n : SSH_AGENT_MAX_KEYS;
	a->keys = xcalloc(n > 0 ? n : 1, sizeof(*a->keys));
	for (uint32_t i = 0; i < n; i++) {
		size_t blob_len;
		const uint8_t *blob = wire_string(&w, &blob_len);
		char *comment = wire_text(&w);
		if (w.bad) {
			free(comment);
			return -1;
		}
		struct ssh_agent_key *key = &a->keys[a->n++];
		str_init(&key->blob, SSH_KEY_MAX);
		str_addn(&key->blob, blob, blob_len);
		key->comment = comment;
	}
	return 0;
}

int ssh_agent_list(struct ssh_agent *a, struct error *err)
{
	CLEANUP_STR struct str request = STR_INIT(16);
	CLEANUP_STR struct str reply = STR_INIT(MAX_REPLY);

	wire_put_u8(&request, REQUEST_IDENTITIES);
	if (ask(a, &request, ASK_MS, &reply, err) < 0) {
		return -1;
	}
	if (ssh_agent_parse(reply.p, reply.len, a) < 0) {
		return error_set(err, ERROR_CONNECT, "agent: an answer that is none");
	}
	return 0;
}

int ssh_agent_sign(struct ssh_agent *a, const struct str *blob, const char *algorithm,
	const void *data, size_t len, struct str *signature, struct error *err)
{
	CLEANUP_STR struct str request = STR_INIT(MAX_REPLY);
	CLEANUP_STR struct str reply = STR_INIT(MAX_REPLY);
	uint32_t flags = str_eq(algorithm, "rsa-sha2-512")   ? RSA_SHA2_512
			 : str_eq(algorithm, "rsa-sha2-256") ? RSA_SHA2_256
							     : 0;

	wire_put_u8(&request, SIGN_REQUEST);
	wire_put_string(&request, blob->p, blob->len);
	wire_put_string(&request, data, len);
	wire_put_u32(&request, flags);
	if (ask(a, &request, SSH_AGENT_SIGN_MS, &reply, err) < 0) {
		return -1;
	}
	struct wire w = wire_reader(reply.p, reply.len);
	bool ok = wire_u8(&w) == SIGN_RESPONSE;
	struct wire inner = wire_sub(&w);
	size_t n;
	(void)wire_string(&inner, &n); /* the algorithm */
	const uint8_t *p = wire_string(&inner, &n);
	if (!ok || inner.bad || n == 0) {
		return error_set(err, ERROR_CONNECT, "agent: it refuses to sign");
	}
	str_addn(signature, p, n);
	return 0;
}
