/* SPDX-License-Identifier: MIT */
/* From the validated tree to the configuration: what several parts need. */
#include "internal.h"

#include "manifest/options.h"
#include "manifest/syntax.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 5, 0))) static void tell(struct build *b, enum diagnostic_level level,
	const struct node *at, const char *hint, const char *fmt, va_list ap)
{
	char text[1024];

	vsnprintf(text, sizeof(text), fmt, ap);
	diagnostics_add(b->diags, level, at != NULL ? &at->mark : NULL, hint, "%s", text);
}

void mistake(struct build *b, const struct node *at, const char *hint, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tell(b, DIAGNOSTIC_ERROR, at, hint, fmt, ap);
	va_end(ap);
}

void warning(struct build *b, const struct node *at, const char *hint, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tell(b, DIAGNOSTIC_WARNING, at, hint, fmt, ap);
	va_end(ap);
}

bool usable(const struct node *n)
{
	return n != NULL && !n->bad && !node_is_null(n);
}

bool has(const struct node *map, const char *key)
{
	return usable(node_get(map, key));
}

const char *get_text(const struct node *map, const char *key, const char *otherwise)
{
	const struct node *n = node_get(map, key);

	return usable(n) && n->kind == NODE_SCALAR ? n->text : otherwise;
}

bool get_bool(const struct node *map, const char *key, bool otherwise)
{
	const char *text = get_text(map, key, NULL);
	int value = text != NULL ? syntax_bool(text) : -1;

	return value >= 0 ? value : otherwise;
}

int get_int(const struct node *map, const char *key, int otherwise)
{
	const char *text = get_text(map, key, NULL);
	int64_t value;

	return text != NULL && syntax_integer(text, &value) == 0 ? (int)value : otherwise;
}

int get_ms(const struct node *map, const char *key, int otherwise)
{
	const char *text = get_text(map, key, NULL);
	int64_t ms = text != NULL ? syntax_duration(text) : -1;

	return ms >= 0 ? (int)ms : otherwise;
}

int64_t get_size(const struct node *map, const char *key, int64_t otherwise)
{
	const char *text = get_text(map, key, NULL);
	int64_t bytes = text != NULL ? syntax_size(text) : -1;

	return bytes >= 0 ? bytes : otherwise;
}

struct config_mark mark_at(const struct node *n)
{
	struct config_mark m = {0};

	if (n != NULL && n->mark.source != NULL) {
		m.file = n->mark.source->name;
		m.line = n->mark.line;
		m.column = n->mark.column;
	}
	return m;
}

/* "a, b" */
static void split_commas(struct build *b, const char *text, struct strvec *out)
{
	while (*text != '\0') {
		size_t n, keep;

		text += strspn(text, " ,");
		n = keep = strcspn(text, ",");
		while (keep > 0 && text[keep - 1] == ' ') {
			keep--;
		}
		if (keep > 0) {
			arena_push(b->arena, out, arena_strndup(b->arena, text, keep));
		}
		text += n;
	}
}

void get_list(
	struct build *b, const struct node *map, const char *key, bool commas, struct strvec *out)
{
	const struct node *n = node_get(map, key);

	if (!usable(n) || n->kind == NODE_MAP) {
		return;
	}
	if (n->kind == NODE_SCALAR) {
		if (commas) {
			split_commas(b, n->text, out);
		} else {
			arena_push(b->arena, out, arena_strdup(b->arena, n->text));
		}
		return;
	}
	for (size_t i = 0; i < n->len; i++) {
		const struct node *item = n->p[i].value;

		if (usable(item) && item->kind == NODE_SCALAR && !strvec_has(out, item->text)) {
			arena_push(b->arena, out, arena_strdup(b->arena, item->text));
		}
	}
}

void get_map(struct build *b, const struct node *map, const char *key, struct strmap *out)
{
	const struct node *n = node_get(map, key);

	if (!usable(n) || n->kind != NODE_MAP) {
		return;
	}
	for (size_t i = 0; i < n->len; i++) {
		const struct node *item = n->p[i].value;

		if (usable(item) && item->kind == NODE_SCALAR && !n->p[i].key->bad) {
			arena_map_set(b->arena, out, n->p[i].key->text, item->text);
		}
	}
}

const char *get_secret(const struct node *map, const char *key)
{
	const struct node *n = node_get(map, key);

	if (usable(n) && n->kind == NODE_LIST) {
		n = n->len == 1 ? n->p[0].value : NULL;
	}
	return usable(n) && n->kind == NODE_SCALAR ? n->text : NULL;
}

void env_drop_secret(struct config_env *env, const char *name)
{
	for (size_t i = 0; i < env->secret.len; i++) {
		if (strcmp(env->secret.p[i].name, name) == 0) {
			memmove(&env->secret.p[i], &env->secret.p[i + 1],
				(env->secret.len - i - 1) * sizeof(env->secret.p[0]));
			env->secret.len--;
			return;
		}
	}
}

