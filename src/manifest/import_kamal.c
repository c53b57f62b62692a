/* SPDX-License-Identifier: MIT */
/*
 * Kamal's manifest is ours where we know the key: so it is judged as one, and what is refused is
 * cut out until nothing is.
 */
#include "manifest/import.h"

#include "import.h"
#include "import_cut.h"
#include "manifest/syntax.h"

#include <stdlib.h>
#include <string.h>

#define ROUNDS_MAX 24 /* each cuts what those before laid bare */

struct kamal {
	struct cut_file *files;
	size_t n;
	struct diagnostics *diags;
};

bool import_is_kamal(const struct source *file)
{
	bool service = false;

	for (size_t at = 0; at < file->len;) {
		const char *line = file->text + at;
		const char *newline = memchr(line, '\n', file->len - at);
		size_t len = newline != NULL ? (size_t)(newline - line) : file->len - at;

		if (len >= 9 && memcmp(line, "services:", 9) == 0) {
			return false;
		}
		service = service || (len >= 8 && memcmp(line, "service:", 8) == 0);
		at += len + 1;
	}
	return service;
}

/* "deploy.staging.yml" and "staging.yml" are "staging". */
static char *destination_of(const char *file)
{
	const char *slash = strrchr(file, '/');
	CLEANUP_FREE char *stem = xstrdup(slash != NULL ? slash + 1 : file);
	char *dot = strrchr(stem, '.');

	if (dot != NULL && dot > stem) {
		*dot = '\0';
		dot = strrchr(stem, '.');
	}
	return xstrdup(dot != NULL ? dot + 1 : stem);
}

/* -- Judging -- */

/* Any variable has a value that is a number and a word. */
static const char *every(void *ctx, const char *name)
{
	return "1";
}

struct judging {
	struct kamal *kamal;
	const struct diagnostics *found;
	size_t cut;
};

static struct cut_file *file_of(struct kamal *k, const struct mark *m)
{
	for (size_t i = 0; m->source != NULL && i < k->n; i++) {
		if (strcmp(k->files[i].name, m->source->name) == 0) {
			return &k->files[i];
		}
	}
	return NULL;
}

/* What is refused at this place. */
static const struct diagnostic *refusal(
	const struct diagnostics *found, const struct mark *m, int width)
{
	VEC_FOREACH (found, i) {
		const struct diagnostic *d = &found->p[i];
		bool refused = d->level == DIAGNOSTIC_ERROR || str_eq(d->hint, "leave it out");

		if (refused && m->source != NULL && d->line == m->line && d->column == m->column &&
			d->width == width && strcmp(d->file, m->source->name) == 0) {
			return d;
		}
	}
	return NULL;
}

/*
 * The key itself is refused, or the form of its value.  A map in lines begins where its first key
 * does: the width tells them apart.
 */
static const struct diagnostic *refused(const struct judging *j, const struct node_item *item)
{
	const struct node *v = item->value;
	const struct diagnostic *d = refusal(j->found, &item->key->mark, item->key->mark.width);
	bool narrow = v->kind == NODE_MAP && v->len > 0 && v->p[0].key->mark.width == 1;

	return d == NULL && v->kind != NODE_SCALAR && !narrow ? refusal(j->found, &v->mark, 1) : d;
}

static void cut_refused(struct judging *j, const struct node *n)
{
	for (size_t i = 0; n->kind != NODE_SCALAR && i < n->len; i++) {
		const struct node_item *item = &n->p[i];
		const struct diagnostic *d = item->key != NULL ? refused(j, item) : NULL;
		struct cut_file *f = item->key != NULL ? file_of(j->kamal, &item->key->mark) : NULL;

		if (item->key != NULL && f != NULL && str_starts(item->key->text, "traefik.")) {
			j->cut += cut_entry(
				f, item->key, "routes are made of 'proxy', not of labels");
		} else if (d != NULL && f != NULL) {
			bool more = d->hint != NULL && strcmp(d->hint, "leave it out") != 0;
			CLEANUP_FREE char *reason = xasprintf("%s%s%s%s", d->message,
				more ? " (" : "", more ? d->hint : "", more ? ")" : "");
			j->cut += cut_entry(f, item->key, reason);
		} else {
			cut_refused(j, item->value);
		}
	}
}

