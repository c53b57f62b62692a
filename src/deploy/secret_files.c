/* SPDX-License-Identifier: MIT */
/*
 * Secrets as files in a container: put there between its creation and its start, readable by its
 * user only.  They lie in the container's own writable layer, so that a restart and a rollback find
 * them as they were; where that layer cannot be written (a read-only root), or would be hidden (a
 * tmpfs), in an anonymous volume at the file's folder, which goes with the container.
 */
#include "deploy/container.h"
#include "image/tar.h"
#include "internal.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define MODE       0400
#define MAX_TAR    ((size_t)4 << 20)
#define MAX_PASSWD ((size_t)1 << 20)

#define READ_TIMEOUT_MS 60000

static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == path ? xstrdup("/") : xstrndup(path, (size_t)(slash - path));
}

/* Is `path` the folder `at`, or below it? */
static bool is_below(const char *path, const char *at)
{
	size_t n = strlen(at);

	while (n > 0 && at[n - 1] == '/') {
		n--;
	}
	return strncmp(path, at, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* -- What the container must have for them -- */

/* The volume or folder of the server that `path` would be in, or NULL; the caller frees. */
static char *shared_at(const struct docker_container_spec *spec, const char *path)
{
	VEC_FOREACH (&spec->binds, i) {
		const char *colon = strchr(spec->binds.p[i], ':');
		const char *target = colon != NULL ? colon + 1 : spec->binds.p[i];
		CLEANUP_FREE char *at = xstrndup(target, strcspn(target, ":"));
		if (is_below(path, at)) {
			return xstrdup(at);
		}
	}
	VEC_FOREACH (&spec->mounts, i) {
		const struct docker_mount *m = &spec->mounts.p[i];
		if (m->type != DOCKER_MOUNT_TMPFS && m->source != NULL &&
			is_below(path, m->target)) {
			return xstrdup(m->target);
		}
	}
	return NULL;
}

/* The tmpfs that would hide `path`, or NULL. */
static const char *tmpfs_at(const struct docker_container_spec *spec, const char *path)
{
	for (size_t i = 0; i < spec->tmpfs.len; i++) {
		if (is_below(path, spec->tmpfs.p[i].key)) {
			return spec->tmpfs.p[i].key;
		}
	}
	VEC_FOREACH (&spec->mounts, i) {
		const struct docker_mount *m = &spec->mounts.p[i];
		if (m->type == DOCKER_MOUNT_TMPFS && is_below(path, m->target)) {
			return m->target;
		}
	}
	return NULL;
}

static void add_volume(struct docker_container_spec *spec, const char *folder)
{
	VEC_FOREACH (&spec->mounts, i) {
		if (str_eq(spec->mounts.p[i].target, folder)) {
			return;
		}
	}
	struct docker_mount mount = {.type = DOCKER_MOUNT_VOLUME, .target = xstrdup(folder)};
	vec_push(&spec->mounts, mount);
}

static int prepare_one(
	const struct config_secret_file *f, struct docker_container_spec *spec, struct error *err)
{
	CLEANUP_FREE char *folder = folder_of(f->path);
	CLEANUP_FREE char *shared = shared_at(spec, f->path);
	const char *tmpfs = tmpfs_at(spec, f->path);

	if (strchr(f->path, ':') != NULL || str_ends(f->path, "/")) {
		return error_set(
			err, ERROR_MANIFEST, "secret_files: '%s' is no path of a file", f->path);
	}
	if (shared != NULL) {
		error_set(err, ERROR_MANIFEST,
			"secret_files: '%s' would be in the volume at '%s', which releases share",
			f->path, shared);
		return error_hint(err, "give it a folder outside of the volumes");
	}
	if (tmpfs == NULL && !spec->read_only) {
		return 0;
	}
	if (strchr(folder + 1, '/') == NULL || (tmpfs != NULL && is_below(tmpfs, folder))) {
		error_set(err, ERROR_MANIFEST, "secret_files: '%s' cannot be written into %s",
			f->path, tmpfs != NULL ? "a tmpfs" : "a read-only root");
		return error_hint(err, "give it a folder of its own, like /run/secrets/%s",
			strrchr(f->path, '/') + 1);
	}
	add_volume(spec, folder);
	return 0;
}

int secret_files_prepare(
	const struct config *c, struct docker_container_spec *spec, struct error *err)
{
	const struct config_secret_files *files = &c->secret_files;
	CLEANUP_STR struct str label = STR_INIT(STR_MAX_LINE);

	VEC_FOREACH (files, i) {
		if (prepare_one(&files->p[i], spec, err) < 0) {
			const struct config_mark *mark = &files->p[i].mark;
			return error_wrap(err, "%s:%d:%d", mark->file, mark->line, mark->column);
		}
		str_addf(&label, "%s%s", i > 0 ? ":" : "", files->p[i].path);
	}
	if (files->len > 0) {
		strmap_set(&spec->labels, LABEL_SECRET_FILES, str_c(&label));
	}
	return 0;
}

/* -- Into a container -- */

struct memory {
	const char *p;
	size_t left;
};

static ssize_t read_memory(void *ctx, void *buf, size_t n, struct error *err)
{
	struct memory *m = ctx;
	size_t take = n < m->left ? n : m->left;

	memcpy(buf, m->p, take);
	m->p += take;
	m->left -= take;
	return (ssize_t)take;
}

static bool has_volume(const struct docker_container *c, const char *folder)
{
	VEC_FOREACH (&c->mounts, i) {
		if (c->mounts.p[i].type == DOCKER_MOUNT_VOLUME &&
			str_eq(c->mounts.p[i].target, folder)) {
			return true;
		}
	}
	return false;
}

/* Docker makes the folders that are not there (root's, 0755), and takes no write to "/" when the
 * root is read-only. */
static int put(struct docker *docker, const struct docker_container *c, const char *path, long uid,
	const char *bytes, size_t len, struct error *err)
{
	CLEANUP_STR struct str tar = STR_SECRET_INIT(MAX_TAR);
	CLEANUP_FREE char *folder = folder_of(path);
	bool volume = has_volume(c, folder);
	struct tar_entry entry = {.path = volume ? strrchr(path, '/') + 1 : path + 1,
		.size = len,
		.mode = S_IFREG | MODE,
		.mtime = time(NULL),
		.uid = (uint32_t)uid};
	static const char zeroes[TAR_BLOCK];

	tar_header(&tar, &entry);
	str_addn(&tar, bytes, len);
	str_addn(&tar, zeroes, tar_padding(len));
	tar_end(&tar);
	if (tar.overflow) {
		return error_set(err, ERROR_MANIFEST, "secret file '%s' is too large", path);
	}
	struct memory memory = {.p = tar.p, .left = tar.len};
	struct http_source source = {
		.read = read_memory, .ctx = &memory, .length = (int64_t)tar.len};
	return docker_container_archive_put(docker, c->id, volume ? folder : "/", &source, err);
}

/* -- Out of a container -- */

/* The first regular file of a tar. */
static int first_file(const struct str *tar, struct str *out, long *uid)
{
	struct archive *a = archive_read_new();
	struct archive_entry *e = NULL;
	char buf[16384];
	la_ssize_t n = -1;

	archive_read_support_format_tar(a);
	int rc = archive_read_open_memory(a, tar->p, tar->len);
	do {
		rc = rc == ARCHIVE_OK ? archive_read_next_header(a, &e) : rc;
	} while (rc == ARCHIVE_OK && archive_entry_filetype(e) != AE_IFREG);
	if (rc == ARCHIVE_OK) {
		*uid = (long)archive_entry_uid(e);
		while ((n = archive_read_data(a, buf, sizeof(buf))) > 0) {
			str_addn(out, buf, (size_t)n);
		}
	}
	archive_read_free(a);
	explicit_bzero(buf, sizeof(buf));
	return n == 0 && !out->overflow ? 0 : -1;
}

/* A file of the container as tar. */
static int get(
	struct docker *docker, const char *id, const char *path, struct str *tar, struct error *err)
{
	CLEANUP_DOCKER_STREAM struct docker_stream *s =
		docker_container_archive_get(docker, id, path, err);
	char buf[16384];
	ssize_t n = s != NULL ? 1 : -1;

	while (n > 0 && !tar->overflow) {
		n = docker_stream_read(s, buf, sizeof(buf), READ_TIMEOUT_MS, err);
		if (n > 0) {
			str_addn(tar, buf, (size_t)n);
		}
	}
	explicit_bzero(buf, sizeof(buf));
	if (n == DOCKER_AGAIN) {
		return error_set(err, ERROR_REMOTE, "'%s' did not come within %d s", path,
			READ_TIMEOUT_MS / 1000);
	}
	return n < 0 ? -1 : 0;
}

/* -- Whose they are -- */

/* The number of a user by /etc/passwd's text; 0 when it is not there. */
static long find_user(const char *text, size_t len, const char *name, size_t name_len)
{
	const char *end = text + len;

	for (const char *line = text; line < end;) {
		const char *newline = memchr(line, '\n', (size_t)(end - line));
		CLEANUP_FREE char *copy =
			xstrndup(line, (size_t)((newline != NULL ? newline : end) - line));
		const char *password = strchr(copy, ':');
		const char *uid = password != NULL ? strchr(password + 1, ':') : NULL;
		if (uid != NULL && (size_t)(password - copy) == name_len &&
			strncmp(copy, name, name_len) == 0) {
			return strtol(uid + 1, NULL, 10);
		}
		line = newline != NULL ? newline + 1 : end;
	}
	return 0;
}

/*
 * The number of "USER[:GROUP]", which may be a name of the image.  A name that it does not know is
 * taken for root: Docker does not start such a container, and says why.
 */
static int find_uid(
	struct docker *docker, const struct docker_container *c, long *uid, struct error *err)
{
	const char *user = c->user != NULL ? c->user : "";
	size_t n = strcspn(user, ":");
	CLEANUP_STR struct str tar = STR_INIT(MAX_PASSWD);
	CLEANUP_STR struct str text = STR_INIT(MAX_PASSWD);
	long ignored;

	*uid = 0;
	if (n == 0 || strspn(user, "0123456789") == n) {
		*uid = strtol(user, NULL, 10);
		return 0;
	}
	struct error none = {0};
	if (get(docker, c->id, "/etc/passwd", &tar, &none) < 0) {
		if (none.status == 404) {
			return 0;
		}
		*err = none;
		return -1;
	}
	if (first_file(&tar, &text, &ignored) == 0) {
		*uid = find_user(str_c(&text), text.len, user, n);
	}
	return 0;
}

int secret_files_deliver(
	struct deployment *d, struct docker *docker, const char *id, struct error *err)
{
	const struct config_secret_files *files = &d->config->secret_files;
	struct docker_container c = {0};
	long uid = 0;

	if (files->len == 0) {
		return 0;
	}
	int rc = docker_container_inspect(docker, id, &c, err);
	if (rc == 0) {
		rc = find_uid(docker, &c, &uid, err);
	}
	VEC_FOREACH (files, i) {
		const struct secret *value = secret_map_get(&d->secrets, files->p[i].from);
		if (rc == 0 && value == NULL) {
			rc = error_set(
				err, ERROR_MANIFEST, "secret '%s' is not set", files->p[i].from);
		}
		if (rc == 0) {
			rc = put(docker, &c, files->p[i].path, uid, secret_reveal(value),
				secret_len(value), err);
		}
	}
	docker_container_fini(&c);
	return rc;
}

static int copy_one(struct docker *docker, const char *from, struct docker *to_docker,
	const struct docker_container *to, const char *path, struct error *err)
{
	CLEANUP_STR struct str tar = STR_SECRET_INIT(MAX_TAR);
	CLEANUP_STR struct str bytes = STR_SECRET_INIT(MAX_TAR);
	long uid = 0;

	if (get(docker, from, path, &tar, err) < 0) {
		return -1;
	}
	if (first_file(&tar, &bytes, &uid) < 0) {
		return error_set(
			err, ERROR_REMOTE, "'%s' in container '%s' is no file", path, from);
	}
	return put(to_docker, to, path, uid, str_c(&bytes), bytes.len, err);
}

int secret_files_copy(struct docker *docker, const struct docker_container *from,
	struct docker *to_docker, const char *to, struct error *err)
{
	const char *paths = strmap_get(&from->labels, LABEL_SECRET_FILES);
	struct docker_container c = {0};

	if (paths == NULL || *paths == '\0') {
		return 0;
	}
	int rc = docker_container_inspect(to_docker, to, &c, err);
	while (rc == 0 && *paths != '\0') {
		size_t n = strcspn(paths, ":");
		CLEANUP_FREE char *path = xstrndup(paths, n);
		rc = copy_one(docker, from->id, to_docker, &c, path, err);
		paths += n + (paths[n] == ':');
	}
	docker_container_fini(&c);
	return rc;
}
