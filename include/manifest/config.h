/* SPDX-License-Identifier: MIT */
/*
 * The manifest as the rest of the tool sees it: typed, validated, defaults filled in, destination
 * laid over, variables expanded.  All of it lives in one arena that config_free() ends; everything
 * in it is read-only after loading and may be read from any thread.
 *
 * Order of the lists is the order of the manifest.
 */
#pragma once

#include "manifest/config_accessory.h"
#include "manifest/config_types.h"
#include "manifest/diagnostic.h"
#include "util/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* An entry of `cron:`. */
struct config_cron {
	const char *schedule; /* five fields, or "@daily" and the like */
	const char *cmd;      /* as config_role.cmd */
	struct config_mark mark;
};
VEC_TYPE(config_crons, struct config_cron);

/*
 * A role as its containers get it: env, labels, volumes and logging are already laid over those of
 * the service; nothing has to be merged by the reader, but for the variables of a
 * host's tags: config_host_env().
 */
struct config_role {
	const char *name;
	struct config_hosts hosts;
	const char *cmd; /* NULL: the image's; words as syntax_words() splits them, no shell */
	int replicas;    /* containers per host, at least 1 */
	bool proxied;    /* takes traffic through the proxy */
	const struct config_proxy *proxy; /* the service's with the role's own over it, or NULL */
	/* Of an unproxied role; without a `healthcheck:` HEALTH_DOCKER where the image has one,
	 * which is HEALTH_RUNNING here. Of a proxied role it is that of the proxy. */
	struct config_health health;
	bool stop_first;           /* `order: stop-first` */
	bool says_order;           /* itself */
	struct config_crons crons; /* not empty: nothing runs but these, at their times */
	struct config_env env;
	struct config_options options;
	struct strmap labels;
	struct strvec volumes; /* "name:/path[:ro]" or "/host:/path" */
	struct config_network_ptrs
		networks; /* at least one; of a proxied role the shared one first */
	struct config_logging logging;
	int stop_timeout_ms; /* grace on stop; default 10 s, of an unproxied role drain_timeout */
	const char *asset_path;  /* absolute, or NULL */
	const char *asset_mount; /* mount options behind "path:", or NULL */
	struct config_mark mark;
};
VEC_TYPE(config_roles, struct config_role);

enum config_tls { CONFIG_TLS_NONE, CONFIG_TLS_AUTO, CONFIG_TLS_GIVEN };

/* Requests of one client address to a path; what is above the rate and the burst is refused. */
struct config_rate_limit {
	const char *path; /* as the application sees it: this one and what lies below it */
	int requests;     /* a second, or a minute */
	bool per_minute;
	int burst; /* further ones that are let through at once */
	struct config_mark mark;
};
VEC_TYPE(config_rate_limits, struct config_rate_limit);

/* `proxy.load_balancing`, between the containers of a host; zero: as the driver does by itself. */
enum config_balance_policy {
	CONFIG_BALANCE_DEFAULT,
	CONFIG_BALANCE_ROUND_ROBIN,
	CONFIG_BALANCE_LEAST_CONN,
	CONFIG_BALANCE_RANDOM,
	CONFIG_BALANCE_IP_HASH,
};
struct config_balancing {
	enum config_balance_policy policy;
	const char *cookie; /* that keeps a client with its container; NULL: nothing does */
	bool secure;        /* the cookie is for HTTPS alone */
	int64_t max_age_s;  /* of the cookie; 0: until the browser is closed */
};
extern const char *const config_balance_names[]; /* by policy; "" for the default */

/* `proxy.tls`; zero: TLS 1.2 and later, ciphers as the proxy chooses them. */
struct config_tls_settings {
	bool only_13;          /* no TLS 1.2 */
	bool hsts;             /* browsers are told to come by HTTPS alone */
	struct strvec ciphers; /* of TLS 1.2, by their IANA names; empty: the proxy's own */
};

/* `proxy.acme`: where certificates come from with `ssl: true`. */
struct config_acme {
	const char *email;  /* or NULL */
	const char *server; /* directory URL; NULL: the driver's own (Let's Encrypt) */
	const char *ca;     /* absolute path of the roots of that server's own HTTPS, or NULL */
	const char *ca_pem; /* what is in that file */
};

