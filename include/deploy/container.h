/* SPDX-License-Identifier: MIT */
/* From a role of the manifest to a container, and what it is told apart by. */
#pragma once

#include "deploy/deployment.h"
#include "docker/container.h"
#include "docker/spec.h"

struct target;

/* What a new container of a release bears and runs. */
struct container_request {
	const struct config_role *role;
	const char *name;
	const char *image;                                   /* its ID, or a reference */
	const char *version, *commit, *subject, *release_id; /* commit, subject: or NULL */
	long release;
	int replica;
	const char *kind;               /* LABEL_KIND */
	const struct config_cron *cron; /* the job that it is, or NULL */
	const char *command;            /* instead of the role's, or NULL (release command, exec) */
	bool serves;                    /* it may become live: bears its configuration's digest */
};

/*
 * Fills the spec in: env with secrets, labels, network, volumes, options.  ERROR_MANIFEST for an
 * option that Docker does not take.  The caller: docker_container_spec_fini().
 */
ERROR_CHECKED int container_spec(struct deployment *d, const struct target *t,
	const struct container_request *req, struct docker_container_spec *spec, struct error *err);

/* The parts of a spec that accessories have too. */
ERROR_CHECKED int container_add_secrets(struct deployment *d, const struct config_secret_refs *refs,
	struct secret_map *env, struct error *err);
ERROR_CHECKED int container_add_options(const struct config_options *options,
	struct docker_container_spec *spec, struct error *err);
void container_add_logging(
	const struct config_logging *logging, struct docker_container_spec *spec);

/*
 * Creates a container of the spec, with the manifest's secret files in it; *id (may be NULL) is the
 * caller's, also where putting them there failed.
 */
ERROR_CHECKED int container_create(struct deployment *d, const struct target *t,
	const struct docker_container_spec *spec, char **id, struct error *err);
/* The same, and starts it; `seen` as in docker_container_run(). */
ERROR_CHECKED int container_run(struct deployment *d, const struct target *t,
	const struct docker_container_spec *spec, char **id, struct docker_container *seen,
	struct error *err);

/*
 * Digest of all that a container of the role depends on beside its image: command, env, secrets
 * (keyed by the server's key), options, volumes.  The caller frees.
 */
char *container_digest(
	struct deployment *d, const struct target *t, const struct config_role *role);

/* Starts one that may be old: when a network of it was made anew since, it is connected to that. */
ERROR_CHECKED int container_start(struct docker *docker, const char *name, struct error *err);
/* The same as a new candidate, which does not come back by itself; *seen: how it is then, when that
 * is known (an id). The caller frees. */
ERROR_CHECKED int container_revive(
	struct docker *docker, const char *name, struct docker_container *seen, struct error *err);

/* Makes a network of the service on a server; one that is there stays as it is. */
ERROR_CHECKED int container_network(const struct deployment *d, const struct target *t,
	const struct config_network *n, struct error *err);
/* Removes those of the service that nothing runs on; failing is told. */
void container_networks_remove(const struct deployment *d, const struct target *t);
/* The first is `network` of the spec, those behind it are its further ones. */
void container_add_networks(
	const struct config_network_ptrs *networks, struct docker_container_spec *spec);
/*
 * A copy of `from` is on its networks too: the body to create it with gets the first of them, and
 * once it is made it is connected to the others.
 */
void container_copy_first_network(const struct docker_container *from, json_t *body);
ERROR_CHECKED int container_copy_networks(struct docker *docker,
	const struct docker_container *from, const char *name, struct error *err);

/*
 * A live container comes back whatever happens to it or to dockerd ("always": Docker 20.10 leaves
 * "unless-stopped" ones down when a killed dockerd starts again); one that is retired stays down.
 */
ERROR_CHECKED int container_keep_up(struct docker *docker, const char *name, struct error *err);
ERROR_CHECKED int container_retire(
	struct docker *docker, const char *name, int grace_s, struct error *err);

/* -- secret_files.c -- */

/* What a container needs for the manifest's secret files: volumes, a label. By container_spec(). */
ERROR_CHECKED int secret_files_prepare(
	const struct config *c, struct docker_container_spec *spec, struct error *err);
/* ERROR_MANIFEST when a role's containers cannot have them, before anything is touched. */
ERROR_CHECKED int container_check(const struct config *c, struct error *err);
/* Writes them into one that is created and not started. By container_create(). */
ERROR_CHECKED int secret_files_deliver(
	struct deployment *d, struct docker *docker, const char *id, struct error *err);
/* Those of `from` into its copy `to`, which is created and not started. */
ERROR_CHECKED int secret_files_copy(struct docker *docker, const struct docker_container *from,
	struct docker *to_docker, const char *to, struct error *err);

/*
 * Words of a command as a shell splits them; one with shell syntax in it becomes {"sh", "-c", it}.
 * So images without a shell run plain commands.
 */
ERROR_CHECKED int container_command(const char *text, struct strvec *words, struct error *err);
