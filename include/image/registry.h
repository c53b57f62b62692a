/* SPDX-License-Identifier: MIT */
/*
 * Registry credentials.  They travel in a header of each Engine API call that needs them
 * (X-Registry-Auth, X-Registry-Config): never in argv, never in a file, and nothing is written to
 * ~/.docker/config.json.
 */
#pragma once

#include "docker/client.h"
#include "manifest/config.h"
#include "secrets/secret.h"
#include "util/error.h"

#include <stdbool.h>
#include <stddef.h>

/* One registry's login. Owns its parts. Zero: none. */
struct registry_auth {
	char *server; /* as an image name has it: "ghcr.io", "localhost:5000"; NULL: Docker Hub */
	char *username;
	struct secret *password;
};

/*
 * From the manifest.  Secrets are looked up by name; a missing one is ERROR_MANIFEST that names
 * it.  With registry->enabled false the result is zero.
 */
ERROR_CHECKED int registry_auth_from_config(const struct config_registry *registry,
	const struct secret_map *secrets, struct registry_auth *out, struct error *err);

/*
 * From the operator's docker configuration ($DOCKER_CONFIG or ~/.docker: "auths", "credHelpers",
 * "credsStore"), read-only: 0 and a zero result when it has nothing for `server` (NULL: Docker
 * Hub).  Identity tokens are not supported: a zero result.
 */
ERROR_CHECKED int registry_auth_from_docker(
	const char *server, struct registry_auth *out, struct error *err);

/* All of its "auths" and "credHelpers"; an array of the returned size, both the caller's. */
size_t registry_auths_from_docker(struct registry_auth **out, struct error *err);

void registry_auth_fini(struct registry_auth *a);
bool registry_auth_is_set(const struct registry_auth *a); /* NULL: false */

/* As the docker layer takes it; borrowed from `a`. */
struct docker_auth registry_auth_docker(const struct registry_auth *a);

/* The registry of an image name: "ghcr.io/acme/app:1" -> "ghcr.io"; NULL: Docker Hub. Caller frees.
 */
char *registry_of(const char *image);

/* Do two names mean the same registry? NULL, "docker.io", "https://index.docker.io/v1/" do. */
bool registry_same(const char *a, const char *b);

/* Asks the daemon to log in (POST /auth); nothing is stored. ERROR_REMOTE with its answer. */
ERROR_CHECKED int registry_login(
	struct docker *docker, const struct registry_auth *a, struct error *err);
