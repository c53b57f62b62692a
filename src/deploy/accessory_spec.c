/* SPDX-License-Identifier: MIT */
/* From an accessory of the manifest to its container and files. */
#include "accessory.h"

#include "deploy/container.h"
#include "labels.h"
#include "manifest/digest.h"
#include "manifest/expand.h"
#include "manifest/syntax.h"
#include "service/place.h"
#include "util/digest.h"
#include "util/fs.h"

#include <stdlib.h>
#include <string.h>

#define UNNAMED_LEN      64 /* hex digits */
#define FILES_MAX        1000
#define FILES_TIMEOUT_MS 10000

static const char *secret_mac(void *ctx, const char *name, char buf[DIGEST_HEX_SIZE])
{
	const struct deployment *d = ctx;
	const char *key = d->targets[d->lock_target].seen.key;
	const struct secret *value = secret_map_get(&d->secrets, name);
	if (!value) {
		return NULL;
	}
	digest_hmac_hex(key, strlen(key), secret_reveal(value), secret_len(value), buf);
	return buf;
}

char *accessory_digest(struct deployment *d, const struct config_accessory *a)
{
	char hex[DIGEST_HEX_SIZE];
	config_accessory_digest(d->config, a, secret_mac, d, hex);
	return xstrndup(hex, 32);
}

void accessory_labels(struct deployment *d, const struct config_accessory *a, const char *kind,
	struct strmap *labels)
{
	strmap_copy(labels, &a->labels);
	labels_add(labels, d->config);
	strmap_set(labels, LABEL_ACCESSORY, a->name);
	strmap_set(labels, LABEL_KIND, kind);
}

/* -- Files -- */

struct variables {
	struct deployment *d;
	const struct config_accessory *a;
	bool secret; /* one of those that were asked for is */
};

static const char *variable(void *ctx, const char *name)
{
	struct variables *v = ctx;
	VEC_FOREACH (&v->a->env.secret, i) {
		const struct config_secret_ref *ref = &v->a->env.secret.p[i];
		const struct secret *value = secret_map_get(&v->d->secrets, ref->from);
		if (str_eq(ref->name, name) && value) {
			v->secret = true;
			return secret_reveal(value);
		}
	}
	return strmap_get(&v->a->env.clear, name);
}

static int expand_file(struct deployment *d, const struct config_accessory *a,
	const struct config_file *f, struct place_item *item, struct error *err)
{
	CLEANUP_STR struct str text = STR_INIT(CONFIG_FILE_MAX);
	struct variables v = {.d = d, .a = a};
	struct expand_problem problem;
	item->data = (struct str)STR_SECRET_INIT(2 * CONFIG_FILE_MAX);
	if (fs_read(f->local, &text, err) < 0) {
		return -1;
	}
	/* Not a text, or nothing in it to be put in. */
	if (memchr(str_c(&text), '\0', text.len) || !expand_needed(str_c(&text))) {
		str_addn(&item->data, str_c(&text), text.len);
		return 0;
	}
	if (expand_text(str_c(&text), variable, &v, &item->data, &problem) < 0) {
		error_set(err, ERROR_MANIFEST, "'%s': %s", f->local, problem.message);
		return error_hint(err, "its variables are those of the accessory's env%s%s",
			problem.hint[0] ? "; " : "", problem.hint);
	}
	if (v.secret && !f->mode) {
		item->mode = "0600";
	} else if (v.secret && (strtoul(f->mode, NULL, 8) & 07) != 0) {
		error_set(err, ERROR_MANIFEST,
			"'%s' has a secret in it, and mode %s is open to all", f->local, f->mode);
		return error_hint(err, "mode: \"0600\", and owner: who reads it in the container");
	}
	return 0;
}

static void mount(struct docker_container_spec *spec, const char *dir, const char *path,
	const struct config_file *f)
{
	strvec_pushf(&spec->binds, "%s/%s:%s%s%s", dir, path, f->remote, f->options ? ":" : "",
		f->options ? f->options : "");
}

