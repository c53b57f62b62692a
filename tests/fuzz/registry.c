/* SPDX-License-Identifier: MIT */
/* Requests of a daemon to the registry in our process, and the kernel's list of sockets. */
#include "image/registry.h"
#include "image/serve.h"
#include "util/str.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_request(const char *text, size_t len)
{
	struct serve_request r, again;

	if (serve_parse(text, len, &r) < 0) {
		return;
	}
	assert(r.path[0] == '/' && strlen(r.path) < SERVE_MAX_PATH);
	assert(strpbrk(r.path, " \n") == NULL);
	assert(!(r.head && r.other) && r.from <= r.to);
	assert(r.ranged || (r.from == 0 && r.to == UINT64_MAX));

	/* Written again it is understood as the same; cut off it is none. */
	CLEANUP_STR struct str out = STR_INIT(STR_MAX_LINE);
	str_addf(&out, "%s %s HTTP/1.%d\r\n",
		r.head    ? "HEAD"
		: r.other ? "PUT"
			  : "GET",
		r.path, r.keep_alive);
	if (r.ranged && r.to == UINT64_MAX) {
		str_addf(&out, "Range: bytes=%llu-\r\n", (unsigned long long)r.from);
	} else if (r.ranged) {
		str_addf(&out, "Range: bytes=%llu-%llu\r\n", (unsigned long long)r.from,
			(unsigned long long)r.to);
	}
	str_add(&out, "\r\n");
	assert(serve_parse(out.p, out.len, &again) == 0);
	assert(r.head == again.head && r.other == again.other && r.keep_alive == again.keep_alive);
	assert(r.ranged == again.ranged && r.from == again.from && r.to == again.to);
	assert(strcmp(r.path, again.path) == 0);
	assert(serve_parse(out.p, out.len - 1, &again) < 0);
}

static void check_sockets(const char *text, size_t len)
{
	static const char public[] =
		"\n   0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000\n";
	int known = serve_is_loopback(text, len, 0x1f90);
	CLEANUP_STR struct str more = STR_INIT(len + sizeof(public));

	assert(known >= -1 && known <= 1);
	/* One public address is enough, wherever it stands. */
	str_addn(&more, text, len);
	str_add(&more, public);
	assert(serve_is_loopback(more.p, more.len, 0x1f90) == 0);
	str_reset(&more);
	str_add(&more, public);
	str_addn(&more, text, len);
	assert(serve_is_loopback(more.p, more.len, 0x1f90) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;

	check_request(text, size);
	check_sockets(text, size);

	CLEANUP_FREE char *name = xstrndup(text, size);
	CLEANUP_FREE char *server = registry_of(name);
	assert(server == NULL || (*server != '\0' && str_starts(name, server)));
	assert(registry_same(server, server) && registry_same(NULL, "docker.io"));
	return 0;
}
