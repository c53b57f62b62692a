/* SPDX-License-Identifier: MIT */
/* Names, hosts, images. Character classes are ASCII: no locale. */
#include "manifest/syntax.h"

#include <arpa/inet.h>
#include <string.h>

#define NAME_MAX_LEN   63
#define TAG_MAX_LEN    128
#define HOST_MAX_LEN   253
#define IMAGE_MAX_LEN  255
#define DIGEST_MIN_LEN 32
#define DIGEST_MAX_LEN 128

static bool lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool alnum(char c)
{
	return lower(c) || digit(c) || (c >= 'A' && c <= 'Z');
}

static bool all_of(const char *s, const char *more)
{
	for (; *s != '\0'; s++) {
		if (!alnum(*s) && strchr(more, *s) == NULL) {
			return false;
		}
	}
	return true;
}

const char *syntax_name(const char *s)
{
	if (*s == '\0') {
		return "is empty";
	}
	if (strlen(s) > NAME_MAX_LEN) {
		return "is longer than 63 characters";
	}
	if (!alnum(*s)) {
		return "has to begin with a letter or digit";
	}
	return all_of(s, "_-") ? NULL : "may only have letters, digits, '-' and '_'";
}

const char *syntax_version(const char *s)
{
	if (*s == '\0') {
		return "is empty";
	}
	if (strlen(s) > TAG_MAX_LEN) {
		return "is longer than 128 characters";
	}
	if (!alnum(*s) && *s != '_') {
		return "has to begin with a letter, digit or '_'";
	}
	if (strstr(s, "..") != NULL) {
		return "has '..' in it";
	}
	return all_of(s, "_.-") ? NULL : "may only have letters, digits, '.', '-' and '_'";
}

const char *syntax_alias(const char *s)
{
	if (*s == '\0' || *s == '-') {
		return *s == '-' ? "begins with '-'" : "is empty";
	}
	for (const char *p = s; *p != '\0'; p++) {
		if (!lower(*p) && !digit(*p) && *p != '_' && *p != '-') {
			return "may only have lower-case letters, digits, '-' and '_'";
		}
	}
	return NULL;
}

const char *syntax_user(const char *s)
{
	if (*s == '\0') {
		return "is empty";
	}
	if (strlen(s) > NAME_MAX_LEN) {
		return "is longer than 63 characters";
	}
	if (*s == '-') {
		return "begins with '-'";
	}
	return all_of(s, "_.-\\+") ? NULL : "is not a login name";
}

const char *syntax_ip(const char *s)
{
	unsigned char address[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, s, address) == 1 || inet_pton(AF_INET6, s, address) == 1
		       ? NULL
		       : "is not an IP address";
}

/* A host name, IPv4 address or ssh alias of n characters. */
static const char *check_host(const char *s, size_t n)
{
	if (n == 0) {
		return "has no host name";
	}
	if (n > HOST_MAX_LEN) {
		return "is longer than 253 characters";
	}
	if (*s == '-' || *s == '.') {
		return "has a host name that begins with '-' or '.'";
	}
	for (size_t i = 0; i < n; i++) {
		if (!alnum(s[i]) && strchr("._-", s[i]) == NULL) {
			return "is not a host name or address";
		}
		if (s[i] == '.' && i + 1 < n && s[i + 1] == '.') {
			return "has '..' in it";
		}
	}
	return NULL;
}

static const char *check_port(const char *s)
{
	long port;

	return str_to_long(s, 1, 65535, &port) == 0 && *s != '0'
		       ? NULL
		       : "has a port that is not 1..65535";
}

/* "host[:port]", "[v6][:port]", "v6". */
static const char *check_host_port(const char *s)
{
	char v6[INET6_ADDRSTRLEN + 1];

	if (*s == '[') {
		const char *end = strchr(s, ']');
		size_t n = end != NULL ? (size_t)(end - s - 1) : 0;

		if (end == NULL || n >= sizeof(v6)) {
			return "is not an IPv6 address in brackets";
		}
		memcpy(v6, s + 1, n);
		v6[n] = '\0';
		if (strchr(v6, ':') == NULL || syntax_ip(v6) != NULL) {
			return "is not an IPv6 address in brackets";
		}
		if (end[1] == '\0') {
			return NULL;
		}
		return end[1] == ':' ? check_port(end + 2) : "has something behind the ']'";
	}
	const char *colon = strchr(s, ':');

	if (colon == NULL) {
		return check_host(s, strlen(s));
	}
	if (strchr(colon + 1, ':') != NULL) {
		return syntax_ip(s);
	}
	const char *wrong = check_host(s, (size_t)(colon - s));

	return wrong != NULL ? wrong : check_port(colon + 1);
}

