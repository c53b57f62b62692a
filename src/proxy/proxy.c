/* SPDX-License-Identifier: MIT */
/*
 * One service on one host: what is there, what is to be, staged and judged before it is live.
 */
#include "internal.h"

#include "util/clock.h"
#include "util/digest.h"

#include <string.h>

#define MAX_SERVICES 256
#define NOT_GIVEN    "not-given" /* in place of a digest: it differs from any */

/* -- Reading -- */

char *proxy_fragment_path(const struct proxy *p)
{
	return xasprintf("services/%s.%s", p->key, p->driver->ext);
}

/* "reportify@staging.caddy": the key, when the name is one of a fragment. The caller frees. */
static char *key_of(const struct proxy *p, const char *name)
{
	CLEANUP_FREE char *ext = xasprintf(".%s", p->driver->ext);
	return *name != '.' && str_ends(name, ext) ? xstrndup(name, strlen(name) - strlen(ext))
						   : NULL;
}

static int read_others(struct proxy *p, const struct sftp_op *list, struct error *err)
{
	struct sftp_batch *b = sftp_batch_new(p->host->sftp);
	struct sftp_op *ops[MAX_SERVICES];
	struct proxy_slot_reads slots[MAX_SERVICES];
	for (size_t i = 0; list->status == SFTP_OK && i < list->entries.len; i++) {
		CLEANUP_FREE char *key = key_of(p, list->entries.p[i].name);
		if (key && !str_eq(key, p->key) && p->others.len < MAX_SERVICES) {
			CLEANUP_FREE char *relative =
				xasprintf("services/%s", list->entries.p[i].name);
			CLEANUP_FREE char *path = proxy_path(p, relative);
			struct proxy_other o = {.key = take_text(&key)};
			ops[p->others.len] = sftp_read(b, path, PROXY_MAX_FRAGMENT);
			if (p->driver->slots) {
				CLEANUP_FREE char *sid = proxy_sid(o.key);
				proxy_slots_queue(b, p->root, sid, &slots[p->others.len]);
			}
			vec_push(&p->others, o);
		}
	}
	int rc = p->others.len ? sftp_run(b, PROXY_TIMEOUT_MS, err) : 0;
	for (size_t i = 0; rc == 0 && i < p->others.len; i++) {
		if (ops[i]->status == SFTP_OK) {
			proxy_state_parse(
				&p->others.p[i].state, str_c(&ops[i]->data), ops[i]->data.len);
		}
		if (p->driver->slots) {
			proxy_slots_take(&slots[i], &p->others.p[i].state);
		}
	}
	sftp_batch_free(b);
	return rc;
}

/* The reads of an opening, queued in a batch of the caller's. */
struct proxy_opening {
	struct proxy *p;
	const struct sftp_op *fragment, *facts, *list, *certs;
	struct proxy_slot_reads slots;
	struct strvec wanted; /* further files that a switch compares with */
	const struct sftp_op **reads;
};

/* Relative to the home folder while that is not known yet: SFTP begins there. */
static char *home_path(const struct proxy *p, const char *relative)
{
	return p->root ? proxy_path(p, relative)
		       : xasprintf("%s/proxy/%s/%s", HOST_STATE_DIR, p->config.driver, relative);
}

static int take_all(struct proxy *p, const struct proxy_opening *o, struct error *err)
{
	CLEANUP_FREE char *relative = proxy_fragment_path(p);
	bool there = o->fragment->status == SFTP_OK;
	if (!there && o->fragment->status != SFTP_NOENT) {
		*err = o->fragment->error;
		return -1;
	}
	proxy_files_set(&p->seen, relative, there ? str_c(&o->fragment->data) : NULL);
	if (there) {
		proxy_state_parse(&p->state, str_c(&o->fragment->data), o->fragment->data.len);
		/* A file of that name that is none of ours is one changed by hand. */
		p->state.edited = p->state.edited || !p->state.present;
	}
	if (p->driver->slots) {
		proxy_slots_take(&o->slots, &p->state);
	}
	proxy_certs_take(p, o->certs);
	if (o->facts->status == SFTP_OK) {
		p->version = proxy_facts_version(str_c(&o->facts->data), o->facts->data.len);
	}
	VEC_FOREACH (&o->wanted, i) {
		const struct sftp_op *op = o->reads[i];
		if (op->status == SFTP_OK || op->status == SFTP_NOENT) {
			proxy_files_set(&p->seen, o->wanted.p[i],
				op->status == SFTP_OK ? str_c(&op->data) : NULL);
		}
	}
	return read_others(p, o->list, err);
}

