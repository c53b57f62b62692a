/* SPDX-License-Identifier: MIT */
/* Handshake and host key. */
#include "connect.h"

#include "ssh/known_hosts.h"
#include "util/cancel.h"
#include "util/clock.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

/* A server may say lines before its version (RFC 4253, 4.2), and has said all of the key exchange
 * well below this. */
#define HELLO_MAX ((uint64_t)1 << 20)

/* Preference among equals: fast and modern first. RSA with SHA-2 needs libssh2 1.11. */
static const char *const host_key_types[] = {"ssh-ed25519", "ecdsa-sha2-nistp256",
	"ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"};

int ssh_link_wait(struct ssh_link *link, int64_t deadline, struct error *err)
{
	ssh_link_flush(link);
	if (link->more) {
		return 0;
	}
	for (;;) {
		if (ssh_link_failed(link)) {
			char reason[512];
			ssh_link_reason(link, reason, sizeof(reason));
			return error_set(err, ERROR_CONNECT, "%s", reason);
		}
		short came;
		int rc = cancel_poll(link->fd, (short)(POLLIN | (link->out_len > 0 ? POLLOUT : 0)),
			deadline, &came, err);
		if (rc == 0) {
			return error_set(err, ERROR_CONNECT, "no answer in time");
		}
		if (rc < 0) {
			return -1;
		}
		if (came & POLLOUT) {
			ssh_link_flush(link);
		}
		if (came & ~POLLOUT) {
			return 0;
		}
	}
}

static bool is_rsa(const char *type)
{
	return str_eq(type, "ssh-rsa") || str_starts(type, "rsa-sha2-");
}

/* libssh2 1.10 removes names that it does not know with an overlapping memcpy(): give it none. */
static bool supported(const char **list, int n, const char *type)
{
	for (int i = 0; i < n; i++) {
		if (strcmp(list[i], type) == 0) {
			return true;
		}
	}
	return false;
}

/* The types of which a key is known come first: a known ed25519 key must not be called unknown
 * because the server would rather show its ecdsa key. */
static void prefer_known(LIBSSH2_SESSION *ls, const struct ssh_target *target)
{
	CLEANUP_STRVEC struct strvec known = {0};
	CLEANUP_STR struct str list = STR_INIT(1024);

	const char **can = NULL;
	int n = libssh2_session_supported_algs(ls, LIBSSH2_METHOD_HOSTKEY, &can);

	if (n <= 0) {
		return;
	}
	ssh_known_hosts_types(target, &known);
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < sizeof(host_key_types) / sizeof(host_key_types[0]); i++) {
			const char *type = host_key_types[i];
			bool is_known = strvec_has(&known, is_rsa(type) ? "ssh-rsa" : type);
			if (is_known == (round == 0) && supported(can, n, type)) {
				str_addf(&list, "%s%s", list.len > 0 ? "," : "", type);
			}
		}
	}
	libssh2_free(ls, can);
	(void)libssh2_session_method_pref(ls, LIBSSH2_METHOD_HOSTKEY, str_c(&list));
}

static int handshake_failed(struct login *l, int rc, struct error *err)
{
	char *text = NULL;

	libssh2_session_last_error(l->ls, &text, NULL, 0);
	if (rc == LIBSSH2_ERROR_KEX_FAILURE || rc == LIBSSH2_ERROR_METHOD_NONE ||
		rc == LIBSSH2_ERROR_KEY_EXCHANGE_FAILURE) {
		error_set(err, ERROR_CONNECT, "key exchange: %s", text);
		return error_hint(err,
			"if the server has only an RSA host key, give it another (ssh-keygen -A): "
			"libssh2 "
			"%s may know RSA host keys with SHA-1 only, which new servers do not offer",
			libssh2_version(0));
	}
	if (rc == LIBSSH2_ERROR_BANNER_RECV) {
		return error_set(err, ERROR_CONNECT, "that is no SSH server");
	}
	return error_set(err, ERROR_CONNECT, "handshake: %s (libssh2 error %d)", text, rc);
}

/* Whether what only waits for the answer to the request for "ssh-userauth" is left. */
static bool keys_exchanged(const struct login *l)
{
	size_t len;
	int type;

	return l->link->service && libssh2_session_hostkey(l->ls, &len, &type) != NULL;
}

/*
 * Until the keys are exchanged and "ssh-userauth" was asked for.  The answer to that is not
 * awaited: the first login request travels with it, which saves a round trip.  libssh2 keeps that
 * answer in its queue, and needs it for nothing else.
 */
static int handshake(struct login *l, struct error *err)
{
	for (;;) {
		ssh_link_pass(l->link);
		int rc = libssh2_session_handshake(l->ls, l->link->fd);
		if (rc == 0 || (rc == LIBSSH2_ERROR_EAGAIN && keys_exchanged(l))) {
			return 0;
		}
		if (rc == LIBSSH2_ERROR_EAGAIN && ssh_link_wait(l->link, l->deadline, err) < 0) {
			if (!l->link->newkeys && err->kind == ERROR_CONNECT) {
				error_wrap(err, "handshake");
			}
			return -1;
		}
		if (rc != LIBSSH2_ERROR_EAGAIN) {
			return handshake_failed(l, rc, err);
		}
		if (atomic_load(&l->link->received) > HELLO_MAX) {
			return error_set(
				err, ERROR_CONNECT, "that is no SSH server: it talks without end");
		}
	}
}

static int check_host_key(const struct login *l, struct error *err)
{
	size_t len = 0;
	int type;
	const char *key = libssh2_session_hostkey(l->ls, &len, &type);

	if (key == NULL) {
		return error_set(err, ERROR_CONNECT, "the server showed no host key");
	}
	return ssh_known_hosts_check(l->target, key, len, err);
}

int ssh_login(LIBSSH2_SESSION *ls, struct ssh_link *link, const struct ssh_target *target,
	struct ssh_keyring *keyring, int64_t begin, struct error *err)
{
	struct login l = {.ls = ls,
		.link = link,
		.target = target,
		.keyring = keyring,
		.deadline = begin + target->connect_timeout_ms,
		.tried = STR_INIT(512)};

	prefer_known(ls, target);
	int rc = handshake(&l, err);
	if (rc == 0) {
		rc = check_host_key(&l, err);
	}
	if (rc == 0) {
		rc = ssh_auth(&l, err);
	}
	str_fini(&l.tried);
	return rc;
}
