/* SPDX-License-Identifier: MIT */
/*
 * Traefik's dynamic configuration: one file per service with its routers, middlewares and servers,
 * written as JSON, which YAML includes, so that nothing in it needs a quoting of its own.
 *
 * Names: "<key>:<what>", a '+' in place of the key's '@', at which Traefik's own names are cut.  A
 * router's name begins with the key, which the access log tells.
 */
#include "internal.h"
#include "traefik.h"

#include <string.h>

#define BUFFER_BYTES (1 << 20) /* of a body, before it goes to a file */
#define COMPRESS_MIN 512       /* bytes */
#define RETRIES      5         /* within 0.8 s */

/* The rendering of one service. */
struct work {
	const struct proxy_render *r;
	const struct proxy_service *svc;
	char *name;
	json_t *routers, *middlewares;
	bool away;
};

/* Where a request comes in. */
enum entry { ENTRY_HTTP, ENTRY_HTTPS, ENTRY_DEPLOY, ENTRIES };
static const char *const entries[] = {"http", "https", "deploy"};

static json_t *text(const char *s)
{
	return json_string(s);
}

static void put(json_t *map, char *name, json_t *value)
{
	json_object_set_new(map, name, value);
	free(name);
}

/* A list of names begun by `name`. */
static void push_name(json_t *list, const struct work *w, const char *what)
{
	CLEANUP_FREE char *name = xasprintf("%s:%s", w->name, what);
	json_array_append_new(list, json_string(name));
}

static void add_middleware(struct work *w, const char *what, const char *kind, json_t *settings)
{
	put(w->middlewares, xasprintf("%s:%s", w->name, what), json_pack("{s:o}", kind, settings));
}

static json_t *plugin(json_t *settings)
{
	return json_pack("{s:{s:o}}", "plugin", "deploy", settings);
}

static json_t *page(int status, const char *title, const char *said, const char *retry)
{
	struct str html = STR_INIT(STR_MAX_FILE);
	str_addf(&html, "%s<h1>%s</h1><p>", proxy_page_head, title);
	proxy_page_escape(&html, said);
	str_addf(&html, "</p>%s\n", proxy_page_tail);
	json_t *j = json_pack("{s:i, s:s, s:s}", "status", status, "type",
		"text/html; charset=utf-8", "body", str_c(&html));
	if (retry) {
		json_object_set_new(j, "retry", text(retry));
	}
	str_fini(&html);
	return j;
}

/* -- The main file: what is there without any service -- */

static json_t *internal_router(const char *rule, const char *middleware)
{
	return json_pack("{s:[s], s:s, s:i, s:s, s:[s]}", "entryPoints", "deploy", "rule", rule,
		"priority", TRAEFIK_FIRST, "service", "noop@internal", "middlewares", middleware);
}

void traefik_main(const struct proxy_main *m, struct str *out)
{
	json_t *probe = json_pack("{s:b}", "probe", true);
	if (!m->includes) {
		/* Not for a validation: the socket is that of the proxy which runs. */
		json_object_set_new(probe, "socket", text(PROXY_RUN "/probe.sock"));
		json_object_set_new(probe, "address", text(TRAEFIK_ADDRESS));
	}
	json_t *pages = page(200, "This site is not answering",
		"The application behind it could not be reached. Please try again in a moment.",
		NULL);
	json_object_set_new(pages, "pages", text(PROXY_PAGES));
	CLEANUP_JSON json_t *j = json_pack(
		"{s:{s:{s:o, s:o}, s:{s:o, s:o, s:o}, s:{s:{s:{s:[{s:s}], s:b}}}}}", "http",
		"routers", "deploy:probe",
		internal_router("Host(`" PROXY_PROBE_HOST "`)", "deploy:probe"), "deploy:pages",
		internal_router("Host(`127.0.0.1`)", "deploy:pages"), "middlewares", "deploy:probe",
		plugin(probe), "deploy:pages", plugin(pages), "deploy:done",
		plugin(json_pack(
			"{s:i, s:s, s:s}", "status", 200, "type", "text/plain", "body", "done")),
		"services", "deploy:pages", "loadBalancer", "servers", "url",
		"http://" TRAEFIK_ADDRESS, "passHostHeader", false);
	json_object_set_new(j, "tls",
		json_pack("{s:{s:{s:{s:s, s:s}}}}", "stores", "default", "defaultCertificate",
			"certFile", PROXY_ETC "/certs/default.crt", "keyFile",
			PROXY_ETC "/certs/default.key"));
	str_add(out, "# Written by deploy; changes by hand are overwritten.\n");
	proxy_json_add(out, j, JSON_INDENT(2));
	str_addc(out, '\n');
}

