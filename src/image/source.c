/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include <errno.h>
#include <git2.h>
#include <stdio.h>
#include <string.h>

const char *git_why(void)
{
	const git_error *e = git_error_last();

	return e && e->message ? e->message : "unknown git error";
}

static int refused_owner(const char *dir, struct error *err)
{
	error_set(err, ERROR_MANIFEST, "the git repository at '%s' belongs to another user", dir);
	return error_hint(err,
		"if you trust it: git config --global --add safe.directory '%s' (or '*' in CI)",
		dir);
}

static char *without_slash(const char *path)
{
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/') {
		len--;
	}
	return xstrndup(path, len);
}

/*
 * libgit2 1.5 says "not found" for a repository of another owner when no safe.directory is
 * configured at all; looking for it without opening tells the two apart.
 */
static bool is_found(const char *dir)
{
	git_buf found = {0};
	bool yes = git_repository_discover(&found, dir, 0, NULL) == 0;

	git_buf_dispose(&found);
	return yes;
}

struct git_source *source_open(const char *dir, struct error *err)
{
	struct git_source *s = xcalloc(1, sizeof(*s));
	int rc;

	git_libgit2_init();
	rc = git_repository_open_ext(&s->repo, dir, 0, NULL);
	if (rc == 0) {
		const char *work = git_repository_workdir(s->repo);
		s->root = without_slash(work ? work : git_repository_path(s->repo));
		return s;
	}
	if (rc == GIT_EOWNER || (rc == GIT_ENOTFOUND && is_found(dir))) {
		refused_owner(dir, err);
	} else if (rc == GIT_ENOTFOUND) {
		error_set(err, ERROR_USAGE, "no git repository at '%s' or above", dir);
		err->sys = ENOENT;
	} else {
		error_set(err, ERROR_MANIFEST, "git repository at '%s': %s", dir, git_why());
	}
	source_close(s);
	return NULL;
}

void source_close(struct git_source *s)
{
	if (!s) {
		return;
	}
	git_repository_free(s->repo);
	free(s->root);
	free(s);
	git_libgit2_shutdown();
}

const char *source_root(const struct git_source *s)
{
	return s->root;
}

bool source_is_bare(const struct git_source *s)
{
	return git_repository_is_bare(s->repo) == 1;
}

/* Copies with control characters as spaces, cut on a UTF-8 boundary. */
static void copy_line(char *to, size_t size, const char *from)
{
	size_t n = strlen(from);

	if (n >= size) {
		n = size - 1;
		while (n && ((unsigned char)from[n] & 0xc0) == 0x80) {
			n--;
		}
	}
	for (size_t i = 0; i < n; i++) {
		to[i] = (char)((unsigned char)from[i] < 0x20 || from[i] == 0x7f ? ' ' : from[i]);
	}
	to[n] = '\0';
}

static void describe(git_commit *commit, struct source_commit *out)
{
	const git_signature *who = git_commit_author(commit);
	const char *summary = git_commit_summary(commit);
	CLEANUP_FREE char *author = xasprintf(
		"%s <%s>", who && who->name ? who->name : "", who && who->email ? who->email : "");

	memset(out, 0, sizeof(*out));
	git_oid_tostr(out->id, sizeof(out->id), git_commit_id(commit));
	memcpy(out->version, out->id, SOURCE_VERSION_DIGITS);
	copy_line(out->subject, sizeof(out->subject), summary ? summary : "");
	copy_line(out->author, sizeof(out->author), author);
	out->time = git_commit_time(commit);
}

static git_commit *find_commit(struct git_source *s, const char *name, struct error *err)
{
	git_object *object = NULL, *commit = NULL;
	int rc = git_revparse_single(&object, s->repo, name ? name : "HEAD");

	if (rc == 0) {
		rc = git_object_peel(&commit, object, GIT_OBJECT_COMMIT);
		git_object_free(object);
	}
	if (rc == 0) {
		return (git_commit *)commit;
	}
	if (rc == GIT_EAMBIGUOUS) {
		error_set(err, ERROR_USAGE, "git version '%s' is ambiguous", name ? name : "HEAD");
		return NULL;
	}
	if (!name) {
		error_set(err, ERROR_USAGE, "the git repository '%s' has no commit yet", s->root);
	} else {
		error_set(err, ERROR_USAGE, "'%s' names no git commit in '%s'", name, s->root);
	}
	err->sys = ENOENT;
	return NULL;
}

int source_resolve(
	struct git_source *s, const char *name, struct source_commit *out, struct error *err)
{
	git_commit *commit = find_commit(s, name, err);