/* Files lie in a folder by what they are: a container that comes back finds its own. */
static int add_files(struct deployment *d, const struct config_accessory *a, const char *dir,
	struct docker_container_spec *spec, struct place_items *items, struct strvec *paths,
	struct error *err)
{
	const char *digest = strmap_get(&spec->labels, LABEL_CONFIG_DIGEST);
	VEC_FOREACH (&a->files, i) {
		const struct config_file *f = &a->files.p[i];
		const char *base = strrchr(f->remote, '/') + 1;
		struct place_item item = {.owner = f->owner, .mode = f->mode};
		strvec_pushf(paths, "files/%.12s/%zu-%s", digest, i, base);
		item.path = paths->p[paths->len - 1];
		int result = expand_file(d, a, f, &item, err);
		vec_push(items, item);
		if (result < 0) {
			return -1;
		}
		mount(spec, dir, item.path, f);
	}
	VEC_FOREACH (&a->directories, i) {
		const struct config_file *f = &a->directories.p[i];
		struct place_item item = {.owner = f->owner, .mode = f->mode, .folder = true};
		strvec_pushf(paths, "directories/%s", f->local);
		item.path = paths->p[paths->len - 1];
		vec_push(items, item);
		mount(spec, dir, item.path, f);
	}
	return 0;
}

static int place(struct deployment *d, struct target *t, const struct config_accessory *a,
	struct docker_container_spec *spec, struct error *err)
{
	struct place_items items = {0};
	CLEANUP_STRVEC struct strvec paths = {0};
	CLEANUP_STRMAP struct strmap labels = {0};
	char token[9];
	digest_random_hex(4, token);
	CLEANUP_FREE char *relative = names_accessory_dir(d->config, a->name);
	CLEANUP_FREE char *dir = xasprintf("%s/%s", t->host->home, relative);
	CLEANUP_FREE char *name = xasprintf("%s-files-%s", a->container, token);
	accessory_labels(d, a, "files", &labels);
	int result = add_files(d, a, dir, spec, &items, &paths, err);
	if (result == 0) {
		struct place_request req = {.host = t->host,
			.folder = dir,
			.image = spec->image,
			.name = name,
			.labels = &labels,
			.items = &items};
		result = place_items(&req, err);
	}
	VEC_FOREACH (&items, i) {
		str_fini(&items.p[i].data);
	}
	vec_fini(&items);
	return result;
}

void accessory_tidy_files(struct deployment *d, struct target *t, const struct config_accessory *a)
{
	struct error ignored = {0};
	CLEANUP_FREE char *digest = accessory_digest(d, a);
	CLEANUP_FREE char *dir = names_accessory_dir(d->config, a->name);
	CLEANUP_FREE char *files = xasprintf("%s/files", dir);
	if (host_files(t->host, &ignored) < 0) {
		return;
	}
	struct sftp_batch *b = sftp_batch_new(t->host->sftp);
	struct sftp_op *list = sftp_list(b, files, FILES_MAX);
	if (sftp_run(b, FILES_TIMEOUT_MS, &ignored) == 0) {
		VEC_FOREACH (&list->entries, i) {
			CLEANUP_FREE char *path = fs_join(files, list->entries.p[i].name);
			if (strncmp(list->entries.p[i].name, digest, 12) != 0) {
				sftp_rmtree(b, path, FILES_MAX);
			}
		}
		(void)!sftp_run(b, FILES_TIMEOUT_MS, &ignored);
	}
	sftp_batch_free(b);
	if (ignored.kind != ERROR_NONE) {
		ui_debug(d->ui, t->host->name, "%s", ignored.text);
	}
}

/* -- Volumes that have no name -- */

bool accessory_volume_is_unnamed(const char *name)
{
	return name && strlen(name) == UNNAMED_LEN &&
	       strspn(name, "0123456789abcdef") == UNNAMED_LEN;
}

