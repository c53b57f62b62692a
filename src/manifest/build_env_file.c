/* SPDX-License-Identifier: MIT */
/*
 * env_file: the names in it, so that they are told, compared and checked as all others.  Nothing is
 * resolved here, and a file that is not there is a mistake only for a command that needs secrets.
 */
#include "internal.h"

#include "secrets/dotenv.h"
#include "util/fs.h"

#include <string.h>

static void note_file(struct build *b, const char *name, const char *path, const struct node *n)
{
	struct config_env_files *files = &b->c->env_files;
	struct config_env_file file = {.name = name, .path = path, .mark = mark_at(n)};

	VEC_FOREACH (files, i) {
		if (strcmp(files->p[i].name, name) == 0) {
			return;
		}
	}
	arena_push(b->arena, files, file);
}

static void add_variable(struct build *b, const char *file, const char *name, const struct node *n,
	struct config_env *out)
{
	struct config_secret_ref ref = {.name = arena_strdup(b->arena, name),
		.from = arena_printf(b->arena, "%s:%s", file, name),
		.of_file = true,
		.mark = mark_at(n)};

	env_drop_clear(out, name);
	env_drop_secret(out, name);
	arena_push(b->arena, &out->secret, ref);
}

static void read_names(struct build *b, const struct node *n, const char *name, const char *path,
	struct config_env *out)
{
	CLEANUP_STR struct str text = STR_SECRET_INIT(DOTENV_MAX_FILE);
	struct dotenv *d = dotenv_new();
	struct error why = {0};

	if (fs_exists(path) && (fs_read(path, &text, &why) < 0 ||
				       dotenv_parse(d, name, str_c(&text), text.len, &why) < 0)) {
		mistake(b, n, NULL, "%s", why.text);
	}
	for (size_t i = 0; dotenv_name(d, i) != NULL; i++) {
		if (!str_eq(dotenv_name(d, i), "DOTENV_LINEBREAK_MODE")) {
			add_variable(b, name, dotenv_name(d, i), n, out);
		}
	}
	dotenv_free(d);
}

void build_env_files(struct build *b, const struct node *map, struct config_env *out)
{
	const struct node *n = node_get(map, "env_file");
	size_t many = usable(n) && n->kind == NODE_LIST ? n->len : usable(n) ? 1 : 0;

	for (size_t i = 0; i < many; i++) {
		const struct node *item = n->kind == NODE_LIST ? n->p[i].value : n;
		if (!usable(item) || item->kind != NODE_SCALAR) {
			continue;
		}
		const char *path = absolute_path(b, item->text);
		note_file(b, item->text, path, item);
		if (!strvec_has(&out->files, item->text)) {
			arena_push(b->arena, &out->files, arena_strdup(b->arena, item->text));
		}
		read_names(b, item, item->text, path, out);
	}
}