/* Errors of values that do not depend on a variable. */
static bool is_wrong(const struct diagnostics *found)
{
	VEC_FOREACH (found, i) {
		const struct diagnostic *d = &found->p[i];
		if (d->level == DIAGNOSTIC_ERROR &&
			(d->source == NULL || strstr(d->source, "${") == NULL)) {
			return true;
		}
	}
	return found->dropped > 0;
}

static void tell(struct diagnostics *to, struct diagnostics *from)
{
	diagnostics_fini(to);
	*to = *from;
	*from = (struct diagnostics){0};
}

/* The base, and a destination's file over it unless that is 0: how much of it was cut. */
static size_t judge_once(struct kamal *k, size_t over, struct diagnostics *found)
{
	CLEANUP_FREE char *name = destination_of(k->files[over].name);
	struct config_request req = {.getenv = every, .destination = over > 0 ? name : "any"};
	const struct source texts[] = {cut_source(&k->files[0]), cut_source(&k->files[over])};
	struct loaded *l = load_sources(texts, over > 0 ? 2 : 1, &req, found);
	struct judging j = {.kamal = k, .found = found};

	if (l->sources.root != NULL) {
		cut_refused(&j, l->sources.root);
	}
	config_free(&l->c);
	return j.cut;
}

/* `strict`: 0, or -1 with the mistakes that are left, those of the files as they came. */
static int judge(struct kamal *k, size_t over, bool strict)
{
	struct diagnostics first = {0}, later = {0};
	size_t cut = judge_once(k, over, &first);
	bool wrong = is_wrong(&first);

	for (int round = 1; cut > 0 && round < ROUNDS_MAX; round++) {
		diagnostics_fini(&later);
		cut = judge_once(k, over, &later);
		wrong = is_wrong(&later);
	}
	if (strict && wrong) {
		tell(k->diags, first.errors > 0 ? &first : &later);
	}
	diagnostics_fini(&first);
	diagnostics_fini(&later);
	return strict && wrong ? -1 : 0;
}

/* -- What means something else -- */

/* Kamal publishes on every address. */
static void note_ports(struct cut_file *f, const struct node *accessory)
{
	static const char *const keys[] = {"port", "ports"};

	for (size_t k = 0; k < 2; k++) {
		const struct node_item *item = node_find(accessory, keys[k]);
		for (size_t i = 0; item != NULL && i < import_count(item->value); i++) {
			const struct node *port = import_item(item->value, i);
			const char *colon =
				port->kind == NODE_SCALAR ? strchr(port->text, ':') : NULL;
			if (colon != NULL && strchr(colon + 1, ':') == NULL) {
				cut_note(f, item->key,
					"on loopback here; put 0.0.0.0: in front for all the "
					"world");
				break;
			}
		}
	}
}

static void note_differences(struct cut_file *f, const struct node *root)
{
	const struct node *all = node_get(root, "accessories");

	for (size_t i = 0; all != NULL && all->kind == NODE_MAP && i < all->len; i++) {
		note_ports(f, all->p[i].value);
	}
}

/* A port of the text's first `len` bytes, or 0. */
static int port_of(const char *text, size_t len)
{
	CLEANUP_FREE char *number = xstrndup(text, len);
	long port = 0;

	return str_to_long(number, 1, 65535, &port) == 0 ? (int)port : 0;
}

/* "8443:443" of traefik.options.publish is 8443. */
static int port_for_https(const struct node *traefik)
{
	const struct node *publish = node_get(node_get(traefik, "options"), "publish");

	for (size_t i = 0; i < import_count(publish); i++) {
		const struct node *n = import_item(publish, i);
		if (n->kind == NODE_SCALAR && str_ends(n->text, ":443")) {
			return port_of(n->text, strlen(n->text) - 4);
		}
	}
	return 0;
}

