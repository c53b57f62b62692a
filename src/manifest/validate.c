/* SPDX-License-Identifier: MIT */
/* Walks the tree along the schema and tells every mistake. */
#include "internal.h"

#include "manifest/options.h"
#include "manifest/syntax.h"

#include <stdio.h>
#include <string.h>

static void check_value(
	struct validator *v, struct node *n, const struct schema *s, const struct path *p);

void path_key(struct path *p, const struct path *parent, const char *key, bool is_free)
{
	*p = *parent;
	if (p->n_shown > 0) {
		text_append(p->shown, sizeof(p->shown), &p->n_shown, ".");
		text_append(p->schema, sizeof(p->schema), &p->n_schema, ".");
	}
	text_append(p->shown, sizeof(p->shown), &p->n_shown, key);
	text_append(p->schema, sizeof(p->schema), &p->n_schema, is_free ? "*" : key);
}

void path_index(struct path *p, const struct path *parent, size_t index)
{
	char text[32];

	*p = *parent;
	snprintf(text, sizeof(text), "[%zu]", index);
	text_append(p->shown, sizeof(p->shown), &p->n_shown, text);
}

/* "'servers.web'", or "the manifest" at the top. */
static const char *place(const struct path *p, char buf[300])
{
	if (p->n_shown == 0) {
		return "the manifest";
	}
	snprintf(buf, 300, "'%s'", p->shown);
	return buf;
}

static void refuse_later(struct validator *v, const struct node *at, const char *what)
{
	diagnostics_add(v->diags, DIAGNOSTIC_ERROR, &at->mark, NULL, "%s not supported yet", what);
}

static void check_list(
	struct validator *v, struct node *n, const struct schema *s, const struct path *p)
{
	if (s->single && n->len != 1) {
		n->bad = true;
		diagnostics_add(v->diags, DIAGNOSTIC_ERROR, &n->mark, NULL,
			"'%s' has to name one secret", p->shown);
		return;
	}
	for (size_t i = 0; i < n->len; i++) {
		struct node *item = n->p[i].value;
		struct path here;

		path_index(&here, p, i);
		if (node_is_null(item)) {
			item->bad = true;
			diagnostics_add(v->diags, DIAGNOSTIC_ERROR, &item->mark, NULL,
				"'%s' is empty", here.shown);
			continue;
		}
		check_value(v, item, s->items, &here);
		for (size_t j = 0; s->unique && !item->bad && item->kind == NODE_SCALAR && j < i;
			j++) {
			const struct node *other = n->p[j].value;

			if (other->kind == NODE_SCALAR && !other->bad &&
				strcmp(other->text, item->text) == 0) {
				validate_wrong_value(
					v, item, &here, NULL, "is in the list already");
			}
		}
	}
}

/* The key's place elsewhere in the schema, as "proxy.app_port"; depth-first, shortest first. */
static bool find_elsewhere(
	const struct schema *s, const char *key, int depth, char *out, size_t size)
{
	for (const struct schema_key *k = s->keys; k != NULL && k->name != NULL; k++) {
		if (depth == 0 && k->never == NULL && strcmp(k->name, key) == 0) {
			snprintf(out, size, "%s", key);
			return true;
		}
		if (depth > 0 && k->never == NULL) {
			char inner[128];

			if (find_elsewhere(k->value, key, depth - 1, inner, sizeof(inner))) {
				snprintf(out, size, "%s.%s", k->name, inner);
				return true;
			}
		}
	}
	if (s->values != NULL && depth > 0) {
		char inner[128];

		if (find_elsewhere(s->values, key, depth - 1, inner, sizeof(inner))) {
			snprintf(out, size, "<name>.%s", inner);
			return true;
		}
	}
	return false;
}

static void unknown_key(
	struct validator *v, const struct node *key, const struct schema *s, const struct path *p)
{
	char hint[320], where[256], at[300];
	size_t count = 0;
	const char *near;

	while (s->keys[count].name != NULL) {
		count++;
	}
	near = diagnostics_nearest(key->text, s->keys, count, sizeof(s->keys[0]));
	hint[0] = '\0';
	if (near != NULL) {
		snprintf(hint, sizeof(hint), "did you mean '%s'?", near);
	} else {
		for (int depth = 0; depth < 4 && hint[0] == '\0'; depth++) {
			if (find_elsewhere(&schema_root, key->text, depth, where, sizeof(where))) {
				snprintf(hint, sizeof(hint), "there is '%s'", where);
			}
		}
	}
	diagnostics_add(v->diags, DIAGNOSTIC_ERROR, &key->mark, hint[0] != '\0' ? hint : NULL,
		"unknown key '%.200s' in %s", key->text, place(p, at));
}

