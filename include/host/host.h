/* SPDX-License-Identifier: MIT */
/*
 * One server as the upper layers see it: its SSH session, its Docker, its files.
 *
 * Everything is reached over the one SSH connection.  A host may be used by several threads at
 * once: the session, the Docker client and the file client each lock for themselves.
 */
#pragma once

#include "docker/client.h"
#include "manifest/config.h"
#include "secrets/secret.h"
#include "ssh/session.h"
#include "ssh/sftp.h"
#include "ui/ui.h"
#include "util/error.h"

struct fabric; /* all hosts of a command, and the jump hosts between (host/fabric.h) */

struct host {
	const char *name; /* as the manifest names it; unique; used in all that is shown */
	size_t index;	  /* in the fabric */
	struct ssh_session *ssh;
	struct docker *docker;
	struct sftp *sftp;
	struct ui *ui;
	const char *state_dir; /* absolute: "<home>/.deploy" of the SSH user */
	const char *home;      /* absolute home of the SSH user */
	bool local;	       /* this machine's own Docker, no SSH (builder only) */
	/* Filled in when connected. */
	char docker_version[32];
	char arch[32]; /* Docker's word: "amd64", "arm64" */
};
