/* SPDX-License-Identifier: MIT */
#include "image/build.h"

#include "util/digest.h"

#include <stdio.h>
#include <string.h>

#define TAG_MAX 128 /* Docker's reference grammar: [\w][\w.-]{0,127} */

static bool is_tag_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '.' || c == '-';
}

static void add_clean(struct str *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char c = is_tag_char(text[i]) ? text[i] : '-';
		if (out->len || (c != '-' && c != '.')) {
			str_addc(out, c);
		}
	}
}

char *image_tag_expand(const char *pattern, const char *version, const char *commit,
	const char *branch, struct error *err)
{
	struct str out = STR_INIT(TAG_MAX + 1); /* what does not fit is cut */
	char sha[SOURCE_VERSION_DIGITS + 1] = "";
	const struct {
		const char *word, *value;
	} words[] = {{"{sha}", sha}, {"{version}", version}, {"{branch}", branch}};

	snprintf(sha, sizeof(sha), "%s", commit ? commit : "");
	for (const char *p = pattern; *p;) {
		size_t i = 0;
		if (*p != '{') {
			add_clean(&out, p++, 1);
			continue;
		}
		while (i < 3 && !str_starts(p, words[i].word)) {
			i++;
		}
		if (i == 3) {
			error_set(err, ERROR_MANIFEST, "builder tag '%s': unknown word at '%s'",
				pattern, p);
			error_hint(err, "the words are {sha}, {branch} and {version}");
			str_fini(&out);
			return NULL;
		}
		if (words[i].value) {
			add_clean(&out, words[i].value, strlen(words[i].value));
		}
		p += strlen(words[i].word);
	}
	if (!out.len) {
		error_set(err, ERROR_MANIFEST, "builder tag '%s': nothing is left of it", pattern);
		str_fini(&out);
		return NULL;
	}
	return str_take(&out);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add_field(struct digest *d, const char *name, const char *value)
{
	/* Lengths in front, so that no two sets of fields look the same. */
	CLEANUP_FREE char *text = xasprintf("%s %zu:", name, value ? strlen(value) : 0);

	digest_update(d, text, strlen(text));
	digest_update(d, value ? value : "", value ? strlen(value) : 0);
}

char *image_build_digest(const struct image_build_request *req)
{
	const struct config_builder *b = req->builder;
	struct digest *d = digest_new();
	CLEANUP_STRMAP struct strmap args = {0};
	CLEANUP_STRVEC struct strvec secrets = {0};
	char *hex = xcalloc(1, DIGEST_HEX_SIZE);

	strmap_copy(&args, &b->args);
	strmap_sort(&args);
	strvec_copy(&secrets, &b->secrets);
	if (secrets.len) {
		qsort(secrets.p, secrets.len, sizeof(secrets.p[0]), by_text);
	}
	add_field(d, "format", "1");
	add_field(d, "commit", req->commit);
	add_field(d, "kind", b->context_kind == CONFIG_CONTEXT_GIT ? "git" : "dir");
	add_field(d, "context", b->context);
	add_field(d, "dockerfile", b->dockerfile);
	add_field(d, "target", b->target);
	add_field(d, "arch", req->arch);
	VEC_FOREACH (&args, i) {
		add_field(d, args.p[i].key, args.p[i].value);
	}
	VEC_FOREACH (&secrets, i) {
		add_field(d, "secret", secrets.p[i]);
	}
	digest_hex(d, hex);
	digest_free(d);
	return hex;
}
