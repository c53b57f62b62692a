/* SPDX-License-Identifier: MIT */
/* Finds and reads the files, and goes through the steps. */
#include "internal.h"

#include "manifest/syntax.h"
#include "util/fs.h"

#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct load {
	struct loaded *out;
	struct arena *arena;
	const struct config_request *req;
	struct diagnostics *diags;
	struct error *err;
};

static const char *env_of(void *ctx, const char *name)
{
	return getenv(name);
}

static bool is_file(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && !S_ISDIR(st.st_mode);
}

/* "a/b" under `dir`, or as it is when absolute or when dir is NULL. */
static char *under(struct load *l, const char *dir, const char *name)
{
	if (dir == NULL || name[0] == '/') {
		return arena_strdup(l->arena, name);
	}
	return arena_printf(l->arena, "%s/%s", dir, name);
}

/* deploy.yml or config/deploy.yml, from the folder upwards to the one with .git. */
static char *find_file(struct load *l)
{
	static const char *const names[] = {"deploy.yml", "config/deploy.yml"};
	char *dir = realpath(l->req->dir != NULL ? l->req->dir : ".", NULL);
	char *found = NULL;
	bool here = true;

	while (dir != NULL && found == NULL) {
		char *git = arena_printf(l->arena, "%s/.git", dir);
		char *slash = strrchr(dir, '/');

		for (size_t i = 0; i < 2 && found == NULL; i++) {
			char *path = arena_printf(l->arena, "%s/%s", dir, names[i]);

			if (is_file(path)) {
				found = here ? under(l, l->req->dir, names[i]) : path;
			}
		}
		if (fs_exists(git) || slash == NULL || slash == dir) {
			break;
		}
		*slash = '\0';
		here = false;
	}
	free(dir);
	if (found == NULL) {
		error_set(l->err, ERROR_MANIFEST,
			"there is no deploy.yml, here or in a folder above");
		error_hint(l->err, "'deploy init' writes one; -c FILE names another");
	}
	return found;
}

/* The name that is shown: as given, but without "./" and this folder's own path in front. */
static const char *shown_name(struct load *l, const char *path)
{
	char cwd[PATH_MAX];
	size_t n;

	if (str_starts(path, "./")) {
		path += 2;
	}
	if (getcwd(cwd, sizeof(cwd)) == NULL) {
		return path;
	}
	n = strlen(cwd);
	return strncmp(path, cwd, n) == 0 && path[n] == '/' ? path + n + 1 : path;
}

/* Keeps the text, without a byte order mark. */
static struct source *keep_source(struct load *l, const char *name, const char *text, size_t len)
{
	struct source *source = arena_alloc(l->arena, sizeof(*source));
	bool bom = len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0;

	source->name = arena_strdup(l->arena, name);
	source->text = arena_strndup(l->arena, text + (bom ? 3 : 0), len - (bom ? 3 : 0));
	source->len = len - (bom ? 3 : 0);
	if (l->out->sources.n < 2) {
		l->out->sources.p[l->out->sources.n++] = source;
	}
	return source;
}

/* Reads and parses one file; NULL with *l->err, or with diagnostics. */
static struct node *read_file(struct load *l, const char *path)
{
	struct str text = STR_INIT(TREE_BYTES_MAX + 1);
	struct error err = {0};
	struct stat st;
	struct node *root = NULL;

	if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > (off_t)TREE_BYTES_MAX) {
		struct source source = {.name = shown_name(l, path)};
		struct mark m = {.source = &source};

		diagnostics_add(l->diags, DIAGNOSTIC_ERROR, &m, NULL,
			"larger than %zu KiB; this is no manifest", TREE_BYTES_MAX >> 10);
		return NULL;
	}
	if (fs_read(path, &text, &err) != 0) {
		err.kind = ERROR_MANIFEST;
		*l->err = err;
	} else {
		root = tree_parse(l->arena,
			keep_source(l, shown_name(l, path), str_c(&text), text.len), l->diags);
	}
	str_fini(&text);
	return root;
}