/* -- Rules -- */

static void add_host(const char *host, struct str *out)
{
	if (!*host) {
		str_add(out, "PathPrefix(`/`)");
		return;
	}
	if (!str_starts(host, "*.")) {
		str_addf(out, "Host(`%s`)", host);
		return;
	}
	str_add(out, "HostRegexp(`^[^.]+");
	for (const char *p = host + 1; *p; p++) {
		str_addf(out, *p == '.' ? "\\%c" : "%c", *p);
	}
	str_add(out, "$`)");
}

/* A path and what lies below it. */
static void add_path(const char *path, struct str *out)
{
	if (!str_eq(path, "/")) {
		str_addf(out, " && (Path(`%s`) || PathPrefix(`%s/`))", path, path);
	}
}

/* Bodies that are too long, or whose length nobody knows. */
static void add_body(int64_t max, struct str *out)
{
	str_add(out, " && (HeaderRegexp(`Content-Length`, `^(");
	proxy_add_larger(max, out);
	str_add(out, ")$`) || (!HeaderRegexp(`Content-Length`, `.`) && !Method(`GET`) && "
		     "!Method(`HEAD`)))");
}

/* -- Routers -- */

/* One host, prefix, and path with limits of its own. */
struct route {
	const char *host, *prefix;
	const char *limited; /* a path, or NULL */
	size_t h, p, l;
	bool strip;
};

/* The path of a limit as clients write it. The caller frees. */
static char *limit_path(const struct route *t, const char *path)
{
	bool cut = t->strip && !str_eq(t->prefix, "/");
	return cut ? xasprintf("%s%s", t->prefix, str_eq(path, "/") ? "" : path) : xstrdup(path);
}

/* Is all that lies below `inner` below `outer` too? */
static bool covers(const char *outer, const char *inner)
{
	size_t n = strlen(outer);
	return str_eq(outer, "/") ||
	       (str_starts(inner, outer) && (inner[n] == '\0' || inner[n] == '/'));
}

static bool is_routed(const struct route *t, const char *path)
{
	return covers(t->prefix, path) && !covers(path, t->prefix);
}

static void push_limits(const struct work *w, const struct route *t, json_t *list)
{
	const struct config_rate_limits *limits = w->svc->rate_limits;
	const char *own = t->limited ? t->limited : t->prefix;
	for (size_t i = 0; limits && i < limits->len; i++) {
		CLEANUP_FREE char *path = limit_path(t, limits->p[i].path);
		CLEANUP_FREE char *name = xasprintf("limit:%zu", i);
		if (covers(path, own)) {
			push_name(list, w, name);
		}
	}
}

static json_t *chain(const struct work *w, const struct route *t, enum entry e, bool body)
{
	const struct proxy_service *s = w->svc;
	json_t *list = json_array();
	if (e != ENTRY_DEPLOY) {
		push_name(list, w, e == ENTRY_HTTPS ? "from-https" : "from-http");
		push_limits(w, t, list);
	}
	if (w->away) {
		push_name(list, w, "away");
		return list;
	}
	if (body) {
		push_name(list, w, "body");
	}
	if (t->strip && !str_eq(t->prefix, "/")) {
		CLEANUP_FREE char *strip = xasprintf("strip:%zu", t->p);
		push_name(list, w, strip);
	}
	if (s->response_headers && s->response_headers->len > 0) {
		push_name(list, w, "headers");
	}
	push_name(list, w, "errors");
	if (s->compress) {
		push_name(list, w, "compress");
	}
	if (s->buffer_requests) {
		push_name(list, w, "buffering");
	}
	if (s->circuit_breaker) {
		push_name(list, w, "breaker");
	}
	push_name(list, w, "retry");
	return list;
}

