/* SPDX-License-Identifier: MIT */
/* proxy: and the `proxy:` of a role laid over it. */
#include "internal.h"

#include "manifest/ciphers.h"
#include "manifest/syntax.h"
#include "util/fs.h"

#include <string.h>

static const struct {
	const char *driver, *image;
} drivers[] = {{"caddy", "caddy:2"}, {"nginx", "nginx:1"}, {"traefik", "traefik:v3"}};

static const char *default_image(const char *driver)
{
	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
		if (strcmp(drivers[i].driver, driver) == 0) {
			return drivers[i].image;
		}
	}
	return drivers[0].image;
}

static bool not_both(struct build *b, const struct node *map, const char *one, const char *other)
{
	const struct node_item *item = node_find(map, other);

	if (has(map, one) && has(map, other)) {
		mistake(b, item->key, NULL, "either '%s' or '%s', not both", one, other);
		return false;
	}
	return true;
}

static void check_automatic(struct build *b, const struct node *ssl, const struct config_proxy *p)
{
	if (p->hosts.len == 0) {
		mistake(b, ssl, "proxy: {host: app.example.com, ssl: true}",
			"'ssl: true' needs a 'host' to get a certificate for");
	}
	if (str_eq(p->driver, "nginx")) {
		mistake(b, ssl,
			"driver: caddy or traefik, or ssl: {certificate_pem: NAME, "
			"private_key_pem: NAME}",
			"the nginx driver gets no certificates by itself");
	}
	VEC_FOREACH (&p->hosts, i) {
		if (p->hosts.p[i][0] == '*') {
			mistake(b, ssl, "ssl: {certificate_pem: NAME, private_key_pem: NAME}",
				"no certificate can be had automatically for '%s'", p->hosts.p[i]);
		}
	}
}

static void build_ssl(struct build *b, const struct node *proxy, struct config_proxy *p)
{
	const struct node *ssl = node_get(proxy, "ssl");

	if (usable(ssl) && ssl->kind == NODE_MAP) {
		p->tls = CONFIG_TLS_GIVEN;
		p->certificate_secret = get_secret(ssl, "certificate_pem");
		p->private_key_secret = get_secret(ssl, "private_key_pem");
		p->tls_mark = mark_at(ssl);
	} else if (get_bool(proxy, "ssl", false)) {
		p->tls = CONFIG_TLS_AUTO;
		p->tls_mark = mark_at(ssl);
		check_automatic(b, ssl, p);
	}
	p->ssl_redirect = p->tls != CONFIG_TLS_NONE && get_bool(proxy, "ssl_redirect", true);
	p->forward_headers = get_bool(proxy, "forward_headers", p->tls == CONFIG_TLS_NONE);
}

static const char *read_roots(struct build *b, const struct node *n, const char *path)
{
	CLEANUP_STR struct str text = STR_INIT(STR_MAX_FILE);
	struct error why = {0};

	if (!fs_exists(path)) {
		mistake(b, n, NULL, "there is no file '%s'", n->raw);
		return NULL;
	}
	if (fs_read(path, &text, &why) < 0) {
		mistake(b, n, NULL, "%s", why.text);
		return NULL;
	}
	if (strstr(str_c(&text), "-----BEGIN CERTIFICATE-----") == NULL) {
		mistake(b, n, NULL, "'%s' has no certificate in PEM form", n->raw);
	}
	return arena_strdup(b->arena, str_c(&text));
}

static void build_acme(struct build *b, const struct node *proxy, struct config_proxy *p)
{
	const struct node *acme = node_get(proxy, "acme"), *ca = node_get(acme, "ca");

	/* A destination or a role without ssl leaves that of the other ones alone. */
	if (!usable(acme) || (p->tls != CONFIG_TLS_AUTO && has(proxy, "ssl"))) {
		return;
	}
	if (p->tls != CONFIG_TLS_AUTO) {
		mistake(b, acme, "ssl: true", "'acme' is only for a proxy with 'ssl: true'");
	}
	p->acme.email = get_text(acme, "email", NULL);
	p->acme.server = get_text(acme, "server", NULL);
	if (usable(ca)) {
		p->acme.ca = absolute_path(b, ca->text);
		p->acme.ca_pem = read_roots(b, ca, p->acme.ca);
	}
}

static void build_metrics(struct build *b, const struct node *run, struct config_proxy *p)
{
	p->metrics_port = get_int(run, "metrics_port", 0);
	p->metrics_ip = get_text(run, "metrics_ip", "127.0.0.1");
	if (p->metrics_port == 0) {
		if (has(run, "metrics_ip")) {
			mistake(b, node_get(run, "metrics_ip"), "metrics_port: 9090",
				"without 'metrics_port' there are no metrics");
		}
		return;
	}
	if (strcmp(p->driver, "nginx") == 0) {
		mistake(b, node_get(run, "metrics_port"), "driver: caddy, or driver: traefik",
			"the proxy driver %s has no metrics for Prometheus", p->driver);
	}
	if (p->metrics_port == p->http_port || p->metrics_port == p->https_port) {
		mistake(b, node_get(run, "metrics_port"), NULL,
			"port %d is that of the sites already", p->metrics_port);
	}
}