void env_drop_clear(struct config_env *env, const char *name)
{
	for (size_t i = 0; i < env->clear.len; i++) {
		if (strcmp(env->clear.p[i].key, name) == 0) {
			memmove(&env->clear.p[i], &env->clear.p[i + 1],
				(env->clear.len - i - 1) * sizeof(env->clear.p[0]));
			env->clear.len--;
			return;
		}
	}
}

/* The later of two settings of one variable counts, clear or secret. */
static void set_clear(struct build *b, struct config_env *env, const struct node *map)
{
	for (size_t i = 0; map != NULL && map->kind == NODE_MAP && i < map->len; i++) {
		const struct node *key = map->p[i].key, *v = map->p[i].value;

		if (!key->bad && usable(v) && v->kind == NODE_SCALAR) {
			env_drop_secret(env, key->text);
			arena_map_set(b->arena, &env->clear, key->text, v->text);
		}
	}
}

static void set_secrets(
	struct build *b, struct config_env *env, const struct node *list, const struct node *clear)
{
	for (size_t i = 0; list != NULL && list->kind == NODE_LIST && i < list->len; i++) {
		const struct node *n = list->p[i].value;

		if (!usable(n) || n->kind != NODE_SCALAR) {
			continue;
		}
		const char *colon = strchr(n->text, ':');
		struct config_secret_ref ref = {.mark = mark_at(n)};

		ref.name = arena_strndup(b->arena, n->text,
			colon != NULL ? (size_t)(colon - n->text) : strlen(n->text));
		ref.from = colon != NULL ? colon + 1 : ref.name;
		if (node_get(clear, ref.name) != NULL) {
			mistake(b, n, "remove one of them", "'%s' is both clear and secret",
				ref.name);
		}
		env_drop_clear(env, ref.name);
		env_drop_secret(env, ref.name);
		arena_push(b->arena, &env->secret, ref);
	}
}

void build_env(struct build *b, const struct node *env, struct config_env *out)
{
	static const char *const parts[] = {"clear", "secret", "tags"};
	bool complex = false;

	if (!usable(env) || env->kind != NODE_MAP) {
		return;
	}
	for (size_t i = 0; i < 3; i++) {
		complex = complex || node_get(env, parts[i]) != NULL;
	}
	set_clear(b, out, complex ? node_get(env, "clear") : env);
	if (complex) {
		set_secrets(b, out, node_get(env, "secret"), node_get(env, "clear"));
	}
}

void build_env_tags(struct build *b)
{
	const struct node *tags = node_get(node_get(b->root, "env"), "tags");

	for (size_t i = 0; usable(tags) && tags->kind == NODE_MAP && i < tags->len; i++) {
		struct config_env_tag tag = {.name = tags->p[i].key->text};

		if (!tags->p[i].key->bad) {
			build_env(b, tags->p[i].value, &tag.env);
			arena_push(b->arena, &b->c->env_tags, tag);
		}
	}
}

void build_secret_files(struct build *b)
{
	const struct node *n = node_get(b->root, "secret_files");
	struct config_secret_files *files = &b->c->secret_files;

	for (size_t i = 0; usable(n) && n->kind == NODE_MAP && i < n->len; i++) {
		struct config_secret_file f = {.mark = mark_at(n->p[i].key)};

		if (n->p[i].key->bad || !usable(n->p[i].value)) {
			continue;
		}
		f.from = n->p[i].key->text;
		f.path = n->p[i].value->text;
		VEC_FOREACH (files, j) {
			if (strcmp(files->p[j].path, f.path) == 0) {
				mistake(b, n->p[i].value, NULL, "'%s' is the file of '%s' already",
					f.path, files->p[j].from);
			}
		}
		arena_push(b->arena, files, f);
	}
}

void build_options(struct build *b, const struct node *options, struct config_options *out)
{
	for (size_t i = 0; usable(options) && options->kind == NODE_MAP && i < options->len; i++) {
		const struct node *n = options->p[i].value;
		struct config_option o = {.name = options->p[i].key->text};

		const struct option_kind *kind = option_find(o.name);

		o.mark = mark_at(options->p[i].key);
		if (!options->p[i].key->bad && usable(n)) {
			get_list(b, options, o.name, false, &o.values);
			if (kind != NULL && kind->type == OPTION_BOOL && o.values.len == 1) {
				o.values.p[0] = arena_strdup(b->arena,
					syntax_bool(o.values.p[0]) == 1 ? "true" : "false");
			}
			arena_push(b->arena, out, o);
		}
	}
}

void build_logging(struct build *b, const struct node *logging, struct config_logging *out)
{
	const char *driver = get_text(logging, "driver", NULL);

	if (driver != NULL && out->driver != NULL && strcmp(driver, out->driver) != 0) {
		out->options = (struct strmap){0}; /* options belong to their driver */
	}
	if (driver != NULL) {
		out->driver = driver;
	}
	get_map(b, logging, "options", &out->options);
}
