/* SPDX-License-Identifier: MIT */
#include "link.h"

#include "util/clock.h"
#include "util/str.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void set_int(int fd, int level, int option, int value)
{
	(void)setsockopt(fd, level, option, &value, sizeof(value));
}

/* A dead network shows itself in the kernel too: three unanswered probes, or data unacknowledged
 * for three intervals (tcp(7), TCP_USER_TIMEOUT). */
static void set_tcp(int fd, int keepalive_ms)
{
	int seconds = keepalive_ms < 1000 ? 1 : keepalive_ms / 1000;

	set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_int(fd, IPPROTO_TCP, TCP_QUICKACK, 1);
	set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, seconds);
	set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, seconds);
	set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
	set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 3 * keepalive_ms);
}

void ssh_link_init(struct ssh_link *l, int fd, int keepalive_ms)
{
	int domain = 0;
	socklen_t len = sizeof(domain);

	*l = (struct ssh_link){.fd = fd, .heap_max = LINK_HEAP_AUTH, .heard_ms = clock_mono_ms()};
	l->in = xrealloc(NULL, LINK_IN_SIZE); /* not touched before it is used */
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0) {
		l->tcp = domain == AF_INET || domain == AF_INET6;
	}
	if (l->tcp) {
		set_tcp(fd, keepalive_ms);
	}
}

void ssh_link_fini(struct ssh_link *l)
{
	if (l->in != NULL && l->fd >= 0) {
		close(l->fd);
	}
	l->fd = -1;
	free(l->in);
	free(l->out);
	l->in = NULL;
	l->out = NULL;
}

static void *count_alloc(size_t size, void **abstract)
{
	struct ssh_link *l = *abstract;

	if (size > l->heap_max || l->heap > l->heap_max - size) {
		l->overflow = true;
		return NULL;
	}
	void *p = malloc(size);
	if (p != NULL) {
		l->heap += malloc_usable_size(p);
	}
	return p;
}

static void count_free(void *p, void **abstract)
{
	struct ssh_link *l = *abstract;

	if (p != NULL) {
		l->heap -= malloc_usable_size(p);
		free(p);
	}
}

static void *count_realloc(void *p, size_t size, void **abstract)
{
	struct ssh_link *l = *abstract;
	size_t old = p != NULL ? malloc_usable_size(p) : 0;

	if (size > l->heap_max || l->heap - old > l->heap_max - size) {
		l->overflow = true;
		return NULL;
	}
	void *q = realloc(p, size);
	if (q != NULL) {
		l->heap = l->heap - old + malloc_usable_size(q);
	}
	return q;
}

void *ssh_link_alloc(struct ssh_link *l, size_t size)
{
	void *abstract = l;

	return count_alloc(size, &abstract);
}

