/* SPDX-License-Identifier: MIT */
#include "image/serve.h"

#include "docker/http.h"
#include "parcel.h"
#include "util/cancel.h"
#include "util/clock.h"
#include "util/digest.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define IDLE_MS  60000 /* a connection without a request is closed */
#define WRITE_MS 60000 /* a peer that takes nothing for so long is gone */
#define SLICE_MS 100
#define CHUNK    ((size_t)256 << 10)

struct serve {
	struct image_source *s;
	char *host;
	char token[33];
	char *manifest;
	char digest[IMAGE_ID_SIZE];
	uint64_t total;
	atomic_uint_fast64_t sent;
	atomic_size_t layers;
	atomic_bool stop;
};

/* "bytes=N-" and "bytes=N-M", digits alone; anything else counts as no range. */
static void parse_range(const char *value, struct serve_request *out)
{
	CLEANUP_FREE char *from = NULL;
	const char *dash = strchr(value, '-');
	long first, last = LONG_MAX;

	if (!dash || strncasecmp(value, "bytes=", 6) != 0) {
		return;
	}
	from = xstrndup(value + 6, (size_t)(dash - value) - 6);
	if (str_to_long(from, 0, LONG_MAX, &first) != 0 ||
		(dash[1] && str_to_long(dash + 1, first, LONG_MAX, &last) != 0)) {
		return;
	}
	out->ranged = true;
	out->from = (uint64_t)first;
	out->to = dash[1] ? (uint64_t)last : UINT64_MAX;
}

static void parse_header(const char *line, size_t len, struct serve_request *out)
{
	char value[128];
	const char *colon = memchr(line, ':', len);
	size_t name = colon ? (size_t)(colon - line) : 0, n;

	if (!colon) {
		return;
	}
	colon++;
	n = len - name - 1;
	while (n && (*colon == ' ' || *colon == '\t')) {
		colon++;
		n--;
	}
	if (n >= sizeof(value)) {
		return;
	}
	memcpy(value, colon, n);
	value[n] = '\0';
	if (name == 5 && strncasecmp(line, "range", 5) == 0) {
		parse_range(value, out);
	} else if (name == 10 && strncasecmp(line, "connection", 10) == 0) {
		out->keep_alive = strcasecmp(value, "close") != 0 && out->keep_alive;
	}
}

int serve_parse(const char *text, size_t len, struct serve_request *out)
{
	const char *end = text + len, *line = text, *nl = memchr(text, '\n', len);
	const char *target, *version;

	*out = (struct serve_request){.to = UINT64_MAX};
	if (!nl || memchr(text, '\0', len) || nl == text || nl[-1] != '\r') {
		return -1;
	}
	target = memchr(text, ' ', (size_t)(nl - text));
	version = target ? memchr(target + 1, ' ', (size_t)(nl - target - 1)) : NULL;
	if (!version || nl - 1 - version != 9 || memcmp(version + 1, "HTTP/1.", 7) != 0 ||
		target[1] != '/' || version - target > SERVE_MAX_PATH) {
		return -1;
	}
	out->head = target - text == 4 && memcmp(text, "HEAD", 4) == 0;
	out->other = !out->head && !(target - text == 3 && memcmp(text, "GET", 3) == 0);
	out->keep_alive = version[8] == '1';
	memcpy(out->path, target + 1, (size_t)(version - target - 1));
	for (line = nl + 1; line < end; line = nl + 1) {
		nl = memchr(line, '\n', (size_t)(end - line));
		if (!nl || nl == line || nl[-1] != '\r') {
			return -1;
		}
		if (nl - 1 == line) {
			return 0;
		}
		parse_header(line, (size_t)(nl - 1 - line), out);
	}
	return -1;
}

int serve_is_loopback(const char *text, size_t len, int port)
{
	const char *end = text + len;
	int found = -1;

	while (text < end) {
		const char *nl = memchr(text, '\n', (size_t)(end - text));
		size_t n = (size_t)((nl ? nl : end) - text);
		char line[256], address[64];
		unsigned at, state;
		n = n < sizeof(line) - 1 ? n : sizeof(line) - 1;
		memcpy(line, text, n);
		line[n] = '\0';
		text = nl ? nl + 1 : end;
		/* "  0: 0100007F:1F90 00000000:0000 0A ...": bytes of each word in host order */
		if (sscanf(line, " %*u: %63[0-9A-Fa-f]:%4x %*[0-9A-Fa-f]:%*x %2x", address, &at,
			    &state) != 3 ||
			state != 0x0a || (int)at != port) {
			continue;
		}
		bool loopback = (strlen(address) == 8 && strcasecmp(address + 6, "7F") == 0) ||
				strcasecmp(address, "00000000000000000000000001000000") == 0 ||
				(strlen(address) == 32 &&
					strncasecmp(address, "0000000000000000FFFF0000", 24) == 0 &&
					strcasecmp(address + 30, "7F") == 0);
		found = loopback && found != 0 ? 1 : 0;
	}
	return found;
}

