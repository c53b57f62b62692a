/* SPDX-License-Identifier: MIT */
/*
 * Reverse pull: the server's daemon pulls from us, through a port that sshd opens on the server's
 * loopback.  For containerd stores, which cannot load an image in part.
 */
#include "image/serve.h"
#include "ssh/listener.h"
#include "util/cancel.h"
#include "ways.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ACCEPT_MS       200
#define MAX_CONNECTIONS 64
#define PROC_NET_BYTES  ((size_t)8 << 20)
#define SFTP_MS         10000

struct connection {
	struct serve *serve;
	int fd;
	pthread_t thread;
};
VEC_TYPE(connection_vec, struct connection *);

struct tunnel {
	struct ssh_listener *listener;
	struct serve *serve;
	struct connection_vec connections; /* of the accepting thread until it is joined */
	pthread_t thread;
	bool started;
};

static void *run_connection(void *arg)
{
	struct connection *c = arg;

	serve_connection(c->serve, c->fd);
	return NULL;
}

static void *run_accept(void *arg)
{
	struct tunnel *t = arg;

	for (;;) {
		struct error err = {0};
		struct connection *c;
		int fd = ssh_listener_accept(t->listener, ACCEPT_MS, &err);
		if (fd < 0 && err.kind == ERROR_NONE) {
			continue;
		}
		if (fd < 0) {
			return NULL;
		}
		if (t->connections.len == MAX_CONNECTIONS * 16) {
			close(fd); /* more than any pull needs */
			continue;
		}
		c = xcalloc(1, sizeof(*c));
		c->serve = t->serve;
		c->fd = fd;
		if (pthread_create(&c->thread, NULL, run_connection, c) != 0) {
			close(fd);
			free(c);
			continue;
		}
		vec_push(&t->connections, c);
	}
}

static void close_tunnel(struct tunnel *t)
{
	if (t->listener) {
		ssh_listener_stop(t->listener);
	}
	if (t->started) {
		pthread_join(t->thread, NULL);
	}
	if (t->serve) {
		serve_stop(t->serve);
	}
	VEC_FOREACH (&t->connections, i) {
		pthread_join(t->connections.p[i]->thread, NULL);
		free(t->connections.p[i]);
	}
	vec_fini(&t->connections);
	ssh_listener_close(t->listener);
	serve_free(t->serve);
}

/*
 * sshd with `GatewayPorts yes` listens on every address whatever we asked for; then anybody could
 * read the image who guesses the token.
 */
static int check_loopback(struct host *h, int port, struct error *err)
{
	static const char *const files[] = {"/proc/net/tcp", "/proc/net/tcp6"};
	struct sftp_batch *b;
	struct sftp_op *ops[2];
	bool seen = false, open = false;
	int rc;

	if (host_files(h, err) != 0) {
		return -1;
	}
	b = sftp_batch_new(h->sftp);
	for (size_t i = 0; i < 2; i++) {
		ops[i] = sftp_read(b, files[i], PROC_NET_BYTES);
	}
	rc = sftp_run(b, SFTP_MS, err);
	for (size_t i = 0; rc == 0 && i < 2; i++) {
		int is = ops[i]->status == SFTP_OK
				 ? serve_is_loopback(str_c(&ops[i]->data), ops[i]->data.len, port)
				 : -1;
		seen = seen || is == 1;
		open = open || is == 0;
	}
	sftp_batch_free(b);
	if (rc != 0) {
		return -1;
	}
	if (open) {
		return error_set(err, ERROR_REMOTE,
			"sshd there opens forwarded ports to the network (GatewayPorts)");
	}
	return seen ? 0 : error_set(err, ERROR_REMOTE, "cannot tell where port %d listens", port);
}

static int open_tunnel(struct way *w, struct tunnel *t, int *port, struct error *err)
{
	t->listener = ssh_listen(w->host->ssh, "127.0.0.1", 0, port, err);
	if (!t->listener || check_loopback(w->host, *port, err) != 0) {
		return -1;
	}
	t->serve = serve_new(w->s, w->host->name);
	if (pthread_create(&t->thread, NULL, run_accept, t) != 0) {
		return error_set(err, ERROR_INTERNAL, "start a thread");
	}
	t->started = true;
	return 0;
}

static int pull(struct way *w, struct tunnel *t, int port, struct error *err)
{
	CLEANUP_FREE char *reference = xasprintf(
		"127.0.0.1:%d/%s/image@%s", port, serve_token(t->serve), serve_digest(t->serve));
	struct error ignored = {0};

	if (docker_image_pull(w->host->docker, reference, NULL, NULL, NULL, NULL, err) != 0 ||
		way_tag(w, reference, NULL, err) != 0) {
		return -1;
	}
	/* It has its true names: the one of the tunnel goes. Harmless when it stays. */
	if (docker_image_remove(w->host->docker, reference, false, true, &ignored) != 0) {
		ui_debug(w->s->ui, w->host->name, "image: untag '%s': %s", reference, ignored.text);
	}
	return 0;
}

int way_reverse(struct way *w, struct error *err)
{
	struct origin_need need = {.layers = w->missing, .config = true, .sizes = true};
	struct tunnel t = {0};
	int port = 0, rc;

	if (!w->host->ssh) {
		return error_set(err, ERROR_REMOTE, "no SSH connection to pull through");
	}
	rc = origin_want(w->s, &need, err);
	if (rc == 0) {
		rc = open_tunnel(w, &t, &port, err);
	}
	if (rc == 0) {
		rc = pull(w, &t, port, err);
		w->result->bytes_sent += serve_sent(t.serve);
		w->result->layers_sent = serve_layers(t.serve);
		if (w->host->info.containerd_store) {
			snprintf(w->expected_id, sizeof(w->expected_id), "%s",
				serve_digest(t.serve));
		}
	}
	close_tunnel(&t);
	return rc;
}
