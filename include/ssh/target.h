/* SPDX-License-Identifier: MIT */
/*
 * Where a host is and how to log in: the manifest's `ssh:` laid over what the user's own
 * `ssh -G HOST` says (no shell; `--` before the host; hosts that begin with '-' are refused).
 */
#pragma once

#include "secrets/secret.h"
#include "util/error.h"
#include "util/str.h"
#include "util/vec.h"

#include <stdbool.h>

enum ssh_host_key_check {
	SSH_HOST_KEY_STRICT,     /* unknown and changed keys are refused */
	SSH_HOST_KEY_ACCEPT_NEW, /* unknown keys are recorded, changed ones refused */
};

VEC_TYPE(ssh_secret_vec, struct secret *);

/* What the manifest says. Zero means "not said". Everything is borrowed. */
struct ssh_options {
	const char *host;        /* as written: address, name or alias of ~/.ssh/config */
	const char *user;        /* or NULL */
	int port;                /* or 0 */
	const char *jump;        /* "user@host:port[,...]", "none", or NULL: what ssh -G says */
	bool no_config;          /* do not ask ssh -G */
	const char *config_file; /* -F FILE for ssh -G, or NULL */
	const struct strvec *key_files;        /* tried before those of ssh -G; or NULL */
	const struct ssh_secret_vec *key_data; /* private keys in memory; or NULL */
	bool keys_only;          /* only key_files and key_data: no agent, no others */
	const char *known_hosts; /* file, or NULL: those of ssh -G */
	enum ssh_host_key_check host_key_check;
	int connect_timeout_ms; /* 0: ssh -G's, else 10 s; covers TCP, handshake and login */
	int keepalive_ms;       /* 0: 15 s; a peer silent for three of them is dead */
	/*
	 * Asks for the passphrase of an encrypted key; NULL result: skip that key.  The caller of
	 * ask_passphrase owns the result (secret_unref).  Called on the connecting thread, one call
	 * at a time within a fabric.  NULL: encrypted keys are skipped (and named in the error).
	 */
	struct secret *(*ask_passphrase)(void *ctx, const char *key_file);
	void *ctx;
};

/* What connecting needs, resolved. */
struct ssh_target {
	char *host;     /* as written; for messages */
	char *hostname; /* address or name to connect to */
	char *user;
	int port;
	char *host_key_alias; /* name in known_hosts instead of hostname, or NULL */
	struct strvec jumps;  /* in order, each "[user@]host[:port]"; empty: direct */
	char *proxy_command;  /* or NULL; with ssh's own % tokens */
	struct strvec identity_files;
	struct ssh_secret_vec key_data; /* references are held */
	bool identities_only;
	char *agent;               /* socket's path, or NULL: no agent */
	struct strvec known_hosts; /* the user's files; a new key goes to the first */
	struct strvec global_known_hosts;
	enum ssh_host_key_check host_key_check;
	bool hash_known_hosts;
	int connect_timeout_ms;
	int keepalive_ms;
	struct secret *(*ask_passphrase)(void *ctx, const char *key_file);
	void *ctx;
};

/*
 * The default user when neither the manifest nor ssh -G's configuration names one is ssh's: the
 * local user.  ERROR_CONNECT when the host is refused or ssh -G fails.
 */
ERROR_CHECKED int ssh_target_resolve(
	const struct ssh_options *options, struct ssh_target *target, struct error *err);
void ssh_target_fini(struct ssh_target *target);

/* "[user@]host[:port]", "[v6]:port", "ssh://user@host:port" split; strings are the caller's. */
ERROR_CHECKED int ssh_host_split(
	const char *text, char **user, char **host, int *port, struct error *err);

/*
 * Pure: lays what `ssh -G` printed over `target` (unknown keys are skipped, lines and lists are
 * bounded). ERROR_CONNECT when it is not such output.
 */
ERROR_CHECKED int ssh_config_parse(
	const char *text, size_t len, struct ssh_target *target, struct error *err);