struct serve *serve_new(struct image_source *s, const char *host)
{
	struct serve *v = xcalloc(1, sizeof(*v));

	v->s = s;
	v->host = xstrdup(host);
	digest_random_hex(16, v->token);
	v->manifest = parcel_manifest(s, false, v->digest);
	atomic_init(&v->sent, 0);
	atomic_init(&v->layers, 0);
	atomic_init(&v->stop, false);
	return v;
}

void serve_stop(struct serve *v)
{
	atomic_store(&v->stop, true);
}

void serve_free(struct serve *v)
{
	if (v) {
		free(v->host);
		free(v->manifest);
		free(v);
	}
}

const char *serve_token(const struct serve *v)
{
	return v->token;
}

const char *serve_digest(const struct serve *v)
{
	return v->digest;
}

uint64_t serve_sent(struct serve *v)
{
	return atomic_load(&v->sent);
}

size_t serve_layers(struct serve *v)
{
	return atomic_load(&v->layers);
}

/* Waits for the descriptor: 0, or -1 when time is over or all is to end. */
static int wait_fd(struct serve *v, int fd, short events, int timeout_ms)
{
	int64_t until = clock_mono_ms() + timeout_ms;

	while (!atomic_load(&v->stop) && !cancel_requested() && clock_mono_ms() < until) {
		struct pollfd p = {.fd = fd, .events = events};
		int rc = poll(&p, 1, SLICE_MS);
		if (rc > 0) {
			return 0;
		}
		if (rc < 0 && errno != EINTR) {
			return -1;
		}
	}
	return -1;
}

static int send_all(struct serve *v, int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			return -1;
		}
		if (n < 0 && wait_fd(v, fd, POLLOUT, WRITE_MS) != 0) {
			return -1;
		}
		if (n > 0) {
			p += n;
			len -= (size_t)n;
			uint64_t sent = atomic_fetch_add(&v->sent, (uint64_t)n) + (uint64_t)n;
			ui_progress(v->s->ui, v->host, "image", sent, v->total);
		}
	}
	return 0;
}

struct reply {
	const char *status, *type, *digest;
	uint64_t from, size; /* of the body that follows; from of a range */
	uint64_t whole;      /* with a range: size of all */
	bool ranged;
};

static int send_head(struct serve *v, int fd, const struct serve_request *r, const struct reply *a)
{
	CLEANUP_STR struct str out = STR_INIT(SERVE_MAX_HEAD);

	str_addf(&out,
		"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %llu\r\n"
		"Docker-Distribution-Api-Version: registry/2.0\r\nAccept-Ranges: bytes\r\n",
		a->status, a->type, (unsigned long long)a->size);
	if (a->digest) {
		str_addf(&out, "Docker-Content-Digest: %s\r\nETag: \"%s\"\r\n", a->digest,
			a->digest);
	}
	if (a->ranged) {
		str_addf(&out, "Content-Range: bytes %llu-%llu/%llu\r\n",
			(unsigned long long)a->from, (unsigned long long)(a->from + a->size - 1),
			(unsigned long long)a->whole);
	}
	str_addf(&out, "Connection: %s\r\n\r\n", r->keep_alive ? "keep-alive" : "close");
	return send_all(v, fd, out.p, out.len);
}

static int send_small(struct serve *v, int fd, const struct serve_request *r, const char *status,
	const char *type, const char *digest, const char *body, size_t len)
{
	struct reply a = {.status = status, .type = type, .digest = digest, .size = len};

	if (send_head(v, fd, r, &a) != 0) {
		return -1;
	}
	return r->head ? 0 : send_all(v, fd, body, len);
}

static int send_error(struct serve *v, int fd, const struct serve_request *r, const char *status)
{
	static const char body[] = "{\"errors\":[{\"code\":\"UNSUPPORTED\"}]}";

	return send_small(v, fd, r, status, "application/json", NULL, body, sizeof(body) - 1);
}

/* Cuts the range to the size; false when nothing of it is there. */
static bool apply_range(const struct serve_request *r, struct reply *a)
{
	a->whole = a->size;
	if (!r->ranged) {
		return true;
	}
	if (r->from >= a->size) {
		return false;
	}
	a->ranged = true;
	a->status = "206 Partial Content";
	a->from = r->from;
	a->size = (r->to < a->whole ? r->to + 1 : a->whole) - r->from;
	return true;
}

