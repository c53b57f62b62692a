/* SPDX-License-Identifier: MIT */
/* A backup, restored into a container that nobody uses. */
#include "backup.h"

#include "image/tar.h"
#include "util/cancel.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The image as the accessory runs it, with its environment and none of its volumes. */
static json_t *body(struct deployment *d, const struct config_accessory *a,
	const struct docker_container *live, bool reachable)
{
	CLEANUP_STRMAP struct strmap labels = {0};
	json_t *marks = json_object();
	const char *network = reachable ? a->network : "none";
	accessory_labels(d, a, "scratch", &labels);
	VEC_FOREACH (&labels, i) {
		json_object_set_new(marks, labels.p[i].key, json_string(labels.p[i].value));
	}
	json_t *b = json_pack("{s:s, s:o, s:{s:s, s:{s:s}}}", "Image", a->image, "Labels", marks,
		"HostConfig", "NetworkMode", network, "RestartPolicy", "Name", "no");
	json_object_set(b, "Env", json_object_get(live->config, "Env"));
	if (a->backup.kind == CONFIG_BACKUP_REDIS) {
		json_object_set_new(b, "Cmd",
			json_pack("[s, s, s, s, s]", "redis-server", "--appendonly", "no", "--save",
				""));
	} else if (a->backup.kind == CONFIG_BACKUP_COMMAND) {
		json_object_set(b, "Cmd", json_object_get(live->config, "Cmd"));
	}
	return b;
}

static int create(struct deployment *d, struct target *t, const struct config_accessory *a,
	bool reachable, const char *name, struct error *err)
{
	struct docker_container live = {0};
	CLEANUP_FREE char *path = xasprintf("/containers/create?name=%s", name);
	if (docker_container_inspect(t->host->docker, a->container, &live, err) < 0) {
		return -1;
	}
	CLEANUP_JSON json_t *b = body(d, a, &live, reachable);
	docker_container_fini(&live);
	return docker_call(t->host->docker, "POST", path, b, 0, NULL, err);
}

/* A tar of one file whose content is read on the way. */
struct one_file {
	struct str head, tail;
	size_t head_sent, tail_sent;
	struct http_source content;
	bool over;
};

static ssize_t piece(const struct str *s, size_t *sent, void *buf, size_t n)
{
	size_t left = s->len - *sent;
	n = n < left ? n : left;
	memcpy(buf, str_c(s) + *sent, n);
	*sent += n;
	return (ssize_t)n;
}

static ssize_t read_tar(void *ctx, void *buf, size_t n, struct error *err)
{
	struct one_file *f = ctx;
	if (f->head_sent < f->head.len) {
		return piece(&f->head, &f->head_sent, buf, n);
	}
	if (!f->over) {
		ssize_t got = f->content.read(f->content.ctx, buf, n, err);
		if (got != 0) {
			return got;
		}
		f->over = true;
	}
	return piece(&f->tail, &f->tail_sent, buf, n);
}

/* What redis reads when it starts. */
static int put_dump(struct target *t, const char *name, const struct store *s,
	const struct backup_info *info, struct error *err)
{
	static const char zeroes[TAR_BLOCK];
	struct one_file f = {.head = STR_INIT(STR_MAX_LINE), .tail = STR_INIT(STR_MAX_LINE)};
	const struct tar_entry e = {
		.path = "dump.rdb", .size = backup_info_plain_size(info), .mode = S_IFREG | 0644};
	struct store_reader *r = store_open(s, info, err);
	if (!r) {
		return -1;
	}
	tar_header(&f.head, &e);
	str_addn(&f.tail, zeroes, tar_padding(backup_info_plain_size(info)));
	tar_end(&f.tail);
	f.content = store_source(r);
	struct http_source source = {read_tar, &f, -1};
	int result = docker_container_archive_put(t->host->docker, name, "/data", &source, err);
	store_close(r);
	str_fini(&f.head);
	str_fini(&f.tail);
	return result;
}

static int fill(struct target *t, const struct config_accessory *a, const char *name,
	const struct store *s, const struct backup_info *info, struct error *err)
{
	CLEANUP_FREE char *script = backup_scratch_script(a);
	struct store_reader *r = store_open(s, info, err);
	if (!r) {
		return -1;
	}
	struct http_source source = store_source(r);
	int result = backup_script(t, name, script, &source, a->backup.timeout_ms, NULL, err);
	store_close(r);
	return result;
}

int backup_scratch(struct deployment *d, struct target *t, const struct config_accessory *a,
	const struct store *s, const struct backup_info *info, bool reachable, char **name,
	struct error *err)
{
	char token[9];
	bool redis = a->backup.kind == CONFIG_BACKUP_REDIS;
	digest_random_hex(4, token);
	*name = xasprintf("%s-scratch-%s", a->container, token);
	ui_step(d->ui, t->host->name, "restoring %s into a scratch container", info->id);
	int result = create(d, t, a, reachable, *name, err);
	if (result < 0) {
		free(*name);
		*name = NULL;
		return -1;
	}
	if (redis) {
		result = put_dump(t, *name, s, info, err);
	}
	if (result == 0) {
		result = docker_container_start(t->host->docker, *name, err);
	}
	if (result == 0) {
		result = accessory_wait_family(t, a, *name, err);
	}
	if (result == 0 && !redis) {
		result = fill(t, a, *name, s, info, err);
	}
	if (result < 0) {
		backup_scratch_remove(d, t, *name);
		free(*name);
		*name = NULL;
	}
	return result;
}

void backup_scratch_remove(struct deployment *d, struct target *t, const char *name)
{
	struct error failed = {0};
	cancel_shield_begin();
	if (docker_container_remove(t->host->docker, name, true, true, &failed) < 0) {
		ui_warn(d->ui, t->host->name, "%s", failed.text);
	}
	cancel_shield_end();
}
