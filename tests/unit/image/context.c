/* SPDX-License-Identifier: MIT */
/* Contexts and git facts of real repositories, made by the git program in a temporary folder. */
#include "image/context.h"
#include "image/source.h"
#include "util/digest.h"
#include "util/fs.h"
#include "util/proc.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* libgit2 1.5 never frees the match data of its regular expressions. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libpcre2";
}

static char top[64];

static void shell(const char *script)
{
	const char *argv[] = {"sh", "-euc", script, NULL};
	const char *env[] = {"GIT_AUTHOR_NAME=Ann", "GIT_AUTHOR_EMAIL=ann@example.com",
		"GIT_COMMITTER_NAME=Ann", "GIT_COMMITTER_EMAIL=ann@example.com",
		"GIT_AUTHOR_DATE=1700000000 +0000", "GIT_COMMITTER_DATE=1700000000 +0000",
		"GIT_CONFIG_GLOBAL=/dev/null", NULL};
	struct proc_request req = {.argv = argv, .env = env, .dir = top, .timeout_ms = 20000};
	CLEANUP_STR struct str out = STR_INIT(STR_MAX_LINE);
	struct proc_result result = {0};
	struct error err = {0};

	assert_int_equal(proc_run(&req, &out, &out, &result, &err), 0);
	if (result.status != 0) {
		fail_msg("%s", str_c(&out));
	}
}

static int setup(void **state)
{
	snprintf(top, sizeof(top), "/tmp/deploy-test-context.XXXXXX");
	assert_non_null(mkdtemp(top));
	shell("git init -q -b main r; cd r; mkdir -p a/b app; echo FROM scratch >Dockerfile;"
	      "echo one >a/one; echo two >a/b/two; echo x >app/x; chmod +x app/x;"
	      "ln -s a/one link; printf 'a/b\\n*.log\\n!keep.log\\nDockerfile\\n' >.dockerignore;"
	      "echo l >x.log; echo l >keep.log; git add -A; git commit -qm 'First: it starts';"
	      "git tag v1; echo 3 >a/one; git commit -qam Second");
	return 0;
}

static int teardown(void **state)
{
	const char *argv[] = {"rm", "-rf", top, NULL};
	struct proc_request req = {.argv = argv, .timeout_ms = 20000};
	struct proc_result result = {0};
	struct error err = {0};

	return proc_run(&req, NULL, NULL, &result, &err);
}

static struct git_source *open_repo(const char *name)
{
	struct error err = {0};
	CLEANUP_FREE char *path = fs_join(top, name);
	struct git_source *s = source_open(path, &err);

	if (!s) {
		fail_msg("%s", err.text);
	}
	return s;
}

/* The whole tar, read in pieces of `piece` bytes; on failure the error's text. */
static void slurp(const struct context_request *req, size_t piece, struct str *out)
{
	struct error err = {0};
	struct context *c = context_open(req, &err);
	char buf[8192];
	ssize_t n = -1;

	while (c && (n = context_read(c, buf, piece, &err)) > 0) {
		str_addn(out, buf, (size_t)n);
	}
	if (n < 0) {
		str_reset(out);
		str_add(out, err.text);
	} else {
		assert_int_equal(context_bytes(c), out->len);
	}
	context_free(c);
}

/* "mode path[ -> link][=content]" lines. */
static char *list(const struct context_request *req)
{
	CLEANUP_STR struct str tar = STR_INIT(STR_MAX_FILE);
	struct str text = STR_INIT(STR_MAX_FILE);
	struct archive *a = archive_read_new();
	struct archive_entry *e;

	slurp(req, 8192, &tar);
	archive_read_support_format_tar(a);
	if (tar.len < 1024 || archive_read_open_memory(a, tar.p, tar.len) != ARCHIVE_OK) {
		archive_read_free(a);
		return str_take(&tar);
	}
	while (archive_read_next_header(a, &e) == ARCHIVE_OK) {
		char buf[256] = "";
		str_addf(&text, "%o %s", archive_entry_mode(e) & 0777, archive_entry_pathname(e));
		if (archive_entry_symlink(e)) {
			str_addf(&text, " -> %s", archive_entry_symlink(e));
		}
		ssize_t n = archive_read_data(a, buf, sizeof(buf) - 1);
		buf[n > 0 ? n - 1 : 0] = '\0'; /* without the newline */
		str_addf(&text, n > 0 ? "=%s\n" : "%s\n", buf);
	}
	archive_read_free(a);
	return str_take(&text);
}

