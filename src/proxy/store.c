/* SPDX-License-Identifier: MIT */
#include "proxy/store.h"
#include "internal.h"

#include "docker/container.h"

#include <string.h>
#include <sys/stat.h>

#define FILE_MAX    ((size_t)1 << 20)
#define FILES_MAX   10000
#define ENTRIES_MAX 10000 /* in one folder */

static int open_store(struct host *h, const char *driver, struct proxy **out, struct error *err)
{
	struct proxy_config pc = {.driver = driver};
	struct proxy *p = proxy_new(h, &pc, "deploy", NULL, err);
	if (p && !p->driver->store) {
		proxy_close(p);
		return error_set(err, ERROR_USAGE,
			"the %s driver gets no certificates by itself: they are in the secrets",
			driver);
	}
	*out = p;
	return p ? 0 : -1;
}

static char *data_path(const struct proxy *p, const char *path)
{
	CLEANUP_FREE char *relative = xasprintf("data/%s", path);
	return proxy_path(p, relative);
}

/* All at once. */
static int take_files(
	struct proxy *p, const struct strvec *paths, struct secret_map *files, struct error *err)
{
	struct sftp_batch *b = sftp_batch_new(p->host->sftp);
	struct sftp_op **ops = xcalloc(paths->len + 1, sizeof(struct sftp_op *));
	int rc = 0;
	if (files->len + paths->len > FILES_MAX) {
		rc = error_set(
			err, ERROR_REMOTE, "'%s' holds more than %d files", p->root, FILES_MAX);
	}
	VEC_FOREACH (paths, i) {
		CLEANUP_FREE char *full = data_path(p, paths->p[i]);
		ops[i] = sftp_read(b, full, FILE_MAX);
	}
	if (rc == 0) {
		rc = sftp_run(b, PROXY_TIMEOUT_MS, err) < 0 || sftp_check(b, err) < 0 ? -1 : 0;
	}
	for (size_t i = 0; rc == 0 && i < paths->len; i++) {
		secret_map_set(
			files, paths->p[i], secret_new(str_c(&ops[i]->data), ops[i]->data.len));
		explicit_bzero(ops[i]->data.p, ops[i]->data.len);
	}
	free(ops);
	sftp_batch_free(b);
	return rc;
}

/* The folder's files into `files`, its folders into `todo`. */
static int take_folder(struct proxy *p, const char *path, struct strvec *todo,
	struct secret_map *files, struct error *err)
{
	CLEANUP_FREE char *full = data_path(p, path);
	CLEANUP_STRVEC struct strvec here = {0};
	struct sftp_batch *b = sftp_batch_new(p->host->sftp);
	struct sftp_op *op = sftp_list(b, full, ENTRIES_MAX);
	int rc = sftp_run(b, PROXY_TIMEOUT_MS, err) < 0 || sftp_check(b, err) < 0 ? -1 : 0;
	for (size_t i = 0; rc == 0 && i < op->entries.len; i++) {
		const struct sftp_entry *e = &op->entries.p[i];
		CLEANUP_FREE char *below = xasprintf("%s/%s", path, e->name);
		if (S_ISDIR(e->attrs.mode)) {
			strvec_push(todo, below);
		} else if (S_ISREG(e->attrs.mode)) {
			strvec_push(&here, below);
		}
	}
	sftp_batch_free(b);
	return rc < 0 || here.len == 0 ? rc : take_files(p, &here, files, err);
}

static int take_all(struct proxy *p, struct secret_map *files, struct error *err)
{
	CLEANUP_STRVEC struct strvec todo = {0}, top = {0};
	int rc = 0;
	for (const char *const *s = p->driver->store; rc == 0 && *s; s++) {
		CLEANUP_FREE char *full = data_path(p, *s);
		struct sftp_batch *b = sftp_batch_new(p->host->sftp);
		const struct sftp_op *op = sftp_stat(b, full);
		rc = sftp_run(b, PROXY_TIMEOUT_MS, err);
		if (rc == 0 && op->status == SFTP_OK && S_ISDIR(op->attrs.mode)) {
			strvec_push(&todo, *s);
		} else if (rc == 0 && op->status == SFTP_OK && op->attrs.size > 0) {
			strvec_push(&top, *s);
		}
		sftp_batch_free(b);
	}
	if (rc == 0 && top.len > 0) {
		rc = take_files(p, &top, files, err);
	}
	for (size_t i = 0; rc == 0 && i < todo.len; i++) {
		CLEANUP_FREE char *path = xstrdup(todo.p[i]);
		rc = take_folder(p, path, &todo, files, err);
	}
	return rc;
}

int proxy_store_read(
	struct host *h, const char *driver, struct secret_map *files, struct error *err)
{
	struct proxy *p = NULL;
	int rc = open_store(h, driver, &p, err);
	if (rc == 0) {
		rc = take_all(p, files, err);
	}
	proxy_close(p);
	return rc < 0 ? host_error(h, err) : 0;
}

/* Below one of the driver's, and nowhere else. */
static bool is_of_store(const struct proxy *p, const char *path)
{
	CLEANUP_FREE char *framed = xasprintf("/%s/", path);
	if (strstr(framed, "/../") || strstr(framed, "/./") || strstr(framed, "//")) {
		return false;
	}
	for (const char *const *s = p->driver->store; *s; s++) {
		size_t n = strlen(*s);
		if (strncmp(path, *s, n) == 0 && (path[n] == '\0' || path[n] == '/')) {
			return true;
		}
	}
	return false;
}

static int check_stopped(struct proxy *p, struct error *err)
{
	struct docker_container c = {0};
	int rc = docker_container_inspect(p->host->docker, p->container, &c, err);
	if (rc < 0 && err->status == 404) {
		*err = (struct error){0};
		return 0;
	}
	if (rc == 0 && c.running) {
		rc = error_set(err, ERROR_USAGE, "the proxy runs, and would not see them");
		(void)error_hint(
			err, "deploy proxy remove; deploy proxy restore ...; deploy proxy boot");
	}
	docker_container_fini(&c);
	return rc;
}

static int put_all(struct proxy *p, const struct secret_map *files, struct error *err)
{
	struct sftp_batch *b = sftp_batch_new(p->host->sftp);
	for (size_t i = 0; i < files->len; i++) {
		CLEANUP_FREE char *full = data_path(p, files->p[i].name);
		CLEANUP_FREE char *folder = xstrdup(full);
		*strrchr(folder, '/') = '\0';
		sftp_mkdirs(b, folder, 0700);
		sftp_write(b, full, secret_reveal(files->p[i].value), secret_len(files->p[i].value),
			0600);
	}
	int rc = sftp_run(b, 4 * PROXY_TIMEOUT_MS, err) < 0 || sftp_check(b, err) < 0 ? -1 : 0;
	sftp_batch_free(b);
	return rc;
}

int proxy_store_write(
	struct host *h, const char *driver, const struct secret_map *files, struct error *err)
{
	struct proxy *p = NULL;
	int rc = open_store(h, driver, &p, err);
	for (size_t i = 0; rc == 0 && i < files->len; i++) {
		if (!is_of_store(p, files->p[i].name)) {
			rc = error_set(err, ERROR_USAGE, "'%s' is no file of a certificate store",
				files->p[i].name);
		}
	}
	if (rc == 0) {
		rc = check_stopped(p, err);
	}
	if (rc == 0) {
		rc = put_all(p, files, err);
	}
	proxy_close(p);
	return rc < 0 ? host_error(h, err) : 0;
}