static void check_key(struct validator *v, const struct node_item *item, const struct schema_key *k,
	const struct path *p)
{
	struct path here;

	path_key(&here, p, k->name, false);
	if (k->never != NULL) {
		item->value->bad = true;
		diagnostics_add(v->diags, DIAGNOSTIC_ERROR, &item->key->mark, k->instead,
			"'%s' is not supported: %s", here.shown, k->never);
		return;
	}
	if (node_is_null(item->value)) {
		if (k->required) {
			item->value->bad = true;
			diagnostics_add(v->diags, DIAGNOSTIC_ERROR, &item->key->mark, NULL,
				"'%s' has no value", here.shown);
		}
		return;
	}
	check_value(v, item->value, k->value, &here);
	bool empty = item->value->kind != NODE_SCALAR && item->value->len == 0;
	const char *later = empty ? NULL : later_key(here.schema);

	if (later != NULL) {
		refuse_later(v, item->key, later);
	}
}

static void check_required(
	struct validator *v, const struct node *n, const struct schema *s, const struct path *p)
{
	for (const struct schema_key *k = s->keys; k->name != NULL; k++) {
		if (k->required && node_get(n, k->name) == NULL) {
			char at[300];
			struct mark m = n->mark;

			if (p->n_shown == 0) { /* the file as a whole */
				m.line = m.column = 0;
			}
			diagnostics_add(v->diags, DIAGNOSTIC_ERROR, &m, k->doc,
				"'%s' is missing in %s", k->name, place(p, at));
		}
	}
}

static const struct schema_key *find_key(const struct schema *s, const char *name)
{
	for (const struct schema_key *k = s->keys; k != NULL && k->name != NULL; k++) {
		if (strcmp(k->name, name) == 0) {
			return k;
		}
	}
	return NULL;
}

static void check_fixed(
	struct validator *v, struct node *n, const struct schema *s, const struct path *p)
{
	for (size_t i = 0; i < n->len; i++) {
		const struct node_item *item = &n->p[i];
		const struct schema_key *k = find_key(s, item->key->text);

		if (item->key->bad) {
			continue;
		}
		if (k != NULL) {
			check_key(v, item, k, p);
		} else if (strncmp(item->key->text, "x-", 2) != 0) {
			unknown_key(v, item->key, s, p);
		}
	}
	check_required(v, n, s, p);
}

/* A name that the user chose. */
static bool check_name(
	struct validator *v, struct node *key, const struct schema_format *f, const struct path *p)
{
	const char *why = key->bad ? NULL : f->check(key->text);
	char hint[200], at[300], shown[NODE_SHOWN_SIZE];

	if (why == NULL) {
		return !key->bad;
	}
	key->bad = true;
	snprintf(hint, sizeof(hint), "it has to be %s", f->what);
	diagnostics_add(v->diags, DIAGNOSTIC_ERROR, &key->mark, hint, "name %s in %s %s",
		node_shown(key, shown), place(p, at), why);
	return false;
}

static void check_free(
	struct validator *v, struct node *n, const struct schema *s, const struct path *p)
{
	for (size_t i = 0; i < n->len; i++) {
		struct node_item *item = &n->p[i];
		struct path here;

		path_key(&here, p, item->key->text, true);
		if (!check_name(v, item->key, s->names, p)) {
			continue;
		}
		if (node_is_null(item->value) && s->values->scalar != SCHEMA_VALUE) {
			item->value->bad = true;
			diagnostics_add(v->diags, DIAGNOSTIC_ERROR, &item->key->mark, NULL,
				"'%s' has no value", here.shown);
			continue;
		}
		check_value(v, item->value, s->values, &here);
	}
}

/* `clear`, `secret` and `tags`, or the variables themselves: never both. */
static void check_env(
	struct validator *v, struct node *n, const struct schema *s, const struct path *p)
{
	const struct schema *env = &schema_env;
	bool parts = false;

	if (n->kind != NODE_MAP) {
		validate_wrong_shape(v, n, s, p);
		return;
	}
	for (size_t i = 0; i < n->len; i++) {
		parts = parts || find_key(env, n->p[i].key->text) != NULL;
	}
	if (!parts) {
		check_free(v, n, env, p);
		return;
	}
	for (size_t i = 0; i < n->len; i++) {
		struct node *key = n->p[i].key;
		const struct schema_key *k = find_key(env, key->text);

		if (k != NULL && strcmp(k->name, "tags") == 0 && strcmp(p->schema, "env") != 0) {
			diagnostics_add(v->diags, DIAGNOSTIC_ERROR, &key->mark, NULL,
				"'tags' belongs in 'env' at the top, not in '%s'", p->shown);
		} else if (k != NULL) {
			check_key(v, &n->p[i], k, p);
		} else if (!key->bad) {
			diagnostics_add(v->diags, DIAGNOSTIC_ERROR, &key->mark,
				"where there is 'clear', 'secret' or 'tags', variables belong "
				"under 'clear'",
				"unknown key '%.200s' in '%s'", key->text, p->shown);
		}
	}
}