static bool refill(struct ssh_link *l, ssize_t *status)
{
	/* A broken socket is told to libssh2 as "nothing yet": what it holds can still be read
	 * then; the pump looks at ssh_link_failed(). */
	*status = -EAGAIN;
	if (l->fed || ssh_link_failed(l)) {
		return false;
	}
	ssize_t n;
	do {
		n = recv(l->fd, l->in, LINK_IN_SIZE, MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n <= 0) {
		l->fed = true;
		l->more = false;
		if (n == 0) {
			l->eof = true;
		} else if (errno != EAGAIN) {
			l->sys = errno;
		}
		return false;
	}
	if (l->tcp) {
		set_int(l->fd, IPPROTO_TCP, TCP_QUICKACK, 1);
	}
	l->fed = true;
	l->got = true;
	l->more = (size_t)n == LINK_IN_SIZE;
	l->in_pos = 0;
	l->in_len = (size_t)n;
	l->heard_ms = clock_mono_ms();
	atomic_fetch_add_explicit(&l->received, (uint64_t)n, memory_order_relaxed);
	return true;
}

static LIBSSH2_RECV_FUNC(receive)
{
	struct ssh_link *l = *abstract;
	ssize_t status = 0;

	(void)socket;
	(void)flags;
	if (l->over) {
		return -EPIPE;
	}
	if (l->in_pos == l->in_len && !refill(l, &status)) {
		return status;
	}
	size_t n = l->in_len - l->in_pos;
	n = n < length ? n : length;
	memcpy(buffer, l->in + l->in_pos, n);
	l->in_pos += n;
	return (ssize_t)n;
}

/* RFC 4253: uint32 length 12, byte padding 10, byte SSH_MSG_NEWKEYS (21); still in the clear. */
static void watch(struct ssh_link *l, const uint8_t *p, size_t n)
{
	if (l->newkeys) {
		l->service = true;
	} else if (n == 16 && p[3] == 12 && p[5] == 21) {
		l->newkeys = true;
	}
}

static LIBSSH2_SEND_FUNC(transmit)
{
	struct ssh_link *l = *abstract;

	(void)socket;
	(void)flags;
	if (l->out_len - l->out_pos + length > LINK_OUT_MAX) {
		l->overflow = true;
	}
	if (ssh_link_failed(l)) {
		return (ssize_t)length; /* nobody will read it */
	}
	if (!l->service) {
		watch(l, buffer, length);
	}
	if (l->out_pos > 0 && l->out_len + length > l->out_cap) {
		memmove(l->out, l->out + l->out_pos, l->out_len - l->out_pos);
		l->out_len -= l->out_pos;
		l->out_pos = 0;
	}
	if (l->out_len + length > l->out_cap) {
		size_t cap = l->out_cap > 0 ? l->out_cap : 16384;
		while (cap < l->out_len + length) {
			cap *= 2;
		}
		l->out = xrealloc(l->out, cap);
		l->out_cap = cap;
	}
	memcpy(l->out + l->out_len, buffer, length);
	l->out_len += length;
	return (ssize_t)length;
}

static LIBSSH2_DISCONNECT_FUNC(disconnected)
{
	struct ssh_link *l = *abstract;

	(void)session;
	(void)reason;
	(void)language;
	(void)language_len;
	size_t n = message != NULL && message_len > 0 ? (size_t)message_len : 0;
	n = n < sizeof(l->disconnect) ? n : sizeof(l->disconnect) - 1;
	for (size_t i = 0; i < n; i++) {
		/* A stranger's text: nothing that could move a terminal's cursor. */
		l->disconnect[i] =
			(unsigned char)message[i] < 0x20 || message[i] == 0x7f ? ' ' : message[i];
	}
	l->disconnect[n] = '\0';
}

LIBSSH2_SESSION *ssh_link_session(struct ssh_link *l)
{
	LIBSSH2_SESSION *s = libssh2_session_init_ex(count_alloc, count_free, count_realloc, l);

	if (s != NULL) {
		union {
			LIBSSH2_RECV_FUNC((*receive));
			LIBSSH2_SEND_FUNC((*transmit));
			LIBSSH2_DISCONNECT_FUNC((*disconnected));
			void *any; /* as libssh2 wants it */
		} callback;
		callback.receive = receive;
		libssh2_session_callback_set(s, LIBSSH2_CALLBACK_RECV, callback.any);
		callback.transmit = transmit;
		libssh2_session_callback_set(s, LIBSSH2_CALLBACK_SEND, callback.any);
		callback.disconnected = disconnected;
		libssh2_session_callback_set(s, LIBSSH2_CALLBACK_DISCONNECT, callback.any);
		libssh2_session_set_blocking(s, 0);
	}
	return s;
}

void ssh_link_pass(struct ssh_link *l)
{
	l->fed = false;
	l->got = false;
	l->more = false;
}

bool ssh_link_pending(const struct ssh_link *l)
{
	return l->in_pos < l->in_len;
}

bool ssh_link_congested(const struct ssh_link *l)
{
	return l->out_len - l->out_pos >= LINK_OUT_HIGH;
}

void ssh_link_flush(struct ssh_link *l)
{
	while (l->out_pos < l->out_len && l->sys == 0) {
		ssize_t n = send(l->fd, l->out + l->out_pos, l->out_len - l->out_pos,
			MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n < 0) {
			if (errno != EAGAIN) {
				l->sys = errno;
			}
			break;
		}
		l->out_pos += (size_t)n;
		atomic_fetch_add_explicit(&l->sent, (uint64_t)n, memory_order_relaxed);
	}
	if (l->out_pos == l->out_len) {
		l->out_pos = l->out_len = 0;
	}
}

bool ssh_link_failed(const struct ssh_link *l)
{
	return l->eof || l->sys != 0 || l->overflow;
}

void ssh_link_reason(const struct ssh_link *l, char *buf, size_t size)
{
	if (l->disconnect[0] != '\0') {
		snprintf(buf, size, "the server said: %s", l->disconnect);
	} else if (l->overflow) {
		snprintf(buf, size, "the server sends without end");
	} else if (l->sys != 0) {
		char text[128];
		snprintf(buf, size, "%s", strerror_r(l->sys, text, sizeof(text)));
	} else {
		snprintf(buf, size, "the server closed the connection");
	}
}

int ssh_link_rtt_us(const struct ssh_link *l)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	if (!l->tcp || getsockopt(l->fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0) {
		return 0;
	}
	return (int)info.tcpi_rtt;
}
