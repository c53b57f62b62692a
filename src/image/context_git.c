/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* The specification of Git LFS: pointers are smaller than 1024 bytes and begin like this. */
#define LFS_FIRST_LINE "version https://git-lfs.github.com/spec/v1\n"
#define LFS_MAX        1024

struct git_context {
	struct git_source *source;
	git_tree *root, *tree; /* of the commit; of the sub-folder */
	char *prefix;          /* sub-folder without slashes at its ends, "" */
	int64_t time;
};

static void git_free(void *p)
{
	struct git_context *t = p;

	git_tree_free(t->tree);
	git_tree_free(t->root);
	free(t->prefix);
	free(t);
}

/* The tree at `path` of the commit ("" or ".": its root). */
static git_tree *subtree(struct git_context *t, const char *path, struct error *err)
{
	git_tree_entry *e = NULL;
	git_tree *tree = NULL;

	if (!*path || str_eq(path, ".")) {
		(void)git_tree_dup(&tree, t->root);
		return tree;
	}
	if (git_tree_entry_bypath(&e, t->root, path) != 0) {
		error_set(err, ERROR_MANIFEST, "the commit has no folder '%s'", path);
		return NULL;
	}
	if (git_tree_entry_type(e) != GIT_OBJECT_TREE ||
		git_tree_lookup(&tree, t->source->repo, git_tree_entry_id(e)) != 0) {
		error_set(err, ERROR_MANIFEST, "'%s' is no folder in the commit", path);
	}
	git_tree_entry_free(e);
	return tree;
}

static void *git_open(const struct context_request *req, struct error *err)
{
	struct git_context *t = xcalloc(1, sizeof(*t));
	const char *path = req->path ? req->path : "";
	CLEANUP_FREE char *cleaned = xcalloc(1, strlen(path) + 3);
	git_commit *commit = NULL;
	git_oid id;

	t->source = req->source;
	path_clean(path, cleaned);
	t->prefix = xstrdup(str_eq(cleaned, ".") ? "" : cleaned);
	if (git_oid_fromstr(&id, req->commit) != 0 ||
		git_commit_lookup(&commit, t->source->repo, &id) != 0 ||
		git_commit_tree(&t->root, commit) != 0) {
		error_set(err, ERROR_MANIFEST, "git commit '%s': %s", req->commit, git_why());
	} else if (cleaned[0] == '/' || str_eq(cleaned, "..") || str_starts(cleaned, "../")) {
		error_set(err, ERROR_MANIFEST, "context '%s' leaves the repository", path);
	} else {
		t->time = git_commit_time(commit);
		t->tree = subtree(t, cleaned, err);
	}
	git_commit_free(commit);
	if (!t->tree) {
		git_free(t);
		return NULL;
	}
	return t;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct tree_entry *)a)->name, ((const struct tree_entry *)b)->name);
}

static int git_list(void *p, const char *folder, struct tree_entries *out, struct error *err)
{
	struct git_context *t = p;
	git_tree_entry *e = NULL;
	git_tree *tree = t->tree;

	if (*folder) {
		tree = NULL;
		if (git_tree_entry_bypath(&e, t->tree, folder) != 0 ||
			git_tree_lookup(&tree, t->source->repo, git_tree_entry_id(e)) != 0) {
			git_tree_entry_free(e);
			return error_set(
				err, ERROR_INTERNAL, "git folder '%s': %s", folder, git_why());
		}
		git_tree_entry_free(e);
	}
	for (size_t i = 0; i < git_tree_entrycount(tree); i++) {
		const git_tree_entry *entry = git_tree_entry_byindex(tree, i);
		struct tree_entry one = {.name = xstrdup(git_tree_entry_name(entry)),
			.id = *git_tree_entry_id(entry)};
		switch (git_tree_entry_filemode(entry)) {
		case GIT_FILEMODE_TREE:
			one.mode = S_IFDIR | 0755;
			break;
		case GIT_FILEMODE_LINK:
			one.mode = S_IFLNK | 0777;
			break;
		case GIT_FILEMODE_BLOB_EXECUTABLE:
			one.mode = S_IFREG | 0755;
			break;
		case GIT_FILEMODE_BLOB:
			one.mode = S_IFREG | 0644;
			break;
		case GIT_FILEMODE_COMMIT:
		case GIT_FILEMODE_UNREADABLE:
			one.mode = 0; /* refused when it is to be sent */
			break;
		}
		vec_push(out, one);
	}
	if (out->len) {
		qsort(out->p, out->len, sizeof(out->p[0]), by_name);
	}
	if (tree != t->tree) {
		git_tree_free(tree);
	}
	return 0;
}

