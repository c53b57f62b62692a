/* SPDX-License-Identifier: MIT */
#include "service/place.h"

#include "docker/container.h"
#include "image/tar.h"
#include "util/cancel.h"
#include "util/clock.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MOUNT        "/.deploy-files"
#define TAR_MAX      ((size_t)64 << 20)
#define PASSWD_MAX   ((size_t)1 << 20)
#define TIMEOUT_MS   15000
#define ID_MAX       2097151 /* of a tar's header */
#define TAR_AT_SIZE  124
#define TAR_AT_TYPE  156
#define DEFAULT_FILE "0644"
#define DEFAULT_DIR  "0755"

/* The `field`-th of the line that begins with "name:", as a number; -1: there is none. */
static long lookup(const char *text, const char *name, size_t len, int field)
{
	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, len) != 0 || line[len] != ':') {
			continue;
		}
		const char *p = line;
		for (int i = 0; p && i < field; i++) {
			p = strchr(p, ':');
			p = p ? p + 1 : NULL;
		}
		CLEANUP_FREE char *digits = p ? xstrndup(p, strcspn(p, ":\n")) : NULL;
		long id;
		return digits && str_to_long(digits, 0, ID_MAX, &id) == 0 ? id : -1;
	}
	return -1;
}

static long number(const char *text, size_t len)
{
	CLEANUP_FREE char *digits = xstrndup(text, len);
	long id;
	return str_to_long(digits, 0, ID_MAX, &id) == 0 ? id : -1;
}

int place_owner(
	const char *owner, const char *passwd, const char *group, uint32_t *uid, uint32_t *gid)
{
	size_t n = strcspn(owner, ":");
	long u = number(owner, n), g;
	if (u >= 0) {
		g = u;
	} else {
		u = lookup(passwd, owner, n, 2);
		g = lookup(passwd, owner, n, 3);
	}
	if (owner[n] == ':') {
		const char *name = owner + n + 1;
		g = number(name, strlen(name));
		g = g >= 0 ? g : lookup(group, name, strlen(name), 2);
	}
	if (u < 0 || g < 0) {
		return -1;
	}
	*uid = (uint32_t)u;
	*gid = (uint32_t)g;
	return 0;
}

/* The content of a file of the container; "" when it has none. */
static void read_file(struct docker *docker, const char *name, const char *path, struct str *out)
{
	struct error ignored = {0};
	CLEANUP_STR struct str tar = STR_INIT(PASSWD_MAX);
	CLEANUP_DOCKER_STREAM struct docker_stream *s =
		docker_container_archive_get(docker, name, path, &ignored);
	char buf[16384];
	ssize_t n = 0;
	while (s && (n = docker_stream_read(s, buf, sizeof(buf), TIMEOUT_MS, &ignored)) > 0) {
		str_addn(&tar, buf, (size_t)n);
	}
	if (tar.len < TAR_BLOCK || n < 0 || tar.p[TAR_AT_TYPE] != '0') {
		return;
	}
	size_t size = strtoul(tar.p + TAR_AT_SIZE, NULL, 8);
	if (size <= tar.len - TAR_BLOCK) {
		str_addn(out, tar.p + TAR_BLOCK, size);
	}
}

struct placing {
	const struct place_request *req;
	struct str passwd, group;
	bool read; /* these two */
	struct str tar;
	size_t sent;
};

static int owner_of(
	struct placing *p, const struct place_item *item, struct tar_entry *e, struct error *err)
{
	const struct place_request *req = p->req;
	if (!item->owner) {
		return 0;
	}
	if (!p->read && strspn(item->owner, "0123456789:") != strlen(item->owner)) {
		read_file(req->host->docker, req->name, "/etc/passwd", &p->passwd);
		read_file(req->host->docker, req->name, "/etc/group", &p->group);
		p->read = true;
	}
	if (place_owner(item->owner, str_c(&p->passwd), str_c(&p->group), &e->uid, &e->gid) < 0) {
		error_set(err, ERROR_MANIFEST, "image '%s' knows no owner '%s'", req->image,
			item->owner);
		return error_hint(err, "write the numbers: owner: \"999:999\"");
	}
	return 0;
}

