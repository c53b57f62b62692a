/* SPDX-License-Identifier: MIT */
#include "service/store.h"

#include "util/clock.h"
#include "util/json.h"

#include <stdlib.h>
#include <string.h>

void backup_info_fini(struct backup_info *b)
{
	free(b->accessory);
	free(b->host);
	free(b->kind);
	free(b->image);
	free(b->note);
	memset(b, 0, sizeof(*b));
}

void backup_infos_fini(struct backup_infos *v)
{
	VEC_FOREACH (v, i) {
		backup_info_fini(&v->p[i]);
	}
	vec_fini(v);
}

static const char *set_or_null(const char *text)
{
	return *text ? text : NULL;
}

char *backup_info_text(const struct backup_info *b)
{
	char when[CLOCK_RFC3339_SIZE];
	CLEANUP_JSON json_t *j = json_pack(
		"{s:s, s:s, s:I, s:s, s:s?, s:s?, s:s?, s:s?, s:s?, s:s?, s:s?, s:s?}", "id", b->id,
		"time", clock_rfc3339(b->time_ms, when), "size", (json_int_t)b->size, "sha256",
		b->sha256, "accessory", b->accessory, "host", b->host, "kind", b->kind, "image",
		b->image, "note", b->note, "salt", set_or_null(b->salt), "check",
		set_or_null(b->check), "mac", set_or_null(b->mac));
	CLEANUP_FREE char *text = j ? json_text(j) : NULL;
	return text ? xasprintf("%s\n", text) : xstrdup("");
}

static char *copy_at(const json_t *j, const char *key)
{
	return xstrdup(json_str_at(j, key, NULL));
}

static bool is_hex(const char *text, size_t len)
{
	return strlen(text) == len && strspn(text, "0123456789abcdef") == len;
}

/* It becomes a file's name. */
static bool is_id(const char *text)
{
	size_t n = strlen(text);
	return n > 0 && n < STORE_ID_SIZE && strspn(text, "0123456789abcdefTZ-") == n &&
	       text[0] != '-';
}

int backup_info_parse(const char *text, size_t len, struct backup_info *out)
{
	struct error ignored = {0};
	CLEANUP_JSON json_t *j = json_parse(text, len, "backup", &ignored);
	const char *id = json_str_at(j, "id", "");
	const char *sha256 = json_str_at(j, "sha256", "");
	int64_t size = json_int_at(j, "size", -1);
	int64_t time_ms = clock_parse_rfc3339(json_str_at(j, "time", ""));
	const char *salt = json_str_at(j, "salt", "");
	const char *check = json_str_at(j, "check", "");
	const char *mac = json_str_at(j, "mac", "");
	bool plain = !*salt && !*check && !*mac;
	if (!j || !is_id(id) || !is_hex(sha256, DIGEST_HEX_SIZE - 1) || size < 0 || time_ms < 0) {
		return -1;
	}
	if (!plain && (!is_hex(salt, CIPHER_SALT_HEX - 1) || !is_hex(check, CIPHER_CHECK_HEX - 1) ||
			      !is_hex(mac, DIGEST_HEX_SIZE - 1) || size < CIPHER_HEAD)) {
		return -1;
	}
	*out = (struct backup_info){.time_ms = time_ms,
		.size = (uint64_t)size,
		.accessory = copy_at(j, "accessory"),
		.host = copy_at(j, "host"),
		.kind = copy_at(j, "kind"),
		.image = copy_at(j, "image"),
		.note = copy_at(j, "note")};
	memcpy(out->id, id, strlen(id) + 1);
	memcpy(out->sha256, sha256, DIGEST_HEX_SIZE);
	memcpy(out->salt, salt, strlen(salt) + 1);
	memcpy(out->check, check, strlen(check) + 1);
	memcpy(out->mac, mac, strlen(mac) + 1);
	return 0;
}

char *backup_info_signed(const struct backup_info *b)
{
	return xasprintf("deploy-backup 1\n%s\n%s\n%s\n%llu\n%s\n%s\n", b->id,
		b->accessory ? b->accessory : "", b->kind ? b->kind : "",
		(unsigned long long)b->size, b->sha256, b->salt);
}

uint64_t backup_info_plain_size(const struct backup_info *b)
{
	return *b->salt ? b->size - CIPHER_HEAD : b->size;
}