static json_t *tls_of(const struct work *w, const struct route *t)
{
	const struct config_tls_settings *s = w->svc->tls_settings;
	json_t *tls = json_object();
	/* A candidate is not to ask for certificates. */
	if (w->svc->tls == CONFIG_TLS_AUTO && str_eq(w->r->dir, "services")) {
		json_object_set_new(tls, "certResolver", text("deploy"));
	}
	if (*t->host && s && (s->only_13 || s->ciphers.len > 0)) {
		put(tls, xstrdup("options"), json_sprintf("host:%s", t->host));
	}
	return tls;
}

/* Exact names first, then wildcards, then every host; longest prefix first; limits inside it. */
static json_int_t priority_of(const struct route *t, bool body)
{
	json_int_t kind = !*t->host ? 0 : str_starts(t->host, "*.") ? 1 : 2;
	json_int_t prefix = (json_int_t)strlen(t->prefix);
	json_int_t limited = t->limited ? (json_int_t)strlen(t->limited) : 0;
	return ((kind * 1000 + prefix) * 1000 + limited) * 2 + (body ? 1 : 0);
}

static void add_router(struct work *w, const struct route *t, enum entry e, bool body)
{
	const struct proxy_service *s = w->svc;
	bool redirect = e == ENTRY_HTTP && s->tls != CONFIG_TLS_NONE && s->ssl_redirect;
	struct str rule = STR_INIT(STR_MAX_LINE);
	CLEANUP_FREE char *limited = t->limited ? xasprintf(":%zu", t->l) : xstrdup("");
	json_t *router = json_object();

	add_host(t->host, &rule);
	add_path(t->limited ? t->limited : t->prefix, &rule);
	if (body) {
		add_body(s->max_request_body, &rule);
	}
	json_object_set_new(router, "entryPoints", json_pack("[s]", entries[e]));
	json_object_set_new(router, "rule", text(str_c(&rule)));
	json_object_set_new(router, "priority", json_integer(priority_of(t, body)));
	if (e == ENTRY_HTTPS) {
		json_object_set_new(router, "tls", tls_of(w, t));
	}
	json_t *middlewares = redirect ? json_array() : chain(w, t, e, body);
	if (redirect) {
		push_name(middlewares, w, "redirect");
	}
	json_object_set_new(router, "middlewares", middlewares);
	json_object_set_new(
		router, "service", text(redirect || w->away ? "noop@internal" : w->name));
	put(w->routers,
		xasprintf("%s:%zu:%zu%s:%s%s", w->name, t->h, t->p, limited, entries[e],
			body ? ":body" : ""),
		router);
	str_fini(&rule);
}

static void add_routers(struct work *w, const struct route *t)
{
	const struct proxy_service *s = w->svc;
	bool redirects = s->tls != CONFIG_TLS_NONE && s->ssl_redirect;
	for (enum entry e = 0; e < ENTRIES; e++) {
		bool is_redirect = e == ENTRY_HTTP && redirects;
		if ((e == ENTRY_HTTPS && s->tls == CONFIG_TLS_NONE) ||
			(t->limited && (e == ENTRY_DEPLOY || is_redirect))) {
			continue;
		}
		add_router(w, t, e, false);
		if (s->max_request_body > 0 && e != ENTRY_DEPLOY && !is_redirect && !w->away) {
			add_router(w, t, e, true);
		}
	}
}

static char *prefix_at(const struct strvec *v, size_t i)
{
	char *p = xstrdup(v && v->len ? v->p[i] : "/");
	for (size_t n = strlen(p); n > 1 && p[n - 1] == '/'; n--) {
		p[n - 1] = '\0';
	}
	return p;
}

