/* SPDX-License-Identifier: MIT */
/*
 * nginx 1.20 and newer (tested: 1.22.1 and 1.31.5).
 *
 * Facts (read in its source, seen in tests):
 * - A name in an `upstream` block that does not resolve keeps nginx from starting, which after a
 *   reboot would take all sites down for one application.  From 1.27.3 on `server NAME resolve`
 * looks it up while it runs, but after each load it answers 502 ("no live upstreams") until the
 * first answer has come.  So the upstream is a variable, which a request waits for to be looked up
 * (2 s cached).  The price: replicas are chosen at random by split_clients, without keep-alive to
 * them or a second try.
 *   Where the manifest has `load_balancing` there is another way: nginx_balance.c.
 * - HUP: the master reads the files, and keeps the old configuration when they are wrong; it starts
 *   new workers, waits 100 ms, then tells the old ones to stop accepting.  Each of these then calls
 *   itself "nginx: worker process is shutting down" and closes its idle connections, to both sides.
 *   So the reload is over when every old worker has that title or is gone; and a connection to an
 *   old container's port that the proxy has then is a request in flight.  Both are read from the
 *   server's /proc by SFTP: no `ps`, no shell in the container.  (Counting old workers would make
 * one service wait for another one's web sockets.)
 * - A killed nginx leaves its unix sockets behind and fails to bind them: the command removes them.
 * - It does not rotate logs: a loop beside it does (1 min, 10 MiB).
 */

#include "internal.h"

#include "docker/container.h"
#include "manifest/ciphers.h"
#include "util/cancel.h"
#include "util/clock.h"

#include <string.h>

#define V_1_25_1  PROXY_VERSION(1, 25, 1)
#define V_1_27_4  PROXY_VERSION(1, 27, 4)
#define RELOAD_MS 10000
#define ADD_HSTS  "\tadd_header Strict-Transport-Security " PROXY_HSTS " always;\n"

/* Old workers keep idle client connections that long, so that a request which is on its way is
 * answered (by the old containers) and not lost; before 1.27.4 it is lost, and sent again by
 * clients that follow RFC 9112, 9.3.1. */
static int linger_ms(long version)
{
	return version >= V_1_27_4 ? 500 : 0;
}

/* -- Renderings -- */

static void add_quoted_page(struct str *out, const char *title, const char *text)
{
	str_addf(out, "\"%s<h1>%s</h1><p>", proxy_page_head, title);
	proxy_page_escape(out, text);
	str_addf(out, "</p>%s\"", proxy_page_tail);
}

const char *const nginx_log_fields =
	"\"ts\":$msec,\"key\":\"$deploy_key\","
	"\"upstream\":\"$deploy_upstream\",\"address\":\"$upstream_addr\","
	"\"answered\":\"$upstream_header_time\",\"status\":$status,"
	"\"duration\":$request_time,\"size\":$bytes_sent,\"remote_ip\":\"$remote_addr\","
	"\"proto\":\"$server_protocol\",\"method\":\"$request_method\","
	"\"host\":\"$host\",\"uri\":\"$request_uri\",\"request_id\":\"$deploy_request_id\","
	"\"user_agent\":\"$http_user_agent\"";

