/* SPDX-License-Identifier: MIT */
/*
 * Caddy 2.6 and newer (tested: 2.6.2, 2.8.4 and later), driven with its Caddyfile: of all its forms
 * only that one can include files, so that caddy itself puts the services' fragments together,
 * after a reboot and at each load alike; JSON would have to be merged by us, and two pushes at once
 * would overwrite each other.  Loading is POST /load on the admin socket: synchronous, validated,
 * and refused as a whole.
 *
 * Facts (read in its source, seen in tests):
 * - Upstream names are looked up at each dial, so an application that is not up yet after a reboot
 *   costs nobody else anything; lb_try_duration holds its requests meanwhile.
 * - The count of in-flight requests (/reverse_proxy/upstreams) lives as long as some loaded
 *   configuration names the upstream: old containers are kept behind a matcher that never matches.
 * - On a unix socket the admin API wants an empty Host header; 2.6.2 knows no other.
 * - Access logs have no field for the upstream before log_append (2.8): `map` gives the field
 *   user_id its value, looked up lazily when the line is written, in all versions.
 * - A reload closes idle keep-alive connections; HTTP/2 clients get GOAWAY; requests under way are
 *   finished by the old configuration, without limit of time (no grace_period on purpose, since it
 *   would cut other services' downloads).  Web sockets are closed at once before 2.7, which has
 *   stream_close_delay.
 * - It takes over unix sockets that a killed one left behind.
 */

#include "internal.h"

#include <string.h>

#define V_2_7       PROXY_VERSION(2, 7, 0)
#define RETRY_MS    5000 /* how long a request waits for a container that cannot be dialled */
#define KEEPALIVE_S 4    /* under the shortest usual one of applications (Node: 5 s) */

static int caddy_check(const struct proxy_service *s, struct error *err)
{
	for (size_t i = 0; s->tls == CONFIG_TLS_AUTO && s->hosts && i < s->hosts->len; i++) {
		if (str_starts(s->hosts->p[i], "*.")) {
			return error_set(err, ERROR_MANIFEST,
				"'%s': an automatic certificate for a wildcard needs a DNS plugin; "
				"give "
				"the certificate ('ssl: {certificate_pem, private_key_pem}')",
				s->hosts->p[i]);
		}
	}
	return 0;
}

static void add_page(
	struct str *out, const char *tabs, const char *title, const char *text, const char *status)
{
	str_addf(out,
		"%sheader Content-Type \"text/html; charset=utf-8\"\n%sheader Cache-Control "
		"no-store\n"
		"%srespond `%s<h1>%s</h1><p>",
		tabs, tabs, tabs, proxy_page_head, title);
	proxy_page_escape(out, text);
	str_addf(out, "</p>%s` %s\n", proxy_page_tail, status);
}

static void add_includes(const struct proxy_main *m, struct str *out)
{
	if (!m->includes) {
		str_add(out, "import " PROXY_ETC "/services/*.caddy\n"
			     "import " PROXY_ETC "/hosts/*.caddy\n");
		return;
	}
	VEC_FOREACH (m->includes, i) {
		str_addf(out, "import " PROXY_ETC "/%s\n", m->includes->p[i]);
	}
}

