/* SPDX-License-Identifier: MIT */
/*
 * A YAML 1.1 document as a tree with marks.
 *
 * Scalars stay text: what a value means is decided by who reads it, so `3.30` is not rounded and
 * `no` in an environment stays "no".  Aliases share the node they name, merge keys (`<<`) are
 * resolved; a node is therefore changed only before it can be shared.  Everything lives in an
 * arena.
 */
#pragma once

#include "manifest/arena.h"
#include "manifest/diagnostic.h"

#include <stdint.h>

#define TREE_BYTES_MAX  ((size_t)1 << 20) /* of a file */
#define TREE_DEPTH_MAX  64
#define TREE_NODES_MAX  100000 /* with every alias counted as what it stands for */
#define TREE_KEYS_MAX   4096   /* of one map or list */
#define TREE_MERGES_MAX 16     /* `<<` in one map */

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct node;

struct node_item {
	struct node *key; /* a scalar; NULL in a list */
	struct node *value;
};

struct node {
	enum node_kind kind;
	struct mark mark;
	int end_line, end_column; /* of a key: behind its value, or where the next token begins */
	/* scalar */
	const char *text; /* NUL-terminated, without a NUL inside */
	const char *raw; /* as written, before variables were expanded: this is what may be shown */
	bool plain;      /* without quotes and not a block: may mean null, true, ... */
	bool expanded;   /* variables were put in */
	bool erb;        /* has <% %>: told already */
	uint32_t hash;
	/* list, map */
	struct node_item *p;
	size_t len, cap;
	/* bookkeeping */
	bool bad;     /* a mistake was told: do not read it */
	bool open;    /* being parsed */
	bool visited; /* expanded already */
	uint32_t weight;
	int height;
};

/*
 * Parses a whole file.  Mistakes go to `diags`; the result is NULL when there is no tree to go on
 * with (an empty file is an empty map).  The source has to outlive the arena's users.
 */
struct node *tree_parse(struct arena *a, const struct source *source, struct diagnostics *diags);

/*
 * `over` laid over `base`: maps are merged key by key, everything else is replaced; null removes.
 * Marks stay those of the file a value came from.  Neither input is changed.
 */
struct node *tree_overlay(struct arena *a, struct node *base, struct node *over);

/*
 * Expands ${VAR} in every scalar value but those below `x-` keys at the top (unless an alias brings
 * them elsewhere).  See manifest/expand.h.
 */
void tree_expand(struct arena *a, struct node *root,
	const char *(*getenv_fn)(void *ctx, const char *name), void *ctx,
	struct diagnostics *diags);

/* The value of a key, or NULL; also NULL when `map` is NULL or no map. */
struct node *node_get(const struct node *map, const char *key);
const struct node_item *node_find(const struct node *map, const char *key);

/* `~`, `null` or nothing, unquoted. */
bool node_is_null(const struct node *n);

/* "a list", "a map", "'text'" cut for a message; `buf` is used when it has to be made. */
#define NODE_SHOWN_SIZE 96
const char *node_shown(const struct node *n, char buf[NODE_SHOWN_SIZE]);