static int send_bytes(struct serve *v, int fd, size_t layer, uint64_t at, uint64_t left)
{
	char *buf = xcalloc(1, CHUNK);
	struct error err = {0};
	int rc = 0;

	while (rc == 0 && left) {
		ssize_t n = origin_read(
			v->s, layer, at, buf, left < CHUNK ? (size_t)left : CHUNK, &err);
		if (n <= 0) {
			ui_debug(v->s->ui, v->host, "image: %s", err.text);
			rc = -1; /* cut the connection: the daemon must not take it for whole */
		} else {
			rc = send_all(v, fd, buf, (size_t)n);
			at += (uint64_t)n;
			left -= (uint64_t)n;
		}
	}
	free(buf);
	return rc;
}

static int send_layer(struct serve *v, int fd, const struct serve_request *r, size_t index)
{
	struct image_source *s = v->s;
	bool *one = xcalloc(s->n, sizeof(*one));
	struct origin_need need = {.layers = one};
	struct error err = {0};
	struct reply a = {.status = "200 OK", .type = "application/octet-stream"};
	int rc = 0;

	one[index] = !r->head;
	a.digest = s->layers[index].diff_id;
	if (!r->head &&
		(origin_want(s, &need, &err) != 0 || origin_wait_layer(s, index, &err) != 0)) {
		ui_debug(s->ui, v->host, "image: %s", err.text);
		rc = send_error(v, fd, r, "503 Service Unavailable");
	} else {
		pthread_mutex_lock(&s->lock);
		a.size = (uint64_t)s->layers[s->layers[index].same].size;
		pthread_mutex_unlock(&s->lock);
		if (!apply_range(r, &a)) {
			rc = send_error(v, fd, r, "416 Range Not Satisfiable");
		} else {
			rc = send_head(v, fd, r, &a);
			if (rc == 0 && !r->head) {
				atomic_fetch_add(&v->layers, 1);
				rc = send_bytes(v, fd, index, a.from, a.size);
			}
		}
	}
	free(one);
	return rc;
}

static int answer_blob(struct serve *v, int fd, const struct serve_request *r, const char *digest)
{
	struct image_source *s = v->s;

	if (str_eq(digest, s->config_digest)) {
		return send_small(v, fd, r, "200 OK", "application/octet-stream", digest,
			str_c(&s->config), s->config.len);
	}
	for (size_t i = 0; i < s->n; i++) {
		if (str_eq(digest, s->layers[i].diff_id)) {
			return send_layer(v, fd, r, i);
		}
	}
	return send_error(v, fd, r, "404 Not Found");
}

static int answer(struct serve *v, int fd, const struct serve_request *r)
{
	CLEANUP_FREE char *root = xasprintf("/v2/%s/image/", v->token);
	const char *rest = r->path + strlen(root);

	if (r->other) {
		return send_error(v, fd, r, "405 Method Not Allowed");
	}
	if (str_eq(r->path, "/v2/") || str_eq(r->path, "/v2")) {
		return send_small(v, fd, r, "200 OK", "application/json", NULL, "{}", 2);
	}
	if (!str_starts(r->path, root)) {
		return send_error(v, fd, r, "404 Not Found");
	}
	if (str_starts(rest, "blobs/")) {
		return answer_blob(v, fd, r, rest + strlen("blobs/"));
	}
	if (str_starts(rest, "manifests/") && str_eq(rest + strlen("manifests/"), v->digest)) {
		return send_small(v, fd, r, "200 OK", MANIFEST_DOCKER, v->digest, v->manifest,
			strlen(v->manifest));
	}
	return send_error(v, fd, r, "404 Not Found");
}

/* Reads until a head is whole: its length; 0 when the connection is over. */
static size_t read_head(struct serve *v, int fd, struct str *in)
{
	size_t len;

	while (!(len = http_head_length(str_c(in), in->len))) {
		char buf[4096];
		ssize_t n;
		if (wait_fd(v, fd, POLLIN, IDLE_MS) != 0) {
			return 0;
		}
		n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			continue;
		}
		if (n <= 0 || str_addn(in, buf, (size_t)n) != 0) {
			return 0;
		}
		if (in->p[0] == 0x16) {
			static const char no_tls[] = "HTTP/1.0 400 Bad Request\r\n\r\n";
			(void)send_all(v, fd, no_tls, sizeof(no_tls) - 1);
			return 0;
		}
	}
	return len;
}

void serve_connection(struct serve *v, int fd)
{
	CLEANUP_STR struct str in = STR_INIT(SERVE_MAX_HEAD);
	struct serve_request r;
	size_t len;

	while ((len = read_head(v, fd, &in))) {
		if (serve_parse(str_c(&in), len, &r) != 0) {
			r = (struct serve_request){0};
			(void)send_error(v, fd, &r, "400 Bad Request");
			break;
		}
		str_consume(&in, len);
		ui_debug(v->s->ui, v->host, "image: %s %s", r.head ? "HEAD" : "GET",
			strrchr(r.path, '/'));
		if (answer(v, fd, &r) != 0 || !r.keep_alive) {
			break;
		}
	}
	shutdown(fd, SHUT_RDWR);
	close(fd);
}
