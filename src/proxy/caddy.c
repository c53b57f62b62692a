/* SPDX-License-Identifier: MIT */
/*
 * Caddy 2.6 and newer (tested: 2.6.2, 2.8.4 and later), driven with its Caddyfile: of all its forms
 * only that one can include files, so that caddy itself puts the services' fragments together,
 * after a reboot and at each load alike; JSON would have to be merged by us, and two pushes at once
 * would overwrite each other.  Loading is POST /load on the admin socket: synchronous, validated,
 * and refused as a whole.
 *
 * Facts (read in its source, seen in tests):
 * - A push does not reload it: see slots.c for why and how.  Loads remain for new host names,
 *   certificates, time-outs, another number of replicas.
 * - Upstream names are looked up at each dial, so an application that is not up yet after a reboot
 *   costs nobody else anything; lb_try_duration holds its requests meanwhile.
 * - On a unix socket the admin API wants an empty Host header; 2.6.2 knows no other.
 * - Access logs have no field for the upstream before log_append (2.8): `map` gives the field
 *   user_id its value, looked up lazily when the line is written, in all versions.
 * - A load finishes requests under way with the old configuration, without limit of time (no
 *   grace_period on purpose, since it would cut other services' downloads).  Web sockets are closed
 *   at once before 2.7, which has stream_close_delay.
 * - It takes over unix sockets that a killed one left behind.
 */

#include "internal.h"

#include <string.h>

#define V_2_7           PROXY_VERSION(2, 7, 0)
#define V_2_9           PROXY_VERSION(2, 9, 0)
#define RETRY_MS        5000 /* how long a request waits for a container that cannot be dialled */
#define KEEPALIVE_S     4    /* under the shortest usual one of applications (Node: 5 s) */
#define KEEPALIVE_CONNS 128  /* idle ones to each container; a dial less is a look-up less */

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