static void add_http(struct str *out)
{
	static const char *const kinds[] = {
		"client_body", "proxy", "fastcgi", "uwsgi", "scgi", NULL};
	for (size_t i = 0; kinds[i]; i++) {
		str_addf(out, "\t%s_temp_path " PROXY_VAR "/%s;\n", kinds[i], kinds[i]);
	}
	str_add(out, "\tserver_tokens off;\n\ttcp_nodelay on;\n\tkeepalive_timeout 75s;\n"
		     "\tserver_names_hash_bucket_size 256;\n\tvariables_hash_max_size 4096;\n"
		     "\tmap_hash_bucket_size 256;\n\tuninitialized_variable_warn off;\n"
		     "\tresolver 127.0.0.11 valid=2s ipv6=off;\n\tresolver_timeout 5s;\n"
		     "\tssl_protocols TLSv1.2 TLSv1.3;\n\tssl_session_cache shared:deploy:5m;\n"
		     "\tmap $upstream_http_x_deploy_container $deploy_upstream {\n"
		     "\t\tdefault $upstream_http_x_deploy_container;\n\t\t'' $proxy_host;\n\t}\n"
		     "\tlog_format deploy escape=json '{");
	str_addf(out, "%s}';\n", nginx_log_fields);
	str_add(out,
		"\taccess_log " PROXY_LOG "/access.log deploy;\n"
		"\tmap $http_upgrade $deploy_connection {\n\t\tdefault upgrade;\n\t\t'' '';\n\t}\n"
		"\tmap $http_x_request_id $deploy_request_id {\n"
		"\t\tdefault $http_x_request_id;\n\t\t'' $request_id;\n\t}\n"
		"\tmap $http_x_forwarded_proto $deploy_forwarded_proto {\n"
		"\t\tdefault $http_x_forwarded_proto;\n\t\t'' $scheme;\n\t}\n"
		"\tmap $http_x_forwarded_host $deploy_forwarded_host {\n"
		"\t\tdefault $http_x_forwarded_host;\n\t\t'' $http_host;\n\t}\n"
		"\tmap '' $deploy_page_bad {\n\t\tdefault ");
	add_quoted_page(out, "This site is not answering",
		"The application behind it could not be reached. Please try again in a moment.");
	str_add(out, ";\n\t}\n");
}

void nginx_add_proxy_headers(struct str *out, const char *tabs)
{
	static const char *const lines[] = {"proxy_http_version 1.1;",
		"proxy_set_header Upgrade $http_upgrade;",
		"proxy_set_header Connection $deploy_connection;",
		"proxy_set_header X-Request-Id $deploy_request_id;", NULL};
	for (size_t i = 0; lines[i]; i++) {
		str_addf(out, "%s%s\n", tabs, lines[i]);
	}
}

static void add_probe(struct str *out)
{
	str_add(out, "\tserver {\n\t\tlisten unix:" PROXY_RUN "/probe.sock;\n"
		     "\t\tserver_name " PROXY_PROBE_HOST ";\n\t\taccess_log off;\n"
		     "\t\tlocation / {\n");
	nginx_add_proxy_headers(out, "\t\t\t");
	str_add(out, "\t\t\tproxy_set_header Host $http_x_deploy_host;\n"
		     "\t\t\tproxy_set_header X-Forwarded-Proto $http_x_deploy_proto;\n"
		     "\t\t\tproxy_set_header X-Deploy-Host '';\n"
		     "\t\t\tproxy_set_header X-Deploy-Proto '';\n"
		     "\t\t\tproxy_set_header " PROXY_HEADER " '';\n"
		     "\t\t\tadd_header X-Deploy-Answered $upstream_header_time always;\n"
		     "\t\t\tproxy_connect_timeout 2s;\n"
		     "\t\t\tproxy_pass http://$http_x_deploy_upstream;\n\t\t}\n\t}\n");
}

static void nginx_main(const struct proxy_main *m, struct str *out)
{
	str_addf(out,
		"# Written by deploy; changes by hand are overwritten.\n%s"
		"worker_processes auto;\npid " PROXY_RUN "/nginx.pid;\n"
		"error_log " PROXY_LOG "/error.log warn;\n"
		"events {\n\tworker_connections 4096;\n}\nhttp {\n",
		m->root ? "user root;\n" : "");
	if (linger_ms(m->version)) {
		str_addf(out, "\tkeepalive_min_timeout %dms;\n", linger_ms(m->version));
	}
	add_http(out);
	/* First of their addresses, so the default for names that nobody claims; a service without
	 * host names has default_server. */
	str_addf(out,
		"\tserver {\n\t\tlisten %d;\n\t\tserver_name '';\n\t\tset $deploy_key '';\n"
		"\t\treturn 404;\n\t}\n"
		"\tserver {\n\t\tlisten %d ssl;\n\t\tserver_name '';\n"
		"\t\tssl_reject_handshake on;\n\t}\n",
		m->config->http_port, m->config->https_port);
	add_probe(out);
	if (!m->includes) {
		str_add(out, "\tinclude " PROXY_ETC "/services/*.conf;\n"
			     "\tinclude " PROXY_ETC "/hosts/*.conf;\n");
	}
	for (size_t i = 0; m->includes && i < m->includes->len; i++) {
		str_addf(out, "\tinclude " PROXY_ETC "/%s;\n", m->includes->p[i]);
	}
	str_add(out, "}\n");
}

