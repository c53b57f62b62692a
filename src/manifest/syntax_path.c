/* SPDX-License-Identifier: MIT */
/* Paths, volumes, URL paths, ports. */
#include "manifest/syntax.h"

#include <string.h>

#define PATH_MAX_LEN 4096

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* How deep the path goes below its start; -1 when it leaves it. */
static int path_depth(const char *s)
{
	int depth = 0;

	while (*s != '\0') {
		size_t n = strcspn(s, "/");

		if (n == 2 && memcmp(s, "..", 2) == 0) {
			if (--depth < 0) {
				return -1;
			}
		} else if (n > 0 && !(n == 1 && *s == '.')) {
			depth++;
		}
		s += n + (s[n] == '/');
	}
	return depth;
}

const char *syntax_path(const char *s)
{
	if (strlen(s) >= PATH_MAX_LEN) {
		return "is too long for a path";
	}
	if (*s == '-') {
		return "begins with '-'";
	}
	return syntax_line(s);
}

const char *syntax_path_relative(const char *s)
{
	if (strstr(s, "://") != NULL || strncmp(s, "git@", 4) == 0) {
		return "is a URL; it has to be a folder here";
	}
	if (*s == '/' || *s == '~') {
		return "is not relative to the manifest's folder";
	}
	return syntax_path(s);
}

const char *syntax_path_inside(const char *s)
{
	const char *wrong = syntax_path_relative(s);

	if (wrong != NULL) {
		return wrong;
	}
	return path_depth(s) < 0 ? "leaves its folder" : NULL;
}

const char *syntax_path_absolute(const char *s)
{
	if (*s != '/') {
		return "is not an absolute path";
	}
	for (const char *p = s; (p = strstr(p, "/..")) != NULL; p += 3) {
		if (p[3] == '/' || p[3] == '\0') {
			return "has '..' in it";
		}
	}
	return syntax_path(s);
}

/* ":ro,z" behind a volume or asset path. */
static const char *check_mount_options(const char *s)
{
	static const char *const known[] = {"ro", "rw", "z", "Z", "nocopy", "cached", "delegated",
		"consistent", "shared", "rshared", "slave", "rslave", "private", "rprivate"};

	while (true) {
		size_t n = strcspn(s, ",");
		bool found = false;

		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
			found = found || (strlen(known[i]) == n && memcmp(known[i], s, n) == 0);
		}
		if (!found) {
			return "has a mount option that is not known (ro, rw, z, Z, nocopy, ...)";
		}
		if (s[n] == '\0') {
			return NULL;
		}
		s += n + 1;
	}
}

static const char *check_part(const char *s, size_t n, const char *(*check)(const char *))
{
	char part[PATH_MAX_LEN];

	if (n >= sizeof(part)) {
		return "is too long for a path";
	}
	memcpy(part, s, n);
	part[n] = '\0';
	return check(part);
}

const char *syntax_asset_path(const char *s)
{
	const char *colon = strchr(s, ':');
	const char *wrong = check_part(
		s, colon != NULL ? (size_t)(colon - s) : strlen(s), syntax_path_absolute);

	return wrong != NULL || colon == NULL ? wrong : check_mount_options(colon + 1);
}

static const char *check_volume_name(const char *s)
{
	if (!alpha(*s) && !digit(*s)) {
		return *s == '.' || *s == '~'
			       ? "has a source that is no absolute path on the server"
			       : "has a source that is neither an absolute path nor a volume name";
	}
	for (; *s != '\0'; s++) {
		if (!alpha(*s) && !digit(*s) && strchr("_.-", *s) == NULL) {
			return "has a source that is neither an absolute path nor a volume name";
		}
	}
	return NULL;
}

const char *syntax_volume(const char *s)
{
	const char *colon = strchr(s, ':');
	const char *wrong = syntax_line(s);

	if (wrong != NULL) {
		return wrong;
	}
	if (colon == NULL) {
		return "has no ':'; write name:/path or /path/on/server:/path";
	}
	wrong = check_part(
		s, (size_t)(colon - s), *s == '/' ? syntax_path_absolute : check_volume_name);
	if (wrong != NULL) {
		return wrong;
	}
	const char *target = colon + 1;
	const char *options = strchr(target, ':');
	size_t n = options != NULL ? (size_t)(options - target) : strlen(target);

	if (n < 2 || *target != '/') {
		return "has a target that is no absolute path in the container";
	}
	wrong = check_part(target, n, syntax_path_absolute);
	return wrong != NULL || options == NULL ? wrong : check_mount_options(options + 1);
}