static void opening_free(struct proxy_opening *o)
{
	strvec_fini(&o->wanted);
	free(o->reads);
	free(o);
}

static void queue_wanted(struct proxy_opening *o, const struct strvec *hosts, struct sftp_batch *b)
{
	proxy_further_paths(o->p, hosts, &o->wanted);
	o->reads = xcalloc(o->wanted.len + 1, sizeof(*o->reads));
	VEC_FOREACH (&o->wanted, i) {
		CLEANUP_FREE char *path = home_path(o->p, o->wanted.p[i]);
		o->reads[i] = sftp_read(b, path, PROXY_MAX_FRAGMENT);
	}
}

struct proxy_opening *proxy_open_begin(struct host *h, const struct proxy_config *pc,
	const char *service, const char *destination, const struct strvec *hosts,
	struct sftp_batch *b, struct error *err)
{
	struct proxy *p = proxy_new(h, pc, service, destination, err);
	if (!p) {
		return NULL;
	}
	CLEANUP_FREE char *relative = proxy_fragment_path(p);
	CLEANUP_FREE char *own = home_path(p, relative);
	CLEANUP_FREE char *facts = home_path(p, "facts.json");
	CLEANUP_FREE char *dir = home_path(p, "services");
	CLEANUP_FREE char *certs = home_path(p, "certs");
	struct proxy_opening *o = xcalloc(1, sizeof(*o));
	o->p = p;
	o->fragment = sftp_read(b, own, PROXY_MAX_FRAGMENT);
	o->facts = sftp_read(b, facts, STR_MAX_LINE);
	o->list = sftp_list(b, dir, 4 * MAX_SERVICES);
	o->certs = sftp_list(b, certs, PROXY_MAX_CERTS);
	if (p->driver->slots) {
		CLEANUP_FREE char *root = home_path(p, ".");
		proxy_slots_queue(b, root, p->sid, &o->slots);
	}
	if (hosts) {
		queue_wanted(o, hosts, b);
	}
	return o;
}

struct proxy *proxy_open_end(struct proxy_opening *o, struct error *err)
{
	struct proxy *p = o->p;
	free(p->root);
	p->root = xasprintf("%s/proxy/%s", p->host->state_dir, p->config.driver);
	if (take_all(p, o, err) < 0) {
		error_wrap(err, "read the proxy's configuration");
		host_error(p->host, err);
		proxy_close(p);
		p = NULL;
	}
	opening_free(o);
	return p;
}

void proxy_open_cancel(struct proxy_opening *o)
{
	if (o) {
		proxy_close(o->p);
		opening_free(o);
	}
}

struct proxy *proxy_new(struct host *h, const struct proxy_config *pc, const char *service,
	const char *destination, struct error *err)
{
	if (proxy_driver_check(pc->driver, err) < 0 || host_files(h, err) < 0) {
		return NULL;
	}
	struct proxy *p = xcalloc(1, sizeof(*p));
	p->host = h;
	p->config = *pc;
	p->driver = proxy_driver_find(pc->driver);
	p->container = pc->container ? xstrdup(pc->container) : proxy_container_name(pc->driver);
	if (h->state_dir) {
		p->root = xasprintf("%s/proxy/%s", h->state_dir, pc->driver);
	}
	p->service = xstrdup(service);
	p->destination = xstrdup(destination);
	p->key = proxy_service_key(service, destination);
	p->sid = proxy_sid(p->key);
	return p;
}

