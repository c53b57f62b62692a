/* SPDX-License-Identifier: MIT */
/* What `ssh -G` prints: one "keyword value" a line, keywords in lower case. */
#include "ssh/target.h"

#include <stdlib.h>
#include <string.h>

#define MAX_LIST 64 /* files, jumps */

static void replace(char **to, const char *value)
{
	free(*to);
	*to = xstrdup(value);
}

static bool is_none(const char *value)
{
	return strcasecmp(value, "none") == 0;
}

/* "~/x" is left as it is by ssh -G. */
static char *expand_home(const char *path)
{
	const char *home = getenv("HOME");

	if (str_starts(path, "~/") && home != NULL) {
		return xasprintf("%s%s", home, path + 1);
	}
	return xstrdup(path);
}

/* Words, each perhaps in double quotes. */
static void add_files(struct strvec *to, const char *value)
{
	const char *p = value;

	while (*p != '\0' && to->len < MAX_LIST) {
		p += strspn(p, " \t");
		bool quoted = *p == '"';
		p += quoted;
		size_t len = strcspn(p, quoted ? "\"" : " \t");
		CLEANUP_FREE char *word = xstrndup(p, len);
		if (len > 0 && !is_none(word)) {
			CLEANUP_FREE char *path = expand_home(word);
			strvec_push(to, path);
		}
		p += len;
		p += quoted && *p == '"';
	}
}

static void set_jumps(struct strvec *to, const char *value)
{
	const char *p = value;

	strvec_fini(to);
	if (is_none(value)) {
		return;
	}
	while (*p != '\0' && to->len < MAX_LIST) {
		size_t len = strcspn(p, ",");
		if (len > 0) {
			CLEANUP_FREE char *one = xstrndup(p, len);
			strvec_push(to, one);
		}
		p += len;
		p += *p == ',';
	}
}

static void set_agent(char **to, const char *value)
{
	free(*to);
	*to = NULL;
	if (is_none(value)) {
		return;
	}
	if (strcmp(value, "SSH_AUTH_SOCK") == 0) {
		*to = xstrdup(getenv("SSH_AUTH_SOCK"));
	} else if (*value == '$') {
		*to = xstrdup(getenv(value + 1));
	} else {
		*to = expand_home(value);
	}
}

static bool yes(const char *value)
{
	return strcmp(value, "yes") == 0 || strcmp(value, "true") == 0;
}

static int set_number(int *to, const char *value, long min, long max, long factor)
{
	long n;

	if (str_to_long(value, min, max, &n) < 0) {
		return -1;
	}
	*to = (int)(n * factor);
	return 0;
}

/* 0: taken or of no interest; -1: nonsense. */
static int apply(struct ssh_target *t, const char *key, const char *value)
{
	if (strcmp(key, "hostname") == 0) {
		replace(&t->hostname, value);
	} else if (strcmp(key, "user") == 0) {
		replace(&t->user, value);
	} else if (strcmp(key, "port") == 0) {
		return set_number(&t->port, value, 1, 65535, 1);
	} else if (strcmp(key, "identityfile") == 0) {
		add_files(&t->identity_files, value);
	} else if (strcmp(key, "identitiesonly") == 0) {
		t->identities_only = yes(value);
	} else if (strcmp(key, "identityagent") == 0) {
		set_agent(&t->agent, value);
	} else if (strcmp(key, "proxyjump") == 0) {
		set_jumps(&t->jumps, value);
	} else if (strcmp(key, "proxycommand") == 0) {
		replace(&t->proxy_command, is_none(value) ? NULL : value);
	} else if (strcmp(key, "userknownhostsfile") == 0) {
		strvec_fini(&t->known_hosts);
		add_files(&t->known_hosts, value);
	} else if (strcmp(key, "globalknownhostsfile") == 0) {
		strvec_fini(&t->global_known_hosts);
		add_files(&t->global_known_hosts, value);
	} else if (strcmp(key, "stricthostkeychecking") == 0) {
		/* "no" would take changed keys too: that is never done here. */
		bool lax = strcmp(value, "accept-new") == 0 || strcmp(value, "false") == 0 ||
			   strcmp(value, "no") == 0 || strcmp(value, "off") == 0;
		t->host_key_check = lax ? SSH_HOST_KEY_ACCEPT_NEW : SSH_HOST_KEY_STRICT;
	} else if (strcmp(key, "hostkeyalias") == 0) {
		replace(&t->host_key_alias, is_none(value) ? NULL : value);
	} else if (strcmp(key, "hashknownhosts") == 0) {
		t->hash_known_hosts = yes(value);
	} else if (strcmp(key, "connecttimeout") == 0 && !is_none(value)) {
		return set_number(&t->connect_timeout_ms, value, 1, 86400, 1000);
	} else if (strcmp(key, "serveraliveinterval") == 0 && strcmp(value, "0") != 0) {
		return set_number(&t->keepalive_ms, value, 1, 86400, 1000);
	}
	return 0;
}

int ssh_config_parse(const char *text, size_t len, struct ssh_target *target, struct error *err)
{
	const char *p = text;
	const char *end = text + len;

	if (memchr(text, '\0', len) != NULL) {
		return error_set(err, ERROR_CONNECT, "ssh -G printed a NUL");
	}
	for (int number = 1; p < end; number++) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((newline != NULL ? newline : end) - p);
		if (n > STR_MAX_LINE) {
			return error_set(
				err, ERROR_CONNECT, "ssh -G printed a line of %zu bytes", n);
		}
		CLEANUP_FREE char *line = xstrndup(p, n);
		char *space = strchr(line, ' ');
		p += n + 1;
		line[strcspn(line, "\r")] = '\0';
		if (space == NULL) {
			continue;
		}
		*space = '\0';
		if (apply(target, line, space + 1) < 0) {
			return error_set(err, ERROR_CONNECT, "ssh -G, line %d: %s '%s'", number,
				line, space + 1);
		}
	}
	return 0;
}
