/* SPDX-License-Identifier: MIT */
/* The fragment's header, written and read; digests; names. Pure. */
#include "manifest/ciphers.h"
#include "proxy/driver.h"
#include "util/digest.h"
#include "util/json.h"

#include <ctype.h>
#include <string.h>

#define HEADER "# deploy-proxy "
#define DIGEST "# sha256 "

static const char *const tls_names[] = {"none", "auto", "given"};

/* Renderings change with the tool's version: a fragment of an older one is validated anew. */
#define RENDER_FORMAT 1

char *proxy_service_key(const char *service, const char *destination)
{
	return destination && *destination ? xasprintf("%s@%s", service, destination)
					   : xstrdup(service);
}

char *proxy_sid(const char *key)
{
	char hex[DIGEST_HEX_SIZE];
	digest_sha256_hex(key, strlen(key), hex);
	return xstrndup(hex, 10);
}

char *proxy_container_name(const char *driver)
{
	return xasprintf("deploy-proxy-%s", driver);
}

const struct proxy_driver *proxy_driver_find(const char *name)
{
	static const struct proxy_driver *const drivers[] = {
		&proxy_caddy, &proxy_nginx, &proxy_traefik};
	for (size_t i = 0; name && i < sizeof(drivers) / sizeof(drivers[0]); i++) {
		if (str_eq(drivers[i]->name, name)) {
			return drivers[i];
		}
	}
	return NULL;
}

int proxy_driver_check(const char *driver, struct error *err)
{
	if (!proxy_driver_find(driver)) {
		return error_set(err, ERROR_MANIFEST,
			"there is no proxy driver '%s' (there are caddy, nginx and traefik)",
			driver ? driver : "");
	}
	return 0;
}

char *proxy_acme_ca_file(const struct proxy_config *c)
{
	char hex[DIGEST_HEX_SIZE];
	if (!c->acme_ca) {
		return NULL;
	}
	digest_sha256_hex(c->acme_ca, strlen(c->acme_ca), hex);
	return xasprintf("acme-%.8s.pem", hex);
}

long proxy_version_parse(const char *text)
{
	for (const char *p = text; *p; p++) {
		long n[3] = {0};
		int have = 0;
		bool inside = p > text &&
			      (p[-1] == '.' || (isalnum((unsigned char)p[-1]) && p[-1] != 'v'));
		if (!isdigit((unsigned char)*p) || inside) {
			continue;
		}
		const char *q = p;
		while (have < 3 && isdigit((unsigned char)*q)) {
			while (isdigit((unsigned char)*q) && n[have] < 1000) {
				n[have] = n[have] * 10 + (*q++ - '0');
			}
			have++;
			if (*q != '.') {
				break;
			}
			q++;
		}
		if (have >= 2 && n[0] < 1000 && n[1] < 1000 && n[2] < 1000) {
			return PROXY_VERSION(n[0], n[1], n[2]);
		}
	}
	return 0;
}

static json_t *strings(const struct strvec *v)
{
	json_t *a = json_array();
	for (size_t i = 0; v && i < v->len; i++) {
		json_array_append_new(a, json_string(v->p[i]));
	}
	return a;
}

static json_t *text_or_null(const char *s)
{
	return s && *s ? json_string(s) : json_null();
}

/* What is absent is left out, so that it changes no digest of before. */
static void add_answers(json_t *j, const struct proxy_service *s)
{
	if (s->response_headers && s->response_headers->len > 0) {
		json_t *headers = json_object();
		VEC_FOREACH (s->response_headers, i) {
			const struct strmap_entry *e = &s->response_headers->p[i];
			json_object_set_new(headers, e->key, json_string(e->value));
		}
		json_object_set_new(j, "headers", headers);
	}
	if (s->compress) {
		json_object_set_new(j, "compress", json_true());
	}
	if (s->rate_limits && s->rate_limits->len > 0) {
		json_t *limits = json_array();
		VEC_FOREACH (s->rate_limits, i) {
			const struct config_rate_limit *l = &s->rate_limits->p[i];
			json_array_append_new(limits, json_pack("[s,i,b,i]", l->path, l->requests,
							      l->per_minute, l->burst));
		}
		json_object_set_new(j, "limits", limits);
	}
}