/* Folder of the manifest, and where its repository is. */
static int find_roots(struct load *l, const char *path)
{
	struct config *c = &l->out->c;
	char *copy = arena_strdup(l->arena, path);
	char *real = realpath(dirname(copy), NULL);

	if (real == NULL) {
		return error_sys(l->err, ERROR_MANIFEST, errno, "%s", path);
	}
	size_t n = strlen(real);

	if (n > 7 && strcmp(real + n - 7, "/config") == 0) {
		real[n - 7] = '\0';
	}
	c->root = arena_strdup(l->arena, real);
	for (;;) {
		char *slash = strrchr(real, '/');

		if (fs_exists(arena_printf(l->arena, "%s/.git", real))) {
			c->git_root = arena_strdup(l->arena, real);
			break;
		}
		if (slash == NULL || slash == real) {
			break;
		}
		*slash = '\0';
	}
	free(real);
	return 0;
}

/* The destinations that have a file beside `path`: for the hint. */
static void hint_destinations(struct load *l, const char *path, size_t stem)
{
	char *copy = arena_strdup(l->arena, path);
	const char *dir_name = dirname(copy);
	const char *slash = strrchr(path, '/');
	const char *base = slash != NULL ? slash + 1 : path;
	size_t base_stem = stem - (size_t)(base - path);
	DIR *dir = opendir(dir_name);
	struct strvec found = {0};
	struct str text = STR_INIT(256);
	const struct dirent *e;

	while (dir != NULL && (e = readdir(dir)) != NULL) {
		size_t n = strlen(e->d_name);

		if (strncmp(e->d_name, base, base_stem) == 0 && e->d_name[base_stem] == '.' &&
			n > base_stem + 5 && strcmp(e->d_name + n - 4, ".yml") == 0) {
			char *name = xstrndup(e->d_name + base_stem + 1, n - base_stem - 5);

			strvec_push(&found, name);
			free(name);
		}
	}
	if (dir != NULL) {
		closedir(dir);
	}
	strvec_sort(&found);
	VEC_FOREACH (&found, i) {
		str_addf(&text, "%s%s", i > 0 ? ", " : "", found.p[i]);
	}
	if (found.len > 0) {
		error_hint(l->err, "there is: %s", str_c(&text));
	}
	strvec_fini(&found);
	str_fini(&text);
}

/* deploy.yml -> deploy.<destination>.yml, laid over. */
static struct node *overlay(struct load *l, const char *path, struct node *base)
{
	const char *dest = l->req->destination;
	const char *dot = strrchr(path, '.');
	const char *slash = strrchr(path, '/');
	size_t stem =
		dot != NULL && (slash == NULL || dot > slash) ? (size_t)(dot - path) : strlen(path);
	const char *over_path =
		arena_printf(l->arena, "%.*s.%s%s", (int)stem, path, dest, path + stem);

	if (!is_file(over_path)) {
		error_set(l->err, ERROR_MANIFEST, "destination '%s' has no file '%s'", dest,
			shown_name(l, over_path));
		hint_destinations(l, path, stem);
		return NULL;
	}
	struct node *over = read_file(l, over_path);

	return over != NULL && base != NULL ? tree_overlay(l->arena, base, over) : NULL;
}

static int fail(struct load *l, const char *path)
{
	size_t n = l->diags->errors;

	if (l->err->kind != ERROR_NONE) {
		return -1;
	}
	return error_set(l->err, ERROR_MANIFEST, "%s: %zu mistake%s", shown_name(l, path), n,
		n == 1 ? "" : "s");
}

