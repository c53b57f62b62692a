/* SPDX-License-Identifier: MIT */
/*
 * A gate in front of ports of a server: while it is shut, new connections to them wait instead of
 * being refused.  For proxy_reboot(): Docker gives a port to one container at a time.
 *
 * Shut means that the kernel drops the first packet (SYN) of a connection to one of the ports, and
 * nothing else: who connects sends it again after 1, 3, 7, 15 s (RFC 6298, 2 and 5.5), and then
 * somebody listens.  Connections that stand are not touched.
 *
 * The rules are in an nf_tables table that belongs to a socket (NFT_TABLE_F_OWNER, Linux 5.12) of
 * the gatekeeper, a program of 1 kB in a container on the server's network, which ends with its
 * standard input: the tool holds that, and the kernel removes the table with the socket.  So
 * nothing can leave the gate shut: not a tool that is killed, not a Docker that is, not the
 * gatekeeper itself; and where the network is cut, it ends by the clock.
 */
#pragma once

#include "internal.h"

/*
 * Shuts it until gate_open(), for at most limit_s seconds; `image` is any that is on the server.
 * Returns a descriptor that holds it, or -1 where it cannot be shut (*err says why: an old kernel,
 * Docker without root, another processor): then nothing has changed.
 */
int gate_shut(struct proxy *p, const char *image, const struct docker_ports *ports, int limit_s,
	struct error *err);
void gate_open(struct proxy *p, int gate); /* -1 is fine */
/* What a tool may have left that was killed: it is open, but its container and files are there. */
ERROR_CHECKED int gate_remove(struct proxy *p, struct error *err);

/* Appends the netlink messages that make the table; the last one asks for an answer. Pure. Fails
 * for what is no address. */
ERROR_CHECKED int gate_rules(
	const char *table, const struct docker_ports *ports, struct str *out, struct error *err);

/* gatekeeper/, by src/embed-bytes; none where its assembly is not written for the processor. */
extern const unsigned char gatekeeper[];
extern const size_t gatekeeper_len;