/* The same of what decides which container gets a request, and of what is logged of it. */
static void add_routing(json_t *j, const struct proxy_service *s)
{
	const struct config_balancing *b = s->balancing;
	if (proxy_balances(s)) {
		json_object_set_new(j, "balancing",
			json_pack("[s,s,b,I]", config_balance_names[b->policy],
				b->cookie ? b->cookie : "", b->secure, (json_int_t)b->max_age_s));
	}
	if (s->circuit_breaker) {
		json_object_set_new(j, "breaker", json_string(s->circuit_breaker));
	}
	if (s->snippet_digest && *s->snippet_digest) {
		json_object_set_new(j, "snippet",
			json_pack("[s,s]", s->snippet_digest,
				s->snippet_name ? s->snippet_name : ""));
	}
	if ((s->log_request && s->log_request->len) || (s->log_response && s->log_response->len)) {
		json_object_set_new(j, "log",
			json_pack("[o,o]", strings(s->log_request), strings(s->log_response)));
	}
}

/* What differs from the defaults alone: fragments of before stay as they are. */
static void put_settings(json_t *j, const struct config_tls_settings *s)
{
	if (s && (s->only_13 || s->hsts || s->ciphers.len > 0)) {
		json_object_set_new(j, "tls_settings",
			json_pack("{s:b, s:b, s:o}", "only_13", s->only_13, "hsts", s->hsts,
				"ciphers", strings(&s->ciphers)));
	}
}

char *proxy_shape(const struct proxy_driver *d, const struct proxy_service *s, long version)
{
	CLEANUP_JSON json_t *j = json_object();
	char hex[DIGEST_HEX_SIZE];
	json_object_set_new(j, "format", json_integer(RENDER_FORMAT));
	json_object_set_new(j, "driver", json_string(d->name));
	json_object_set_new(j, "version", json_integer(version));
	json_object_set_new(j, "hosts", strings(s->hosts));
	json_object_set_new(j, "prefixes", strings(s->prefixes));
	json_object_set_new(j, "strip", json_boolean(s->strip_prefix));
	json_object_set_new(j, "port", json_integer(s->app_port));
	json_object_set_new(j, "tls", json_string(tls_names[s->tls]));
	json_object_set_new(j, "certificate", text_or_null(s->certificate_digest));
	put_settings(j, s->tls_settings);
	json_object_set_new(j, "redirect", json_boolean(s->ssl_redirect));
	json_object_set_new(j, "response", json_integer(s->response_timeout_ms));
	json_object_set_new(j, "body", json_integer(s->max_request_body));
	json_object_set_new(j, "buffer_in", json_boolean(s->buffer_requests));
	json_object_set_new(j, "buffer_out", json_boolean(s->buffer_responses));
	json_object_set_new(j, "forward", json_boolean(s->forward_headers));
	if (s->own_pages) {
		json_object_set_new(j, "pages", json_true());
	}
	add_answers(j, s);
	add_routing(j, s);
	CLEANUP_FREE char *text = json_text(j);
	digest_sha256_hex(text, strlen(text), hex);
	return xstrndup(hex, 16);
}

static json_t *slots_json(const struct proxy_service *s)
{
	json_t *a = json_array();
	for (int i = 0; i < 2; i++) {
		json_t *one = json_object();
		json_object_set_new(one, "replicas", json_integer(s->slots[i].replicas));
		json_object_set_new(one, "port", json_integer(s->slots[i].port));
		json_array_append_new(a, one);
	}
	return a;
}

