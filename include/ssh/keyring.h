/* SPDX-License-Identifier: MIT */
/*
 * What several logins share: a key's file is read and its passphrase asked only once, and never by
 * two threads at a time.  Thread-safe.
 */
#pragma once

struct ssh_keyring;

struct ssh_keyring *ssh_keyring_new(void);
void ssh_keyring_free(struct ssh_keyring *k); /* after all sessions were opened; NULL is fine */
