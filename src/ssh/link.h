/* SPDX-License-Identifier: MIT */
/*
 * What lies between libssh2 and the socket: callbacks with buffers of our own.
 *
 * Sending never blocks and never says EAGAIN to libssh2: packets go to a buffer that
 * ssh_link_flush() writes out.  That takes away libssh2's rule that a call which met EAGAIN while
 * sending must be repeated before any other (its own answers to keepalives and its window
 * adjustments break it), and puts many packets into one system call.  The writers look at
 * ssh_link_congested() first, so the buffer stays small.
 *
 * Receiving takes one large recv() for each pass (ssh_link_pass()), which bounds what one pass puts
 * into libssh2's queues, and re-arms TCP_QUICKACK: without it every second request waits 42 ms for
 * a delayed ACK (architecture.md).
 *
 * The allocator counts, so that a hostile server cannot make libssh2 queue without bound.
 */
#pragma once

#include "util/error.h"

#include <libssh2.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINK_IN_SIZE   ((size_t)256 << 10) /* one recv() */
#define LINK_OUT_HIGH  ((size_t)512 << 10) /* channels stop writing beyond */
#define LINK_OUT_MAX   ((size_t)8 << 20)   /* a peer that makes us answer but does not read */
#define LINK_HEAP_AUTH ((size_t)8 << 20)   /* libssh2's memory until the peer is known */
#define LINK_HEAP_RUN  ((size_t)512 << 20) /* after: windows of many channels may be full */

struct ssh_link {
	int fd; /* owned */
	bool tcp;
	uint8_t *in;
	size_t in_pos, in_len;
	uint8_t *out;
	size_t out_pos, out_len, out_cap;
	bool fed;  /* this pass has had its recv() */
	bool got;  /* and it brought something */
	bool more; /* that recv() filled the buffer: there may be more */
	bool eof;
	int sys; /* errno of the first failure */
	bool overflow;
	bool over; /* the session is being freed: libssh2 shall not wait for the peer's farewells */
	bool newkeys;     /* our SSH_MSG_NEWKEYS went by */
	bool service;     /* and the packet after it: the request for ssh-userauth */
	int64_t heard_ms; /* when something was last received (monotonic) */
	atomic_uint_fast64_t sent, received;
	size_t heap, heap_max;
	char disconnect[256]; /* what the peer's SSH_MSG_DISCONNECT said */
};

/* Takes fd, makes it non-blocking, sets the TCP options. keepalive_ms as in struct ssh_target. */
void ssh_link_init(struct ssh_link *l, int fd, int keepalive_ms);
void ssh_link_fini(struct ssh_link *l);

/* A session whose bytes and memory go through `l`. NULL when out of memory. */
LIBSSH2_SESSION *ssh_link_session(struct ssh_link *l);

/* Memory that libssh2 will free. NULL when there is none. */
void *ssh_link_alloc(struct ssh_link *l, size_t size);

void ssh_link_pass(struct ssh_link *l);          /* a new pass may recv() again */
bool ssh_link_pending(const struct ssh_link *l); /* bytes received that libssh2 has not taken */
bool ssh_link_congested(const struct ssh_link *l);
void ssh_link_flush(struct ssh_link *l); /* writes what the socket takes */
bool ssh_link_failed(const struct ssh_link *l);
/* Describes the failure: "connection reset by peer", "closed by the server", ... */
void ssh_link_reason(const struct ssh_link *l, char *buf, size_t size);
/* The kernel's smoothed round trip in microseconds, 0 when not known. */
int ssh_link_rtt_us(const struct ssh_link *l);
