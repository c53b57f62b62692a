/* SPDX-License-Identifier: MIT */
/* Which secrets the manifest names, and where. */
#include "internal.h"

#include "secrets/dotenv.h"

#include <string.h>

static void add(
	struct config_secret_uses *out, const char *name, const char *key, struct config_mark mark)
{
	struct config_secret_use use = {.name = name, .key = key, .mark = mark};

	if (name == NULL) {
		return;
	}
	VEC_FOREACH (out, i) {
		if (strcmp(out->p[i].name, name) == 0 && strcmp(out->p[i].key, key) == 0) {
			return;
		}
	}
	vec_push(out, use);
}

/* Where the manifest has `name` in the list at `section`.`key`. */
static struct config_mark mark_in(
	const struct config *c, const char *section, const char *key, const char *name)
{
	const struct node *root = c->sources != NULL ? c->sources->root : NULL;
	const struct node *n = node_get(node_get(root, section), key);

	for (size_t i = 0; n != NULL && n->kind == NODE_LIST && i < n->len; i++) {
		if (str_eq(n->p[i].value->text, name)) {
			return mark_at(n->p[i].value);
		}
	}
	return mark_at(n);
}

static void add_refs(
	struct config_secret_uses *out, const struct config_secret_refs *refs, const char *key)
{
	VEC_FOREACH (refs, i) {
		add(out, refs->p[i].from, refs->p[i].of_file ? "env_file" : key, refs->p[i].mark);
	}
}

static void add_registry(struct config_secret_uses *out, const struct config_registry *r,
	const char *username_key, const char *password_key)
{
	add(out, r->username_secret, username_key, r->username_mark);
	add(out, r->password_secret, password_key, r->password_mark);
}

static void add_accessories(const struct config *c, struct config_secret_uses *out)
{
	VEC_FOREACH (&c->accessories, i) {
		const struct config_accessory *a = &c->accessories.p[i];
		const struct config_backup *b = &a->backup;

		add_refs(out, &a->env.secret, "accessories.*.env.secret");
		add_registry(out, &a->registry, "accessories.*.registry.username",
			"accessories.*.registry.password");
		add(out, b->s3_access_key_secret, "backup.s3.access_key", b->mark);
		add(out, b->s3_secret_key_secret, "backup.s3.secret_key", b->mark);
		add(out, b->key_secret, "backup.key", b->mark);
	}
}

static void add_notify(const struct config *c, struct config_secret_uses *out)
{
	VEC_FOREACH (&c->notify, i) {
		const struct config_notify *n = &c->notify.p[i];

		add(out, n->url_secret, "notify", n->mark);
		add(out, n->sign_secret, "notify.secret", n->mark);
		add(out, n->password_secret, "notify.password", n->mark);
	}
}

static void add_certificate(const struct config_proxy *p, struct config_secret_uses *out)
{
	add(out, p->certificate_secret, "proxy.ssl.certificate_pem", p->tls_mark);
	add(out, p->private_key_secret, "proxy.ssl.private_key_pem", p->tls_mark);
}

void config_secret_names(const struct config *c, struct config_secret_uses *out)
{
	add_refs(out, &c->env.secret, "env.secret");
	VEC_FOREACH (&c->roles, i) {
		add_refs(out, &c->roles.p[i].env.secret, "env.secret");
	}
	VEC_FOREACH (&c->env_tags, i) {
		add_refs(out, &c->env_tags.p[i].env.secret, "env.tags");
	}
	VEC_FOREACH (&c->secret_files, i) {
		add(out, c->secret_files.p[i].from, "secret_files", c->secret_files.p[i].mark);
	}
	add_registry(out, &c->registry, "registry.username", "registry.password");
	VEC_FOREACH (&c->builder.secrets, i) {
		const char *name = c->builder.secrets.p[i];

		add(out, name, "builder.secrets", mark_in(c, "builder", "secrets", name));
	}
	add_certificate(&c->proxy, out);
	VEC_FOREACH (&c->roles, i) {
		if (c->roles.p[i].proxy != NULL) {
			add_certificate(c->roles.p[i].proxy, out);
		}
	}
	VEC_FOREACH (&c->ssh.key_data_secrets, i) {
		const char *name = c->ssh.key_data_secrets.p[i];

		add(out, name, "ssh.key_data", mark_in(c, "ssh", "key_data", name));
	}
	add_accessories(c, out);
	add_notify(c, out);
}

int config_secrets_load(const struct config *c, bool env_files, struct dotenv *d, struct error *err)
{
	VEC_FOREACH (&c->secrets_files, i) {
		if (dotenv_load(d, c->secrets_files.p[i], err) < 0) {
			return -1;
		}
	}
	for (size_t i = 0; env_files && i < c->env_files.len; i++) {
		const struct config_env_file *f = &c->env_files.p[i];
		if (dotenv_load_env_file(d, f->path, f->name, err) < 0) {
			return error_wrap(
				err, "%s:%d:%d", f->mark.file, f->mark.line, f->mark.column);
		}
	}
	return 0;
}

/* "names.yml" relative to the root, for a message. */
static const char *short_path(const struct config *c, const char *path)
{
	size_t n = c->root != NULL ? strlen(c->root) : 0;

	return path != NULL && n > 0 && strncmp(path, c->root, n) == 0 && path[n] == '/'
		       ? path + n + 1
		       : path;
}

int config_secrets_check(const struct config *c, bool (*has_secret)(void *ctx, const char *name),
	void *ctx, struct diagnostics *diags, struct error *err)
{
	struct config_secret_uses uses = {0};
	struct str missing = STR_INIT(1024);
	struct str hint = STR_INIT(512);
	size_t n = 0;

	config_secret_names(c, &uses);
	str_addf(&hint, "put it into %s",
		c->secrets_wanted != NULL ? short_path(c, c->secrets_wanted) : ".deploy/secrets");
	VEC_FOREACH (&uses, i) {
		const struct config_secret_use *u = &uses.p[i];

		if (has_secret(ctx, u->name)) {
			continue;
		}
		n++;
		str_addf(&missing, "%s%s", missing.len > 0 ? ", " : "", u->name);
		config_mistake(c, diags, &u->mark, str_c(&hint),
			"secret '%s' (for %s) is not there", u->name, u->key);
	}
	vec_fini(&uses);
	if (n > 0) {
		error_set(err, ERROR_MANIFEST, "secret%s not there: %s", n == 1 ? "" : "s",
			str_c(&missing));
		error_hint(err, "%s", str_c(&hint));
	}
	str_fini(&missing);
	str_fini(&hint);
	return n > 0 ? -1 : 0;
}
