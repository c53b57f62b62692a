/* SPDX-License-Identifier: MIT */
/*
 * Known host keys, in OpenSSH's format (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT): plain, hashed,
 * patterns, [host]:port, @revoked; @cert-authority lines are skipped (we speak no certificates).
 */
#pragma once

#include "ssh/target.h"

#include <stddef.h>

/* In rising order: what decides when several lines name a host. */
enum ssh_known {
	SSH_KNOWN_UNKNOWN, /* no key of that host is known */
	SSH_KNOWN_OTHER,   /* only keys of other types are known */
	SSH_KNOWN_CHANGED, /* another key of this type is known */
	SSH_KNOWN_MATCH,   /* that key is known for that host */
	SSH_KNOWN_REVOKED, /* @revoked */
};

/* Where the line stands that decided. */
struct ssh_known_place {
	char *file; /* free() it; NULL when nothing was found */
	int line;
	bool authority; /* a @cert-authority line names this host */
};

/*
 * Pure: looks `host` (already "[host]:port" when the port is not 22) and the key blob up in the
 * text of one file.
 */
enum ssh_known ssh_known_hosts_lookup(const char *text, size_t len, const char *host,
	const void *key, size_t key_len, int *line, bool *authority);

/* Key types known for the host in the target's files ("ssh-ed25519", ...), for preference. */
void ssh_known_hosts_types(const struct ssh_target *target, struct strvec *types);

/*
 * Judges a server's key by the target's files and policy; appends it with accept-new.  0: go on.
 * ERROR_CONNECT with fingerprint, file:line, and how to accept.
 */
ERROR_CHECKED int ssh_known_hosts_check(
	const struct ssh_target *target, const void *key, size_t key_len, struct error *err);

/* "SHA256:..." as OpenSSH prints it; the caller frees. */
char *ssh_fingerprint(const void *key, size_t key_len);
