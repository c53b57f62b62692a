/* SPDX-License-Identifier: MIT */
/* A known_hosts file; its first line is "host base64-of-the-key" that is looked up in the rest. */
#include "ssh/known_hosts.h"
#include "util/digest.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum ssh_known look(const struct str *text, const char *host, const void *key, size_t len)
{
	int line = -1;
	bool authority = false;
	enum ssh_known known =
		ssh_known_hosts_lookup(str_c(text), text->len, host, key, len, &line, &authority);

	assert((line > 0) == (known != SSH_KNOWN_UNKNOWN));
	return known;
}

static void check(const char *rest, size_t len, const char *host, const char *key64)
{
	size_t key_len = 0;
	CLEANUP_FREE unsigned char *key = digest_unbase64(key64, &key_len);
	CLEANUP_STR struct str text = STR_INIT(2 * STR_MAX_FILE);

	if (key == NULL || key_len == 0) {
		return;
	}
	str_addn(&text, rest, len);
	enum ssh_known before = look(&text, host, key, key_len);
	/* A line that names this host and key is found; only a revocation stands over it. */
	str_addf(&text, "\n%s ssh-x %s\n", host, key64);
	enum ssh_known after = look(&text, host, key, key_len);
	assert(after == (before == SSH_KNOWN_REVOKED ? before : SSH_KNOWN_MATCH));
	str_addf(&text, "@revoked %s ssh-x %s\n", host, key64);
	assert(look(&text, host, key, key_len) == SSH_KNOWN_REVOKED);
	/* Another host's keys do not matter. */
	str_reset(&text);
	str_addf(&text, "-%s ssh-x %s\n", host, key64);
	str_addn(&text, rest, len);
	assert(look(&text, host, key, key_len) == before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	const char *newline = size > 0 ? memchr(text, '\n', size) : NULL;

	if (newline == NULL) {
		return 0;
	}
	CLEANUP_FREE char *host = xstrndup(text, (size_t)(newline - text));
	char *key = strchr(host, ' ');

	if (key == NULL || key == host) {
		return 0;
	}
	*key++ = '\0';
	key[strcspn(key, " \t\r")] = '\0';
	/* What a host name never has, and what means something else at its place. */
	if (strpbrk(host, "\t\r,*?!@#|") != NULL) {
		return 0;
	}
	check(newline + 1, size - (size_t)(newline + 1 - text), host, key);
	return 0;
}
