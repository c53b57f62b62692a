/* SPDX-License-Identifier: MIT */
/* The spec as the body of POST /containers/create; members that are not set are left out. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

/* A text that JSON cannot carry is remembered, and told at the end. */
struct builder {
	const char *bad; /* name of the member, or NULL */
};

static json_t *text(struct builder *b, const char *key, const char *value)
{
	json_t *j = json_string(value);
	if (!j && !b->bad) {
		b->bad = key;
	}
	return j ? j : json_null();
}

static void put_text(struct builder *b, json_t *o, const char *key, const char *value)
{
	if (value) {
		json_object_set_new(o, key, text(b, key, value));
	}
}

static void put_list(struct builder *b, json_t *o, const char *key, const struct strvec *v)
{
	if (v->len == 0) {
		return;
	}
	json_t *a = json_array();
	VEC_FOREACH (v, i) {
		json_array_append_new(a, text(b, key, v->p[i]));
	}
	json_object_set_new(o, key, a);
}

static void put_map(struct builder *b, json_t *o, const char *key, const struct strmap *m)
{
	if (m->len == 0) {
		return;
	}
	json_t *j = json_object();
	VEC_FOREACH (m, i) {
		const char *value = m->p[i].value ? m->p[i].value : "";
		if (json_object_set_new(j, m->p[i].key, text(b, key, value)) != 0 && !b->bad) {
			b->bad = key;
		}
	}
	json_object_set_new(o, key, j);
}

static void put_int(json_t *o, const char *key, int64_t value)
{
	if (value != 0) {
		json_object_set_new(o, key, json_integer(value));
	}
}

static void put_true(json_t *o, const char *key, bool value)
{
	if (value) {
		json_object_set_new(o, key, json_true());
	}
}

static void put_healthcheck(struct builder *b, json_t *o, const struct docker_healthcheck *h)
{
	json_t *j = json_object();
	put_list(b, j, "Test", &h->test);
	put_int(j, "Interval", h->interval_ms * 1000000);
	put_int(j, "Timeout", h->timeout_ms * 1000000);
	put_int(j, "StartPeriod", h->start_period_ms * 1000000);
	put_int(j, "Retries", h->retries);
	if (json_object_size(j) > 0) {
		json_object_set(o, "Healthcheck", j);
	}
	json_decref(j);
}

/* Exposed ports and anonymous volumes are sets: {"80/tcp": {}} */
static void put_sets(json_t *o, const struct docker_container_spec *s)
{
	CLEANUP_JSON json_t *ports = json_object();
	CLEANUP_JSON json_t *volumes = json_object();
	VEC_FOREACH (&s->ports, i) {
		const struct docker_port *p = &s->ports.p[i];
		CLEANUP_FREE char *key =
			xasprintf("%d/%s", p->container_port, p->protocol ? p->protocol : "tcp");
		json_object_set_new(ports, key, json_object());
	}
	VEC_FOREACH (&s->expose, i) {
		const char *e = s->expose.p[i];
		CLEANUP_FREE char *key = xasprintf("%s%s", e, strchr(e, '/') ? "" : "/tcp");
		json_object_set_new(ports, key, json_object());
	}
	VEC_FOREACH (&s->binds, i) {
		if (!strchr(s->binds.p[i], ':')) {
			json_object_set_new(volumes, s->binds.p[i], json_object());
		}
	}
	if (json_object_size(ports) > 0) {
		json_object_set(o, "ExposedPorts", ports);
	}
	if (json_object_size(volumes) > 0) {
		json_object_set(o, "Volumes", volumes);
	}
}

static void put_config(struct builder *b, json_t *o, const struct docker_container_spec *s)
{
	put_text(b, o, "Image", s->image);
	put_list(b, o, "Cmd", &s->cmd);
	put_list(b, o, "Entrypoint", &s->entrypoint);
	if (s->has_entrypoint && s->entrypoint.len == 0) {
		json_object_set_new(o, "Entrypoint", json_pack("[s]", ""));
	}
	put_map(b, o, "Labels", &s->labels);
	put_text(b, o, "User", s->user);
	put_text(b, o, "WorkingDir", s->workdir);
	put_text(b, o, "Hostname", s->hostname);
	put_text(b, o, "Domainname", s->domainname);
	put_true(o, "Tty", s->tty);
	put_true(o, "OpenStdin", s->open_stdin);
	put_true(o, "StdinOnce", s->open_stdin && s->attach);
	put_true(o, "AttachStdin", s->open_stdin && s->attach);
	put_true(o, "AttachStdout", s->attach);
	put_true(o, "AttachStderr", s->attach);
	put_text(b, o, "StopSignal", s->stop_signal);
	put_int(o, "StopTimeout", s->stop_timeout);
	put_text(b, o, "MacAddress", s->mac_address);
	put_healthcheck(b, o, &s->healthcheck);
	put_sets(o, s);
}

