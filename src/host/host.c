/* SPDX-License-Identifier: MIT */
#include "host/host.h"

#include "ssh/exec.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DOCKER_SOCKET    "/var/run/docker.sock"
#define PROBE_TIMEOUT_MS 10000

static int dial_docker(void *ctx, struct error *err);

static struct host *host_new(const char *name, struct ui *ui)
{
	struct host *h = xcalloc(1, sizeof(*h));
	h->name = xstrdup(name);
	h->ui = ui;
	pthread_mutex_init(&h->lock, NULL);
	pthread_mutex_init(&h->files_lock, NULL);
	return h;
}

static void fill_options(const struct host_request *req, struct ssh_options *o)
{
	const struct config_ssh *ssh = req->ssh;
	o->host = req->address->name;
	o->user = req->address->user ? req->address->user : ssh->user;
	o->port = req->address->port ? req->address->port : ssh->port;
	o->jump = ssh->proxy;
	o->no_config = !ssh->use_config;
	o->config_file = ssh->config_files.len ? ssh->config_files.p[0] : NULL;
	o->key_files = &ssh->keys;
	o->key_data = req->key_data;
	o->keys_only = ssh->keys_only;
	o->known_hosts = ssh->known_hosts;
	o->host_key_check = ssh->host_key_check == CONFIG_HOST_KEY_ACCEPT_NEW
				    ? SSH_HOST_KEY_ACCEPT_NEW
				    : SSH_HOST_KEY_STRICT;
	o->connect_timeout_ms = ssh->connect_timeout_ms;
	o->keepalive_ms = ssh->keepalive_ms;
}

static struct secret *ask_passphrase(void *ctx, const char *key_file)
{
	struct ui *ui = ctx;
	struct error ignored = {0};
	CLEANUP_FREE char *prompt = xasprintf("Passphrase for %s: ", key_file);
	char *text = ui_ask_secret(ui, prompt, &ignored);
	if (!text) {
		return NULL;
	}
	struct secret *s = secret_new(text, strlen(text));
	explicit_bzero(text, strlen(text));
	free(text);
	return s;
}

struct host *host_connect(const struct host_request *req, struct error *err)
{
	struct ssh_options options = {.ask_passphrase = ask_passphrase, .ctx = req->ui};
	fill_options(req, &options);
	struct ssh_session *session = ssh_fabric_connect(req->fabric, &options, err);
	if (!session) {
		(void)error_host(err, req->name);
		return NULL;
	}
	struct host *h = host_new(req->name, req->ui);
	h->ssh = session;
	if (!req->shell_only) {
		/* Files first: their channel takes a round trip more to be of use, and sshd sends
		 * without Nagle's delay once a session channel runs something. */
		h->first_sftp = ssh_subsystem_start(session, "sftp");
		h->first_docker = ssh_open_unix_start(session, DOCKER_SOCKET);
	}
	h->docker = docker_new(&(struct docker_dialer){dial_docker, h}, h->name);
	return h;
}

/* A duplicate stays with us, so that host_abort() never meets a number that was used again. */
static int dial_local(void *ctx, struct error *err)
{
	struct host *h = ctx;
	int fd = docker_dial_local(NULL, err);
	if (fd >= 0) {
		int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		pthread_mutex_lock(&h->lock);
		if (copy >= 0) {
			vec_push(&h->local, copy);
		}
		pthread_mutex_unlock(&h->lock);
	}
	return fd;
}

void host_abort(struct host *h)
{
	if (h->ssh) {
		ssh_session_abort(h->ssh, "given up");
		return;
	}
	pthread_mutex_lock(&h->lock);
	VEC_FOREACH (&h->local, i) {
		shutdown(h->local.p[i], SHUT_RDWR);
	}
	pthread_mutex_unlock(&h->lock);
}

struct host *host_local(struct ui *ui)
{
	struct host *h = host_new("localhost", ui);
	h->docker = docker_new(&(struct docker_dialer){dial_local, h}, NULL);
	return h;
}

void host_close(struct host *h)
{
	if (!h) {
		return;
	}
	docker_free(h->docker);
	ssh_sftp_close(h->sftp);
	ssh_pending_cancel(h->first_docker);
	ssh_pending_cancel(h->first_sftp);
	VEC_FOREACH (&h->relays, i) {
		ssh_exec_fini(h->relays.p[i]);
		free(h->relays.p[i]);
	}
	vec_fini(&h->relays);
	VEC_FOREACH (&h->local, i) {
		close(h->local.p[i]);
	}
	vec_fini(&h->local);
	docker_info_fini(&h->info);
	pthread_mutex_destroy(&h->files_lock);
	pthread_mutex_destroy(&h->lock);
	free(h->socket);
	free(h->home);
	free(h->state_dir);
	free(h->name);
	free(h);
}

