/* SPDX-License-Identifier: MIT */
/*
 * Traefik 3.4 and newer (tested: 3.6.0), driven with its file provider.
 *
 * Facts (read in its source, seen in tests):
 * - It watches its folder, but not the folders in it, and takes each event by itself.  So it is
 * told (SIGHUP) when all files are there; it reads them in the order of their names, puts them
 * together and uses them some time later, without a word.  What is read first is a stamp, of a host
 * name that nobody knew before; when that is answered all other files are in use, too.
 * - One file that it cannot read keeps it from taking any; a router whose parts are wrong is left
 *   out.  It has no test of a configuration: another process of it reads the candidate, with entry
 *   points that nobody knows.  Both tell what is wrong in their log alone.
 * - A configuration in use does not change for requests under way, web sockets among them, and no
 *   connection is closed.  Counters of rate limits begin anew.
 * - It has no count of requests in flight: no idle connections are kept to containers, so that each
 *   one is a request (connections.c).  Ports of closed ones are used again at once.
 * - What it cannot do by itself is in traefik_plugin.go.  Settings that it only reads when it
 * starts are its command line, so that another one is seen as a drift of the container.
 * - It does not rotate logs: a loop beside it does (1 min, 10 MiB).
 */
#include "traefik.h"
#include "internal.h"

#include "docker/container.h"
#include "proxy/certificate.h"
#include "util/cancel.h"
#include "util/clock.h"
#include "util/digest.h"

#include <string.h>

#define RELOAD_MS   10000
#define RACE_MS     50 /* a request that was routed before the reload has its connection by then */
#define LOG_PIECE   ((size_t)64 << 10)
#define STAMPS      "services/.stamps" /* read before services/ and what lies in it */
#define RELOAD_HOST "reload.deploy.internal"

#define PLUGINS "plugins-local/src/deploy/proxy" /* where it looks, below its working folder */

static const char *const manifest[] = {"displayName: deploy\n"
				       "type: middleware\n"
				       "import: deploy/proxy\n"
				       "summary: Pages and probes of deploy.\n"
				       "testData: {status: 200}\n",
	NULL};

static void join_lines(const char *const *lines, const char *path, struct proxy_files *out)
{
	struct str text = STR_INIT(STR_MAX_FILE);
	for (; *lines; lines++) {
		str_add(&text, *lines);
	}
	proxy_files_set(out, path, str_c(&text));
	str_fini(&text);
}

/* Without a certificate for unknown names it makes one at each reload, while nobody shakes hands:
 * 0.4 s and more. */
static void traefik_files(struct proxy_files *out)
{
	struct str crt = STR_INIT(STR_MAX_FILE), key = STR_INIT(STR_MAX_FILE);
	join_lines(manifest, PLUGINS "/.traefik.yml", out);
	join_lines(traefik_plugin_go, PLUGINS "/proxy.go", out);
	certificate_make("nobody.deploy.internal", &crt, &key);
	proxy_files_set(out, "certs/default.crt", str_c(&crt));
	proxy_files_set(out, "certs/default.key", str_c(&key));
	str_fini(&crt);
	str_fini(&key);
}

/* -- The container -- */

static void add_entry(struct strvec *argv, const char *name, int port)
{
	strvec_pushf(argv, "--entrypoints.%s.address=:%d", name, port);
	/* Each service says whom it believes (traefik_render.c). */
	strvec_pushf(argv, "--entrypoints.%s.forwardedheaders.insecure=true", name);
	/* Of the whole request: uploads take their time. */
	strvec_pushf(argv, "--entrypoints.%s.transport.respondingtimeouts.readtimeout=1h", name);
	/* Docker kills it when its own time is over. */
	strvec_pushf(argv, "--entrypoints.%s.transport.lifecycle.gracetimeout=1h", name);
}

static void add_acme(struct strvec *argv, const struct proxy_config *c)
{
	static const char *const acme = "--certificatesresolvers.deploy.acme.";
	strvec_pushf(argv, "%sstorage=" PROXY_VAR "/acme.json", acme);
	strvec_pushf(argv, "%shttpchallenge.entrypoint=http", acme);
	if (c->acme_email) {
		strvec_pushf(argv, "%semail=%s", acme, c->acme_email);
	}
	if (c->acme_server) {
		strvec_pushf(argv, "%scaserver=%s", acme, c->acme_server);
	}
	if (c->acme_ca) {
		CLEANUP_FREE char *file = proxy_acme_ca_file(c);
		strvec_pushf(argv, "%scacertificates=" PROXY_ETC "/%s", acme, file);
	}
}