/* Dots are the only special characters that a path of the manifest may have. */
static void add_pattern(const char *path, struct str *out)
{
	for (const char *p = path; *p; p++) {
		str_addf(out, *p == '.' ? "\\%c" : "%c", *p);
	}
}

static void add_split(const struct proxy_render *r, struct str *out)
{
	const struct strvec *live = &r->svc->live;
	if (live->len == 1) {
		str_addf(out, "map '' $deploy_up_%s {\n\tdefault \"%s:%d\";\n}\n", r->sid,
			live->p[0], r->svc->app_port);
		return;
	}
	str_addf(out, "split_clients $request_id $deploy_up_%s {\n", r->sid);
	VEC_FOREACH (live, i) {
		if (i + 1 < live->len) {
			str_addf(out, "\t%.2f%%", 100.0 / (double)live->len);
		} else {
			str_add(out, "\t*");
		}
		str_addf(out, " \"%s:%d\";\n", live->p[i], r->svc->app_port);
	}
	str_add(out, "}\n");
}

/*
 * A client's key for each limit that its path falls under; an empty key is not counted.  That of
 * the probe's socket is empty: a push must be able to verify.
 */
static void add_limit_zones(const struct proxy_render *r, struct str *out)
{
	const struct config_rate_limits *limits = r->svc->rate_limits;
	if (limits && limits->len > 0) {
		str_addf(out,
			"map $remote_addr $deploy_client_%s {\n\tdefault $binary_remote_addr;\n"
			"\t\"unix:\" \"\";\n}\n",
			r->sid);
	}
	for (size_t i = 0; limits && i < limits->len; i++) {
		const struct config_rate_limit *l = &limits->p[i];
		bool all = str_eq(l->path, "/");
		str_addf(out, "map $uri $deploy_limit_%s_%zu {\n", r->sid, i);
		if (!all) {
			str_add(out, "\tdefault \"\";\n\t\"~^");
			add_pattern(l->path, out);
			str_add(out, "(/|$)\"");
		} else {
			str_add(out, "\tdefault");
		}
		str_addf(out,
			" $deploy_client_%s;\n}\n"
			"limit_req_zone $deploy_limit_%s_%zu zone=deploy_%s_%zu:5m "
			"rate=%dr/%s;\n",
			r->sid, r->sid, i, r->sid, i, l->requests, l->per_minute ? "m" : "s");
	}
}

static void nginx_service(const struct proxy_render *r, struct str *out)
{
	const struct proxy_service *s = r->svc;
	bool away = s->maintenance || s->live.len == 0;
	if (s->live.len == 0) {
		str_addf(out, "map '' $deploy_up_%s {\n\tdefault \"\";\n}\n", r->sid);
	} else if (s->live.len > 1 && proxy_balances(s)) {
		nginx_render_balance(r, out);
	} else {
		add_split(r, out);
	}
	add_limit_zones(r, out);
	nginx_render_log(r, out);
	if (s->tls_settings && s->tls_settings->hsts) {
		str_addf(out,
			"map $https $deploy_hsts_%s {\n\tdefault \"\";\n\ton " PROXY_HSTS ";\n}\n",
			r->sid);
	}
	str_addf(out,
		"map '' $deploy_away_%s {\n\tdefault %d;\n}\n"
		"map '' $deploy_retry_%s {\n\tdefault \"%s\";\n}\n"
		"map '' $deploy_page_%s {\n\tdefault ",
		r->sid, away ? 1 : 0, r->sid, away ? "60" : "", r->sid);
	add_quoted_page(out, "Down for maintenance",
		s->maintenance_message ? s->maintenance_message : PROXY_DEFAULT_MAINTENANCE);
	str_addf(out,
		";\n}\nserver {\n\tlisten unix:" PROXY_RUN "/probe.sock;\n"
		"\tserver_name %s." PROXY_ID_HOST ";\n\taccess_log off;\n\treturn 200 %s;\n}\n",
		r->sid, r->id);
}

/* What a browser reads as text; images and archives are compressed already. */
#define COMPRESSED                                                                                 \
	"text/plain text/css text/xml text/javascript application/javascript application/json "    \
	"application/manifest+json application/xml application/rss+xml image/svg+xml"

