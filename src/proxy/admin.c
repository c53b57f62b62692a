/* SPDX-License-Identifier: MIT */
/* HTTP over the unix sockets in the proxy's run folder: one connection a request. */

#include "internal.h"

#include <unistd.h>

char *proxy_path(const struct proxy *p, const char *relative)
{
	return xasprintf("%s/%s", p->root, relative);
}

void proxy_prepare(struct proxy *p, const char *socket)
{
	if (p->pending || !p->host->ssh) {
		return;
	}
	CLEANUP_FREE char *relative = xasprintf("run/%s", socket);
	CLEANUP_FREE char *path = proxy_path(p, relative);
	p->pending = ssh_open_unix_start(p->host->ssh, path);
	p->pending_socket = socket;
}

void proxy_unprepare(struct proxy *p)
{
	if (p->pending) {
		ssh_pending_cancel(p->pending);
		p->pending = NULL;
	}
}

static int dial(struct proxy *p, const char *socket, struct error *err)
{
	CLEANUP_FREE char *relative = xasprintf("run/%s", socket);
	CLEANUP_FREE char *path = proxy_path(p, relative);
	if (p->pending && str_eq(p->pending_socket, socket)) {
		struct error ignored = {0};
		struct ssh_pending *pending = p->pending;
		p->pending = NULL;
		int fd = ssh_pending_wait(pending, &ignored);
		if (fd >= 0) {
			return fd;
		}
	}
	return host_dial_unix(p->host, path, err);
}

int proxy_http(struct proxy *p, const struct proxy_request *req, struct http_reply *reply,
	struct error *err)
{
	CLEANUP_STRMAP struct strmap headers = {0};
	CLEANUP_FD int fd = dial(p, req->socket, err);
	if (fd < 0) {
		if (err->status == SSH_OPEN_PROHIBITED) {
			error_hint(err,
				"the proxy is reached by its unix sockets: set "
				"'AllowStreamLocalForwarding yes' in the server's sshd_config");
		}
		return error_wrap(err, "connect to the proxy");
	}
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
	return http_exchange(fd, &http, req->timeout_ms, reply, err);
}
