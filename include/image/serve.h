/* SPDX-License-Identifier: MIT */
/*
 * A read-only registry of one image for one server's daemon (OCI distribution specification, pull
 * part: https://github.com/opencontainers/distribution-spec), spoken over descriptors that a
 * reverse forward gives.  Every name begins with a random token, so that another user of the server
 * finds nothing but 404.
 *
 * Daemons try TLS first; its first byte 0x16 gets a plain HTTP 400, on which they turn to HTTP.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SERVE_MAX_HEAD ((size_t)16 << 10) /* bytes of a request */
#define SERVE_MAX_PATH 512

struct serve_request {
	bool head;  /* HEAD, else GET */
	bool other; /* neither */
	bool keep_alive;
	bool ranged;   /* a Range header that is understood */
	uint64_t from; /* first byte */
	uint64_t to;   /* last byte; UINT64_MAX: to the end */
	char path[SERVE_MAX_PATH];
};

/* Pure: a request's head with its empty line. -1 when it is none. */
int serve_parse(const char *text, size_t len, struct serve_request *out);

/* Pure: does a LISTEN line of /proc/net/tcp or tcp6 for the port say another address than loopback?
 * 1: only loopback; 0: a public one; -1: the port is not there. */
int serve_is_loopback(const char *proc_net_tcp, size_t len, int port);

struct image_source;
struct serve;

/* Configuration and sizes of the image must be known (origin_want). `host` for progress. */
struct serve *serve_new(struct image_source *s, const char *host);
/* Answers requests on `fd` (taken) until the peer closes or serve_stop(). Any thread. */
void serve_connection(struct serve *v, int fd);
void serve_stop(struct serve *v);
void serve_free(struct serve *v); /* after the last serve_connection() returned */
const char *serve_token(const struct serve *v);
const char *serve_digest(const struct serve *v); /* of the manifest */
uint64_t serve_sent(struct serve *v);
size_t serve_layers(struct serve *v); /* that were asked for */