static void caddy_main(const struct proxy_main *m, struct str *out)
{
	const struct proxy_config *c = m->config;
	str_addf(out,
		"# Written by deploy; changes by hand are overwritten.\n"
		"{\n\tadmin unix/" PROXY_RUN "/admin.sock\n"
		"\thttp_port %d\n\thttps_port %d\n\tauto_https disable_redirects\n"
		"\tstorage file_system " PROXY_VAR "\n",
		c->http_port, c->https_port);
	if (c->acme_email) {
		str_addf(out, "\temail %s\n", c->acme_email);
	}
	if (c->acme_server) {
		str_addf(out, "\tacme_ca %s\n", c->acme_server);
	}
	/* The default log goes to a file too: a full pipe to a dead dockerd would stop the proxy.
	 */
	str_add(out, "\tlog default {\n\t\toutput file " PROXY_LOG
		     "/error.log {\n\t\t\troll_size 10MiB\n\t\t\troll_keep 2\n"
		     "\t\t\troll_uncompressed\n\t\t}\n\t\tlevel WARN\n\t}\n}\n"
		     "(deploy_site) {\n\tlog {\n\t\toutput file " PROXY_LOG
		     "/access.log {\n\t\t\troll_size 10MiB\n\t\t\troll_keep 3\n"
		     "\t\t\troll_uncompressed\n\t\t}\n\t\tformat filter {\n\t\t\twrap json\n"
		     "\t\t\tfields {\n\t\t\t\trequest>headers delete\n\t\t\t\trequest>tls delete\n"
		     "\t\t\t\tresp_headers delete\n\t\t\t}\n\t\t}\n\t}\n"
		     "\thandle_errors {\n"
		     "\t\t@bad expression {http.error.status_code} in [502, 503, 504]\n"
		     "\t\thandle @bad {\n");
	add_page(out, "\t\t\t", "This site is not answering",
		"The application behind it could not be reached. Please try again in a moment.",
		"{http.error.status_code}");
	str_add(out, "\t\t}\n\t}\n}\n");
	add_includes(m, out);
	str_addf(out,
		"http://" PROXY_PROBE_HOST " {\n\tbind unix/" PROXY_RUN "/probe.sock\n"
		"\t@named header " PROXY_HEADER " *\n\thandle @named {\n"
		"\t\treverse_proxy {http.request.header." PROXY_HEADER "} {\n"
		"\t\t\theader_up Host {http.request.header.X-Deploy-Host}\n"
		"\t\t\theader_up X-Forwarded-Proto {http.request.header.X-Deploy-Proto}\n"
		"\t\t\theader_up -X-Deploy-*\n\t\t\theader_down +X-Deploy-Answered "
		"yes\n\t\t}\n\t}\n"
		"\thandle {\n\t\trespond 404\n\t}\n}\n"
		":%d {\n\timport deploy_site\n\trespond \"There is no such site here.\" 404\n}\n"
		":%d {\n\timport deploy_site\n\trespond \"There is no such site here.\" 404\n}\n",
		c->http_port, c->https_port);
}

static void add_transport(const struct proxy_render *r, struct str *out)
{
	const struct proxy_service *s = r->svc;
	int ms = s->response_timeout_ms > 0 ? s->response_timeout_ms : 30000;
	if (s->live.len > 1) {
		str_add(out, "\t\t\tfail_duration 2s\n");
	}
	if (s->forward_headers) {
		str_add(out, "\t\t\ttrusted_proxies 0.0.0.0/0 ::/0\n");
	}
	if (r->version >= V_2_7) {
		str_addf(out, "%s%s\t\t\tstream_close_delay 1h\n",
			s->buffer_requests ? "\t\t\trequest_buffers 1MiB\n" : "",
			s->buffer_responses ? "\t\t\tresponse_buffers 1MiB\n" : "");
	} else if (r->version > 0) { /* of an unknown version no option that some refuse */
		str_addf(out, "%s%s", s->buffer_requests ? "\t\t\tbuffer_requests\n" : "",
			s->buffer_responses ? "\t\t\tbuffer_responses\n" : "");
	}
	str_addf(out,
		"\t\t\ttransport http {\n\t\t\t\tdial_timeout 2s\n\t\t\t\tkeepalive %ds\n"
		"\t\t\t\tresponse_header_timeout %dms\n\t\t\t}\n",
		KEEPALIVE_S, ms);
}

static void add_upstreams(const struct proxy_render *r, const struct strvec *names, struct str *out)
{
	VEC_FOREACH (names, i) {
		str_addf(out, " %s:%d", names->p[i], r->svc->app_port);
	}
}

static void add_live(const struct proxy_render *r, struct str *out)
{
	const struct proxy_service *s = r->svc;
	str_addf(out,
		"\t\tmap \"%s|{http.reverse_proxy.upstream.hostport}|"
		"{http.reverse_proxy.upstream.latency}\" {http.auth.user.id} {\n"
		"\t\t\t~^(.+)$ \"${1}\"\n\t\t}\n"
		"\t\t@unnamed not header X-Request-Id *\n"
		"\t\trequest_header @unnamed X-Request-Id {http.request.uuid}\n",
		r->key);
	if (s->max_request_body > 0) {
		str_addf(out, "\t\trequest_body {\n\t\t\tmax_size %lldB\n\t\t}\n",
			(long long)s->max_request_body);
	}
	str_add(out, "\t\treverse_proxy");
	add_upstreams(r, &s->live, out);
	str_addf(out,
		" {\n\t\t\tlb_policy least_conn\n\t\t\tlb_try_duration %dms\n"
		"\t\t\tlb_try_interval 100ms\n",
		RETRY_MS);
	add_transport(r, out);
	str_add(out, "\t\t}\n");
}

