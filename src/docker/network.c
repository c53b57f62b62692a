/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include "util/cancel.h"
#include "util/clock.h"
#include "util/json.h"

#include <stdlib.h>
#include <string.h>

#define SETTLE_MS 5000

int docker_network_inspect(
	struct docker *d, const char *name, struct docker_network *out, struct error *err)
{
	return docker_lookup_one(d, DOCKER_LOOKUP_NETWORK, name, NULL, out, err);
}

void docker_network_fini(struct docker_network *n)
{
	free(n->id);
	free(n->name);
	free(n->driver);
	free(n->subnet);
	free(n->gateway);
	strmap_fini(&n->labels);
	VEC_FOREACH (&n->members, i) {
		free(n->members.p[i].container_id);
		free(n->members.p[i].name);
		free(n->members.p[i].ipv4);
	}
	vec_fini(&n->members);
	memset(n, 0, sizeof(*n));
}

/* How many networks of that name there are, and whether another one than `id` is the older one. */
static int count_networks(
	struct docker *d, const char *name, const char *id, bool *younger, struct error *err)
{
	CLEANUP_JSON json_t *list = NULL;
	const char *own = "";
	int n = 0;
	size_t i;
	json_t *one;
	if (docker_call(d, "GET", "/networks", NULL, 0, &list, err) < 0) {
		return -1;
	}
	json_array_foreach(list, i, one)
	{
		own = str_eq(json_str_at(one, "Id", ""), id) ? json_str_at(one, "Created", "")
							     : own;
	}
	*younger = false;
	json_array_foreach(list, i, one)
	{
		if (str_eq(json_str_at(one, "Name", ""), name)) {
			int order = strcmp(json_str_at(one, "Created", ""), own);
			n++;
			*younger = *younger ||
				   (*own && (order < 0 || (order == 0 &&
								  strcmp(json_str_at(one, "Id", ""),
									  id) < 0)));
		}
	}
	return n;
}

/*
 * Docker before 25 may let two clients make a network of one name at the same time, and refuses
 * the name as ambiguous from then on: the older network stays.
 */
static int settle(struct docker *d, const char *name, const char *id, struct error *err)
{
	int64_t until = clock_mono_ms() + SETTLE_MS;
	for (;;) {
		bool younger = false;
		int n = count_networks(d, name, id, &younger, err);
		if (n < 2) {
			return n < 0 ? -1 : 0;
		}
		if (younger && docker_network_remove(d, id, err) < 0) {
			return -1;
		}
		if (clock_mono_ms() > until || cancel_check(err) < 0) {
			return err->kind ? -1
					 : error_set(err, ERROR_REMOTE, "it is there %d times", n);
		}
		clock_sleep_ms(20);
	}
}

bool docker_is_twin(const struct error *err)
{
	return strstr(err->text, "is ambiguous") != NULL;
}

int docker_network_create(struct docker *d, const char *name, bool internal,
	const struct strmap *labels, struct error *err)
{
	CLEANUP_JSON json_t *body = json_pack("{s:s, s:s, s:b, s:b, s:b}", "Name", name, "Driver",
		"bridge", "CheckDuplicate", 1, "Attachable", 1, "Internal", internal ? 1 : 0);
	if (!body) {
		return error_set(err, ERROR_MANIFEST, "the network's name is not UTF-8");
	}
	if (labels) {
		json_object_set_new(body, "Labels", docker_js_from_strmap(labels));
	}
	CLEANUP_JSON json_t *made = NULL;
	if (docker_call(d, "POST", "/networks/create", body, 0, &made, err) == 0) {
		if (settle(d, name, json_str_at(made, "Id", ""), err) == 0) {
			return 0;
		}
		return error_wrap(err, "create network '%s'", name);
	}
	if (err->status == 409) { /* there is one */
		*err = (struct error){0};
		return 0;
	}
	return error_wrap(err, "create network '%s'", name);
}

int docker_network_remove(struct docker *d, const char *name, struct error *err)
{
	CLEANUP_STR struct str path = STR_INIT(DOCKER_MAX_PATH);
	docker_path(&path, "/networks/", name, "");
	if (docker_call(d, "DELETE", str_c(&path), NULL, 0, NULL, err) != 0) {
		return error_wrap(err, "remove network '%s'", name);
	}
	return 0;
}

