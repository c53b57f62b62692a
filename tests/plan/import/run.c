/* SPDX-License-Identifier: MIT */
/*
 * Golden cases of `deploy init --from`: <case>.yml here, of Compose or of Kamal, and
 * <case>.prod.yml over it when it is there, give <case>.txt: the manifest, that of the destination,
 * the lines of the secrets file, and what the manifest's loading says.  "# hooks: NAME..." in the
 * first line: there is a .kamal folder with these.  A new case is a new file; UPDATE=1 in the
 * environment writes the expectations anew.
 */
#include "manifest/config.h"
#include "manifest/import.h"
#include "util/fs.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OUTPUT_MAX ((size_t)1 << 20)

static const char *every(void *ctx, const char *name)
{
	return "7000";
}

/* Is it a manifest, but for files that are not here? */
static void load(const char *manifest, struct str *out)
{
	struct config_request req = {.dir = "/", .getenv = every};
	struct diagnostics diags = {0};
	struct error err = {0};
	struct config *c = config_load_text(manifest, strlen(manifest), &req, &diags, &err);

	str_addf(out, "--- %s\n", c != NULL ? "loads" : "does not load");
	VEC_FOREACH (&diags, i) {
		str_addf(out, "%d: %s\n", diags.p[i].line, diags.p[i].message);
	}
	diagnostics_fini(&diags);
	config_free(c);
}

static int import_sources(
	const struct source *sources, size_t n, struct import *made, struct diagnostics *diags)
{
	CLEANUP_STRVEC struct strvec hooks = {0};
	const char *text = sources->text;

	if (!import_is_kamal(sources)) {
		return import_compose(sources, n, "shop", made, diags);
	}
	if (!str_starts(text, "# hooks:")) {
		return import_kamal(sources, n, NULL, made, diags);
	}
	for (text += 8; *text == ' ';) {
		size_t len = strcspn(++text, " \n");
		CLEANUP_FREE char *name = xstrndup(text, len);
		strvec_push(&hooks, name);
		text += len;
	}
	return import_kamal(sources, n, &hooks, made, diags);
}

static void import(const char *name, struct str *out)
{
	CLEANUP_FREE char *path = xasprintf("%s.yml", name);
	CLEANUP_FREE char *over = xasprintf("%s.prod.yml", name);
	CLEANUP_STR struct str base = STR_INIT(OUTPUT_MAX), prod = STR_INIT(OUTPUT_MAX);
	struct diagnostics diags = {0};
	struct import made = {0};
	struct error err = {0};

	if (fs_read(path, &base, &err) < 0) {
		str_add(out, err.text);
		return;
	}
	bool two = access(over, R_OK) == 0 && fs_read(over, &prod, &err) == 0;
	struct source sources[] = {{path, str_c(&base), base.len}, {over, str_c(&prod), prod.len}};
	if (import_sources(sources, two ? 2 : 1, &made, &diags) == 0) {
		str_add(out, made.manifest);
		VEC_FOREACH (&made.destinations, i) {
			str_addf(out, "--- deploy.%s.yml\n%s", made.destinations.p[i].key,
				made.destinations.p[i].value);
		}
		str_addf(out, "--- secrets\n%s", made.secrets);
		if (made.destinations.len == 0) {
			load(made.manifest, out);
		}
	}
	VEC_FOREACH (&diags, i) {
		str_addf(out, "%s:%d: %s\n", diags.p[i].file, diags.p[i].line, diags.p[i].message);
	}
	diagnostics_fini(&diags);
	import_fini(&made);
}

/* 0 when it is as expected. */
static int check(const char *name, int number)
{
	CLEANUP_STR struct str got = STR_INIT(OUTPUT_MAX), want = STR_INIT(OUTPUT_MAX);
	CLEANUP_FREE char *path = xasprintf("%s.txt", name);
	struct error err = {0};

	import(name, &got);
	if (getenv("UPDATE") != NULL) {
		(void)!fs_write_atomic(path, str_c(&got), got.len, 0644, &err);
	}
	bool same = fs_read(path, &want, &err) == 0 && strcmp(str_c(&got), str_c(&want)) == 0;
	printf("%s %d - %s\n", same ? "ok" : "not ok", number, name);
	if (!same) {
		fprintf(stderr, "--- %s is now:\n%s", path, str_c(&got));
	}
	return same ? 0 : 1;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int main(int argc, char **argv)
{
	struct strvec names = {0};
	int failed = 0;

	if (argc != 2 || chdir(argv[1]) < 0) {
		return 2;
	}
	DIR *dir = opendir(".");
	for (const struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
		size_t n = strlen(e->d_name);
		if (str_ends(e->d_name, ".yml") && strcspn(e->d_name, ".") == n - 4) {
			CLEANUP_FREE char *name = xstrndup(e->d_name, n - 4);
			strvec_push(&names, name);
		}
	}
	closedir(dir);
	qsort(names.p, names.len, sizeof(*names.p), by_name);
	printf("1..%zu\n", names.len);
	VEC_FOREACH (&names, i) {
		failed += check(names.p[i], (int)i + 1);
	}
	bool none = names.len == 0;
	strvec_fini(&names);
	return failed > 0 || none;
}
