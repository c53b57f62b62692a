/* SPDX-License-Identifier: MIT */
/* Texts, paths, numbers. Names are in syntax_name.c. */
#include "manifest/syntax.h"

#include <string.h>

#define PATH_MAX_LEN    4096
#define ENV_NAME_MAX    256
#define LABEL_MAX       256
#define DURATION_MAX_MS (7LL * 24 * 3600 * 1000)

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Control characters, C1 ones in UTF-8 too. */
static bool has_control(const char *s)
{
	for (const unsigned char *p = (const unsigned char *)s; *p != '\0'; p++) {
		if (*p < 0x20 || *p == 0x7F || (*p == 0xC2 && p[1] >= 0x80 && p[1] < 0xA0)) {
			return true;
		}
	}
	return false;
}

const char *syntax_text(const char *s)
{
	return *s == '\0' ? "is empty" : NULL;
}

const char *syntax_line(const char *s)
{
	if (strchr(s, '\n') != NULL) {
		return "has more than one line";
	}
	if (has_control(s)) {
		return "has a control character in it";
	}
	return syntax_text(s);
}

const char *syntax_word(const char *s)
{
	if (strpbrk(s, " \t") != NULL) {
		return "has a blank in it";
	}
	if (*s == '-') {
		return "begins with '-'";
	}
	return syntax_line(s);
}

static const char *check_identifier(const char *s, const char *more)
{
	if (*s == '\0') {
		return "is empty";
	}
	if (strlen(s) > ENV_NAME_MAX) {
		return "is longer than 256 characters";
	}
	if (!alpha(*s) && *s != '_') {
		return "has to begin with a letter or '_'";
	}
	for (; *s != '\0'; s++) {
		if (!alpha(*s) && !digit(*s) && *s != '_' && strchr(more, *s) == NULL) {
			return *s == '=' ? "has a '='; write NAME: value"
					 : "may only have letters, digits and '_'";
		}
	}
	return NULL;
}

const char *syntax_env_name(const char *s)
{
	return check_identifier(s, ".-");
}

const char *syntax_secret_name(const char *s)
{
	return check_identifier(s, "");
}

const char *syntax_secret_ref(const char *s)
{
	const char *colon = strchr(s, ':');
	char name[ENV_NAME_MAX + 1];

	if (colon == NULL) {
		return syntax_secret_name(s);
	}
	if ((size_t)(colon - s) >= sizeof(name)) {
		return "is longer than 256 characters";
	}
	memcpy(name, s, (size_t)(colon - s));
	name[colon - s] = '\0';
	const char *wrong = syntax_env_name(name);

	return wrong != NULL ? wrong : syntax_secret_name(colon + 1);
}

const char *syntax_label(const char *s)
{
	static const char *const reserved[] = {"service", "role", "destination"};

	if (strlen(s) > LABEL_MAX) {
		return "is longer than 256 characters";
	}
	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
		if (strcmp(s, reserved[i]) == 0) {
			return "is a label that the tool sets itself";
		}
	}
	if (strncmp(s, "deploy.", 7) == 0) {
		return "is a label that the tool sets itself";
	}
	if (strchr(s, '=') != NULL) {
		return "has a '='; write label: value";
	}
	return syntax_word(s);
}

const char *syntax_header(const char *s)
{
	for (const char *p = s; *p != '\0'; p++) {
		if (!alpha(*p) && !digit(*p) && *p != '-' && *p != '_') {
			return "is not the name of an HTTP header";
		}
	}
	return syntax_text(s);
}

const char *syntax_number_version(const char *s)
{
	for (const char *p = s; *p != '\0'; p++) {
		if (!digit(*p) && (*p != '.' || p == s || !digit(p[1]))) {
			return "is not a version such as 2.1.0";
		}
	}
	return strlen(s) > 32 ? "is not a version such as 2.1.0" : syntax_text(s);
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

const char *syntax_tag_template(const char *s)
{
	static const char *const known[] = {"{sha}", "{branch}", "{version}"};
	struct str plain = STR_INIT(512);
	const char *wrong = NULL;

	while (*s != '\0' && wrong == NULL) {
		size_t skip = 0;

		for (size_t i = 0; i < 3; i++) {
			if (strncmp(s, known[i], strlen(known[i])) == 0) {
				skip = strlen(known[i]);
			}
		}
		if (skip == 0 && (*s == '{' || *s == '}')) {
			wrong = "may have {sha}, {branch} and {version} in it, no other braces";
		} else if (str_addc(&plain, skip > 0 ? 'x' : *s) != 0) {
			wrong = "is longer than 128 characters";
		}
		s += skip > 0 ? skip : 1;
	}
	if (wrong == NULL) {
		wrong = syntax_version(str_c(&plain));
	}
	str_fini(&plain);
	return wrong;
}

/* A port, or a range of ports, of n characters. */
static bool is_port(const char *s, size_t n)
{
	char text[16];
	long port;
	const char *dash = memchr(s, '-', n);

	if (dash != NULL) {
		return is_port(s, (size_t)(dash - s)) &&
		       is_port(dash + 1, n - (size_t)(dash - s) - 1);
	}
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

const char *syntax_limit(const char *s)
{
	size_t n = strlen(s);
	char text[16];
	long value;

	if (n == 0 || n >= sizeof(text)) {
		return "is not a number or a percentage";
	}
	memcpy(text, s, n + 1);
	bool percent = text[n - 1] == '%';

	if (percent) {
		text[n - 1] = '\0';
	}
	return str_to_long(text, 1, percent ? 100 : 10000, &value) == 0
		       ? NULL
		       : "is not a number from 1 or a percentage from 1% to 100%";
}

const char *syntax_mode(const char *s)
{
	size_t n = strlen(s);

	return n >= 3 && n <= 4 && strspn(s, "01234567") == n ? NULL : "is not a mode such as 0644";
}

/* A decimal number with an optional fraction at s; *end behind it; -1 when there is none. */
static double read_number(const char *s, const char **end)
{
	double value = 0, scale = 1;
	const char *p = s;

	for (; digit(*p) || (*p == '_' && p > s && digit(p[-1]) && digit(p[1])); p++) {
		value = *p == '_' ? value : value * 10 + (*p - '0');
	}
	if (p == s || p - s > 18) {
		return -1;
	}
	if (*p == '.' && digit(p[1])) {
		for (p++; digit(*p); p++) {
			scale /= 10;
			value += (*p - '0') * scale;
		}
	}
	*end = p;
	return value;
}

int64_t syntax_duration(const char *s)
{
	static const struct {
		const char *unit;
		double ms;
	} units[] = {{"", 1000}, {"s", 1000}, {"ms", 1}, {"m", 60e3}, {"min", 60e3}, {"h", 3600e3},
		{"d", 86400e3}};
	const char *end = s;
	double value = read_number(s, &end);

	if (value < 0) {
		return -1;
	}
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(end, units[i].unit) == 0) {
			double ms = value * units[i].ms;

			return ms <= DURATION_MAX_MS ? (int64_t)(ms + 0.5) : -1;
		}
	}
	return -1;
}