static void check_option(
	struct validator *v, struct node *n, const struct option_kind *kind, const struct path *p)
{
	if (n->bad) {
		return;
	}
	if (n->kind == NODE_SCALAR && !node_is_null(n)) {
		const char *why = option_check(kind, n->text);

		if (why != NULL) {
			validate_wrong_value(v, n, p, NULL, why);
		}
		return;
	}
	if (n->kind != NODE_LIST || !kind->list) {
		char shown[NODE_SHOWN_SIZE];

		n->bad = true;
		diagnostics_add(v->diags, DIAGNOSTIC_ERROR, &n->mark, NULL,
			"'%s' has to be one value%s, not %s", p->shown,
			kind->list ? " or a list of them" : "", node_shown(n, shown));
		return;
	}
	for (size_t i = 0; i < n->len; i++) {
		struct path here;
		struct option_kind one = *kind;

		one.list = false;
		path_index(&here, p, i);
		check_option(v, n->p[i].value, &one, &here);
	}
}

static void check_options(
	struct validator *v, struct node *n, const struct schema *s, const struct path *p)
{
	size_t count;
	const struct option_kind *table = option_table(&count);

	if (n->kind != NODE_MAP) {
		validate_wrong_shape(v, n, s, p);
		return;
	}
	for (size_t i = 0; i < n->len; i++) {
		struct node *key = n->p[i].key;
		const struct option_kind *kind = option_find(key->text);
		struct path here;
		char hint[128];

		path_key(&here, p, key->text, true);
		if (key->bad) {
			continue;
		}
		if (kind == NULL) {
			const char *near =
				diagnostics_nearest(key->text, table, count, sizeof(table[0]));

			snprintf(
				hint, sizeof(hint), "did you mean '%s'?", near != NULL ? near : "");
			diagnostics_add(v->diags, DIAGNOSTIC_ERROR, &key->mark,
				near != NULL ? hint
					     : "the long names of docker run's options, without --",
				"unknown option '%.200s' in '%s'", key->text, p->shown);
		} else if (kind->refused != NULL) {
			diagnostics_add(v->diags, DIAGNOSTIC_ERROR, &key->mark, kind->refused,
				"option '%s' cannot be given in '%s'", key->text, p->shown);
		} else {
			check_option(v, n->p[i].value, kind, &here);
		}
	}
}

/* A host, or {host: tags}. */
static void check_host(
	struct validator *v, struct node *n, const struct schema *s, const struct path *p)
{
	if (n->kind == NODE_SCALAR) {
		validate_scalar(v, n, s, p);
		return;
	}
	if (n->kind != NODE_MAP || n->len != 1) {
		n->bad = true;
		diagnostics_add(v->diags, DIAGNOSTIC_ERROR, &n->mark, NULL,
			"'%s' has to be a host, or one host with its tags", p->shown);
		return;
	}
	validate_format(v, n->p[0].key, n->p[0].key->text, s->format, p);
	check_value(v, n->p[0].value, &schema_tags, p);
}

static void check_value(
	struct validator *v, struct node *n, const struct schema *s, const struct path *p)
{
	if (n->bad) {
		return; /* told already */
	}
	switch (s->special) {
	case SCHEMA_ENV:
		check_env(v, n, s, p);
		return;
	case SCHEMA_OPTIONS:
		check_options(v, n, s, p);
		return;
	case SCHEMA_HOST:
		check_host(v, n, s, p);
		return;
	case SCHEMA_ANY:
		return;
	case SCHEMA_PLAIN:
		break;
	}
	if (n->kind == NODE_SCALAR) {
		validate_scalar(v, n, s, p);
	} else if (n->kind == NODE_LIST && s->items != NULL) {
		check_list(v, n, s, p);
	} else if (n->kind == NODE_MAP && s->keys != NULL) {
		check_fixed(v, n, s, p);
	} else if (n->kind == NODE_MAP && s->values != NULL) {
		check_free(v, n, s, p);
	} else {
		validate_wrong_shape(v, n, s, p);
	}
}

void validate_tree(struct node *root, struct diagnostics *diags)
{
	struct validator v = {.diags = diags};
	struct path top = {.shown = ""};

	check_fixed(&v, root, &schema_root, &top);
}
