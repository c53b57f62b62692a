/* SPDX-License-Identifier: MIT */
#include "service/store.h"

#include "ssh/exec.h"
#include "util/cancel.h"
#include "util/clock.h"
#include "util/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TIMEOUT_MS  15000
#define STALL_MS    120000 /* a disk that takes nothing for so long */
#define CHECK_MS    3600000
#define INFO_MAX    ((size_t)64 << 10)
#define MAX_BACKUPS 10000
#define TMP_PREFIX  ".part-"
#define PIECE       ((size_t)64 << 10)

/* A file without a name, for what goes to a bucket or comes from it. */
static int spool(struct error *err)
{
	const char *dir = getenv("TMPDIR");
	CLEANUP_FREE char *path = xasprintf("%s/deploy-XXXXXX", dir && *dir ? dir : "/var/tmp");
	int fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0) {
		return error_sys(err, ERROR_INTERNAL, errno, "make '%s'", path);
	}
	(void)unlink(path);
	return fd;
}

static char *path_of(const struct store *s, const char *id, const char *end)
{
	return xasprintf("%s/%s%s", s->dir, id, end);
}

/* "what 'path'", quoted for the server's shell. */
static void add_word(struct str *command, const char *before, const char *path)
{
	str_add(command, before);
	ssh_quote(command, path);
}

static int by_time(const void *a, const void *b)
{
	const struct backup_info *x = a, *y = b;
	return x->time_ms != y->time_ms ? (x->time_ms < y->time_ms ? -1 : 1) : strcmp(x->id, y->id);
}

/* -- The folder -- */

/* Of an interrupted backup: not under its name yet, or data without their .json. */
static bool is_leftover(const char *name, const struct strvec *names)
{
	if (!str_ends(name, ".data")) {
		return str_starts(name, TMP_PREFIX);
	}
	CLEANUP_FREE char *json = xasprintf("%.*s.json", (int)(strlen(name) - 5), name);
	return !strvec_has(names, json);
}

static int prepare_server(const struct store *s, struct error *err)
{
	if (host_files(s->host, err) < 0) {
		return -1;
	}
	struct sftp_batch *b = sftp_batch_new(s->host->sftp);
	sftp_mkdirs(b, s->dir, 0700);
	sftp_barrier(b);
	sftp_chmod(b, s->dir, 0700);
	struct sftp_op *list = sftp_list(b, s->dir, 2 * MAX_BACKUPS);
	int result = sftp_run(b, TIMEOUT_MS, err);
	if (result == 0) {
		result = sftp_check(b, err);
	}
	CLEANUP_STRVEC struct strvec names = {0};
	for (size_t i = 0; result == 0 && i < list->entries.len; i++) {
		strvec_push(&names, list->entries.p[i].name);
	}
	VEC_FOREACH (&names, i) {
		CLEANUP_FREE char *path = fs_join(s->dir, names.p[i]);
		if (is_leftover(names.p[i], &names)) {
			sftp_remove(b, path);
		}
	}
	if (result == 0) {
		result = sftp_run(b, TIMEOUT_MS, err);
	}
	sftp_batch_free(b);
	return result;
}

static int prepare_here(const struct store *s, struct error *err)
{
	if (fs_mkdirs(s->dir, 0700, err) < 0) {
		return -1;
	}
	DIR *dir = opendir(s->dir);
	if (!dir) {
		return error_sys(err, ERROR_INTERNAL, errno, "open '%s'", s->dir);
	}
	CLEANUP_STRVEC struct strvec names = {0};
	for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
		strvec_push(&names, e->d_name);
	}
	VEC_FOREACH (&names, i) {
		if (is_leftover(names.p[i], &names)) {
			(void)unlinkat(dirfd(dir), names.p[i], 0);
		}
	}
	closedir(dir);
	return 0;
}

/* -- Writing -- */

struct store_writer {
	struct store store;
	char *tmp;         /* its path */
	struct ssh_exec x; /* a server: `cat` into it */
	int fd;            /* here: the file; a server: -1 */
	struct digest *sha;
	uint64_t size, given; /* bytes that lie there, bytes that were given */
	struct cipher_key key;
	struct cipher *cipher; /* NULL: as they are */
};