/* Is something of the manifest mounted there? */
static bool is_mounted(const struct docker_container_spec *spec, const char *target)
{
	size_t n = strlen(target);
	VEC_FOREACH (&spec->binds, i) {
		const char *colon = strchr(spec->binds.p[i], ':');
		if (colon && strncmp(colon + 1, target, n) == 0 &&
			(colon[1 + n] == '\0' || colon[1 + n] == ':')) {
			return true;
		}
	}
	VEC_FOREACH (&spec->mounts, i) {
		if (str_eq(spec->mounts.p[i].target, target)) {
			return true;
		}
	}
	return strmap_get(&spec->tmpfs, target) != NULL;
}

static bool has_volume(const struct docker_container *c, const char *name, size_t len)
{
	VEC_FOREACH (&c->mounts, i) {
		const struct docker_mount *m = &c->mounts.p[i];
		if (m->type == DOCKER_MOUNT_VOLUME && m->source && strlen(m->source) == len &&
			memcmp(m->source, name, len) == 0) {
			return true;
		}
	}
	return false;
}

/*
 * Docker gives a volume that is empty the content and the owner of the image's folder, when a
 * container is made: taken from the program that still runs on it, it could not save any more.
 */
static void keep_as_they_are(const struct docker_container *old, struct docker_container_spec *spec)
{
	VEC_FOREACH (&spec->binds, i) {
		const char *bind = spec->binds.p[i];
		const char *target = strchr(bind, ':');
		if (*bind != '/' && target && has_volume(old, bind, (size_t)(target - bind))) {
			char *kept =
				xasprintf("%s%cnocopy", bind, strchr(target + 1, ':') ? ',' : ':');
			free(spec->binds.p[i]);
			spec->binds.p[i] = kept;
		}
	}
}

/* An image that declares a volume which the manifest does not name has its data in one that
 * Docker made for the old container alone. */
static void take_over_volumes(
	const struct docker_container *old, struct docker_container_spec *spec)
{
	VEC_FOREACH (&old->mounts, i) {
		const struct docker_mount *m = &old->mounts.p[i];
		if (m->type == DOCKER_MOUNT_VOLUME && accessory_volume_is_unnamed(m->source) &&
			!is_mounted(spec, m->target)) {
			strvec_pushf(&spec->binds, "%s:%s", m->source, m->target);
		}
	}
	keep_as_they_are(old, spec);
}

/* -- All of it -- */

static int add_ports(
	const struct config_accessory *a, struct docker_container_spec *spec, struct error *err)
{
	VEC_FOREACH (&a->ports, i) {
		if (docker_parse_port(a->ports.p[i], &spec->ports, err) < 0) {
			return -1;
		}
	}
	return 0;
}

int accessory_spec(struct deployment *d, struct target *t, const struct config_accessory *a,
	const char *name, const struct docker_container *old, struct docker_container_spec *spec,
	struct error *err)
{
	CLEANUP_FREE char *digest = accessory_digest(d, a);
	spec->name = xstrdup(name);
	spec->image = xstrdup(a->image);
	container_add_networks(&a->networks, spec);
	spec->stop_timeout = a->stop_timeout_ms / 1000;
	spec->restart = xstrdup("no"); /* until it is healthy */
	strvec_push(&spec->network_aliases, a->container);
	strvec_push(&spec->network_aliases, a->name);
	strmap_copy(&spec->env, &a->env.clear);
	accessory_labels(d, a, "accessory", &spec->labels);
	strmap_set(&spec->labels, LABEL_CONFIG_DIGEST, digest);
	strvec_copy(&spec->binds, &a->volumes);
	if (a->cmd && syntax_words(a->cmd, &spec->cmd)) {
		return error_set(err, ERROR_MANIFEST, "command '%s' is not words", a->cmd);
	}
	if (container_add_secrets(d, &a->env.secret, &spec->secret_env, err) < 0 ||
		add_ports(a, spec, err) < 0 || container_add_options(&a->options, spec, err) < 0 ||
		place(d, t, a, spec, err) < 0) {
		return -1;
	}
	container_add_logging(&a->logging, spec);
	if (old) {
		take_over_volumes(old, spec);
	}
	return 0;
}
