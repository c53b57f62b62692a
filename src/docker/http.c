/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include <string.h>
#include <unistd.h>

void http_reply_fini(struct http_reply *r)
{
	strmap_fini(&r->headers);
	str_fini(&r->body);
	r->status = 0;
}

int http_exchange(int fd, const struct http_request *req, int timeout_ms, struct http_reply *reply,
	struct error *err)
{
	struct http_conn *c = http_conn_new(fd);
	struct http_timer t = http_timer_start(timeout_ms);
	if (reply->body.max == 0) {
		reply->body.max = STR_MAX_REPLY;
	}
	http_conn_request(c, req, true);
	int rc = http_conn_head(c, strcmp(req->method, "HEAD") == 0, &t, err);
	if (rc == 0) {
		reply->status = http_conn_status(c);
		strmap_copy(&reply->headers, http_conn_headers(c));
		rc = http_conn_collect(c, &reply->body, &t, err);
	}
	(void)http_conn_take_fd(c);
	http_conn_free(c);
	return rc;
}
