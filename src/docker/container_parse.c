/* SPDX-License-Identifier: MIT */
/* What inspect and list say of containers. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

static char *bare_name(const char *name)
{
	return xstrdup(*name == '/' ? name + 1 : name);
}

static enum docker_health health_of(const char *status)
{
	if (str_eq(status, "healthy")) {
		return DOCKER_HEALTHY;
	}
	if (str_eq(status, "unhealthy")) {
		return DOCKER_UNHEALTHY;
	}
	return str_eq(status, "starting") ? DOCKER_HEALTH_STARTING : DOCKER_HEALTH_NONE;
}

/* Both answers have {"name": {"IPAddress": .., "Gateway": .., "Aliases": [..]}}. */
static void parse_networks(json_t *j, struct docker_container_networks *out)
{
	const char *name;
	json_t *n;
	json_object_foreach(j, name, n)
	{
		struct docker_container_network net = {.name = xstrdup(name),
			.ip = docker_jskey(n, "IPAddress"),
			.gateway = docker_jskey(n, "Gateway")};
		docker_js_strvec(json_object_get(n, "Aliases"), &net.aliases);
		vec_push(out, net);
	}
}

static void networks_fini(struct docker_container_networks *v)
{
	VEC_FOREACH (v, i) {
		free(v->p[i].name);
		free(v->p[i].ip);
		free(v->p[i].gateway);
		strvec_fini(&v->p[i].aliases);
	}
	vec_fini(v);
}

/* "80/tcp" and [{"HostIp": "", "HostPort": "8080"}] */
static void parse_bindings(const char *key, const json_t *bindings, struct docker_ports *out)
{
	size_t digits = strcspn(key, "/");
	CLEANUP_FREE char *number = xstrndup(key, digits);
	long container = 0;
	if (str_to_long(number, 0, 65535, &container) != 0) {
		return;
	}
	for (size_t i = 0; i < json_array_size(bindings); i++) {
		const json_t *b = json_array_get(bindings, i);
		long host = 0;
		if (str_to_long(json_str_at(b, "HostPort", "0"), 0, 65535, &host) != 0) {
			continue;
		}
		struct docker_port p = {.host_ip = docker_jskey(b, "HostIp"),
			.host_port = (int)host,
			.container_port = (int)container,
			.protocol = xstrdup(key[digits] ? key + digits + 1 : "tcp")};
		vec_push(out, p);
	}
}

static void ports_fini(struct docker_ports *v)
{
	VEC_FOREACH (v, i) {
		free(v->p[i].host_ip);
		free(v->p[i].protocol);
	}
	vec_fini(v);
}

static void parse_mounts(const json_t *list, struct docker_mounts *out)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *m = json_array_get(list, i);
		const char *type = json_str_at(m, "Type", "");
		struct docker_mount mount = {.type = DOCKER_MOUNT_BIND,
			.target = docker_jskey(m, "Destination"),
			.read_only = !json_bool_at(m, "RW", 1)};
		if (strcmp(type, "volume") == 0) {
			mount.type = DOCKER_MOUNT_VOLUME;
			mount.source = docker_jskey(m, "Name");
		} else if (strcmp(type, "tmpfs") == 0) {
			mount.type = DOCKER_MOUNT_TMPFS;
		} else {
			mount.source = docker_jskey(m, "Source");
		}
		vec_push(out, mount);
	}
}

static void mounts_fini(struct docker_mounts *v)
{
	VEC_FOREACH (v, i) {
		free(v->p[i].source);
		free(v->p[i].target);
	}
	vec_fini(v);
}

static void parse_state(const json_t *s, struct docker_container *out)
{
	out->state = docker_jskey(s, "Status");
	out->running = json_bool_at(s, "Running", 0);
	out->restarting = json_bool_at(s, "Restarting", 0);
	out->oom_killed = json_bool_at(s, "OOMKilled", 0);
	out->pid = docker_clamp_int(json_int_at(s, "Pid", 0));
	out->exit_code = docker_clamp_int(json_int_at(s, "ExitCode", 0));
	out->error = docker_jskey(s, "Error");
	out->started_at = docker_jskey(s, "StartedAt");
	out->finished_at = docker_jskey(s, "FinishedAt");
	out->health = health_of(json_str_at(s, "Health.Status", ""));
	out->failing_streak = docker_clamp_int(json_int_at(s, "Health.FailingStreak", 0));
	const json_t *log = json_at(s, "Health.Log");
	size_t n = json_array_size(log);
	out->health_log = docker_jskey(n ? json_array_get(log, n - 1) : NULL, "Output");
}