static void build_tls(struct build *b, const struct node *proxy, struct config_proxy *p)
{
	const struct node *tls = node_get(proxy, "tls"), *ciphers = node_get(tls, "ciphers");
	struct config_tls_settings *s = &p->tls_settings;

	/* A destination or a role without ssl leaves those of the other ones alone. */
	if (!usable(tls) || (p->tls == CONFIG_TLS_NONE && has(proxy, "ssl"))) {
		return;
	}
	s->only_13 = str_eq(get_text(tls, "min_version", "1.2"), "1.3");
	s->hsts = get_bool(tls, "hsts", false);
	for (size_t i = 0; usable(ciphers) && i < ciphers->len; i++) {
		const struct tls_cipher *c = usable(ciphers->p[i].value)
						     ? tls_cipher_find(ciphers->p[i].value->text)
						     : NULL;
		if (c && !strvec_has(&s->ciphers, c->iana)) {
			arena_push(b->arena, &s->ciphers, arena_strdup(b->arena, c->iana));
		}
	}
	if (p->tls == CONFIG_TLS_NONE) {
		mistake(b, tls, "ssl: true", "'tls' is only for a proxy with 'ssl'");
	} else if (s->only_13 && s->ciphers.len > 0) {
		mistake(b, ciphers, "leave them out",
			"'ciphers' are of TLS 1.2, which 'min_version' rules out");
	}
}

static void build_run(struct build *b, const struct node *run, struct config_proxy *p)
{
	p->http_port = get_int(run, "http_port", 80);
	p->https_port = get_int(run, "https_port", 443);
	p->publish = get_bool(run, "publish", true);
	p->debug = get_bool(run, "debug", false);
	p->log_max_size = get_text(run, "log_max_size", "10m");
	get_list(b, run, "bind_ips", false, &p->bind_ips);
	build_options(b, node_get(run, "options"), &p->options);
	build_metrics(b, run, p);
	if (p->http_port == p->https_port) {
		mistake(b, run, NULL, "HTTP and HTTPS have the same port %d", p->http_port);
	}
	if (!p->publish &&
		(has(run, "http_port") || has(run, "https_port") || has(run, "bind_ips"))) {
		mistake(b, node_get(run, "publish"), NULL,
			"without 'publish' there are no http_port, https_port and bind_ips");
	}
}

static void build_rate_limits(struct build *b, const struct node *proxy, struct config_proxy *p)
{
	const struct node *all = node_get(proxy, "rate_limits");

	for (size_t i = 0; usable(all) && all->kind == NODE_LIST && i < all->len; i++) {
		const struct node *n = all->p[i].value;
		struct config_rate_limit limit = {.mark = mark_at(n)};

		if (!usable(n) || n->kind != NODE_MAP) {
			continue;
		}
		limit.path = get_text(n, "path", "/");
		syntax_rate_of(get_text(n, "rate", "1/s"), &limit.requests, &limit.per_minute);
		limit.burst = get_int(n, "burst", 0);
		arena_push(b->arena, &p->rate_limits, limit);
	}
	if (p->rate_limits.len > 0 && str_eq(p->driver, "caddy")) {
		mistake(b, all, "driver: nginx, or driver: traefik",
			"the caddy driver limits no rates");
	}
}

const char *const config_balance_names[] = {
	"", "round_robin", "least_conn", "random", "ip_hash", NULL};

static void build_balancing(struct build *b, const struct node *proxy, struct config_proxy *p)
{
	const struct node *n = node_get(proxy, "load_balancing");
	const struct node *sticky = node_get(n, "sticky");
	const char *policy = get_text(n, "policy", "");
	const char *max_age = get_text(sticky, "max_age", NULL);

	for (int i = 0; config_balance_names[i]; i++) {
		if (str_eq(policy, config_balance_names[i])) {
			p->balancing.policy = (enum config_balance_policy)i;
		}
	}
	if (str_eq(p->driver, "traefik") && (p->balancing.policy == CONFIG_BALANCE_LEAST_CONN ||
						    p->balancing.policy == CONFIG_BALANCE_RANDOM)) {
		mistake(b, node_get(n, "policy"), "driver: caddy, or driver: nginx",
			"the traefik driver has no '%s'", policy);
	}
	if (!usable(sticky) || (sticky->kind != NODE_MAP && !get_bool(n, "sticky", false))) {
		return;
	}
	p->balancing.cookie = get_text(sticky, "cookie", "deploy_sticky");
	p->balancing.secure = get_bool(sticky, "secure", p->tls != CONFIG_TLS_NONE);
	if (max_age) {
		p->balancing.max_age_s = syntax_duration(max_age) / 1000;
	}
	if (str_eq(p->driver, "caddy") && p->balancing.policy != CONFIG_BALANCE_DEFAULT &&
		p->balancing.policy != CONFIG_BALANCE_RANDOM) {
		mistake(b, node_get(n, "policy"), "policy: random, or driver: nginx",
			"the caddy driver chooses a sticky client's container at random");
	}
	if (str_eq(p->driver, "traefik") && p->balancing.policy == CONFIG_BALANCE_IP_HASH) {
		mistake(b, node_get(n, "policy"), "policy: round_robin, or driver: nginx",
			"the traefik driver has no sticky clients with 'ip_hash'");
	}
}

