/* SPDX-License-Identifier: MIT */
/* The repository's own folders, and files out of a commit. */
#include "internal.h"

#include "util/fs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *source_git_dir(const struct git_source *s)
{
	return git_repository_commondir(s->repo);
}

/* Relative ones are relative to where git runs hooks: the work tree, or the bare repository. */
char *source_hooks_dir(struct git_source *s)
{
	git_config *config = NULL;
	git_buf path = {0};
	char *dir;

	if (git_repository_config_snapshot(&config, s->repo) == 0 &&
		git_config_get_path(&path, config, "core.hooksPath") == 0 && path.ptr[0] != '\0') {
		dir = path.ptr[0] == '/' ? xstrdup(path.ptr) : fs_join(s->root, path.ptr);
	} else {
		dir = xasprintf("%shooks", source_git_dir(s));
	}
	git_buf_dispose(&path);
	git_config_free(config);
	return dir;
}

int source_branch_head(struct git_source *s, const char *name, char id[65], struct error *err)
{
	CLEANUP_FREE char *ref = xasprintf("refs/heads/%s", name);
	git_oid oid;

	if (git_reference_name_to_id(&oid, s->repo, ref) != 0) {
		return error_set(err, ERROR_USAGE, "there is no branch '%s'", name);
	}
	git_oid_tostr(id, 65, &oid);
	return 0;
}

int source_extract(struct git_source *s, const char *commit, const char *const *patterns,
	const char *dir, struct error *err)
{
	git_checkout_options options;
	git_object *object = NULL;
	size_t n = 0;
	int rc = git_revparse_single(&object, s->repo, commit);

	while (patterns[n] != NULL) {
		n++;
	}
	git_checkout_options_init(&options, GIT_CHECKOUT_OPTIONS_VERSION);
	options.checkout_strategy =
		GIT_CHECKOUT_FORCE | GIT_CHECKOUT_DONT_UPDATE_INDEX | GIT_CHECKOUT_SKIP_UNMERGED;
	options.target_directory = dir;
	options.paths.strings = (char **)(uintptr_t)patterns;
	options.paths.count = n;
	if (rc == 0) {
		rc = git_checkout_tree(s->repo, object, &options);
	}
	git_object_free(object);
	if (rc != 0) {
		return error_set(err, ERROR_INTERNAL, "files of commit %s: %s", commit, git_why());
	}
	return 0;
}

int source_read(struct git_source *s, const char *commit, const char *path, struct str *out)
{
	CLEANUP_FREE char *spec = xasprintf("%s:%s", commit, path);
	git_object *object = NULL;
	int found = 0;

	if (git_revparse_single(&object, s->repo, spec) == 0 &&
		git_object_type(object) == GIT_OBJECT_BLOB) {
		const git_blob *blob = (const git_blob *)object;
		git_object_size_t size = git_blob_rawsize(blob);

		if (size > 0 && size < out->max - out->len) {
			str_addn(out, git_blob_rawcontent(blob), (size_t)size);
			found = 1;
		}
	}
	git_object_free(object);
	return found;
}