static const char *route(struct importing *im, const struct node *servers)
{
	const char *host = NULL;

	for (size_t i = 0;
		servers != NULL && servers->kind == NODE_MAP && i < servers->len && host == NULL;
		i++) {
		host = import_label_host(im, node_get(servers->p[i].value, "labels"));
	}
	return host;
}

static void put_port(json_t *o, const char *key, int port)
{
	if (port > 0) {
		put_int(o, key, port);
	}
}

/* Kamal 1 had `healthcheck` and `traefik` at the top, and its hosts in labels. */
static void add_proxy(struct importing *im, const struct node *root, struct str *out)
{
	const struct node *health = node_get(root, "healthcheck");
	const struct node *traefik = node_get(root, "traefik");
	json_t *o = json_object(), *proxy = json_object(), *h = json_object(), *run = json_object();
	const char *host = route(im, node_get(root, "servers"));
	const char *app_port = get_text(health, "port", "3000");
	const char *http_port = get_text(traefik, "host_port", "");

	put_text(proxy, "host", host);
	put_port(proxy, "app_port", port_of(app_port, strlen(app_port)));
	if (host != NULL && port_for_https(traefik) > 0) {
		json_object_set_new(proxy, "ssl", json_true());
		put_new(proxy, "acme", import_acme(im, node_get(traefik, "args")));
	}
	put_text(h, "path", get_text(health, "path", "/up"));
	put_text(h, "interval", get_text(health, "interval", NULL));
	put_new(proxy, "healthcheck", h);
	put_port(run, "http_port", port_of(http_port, strlen(http_port)));
	put_port(run, "https_port", port_for_https(traefik));
	put_new(proxy, "run", run);
	put_new(o, "proxy", proxy);
	str_add(out, "\n# of Kamal 1's 'healthcheck' and 'traefik'\n");
	print_yaml(o, true, out);
	json_decref(o);
}

/* What stands behind the owner's text. */
static void add_more(const struct node *root, struct str *out)
{
	struct importing im = {0};

	if ((has(root, "healthcheck") || has(root, "traefik")) && !has(root, "proxy")) {
		add_proxy(&im, root, out);
	}
	if (node_find(root, "ssh") == NULL) {
		str_add(out, "\n# Kamal's, where nobody is named\nssh:\n  user: root\n");
	}
	arena_fini(&im.arena);
}

/* -- Files -- */

/* Syntax, ERB and form of one file as it came. */
static int read_one(struct kamal *k, const struct source *file, struct cut_file *f, bool base)
{
	struct arena arena = {0};
	CLEANUP_STR struct str more = STR_INIT(STR_MAX_FILE);
	const struct node *root = tree_parse(&arena, file, k->diags);
	bool good = root != NULL && k->diags->errors == 0;

	if (good && base) {
		add_more(root, &more);
	}
	if (good) {
		cut_file_init(f, file, str_c(&more));
		note_differences(f, root);
	}
	arena_fini(&arena);
	return good ? 0 : -1;
}

static void add_hooks(const struct strvec *hooks, struct str *out)
{
	CLEANUP_STR struct str text = STR_INIT(STR_MAX_FILE);

	str_add(&text, "So are .kamal/hooks: ");
	VEC_FOREACH (hooks, i) {
		const char *name = hooks->p[i];
		str_addf(&text, "%s%s", i > 0 ? ", " : "", name);
		if (str_ends(name, "-traefik-reboot")) {
			str_addf(&text, " (name it %.*s-proxy-reboot)", (int)strcspn(name, "-"),
				name);
		}
	}
	if (hooks->len > 0) {
		import_add_comment(out, 0, str_c(&text));
	}
}