struct proxy *proxy_open(struct host *h, const struct proxy_config *pc, const char *service,
	const char *destination, struct error *err)
{
	if (host_files(h, err) < 0) {
		return NULL;
	}
	struct sftp_batch *b = sftp_batch_new(h->sftp);
	struct proxy_opening *o = proxy_open_begin(h, pc, service, destination, NULL, b, err);
	struct proxy *p = NULL;
	if (o && sftp_run(b, PROXY_TIMEOUT_MS, err) == 0) {
		p = proxy_open_end(o, err);
	} else {
		proxy_open_cancel(o);
	}
	sftp_batch_free(b);
	return p;
}

void proxy_close(struct proxy *p)
{
	if (!p) {
		return;
	}
	proxy_unprepare(p);
	VEC_FOREACH (&p->others, i) {
		free(p->others.p[i].key);
		proxy_state_fini(&p->others.p[i].state);
	}
	vec_fini(&p->others);
	strvec_fini(&p->certs);
	proxy_state_fini(&p->state);
	proxy_files_fini(&p->seen);
	proxy_files_fini(&p->staged);
	proxy_files_fini(&p->undo);
	proxy_turn_fini(&p->undo_turn);
	free(p->filled);
	vec_fini(&p->workers);
	free(p->container);
	free(p->root);
	free(p->service);
	free(p->destination);
	free(p->key);
	free(p->sid);
	free(p);
}

const struct proxy_state *proxy_live(const struct proxy *p)
{
	return &p->state;
}

int proxy_running(struct proxy *p, bool *same, struct error *err)
{
	CLEANUP_FREE char *host = xasprintf("%s." PROXY_ID_HOST, p->sid);
	struct http_reply reply = {0};
	struct proxy_request req = {.socket = "probe.sock",
		.host = host,
		.method = "GET",
		.target = "/",
		.timeout_ms = PROXY_TIMEOUT_MS};
	int rc = proxy_http(p, &req, &reply, err);
	*same = rc == 0 && p->state.present && reply.status == 200 &&
		str_eq(str_c(&reply.body), p->state.id);
	http_reply_fini(&reply);
	p->unsure = rc < 0 || !*same;
	return rc < 0 ? host_error(p->host, err) : 0;
}

/* -- Preparing -- */

/* Digest that names the files of a given certificate; the caller frees. NULL: none is given. */
static char *certificate_digest(const struct proxy_service *svc)
{
	char hex[DIGEST_HEX_SIZE];
	if (svc->tls != CONFIG_TLS_GIVEN) {
		return NULL;
	}
	if (!svc->certificate) {
		return xstrdup(NOT_GIVEN);
	}
	digest_sha256_hex(secret_reveal(svc->certificate), secret_len(svc->certificate), hex);
	return xstrndup(hex, 16);
}

/* The same of the user's own directives; "" for none. */
static char *snippet_digest(const struct proxy *p, const struct proxy_service *svc)
{
	char hex[DIGEST_HEX_SIZE];
	if (!svc->snippet) {
		const char *live = p->state.snippet ? p->state.snippet : "";
		return xstrdup(!svc->snippet_kept ? "" : *live ? live : NOT_GIVEN);
	}
	digest_sha256_hex(svc->snippet, strlen(svc->snippet), hex);
	return xstrndup(hex, 16);
}

/* A copy of `svc` as it will be rendered: the certificate named, the retiring names in draining. */
void proxy_complete(
	const struct proxy *p, const struct proxy_service *svc, struct proxy_service *out)
{
	*out = *svc;
	memset(&out->live, 0, sizeof(out->live));
	memset(&out->draining, 0, sizeof(out->draining));
	strvec_copy(&out->live, &svc->live);
	out->certificate_digest = certificate_digest(svc);
	out->snippet_digest = snippet_digest(p, svc);
	if (p->driver->slots) {
		proxy_slots_choose(p, out);
	}
	/* Maintenance has no live upstream to send to, but its requests in flight count too. */
	VEC_FOREACH (&p->state.live, i) {
		if (svc->maintenance || !strvec_has(&svc->live, p->state.live.p[i])) {
			strvec_push(&out->draining, p->state.live.p[i]);
		}
	}
}

