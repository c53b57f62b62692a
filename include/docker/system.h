/* SPDX-License-Identifier: MIT */
/* Docker: the daemon itself, and several look-ups at once. */
#pragma once

#include "docker/client.h"

struct docker_info {
	char *name;           /* host name as the daemon knows it */
	char *server_version; /* "20.10.24+dfsg1" */
	char *driver;         /* "overlay2", "overlayfs" */
	char *architecture;   /* as images name it: "amd64", "arm64" */
	char *os_type;        /* "linux" */
	char *kernel;
	char *operating_system;
	char *root_dir;
	char *cgroup_version; /* "1", "2" */
	char *cgroup_driver;
	int ncpu;
	int64_t memory; /* bytes */
	int containers, running, images;
	bool containerd_store; /* images live in containerd (driver-type io.containerd.snapshotter)
				*/
	bool rootless;
	bool live_restore;
	bool podman;
	bool swarm_active;
	struct strvec security_options; /* "name=seccomp,profile=default" */
	struct strvec insecure_registries;
	struct strvec warnings;
};
ERROR_CHECKED int docker_info(struct docker *d, struct docker_info *out, struct error *err);
void docker_info_fini(struct docker_info *i);

struct docker_version {
	char *version, *api_version, *min_api_version, *os, *arch, *kernel;
	char *platform; /* "Docker Engine - Community", "linux/amd64/debian-12" for podman */
};
ERROR_CHECKED int docker_version(struct docker *d, struct docker_version *out, struct error *err);
void docker_version_fini(struct docker_version *v);

/* Bytes. Slow on some daemons (it walks volumes). */
struct docker_usage {
	int64_t layers;     /* all images' layers together */
	int64_t containers; /* writable layers */
	int64_t volumes;
	int64_t build_cache;
	int images_count, containers_count, volumes_count;
};
ERROR_CHECKED int docker_usage(struct docker *d, struct docker_usage *out, struct error *err);

/* Checks a registry login with the daemon (POST /auth). */
ERROR_CHECKED int docker_auth_check(
	struct docker *d, const struct docker_auth *auth, struct error *err);

struct docker_distribution {
	char *digest; /* of the manifest or index in the registry */
	char *media_type;
	int64_t size;
	struct strvec platforms; /* "linux/amd64" */
};
ERROR_CHECKED int docker_distribution_inspect(struct docker *d, const char *reference,
	const struct docker_auth *auth, struct docker_distribution *out, struct error *err);
void docker_distribution_fini(struct docker_distribution *v);

/* -- Several look-ups in one round trip, pipelined on one connection -- */

enum docker_lookup_kind {
	DOCKER_LOOKUP_INFO,       /* out: struct docker_info */
	DOCKER_LOOKUP_VERSION,    /* struct docker_version */
	DOCKER_LOOKUP_USAGE,      /* struct docker_usage */
	DOCKER_LOOKUP_CONTAINER,  /* name; struct docker_container */
	DOCKER_LOOKUP_CONTAINERS, /* filters; all; struct docker_container_list */
	DOCKER_LOOKUP_IMAGE,      /* name; struct docker_image */
	DOCKER_LOOKUP_IMAGES,     /* filters; struct docker_image_list */
	DOCKER_LOOKUP_NETWORK,    /* name; struct docker_network */
	DOCKER_LOOKUP_VOLUME,     /* name; struct docker_volume */
	DOCKER_LOOKUP_VOLUMES,    /* filters; struct docker_volume_list */
	DOCKER_LOOKUP_STATS,      /* name; struct docker_stats */
};

struct docker_lookup {
	enum docker_lookup_kind kind;
	const char *name;                     /* of what is looked for, or NULL */
	const struct docker_filters *filters; /* or NULL */
	void *out;                            /* zeroed struct of the kind; fini it in any case */
	bool found;                           /* result: *out is filled in */
	struct error err; /* result: why not; zero when simply not there (404) */
};

/*
 * Asks all; answers come in order, on one connection.  A thing that is not there is no error (found
 * is false).  -1 with the first other error; the others of the batch are filled in all the same
 * unless the connection broke.
 */
ERROR_CHECKED int docker_lookup(
	struct docker *d, struct docker_lookup *items, size_t n, struct error *err);
