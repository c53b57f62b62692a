/* SPDX-License-Identifier: MIT */
/* Hosts that left the manifest: nothing stops by itself what runs there. */
#include "internal.h"

#include <string.h>

static bool is_in_manifest(const struct deployment *d, const char *host)
{
	struct config_host_ptrs hosts = {0};
	bool found = false;
	config_all_hosts(d->config, &hosts);
	VEC_FOREACH (&hosts, i) {
		found = found || str_eq(hosts.p[i]->name, host);
	}
	vec_fini(&hosts);
	return found;
}

const struct release *deployment_left_with(const struct deployment *d, const char *host)
{
	for (size_t i = d->history.len; i-- > 0;) {
		const struct release *r = &d->history.p[i];
		if (r->outcome == RELEASE_LIVE && strmap_get(&r->hosts, host)) {
			return r->number > history_left_at(&d->history, host) ? r : NULL;
		}
	}
	return NULL;
}

void deployment_tell_left(struct deployment *d)
{
	CLEANUP_STRVEC struct strvec told = {0};
	for (size_t i = d->history.len; i-- > 0;) {
		const struct release *r = &d->history.p[i];
		for (size_t j = 0; r->outcome == RELEASE_LIVE && j < r->hosts.len; j++) {
			const char *host = r->hosts.p[j].key;
			if (strvec_has(&told, host)) {
				continue;
			}
			strvec_push(&told, host);
			if (!is_in_manifest(d, host) && deployment_left_with(d, host)) {
				ui_warn(d->ui, NULL,
					"host '%s' is not in the manifest any more, and was left "
					"with version %s (release %ld) running: 'deploy remove "
					"--hosts %s' takes it off there",
					host, r->version, r->number, host);
			}
		}
	}
}