int host_files(struct host *h, struct error *err)
{
	int result = 0;
	pthread_mutex_lock(&h->files_lock);
	if (!h->sftp) {
		struct ssh_pending *pending = h->first_sftp;
		h->first_sftp = NULL;
		h->sftp = pending ? ssh_sftp_open_pending(h->ssh, pending, err)
				  : ssh_sftp_open(h->ssh, err);
		result = h->sftp ? 0 : -1;
	}
	pthread_mutex_unlock(&h->files_lock);
	return result;
}

/*
 * A command on the server as a connection: its stdin and stdout are the descriptor.  The rest of
 * the command (stderr, exit status) lives until the host is closed.
 */
static int dial_command(struct host *h, const char *command, struct error *err)
{
	struct ssh_exec *x = xcalloc(1, sizeof(*x));
	struct ssh_exec_request req = {.command = command};
	if (ssh_exec_start(h->ssh, &req, x, err) < 0) {
		free(x);
		return -1;
	}
	int fd = take_fd(&x->fd);
	pthread_mutex_lock(&h->lock);
	vec_push(&h->relays, x);
	pthread_mutex_unlock(&h->lock);
	return fd;
}

/*
 * A line for each socket there: "ok PATH" or "denied PATH"; then "libpod" when there is a podman
 * program, "cli" when there is a docker program and "alive" when it reaches its daemon.
 */
static const char probe_script[] =
	"u=$(id -u); for s in /var/run/docker.sock \"/run/user/$u/docker.sock\" "
	"/run/podman/podman.sock \"/run/user/$u/podman/podman.sock\"; do "
	"if [ -S \"$s\" ]; then if [ -w \"$s\" ]; then echo \"ok $s\"; else echo \"denied $s\"; "
	"fi; "
	"fi; done; if command -v podman >/dev/null 2>&1; then echo libpod; fi; "
	"if command -v docker >/dev/null 2>&1; then echo cli; "
	"if docker version >/dev/null 2>&1; then echo alive; fi; fi";

static int explain_no_docker(const char *probe, struct error *err)
{
	if (strstr(probe, "denied ")) {
		error_set(err, ERROR_CONNECT, "the SSH user may not use Docker's socket");
		return error_hint(
			err, "on the server: sudo usermod -aG docker USER, then log in anew");
	}
	if (strstr(probe, "cli") || strstr(probe, "ok ")) {
		error_set(err, ERROR_CONNECT, "the Docker daemon is not running");
		return error_hint(err, "on the server: sudo systemctl start docker");
	}
	if (strstr(probe,
		    "libpod")) { /* root's socket is in a folder that others cannot look into */
		error_set(
			err, ERROR_CONNECT, "podman has no socket there that the SSH user may use");
		return error_hint(err, "on the server: sudo systemctl enable --now podman.socket, "
				       "which is root's: "
				       "`ssh: {user: root}`");
	}
	error_set(err, ERROR_CONNECT, "Docker is not installed");
	return error_hint(err, "deploy setup --install-docker installs it on Debian and Ubuntu");
}

static int dial_stdio(struct host *h, struct error *err)
{
	pthread_mutex_lock(&h->lock);
	h->dial_stdio = true;
	pthread_mutex_unlock(&h->lock);
	ui_debug(h->ui, h->name,
		"sshd forwards no unix sockets (AllowStreamLocalForwarding no): "
		"going by 'docker system dial-stdio'");
	return dial_command(h, "docker system dial-stdio", err);
}

/* The usual socket did not answer: looks for another one, or says what is wrong. */
static int find_docker(struct host *h, struct error *err)
{
	CLEANUP_STR struct str out = STR_INIT(STR_MAX_LINE);
	int status;
	if (ssh_run(h->ssh, probe_script, NULL, 0, &out, NULL, PROBE_TIMEOUT_MS, &status, err) <
		0) {
		return -1;
	}
	for (const char *line = str_c(&out); line && *line;) {
		const char *end = strchr(line, '\n');
		if (str_starts(line, "ok ") && end && !str_starts(line + 3, DOCKER_SOCKET)) {
			CLEANUP_FREE char *path = xstrndup(line + 3, (size_t)(end - line - 3));
			int fd = ssh_open_unix(h->ssh, path, err);
			if (fd >= 0) {
				pthread_mutex_lock(&h->lock);
				free(h->socket);
				h->socket = xstrdup(path);
				pthread_mutex_unlock(&h->lock);
				ui_debug(h->ui, h->name, "Docker answers on %s", path);
				return fd;
			}
		}
		line = end ? end + 1 : NULL;
	}
	/* sshd does not say that it was told not to: it refuses as if nobody listened there. */
	return strstr(str_c(&out), "alive") ? dial_stdio(h, err)
					    : explain_no_docker(str_c(&out), err);
}

