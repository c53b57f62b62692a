/* SPDX-License-Identifier: MIT */
/* Options of `docker run`, "name value" a line, up to the body that creates the container. */
#include "manifest/options.h"
#include "docker/spec.h"
#include "util/json.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LINES 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void set_option(struct docker_container_spec *s, const char *name, const char *value)
{
	const struct option_kind *kind = option_find(name);
	struct error err = {0};
	bool taken = docker_spec_option(s, name, value, &err) == 0;

	assert(taken == (err.kind == ERROR_NONE));
	/* Numbers and the like: what the manifest lets through is not refused later. */
	if (kind != NULL && kind->refused == NULL && kind->type != OPTION_TEXT &&
		option_check(kind, value) == NULL) {
		assert(taken);
	}
	assert(!taken || docker_option_kind(name) >= DOCKER_OPTION_BOOL);
}

static void check_body(const struct docker_container_spec *s)
{
	struct docker_body body = {0}, again = {0};
	struct error err = {0};

	if (docker_container_spec_body(s, &body, &err) < 0) {
		assert(err.kind == ERROR_MANIFEST);
		return;
	}
	CLEANUP_JSON json_t *json = json_parse(body.p, body.len, "body", &err);
	assert(json_is_object(json));
	int rc = docker_container_spec_body(s, &again, &err);
	assert(rc == 0 && again.len == body.len && memcmp(again.p, body.p, body.len) == 0);
	docker_body_fini(&body);
	docker_body_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_DOCKER_SPEC struct docker_container_spec s = {0};
	CLEANUP_FREE char *text = xstrndup((const char *)data, size);
	char *rest = text, *line;

	s.name = xstrdup("n");
	s.image = xstrdup("i");
	for (int i = 0; i < MAX_LINES && (line = strsep(&rest, "\n")) != NULL; i++) {
		char *value = line + strcspn(line, " ");
		if (*value != '\0') {
			*value++ = '\0';
		}
		set_option(&s, line, value);
		assert(docker_parse_bytes(value) >= -1 && docker_parse_duration(value) >= -1);
	}
	check_body(&s);
	return 0;
}