static void add_logs(struct strvec *argv)
{
	static const char *const flags[] = {"--log.level=WARN", "--log.format=json",
		"--log.filepath=" PROXY_LOG "/error.log", "--accesslog=true",
		"--accesslog.format=json", "--accesslog.filepath=" PROXY_LOG "/access.log",
		"--accesslog.fields.headers.defaultmode=drop",
		/* Traefik's own answers have neither. */
		"--accesslog.fields.headers.names.Content-Type=keep",
		"--accesslog.fields.headers.names.Date=keep",
		"--accesslog.fields.headers.names.User-Agent=keep",
		"--accesslog.fields.headers.names.X-Request-Id=keep", NULL};
	for (size_t i = 0; flags[i]; i++) {
		strvec_push(argv, flags[i]);
	}
}

/* A change of it needs a new container. */
static void set_plugin_digest(struct docker_container_spec *spec)
{
	struct digest *d = digest_new();
	char hex[DIGEST_HEX_SIZE];
	for (const char *const *line = traefik_plugin_go; *line; line++) {
		digest_update(d, *line, strlen(*line));
	}
	digest_hex(d, hex);
	digest_free(d);
	strmap_set(&spec->labels, "deploy.proxy.plugin", hex);
}

static void traefik_command(const struct proxy_config *c, struct docker_container_spec *spec)
{
	/* $$ is Traefik's number too: it replaces the shell. */
	static const char script[] =
		"cd " PROXY_LOG " && { while sleep 60; do for f in access error; do "
		"s=$(wc -c <$f.log) || continue; [ \"$s\" -gt 10485760 ] || continue; "
		"mv -f $f.1.log $f.2.log 2>/dev/null; mv -f $f.log $f.1.log; kill -USR1 $$; "
		"done; done & }; cd " PROXY_ETC " && exec traefik \"$@\"";
	static const char *const entrypoint[] = {"/bin/sh", "-c", script, "traefik", NULL};
	static const char *const flags[] = {"--global.checknewversion=false",
		"--global.sendanonymoususage=false", "--providers.providersthrottleduration=0s",
		"--providers.file.directory=" PROXY_ETC "/services", "--providers.file.watch=false",
		"--experimental.localplugins.deploy.modulename=deploy/proxy",
		"--entrypoints.deploy.address=" TRAEFIK_ADDRESS,
		"--entrypoints.deploy.forwardedheaders.insecure=true",
		"--entrypoints.deploy.observability.accesslogs=false",
		"--entrypoints.deploy.observability.metrics=false", NULL};
	for (size_t i = 0; entrypoint[i]; i++) {
		strvec_push(&spec->entrypoint, entrypoint[i]);
	}
	spec->has_entrypoint = true;
	for (size_t i = 0; flags[i]; i++) {
		strvec_push(&spec->cmd, flags[i]);
	}
	add_entry(&spec->cmd, "http", c->http_port);
	add_entry(&spec->cmd, "https", c->https_port);
	add_acme(&spec->cmd, c);
	add_logs(&spec->cmd);
	if (c->metrics_port > 0) {
		strvec_pushf(&spec->cmd, "--entrypoints.metrics.address=:%d", c->metrics_port);
		strvec_push(&spec->cmd, "--metrics.prometheus.entrypoint=metrics");
	}
	strmap_set(&spec->sysctls, "net.ipv4.tcp_tw_reuse", "1");
	strmap_set(&spec->env, "TMPDIR", PROXY_VAR); /* buffered bodies */
	strmap_set(&spec->env, "HOME", PROXY_VAR);
	set_plugin_digest(spec);
}

/*
 * Another process of it reads the folder of the candidate and serves it on ports of loopback that
 * are free.  It is over when its API knows a file's routers, or when it wrote an error.
 */
