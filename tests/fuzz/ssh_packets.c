/* SPDX-License-Identifier: MIT */
/* Packets of an SFTP server, an agent's list of keys, and key files. */
#include "../../src/ssh/keys.h"
#include "../../src/ssh/sftp_wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool inside(const void *p, size_t len, const uint8_t *data, size_t size)
{
	return len == 0 || ((const uint8_t *)p >= data && (const uint8_t *)p + len <= data + size);
}

static void check_packet(const uint8_t *data, size_t size)
{
	struct sftp_reply r, longer;

	if (sftp_decode(data, size, &r) < 0) {
		return;
	}
	assert(inside(r.data, r.len, data, size) && inside(r.rest.p, r.rest.len, data, size));
	assert(r.type != FXP_HANDLE || (r.len > 0 && r.len <= SFTP_HANDLE_MAX));
	for (uint32_t i = 0; r.type == FXP_NAME && i < r.count && i < 1000; i++) {
		struct sftp_entry e;
		size_t before = r.rest.len;
		if (sftp_decode_entry(&r.rest, &e) < 0) {
			assert(e.name == NULL);
			break;
		}
		assert(e.name != NULL && r.rest.len < before);
		free(e.name);
	}
	/* Bytes behind a packet's fields change nothing in them. */
	uint8_t *more = xcalloc(1, size + 1);
	memcpy(more, data, size);
	more[size] = 0;
	if (r.type == FXP_ATTRS || r.type == FXP_DATA) {
		assert(sftp_decode(more, size + 1, &longer) == 0);
		assert(longer.id == r.id && longer.len == r.len);
		assert(longer.attrs.size == r.attrs.size && longer.attrs.mode == r.attrs.mode);
	}
	free(more);
}

static void check_agent(const uint8_t *data, size_t size)
{
	struct ssh_agent a = {.fd = -1};

	if (ssh_agent_parse(data, size, &a) == 0) {
		assert(a.n <= SSH_AGENT_MAX_KEYS);
	}
	for (size_t i = 0; i < a.n; i++) {
		assert(a.keys[i].blob.len <= size && a.keys[i].comment != NULL);
	}
	ssh_agent_close(&a);
}

static void check_key(const char *text, size_t size)
{
	struct ssh_key_info info;
	CLEANUP_STR struct str blob = STR_INIT(SSH_KEY_MAX);
	CLEANUP_FREE char *line = xstrndup(text, size);

	if (size <= SSH_KEY_MAX) {
		if (ssh_key_inspect(text, size, &info) == 0) {
			assert(!info.openssh || info.blob.len > 0);
			assert(info.blob.len <= size);
		}
		ssh_key_info_fini(&info);
	}
	if (ssh_public_line(line, &blob) == 0) {
		assert(blob.len > 0 && blob.len <= size);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_packet(data, size);
	check_agent(data, size);
	check_key((const char *)data, size);
	return 0;
}