static void put_ports(struct builder *b, json_t *o, const struct docker_ports *ports)
{
	if (ports->len == 0) {
		return;
	}
	json_t *j = json_object();
	VEC_FOREACH (ports, i) {
		const struct docker_port *p = &ports->p[i];
		CLEANUP_FREE char *key =
			xasprintf("%d/%s", p->container_port, p->protocol ? p->protocol : "tcp");
		CLEANUP_FREE char *host = p->host_port ? xasprintf("%d", p->host_port) : NULL;
		json_t *list = json_object_get(j, key);
		if (!list) {
			list = json_array();
			json_object_set_new(j, key, list);
		}
		json_t *binding = json_object();
		put_text(b, binding, "HostIp", p->host_ip);
		json_object_set_new(binding, "HostPort", json_string(host ? host : ""));
		json_array_append_new(list, binding);
	}
	json_object_set_new(o, "PortBindings", j);
}

static void put_mounts(struct builder *b, json_t *o, const struct docker_mounts *mounts)
{
	static const char *const types[] = {[DOCKER_MOUNT_BIND] = "bind",
		[DOCKER_MOUNT_VOLUME] = "volume",
		[DOCKER_MOUNT_TMPFS] = "tmpfs"};
	if (mounts->len == 0) {
		return;
	}
	json_t *list = json_array();
	VEC_FOREACH (mounts, i) {
		const struct docker_mount *m = &mounts->p[i];
		json_t *j = json_object();
		put_text(b, j, "Type", types[m->type]);
		put_text(b, j, "Source", m->source);
		put_text(b, j, "Target", m->target);
		put_true(j, "ReadOnly", m->read_only);
		if (m->type == DOCKER_MOUNT_TMPFS && m->tmpfs_size > 0) {
			json_object_set_new(j, "TmpfsOptions",
				json_pack("{s:I}", "SizeBytes", (json_int_t)m->tmpfs_size));
		}
		json_array_append_new(list, j);
	}
	json_object_set_new(o, "Mounts", list);
}

static void put_limits(struct builder *b, json_t *o, const struct docker_container_spec *s)
{
	put_int(o, "Memory", s->memory);
	put_int(o, "MemorySwap", s->memory_swap);
	put_int(o, "MemoryReservation", s->memory_reservation);
	put_int(o, "ShmSize", s->shm_size);
	if (s->has_swappiness) {
		json_object_set_new(o, "MemorySwappiness", json_integer(s->memory_swappiness));
	}
	put_true(o, "OomKillDisable", s->oom_kill_disable);
	put_int(o, "OomScoreAdj", s->oom_score_adj);
	put_int(o, "NanoCpus", (int64_t)(s->cpus * 1e9 + 0.5));
	put_int(o, "CpuShares", s->cpu_shares);
	put_int(o, "CpuPeriod", s->cpu_period);
	put_int(o, "CpuQuota", s->cpu_quota);
	put_text(b, o, "CpusetCpus", s->cpuset_cpus);
	put_text(b, o, "CpusetMems", s->cpuset_mems);
	put_int(o, "PidsLimit", s->pids_limit);
	put_int(o, "BlkioWeight", s->blkio_weight);
	if (s->ulimits.len > 0) {
		json_t *list = json_array();
		VEC_FOREACH (&s->ulimits, i) {
			const struct docker_ulimit *u = &s->ulimits.p[i];
			json_t *j = json_object();
			put_text(b, j, "Name", u->name);
			json_object_set_new(j, "Soft", json_integer(u->soft));
			json_object_set_new(j, "Hard", json_integer(u->hard));
			json_array_append_new(list, j);
		}
		json_object_set_new(o, "Ulimits", list);
	}
}

/* "/dev/x[:/dev/y[:rwm]]" */
static json_t *device(struct builder *b, const char *notation)
{
	CLEANUP_FREE char *copy = xstrdup(notation);
	char *inside = strchr(copy, ':');
	char *rights = NULL;
	if (inside) {
		*inside++ = '\0';
		rights = strchr(inside, ':');
		if (rights) {
			*rights++ = '\0';
		} else if (*inside != '/') {
			rights = inside; /* "/dev/x:rw" */
			inside = NULL;
		}
	}
	json_t *j = json_object();
	put_text(b, j, "PathOnHost", copy);
	put_text(b, j, "PathInContainer", inside ? inside : copy);
	put_text(b, j, "CgroupPermissions", rights ? rights : "rwm");
	return j;
}

static void put_devices(struct builder *b, json_t *o, const struct docker_container_spec *s)
{
	if (s->devices.len > 0) {
		json_t *list = json_array();
		VEC_FOREACH (&s->devices, i) {
			json_array_append_new(list, device(b, s->devices.p[i]));
		}
		json_object_set_new(o, "Devices", list);
	}
	put_list(b, o, "DeviceCgroupRules", &s->device_cgroup_rules);
	if (!s->gpus) {
		return;
	}
	json_t *gpu = json_pack("{s:[[s]]}", "Capabilities", "gpu");
	long count = -1;
	if (str_starts(s->gpus, "device=")) {
		json_t *ids = json_array();
		for (const char *p = s->gpus + strlen("device="); *p;) {
			size_t n = strcspn(p, ",");
			json_array_append_new(ids, json_stringn(p, n));
			p += n + (p[n] == ',');
		}
		json_object_set_new(gpu, "DeviceIDs", ids);
	} else if (str_eq(s->gpus, "all") || str_to_long(s->gpus, 1, 1024, &count) == 0) {
		json_object_set_new(gpu, "Count", json_integer(count));
	}
	json_object_set_new(o, "DeviceRequests", json_pack("[o]", gpu));
}