void proxy_completed_fini(struct proxy_service *s)
{
	/* ours here, const elsewhere */
	free((char *)(uintptr_t)s->certificate_digest);
	free((char *)(uintptr_t)s->snippet_digest);
	proxy_service_fini(s);
}

bool proxy_differs(const struct proxy *p, const struct proxy_service *svc)
{
	struct proxy_service full;
	proxy_complete(p, svc, &full);
	CLEANUP_FREE char *shape = proxy_shape(p->driver, &full, p->version);
	proxy_completed_fini(&full);
	return !str_eq(shape, p->state.shape);
}

char *proxy_render(const struct proxy *p, const struct proxy_service *svc, struct error *err)
{
	struct proxy_service full;
	struct proxy_files files = {0};
	struct str text = STR_INIT(STR_MAX_FILE);
	if (proxy_service_check(svc, err) < 0) {
		return NULL;
	}
	proxy_complete(p, svc, &full);
	proxy_plan_files(p, &full, "services", &files);
	VEC_FOREACH (&files, i) {
		str_addf(&text, "%s# --- %s\n%s", i ? "\n" : "", files.p[i].path, files.p[i].text);
	}
	proxy_files_fini(&files);
	proxy_completed_fini(&full);
	return str_take(&text);
}

/* Reads those of the wanted files that were not read yet. */
static int read_wanted(struct proxy *p, const struct proxy_files *want, struct error *err)
{
	struct sftp_batch *b = sftp_batch_new(p->host->sftp);
	struct sftp_op **ops = xcalloc(want->len + 1, sizeof(struct sftp_op *));
	int todo = 0;
	VEC_FOREACH (want, i) {
		if (!proxy_files_has(&p->seen, want->p[i].path)) {
			CLEANUP_FREE char *path = proxy_path(p, want->p[i].path);
			ops[i] = sftp_read(b, path, PROXY_MAX_FRAGMENT);
			todo++;
		}
	}
	int rc = todo ? sftp_run(b, PROXY_TIMEOUT_MS, err) : 0;
	for (size_t i = 0; rc == 0 && i < want->len; i++) {
		if (ops[i]) {
			proxy_files_set(&p->seen, want->p[i].path,
				ops[i]->status == SFTP_OK ? str_c(&ops[i]->data) : NULL);
		}
	}
	free(ops);
	sftp_batch_free(b);
	return rc;
}

/* What differs from the disk, in the order in which it has to be put there. */
static void changes(const struct proxy *p, const struct proxy_files *want, struct proxy_files *out)
{
	VEC_FOREACH (want, i) {
		const struct proxy_file *f = &want->p[i];
		if (!proxy_files_has(&p->seen, f->path) ||
			!str_eq(proxy_files_get(&p->seen, f->path), f->text)) {
			proxy_files_set(out, f->path, f->text);
		}
	}
}

/* Where a file lies that one rename makes live: next/<sid>-<name>. The caller frees. */
char *proxy_next_path(const struct proxy *p, const char *live)
{
	const char *slash = strrchr(live, '/');
	CLEANUP_FREE char *relative = xasprintf("next/%s-%s", p->sid, slash ? slash + 1 : live);
	return proxy_path(p, relative);
}

/* Named by its content: what is live is not touched. */
static void queue_snippet(struct proxy *p, struct sftp_batch *b, const struct proxy_service *full)
{
	if (full->snippet && !str_eq(full->snippet_digest, p->state.snippet)) {
		CLEANUP_FREE char *relative = xasprintf(
			"snippets/%s-%s.%s", p->sid, full->snippet_digest, p->driver->ext);
		CLEANUP_FREE char *path = proxy_path(p, relative);
		CLEANUP_FREE char *dir = proxy_path(p, "snippets");
		sftp_mkdirs(b, dir, 0700);
		sftp_write(b, path, full->snippet, strlen(full->snippet), 0600);
	}
}

