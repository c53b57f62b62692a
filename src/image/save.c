/* SPDX-License-Identifier: MIT */
#include "image/save.h"

#include "util/digest.h"
#include "util/json.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CHUNK     ((size_t)256 << 10)
#define MAX_PLAIN ((uint64_t)1 << 40) /* 1 TiB: a decompression bomb ends here at the latest */

struct reader {
	save_read_fn *read;
	void *ctx;
	struct error *err; /* of the failed read */
	unsigned char *buf;
};

/* A file in the tar, read again as a stream of its own for decompression. */
struct inner {
	struct archive *outer;
	unsigned char *buf;
	size_t first; /* bytes in buf that were looked at for the magic */
	bool failed;
};

static la_ssize_t on_read(struct archive *a, void *ctx, const void **out)
{
	struct reader *r = ctx;
	ssize_t n = r->read(r->ctx, r->buf, CHUNK, r->err);

	*out = r->buf;
	if (n < 0) {
		archive_set_error(a, EIO, "read failed");
		return ARCHIVE_FATAL;
	}
	return n;
}

static la_ssize_t on_inner_read(struct archive *a, void *ctx, const void **out)
{
	struct inner *in = ctx;
	la_ssize_t n = (la_ssize_t)in->first;

	*out = in->buf;
	if (n) {
		in->first = 0;
		return n;
	}
	n = archive_read_data(in->outer, in->buf, CHUNK);
	if (n < 0) {
		in->failed = true;
		archive_set_error(a, EIO, "read failed");
		return ARCHIVE_FATAL;
	}
	return n;
}

static int take(const struct save_sink *sink, struct digest *d, const void *data, size_t len,
	uint64_t *size, struct error *err)
{
	*size += len;
	if (*size > MAX_PLAIN) {
		return error_set(err, ERROR_REMOTE, "saved image: a layer is too large");
	}
	digest_update(d, data, len);
	return sink->data(sink->ctx, data, len, err);
}

static int bad_tar(struct archive *a, struct error *err)
{
	const char *why = archive_error_string(a);

	if (err->kind != ERROR_NONE) {
		return -1; /* the read's own */
	}
	return error_set(err, ERROR_REMOTE, "saved image: %s", why ? why : "malformed tar");
}

static int read_compressed(struct inner *in, const struct save_sink *sink, struct digest *d,
	uint64_t *size, struct error *err)
{
	struct archive *a = archive_read_new();
	struct archive_entry *e;
	void *buf = xcalloc(1, CHUNK);
	la_ssize_t n = -1;
	int rc = 0;

	archive_read_support_format_raw(a);
	archive_read_support_filter_gzip(a);
	archive_read_support_filter_zstd(a);
	if (archive_read_open(a, in, NULL, on_inner_read, NULL) == ARCHIVE_OK &&
		archive_read_next_header(a, &e) == ARCHIVE_OK) {
		while (rc == 0 && (n = archive_read_data(a, buf, CHUNK)) > 0) {
			rc = take(sink, d, buf, (size_t)n, size, err);
		}
	}
	if (rc == 0 && n < 0) {
		rc = bad_tar(in->failed ? in->outer : a, err);
	}
	free(buf);
	archive_read_free(a);
	return rc;
}

static int read_plain(struct inner *in, const struct save_sink *sink, struct digest *d,
	uint64_t *size, struct error *err)
{
	la_ssize_t n = (la_ssize_t)in->first;

	while (n > 0) {
		if (take(sink, d, in->buf, (size_t)n, size, err) != 0) {
			return -1;
		}
		n = archive_read_data(in->outer, in->buf, CHUNK);
	}
	return n < 0 ? bad_tar(in->outer, err) : 0;
}

static bool is_compressed(const unsigned char *p, size_t n)
{
	return (n >= 2 && p[0] == 0x1f && p[1] == 0x8b) ||
	       (n >= 4 && memcmp(p, "\x28\xb5\x2f\xfd", 4) == 0);
}