static int refuse(
	const char *what, const struct git_context *t, const char *path, struct error *err)
{
	error_set(err, ERROR_MANIFEST, "'%s%s%s' is a %s: its content is not in the git tree",
		t->prefix, *t->prefix ? "/" : "", path, what);
	return error_hint(err,
		"set builder 'context: .' to build from the work tree, where it is checked out, or "
		"name it in .dockerignore");
}

static int git_open_file(void *p, const char *path, const struct tree_entry *e,
	struct tree_file *out, struct error *err)
{
	struct git_context *t = p;
	const char *data;

	out->mode = e->mode;
	out->mtime = t->time;
	if (!e->mode) {
		return refuse("git submodule", t, path, err);
	}
	if (S_ISDIR(e->mode)) {
		return 0;
	}
	if (git_blob_lookup(&out->blob, t->source->repo, &e->id) != 0) {
		return error_set(err, ERROR_INTERNAL, "git file '%s': %s", path, git_why());
	}
	out->size = (uint64_t)git_blob_rawsize(out->blob);
	data = git_blob_rawcontent(out->blob);
	if (S_ISLNK(e->mode)) {
		out->link = xstrndup(data, (size_t)out->size);
		out->size = 0;
		git_blob_free(out->blob);
		out->blob = NULL;
	} else if (out->size < LFS_MAX && out->size > strlen(LFS_FIRST_LINE) &&
		   memcmp(data, LFS_FIRST_LINE, strlen(LFS_FIRST_LINE)) == 0) {
		return refuse("Git LFS pointer", t, path, err);
	}
	return 0;
}

/* `path` is relative to the commit's root. */
static int read_blob(struct git_context *t, const char *path, struct str *out, struct error *err)
{
	git_tree_entry *e = NULL;
	git_blob *blob = NULL;
	int rc = 1;

	if (git_tree_entry_bypath(&e, t->root, path) != 0) {
		return 1;
	}
	if (git_tree_entry_type(e) == GIT_OBJECT_BLOB &&
		git_blob_lookup(&blob, t->source->repo, git_tree_entry_id(e)) == 0) {
		rc = 0;
		if (str_addn(out, git_blob_rawcontent(blob), (size_t)git_blob_rawsize(blob)) != 0) {
			rc = error_set(err, ERROR_MANIFEST, "'%s' is too large", path);
		}
	}
	git_blob_free(blob);
	git_tree_entry_free(e);
	return rc;
}

static int git_read(void *p, const char *path, struct str *out, struct error *err)
{
	struct git_context *t = p;
	CLEANUP_FREE char *full = *t->prefix ? xasprintf("%s/%s", t->prefix, path) : xstrdup(path);

	return read_blob(t, full, out, err);
}

static int git_dockerfile(void *p, const char *path, struct str *out, struct error *err)
{
	struct git_context *t = p;
	CLEANUP_FREE char *joined = xasprintf("%s/%s", *t->prefix ? t->prefix : ".", path);
	CLEANUP_FREE char *full = xcalloc(1, strlen(joined) + 3);
	int rc;

	path_clean(joined, full);
	if (path[0] == '/' || str_starts(full, "../")) {
		return error_set(
			err, ERROR_MANIFEST, "Dockerfile '%s' leaves the repository", path);
	}
	rc = read_blob(t, full, out, err);
	if (rc == 1) {
		error_set(err, ERROR_MANIFEST, "no '%s' in the git tree of the commit", full);
		return error_hint(err,
			"commit it, name another one with builder 'dockerfile:', or set 'context: "
			".' to build from the work tree");
	}
	return rc == 0 && str_starts(path, "../") ? 1 : rc;
}

const struct tree_ops context_git = {.open = git_open,
	.list = git_list,
	.open_file = git_open_file,
	.read = git_read,
	.dockerfile = git_dockerfile,
	.free = git_free};