static int begin_cipher(struct store_writer *w, struct error *err)
{
	if (!w->store.key) {
		return 0;
	}
	if (cipher_key_make(&w->key, w->store.key, NULL, err) < 0) {
		return -1;
	}
	w->cipher = cipher_new(&w->key, true);
	return 0;
}

struct store_writer *store_begin(const struct store *s, const char *id, struct error *err)
{
	CLEANUP_STR struct str command = STR_INIT(STR_MAX_LINE);
	CLEANUP_FREE char *name = xasprintf("%s%s", TMP_PREFIX, id);
	if (!s->s3 && (s->host ? prepare_server(s, err) : prepare_here(s, err)) < 0) {
		return NULL;
	}
	struct store_writer *w = xcalloc(1, sizeof(*w));
	w->store = *s;
	w->tmp = fs_join(s->dir, name);
	w->sha = digest_new();
	w->fd = -1;
	int result = begin_cipher(w, err);
	if (result == 0 && s->host) {
		add_word(&command, "umask 077; cat > ", w->tmp);
		add_word(&command, " && sync ", w->tmp);
		add_word(&command, " && sha256sum < ", w->tmp);
		struct ssh_exec_request req = {.command = str_c(&command)};
		result = ssh_exec_start(s->host->ssh, &req, &w->x, err);
	} else if (result == 0 && s->s3) {
		w->fd = spool(err);
		result = w->fd < 0 ? -1 : 0;
	} else if (result == 0) {
		w->fd = open(w->tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		result = w->fd < 0 ? error_sys(err, ERROR_INTERNAL, errno, "make '%s'", w->tmp) : 0;
	}
	if (result < 0) {
		store_abort(w);
		return NULL;
	}
	return w;
}

uint64_t store_written(const struct store_writer *w)
{
	return w->given;
}

/* What `cat` said before it ended. */
static int why_not(struct store_writer *w, struct error *err)
{
	CLEANUP_STR struct str text = STR_INIT(STR_MAX_LINE);
	char buf[2048];
	ssize_t n;
	while (w->x.err_fd >= 0 && (n = read(w->x.err_fd, buf, sizeof(buf))) > 0) {
		str_addn(&text, buf, (size_t)n);
	}
	char *end = strpbrk(str_c(&text), "\r\n");
	return error_set(err, ERROR_REMOTE, "write the backup: %.*s",
		end ? (int)(end - str_c(&text)) : 400,
		text.len ? str_c(&text) : "the server has closed the file");
}

static int send_some(
	struct store_writer *w, const char *p, size_t len, size_t *sent, struct error *err)
{
	struct pollfd fds[2] = {
		{.fd = w->x.fd, .events = POLLOUT}, {.fd = cancel_fd(), .events = POLLIN}};
	int ready = poll(fds, 2, STALL_MS);
	if (cancel_check(err) < 0) {
		return -1;
	}
	if (ready == 0) {
		return error_set(err, ERROR_REMOTE, "write the backup: the server takes nothing");
	}
	ssize_t n = send(w->x.fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		return why_not(w, err);
	}
	*sent = n > 0 ? (size_t)n : 0;
	return 0;
}

static int put(struct store_writer *w, const void *data, size_t len, struct error *err)
{
	const char *p = data;
	digest_update(w->sha, data, len);
	w->size += len;
	if (!w->store.host) {
		return fd_write_all(w->fd, data, len) < 0
			       ? error_sys(err, ERROR_INTERNAL, errno, "write '%s'", w->tmp)
			       : 0;
	}
	for (size_t sent = 0; len > 0; p += sent, len -= sent) {
		if (send_some(w, p, len, &sent, err) < 0) {
			return -1;
		}
	}
	return 0;
}

int store_write(struct store_writer *w, const void *data, size_t len, struct error *err)
{
	unsigned char buf[PIECE + CIPHER_HEAD];
	const char *p = data;
	w->given += len;
	if (!w->cipher) {
		return put(w, data, len, err);
	}
	while (len > 0) {
		size_t some = len < PIECE ? len : PIECE, n;
		if (cipher_update(w->cipher, p, some, buf, &n, err) < 0 ||
			put(w, buf, n, err) < 0) {
			return -1;
		}
		p += some;
		len -= some;
	}
	return 0;
}

void store_abort(struct store_writer *w)
{
	struct error ignored = {0};
	if (!w) {
		return;
	}
	cancel_shield_begin();
	ssh_exec_fini(&w->x);
	if (w->fd >= 0) {
		close(w->fd);
	}
	if (w->store.host && w->store.host->sftp) {
		struct sftp_batch *b = sftp_batch_new(w->store.host->sftp);
		sftp_remove(b, w->tmp);
		(void)!sftp_run(b, TIMEOUT_MS, &ignored);
		sftp_batch_free(b);
	} else if (!w->store.host && !w->store.s3) {
		(void)unlink(w->tmp);
	}
	cancel_shield_end();
	cipher_free(w->cipher);
	cipher_key_fini(&w->key);
	digest_free(w->sha);
	free(w->tmp);
	free(w);
}

/* The server's own words for what lies on its disk now. */
static int finish_server(struct store_writer *w, const char *sha256, struct error *err)
{
	char sum[128] = "";
	size_t have = 0;
	int status = 0;
	shutdown(w->x.fd, SHUT_WR);
	for (;;) {
		struct pollfd fds[2] = {
			{.fd = w->x.fd, .events = POLLIN}, {.fd = cancel_fd(), .events = POLLIN}};
		if (poll(fds, 2, CHECK_MS) == 0) {
			return error_set(err, ERROR_REMOTE, "write the backup: no end in time");
		}
		if (cancel_check(err) < 0) {
			return -1;
		}
		ssize_t n = read(w->x.fd, sum + have, sizeof(sum) - 1 - have);
		if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
			continue;
		}
		if (n <= 0) {
			break;
		}
		have += (size_t)n;
	}
	if (ssh_exec_wait(&w->x, TIMEOUT_MS, &status, NULL, err) < 0) {
		return -1;
	}
	if (status != 0) {
		return why_not(w, err);
	}
	if (strncmp(sum, sha256, DIGEST_HEX_SIZE - 1) != 0) {
		return error_set(err, ERROR_REMOTE,
			"what the server has written is not what was sent: checksums differ");
	}
	return 0;
}

