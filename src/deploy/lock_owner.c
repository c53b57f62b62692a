/* SPDX-License-Identifier: MIT */
/* Who holds the lock, and does it live? */
#include "lock_owner.h"

#include "util/clock.h"
#include "util/digest.h"
#include "util/fs.h"
#include "util/json.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OWNER_MAX ((size_t)16 << 10)

void lock_owner_fini(struct lock_owner *o)
{
	free(o->performer);
	free(o->host);
	free(o->command);
	free(o->message);
	free(o->machine);
	memset(o, 0, sizeof(*o));
}

/* Names this computer and its boot: a pid means nothing on another one, or after a reboot. */
static char *machine_name(void)
{
	CLEANUP_STR struct str boot = STR_INIT(STR_MAX_LINE);
	struct error ignored = {0};
	char link[64] = "";
	if (fs_read("/proc/sys/kernel/random/boot_id", &boot, &ignored) < 0) {
		return xstrdup("");
	}
	/* Two containers on one computer have different processes behind one pid. */
	ssize_t n = readlink("/proc/self/ns/pid", link, sizeof(link) - 1);
	link[n > 0 ? n : 0] = '\0';
	return xasprintf("%.36s %s", str_c(&boot), link);
}

/* Field 22 of /proc/PID/stat; 0 when there is no such process. */
static long long process_start(long pid)
{
	CLEANUP_STR struct str stat = STR_INIT(STR_MAX_LINE);
	CLEANUP_FREE char *path = xasprintf("/proc/%ld/stat", pid);
	struct error ignored = {0};
	if (fs_read(path, &stat, &ignored) < 0) {
		return 0;
	}
	/* The name (field 2) is in parentheses and may hold anything. */
	const char *p = strrchr(str_c(&stat), ')');
	for (int field = 2; p && field < 22; field++) {
		p = strchr(p + 1, ' ');
	}
	return p ? strtoll(p, NULL, 10) : 0;
}

char *lock_owner_text(const struct lock_request *req, const char *token)
{
	char when[CLOCK_RFC3339_SIZE];
	CLEANUP_FREE char *machine = machine_name();
	CLEANUP_JSON json_t *j = json_pack("{s:s, s:s, s:s, s:s, s:s?, s:s, s:I, s:I, s:s, s:b}",
		"token", token, "performer", req->performer, "host", req->operator_host, "command",
		req->command, "message", req->message, "machine", machine, "pid",
		(json_int_t)getpid(), "pid_start", (json_int_t)process_start(getpid()), "since",
		clock_rfc3339(clock_wall_ms(), when), "manual", req->manual);
	return j ? json_text(j) : NULL;
}

int lock_owner_parse(const char *text, size_t len, struct lock_owner *o)
{
	struct error ignored = {0};
	CLEANUP_JSON json_t *j = json_parse(text, len, "lock", &ignored);
	const char *token = json_str_at(j, "token", "");
	if (strlen(token) != 32 || strspn(token, "0123456789abcdef") != 32) {
		return -1;
	}
	memcpy(o->token, token, sizeof(o->token));
	o->performer = xstrdup(json_str_at(j, "performer", "?"));
	o->host = xstrdup(json_str_at(j, "host", "?"));
	o->command = xstrdup(json_str_at(j, "command", "?"));
	o->message = xstrdup(json_str_at(j, "message", NULL));
	o->machine = xstrdup(json_str_at(j, "machine", ""));
	o->pid = (long)json_int_at(j, "pid", 0);
	o->pid_start = json_int_at(j, "pid_start", 0);
	o->since_ms = clock_parse_rfc3339(json_str_at(j, "since", ""));
	o->manual = json_bool_at(j, "manual", 0);
	return 0;
}

static bool process_gone(const struct lock_owner *o)
{
	CLEANUP_FREE char *machine = machine_name();
	if (!*machine || !str_eq(machine, o->machine) || o->pid <= 0) {
		return false;
	}
	return process_start(o->pid) != o->pid_start;
}

