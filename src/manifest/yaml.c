/* SPDX-License-Identifier: MIT */
/* libyaml's events to a tree of ours. */
#include "internal.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

struct anchor {
	const char *name;
	struct node *node;
};
VEC_TYPE(anchors, struct anchor);

struct reader {
	struct arena *arena;
	const struct source *source;
	struct diagnostics *diags;
	yaml_parser_t parser;
	struct anchors anchors; /* in the arena; later ones hide earlier ones of the same name */
	uint32_t weight;        /* nodes so far, aliases counted in full */
	yaml_mark_t end;        /* of the last event */
	bool has_erb;
};

static struct node *read_node(struct reader *r, yaml_event_t *e, int depth);

static struct mark mark_of(const struct reader *r, const yaml_event_t *e)
{
	struct mark m = {
		.source = r->source,
		.line = (int)e->start_mark.line + 1,
		.column = (int)e->start_mark.column + 1,
		.width = 1,
	};

	if (e->end_mark.line == e->start_mark.line && e->end_mark.column > e->start_mark.column) {
		m.width = (int)(e->end_mark.column - e->start_mark.column);
	} else if (e->type == YAML_SCALAR_EVENT && e->end_mark.line > e->start_mark.line) {
		m.width = 1000; /* to the end of the line: the renderer cuts it there */
	}
	return m;
}

/* A `${` in the line that no quote stands directly before: what breaks lists in brackets. */
static bool has_unquoted_variable(const struct source *s, int line)
{
	const char *p = s->text, *end = s->text + s->len;

	for (int i = 1; i < line && p != NULL; i++) {
		p = memchr(p, '\n', (size_t)(end - p));
		p = p != NULL ? p + 1 : NULL;
	}
	if (p == NULL || p >= end) {
		return false;
	}
	const char *stop = memchr(p, '\n', (size_t)(end - p));
	const char *at = memmem(p, (size_t)((stop != NULL ? stop : end) - p), "${", 2);

	return at != NULL && (at == p || (at[-1] != '"' && at[-1] != '\''));
}

/* What libyaml says, in the words of ours, and the usual cause. */
static void syntax_mistake(struct reader *r)
{
	const yaml_parser_t *p = &r->parser;
	struct mark m = {.source = r->source, .width = 1};
	const char *problem = p->problem != NULL ? p->problem : "cannot be read";
	const char *hint = NULL;

	m.line = (int)p->problem_mark.line + 1;
	m.column = (int)p->problem_mark.column + 1;
	if (has_unquoted_variable(r->source, m.line)) {
		hint = "within [ ] and { }, quote what has a variable in it: \"${VAR}\"";
	} else if (strstr(problem, "cannot start any token") != NULL) {
		hint = "indent with spaces, not tabs; quote a value that begins with @, ` or %";
	} else if (strstr(problem, "mapping values are not allowed") != NULL) {
		hint = "quote a value that has ': ' in it; check the indentation";
	} else if (strstr(problem, "did not find expected key") != NULL ||
		   strstr(problem, "did not find expected '-'") != NULL) {
		hint = "check the indentation of this line and the one before";
	} else if (strstr(problem, "expected ':'") != NULL) {
		hint = "a key is followed by ': '";
	}
	if (p->context != NULL && strstr(problem, "unexpected end of stream") != NULL) {
		m.line = (int)p->context_mark.line + 1; /* the end shows nothing */
		m.column = (int)p->context_mark.column + 1;
		diagnostics_add(r->diags, DIAGNOSTIC_ERROR, &m, "it has no end",
			"not valid YAML: %s %s", problem, p->context);
	} else if (p->context != NULL) {
		diagnostics_add(r->diags, DIAGNOSTIC_ERROR, &m, hint,
			"not valid YAML: %s %s (which begins in line %zu)", problem, p->context,
			p->context_mark.line + 1);
	} else {
		diagnostics_add(
			r->diags, DIAGNOSTIC_ERROR, &m, hint, "not valid YAML: %s", problem);
	}
}

static int next_event(struct reader *r, yaml_event_t *e)
{
	if (!yaml_parser_parse(&r->parser, e)) {
		/* what ERB leaves behind is no news */
		if (!r->has_erb) {
			syntax_mistake(r);
		}
		return -1;
	}
	r->end = e->end_mark;
	return 0;
}

static uint32_t hash_of(const char *s)
{
	uint32_t h = 2166136261u;

	for (; *s != '\0'; s++) {
		h = (h ^ (unsigned char)*s) * 16777619u;
	}
	return h;
}

static struct node *new_node(struct reader *r, enum node_kind kind, const yaml_event_t *e)
{
	struct node *n = arena_alloc(r->arena, sizeof(*n));

	n->kind = kind;
	n->mark = mark_of(r, e);
	n->weight = 1;
	n->text = n->raw = "";
	return n;
}