/* A password that was written down is not shown with the lines of mistakes. */
static void hide_password(const struct node *registry)
{
	const struct node *n = node_get(registry, "password");

	if (n == NULL || n->kind != NODE_SCALAR || n->mark.source == NULL) {
		return;
	}
	const struct source *s = n->mark.source;
	char *p = (char *)(uintptr_t)s->text, *end = p + s->len; /* our copy, in the arena */

	for (int line = 1; line < n->mark.line && p < end; line++) {
		p = memchr(p, '\n', (size_t)(end - p));
		p = p != NULL ? p + 1 : end;
	}
	for (int column = 0; p < end && *p != '\n'; p++) {
		column += ((unsigned char)*p & 0xC0) != 0x80;
		if (column >= n->mark.column && column < n->mark.column + n->mark.width) {
			*p = '*';
		}
	}
}

static void hide_passwords(const struct node *root)
{
	const struct node *accessories = node_get(root, "accessories");

	hide_password(node_get(root, "registry"));
	for (size_t i = 0;
		accessories != NULL && accessories->kind == NODE_MAP && i < accessories->len; i++) {
		hide_password(node_get(accessories->p[i].value, "registry"));
	}
}

/* From the tree on: 0, or -1 with mistakes. */
static int finish(struct load *l, struct node *root, const char *path)
{
	const struct config_request *req = l->req;

	l->out->sources.root = root;
	hide_passwords(root);
	tree_expand(l->arena, root, req->getenv != NULL ? req->getenv : env_of, req->ctx, l->diags);
	validate_tree(root, l->diags);
	struct build b = {
		.out = l->out, .arena = l->arena, .c = &l->out->c, .diags = l->diags, .root = root};

	build_root(&b);
	return l->diags->errors > 0 ? fail(l, path) : 0;
}

static int load(struct load *l)
{
	const struct config_request *req = l->req;
	struct config *c = &l->out->c;
	const char *path;
	const char *wrong = req->destination != NULL ? syntax_name(req->destination) : NULL;

	if (wrong != NULL) {
		return error_set(
			l->err, ERROR_USAGE, "destination '%s' %s", req->destination, wrong);
	}
	path = req->file != NULL ? under(l, req->dir, req->file) : find_file(l);
	if (path == NULL || find_roots(l, path) != 0) {
		return -1;
	}
	c->file = arena_strdup(l->arena, path);
	c->destination = arena_strdup(l->arena, req->destination);
	c->sources = &l->out->sources;
	struct node *root = read_file(l, path);

	if (l->err->kind == ERROR_NONE && req->destination != NULL) {
		root = overlay(l, path, root);
	}
	return root != NULL ? finish(l, root, path) : fail(l, path);
}

static int load_texts(struct load *l, const struct source *files, size_t n)
{
	static const char path[] = "deploy.yml";
	struct config *c = &l->out->c;
	struct node *root = NULL;

	if (find_roots(l, under(l, l->req->dir, path)) != 0) {
		return -1;
	}
	c->file = path;
	c->destination = arena_strdup(l->arena, l->req->destination);
	c->sources = &l->out->sources;
	for (size_t i = 0; i < n; i++) {
		const struct source *f = keep_source(l, files[i].name, files[i].text, files[i].len);
		struct node *one = tree_parse(l->arena, f, l->diags);

		if (one == NULL) {
			return fail(l, path);
		}
		root = i > 0 ? tree_overlay(l->arena, root, one) : one;
	}
	return finish(l, root, path);
}

struct loaded *load_sources(const struct source *files, size_t n, const struct config_request *req,
	struct diagnostics *diags)
{
	struct loaded *out = xcalloc(1, sizeof(*out));
	struct error err = {0};
	struct load l = {.out = out, .arena = &out->arena, .req = req, .diags = diags, .err = &err};

	if (load_texts(&l, files, n) != 0 && diags->errors == 0) {
		diagnostics_add(diags, DIAGNOSTIC_ERROR, NULL, NULL, "%s", err.text);
	}
	return out;
}

