/* SPDX-License-Identifier: MIT */
/* What things are called on servers: containers, labels, folders. Pure. */
#pragma once

#include "manifest/config.h"

/* Labels of every container of ours; repair and status find containers by them. */
#define LABEL_SERVICE       "deploy.service"
#define LABEL_DESTINATION   "deploy.destination" /* "" when there is none */
#define LABEL_ROLE          "deploy.role"
#define LABEL_RELEASE       "deploy.release"    /* number */
#define LABEL_RELEASE_ID    "deploy.release-id" /* random id, joins it to the history */
#define LABEL_VERSION       "deploy.version"
#define LABEL_COMMIT        "deploy.commit"
#define LABEL_SUBJECT       "deploy.subject"
#define LABEL_CONFIG_DIGEST "deploy.config-digest"
#define LABEL_SECRET_FILES  "deploy.secret-files" /* their paths, between colons */
#define LABEL_REPLICA       "deploy.replica"      /* from 1 */
#define LABEL_KIND          "deploy.kind" /* "app", "release-command", "exec", "accessory", "files" */
#define LABEL_ACCESSORY     "deploy.accessory" /* its name in the manifest */

/* "reportify" or "reportify@staging": folder below HOST_STATE_DIR, and how people are told. */
char *names_service_key(const struct config *c);

/* "<HOST_STATE_DIR>/<service key>"; the caller frees. */
char *names_state_dir(const struct config *c);

/* "<HOST_STATE_DIR>/<service key>/<file>"; the caller frees. */
char *names_state_path(const struct config *c, const char *file);

/* "<HOST_STATE_DIR>/<service key>/accessories/<name>"; the caller frees. */
char *names_accessory_dir(const struct config *c, const char *name);

/*
 * "<service>-<role>[-<dest>]-<version>[-<n>]"; n only with several replicas.  `release` above 0
 * puts
 * "-r<release>" behind the version, for a version that is deployed once more.  At most
 * NAMES_CONTAINER_MAX long: a longer one has eight digits of its digest in place of its middle.
 */
#define NAMES_CONTAINER_MAX 63
char *names_container(const struct config *c, const struct config_role *role, const char *version,
	long release, int replica);

/* "<container>-r<release>-<replica>", for a copy of it; as short. */
char *names_clone(const char *container, long release, int replica);

/* "<image>:<version>". */
char *names_image(const struct config *c, const char *version);
