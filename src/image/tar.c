/* SPDX-License-Identifier: MIT */
#include "image/tar.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define SIZE_MAX_USTAR ((uint64_t)077777777777) /* 11 octal digits */
#define ID_MAX_USTAR   07777777                 /* 7 */

/* Offsets and widths of the ustar fields. */
enum {
	AT_NAME = 0,
	NAME_LEN = 100,
	AT_MODE = 100,
	AT_UID = 108,
	AT_GID = 116,
	AT_SIZE = 124,
	AT_MTIME = 136,
	AT_CHKSUM = 148,
	AT_TYPE = 156,
	AT_LINK = 157,
	LINK_LEN = 100,
	AT_MAGIC = 257
};

static void put_octal(char *field, int digits, uint64_t value)
{
	for (int i = digits - 1; i >= 0; i--) {
		field[i] = (char)('0' + (value & 7));
		value >>= 3;
	}
	field[digits] = '\0';
}

static void put_block(
	struct str *out, const char *path, const char *link, char type, const struct tar_entry *e)
{
	char b[TAR_BLOCK] = {0};
	unsigned sum = 0;

	memcpy(b + AT_NAME, path, strnlen(path, NAME_LEN));
	put_octal(b + AT_MODE, 7, e->mode & 07777);
	put_octal(b + AT_UID, 7, e->uid > ID_MAX_USTAR ? 0 : e->uid);
	put_octal(b + AT_GID, 7, e->gid > ID_MAX_USTAR ? 0 : e->gid);
	put_octal(b + AT_SIZE, 11, e->size > SIZE_MAX_USTAR ? 0 : e->size);
	put_octal(b + AT_MTIME, 11, e->mtime < 0 ? 0 : (uint64_t)e->mtime);
	b[AT_TYPE] = type;
	memcpy(b + AT_LINK, link, strnlen(link, LINK_LEN));
	memcpy(b + AT_MAGIC, "ustar\00000", 8);
	memset(b + AT_CHKSUM, ' ', 8);
	for (size_t i = 0; i < sizeof(b); i++) {
		sum += (unsigned char)b[i];
	}
	put_octal(b + AT_CHKSUM, 6, sum);
	str_addn(out, b, sizeof(b));
}

/* "<length> <key>=<value>\n", where the length counts itself. */
static void pax_record(struct str *out, const char *key, const char *value)
{
	size_t rest = strlen(key) + strlen(value) + 3, total = rest + 1;

	for (int i = 0; i < 4; i++) {
		char digits[24];
		total = rest + (size_t)snprintf(digits, sizeof(digits), "%zu", total);
	}
	str_addf(out, "%zu %s=%s\n", total, key, value);
}

/* A number that the header's field cannot hold. */
static void pax_id(struct str *out, const char *key, uint32_t id)
{
	char digits[24];

	if (id > ID_MAX_USTAR) {
		snprintf(digits, sizeof(digits), "%lu", (unsigned long)id);
		pax_record(out, key, digits);
	}
}

static void pad(struct str *out, size_t n)
{
	static const char zeroes[TAR_BLOCK];

	str_addn(out, zeroes, n);
}

void tar_header(struct str *out, const struct tar_entry *e)
{
	CLEANUP_FREE char *folder = S_ISDIR(e->mode) ? xasprintf("%s/", e->path) : NULL;
	const char *path = folder ? folder : e->path;
	const char *link = e->link ? e->link : "";
	char type = S_ISDIR(e->mode) ? '5' : S_ISLNK(e->mode) ? '2' : '0';
	uint64_t size = S_ISREG(e->mode) ? e->size : 0;
	CLEANUP_STR struct str pax = STR_INIT(STR_MAX_LINE);

	if (strlen(path) > NAME_LEN) {
		pax_record(&pax, "path", path);
	}
	if (strlen(link) > LINK_LEN) {
		pax_record(&pax, "linkpath", link);
	}
	if (size > SIZE_MAX_USTAR) {
		char digits[24];
		snprintf(digits, sizeof(digits), "%llu", (unsigned long long)size);
		pax_record(&pax, "size", digits);
	}
	pax_id(&pax, "uid", e->uid);
	pax_id(&pax, "gid", e->gid);
	if (pax.len) {
		const struct tar_entry head = {.mode = 0644, .size = pax.len, .mtime = e->mtime};
		put_block(out, "PaxHeader", "", 'x', &head);
		str_addn(out, pax.p, pax.len);
		pad(out, tar_padding(pax.len));
	}
	struct tar_entry main = *e;
	main.size = size;
	put_block(out, path, link, type, &main);
}

size_t tar_padding(uint64_t size)
{
	return (size_t)((TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK);
}

void tar_end(struct str *out)
{
	pad(out, TAR_BLOCK);
	pad(out, TAR_BLOCK);
}