/* Counts `weight` more nodes; -1 when that is too many. */
static int count(struct reader *r, uint32_t weight, const struct mark *m)
{
	if (weight > TREE_NODES_MAX || r->weight + weight > TREE_NODES_MAX) {
		diagnostics_add(r->diags, DIAGNOSTIC_ERROR, m, NULL,
			"more than %d values, counting what aliases stand for", TREE_NODES_MAX);
		return -1;
	}
	r->weight += weight;
	return 0;
}

static void remember(struct reader *r, const yaml_char_t *name, struct node *n)
{
	if (name != NULL) {
		struct anchor anchor = {arena_strdup(r->arena, (const char *)name), n};

		arena_push(r->arena, &r->anchors, anchor);
	}
}

static struct node *read_alias(struct reader *r, const yaml_event_t *e, int depth)
{
	const char *name = (const char *)e->data.alias.anchor;
	struct mark m = mark_of(r, e);
	struct node *bad = new_node(r, NODE_SCALAR, e);

	bad->bad = true;
	for (size_t i = r->anchors.len; i-- > 0;) {
		struct node *n = r->anchors.p[i].node;

		if (strcmp(r->anchors.p[i].name, name) != 0) {
			continue;
		}
		if (n->open) {
			diagnostics_add(r->diags, DIAGNOSTIC_ERROR, &m, NULL,
				"alias '*%s' is inside of what it stands for", name);
			return bad;
		}
		if (depth + n->height > TREE_DEPTH_MAX) {
			diagnostics_add(r->diags, DIAGNOSTIC_ERROR, &m, NULL,
				"nested more than %d deep, with its aliases", TREE_DEPTH_MAX);
			return NULL;
		}
		return count(r, n->weight, &m) == 0 ? n : NULL;
	}
	const char *near =
		diagnostics_nearest(name, r->anchors.p, r->anchors.len, sizeof(r->anchors.p[0]));
	char hint[160];

	snprintf(hint, sizeof(hint), "did you mean '*%.100s'?", near != NULL ? near : "");
	diagnostics_add(r->diags, DIAGNOSTIC_ERROR, &m, near != NULL ? hint : NULL,
		"no anchor '&%s' before this alias", name);
	return bad;
}

static void check_tag(struct reader *r, const yaml_char_t *tag, struct node *n)
{
	static const char yaml[] = "tag:yaml.org,2002:";
	const char *t = (const char *)tag;

	if (t == NULL || strcmp(t, "!") == 0) {
		return;
	}
	if (strncmp(t, yaml, sizeof(yaml) - 1) == 0) {
		static const char *const known[] = {
			"str", "int", "bool", "float", "null", "seq", "map", NULL};

		for (size_t i = 0; known[i] != NULL; i++) {
			if (strcmp(t + sizeof(yaml) - 1, known[i]) == 0) {
				n->plain = n->plain && i != 0;
				return;
			}
		}
	}
	n->bad = true;
	diagnostics_add(r->diags, DIAGNOSTIC_ERROR, &n->mark, "leave the tag out",
		"tag '%s' is not understood", t);
}

static struct node *read_scalar(struct reader *r, const yaml_event_t *e)
{
	const char *value = (const char *)e->data.scalar.value;
	size_t len = e->data.scalar.length;
	struct node *n = new_node(r, NODE_SCALAR, e);

	if (count(r, 1, &n->mark) != 0) {
		return NULL;
	}
	n->height = 1;
	n->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	if (memchr(value, '\0', len) != NULL) {
		n->bad = true;
		diagnostics_add(r->diags, DIAGNOSTIC_ERROR, &n->mark, NULL, "value has a NUL byte");
		return n;
	}
	n->text = n->raw = arena_strndup(r->arena, value, len);
	n->hash = hash_of(n->text);
	if (strstr(n->text, "<%") != NULL) {
		n->erb = n->bad = true;
	}
	check_tag(r, e->data.scalar.tag, n);
	return n;
}

static struct node *read_list(struct reader *r, const yaml_event_t *start, int depth)
{
	struct node *n = new_node(r, NODE_LIST, start);
	uint32_t before = r->weight;

	n->mark.width = 1;
	if (count(r, 1, &n->mark) != 0) {
		return NULL;
	}
	remember(r, start->data.sequence_start.anchor, n);
	check_tag(r, start->data.sequence_start.tag, n);
	n->open = true;
	for (;;) {
		yaml_event_t e;

		if (next_event(r, &e) != 0) {
			return NULL;
		}
		if (e.type == YAML_SEQUENCE_END_EVENT) {
			yaml_event_delete(&e);
			break;
		}
		struct node *child = read_node(r, &e, depth + 1);

		yaml_event_delete(&e);
		if (child == NULL) {
			return NULL;
		}
		struct node_item item = {.value = child};

		if (n->len >= TREE_KEYS_MAX) {
			diagnostics_add(r->diags, DIAGNOSTIC_ERROR, &child->mark, NULL,
				"more than %d entries in one list", TREE_KEYS_MAX);
			return NULL;
		}
		arena_push(r->arena, n, item);
		n->height = child->height > n->height ? child->height : n->height;
	}
	n->open = false;
	n->height++;
	n->weight = r->weight - before;
	return n;
}

