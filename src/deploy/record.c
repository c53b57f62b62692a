/* SPDX-License-Identifier: MIT */
#include "deploy/record.h"

#include "internal.h"
#include "util/clock.h"
#include "util/json.h"

#include <stdlib.h>
#include <string.h>

#define RECORD_TIMEOUT_MS 15000
#define AUDIT_MAX         ((size_t)4 << 20)
#define AUDIT_ROTATE_AT   ((uint64_t)1 << 20) /* then it becomes audit.1.jsonl */

/* A host that only has accessories takes no release, and nobody would look there. */
static bool keeps_record(const struct deployment *d, const struct target *t)
{
	return t->left || target_has_any_role(d, t);
}

static void queue_key(struct deployment *d, struct target *t, struct sftp_batch *b)
{
	if (!t->seen.key_there) {
		CLEANUP_FREE char *path = names_state_path(d->config, "key");
		sftp_write(b, path, t->seen.key, 64, 0600);
		t->seen.key_there = true;
	}
}

int record_key(struct deployment *d, struct error *err)
{
	struct target *t = &d->targets[d->lock_target];
	if (t->seen.key_there || host_files(t->host, err) < 0) {
		return t->seen.key_there ? 0 : -1;
	}
	CLEANUP_FREE char *dir = names_state_path(d->config, ".");
	struct sftp_batch *b = sftp_batch_new(t->host->sftp);
	sftp_mkdirs(b, dir, 0700);
	queue_key(d, t, b);
	int result = sftp_run(b, RECORD_TIMEOUT_MS, err);
	if (result == 0) {
		result = sftp_check(b, err);
	}
	sftp_batch_free(b);
	return result;
}

/* other_lock, or NULL: whether a lock is on this server. */
static struct sftp_op *queue_audit(
	const struct deployment *d, struct sftp_batch *b, const char *line)
{
	CLEANUP_FREE char *path = names_state_path(d->config, "audit.jsonl");
	return sftp_append(b, path, line, strlen(line), 0600);
}

static int rotate_audit(struct deployment *d, struct target *t, struct error *err)
{
	CLEANUP_FREE char *path = names_state_path(d->config, "audit.jsonl");
	CLEANUP_FREE char *old = names_state_path(d->config, "audit.1.jsonl");
	struct sftp_batch *b = sftp_batch_new(t->host->sftp);
	sftp_rename(b, path, old); /* replaces the one before */
	int result = sftp_run(b, RECORD_TIMEOUT_MS, err);
	sftp_batch_free(b);
	return result;
}

/* A failure is only told. */
static void end_audit(struct deployment *d, struct target *t, struct sftp_op *added)
{
	struct error err = added->error;
	int result = added->status == SFTP_OK ? 0 : -1;
	if (result == 0 && added->attrs.size > AUDIT_ROTATE_AT) {
		result = rotate_audit(d, t, &err);
	}
	if (result < 0) {
		ui_warn(d->ui, t->address->name, "write the audit: %s", err.text);
	}
	added->status = SFTP_OK;
}

/* What goes along with a write of the history. */
struct beside {
	bool *other_lock;  /* set when there is a lock in the folder; or NULL */
	const char *audit; /* a line of it, or NULL */
};

static int write_history(struct deployment *d, struct target *t, void *ctx, struct error *err)
{
	const struct beside *beside = ctx;
	CLEANUP_FREE char *path = names_state_path(d->config, "releases.jsonl");
	CLEANUP_FREE char *dir = names_state_path(d->config, ".");
	CLEANUP_FREE char *lock = names_state_path(d->config, "lock");
	CLEANUP_STR struct str text = STR_INIT(HISTORY_MAX_BYTES);
	struct error lost = {0};
	/* To write all anew is only for who has the lock: what others wrote would be gone. */
	bool compact = t->seen.history_bytes > HISTORY_COMPACT_AT && d->lock &&
		       lock_check(d->lock, &lost) == 0;
	if (!t->host || !keeps_record(d, t)) {
		return 0;
	}
	if (host_files(t->host, err) < 0) {
		return -1;
	}
	struct sftp_batch *b = sftp_batch_new(t->host->sftp);
	struct sftp_op *other = beside && beside->other_lock ? sftp_stat(b, lock) : NULL;
	sftp_mkdirs(b, dir, 0700);
	queue_key(d, t, b);
	if (compact) {
		history_compacted(&d->history, &text);
		sftp_write(b, path, str_c(&text), text.len, 0600);
	} else {
		history_missing(&d->history, &t->seen.history, &text);
		if (text.len > 0) {
			sftp_append(b, path, text.p, text.len, 0600);
		}
	}
	struct sftp_op *added = beside && beside->audit ? queue_audit(d, b, beside->audit) : NULL;
	int result = sftp_run(b, RECORD_TIMEOUT_MS, err);
	if (result == 0 && other) {
		*beside->other_lock = other->status == SFTP_OK;
		other->status = SFTP_OK; /* that there is none is no failure */
	}
	if (result == 0 && added) {
		end_audit(d, t, added);
	}
	if (result == 0) {
		result = sftp_check(b, err);
	}
	sftp_batch_free(b);
	if (result < 0) {
		return error_wrap(err, "write the release history");
	}
	t->seen.history_bytes = compact ? text.len : t->seen.history_bytes + text.len;
	t->seen.history.torn = false;
	history_parse(&t->seen.history, str_c(&text), text.len);
	return 0;
}

