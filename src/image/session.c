/* SPDX-License-Identifier: MIT */
#include "image/session.h"

#include "docker/build.h"
#include "image/protobuf.h"
#include "util/digest.h"
#include "util/map.h"

#include <errno.h>
#include <fcntl.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_STREAMS  32
#define MAX_METHOD   128
#define GRPC_PREFIX  5 /* compressed flag and 4 bytes of length */
#define SESSION_NAME "deploy"

struct call;

struct session {
	int fd, wake;
	char id[33];
	struct session_provider provider;
	nghttp2_session *http;
	pthread_t thread;
	struct str out; /* bytes that the socket did not take yet */
	struct call *calls;
};

/* One request. */
struct call {
	char method[MAX_METHOD];
	struct str request;
	struct str reply;
	size_t sent;
	enum session_status status;
	struct call *next, **link; /* of the open ones: nghttp2_session_del() calls nothing back */
};

/* First BYTES field `number` as a string, or NULL. The caller frees. */
static char *string_field(const void *message, size_t len, uint32_t number)
{
	struct protobuf m;
	struct protobuf_field f;

	protobuf_init(&m, message, len);
	while (protobuf_next(&m, &f) == 1) {
		if (f.number == number && f.wire == PROTOBUF_BYTES &&
			!memchr(f.data, '\0', f.len)) {
			return xstrndup((const char *)f.data, f.len);
		}
	}
	return NULL;
}

static enum session_status get_secret(
	const struct session_provider *p, const void *message, size_t len, struct str *reply)
{
	CLEANUP_FREE char *name = string_field(message, len, 1);
	struct secret *value;

	if (!name) {
		return SESSION_INVALID;
	}
	if (!p->secret_names || !strvec_has(p->secret_names, name) || !p->secrets) {
		return SESSION_NOT_FOUND;
	}
	value = secret_map_get(p->secrets, name);
	if (!value) {
		return SESSION_NOT_FOUND;
	}
	protobuf_add_bytes(reply, 1, secret_reveal(value), secret_len(value));
	return SESSION_OK;
}

static void add_credentials(struct str *reply, const struct registry_auth *a)
{
	protobuf_add_bytes(reply, 1, a->username, strlen(a->username));
	protobuf_add_bytes(reply, 2, secret_reveal(a->password), secret_len(a->password));
}

static enum session_status credentials(
	const struct session_provider *p, const void *message, size_t len, struct str *reply)
{
	CLEANUP_FREE char *host = string_field(message, len, 1);
	struct registry_auth found = {0};
	struct error ignored = {0};

	if (!host) {
		return SESSION_INVALID;
	}
	for (size_t i = 0; i < p->nauths; i++) {
		if (registry_auth_is_set(&p->auths[i]) && registry_same(p->auths[i].server, host)) {
			add_credentials(reply, &p->auths[i]);
			return SESSION_OK;
		}
	}
	if (registry_auth_from_docker(host, &found, &ignored) == 0 && found.password) {
		add_credentials(reply, &found);
	}
	registry_auth_fini(&found);
	return SESSION_OK; /* empty: ask without a login */
}

enum session_status session_answer(const struct session_provider *p, const char *method,
	const void *message, size_t len, struct str *reply)
{
	if (str_eq(method, "/grpc.health.v1.Health/Check")) {
		protobuf_add_varint(reply, 1, 1); /* SERVING */
		return SESSION_OK;
	}
	if (str_eq(method, "/moby.buildkit.secrets.v1.Secrets/GetSecret")) {
		return get_secret(p, message, len, reply);
	}
	if (str_eq(method, "/moby.filesync.v1.Auth/Credentials")) {
		return credentials(p, message, len, reply);
	}
	return SESSION_UNIMPLEMENTED;
}

static void wipe(struct str *s)
{
	if (s->p) {
		explicit_bzero(s->p, s->cap);
	}
	str_fini(s);
}

static void call_free(struct call *c)
{
	if (c) {
		*c->link = c->next;
		if (c->next) {
			c->next->link = c->link;
		}
		str_fini(&c->request);
		wipe(&c->reply);
		free(c);
	}
}

static nghttp2_nv header(const char *name, const char *value)
{
	/* nghttp2 copies both; its fields lack const. */
	return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
		.value = (uint8_t *)(uintptr_t)value,
		.namelen = strlen(name),
		.valuelen = strlen(value)};
}

