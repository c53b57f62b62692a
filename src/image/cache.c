/* SPDX-License-Identifier: MIT */
#include "cache.h"

#include "util/digest.h"
#include "util/fs.h"
#include "util/json.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TEMP_PREFIX  ".tmp-"
#define TEMP_AGE_S   (24 * 3600) /* a temporary file this old has no writer any more */
#define RECORDS_MAX  2000        /* files in configs/ and in images/ each */
#define CONFIG_BYTES ((size_t)8 << 20)
#define MAX_LAYERS   1024

struct found {
	char *name;
	uint64_t size;
	struct timespec used;
};
VEC_TYPE(found_vec, struct found);

/* 64 hexadecimal digits of "sha256:<hex>"; NULL for anything else: no name leaves its folder. */
static const char *hex_of(const char *id)
{
	const char *hex = str_starts(id, "sha256:") ? id + strlen("sha256:") : id;

	return strlen(hex) == 64 && strspn(hex, "0123456789abcdef") == 64 ? hex : NULL;
}

static char *path_of(const struct cache *c, const char *folder, const char *id)
{
	const char *hex = hex_of(id);

	return c->dir && hex ? xasprintf("%s/%s/%s", c->dir, folder, hex) : NULL;
}

void cache_init(struct cache *c, const char *dir, uint64_t max)
{
	static const char *const folders[] = {"layers", "configs", "images"};
	struct error ignored = {0};

	c->max = max;
	c->dir = dir ? xstrdup(dir) : fs_cache_dir();
	for (size_t i = 0; c->dir && i < 3; i++) {
		CLEANUP_FREE char *path = fs_join(c->dir, folders[i]);
		if (fs_mkdirs(path, 0700, &ignored) != 0 || access(path, W_OK | X_OK) != 0) {
			free(c->dir);
			c->dir = NULL;
		}
	}
}

void cache_fini(struct cache *c)
{
	free(c->dir);
	c->dir = NULL;
}

int cache_open_layer(const struct cache *c, const char *diff_id, uint64_t *size)
{
	CLEANUP_FREE char *path = path_of(c, "layers", diff_id);
	CLEANUP_FD int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		return -1;
	}
	(void)utimensat(AT_FDCWD, path, NULL, 0);
	*size = (uint64_t)st.st_size;
	return take_fd(&fd);
}

void cache_drop_layer(const struct cache *c, const char *diff_id)
{
	CLEANUP_FREE char *path = path_of(c, "layers", diff_id);

	if (path) {
		(void)unlink(path);
	}
}

int cache_create(const struct cache *c, struct cache_file *f, struct error *err)
{
	const char *tmp = getenv("TMPDIR");
	char random[33];

	f->path = NULL;
	digest_random_hex(16, random);
	if (c->dir) {
		f->path = xasprintf("%s/layers/" TEMP_PREFIX "%s", c->dir, random);
	} else {
		f->path = xasprintf("%s/deploy-%s", tmp && *tmp ? tmp : "/tmp", random);
	}
	f->fd = open(f->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (f->fd < 0) {
		error_sys(err, ERROR_INTERNAL, errno, "create '%s'", f->path);
	}
	if (f->fd < 0 || !c->dir) {
		if (f->fd >= 0) {
			(void)unlink(f->path);
		}
		free(f->path);
		f->path = NULL;
	}
	return f->fd < 0 ? -1 : 0;
}

static int by_use(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	if (x->used.tv_sec != y->used.tv_sec) {
		return x->used.tv_sec < y->used.tv_sec ? -1 : 1;
	}
	return x->used.tv_nsec < y->used.tv_nsec ? -1 : x->used.tv_nsec > y->used.tv_nsec;
}

/* Removes the least recently used files until the folder keeps to both limits. */
static void trim(const struct cache *c, const char *folder, uint64_t max_bytes, size_t max_files)
{
	CLEANUP_FREE char *path = fs_join(c->dir, folder);
	DIR *dir = opendir(path);
	struct found_vec all = {0};
	uint64_t total = 0;
	struct dirent *e;

	/* One at a time; whoever comes second leaves the work to the first. */
	if (!dir || flock(dirfd(dir), LOCK_EX | LOCK_NB) != 0) {
		if (dir) {
			closedir(dir);
		}
		return;
	}
	while ((e = readdir(dir))) {
		struct found f = {0};
		struct stat st;
		if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
			!S_ISREG(st.st_mode)) {
			continue;
		}
		if (str_starts(e->d_name, TEMP_PREFIX)) {
			if (st.st_mtime < time(NULL) - TEMP_AGE_S) {
				(void)unlinkat(dirfd(dir), e->d_name, 0);
			}
			continue;
		}
		f.name = xstrdup(e->d_name);
		f.size = (uint64_t)st.st_size;
		f.used = st.st_mtim;
		total += f.size;
		vec_push(&all, f);
	}
	if (all.len) {
		qsort(all.p, all.len, sizeof(all.p[0]), by_use);
	}
	VEC_FOREACH (&all, i) {
		if (total > max_bytes || all.len - i > max_files) {
			(void)unlinkat(dirfd(dir), all.p[i].name, 0);
			total -= all.p[i].size;
		}
		free(all.p[i].name);
	}
	vec_fini(&all);
	closedir(dir);
}

