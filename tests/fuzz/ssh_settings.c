/* SPDX-License-Identifier: MIT */
/* What `ssh -G` prints, and a host as the manifest writes it. */
#include "ssh/target.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_list(struct str *out, const char *key, const struct strvec *v)
{
	VEC_FOREACH (v, i) {
		str_addf(out, "%s '%s'\n", key, v->p[i]);
	}
}

/* All that can come from there, as text to compare. */
static void write_target(const struct ssh_target *t, struct str *out)
{
	str_addf(out, "%s|%s|%d|%s|%s|%s\n", t->hostname != NULL ? t->hostname : "-",
		t->user != NULL ? t->user : "-", t->port,
		t->host_key_alias != NULL ? t->host_key_alias : "-",
		t->proxy_command != NULL ? t->proxy_command : "-",
		t->agent != NULL ? t->agent : "-");
	str_addf(out, "%d %d %d %d %d\n", t->identities_only, (int)t->host_key_check,
		t->hash_known_hosts, t->connect_timeout_ms, t->keepalive_ms);
	write_list(out, "jump", &t->jumps);
	write_list(out, "known", &t->known_hosts);
	write_list(out, "global", &t->global_known_hosts);
}

static void check_split(const char *text)
{
	char *user = NULL, *host = NULL;
	int port = 0;
	struct error err = {0};

	if (ssh_host_split(text, &user, &host, &port, &err) == 0) {
		assert(host != NULL && *host != '\0' && *host != '-');
		assert(port >= 0 && port <= 65535);
	} else {
		assert(err.kind != ERROR_NONE);
	}
	free(user);
	free(host);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct ssh_target t = {.port = 22}, lines = {.port = 22};
	CLEANUP_STR struct str whole = STR_INIT(STR_MAX_REPLY);
	CLEANUP_STR struct str single = STR_INIT(STR_MAX_REPLY);
	struct error err = {0};
	int rc = ssh_config_parse(text, size, &t, &err);

	assert((rc == 0) == (err.kind == ERROR_NONE));
	assert(t.port >= 1 && t.port <= 65535);
	if (rc == 0) {
		/* Line by line it says the same. */
		for (const char *p = text, *end = text + size; p < end;) {
			const char *nl = memchr(p, '\n', (size_t)(end - p));
			size_t n = (size_t)((nl != NULL ? nl + 1 : end) - p);
			int one = ssh_config_parse(p, n, &lines, &err);
			assert(one == 0);
			p += n;
		}
		write_target(&t, &whole);
		write_target(&lines, &single);
		assert(strcmp(str_c(&whole), str_c(&single)) == 0);
	}
	ssh_target_fini(&t);
	ssh_target_fini(&lines);

	CLEANUP_FREE char *host = xstrndup(text, size);
	check_split(host);
	return 0;
}