static json_t *header_json(const struct proxy_driver *d, const struct proxy_render *r)
{
	const struct proxy_service *s = r->svc;
	CLEANUP_FREE char *shape = proxy_shape(d, s, r->version);
	json_t *j = json_object();
	json_object_set_new(j, "v", json_integer(1));
	json_object_set_new(j, "driver", json_string(d->name));
	json_object_set_new(j, "service", json_string(s->service));
	json_object_set_new(j, "destination", text_or_null(s->destination));
	if (d->slots) {
		json_object_set_new(j, "slots", slots_json(s));
	} else {
		json_object_set_new(j, "release", text_or_null(s->release));
		json_object_set_new(j, "live", strings(&s->live));
		json_object_set_new(j, "draining", strings(&s->draining));
		json_object_set_new(j, "maintenance", json_boolean(s->maintenance));
		json_object_set_new(j, "message", text_or_null(s->maintenance_message));
	}
	json_object_set_new(j, "hosts", strings(s->hosts));
	json_object_set_new(j, "prefixes", strings(s->prefixes));
	json_object_set_new(j, "strip", json_boolean(s->strip_prefix));
	json_object_set_new(j, "port", json_integer(s->app_port));
	json_object_set_new(j, "tls", json_string(tls_names[s->tls]));
	json_object_set_new(j, "certificate", text_or_null(s->certificate_digest));
	put_settings(j, s->tls_settings);
	json_object_set_new(j, "redirect", json_boolean(s->ssl_redirect));
	if (s->snippet_digest && *s->snippet_digest) {
		json_object_set_new(j, "snippet", json_string(s->snippet_digest));
	}
	json_object_set_new(j, "shape", json_string(shape));
	return j;
}

void proxy_add_larger(int64_t n, struct str *out)
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%lld", (long long)n);
	str_addf(out, "[1-9][0-9]{%d,}", len);
	for (int i = 0; i < len; i++) {
		if (digits[i] < '9') {
			str_addf(
				out, "|%.*s[%c-9][0-9]{%d}", i, digits, digits[i] + 1, len - i - 1);
		}
	}
}

void proxy_json_add(struct str *out, const json_t *j, size_t flags)
{
	char *text = json_dumps(j, flags);
	const char *rest = text ? text : "{}";
	for (const char *at; (at = strstr(rest, "{{")); rest = at + 2) {
		str_addn(out, rest, (size_t)(at - rest));
		str_add(out, "{\\u007b"); /* in strings alone: no object is the key of one */
	}
	str_add(out, rest);
	free(text);
}

void proxy_render_fragment(const struct proxy_driver *d, struct proxy_render *r,
	char id[PROXY_ID_SIZE], struct str *out)
{
	struct str body = STR_INIT(PROXY_MAX_FRAGMENT);
	struct str rest = STR_INIT(PROXY_MAX_FRAGMENT);
	char hex[DIGEST_HEX_SIZE];
	CLEANUP_JSON json_t *j = header_json(d, r);
	CLEANUP_FREE char *first = json_text(j);

	digest_sha256_hex(first, strlen(first), hex);
	memcpy(id, hex, PROXY_ID_SIZE - 1);
	id[PROXY_ID_SIZE - 1] = '\0';
	r->id = id;
	json_object_set_new(j, "id", json_string(id));
	d->render_service(r, &body);
	str_add(&rest, HEADER);
	proxy_json_add(&rest, j, JSON_COMPACT | JSON_ENSURE_ASCII);
	str_addc(&rest, '\n');
	size_t line = rest.len;
	str_addn(&rest, str_c(&body), body.len);
	digest_sha256_hex(str_c(&rest), rest.len, hex);
	str_addn(out, str_c(&rest), line);
	str_addf(out, DIGEST "%s\n", hex);
	str_addn(out, str_c(&body), body.len);
	str_fini(&body);
	str_fini(&rest);
}

static void read_strings(const json_t *a, struct strvec *out)
{
	size_t i;
	json_t *item;
	json_array_foreach((json_t *)(uintptr_t)a, i, item)
	{
		if (json_is_string(item)) {
			strvec_push(out, json_string_value(item));
		}
	}
}

/* They go into files: only those that there are. */
static void read_ciphers(const json_t *a, struct strvec *out)
{
	CLEANUP_STRVEC struct strvec all = {0};
	read_strings(a, &all);
	VEC_FOREACH (&all, i) {
		const struct tls_cipher *c = tls_cipher_find(all.p[i]);
		if (c) {
			strvec_push(out, c->iana);
		}
	}
}