int record_target(struct deployment *d, struct target *t, struct error *err)
{
	/* Two who began at the same moment, with another lock host each, have both not seen the
	 * other's lock when they looked at first: now both have theirs. */
	bool other_lock = false;
	bool look = t != &d->targets[d->lock_target];
	struct beside beside = {.other_lock = look ? &other_lock : NULL};
	if (write_history(d, t, &beside, err) < 0) {
		return -1;
	}
	if (!other_lock) {
		return 0;
	}
	CLEANUP_FREE char *dir = names_state_dir(d->config);
	struct lock_request req = {.host = t->host, .dir = dir};
	return lock_await_free(&req, err) < 0 ? -1 : 0;
}

static char *audit_line(const struct deployment *d, int64_t when_ms, const char *what)
{
	char when[CLOCK_RFC3339_SIZE];
	CLEANUP_JSON json_t *j = json_pack("{s:s, s:s, s:s, s:s, s:s}", "time",
		clock_rfc3339(when_ms, when), "performer", d->performer, "from", d->operator_host,
		"command", d->command, "what", what);
	CLEANUP_FREE char *text = j ? json_text(j) : NULL;
	return text ? xasprintf("%s\n", text) : xstrdup("");
}

int record_release(
	struct deployment *d, const struct release *r, const char *audit, struct error *err)
{
	if (r) {
		history_put(&d->history, r);
	}
	CLEANUP_FREE char *line = audit && r ? audit_line(d, r->finished_ms, audit) : NULL;
	struct beside beside = {.audit = line};
	return deployment_each(d, write_history, &beside, err);
}

static int write_audit(struct deployment *d, struct target *t, void *line, struct error *err)
{
	CLEANUP_FREE char *dir = names_state_path(d->config, ".");
	if (!t->host || !keeps_record(d, t)) {
		return 0;
	}
	if (host_files(t->host, err) < 0) {
		return -1;
	}
	struct sftp_batch *b = sftp_batch_new(t->host->sftp);
	sftp_mkdirs(b, dir, 0700);
	struct sftp_op *added = queue_audit(d, b, line);
	int result = sftp_run(b, RECORD_TIMEOUT_MS, err);
	if (result == 0) {
		end_audit(d, t, added);
	}
	sftp_batch_free(b);
	return result;
}

void record_audit(struct deployment *d, const char *what)
{
	CLEANUP_FREE char *line = audit_line(d, clock_wall_ms(), what);
	deployment_each_best_effort(d, "write the audit", write_audit, line);
}

int record_audit_read(
	struct deployment *d, struct target *t, long lines, struct str *out, struct error *err)
{
	CLEANUP_FREE char *path = names_state_path(d->config, "audit.jsonl");
	if (host_files(t->host, err) < 0) {
		return -1;
	}
	struct sftp_batch *b = sftp_batch_new(t->host->sftp);
	struct sftp_op *op = sftp_read(b, path, AUDIT_MAX);
	int result = sftp_run(b, RECORD_TIMEOUT_MS, err);
	if (result == 0 && op->status == SFTP_OK) {
		const char *text = str_c(&op->data);
		size_t from = op->data.len;
		for (long n = 0; from > 0; from--) {
			if (text[from - 1] == '\n' && from < op->data.len && ++n == lines) {
				break;
			}
		}
		str_addn(out, text + from, op->data.len - from);
	} else if (result == 0 && op->status != SFTP_NOENT) {
		*err = op->error;
		result = -1;
	}
	sftp_batch_free(b);
	return result;
}
