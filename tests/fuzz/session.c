/* SPDX-License-Identifier: MIT */
/* What BuildKit asks of its client: "method\0message". It gets what was offered, nothing else. */
#include "image/session.h"
#include "image/protobuf.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const methods[] = {"/grpc.health.v1.Health/Check",
	"/moby.buildkit.secrets.v1.Secrets/GetSecret", "/moby.filesync.v1.Auth/Credentials"};

static void check(
	const struct session_provider *p, const char *method, const void *message, size_t len)
{
	CLEANUP_STR struct str reply = STR_INIT(STR_MAX_LINE);
	enum session_status status = session_answer(p, method, message, len, &reply);
	struct protobuf m;
	struct protobuf_field f;
	int rc;

	assert(status == SESSION_OK || reply.len == 0);
	protobuf_init(&m, str_c(&reply), reply.len);
	while ((rc = protobuf_next(&m, &f)) == 1) {
		assert(f.number == 1 || f.number == 2);
	}
	assert(rc == 0);
	/* A secret that is there but was not offered for the build. */
	assert(memmem(str_c(&reply), reply.len, "not-for-builds", 14) == NULL);
	if (memmem(str_c(&reply), reply.len, "registry-word", 13) != NULL) {
		assert(strcmp(method, methods[2]) == 0);
		assert(memmem(message, len, "ghcr.io", 7) != NULL);
	}
	if (memmem(str_c(&reply), reply.len, "token-value", 11) != NULL) {
		assert(strcmp(method, methods[1]) == 0 && memmem(message, len, "TOKEN", 5) != NULL);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	const char *nul = size > 0 ? memchr(text, '\0', size) : NULL;
	size_t at = nul != NULL ? (size_t)(nul + 1 - text) : size;
	CLEANUP_FREE char *method = xstrndup(text, size);
	CLEANUP_STRVEC struct strvec names = {0};
	struct secret_map secrets = {0};
	char server[] = "ghcr.io", user[] = "acme";
	struct registry_auth auth = {server, user, secret_new("registry-word", 13)};
	struct session_provider p = {&names, &secrets, &auth, 1};

	setenv("DOCKER_CONFIG", "/nonexistent", 1); /* the operator's own is none of this */
	strvec_push(&names, "TOKEN");
	secret_map_set(&secrets, "TOKEN", secret_new("token-value", 11));
	secret_map_set(&secrets, "OTHER", secret_new("not-for-builds", 14));
	check(&p, method, data + at, size - at);
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		check(&p, methods[i], data, size);
	}
	secret_unref(auth.password);
	secret_map_fini(&secrets);
	return 0;
}