static int read_file(struct archive *a, const char *name, unsigned char *buf,
	const struct save_sink *sink, struct error *err)
{
	struct inner in = {.outer = a, .buf = buf};
	struct digest *d = digest_new();
	char hex[DIGEST_HEX_SIZE];
	uint64_t size = 0;
	la_ssize_t n = archive_read_data(a, buf, CHUNK);
	int rc;

	in.first = n > 0 ? (size_t)n : 0;
	if (n < 0) {
		rc = bad_tar(a, err);
	} else if (is_compressed(buf, in.first)) {
		rc = read_compressed(&in, sink, d, &size, err);
	} else {
		rc = read_plain(&in, sink, d, &size, err);
	}
	digest_hex(d, hex);
	digest_free(d);
	return rc == 0 ? sink->end(sink->ctx, name, hex, size, err) : rc;
}

static int read_entries(struct archive *a, const struct save_sink *sink, struct error *err)
{
	unsigned char *buf = xcalloc(1, CHUNK);
	struct archive_entry *e;
	int rc = 0, step = ARCHIVE_OK;

	for (size_t i = 0; rc == 0; i++) {
		step = archive_read_next_header(a, &e);
		if (step == ARCHIVE_EOF) {
			break;
		}
		if (step != ARCHIVE_OK && step != ARCHIVE_WARN) {
			rc = bad_tar(a, err);
			break;
		}
		if (i == SAVE_MAX_ENTRIES) {
			rc = error_set(err, ERROR_REMOTE, "saved image: too many files");
			break;
		}
		const char *name = archive_entry_pathname(e);
		if (archive_entry_filetype(e) != AE_IFREG || archive_entry_hardlink(e) || !name ||
			strlen(name) > SAVE_MAX_NAME || archive_entry_size(e) < 0) {
			continue;
		}
		CLEANUP_FREE char *copy = xstrdup(str_starts(name, "./") ? name + 2 : name);
		if (sink->begin(sink->ctx, copy, (uint64_t)archive_entry_size(e))) {
			rc = read_file(a, copy, buf, sink, err);
		}
	}
	free(buf);
	return rc < 0 ? -1 : 0;
}

int save_read(save_read_fn *read, void *read_ctx, const struct save_sink *sink, struct error *err)
{
	struct error why = {0};
	struct reader r = {.read = read, .ctx = read_ctx, .err = &why};
	struct archive *a = archive_read_new();
	int rc;

	r.buf = xcalloc(1, CHUNK);
	archive_read_support_format_tar(a);
	if (archive_read_open(a, &r, NULL, on_read, NULL) != ARCHIVE_OK) {
		rc = bad_tar(a, &why);
	} else {
		rc = read_entries(a, sink, &why);
	}
	archive_read_free(a);
	free(r.buf);
	if (rc != 0) {
		*err = why;
	}
	return rc;
}

void save_v1_ids(const char *const diff_ids[], size_t n, char (*out)[65])
{
	static const char empty[] =
		"{\"container_config\":{\"Hostname\":\"\",\"Domainname\":\"\",\"User\":\"\","
		"\"AttachStdin\":false,\"AttachStdout\":false,\"AttachStderr\":false,"
		"\"Tty\":false,\"OpenStdin\":false,\"StdinOnce\":false,\"Env\":null,\"Cmd\":null,"
		"\"Image\":\"\",\"Volumes\":null,\"WorkingDir\":\"\",\"Entrypoint\":null,"
		"\"OnBuild\":null,\"Labels\":null},\"created\":\"1970-01-01T00:00:00Z\","
		"\"layer_id\":\"%s\"%s%s%s}";
	CLEANUP_FREE char *chain = NULL;

	for (size_t i = 0; i + 1 < n; i++) {
		char hex[DIGEST_HEX_SIZE];
		CLEANUP_FREE char *text = NULL;
		if (chain) {
			CLEANUP_FREE char *both = xasprintf("%s %s", chain, diff_ids[i]);
			digest_sha256_hex(both, strlen(both), hex);
			free(chain);
			chain = xasprintf("sha256:%s", hex);
		} else {
			chain = xstrdup(diff_ids[i]);
		}
		text = xasprintf(empty, chain, i ? ",\"parent\":\"sha256:" : "",
			i ? out[i - 1] : "", i ? "\"" : "");
		digest_sha256_hex(text, strlen(text), out[i]);
	}
}

char *save_config_name(const char *manifest, size_t len)
{
	struct error ignored = {0};
	CLEANUP_JSON json_t *json = json_parse(manifest, len, "manifest.json", &ignored);

	return xstrdup(json_string_value(json_object_get(json_array_get(json, 0), "Config")));
}