static void test_git_tree(void **state)
{
	struct git_source *s = open_repo("r");
	struct source_commit c;
	struct error err = {0};
	struct context_request req = {.kind = CONFIG_CONTEXT_GIT, .source = s, .commit = c.id};
	CLEANUP_STR struct str whole = STR_INIT(STR_MAX_FILE);
	CLEANUP_STR struct str bytes = STR_INIT(STR_MAX_FILE);

	assert_int_equal(source_resolve(s, "v1", &c, &err), 0);
	CLEANUP_FREE char *text = list(&req);
	assert_string_equal(text, "644 .dockerignore=a/b\n*.log\n!keep.log\nDockerfile\n"
				  "644 Dockerfile=FROM scratch\n755 a/\n644 a/one=one\n755 app/\n"
				  "755 app/x=x\n644 keep.log=l\n777 link -> a/one\n");
	slurp(&req, 8192, &whole);
	slurp(&req, 1, &bytes);
	assert_int_equal(whole.len, bytes.len);
	assert_memory_equal(whole.p, bytes.p, whole.len);

	req.path = "app";
	req.dockerfile = "../Dockerfile";
	CLEANUP_FREE char *sub = list(&req);
	assert_non_null(strstr(sub, "644 .dockerfile."));
	assert_non_null(strstr(sub, "=FROM scratch\n755 x=x\n"));
	req.dockerfile = "../../Dockerfile";
	CLEANUP_FREE char *away = list(&req);
	assert_non_null(strstr(away, "leaves the repository"));
	req.dockerfile = "Dockerfile";
	CLEANUP_FREE char *none = list(&req);
	assert_string_equal(
		none, "build context: no 'app/Dockerfile' in the git tree of the commit");
	source_close(s);
}

static void test_refused(void **state)
{
	struct git_source *s;
	struct source_commit c;
	struct error err = {0};

	shell("git clone -q r lfs; cd lfs; printf 'version "
	      "https://git-lfs.github.com/spec/v1\\noid "
	      "sha256:00\\nsize 3\\n' >a/big.bin; git add -A; git commit -qm lfs");
	s = open_repo("lfs");
	assert_int_equal(source_resolve(s, NULL, &c, &err), 0);
	struct context_request req = {.kind = CONFIG_CONTEXT_GIT, .source = s, .commit = c.id};
	CLEANUP_FREE char *lfs = list(&req);
	assert_non_null(strstr(lfs, "'a/big.bin' is a Git LFS pointer"));
	source_close(s);

	shell("git clone -q r sub; cd sub; git update-index --add --cacheinfo "
	      "160000,$(git rev-parse HEAD),vendor/lib; git commit -qm sub");
	s = open_repo("sub");
	assert_int_equal(source_resolve(s, NULL, &c, &err), 0);
	req.source = s;
	CLEANUP_FREE char *sub = list(&req);
	assert_non_null(strstr(sub, "'vendor/lib' is a git submodule"));
	source_close(s);
}

static void test_folder(void **state)
{
	struct context_request req = {
		.kind = CONFIG_CONTEXT_DIR, .root = top, .path = "d", .dockerfile = "build/Df"};
	char name[161];

	memset(name, 'n', 160);
	name[160] = '\0';
	shell("mkdir -p d/build d/skip/in d/empty; cd d; echo F >build/Df; echo s >skip/s;"
	      "echo k >skip/in/k; echo u >untracked; ln -s /etc/passwd out; ln -s skip in;"
	      "printf 'skip\\nbuild\\n!skip/in/k\\n' >build/Df.dockerignore; echo '*' "
	      ">.dockerignore;"
	      "mkfifo pipe; chmod 600 untracked; touch "
	      "$(printf 'n%.0s' $(seq 160))");
	CLEANUP_FREE char *text = list(&req);
	CLEANUP_FREE char *want = xasprintf("644 .dockerignore=*\n755 build/\n644 build/Df=F\n"
					    "644 build/Df.dockerignore=skip\nbuild\n!skip/in/k\n"
					    "755 empty/\n777 in -> skip\n644 %s\n"
					    "777 out -> /etc/passwd\n755 skip/\n755 skip/in/\n"
					    "644 skip/in/k=k\n600 untracked=u\n",
		name);
	assert_string_equal(text, want);

	req.dockerfile = "../r/Dockerfile";
	CLEANUP_FREE char *outside = list(&req);
	assert_non_null(strstr(outside, "644 .dockerfile."));
	req.dockerfile = "nope";
	CLEANUP_FREE char *none = list(&req);
	assert_non_null(strstr(none, "nope': No such file"));
	req.path = "nope";
	CLEANUP_FREE char *no_dir = list(&req);
	assert_non_null(strstr(no_dir, "build context '"));
}

