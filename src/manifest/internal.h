/* SPDX-License-Identifier: MIT */
/* Shared by the files of this folder. */
#pragma once

#include "manifest/config.h"
#include "manifest/schema.h"
#include "manifest/tree.h"

/* What is looked at before YAML: false when the file is not read further. */
bool tree_check_text(const struct source *source, struct diagnostics *diags, bool *has_erb);
/* UTF-8 throughout. */
bool text_is_utf8(const char *s);
/* The text with ERB made harmless, every character at its place, so that the rest can be judged. */
const char *tree_mask_erb(struct arena *a, const struct source *s);

/* A key's path while walking: "servers.web.hosts[1]"; and that of the schema: "servers.*.hosts". */
struct path {
	char shown[256];
	char schema[256];
	size_t n_shown, n_schema;
};
void path_key(struct path *p, const struct path *parent, const char *key, bool is_free);
void path_index(struct path *p, const struct path *parent, size_t index);

struct validator {
	struct diagnostics *diags;
};

/* Appends as much of `more` as fits into text[size], of which *n are used. */
void text_append(char *text, size_t size, size_t *n, const char *more);
/* Tell that a value is of another shape, or wrong and why; it is marked bad. */
void validate_wrong_shape(
	struct validator *v, struct node *n, const struct schema *s, const struct path *p);
void validate_wrong_value(struct validator *v, struct node *n, const struct path *p,
	const char *hint, const char *why);
void validate_format(struct validator *v, struct node *n, const char *text,
	const struct schema_format *f, const struct path *p);
void validate_scalar(
	struct validator *v, struct node *n, const struct schema *s, const struct path *p);

/* Every mistake that the schema knows; nodes with one are marked bad. */
void validate_tree(struct node *root, struct diagnostics *diags);

/*
 * What a later issue brings: what is named there is understood and validated, then refused.
 * later_key: the message for a key, NULL when supported.
 */
const char *later_key(const char *schema_path);

/* Texts of the files, kept for later diagnostics. */
struct config_sources {
	const struct source *p[2];
	size_t n;
	const struct node *root;
};

/* The configuration with its memory. `c` is first. */
struct loaded {
	struct config c;
	struct arena arena;
	struct config_sources sources;
};

/* The second text laid over the first: mistakes in diags, the tree (NULL when there is none) in
 * sources.root; free with config_free(&l->c). */
struct loaded *load_sources(const struct source *files, size_t n, const struct config_request *req,
	struct diagnostics *diags);

/* While the configuration is made of the tree. */
struct build {
	struct loaded *out;
	struct arena *arena;
	struct config *c;
	struct diagnostics *diags;
	const struct node *root;
	const char *primary; /* name of the primary role, while roles are built */
};

void mistake(struct build *b, const struct node *at, const char *hint, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void warning(struct build *b, const struct node *at, const char *hint, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Values of a map that validated; absent, null and bad ones give `otherwise`. */
bool has(const struct node *map, const char *key);
const char *get_text(const struct node *map, const char *key, const char *otherwise);
bool get_bool(const struct node *map, const char *key, bool otherwise);
int get_int(const struct node *map, const char *key, int otherwise);
int get_ms(const struct node *map, const char *key, int otherwise);
int64_t get_size(const struct node *map, const char *key, int64_t otherwise);
struct config_mark mark_at(const struct node *n);
bool usable(const struct node *n); /* there, not null, without a mistake */
/* A list, or one text, or texts with commas: appends to `out`. */
void get_list(
	struct build *b, const struct node *map, const char *key, bool commas, struct strvec *out);
void get_map(struct build *b, const struct node *map, const char *key, struct strmap *out);
/* The name of a secret, alone or as a list of one; or NULL. */
const char *get_secret(const struct node *map, const char *key);
/* "~/x", "/x" or "x" under the root: absolute. */
const char *absolute_path(struct build *b, const char *path);

/* The same of a path that has to be inside of the repository. */
const char *build_inside(struct build *b, const struct node *n);

void build_env(struct build *b, const struct node *env, struct config_env *out);
void build_options(struct build *b, const struct node *options, struct config_options *out);
void build_logging(struct build *b, const struct node *logging, struct config_logging *out);
/* `port` is the one that is asked when none is named; 0: one has to be named. */
void build_health(struct build *b, const struct node *health, int port, struct config_health *out);
void build_hosts(struct build *b, const struct node *list, struct config_hosts *out);
void build_env_tags(struct build *b);
void build_accessories(struct build *b);
/* "postgres", "mysql", "mariadb" or "redis" by an image's name, or NULL. */
const char *image_family(const char *image);
void build_backup(struct build *b, const struct node *n, struct config_accessory *a);
void env_drop_secret(struct config_env *env, const char *name);
void env_drop_clear(struct config_env *env, const char *name);
void build_secret_files(struct build *b);
/* `env_file` of a map; in front of its `env`, which counts more. */
void build_env_files(struct build *b, const struct node *map, struct config_env *out);
void build_notify(struct build *b);
void build_proxy(struct build *b, const struct node *proxy, struct config_proxy *out);
void build_servers(struct build *b);

/* -- build_networks.c -- */

void build_networks(struct build *b);
/* Those that `networks` of a role or an accessory names; none: the shared one. */
void build_attached(struct build *b, const struct node *map, struct config_network_ptrs *out);
/* A role behind the proxy is on the proxy's network, first. */
void build_attached_to_proxy(struct build *b, struct config_network_ptrs *networks);
/* Kamal's `network`: one of them, or a name in Docker. */
const struct config_network *build_network_named(struct build *b, const char *name);
void build_builder(struct build *b);
void build_registry(struct build *b, const struct node *n, struct config_registry *out);
void build_ssh(struct build *b);
void build_root(struct build *b);
