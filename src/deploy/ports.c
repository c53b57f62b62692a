/* SPDX-License-Identifier: MIT */
#include "ports.h"

#include "deploy/container.h"
#include "host/host.h"

#include <stdio.h>
#include <string.h>

#define FILE_TIMEOUT_MS 10000
#define PROC_NET_MAX    ((size_t)4 << 20)

struct looking {
	struct target *t;
	port_fn *found;
	void *ctx;
	struct docker_container_list running;
	const struct str *tables[2]; /* /proc/net/tcp and tcp6; NULL: not read */
};

/* Is a socket of /proc/net/tcp or tcp6 (state 0A: listening) on this port? */
static bool listens(const struct str *table, int port)
{
	CLEANUP_FREE char *wanted = xasprintf(":%04X ", port);
	for (const char *p = table ? str_c(table) : ""; (p = strchr(p, '\n')) != NULL;) {
		unsigned state = 0;
		p++;
		const char *local = strchr(p, ':'); /* behind the line's number */
		const char *colon = local ? strchr(local + 1, ':') : NULL;
		if (colon && strncmp(colon, wanted, strlen(wanted)) == 0 &&
			sscanf(colon + strlen(wanted), "%*s %x", &state) == 1 && state == 0x0A) {
			return true;
		}
	}
	return false;
}

static bool is_any(const char *ip)
{
	return !ip || ip[0] == '\0' || strcmp(ip, "0.0.0.0") == 0 || strcmp(ip, "::") == 0;
}

static bool clash(const struct docker_port *a, const struct docker_port *b)
{
	return a->host_port == b->host_port &&
	       str_eq(a->protocol ? a->protocol : "tcp", b->protocol ? b->protocol : "tcp") &&
	       (is_any(a->host_ip) || is_any(b->host_ip) || str_eq(a->host_ip, b->host_ip));
}

static const char *holder_of(const struct looking *x, const struct docker_port *port)
{
	VEC_FOREACH (&x->running, i) {
		const struct docker_container_entry *c = &x->running.p[i];
		VEC_FOREACH (&c->ports, j) {
			if (clash(port, &c->ports.p[j])) {
				return c->name;
			}
		}
	}
	return NULL;
}

static bool is_own(const struct looking *x, const char *container)
{
	VEC_FOREACH (&x->t->seen.containers, i) {
		if (str_eq(x->t->seen.containers.p[i].name, container)) {
			return true;
		}
	}
	return false;
}

static void look(const struct looking *x, const struct docker_port *port, const char *needed_by)
{
	bool tcp = !port->protocol || strcmp(port->protocol, "tcp") == 0;
	struct port_taken taken = {.port = port->host_port,
		.needed_by = needed_by ? needed_by : "the proxy",
		.of_proxy = !needed_by};
	if (port->host_port == 0) {
		return;
	}
	taken.container = holder_of(x, port);
	/* The service's own container makes room for the next one, but not for the proxy. */
	if (taken.container && needed_by && is_own(x, taken.container)) {
		return;
	}
	if (taken.container || (tcp && (listens(x->tables[0], port->host_port) ||
					       listens(x->tables[1], port->host_port)))) {
		x->found(x->ctx, x->t, &taken);
	}
}

static void look_for_proxy(struct deployment *d, const struct looking *x)
{
	const struct config_proxy *proxy = &d->config->proxy;
	if (!target_proxied(d, x->t) || !proxy->publish || target_proxy_runs(x->t)) {
		return;
	}
	int ports[] = {proxy->http_port, proxy->https_port};
	for (int i = 0; i < 2; i++) {
		look(x, &(struct docker_port){.host_port = ports[i]}, NULL);
	}
}

static void look_for_roles(struct deployment *d, const struct looking *x)
{
	VEC_FOREACH (&d->config->roles, i) {
		const struct config_role *role = &d->config->roles.p[i];
		CLEANUP_DOCKER_SPEC struct docker_container_spec spec = {0};
		struct error ignored = {0};
		if (!target_has_role(x->t, role) ||
			container_add_options(&role->options, &spec, &ignored) < 0) {
			continue;
		}
		VEC_FOREACH (&spec.ports, j) {
			look(x, &spec.ports.p[j], role->name);
		}
	}
}

static void look_for_accessories(struct deployment *d, const struct looking *x)
{
	VEC_FOREACH (&d->accessories, i) {
		const struct config_accessory *a = d->accessories.p[i];
		CLEANUP_DOCKER_SPEC struct docker_container_spec spec = {0};
		struct error ignored = {0};
		if (!target_has_accessory(x->t, a)) {
			continue;
		}
		VEC_FOREACH (&a->ports, j) {
			if (docker_parse_port(a->ports.p[j], &spec.ports, &ignored) == 0) {
				look(x, &spec.ports.p[spec.ports.len - 1], a->name);
			}
		}
	}
}

void ports_taken(struct deployment *d, struct target *t, port_fn *found, void *ctx)
{
	struct looking x = {.t = t, .found = found, .ctx = ctx};
	struct error ignored = {0};
	struct sftp_batch *b = sftp_batch_new(t->host->sftp);
	const struct sftp_op *tables[] = {sftp_read(b, "/proc/net/tcp", PROC_NET_MAX),
		sftp_read(b, "/proc/net/tcp6", PROC_NET_MAX)};
	if (sftp_run(b, FILE_TIMEOUT_MS, &ignored) == 0) {
		x.tables[0] = &tables[0]->data;
		x.tables[1] = &tables[1]->data;
	}
	if (docker_container_list(t->host->docker, false, NULL, &x.running, &ignored) == 0) {
		look_for_proxy(d, &x);
		look_for_roles(d, &x);
		look_for_accessories(d, &x);
	}
	docker_container_list_fini(&x.running);
	sftp_batch_free(b);
}
