/* SPDX-License-Identifier: MIT */
/*
 * Which files a service wants, and which prefix of which host name belongs to whom.  Both follow
 * from the headers of all fragments, so that the fragments stay the only truth.
 */

#include "internal.h"

#include <string.h>

const char *proxy_files_get(const struct proxy_files *f, const char *path)
{
	VEC_FOREACH (f, i) {
		if (str_eq(f->p[i].path, path)) {
			return f->p[i].text;
		}
	}
	return NULL;
}

bool proxy_files_has(const struct proxy_files *f, const char *path)
{
	VEC_FOREACH (f, i) {
		if (str_eq(f->p[i].path, path)) {
			return true;
		}
	}
	return false;
}

void proxy_files_set(struct proxy_files *f, const char *path, const char *text)
{
	VEC_FOREACH (f, i) {
		if (str_eq(f->p[i].path, path)) {
			char *copy = xstrdup(text);
			free(f->p[i].text);
			f->p[i].text = copy;
			return;
		}
	}
	struct proxy_file file = {.path = xstrdup(path), .text = xstrdup(text)};
	vec_push(f, file);
}

void proxy_files_fini(struct proxy_files *f)
{
	VEC_FOREACH (f, i) {
		free(f->p[i].path);
		free(f->p[i].text);
	}
	vec_fini(f);
}

/* "/api/" and "/api" are the same; the empty list is "/". */
static char *normal(const char *prefix)
{
	size_t n = strlen(prefix);
	while (n > 1 && prefix[n - 1] == '/') {
		n--;
	}
	return xstrndup(prefix, n);
}

static size_t count_or_one(const struct strvec *v)
{
	return v && v->len ? v->len : 1;
}

static const char *host_at(const struct strvec *v, size_t i)
{
	return v && v->len ? v->p[i] : "";
}

static char *prefix_at(const struct strvec *v, size_t i)
{
	return normal(v && v->len ? v->p[i] : "/");
}

static bool has_host(const struct strvec *v, const char *host)
{
	for (size_t i = 0; i < count_or_one(v); i++) {
		if (strcasecmp(host_at(v, i), host) == 0) {
			return true;
		}
	}
	return false;
}

static bool has_prefix(const struct strvec *v, const char *prefix)
{
	for (size_t i = 0; i < count_or_one(v); i++) {
		CLEANUP_FREE char *one = prefix_at(v, i);
		if (str_eq(one, prefix)) {
			return true;
		}
	}
	return false;
}

const struct config_tls_settings proxy_tls_defaults = {0};

static bool same_settings(const struct config_tls_settings *a, const struct config_tls_settings *b)
{
	bool same =
		a->only_13 == b->only_13 && a->hsts == b->hsts && a->ciphers.len == b->ciphers.len;
	for (size_t i = 0; same && i < a->ciphers.len; i++) {
		same = str_eq(a->ciphers.p[i], b->ciphers.p[i]);
	}
	return same;
}

static int conflict_on(const struct proxy_service *svc, const struct proxy_other *o,
	const char *host, struct error *err)
{
	const char *shown = *host ? host : "every host";
	for (size_t i = 0; i < count_or_one(svc->prefixes); i++) {
		CLEANUP_FREE char *prefix = prefix_at(svc->prefixes, i);
		if (has_prefix(&o->state.prefixes, prefix)) {
			return error_set(err, ERROR_MANIFEST,
				"'%s' with the path '%s' belongs to the service '%s' on this "
				"server "
				"already",
				shown, prefix, o->key);
		}
	}
	if (o->state.tls != svc->tls || o->state.redirect != svc->ssl_redirect ||
		!same_settings(&o->state.tls_settings,
			svc->tls_settings ? svc->tls_settings : &proxy_tls_defaults)) {
		return error_set(err, ERROR_MANIFEST,
			"'%s' is shared with the service '%s', which has other 'ssl' or "
			"'tls' settings",
			shown, o->key);
	}
	return 0;
}

int proxy_conflicts(const struct proxy *p, const struct proxy_service *svc, struct error *err)
{
	VEC_FOREACH (&p->others, i) {
		const struct proxy_other *o = &p->others.p[i];
		for (size_t h = 0; h < count_or_one(svc->hosts); h++) {
			const char *host = host_at(svc->hosts, h);
			if (has_host(&o->state.hosts, host) && conflict_on(svc, o, host, err) < 0) {
				return -1;
			}
		}
	}
	return 0;
}

static void add_claims(struct proxy_claims *out, const struct strvec *prefixes, const char *key,
	bool strip, bool mine)
{
	for (size_t i = 0; i < count_or_one(prefixes); i++) {
		struct proxy_claim c = {.prefix = prefix_at(prefixes, i),
			.key = xstrdup(key),
			.sid = proxy_sid(key),
			.strip = strip,
			.mine = mine};
		vec_push(out, c);
	}
}

/* Longest prefix first; "/" last. */
static int by_length(const void *a, const void *b)
{
	const struct proxy_claim *x = a, *y = b;
	size_t nx = strlen(x->prefix), ny = strlen(y->prefix);
	return nx != ny ? (nx < ny ? 1 : -1) : strcmp(x->prefix, y->prefix);
}

static void site_fini(struct proxy_site *s)
{
	VEC_FOREACH (&s->claims, i) {
		free(s->claims.p[i].prefix);
		free(s->claims.p[i].key);
		free(s->claims.p[i].sid);
	}
	vec_fini(&s->claims);
}

