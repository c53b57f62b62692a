/* SPDX-License-Identifier: MIT */
/*
 * What each operation sends first, and what with each answer.  An operation is done when nothing
 * that it waits for is in flight; CLOSE is never waited for, but before a rename.
 */
#include "sftp_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void sftp_put_mode(struct str *out, mode_t mode)
{
	wire_put_u32(out, ATTR_PERMISSIONS);
	wire_put_u32(out, mode & 07777);
}

void sftp_ask_path(struct op *op, enum sftp_type type, int tag, const char *path)
{
	sftp_begin(op->f, op, type, tag, 0, 0);
	wire_put_text(&op->f->out, path);
	sftp_end(op->f);
}

void sftp_ask_open(struct op *op, const char *path, uint32_t flags)
{
	sftp_begin(op->f, op, FXP_OPEN, TAG_OPEN, 0, 0);
	wire_put_text(&op->f->out, path);
	wire_put_u32(&op->f->out, flags);
	if (flags & FXF_CREAT) {
		sftp_put_mode(&op->f->out, op->mode);
	} else {
		wire_put_u32(&op->f->out, 0);
	}
	sftp_end(op->f);
}

void sftp_ask_mkdir(struct op *op, const char *path, int tag)
{
	sftp_begin(op->f, op, FXP_MKDIR, tag, 0, 0);
	wire_put_text(&op->f->out, path);
	sftp_put_mode(&op->f->out, op->mode);
	sftp_end(op->f);
}

void sftp_ask_handle(struct op *op, enum sftp_type type, int tag)
{
	sftp_begin(op->f, op, type, tag, 0, 0);
	wire_put_string(&op->f->out, op->handle, op->handle_len);
	sftp_end(op->f);
}

void sftp_close_quietly(struct ssh_sftp *f, const uint8_t *handle, size_t len)
{
	sftp_begin(f, NULL, FXP_CLOSE, 0, 0, 0);
	wire_put_string(&f->out, handle, len);
	sftp_end(f);
}

static void close_file(struct op *op)
{
	if (op->handle_len > 0 && !op->held) {
		sftp_close_quietly(op->f, op->handle, op->handle_len);
	}
	op->handle_len = 0;
}

void sftp_ask_extended(struct op *op, const char *name, int tag, const char *a, const char *b)
{
	sftp_begin(op->f, op, FXP_EXTENDED, tag, 0, 0);
	wire_put_text(&op->f->out, name);
	wire_put_text(&op->f->out, a);
	if (b != NULL) {
		wire_put_text(&op->f->out, b);
	}
	sftp_end(op->f);
}

void sftp_finish(struct op *op, enum sftp_status status, const char *text)
{
	close_file(op);
	op->done = true;
	op->pub.status = status;
	if (status != SFTP_OK) {
		str_fini(&op->pub.data);
		error_set(&op->pub.error, ERROR_REMOTE, "'%s': %s", op->path, text);
	}
}

void sftp_op_skip(struct op *op, const struct error *why)
{
	op->done = true;
	op->started = true;
	op->handle_len = 0;
	op->pub.status = SFTP_SKIPPED;
	op->pub.error = *why;
}

bool sftp_take_handle(struct op *op, const struct sftp_reply *r)
{
	if (r->type != FXP_HANDLE) {
		sftp_note_failure(op, r);
		sftp_fail(op);
		return false;
	}
	memcpy(op->handle, r->data, r->len);
	op->handle_len = r->len;
	return true;
}

void sftp_note_failure(struct op *op, const struct sftp_reply *r)
{
	if (op->failing) {
		return;
	}
	op->failing = true;
	op->failed = r->type == FXP_STATUS ? r->code : FX_FAILURE;
	if (r->type == FXP_STATUS && r->len > 0 && r->len < 256) {
		CLEANUP_FREE char *text = xstrndup((const char *)r->data, r->len);
		for (char *p = text; *p != '\0'; p++) {
			*p = (unsigned char)*p < ' ' || *p == 0x7f ? ' ' : *p;
		}
		str_add(&op->message, text);
	}
}

static bool writes(const struct op *op)
{
	return op->kind == OP_WRITE || op->kind == OP_APPEND || op->kind == OP_MKDIR ||
	       op->kind == OP_MKDIRS;
}

/* The first failure becomes the result. "Failure" of a write may be a full disk: one more question.
 */
void sftp_fail(struct op *op)
{
	switch (op->failed) {
	case FX_NO_SUCH_FILE:
		sftp_finish(op, SFTP_NOENT, "no such file or folder");
		return;
	case FX_PERMISSION:
		sftp_finish(op, SFTP_PERMISSION, "permission denied");
		return;
	default:
		break;
	}
	if (op->failed == FX_FAILURE && writes(op) && op->f->statvfs && op->stage != TAG_SPACE) {
		CLEANUP_FREE char *dir = xstrdup(op->path);
		char *slash = strrchr(dir, '/');
		if (slash != NULL) {
			slash[slash == dir ? 1 : 0] = '\0';
		}
		op->stage = TAG_SPACE;
		close_file(op);
		sftp_ask_extended(
			op, "statvfs@openssh.com", TAG_SPACE, slash != NULL ? dir : ".", NULL);
		return;
	}
	sftp_finish(op, SFTP_FAILED, op->message.len > 0 ? str_c(&op->message) : "refused");
}

/* OpenSSH's PROTOCOL, 4.3: f_bsize, f_frsize, f_blocks, f_bfree, f_bavail, f_files, f_ffree,
 * f_favail, ... */
