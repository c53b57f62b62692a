/* SPDX-License-Identifier: MIT */
/* Queueing operations, and their lifetime. */
#include "sftp_internal.h"

#include "util/digest.h"

#include <stdlib.h>
#include <string.h>

void sftp_op_free(struct op *op)
{
	free(op->path);
	free(op->other);
	if (op->payload.p != NULL) {
		explicit_bzero(op->payload.p, op->payload.len);
	}
	str_fini(&op->payload);
	str_fini(&op->message);
	str_fini(&op->pub.data);
	sftp_entries_fini(&op->pub.entries);
	VEC_FOREACH (&op->dirs, i) {
		free(op->dirs.p[i].path);
	}
	vec_fini(&op->dirs);
	free(op);
}

static struct op *queue(struct sftp_batch *b, enum op_kind kind, const char *path)
{
	struct op *op = xcalloc(1, sizeof(*op));

	op->f = b->f;
	op->kind = kind;
	op->group = b->group;
	op->follows = b->follow && b->ops != NULL;
	b->follow = false;
	op->path = xstrdup(path);
	str_init(&op->pub.data, STR_MAX_LINE);
	str_init(&op->message, 512);
	*b->tail = op;
	b->tail = &op->next;
	return op;
}

struct sftp_op *sftp_read(struct sftp_batch *b, const char *path, size_t max)
{
	struct op *op = queue(b, OP_READ, path);

	op->max = max;
	str_init(&op->pub.data, max + 1);
	return &op->pub;
}

struct sftp_op *sftp_read_at(struct sftp_batch *b, const char *path, uint64_t offset, size_t max)
{
	struct op *op = queue(b, OP_READ, path);

	op->max = max;
	op->base = offset;
	op->part = true;
	str_init(&op->pub.data, max + 1);
	return &op->pub;
}

struct sftp_op *sftp_stat(struct sftp_batch *b, const char *path)
{
	return &queue(b, OP_STAT, path)->pub;
}

struct sftp_op *sftp_list(struct sftp_batch *b, const char *path, size_t max_entries)
{
	struct op *op = queue(b, OP_LIST, path);

	op->max = max_entries;
	return &op->pub;
}

struct sftp_op *sftp_realpath(struct sftp_batch *b, const char *path)
{
	return &queue(b, OP_REALPATH, path)->pub;
}

struct sftp_op *sftp_mkdirs(struct sftp_batch *b, const char *path, mode_t mode)
{
	struct op *op = queue(b, OP_MKDIRS, path);

	op->mode = mode;
	return &op->pub;
}

struct sftp_op *sftp_mkdir(struct sftp_batch *b, const char *path, mode_t mode)
{
	struct op *op = queue(b, OP_MKDIR, path);

	op->mode = mode;
	return &op->pub;
}

struct sftp_op *sftp_rmdir(struct sftp_batch *b, const char *path)
{
	return &queue(b, OP_RMDIR, path)->pub;
}

struct sftp_op *sftp_remove(struct sftp_batch *b, const char *path)
{
	return &queue(b, OP_REMOVE, path)->pub;
}

struct sftp_op *sftp_rmtree(struct sftp_batch *b, const char *path, size_t max_entries)
{
	struct op *op = queue(b, OP_RMTREE, path);

	op->max = max_entries;
	return &op->pub;
}

struct sftp_op *sftp_rename(struct sftp_batch *b, const char *from, const char *to)
{
	struct op *op = queue(b, OP_RENAME, from);

	op->other = xstrdup(to);
	return &op->pub;
}

/* Hidden, and with another suffix: proxies watch folders for "*.yml" and the like. */
static char *temporary(const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t dir = slash != NULL ? (size_t)(slash + 1 - path) : 0;
	char hex[17];

	digest_random_hex(8, hex);
	return xasprintf("%.*s.%s.tmp-%s", (int)dir, path, path + dir, hex);
}

struct sftp_op *sftp_write(
	struct sftp_batch *b, const char *path, const void *data, size_t len, mode_t mode)
{
	struct op *op = queue(b, OP_WRITE, path);

	op->other = temporary(path);
	op->mode = mode;
	str_init(&op->payload, len + 1);
	str_addn(&op->payload, data, len);
	return &op->pub;
}

struct sftp_op *sftp_append(
	struct sftp_batch *b, const char *path, const void *data, size_t len, mode_t mode)
{
	struct op *op = queue(b, OP_APPEND, path);

	op->mode = mode;
	str_init(&op->payload, len + 1);
	str_addn(&op->payload, data, len);
	return &op->pub;
}

struct sftp_op *sftp_hold(struct sftp_batch *b, const char *path)
{
	return &queue(b, OP_HOLD, path)->pub;
}

struct sftp_op *sftp_chmod(struct sftp_batch *b, const char *path, mode_t mode)
{
	struct op *op = queue(b, OP_SETSTAT, path);

	op->mode = mode;
	op->has_mode = true;
	return &op->pub;
}

struct sftp_op *sftp_utime(struct sftp_batch *b, const char *path, uint32_t mtime)
{
	struct op *op = queue(b, OP_SETSTAT, path);

	op->mtime = mtime;
	op->has_mtime = true;
	return &op->pub;
}