static ssize_t read_reply(nghttp2_session *http, int32_t stream, uint8_t *buf, size_t len,
	uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct call *c = source->ptr;
	size_t left = c->reply.len - c->sent, n = left < len ? left : len;

	memcpy(buf, c->reply.p + c->sent, n);
	c->sent += n;
	if (c->sent == c->reply.len) {
		char status[8];
		nghttp2_nv trailer;
		snprintf(status, sizeof(status), "%d", (int)c->status);
		trailer = header("grpc-status", status);
		*flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
		if (nghttp2_submit_trailer(http, stream, &trailer, 1) != 0) {
			return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
		}
	}
	return (ssize_t)n;
}

/* The request is whole: 5 bytes of prefix and the message. */
static int answer(struct session *s, int32_t stream, struct call *c)
{
	const unsigned char *r = (const unsigned char *)c->request.p;
	CLEANUP_STR struct str body = STR_INIT((size_t)1 << 20);
	nghttp2_data_provider provider = {.source = {.ptr = c}, .read_callback = read_reply};
	char status[8];

	if (c->request.overflow) {
		c->status = SESSION_EXHAUSTED;
	} else if (c->request.len < GRPC_PREFIX || r[0] != 0 ||
		   ((uint32_t)r[1] << 24 | (uint32_t)r[2] << 16 | (uint32_t)r[3] << 8 | r[4]) !=
			   c->request.len - GRPC_PREFIX) {
		c->status = SESSION_INVALID;
	} else {
		c->status = session_answer(&s->provider, c->method, r + GRPC_PREFIX,
			c->request.len - GRPC_PREFIX, &body);
	}
	snprintf(status, sizeof(status), "%d", (int)c->status);
	nghttp2_nv head[] = {header(":status", "200"), header("content-type", "application/grpc"),
		header("grpc-status", status)};
	if (c->status != SESSION_OK) {
		return nghttp2_submit_response(s->http, stream, head, 3, NULL);
	}
	const unsigned char prefix[GRPC_PREFIX] = {0, (unsigned char)(body.len >> 24),
		(unsigned char)(body.len >> 16), (unsigned char)(body.len >> 8),
		(unsigned char)body.len};
	str_init(&c->reply, body.max + GRPC_PREFIX);
	str_addn(&c->reply, prefix, sizeof(prefix));
	str_addn(&c->reply, str_c(&body), body.len);
	wipe(&body);
	return nghttp2_submit_response(s->http, stream, head, 2, &provider);
}

static int on_begin(nghttp2_session *http, const nghttp2_frame *frame, void *user)
{
	struct session *s = user;
	struct call *c;

	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
		return 0;
	}
	c = xcalloc(1, sizeof(*c));
	str_init(&c->request, SESSION_MAX_MESSAGE);
	c->next = s->calls;
	c->link = &s->calls;
	s->calls = c;
	if (c->next) {
		c->next->link = &c->next;
	}
	nghttp2_session_set_stream_user_data(http, frame->hd.stream_id, c);
	return 0;
}

static int on_header(nghttp2_session *http, const nghttp2_frame *frame, const uint8_t *name,
	size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *user)
{
	struct call *c = nghttp2_session_get_stream_user_data(http, frame->hd.stream_id);

	if (c && name_len == 5 && memcmp(name, ":path", 5) == 0 && value_len < MAX_METHOD) {
		memcpy(c->method, value, value_len);
		c->method[value_len] = '\0';
	}
	return 0;
}

static int on_data(nghttp2_session *http, uint8_t flags, int32_t stream, const uint8_t *data,
	size_t len, void *user)
{
	struct call *c = nghttp2_session_get_stream_user_data(http, stream);

	if (c) {
		str_addn(&c->request, data, len);
	}
	return 0;
}

static int on_frame(nghttp2_session *http, const nghttp2_frame *frame, void *user)
{
	bool request = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
	struct call *c =
		request ? nghttp2_session_get_stream_user_data(http, frame->hd.stream_id) : NULL;

	if (c && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) &&
		answer(user, frame->hd.stream_id, c) != 0) {
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	}
	return 0;
}

static int on_close(nghttp2_session *http, int32_t stream, uint32_t code, void *user)
{
	call_free(nghttp2_session_get_stream_user_data(http, stream));
	nghttp2_session_set_stream_user_data(http, stream, NULL);
	return 0;
}