void cache_commit(const struct cache *c, struct cache_file *f, const char *diff_id)
{
	CLEANUP_FREE char *path = f->path ? path_of(c, "layers", diff_id) : NULL;

	if (f->path && (!path || rename(f->path, path) != 0)) {
		(void)unlink(f->path);
	}
	free(f->path);
	f->path = NULL;
	if (path) {
		trim(c, "layers", c->max, SIZE_MAX);
	}
}

void cache_discard(struct cache_file *f)
{
	if (f->fd > 0) {
		close(f->fd);
	}
	if (f->path) {
		(void)unlink(f->path);
	}
	free(f->path);
	*f = (struct cache_file){.fd = -1};
}

static bool read_record(const struct cache *c, const char *folder, const char *id, struct str *out)
{
	CLEANUP_FREE char *path = path_of(c, folder, id);
	struct error ignored = {0};

	if (!path || !fs_exists(path) || fs_read(path, out, &ignored) != 0) {
		return false;
	}
	(void)utimensat(AT_FDCWD, path, NULL, 0);
	return true;
}

static void write_record(
	const struct cache *c, const char *folder, const char *id, const void *data, size_t len)
{
	CLEANUP_FREE char *path = path_of(c, folder, id);
	struct error ignored = {0};

	if (path && fs_write_atomic(path, data, len, 0600, &ignored) == 0) {
		trim(c, folder, UINT64_MAX, RECORDS_MAX);
	}
}

bool cache_read_config(const struct cache *c, const char *image_id, struct str *out)
{
	str_init(out, CONFIG_BYTES);
	return read_record(c, "configs", image_id, out);
}

void cache_write_config(const struct cache *c, const char *image_id, const void *bytes, size_t len)
{
	write_record(c, "configs", image_id, bytes, len);
}

bool cache_read_image(const struct cache *c, const char *image_id, struct cache_image *out)
{
	CLEANUP_STR struct str text = STR_INIT(CONFIG_BYTES);
	CLEANUP_JSON json_t *json = NULL;
	struct error ignored = {0};
	json_t *layers, *sizes;
	size_t n;

	*out = (struct cache_image){0};
	if (!read_record(c, "images", image_id, &text)) {
		return false;
	}
	json = json_parse(str_c(&text), text.len, "cache", &ignored);
	layers = json_object_get(json, "layers");
	sizes = json_object_get(json, "sizes");
	n = json_array_size(layers);
	if (!n || n > MAX_LAYERS || json_array_size(sizes) != n) {
		return false;
	}
	out->sizes = xcalloc(n, sizeof(*out->sizes));
	for (size_t i = 0; i < n; i++) {
		const char *id = json_string_value(json_array_get(layers, i));
		if (!id || !hex_of(id)) {
			cache_image_fini(out);
			return false;
		}
		strvec_push(&out->layers, id);
		out->sizes[i] = json_integer_value(json_array_get(sizes, i));
	}
	return true;
}

void cache_write_image(const struct cache *c, const char *image_id, const struct strvec *layers,
	const int64_t *sizes)
{
	CLEANUP_JSON json_t *json = json_pack("{s:[],s:[]}", "layers", "sizes");
	CLEANUP_FREE char *text = NULL;

	if (!c->dir || !layers->len || layers->len > MAX_LAYERS) {
		return;
	}
	VEC_FOREACH (layers, i) {
		json_array_append_new(json_object_get(json, "layers"), json_string(layers->p[i]));
		json_array_append_new(
			json_object_get(json, "sizes"), json_integer(sizes ? sizes[i] : -1));
	}
	text = json_text(json);
	write_record(c, "images", image_id, text, strlen(text));
}

void cache_image_fini(struct cache_image *i)
{
	strvec_fini(&i->layers);
	free(i->sizes);
	i->sizes = NULL;
}
