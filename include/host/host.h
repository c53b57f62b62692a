/* SPDX-License-Identifier: MIT */
/*
 * One server as the upper layers see it: its SSH session, its Docker, its files, all over the one
 * SSH connection.  A host may be used by several threads at once: the session, the Docker client
 * and the file client each lock for themselves.
 */
#pragma once

#include "docker/client.h"
#include "docker/system.h"
#include "manifest/config.h"
#include "secrets/secret.h"
#include "ssh/fabric.h"
#include "ssh/session.h"
#include "ssh/sftp.h"
#include "ui/ui.h"
#include "util/error.h"

#include <pthread.h>
#include <stdbool.h>

/* Where the tool keeps its things on a server, relative to the SSH user's home. */
#define HOST_STATE_DIR ".deploy"

struct ssh_exec;
VEC_TYPE(host_relays, struct ssh_exec *);
VEC_TYPE(host_fds, int);

struct host {
	char *name; /* as the manifest names it; unique; used in all that is shown */
	struct ui *ui;
	struct ssh_session *ssh; /* borrowed from the SSH fabric; NULL for this machine */
	struct docker *docker;
	struct ssh_sftp *sftp;
	char *home;              /* absolute home of the SSH user; NULL before host_greet() */
	char *state_dir;         /* absolute "<home>/.deploy"; the same */
	struct docker_info info; /* of its daemon; zero before host_greet() */

	/* The rest is the dialer's own (host.c). */
	pthread_mutex_t lock;
	pthread_mutex_t files_lock;       /* held while the file client is opened; before `lock` */
	struct ssh_pending *first_docker; /* begun with the session, taken by the first dial */
	struct ssh_pending *first_sftp;
	char *socket;      /* Docker's socket there; NULL: the usual one */
	bool dial_stdio;   /* by `docker system dial-stdio` */
	bool tcp_by_shell; /* direct-tcpip is prohibited */
	struct host_relays relays;
	struct host_fds local; /* duplicates of this machine's connections, for host_abort() */
};

struct host_request {
	const char *name; /* shown */
	const struct config_host *address;
	const struct config_ssh *ssh;
	const struct ssh_secret_vec *key_data; /* or NULL */
	struct ssh_fabric *fabric;
	struct ui *ui;
	bool shell_only; /* do not begin the channels: only commands will be run there */
};

/*
 * Connects and logs in, and begins the channels to Docker and to its files without waiting for
 * them.  The caller frees with host_close() before ssh_fabric_free().
 */
ERROR_CHECKED struct host *host_connect(const struct host_request *req, struct error *err);

/* This machine as a host: its own Docker, no SSH, no files. */
struct host *host_local(struct ui *ui);

void host_close(struct host *h); /* NULL is fine */

/* Cuts its connections from another thread: calls under way fail. It can only be closed then. */
void host_abort(struct host *h);

/* The file client, opened by the first call. */
ERROR_CHECKED int host_files(struct host *h, struct error *err);

/* A TCP connection from the server to address:port, for health checks and admin APIs: by
 * direct-tcpip, else by a shell there (AllowTcpForwarding no). The descriptor is the caller's. */
ERROR_CHECKED int host_dial_tcp(struct host *h, const char *address, int port, struct error *err);

/* A connection to a unix socket of the server, absolute path. */
ERROR_CHECKED int host_dial_unix(struct host *h, const char *path, struct error *err);

/* Bytes sent over SSH so far, encryption included. 0 for this machine. */
uint64_t host_bytes_sent(const struct host *h);

/* Puts the host's name into an error, and says that the connection was lost when it was. -1. */
int host_error(const struct host *h, struct error *err);
