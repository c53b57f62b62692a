/* SPDX-License-Identifier: MIT */
/* What needs no daemon: protocol buffers, BuildKit's progress and session, registry requests, tar.
 */
#include "image/protobuf.h"
#include "image/registry.h"
#include "image/save.h"
#include "image/serve.h"
#include "image/session.h"
#include "image/tar.h"
#include "image/trace.h"
#include "util/digest.h"
#include "util/fs.h"

#include <archive.h>
#include <archive_entry.h>
#include <nghttp2/nghttp2.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

static void test_protobuf(void **state)
{
	CLEANUP_STR struct str m = STR_INIT(1024);
	struct protobuf r;
	struct protobuf_field f;

	protobuf_add_varint(&m, 1, 300);
	protobuf_add_bytes(&m, 2, "abc", 3);
	protobuf_add_varint(&m, 100, UINT64_MAX);
	str_addn(&m, "\x1d\x01\x00\x00\x00", 5); /* field 3, fixed32 */
	protobuf_init(&r, m.p, m.len);
	assert_int_equal(protobuf_next(&r, &f), 1);
	assert_int_equal(f.value, 300);
	assert_int_equal(protobuf_next(&r, &f), 1);
	assert_memory_equal(f.data, "abc", 3);
	assert_int_equal(protobuf_next(&r, &f), 1);
	assert_int_equal(f.number, 100);
	assert_true(f.value == UINT64_MAX);
	assert_int_equal(protobuf_next(&r, &f), 1);
	assert_int_equal(f.value, 1);
	assert_int_equal(protobuf_next(&r, &f), 0);
	/* Cut anywhere: an error or fewer fields, never a read beyond. */
	for (size_t cut = 0; cut < m.len; cut++) {
		CLEANUP_FREE char *copy = malloc(cut ? cut : 1);
		memcpy(copy, m.p, cut);
		protobuf_init(&r, copy, cut);
		while (protobuf_next(&r, &f) == 1) {
		}
	}
	protobuf_init(&r, "\x0a\xff\xff\xff\xff\x0f", 6); /* 4 GB in 0 bytes */
	assert_int_equal(protobuf_next(&r, &f), -1);
	protobuf_init(&r, "\x00", 1); /* field 0 */
	assert_int_equal(protobuf_next(&r, &f), -1);
	protobuf_init(&r, "\x0b", 1); /* a group */
	assert_int_equal(protobuf_next(&r, &f), -1);
}

static void add_message(struct str *out, uint32_t number, struct str *m)
{
	protobuf_add_bytes(out, number, str_c(m), m->len);
	str_reset(m);
}

static void on_trace(
	void *ctx, enum trace_event event, const char *step, const char *text, bool is_err)
{
	static const char letters[] = "SCDFOW";

	str_addf(ctx, "%c%s:%s%s|", letters[event], step, text ? text : "", is_err ? "!" : "");
}

static void test_trace(void **state)
{
	CLEANUP_STR struct str m = STR_INIT(4096), v = STR_INIT(4096), said = STR_INIT(4096);
	struct trace *t = trace_new(on_trace, &said);

	protobuf_add_bytes(&v, 1, "sha256:a", 8);
	protobuf_add_bytes(&v, 3, "RUN make", 8);
	protobuf_add_bytes(&v, 5, "", 0);
	add_message(&m, 1, &v);
	protobuf_add_bytes(&v, 1, "sha256:b", 8);
	protobuf_add_bytes(&v, 3, "COPY", 4);
	protobuf_add_varint(&v, 4, 1);
	protobuf_add_bytes(&v, 6, "", 0);
	add_message(&m, 1, &v);
	protobuf_add_bytes(&v, 1, "sha256:a", 8);
	protobuf_add_varint(&v, 3, 2);
	protobuf_add_bytes(&v, 4, "one\r\ntw", 7);
	add_message(&m, 3, &v);
	protobuf_add_bytes(&v, 1, "sha256:a", 8);
	protobuf_add_bytes(&v, 4, "o", 1);
	add_message(&m, 3, &v);
	protobuf_add_bytes(&v, 1, "sha256:a", 8);
	protobuf_add_bytes(&v, 6, "", 0);
	protobuf_add_bytes(&v, 7, "exit code: 2", 12);
	add_message(&m, 1, &v);
	protobuf_add_bytes(&v, 3, "old syntax", 10);
	add_message(&m, 4, &v);
	assert_int_equal(trace_feed(t, m.p, m.len), 0);
	assert_string_equal(str_c(&said), "SRUN make:|CCOPY:|ORUN make:one!|ORUN make:two|"
					  "FRUN make:exit code: 2|W:old syntax!|");
	assert_string_equal(trace_failed_step(t), "RUN make");
	assert_string_equal(trace_failed_error(t), "exit code: 2");
	assert_string_equal(trace_failed_tail(t), "one\ntwo\n");
	assert_int_equal(trace_feed(t, "\x0a\x09", 2), -1);
	trace_free(t);
}