static int place_server(
	struct store_writer *w, const struct backup_info *info, const char *text, struct error *err)
{
	CLEANUP_FREE char *data = path_of(&w->store, info->id, ".data");
	CLEANUP_FREE char *json = path_of(&w->store, info->id, ".json");
	struct sftp_batch *b = sftp_batch_new(w->store.host->sftp);
	sftp_rename(b, w->tmp, data);
	sftp_barrier(b);
	sftp_write(b, json, text, strlen(text), 0600);
	int result = sftp_run(b, TIMEOUT_MS, err);
	if (result == 0) {
		result = sftp_check(b, err);
	}
	sftp_batch_free(b);
	return result;
}

static int place_here(
	struct store_writer *w, const struct backup_info *info, const char *text, struct error *err)
{
	CLEANUP_FREE char *data = path_of(&w->store, info->id, ".data");
	CLEANUP_FREE char *json = path_of(&w->store, info->id, ".json");
	if (fsync(w->fd) < 0 || rename(w->tmp, data) < 0) {
		return error_sys(err, ERROR_INTERNAL, errno, "write '%s'", data);
	}
	return fs_write_atomic(json, text, strlen(text), 0600, err);
}

static int place_s3(
	struct store_writer *w, const struct backup_info *info, const char *text, struct error *err)
{
	const struct s3 *s3 = w->store.s3;
	CLEANUP_FREE char *data = path_of(&w->store, info->id, ".data");
	CLEANUP_FREE char *json = path_of(&w->store, info->id, ".json");
	char sha256[DIGEST_HEX_SIZE];
	if (s3_put(s3, data, w->fd, w->size, info->sha256, err) < 0) {
		return -1;
	}
	CLEANUP_FD int fd = spool(err);
	digest_sha256_hex(text, strlen(text), sha256);
	if (fd < 0 || fd_write_all(fd, text, strlen(text)) < 0) {
		return fd < 0 ? -1 : error_sys(err, ERROR_INTERNAL, errno, "write a file");
	}
	return s3_put(s3, json, fd, strlen(text), sha256, err);
}