void sftp_judge_space(struct op *op, const struct sftp_reply *r)
{
	struct wire w = r->rest;
	uint64_t v[8];

	for (size_t i = 0; i < 8; i++) {
		v[i] = wire_u64(&w);
	}
	bool known = r->type == FXP_EXTENDED_REPLY && !w.bad;
	uint64_t blocks = v[1] > 0 ? (op->payload.len + v[1] - 1) / v[1] + 1 : 1;
	if (known && (v[4] < blocks || (v[5] > 0 && v[7] == 0))) {
		sftp_finish(op, SFTP_NOSPACE, "no space left on the server's disk");
		return;
	}
	sftp_fail(op);
}

bool sftp_ok(const struct sftp_reply *r)
{
	return r->type == FXP_STATUS && r->code == FX_OK;
}

void sftp_ask_rename(struct op *op, const char *from, const char *to)
{
	if (op->f->posix_rename) {
		sftp_ask_extended(op, "posix-rename@openssh.com", TAG_RENAME, from, to);
		return;
	}
	/* Refuses to replace: better than removing the old file first. */
	sftp_begin(op->f, op, FXP_RENAME, TAG_RENAME, 0, 0);
	wire_put_text(&op->f->out, from);
	wire_put_text(&op->f->out, to);
	sftp_end(op->f);
}

/* -- the simple ones -- */

static void simple_answer(struct op *op, const struct sftp_reply *r)
{
	if (op->kind == OP_STAT && r->type == FXP_ATTRS) {
		op->pub.attrs = r->attrs;
		sftp_finish(op, SFTP_OK, NULL);
		return;
	}
	if (op->kind == OP_REALPATH && r->type == FXP_NAME && r->count == 1) {
		struct wire w = r->rest;
		struct sftp_entry e;
		if (sftp_decode_entry(&w, &e) == 0) {
			str_add(&op->pub.data, e.name);
			free(e.name);
			sftp_finish(op, SFTP_OK, NULL);
			return;
		}
	}
	if (sftp_ok(r) && op->kind != OP_STAT && op->kind != OP_REALPATH) {
		sftp_finish(op, SFTP_OK, NULL);
		return;
	}
	sftp_note_failure(op, r);
	sftp_fail(op);
}

static void setstat_start(struct op *op)
{
	struct str *out = &op->f->out;

	sftp_begin(op->f, op, FXP_SETSTAT, TAG_MAIN, 0, 0);
	wire_put_text(out, op->path);
	wire_put_u32(
		out, (op->has_mode ? ATTR_PERMISSIONS : 0) | (op->has_mtime ? ATTR_ACMODTIME : 0));
	if (op->has_mode) {
		wire_put_u32(out, op->mode & 07777);
	}
	if (op->has_mtime) {
		wire_put_u32(out, op->mtime);
		wire_put_u32(out, op->mtime);
	}
	sftp_end(op->f);
}

void sftp_op_start(struct op *op)
{
	op->sent = op->kind != OP_READ && op->kind != OP_LIST && op->kind != OP_RMTREE &&
		   op->kind != OP_WRITE && op->kind != OP_APPEND && op->kind != OP_HOLD;
	switch (op->kind) {
	case OP_READ:
		sftp_ask_open(op, op->path, FXF_READ);
		sftp_ask_path(op, FXP_STAT, TAG_STAT, op->path);
		break;
	case OP_STAT:
		sftp_ask_path(op, FXP_STAT, TAG_MAIN, op->path);
		break;
	case OP_LIST:
		sftp_ask_path(op, FXP_OPENDIR, TAG_OPEN, op->path);
		break;
	case OP_REALPATH:
		sftp_ask_path(op, FXP_REALPATH, TAG_MAIN, op->path);
		break;
	case OP_MKDIRS:
		sftp_mkdirs_start(op);
		break;
	case OP_MKDIR:
		sftp_ask_mkdir(op, op->path, TAG_MAIN);
		sftp_ask_path(op, FXP_LSTAT, TAG_STAT, op->path);
		break;
	case OP_RMDIR:
		sftp_ask_path(op, FXP_RMDIR, TAG_MAIN, op->path);
		break;
	case OP_REMOVE:
		sftp_ask_path(op, FXP_REMOVE, TAG_MAIN, op->path);
		break;
	case OP_RMTREE:
		sftp_ask_path(op, FXP_LSTAT, TAG_STAT, op->path);
		break;
	case OP_RENAME:
		sftp_ask_rename(op, op->path, op->other);
		break;
	case OP_WRITE:
		sftp_ask_open(op, op->other, FXF_WRITE | FXF_CREAT | FXF_EXCL);
		break;
	case OP_APPEND:
		sftp_append_start(op);
		break;
	case OP_HOLD:
		sftp_ask_open(op, op->path, FXF_WRITE | FXF_APPEND);
		break;
	case OP_SETSTAT:
		setstat_start(op);
		break;
	}
}

void sftp_op_answer(struct op *op, const struct sent *sent, const struct sftp_reply *r)
{
	if (op->done) {
		return;
	}
	switch (op->kind) {
	case OP_READ:
		sftp_read_answer(op, sent, r);
		break;
	case OP_LIST:
		sftp_list_answer(op, sent, r);
		break;
	case OP_MKDIRS:
		sftp_mkdirs_answer(op, sent, r);
		break;
	case OP_MKDIR:
		sftp_mkdir_answer(op, sent, r);
		break;
	case OP_RMTREE:
		sftp_tree_answer(op, sent, r);
		break;
	case OP_WRITE:
	case OP_APPEND:
		sftp_write_answer(op, sent, r);
		break;
	case OP_HOLD:
		sftp_hold_answer(op, r);
		break;
	case OP_STAT:
	case OP_REALPATH:
	case OP_RMDIR:
	case OP_REMOVE:
	case OP_RENAME:
	case OP_SETSTAT:
		simple_answer(op, r);
		break;
	}
}