/* Further headers in the access log: caddy's is one for all services of a host name. */
static void build_log(struct build *b, const struct node *proxy, struct config_proxy *p)
{
	const struct node *logging = node_get(proxy, "logging");

	get_list(b, logging, "request_headers", false, &p->log_request_headers);
	get_list(b, logging, "response_headers", false, &p->log_response_headers);
	if ((p->log_request_headers.len > 0 || p->log_response_headers.len > 0) &&
		!str_eq(p->driver, "nginx")) {
		mistake(b, logging, "driver: nginx",
			"the %s driver logs no further headers of one service", p->driver);
	}
}

/* It is read from the commit that is pushed. */
static void build_snippet(struct build *b, const struct node *proxy, struct config_proxy *p)
{
	const struct node *n = node_get(proxy, "snippet");

	if (!usable(n)) {
		return;
	}
	p->snippet = build_inside(b, n);
	p->snippet_name = n->text;
	if (str_eq(p->driver, "traefik")) {
		mistake(b, n, "driver: caddy, or driver: nginx",
			"the traefik driver takes no directives of one's own");
	}
}

/* What Traefik has not. */
static void check_traefik(struct build *b, const struct node *proxy, const struct config_proxy *p)
{
	const struct config_tls_settings *s = &p->tls_settings;

	if (!str_eq(p->driver, "traefik")) {
		return;
	}
	if (p->buffer_requests != p->buffer_responses) {
		mistake(b, node_get(proxy, "buffering"), "driver: caddy, or driver: nginx",
			"the traefik driver buffers requests and responses, or neither");
	}
	VEC_FOREACH (&p->hosts, i) {
		if (str_starts(p->hosts.p[i], "*.") && (s->only_13 || s->ciphers.len > 0)) {
			mistake(b, node_get(proxy, "tls"), "driver: caddy, or driver: nginx",
				"the traefik driver has versions and ciphers of TLS for whole host "
				"names only");
		}
	}
}

static void build_circuit_breaker(struct build *b, const struct node *proxy, struct config_proxy *p)
{
	const struct node *n = node_get(proxy, "circuit_breaker");

	p->circuit_breaker = get_text(proxy, "circuit_breaker", NULL);
	if (p->circuit_breaker && !str_eq(p->driver, "traefik")) {
		mistake(b, n, "driver: traefik", "the %s driver has no circuit breaker", p->driver);
	}
}

void build_proxy(struct build *b, const struct node *proxy, struct config_proxy *p)
{
	const struct node *buffering = node_get(proxy, "buffering");

	p->enabled = true;
	p->mark = mark_at(proxy);
	p->driver = get_text(proxy, "driver", "caddy");
	p->image = get_text(proxy, "image", default_image(p->driver));
	if (not_both(b, proxy, "host", "hosts")) {
		get_list(b, proxy, "host", true, &p->hosts);
		get_list(b, proxy, "hosts", false, &p->hosts);
	}
	if (not_both(b, proxy, "path_prefix", "path_prefixes")) {
		get_list(b, proxy, "path_prefix", true, &p->path_prefixes);
		get_list(b, proxy, "path_prefixes", false, &p->path_prefixes);
	}
	p->strip_path_prefix = get_bool(proxy, "strip_path_prefix", true);
	p->app_port = get_int(proxy, "app_port", 80);
	build_ssl(b, proxy, p);
	build_tls(b, proxy, p);
	build_acme(b, proxy, p);
	build_health(b, node_get(proxy, "healthcheck"), p->app_port, &p->health);
	p->deploy_timeout_ms = b->c->deploy_timeout_ms;
	p->drain_timeout_ms = b->c->drain_timeout_ms;
	p->response_timeout_ms = get_ms(proxy, "response_timeout", 30000);
	p->max_request_body = get_size(buffering, "max_request_body", (int64_t)1 << 30);
	p->buffer_requests = get_bool(buffering, "requests", false);
	p->buffer_responses = get_bool(buffering, "responses", false);
	check_traefik(b, proxy, p);
	get_map(b, proxy, "response_headers", &p->response_headers);
	p->compress = get_bool(proxy, "compress", false);
	build_rate_limits(b, proxy, p);
	build_circuit_breaker(b, proxy, p);
	build_balancing(b, proxy, p);
	build_snippet(b, proxy, p);
	build_log(b, proxy, p);
	p->error_pages = b->c->error_pages_path;
	build_run(b, node_get(proxy, "run"), p);
}
