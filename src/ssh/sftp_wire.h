/* SPDX-License-Identifier: MIT */
/* SFTP version 3 on the wire: draft-ietf-secsh-filexfer-02, and OpenSSH's PROTOCOL, 4. */
#pragma once

#include "ssh/sftp.h"
#include "wire.h"

#define SFTP_VERSION    3
#define SFTP_PACKET_MAX ((size_t)256 << 10) /* as OpenSSH */
#define SFTP_CHUNK      ((size_t)32 << 10)  /* each server takes so much in a request */
#define SFTP_HANDLE_MAX 256

enum sftp_type {
	FXP_INIT = 1,
	FXP_VERSION = 2,
	FXP_OPEN = 3,
	FXP_CLOSE = 4,
	FXP_READ = 5,
	FXP_WRITE = 6,
	FXP_LSTAT = 7,
	FXP_FSTAT = 8,
	FXP_SETSTAT = 9,
	FXP_FSETSTAT = 10,
	FXP_OPENDIR = 11,
	FXP_READDIR = 12,
	FXP_REMOVE = 13,
	FXP_MKDIR = 14,
	FXP_RMDIR = 15,
	FXP_REALPATH = 16,
	FXP_STAT = 17,
	FXP_RENAME = 18,
	FXP_STATUS = 101,
	FXP_HANDLE = 102,
	FXP_DATA = 103,
	FXP_NAME = 104,
	FXP_ATTRS = 105,
	FXP_EXTENDED = 200,
	FXP_EXTENDED_REPLY = 201,
};

enum sftp_code { FX_OK = 0, FX_EOF = 1, FX_NO_SUCH_FILE = 2, FX_PERMISSION = 3, FX_FAILURE = 4 };

#define FXF_READ   0x01
#define FXF_WRITE  0x02
#define FXF_APPEND 0x04
#define FXF_CREAT  0x08
#define FXF_EXCL   0x20

#define ATTR_SIZE        0x01u
#define ATTR_UIDGID      0x02u
#define ATTR_PERMISSIONS 0x04u
#define ATTR_ACMODTIME   0x08u
#define ATTR_EXTENDED    0x80000000u

/* One answer; what it points to is borrowed from the packet. */
struct sftp_reply {
	uint8_t type;
	uint32_t id;         /* VERSION: the version */
	uint32_t code;       /* STATUS */
	const uint8_t *data; /* STATUS: its message; HANDLE, DATA: the bytes */
	size_t len;
	uint32_t count;          /* NAME */
	struct wire rest;        /* NAME: the names; VERSION: extensions; EXTENDED_REPLY: all */
	struct sftp_attrs attrs; /* ATTRS */
};

/* Pure: a packet without its length. -1: malformed. */
ERROR_CHECKED int sftp_decode(const void *packet, size_t len, struct sftp_reply *r);

/* Pure: the next entry of a NAME. -1: malformed. The name is the caller's. */
ERROR_CHECKED int sftp_decode_entry(struct wire *w, struct sftp_entry *e);