static void add_limited(struct work *w, struct route *t)
{
	const struct config_rate_limits *limits = w->svc->rate_limits;
	for (size_t i = 0; limits && i < limits->len; i++) {
		CLEANUP_FREE char *path = limit_path(t, limits->p[i].path);
		if (is_routed(t, path)) {
			t->limited = path;
			t->l = i;
			add_routers(w, t);
			t->limited = NULL;
		}
	}
}

static void add_routes(struct work *w)
{
	const struct proxy_service *s = w->svc;
	size_t hosts = s->hosts && s->hosts->len ? s->hosts->len : 1;
	size_t prefixes = s->prefixes && s->prefixes->len ? s->prefixes->len : 1;
	for (size_t h = 0; h < hosts; h++) {
		for (size_t i = 0; i < prefixes; i++) {
			CLEANUP_FREE char *prefix = prefix_at(s->prefixes, i);
			struct route t = {.host = s->hosts && s->hosts->len ? s->hosts->p[h] : "",
				.prefix = prefix,
				.h = h,
				.p = i,
				.strip = s->strip_prefix};
			add_routers(w, &t);
			add_limited(w, &t);
		}
	}
}

/* -- Middlewares -- */

/* Where a request came from, and by which scheme: a client's own word only when it is trusted. */
static void add_from(struct work *w, bool https)
{
	static const char *const forged[] = {"X-Forwarded-For", "X-Forwarded-Host",
		"X-Forwarded-Port", "X-Forwarded-Prefix", "X-Real-Ip", "Forwarded", NULL};
	const struct proxy_service *s = w->svc;
	json_t *request = json_object(), *settings = json_object();
	for (size_t i = 0; !s->forward_headers && forged[i]; i++) {
		json_object_set_new(request, forged[i], text("")); /* taken away */
	}
	if (!s->forward_headers) {
		json_object_set_new(request, "X-Forwarded-Proto", text(https ? "https" : "http"));
	}
	json_object_set_new(request, "X-Forwarded-Server", text("")); /* the container's name */
	json_object_set_new(settings, "customRequestHeaders", request);
	if (https && s->tls_settings && s->tls_settings->hsts) {
		json_object_set_new(settings, "customResponseHeaders",
			json_pack("{s:s}", "Strict-Transport-Security", PROXY_HSTS));
	}
	add_middleware(w, https ? "from-https" : "from-http", "headers", settings);
}

static void add_limits(struct work *w)
{
	const struct config_rate_limits *limits = w->svc->rate_limits;
	for (size_t i = 0; limits && i < limits->len; i++) {
		const struct config_rate_limit *l = &limits->p[i];
		CLEANUP_FREE char *what = xasprintf("limit:%zu", i);
		add_middleware(w, what, "rateLimit",
			json_pack("{s:i, s:s, s:i}", "average", l->requests, "period",
				l->per_minute ? "1m" : "1s", "burst", l->burst + 1));
	}
}

static void add_answers(struct work *w)
{
	const struct proxy_service *s = w->svc;
	if (s->response_headers && s->response_headers->len > 0) {
		json_t *headers = json_object();
		VEC_FOREACH (s->response_headers, i) {
			const struct strmap_entry *e = &s->response_headers->p[i];
			json_object_set_new(headers, e->key, text(e->value));
		}
		add_middleware(w, "headers", "headers",
			json_pack("{s:o}", "customResponseHeaders", headers));
	}
	put(w->middlewares, xasprintf("%s:errors", w->name),
		json_pack("{s:{s:[s,s], s:s, s:o}}", "errors", "status", "502", "504", "service",
			"deploy:pages", "query",
			json_sprintf("/%s/{status}.html", s->own_pages ? w->r->sid : "none")));
	if (s->compress) {
		add_middleware(w, "compress", "compress",
			json_pack("{s:i, s:[s]}", "minResponseBodyBytes", COMPRESS_MIN,
				"excludedContentTypes", "text/event-stream"));
	}
	if (s->circuit_breaker) {
		add_middleware(w, "breaker", "circuitBreaker",
			json_pack("{s:s}", "expression", s->circuit_breaker));
	}
	if (s->buffer_requests) {
		add_middleware(w, "buffering", "buffering",
			json_pack("{s:i, s:i}", "memRequestBodyBytes", BUFFER_BYTES,
				"memResponseBodyBytes", BUFFER_BYTES));
	}
}