static bool digest_matches(const char *text, size_t len, const char *line2)
{
	char hex[DIGEST_HEX_SIZE];
	size_t first = (size_t)(line2 - text);
	const char *end = memchr(line2, '\n', len - first);
	if (!end || !str_starts(line2, DIGEST) ||
		(size_t)(end - line2) != strlen(DIGEST) + DIGEST_HEX_SIZE - 1) {
		return false;
	}
	struct digest *d = digest_new();
	digest_update(d, text, first);
	digest_update(d, end + 1, len - first - (size_t)(end + 1 - line2));
	digest_hex(d, hex);
	digest_free(d);
	return memcmp(hex, line2 + strlen(DIGEST), DIGEST_HEX_SIZE - 1) == 0;
}

static void read_header(struct proxy_state *st, const json_t *j)
{
	const char *tls = json_str_at(j, "tls", "none");
	st->service = xstrdup(json_str_at(j, "service", ""));
	st->destination = xstrdup(json_str_at(j, "destination", ""));
	st->release = xstrdup(json_str_at(j, "release", ""));
	st->id = xstrdup(json_str_at(j, "id", ""));
	st->certificate = xstrdup(json_str_at(j, "certificate", ""));
	st->snippet = xstrdup(json_str_at(j, "snippet", ""));
	st->message = xstrdup(json_str_at(j, "message", ""));
	st->shape = xstrdup(json_str_at(j, "shape", ""));
	st->app_port = (int)json_int_at(j, "port", 0);
	st->strip = json_bool_at(j, "strip", 0);
	st->redirect = json_bool_at(j, "redirect", 0);
	st->maintenance = json_bool_at(j, "maintenance", 0);
	st->tls = str_eq(tls, "auto")    ? CONFIG_TLS_AUTO
		  : str_eq(tls, "given") ? CONFIG_TLS_GIVEN
					 : CONFIG_TLS_NONE;
	const json_t *settings = json_at(j, "tls_settings");
	st->tls_settings.only_13 = json_bool_at(settings, "only_13", 0);
	st->tls_settings.hsts = json_bool_at(settings, "hsts", 0);
	read_ciphers(json_at(settings, "ciphers"), &st->tls_settings.ciphers);
	for (size_t i = 0; i < 2; i++) {
		const json_t *one = json_array_get(json_at(j, "slots"), i);
		st->slots[i].replicas = (int)json_int_at(one, "replicas", 0);
		st->slots[i].port = (int)json_int_at(one, "port", 0);
	}
	read_strings(json_at(j, "hosts"), &st->hosts);
	read_strings(json_at(j, "prefixes"), &st->prefixes);
	read_strings(json_at(j, "live"), &st->live);
	read_strings(json_at(j, "draining"), &st->draining);
}

void proxy_state_parse(struct proxy_state *st, const char *text, size_t len)
{
	struct error ignored = {0};
	memset(st, 0, sizeof(*st));
	const char *end = text ? memchr(text, '\n', len) : NULL;
	if (!end || !str_starts(text, HEADER)) {
		return;
	}
	CLEANUP_JSON json_t *j = json_parse(
		text + strlen(HEADER), (size_t)(end - text) - strlen(HEADER), "fragment", &ignored);
	if (!json_is_object(j) || !*json_str_at(j, "service", "")) {
		return;
	}
	st->present = true;
	st->edited = !digest_matches(text, len, end + 1);
	read_header(st, j);
}

void proxy_state_fini(struct proxy_state *st)
{
	char **texts[] = {&st->service, &st->destination, &st->release, &st->id, &st->certificate,
		&st->snippet, &st->message, &st->shape};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		free(*texts[i]);
	}
	strvec_fini(&st->tls_settings.ciphers);
	strvec_fini(&st->hosts);
	strvec_fini(&st->prefixes);
	strvec_fini(&st->live);
	strvec_fini(&st->draining);
	memset(st, 0, sizeof(*st));
}
