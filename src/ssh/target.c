/* SPDX-License-Identifier: MIT */
#include "ssh/target.h"

#include "config_cache.h"

#include "util/fs.h"
#include "util/proc.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_PORT       22
#define DEFAULT_TIMEOUT_MS 10000
#define DEFAULT_ALIVE_MS   15000
#define CONFIG_TIMEOUT_MS  5000 /* a Match exec in it may take its time */
#define CONFIG_MAX         ((size_t)1 << 20)

void ssh_target_fini(struct ssh_target *t)
{
	if (t == NULL) {
		return;
	}
	free(t->host);
	free(t->hostname);
	free(t->user);
	free(t->host_key_alias);
	free(t->proxy_command);
	free(t->agent);
	strvec_fini(&t->jumps);
	strvec_fini(&t->identity_files);
	strvec_fini(&t->known_hosts);
	strvec_fini(&t->global_known_hosts);
	for (size_t i = 0; i < t->key_data.len; i++) {
		secret_unref(t->key_data.p[i]);
	}
	vec_fini(&t->key_data);
	*t = (struct ssh_target){0};
}

static char *local_user(void)
{
	char buf[4096];
	struct passwd pw;
	struct passwd *found = NULL;

	if (getpwuid_r(getuid(), &pw, buf, sizeof(buf), &found) == 0 && found != NULL) {
		return xstrdup(found->pw_name);
	}
	const char *user = getenv("USER");
	return xstrdup(user != NULL ? user : "root");
}

/* What ssh would do without any configuration (ssh_config(5)). */
static void defaults(struct ssh_target *t)
{
	static const char *const keys[] = {"id_rsa", "id_ecdsa", "id_ed25519"};
	CLEANUP_FREE char *home = fs_home();

	t->port = DEFAULT_PORT;
	t->connect_timeout_ms = DEFAULT_TIMEOUT_MS;
	t->keepalive_ms = DEFAULT_ALIVE_MS;
	t->agent = xstrdup(getenv("SSH_AUTH_SOCK"));
	strvec_push(&t->global_known_hosts, "/etc/ssh/ssh_known_hosts");
	if (home != NULL) {
		strvec_pushf(&t->known_hosts, "%s/.ssh/known_hosts", home);
		for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
			strvec_pushf(&t->identity_files, "%s/.ssh/%s", home, keys[i]);
		}
	}
}

static void replace(char **to, const char *value)
{
	if (value != NULL) {
		free(*to);
		*to = xstrdup(value);
	}
}

/* What ssh -G is asked. */
struct question {
	const struct ssh_options *options;
	const char *host;
	const char *user; /* or NULL */
	int port;         /* or 0 */
};

/* Nothing is appended when there is no OpenSSH. */
static int ask_ssh(void *ctx, struct str *out, struct error *err)
{
	const struct question *q = ctx;
	char port[16];
	const char *argv[12];
	size_t n = 0;
	CLEANUP_STR struct str errout = STR_INIT(STR_MAX_LINE);
	struct proc_result result = {0};

	argv[n++] = "ssh";
	argv[n++] = "-G";
	if (q->options->config_file != NULL) {
		argv[n++] = "-F";
		argv[n++] = q->options->config_file;
	}
	if (q->user != NULL) { /* Match user, %r */
		argv[n++] = "-l";
		argv[n++] = q->user;
	}
	if (q->port > 0) {
		snprintf(port, sizeof(port), "%d", q->port);
		argv[n++] = "-p";
		argv[n++] = port;
	}
	argv[n++] = "--";
	argv[n++] = q->host;
	argv[n] = NULL;
	const struct proc_request req = {.argv = argv, .timeout_ms = CONFIG_TIMEOUT_MS};
	struct error why = {0};
	if (proc_run(&req, out, &errout, &result, &why) < 0) {
		if (why.sys == ENOENT) {
			return 0;
		}
		*err = why;
		return -1;
	}
	if (result.status != 0 || result.timed_out) {
		error_set(err, ERROR_CONNECT, "ssh -G %s: %s", q->host,
			result.timed_out ? "it does not end" : "it failed");
		return error_detail(err, str_c(&errout), errout.len);
	}
	return 0;
}

static int ask_config(const struct question *q, struct ssh_config_cache *cache,
	struct ssh_target *t, struct error *err)
{
	CLEANUP_STR struct str out = STR_INIT(CONFIG_MAX);
	struct question copy = *q;
	int rc;