	if (!commit) {
		return -1;
	}
	describe(commit, out);
	git_commit_free(commit);
	return 0;
}

char *source_branch(struct git_source *s)
{
	static const char *const ci[] = {
		"CI_COMMIT_REF_NAME", "GITHUB_HEAD_REF", "GITHUB_REF_NAME"};
	git_reference *head = NULL;
	char *branch = NULL;

	if (git_repository_head_detached(s->repo) != 1 &&
		git_reference_lookup(&head, s->repo, "HEAD") == 0) {
		const char *to = git_reference_symbolic_target(head);
		branch = xstrdup(
			to && str_starts(to, "refs/heads/") ? to + strlen("refs/heads/") : NULL);
		git_reference_free(head);
	}
	for (size_t i = 0; !branch && i < sizeof(ci) / sizeof(ci[0]); i++) {
		const char *value = getenv(ci[i]);
		branch = value && *value ? xstrdup(value) : NULL;
	}
	return branch ? branch : xstrdup("");
}

char *source_remote_url(struct git_source *s)
{
	git_strarray names = {0};
	git_remote *remote = NULL;
	char *url = NULL;

	if (git_remote_lookup(&remote, s->repo, "origin") != 0 &&
		git_remote_list(&names, s->repo) == 0 && names.count == 1) {
		(void)git_remote_lookup(&remote, s->repo, names.strings[0]);
	}
	if (remote && git_remote_url(remote)) {
		const char *text = git_remote_url(remote);
		const char *rest = strstr(text, "://");
		const char *at = rest ? strchr(rest + 3, '@') : NULL;
		const char *slash = rest ? strchr(rest + 3, '/') : NULL;
		if (at && (!slash || at < slash)) {
			url = xasprintf("%.*s%s", (int)(rest + 3 - text), text, at + 1);
		} else {
			url = xstrdup(text);
		}
	}
	git_remote_free(remote);
	git_strarray_dispose(&names);
	return url;
}

int source_dirty(struct git_source *s, struct source_state *out, struct error *err)
{
	git_status_options options;
	git_status_list *list = NULL;

	memset(out, 0, sizeof(*out));
	if (source_is_bare(s)) {
		return 0;
	}
	git_status_options_init(&options, GIT_STATUS_OPTIONS_VERSION);
	options.flags = GIT_STATUS_OPT_INCLUDE_UNTRACKED;
	if (git_status_list_new(&list, s->repo, &options) != 0) {
		return error_set(
			err, ERROR_INTERNAL, "look for changes in '%s': %s", s->root, git_why());
	}
	for (size_t i = 0; i < git_status_list_entrycount(list); i++) {
		const git_status_entry *e = git_status_byindex(list, i);
		const git_diff_delta *delta =
			e->index_to_workdir ? e->index_to_workdir : e->head_to_index;
		if (e->status & GIT_STATUS_WT_NEW) {
			out->untracked++;
		} else {
			out->modified++;
		}
		if (out->names.len < SOURCE_DIRTY_NAMES && delta && delta->new_file.path) {
			strvec_push(&out->names, delta->new_file.path);
		}
	}
	git_status_list_free(list);
	return 0;
}

void source_state_fini(struct source_state *state)
{
	strvec_fini(&state->names);
}

int source_log(struct git_source *s, const char *from, const char *to, size_t max,
	struct source_commits *out, bool *more, struct error *err)
{
	git_commit *a = find_commit(s, from, err);
	git_commit *b = a ? find_commit(s, to, err) : NULL;
	git_revwalk *walk = NULL;
	git_oid id;
	int rc = -1;

	*more = false;
	if (!b || git_revwalk_new(&walk, s->repo) != 0 ||
		git_revwalk_push(walk, git_commit_id(b)) != 0 ||
		git_revwalk_hide(walk, git_commit_id(a)) != 0) {
		rc = b ? error_set(err, ERROR_INTERNAL, "git log: %s", git_why()) : -1;
		goto out;
	}
	git_revwalk_sorting(walk, GIT_SORT_TOPOLOGICAL | GIT_SORT_TIME);
	while ((rc = git_revwalk_next(&id, walk)) == 0) {
		git_commit *commit = NULL;
		struct source_commit c;
		if (out->len == max) {
			*more = true;
			break;
		}
		if (git_commit_lookup(&commit, s->repo, &id) != 0) {
			break; /* a shallow clone ends here */
		}
		describe(commit, &c);
		git_commit_free(commit);
		vec_push(out, c);
	}
	rc = 0;
out:
	git_revwalk_free(walk);
	git_commit_free(a);
	git_commit_free(b);
	return rc;
}