static void sign(const struct store_writer *w, struct backup_info *info)
{
	memcpy(info->salt, w->key.salt, sizeof(info->salt));
	memcpy(info->check, w->key.check, sizeof(info->check));
	CLEANUP_FREE char *text = backup_info_signed(info);
	cipher_mac(&w->key, text, info->mac);
}

int store_commit(struct store_writer *w, struct backup_info *info, struct error *err)
{
	info->size = w->size;
	digest_hex(w->sha, info->sha256);
	if (w->cipher) {
		sign(w, info);
	}
	CLEANUP_FREE char *text = backup_info_text(info);
	int result = w->store.host ? finish_server(w, info->sha256, err) : 0;
	if (result == 0) {
		result = w->store.s3     ? place_s3(w, info, text, err)
			 : w->store.host ? place_server(w, info, text, err)
					 : place_here(w, info, text, err);
	}
	store_abort(w); /* the name that it removes is gone when all is well */
	return result;
}

/* -- Reading -- */

static void take_info(struct backup_infos *out, const char *text, size_t len)
{
	struct backup_info info;
	if (backup_info_parse(text, len, &info) == 0) {
		vec_push(out, info);
	}
}

static int list_server(const struct store *s, struct backup_infos *out, struct error *err)
{
	if (host_files(s->host, err) < 0) {
		return -1;
	}
	struct sftp_batch *b = sftp_batch_new(s->host->sftp);
	struct sftp_op *list = sftp_list(b, s->dir, 2 * MAX_BACKUPS);
	int result = sftp_run(b, TIMEOUT_MS, err);
	if (result == 0 && list->status != SFTP_OK && list->status != SFTP_NOENT) {
		*err = list->error;
		result = -1;
	}
	VEC_TYPE(ops, struct sftp_op *) reads = {0};
	for (size_t i = 0; result == 0 && i < list->entries.len; i++) {
		CLEANUP_FREE char *path = fs_join(s->dir, list->entries.p[i].name);
		if (str_ends(path, ".json")) {
			vec_push(&reads, sftp_read(b, path, INFO_MAX));
		}
	}
	if (result == 0 && reads.len > 0) {
		result = sftp_run(b, TIMEOUT_MS, err);
	}
	for (size_t i = 0; result == 0 && i < reads.len; i++) {
		if (reads.p[i]->status == SFTP_OK) {
			take_info(out, str_c(&reads.p[i]->data), reads.p[i]->data.len);
		}
	}
	vec_fini(&reads);
	sftp_batch_free(b);
	return result;
}

static int list_here(const struct store *s, struct backup_infos *out, struct error *err)
{
	DIR *dir = opendir(s->dir);
	if (!dir) {
		return errno == ENOENT ? 0
				       : error_sys(err, ERROR_INTERNAL, errno, "open '%s'", s->dir);
	}
	for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
		CLEANUP_STR struct str text = STR_INIT(INFO_MAX);
		CLEANUP_FREE char *path = fs_join(s->dir, e->d_name);
		struct error ignored = {0};
		if (str_ends(path, ".json") && fs_read(path, &text, &ignored) == 0) {
			take_info(out, str_c(&text), text.len);
		}
	}
	closedir(dir);
	return 0;
}

static int list_s3(const struct store *s, struct backup_infos *out, struct error *err)
{
	CLEANUP_STRVEC struct strvec names = {0};
	CLEANUP_FREE char *prefix = xasprintf("%s/", s->dir);
	if (s3_list(s->s3, prefix, &names, err) < 0) {
		return -1;
	}
	VEC_FOREACH (&names, i) {
		CLEANUP_STR struct str text = STR_INIT(INFO_MAX);
		CLEANUP_FREE char *key = fs_join(s->dir, names.p[i]);
		if (!str_ends(key, ".json")) {
			continue;
		}
		if (s3_read(s->s3, key, &text, err) < 0) {
			return -1;
		}
		take_info(out, str_c(&text), text.len);
	}
	return 0;
}