static void test_session_answers(void **state)
{
	CLEANUP_STR struct str m = STR_INIT(1024), reply = STR_INIT(1024);
	CLEANUP_STRVEC struct strvec names = {0};
	struct secret_map secrets = {0};
	struct registry_auth auth = {.server = (char[]){"ghcr.io"},
		.username = (char[]){"ann"},
		.password = secret_new("pw", 2)};
	struct session_provider p = {
		.secret_names = &names, .secrets = &secrets, .auths = &auth, .nauths = 1};
	const char *get = "/moby.buildkit.secrets.v1.Secrets/GetSecret";
	const char *credentials = "/moby.filesync.v1.Auth/Credentials";

	setenv("DOCKER_CONFIG", "/nonexistent", 1);
	strvec_push(&names, "TOKEN");
	secret_map_set(&secrets, "TOKEN", secret_new("tok", 3));
	secret_map_set(&secrets, "OTHER", secret_new("oth", 3));
	protobuf_add_bytes(&m, 1, "TOKEN", 5);
	assert_int_equal(session_answer(&p, get, m.p, m.len, &reply), SESSION_OK);
	assert_memory_equal(reply.p, "\x0a\x03tok", 5);
	str_reset(&m);
	str_reset(&reply);
	protobuf_add_bytes(&m, 1, "OTHER", 5); /* known, but not for this build */
	assert_int_equal(session_answer(&p, get, m.p, m.len, &reply), SESSION_NOT_FOUND);
	assert_int_equal(session_answer(&p, get, "\xff", 1, &reply), SESSION_INVALID);
	assert_int_equal(session_answer(&p, "/x.Y/Z", "", 0, &reply), SESSION_UNIMPLEMENTED);
	assert_int_equal(reply.len, 0);
	str_reset(&m);
	protobuf_add_bytes(&m, 1, "ghcr.io", 7);
	assert_int_equal(session_answer(&p, credentials, m.p, m.len, &reply), SESSION_OK);
	assert_memory_equal(reply.p,
		"\x0a\x03"
		"ann\x12\x02pw",
		9);
	str_reset(&m);
	str_reset(&reply);
	protobuf_add_bytes(&m, 1, "other.io", 8);
	assert_int_equal(session_answer(&p, credentials, m.p, m.len, &reply), SESSION_OK);
	assert_int_equal(reply.len, 0);
	secret_map_fini(&secrets);
	secret_unref(auth.password);
}

/* A gRPC client of a few lines: one request, its reply and status. */
struct client {
	int fd;
	const char *body;
	size_t len;
	struct str reply;
	char status[8];
	bool closed;
};

static ssize_t client_send(
	nghttp2_session *h, const uint8_t *data, size_t len, int flags, void *user)
{
	return send(((struct client *)user)->fd, data, len, 0);
}

