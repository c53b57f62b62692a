/* SPDX-License-Identifier: MIT */
/* Docker: building images. */
#pragma once

#include "docker/client.h"

struct docker_build_request {
	const char *dockerfile;    /* path in the context, NULL: "Dockerfile" */
	const struct strvec *tags; /* or NULL */
	const struct strmap *args; /* --build-arg, or NULL */
	const struct strmap *labels;
	const struct strvec *cache_from;
	const char *target, *platform, *network;
	bool no_cache, pull;
	bool buildkit;          /* version=2; session and build_id are needed then */
	const char *session_id; /* of docker_session_open, or NULL */
	const char *build_id;   /* to cancel it, or NULL */
	const char *remote;     /* "client-session" for a context by the session; NULL: `context` */
	const struct docker_auth *auths; /* registries of FROM lines, or NULL */
	size_t nauths;
};

/*
 * context: a tar (plain or gzip); NULL with `remote`.  *image_id (the caller's) is what the answer
 * says ("sha256:..."), "" when it says none.  A failed step is ERROR_REMOTE with the daemon's words
 * ("The command '/bin/sh -c ...' returned a non-zero code: 1"), its output came by progress.
 * BuildKit's messages are progress with id "moby.buildkit.trace" and aux a base64 text.
 */
ERROR_CHECKED int docker_build(struct docker *d, const struct docker_build_request *req,
	const struct http_source *context, docker_progress_fn *progress, void *ctx, char **image_id,
	struct error *err);
ERROR_CHECKED int docker_build_cancel(struct docker *d, const char *build_id, struct error *err);

/*
 * POST /session with an upgrade to h2c: the descriptor then carries HTTP/2 with us as the server
 * (BuildKit's gRPC session).  headers: X-Docker-Expose-Session-Uuid, -Name, -Sharedkey,
 * X-Docker-Expose-Session-Grpc-Method is sent once per method.
 */
ERROR_CHECKED int docker_session_open(struct docker *d, const struct strmap *headers,
	const struct strvec *grpc_methods, struct error *err);
