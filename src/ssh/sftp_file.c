/* SPDX-License-Identifier: MIT */
/* Reading, replacing and appending to files. */
#include "sftp_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define READS_AHEAD 64 /* requests of one file in flight: 2 MB */

/* -- read -- */

static void ask_read(struct op *op, uint64_t at, uint32_t len)
{
	sftp_begin(op->f, op, FXP_READ, TAG_READ, at, len);
	wire_put_string(&op->f->out, op->handle, op->handle_len);
	wire_put_u64(&op->f->out, op->base + at);
	wire_put_u32(&op->f->out, len);
	sftp_end(op->f);
}

/* Everything up to the known size, and one request beyond it which finds the end. */
static void read_ahead(struct op *op)
{
	uint64_t size = op->pub.attrs.size;

	while (op->outstanding < READS_AHEAD && op->asked < size) {
		uint64_t left = size - op->asked;
		uint32_t len = left < SFTP_CHUNK ? (uint32_t)left : (uint32_t)SFTP_CHUNK;
		ask_read(op, op->asked, len);
		op->asked += len;
	}
	if (op->part && size >= op->max) {
		return; /* no more is wanted */
	}
	if (op->asked >= size && !op->probed && op->outstanding < READS_AHEAD) {
		op->probed = true;
		ask_read(op, size, SFTP_CHUNK);
	}
}

static void read_open(struct op *op)
{
	if (op->failing) {
		if (op->outstanding == 0) {
			sftp_fail(op);
		}
		return;
	}
	if (op->outstanding > 0) {
		return; /* the size is still to come */
	}
	/* From here on sizes and offsets count from `base`. */
	uint64_t size = op->pub.attrs.size;
	op->pub.attrs.size = size > op->base ? size - op->base : 0;
	if (op->part && op->pub.attrs.size > op->max) {
		op->pub.attrs.size = op->max;
	}
	if (S_ISDIR(op->pub.attrs.mode)) {
		sftp_finish(op, SFTP_NOTDIR, "is a folder");
	} else if (op->pub.attrs.size > op->max) {
		sftp_finish(op, SFTP_TOO_BIG, "is too big");
	} else {
		op->stage = TAG_READ;
		op->eof = UINT64_MAX;
		read_ahead(op);
	}
}

static bool read_store(struct op *op, uint64_t at, const struct sftp_reply *r)
{
	struct str *to = &op->pub.data;
	static const char zeros[4096];
	size_t len = r->len;

	if (op->part && at + len > op->max) {
		len = at < op->max ? (size_t)(op->max - at) : 0;
	}
	if (at + len > op->max && len > 0) {
		return false;
	}
	while (to->len < at + len && len > 0) {
		size_t n = at + len - to->len;
		str_addn(to, zeros, n < sizeof(zeros) ? n : sizeof(zeros));
	}
	if (len > 0) {
		memcpy(to->p + at, r->data, len);
	}
	return true;
}

static void read_data(struct op *op, const struct sent *sent, const struct sftp_reply *r)
{
	if (r->type == FXP_STATUS && r->code == FX_EOF) {
		op->eof = sent->at < op->eof ? sent->at : op->eof;
	} else if (r->type != FXP_DATA || r->len > sent->len || r->len == 0) {
		sftp_note_failure(op, r);
	} else if (!read_store(op, sent->at, r)) {
		op->failing = true;
		op->failed = UINT32_MAX;
	} else if (r->len < sent->len) {
		ask_read(op, sent->at + r->len, sent->len - (uint32_t)r->len);
	} else if (sent->at + r->len > op->pub.attrs.size) {
		uint64_t end = sent->at + r->len; /* it has grown */
		op->pub.attrs.size = op->asked = op->part && end > op->max ? op->max : end;
		op->probed = false;
	}
	if (!op->failing) {
		read_ahead(op);
	}
	if (op->outstanding > 0) {
		return;
	}
	if (op->failed == UINT32_MAX) {
		sftp_finish(op, SFTP_TOO_BIG, "is too big");
	} else if (op->failing) {
		sftp_fail(op);
	} else {
		if (op->eof < op->pub.data.len) { /* it has shrunk */
			op->pub.data.len = (size_t)op->eof;
			op->pub.data.p[op->eof] = '\0';
		}
		sftp_finish(op, SFTP_OK, NULL);
	}
}

void sftp_read_answer(struct op *op, const struct sent *sent, const struct sftp_reply *r)
{
	if (sent->tag == TAG_OPEN && r->type == FXP_HANDLE) {
		memcpy(op->handle, r->data, r->len);
		op->handle_len = r->len;
	} else if (sent->tag == TAG_OPEN) {
		sftp_note_failure(op, r);
	} else if (sent->tag == TAG_STAT && r->type == FXP_ATTRS) {
		op->pub.attrs = r->attrs;
	}
	if (sent->tag == TAG_READ) {
		read_data(op, sent, r);
	} else {
		read_open(op);
	}
}

/* -- write and append -- */

