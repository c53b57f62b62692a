/* SPDX-License-Identifier: MIT */
/*
 * Where backups lie: a folder of a server or of this machine, 0700, with two files a backup:
 *
 *	<id>.data   what the database's program wrote
 *	<id>.json   size, SHA-256, when, of what: written last, so that a backup without it is none
 *
 * Data are written under another name, fsynced, read back by the checksum of where they lie, and
 * renamed.  What is written goes through this process; it is kept nowhere but there.
 *
 * With a key they are encrypted (service/cipher.h): size and SHA-256 are then those of what lies
 * there, and the .json file has `salt`, `check` and `mac` too.
 */
#pragma once

#include "docker/http.h"
#include "host/host.h"
#include "service/cipher.h"
#include "service/s3.h"
#include "util/digest.h"
#include "util/error.h"

#include <stdint.h>

#define STORE_ID_SIZE 32 /* "20261121T074501Z-a1b2c3" */

struct backup_info {
	char id[STORE_ID_SIZE];
	int64_t time_ms;
	uint64_t size;
	char sha256[DIGEST_HEX_SIZE];
	char *accessory, *host, *kind, *image; /* of what; may be NULL */
	char *note;                            /* "before the restore of ...", or NULL */
	char salt[CIPHER_SALT_HEX];            /* "": not encrypted; the rest is "" then too */
	char check[CIPHER_CHECK_HEX], mac[DIGEST_HEX_SIZE];
};
VEC_TYPE(backup_infos, struct backup_info);
void backup_info_fini(struct backup_info *b);
void backup_infos_fini(struct backup_infos *v);

/* Pure: the .json file of a backup. -1 when it is not one. */
char *backup_info_text(const struct backup_info *b); /* the caller frees */
ERROR_CHECKED int backup_info_parse(const char *text, size_t len, struct backup_info *out);
/* What its mac is of. The caller frees. */
char *backup_info_signed(const struct backup_info *b);
/* Bytes of what was backed up. */
uint64_t backup_info_plain_size(const struct backup_info *b);

struct store {
	struct host *host;   /* NULL: this machine */
	const struct s3 *s3; /* a bucket; what goes there, and comes from there, is spooled here */
	const char
		*dir; /* on a server relative to the home, here absolute; of a bucket the prefix */
	const struct secret *key; /* encrypts what is written, opens what is encrypted; or NULL */
};

/* -- Writing -- */

struct store_writer;
/* Makes the folder, removes what interrupted backups left there, begins. */
ERROR_CHECKED struct store_writer *store_begin(
	const struct store *s, const char *id, struct error *err);
ERROR_CHECKED int store_write(
	struct store_writer *w, const void *data, size_t len, struct error *err);
uint64_t store_written(const struct store_writer *w); /* what was given, not what lies there */
/* Fills in size and sha256 of `info` and puts both files in place. Frees the writer. */
ERROR_CHECKED int store_commit(struct store_writer *w, struct backup_info *info, struct error *err);
void store_abort(struct store_writer *w); /* and frees; NULL is fine */

/* -- Reading -- */

/* All of the folder, the oldest first; no folder is no backup. */
ERROR_CHECKED int store_list(const struct store *s, struct backup_infos *out, struct error *err);

/* Reads the whole of it where it lies.  ERROR_REMOTE when it is not what was written, or is
 * encrypted with another key. */
ERROR_CHECKED int store_check(
	const struct store *s, const struct backup_info *b, struct error *err);

struct store_reader;
struct store_reader *store_open(
	const struct store *s, const struct backup_info *b, struct error *err);
/* What was backed up; fails at the end when it is not what was written. */
struct http_source store_source(struct store_reader *r);
void store_close(struct store_reader *r); /* NULL is fine */

ERROR_CHECKED int store_remove(
	const struct store *s, const struct backup_info *b, struct error *err);
