/* SPDX-License-Identifier: MIT */
#pragma once

#include "host/host.h"

/* Space where Docker keeps its data on a server, by `df`. 0, or -1 when it cannot be had. */
struct disk_space {
	long percent;  /* used */
	uint64_t free; /* bytes */
};
int disk_space(struct host *h, struct disk_space *out);

#define DISK_WARN_PERCENT 90