static void add_answers(const struct proxy_render *r, struct str *out)
{
	const struct proxy_service *s = r->svc;
	for (size_t i = 0; s->response_headers && i < s->response_headers->len; i++) {
		const struct strmap_entry *e = &s->response_headers->p[i];
		str_addf(out, "proxy_hide_header %s;\nadd_header %s \"%s\" always;\n", e->key,
			e->key, e->value);
	}
	if (s->compress) {
		str_add(out, "gzip on;\ngzip_proxied any;\ngzip_vary on;\n"
			     "gzip_min_length 512;\ngzip_types " COMPRESSED ";\n");
	}
	for (size_t i = 0; s->rate_limits && i < s->rate_limits->len; i++) {
		str_addf(out, "limit_req zone=deploy_%s_%zu", r->sid, i);
		if (s->rate_limits->p[i].burst > 0) {
			str_addf(out, " burst=%d nodelay", s->rate_limits->p[i].burst);
		}
		str_add(out, ";\n");
	}
	if (s->rate_limits && s->rate_limits->len > 0) {
		str_add(out, "limit_req_status 429;\n");
	}
}

static void nginx_location(const struct proxy_render *r, struct str *out)
{
	const struct proxy_service *s = r->svc;
	int ms = s->response_timeout_ms > 0 ? s->response_timeout_ms : 30000;
	str_addf(out,
		"# Written by deploy; changes by hand are overwritten.\n"
		"set $deploy_key \"%s\";\ndefault_type \"text/html; charset=utf-8\";\n"
		"add_header Retry-After $deploy_retry_%s always;\n"
		"if ($deploy_away_%s) {\n\treturn 503 $deploy_page_%s;\n}\n",
		r->key, r->sid, r->sid, r->sid);
	add_answers(r, out);
	if (nginx_logs(s)) {
		str_addf(out,
			"access_log " PROXY_LOG "/access.log deploy_%s if=$deploy_logged_%s;\n",
			r->sid, r->sid);
	}
	if (s->balancing && s->balancing->cookie && s->live.len > 1) {
		str_addf(out, "add_header Set-Cookie $deploy_cookie_%s always;\n", r->sid);
	}
	if (proxy_balances(s) && s->live.len > 1) {
		/* Not at a time-out: the next one would have the same work to do again. */
		str_add(out, "proxy_hide_header X-Deploy-Container;\nproxy_next_upstream error;\n");
	}
	str_addf(out, "set $deploy_pages '%s';\n", s->own_pages ? r->sid : "");
	nginx_add_proxy_headers(out, "");
	str_addf(out,
		"proxy_set_header Host $http_host;\nproxy_set_header X-Forwarded-For %s;\n"
		"proxy_set_header X-Forwarded-Proto %s;\nproxy_set_header X-Forwarded-Host %s;\n",
		s->forward_headers ? "$proxy_add_x_forwarded_for" : "$remote_addr",
		s->forward_headers ? "$deploy_forwarded_proto" : "$scheme",
		s->forward_headers ? "$deploy_forwarded_host" : "$http_host");
	if (s->tls_settings && s->tls_settings->hsts) {
		str_addf(out,
			"proxy_hide_header Strict-Transport-Security;\n"
			"add_header Strict-Transport-Security $deploy_hsts_%s always;\n",
			r->sid);
	}
	str_addf(out,
		"proxy_connect_timeout 5s;\n"
		"proxy_read_timeout %dms;\nproxy_send_timeout %dms;\n"
		"client_max_body_size %lld;\nproxy_request_buffering %s;\nproxy_buffering %s;\n",
		ms, ms, (long long)s->max_request_body, s->buffer_requests ? "on" : "off",
		s->buffer_responses ? "on" : "off");
	if (s->snippet_digest && *s->snippet_digest) {
		str_addf(
			out, "include " PROXY_SNIPPETS "/%s-%s.conf;\n", r->sid, s->snippet_digest);
	}
	str_addf(out, "proxy_pass http://$deploy_up_%s;\n", r->sid);
}