static void put_binds(struct builder *b, json_t *o, const struct strvec *binds)
{
	json_t *list = json_array();
	VEC_FOREACH (binds, i) {
		if (strchr(binds->p[i], ':')) {
			json_array_append_new(list, text(b, "Binds", binds->p[i]));
		}
	}
	if (json_array_size(list) > 0) {
		json_object_set(o, "Binds", list);
	}
	json_decref(list);
}

static void put_policies(struct builder *b, json_t *o, const struct docker_container_spec *s)
{
	if (s->restart) {
		json_t *j = json_object();
		put_text(b, j, "Name", s->restart);
		put_int(j, "MaximumRetryCount", s->restart_max);
		json_object_set_new(o, "RestartPolicy", j);
	}
	if (s->log_driver || s->log_options.len > 0) {
		json_t *j = json_object();
		put_text(b, j, "Type", s->log_driver ? s->log_driver : "");
		put_map(b, j, "Config", &s->log_options);
		json_object_set_new(o, "LogConfig", j);
	}
	put_true(o, "AutoRemove", s->auto_remove);
	put_true(o, "ReadonlyRootfs", s->read_only);
	put_true(o, "Privileged", s->privileged);
	if (s->has_init) {
		json_object_set_new(o, "Init", json_boolean(s->init));
	}
	put_list(b, o, "CapAdd", &s->cap_add);
	put_list(b, o, "CapDrop", &s->cap_drop);
	put_list(b, o, "SecurityOpt", &s->security_opt);
	put_list(b, o, "GroupAdd", &s->group_add);
	put_map(b, o, "Sysctls", &s->sysctls);
	put_map(b, o, "StorageOpt", &s->storage_opt);
	put_text(b, o, "IpcMode", s->ipc);
	put_text(b, o, "PidMode", s->pid);
	put_text(b, o, "UTSMode", s->uts);
	put_text(b, o, "UsernsMode", s->userns);
	put_text(b, o, "CgroupnsMode", s->cgroupns);
	put_text(b, o, "CgroupParent", s->cgroup_parent);
	put_text(b, o, "Isolation", s->isolation);
	put_text(b, o, "Runtime", s->runtime);
}

static json_t *host_config(struct builder *b, const struct docker_container_spec *s)
{
	json_t *o = json_object();
	put_text(b, o, "NetworkMode", s->network);
	put_ports(b, o, &s->ports);
	put_true(o, "PublishAllPorts", s->publish_all);
	put_list(b, o, "Dns", &s->dns);
	put_list(b, o, "DnsSearch", &s->dns_search);
	put_list(b, o, "DnsOptions", &s->dns_options);
	put_list(b, o, "ExtraHosts", &s->extra_hosts);
	put_binds(b, o, &s->binds);
	put_mounts(b, o, &s->mounts);
	put_map(b, o, "Tmpfs", &s->tmpfs);
	put_list(b, o, "VolumesFrom", &s->volumes_from);
	put_limits(b, o, s);
	put_devices(b, o, s);
	put_policies(b, o, s);
	return o;
}

/* Aliases and addresses exist on networks that somebody made only. */
static bool own_network(const char *network)
{
	static const char *const builtin[] = {"host", "none", "bridge", "default"};
	for (size_t i = 0; i < sizeof(builtin) / sizeof(builtin[0]); i++) {
		if (str_eq(network, builtin[i])) {
			return false;
		}
	}
	return network && !str_starts(network, "container:");
}

static void put_networking(struct builder *b, json_t *o, const struct docker_container_spec *s)
{
	if (!own_network(s->network) || (s->network_aliases.len == 0 && !s->ip)) {
		return;
	}
	json_t *endpoint = json_object();
	put_list(b, endpoint, "Aliases", &s->network_aliases);
	if (s->ip) {
		json_t *ipam = json_object();
		put_text(b, ipam, "IPv4Address", s->ip);
		json_object_set_new(endpoint, "IPAMConfig", ipam);
	}
	json_t *endpoints = json_object();
	json_object_set_new(endpoints, s->network, endpoint);
	json_object_set_new(
		o, "NetworkingConfig", json_pack("{s:o}", "EndpointsConfig", endpoints));
}

int docker_container_spec_body(
	const struct docker_container_spec *s, struct docker_body *out, struct error *err)
{
	struct builder b = {0};
	CLEANUP_JSON json_t *o = json_object();
	put_config(&b, o, s);
	json_object_set_new(o, "HostConfig", host_config(&b, s));
	put_networking(&b, o, s);
	if (b.bad) {
		return error_set(err, ERROR_MANIFEST, "a value of %s is not UTF-8", b.bad);
	}
	return docker_body_with_env(o, &s->env, &s->secret_env, out, err);
}
