/* SPDX-License-Identifier: MIT */
/* Listing, making and removing folders. */
#include "sftp_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LISTS_AHEAD 2

/* -- list -- */

static bool list_take(struct op *op, const struct sftp_reply *r)
{
	struct wire w = r->rest;

	for (uint32_t i = 0; i < r->count; i++) {
		struct sftp_entry e;
		if (sftp_decode_entry(&w, &e) < 0) {
			return false;
		}
		if (str_eq(e.name, ".") || str_eq(e.name, "..")) {
			free(e.name);
		} else if (op->pub.entries.len >= op->max) {
			free(e.name);
			return false;
		} else {
			vec_push(&op->pub.entries, e);
		}
	}
	return true;
}

static void list_ahead(struct op *op)
{
	for (int i = 0; i < LISTS_AHEAD; i++) {
		sftp_ask_handle(op, FXP_READDIR, TAG_LIST);
	}
}

void sftp_list_answer(struct op *op, const struct sent *sent, const struct sftp_reply *r)
{
	if (sent->tag == TAG_OPEN) {
		if (!sftp_take_handle(op, r)) {
			return;
		}
		list_ahead(op);
		return;
	}
	bool end = r->type == FXP_STATUS && r->code == FX_EOF;
	if (r->type == FXP_NAME && !op->failing && op->stage != TAG_LIST) {
		if (list_take(op, r)) {
			/* A short folder ends with the answer that is on its way. */
			if (op->outstanding == 0) {
				list_ahead(op);
			}
		} else {
			op->failing = true;
			op->failed = UINT32_MAX;
		}
	} else if (!end && r->type != FXP_NAME) {
		sftp_note_failure(op, r);
	}
	if (end) {
		op->stage = TAG_LIST; /* the end was seen */
	}
	if (op->outstanding > 0) {
		return;
	}
	if (op->failed == UINT32_MAX) {
		sftp_finish(op, SFTP_TOO_BIG, "has too many entries");
	} else if (op->failing) {
		sftp_fail(op);
	} else {
		sftp_finish(op, SFTP_OK, NULL);
	}
}

/* -- folders -- */

/* "/a/b/c": "/a", "/a/b", "/a/b/c", and a look at the last, all in one flight. */
void sftp_mkdirs_start(struct op *op)
{
	CLEANUP_FREE char *path = xstrdup(op->path);

	for (char *p = path; *p != '\0'; p++) {
		if (*p == '/' && p > path && p[-1] != '/') {
			*p = '\0';
			sftp_ask_mkdir(op, path, TAG_MAKE);
			*p = '/';
		}
	}
	sftp_ask_mkdir(op, op->path, TAG_MAKE);
	sftp_ask_path(op, FXP_STAT, TAG_STAT, op->path);
}

void sftp_mkdirs_answer(struct op *op, const struct sent *sent, const struct sftp_reply *r)
{
	if (sent->tag == TAG_SPACE) {
		sftp_judge_space(op, r);
		return;
	}
	if (sent->tag == TAG_MAKE) {
		op->failing = false; /* the last one counts */
		str_reset(&op->message);
		if (!sftp_ok(r)) {
			sftp_note_failure(op, r);
		}
		return;
	}
	if (r->type == FXP_ATTRS && S_ISDIR(r->attrs.mode)) {
		sftp_finish(op, SFTP_OK, NULL);
	} else if (r->type == FXP_ATTRS) {
		sftp_finish(op, SFTP_NOTDIR, "is not a folder");
	} else {
		sftp_note_failure(op, r);
		sftp_fail(op);
	}
}

/* "Failure" of mkdir means that it exists, when something is there. */
void sftp_mkdir_answer(struct op *op, const struct sent *sent, const struct sftp_reply *r)
{
	if (sent->tag == TAG_SPACE) {
		sftp_judge_space(op, r);
		return;
	}
	if (sent->tag == TAG_MAIN) {
		op->made = sftp_ok(r);
		if (!op->made) {
			sftp_note_failure(op, r);
		}
		return;
	}
	if (op->made) {
		sftp_finish(op, SFTP_OK, NULL);
	} else if (r->type == FXP_ATTRS && op->failed != FX_PERMISSION) {
		sftp_finish(op, SFTP_EXIST, "exists already");
	} else {
		sftp_fail(op);
	}
}

