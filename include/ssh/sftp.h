/* SPDX-License-Identifier: MIT */
/*
 * Files of a server: an SFTP version 3 client (draft-ietf-secsh-filexfer-02 and OpenSSH's
 * extensions) of our own, since libssh2's can neither replace a file atomically
 * (posix-rename@openssh.com) nor put several requests into one round trip.
 *
 * Work is queued in a batch and run in as few round trips as the protocol allows: everything that
 * depends on nothing goes out in one flight.  Flights: stat, mkdirs, mkdir, remove, rmdir, rename,
 * setstat, realpath 1; read, list, append 2; write 3 (its rename must wait for the fsync's answer).
 * The server works in order, so within one flight a later operation sees an earlier one's effect
 * (mkdirs, then a write into it); where it needs an operation of several flights to be over, put
 * sftp_barrier() between.  Starting costs three round trips more: channel, subsystem (whose data
 * OpenSSH takes only after its reply: the window is 0 before), and the version with the first
 * flight.
 *
 * Paths are relative to the user's home unless absolute.  One thread at a time per batch; several
 * batches of one client may run from several threads, one after the other.
 */
#pragma once

#include "ssh/session.h"
#include "util/vec.h"

#include <stdint.h>
#include <sys/types.h>

struct ssh_sftp;

ERROR_CHECKED struct ssh_sftp *ssh_sftp_open(struct ssh_session *s, struct error *err);
/* Over a channel that was begun before (ssh_subsystem_start(s, "sftp")); takes the pending. */
ERROR_CHECKED struct ssh_sftp *ssh_sftp_open_pending(
	struct ssh_session *s, struct ssh_pending *p, struct error *err);
/* Over any descriptor that speaks it (takes it). For tests. */
struct ssh_sftp *ssh_sftp_new(int fd);
void ssh_sftp_close(struct ssh_sftp *f); /* NULL is fine */

enum sftp_status {
	SFTP_OK,
	SFTP_NOENT,
	SFTP_EXIST,
	SFTP_PERMISSION,
	SFTP_NOSPACE,
	SFTP_NOTDIR,  /* or is a directory where a file is wanted */
	SFTP_TOO_BIG, /* more than the given maximum */
	SFTP_FAILED,  /* anything else the server refused */
	SFTP_SKIPPED, /* not run: the connection was lost before */
};

struct sftp_attrs {
	uint64_t size;
	mode_t mode; /* type and permission bits */
	uint32_t uid, gid;
	uint32_t mtime; /* s since 1970 */
};

struct sftp_entry {
	char *name;
	struct sftp_attrs attrs;
};
VEC_TYPE(sftp_entries, struct sftp_entry);
void sftp_entries_fini(struct sftp_entries *e);

/* What became of one operation; filled when the batch has run. Stays with the batch. */
struct sftp_op {
	enum sftp_status status;
	struct error error;          /* set unless SFTP_OK; ERROR_REMOTE, names the path */
	struct str data;             /* read: the bytes; realpath: the path */
	struct sftp_attrs attrs;     /* stat; append: as they are after it */
	struct sftp_entries entries; /* list, without "." and ".." */
};

struct sftp_batch;
struct sftp_batch *sftp_batch_new(struct ssh_sftp *f);
void sftp_batch_free(struct sftp_batch *b); /* and its operations; NULL is fine */

/* Queue; the returned operation is borrowed from the batch. Paths and data are copied. */
struct sftp_op *sftp_read(struct sftp_batch *b, const char *path, size_t max);
/* Up to `max` bytes from `offset` on; what is behind them is left, and no error. Both reads go on
 * until EOF whatever the size says: files in /proc have 0 there. */
struct sftp_op *sftp_read_at(struct sftp_batch *b, const char *path, uint64_t offset, size_t max);
struct sftp_op *sftp_stat(struct sftp_batch *b, const char *path);
struct sftp_op *sftp_list(struct sftp_batch *b, const char *path, size_t max_entries);
struct sftp_op *sftp_realpath(struct sftp_batch *b, const char *path);
struct sftp_op *sftp_mkdirs(struct sftp_batch *b, const char *path, mode_t mode); /* mkdir -p */
struct sftp_op *sftp_mkdir(struct sftp_batch *b, const char *path, mode_t mode);  /* SFTP_EXIST */
struct sftp_op *sftp_rmdir(struct sftp_batch *b, const char *path);
struct sftp_op *sftp_remove(struct sftp_batch *b, const char *path); /* a file */
/* A folder with all in it, or a file; symbolic links are removed, not followed. */
struct sftp_op *sftp_rmtree(struct sftp_batch *b, const char *path, size_t max_entries);
struct sftp_op *sftp_rename(struct sftp_batch *b, const char *from, const char *to); /* replaces */
/* Temporary file beside it, mode, fsync, rename: readers see the old or the new bytes. */
struct sftp_op *sftp_write(
	struct sftp_batch *b, const char *path, const void *data, size_t len, mode_t mode);
/* Appends (creates with `mode`), fsyncs; attrs.size is the size after it. */
struct sftp_op *sftp_append(
	struct sftp_batch *b, const char *path, const void *data, size_t len, mode_t mode);
/*
 * Opens a file that is there for the sftp_append()s to come, which then take one round trip instead
 * of two; kept open until the client is closed.  They notice when another file has its name by
 * then.
 */
struct sftp_op *sftp_hold(struct sftp_batch *b, const char *path);
struct sftp_op *sftp_chmod(struct sftp_batch *b, const char *path, mode_t mode);
struct sftp_op *sftp_utime(struct sftp_batch *b, const char *path, uint32_t mtime);
/* What follows begins when all before is over. */
void sftp_barrier(struct sftp_batch *b);
/*
 * The next operation is sent right behind the last request of the one queued before it: the server
 * works in order.  It saves a round trip, and happens even when that one fails.
 */
void sftp_follow(struct sftp_batch *b);

/*
 * Runs what is queued.  -1 only when the connection failed or was cancelled; operations that the
 * server refused say so themselves.  More may be queued afterwards, and run again.
 */
ERROR_CHECKED int sftp_run(struct sftp_batch *b, int timeout_ms, struct error *err);
/* The first operation that is not SFTP_OK becomes *err: -1; else 0. */
ERROR_CHECKED int sftp_check(const struct sftp_batch *b, struct error *err);