static void add_location(const struct proxy_render *r, const struct proxy_claim *c, struct str *out)
{
	const char *dir = c->mine ? r->dir : "services";
	if (str_eq(c->prefix, "/")) {
		str_addf(out, "\tlocation / {\n\t\tinclude " PROXY_ETC "/%s/%s.loc;\n\t}\n", dir,
			c->key);
		return;
	}
	for (int exact = 1; exact >= 0; exact--) {
		str_addf(out, exact ? "\tlocation = %s {\n" : "\tlocation ^~ %s/ {\n", c->prefix);
		str_addf(out, "\t\tinclude " PROXY_ETC "/%s/%s.loc;\n", dir, c->key);
		if (c->strip) {
			/* Last, since `break` ends `set` and `if` too. */
			str_add(out, "\t\trewrite ^");
			add_pattern(c->prefix, out);
			str_add(out, "/?(.*)$ /$1 break;\n");
		}
		str_add(out, "\t}\n");
	}
}

/*
 * nginx 1.22 settles the version before it knows the name, as its default server has it (seen in
 * tests), which is that of the main file.  So a site turns away who came by an older one.
 */
static void add_tls(const struct config_tls_settings *s, struct str *out)
{
	if (s->only_13) {
		str_add(out, "\tssl_protocols TLSv1.3;\n"
			     "\tif ($ssl_protocol != TLSv1.3) {\n\t\treturn 421;\n\t}\n");
	}
	VEC_FOREACH (&s->ciphers, i) {
		str_addf(out, "%s%s", i ? ":" : "\tssl_prefer_server_ciphers on;\n\tssl_ciphers ",
			tls_cipher_find(s->ciphers.p[i])->openssl);
	}
	str_add(out, s->ciphers.len ? ";\n" : "");
	str_add(out, s->hsts ? ADD_HSTS : "");
}

static void add_server(const struct proxy_render *r, const struct proxy_site *site,
	const char *listen, bool tls, bool routes, struct str *out)
{
	bool any = !*site->host;
	str_addf(out, "server {\n\tlisten %s%s%s;\n", listen, any ? " default_server" : "",
		tls ? r->version >= V_1_25_1 ? " ssl" : " ssl http2" : "");
	if (tls && r->version >= V_1_25_1) {
		str_add(out, "\thttp2 on;\n");
	}
	str_addf(out, "\tserver_name %s;\n", any ? "_" : site->host);
	if (tls) {
		str_addf(out,
			"\tssl_certificate " PROXY_ETC "/certs/%s.crt;\n"
			"\tssl_certificate_key " PROXY_ETC "/certs/%s.key;\n",
			site->certificate_digest, site->certificate_digest);
		add_tls(site->tls_settings, out);
	}
	if (!routes) {
		str_add(out, "\treturn 308 https://$host");
		if (r->https_port != 443) {
			str_addf(out, ":%d", r->https_port);
		}
		str_add(out, "$request_uri;\n}\n");
		return;
	}
	if (str_starts(listen, "unix:")) {
		str_add(out, "\taccess_log off;\n");
	}
	for (int code = 502; code <= 504; code += 2) {
		/* By a URI, which makes a GET of any request: files are given to no other. */
		str_addf(out,
			"\terror_page %d /.deploy-error/%d;\n"
			"\tlocation = /.deploy-error/%d {\n\t\tinternal;\n\t\troot " PROXY_PAGES
			";\n"
			"\t\ttypes {\n\t\t}\n\t\tdefault_type \"text/html; charset=utf-8\";\n"
			"\t\tadd_header Cache-Control no-store always;\n"
			"\t\ttry_files /$deploy_pages/%d.html @deploy_%d;\n\t}\n",
			code, code, code, code, code);
		str_addf(out,
			"\tlocation @deploy_%d {\n\t\tdefault_type \"text/html; charset=utf-8\";\n"
			"\t\tadd_header Cache-Control no-store always;\n%s"
			"\t\treturn %d $deploy_page_bad;\n\t}\n",
			code, tls && site->tls_settings->hsts ? "\t" ADD_HSTS : "", code);
	}
	VEC_FOREACH (&site->claims, i) {
		add_location(r, &site->claims.p[i], out);
	}
	if (!site->claims.len || !str_eq(site->claims.p[site->claims.len - 1].prefix, "/")) {
		str_add(out, "\tlocation / {\n\t\treturn 404;\n\t}\n");
	}
	str_add(out, "}\n");
}