static void parse_config(const json_t *c, struct docker_container *out)
{
	docker_js_strvec(json_object_get(c, "Env"), &out->env);
	docker_js_strvec(json_object_get(c, "Cmd"), &out->cmd);
	docker_js_strvec(json_object_get(c, "Entrypoint"), &out->entrypoint);
	docker_js_strmap(json_object_get(c, "Labels"), &out->labels);
	out->image = docker_jskey(c, "Image");
	out->user = docker_jskey(c, "User");
	out->stop_signal = docker_jskey(c, "StopSignal");
	out->tty = json_bool_at(c, "Tty", 0);
}

void docker_parse_container(const json_t *j, struct docker_container *out)
{
	json_t *config = json_object_get(j, "Config");
	json_t *host_config = json_object_get(j, "HostConfig");
	out->id = docker_jskey(j, "Id");
	out->name = bare_name(json_str_at(j, "Name", ""));
	out->image_id = docker_jskey(j, "Image");
	out->created = docker_jskey(j, "Created");
	out->restart_count = docker_clamp_int(json_int_at(j, "RestartCount", 0));
	parse_state(json_object_get(j, "State"), out);
	parse_config(config, out);
	out->log_driver = docker_js(host_config, "LogConfig.Type");
	out->restart = docker_js(host_config, "RestartPolicy.Name");
	const json_t *net = json_object_get(j, "NetworkSettings");
	parse_networks(json_object_get(net, "Networks"), &out->networks);
	const char *port;
	json_t *bindings;
	json_object_foreach(json_object_get(net, "Ports"), port, bindings)
	{
		parse_bindings(port, bindings, &out->ports);
	}
	parse_mounts(json_object_get(j, "Mounts"), &out->mounts);
	out->config = json_incref(config);
	out->host_config = json_incref(host_config);
}

void docker_container_fini(struct docker_container *c)
{
	char *const strings[] = {c->id, c->name, c->image_id, c->image, c->created, c->state,
		c->error, c->started_at, c->finished_at, c->health_log, c->user, c->stop_signal,
		c->log_driver, c->restart};
	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
		free(strings[i]);
	}
	VEC_FOREACH (&c->env, i) {
		explicit_bzero(c->env.p[i], strlen(c->env.p[i]));
	}
	strvec_fini(&c->env);
	strvec_fini(&c->cmd);
	strvec_fini(&c->entrypoint);
	strmap_fini(&c->labels);
	networks_fini(&c->networks);
	ports_fini(&c->ports);
	mounts_fini(&c->mounts);
	json_decref(c->config);
	json_decref(c->host_config);
	memset(c, 0, sizeof(*c));
}

/* "Up 2 hours (healthy)", "Up 3 seconds (health: starting)" */
static enum docker_health health_in_status(const char *status)
{
	if (strstr(status, "(healthy)")) {
		return DOCKER_HEALTHY;
	}
	if (strstr(status, "(unhealthy)")) {
		return DOCKER_UNHEALTHY;
	}
	return strstr(status, "(health: starting)") ? DOCKER_HEALTH_STARTING : DOCKER_HEALTH_NONE;
}

static void parse_entry_ports(const json_t *list, struct docker_ports *out)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *p = json_array_get(list, i);
		int64_t host = json_int_at(p, "PublicPort", 0);
		if (host > 0) {
			struct docker_port port = {.host_ip = docker_jskey(p, "IP"),
				.host_port = docker_clamp_int(host),
				.container_port =
					docker_clamp_int(json_int_at(p, "PrivatePort", 0)),
				.protocol = xstrdup(json_str_at(p, "Type", "tcp"))};
			vec_push(out, port);
		}
	}
}

void docker_parse_containers(const json_t *j, struct docker_container_list *out)
{
	for (size_t i = 0; i < json_array_size(j); i++) {
		const json_t *e = json_array_get(j, i);
		const char *name =
			json_string_value(json_array_get(json_object_get(e, "Names"), 0));
		struct docker_container_entry c = {.id = docker_jskey(e, "Id"),
			.name = bare_name(name ? name : ""),
			.image = docker_jskey(e, "Image"),
			.image_id = docker_jskey(e, "ImageID"),
			.state = docker_jskey(e, "State"),
			.status = docker_jskey(e, "Status"),
			.created = json_int_at(e, "Created", 0)};
		c.health = health_in_status(c.status);
		docker_js_strmap(json_object_get(e, "Labels"), &c.labels);
		parse_networks(json_object_get(json_object_get(e, "NetworkSettings"), "Networks"),
			&c.networks);
		parse_entry_ports(json_object_get(e, "Ports"), &c.ports);
		vec_push(out, c);
	}
}

void docker_container_list_fini(struct docker_container_list *l)
{
	VEC_FOREACH (l, i) {
		struct docker_container_entry *c = &l->p[i];
		free(c->id);
		free(c->name);
		free(c->image);
		free(c->image_id);
		free(c->state);
		free(c->status);
		strmap_fini(&c->labels);
		networks_fini(&c->networks);
		ports_fini(&c->ports);
	}
	vec_fini(l);
}
