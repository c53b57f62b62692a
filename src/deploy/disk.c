/* SPDX-License-Identifier: MIT */
#include "disk.h"

#include "ssh/exec.h"

#include <stdio.h>
#include <string.h>

#define DF_TIMEOUT_MS 5000

int disk_space(struct host *h, struct disk_space *out)
{
	CLEANUP_STR struct str command = STR_INIT(STR_MAX_LINE);
	CLEANUP_STR struct str text = STR_INIT(STR_MAX_LINE);
	struct error ignored = {0};
	int status = 1;
	unsigned long long blocks, used, left;
	/* Docker's folder is root's alone on most servers: the file system above it tells as well.
	 */
	str_add(&command, "d=");
	ssh_quote(&command, h->info.root_dir ? h->info.root_dir : "/");
	str_add(&command,
		"; df -Pk \"$d\" 2>/dev/null || df -Pk \"${d%/*}/\" 2>/dev/null || df -Pk /");
	if (ssh_run(h->ssh, str_c(&command), NULL, 0, &text, NULL, DF_TIMEOUT_MS, &status,
		    &ignored) < 0) {
		return -1;
	}
	const char *line = strchr(str_c(&text), '\n');
	if (!line || sscanf(line + 1, "%*s %llu %llu %llu", &blocks, &used, &left) != 3 ||
		used + left == 0) {
		return -1;
	}
	out->percent = (long)(used * 100 / (used + left));
	out->free = left * 1024;
	return 0;
}