/* For a container that cannot be dialled: a request that was sent is not sent again. */
static void add_retry(struct work *w)
{
	add_middleware(w, "retry", "retry",
		json_pack("{s:i, s:s}", "attempts", RETRIES, "initialInterval", "100ms"));
}

static void add_strips(struct work *w)
{
	const struct strvec *v = w->svc->prefixes;
	for (size_t i = 0; w->svc->strip_prefix && v && i < v->len; i++) {
		CLEANUP_FREE char *prefix = prefix_at(v, i);
		CLEANUP_FREE char *what = xasprintf("strip:%zu", i);
		if (!str_eq(prefix, "/")) {
			add_middleware(
				w, what, "stripPrefix", json_pack("{s:[s]}", "prefixes", prefix));
		}
	}
}

static void add_redirect(struct work *w)
{
	json_t *j = json_pack("{s:s, s:b}", "scheme", "https", "permanent", true);
	if (w->r->https_port != 443) {
		put(j, xstrdup("port"), json_sprintf("%d", w->r->https_port));
	}
	add_middleware(w, "redirect", "redirectScheme", j);
}

static void add_middlewares(struct work *w)
{
	const struct proxy_service *s = w->svc;
	bool tls = s->tls != CONFIG_TLS_NONE;
	if (!tls || !s->ssl_redirect) {
		add_from(w, false);
	} else {
		add_redirect(w);
	}
	if (tls) {
		add_from(w, true);
	}
	add_limits(w);
	if (w->away) {
		const char *said =
			s->maintenance_message ? s->maintenance_message : PROXY_DEFAULT_MAINTENANCE;
		put(w->middlewares, xasprintf("%s:away", w->name),
			plugin(page(503, "Down for maintenance", said, "60")));
		return;
	}
	if (s->max_request_body > 0) {
		put(w->middlewares, xasprintf("%s:body", w->name),
			plugin(json_pack("{s:I}", "maxBody", (json_int_t)s->max_request_body)));
	}
	add_strips(w);
	add_answers(w);
	add_retry(w);
}

/* -- Where requests go -- */

static json_t *cookie(const struct config_balancing *b)
{
	return json_pack("{s:{s:s, s:b, s:b, s:s, s:I, s:s}}", "cookie", "name", b->cookie,
		"httpOnly", true, "secure", b->secure, "sameSite", "lax", "maxAge",
		(json_int_t)b->max_age_s, "path", "/");
}

static json_t *balancer(const struct work *w)
{
	const struct proxy_service *s = w->svc;
	const struct config_balancing *b = s->balancing;
	json_t *servers = json_array(), *j = json_object();
	bool named = s->hosts && s->hosts->len && !str_starts(s->hosts->p[0], "*.");
	VEC_FOREACH (&s->live, i) {
		json_t *url = json_sprintf("http://%s:%d", s->live.p[i], s->app_port);
		json_array_append_new(servers, json_pack("{s:o}", "url", url));
	}
	json_object_set_new(j, "servers", servers);
	json_object_set_new(j, "passHostHeader", json_true());
	json_object_set_new(j, "serversTransport", text(w->name));
	if (b && b->policy == CONFIG_BALANCE_IP_HASH) {
		json_object_set_new(j, "strategy", text("hrw"));
	}
	if (b && b->cookie && s->live.len > 1) {
		json_object_set_new(j, "sticky", cookie(b));
	}
	if (b && b->cookie && s->live.len > 1 && s->health_path) {
		/* Else a client stays with a container that died. */
		json_object_set_new(j, "healthCheck",
			json_pack("{s:s, s:s, s:s, s:s}", "path", s->health_path, "interval",
				"500ms", "timeout", "2s", "hostname",
				named ? s->hosts->p[0] : "localhost"));
	}
	return json_pack("{s:o}", "loadBalancer", j);
}

