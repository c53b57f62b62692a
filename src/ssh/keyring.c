/* SPDX-License-Identifier: MIT */
#include "keys.h"

#include "util/map.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct ssh_keyring {
	pthread_mutex_t lock; /* held while a person types: one question at a time */
	struct secret_map phrases;
	struct strvec refused; /* files for which none was given */
};

struct ssh_keyring *ssh_keyring_new(void)
{
	struct ssh_keyring *k = xcalloc(1, sizeof(*k));

	pthread_mutex_init(&k->lock, NULL);
	return k;
}

void ssh_keyring_free(struct ssh_keyring *k)
{
	if (k == NULL) {
		return;
	}
	secret_map_fini(&k->phrases);
	strvec_fini(&k->refused);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

struct secret *ssh_keyring_passphrase(
	struct ssh_keyring *k, const struct ssh_target *target, const char *file)
{
	if (target->ask_passphrase == NULL) {
		return NULL;
	}
	if (k == NULL) {
		return target->ask_passphrase(target->ctx, file);
	}
	pthread_mutex_lock(&k->lock);
	struct secret *known = secret_map_get(&k->phrases, file);
	struct secret *phrase = known != NULL ? secret_ref(known) : NULL;
	if (phrase == NULL && !strvec_has(&k->refused, file)) {
		phrase = target->ask_passphrase(target->ctx, file);
		if (phrase != NULL) {
			secret_map_set(&k->phrases, file, secret_ref(phrase));
		} else {
			strvec_push(&k->refused, file);
		}
	}
	pthread_mutex_unlock(&k->lock);
	return phrase;
}

void ssh_keyring_forget(struct ssh_keyring *k, const char *file)
{
	if (k == NULL) {
		return;
	}
	pthread_mutex_lock(&k->lock);
	secret_map_set(&k->phrases, file, NULL);
	pthread_mutex_unlock(&k->lock);
}