int64_t syntax_size(const char *s)
{
	static const char letters[] = "bkmgt";
	const char *end = s;
	double value = read_number(s, &end);
	const char *letter;

	if (value < 0) {
		return -1;
	}
	if (*end != '\0') {
		char c = (char)(*end | 0x20);

		letter = strchr(letters, c);
		if (letter == NULL) {
			return -1;
		}
		for (const char *p = letters; p < letter; p++) {
			value *= 1024;
		}
		end++;
		if (c != 'b') {
			end += (*end | 0x20) == 'i' && (end[1] | 0x20) == 'b';
			end += (*end | 0x20) == 'b' && end[1] == '\0';
		}
	}
	return *end == '\0' && value < 9e15 ? (int64_t)value : -1;
}

int syntax_integer(const char *s, int64_t *out)
{
	bool negative = *s == '-';
	int64_t value = 0;

	s += negative;
	if (!digit(*s) || (*s == '0' && s[1] != '\0')) {
		return -1;
	}
	for (const char *p = s; *p != '\0'; p++) {
		if (*p == '_' && digit(p[1])) {
			continue;
		}
		if (!digit(*p) || value > INT64_MAX / 100) {
			return -1;
		}
		value = value * 10 + (*p - '0');
	}
	*out = negative ? -value : value;
	return 0;
}

int syntax_bool(const char *s)
{
	static const struct {
		const char *word;
		int value;
	} words[] = {{"true", 1}, {"True", 1}, {"TRUE", 1}, {"yes", 1}, {"Yes", 1}, {"YES", 1},
		{"on", 1}, {"On", 1}, {"ON", 1}, {"y", 1}, {"Y", 1}, {"false", 0}, {"False", 0},
		{"FALSE", 0}, {"no", 0}, {"No", 0}, {"NO", 0}, {"off", 0}, {"Off", 0}, {"OFF", 0},
		{"n", 0}, {"N", 0}};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(s, words[i].word) == 0) {
			return words[i].value;
		}
	}
	return -1;
}

/* Inside of quotes up to the closing one; *p is left behind it. */
static const char *quoted(const char **p, char quote, struct str *word)
{
	const char *s = *p;

	for (; *s != quote; s++) {
		if (*s == '\0') {
			return quote == '\'' ? "has a ' that is not closed"
					     : "has a \" that is not closed";
		}
		if (quote == '"' && *s == '\\' && s[1] != '\0' &&
			strchr("\"\\$`\n", s[1]) != NULL) {
			s++;
		}
		str_addc(word, *s);
	}
	*p = s + 1;
	return NULL;
}

const char *syntax_words(const char *s, struct strvec *out)
{
	static const char blanks[] = " \t\n\r";
	struct str word = STR_INIT(STR_MAX_FILE);
	const char *wrong = NULL;

	while (wrong == NULL) {
		s += strspn(s, blanks);
		if (*s == '\0') {
			break;
		}
		str_reset(&word);
		while (*s != '\0' && strchr(blanks, *s) == NULL && wrong == NULL) {
			char c = *s++;

			if (c == '\'' || c == '"') {
				wrong = quoted(&s, c, &word);
			} else if (c == '\\') {
				if (*s == '\0') {
					wrong = "ends with a '\\'";
				} else {
					str_addc(&word, *s++);
				}
			} else {
				str_addc(&word, c);
			}
		}
		if (wrong == NULL) {
			strvec_push(out, str_c(&word));
		}
	}
	str_fini(&word);
	return wrong;
}

const char *syntax_command(const char *s)
{
	struct strvec words = {0};
	const char *wrong = syntax_words(s, &words);

	if (wrong == NULL && words.len == 0) {
		wrong = "is empty";
	}
	strvec_fini(&words);
	return wrong;
}