struct config_proxy {
	bool enabled;
	const char *driver;          /* "caddy", "nginx", "traefik" */
	const char *image;           /* never NULL when enabled */
	struct strvec hosts;         /* host names routed here; empty: every host */
	struct strvec path_prefixes; /* "/api"; empty: "/" */
	bool strip_path_prefix;
	int app_port;
	enum config_tls tls;
	const char *certificate_secret, *private_key_secret; /* CONFIG_TLS_GIVEN */
	struct config_mark tls_mark;
	struct config_tls_settings tls_settings;
	struct config_acme acme;
	bool ssl_redirect;
	struct config_health health;
	int deploy_timeout_ms;    /* a candidate has to be healthy by then */
	int drain_timeout_ms;     /* in-flight requests get so long */
	int response_timeout_ms;  /* upstream's answer */
	int64_t max_request_body; /* bytes, 0 = no limit */
	bool buffer_requests, buffer_responses;
	struct strmap response_headers; /* set in every answer of the application */
	bool compress;
	struct config_rate_limits rate_limits;
	struct config_balancing balancing;
	const char *circuit_breaker; /* Traefik's expression, or NULL */
	const char *snippet;         /* absolute path of the user's own directives, or NULL */
	const char *snippet_name;    /* as written */
	bool forward_headers;        /* trust X-Forwarded-* of the client; default: not with TLS */
	struct strvec log_request_headers, log_response_headers; /* in the access log */
	const char *error_pages; /* folder under the root, served for 4xx and 5xx, or NULL */
	/* run: of the proxy container */
	int http_port, https_port; /* published, default 80 and 443 */
	struct strvec bind_ips;    /* addresses to publish on; empty: all */
	bool publish;              /* false: no port is published */
	int metrics_port;          /* for Prometheus; 0: none */
	const char *metrics_ip;    /* address that it is published on, default 127.0.0.1 */
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

struct config_release {
	const char *command;          /* or NULL; given to sh -c in the new image */
	int timeout_ms;               /* default 10 min; of rollback_command too */
	const char *rollback_command; /* or NULL; given to sh -c in the image that is left */
	struct strvec snapshots;      /* names of accessories that are backed up first */
};

/* A secret that is given as a file: `secret_files: {NAME: /path}`. */
struct config_secret_file {
	const char *from; /* in the secrets file */
	const char *path; /* in the container */
	struct config_mark mark;
};
VEC_TYPE(config_secret_files, struct config_secret_file);

/* A file of `env_file`, of the service, a role or an accessory. */
struct config_env_file {
	const char *name; /* as written */
	const char *path; /* absolute */
	struct config_mark mark;
};
VEC_TYPE(config_env_files, struct config_env_file);

/* Variables of the hosts that have the tag `name`. */
struct config_env_tag {
	const char *name;
	struct config_env env;
};
VEC_TYPE(config_env_tags, struct config_env_tag);

enum config_notify_kind { CONFIG_NOTIFY_WEBHOOK, CONFIG_NOTIFY_SLACK, CONFIG_NOTIFY_EMAIL };
#define CONFIG_NOTIFY_SUCCESS  (1u << 0)
#define CONFIG_NOTIFY_FAILURE  (1u << 1)
#define CONFIG_NOTIFY_ROLLBACK (1u << 2)
#define CONFIG_NOTIFY_CHECK    (1u << 3) /* `check --notify` found something */

/* An entry of `notify:`. */
struct config_notify {
	enum config_notify_kind kind;
	unsigned on;             /* CONFIG_NOTIFY_* */
	const char *url;         /* webhook and slack, unless it is a secret; "http(s)://..." */
	const char *url_secret;  /* or NULL */
	const char *sign_secret; /* webhook: key of its HMAC-SHA256, or NULL */
	struct strvec to;        /* email */
	const char *from;
	const char *smtp;                       /* "host:port" */
	const char *username, *password_secret; /* or NULL */
	bool starttls;                          /* `tls: starttls`, the default */
	bool tls;                               /* `tls: true`: from the first byte */
	struct config_mark mark;
};
VEC_TYPE(config_notifies, struct config_notify);

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
	int connect_timeout_ms;    /* 0: as ssh does, or 10 s */
	int keepalive_ms;          /* 0: as ssh does, or 15 s */
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

enum config_failure_action {
	CONFIG_FAILURE_ROLLBACK, /* the hosts that moved go back */
	CONFIG_FAILURE_PAUSE,    /* they keep it, and no other one gets it */
	CONFIG_FAILURE_CONTINUE, /* the others get it */
};

/* rollout: whether hosts change all together or in batches. */
struct config_rollout {
	bool rolling;    /* in batches */
	bool canary;     /* and these are two: `parallelism` containers, and all others */
	bool stop_first; /* the roles without proxy that say no order of their own */
	int parallelism; /* containers of a batch, or of the canary (a percentage is resolved), from
			    1 */
	int delay_ms;    /* between two batches */
	int monitor_ms;  /* a batch is watched after its switch, before it counts as moved */
	double max_failure_ratio; /* of all hosts, 0 to 1: up to it failures are borne */
	enum config_failure_action failure_action; /* beyond it */
};

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
	struct config_accessories accessories;
	struct config_env env;
	struct config_env_tags env_tags;
	struct config_env_files env_files; /* each once */
	struct config_secret_files secret_files;
	struct config_notifies notify;
	struct strmap labels;
	struct strvec volumes;
	const char *asset_path;       /* or NULL; roles have it split */
	const char *error_pages_path; /* absolute folder, or NULL */
	int deploy_timeout_ms, drain_timeout_ms;
	struct config_release release;
	struct config_boot boot;
	struct config_rollout rollout;
	struct config_ssh ssh;
	struct config_logging logging;
	struct strmap aliases;
	const char *hooks_path;        /* absolute; NULL when there is none */
	const char *hooks_output;      /* "quiet", "verbose", or NULL: as -q and -v say */
	struct strmap hooks_output_of; /* by the name of the hook */
	struct strvec secrets_files;   /* absolute, in order; later ones win; existing ones only */
	const char *secrets_wanted;  /* the file to write where there is none: ".deploy/secrets" */
	const char *secrets_common;  /* ".deploy/secrets-common" */
	const char *minimum_version; /* or NULL */
	const char *network; /* name of the bridge network that all services share, "deploy" */
	struct config_networks networks; /* that one first */
	int retain_containers;           /* default 5 */
	int readiness_delay_ms;          /* default 7 s; only for HEALTH_RUNNING */
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

/*
 * The role's environment on a host: `env` of the service, of the role, then of the host's tags, the
 * later counts. `host` NULL: without tags. Borrowed texts; config_env_fini(out).
 */
void config_host_env(const struct config *c, const struct config_role *role, const char *host,
	struct config_env *out);
void config_env_fini(struct config_env *env);

/* NULL: there is none of that name. */
const struct config_role *config_role_named(const struct config *c, const char *name);
/* Its containers on a host: replicas, or one for each entry of `cron`. */
int config_role_containers(const struct config_role *role);
bool config_role_is_on(const struct config_role *role, const char *host);

/* Every host of every role, once, in order of first appearance. Borrowed entries. */
VEC_TYPE(config_host_ptrs, const struct config_host *);
void config_all_hosts(const struct config *c, struct config_host_ptrs *out);
/* Those of accessories that have no role. */
void config_accessory_hosts(const struct config *c, struct config_host_ptrs *out);

/* A secret that the manifest names: where, and for what ("env.secret", "registry.password", ..). */
struct config_secret_use {
	const char *name; /* in the secrets file */
	const char *key;  /* path of the key that names it */
	struct config_mark mark;
};
VEC_TYPE(config_secret_uses, struct config_secret_use);
/* All of them, once per name and key, in order of the manifest. Borrowed texts; vec_fini(out). */
void config_secret_names(const struct config *c, struct config_secret_uses *out);

struct dotenv;
/* Reads the secrets files into `d`; with `env_files` those too, and all of them have to be there.
 */
ERROR_CHECKED int config_secrets_load(
	const struct config *c, bool env_files, struct dotenv *d, struct error *err);

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