static int write_next(struct proxy *p, const struct proxy_files *change,
	const struct proxy_service *full, struct error *err)
{
	struct sftp_batch *b = sftp_batch_new(p->host->sftp);
	proxy_files_fini(&p->staged);
	/* One with the digest of the live one is there already. */
	if (!str_eq(full->certificate_digest, p->state.certificate)) {
		proxy_certs_write(p, b, full);
	}
	queue_snippet(p, b, full);
	VEC_FOREACH (change, i) {
		CLEANUP_FREE char *path = proxy_next_path(p, change->p[i].path);
		sftp_write(b, path, change->p[i].text, strlen(change->p[i].text), 0600);
	}
	int rc = sftp_run(b, PROXY_TIMEOUT_MS, err);
	if (rc == 0) {
		rc = sftp_check(b, err);
	}
	for (size_t i = 0; rc == 0 && i < change->len; i++) {
		proxy_files_set(&p->staged, change->p[i].path, change->p[i].text);
	}
	sftp_batch_free(b);
	return rc;
}

/* The main file of a validation: all others' files by name, and ours from check/<sid>/. */
static void check_main(const struct proxy *p, const struct proxy_files *ours, struct str *out)
{
	CLEANUP_STRVEC struct strvec includes = {0};
	struct proxy_main m = {
		.config = &p->config, .version = p->version, .root = true, .includes = &includes};
	VEC_FOREACH (&p->others, i) {
		strvec_pushf(&includes, "services/%s.%s", p->others.p[i].key, p->driver->ext);
	}
	CLEANUP_FREE char *ext = xasprintf(".%s", p->driver->ext);
	VEC_FOREACH (ours, i) {
		if (str_ends(ours->p[i].path, ext)) {
			strvec_push(&includes, ours->p[i].path);
		}
	}
	p->driver->render_main(&m, out);
}

/*
 * Lets the proxy judge the new files beside those of the other services, outside of what it loads.
 * Sites of other hosts are left out: they did not change.
 */
static int validate(struct proxy *p, const struct proxy_service *full, struct error *err)
{
	CLEANUP_FREE char *dir = xasprintf("check/%s", p->sid);
	CLEANUP_FREE char *root = proxy_path(p, dir);
	/* The dot: a service may be called "nginx", which makes its file nginx.conf. */
	const char *slash = strrchr(p->driver->main, '/');
	const char *name = slash ? slash + 1 : p->driver->main;
	CLEANUP_FREE char *main_path = xasprintf("%s/.%s", root, name);
	CLEANUP_FREE char *inside = xasprintf(PROXY_ETC "/%s/.%s", dir, name);
	CLEANUP_STRVEC struct strvec argv = {0};
	struct str out = STR_INIT(STR_MAX_LINE), text = STR_INIT(STR_MAX_FILE);
	struct proxy_files files = {0};
	struct sftp_batch *b = sftp_batch_new(p->host->sftp);
	int exit_code = 0;

	proxy_plan_files(p, full, dir, &files);
	check_main(p, &files, &text);
	sftp_mkdirs(b, root, 0700);
	VEC_FOREACH (&files, i) {
		CLEANUP_FREE char *path = proxy_path(p, files.p[i].path);
		sftp_write(b, path, files.p[i].text, strlen(files.p[i].text), 0600);
	}
	sftp_write(b, main_path, str_c(&text), text.len, 0600);
	int rc = sftp_run(b, PROXY_TIMEOUT_MS, err) < 0 || sftp_check(b, err) < 0 ? -1 : 0;
	p->driver->validate(&argv, inside);
	if (rc == 0) {
		rc = proxy_exec(p, &argv, &out, &exit_code, err);
	}
	if (rc == 0 && exit_code != 0) {
		rc = error_set(
			err, ERROR_REMOTE, "%s refuses the new configuration", p->driver->name);
		error_detail(err, str_c(&out), out.len);
	}
	struct error ignored = {0};
	sftp_rmtree(b, root, 1024);
	if (sftp_run(b, PROXY_TIMEOUT_MS, &ignored) < 0) {
		ui_debug(p->host->ui, p->host->name, "could not remove %s", root);
	}
	sftp_batch_free(b);
	proxy_files_fini(&files);
	str_fini(&out);
	str_fini(&text);
	return rc;
}

