/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include "manifest/expand.h"

#include <stdio.h>
#include <string.h>

const struct node_item *node_find(const struct node *map, const char *key)
{
	if (map == NULL || map->kind != NODE_MAP) {
		return NULL;
	}
	for (size_t i = 0; i < map->len; i++) {
		if (strcmp(map->p[i].key->text, key) == 0) {
			return &map->p[i];
		}
	}
	return NULL;
}

struct node *node_get(const struct node *map, const char *key)
{
	const struct node_item *item = node_find(map, key);

	return item != NULL ? item->value : NULL;
}

bool node_is_null(const struct node *n)
{
	static const char *const words[] = {"", "~", "null", "Null", "NULL"};

	if (n == NULL) {
		return true;
	}
	if (n->kind != NODE_SCALAR || !n->plain || n->expanded || n->bad) {
		return false;
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(n->text, words[i]) == 0) {
			return true;
		}
	}
	return false;
}

const char *node_shown(const struct node *n, char buf[NODE_SHOWN_SIZE])
{
	if (n->kind != NODE_SCALAR) {
		return n->kind == NODE_LIST ? "a list" : "a map";
	}
	if (node_is_null(n)) {
		return "nothing";
	}
	size_t len = strlen(n->raw), cut = len > 60 ? 57 : len;

	while (cut < len && cut > 0 && ((unsigned char)n->raw[cut] & 0xC0) == 0x80) {
		cut--;
	}
	snprintf(buf, NODE_SHOWN_SIZE, "'%.*s%s'", (int)cut, n->raw, cut < len ? "..." : "");
	return buf;
}

struct node *tree_overlay(struct arena *a, struct node *base, struct node *over)
{
	if (base == NULL || over == NULL || base->kind != NODE_MAP || over->kind != NODE_MAP) {
		return over != NULL ? over : base;
	}
	struct node *n = arena_alloc(a, sizeof(*n));

	*n = *base;
	n->mark = over->len > 0 ? over->mark : base->mark;
	n->p = NULL;
	n->len = n->cap = 0;
	for (size_t i = 0; i < base->len; i++) {
		struct node_item item = base->p[i];
		const struct node_item *with = node_find(over, item.key->text);

		if (with != NULL) {
			item.key = with->key;
			item.value = tree_overlay(a, item.value, with->value);
		}
		arena_push(a, n, item);
	}
	for (size_t i = 0; i < over->len; i++) {
		if (node_find(base, over->p[i].key->text) == NULL) {
			arena_push(a, n, over->p[i]);
		}
	}
	return n;
}

struct expander {
	struct arena *arena;
	expand_get *get;
	void *ctx;
	struct diagnostics *diags;
};

/* Points into a scalar of one line; else at its beginning. */
static struct mark reference_mark(const struct node *n, const struct expand_problem *problem)
{
	struct mark m = n->mark;

	if (strchr(n->raw, '\n') == NULL && m.width < 1000) {
		for (size_t i = 0; i < problem->offset; i++) {
			m.column += ((unsigned char)n->raw[i] & 0xC0) != 0x80;
		}
		m.column += n->plain ? 0 : 1;
		m.width = (int)problem->len;
	}
	return m;
}

static void expand_scalar(struct expander *x, struct node *n)
{
	struct expand_problem problem;
	struct str out = STR_INIT(EXPAND_MAX);

	if (n->bad || !expand_needed(n->text)) {
		return;
	}
	if (expand_text(n->text, x->get, x->ctx, &out, &problem) != 0) {
		struct mark m = reference_mark(n, &problem);

		n->bad = true;
		diagnostics_add(x->diags, DIAGNOSTIC_ERROR, &m,
			problem.hint[0] != '\0' ? problem.hint : NULL, "%s", problem.message);
	} else if (!text_is_utf8(str_c(&out))) {
		n->bad = true;
		diagnostics_add(x->diags, DIAGNOSTIC_ERROR, &n->mark, NULL,
			"a variable in this value is not UTF-8");
	} else {
		n->text = arena_strndup(x->arena, str_c(&out), out.len);
		n->expanded = true;
	}
	str_fini(&out);
}

static void expand_node(struct expander *x, struct node *n)
{
	if (n->visited) {
		return;
	}
	n->visited = true;
	if (n->kind == NODE_SCALAR) {
		expand_scalar(x, n);
		return;
	}
	for (size_t i = 0; i < n->len; i++) {
		const struct node *key = n->p[i].key;

		if (key != NULL && expand_needed(key->text)) {
			diagnostics_add(x->diags, DIAGNOSTIC_ERROR, &key->mark, NULL,
				"variables are expanded in values, not in keys");
		}
		expand_node(x, n->p[i].value);
	}
}

void tree_expand(struct arena *a, struct node *root,
	const char *(*getenv_fn)(void *ctx, const char *name), void *ctx, struct diagnostics *diags)
{
	struct expander x = {.arena = a, .get = getenv_fn, .ctx = ctx, .diags = diags};

	for (size_t i = 0; i < root->len; i++) {
		if (strncmp(root->p[i].key->text, "x-", 2) != 0) {
			expand_node(&x, root->p[i].value);
		}
	}
}
