/* SPDX-License-Identifier: MIT */
/* Registry logins, as header or body; their copies are zeroed. */
#include "internal.h"

#include "util/digest.h"

#include <stdlib.h>
#include <string.h>

static const char *server_of(const struct docker_auth *auth)
{
	return auth->server ? auth->server : "https://index.docker.io/v1/";
}

static size_t auth_size(const struct docker_auth *auth)
{
	return 64 + docker_quoted_size(strlen(server_of(auth))) +
	       docker_quoted_size(auth->username ? strlen(auth->username) : 0) +
	       docker_quoted_size(auth->password ? secret_len(auth->password) : 0);
}

static char *put_member(char *to, const char *key, const char *text, size_t len)
{
	if (to[-1] != '{') {
		*to++ = ',';
	}
	to = docker_quote(to, key, strlen(key));
	*to++ = ':';
	return docker_quote(to, text, len);
}

static char *put_auth(char *to, const struct docker_auth *auth)
{
	const char *username = auth->username ? auth->username : "";
	const char *server = server_of(auth);
	*to++ = '{';
	to = put_member(to, "username", username, strlen(username));
	if (auth->password) {
		to = put_member(
			to, "password", secret_reveal(auth->password), secret_len(auth->password));
	}
	to = put_member(to, "serveraddress", server, strlen(server));
	*to++ = '}';
	return to;
}

void docker_auth_body(const struct docker_auth *auth, struct docker_body *out)
{
	out->p = xcalloc(1, auth_size(auth));
	out->len = (size_t)(put_auth(out->p, auth) - out->p);
}

static void add_base64(struct strmap *headers, const char *name, const struct docker_body *body)
{
	char *text = digest_base64(body->p, body->len, 1);
	strmap_set(headers, name, text);
	explicit_bzero(text, strlen(text));
	free(text);
}

void docker_add_auth(struct strmap *headers, const struct docker_auth *auth)
{
	struct docker_body body = {0};
	if (!auth) {
		return;
	}
	docker_auth_body(auth, &body);
	add_base64(headers, "X-Registry-Auth", &body);
	docker_body_fini(&body);
}

/* {"server": {...}, ...}, for builds */
void docker_add_auths(struct strmap *headers, const struct docker_auth *auths, size_t n)
{
	struct docker_body body = {0};
	size_t size = 2;
	if (n == 0) {
		return;
	}
	for (size_t i = 0; i < n; i++) {
		size += auth_size(&auths[i]) * 2;
	}
	body.p = xcalloc(1, size);
	char *to = body.p;
	*to++ = '{';
	for (size_t i = 0; i < n; i++) {
		if (i > 0) {
			*to++ = ',';
		}
		to = docker_quote(to, server_of(&auths[i]), strlen(server_of(&auths[i])));
		*to++ = ':';
		to = put_auth(to, &auths[i]);
	}
	*to++ = '}';
	body.len = (size_t)(to - body.p);
	add_base64(headers, "X-Registry-Config", &body);
	docker_body_fini(&body);
}

void docker_headers_fini(struct strmap *headers)
{
	VEC_FOREACH (headers, i) {
		if (headers->p[i].value) {
			explicit_bzero(headers->p[i].value, strlen(headers->p[i].value));
		}
	}
	strmap_fini(headers);
}
