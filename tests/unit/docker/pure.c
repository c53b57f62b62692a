/* SPDX-License-Identifier: MIT */
/* The pure decoders: whole input, byte by byte, and garbage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "docker/frames.h"
#include "docker/http.h"
#include "docker/lines.h"
#include "util/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct str got[4];

static int collect_frame(void *ctx, enum frames_stream stream, const void *data, size_t len)
{
	(void)ctx;
	assert_true(len > 0);
	got[stream].max = STR_MAX_FILE;
	str_addn(&got[stream], data, len);
	return 0;
}

static void reset(void)
{
	for (size_t i = 0; i < 4; i++) {
		str_fini(&got[i]);
	}
}

static const char frames_text[] = "\1\0\0\0\0\0\0\5hello\2\0\0\0\0\0\0\3bad\1\0\0\0\0\0\0\0"
				  "\1\0\0\0\0\0\0\1!\3\0\0\0\0\0\0\2no";

static void frames_in_any_pieces(void **state)
{
	(void)state;
	size_t n = sizeof(frames_text) - 1;
	for (size_t piece = 1; piece <= n; piece++) {
		struct frames f;
		frames_init(&f, false);
		for (size_t at = 0; at < n; at += piece) {
			size_t len = piece < n - at ? piece : n - at;
			assert_int_equal(
				frames_feed(&f, frames_text + at, len, collect_frame, NULL), 0);
		}
		assert_false(frames_torn(&f));
		assert_string_equal(str_c(&got[FRAMES_STDOUT]), "hello!");
		assert_string_equal(str_c(&got[FRAMES_STDERR]), "bad");
		assert_string_equal(str_c(&got[FRAMES_SYSTEM]), "no");
		reset();
	}
}

static void frames_cut_anywhere_are_torn(void **state)
{
	(void)state;
	static const size_t ends[] = {0, 13, 24, 32, 41}; /* between two frames */
	for (size_t n = 0; n < sizeof(frames_text) - 1; n++) {
		struct frames f;
		bool whole = false;
		frames_init(&f, false);
		assert_int_equal(frames_feed(&f, frames_text, n, collect_frame, NULL), 0);
		for (size_t i = 0; i < 5; i++) {
			whole = whole || ends[i] == n;
		}
		assert_int_equal(frames_torn(&f), !whole);
		reset();
	}
}

static void a_terminal_is_raw(void **state)
{
	(void)state;
	struct frames f;
	frames_init(&f, true);
	assert_int_equal(frames_feed(&f, "\1\0x", 3, collect_frame, NULL), 0);
	assert_memory_equal(got[FRAMES_STDOUT].p, "\1\0x", 3);
	assert_false(frames_torn(&f));
	reset();
}

static void no_frames_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {"hello, I am no frame", "\4\0\0\0\0\0\0\1x",
		"\1\1\0\0\0\0\0\1x", "\1\0\0\1\0\0\0\1x"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct frames f;
		frames_init(&f, false);
		assert_int_equal(frames_feed(&f, bad[i], 9, collect_frame, NULL), -1);
	}
	reset();
}

static int stop(void *ctx, enum frames_stream stream, const void *data, size_t len)
{
	(void)stream;
	(void)data;
	(void)len;
	return ++*(int *)ctx == 2 ? 17 : 0;
}

static void a_sink_can_stop(void **state)
{
	(void)state;
	struct frames f;
	int calls = 0;
	frames_init(&f, false);
	assert_int_equal(frames_feed(&f, frames_text, sizeof(frames_text) - 1, stop, &calls), 17);
	assert_int_equal(calls, 2);
}

static int collect_line(void *ctx, const char *line, size_t len)
{
	str_addn(ctx, line, len);
	return str_addc(ctx, '|');
}

static void lines_in_any_pieces(void **state)
{
	(void)state;
	static const char text[] = "{\"a\":1}\r\n\r\n{}\n{\"b\":\"c d\"} \n\n{\"last\":1}";
	size_t n = sizeof(text) - 1;
	for (size_t piece = 1; piece <= n; piece++) {
		struct lines l;
		CLEANUP_STR struct str out = STR_INIT(1000);
		lines_init(&l);
		for (size_t at = 0; at < n; at += piece) {
			size_t len = piece < n - at ? piece : n - at;
			assert_int_equal(lines_feed(&l, text + at, len, collect_line, &out), 0);
		}
		assert_int_equal(lines_end(&l, collect_line, &out), 0);
		assert_string_equal(str_c(&out), "{\"a\":1}|{}|{\"b\":\"c d\"}|{\"last\":1}|");
		lines_fini(&l);
	}
}

static void an_endless_line_is_an_error(void **state)
{
	(void)state;
	struct lines l;
	CLEANUP_STR struct str out = STR_INIT(1000);
	char *piece = malloc(1 << 20);
	int rc = 0;
	int pieces = 0;
	memset(piece, 'x', 1 << 20);
	lines_init(&l);
	while (rc == 0 && pieces < 100) {
		rc = lines_feed(&l, piece, 1 << 20, collect_line, &out);
		pieces++;
	}
	assert_int_equal(rc, -1);
	assert_true((size_t)pieces <= (LINES_MAX >> 20) + 1);
	lines_fini(&l);
	free(piece);
}