const char *syntax_server(const char *s)
{
	const char *at = strrchr(s, '@');

	if (*s == '\0') {
		return "is empty";
	}
	if (strlen(s) > HOST_MAX_LEN + NAME_MAX_LEN + 8) {
		return "is too long";
	}
	if (strstr(s, "://") != NULL) {
		return "is a URL; write [user@]host[:port]";
	}
	if (at != NULL) {
		char user[NAME_MAX_LEN + 1];

		if ((size_t)(at - s) >= sizeof(user)) {
			return "has a login name that is too long";
		}
		memcpy(user, s, (size_t)(at - s));
		user[at - s] = '\0';
		if (syntax_user(user) != NULL) {
			return "has no login name in front of '@'";
		}
		s = at + 1;
	}
	return check_host_port(s);
}

void syntax_server_split(const char *s, char **user, char **host, int *port)
{
	const char *at = strrchr(s, '@');
	const char *h = at != NULL ? at + 1 : s;
	const char *colon = strrchr(h, ':');
	size_t n = strlen(h);
	long number = 0;

	*user = at != NULL ? xstrndup(s, (size_t)(at - s)) : NULL;
	*port = 0;
	if (*h == '[') {
		const char *end = strchr(h, ']');

		if (end != NULL) {
			if (end[1] == ':' && str_to_long(end + 2, 1, 65535, &number) == 0) {
				*port = (int)number;
			}
			*host = xstrndup(h + 1, (size_t)(end - h - 1));
			return;
		}
	}
	if (colon != NULL && strchr(h, ':') == colon &&
		str_to_long(colon + 1, 1, 65535, &number) == 0) {
		*port = (int)number;
		n = (size_t)(colon - h);
	}
	*host = xstrndup(h, n);
}

const char *syntax_domain(const char *s)
{
	const char *name = strncmp(s, "*.", 2) == 0 ? s + 2 : s;
	size_t label = 0;

	if (*name == '\0' || strlen(s) > HOST_MAX_LEN) {
		return *name == '\0' ? "is empty" : "is longer than 253 characters";
	}
	if (strstr(s, "://") != NULL) {
		return "is a URL; write the host name alone";
	}
	for (const char *p = name; *p != '\0'; p++) {
		if ((unsigned char)*p >= 0x80) {
			return "has a letter that is not ASCII; write it as xn--...";
		}
	}
	for (const char *p = name;; p++) {
		if (*p == '.' || *p == '\0') {
			if (label == 0 || label > NAME_MAX_LEN || p[-1] == '-') {
				return "is not a domain name";
			}
			label = 0;
			if (*p == '\0') {
				return NULL;
			}
		} else if (*p == ':') {
			return "has a port; the proxy's ports are proxy.run.http_port and "
			       "https_port";
		} else if (!alnum(*p) && *p != '_' && (*p != '-' || label == 0)) {
			return *p == '*' ? "may have '*.' in front only" : "is not a domain name";
		} else {
			label++;
		}
	}
}

const char *syntax_registry(const char *s)
{
	if (*s == '\0') {
		return "is empty";
	}
	if (strstr(s, "://") != NULL) {
		return "is a URL; write host[:port]";
	}
	if (strchr(s, '/') != NULL) {
		return "has a path; it belongs in 'image'";
	}
	if (strchr(s, '@') != NULL) {
		return "has a login; write registry.username and registry.password";
	}
	return check_host_port(s);
}

/* One part of a repository: [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)* */
static const char *check_component(const char *s, size_t n)
{
	size_t i = 0;

	for (;;) {
		size_t start = i;

		while (i < n && (lower(s[i]) || digit(s[i]))) {
			i++;
		}
		if (i == start) {
			return "is not an image name (lower-case letters, digits, single '.', '_', "
			       "'-' "
			       "between them)";
		}
		if (i == n) {
			return NULL;
		}
		if (s[i] == '.') {
			i++;
		} else if (s[i] == '_') {
			i += i + 1 < n && s[i + 1] == '_' ? 2 : 1;
		} else if (s[i] == '-') {
			while (i < n && s[i] == '-') {
				i++;
			}
		} else {
			return s[i] >= 'A' && s[i] <= 'Z'
				       ? "has a capital letter; image names are lower case"
				       : "has a character that no image name may have";
		}
	}
}

/* The name of n characters, with its registry. */
static const char *check_repository(const char *s, size_t n)
{
	const char *end = s + n;
	const char *slash = memchr(s, '/', n);

	if (n == 0 || n > IMAGE_MAX_LEN) {
		return n == 0 ? "is empty" : "is longer than 255 characters";
	}
	if (slash != NULL) {
		size_t first = (size_t)(slash - s);
		bool registry = memchr(s, '.', first) != NULL || memchr(s, ':', first) != NULL ||
				(first == 9 && memcmp(s, "localhost", 9) == 0);

		if (registry) {
			char host[HOST_MAX_LEN + 8];

			if (first >= sizeof(host)) {
				return "has a registry that is too long";
			}
			memcpy(host, s, first);
			host[first] = '\0';
			if (check_host_port(host) != NULL) {
				return "has a registry that is not host[:port]";
			}
			s = slash + 1;
		}
	}
	while (s <= end) {
		const char *stop = memchr(s, '/', (size_t)(end - s));
		const char *part_end = stop != NULL ? stop : end;
		const char *wrong = check_component(s, (size_t)(part_end - s));

		if (wrong != NULL) {
			return wrong;
		}
		s = part_end + 1;
	}
	return NULL;
}