int docker_network_prune(struct docker *d, const struct docker_filters *labels, struct error *err)
{
	CLEANUP_STR struct str path = STR_INIT(DOCKER_MAX_PATH);
	str_add(&path, "/networks/prune");
	docker_query_filters(&path, labels);
	if (docker_call(d, "POST", str_c(&path), NULL, 0, NULL, err) != 0) {
		return error_wrap(err, "remove networks that are not used");
	}
	return 0;
}

int docker_network_connect(struct docker *d, const char *network, const char *container,
	const struct strvec *aliases, struct error *err)
{
	CLEANUP_STR struct str path = STR_INIT(DOCKER_MAX_PATH);
	docker_path(&path, "/networks/", network, "/connect");
	CLEANUP_JSON json_t *body = docker_connect_body(container, aliases);
	if (docker_call(d, "POST", str_c(&path), body, 0, NULL, err) == 0) {
		return 0;
	}
	/* 403 "endpoint with name x already exists in network y"; podman 500 "already connected" */
	if (strstr(err->text, "already exists in network") || strstr(err->text, "already conn")) {
		*err = (struct error){0};
		return 0;
	}
	return error_wrap(err, "connect '%s' to network '%s'", container, network);
}

json_t *docker_connect_body(const char *container, const struct strvec *aliases)
{
	json_t *body = json_object();
	json_object_set_new(body, "Container", json_string(container));
	if (aliases && aliases->len > 0) {
		json_object_set_new(body, "EndpointConfig",
			json_pack("{s:o}", "Aliases", docker_js_from_strvec(aliases)));
	}
	return body;
}

int docker_network_disconnect(
	struct docker *d, const char *network, const char *container, bool force, struct error *err)
{
	CLEANUP_STR struct str path = STR_INIT(DOCKER_MAX_PATH);
	CLEANUP_JSON json_t *body =
		json_pack("{s:s, s:b}", "Container", container, "Force", force ? 1 : 0);
	docker_path(&path, "/networks/", network, "/disconnect");
	if (docker_call(d, "POST", str_c(&path), body, 0, NULL, err) != 0) {
		return error_wrap(err, "disconnect '%s' from network '%s'", container, network);
	}
	return 0;
}

int docker_volume_create(struct docker *d, const char *name, const struct strmap *labels,
	struct docker_volume *out, struct error *err)
{
	CLEANUP_JSON json_t *body = json_pack("{s:s}", "Name", name);
	CLEANUP_JSON json_t *j = NULL;
	if (body && labels) {
		json_object_set_new(body, "Labels", docker_js_from_strmap(labels));
	}
	if (docker_call(d, "POST", "/volumes/create", body, 0, &j, err) != 0) {
		return error_wrap(err, "create volume '%s'", name);
	}
	if (out) {
		docker_parse_volume(j, out);
	}
	return 0;
}

int docker_volume_inspect(
	struct docker *d, const char *name, struct docker_volume *out, struct error *err)
{
	return docker_lookup_one(d, DOCKER_LOOKUP_VOLUME, name, NULL, out, err);
}

int docker_volume_list(struct docker *d, const struct docker_filters *filters,
	struct docker_volume_list *out, struct error *err)
{
	return docker_lookup_one(d, DOCKER_LOOKUP_VOLUMES, NULL, filters, out, err);
}

int docker_volume_remove(struct docker *d, const char *name, bool force, struct error *err)
{
	CLEANUP_STR struct str path = STR_INIT(DOCKER_MAX_PATH);
	docker_path(&path, "/volumes/", name, force ? "?force=true" : "");
	if (docker_call(d, "DELETE", str_c(&path), NULL, 0, NULL, err) != 0) {
		return error_wrap(err, "remove volume '%s'", name);
	}
	return 0;
}

void docker_volume_fini(struct docker_volume *v)
{
	free(v->name);
	free(v->driver);
	free(v->mountpoint);
	free(v->created);
	strmap_fini(&v->labels);
	memset(v, 0, sizeof(*v));
}

void docker_volume_list_fini(struct docker_volume_list *v)
{
	VEC_FOREACH (v, i) {
		docker_volume_fini(&v->p[i]);
	}
	vec_fini(v);
}
