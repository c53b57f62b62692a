/* SPDX-License-Identifier: MIT */
/*
 * BuildKit's session: the daemon asks its client for build secrets and registry credentials over a
 * connection on which the client is the HTTP/2 and gRPC *server* (POST /session, upgraded to h2c).
 * Services: grpc.health.v1.Health/Check (the daemon drops a session without it),
 * moby.buildkit.secrets.v1.Secrets/GetSecret, moby.filesync.v1.Auth/Credentials; every other method
 * is answered UNIMPLEMENTED, on which the daemon falls back to Credentials.
 */
#pragma once

#include "image/registry.h"
#include "secrets/secret.h"
#include "util/error.h"
#include "util/str.h"
#include "util/vec.h"

#define SESSION_MAX_MESSAGE ((size_t)64 << 10) /* bytes of a request */

/* What the daemon may ask for; borrowed for the session's life. */
struct session_provider {
	const struct strvec *secret_names; /* only these; NULL: none */
	const struct secret_map *secrets;
	const struct registry_auth *auths; /* before the operator's docker configuration */
	size_t nauths;
};

/* gRPC status codes in use. */
enum session_status {
	SESSION_OK = 0,
	SESSION_INVALID = 3,
	SESSION_NOT_FOUND = 5,
	SESSION_EXHAUSTED = 8,
	SESSION_UNIMPLEMENTED = 12
};

/*
 * Pure but for the look into the docker configuration: answers one request (the message without
 * its gRPC prefix). On SESSION_OK the reply is appended to `reply`.
 */
enum session_status session_answer(const struct session_provider *p, const char *method,
	const void *message, size_t len, struct str *reply);

struct session;

/* Opens it and serves it on a thread of its own. */
ERROR_CHECKED struct session *session_open(
	struct docker *docker, const struct session_provider *provider, struct error *err);
/* The same on a connected descriptor (taken). For tests. */
struct session *session_serve(int fd, const struct session_provider *provider);
const char *session_id(const struct session *s);
void session_close(struct session *s); /* NULL is fine */