/* One read from the peer: 0, or -1 when it is gone. */
static int client_take(nghttp2_session *h, struct client *c)
{
	uint8_t buf[4096];
	ssize_t n = recv(c->fd, buf, sizeof(buf), 0);

	return n > 0 && nghttp2_session_mem_recv(h, buf, (size_t)n) == n ? 0 : -1;
}

static int client_header(nghttp2_session *h, const nghttp2_frame *f, const uint8_t *name,
	size_t name_len, const uint8_t *value, size_t len, uint8_t flags, void *user)
{
	if (name_len == 11 && memcmp(name, "grpc-status", 11) == 0 && len < 8) {
		memcpy(((struct client *)user)->status, value, len);
	}
	return 0;
}

static int client_data(nghttp2_session *h, uint8_t flags, int32_t stream, const uint8_t *data,
	size_t len, void *user)
{
	return str_addn(&((struct client *)user)->reply, data, len);
}

static int client_close(nghttp2_session *h, int32_t stream, uint32_t code, void *user)
{
	((struct client *)user)->closed = true;
	return 0;
}

static ssize_t client_body(nghttp2_session *h, int32_t stream, uint8_t *buf, size_t len,
	uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct client *c = user;
	memcpy(buf, c->body, c->len);
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)c->len;
}

static nghttp2_nv nv(const char *name, const char *value)
{
	return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
		.value = (uint8_t *)(uintptr_t)value,
		.namelen = strlen(name),
		.valuelen = strlen(value)};
}

static void client_call(int fd, const char *method, const char *body, size_t len, struct client *c)
{
	nghttp2_session_callbacks *cb;
	nghttp2_session *h;
	nghttp2_data_provider provider = {.read_callback = client_body};
	nghttp2_nv head[] = {nv(":method", "POST"), nv(":scheme", "http"), nv(":path", method),
		nv(":authority", "localhost"), nv("content-type", "application/grpc")};

	*c = (struct client){.fd = fd, .body = body, .len = len};
	str_init(&c->reply, 1024);
	nghttp2_session_callbacks_new(&cb);
	nghttp2_session_callbacks_set_send_callback(cb, client_send);
	nghttp2_session_callbacks_set_on_header_callback(cb, client_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, client_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, client_close);
	nghttp2_session_client_new(&h, cb, c);
	nghttp2_session_callbacks_del(cb);
	nghttp2_submit_settings(h, 0, NULL, 0);
	nghttp2_submit_request(h, NULL, head, 5, &provider, NULL);
	while (!c->closed && nghttp2_session_send(h) == 0 && client_take(h, c) == 0) {
	}
	nghttp2_session_del(h);
}