const char *syntax_url_path(const char *s)
{
	if (*s != '/') {
		return "has to begin with '/'";
	}
	if (strlen(s) > 1024) {
		return "is longer than 1024 characters";
	}
	for (const char *p = s; *p != '\0'; p++) {
		if (!alpha(*p) && !digit(*p) && strchr("-._~/?&=%:@!*+,;()", *p) == NULL) {
			return "has a character that a URL path may not have; write it as %NN";
		}
	}
	return NULL;
}

const char *syntax_path_prefix(const char *s)
{
	if (*s != '/') {
		return "has to begin with '/'";
	}
	if (strlen(s) > 256) {
		return "is longer than 256 characters";
	}
	for (const char *p = s; *p != '\0'; p++) {
		if (!alpha(*p) && !digit(*p) && strchr("-._~/", *p) == NULL) {
			return *p == '*' ? "has a '*'; a prefix needs none"
					 : "has a character that a path prefix may not have";
		}
	}
	if (strstr(s, "//") != NULL) {
		return "has '//' in it";
	}
	return syntax_path_absolute(s);
}

/* A port of n characters; no ranges: each port has its own line. */
static bool is_port(const char *s, size_t n)
{
	char text[16];
	long port;

	if (n == 0 || n >= sizeof(text)) {
		return false;
	}
	memcpy(text, s, n);
	text[n] = '\0';
	return str_to_long(text, 1, 65535, &port) == 0;
}

const char *syntax_port_mapping(const char *s)
{
	static const char wrong[] = "is not [address:][port:]port[/tcp|/udp]";
	const char *slash = strchr(s, '/');
	size_t n = slash != NULL ? (size_t)(slash - s) : strlen(s);
	const char *inner = memrchr(s, ':', n);
	const char *port = inner != NULL ? inner + 1 : s;

	if (slash != NULL && strcmp(slash, "/tcp") != 0 && strcmp(slash, "/udp") != 0) {
		return wrong;
	}
	if (!is_port(port, n - (size_t)(port - s))) {
		return wrong;
	}
	if (inner == NULL) {
		return NULL;
	}
	const char *outer = memrchr(s, ':', (size_t)(inner - s));
	const char *host_port = outer != NULL ? outer + 1 : s;

	if (host_port != inner && !is_port(host_port, (size_t)(inner - host_port))) {
		return wrong;
	}
	if (outer == NULL) {
		return NULL;
	}
	bool brackets = *s == '[' && outer > s + 1 && outer[-1] == ']';

	return check_part(s + brackets, (size_t)(outer - s) - 2 * brackets, syntax_ip) != NULL
		       ? wrong
		       : NULL;
}

/* "host/absolute/folder" behind ssh://. */
static const char *check_ssh_folder(const char *s)
{
	const char *slash = strchr(s, '/');

	if (slash == NULL || slash[1] == '\0') {
		return "has no folder; write ssh://[user@]host[:port]/folder";
	}
	const char *wrong = check_part(s, (size_t)(slash - s), syntax_server);

	return wrong != NULL ? wrong : syntax_path_absolute(slash);
}

/* "bucket[/prefix]" behind s3://, as Amazon's rules for names say. */
static const char *check_bucket(const char *s)
{
	size_t n = strcspn(s, "/");

	if (n < 3 || n > 63) {
		return "has a bucket whose name is not 3 to 63 characters long";
	}
	for (size_t i = 0; i < n; i++) {
		if (!(s[i] >= 'a' && s[i] <= 'z') && !digit(s[i]) && s[i] != '.' && s[i] != '-') {
			return "has a bucket whose name is not of a-z, 0-9, '.' and '-'";
		}
	}
	return s[n] == '\0' || s[n + 1] == '\0' ? NULL : syntax_path_inside(s + n + 1);
}

const char *syntax_backup_to(const char *s)
{
	if (strcmp(s, "server") == 0) {
		return NULL;
	}
	if (strncmp(s, "ssh://", 6) == 0) {
		return check_ssh_folder(s + 6);
	}
	if (strncmp(s, "s3://", 5) == 0) {
		return check_bucket(s + 5);
	}
	if (*s != '/' && strncmp(s, "./", 2) != 0 && strncmp(s, "~/", 2) != 0) {
		return "is neither 'server', ssh://host/folder, s3://bucket, nor a folder (/.., "
		       "./.., ~/..)";
	}
	return syntax_path(s);
}