/* -- rmtree -- */

static void tree_push(struct op *op, const char *path)
{
	const struct tree_dir dir = {.path = xstrdup(path)};

	vec_push(&op->dirs, dir);
	sftp_begin(op->f, op, FXP_OPENDIR, TAG_OPEN, op->dirs.len - 1, 0);
	wire_put_text(&op->f->out, path);
	sftp_end(op->f);
}

static void tree_list(struct op *op, size_t i)
{
	sftp_begin(op->f, op, FXP_READDIR, TAG_LIST, i, 0);
	wire_put_string(&op->f->out, op->dirs.p[i].handle, op->dirs.p[i].handle_len);
	sftp_end(op->f);
}

static void tree_names(struct op *op, size_t i, const struct sftp_reply *r)
{
	struct wire w = r->rest;

	for (uint32_t n = 0; n < r->count; n++) {
		struct sftp_entry e;
		if (sftp_decode_entry(&w, &e) < 0) {
			sftp_note_failure(op, r);
			return;
		}
		if (++op->count > op->max + 2 * op->dirs.len) { /* "." and ".." do not count */
			free(e.name);
			op->failing = true;
			op->failed = UINT32_MAX;
			return;
		}
		/* A name that leads elsewhere is no name in a folder. */
		if (!str_eq(e.name, ".") && !str_eq(e.name, "..") && !strchr(e.name, '/')) {
			CLEANUP_FREE char *path = xasprintf("%s/%s", op->dirs.p[i].path, e.name);
			if (S_ISDIR(e.attrs.mode)) {
				tree_push(op, path);
			} else {
				sftp_ask_path(op, FXP_REMOVE, TAG_ENTRY, path);
			}
		}
		free(e.name);
	}
	tree_list(op, i);
}

/* Everything is listed and the files are gone: the folders, the deepest first, in one flight. */
static void tree_end(struct op *op)
{
	if (op->failed == UINT32_MAX) {
		sftp_finish(op, SFTP_TOO_BIG, "has too many entries");
	} else if (op->failing) {
		sftp_fail(op);
	} else if (op->stage != TAG_RENAME && op->dirs.len > 0) {
		op->stage = TAG_RENAME; /* the last flight */
		for (size_t i = op->dirs.len; i-- > 0;) {
			sftp_ask_path(op, FXP_RMDIR, TAG_ENTRY, op->dirs.p[i].path);
		}
	} else {
		sftp_finish(op, SFTP_OK, NULL);
	}
}

void sftp_tree_answer(struct op *op, const struct sent *sent, const struct sftp_reply *r)
{
	size_t i = (size_t)sent->at;

	switch (sent->tag) {
	case TAG_STAT:
		if (r->type == FXP_STATUS && r->code == FX_NO_SUCH_FILE) {
			sftp_finish(op, SFTP_OK, NULL); /* that is what was wanted */
			return;
		}
		if (r->type == FXP_ATTRS && S_ISDIR(r->attrs.mode)) {
			tree_push(op, op->path);
		} else if (r->type == FXP_ATTRS) {
			sftp_ask_path(op, FXP_REMOVE, TAG_ENTRY, op->path);
		} else {
			sftp_note_failure(op, r);
		}
		break;
	case TAG_OPEN:
		if (r->type == FXP_HANDLE) {
			memcpy(op->dirs.p[i].handle, r->data, r->len);
			op->dirs.p[i].handle_len = r->len;
			tree_list(op, i);
		} else {
			sftp_note_failure(op, r);
		}
		break;
	case TAG_LIST:
		if (r->type == FXP_NAME && !op->failing) {
			tree_names(op, i, r);
		} else {
			sftp_close_quietly(op->f, op->dirs.p[i].handle, op->dirs.p[i].handle_len);
			if (r->type != FXP_NAME && r->code != FX_EOF) {
				sftp_note_failure(op, r);
			}
		}
		break;
	default:
		if (!sftp_ok(r)) {
			sftp_note_failure(op, r);
		}
		break;
	}
	if (op->outstanding == 0) {
		tree_end(op);
	}
}