static void traefik_validate(struct strvec *argv, const char *file)
{
	static const char script[] =
		"cd " PROXY_ETC " || exit 1; p=$((20000 + $$ % 20000)); o=/tmp/check-$$; "
		"traefik --global.checknewversion=false --providers.providersthrottleduration=0s "
		"--providers.file.directory=\"${0%/*}\" --providers.file.watch=false "
		"--experimental.localplugins.deploy.modulename=deploy/proxy "
		"--api.insecure=true --api.dashboard=false "
		"--entrypoints.traefik.address=127.0.0.1:$p --entrypoints.http.address=127.0.0.1:0 "
		"--entrypoints.https.address=127.0.0.1:0 --entrypoints.deploy.address=127.0.0.1:0 "
		"--log.level=ERROR --log.format=json --log.filepath=$o.log >$o.out 2>&1 & t=$!; "
		"i=0; while [ $i -lt 500 ] && [ ! -s $o.log ] && kill -0 $t 2>/dev/null; do "
		"wget -q -O - http://127.0.0.1:$p/api/http/routers 2>/dev/null | grep -q @file && "
		"i=1000; i=$((i + 1)); sleep 0.02; done; kill -9 $t 2>/dev/null; "
		"cat $o.log $o.out 2>/dev/null; s=0; "
		"if [ -s $o.log ] || [ $i -lt 1000 ]; then s=1; fi; rm -f $o.log $o.out; exit $s";
	static const char *const words[] = {"/bin/sh", "-c", script, NULL};
	for (size_t i = 0; words[i]; i++) {
		strvec_push(argv, words[i]);
	}
	strvec_push(argv, file);
}

static void traefik_version(struct strvec *argv)
{
	strvec_push(argv, "traefik");
	strvec_push(argv, "version");
}

/* -- Reload -- */

/* The stamp there, and where the log ends now. */
static int put_stamp(struct proxy *p, const char *host, uint64_t *log, struct error *err)
{
	CLEANUP_FREE char *name = xasprintf("stamp:%s", p->sid);
	CLEANUP_FREE char *rule = xasprintf("Host(`%s`)", host);
	CLEANUP_FREE char *folder = proxy_path(p, STAMPS);
	CLEANUP_FREE char *path = xasprintf("%s/%s.yml", folder, p->sid);
	CLEANUP_FREE char *log_path = proxy_path(p, "log/error.log");
	struct str text = STR_INIT(STR_MAX_LINE);
	CLEANUP_JSON json_t *j = json_pack("{s:{s:{s:{s:[s], s:s, s:i, s:s, s:[s]}}}}", "http",
		"routers", name, "entryPoints", "deploy", "rule", rule, "priority", TRAEFIK_FIRST,
		"service", "noop@internal", "middlewares", "deploy:done");
	struct sftp_batch *b = sftp_batch_new(p->host->sftp);
	proxy_json_add(&text, j, JSON_COMPACT);
	sftp_mkdirs(b, folder, 0700);
	sftp_write(b, path, str_c(&text), text.len, 0600);
	const struct sftp_op *size = sftp_stat(b, log_path);
	int rc = sftp_run(b, PROXY_TIMEOUT_MS, err);
	*log = rc == 0 && size->status == SFTP_OK ? size->attrs.size : 0;
	sftp_batch_free(b);
	str_fini(&text);
	return rc;
}

static bool answers_stamp(struct proxy *p, const char *host)
{
	struct error ignored = {0};
	struct http_reply reply = {0};
	struct proxy_request req = {.socket = "probe.sock",
		.host = host,
		.method = "GET",
		.target = "/",
		.timeout_ms = RELOAD_MS};
	bool done = proxy_http(p, &req, &reply, &ignored) == 0 && reply.status == 200;
	http_reply_fini(&reply);
	return done;
}

/* What it complains of: all files together, or parts of this service. */
static int judge_line(const struct proxy *p, const char *line, size_t len, struct error *err)
{
	struct error ignored = {0};
	CLEANUP_JSON json_t *j = json_parse(line, len, "log", &ignored);
	CLEANUP_FREE char *own = xasprintf("%s:", p->key);
	for (char *c = own; *c; c++) {
		*c = *c == '@' ? '+' : *c;
	}
	const char *what = json_str_at(j, "error", json_str_at(j, "message", ""));
	bool ours = str_starts(json_str_at(j, "routerName", ""), own) || strstr(what, own);
	if (!str_eq(json_str_at(j, "level", ""), "error") ||
		(!ours && !str_eq(json_str_at(j, "providerName", ""), "file"))) {
		return 0;
	}
	return error_set(err, ERROR_REMOTE, "traefik refused the configuration: %s", what);
}

