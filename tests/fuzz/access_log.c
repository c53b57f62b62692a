/* SPDX-License-Identifier: MIT */
/* The proxies' access logs: anybody on the internet writes into them. */
#include "../../src/proxy/internal.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_entry(const struct proxy_driver *d, const char *line, size_t len)
{
	struct proxy_log_entry e;

	if (d->parse_log(line, len, &e)) {
		assert(memchr(e.key, '\0', sizeof(e.key)) != NULL);
		assert(memchr(e.upstream, '\0', sizeof(e.upstream)) != NULL);
	}
}

static void check_counts(const struct proxy_counts *c, size_t lines)
{
	uint64_t served = 0, failed = 0, errors = 0;

	VEC_FOREACH (&c->upstreams, i) {
		served += c->upstreams.p[i].served;
		failed += c->upstreams.p[i].failed;
		errors += c->upstreams.p[i].errors;
	}
	assert(served == c->served && failed == c->failed && errors == c->errors);
	assert(errors <= served && served + failed <= lines);
}

static void check_driver(const struct proxy_driver *d, const char *text, size_t len)
{
	struct proxy_counts whole = {0}, lines = {0};
	const char *end = text + len;
	size_t n = 0;

	proxy_counts_add(&whole, d, "app", text, len);
	for (const char *p = text; p < end; n++) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t line = (size_t)((nl != NULL ? nl + 1 : end) - p);
		proxy_counts_add(&lines, d, "app", p, line);
		check_entry(d, p, line);
		p += line;
	}
	check_counts(&whole, n);
	check_counts(&lines, n);
	assert(whole.served == lines.served && whole.failed == lines.failed);
	proxy_counts_fini(&whole);
	proxy_counts_fini(&lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_driver(&proxy_caddy, (const char *)data, size);
	check_driver(&proxy_nginx, (const char *)data, size);
	check_driver(&proxy_traefik, (const char *)data, size);
	return 0;
}