static void caddy_service(const struct proxy_render *r, struct str *out)
{
	const struct proxy_service *s = r->svc;
	str_addf(out, "(svc_%s) {\n\troute {\n", r->sid);
	if (s->draining.len > 0) {
		/* Who guesses it reaches a container of the same service: no harm. */
		str_addf(out, "\t\t@never_%s header X-Deploy-Never %s\n\t\treverse_proxy @never_%s",
			r->sid, r->id, r->sid);
		add_upstreams(r, &s->draining, out);
		str_add(out, "\n");
	}
	if (s->maintenance || s->live.len == 0) {
		str_add(out, "\t\theader Retry-After 60\n");
		add_page(out, "\t\t", "Down for maintenance",
			s->maintenance_message ? s->maintenance_message : PROXY_DEFAULT_MAINTENANCE,
			"503");
	} else {
		add_live(r, out);
	}
	str_addf(out,
		"\t}\n}\nhttp://%s." PROXY_ID_HOST " {\n\tbind unix/" PROXY_RUN "/probe.sock\n"
		"\trespond \"%s\" 200\n}\n",
		r->sid, r->id);
}

static void add_claims(const struct proxy_site *site, struct str *out)
{
	str_add(out, "\troute {\n");
	VEC_FOREACH (&site->claims, i) {
		const struct proxy_claim *c = &site->claims.p[i];
		if (str_eq(c->prefix, "/")) {
			str_addf(out, "\t\thandle {\n\t\t\timport svc_%s\n\t\t}\n", c->sid);
			continue;
		}
		str_addf(out, "\t\t@p%zu path %s %s/*\n\t\thandle @p%zu {\n", i, c->prefix,
			c->prefix, i);
		if (c->strip) {
			str_addf(out, "\t\t\turi strip_prefix %s\n", c->prefix);
		}
		str_addf(out, "\t\t\timport svc_%s\n\t\t}\n", c->sid);
	}
	if (!site->claims.len || !str_eq(site->claims.p[site->claims.len - 1].prefix, "/")) {
		str_add(out, "\t\thandle {\n\t\t\trespond \"There is nothing here.\" 404\n\t\t}\n");
	}
	str_add(out, "\t}\n");
}

static void caddy_site(const struct proxy_render *r, const struct proxy_site *site, struct str *out)
{
	bool tls = site->tls != CONFIG_TLS_NONE;
	str_add(out, "# Written by deploy; changes by hand are overwritten.\n");
	if (tls) {
		str_addf(out, "https://%s {\n\timport deploy_site\n", site->host);
		if (site->tls == CONFIG_TLS_GIVEN) {
			str_addf(out,
				"\ttls " PROXY_ETC "/certs/%s.crt " PROXY_ETC "/certs/%s.key\n",
				site->certificate_digest, site->certificate_digest);
		}
		add_claims(site, out);
		str_add(out, "}\n");
	}
	str_addf(out, "http://%s {\n\timport deploy_site\n", site->host);
	if (tls && site->redirect) {
		str_add(out, "\tredir https://{host}");
		if (r->https_port != 443) {
			str_addf(out, ":%d", r->https_port);
		}
		str_add(out, "{uri} 308\n");
	} else {
		add_claims(site, out);
	}
	str_addf(out, "}\nhttp://%s {\n\tbind unix/" PROXY_RUN "/probe.sock\n", site->host);
	add_claims(site, out);
	str_add(out, "}\n");
}

static void push_all(struct strvec *v, const char *const *words)
{
	for (; *words; words++) {
		strvec_push(v, *words);
	}
}

static void caddy_command(struct docker_container_spec *spec)
{
	push_all(&spec->cmd, (const char *const[]){"caddy", "run", "--config",
				     PROXY_ETC "/Caddyfile", "--adapter", "caddyfile", NULL});
	spec->has_entrypoint = true;
	/* autosave.json, locks: not in the image's folders, which belong to root. */
	strmap_set(&spec->env, "XDG_CONFIG_HOME", PROXY_VAR "/config");
	strmap_set(&spec->env, "XDG_DATA_HOME", PROXY_VAR "/data");
	strmap_set(&spec->env, "HOME", PROXY_VAR);
}