static void nginx_site(const struct proxy_render *r, const struct proxy_site *site, struct str *out)
{
	bool tls = site->tls != CONFIG_TLS_NONE;
	char http[16], https[16];
	snprintf(http, sizeof(http), "%d", r->http_port);
	snprintf(https, sizeof(https), "%d", r->https_port);
	str_add(out, "# Written by deploy; changes by hand are overwritten.\n");
	add_server(r, site, "unix:" PROXY_RUN "/probe.sock", false, true, out);
	add_server(r, site, http, false, !tls || !site->redirect, out);
	if (tls) {
		add_server(r, site, https, true, true, out);
	}
}

/* -- The container -- */

static void push_all(struct strvec *v, const char *const *words)
{
	for (; *words; words++) {
		strvec_push(v, *words);
	}
}

static void nginx_command(const struct proxy_config *c, struct docker_container_spec *spec)
{
	(void)c;
	/* The loop is the shell's child; nginx replaces the shell and is PID 1's child by `init`.
	 */
	static const char script[] =
		"rm -f " PROXY_RUN "/*.sock; cd " PROXY_LOG " && { while sleep 60; do "
		"for f in access error; do s=$(wc -c <$f.log) || continue; "
		"[ \"$s\" -gt 10485760 ] || continue; "
		"mv -f $f.1.log $f.2.log 2>/dev/null; mv -f $f.log $f.1.log; "
		"nginx -c " PROXY_ETC "/nginx.conf -e " PROXY_LOG
		"/error.log -s reopen; done; done & }; "
		"exec nginx -c " PROXY_ETC "/nginx.conf -e " PROXY_LOG
		"/error.log -g 'daemon off;'";
	push_all(&spec->entrypoint, (const char *const[]){"/bin/sh", "-c", script, NULL});
	spec->has_entrypoint = true;
	spec->stop_signal = xstrdup("SIGQUIT");
}

static void nginx_validate(struct strvec *argv, const char *file)
{
	push_all(
		argv, (const char *const[]){"nginx", "-t", "-q", "-e", "stderr", "-c", file, NULL});
}

static void nginx_version(struct strvec *argv)
{
	push_all(argv, (const char *const[]){"nginx", "-v", NULL});
}

/* -- /proc of the server -- */

static void parse_pids(const char *text, struct proxy *p)
{
	vec_fini(&p->workers);
	for (const char *q = text; *q;) {
		char *end = NULL;
		long pid = strtol(q, &end, 10);
		if (end == q) {
			break;
		}
		if (pid > 1 && p->workers.len < 1024) {
			vec_push(&p->workers, (int)pid);
		}
		q = end;
	}
}

static int nginx_before(struct proxy *p, struct error *err)
{
	struct docker_container c = {0};
	int rc = docker_container_inspect(p->host->docker, p->container, &c, err);
	p->master = rc == 0 && c.running ? c.pid : 0;
	docker_container_fini(&c);
	if (rc < 0 || p->master <= 0) {
		return rc;
	}
	struct sftp_batch *b = sftp_batch_new(p->host->sftp);
	CLEANUP_FREE char *path = xasprintf("/proc/%d/task/%d/children", p->master, p->master);
	const struct sftp_op *op = sftp_read(b, path, STR_MAX_LINE);
	rc = sftp_run(b, PROXY_TIMEOUT_MS, err);
	parse_pids(rc == 0 && op->status == SFTP_OK ? str_c(&op->data) : "", p);
	sftp_batch_free(b);
	return rc;
}

/* One look at a reload under way. */
struct look {
	int accepting;     /* old workers that still take connections */
	bool refused;      /* the master wrote an [emerg] line */
	uint64_t log_from; /* size of the error log before */
};

static void judge_log(const struct sftp_op *op, struct look *l, struct error *err)
{
	const char *emerg = op->status == SFTP_OK ? strstr(str_c(&op->data), "[emerg]") : NULL;
	if (emerg) {
		l->refused = true;
		error_set(err, ERROR_REMOTE, "nginx refused the configuration: %.*s",
			(int)strcspn(emerg, "\n"), emerg);
	}
}