static void heads_are_parsed(void **state)
{
	(void)state;
	static const char head[] = "HTTP/1.1 404 Not Found\r\nApi-Version: 1.41\r\nX:\t y \r\n"
				   "x: z\r\nEmpty:\r\n\r\nbody";
	struct strmap h = {0};
	struct error err = {0};
	int status = 0;
	size_t n = http_head_length(head, sizeof(head) - 1);
	assert_int_equal(n, sizeof(head) - 5);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(http_head_length(head, i), 0);
	}
	assert_int_equal(http_parse_head(head, n, &status, &h, &err), 0);
	assert_int_equal(status, 404);
	assert_string_equal(strmap_get(&h, "api-version"), "1.41");
	assert_string_equal(strmap_get(&h, "x"), "y, z");
	assert_string_equal(strmap_get(&h, "empty"), "");
	strmap_fini(&h);
}

static void bad_heads_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {"\r\n\r\n", "HTTP/2 200\r\n\r\n", "HTTP/1.1 20\r\n\r\n",
		"HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
		"HTTP/1.1 200 OK\r\n: x\r\n\r\n", "HTTP/1.1 200 OK\r\na b: x\r\n\r\n",
		"SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n folded: c\r\n\r\n"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct strmap h = {0};
		struct error err = {0};
		int status;
		assert_int_equal(http_parse_head(bad[i], strlen(bad[i]), &status, &h, &err), -1);
		assert_int_equal(err.sys, EPROTO);
		strmap_fini(&h);
	}
}

/* Decodes in pieces; -1 when refused, else the number of input bytes used. */
static ssize_t decode(const char *text, size_t n, size_t piece, struct str *out, bool *done)
{
	struct http_chunks c = {0};
	size_t at = 0;
	while (at < n && !c.done) {
		const char *data;
		size_t len;
		size_t feed = piece < n - at ? piece : n - at;
		ssize_t used = http_chunks_feed(&c, text + at, feed, &data, &len);
		if (used < 0) {
			return -1;
		}
		str_addn(out, data, len);
		at += (size_t)used;
	}
	*done = c.done;
	return (ssize_t)at;
}

static void chunks_in_any_pieces(void **state)
{
	(void)state;
	static const char text[] = "5\r\nhello\r\n00A;x=\"y\"\r\n0123456789\r\n1 \r\n!\r\n"
				   "0\r\nTrailer: x\r\n\r\nHTTP/1.1";
	size_t n = sizeof(text) - 1;
	for (size_t piece = 1; piece <= n; piece++) {
		CLEANUP_STR struct str out = STR_INIT(100);
		bool done = false;
		assert_int_equal(decode(text, n, piece, &out, &done), n - 8);
		assert_true(done);
		assert_string_equal(str_c(&out), "hello0123456789!");
	}
}

static void bad_chunks_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {"\r\n", "x\r\n", "-1\r\n", "5\r\nhelloX",
		"5\r\nhello\r\r", "ffffffffffffffffff\r\n", ";ext\r\n"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		for (size_t piece = 1; piece < 20; piece += 18) {
			CLEANUP_STR struct str out = STR_INIT(100);
			bool done;
			assert_int_equal(decode(bad[i], strlen(bad[i]), piece, &out, &done), -1);
		}
	}
	CLEANUP_STR struct str endless = STR_INIT(10000);
	CLEANUP_STR struct str out = STR_INIT(100);
	bool done;
	str_add(&endless, "1;");
	while (endless.len < 9000) {
		str_add(&endless, "extension");
	}
	assert_int_equal(decode(endless.p, endless.len, 100, &out, &done), -1);
}

static void names_are_escaped(void **state)
{
	(void)state;
	CLEANUP_STR struct str out = STR_INIT(200);
	http_escape(&out, "a/b:c@d e?f&g=h%\xc3\xa9", true);
	assert_string_equal(str_c(&out), "a/b:c@d%20e%3Ff%26g%3Dh%25%C3%A9");
	str_reset(&out);
	http_escape(&out, "a/b", false);
	assert_string_equal(str_c(&out), "a%2Fb");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_in_any_pieces),
		cmocka_unit_test(frames_cut_anywhere_are_torn),
		cmocka_unit_test(a_terminal_is_raw),
		cmocka_unit_test(no_frames_are_refused),
		cmocka_unit_test(a_sink_can_stop),
		cmocka_unit_test(lines_in_any_pieces),
		cmocka_unit_test(an_endless_line_is_an_error),
		cmocka_unit_test(heads_are_parsed),
		cmocka_unit_test(bad_heads_are_refused),
		cmocka_unit_test(chunks_in_any_pieces),
		cmocka_unit_test(bad_chunks_are_refused),
		cmocka_unit_test(names_are_escaped),
	};
	return cmocka_run_group_tests_name("docker decoders", tests, NULL, NULL);
}
