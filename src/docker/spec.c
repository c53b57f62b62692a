/* SPDX-License-Identifier: MIT */
/* The container spec's end, and the small notations of `docker run`. */
#include "docker/spec.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void free_lists(struct docker_container_spec *s)
{
	struct strvec *const vecs[] = {&s->cmd, &s->entrypoint, &s->more_networks,
		&s->network_aliases, &s->expose, &s->dns, &s->dns_search, &s->dns_options,
		&s->extra_hosts, &s->binds, &s->volumes_from, &s->cap_add, &s->cap_drop,
		&s->security_opt, &s->group_add, &s->device_cgroup_rules, &s->devices,
		&s->healthcheck.test};
	struct strmap *const maps[] = {
		&s->env, &s->labels, &s->tmpfs, &s->sysctls, &s->storage_opt, &s->log_options};
	for (size_t i = 0; i < sizeof(vecs) / sizeof(vecs[0]); i++) {
		strvec_fini(vecs[i]);
	}
	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
		strmap_fini(maps[i]);
	}
	VEC_FOREACH (&s->ports, i) {
		free(s->ports.p[i].host_ip);
		free(s->ports.p[i].protocol);
	}
	vec_fini(&s->ports);
	VEC_FOREACH (&s->mounts, i) {
		free(s->mounts.p[i].source);
		free(s->mounts.p[i].target);
	}
	vec_fini(&s->mounts);
	VEC_FOREACH (&s->ulimits, i) {
		free(s->ulimits.p[i].name);
	}
	vec_fini(&s->ulimits);
}

void docker_container_spec_fini(struct docker_container_spec *s)
{
	char *const strings[] = {s->name, s->image, s->user, s->workdir, s->hostname, s->domainname,
		s->platform, s->runtime, s->stop_signal, s->network, s->ip, s->mac_address,
		s->restart, s->cpuset_cpus, s->cpuset_mems, s->gpus, s->ipc, s->pid, s->uts,
		s->userns, s->cgroupns, s->cgroup_parent, s->isolation, s->log_driver};
	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
		free(strings[i]);
	}
	free_lists(s);
	secret_map_fini(&s->secret_env);
	memset(s, 0, sizeof(*s));
}

/* "12.5" at *p, which moves behind it; -1 when there is no digit or it is huge. */
static double decimal(const char **p)
{
	double value = 0;
	double unit = 1;
	bool any = false;
	for (; isdigit((unsigned char)**p); (*p)++, any = true) {
		value = value * 10 + (**p - '0');
	}
	if (**p == '.') {
		for ((*p)++; isdigit((unsigned char)**p); (*p)++, any = true) {
			unit /= 10;
			value += (**p - '0') * unit;
		}
	}
	return any && value < 1e18 ? value : -1;
}

int64_t docker_parse_bytes(const char *text)
{
	static const char units[] = "bkmgtp";
	const char *p = text;
	double value = decimal(&p);
	if (value < 0) {
		return -1;
	}
	while (*p == ' ') {
		p++;
	}
	if (*p) {
		const char *unit = strchr(units, tolower((unsigned char)*p));
		if (!unit) {
			return -1;
		}
		value = ldexp(value, 10 * (int)(unit - units));
		p++;
		if (unit != units && strcasecmp(p, "b") != 0 && strcasecmp(p, "ib") != 0 && *p) {
			return -1;
		}
		if (unit == units && *p) {
			return -1;
		}
	}
	return value < 9e18 ? (int64_t)value : -1;
}

int64_t docker_parse_duration(const char *text)
{
	static const struct {
		const char *name;
		double ms;
	} units[] = {{"ms", 1}, {"us", 1e-3}, {"ns", 1e-6}, {"h", 3600e3}, {"m", 60e3}, {"s", 1e3}};
	const char *p = text;
	double total = 0;
	do {
		double value = decimal(&p);
		double ms = *p || p == text ? 0 : 1e3; /* a plain number is seconds */
		if (value < 0 || (ms > 0 && total > 0)) {
			return -1;
		}
		for (size_t i = 0; *p && ms <= 0 && i < sizeof(units) / sizeof(units[0]); i++) {
			if (str_starts(p, units[i].name)) {
				ms = units[i].ms;
				p += strlen(units[i].name);
			}
		}
		if (ms <= 0) {
			return -1;
		}
		total += value * ms;
	} while (*p);
	return total < 9e15 ? (int64_t)total : -1;
}

static int bad_port(const char *text, struct error *err)
{
	return error_set(err, ERROR_MANIFEST,
		"'%s' is no port to publish; write [address:][host:]container[/tcp|/udp]", text);
}

int docker_parse_port(const char *text, struct docker_ports *out, struct error *err)
{
	const char *slash = strchr(text, '/');
	CLEANUP_FREE char *front = slash ? xstrndup(text, (size_t)(slash - text)) : xstrdup(text);
	const char *protocol = slash ? slash + 1 : "tcp";
	char *container = strrchr(front, ':');
	char *host = NULL;
	char *ip = NULL;
	long host_port = 0;
	long container_port = 0;
	if (container) {
		*container++ = '\0';
		host = strrchr(front, ':');
		if (host && front[0] == '[' && front[strlen(front) - 1] == ']') {
			host = NULL; /* "[::1]" and a container's port */
			ip = front;
		} else if (host) {
			*host++ = '\0';
			ip = front;
		} else {
			host = front;
		}
	} else {
		container = front;
	}
	size_t n = ip ? strlen(ip) : 0;
	if (n > 1 && ip[0] == '[' && ip[n - 1] == ']') {
		ip[n - 1] = '\0';
		ip++;
	}
	bool known = str_eq(protocol, "tcp") || str_eq(protocol, "udp") || str_eq(protocol, "sctp");
	if (strchr(container, '-') || (host && strchr(host, '-'))) {
		return error_set(err, ERROR_MANIFEST,
			"'%s' is a range of ports; publish each on its own", text);
	}
	if (!known || str_to_long(container, 1, 65535, &container_port) != 0 ||
		(host && *host && str_to_long(host, 0, 65535, &host_port) != 0)) {
		return bad_port(text, err);
	}
	struct docker_port port = {.host_ip = ip && *ip ? xstrdup(ip) : NULL,
		.host_port = (int)host_port,
		.container_port = (int)container_port,
		.protocol = xstrdup(protocol)};
	vec_push(out, port);
	return 0;
}