static void test_session_wire(void **state)
{
	struct session_provider p = {0};
	struct client c;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	struct session *s = session_serve(fds[0], &p);
	assert_non_null(s);
	client_call(fds[1], "/grpc.health.v1.Health/Check", "\0\0\0\0\0", 5, &c);
	assert_string_equal(c.status, "0");
	assert_int_equal(c.reply.len, 7);
	assert_memory_equal(c.reply.p, "\0\0\0\0\2\x08\x01", 7);
	str_fini(&c.reply);
	close(fds[1]);
	session_close(s);

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	s = session_serve(fds[0], &p);
	client_call(fds[1], "/moby.filesync.v1.Auth/FetchToken", "\0\0\0\0\0", 5, &c);
	assert_string_equal(c.status, "12");
	str_fini(&c.reply);
	close(fds[1]);
	session_close(s);

	/* Garbage, then silence: it ends all the same. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	s = session_serve(fds[0], &p);
	assert_int_equal(write(fds[1], "GET / HTTP/1.1\r\n\r\n", 18), 18);
	session_close(s);
	close(fds[1]);
}

static const struct {
	const char *text;
	int rc;
	const char *path;
	bool head, other, keep, ranged;
	uint64_t from, to;
} requests[] = {
	{"GET /v2/ HTTP/1.1\r\n\r\n", 0, "/v2/", false, false, true, false, 0, UINT64_MAX},
	{"HEAD /a HTTP/1.0\r\n\r\n", 0, "/a", true, false, false, false, 0, UINT64_MAX},
	{"GET /a HTTP/1.1\r\nrange: bytes=10-\r\nConnection: close\r\n\r\n", 0, "/a", false, false,
		false, true, 10, UINT64_MAX},
	{"GET /a HTTP/1.1\r\nRange: bytes=10-19\r\n\r\n", 0, "/a", false, false, true, true, 10,
		19},
	{"GET /a HTTP/1.1\r\nRange: bytes=-5\r\n\r\n", 0, "/a", false, false, true, false, 0,
		UINT64_MAX},
	{"GET /a HTTP/1.1\r\nRange: bytes=9-5\r\n\r\n", 0, "/a", false, false, true, false, 0,
		UINT64_MAX},
	{"GET /a HTTP/1.1\r\nRange: bytes=1-2,4-5\r\n\r\n", 0, "/a", false, false, true, false, 0,
		UINT64_MAX},
	{"GET /a HTTP/1.1\r\nRange: bytes=1--5\r\n\r\n", 0, "/a", false, false, true, false, 0,
		UINT64_MAX},
	{"GET /a HTTP/1.1\r\nRange: bytes=1- 5\r\n\r\n", 0, "/a", false, false, true, false, 0,
		UINT64_MAX},
	{"GET /a HTTP/1.1\r\nRange: bytes=1-99999999999999999999\r\n\r\n", 0, "/a", false, false,
		true, false, 0, UINT64_MAX},
	{"PUT /a HTTP/1.1\r\n\r\n", 0, "/a", false, true, true, false, 0, UINT64_MAX},
	{"GET a HTTP/1.1\r\n\r\n", -1, NULL, 0, 0, 0, 0, 0, 0},
	{"GET /a\r\n\r\n", -1, NULL, 0, 0, 0, 0, 0, 0},
	{"GET /a HTTP/2.0\r\n\r\n", -1, NULL, 0, 0, 0, 0, 0, 0},
	{"GET /a HTTP/1.1\n\n", -1, NULL, 0, 0, 0, 0, 0, 0},
	{"GET /a HTTP/1.1\r\nX: y", -1, NULL, 0, 0, 0, 0, 0, 0},
	{"", -1, NULL, 0, 0, 0, 0, 0, 0},
	{"\r\n\r\n", -1, NULL, 0, 0, 0, 0, 0, 0},
};

static void test_requests(void **state)
{
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		struct serve_request r;
		int rc = serve_parse(requests[i].text, strlen(requests[i].text), &r);
		if (rc != requests[i].rc || (rc == 0 && (strcmp(r.path, requests[i].path) != 0 ||
								r.head != requests[i].head ||
								r.other != requests[i].other ||
								r.keep_alive != requests[i].keep ||
								r.ranged != requests[i].ranged ||
								r.from != requests[i].from ||
								r.to != requests[i].to))) {
			fail_msg("case %zu", i);
		}
	}
}

static void test_loopback(void **state)
{
	static const char head[] = "  sl  local_address rem_address   st tx_queue\n";
	static const struct {
		const char *line;
		int want;
	} cases[] = {
		{"   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000\n", 1},
		{"   0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000\n", 0},
		{"   0: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000\n", -1},
		{"   0: 00000000:1F90 0100007F:0016 01 00000000:00000000 00:00000000\n", -1},
		{"   0: 00000000000000000000000001000000:1F90 0:0000 0A 0\n", 1},
		{"   0: 00000000000000000000000000000000:1F90 0:0000 0A 0\n", 0},
		{"   0: 0000000000000000FFFF00000100007F:1F90 0:0000 0A 0\n", 1},
		{"   0: 0100007F:1F90 0:0 0A\n   1: 0100A8C0:1F90 0:0 0A\n", 0},
		{"garbage\n", -1},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP_FREE char *text = xasprintf("%s%s", head, cases[i].line);
		if (serve_is_loopback(text, strlen(text), 8080) != cases[i].want) {
			fail_msg("case %zu", i);
		}
	}
}

static void test_tar(void **state)
{
	CLEANUP_STR struct str out = STR_INIT(STR_MAX_LINE);
	char name[301];
	struct archive *a = archive_read_new();
	struct archive_entry *e;

	memset(name, 'x', 300);
	name[300] = '\0';
	tar_header(&out, &(struct tar_entry){.path = name, .mode = S_IFREG | 0755, .mtime = 7});
	tar_header(&out, &(struct tar_entry){.path = "l", .link = name, .mode = S_IFLNK | 0777});
	tar_header(&out, &(struct tar_entry){.path = "big",
				 .mode = S_IFREG | 0644,
				 .size = (uint64_t)20 << 30,
				 .mtime = -5});
	assert_int_equal(out.len % TAR_BLOCK, 0);
	archive_read_support_format_tar(a);
	assert_int_equal(archive_read_open_memory(a, out.p, out.len), ARCHIVE_OK);
	assert_int_equal(archive_read_next_header(a, &e), ARCHIVE_OK);
	assert_string_equal(archive_entry_pathname(e), name);
	assert_int_equal(archive_entry_mtime(e), 7);
	assert_int_equal(archive_read_next_header(a, &e), ARCHIVE_OK);
	assert_string_equal(archive_entry_symlink(e), name);
	assert_int_equal(archive_read_next_header(a, &e), ARCHIVE_OK);
	assert_true(archive_entry_size(e) == (la_int64_t)20 << 30);
	assert_int_equal(archive_entry_mtime(e), 0);
	archive_read_free(a);
	assert_int_equal(tar_padding(0), 0);
	assert_int_equal(tar_padding(1), 511);
	assert_int_equal(tar_padding(512), 0);
}

struct bytes {
	const char *p;
	size_t len, at, piece;
};

static ssize_t read_bytes(void *ctx, void *buf, size_t n, struct error *err)
{
	struct bytes *b = ctx;
	size_t left = b->len - b->at;

	n = n < left ? n : left;
	n = n < b->piece ? n : b->piece;
	memcpy(buf, b->p + b->at, n);
	b->at += n;
	return (ssize_t)n;
}

static bool on_begin(void *ctx, const char *name, uint64_t size)
{
	str_addf(ctx, "%s %llu\n", name, (unsigned long long)size);
	return strcmp(name, "skipped") != 0;
}

static int on_data(void *ctx, const void *data, size_t len, struct error *err)
{
	return 0;
}

static int on_end(void *ctx, const char *name, const char *digest, uint64_t size, struct error *err)
{
	str_addf(ctx, "= %.8s %llu\n", digest, (unsigned long long)size);
	return strcmp(name, "last") == 0;
}

static void add(struct str *tar, const char *name, mode_t mode, const void *data, size_t len)
{
	tar_header(tar, &(struct tar_entry){.path = name,
				.link = S_ISLNK(mode) ? "/etc/passwd" : NULL,
				.size = len,
				.mode = mode});
	str_addn(tar, data, len);
	for (size_t n = tar_padding(len); n; n--) {
		str_addc(tar, '\0');
	}
}

static void gzip(const char *text, unsigned char *out, size_t *len)
{
	z_stream z = {0};

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = (unsigned char *)(uintptr_t)text;
	z.avail_in = (uInt)strlen(text);
	z.next_out = out;
	z.avail_out = (uInt)*len;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	*len = z.total_out;
	deflateEnd(&z);
}

static void test_save(void **state)
{
	CLEANUP_STR struct str tar = STR_INIT(STR_MAX_LINE), said = STR_INIT(STR_MAX_LINE);
	struct save_sink sink = {.ctx = &said, .begin = on_begin, .data = on_data, .end = on_end};
	unsigned char zipped[256];
	size_t len = sizeof(zipped);
	struct error err = {0};

	gzip("hello", zipped, &len);
	add(&tar, "../../etc/evil", S_IFREG | 0644, "hello", 5);
	add(&tar, "link", S_IFLNK | 0777, "", 0);
	add(&tar, "folder", S_IFDIR | 0755, "", 0);
	add(&tar, "skipped", S_IFREG | 0644, "hello", 5);
	add(&tar, "blobs/sha256/x", S_IFREG | 0644, zipped, len);
	add(&tar, "empty", S_IFREG | 0644, "", 0);
	add(&tar, "last", S_IFREG | 0644, "x", 1);
	add(&tar, "never", S_IFREG | 0644, "x", 1);
	CLEANUP_FREE char *want = xasprintf("../../etc/evil 5\n= 2cf24dba 5\nskipped 5\n"
					    "blobs/sha256/x %zu\n= 2cf24dba 5\nempty 0\n"
					    "= e3b0c442 0\nlast 1\n= 2d711642 1\n",
		len);
	for (size_t piece = 1; piece < 20000; piece *= 7) {
		struct bytes b = {.p = tar.p, .len = tar.len, .piece = piece};
		str_reset(&said);
		assert_int_equal(save_read(read_bytes, &b, &sink, &err), 0);
		assert_string_equal(str_c(&said), want);
	}
	/* Cut off, it is an error or the end, never a hang. */
	for (size_t cut = 0; cut < tar.len; cut += 37) {
		struct bytes b = {.p = tar.p, .len = cut, .piece = 4096};
		struct error why = {0};
		if (save_read(read_bytes, &b, &sink, &why) != 0) {
			assert_int_equal(why.kind, ERROR_REMOTE);
		}
	}
	/* Compressed, and broken inside. */
	zipped[10] =
		0xff; /* a block type that is none; libarchive looks at no CRC, we at SHA-256 */
	str_reset(&tar);
	add(&tar, "blobs/sha256/x", S_IFREG | 0644, zipped, len);
	tar_end(&tar);
	struct bytes b = {.p = tar.p, .len = tar.len, .piece = 4096};
	assert_int_equal(save_read(read_bytes, &b, &sink, &err), -1);
}

