/* SPDX-License-Identifier: MIT */
/* "[user@]host[:port]" and its relatives. */
#include "ssh/target.h"

#include <stdlib.h>
#include <string.h>

/* What goes into argv, a ProxyCommand or a known_hosts file. */
static bool sound(const char *text)
{
	if (*text == '\0' || *text == '-') {
		return false;
	}
	for (const char *p = text; *p != '\0'; p++) {
		if ((unsigned char)*p <= ' ' || *p == 0x7f || strchr("'\"`$\\;&|<>(){}*?!#", *p)) {
			return false;
		}
	}
	return true;
}

static int split_port(char *rest, char **host, int *port)
{
	char *colon;
	long number = 0;

	if (*rest == '[') {
		char *close = strchr(rest, ']');
		if (close == NULL || (close[1] != '\0' && close[1] != ':')) {
			return -1;
		}
		*host = xstrndup(rest + 1, (size_t)(close - rest - 1));
		colon = close[1] == ':' ? close + 1 : NULL;
	} else {
		colon = strchr(rest, ':');
		if (colon != NULL && strchr(colon + 1, ':') != NULL) {
			colon = NULL; /* an IPv6 address without brackets */
		}
		*host = colon != NULL ? xstrndup(rest, (size_t)(colon - rest)) : xstrdup(rest);
	}
	if (colon != NULL && str_to_long(colon + 1, 1, 65535, &number) < 0) {
		return -1;
	}
	*port = (int)number;
	return 0;
}

int ssh_host_split(const char *text, char **user, char **host, int *port, struct error *err)
{
	const char *p = str_starts(text, "ssh://") ? text + strlen("ssh://") : text;
	CLEANUP_FREE char *copy = xstrdup(p);
	char *rest = copy;
	char *at = strrchr(copy, '@');
	size_t len = strlen(copy);

	*user = *host = NULL;
	*port = 0;
	if (p != text && len > 0 && copy[len - 1] == '/') {
		copy[len - 1] = '\0';
	}
	if (at != NULL) {
		*at = '\0';
		*user = xstrdup(copy);
		rest = at + 1;
	}
	if (split_port(rest, host, port) < 0 || !sound(*host) || (*user != NULL && !sound(*user))) {
		free(*user);
		free(*host);
		*user = *host = NULL;
		return error_set(
			err, ERROR_CONNECT, "'%s' is not a host: want [user@]host[:port]", text);
	}
	return 0;
}
