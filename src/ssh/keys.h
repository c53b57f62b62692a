/* SPDX-License-Identifier: MIT */
/* Private keys and the agent: what login needs beyond libssh2. */
#pragma once

#include "ssh/keyring.h"
#include "ssh/target.h"
#include "util/str.h"

#include <stdbool.h>
#include <stdint.h>

#define SSH_KEY_MAX ((size_t)64 << 10) /* of a key file */

/* What can be told of a key file's text without its passphrase. */
struct ssh_key_info {
	bool openssh; /* "OPENSSH PRIVATE KEY" (PROTOCOL.key), else PEM */
	bool encrypted;
	bool rsa;
	struct str blob; /* the public key; empty when it cannot be told (PEM) */
};

/* Pure. -1: not a private key. */
ERROR_CHECKED int ssh_key_inspect(const char *text, size_t len, struct ssh_key_info *info);
void ssh_key_info_fini(struct ssh_key_info *info);

/* The blob of a public key's line ("ssh-ed25519 AAAA... comment"): 0, or -1. Pure. */
ERROR_CHECKED int ssh_public_line(const char *line, struct str *blob);

/*
 * RSA keys are signed by us: libssh2 before 1.11 would sign with SHA-1, which servers refuse.
 * NULL when it cannot be read (encrypted in OpenSSH's own format, wrong passphrase).
 */
struct ssh_rsa;
struct ssh_rsa *ssh_rsa_load(const char *text, size_t len, const char *passphrase);
void ssh_rsa_free(struct ssh_rsa *key);
void ssh_rsa_blob(const struct ssh_rsa *key, struct str *blob); /* its public key */
/* PKCS#1 v1.5 with SHA-512, SHA-256 or SHA-1, as `algorithm` says. */
ERROR_CHECKED int ssh_rsa_sign(const struct ssh_rsa *key, const char *algorithm, const void *data,
	size_t len, struct str *signature);

/* An agent's connection (draft-miller-ssh-agent); every wait is bounded. */
struct ssh_agent {
	int fd;
	size_t n;
	struct ssh_agent_key {
		struct str blob;
		char *comment;
		bool used;
	} * keys;
};

#define SSH_AGENT_MAX_KEYS 64
#define SSH_AGENT_SIGN_MS  60000 /* a person may have to confirm or touch */

ERROR_CHECKED int ssh_agent_open(struct ssh_agent *a, const char *path, struct error *err);
void ssh_agent_close(struct ssh_agent *a);
ERROR_CHECKED int ssh_agent_list(struct ssh_agent *a, struct error *err); /* fills keys */
/* Asks for a signature; `algorithm` chooses the hash of RSA keys. The bare signature. */
ERROR_CHECKED int ssh_agent_sign(struct ssh_agent *a, const struct str *blob, const char *algorithm,
	const void *data, size_t len, struct str *signature, struct error *err);
/* Pure: the answer to the request for identities. */
ERROR_CHECKED int ssh_agent_parse(const void *reply, size_t len, struct ssh_agent *a);

/* The passphrase of a file, asked once; NULL when there is none. The caller unrefs. */
struct secret *ssh_keyring_passphrase(
	struct ssh_keyring *k, const struct ssh_target *target, const char *file);
/* It was wrong: ask again next time. */
void ssh_keyring_forget(struct ssh_keyring *k, const char *file);