static void test_v1_ids(void **state)
{
	/* As `docker save` of Docker 20.10.24 named them. */
	const char *diff_ids[] = {
		"sha256:2c013ab903830c6a1de0eca6674ea38dae75e9fe6d16dcf2d371e48f8b7965d0",
		"sha256:8e5d13e59f86c366e42636d2a14901a39c88b5c85ad0ce08fe3d6f7ffe69bb3c",
		"sha256:365448f96c5bc02b0861e4103d7b8b0a429118b24ca416590c5d02ec12ce3c07"};
	char out[3][65] = {{0}};

	save_v1_ids(diff_ids, 3, out);
	assert_string_equal(
		out[0], "a6df475b5cdfb48207f67946b3e763ffe3eda669fd84a4011eac0d82b427e789");
	assert_string_equal(
		out[1], "dc642e0b8f0787899dba6dae29547570d2e098d2c12a8d17fe71ea08e03489ef");
	CLEANUP_FREE char *name = save_config_name("[{\"Config\":\"abc.json\"}]", 23);
	assert_string_equal(name, "abc.json");
	assert_null(save_config_name("{", 1));
	assert_null(save_config_name("[1]", 3));
}

static void test_registry_names(void **state)
{
	static const struct {
		const char *image, *registry;
	} cases[] = {{"app", NULL}, {"app:1", NULL}, {"acme/app", NULL},
		{"ghcr.io/a/b:1", "ghcr.io"}, {"localhost/a", "localhost"},
		{"localhost:5000/a", "localhost:5000"}, {"[::1]:5000/a", "[::1]:5000"}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP_FREE char *r = registry_of(cases[i].image);
		assert_true(str_eq(r, cases[i].registry));
	}
	assert_true(registry_same(NULL, "docker.io"));
	assert_true(registry_same("https://index.docker.io/v1/", "registry-1.docker.io"));
	assert_true(registry_same("https://ghcr.io/v2/", "ghcr.io"));
	assert_false(registry_same("ghcr.io", NULL));
	assert_false(registry_same("ghcr.io", "ghcr.io:443"));
}