/* No idle connections: each one is a request in flight (connections.c). */
static json_t *transport(const struct proxy_service *s)
{
	int ms = s->response_timeout_ms > 0 ? s->response_timeout_ms : 30000;
	return json_pack("{s:i, s:{s:s, s:o}}", "maxIdleConnsPerHost", -1, "forwardingTimeouts",
		"dialTimeout", "2s", "responseHeaderTimeout", json_sprintf("%dms", ms));
}

static void add_id(struct work *w)
{
	CLEANUP_FREE char *name = xasprintf("%s:id", w->name);
	CLEANUP_FREE char *rule = xasprintf("Host(`%s." PROXY_ID_HOST "`)", w->r->sid);
	json_object_set_new(w->routers, name, internal_router(rule, name));
	json_object_set_new(w->middlewares, name,
		plugin(json_pack(
			"{s:i, s:s, s:s}", "status", 200, "type", "text/plain", "body", w->r->id)));
}

void traefik_service(const struct proxy_render *r, struct str *out)
{
	struct work w = {.r = r,
		.svc = r->svc,
		.name = xstrdup(r->key),
		.away = r->svc->maintenance || r->svc->live.len == 0,
		.routers = json_object(),
		.middlewares = json_object()};
	for (char *c = w.name; *c; c++) {
		*c = *c == '@' ? '+' : *c;
	}
	add_routes(&w);
	add_id(&w);
	add_middlewares(&w);
	CLEANUP_JSON json_t *j = json_pack(
		"{s:{s:o, s:o}}", "http", "routers", w.routers, "middlewares", w.middlewares);
	if (!w.away) {
		json_t *http = json_object_get(j, "http");
		json_object_set_new(http, "services", json_pack("{s:o}", w.name, balancer(&w)));
		json_object_set_new(
			http, "serversTransports", json_pack("{s:o}", w.name, transport(w.svc)));
	}
	proxy_json_add(out, j, JSON_INDENT(2));
	str_addc(out, '\n');
	free(w.name);
}

/* -- A host name: its certificate, and what TLS has to be -- */

void traefik_site(const struct proxy_render *r, const struct proxy_site *site, struct str *out)
{
	const struct config_tls_settings *s = site->tls_settings;
	CLEANUP_JSON json_t *tls = json_object();
	(void)r;
	str_add(out, "# Written by deploy; changes by hand are overwritten.\n");
	if (site->tls == CONFIG_TLS_GIVEN) {
		json_t *one = json_object();
		put(one, xstrdup("certFile"),
			json_sprintf(PROXY_ETC "/certs/%s.crt", site->certificate_digest));
		put(one, xstrdup("keyFile"),
			json_sprintf(PROXY_ETC "/certs/%s.key", site->certificate_digest));
		if (*site->host) {
			json_object_set_new(tls, "certificates", json_pack("[o]", one));
		} else {
			json_object_set_new(tls, "stores",
				json_pack("{s:{s:o}}", "default", "defaultCertificate", one));
		}
	}
	if (site->tls != CONFIG_TLS_NONE && (s->only_13 || s->ciphers.len > 0)) {
		json_t *options = json_pack(
			"{s:s}", "minVersion", s->only_13 ? "VersionTLS13" : "VersionTLS12");
		json_t *ciphers = json_array();
		VEC_FOREACH (&s->ciphers, i) {
			json_array_append_new(ciphers, text(s->ciphers.p[i]));
		}
		json_object_set_new(options, "cipherSuites", ciphers);
		json_t *named = json_object();
		put(named, *site->host ? xasprintf("host:%s", site->host) : xstrdup("default"),
			options);
		json_object_set_new(tls, "options", named);
	}
	if (json_object_size(tls) > 0) {
		CLEANUP_JSON json_t *j = json_pack("{s:O}", "tls", tls);
		proxy_json_add(out, j, JSON_INDENT(2));
		str_addc(out, '\n');
	}
}
