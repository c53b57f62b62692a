/* SPDX-License-Identifier: MIT */
/* The release history and the lock's owner, as they come from a server. */
#include "deploy/history.h"
#include "deploy/lock.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct history h, copy;
	struct str missing = STR_INIT(STR_MAX_FILE);
	struct lock_owner owner = {0};
	const char *text = (const char *)data;

	history_init(&h);
	history_init(&copy);
	history_parse(&h, text, size);
	/* Whatever was understood survives being written and read again. */
	history_missing(&h, &copy, &missing);
	history_parse(&copy, str_c(&missing), missing.len);
	if (copy.len != h.len || copy.skipped_lines > 0) {
		abort();
	}
	(void)history_live(&h);
	(void)history_previous_good(&h, history_live(&h));
	(void)history_lookup(&h, "3f2a");
	if (lock_owner_parse(text, size, &owner) == 0) {
		lock_owner_fini(&owner);
	}
	str_fini(&missing);
	history_fini(&h);
	history_fini(&copy);
	return 0;
}