int store_list(const struct store *s, struct backup_infos *out, struct error *err)
{
	int result = s->s3     ? list_s3(s, out, err)
		     : s->host ? list_server(s, out, err)
			       : list_here(s, out, err);
	if (out->len > 1) {
		qsort(out->p, out->len, sizeof(*out->p), by_time);
	}
	return result;
}

static int damaged(const struct backup_info *b, struct error *err)
{
	error_set(err, ERROR_REMOTE,
		"backup '%s' is damaged: its checksum is not the one that was written", b->id);
	return error_hint(err, "take another one (deploy accessory backups)");
}

/* The key of an encrypted one; that its .json file is the one that was written with it. */
static int open_key(
	const struct store *s, const struct backup_info *b, struct cipher_key *k, struct error *err)
{
	char mac[DIGEST_HEX_SIZE];
	if (!s->key) {
		error_set(err, ERROR_MANIFEST, "backup '%s' is encrypted", b->id);
		return error_hint(err, "give its key in the manifest: backup: {key: [NAME]}");
	}
	if (cipher_key_make(k, s->key, b->salt, err) < 0) {
		return -1;
	}
	if (!cipher_same(k->check, b->check)) {
		cipher_key_fini(k);
		return error_set(err, ERROR_MANIFEST,
			"the key is not the one that backup '%s' was encrypted with", b->id);
	}
	CLEANUP_FREE char *text = backup_info_signed(b);
	cipher_mac(k, text, mac);
	if (!cipher_same(mac, b->mac)) {
		cipher_key_fini(k);
		error_set(err, ERROR_REMOTE,
			"backup '%s' is damaged: it is not vouched for by its key", b->id);
		return error_hint(err, "take another one (deploy accessory backups)");
	}
	return 0;
}

static int check_server(const struct store *s, const struct backup_info *b, struct error *err)
{
	CLEANUP_STR struct str command = STR_INIT(STR_MAX_LINE);
	CLEANUP_STR struct str out = STR_INIT(STR_MAX_LINE);
	CLEANUP_STR struct str errout = STR_INIT(STR_MAX_LINE);
	CLEANUP_FREE char *data = path_of(s, b->id, ".data");
	int status = 0;
	add_word(&command, "sha256sum < ", data);
	if (ssh_run(s->host->ssh, str_c(&command), NULL, 0, &out, &errout, CHECK_MS, &status, err) <
		0) {
		return -1;
	}
	if (status != 0) {
		return error_set(
			err, ERROR_REMOTE, "read backup '%s': %.400s", b->id, str_c(&errout));
	}
	return strncmp(str_c(&out), b->sha256, DIGEST_HEX_SIZE - 1) == 0 ? 0 : damaged(b, err);
}

struct store_reader {
	const struct backup_info *info;
	struct ssh_exec x;
	int fd;
	struct digest *sha;
	uint64_t size;
	struct cipher *cipher; /* NULL: as they are */
};

static ssize_t read_raw(struct store_reader *r, void *buf, size_t n, struct error *err)
{
	for (;;) {
		struct pollfd fds[2] = {
			{.fd = r->fd, .events = POLLIN}, {.fd = cancel_fd(), .events = POLLIN}};
		if (poll(fds, 2, STALL_MS) == 0) {
			return error_set(err, ERROR_REMOTE, "read the backup: nothing comes");
		}
		if (cancel_check(err) < 0) {
			return -1;
		}
		ssize_t got = read(r->fd, buf, n);
		if (got < 0 && (errno == EINTR || errno == EAGAIN)) {
			continue;
		}
		if (got < 0) {
			return error_sys(err, ERROR_REMOTE, errno, "read the backup");
		}
		if (got > 0) {
			digest_update(r->sha, buf, (size_t)got);
			r->size += (uint64_t)got;
			return got;
		}
		char hex[DIGEST_HEX_SIZE];
		digest_hex(r->sha, hex);
		return r->size == r->info->size && strcmp(hex, r->info->sha256) == 0
			       ? 0
			       : damaged(r->info, err);
	}
}

