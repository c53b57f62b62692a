/* SPDX-License-Identifier: MIT */
/* HTTP over the unix sockets in the proxy's run folder: one connection a request. */

#include "internal.h"

#include <errno.h>
#include <unistd.h>

char *proxy_path(const struct proxy *p, const char *relative)
{
	return xasprintf("%s/%s", p->root, relative);
}

static struct ssh_pending *take_prepared(struct proxy *p, const char *socket)
{
	for (size_t i = 0; i < PROXY_PREPARED; i++) {
		struct ssh_pending *pending = p->prepared[i].pending;
		if (pending && str_eq(p->prepared[i].socket, socket)) {
			p->prepared[i].pending = NULL;
			return pending;
		}
	}
	return NULL;
}

void proxy_prepare(struct proxy *p, const char *socket)
{
	size_t free_at = PROXY_PREPARED;
	for (size_t i = PROXY_PREPARED; i-- > 0;) {
		if (!p->prepared[i].pending) {
			free_at = i;
		} else if (str_eq(p->prepared[i].socket, socket)) {
			return;
		}
	}
	if (free_at == PROXY_PREPARED || !p->host->ssh) {
		return;
	}
	CLEANUP_FREE char *relative = xasprintf("run/%s", socket);
	CLEANUP_FREE char *path = proxy_path(p, relative);
	p->prepared[free_at].pending = ssh_open_unix_start(p->host->ssh, path);
	p->prepared[free_at].socket = socket;
}

void proxy_unprepare(struct proxy *p)
{
	for (size_t i = 0; i < PROXY_PREPARED; i++) {
		if (p->prepared[i].pending) {
			ssh_pending_cancel(p->prepared[i].pending);
			p->prepared[i].pending = NULL;
		}
	}
}

/* *prepared: it was opened earlier, and may have been given up by the proxy meanwhile. */
static int dial(struct proxy *p, const char *socket, bool *prepared, struct error *err)
{
	CLEANUP_FREE char *relative = xasprintf("run/%s", socket);
	CLEANUP_FREE char *path = proxy_path(p, relative);
	struct ssh_pending *pending = take_prepared(p, socket);
	if (pending) {
		struct error ignored = {0};
		int fd = ssh_pending_wait(pending, &ignored);
		if (fd >= 0) {
			*prepared = true;
			return fd;
		}
	}
	*prepared = false;
	return host_dial_unix(p->host, path, err);
}

static int exchange(struct proxy *p, const struct proxy_request *req,
	const struct http_request *http, struct http_reply *reply, bool *prepared,
	struct error *err)
{
	CLEANUP_FD int fd = dial(p, req->socket, prepared, err);
	if (fd >= 0) {
		return http_exchange(fd, http, req->timeout_ms, reply, err);
	}
	if (err->status == SSH_OPEN_PROHIBITED) {
		error_hint(err, "the proxy is reached by its unix sockets: set "
				"'AllowStreamLocalForwarding yes' in the server's sshd_config");
	}
	return error_wrap(err, "connect to the proxy");
}

int proxy_http(struct proxy *p, const struct proxy_request *req, struct http_reply *reply,
	struct error *err)
{
	CLEANUP_STRMAP struct strmap headers = {0};
	struct error first = {0};
	bool prepared;
	if (req->type) {
		strmap_set(&headers, "Content-Type", req->type);
	}
	if (req->upstream) {
		strmap_set(&headers, PROXY_HEADER, req->upstream);
		strmap_set(&headers, "X-Deploy-Host", req->host_for ? req->host_for : "localhost");
		strmap_set(&headers, "X-Deploy-Proto", req->https ? "https" : "http");
	}
	struct http_request http = {.method = req->method,
		.target = req->target,
		.host = req->host,
		.headers = &headers,
		.body = req->body,
		.body_len = req->body_len};
	reply->body.max = (size_t)1 << 20;
	int rc = exchange(p, req, &http, reply, &prepared, &first);
	/* caddy closes a connection that asks nothing for 10 s. */
	if (rc < 0 && prepared && reply->status == 0 && first.kind != ERROR_INTERRUPTED &&
		first.sys != ETIMEDOUT) {
		return exchange(p, req, &http, reply, &prepared, err);
	}
	if (rc < 0) {
		*err = first;
	}
	return rc;
}