/* A host as the others have it, and as `svc` (or NULL: without it). */
static void site_init(struct proxy_site *s, const struct proxy *p, const struct proxy_service *svc,
	const char *host)
{
	*s = (struct proxy_site){.host = host, .tls_settings = &proxy_tls_defaults};
	VEC_FOREACH (&p->others, i) {
		const struct proxy_state *o = &p->others.p[i].state;
		if (has_host(&o->hosts, host)) {
			s->tls = o->tls;
			s->tls_settings = &o->tls_settings;
			s->certificate_digest = o->certificate;
			s->redirect = o->redirect;
			add_claims(&s->claims, &o->prefixes, p->others.p[i].key, o->strip, false);
		}
	}
	if (svc) {
		s->tls = svc->tls;
		s->tls_settings = svc->tls_settings ? svc->tls_settings : s->tls_settings;
		s->certificate_digest = svc->certificate_digest;
		s->redirect = svc->ssl_redirect;
		add_claims(&s->claims, svc->prefixes, p->key, svc->strip_prefix, true);
	}
	if (s->claims.len) {
		qsort(s->claims.p, s->claims.len, sizeof(*s->claims.p), by_length);
	}
}

/* "hosts/example.com.caddy", "hosts/_.caddy", "hosts/_wild.example.com.caddy". The caller frees. */
static char *site_path(const struct proxy *p, const char *dir, const char *host)
{
	CLEANUP_FREE char *name = str_starts(host, "*.") ? xasprintf("_wild%s", host + 1)
							 : xstrdup(*host ? host : "_");
	for (char *c = name; *c; c++) {
		*c = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
	}
	return xasprintf("%s/%s.%s", dir, name, p->driver->ext);
}

/* A folder of its own holds candidates: both kinds of files in it. */
static const char *sites_dir(const struct proxy *p, const char *dir)
{
	return str_eq(dir, "services") ? p->driver->sites : dir;
}

static char *render_site(const struct proxy *p, const struct proxy_render *r, const char *host,
	const struct proxy_service *svc)
{
	struct str text = STR_INIT(PROXY_MAX_FRAGMENT);
	struct proxy_site site;
	site_init(&site, p, svc, host);
	if (site.claims.len) {
		p->driver->render_site(r, &site, &text);
	}
	char *out = site.claims.len ? str_take(&text) : NULL;
	site_fini(&site);
	str_fini(&text);
	return out;
}

static struct proxy_render render_of(
	const struct proxy *p, const struct proxy_service *svc, const char *dir)
{
	return (struct proxy_render){.svc = svc,
		.key = p->key,
		.sid = p->sid,
		.dir = dir,
		.version = p->version,
		.http_port = p->config.http_port,
		.https_port = p->config.https_port};
}

void proxy_plan_files(const struct proxy *p, const struct proxy_service *svc, const char *dir,
	struct proxy_files *out)
{
	struct proxy_render r = render_of(p, svc, dir);
	struct str text = STR_INIT(PROXY_MAX_FRAGMENT);
	char id[PROXY_ID_SIZE];
	CLEANUP_FREE char *path = xasprintf("%s/%s.%s", dir, p->key, p->driver->ext);

	proxy_render_fragment(p->driver, &r, id, &text);
	proxy_files_set(out, path, str_c(&text));
	str_reset(&text);
	if (p->driver->render_location) {
		CLEANUP_FREE char *loc = xasprintf("%s/%s.loc", dir, p->key);
		p->driver->render_location(&r, &text);
		proxy_files_set(out, loc, str_c(&text));
	}
	for (size_t i = 0; i < count_or_one(svc->hosts); i++) {
		const char *host = host_at(svc->hosts, i);
		CLEANUP_FREE char *site = site_path(p, sites_dir(p, dir), host);
		CLEANUP_FREE char *body = render_site(p, &r, host, svc);
		proxy_files_set(out, site, body);
	}
	str_fini(&text);
}

void proxy_further_paths(const struct proxy *p, const struct strvec *hosts, struct strvec *out)
{
	if (p->driver->render_location) {
		strvec_pushf(out, "services/%s.loc", p->key);
	}
	for (size_t i = 0; i < count_or_one(hosts); i++) {
		CLEANUP_FREE char *site = site_path(p, p->driver->sites, host_at(hosts, i));
		strvec_push(out, site);
	}
}

void proxy_plan_removals(
	const struct proxy *p, const struct proxy_files *want, struct proxy_files *out)
{
	struct proxy_render r = render_of(p, NULL, "services");
	if (!p->state.present) {
		return;
	}
	for (size_t i = 0; i < count_or_one(&p->state.hosts); i++) {
		const char *host = host_at(&p->state.hosts, i);
		CLEANUP_FREE char *site = site_path(p, p->driver->sites, host);
		if (!want || !proxy_files_has(want, site)) {
			CLEANUP_FREE char *body = render_site(p, &r, host, NULL);
			proxy_files_set(out, site, body);
		}
	}
	if (!want) {
		CLEANUP_FREE char *loc = xasprintf("services/%s.loc", p->key);
		CLEANUP_FREE char *frag = xasprintf("services/%s.%s", p->key, p->driver->ext);
		if (p->driver->render_location) {
			proxy_files_set(out, loc, NULL);
		}
		proxy_files_set(out, frag, NULL);
	}
}