static const struct node_item *find(const struct node *map, const struct node *key)
{
	for (size_t i = 0; i < map->len; i++) {
		const struct node *k = map->p[i].key;

		if (k->hash == key->hash && strcmp(k->text, key->text) == 0) {
			return &map->p[i];
		}
	}
	return NULL;
}

static int too_many_keys(struct reader *r, const struct node *map, const struct mark *m)
{
	if (map->len < TREE_KEYS_MAX) {
		return 0;
	}
	diagnostics_add(
		r->diags, DIAGNOSTIC_ERROR, m, NULL, "more than %d keys in one map", TREE_KEYS_MAX);
	return -1;
}

/* Adds what `from` has and `map` has not: explicit keys and earlier sources win. */
static int merge_map(
	struct reader *r, struct node *map, const struct node *from, const struct mark *m)
{
	for (size_t i = 0; i < from->len; i++) {
		if (find(map, from->p[i].key) == NULL) {
			if (too_many_keys(r, map, m) != 0) {
				return -1;
			}
			arena_push(r->arena, map, from->p[i]);
		}
	}
	return 0;
}

static int merge(struct reader *r, struct node *map, const struct node_item *merge_item)
{
	const struct node *v = merge_item->value;
	const struct mark *m = &merge_item->key->mark;

	if (v->bad) {
		return 0;
	}
	if (v->kind == NODE_MAP) {
		return merge_map(r, map, v, m);
	}
	if (v->kind == NODE_SCALAR) {
		diagnostics_add(r->diags, DIAGNOSTIC_ERROR, m, "<<: *name",
			"'<<' needs a map, or a list of maps");
		return 0;
	}
	for (size_t i = 0; i < v->len; i++) {
		if (v->p[i].value->kind != NODE_MAP) {
			diagnostics_add(r->diags, DIAGNOSTIC_ERROR, m, "<<: [*one, *two]",
				"'<<' needs a map, or a list of maps");
			return 0;
		}
		if (merge_map(r, map, v->p[i].value, m) != 0) {
			return -1;
		}
	}
	return 0;
}

/* The key of the next entry; *done at the end of the map. NULL with *done false: give up. */
static struct node *read_key(struct reader *r, int depth, bool *done)
{
	yaml_event_t e;

	*done = false;
	if (next_event(r, &e) != 0) {
		return NULL;
	}
	if (e.type == YAML_MAPPING_END_EVENT) {
		yaml_event_delete(&e);
		*done = true;
		return NULL;
	}
	struct node *key = read_node(r, &e, depth + 1);

	yaml_event_delete(&e);
	if (key != NULL && key->kind != NODE_SCALAR) {
		diagnostics_add(r->diags, DIAGNOSTIC_ERROR, &key->mark,
			"a value that begins with { or [ has to be quoted",
			"a key has to be a word");
		return NULL;
	}
	return key;
}

static int add_entry(struct reader *r, struct node *map, struct node_item item,
	struct node_item **merges, size_t *n_merges)
{
	if (item.key->plain && strcmp(item.key->text, "<<") == 0) {
		struct node_item *more = arena_grow(r->arena, *merges, *n_merges * sizeof(item),
			(*n_merges + 1) * sizeof(item));

		more[(*n_merges)++] = item;
		*merges = more;
		if (*n_merges > TREE_MERGES_MAX) {
			diagnostics_add(r->diags, DIAGNOSTIC_ERROR, &item.key->mark, NULL,
				"more than %d '<<' in one map", TREE_MERGES_MAX);
			return -1;
		}
		return 0;
	}
	const struct node_item *first = find(map, item.key);

	if (first != NULL) {
		if (!item.key->bad) {
			diagnostics_add(r->diags, DIAGNOSTIC_ERROR, &item.key->mark, NULL,
				"key '%s' is given twice; first in line %d", item.key->text,
				first->key->mark.line);
		}
		return 0;
	}
	if (too_many_keys(r, map, &item.key->mark) != 0) {
		return -1;
	}
	arena_push(r->arena, map, item);
	return 0;
}

static struct node *read_map(struct reader *r, const yaml_event_t *start, int depth)
{
	struct node *n = new_node(r, NODE_MAP, start);
	struct node_item *merges = NULL;
	size_t n_merges = 0;
	uint32_t before = r->weight;