static void add_head(
	const struct cut_file *f, const struct strvec *hooks, bool base, struct str *out)
{
	CLEANUP_FREE char *made = xasprintf(
		"Made of Kamal's %s by 'deploy init --from'. Read it through: all keys are in "
		"deploy-manifest(5), what it comes to says 'deploy config'.",
		f->name);

	import_add_comment(out, 0, made);
	if (base && hooks != NULL) {
		import_add_comment(out, 0,
			".kamal/secrets are read as they are, as long as there is no .deploy "
			"folder.");
		add_hooks(hooks, out);
	}
	if (strstr(f->original, "${") != NULL) {
		import_add_comment(out, 0,
			"${NAME} is taken from the environment here; $${NAME} stays ${NAME}.");
	}
	str_addc(out, '\n');
}

static char *write_file(const struct cut_file *f, const struct strvec *hooks, bool base)
{
	struct str out = STR_INIT(8 * TREE_BYTES_MAX);

	add_head(f, hooks, base, &out);
	cut_write(f, &out);
	return str_take(&out);
}

static void add_secrets(const struct config *c, struct strvec *names)
{
	struct config_secret_uses uses = {0};

	config_secret_names(c, &uses);
	VEC_FOREACH (&uses, i) {
		if (!strvec_has(names, uses.p[i].name)) {
			strvec_push(names, uses.p[i].name);
		}
	}
	vec_fini(&uses);
}

/* The texts as they are written have to load, each destination's over the first. */
static int check_written(struct kamal *k, bool secrets, struct import *out)
{
	CLEANUP_STRVEC struct strvec names = {0};
	struct str lines = STR_INIT(STR_MAX_FILE);
	size_t n = out->destinations.len;
	bool wrong = false;

	for (size_t i = 0; i < (n > 0 ? n : 1) && !wrong; i++) {
		const char *over = n > 0 ? out->destinations.p[i].value : "";
		const char *dest = n > 0 ? out->destinations.p[i].key : "any";
		const struct source texts[] = {{"deploy.yml", out->manifest, strlen(out->manifest)},
			{"over", over, strlen(over)}};
		struct config_request req = {.getenv = every, .destination = dest};
		struct diagnostics found = {0};
		struct loaded *l = load_sources(texts, n > 0 ? 2 : 1, &req, &found);

		wrong = is_wrong(&found);
		if (!wrong && secrets) {
			add_secrets(&l->c, &names);
		}
		config_free(&l->c);
		diagnostics_fini(&found);
	}
	if (wrong) {
		diagnostics_add(k->diags, DIAGNOSTIC_ERROR, NULL,
			"each key in a line of its own, without anchors",
			"what is not supported cannot be taken out of these lines");
	}
	VEC_FOREACH (&names, i) {
		str_addf(&lines, "%s=\"${%s}\"\n", names.p[i], names.p[i]);
	}
	out->secrets = str_take(&lines);
	return wrong ? -1 : 0;
}

static int judge_all(struct kamal *k)
{
	if (judge(k, 0, k->n == 1) < 0) {
		return -1;
	}
	for (size_t i = 1; i < k->n; i++) {
		if (judge(k, i, true) < 0) {
			return -1;
		}
	}
	return 0;
}

int import_kamal(const struct source *files, size_t n, const struct strvec *hooks,
	struct import *out, struct diagnostics *diags)
{
	struct kamal k = {.files = xcalloc(n, sizeof(*k.files)), .n = n, .diags = diags};
	int rc = 0;

	for (size_t i = 0; i < n; i++) {
		rc = read_one(&k, &files[i], &k.files[i], i == 0) < 0 ? -1 : rc;
	}
	if (rc == 0) {
		rc = judge_all(&k);
	}
	for (size_t i = 0; i < n && rc == 0; i++) {
		CLEANUP_FREE char *text = write_file(&k.files[i], hooks, i == 0);
		CLEANUP_FREE char *name = destination_of(files[i].name);
		if (i == 0) {
			out->manifest = xstrdup(text);
		} else {
			strmap_set(&out->destinations, name, text);
		}
	}
	if (rc == 0) {
		rc = check_written(&k, hooks == NULL, out);
	}
	for (size_t i = 0; i < n; i++) {
		cut_file_fini(&k.files[i]);
	}
	free(k.files);
	if (rc < 0) {
		import_fini(out);
	}
	return rc;
}