static int start_http(struct session *s)
{
	nghttp2_session_callbacks *cb = NULL;
	nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, MAX_STREAMS}};
	int rc;

	if (nghttp2_session_callbacks_new(&cb) != 0) {
		return -1;
	}
	nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin);
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
	rc = nghttp2_session_server_new(&s->http, cb, s);
	nghttp2_session_callbacks_del(cb);
	return rc == 0 ? nghttp2_submit_settings(s->http, NGHTTP2_FLAG_NONE, settings, 1) : rc;
}

/* Moves what nghttp2 wants to send into `out`, and from there into the socket: 0, or -1 at the end.
 */
static int flush(struct session *s)
{
	const uint8_t *data;
	ssize_t n;

	while (s->out.len < s->out.max / 2 && (n = nghttp2_session_mem_send(s->http, &data)) > 0) {
		if (str_addn(&s->out, data, (size_t)n) != 0) {
			return -1;
		}
	}
	while (s->out.len) {
		n = send(s->fd, s->out.p, s->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0) {
			return errno == EAGAIN || errno == EINTR ? 0 : -1;
		}
		str_consume(&s->out, (size_t)n);
	}
	return 0;
}

static void *serve(void *arg)
{
	struct session *s = arg;
	uint8_t buf[16384];

	while (flush(s) == 0 && (nghttp2_session_want_read(s->http) || s->out.len)) {
		struct pollfd p[] = {
			{.fd = s->fd, .events = (short)(POLLIN | (s->out.len ? POLLOUT : 0))},
			{.fd = s->wake, .events = POLLIN}};
		if (poll(p, 2, -1) < 0 && errno != EINTR) {
			break;
		}
		if (p[1].revents) {
			break;
		}
		if (p[0].revents & (POLLIN | POLLHUP | POLLERR)) {
			ssize_t n = recv(s->fd, buf, sizeof(buf), MSG_DONTWAIT);
			if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
				break;
			}
			if (n > 0 && nghttp2_session_mem_recv(s->http, buf, (size_t)n) < 0) {
				break;
			}
		}
	}
	shutdown(s->fd, SHUT_RDWR);
	return NULL;
}

static struct session *session_new(const struct session_provider *provider)
{
	struct session *s = xcalloc(1, sizeof(*s));

	s->fd = s->wake = -1;
	s->provider = *provider;
	str_init(&s->out, (size_t)2 << 20);
	digest_random_hex(16, s->id);
	return s;
}

static void session_free(struct session *s)
{
	nghttp2_session_del(s->http);
	while (s->calls) {
		call_free(s->calls);
	}
	cleanup_close_(&s->fd);
	cleanup_close_(&s->wake);
	wipe(&s->out);
	free(s);
}

static int session_start(struct session *s)
{
	s->wake = eventfd(0, EFD_CLOEXEC);
	if (s->wake < 0 || start_http(s) != 0) {
		return -1;
	}
	return pthread_create(&s->thread, NULL, serve, s) == 0 ? 0 : -1;
}

struct session *session_serve(int fd, const struct session_provider *provider)
{
	struct session *s = session_new(provider);

	s->fd = fd;
	if (session_start(s) != 0) {
		session_free(s);
		return NULL;
	}
	return s;
}

struct session *session_open(
	struct docker *docker, const struct session_provider *provider, struct error *err)
{
	struct session *s = session_new(provider);
	CLEANUP_STRMAP struct strmap headers = {0};
	CLEANUP_STRVEC struct strvec methods = {0};

	strmap_set(&headers, "X-Docker-Expose-Session-Uuid", s->id);
	strmap_set(&headers, "X-Docker-Expose-Session-Name", SESSION_NAME);
	strmap_set(&headers, "X-Docker-Expose-Session-Sharedkey", s->id);
	strvec_push(&methods, "/grpc.health.v1.Health/Check");
	strvec_push(&methods, "/moby.buildkit.secrets.v1.Secrets/GetSecret");
	strvec_push(&methods, "/moby.filesync.v1.Auth/Credentials");
	s->fd = docker_session_open(docker, &headers, &methods, err);
	if (s->fd < 0) {
		session_free(s);
		return NULL;
	}
	if (session_start(s) != 0) {
		error_set(err, ERROR_INTERNAL, "build session: cannot start");
		session_free(s);
		return NULL;
	}
	return s;
}

const char *session_id(const struct session *s)
{
	return s->id;
}

void session_close(struct session *s)
{
	uint64_t one = 1;

	if (!s) {
		return;
	}
	if (write(s->wake, &one, sizeof(one)) < 0) {
		shutdown(s->fd, SHUT_RDWR);
	}
	pthread_join(s->thread, NULL);
	session_free(s);
}
