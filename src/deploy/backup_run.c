/* SPDX-License-Identifier: MIT */
#include "backup.h"

#include "docker/exec.h"
#include "util/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define OUTPUT_MAX ((size_t)64 << 10)
#define WORDS_MAX  ((size_t)8 << 10)
#define MAGIC_MAX  8

/* Where the output of a script goes: stdout to a backup or a text, stderr to the error. */
struct output_to {
	struct store_writer *writer; /* or NULL */
	struct str *out;             /* or NULL */
	struct str words;            /* the last of stderr */
	char magic[MAGIC_MAX];
	struct host *host;
	const char *told; /* name for the progress */
	struct error failed;
};

static int take_output(void *ctx, enum frames_stream stream, const void *data, size_t len)
{
	struct output_to *to = ctx;
	if (stream == FRAMES_STDERR) {
		if (to->words.len + len > WORDS_MAX / 2) {
			str_reset(&to->words);
		}
		str_addn(&to->words, data, len < WORDS_MAX / 2 ? len : WORDS_MAX / 2);
		return 0;
	}
	if (!to->writer) {
		if (to->out) {
			str_addn(to->out, data, len);
		}
		return 0;
	}
	uint64_t before = store_written(to->writer);
	for (size_t i = 0; i < len && before + i < MAGIC_MAX; i++) {
		to->magic[before + i] = ((const char *)data)[i];
	}
	ui_progress(to->host->ui, to->host->name, to->told, before + len, 0);
	return store_write(to->writer, data, len, &to->failed) < 0;
}

static int run(struct target *t, const char *container, const char *script,
	const struct http_source *input, int timeout_ms, struct output_to *to, struct error *err)
{
	CLEANUP_STRVEC struct strvec cmd = {0};
	int code = -1;
	strvec_push(&cmd, "sh");
	strvec_push(&cmd, "-c");
	strvec_push(&cmd, script);
	struct docker_exec_request req = {.cmd = &cmd};
	int result = docker_exec_run(
		t->host->docker, container, &req, input, timeout_ms, take_output, to, &code, err);
	if (result == 0 && to->failed.kind != ERROR_NONE) {
		*err = to->failed;
		return -1;
	}
	if (result == 0 && code != 0) {
		error_set(err, ERROR_REMOTE, "it ended with exit code %d", code);
		err->status = code;
		result = -1;
	}
	return result < 0 ? error_detail(err, str_c(&to->words), to->words.len) : 0;
}

int backup_script(struct target *t, const char *container, const char *script,
	const struct http_source *input, int timeout_ms, struct str *out, struct error *err)
{
	struct output_to to = {.out = out, .words = STR_INIT(WORDS_MAX), .host = t->host};
	int result = run(t, container, script, input, timeout_ms, &to, err);
	str_fini(&to.words);
	while (out && out->len > 0 && out->p[out->len - 1] == '\n') {
		str_truncate(out, out->len - 1);
	}
	return result;
}

static void new_id(struct backup_info *info)
{
	char token[7];
	struct tm tm;
	time_t now = (time_t)(info->time_ms / 1000);
	digest_random_hex(3, token);
	gmtime_r(&now, &tm);
	strftime(info->id, sizeof(info->id), "%Y%m%dT%H%M%SZ-", &tm);
	size_t n = strlen(info->id);
	snprintf(info->id + n, sizeof(info->id) - n, "%s", token);
}

int backup_take(struct deployment *d, struct target *t, const struct config_accessory *a,
	const struct store *s, const char *note, struct backup_info *info, struct error *err)
{
	CLEANUP_FREE char *script = backup_dump_script(a);
	const char *magic = backup_magic(a);
	*info = (struct backup_info){.time_ms = clock_wall_ms(),
		.accessory = xstrdup(a->name),
		.host = xstrdup(t->address->name),
		.kind = xstrdup(backup_kind_name(a)),
		.image = xstrdup(a->image),
		.note = xstrdup(note)};
	new_id(info);
	ui_step(d->ui, t->host->name, "backing up %s", a->name);
	struct output_to to = {.words = STR_INIT(WORDS_MAX), .host = t->host, .told = a->name};
	to.writer = store_begin(s, info->id, err);
	int result =
		to.writer ? run(t, a->container, script, NULL, a->backup.timeout_ms, &to, err) : -1;
	if (result == 0 &&
		(store_written(to.writer) == 0 || strncmp(to.magic, magic, strlen(magic)) != 0)) {
		error_set(err, ERROR_REMOTE,
			store_written(to.writer) == 0 ? "it wrote nothing"
						      : "what it wrote is no backup");
		result = error_detail(err, str_c(&to.words), to.words.len);
	}
	if (result == 0) {
		result = store_commit(to.writer, info, err);
	} else {
		store_abort(to.writer);
	}
	str_fini(&to.words);
	if (result < 0) {
		backup_info_fini(info);
		return error_wrap(err, "back up");
	}
	return 0;
}
