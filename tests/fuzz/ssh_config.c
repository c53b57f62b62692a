/* SPDX-License-Identifier: MIT */
/* What `ssh -G` prints, and hosts as a manifest may write them. */
#include "ssh/target.h"

#include "../../src/ssh/config_cache.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ssh_target target = {0};
	struct error err = {0};
	char *user = NULL;
	char *host = NULL;
	int port = 0;

	if (ssh_config_parse((const char *)data, size, &target, &err) < 0) {
		if (err.kind != ERROR_CONNECT) {
			abort();
		}
	} else if (target.port < 0 || target.port > 65535 || target.jumps.len > 64) {
		abort();
	}
	ssh_target_fini(&target);
	struct strvec includes = {0};
	(void)ssh_config_is_general((const char *)data, size, &includes);
	strvec_fini(&includes);
	char *text = xstrndup((const char *)data, size);
	if (ssh_host_split(text, &user, &host, &port, &err) == 0) {
		/* It goes into argv. */
		if (*host == '-' || *host == '\0' || strpbrk(host, " \n;$`") != NULL) {
			abort();
		}
		free(user);
		free(host);
	}
	free(text);
	return 0;
}