static void caddy_validate(struct strvec *argv, const char *file)
{
	push_all(argv, (const char *const[]){"caddy", "validate", "--adapter", "caddyfile",
			       "--config", file, NULL});
}

static void caddy_version(struct strvec *argv)
{
	push_all(argv, (const char *const[]){"caddy", "version", NULL});
}

static int caddy_reload(struct proxy *p, struct error *err)
{
	static const char body[] = "import " PROXY_ETC "/Caddyfile\n";
	struct http_reply reply = {0};
	struct proxy_request req = {.socket = "admin.sock",
		.host = "",
		.method = "POST",
		.target = "/load",
		.type = "text/caddyfile",
		.body = body,
		.body_len = sizeof(body) - 1,
		.timeout_ms = 60000};
	if (proxy_http(p, &req, &reply, err) < 0) {
		http_reply_fini(&reply);
		return error_wrap(err, "load the configuration");
	}
	int rc = 0;
	if (reply.status != 200) {
		struct error ignored = {0};
		CLEANUP_JSON json_t *j =
			json_parse(str_c(&reply.body), reply.body.len, "answer", &ignored);
		rc = error_set(err, ERROR_REMOTE, "caddy refused the configuration: %s",
			json_str_at(j, "error", str_c(&reply.body)));
	}
	http_reply_fini(&reply);
	return rc;
}

/* "name:port" is one of names? */
static bool is_one(const char *address, const struct strvec *names)
{
	const char *colon = strrchr(address, ':');
	size_t n = colon ? (size_t)(colon - address) : strlen(address);
	VEC_FOREACH (names, i) {
		if (strlen(names->p[i]) == n && memcmp(names->p[i], address, n) == 0) {
			return true;
		}
	}
	return false;
}

static int caddy_in_flight(
	struct proxy *p, const struct strvec *names, int *count, struct error *err)
{
	struct http_reply reply = {0};
	struct proxy_request req = {.socket = "admin.sock",
		.host = "",
		.method = "GET",
		.target = "/reverse_proxy/upstreams",
		.timeout_ms = PROXY_TIMEOUT_MS};
	int rc = proxy_http(p, &req, &reply, err);
	CLEANUP_JSON json_t *j = NULL;
	if (rc == 0) {
		j = json_parse(str_c(&reply.body), reply.body.len, "caddy's upstreams", err);
		rc = j ? 0 : -1;
	}
	size_t i, live = 0;
	json_t *u;
	*count = 0;
	json_array_foreach(j, i, u)
	{
		const char *address = json_str_at(u, "address", "");
		if (is_one(address, names)) {
			*count += (int)json_int_at(u, "num_requests", 0);
		}
		live += is_one(address, &p->state.live) ? 1 : 0;
	}
	p->stale = rc == 0 && !p->state.maintenance && live < p->state.live.len;
	http_reply_fini(&reply);
	return rc;
}

static bool caddy_parse_log(const char *line, size_t len, struct proxy_log_entry *e)
{
	struct error ignored = {0};
	CLEANUP_JSON json_t *j = json_parse(line, len, "log", &ignored);
	char text[512];
	memset(e, 0, sizeof(*e));
	if (!json_is_object(j)) {
		return false;
	}
	/* key|container:port|latency, the last two empty when there were none. */
	snprintf(text, sizeof(text), "%s", json_str_at(j, "user_id", ""));
	e->status = (int)json_int_at(j, "status", 0);
	char *save = text;
	const char *key = strsep(&save, "|");
	const char *upstream = strsep(&save, "|");
	snprintf(e->key, sizeof(e->key), "%s", key ? key : "");
	snprintf(e->upstream, sizeof(e->upstream), "%s", upstream ? upstream : "");
	e->answered = save && *save;
	return true;
}

const struct proxy_driver proxy_caddy = {
	.name = "caddy",
	.ext = "caddy",
	.main = "Caddyfile",
	.default_image = "caddy:2",
	.check = caddy_check,
	.render_main = caddy_main,
	.render_service = caddy_service,
	.render_site = caddy_site,
	.command = caddy_command,
	.validate = caddy_validate,
	.version = caddy_version,
	.reload = caddy_reload,
	.in_flight = caddy_in_flight,
	.parse_log = caddy_parse_log,
};
