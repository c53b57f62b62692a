/* SPDX-License-Identifier: MIT */
/*
 * Is a new container fit to serve?  Probes come fast at first (10 ms, growing to the manifest's
 * interval): an application that needs 300 ms to listen should not cost a whole second.
 */
#pragma once

#include "host/host.h"
#include "manifest/config.h"
#include "util/error.h"

#include <stdatomic.h>

struct health_request {
	struct host *host;
	const char *container; /* its name */
	const char *network;   /* whose address is asked */
	const struct config_health *health;
	bool docker_too; /* CONFIG_HEALTH_RUNNING: where the image has a HEALTHCHECK, that counts */
	int deadline_ms; /* of the whole watch */
	int readiness_delay_ms;              /* for CONFIG_HEALTH_RUNNING */
	const struct docker_container *seen; /* how it was right after its start; or NULL */
	const atomic_bool *abandon; /* set: give up (ERROR_INTERRUPTED), another one failed */
};

/*
 * Returns once it is healthy.  ERROR_UNHEALTHY when it ended (with its exit code), or was not
 * healthy in time (with the last answer); the detail holds its last log lines.
 */
ERROR_CHECKED int health_wait(const struct health_request *req, struct error *err);

/*
 * Goes on with one that was healthy, for `for_ms` (deadline_ms does not count).  ERROR_UNHEALTHY
 * when it ends, is started again by Docker, or fails its check three times in a row.
 */
ERROR_CHECKED int health_watch(const struct health_request *req, int for_ms, struct error *err);

/* Appends "last lines of NAME" and these to the error's detail. Returns -1. */
int health_add_logs(struct host *host, const char *container, struct error *err);
