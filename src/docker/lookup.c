/* SPDX-License-Identifier: MIT */
/* Look-ups: what to ask for each kind, what to do with the answer, and several at once. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

struct kind {
	const char *prefix, *suffix; /* around the name */
	bool named, filtered;
	int slow;         /* times the usual time-out */
	const char *what; /* for errors, with %s for the name */
	void (*parse)(const json_t *j, void *out);
};

#define PARSER(name, type)                                                                         \
	static void name##_(const json_t *j, void *out)                                            \
	{                                                                                          \
		docker_parse_##name(j, (type *)out);                                               \
	}
PARSER(info, struct docker_info)
PARSER(version, struct docker_version)
PARSER(usage, struct docker_usage)
PARSER(container, struct docker_container)
PARSER(containers, struct docker_container_list)
PARSER(image, struct docker_image)
PARSER(images, struct docker_image_list)
PARSER(network, struct docker_network)
PARSER(volume, struct docker_volume)
PARSER(volumes, struct docker_volume_list)
PARSER(stats, struct docker_stats)

static const struct kind kinds[] = {
	[DOCKER_LOOKUP_INFO] = {"/info", "", false, false, 1, "ask for the daemon", info_},
	[DOCKER_LOOKUP_VERSION] = {"/version", "", false, false, 1, "ask for the version",
		version_},
	[DOCKER_LOOKUP_USAGE] = {"/system/df", "", false, false, 5, "ask for disk usage", usage_},
	[DOCKER_LOOKUP_CONTAINER] = {"/containers/", "/json", true, false, 1, "inspect container",
		container_},
	[DOCKER_LOOKUP_CONTAINERS] = {"/containers/json", "", false, true, 1, "list containers",
		containers_},
	[DOCKER_LOOKUP_IMAGE] = {"/images/", "/json", true, false, 1, "inspect image", image_},
	[DOCKER_LOOKUP_IMAGES] = {"/images/json", "", false, true, 1, "list images", images_},
	[DOCKER_LOOKUP_NETWORK] = {"/networks/", "", true, false, 1, "inspect network", network_},
	[DOCKER_LOOKUP_VOLUME] = {"/volumes/", "", true, false, 1, "inspect volume", volume_},
	[DOCKER_LOOKUP_VOLUMES] = {"/volumes", "", false, true, 1, "list volumes", volumes_},
	[DOCKER_LOOKUP_STATS] = {"/containers/", "/stats?stream=false&one-shot=true", true, false,
		1, "ask for the load of container", stats_},
};

static char *lookup_path(const struct docker_lookup *l, bool all)
{
	const struct kind *k = &kinds[l->kind];
	struct str path = STR_INIT(DOCKER_MAX_PATH);
	docker_path(&path, k->prefix, k->named && l->name ? l->name : "", k->suffix);
	if (all) {
		docker_query(&path, "all", "1");
	}
	if (k->filtered) {
		docker_query_filters(&path, l->filters);
	}
	return str_take(&path);
}

static void wrap(const struct docker_lookup *l, struct error *err)
{
	const struct kind *k = &kinds[l->kind];
	if (k->named && l->name) {
		error_wrap(err, "%s '%s'", k->what, l->name);
	} else {
		error_wrap(err, "%s", k->what);
	}
}

/* Is the answer of the kind that it should be? A foreign daemon may answer anything. */
static bool right_type(const struct docker_lookup *l, const json_t *j)
{
	bool list = l->kind == DOCKER_LOOKUP_CONTAINERS || l->kind == DOCKER_LOOKUP_IMAGES;
	return list ? json_is_array(j) : json_is_object(j);
}

static void take(struct docker_lookup *l, struct docker_op *op)
{
	if (op->err.kind != ERROR_NONE) {
		/* Two of that name: there is one, and its twin goes again. */
		l->found = l->kind == DOCKER_LOOKUP_NETWORK && docker_is_twin(&op->err);
		if (!l->found && (!op->done || op->err.status != 404)) {
			l->err = op->err;
			wrap(l, &l->err);
		}
		return;
	}
	if (!right_type(l, op->json)) {
		error_set(&l->err, ERROR_REMOTE, "the daemon's answer is of another kind");
		wrap(l, &l->err);
		return;
	}
	kinds[l->kind].parse(op->json, l->out);
	l->found = true;
}

static bool lists_all(const struct docker_lookup *l)
{
	return l->kind == DOCKER_LOOKUP_CONTAINERS;
}

int docker_lookup(struct docker *d, struct docker_lookup *items, size_t n, struct error *err)
{
	struct docker_op *ops = xcalloc(n ? n : 1, sizeof(*ops));
	char **paths = xcalloc(n ? n : 1, sizeof(*paths));
	for (size_t i = 0; i < n; i++) {
		items[i].found = false;
		items[i].err = (struct error){0};
		paths[i] = lookup_path(&items[i], lists_all(&items[i]));
		ops[i].method = "GET";
		ops[i].path = paths[i];
		ops[i].timeout_ms = docker_head_ms(d) * kinds[items[i].kind].slow;
	}
	struct error broken = {0};
	int rc = 0;
	bool failed = docker_run_ops(d, ops, n, &broken) != 0; /* each item has it too */
	for (size_t i = 0; i < n; i++) {
		take(&items[i], &ops[i]);
		if (rc == 0 && items[i].err.kind != ERROR_NONE) {
			*err = items[i].err;
			rc = -1;
		}
		free(paths[i]);
	}
	docker_ops_fini(ops, n);
	free(ops);
	free(paths);
	if (failed && rc == 0) {
		*err = broken;
		return -1;
	}
	return rc;
}

int docker_lookup_path(struct docker *d, enum docker_lookup_kind kind, const char *path,
	const char *name, void *out, struct error *err)
{
	struct docker_lookup l = {.kind = kind, .name = name, .out = out};
	struct docker_op op = {
		.method = "GET", .path = path, .timeout_ms = docker_head_ms(d) * kinds[kind].slow};
	CLEANUP_JSON json_t *j = NULL;
	int rc = docker_run_op(d, &op, &j, err);
	if (rc == 0 && !right_type(&l, j)) {
		rc = error_set(err, ERROR_REMOTE, "the daemon's answer is of another kind");
	}
	if (rc != 0) {
		wrap(&l, err);
		return -1;
	}
	kinds[kind].parse(j, out);
	return 0;
}

int docker_lookup_one(struct docker *d, enum docker_lookup_kind kind, const char *name,
	const struct docker_filters *filters, void *out, struct error *err)
{
	struct docker_lookup l = {.kind = kind, .name = name, .filters = filters};
	CLEANUP_FREE char *path = lookup_path(&l, false);
	return docker_lookup_path(d, kind, path, name, out, err);
}