static int judge_log(struct proxy *p, uint64_t from, struct error *err)
{
	CLEANUP_FREE char *path = proxy_path(p, "log/error.log");
	struct sftp_batch *b = sftp_batch_new(p->host->sftp);
	const struct sftp_op *tail = sftp_read_at(b, path, from, LOG_PIECE);
	int rc = sftp_run(b, PROXY_TIMEOUT_MS, err);
	const char *line = rc == 0 && tail->status == SFTP_OK ? str_c(&tail->data) : "";
	for (const char *end; rc == 0 && (end = strchr(line, '\n')); line = end + 1) {
		rc = judge_line(p, line, (size_t)(end - line), err);
	}
	sftp_batch_free(b);
	return rc;
}

static int traefik_reload(struct proxy *p, struct error *err)
{
	char nonce[17];
	uint64_t log = 0;
	digest_random_hex(8, nonce);
	CLEANUP_FREE char *host = xasprintf("%s." RELOAD_HOST, nonce);
	if (put_stamp(p, host, &log, err) < 0) {
		return -1;
	}
	if (docker_container_kill(p->host->docker, p->container, "HUP", err) < 0) {
		return error_wrap(err, "reload traefik");
	}
	int64_t until = clock_mono_ms() + RELOAD_MS;
	for (int pause = 2;; pause = pause < 50 ? pause * 2 : 50) {
		bool done = answers_stamp(p, host);
		if (done) {
			p->reloaded_ms = clock_mono_ms();
		}
		if ((done || pause > 20) && judge_log(p, log, err) < 0) {
			return -1;
		}
		if (done) {
			return 0;
		}
		if (cancel_check(err) < 0) {
			return -1;
		}
		if (clock_mono_ms() > until) {
			return error_set(err, ERROR_REMOTE, "traefik did not reload within %d s",
				RELOAD_MS / 1000);
		}
		clock_sleep_ms(pause);
	}
}

static int traefik_in_flight(
	struct proxy *p, const struct strvec *names, int *count, struct error *err)
{
	return proxy_connections(p, names, RACE_MS, count, err);
}

/* -- Access log -- */

static bool traefik_parse_log(const char *line, size_t len, struct proxy_log_entry *e)
{
	struct error ignored = {0};
	CLEANUP_JSON json_t *j = json_parse(line, len, "log", &ignored);
	memset(e, 0, sizeof(*e));
	if (!json_is_object(j)) {
		return false;
	}
	const char *router = json_str_at(j, "RouterName", "");
	snprintf(e->key, sizeof(e->key), "%.*s", (int)strcspn(router, ":"), router);
	for (char *c = e->key; *c; c++) {
		*c = *c == '+' ? '@' : *c;
	}
	e->status = (int)json_int_at(j, "DownstreamStatus", 0);
	/* A page of ours stands for an answer that was none. */
	if (str_eq(json_str_at(j, "ServiceName", ""), "deploy:pages@file")) {
		return true;
	}
	snprintf(e->upstream, sizeof(e->upstream), "%s", json_str_at(j, "ServiceAddr", ""));
	bool gateway = e->status >= 502 && e->status <= 504;
	e->answered = *e->upstream && (!gateway || *json_str_at(j, "origin_Content-Type", "") ||
					      *json_str_at(j, "origin_Date", ""));
	return true;
}

static const char *const traefik_store[] = {"acme.json", NULL};

const struct proxy_driver proxy_traefik = {
	.name = "traefik",
	.store = traefik_store,
	.listens_early = true,
	.ext = "yml",
	.main = "services/~/main.yml", /* read last: a default certificate of a service's wins */
	.sites = "services/hosts",
	.default_image = "traefik:v3",
	.render_files = traefik_files,
	.render_main = traefik_main,
	.render_service = traefik_service,
	.render_site = traefik_site,
	.command = traefik_command,
	.validate = traefik_validate,
	.version = traefik_version,
	.reload = traefik_reload,
	.in_flight = traefik_in_flight,
	.parse_log = traefik_parse_log,
};