static void ask_writes(struct op *op)
{
	struct ssh_sftp *f = op->f;
	size_t at = 0;

	while (at < op->payload.len) {
		size_t n = op->payload.len - at;
		n = n < SFTP_CHUNK ? n : SFTP_CHUNK;
		sftp_begin(f, op, FXP_WRITE, TAG_WRITE, at, (uint32_t)n);
		wire_put_string(&f->out, op->handle, op->handle_len);
		wire_put_u64(&f->out, at);
		wire_put_string(&f->out, op->payload.p + at, n);
		sftp_end(f);
		at += n;
	}
	if (op->kind == OP_WRITE) { /* past the server's umask */
		sftp_begin(f, op, FXP_FSETSTAT, TAG_WRITE, 0, 0);
		wire_put_string(&f->out, op->handle, op->handle_len);
		sftp_put_mode(&f->out, op->mode);
		sftp_end(f);
	}
	if (f->fsync) {
		sftp_begin(f, op, FXP_EXTENDED, TAG_WRITE, 0, 0);
		wire_put_text(&f->out, "fsync@openssh.com");
		wire_put_string(&f->out, op->handle, op->handle_len);
		sftp_end(f);
	}
	if (op->kind == OP_WRITE) {
		sftp_ask_handle(op, FXP_CLOSE, TAG_WRITE);
		op->handle_len = 0;
	} else {
		sftp_ask_handle(op, FXP_FSTAT, TAG_STAT);
		if (op->held) {
			op->named = UINT64_MAX;
			sftp_ask_path(op, FXP_STAT, TAG_SAME, op->path);
		}
		op->sent = true;
	}
}

/* -- files that are held open -- */

static struct sftp_held *find_held(struct ssh_sftp *f, const char *path)
{
	VEC_FOREACH (&f->held, i) {
		if (f->held.p[i].handle_len > 0 && strcmp(f->held.p[i].path, path) == 0) {
			return &f->held.p[i];
		}
	}
	return NULL;
}

static void let_go(struct ssh_sftp *f, struct sftp_held *h)
{
	sftp_close_quietly(f, h->handle, h->handle_len);
	h->handle_len = 0;
}

void sftp_hold_answer(struct op *op, const struct sftp_reply *r)
{
	struct sftp_held held = {.path = xstrdup(op->path), .handle_len = r->len};

	if (r->type != FXP_HANDLE) {
		free(held.path);
		sftp_note_failure(op, r);
		sftp_fail(op);
		return;
	}
	struct sftp_held *before = find_held(op->f, op->path);
	if (before != NULL) {
		let_go(op->f, before);
	}
	memcpy(held.handle, r->data, r->len);
	vec_push(&op->f->held, held);
	sftp_finish(op, SFTP_OK, NULL);
}

void sftp_append_start(struct op *op)
{
	const struct sftp_held *h = find_held(op->f, op->path);

	if (h == NULL) {
		sftp_ask_open(op, op->path, FXF_WRITE | FXF_CREAT | FXF_APPEND);
		return;
	}
	op->held = true;
	memcpy(op->handle, h->handle, h->handle_len);
	op->handle_len = h->handle_len;
	ask_writes(op);
}

/* The held file is no longer the one of that name: once more, to that one. */
static void append_again(struct op *op)
{
	struct sftp_held *h = find_held(op->f, op->path);

	if (h != NULL) {
		let_go(op->f, h);
	}
	op->held = op->sent = false;
	op->handle_len = 0;
	sftp_append_start(op);
}

void sftp_write_answer(struct op *op, const struct sent *sent, const struct sftp_reply *r)
{
	switch (sent->tag) {
	case TAG_OPEN:
		if (!sftp_take_handle(op, r)) {
			return;
		}
		ask_writes(op);
		return;
	case TAG_STAT:
		if (r->type == FXP_ATTRS) {
			op->pub.attrs = r->attrs;
		} else {
			sftp_note_failure(op, r);
		}
		break;
	case TAG_SAME:
		op->named = r->type == FXP_ATTRS ? r->attrs.size : op->named;
		break;
	case TAG_UNDO:
		sftp_fail(op);
		return;
	case TAG_SPACE:
		sftp_judge_space(op, r);
		return;
	case TAG_RENAME:
		op->stage = TAG_RENAME;
		if (!sftp_ok(r)) {
			sftp_note_failure(op, r);
		}
		break;
	default:
		if (!sftp_ok(r)) {
			sftp_note_failure(op, r);
		}
		break;
	}
	if (op->outstanding > 0) {
		return;
	}
	if (op->held && !op->failing && op->named != op->pub.attrs.size) {
		append_again(op);
	} else if (op->failing && op->kind == OP_WRITE) {
		sftp_ask_path(op, FXP_REMOVE, TAG_UNDO, op->other);
	} else if (op->failing) {
		sftp_fail(op);
	} else if (op->kind == OP_WRITE && op->stage != TAG_RENAME) {
		sftp_ask_rename(op, op->other, op->path);
	} else {
		sftp_finish(op, SFTP_OK, NULL);
	}
}
