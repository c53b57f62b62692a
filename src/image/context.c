/* SPDX-License-Identifier: MIT */
#include "image/context.h"

#include "image/dockerignore.h"
#include "image/tar.h"
#include "internal.h"
#include "util/cancel.h"
#include "util/digest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_DEPTH 256 /* folders within folders */

struct level {
	char *path; /* "" at the top */
	struct tree_entries entries;
	size_t next;
	bool sent; /* its own header was written, or it has none */
};
VEC_TYPE(level_vec, struct level);

struct context {
	const struct tree_ops *ops;
	void *tree;
	struct dockerignore *ignore;
	char *ignore_name;
	char *dockerfile;   /* name in the tar */
	struct str outside; /* Dockerfile that lies outside, sent under that name */
	bool outside_sent;
	struct level_vec levels;
	struct str pending;    /* headers and padding that wait to be read */
	struct tree_file file; /* whose content is being read */
	char *file_path;
	uint64_t file_at;
	bool in_file, ended;
	uint64_t bytes;
	size_t files;
};

static void file_fini(struct tree_file *f)
{
	free(f->link);
	git_blob_free(f->blob);
	if (f->fd >= 0) {
		close(f->fd);
	}
	*f = (struct tree_file){.fd = -1};
}

static void level_fini(struct level *l)
{
	VEC_FOREACH (&l->entries, i) {
		free(l->entries.p[i].name);
	}
	vec_fini(&l->entries);
	free(l->path);
}

static int push_level(struct context *c, const char *path, bool sent, struct error *err)
{
	struct level l = {.path = xstrdup(path), .sent = sent};

	if (c->levels.len == MAX_DEPTH) {
		free(l.path);
		return error_set(err, ERROR_MANIFEST, "'%s': folders are nested too deeply", path);
	}
	if (c->ops->list(c->tree, path, &l.entries, err) != 0) {
		level_fini(&l);
		return -1;
	}
	vec_push(&c->levels, l);
	return 0;
}

/* The Dockerfile's own ignore file counts before the common one. */
static int load_ignore(struct context *c, const char *dockerfile, struct error *err)
{
	CLEANUP_FREE char *own = xasprintf("%s.dockerignore", dockerfile);
	const char *const names[] = {own, ".dockerignore"};

	for (size_t i = 0; i < 2; i++) {
		CLEANUP_STR struct str text = STR_INIT(CONTEXT_FILE_MAX);
		int rc = c->ops->read(c->tree, names[i], &text, err);
		if (rc < 0) {
			return -1;
		}
		if (rc == 0) {
			c->ignore_name = xstrdup(names[i]);
			c->ignore = dockerignore_parse(str_c(&text), text.len, names[i], err);
			return c->ignore ? 0 : -1;
		}
	}
	return 0;
}

static int find_dockerfile(struct context *c, const char *name, struct error *err)
{
	CLEANUP_FREE char *cleaned = xcalloc(1, strlen(name) + 3);
	char digest[DIGEST_HEX_SIZE];
	int rc;

	path_clean(name, cleaned);
	str_init(&c->outside, CONTEXT_FILE_MAX);
	rc = c->ops->dockerfile(c->tree, cleaned, &c->outside, err);
	if (rc < 0 || load_ignore(c, cleaned, err) != 0) {
		return -1;
	}
	if (rc == 0) {
		c->outside_sent = true;
		c->dockerfile = xstrdup(cleaned);
		return 0;
	}
	/* Named by its content, not by chance: the same commit gives the same bytes. */
	digest_sha256_hex(str_c(&c->outside), c->outside.len, digest);
	c->dockerfile = xasprintf(".dockerfile.%.20s", digest);
	return 0;
}

struct context *context_open(const struct context_request *req, struct error *err)
{
	struct context *c = xcalloc(1, sizeof(*c));
	const char *dockerfile = req->dockerfile ? req->dockerfile : "Dockerfile";

	c->file.fd = -1;
	c->ops = req->kind == CONFIG_CONTEXT_GIT ? &context_git : &context_dir;
	str_init(&c->pending, (size_t)1 << 20);
	c->tree = c->ops->open(req, err);
	if (!c->tree || find_dockerfile(c, dockerfile, err) != 0 ||
		push_level(c, "", true, err) != 0) {
		error_wrap(err, "build context");
		context_free(c);
		return NULL;
	}
	return c;
}

void context_free(struct context *c)
{
	if (!c) {
		return;
	}
	file_fini(&c->file);
	free(c->file_path);
	VEC_FOREACH (&c->levels, i) {
		level_fini(&c->levels.p[i]);
	}
	vec_fini(&c->levels);
	if (c->tree) {
		c->ops->free(c->tree);
	}
	dockerignore_free(c->ignore);
	free(c->ignore_name);
	free(c->dockerfile);
	str_fini(&c->outside);
	str_fini(&c->pending);
	free(c);
}

const char *context_dockerfile(const struct context *c)
{
	return c->dockerfile;
}

uint64_t context_bytes(const struct context *c)
{
	return c->bytes;
}

size_t context_files(const struct context *c)
{
	return c->files;
}

static bool is_kept(const struct context *c, const char *path)
{
	return str_eq(path, c->dockerfile) || str_eq(path, c->ignore_name) ||
	       str_eq(path, ".dockerignore");
}

