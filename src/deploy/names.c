/* SPDX-License-Identifier: MIT */
#include "deploy/names.h"

#include "host/host.h"

char *names_service_key(const struct config *c)
{
	/* '@' is in no service name, so "a@b" is never the service "a-b". */
	return c->destination ? xasprintf("%s@%s", c->service, c->destination)
			      : xstrdup(c->service);
}

char *names_state_dir(const struct config *c)
{
	CLEANUP_FREE char *key = names_service_key(c);
	return xasprintf("%s/%s", HOST_STATE_DIR, key);
}

char *names_state_path(const struct config *c, const char *file)
{
	CLEANUP_FREE char *key = names_service_key(c);
	return xasprintf("%s/%s/%s", HOST_STATE_DIR, key, file);
}

char *names_container(const struct config *c, const struct config_role *role, const char *version,
	long release, int replica)
{
	CLEANUP_STR struct str s = STR_INIT(STR_MAX_LINE);
	str_addf(&s, "%s-%s", c->service, role->name);
	if (c->destination) {
		str_addf(&s, "-%s", c->destination);
	}
	str_addf(&s, "-%s", version);
	if (release > 0) {
		str_addf(&s, "-r%ld", release);
	}
	if (role->replicas > 1) {
		str_addf(&s, "-%d", replica);
	}
	return str_take(&s);
}

char *names_image(const struct config *c, const char *version)
{
	return xasprintf("%s:%s", c->image, version);
}