static void test_docker_config(void **state)
{
	char dir[] = "/tmp/deploy-test-docker.XXXXXX";
	struct registry_auth a, *all = NULL;
	struct error err = {0};
	const char *text = "{\"auths\":{\"ghcr.io\":{\"auth\":\"YW5uOnB3OjE=\"},"
			   "\"https://index.docker.io/v1/\":{\"auth\":\"Ym9iOng=\"},"
			   "\"bad.io\":{\"auth\":\"!!\"},\"empty.io\":{}},"
			   "\"credHelpers\":{\"h.io\":\"unit-no-such\",\"e.io\":\"../evil\"}}";

	assert_non_null(mkdtemp(dir));
	CLEANUP_FREE char *path = fs_join(dir, "config.json");
	setenv("DOCKER_CONFIG", dir, 1);
	assert_int_equal(registry_auth_from_docker("ghcr.io", &a, &err), 0);
	assert_false(registry_auth_is_set(&a));
	assert_int_equal(fs_write_atomic(path, text, strlen(text), 0600, &err), 0);
	assert_int_equal(registry_auth_from_docker("ghcr.io", &a, &err), 0);
	assert_string_equal(a.username, "ann");
	assert_string_equal(secret_reveal(a.password), "pw:1");
	registry_auth_fini(&a);
	assert_int_equal(registry_auth_from_docker(NULL, &a, &err), 0);
	assert_string_equal(a.username, "bob");
	registry_auth_fini(&a);
	assert_int_equal(registry_auth_from_docker("bad.io", &a, &err), 0);
	assert_false(registry_auth_is_set(&a));
	assert_int_equal(registry_auth_from_docker("h.io", &a, &err), 0);
	assert_false(registry_auth_is_set(&a));
	assert_int_equal(registry_auth_from_docker("e.io", &a, &err), -1);
	assert_int_equal(registry_auths_from_docker(&all, &err), 2);
	registry_auth_fini(&all[0]);
	registry_auth_fini(&all[1]);
	free(all);
	assert_int_equal(fs_write_atomic(path, "{", 1, 0600, &err), 0);
	assert_int_equal(registry_auth_from_docker("ghcr.io", &a, &err), -1);
	unlink(path);
	rmdir(dir);
}

