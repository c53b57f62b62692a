/* SPDX-License-Identifier: MIT */
/*
 * A web socket server (RFC 6455) for the tests of streams: linked statically, it is a commit of the
 * sample application's repository, and its role's cmd.
 *
 * On a web socket it says "VERSION tick N" ten times a second, answers a text message with
 * "VERSION heard MESSAGE", and closes with 1001 (going away) when it is told to stop.  Any other
 * request gets the version, which is /app/version.txt.  Messages of less than 126 bytes, one in a
 * read: what its client sends.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

enum { TEXT = 0x81, CLOSE = 0x88, PAYLOAD_MAX = 125, TICK_MS = 100 };

static char version[64];
static int stopping_fd;
static atomic_int connections;

static uint32_t rol(uint32_t x, int n)
{
	return x << n | x >> (32 - n);
}

static void sha1_block(uint32_t h[5], const unsigned char *p)
{
	static const uint32_t k[] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
	uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];

	for (int i = 0; i < 80; i++) {
		w[i] = i < 16 ? (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 |
					(uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3]
			      : rol(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
		uint32_t f = i < 20              ? (b & c) | (~b & d)
			     : i >= 40 && i < 60 ? (b & c) | (b & d) | (c & d)
						 : b ^ c ^ d;
		uint32_t t = rol(a, 5) + f + e + k[i / 20] + w[i];

		e = d;
		d = c;
		c = rol(b, 30);
		b = a;
		a = t;
	}
	h[0] += a;
	h[1] += b;
	h[2] += c;
	h[3] += d;
	h[4] += e;
}

/* Of a text below 119 bytes: two blocks. */
static void sha1(const char *text, unsigned char out[20])
{
	uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
	unsigned char data[128] = {0};
	size_t n = strlen(text), size = n < 56 ? 64 : 128;

	memcpy(data, text, n);
	data[n] = 0x80;
	data[size - 2] = (unsigned char)(n * 8 >> 8);
	data[size - 1] = (unsigned char)(n * 8);
	for (size_t i = 0; i < size; i += 64) {
		sha1_block(h, data + i);
	}
	for (int i = 0; i < 20; i++) {
		out[i] = (unsigned char)(h[i / 4] >> (24 - 8 * (i % 4)));
	}
}

/* What proves to a client that this is a web socket: 28 characters of its key of 24. */
static void accept_key(const char *key, char out[29])
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char text[24 + sizeof(GUID)];
	unsigned char sum[21] = {0};

	snprintf(text, sizeof(text), "%.24s" GUID, key);
	sha1(text, sum);
	for (int i = 0; i < 7; i++) {
		uint32_t v =
			(uint32_t)sum[3 * i] << 16 | (uint32_t)sum[3 * i + 1] << 8 | sum[3 * i + 2];
		for (int j = 0; j < 4; j++) {
			out[4 * i + j] = digits[v >> (18 - 6 * j) & 63];
		}
	}
	out[27] = '=';
	out[28] = '\0';
}

static bool say(int fd, int kind, const char *payload, size_t n)
{
	unsigned char frame[2 + PAYLOAD_MAX] = {(unsigned char)kind, (unsigned char)n};

	memcpy(frame + 2, payload, n);
	return send(fd, frame, 2 + n, MSG_NOSIGNAL) == (ssize_t)(2 + n);
}

static bool say_text(int fd, const char *format, const char *a, const char *b)
{
	char text[PAYLOAD_MAX + 1];
	int n = snprintf(text, sizeof(text), format, a, b);

	return say(fd, TEXT, text, n > PAYLOAD_MAX ? PAYLOAD_MAX : (size_t)n);
}

/* One message of the client; false at the end. */
static bool hear(int fd)
{
	unsigned char in[6 + PAYLOAD_MAX + 1];
	ssize_t n = recv(fd, in, sizeof(in) - 1, 0);

	if (n < 6 || in[0] != TEXT || (in[1] & 0x7f) != n - 6) {
		return false;
	}
	for (ssize_t i = 6; i < n; i++) {
		in[i] ^= in[2 + (i - 6) % 4];
	}
	in[n] = '\0';
	return say_text(fd, "%s heard %s", version, (const char *)in + 6);
}

static void talk(int fd)
{
	static const char away[] = {0x03, (char)0xe9}; /* 1001 */
	char number[24];

	for (int i = 0;; i++) {
		struct pollfd p[2] = {
			{.fd = stopping_fd, .events = POLLIN}, {.fd = fd, .events = POLLIN}};

		poll(p, 2, TICK_MS);
		if (p[0].revents) {
			say(fd, CLOSE, away, sizeof(away));
			return;
		}
		snprintf(number, sizeof(number), "%d", i);
		if ((p[1].revents && !hear(fd)) || !say_text(fd, "%s tick %s", version, number)) {
			return;
		}
	}
}

static void *serve(void *arg)
{
	int fd = (int)(intptr_t)arg, one = 1;
	char head[8192] = "", reply[512], proof[29];
	size_t have = 0;
	ssize_t n = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	while (n > 0 && !strstr(head, "\r\n\r\n") && have < sizeof(head) - 1) {
		n = recv(fd, head + have, sizeof(head) - 1 - have, 0);
		have += n > 0 ? (size_t)n : 0;
		head[have] = '\0';
	}
	const char *key = strcasestr(head, "\r\nSec-WebSocket-Key: ");
	if (key) {
		accept_key(key + 21, proof);
		snprintf(reply, sizeof(reply),
			"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
			"Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
			proof);
	} else {
		snprintf(reply, sizeof(reply),
			"HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
			strlen(version), version);
	}
	if (n > 0 && send(fd, reply, strlen(reply), MSG_NOSIGNAL) > 0 && key) {
		talk(fd);
	}
	shutdown(fd, SHUT_WR);
	close(fd);
	atomic_fetch_sub(&connections, 1);
	return NULL;
}

static void accept_until_told(int listener, int signals)
{
	struct pollfd p[2] = {
		{.fd = listener, .events = POLLIN}, {.fd = signals, .events = POLLIN}};

	while (poll(p, 2, -1) < 0 || !p[1].revents) {
		pthread_t thread;
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		atomic_fetch_add(&connections, 1);
		if (fd < 0 || pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd)) {
			perror("websocket");
			exit(1);
		}
		pthread_detach(thread);
	}
}

int main(void)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(3000)};
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	FILE *f = fopen("/app/version.txt", "re");
	sigset_t set;

	if (!f || !fgets(version, sizeof(version), f)) {
		snprintf(version, sizeof(version), "unknown");
	}
	version[strcspn(version, "\n")] = '\0';
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	stopping_fd = eventfd(0, EFD_CLOEXEC);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&any, sizeof(any)) || listen(listener, 64)) {
		perror("websocket: listen");
		return 1;
	}
	accept_until_told(listener, signalfd(-1, &set, SFD_CLOEXEC));
	close(listener);
	eventfd_write(stopping_fd, 1);
	while (atomic_load(&connections)) {
		usleep(5000);
	}
	return 0;
}
