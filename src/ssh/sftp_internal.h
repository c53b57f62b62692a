/* SPDX-License-Identifier: MIT */
/* sftp.c moves packets; sftp_ops.c knows what each operation sends next. */
#pragma once

#include "sftp_wire.h"

#include <pthread.h>

enum op_kind {
	OP_READ,
	OP_STAT,
	OP_LIST,
	OP_REALPATH,
	OP_MKDIRS,
	OP_MKDIR,
	OP_RMDIR,
	OP_REMOVE,
	OP_RMTREE,
	OP_RENAME,
	OP_WRITE,
	OP_APPEND,
	OP_HOLD,
	OP_SETSTAT,
};

/* A folder that is being removed. */
struct tree_dir {
	char *path;
	uint8_t handle[SFTP_HANDLE_MAX];
	size_t handle_len;
};
VEC_TYPE(tree_dirs, struct tree_dir);

enum tag {
	TAG_MAIN, /* the one request that decides */
	TAG_OPEN,
	TAG_STAT,
	TAG_READ,
	TAG_LIST,
	TAG_SAME,  /* append to a held file: what has its name */
	TAG_WRITE, /* write, fsync, mode, close before the rename: all must succeed */
	TAG_RENAME,
	TAG_UNDO, /* removing what was begun */
	TAG_SPACE,
	TAG_ENTRY, /* rmtree: a file that goes */
	TAG_MAKE,  /* mkdirs: a folder on the way, which may exist */
};

struct op {
	struct sftp_op pub; /* first: the caller's view */
	struct op *next;
	struct ssh_sftp *f;
	enum op_kind kind;
	int group;    /* barriers before it */
	bool follows; /* begins when the one before it has sent all */
	bool sent;    /* nothing more is sent but to close or to mend */
	char *path;
	char *other; /* rename: to; write: the temporary file */
	struct str payload;
	size_t max;
	mode_t mode;
	bool has_mode;
	uint32_t mtime;
	bool has_mtime;

	bool started, done;
	int stage;
	unsigned outstanding; /* requests whose answer is awaited */
	uint8_t handle[SFTP_HANDLE_MAX];
	size_t handle_len; /* 0: not open */
	uint64_t base;     /* read: offset of the first byte in the file */
	bool part;         /* read: what is behind `max` is left */
	uint64_t asked;    /* read: up to where it was asked for */
	uint64_t eof;      /* read: where the file ends, as far as is known */
	uint32_t failed;   /* code of the first request that was refused */
	bool failing;
	bool probed;           /* read: the request beyond the known size is out */
	bool made;             /* mkdir: it was */
	bool held;             /* append: the handle is one of the client's held ones */
	uint64_t named;        /* append: size of what has the held file's name */
	struct str message;    /* the server's words with it */
	struct tree_dirs dirs; /* rmtree */
	size_t count;          /* rmtree: entries seen */
};

/* A request in flight. */
struct sent {
	uint32_t id;
	struct op *op; /* NULL: the answer is of no interest */
	int tag;       /* what it was, in the operation's own words */
	uint64_t at;   /* read: offset; rmtree: folder */
	uint32_t len;
};
VEC_TYPE(sents, struct sent);

/* A file that is kept open for appending. */
struct sftp_held {
	char *path;
	uint8_t handle[SFTP_HANDLE_MAX];
	size_t handle_len;
};
VEC_TYPE(sftp_helds, struct sftp_held);

struct ssh_sftp {
	struct ssh_session *session; /* or NULL */
	int fd;
	pthread_mutex_t lock; /* one batch at a time */
	bool greeted, versioned;
	bool posix_rename, fsync, statvfs;
	uint32_t next_id;
	struct str in, out;
	size_t out_pos, begun;
	struct sents sents;
	struct sftp_helds held;
	bool broken;
};

struct sftp_batch {
	struct ssh_sftp *f;
	struct op *ops;
	struct op **tail;
	int group;
	bool follow; /* the next operation follows */
};

/* A request: begin, put its fields, end. */
void sftp_begin(
	struct ssh_sftp *f, struct op *op, enum sftp_type type, int tag, uint64_t at, uint32_t len);
void sftp_end(struct ssh_sftp *f);

/* sftp_ops.c: requests */
void sftp_put_mode(struct str *out, mode_t mode);
void sftp_ask_path(struct op *op, enum sftp_type type, int tag, const char *path);
void sftp_ask_open(struct op *op, const char *path, uint32_t flags);
void sftp_ask_mkdir(struct op *op, const char *path, int tag);
void sftp_ask_handle(struct op *op, enum sftp_type type, int tag);
void sftp_ask_extended(struct op *op, const char *name, int tag, const char *a, const char *b);
void sftp_ask_rename(struct op *op, const char *from, const char *to);
void sftp_close_quietly(struct ssh_sftp *f, const uint8_t *handle, size_t len);
/* sftp_ops.c: outcomes */
bool sftp_ok(const struct sftp_reply *r);
void sftp_finish(struct op *op, enum sftp_status status, const char *text);
/* The answer to an open; false when it failed, and the operation is over. */
bool sftp_take_handle(struct op *op, const struct sftp_reply *r);
void sftp_note_failure(struct op *op, const struct sftp_reply *r);
void sftp_fail(struct op *op);
void sftp_judge_space(struct op *op, const struct sftp_reply *r);

/* sftp_file.c */
void sftp_append_start(struct op *op);
void sftp_hold_answer(struct op *op, const struct sftp_reply *r);
/* What each does with an answer: sftp_file.c, sftp_folder.c */
void sftp_read_answer(struct op *op, const struct sent *sent, const struct sftp_reply *r);
void sftp_write_answer(struct op *op, const struct sent *sent, const struct sftp_reply *r);
void sftp_list_answer(struct op *op, const struct sent *sent, const struct sftp_reply *r);
void sftp_mkdirs_start(struct op *op);
void sftp_mkdirs_answer(struct op *op, const struct sent *sent, const struct sftp_reply *r);
void sftp_mkdir_answer(struct op *op, const struct sent *sent, const struct sftp_reply *r);
void sftp_tree_answer(struct op *op, const struct sent *sent, const struct sftp_reply *r);

/* sftp_ops.c */
void sftp_op_start(struct op *op);
void sftp_op_answer(struct op *op, const struct sent *sent, const struct sftp_reply *r);
void sftp_op_free(struct op *op);
/* The connection failed before it was done. */
void sftp_op_skip(struct op *op, const struct error *why);
