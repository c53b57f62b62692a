/* SPDX-License-Identifier: MIT */
/* The steps from a target to a session that is logged in. */
#pragma once

#include "link.h"
#include "ssh/keyring.h"
#include "ssh/session.h"
#include "ssh/target.h"

#include <libssh2.h>
#include <stdint.h>

/* A connected descriptor: TCP, a channel of the jump host's session, or a ProxyCommand. */
ERROR_CHECKED int ssh_dial(const struct ssh_target *target, struct ssh_session *via,
	int64_t deadline, struct error *err);

/* Handshake, host key and login; `begin` is when connecting began (monotonic ms). */
ERROR_CHECKED int ssh_login(LIBSSH2_SESSION *ls, struct ssh_link *link,
	const struct ssh_target *target, struct ssh_keyring *keyring, int64_t begin,
	struct error *err);

/*
 * Waits until the link can be read (flushing what is to be sent): 0; -1 when the time is over, the
 * link failed or it was cancelled.
 */
ERROR_CHECKED int ssh_link_wait(struct ssh_link *link, int64_t deadline, struct error *err);

struct login {
	LIBSSH2_SESSION *ls;
	struct ssh_link *link;
	const struct ssh_target *target;
	struct ssh_keyring *keyring;
	int64_t deadline; /* moved by the time that a person took to type a passphrase */
	struct str tried; /* what was offered, for the error */
	unsigned offers;
	bool saw_rsa; /* an RSA key was refused */
};

/* auth.c: logs in. */
ERROR_CHECKED int ssh_auth(struct login *login, struct error *err);