/* Where the metrics of all sites can be read. */
static void add_metrics(int port, struct str *out)
{
	if (port > 0) {
		str_addf(out,
			"http://:%d {\n\thandle /metrics {\n\t\tmetrics\n\t}\n"
			"\thandle {\n\t\trespond 404\n\t}\n}\n",
			port);
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
	if (c->metrics_port > 0) {
		str_add(out,
			m->version >= V_2_9 ? "\tmetrics\n" : "\tservers {\n\t\tmetrics\n\t}\n");
	}
	if (c->acme_email) {
		str_addf(out, "\temail %s\n", c->acme_email);
	}
	if (c->acme_server) {
		str_addf(out, "\tacme_ca %s\n", c->acme_server);
	}
	if (c->acme_ca) {
		CLEANUP_FREE char *file = proxy_acme_ca_file(c);
		str_addf(out, "\tacme_ca_root " PROXY_ETC "/%s\n", file);
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
		     "\t\thandle @bad {\n"
		     "\t\t\t@own file {\n\t\t\t\troot " PROXY_PAGES "/{http.vars.deploy_pages}\n"
		     "\t\t\t\ttry_files /{http.error.status_code}.html\n\t\t\t}\n"
		     "\t\t\thandle @own {\n\t\t\t\troute {\n"
		     "\t\t\t\t\theader Cache-Control no-store\n"
		     "\t\t\t\t\troot * " PROXY_PAGES "/{http.vars.deploy_pages}\n"
		     "\t\t\t\t\trewrite * /{http.error.status_code}.html\n"
		     "\t\t\t\t\tmethod GET\n"
		     "\t\t\t\t\tfile_server {\n"
		     "\t\t\t\t\t\tstatus {http.error.status_code}\n"
		     "\t\t\t\t\t}\n\t\t\t\t}\n\t\t\t}\n\t\t\thandle {\n");
	add_page(out, "\t\t\t\t", "This site is not answering",
		"The application behind it could not be reached. Please try again in a moment.",
		"{http.error.status_code}");
	str_add(out, "\t\t\t}\n\t\t}\n\t}\n}\n");
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
	add_metrics(c->metrics_port, out);
}

static void add_options(const struct proxy_render *r, int replicas, struct str *out);

/* The names of a slot's containers into variables, and the proxying to them. */
static void add_slot(const struct proxy_render *r, int slot, struct str *out)
{
	const struct proxy_slot *s = &r->svc->slots[slot];
	char letter = "ab"[slot];
	if (s->replicas == 0) {
		str_add(out, "\t\t\t\terror 503\n");
		return;
	}
	for (int i = 0; i < s->replicas; i++) {
		str_addf(out,
			"\t\t\t\t@%c%d file {\n\t\t\t\t\troot " PROXY_ETC "/live/%s/%c/%d\n"
			"\t\t\t\t\ttry_files /*\n\t\t\t\t}\n"
			"\t\t\t\tvars @%c%d %s_%c%d {http.matchers.file.relative}\n",
			letter, i, r->sid, letter, i, letter, i, r->sid, letter, i);
	}
	str_add(out, "\t\t\t\treverse_proxy");
	for (int i = 0; i < s->replicas; i++) {
		/* The file's path begins with the slash that separates network and address.  Only
		 * A records: each dial is a look-up, and a switch makes as many at once as there
		 * are requests under way; Docker's DNS on a busy machine took seconds for them. */
		str_addf(out, " tcp4{http.vars.%s_%c%d}:%d", r->sid, letter, i, s->port);
	}
	str_add(out, " {\n");
	add_options(r, s->replicas, out);
	str_add(out, "\t\t\t\t}\n");
}

/*
 * The cookie is a digest of what stands for the container in the configuration, a slot and its
 * place there: after a switch none has it, and the client gets a new one.
 */
static void add_policy(const struct proxy_service *s, int replicas, struct str *out)
{
	static const char *const policies[] = {
		"least_conn", "round_robin", "least_conn", "random", "ip_hash"};
	const struct config_balancing *b = s->balancing;
	str_add(out, "\t\t\t\t\tlb_policy ");
	if (b && b->cookie && replicas > 1) {
		str_addf(out, "cookie %s\n", b->cookie);
	} else {
		str_addf(out, "%s\n", policies[b ? b->policy : CONFIG_BALANCE_DEFAULT]);
	}
}

/* Caddy's own cookie has no attributes but a path, in some versions SameSite=None. */
static void add_cookie(const struct proxy_service *s, struct str *out)
{
	const struct config_balancing *b = s->balancing;
	if (!b || !b->cookie) {
		return;
	}
	str_addf(out,
		"\t\theader {\n\t\t\tSet-Cookie \"^(%s=[^;]*).*$\" "
		"\"$1; Path=/; HttpOnly; SameSite=Lax%s",
		b->cookie, b->secure ? "; Secure" : "");
	if (b->max_age_s > 0) {
		str_addf(out, "; Max-Age=%lld", (long long)b->max_age_s);
	}
	str_add(out, "\"\n\t\t\tdefer\n\t\t}\n");
}

static void add_options(const struct proxy_render *r, int replicas, struct str *out)
{
	const struct proxy_service *s = r->svc;
	const char *t = "\t\t\t\t\t";
	int ms = s->response_timeout_ms > 0 ? s->response_timeout_ms : 30000;
	add_policy(s, replicas, out);
	str_addf(out, "%slb_try_duration %dms\n%slb_try_interval 100ms\n", t, RETRY_MS, t);
	if (replicas > 1) {
		str_addf(out, "%sfail_duration 2s\n", t);
	}
	if (s->forward_headers) {
		str_addf(out, "%strusted_proxies 0.0.0.0/0 ::/0\n", t);
	}
	/* Of an unknown version no option that some refuse. */
	if (r->version >= V_2_7) {
		if (s->buffer_requests) {
			str_addf(out, "%srequest_buffers 1MiB\n", t);
		}
		if (s->buffer_responses) {
			str_addf(out, "%sresponse_buffers 1MiB\n", t);
		}
		str_addf(out, "%sstream_close_delay 1h\n", t);
	} else if (r->version > 0) {
		str_addf(out, "%s%s%s%s", s->buffer_requests ? t : "",
			s->buffer_requests ? "buffer_requests\n" : "", s->buffer_responses ? t : "",
			s->buffer_responses ? "buffer_responses\n" : "");
	}
	str_addf(out,
		"%stransport http {\n%s\tdial_timeout 2s\n%s\tkeepalive %ds\n"
		"%s\tkeepalive_idle_conns_per_host %d\n"
		"%s\tresponse_header_timeout %dms\n%s}\n",
		t, t, t, KEEPALIVE_S, t, KEEPALIVE_CONNS, t, ms, t);
}

static void add_answers(const struct proxy_service *s, struct str *out)
{
	if (s->response_headers && s->response_headers->len > 0) {
		str_add(out, "\t\theader {\n");
		VEC_FOREACH (s->response_headers, i) {
			const struct strmap_entry *e = &s->response_headers->p[i];
			str_addf(out, "\t\t\t%s \"%s\"\n", e->key, e->value);
		}
		str_add(out, "\t\t\tdefer\n\t\t}\n");
	}
	if (s->compress) {
		str_add(out, "\t\tencode zstd gzip\n");
	}
}

/*
 * A larger number: without this caddy 2.6 answers 502 to what is too large, since it is the reading
 * for the container that fails.  What comes without a length still gets that.
 */
static void add_body_limit(int64_t max, struct str *out)
{
	str_add(out, "\t\t@large header_regexp Content-Length ^0*(");
	proxy_add_larger(max, out);
	str_addf(out,
		")$\n\t\trespond @large \"The request is too large.\" 413\n"
		"\t\trequest_body {\n\t\t\tmax_size %lldB\n\t\t}\n",
		(long long)max);
}

static void caddy_service(const struct proxy_render *r, struct str *out)
{
	const struct proxy_service *s = r->svc;
	str_addf(out,
		"(svc_%s) {\n\troute {\n"
		"\t\t@away file {\n\t\t\troot " PROXY_ETC "/live/%s\n"
		"\t\t\ttry_files /maintenance.html\n\t\t}\n"
		"\t\thandle @away {\n\t\t\troute {\n"
		"\t\t\t\theader Retry-After 60\n\t\t\t\theader Cache-Control no-store\n"
		"\t\t\t\troot * " PROXY_ETC "/live/%s\n\t\t\t\trewrite * /maintenance.html\n"
		"\t\t\t\tmethod GET\n"
		"\t\t\t\tfile_server {\n\t\t\t\t\tstatus 503\n\t\t\t\t}\n\t\t\t}\n\t\t}\n"
		"\t\tmap \"%s|{http.reverse_proxy.upstream.hostport}|"
		"{http.reverse_proxy.upstream.latency}\" {http.auth.user.id} {\n"
		"\t\t\t~^(.+)$ \"${1}\"\n\t\t}\n"
		"\t\t@unnamed not header X-Request-Id *\n"
		"\t\trequest_header @unnamed X-Request-Id {http.request.uuid}\n",
		r->sid, r->sid, r->sid, r->key);
	if (s->own_pages) {
		str_addf(out, "\t\tvars deploy_pages %s\n", r->sid);
	}
	if (s->max_request_body > 0) {
		add_body_limit(s->max_request_body, out);
	}
	add_answers(s, out);
	add_cookie(s, out);
	if (s->snippet_digest && *s->snippet_digest) {
		str_addf(out, "\t\timport " PROXY_SNIPPETS "/%s-%s.caddy\n", r->sid,
			s->snippet_digest);
	}
	str_addf(out,
		"\t\t@slot_a file {\n\t\t\troot " PROXY_ETC "/live/%s\n\t\t\ttry_files /A/\n"
		"\t\t}\n\t\thandle @slot_a {\n\t\t\troute {\n",
		r->sid);
	add_slot(r, 0, out);
	str_add(out, "\t\t\t}\n\t\t}\n\t\thandle {\n\t\t\troute {\n");
	add_slot(r, 1, out);
	str_addf(out,
		"\t\t\t}\n\t\t}\n\t}\n}\n"
		"http://%s." PROXY_ID_HOST " {\n\tbind unix/" PROXY_RUN "/probe.sock\n"
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

static void add_tls(const struct proxy_site *site, struct str *out)
{
	const struct config_tls_settings *s = site->tls_settings;
	bool given = site->tls == CONFIG_TLS_GIVEN, block = s->only_13 || s->ciphers.len > 0;
	if (given || block) {
		str_add(out, "\ttls");
	}
	if (given) {
		str_addf(out, " " PROXY_ETC "/certs/%s.crt " PROXY_ETC "/certs/%s.key",
			site->certificate_digest, site->certificate_digest);
	}
	if (block) {
		str_addf(out, " {\n\t\tprotocols %s\n", s->only_13 ? "tls1.3" : "tls1.2");
	}
	if (s->ciphers.len > 0) {
		str_add(out, "\t\tciphers");
		VEC_FOREACH (&s->ciphers, i) {
			str_addf(out, " %s", s->ciphers.p[i]);
		}
		str_add(out, "\n");
	}
	str_add(out, block ? "\t}\n" : given ? "\n" : "");
	if (s->hsts) {
		/* In place of the application's own. */
		str_add(out, "\theader {\n\t\tStrict-Transport-Security " PROXY_HSTS
			     "\n\t\tdefer\n\t}\n");
	}
}

static void caddy_site(const struct proxy_render *r, const struct proxy_site *site, struct str *out)
{
	bool tls = site->tls != CONFIG_TLS_NONE;
	str_add(out, "# Written by deploy; changes by hand are overwritten.\n");
	if (tls) {
		str_addf(out, "https://%s {\n\timport deploy_site\n", site->host);
		add_tls(site, out);
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

static void caddy_command(const struct proxy_config *c, struct docker_container_spec *spec)
{
	(void)c;
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

/* Which slots the names are in, as a set of bits. */
static unsigned slots_of(const struct proxy *p, const struct strvec *names)
{
	unsigned set = 0;
	VEC_FOREACH (names, i) {
		if (strvec_has(&p->state.live, names->p[i])) {
			set |= 1U << p->state.slot;
		} else if (strvec_has(&p->state.draining, names->p[i])) {
			set |= 1U << !p->state.slot;
		}
	}
	return set;
}

/* The count of an upstream, known by its text in the configuration: tcp4{http.vars.<sid>_a0}:3000.
 */
static int in_flight_of(const json_t *upstreams, const char *address)
{
	int most = 0;
	size_t i;
	json_t *u;
	json_array_foreach((json_t *)(uintptr_t)upstreams, i, u)
	{
		if (str_eq(json_str_at(u, "address", ""), address)) {
			int n = (int)json_int_at(u, "num_requests", 0);
			most = n > most ? n : most; /* some versions have it twice */
		}
	}
	return most;
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
	unsigned set = slots_of(p, names);
	*count = 0;
	int rc = set ? proxy_http(p, &req, &reply, err) : 0;
	CLEANUP_JSON json_t *j = NULL;
	if (rc == 0 && set) {
		j = json_parse(str_c(&reply.body), reply.body.len, "caddy's upstreams", err);
		rc = j ? 0 : -1;
	}
	for (int slot = 0; rc == 0 && slot < 2; slot++) {
		const struct proxy_slot *s = &p->state.slots[slot];
		for (int i = 0; (set & 1U << slot) && i < s->replicas; i++) {
			CLEANUP_FREE char *address = xasprintf(
				"tcp4{http.vars.%s_%c%d}:%d", p->sid, "ab"[slot], i, s -> port);
			*count += in_flight_of(j, address);
		}
	}
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

static const char *const caddy_store[] = {"acme", "certificates", NULL};

const struct proxy_driver proxy_caddy = {
	.name = "caddy",
	.store = caddy_store,
	.ext = "caddy",
	.main = "Caddyfile",
	.sites = "hosts",
	.default_image = "caddy:2",
	.slots = true,
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