struct config *config_load(
	const struct config_request *req, struct diagnostics *diags, struct error *err)
{
	struct loaded *out = xcalloc(1, sizeof(*out));
	struct error local = {0};
	struct load l = {
		.out = out, .arena = &out->arena, .req = req, .diags = diags, .err = &local};

	if (load(&l) != 0) {
		*err = local;
		config_free(&out->c);
		return NULL;
	}
	return &out->c;
}

struct config *config_load_text(const char *text, size_t len, const struct config_request *req,
	struct diagnostics *diags, struct error *err)
{
	struct loaded *out = xcalloc(1, sizeof(*out));
	struct error local = {0};
	struct load l = {
		.out = out, .arena = &out->arena, .req = req, .diags = diags, .err = &local};

	if (load_texts(&l, &(struct source){"deploy.yml", text, len}, 1) != 0) {
		*err = local;
		config_free(&out->c);
		return NULL;
	}
	return &out->c;
}

void config_free(struct config *c)
{
	if (c != NULL) {
		struct loaded *l = (struct loaded *)c; /* c is its first member */
		struct arena arena = l->arena;

		free(l);
		arena_fini(&arena);
	}
}

static bool same_host(const struct config_host *a, const struct config_host *b)
{
	return str_eq(a->name, b->name) && str_eq(a->user, b->user) && a->port == b->port;
}

static void add_hosts(struct config_host_ptrs *out, const struct config_hosts *hosts)
{
	VEC_FOREACH (hosts, i) {
		bool known = false;

		for (size_t k = 0; k < out->len && !known; k++) {
			known = same_host(out->p[k], &hosts->p[i]);
		}
		if (!known) {
			vec_push(out, &hosts->p[i]);
		}
	}
}

const struct config_role *config_role_named(const struct config *c, const char *name)
{
	VEC_FOREACH (&c->roles, i) {
		if (str_eq(c->roles.p[i].name, name)) {
			return &c->roles.p[i];
		}
	}
	return NULL;
}

int config_role_containers(const struct config_role *role)
{
	return role->crons.len > 0 ? (int)role->crons.len : role->replicas;
}

bool config_role_is_on(const struct config_role *role, const char *host)
{
	VEC_FOREACH (&role->hosts, i) {
		if (str_eq(role->hosts.p[i].name, host)) {
			return true;
		}
	}
	return false;
}

void config_all_hosts(const struct config *c, struct config_host_ptrs *out)
{
	VEC_FOREACH (&c->roles, i) {
		add_hosts(out, &c->roles.p[i].hosts);
	}
}

static bool has_role(const struct config *c, const char *host)
{
	VEC_FOREACH (&c->roles, i) {
		if (config_role_is_on(&c->roles.p[i], host)) {
			return true;
		}
	}
	return false;
}

void config_accessory_hosts(const struct config *c, struct config_host_ptrs *out)
{
	struct config_host_ptrs all = {0};

	VEC_FOREACH (&c->accessories, i) {
		add_hosts(&all, &c->accessories.p[i].hosts);
	}
	VEC_FOREACH (&all, i) {
		if (!has_role(c, all.p[i]->name)) {
			vec_push(out, all.p[i]);
		}
	}
	vec_fini(&all);
}

void config_mistake(const struct config *c, struct diagnostics *diags,
	const struct config_mark *mark, const char *hint, const char *fmt, ...)
{
	struct mark m = {.line = mark->line, .column = mark->column, .width = 1};
	struct source fallback = {.name = mark->file != NULL ? mark->file : c->file};
	char text[1024];
	va_list ap;

	m.source = &fallback;
	for (size_t i = 0; c->sources != NULL && i < c->sources->n; i++) {
		if (mark->file != NULL && strcmp(c->sources->p[i]->name, mark->file) == 0) {
			m.source = c->sources->p[i];
		}
	}
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (m.source == &fallback) {
		m.line = m.column = 0;
	}
	diagnostics_add(diags, DIAGNOSTIC_ERROR, &m, hint, "%s", text);
}