/* The owner's file: the only one in the folder that is named after a token. The caller frees. */
static char *owner_file(const struct sftp_op *list, const char *dir)
{
	for (size_t i = 0; list->status == SFTP_OK && i < list->entries.len; i++) {
		const char *name = list->entries.p[i].name;
		if (strspn(name, "0123456789abcdef") == 32 && str_eq(name + 32, ".json")) {
			return xasprintf("%s/lock/%s", dir, name);
		}
	}
	return NULL;
}

/* Whose disk was full when it took the lock, and who could not give it back any more. */
static void unknown_owner(const char *token, struct lock_owner *o)
{
	snprintf(o->token, sizeof(o->token), "%.32s", token);
	o->performer = xstrdup("?");
	o->host = xstrdup("?");
	o->command = xstrdup("?");
	o->machine = xstrdup("");
}

static void judge(struct lock_owner *owner, uint32_t beat, uint32_t server_now)
{
	owner->silent_s = server_now > beat ? (long)(server_now - beat) : 0;
	owner->dead = !owner->manual && (process_gone(owner) || owner->silent_s > LOCK_DEAD_S);
}

/* 1: *owner is filled in; 0: it was given back just now; -1. */
static int read_file(struct sftp_batch *b, const char *dir, const char *path, uint32_t server_now,
	struct lock_owner *owner, struct error *err)
{
	const char *token = path + strlen(dir) + strlen("/lock/");
	CLEANUP_FREE char *beat_path = xasprintf("%s/beat.%.32s", dir, token);
	struct sftp_op *text = sftp_read(b, path, OWNER_MAX);
	struct sftp_op *made = sftp_stat(b, path);
	struct sftp_op *last = sftp_stat(b, beat_path);
	if (sftp_run(b, LOCK_IO_MS, err) < 0) {
		return -1;
	}
	if (text->status == SFTP_NOENT) {
		return 0;
	}
	if (text->status == SFTP_OK && text->data.len == 0) {
		unknown_owner(token, owner);
	} else if (text->status != SFTP_OK ||
		   lock_owner_parse(text->data.p, text->data.len, owner) < 0) {
		error_set(err, ERROR_REMOTE, "the lock '%s' is damaged", path);
		return error_hint(err, "deploy lock release removes it");
	}
	uint32_t beat = made->attrs.mtime;
	if (last->status == SFTP_OK && last->attrs.mtime > beat) {
		beat = last->attrs.mtime;
	}
	judge(owner, beat, server_now);
	return 1;
}

int lock_read_owner(struct host *h, const char *dir, uint32_t server_now, struct lock_owner *owner,
	struct error *err)
{
	CLEANUP_FREE char *lock = xasprintf("%s/lock", dir);
	struct sftp_batch *b = sftp_batch_new(h->sftp);
	struct sftp_op *list = sftp_list(b, lock, LOCK_TREE_MAX);
	int result = sftp_run(b, LOCK_IO_MS, err);
	if (result == 0 && list->status != SFTP_OK && list->status != SFTP_NOENT) {
		*err = list->error;
		result = -1;
	}
	CLEANUP_FREE char *path = result == 0 ? owner_file(list, dir) : NULL;
	if (path) {
		result = read_file(b, dir, path, server_now, owner, err);
	}
	sftp_batch_free(b);
	return result;
}

int lock_read(struct host *host, const char *dir, struct lock_owner *owner, struct error *err)
{
	/* A file of ours tells the server's time. */
	char token[33];
	digest_random_hex(16, token);
	if (host_files(host, err) < 0) {
		return -1;
	}
	CLEANUP_FREE char *probe = xasprintf("%s/now.%s", dir, token);
	struct sftp_batch *b = sftp_batch_new(host->sftp);
	sftp_mkdirs(b, dir, 0700);
	struct sftp_op *now = sftp_append(b, probe, "", 1, 0600);
	sftp_barrier(b);
	sftp_remove(b, probe);
	int result = sftp_run(b, LOCK_IO_MS, err);
	uint32_t server_now = now->attrs.mtime;
	sftp_batch_free(b);
	return result < 0 ? -1 : lock_read_owner(host, dir, server_now, owner, err);
}