static int look(struct proxy *p, struct look *l, struct error *err)
{
	struct sftp_batch *b = sftp_batch_new(p->host->sftp);
	struct sftp_op **ops = xcalloc(p->workers.len + 1, sizeof(struct sftp_op *));
	CLEANUP_FREE char *log = proxy_path(p, "log/error.log");
	VEC_FOREACH (&p->workers, i) {
		CLEANUP_FREE char *path = xasprintf("/proc/%d/cmdline", p->workers.p[i]);
		ops[i] = sftp_read(b, path, STR_MAX_LINE);
	}
	const struct sftp_op *tail = sftp_read_at(b, log, l->log_from, STR_MAX_LINE);
	int rc = sftp_run(b, PROXY_TIMEOUT_MS, err);
	l->accepting = 0;
	for (size_t i = 0; rc == 0 && i < p->workers.len; i++) {
		const char *title = str_c(&ops[i]->data);
		if (ops[i]->status == SFTP_OK && strstr(title, "worker process") &&
			!strstr(title, "shutting down")) {
			l->accepting++;
		}
	}
	if (rc == 0 && l->accepting > 0) {
		judge_log(tail, l, err);
	}
	free(ops);
	sftp_batch_free(b);
	return rc < 0 || l->refused ? -1 : 0;
}

static int log_size(struct proxy *p, uint64_t *size, struct error *err)
{
	CLEANUP_FREE char *path = proxy_path(p, "log/error.log");
	struct sftp_batch *b = sftp_batch_new(p->host->sftp);
	const struct sftp_op *op = sftp_stat(b, path);
	int rc = sftp_run(b, PROXY_TIMEOUT_MS, err);
	*size = rc == 0 && op->status == SFTP_OK ? op->attrs.size : 0;
	sftp_batch_free(b);
	return rc;
}

static int nginx_reload(struct proxy *p, struct error *err)
{
	struct look l = {0};
	if (log_size(p, &l.log_from, err) < 0 || nginx_before(p, err) < 0) {
		return -1;
	}
	if (p->master <= 0) {
		return error_set(err, ERROR_REMOTE, "the proxy container does not run");
	}
	if (docker_container_kill(p->host->docker, p->container, "HUP", err) < 0) {
		return error_wrap(err, "reload nginx");
	}
	int64_t until = clock_mono_ms() + RELOAD_MS;
	for (;;) {
		if (look(p, &l, err) < 0 || cancel_check(err) < 0) {
			return -1;
		}
		if (l.accepting == 0) {
			break;
		}
		if (clock_mono_ms() > until) {
			return error_set(err, ERROR_REMOTE, "nginx did not reload within %d s",
				RELOAD_MS / 1000);
		}
		clock_sleep_ms(10);
	}
	if (p->workers.len == 0) {
		clock_sleep_ms(
			300); /* /proc hides others' processes: nginx's own 100 ms, and more */
	}
	p->reloaded_ms = clock_mono_ms();
	return 0;
}

static int nginx_in_flight(
	struct proxy *p, const struct strvec *names, int *count, struct error *err)
{
	int linger = linger_ms(p->version);
	return proxy_connections(p, names, linger ? linger + 100 : 0, count, err);
}

static bool nginx_parse_log(const char *line, size_t len, struct proxy_log_entry *e)
{
	struct error ignored = {0};
	CLEANUP_JSON json_t *j = json_parse(line, len, "log", &ignored);
	memset(e, 0, sizeof(*e));
	if (!json_is_object(j)) {
		return false;
	}
	const char *upstream = json_str_at(j, "upstream", "");
	if (str_starts(upstream, "deploy_lb_") || str_starts(upstream, "deploy_pin_")) {
		upstream = ""; /* none of the containers that it balances between answered */
	}
	const char *answered = json_str_at(j, "answered", "");
	const char *last = strrchr(answered, ' ');
	snprintf(e->key, sizeof(e->key), "%s", json_str_at(j, "key", ""));
	snprintf(e->upstream, sizeof(e->upstream), "%s", upstream);
	e->status = (int)json_int_at(j, "status", 0);
	last = last ? last + 1 : answered;
	e->answered = *last && *last != '-';
	return true;
}

const struct proxy_driver proxy_nginx = {
	.name = "nginx",
	.ext = "conf",
	.main = "nginx.conf",
	.sites = "hosts",
	.default_image = "nginx:1",
	.render_main = nginx_main,
	.render_service = nginx_service,
	.render_location = nginx_location,
	.render_site = nginx_site,
	.command = nginx_command,
	.validate = nginx_validate,
	.version = nginx_version,
	.before = nginx_before,
	.reload = nginx_reload,
	.in_flight = nginx_in_flight,
	.parse_log = nginx_parse_log,
};
