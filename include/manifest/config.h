/* SPDX-License-Identifier: MIT */
/*
 * The manifest as the rest of the tool sees it: typed, validated, defaults filled in, destination
 * laid over, variables expanded.  All of it lives in one arena that config_free() ends; everything
 * in it is read-only after loading and may be read from any thread.
 *
 * Order of the lists is the order of the manifest.
 */
#pragma once

#include "manifest/diagnostic.h"
#include "util/error.h"
#include "util/map.h"
#include "util/vec.h"

#include <jansson.h>
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
	const char *from; /* in the secrets file */
	struct config_mark mark;
};
VEC_TYPE(config_secret_refs, struct config_secret_ref);

struct config_env {
	struct strmap clear;
	struct config_secret_refs secret;
};

/* `docker run` options by their long names without dashes, typed where the Engine API needs it. */
struct config_option {
	const char *name; /* "memory", "cpus", "read-only", "tmpfs", "cap-drop", ... */
	struct strvec values;
	struct config_mark mark;
};
VEC_TYPE(config_options, struct config_option);

struct config_host {
	const char *name; /* as written: address, name or ssh alias; "user@host:port" is split */
	const char *user; /* or NULL */
	int port;         /* or 0 */
	struct config_mark mark;
};
VEC_TYPE(config_hosts, struct config_host);

struct config_logging {
	const char *driver; /* or NULL */
	struct strmap options;
};

/*
 * A role as its containers get it: env, labels, volumes and logging are already laid over those of
 * the service; nothing has to be merged by the reader.
 */
struct config_role {
	const char *name;
	struct config_hosts hosts;
	const char *cmd; /* NULL: the image's; words as syntax_words() splits them, no shell */
	int replicas;    /* containers per host, at least 1 */
	bool proxied;    /* takes traffic through the proxy */
	const struct config_proxy *proxy; /* the service's with the role's own over it, or NULL */
	struct config_env env;
	struct config_options options;
	struct strmap labels;
	struct strvec volumes; /* "name:/path[:ro]" or "/host:/path" */
	struct config_logging logging;
	int stop_timeout_ms; /* grace on stop; default 10 s, of an unproxied role drain_timeout */
	const char *asset_path;  /* absolute, or NULL */
	const char *asset_mount; /* mount options behind "path:", or NULL */
	struct config_mark mark;
};
VEC_TYPE(config_roles, struct config_role);

enum config_tls { CONFIG_TLS_NONE, CONFIG_TLS_AUTO, CONFIG_TLS_GIVEN };

struct config_proxy {
	bool enabled;
	const char *driver;          /* "caddy", "nginx" */
	const char *image;           /* never NULL when enabled */
	struct strvec hosts;         /* host names routed here; empty: every host */
	struct strvec path_prefixes; /* "/api"; empty: "/" */
	bool strip_path_prefix;
	int app_port;
	enum config_tls tls;
	const char *certificate_secret, *private_key_secret; /* CONFIG_TLS_GIVEN */
	struct config_mark tls_mark;
	bool ssl_redirect;
	struct config_health health;
	int deploy_timeout_ms;    /* a candidate has to be healthy by then */
	int drain_timeout_ms;     /* in-flight requests get so long */
	int response_timeout_ms;  /* upstream's answer */
	int64_t max_request_body; /* bytes, 0 = no limit */
	bool buffer_requests, buffer_responses;
	bool forward_headers; /* trust X-Forwarded-* of the client; default: not with TLS */
	struct strvec log_request_headers, log_response_headers; /* in the access log */
	const char *error_pages; /* folder under the root, served for 4xx and 5xx, or NULL */
	/* run: of the proxy container */
	int http_port, https_port; /* published, default 80 and 443 */
	struct strvec bind_ips;    /* addresses to publish on; empty: all */
	bool publish;              /* false: no port is published */
	bool debug;
	const char *log_max_size;      /* "10m" */
	struct config_options options; /* further options of the container (label, memory) */
	struct config_mark mark;
};

enum config_build_context { CONFIG_CONTEXT_GIT, CONFIG_CONTEXT_DIR };

