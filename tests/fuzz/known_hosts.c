/* SPDX-License-Identifier: MIT */
/* A known_hosts file, and key files. */
#include "ssh/known_hosts.h"

#include "../../src/ssh/keys.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char key[] = "\0\0\0\x0bssh-ed25519\0\0\0\x01x";
	const char *text = (const char *)data;
	struct ssh_key_info info;
	bool authority = false;
	int line = 0;

	enum ssh_known known = ssh_known_hosts_lookup(
		text, size, "[example.com]:2222", key, sizeof(key) - 1, &line, &authority);
	if ((known == SSH_KNOWN_UNKNOWN) != (line == 0)) {
		abort();
	}
	if (size < SSH_KEY_MAX) {
		(void)!ssh_key_inspect(text, size, &info);
		ssh_key_info_fini(&info);
		ssh_rsa_free(ssh_rsa_load(text, size, "x"));
		char *copy = xstrndup(text, size);
		struct str blob = STR_INIT(SSH_KEY_MAX);
		(void)!ssh_public_line(copy, &blob);
		str_fini(&blob);
		free(copy);
	}
	return 0;
}