static void test_source(void **state)
{
	struct git_source *s = open_repo("r/a/b");
	struct source_commit c;
	struct source_state dirty;
	struct source_commits log = {0};
	struct error err = {0};
	bool more;

	assert_int_equal(source_resolve(s, "v1", &c, &err), 0);
	assert_string_equal(c.subject, "First: it starts");
	assert_string_equal(c.author, "Ann <ann@example.com>");
	assert_int_equal(c.time, 1700000000);
	assert_int_equal(strlen(c.version), 10);
	assert_memory_equal(c.version, c.id, 10);
	assert_int_equal(source_resolve(s, "no-such", &c, &err), -1);
	assert_int_equal(err.sys, ENOENT);
	CLEANUP_FREE char *branch = source_branch(s);
	assert_string_equal(branch, "main");
	assert_null(source_remote_url(s));

	assert_int_equal(source_log(s, "v1", "HEAD", 10, &log, &more, &err), 0);
	assert_int_equal(log.len, 1);
	assert_string_equal(log.p[0].subject, "Second");
	assert_false(more);
	vec_fini(&log);

	assert_int_equal(source_dirty(s, &dirty, &err), 0);
	assert_int_equal(dirty.modified + dirty.untracked, 0);
	source_state_fini(&dirty);
	shell("cd r; echo more >>a/one; echo n >new; mkdir -p newdir; echo n >newdir/n");
	assert_int_equal(source_dirty(s, &dirty, &err), 0);
	assert_int_equal(dirty.modified, 1);
	assert_int_equal(dirty.untracked, 2);
	assert_string_equal(dirty.names.p[0], "a/one");
	source_state_fini(&dirty);
	shell("cd r; git checkout -q a/one; rm -r new newdir");
	source_close(s);
}

static void test_detached_bare_worktree(void **state)
{
	struct git_source *s;
	struct source_commit c;
	struct source_state dirty;
	struct error err = {0};

	shell("git clone -q --bare r bare.git; cd r; git worktree add -q --detach ../wt v1; "
	      "git -C ../bare.git remote add origin https://user:pw@example.com/x.git || git -C "
	      "../bare.git remote set-url origin https://user:pw@example.com/x.git");
	s = open_repo("bare.git");
	assert_true(source_is_bare(s));
	assert_int_equal(source_dirty(s, &dirty, &err), 0);
	assert_int_equal(source_resolve(s, NULL, &c, &err), 0);
	CLEANUP_FREE char *url = source_remote_url(s);
	assert_string_equal(url, "https://example.com/x.git");
	source_close(s);

	s = open_repo("wt");
	assert_int_equal(source_resolve(s, NULL, &c, &err), 0);
	assert_string_equal(c.subject, "First: it starts");
	unsetenv("CI_COMMIT_REF_NAME");
	unsetenv("GITHUB_HEAD_REF");
	unsetenv("GITHUB_REF_NAME");
	CLEANUP_FREE char *none = source_branch(s);
	assert_string_equal(none, "");
	setenv("CI_COMMIT_REF_NAME", "feature/x", 1);
	CLEANUP_FREE char *ci = source_branch(s);
	assert_string_equal(ci, "feature/x");
	unsetenv("CI_COMMIT_REF_NAME");
	source_close(s);

	assert_null(source_open("/proc", &err));
	assert_int_equal(err.sys, ENOENT);
	shell("git init -q empty");
	s = open_repo("empty");
	assert_int_equal(source_resolve(s, NULL, &c, &err), -1);
	assert_non_null(strstr(err.text, "has no commit yet"));
	source_close(s);
}

static void test_foreign_owner(void **state)
{
	struct error err = {0};
	CLEANUP_FREE char *path = fs_join(top, "owned");

	if (geteuid() != 0) {
		skip();
	}
	shell("git clone -q r owned; chown -R 12345 owned");
	assert_null(source_open(path, &err));
	assert_int_equal(err.kind, ERROR_MANIFEST);
	assert_non_null(strstr(err.hint, "safe.directory"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_git_tree),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_folder),
		cmocka_unit_test(test_source),
		cmocka_unit_test(test_detached_bare_worktree),
		cmocka_unit_test(test_foreign_owner),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
