/* SPDX-License-Identifier: MIT */
/*
 * Requests in flight, for proxies that do not count them: connections from the proxy to the old
 * containers' port, of which such a driver keeps no idle ones.  They are read from the server's
 * /proc by SFTP: no shell in the container.
 */
#include "internal.h"

#include "docker/container.h"
#include "util/clock.h"

#include <arpa/inet.h>
#include <string.h>

#define MAX_PROC        ((size_t)4 << 20) /* bytes of /proc/PID/net/tcp */
#define TCP_ESTABLISHED "01"

/* Lines of /proc/PID/net/tcp: "  0: 0100007F:0BB8 0200A8C0:D2F0 01 ...", addresses in the server's
 * byte order; tcp6 has 32 digits, the last 8 of which are a mapped IPv4 address. */
int proxy_count_connections(const char *text, int port, const char *remote_hex)
{
	int n = 0;
	for (const char *line = text; line && *line;) {
		char local[33], remote[33], state[3];
		unsigned local_port = 0;
		const char *end = strchr(line, '\n');
		if (sscanf(line, " %*u: %32[0-9A-F]:%x %32[0-9A-F]:%*x %2[0-9A-F]", local,
			    &local_port, remote, state) == 4 &&
			local_port == (unsigned)port && str_eq(state, TCP_ESTABLISHED) &&
			strlen(remote) >= 8 && str_eq(remote + strlen(remote) - 8, remote_hex)) {
			n++;
		}
		line = end ? end + 1 : NULL;
	}
	return n;
}

/* The address that the proxy has on its network, as /proc/net/tcp shows it. */
static void address_hex(const struct docker_container *c, const char *network, char out[9])
{
	struct in_addr a = {0};
	for (size_t i = 0; i < c->networks.len; i++) {
		if (str_eq(c->networks.p[i].name, network)) {
			inet_pton(AF_INET, c->networks.p[i].ip, &a);
		}
	}
	snprintf(out, 9, "%08X", a.s_addr);
}

static int count_connections(struct proxy *p, const struct docker_container *containers, size_t n,
	const char *remote, int *count, struct error *err)
{
	struct sftp_batch *b = sftp_batch_new(p->host->sftp);
	struct sftp_op **ops = xcalloc(2 * n + 1, sizeof(struct sftp_op *));
	size_t used = 0;
	for (size_t i = 0; i < 2 * n; i++) {
		if (containers[i / 2].running && containers[i / 2].pid > 0) {
			CLEANUP_FREE char *path = xasprintf(
				"/proc/%d/net/%s", containers[i / 2].pid, i % 2 ? "tcp6" : "tcp");
			ops[used++] = sftp_read(b, path, MAX_PROC);
		}
	}
	int rc = sftp_run(b, PROXY_TIMEOUT_MS, err);
	*count = 0;
	for (size_t i = 0; rc == 0 && i < used; i++) {
		if (ops[i]->status == SFTP_OK) {
			*count += proxy_count_connections(
				str_c(&ops[i]->data), p->state.app_port, remote);
		}
	}
	free(ops);
	sftp_batch_free(b);
	return rc;
}

int proxy_connections(
	struct proxy *p, const struct strvec *names, int late_ms, int *count, struct error *err)
{
	size_t n = names->len;
	char remote[9];
	struct docker_container *c = xcalloc(n + 1, sizeof(*c));
	struct docker_lookup *look_up = xcalloc(n + 1, sizeof(*look_up));
	for (size_t i = 0; i <= n; i++) {
		look_up[i].kind = DOCKER_LOOKUP_CONTAINER;
		look_up[i].name = i < n ? names->p[i] : p->container;
		look_up[i].out = &c[i];
	}
	int rc = docker_lookup(p->host->docker, look_up, n + 1, err);
	if (rc == 0) {
		address_hex(&c[n], p->config.network, remote);
		rc = count_connections(p, c, n, remote, count, err);
	}
	for (size_t i = 0; i <= n; i++) {
		docker_container_fini(&c[i]);
	}
	free(look_up);
	free(c);
	if (rc == 0 && *count == 0 && p->reloaded_ms &&
		clock_mono_ms() - p->reloaded_ms < late_ms) {
		*count = 1;
	}
	return rc;
}