	n->mark.width = 1;
	if (count(r, 1, &n->mark) != 0) {
		return NULL;
	}
	remember(r, start->data.mapping_start.anchor, n);
	check_tag(r, start->data.mapping_start.tag, n);
	n->open = true;
	for (;;) {
		bool done;
		yaml_event_t e;
		struct node_item item = {.key = read_key(r, depth, &done)};

		if (item.key == NULL) {
			if (done) {
				break;
			}
			return NULL;
		}
		if (next_event(r, &e) != 0) {
			return NULL;
		}
		item.value = read_node(r, &e, depth + 1);
		yaml_event_delete(&e);
		item.key->end_line = (int)r->end.line + 1;
		item.key->end_column = (int)r->end.column + 1;
		if (item.value == NULL || add_entry(r, n, item, &merges, &n_merges) != 0) {
			return NULL;
		}
		n->height = item.value->height > n->height ? item.value->height : n->height;
	}
	for (size_t i = 0; i < n_merges; i++) {
		if (merge(r, n, &merges[i]) != 0) {
			return NULL;
		}
	}
	n->open = false;
	n->height++;
	n->weight = r->weight - before;
	return n;
}

static struct node *read_node(struct reader *r, yaml_event_t *e, int depth)
{
	struct node *n = NULL;

	if (depth > TREE_DEPTH_MAX) {
		struct mark m = mark_of(r, e);

		diagnostics_add(r->diags, DIAGNOSTIC_ERROR, &m, NULL, "nested more than %d deep",
			TREE_DEPTH_MAX);
		return NULL;
	}
	if (e->type == YAML_ALIAS_EVENT) {
		return read_alias(r, e, depth);
	}
	if (e->type == YAML_SCALAR_EVENT) {
		n = read_scalar(r, e);
		if (n != NULL) {
			remember(r, e->data.scalar.anchor, n);
		}
	} else if (e->type == YAML_SEQUENCE_START_EVENT) {
		n = read_list(r, e, depth);
	} else if (e->type == YAML_MAPPING_START_EVENT) {
		n = read_map(r, e, depth);
	}
	return n;
}

static struct node *empty_map(struct reader *r)
{
	struct node *n = arena_alloc(r->arena, sizeof(*n));

	n->kind = NODE_MAP;
	n->text = n->raw = "";
	n->mark = (struct mark){.source = r->source};
	n->weight = 1;
	n->height = 1;
	return n;
}

/* Reads up to the end of the stream; a second document is a mistake. */
static struct node *read_stream(struct reader *r)
{
	struct node *root = NULL;
	bool failed = false, ended = false;

	while (!failed && !ended) {
		yaml_event_t e;

		if (next_event(r, &e) != 0) {
			return NULL;
		}
		if (e.type == YAML_STREAM_END_EVENT || e.type == YAML_NO_EVENT) {
			ended = true;
		} else if (e.type == YAML_DOCUMENT_START_EVENT && root != NULL) {
			struct mark m = mark_of(r, &e);

			m.width = 3;
			diagnostics_add(r->diags, DIAGNOSTIC_ERROR, &m,
				"a destination has its own file: deploy.<destination>.yml",
				"a second document begins here; a manifest has one");
			failed = true;
		} else if (e.type == YAML_SCALAR_EVENT || e.type == YAML_SEQUENCE_START_EVENT ||
			   e.type == YAML_MAPPING_START_EVENT || e.type == YAML_ALIAS_EVENT) {
			root = read_node(r, &e, 1);
			failed = root == NULL;
		}
		yaml_event_delete(&e);
	}
	if (failed) {
		return NULL;
	}
	if (root == NULL || node_is_null(root)) {
		return empty_map(r);
	}
	if (root->kind != NODE_MAP) {
		if (!r->has_erb) {
			diagnostics_add(r->diags, DIAGNOSTIC_ERROR, &root->mark, "service: name",
				"a manifest is a map of keys, this is %s",
				root->kind == NODE_LIST ? "a list" : "one value");
		}
		return NULL;
	}
	return root;
}

struct node *tree_parse(struct arena *a, const struct source *source, struct diagnostics *diags)
{
	struct reader r = {.arena = a, .source = source, .diags = diags};
	struct node *root = NULL;

	if (!tree_check_text(source, diags, &r.has_erb)) {
		return NULL;
	}
	if (!yaml_parser_initialize(&r.parser)) {
		diagnostics_add(
			diags, DIAGNOSTIC_ERROR, NULL, NULL, "no memory for the YAML parser");
		return NULL;
	}
	const char *text = r.has_erb ? tree_mask_erb(a, source) : source->text;

	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, source->len);
	root = read_stream(&r);
	yaml_parser_delete(&r.parser);
	return root;
}