int proxy_prepare_change(struct proxy *p, const struct proxy_service *full,
	struct proxy_files *change, struct error *err)
{
	struct proxy_files want = {0};
	CLEANUP_FREE char *shape = proxy_shape(p->driver, full, p->version);
	if (proxy_service_check(full, err) < 0 || proxy_conflicts(p, full, err) < 0) {
		return -1;
	}
	if (str_eq(full->snippet_digest, NOT_GIVEN)) {
		return error_set(err, ERROR_MANIFEST,
			"'proxy.snippet': the version that is live has no file '%s'; commit it, "
			"and push",
			full->snippet_name);
	}
	proxy_plan_files(p, full, "services", &want);
	int rc = read_wanted(p, &want, err);
	if (rc == 0) {
		changes(p, &want, change);
		proxy_plan_removals(p, &want, change);
	}
	proxy_files_fini(&want);
	/* More than upstreams: ask the proxy whether it takes it. */
	if (rc == 0 && !str_eq(shape, p->state.shape)) {
		struct proxy_files none = {0};
		rc = write_next(p, &none, full, err) < 0 ? -1 : validate(p, full, err);
	}
	return rc;
}

/* Another slot becomes live. */
bool proxy_flips(const struct proxy *p, const struct proxy_service *full)
{
	return p->driver->slots && full->live.len > 0 &&
	       (!p->state.present || full->slot != p->state.slot);
}

int proxy_stage(struct proxy *p, const struct proxy_service *svc, struct error *err)
{
	struct proxy_service full;
	struct proxy_files change = {0}, write = {0};
	proxy_complete(p, svc, &full);
	int rc = proxy_prepare_change(p, &full, &change, err);
	VEC_FOREACH (&change, i) {
		if (change.p[i].text) {
			proxy_files_set(&write, change.p[i].path, change.p[i].text);
		}
	}
	if (rc == 0 && svc->live.len > 0 && write.len > 0) {
		rc = write_next(p, &write, &full, err);
	}
	if (rc == 0 && proxy_flips(p, &full)) {
		rc = proxy_slots_fill(p, &full, err);
	}
	proxy_files_fini(&change);
	proxy_files_fini(&write);
	proxy_completed_fini(&full);
	return rc < 0 ? host_error(p->host, err) : 0;
}

void proxy_ready(struct proxy *p)
{
	proxy_prepare(p, "probe.sock");
}

int proxy_probe(struct proxy *p, const struct proxy_service *svc, const char *name,
	const char *path, int timeout_ms, struct proxy_answer *answer, struct error *err)
{
	CLEANUP_FREE char *upstream = xasprintf("%s:%d", name, svc->app_port);
	struct http_reply reply = {0};
	int64_t begin = clock_mono_ms();
	struct proxy_request req = {.socket = "probe.sock",
		.host = PROXY_PROBE_HOST,
		.method = "GET",
		.target = path ? path : "/",
		.upstream = upstream,
		.host_for = svc->hosts && svc->hosts->len ? svc->hosts->p[0] : NULL,
		.https = svc->tls != CONFIG_TLS_NONE,
		.timeout_ms = timeout_ms};
	memset(answer, 0, sizeof(*answer));
	int rc = proxy_http(p, &req, &reply, err);
	answer->ms = (int)(clock_mono_ms() - begin);
	if (rc == 0) {
		const char *answered = strmap_get(&reply.headers, "x-deploy-answered");
		answer->status = reply.status;
		answer->by_proxy = !answered || !*answered || *answered == '-';
		if (answer->by_proxy) {
			rc = error_set(err, ERROR_UNHEALTHY,
				"'%s' does not answer through the proxy on port %d (status %d)",
				name, svc->app_port, reply.status);
		}
	}
	http_reply_fini(&reply);
	return rc < 0 ? host_error(p->host, err) : 0;
}
