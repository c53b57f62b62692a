/* SPDX-License-Identifier: MIT */
/*
 * The least that a push of one changed layer to one ready server can be: one SSH connection and the
 * Engine API, without lock, record, look-up, plan, verification or drain.  Streams the layer, makes
 * and starts the container, waits for its first 200, reloads the proxy, stops the old container.
 *
 * usage: floor SSH_CONFIG HOST TAR IMAGE NEW OLD PORT PATH
 *   TAR    what the server's Docker loads: image and changed layer
 *   NEW    name of the container that is made; OLD: of the one that is stopped, "-" for none
 *   PORT PATH   of the application, for its first 200
 * Prints the milliseconds that it took.
 */
#include "docker/container.h"
#include "docker/http.h"
#include "docker/image.h"
#include "host/host.h"
#include "util/clock.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NETWORK    "deploy"
#define TIMEOUT_MS 20000
#define PAUSE_MS   5
#define ADMIN      "/home/deploy/.deploy/proxy/caddy/run/admin.sock"

static ssize_t read_tar(void *ctx, void *buf, size_t n, struct error *err)
{
	const int *fd = ctx;
	ssize_t got = read(*fd, buf, n);
	return got < 0 ? error_set(err, ERROR_INTERNAL, "read the tar") : got;
}

static int load(struct host *h, const char *tar, struct error *err)
{
	CLEANUP_FD int fd = open(tar, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		return error_set(err, ERROR_USAGE, "no such file '%s'", tar);
	}
	struct http_source source = {.read = read_tar, .ctx = &fd, .length = -1};
	return docker_image_load(h->docker, &source, NULL, NULL, err);
}

static int run(struct host *h, const char *image, const char *name, struct docker_container *seen,
	struct error *err)
{
	CLEANUP_DOCKER_SPEC struct docker_container_spec spec = {
		.name = xstrdup(name), .image = xstrdup(image), .network = xstrdup(NETWORK)};
	return docker_container_run(h->docker, &spec, NULL, seen, err);
}

static int ask(int fd, const struct http_request *req, int *status, struct error *err)
{
	struct http_reply reply = {0};
	int rc = http_exchange(fd, req, TIMEOUT_MS, &reply, err);
	*status = reply.status;
	http_reply_fini(&reply);
	close(fd);
	return rc;
}

static int first_200(struct host *h, const struct docker_container *c, int port, const char *path,
	struct error *err)
{
	const struct http_request req = {.method = "GET", .target = path, .host = "floor"};
	int64_t until = clock_mono_ms() + TIMEOUT_MS;
	while (c->networks.len > 0 && clock_mono_ms() < until) {
		struct error refused = {0};
		int status = 0;
		int fd = host_dial_tcp(h, c->networks.p[0].ip, port, &refused);
		if (fd >= 0 && ask(fd, &req, &status, &refused) == 0 && status == 200) {
			return 0;
		}
		clock_sleep_ms(PAUSE_MS);
	}
	return error_set(err, ERROR_UNHEALTHY, "the container does not answer");
}

static int reload(struct host *h, struct error *err)
{
	static const char body[] = "import /etc/deploy/Caddyfile\n";
	struct strmap headers = {0};
	int status = 0;
	strmap_set(&headers, "Content-Type", "text/caddyfile");
	struct http_request req = {.method = "POST",
		.target = "/load",
		.host = "",
		.headers = &headers,
		.body = body,
		.body_len = sizeof(body) - 1};
	int fd = host_dial_unix(h, ADMIN, err);
	int rc = fd < 0 ? -1 : ask(fd, &req, &status, err);
	strmap_fini(&headers);
	if (rc == 0 && status != 200) {
		rc = error_set(err, ERROR_REMOTE, "the proxy answered %d", status);
	}
	return rc;
}

static int push(struct host *h, char **args, struct error *err)
{
	struct docker_container seen = {0};
	int rc = load(h, args[0], err);
	rc = rc == 0 ? run(h, args[1], args[2], &seen, err) : rc;
	rc = rc == 0 ? first_200(h, &seen, (int)strtol(args[4], NULL, 10), args[5], err) : rc;
	rc = rc == 0 ? reload(h, err) : rc;
	if (rc == 0 && strcmp(args[3], "-") != 0) {
		rc = docker_container_stop(h->docker, args[3], -1, err);
	}
	docker_container_fini(&seen);
	return rc;
}

int main(int argc, char **argv)
{
	int64_t begun = clock_mono_ms();
	struct error err = {0};
	if (argc != 9) {
		fprintf(stderr, "usage: floor SSH_CONFIG HOST TAR IMAGE NEW OLD PORT PATH\n");
		return 2;
	}
	struct config_host address = {.name = argv[2]};
	struct config_ssh ssh = {
		.use_config = true, .connect_timeout_ms = TIMEOUT_MS, .keepalive_ms = TIMEOUT_MS};
	strvec_push(&ssh.config_files, argv[1]);
	struct host_request req = {.name = argv[2],
		.address = &address,
		.ssh = &ssh,
		.fabric = ssh_fabric_new(1),
		.shell_only = true};
	struct host *h = host_connect(&req, &err);
	int rc = h ? push(h, argv + 3, &err) : -1;
	host_close(h);
	ssh_fabric_free(req.fabric);
	strvec_fini(&ssh.config_files);
	if (rc < 0) {
		fprintf(stderr, "floor: %s\n", err.text);
		return 1;
	}
	printf("%lld\n", (long long)(clock_mono_ms() - begun));
	return 0;
}