static int dial_docker(void *ctx, struct error *err)
{
	struct host *h = ctx;
	pthread_mutex_lock(&h->lock);
	struct ssh_pending *first = h->first_docker;
	h->first_docker = NULL;
	bool by_command = h->dial_stdio;
	CLEANUP_FREE char *socket = xstrdup(h->socket ? h->socket : DOCKER_SOCKET);
	pthread_mutex_unlock(&h->lock);
	if (by_command) {
		return dial_command(h, "docker system dial-stdio", err);
	}
	struct error refused = {0};
	int fd =
		first ? ssh_pending_wait(first, &refused) : ssh_open_unix(h->ssh, socket, &refused);
	if (fd >= 0) {
		return fd;
	}
	if (refused.kind != ERROR_REMOTE) {
		*err = refused;
		return -1;
	}
	return refused.status == SSH_OPEN_PROHIBITED ? dial_stdio(h, err) : find_docker(h, err);
}

static int dial_by_shell(struct host *h, const char *address, int port, struct error *err)
{
	CLEANUP_STR struct str command = STR_INIT(STR_MAX_LINE);
	str_add(&command, "exec bash -c 'exec 3<>/dev/tcp/$0/$1 && { cat <&3 & exec cat >&3; }' ");
	ssh_quote(&command, address);
	str_addf(&command, " %d", port);
	return dial_command(h, str_c(&command), err);
}

int host_dial_tcp(struct host *h, const char *address, int port, struct error *err)
{
	pthread_mutex_lock(&h->lock);
	bool by_shell = h->tcp_by_shell;
	pthread_mutex_unlock(&h->lock);
	if (by_shell) {
		return dial_by_shell(h, address, port, err);
	}
	struct error refused = {0};
	int fd = ssh_open_tcp(h->ssh, address, port, &refused);
	if (fd >= 0) {
		return fd;
	}
	if (refused.status != SSH_OPEN_PROHIBITED) {
		*err = refused;
		return -1;
	}
	pthread_mutex_lock(&h->lock);
	h->tcp_by_shell = true;
	pthread_mutex_unlock(&h->lock);
	ui_debug(h->ui, h->name,
		"sshd forwards no TCP (AllowTcpForwarding no): going by a shell there");
	return dial_by_shell(h, address, port, err);
}

/*
 * Perl's base is essential on Debian and Ubuntu, so that it is there where netcat and socat are
 * not.  The child copies our bytes to the socket, the parent the answers to us.
 */
static const char unix_relay[] =
	"exec perl -MSocket -e 'socket(S,AF_UNIX,SOCK_STREAM,0);"
	"connect(S,pack_sockaddr_un($ARGV[0])) or exit 1;"
	"if(!($p=fork)){while(sysread(STDIN,$b,65536)){syswrite(S,$b)}shutdown(S,1);exit}"
	"while(sysread(S,$b,65536)){syswrite(STDOUT,$b)}kill 9,$p' ";

int host_dial_unix(struct host *h, const char *path, struct error *err)
{
	pthread_mutex_lock(&h->lock);
	bool by_shell = h->dial_stdio;
	pthread_mutex_unlock(&h->lock);
	struct error refused = {0};
	int fd = by_shell ? -1 : ssh_open_unix(h->ssh, path, &refused);
	if (fd >= 0) {
		return fd;
	}
	if (!by_shell && refused.status != SSH_OPEN_PROHIBITED) {
		*err = refused;
		return -1;
	}
	CLEANUP_STR struct str command = STR_INIT(STR_MAX_LINE);
	str_add(&command, unix_relay);
	ssh_quote(&command, path);
	return dial_command(h, str_c(&command), err);
}

uint64_t host_bytes_sent(const struct host *h)
{
	struct ssh_stats stats = {0};
	if (h->ssh) {
		ssh_session_stats(h->ssh, &stats);
	}
	return stats.sent;
}

int host_error(const struct host *h, struct error *err)
{
	struct error lost = {0};
	if (h->ssh && err->kind != ERROR_INTERRUPTED && ssh_session_error(h->ssh, &lost) < 0) {
		memcpy(lost.detail, err->detail, sizeof(lost.detail));
		*err = lost;
	}
	return error_host(err, h->name);
}
