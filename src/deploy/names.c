/* SPDX-License-Identifier: MIT */
#include "deploy/names.h"

#include "host/host.h"
#include "util/digest.h"

#include <string.h>

#define NAMES_FRONT_MIN 10 /* characters of the service's name that stay */

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

/*
 * Docker takes longer names, but its DNS and the kernel's host names end at 63.  Shortened the same
 * way each time: a digest of the whole stands for what is cut out of the front, so that version and
 * replica can still be read.
 */
static char *shorten(const char *name, const char *tail)
{
	char hex[DIGEST_HEX_SIZE];
	size_t digest = strlen("-12345678");
	size_t kept_tail = strlen(tail);
	if (strlen(name) <= NAMES_CONTAINER_MAX) {
		return xstrdup(name);
	}
	digest_sha256_hex(name, strlen(name), hex);
	if (kept_tail > NAMES_CONTAINER_MAX - digest - NAMES_FRONT_MIN) {
		kept_tail = 0; /* a version of its own length: the digest has to do */
	}
	int front = (int)(NAMES_CONTAINER_MAX - digest - kept_tail);
	return xasprintf("%.*s-%.8s%s", front, name, hex, kept_tail ? tail : "");
}

char *names_clone(const char *container, long release, int replica)
{
	CLEANUP_FREE char *tail = xasprintf("-r%ld-%d", release, replica);
	CLEANUP_FREE char *name = xasprintf("%s%s", container, tail);
	return shorten(name, tail);
}

char *names_accessory_dir(const struct config *c, const char *name)
{
	CLEANUP_FREE char *key = names_service_key(c);
	return xasprintf("%s/%s/accessories/%s", HOST_STATE_DIR, key, name);
}

char *names_container(const struct config *c, const struct config_role *role, const char *version,
	long release, int replica)
{
	CLEANUP_STR struct str s = STR_INIT(STR_MAX_LINE);
	str_addf(&s, "%s-%s", c->service, role->name);
	if (c->destination) {
		str_addf(&s, "-%s", c->destination);
	}
	size_t front = s.len;
	str_addf(&s, "-%s", version);
	if (release > 0) {
		str_addf(&s, "-r%ld", release);
	}
	if (config_role_containers(role) > 1) {
		str_addf(&s, "-%d", replica);
	}
	return shorten(str_c(&s), str_c(&s) + front);
}

char *names_image(const struct config *c, const char *version)
{
	return xasprintf("%s:%s", c->image, version);
}
