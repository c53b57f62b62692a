/* SPDX-License-Identifier: MIT */
/* What several parts of the configuration are made of; see manifest/config.h. */
#pragma once

#include "util/map.h"
#include "util/vec.h"

#include <stdbool.h>
#include <stdint.h>

/* Where a value was written, for later errors ("deploy.yml:12:5"). */
struct config_mark {
	const char *file;
	int line, column; /* from 1; 0 = default value */
};

enum config_health_kind {
	CONFIG_HEALTH_HTTP,   /* GET path on app_port: 200..399 (through the container's address) */
	CONFIG_HEALTH_TCP,    /* app_port accepts */
	CONFIG_HEALTH_CMD,    /* a command in the container exits 0 */
	CONFIG_HEALTH_DOCKER, /* the image's or the options' HEALTHCHECK says healthy */
	CONFIG_HEALTH_RUNNING /* it runs and stays up for readiness_delay */
};

struct config_health {
	enum config_health_kind kind;
	const char *path; /* HTTP */
	const char *cmd;  /* CMD: given to sh -c */
	int port;         /* HTTP, TCP */
	int interval_ms;  /* upper bound between two probes; the first ones come faster */
	int timeout_ms;   /* for one probe */
};

/* env: of Kamal. `secret` names are looked up in the secrets files; ALIAS:NAME gives another name.
 */
struct config_secret_ref {
	const char *name; /* in the container */
	const char *from; /* in the secrets file; "FILE:NAME" of an env file */
	bool of_file;     /* it is of an env file */
	struct config_mark mark;
};
VEC_TYPE(config_secret_refs, struct config_secret_ref);

struct config_env {
	struct strmap clear;
	struct config_secret_refs secret;
	struct strvec files; /* env_file, as written; their variables are in `secret` */
};

/* `docker run` options by their long names without dashes, typed where the Engine API needs it. */
struct config_option {
	const char *name; /* "memory", "cpus", "read-only", "tmpfs", "cap-drop", ... */
	struct strvec values;
	struct config_mark mark;
};
VEC_TYPE(config_options, struct config_option);

struct config_host {
	const char *name;   /* as written: address, name or ssh alias; "user@host:port" is split */
	const char *user;   /* or NULL */
	int port;           /* or 0 */
	struct strvec tags; /* their variables are in config.env_tags */
	struct config_mark mark;
};
VEC_TYPE(config_hosts, struct config_host);

struct config_logging {
	const char *driver; /* or NULL */
	struct strmap options;
};

struct config_registry {
	bool enabled;         /* false: the image travels over SSH */
	bool local;           /* Kamal's "localhost:PORT" was given; there is no need for it here */
	const char *server;   /* "registry.example.com:5000"; NULL: Docker Hub */
	const char *username; /* clear, or NULL when it is a secret */
	const char *username_secret;
	const char *password_secret;
	struct config_mark username_mark, password_mark;
	struct config_mark mark;
};

/* An entry of `networks:`, or the one that all services of a server share. */
struct config_network {
	const char *key;  /* in the manifest */
	const char *name; /* in Docker */
	bool internal;    /* without a way out, and nothing can be published of it */
	bool external;    /* somebody else's: it has to be there */
	bool own;         /* the service's: removed with it */
	struct config_mark mark;
};
VEC_TYPE(config_networks, struct config_network);
VEC_TYPE(config_network_ptrs, const struct config_network *);