static int add(struct placing *p, const struct place_item *item, struct error *err)
{
	const char *mode = item->mode ? item->mode : item->folder ? DEFAULT_DIR : DEFAULT_FILE;
	struct tar_entry e = {
		.path = item->path,
		.size = item->data.len,
		.mode = (mode_t)strtoul(mode, NULL, 8) | (item->folder ? S_IFDIR : S_IFREG),
		.mtime = clock_wall_ms() / 1000,
	};
	if (owner_of(p, item, &e, err) < 0) {
		return error_wrap(err, "'%s'", item->path);
	}
	tar_header(&p->tar, &e);
	if (!item->folder) {
		static const char zeroes[TAR_BLOCK];
		str_addn(&p->tar, str_c(&item->data), item->data.len);
		str_addn(&p->tar, zeroes, tar_padding(item->data.len));
	}
	return 0;
}

static ssize_t read_tar(void *ctx, void *buf, size_t n, struct error *err)
{
	struct placing *p = ctx;
	size_t left = p->tar.len - p->sent;
	(void)err;
	n = n < left ? n : left;
	memcpy(buf, str_c(&p->tar) + p->sent, n);
	p->sent += n;
	return (ssize_t)n;
}

/* Makes the folder; *there says which of the items are. */
static int prepare(const struct place_request *req, bool *there, struct error *err)
{
	if (host_files(req->host, err) < 0) {
		return -1;
	}
	struct sftp_batch *b = sftp_batch_new(req->host->sftp);
	struct sftp_op **stats = xcalloc(req->items->len + 1, sizeof(*stats));
	VEC_FOREACH (req->items, i) {
		CLEANUP_FREE char *path = xasprintf("%s/%s", req->folder, req->items->p[i].path);
		CLEANUP_FREE char *parent = xstrndup(path, (size_t)(strrchr(path, '/') - path));
		sftp_mkdirs(b, parent, 0700);
	}
	int result = sftp_run(b, TIMEOUT_MS, err);
	if (result == 0) {
		result = sftp_check(b, err);
	}
	VEC_FOREACH (req->items, i) {
		CLEANUP_FREE char *path = xasprintf("%s/%s", req->folder, req->items->p[i].path);
		stats[i] = sftp_stat(b, path);
	}
	result = result == 0 ? sftp_run(b, TIMEOUT_MS, err) : -1;
	VEC_FOREACH (req->items, i) {
		there[i] = stats[i]->status == SFTP_OK;
	}
	free(stats);
	sftp_batch_free(b);
	return result;
}

static int make_container(const struct place_request *req, struct error *err)
{
	CLEANUP_DOCKER_SPEC struct docker_container_spec spec = {
		.name = xstrdup(req->name),
		.image = xstrdup(req->image),
		.network = xstrdup("none"),
		.restart = xstrdup("no"),
	};
	strvec_push(&spec.cmd, "true"); /* not run; Docker wants one */
	strvec_pushf(&spec.binds, "%s:%s", req->folder, MOUNT);
	strmap_copy(&spec.labels, req->labels);
	return docker_container_create(req->host->docker, &spec, NULL, err);
}

static int unpack(struct placing *p, const bool *there, struct error *err)
{
	const struct place_request *req = p->req;
	size_t n = 0;
	VEC_FOREACH (req->items, i) {
		const struct place_item *item = &req->items->p[i];
		/* The program in the container has made such a folder its own. */
		if (item->folder && there[i] && !item->owner && !item->mode) {
			continue;
		}
		if (add(p, item, err) < 0) {
			return -1;
		}
		n++;
	}
	tar_end(&p->tar);
	if (p->tar.overflow) {
		return error_set(
			err, ERROR_MANIFEST, "the files are larger than %zu MiB", TAR_MAX >> 20);
	}
	struct http_source source = {read_tar, p, (int64_t)p->tar.len};
	return n == 0 ? 0
		      : docker_container_archive_put(
				req->host->docker, req->name, MOUNT, &source, err);
}

int place_items(const struct place_request *req, struct error *err)
{
	struct placing p = {.req = req,
		.passwd = STR_INIT(PASSWD_MAX),
		.group = STR_INIT(PASSWD_MAX),
		.tar = STR_SECRET_INIT(TAR_MAX)};
	struct error ignored = {0};
	if (req->items->len == 0) {
		return 0;
	}
	bool *there = xcalloc(req->items->len, sizeof(*there));
	int result = prepare(req, there, err);
	if (result == 0) {
		result = make_container(req, err);
	}
	if (result == 0) {
		result = unpack(&p, there, err);
		cancel_shield_begin();
		if (docker_container_remove(req->host->docker, req->name, true, true, &ignored) <
			0) {
			ui_warn(req->host->ui, req->host->name, "%s", ignored.text);
		}
		cancel_shield_end();
	}
	free(there);
	str_fini(&p.passwd);
	str_fini(&p.group);
	str_fini(&p.tar);
	return result < 0 ? error_wrap(err, "place its files") : 0;
}
