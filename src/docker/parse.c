/* SPDX-License-Identifier: MIT */
/* Reading the daemon's JSON: everything may be absent or of another type. */
#include "internal.h"

#include <limits.h>
#include <string.h>

char *docker_js(const json_t *j, const char *path)
{
	return xstrdup(json_str_at(j, path, ""));
}

char *docker_jskey(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));
	return xstrdup(s ? s : "");
}

int docker_clamp_int(int64_t v)
{
	return v > INT_MAX ? INT_MAX : v < INT_MIN ? INT_MIN : (int)v;
}

void docker_js_strvec(const json_t *array, struct strvec *out)
{
	size_t n = json_array_size(array);
	for (size_t i = 0; i < n; i++) {
		const char *s = json_string_value(json_array_get(array, i));
		if (s) {
			strvec_push(out, s);
		}
	}
}

void docker_js_strmap(const json_t *object, struct strmap *out)
{
	const char *key;
	json_t *value;
	/* jansson's iterators want a plain pointer, but do not write. */
	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		const char *s = json_string_value(value);
		if (s) {
			strmap_set(out, key, s);
		}
	}
}

json_t *docker_js_from_strvec(const struct strvec *v)
{
	json_t *a = json_array();
	VEC_FOREACH (v, i) {
		json_array_append_new(a, json_string(v->p[i]));
	}
	return a;
}

json_t *docker_js_from_strmap(const struct strmap *m)
{
	json_t *o = json_object();
	VEC_FOREACH (m, i) {
		json_object_set_new(o, m->p[i].key, json_string(m->p[i].value));
	}
	return o;
}

/* -- Networks and volumes -- */

static void parse_member(const char *id, const json_t *j, struct docker_network_members *out)
{
	struct docker_network_member m = {.container_id = xstrdup(id),
		.name = docker_jskey(j, "Name"),
		.ipv4 = docker_jskey(j, "IPv4Address")};
	m.ipv4[strcspn(m.ipv4, "/")] = '\0';
	vec_push(out, m);
}

void docker_parse_network(const json_t *j, struct docker_network *out)
{
	const json_t *ipam = json_array_get(json_at(j, "IPAM.Config"), 0);
	out->id = docker_js(j, "Id");
	out->name = docker_js(j, "Name");
	out->driver = docker_js(j, "Driver");
	out->subnet = docker_js(ipam, "Subnet");
	out->gateway = docker_js(ipam, "Gateway");
	out->internal = json_bool_at(j, "Internal", 0);
	out->attachable = json_bool_at(j, "Attachable", 0);
	docker_js_strmap(json_at(j, "Labels"), &out->labels);
	json_t *members = json_object_get(j, "Containers");
	const char *id;
	json_t *member;
	json_object_foreach(members, id, member)
	{
		parse_member(id, member, &out->members);
	}
}

void docker_parse_volume(const json_t *j, struct docker_volume *out)
{
	out->name = docker_js(j, "Name");
	out->driver = docker_js(j, "Driver");
	out->mountpoint = docker_js(j, "Mountpoint");
	out->created = docker_js(j, "CreatedAt");
	docker_js_strmap(json_at(j, "Labels"), &out->labels);
}

void docker_parse_volumes(const json_t *j, struct docker_volume_list *out)
{
	const json_t *list = json_object_get(j, "Volumes");
	for (size_t i = 0; i < json_array_size(list); i++) {
		struct docker_volume v = {0};
		docker_parse_volume(json_array_get(list, i), &v);
		vec_push(out, v);
	}
}

/* -- Images -- */

/*
 * Podman says "docker.io/library/caddy:2" where Docker says "caddy:2".  Docker up to 25 says
 * "<none>:<none>" and "<none>@<none>" of an image that has lost its name.
 */
static void parse_names(const json_t *array, struct strvec *out)
{
	for (size_t i = 0; i < json_array_size(array); i++) {
		const char *name = json_string_value(json_array_get(array, i));
		if (!name || str_starts(name, "<none>")) {
			continue;
		}
		if (str_starts(name, "docker.io/library/")) {
			name += strlen("docker.io/library/");
		} else if (str_starts(name, "docker.io/")) {
			name += strlen("docker.io/");
		}
		strvec_push(out, name);
	}
}

/* Config.Cmd and Entrypoint are lists, but were plain text once. */
static void parse_command(const json_t *j, struct strvec *out)
{
	if (json_is_string(j)) {
		strvec_push(out, json_string_value(j));
	} else {
		docker_js_strvec(j, out);
	}
}

void docker_parse_image(const json_t *j, struct docker_image *out)
{
	const json_t *config = json_object_get(j, "Config");
	out->id = docker_js(j, "Id");
	parse_names(json_object_get(j, "RepoTags"), &out->tags);
	parse_names(json_object_get(j, "RepoDigests"), &out->digests);
	docker_js_strvec(json_at(j, "RootFS.Layers"), &out->layers);
	out->architecture = docker_js(j, "Architecture");
	out->variant = docker_js(j, "Variant");
	out->os = docker_js(j, "Os");
	out->created = docker_js(j, "Created");
	out->size = json_int_at(j, "Size", 0);
	out->user = docker_jskey(config, "User");
	out->workdir = docker_jskey(config, "WorkingDir");
	parse_command(json_object_get(config, "Cmd"), &out->cmd);
	parse_command(json_object_get(config, "Entrypoint"), &out->entrypoint);
	docker_js_strvec(json_object_get(config, "Env"), &out->env);
	docker_js_strmap(json_object_get(config, "Labels"), &out->labels);
	const char *port;
	json_t *unused;
	json_object_foreach(json_object_get(config, "ExposedPorts"), port, unused)
	{
		strvec_push(&out->exposed_ports, port);
	}
	const json_t *test = json_at(config, "Healthcheck.Test");
	const char *kind = json_string_value(json_array_get(test, 0));
	out->has_healthcheck = kind && strcmp(kind, "NONE") != 0;
	out->stop_signal = docker_jskey(config, "StopSignal");
}

void docker_parse_images(const json_t *j, struct docker_image_list *out)
{
	for (size_t i = 0; i < json_array_size(j); i++) {
		const json_t *e = json_array_get(j, i);
		struct docker_image_entry entry = {.id = docker_js(e, "Id"),
			.size = json_int_at(e, "Size", 0),
			.created = json_int_at(e, "Created", 0)};
		parse_names(json_object_get(e, "RepoTags"), &entry.tags);
		parse_names(json_object_get(e, "RepoDigests"), &entry.digests);
		docker_js_strmap(json_object_get(e, "Labels"), &entry.labels);
		vec_push(out, entry);
	}
}