const char *syntax_repository(const char *s)
{
	const char *slash = strrchr(s, '/');
	const char *last = slash != NULL ? slash : s;

	if (strchr(s, '@') != NULL) {
		return "has a digest; the version is chosen at deploy time";
	}
	if (strchr(last, ':') != NULL) {
		return "has a tag; the version is the tag, leave it out";
	}
	return check_repository(s, strlen(s));
}

static const char *check_digest(const char *s)
{
	const char *colon = strchr(s, ':');
	size_t hex = colon != NULL ? strlen(colon + 1) : 0;

	if (colon == NULL || colon == s || hex < DIGEST_MIN_LEN || hex > DIGEST_MAX_LEN) {
		return "has a digest that is not algorithm:hex";
	}
	for (const char *p = s; p < colon; p++) {
		if (!alnum(*p) && strchr("+._-", *p) == NULL) {
			return "has a digest that is not algorithm:hex";
		}
	}
	for (const char *p = colon + 1; *p != '\0'; p++) {
		if (!digit(*p) && !(*p >= 'a' && *p <= 'f')) {
			return "has a digest that is not algorithm:hex";
		}
	}
	return NULL;
}

const char *syntax_image(const char *s)
{
	const char *at = strchr(s, '@');
	size_t n = at != NULL ? (size_t)(at - s) : strlen(s);
	const char *colon = memrchr(s, ':', n);

	if (at != NULL && check_digest(at + 1) != NULL) {
		return check_digest(at + 1);
	}
	if (colon != NULL && memchr(colon, '/', n - (size_t)(colon - s)) == NULL) {
		char tag[TAG_MAX_LEN + 1];
		size_t len = n - (size_t)(colon - s) - 1;

		if (len > TAG_MAX_LEN) {
			return "has a tag that is longer than 128 characters";
		}
		memcpy(tag, colon + 1, len);
		tag[len] = '\0';
		if (syntax_version(tag) != NULL) {
			return "has a tag that is not one";
		}
		n = (size_t)(colon - s);
	}
	return check_repository(s, n);
}

const char *syntax_ssh_url(const char *s)
{
	if (strncmp(s, "ssh://", 6) != 0) {
		return "is not ssh://[user@]host[:port]";
	}
	return syntax_server(s + 6);
}

const char *syntax_jump(const char *s)
{
	while (true) {
		char one[HOST_MAX_LEN + NAME_MAX_LEN + 16];
		size_t n = strcspn(s, ",");

		if (n >= sizeof(one)) {
			return "is too long";
		}
		memcpy(one, s, n);
		one[n] = '\0';
		const char *wrong = syntax_server(one);

		if (wrong != NULL || s[n] == '\0') {
			return wrong;
		}
		s += n + 1;
	}
}

const char *syntax_host_port(const char *s)
{
	return strchr(s, '@') != NULL ? "has a user in it" : syntax_server(s);
}

const char *syntax_url(const char *s)
{
	size_t scheme = strncmp(s, "https://", 8) == 0 ? 8 : strncmp(s, "http://", 7) == 0 ? 7 : 0;
	size_t host = strcspn(s + scheme, "/?#");

	if (scheme == 0 || host == 0) {
		return "is not a URL that begins with https:// or http://";
	}
	if (memchr(s + scheme, '@', host) != NULL) {
		return "has a login in it; a URL that is secret is named: [NAME]";
	}
	return syntax_word(s);
}

const char *syntax_email(const char *s)
{
	const char *open = strchr(s, '<');
	const char *address = open != NULL ? open + 1 : s;
	size_t n = open != NULL ? strcspn(address, ">") : strlen(address);
	const char *at = memchr(address, '@', n);

	if (at == NULL || at == address || at + 1 == address + n ||
		(open != NULL && strcmp(address + n, ">") != 0)) {
		return "is not an e-mail address";
	}
	for (size_t i = 0; i < n; i++) {
		if (!alnum(address[i]) && strchr("@._+-=%~", address[i]) == NULL) {
			return "is not an e-mail address";
		}
	}
	return syntax_line(s);
}

const char *syntax_owner(const char *s)
{
	const char *colon = strchr(s, ':');

	if (*s == '\0' || colon == s || (colon != NULL && colon[1] == '\0')) {
		return "is not user[:group]";
	}
	return *s != '-' && all_of(s, "_.-:") && (colon == NULL || strchr(colon + 1, ':') == NULL)
		       ? NULL
		       : "is not user[:group]";
}