	if (cache != NULL) {
		CLEANUP_FREE char *key = xasprintf("%s@%d %s", q->user != NULL ? q->user : "",
			q->port, q->options->config_file != NULL ? q->options->config_file : "");
		rc = ssh_config_cached(
			cache, q->options->config_file, key, ask_ssh, &copy, &out, err);
	} else {
		rc = ask_ssh(&copy, &out, err);
	}
	if (rc < 0 || out.len == 0) {
		return rc;
	}
	strvec_fini(&t->identity_files); /* its lists replace the defaults */
	if (ssh_config_parse(str_c(&out), out.len, t, err) < 0) {
		return -1;
	}
	if (rc == 1) { /* the answer may have been another host's, and is the same for ours */
		replace(&t->hostname, q->host);
	}
	return 0;
}

static void lay_keys(const struct ssh_options *o, struct ssh_target *t)
{
	struct strvec files = {0};

	if (o->key_files != NULL) {
		strvec_copy(&files, o->key_files);
	}
	if (!o->keys_only) {
		strvec_copy(&files, &t->identity_files);
	}
	strvec_fini(&t->identity_files);
	t->identity_files = files;
	for (size_t i = 0; o->key_data != NULL && i < o->key_data->len; i++) {
		vec_push(&t->key_data, secret_ref(o->key_data->p[i]));
	}
	t->identities_only = t->identities_only || o->keys_only;
}

/* The manifest's word over ssh's. */
static int lay_options(const struct ssh_options *o, struct ssh_target *t, struct error *err)
{
	lay_keys(o, t);
	if (o->jump != NULL) {
		CLEANUP_FREE char *line = xasprintf("proxyjump %s", o->jump);
		replace(&t->proxy_command, NULL);
		if (ssh_config_parse(line, strlen(line), t, err) < 0) {
			return -1;
		}
		free(t->proxy_command);
		t->proxy_command = NULL;
	}
	if (o->known_hosts != NULL) {
		strvec_fini(&t->known_hosts);
		strvec_fini(&t->global_known_hosts);
		strvec_push(&t->known_hosts, o->known_hosts);
	}
	if (o->host_key_check == SSH_HOST_KEY_ACCEPT_NEW) {
		t->host_key_check = SSH_HOST_KEY_ACCEPT_NEW;
	}
	if (o->connect_timeout_ms > 0) {
		t->connect_timeout_ms = o->connect_timeout_ms;
	}
	if (o->keepalive_ms > 0) {
		t->keepalive_ms = o->keepalive_ms;
	}
	t->ask_passphrase = o->ask_passphrase;
	t->ctx = o->ctx;
	return 0;
}

static int check_jumps(const struct ssh_target *t, struct error *err)
{
	for (size_t i = 0; i < t->jumps.len; i++) {
		char *user;
		char *host;
		int port;
		if (ssh_host_split(t->jumps.p[i], &user, &host, &port, err) < 0) {
			return error_wrap(err, "jump host");
		}
		free(user);
		free(host);
	}
	return 0;
}

int ssh_target_resolve(const struct ssh_options *o, struct ssh_target *t, struct error *err)
{
	return ssh_target_resolve_cached(o, NULL, t, err);
}

int ssh_target_resolve_cached(const struct ssh_options *o, struct ssh_config_cache *cache,
	struct ssh_target *t, struct error *err)
{
	CLEANUP_FREE char *user = NULL;
	CLEANUP_FREE char *host = NULL;
	int port;

	*t = (struct ssh_target){0};
	if (ssh_host_split(o->host, &user, &host, &port, err) < 0) {
		return -1;
	}
	defaults(t);
	t->host = xstrdup(o->host);
	t->hostname = xstrdup(host);
	/* What was said here is given to ssh -G too, and wins. */
	replace(&t->user, o->user != NULL ? o->user : user);
	port = o->port > 0 ? o->port : port;
	t->port = port > 0 ? port : DEFAULT_PORT;
	if (t->user != NULL && (*t->user == '-' || *t->user == '\0')) {
		error_set(err, ERROR_CONNECT, "'%s' is not a user", t->user);
		ssh_target_fini(t);
		return -1;
	}
	const struct question q = {.options = o, .host = host, .user = t->user, .port = port};
	int rc = o->no_config ? 0 : ask_config(&q, cache, t, err);
	if (rc == 0) {
		rc = lay_options(o, t, err);
	}
	if (rc == 0) {
		rc = check_jumps(t, err);
	}
	if (rc < 0) {
		error_host(err, o->host);
		ssh_target_fini(t);
		return -1;
	}
	if (t->user == NULL) {
		t->user = local_user();
	}
	return 0;
}