struct config_builder {
	enum config_build_context context_kind;
	/* CONTEXT_DIR: absolute folder; CONTEXT_GIT: sub-folder of the tree (that of the manifest
	 * in its repository) or "" */
	const char *context;
	const char *dockerfile; /* relative to the context */
	const char *target;     /* or NULL */
	struct strmap args;
	struct strvec secrets; /* names in the secrets file */
	struct strvec tags;    /* with {sha} {branch} {version} */
	struct strvec arch;    /* "amd64", "arm64"; empty: the servers' own */
	const char *remote;    /* "ssh://[user@]host[:port]" or NULL: this machine's Docker */
	bool local;            /* with a remote: build here when the architecture is ours */
	bool no_cache;
	bool pull;
	struct config_mark mark;
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

struct config_release {
	const char *command; /* or NULL; given to sh -c in the new image */
	int timeout_ms;      /* default 10 min */
};

enum config_host_key_check { CONFIG_HOST_KEY_STRICT, CONFIG_HOST_KEY_ACCEPT_NEW };

struct config_ssh {
	const char *user;   /* NULL: what ssh -G says, else root as Kamal */
	int port;           /* 0: as above */
	struct strvec keys; /* files */
	struct strvec key_data_secrets;
	bool keys_only;
	const char *proxy;          /* jump host "user@host:port", or NULL */
	struct strvec config_files; /* -F FILE of ssh -G; empty: the user's own */
	bool use_config;            /* false: no ssh -G */
	const char *known_hosts;    /* file, or NULL: those of ssh -G */
	enum config_host_key_check host_key_check;
	int connect_timeout_ms;    /* default 10 s */
	int keepalive_ms;          /* default 15 s */
	int max_parallel;          /* 0: --parallel */
	int max_concurrent_starts; /* handshakes at once; 0: the tool's own limit */
	int dns_retries;           /* default 3 */
	const char *log_level;     /* Kamal's; no effect, -v tells more */
	struct config_mark mark;
};

/* boot: groups in which candidates are started; traffic moves only when all are healthy. */
struct config_boot {
	int limit;   /* hosts at a time (a percentage is resolved), 0 = all */
	int wait_ms; /* between two groups */
	bool parallel_roles;
};

enum config_strategy { CONFIG_STRATEGY_ALL_AT_ONCE };

struct config_sources;

struct config {
	const char *file; /* as opened */
	/* The folder of deploy.yml (of config/deploy.yml: its parent), absolute: holds .deploy/. */
	const char *root;
	const char *git_root; /* nearest folder at or above `root` with a .git, or NULL */
	const char *service;
	const char *destination; /* NULL: none */
	const char *image; /* name without tag; with the registry's server when there is one */
	struct config_builder builder;
	struct config_registry registry;
	struct config_roles roles;
	const struct config_role *primary_role; /* `primary_role:`, default "web", else the first */
	struct config_proxy proxy;
	struct config_env env;
	struct strmap labels;
	struct strvec volumes;
	const char *asset_path;       /* or NULL; roles have it split */
	const char *error_pages_path; /* absolute folder, or NULL */
	int deploy_timeout_ms, drain_timeout_ms;
	struct config_release release;
	struct config_boot boot;
	struct config_ssh ssh;
	struct config_logging logging;
	struct strmap aliases;
	const char *hooks_path;        /* absolute; NULL when there is none */
	const char *hooks_output;      /* "quiet", "verbose", or NULL: as -q and -v say */
	struct strmap hooks_output_of; /* by the name of the hook */
	struct strvec secrets_files;   /* absolute, in order; later ones win; existing ones only */
	const char *secrets_wanted;  /* the file to write where there is none: ".deploy/secrets" */
	const char *minimum_version; /* or NULL */
	const char *network;         /* name of the bridge network, "deploy" */
	int retain_containers;       /* default 5 */
	int readiness_delay_ms;      /* default 7 s; only for HEALTH_RUNNING */
	enum config_strategy strategy;
	bool allow_empty_roles;
	bool require_destination;
	const struct config_sources *sources; /* text of the files, for later diagnostics */
};

struct config_request {
	const char *file; /* -c, or NULL: deploy.yml, config/deploy.yml, upwards to the git root */
	const char *destination; /* -d, or NULL */
	const char *dir;         /* where to look from; NULL: the working folder */
	/* Looks a variable up for ${VAR}; NULL: getenv. */
	const char *(*getenv)(void *ctx, const char *name);
	void *ctx;
};

/*
 * Loads, overlays, expands and validates.  All mistakes are collected in `diags`; when one of them
 * is an error the result is NULL and *err is ERROR_MANIFEST with their number.
 */
ERROR_CHECKED struct config *config_load(
	const struct config_request *req, struct diagnostics *diags, struct error *err);
/* The same of a text, as if it were deploy.yml in req->dir; req->file and a destination's file are
 * not read. */
ERROR_CHECKED struct config *config_load_text(const char *text, size_t len,
	const struct config_request *req, struct diagnostics *diags, struct error *err);
void config_free(struct config *c);

/* Every host of every role, once, in order of first appearance. Borrowed entries. */
VEC_TYPE(config_host_ptrs, const struct config_host *);
void config_all_hosts(const struct config *c, struct config_host_ptrs *out);

/* A secret that the manifest names: where, and for what ("env.secret", "registry.password", ..). */
struct config_secret_use {
	const char *name; /* in the secrets file */
	const char *key;  /* path of the key that names it */
	struct config_mark mark;
};
VEC_TYPE(config_secret_uses, struct config_secret_use);
/* All of them, once per name and key, in order of the manifest. Borrowed texts; vec_fini(out). */
void config_secret_names(const struct config *c, struct config_secret_uses *out);

/*
 * A mistake for each use whose secret `has` does not know: 0, or -1 with ERROR_MANIFEST that names
 * them.  `has` is asked with the name in the secrets file.
 */
ERROR_CHECKED int config_secrets_check(const struct config *c,
	bool (*has)(void *ctx, const char *name), void *ctx, struct diagnostics *diags,
	struct error *err);

/* Adds a mistake at `mark`, with its line; for layers that judge values later. */
void config_mistake(const struct config *c, struct diagnostics *diags,
	const struct config_mark *mark, const char *hint, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/*
 * What is resolved, defaults filled in, in the words of the manifest: the YAML loads again to the
 * same.  Secrets appear by name only.  The caller frees.
 */
char *config_to_yaml(const struct config *c);
json_t *config_to_json(const struct config *c);
