/* SPDX-License-Identifier: MIT */
/*
 * One run of the tool against the servers of a manifest: what the command line asked for, the
 * hosts it reached, and what it needs to know of who runs it.
 *
 *	deployment_new -> an operation of deploy/operations.h -> deployment_free
 */
#pragma once

#include "host/host.h"
#include "manifest/config.h"
#include "secrets/secret.h"
#include "ui/ui.h"
#include "util/error.h"

#include <stdbool.h>

struct deployment_request {
	const struct config *config; /* borrowed; outlives the deployment */
	struct ui *ui;               /* borrowed */
	const char *command; /* as typed, for the lock, the audit and hooks ("deploy push") */
	const char *version; /* --version, or NULL */
	const struct strvec *hosts; /* --hosts: names or shell patterns; NULL or empty: all */
	bool left_hosts;            /* --hosts may name such as left the manifest (remove) */
	const struct strvec *roles; /* --roles */
	int lock_wait_s;            /* 0: refuse at once; -1: as long as it takes */
	int parallel;               /* host workers at once; 0: 64 */
};

struct deployment;

/* Only checks the filters (an unknown host or role is ERROR_USAGE with a did-you-mean). */
ERROR_CHECKED struct deployment *deployment_new(
	const struct deployment_request *req, struct error *err);

/* Closes everything; releases a lock that is still held. NULL is fine. */
void deployment_free(struct deployment *d);