/* Is there nothing to send below an ignored folder? */
static bool is_prunable(const struct context *c, const char *folder)
{
	size_t len = strlen(folder);

	if (strncmp(c->dockerfile, folder, len) == 0 && c->dockerfile[len] == '/') {
		return false;
	}
	if (c->ignore_name && strncmp(c->ignore_name, folder, len) == 0 &&
		c->ignore_name[len] == '/') {
		return false;
	}
	return dockerignore_can_skip(c->ignore, folder);
}

static void put_header(struct context *c, const char *path, const struct tree_file *f)
{
	struct tar_entry e = {
		.path = path, .link = f->link, .size = f->size, .mode = f->mode, .mtime = f->mtime};

	tar_header(&c->pending, &e);
	c->files++;
}

/* Headers of the folders around the present entry that were left out so far. */
static int put_folders(struct context *c, struct error *err)
{
	VEC_FOREACH (&c->levels, i) {
		struct level *l = &c->levels.p[i];
		struct tree_entry e = {.mode = S_IFDIR | 0755};
		struct tree_file f = {.fd = -1};
		if (l->sent) {
			continue;
		}
		if (c->ops->open_file(c->tree, l->path, &e, &f, err) != 0) {
			file_fini(&f);
			return -1;
		}
		put_header(c, l->path, &f);
		file_fini(&f);
		l->sent = true;
	}
	return 0;
}

static int take_folder(struct context *c, const char *path, bool ignored, struct error *err)
{
	if (ignored && is_prunable(c, path)) {
		return 0;
	}
	if (push_level(c, path, false, err) != 0) {
		return -1;
	}
	return ignored ? 0 : put_folders(c, err);
}

static int take_file(
	struct context *c, const char *path, const struct tree_entry *e, struct error *err)
{
	if (put_folders(c, err) != 0 || c->ops->open_file(c->tree, path, e, &c->file, err) != 0) {
		file_fini(&c->file);
		return -1;
	}
	put_header(c, path, &c->file);
	free(c->file_path);
	c->file_path = xstrdup(path);
	c->file_at = 0;
	c->in_file = S_ISREG(c->file.mode);
	if (!c->in_file) {
		file_fini(&c->file);
	}
	return 0;
}

static void put_outside(struct context *c)
{
	struct tree_file f = {.mode = S_IFREG | 0644, .size = c->outside.len, .fd = -1};

	put_header(c, c->dockerfile, &f);
	c->pending.max += c->outside.len;
	str_addn(&c->pending, str_c(&c->outside), c->outside.len);
	for (size_t n = tar_padding(c->outside.len); n; n--) {
		str_addc(&c->pending, '\0');
	}
	c->outside_sent = true;
}

/* One step of the walk; afterwards something is pending, or a file open, or it has ended. */
static int advance(struct context *c, struct error *err)
{
	if (!c->outside_sent) {
		put_outside(c);
		return 0;
	}
	while (c->levels.len) {
		struct level *l = &c->levels.p[c->levels.len - 1];
		if (l->next == l->entries.len) {
			level_fini(l);
			c->levels.len--;
			continue;
		}
		const struct tree_entry *e = &l->entries.p[l->next++];
		CLEANUP_FREE char *path =
			*l->path ? xasprintf("%s/%s", l->path, e->name) : xstrdup(e->name);
		bool ignored = dockerignore_match(c->ignore, path) && !is_kept(c, path);
		if (S_ISDIR(e->mode)) {
			if (take_folder(c, path, ignored, err) != 0) {
				return -1;
			}
		} else if (!ignored && take_file(c, path, e, err) != 0) {
			return -1;
		}
		if (c->pending.len) {
			return 0;
		}
	}
	tar_end(&c->pending);
	c->ended = true;
	return 0;
}

static ssize_t read_file(struct context *c, void *buf, size_t len, struct error *err)
{
	struct tree_file *f = &c->file;
	uint64_t left = f->size - c->file_at;
	size_t want = left < len ? (size_t)left : len;
	ssize_t n = 0;

	if (!left) {
		for (size_t i = tar_padding(f->size); i; i--) {
			str_addc(&c->pending, '\0');
		}
		file_fini(f);
		c->in_file = false;
		return 0;
	}
	if (f->blob) {
		memcpy(buf, (const char *)git_blob_rawcontent(f->blob) + c->file_at, want);
		n = (ssize_t)want;
	} else {
		do {
			n = read(f->fd, buf, want);
		} while (n < 0 && errno == EINTR);
		if (n <= 0) {
			return n < 0 ? error_sys(err, ERROR_MANIFEST, errno, "read '%s'",
					       c->file_path)
				     : error_set(err, ERROR_MANIFEST,
					       "'%s' shrank while it was read", c->file_path);
		}
	}
	c->file_at += (uint64_t)n;
	return n;
}

ssize_t context_read(struct context *c, void *buf, size_t len, struct error *err)
{
	ssize_t n = 0;

	while (!n && len) {
		if (c->pending.len) {
			n = (ssize_t)(c->pending.len < len ? c->pending.len : len);
			memcpy(buf, c->pending.p, (size_t)n);
			str_consume(&c->pending, (size_t)n);
		} else if (c->in_file) {
			n = read_file(c, buf, len, err);
		} else if (c->ended) {
			return 0;
		} else {
			if (cancel_check(err) != 0 || advance(c, err) != 0) {
				return error_wrap(err, "build context");
			}
		}
	}
	if (n < 0) {
		return error_wrap(err, "build context");
	}
	c->bytes += (uint64_t)n;
	return n;
}