static void test_manifest_auth(void **state)
{
	struct secret_map secrets = {0};
	struct config_registry r = {.enabled = true,
		.server = "ghcr.io",
		.username = "ann",
		.password_secret = "REGISTRY_PASSWORD",
		.mark = {.file = "deploy.yml", .line = 3}};
	struct registry_auth a;
	struct error err = {0};

	assert_int_equal(registry_auth_from_config(&r, &secrets, &a, &err), -1);
	assert_string_equal(
		err.text, "deploy.yml:3: registry secret 'REGISTRY_PASSWORD' is not set");
	secret_map_set(&secrets, "REGISTRY_PASSWORD", secret_new("pw", 2));
	assert_int_equal(registry_auth_from_config(&r, &secrets, &a, &err), 0);
	assert_string_equal(a.server, "ghcr.io");
	assert_string_equal(secret_reveal(a.password), "pw");
	registry_auth_fini(&a);
	r.enabled = false;
	assert_int_equal(registry_auth_from_config(&r, &secrets, &a, &err), 0);
	assert_false(registry_auth_is_set(&a));
	secret_map_fini(&secrets);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_protobuf),
		cmocka_unit_test(test_trace),
		cmocka_unit_test(test_session_answers),
		cmocka_unit_test(test_session_wire),
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_loopback),
		cmocka_unit_test(test_tar),
		cmocka_unit_test(test_save),
		cmocka_unit_test(test_v1_ids),
		cmocka_unit_test(test_registry_names),
		cmocka_unit_test(test_docker_config),
		cmocka_unit_test(test_manifest_auth),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