static ssize_t read_some(void *ctx, void *buf, size_t n, struct error *err)
{
	struct store_reader *r = ctx;
	unsigned char sealed[PIECE];
	size_t len = 0;
	if (!r->cipher) {
		return read_raw(r, buf, n, err);
	}
	while (len == 0) { /* the head is no data */
		ssize_t got = read_raw(r, sealed, n < PIECE ? n : PIECE, err);
		if (got <= 0) {
			return got;
		}
		if (cipher_update(r->cipher, sealed, (size_t)got, buf, &len, err) < 0) {
			return -1;
		}
	}
	return (ssize_t)len;
}

/* Where it is encrypted: with the key, which vouches for what stands beside it. */
static int begin_reading(struct store_reader *r, const struct store *s, struct error *err)
{
	struct cipher_key key;
	if (!*r->info->salt) {
		return 0;
	}
	if (open_key(s, r->info, &key, err) < 0) {
		return -1;
	}
	r->cipher = cipher_new(&key, false);
	cipher_key_fini(&key);
	return 0;
}

struct store_reader *store_open(
	const struct store *s, const struct backup_info *b, struct error *err)
{
	struct store_reader *r = xcalloc(1, sizeof(*r));
	CLEANUP_FREE char *data = path_of(s, b->id, ".data");
	CLEANUP_STR struct str command = STR_INIT(STR_MAX_LINE);
	r->info = b;
	r->sha = digest_new();
	r->fd = -1;
	int result = begin_reading(r, s, err);
	if (result == 0 && s->host) {
		add_word(&command, "cat < ", data);
		struct ssh_exec_request req = {.command = str_c(&command)};
		result = ssh_exec_start(s->host->ssh, &req, &r->x, err);
		r->fd = result == 0 ? r->x.fd : -1;
	} else if (result == 0 && s->s3) {
		r->fd = spool(err);
		result = r->fd < 0 || s3_get(s->s3, data, r->fd, err) < 0 ? -1 : 0;
		(void)lseek(r->fd, 0, SEEK_SET);
	} else if (result == 0) {
		r->fd = open(data, O_RDONLY | O_CLOEXEC);
		result = r->fd < 0 ? error_sys(err, ERROR_INTERNAL, errno, "open '%s'", data) : 0;
	}
	if (result < 0) {
		store_close(r);
		return NULL;
	}
	return r;
}

struct http_source store_source(struct store_reader *r)
{
	return (struct http_source){read_some, r, -1};
}

void store_close(struct store_reader *r)
{
	if (!r) {
		return;
	}
	if (r->x.state) {
		ssh_exec_fini(&r->x);
	} else if (r->fd >= 0) {
		close(r->fd);
	}
	cipher_free(r->cipher);
	digest_free(r->sha);
	free(r);
}

int store_check(const struct store *s, const struct backup_info *b, struct error *err)
{
	char buf[32768];
	ssize_t n;
	if (s->host) {
		struct cipher_key key;
		if (*b->salt && open_key(s, b, &key, err) < 0) {
			return -1;
		}
		if (*b->salt) {
			cipher_key_fini(&key);
		}
		return check_server(s, b, err);
	}
	struct store_reader *r = store_open(s, b, err);
	if (!r) {
		return -1;
	}
	while ((n = read_some(r, buf, sizeof(buf), err)) > 0) {
	}
	store_close(r);
	return n < 0 ? -1 : 0;
}

int store_remove(const struct store *s, const struct backup_info *b, struct error *err)
{
	CLEANUP_FREE char *data = path_of(s, b->id, ".data");
	CLEANUP_FREE char *json = path_of(s, b->id, ".json");
	if (s->s3) {
		return s3_remove(s->s3, json, err) < 0 ? -1 : s3_remove(s->s3, data, err);
	}
	if (!s->host) {
		return unlink(json) < 0 || (unlink(data) < 0 && errno != ENOENT)
			       ? error_sys(err, ERROR_INTERNAL, errno, "remove '%s'", data)
			       : 0;
	}
	struct sftp_batch *batch = sftp_batch_new(s->host->sftp);
	sftp_remove(batch, json);
	sftp_remove(batch, data);
	int result = sftp_run(batch, TIMEOUT_MS, err);
	if (result == 0) {
		result = sftp_check(batch, err);
	}
	sftp_batch_free(batch);
	return result;
}
