/* SPDX-License-Identifier: MIT */
/* Texts. Names are in syntax_name.c, paths in syntax_path.c, numbers in syntax_number.c. */
#include "manifest/syntax.h"

#include <string.h>
#include <strings.h>

#define ENV_NAME_MAX 256
#define LABEL_MAX    256

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

const char *syntax_log_header(const char *s)
{
	static const char *const secret[] = {"Authorization", "Proxy-Authorization", "Cookie",
		"Set-Cookie", "X-Api-Key", "X-Auth-Token", "X-Csrf-Token", NULL};

	for (size_t i = 0; secret[i] != NULL; i++) {
		if (strcasecmp(s, secret[i]) == 0) {
			return "is a header that holds secrets, which no log may have";
		}
	}
	return strlen(s) > 64 ? "is no header's name: it has more than 64 letters"
			      : syntax_header(s);
}

const char *syntax_cookie(const char *s)
{
	for (const char *p = s; *p != '\0'; p++) {
		if (!alpha(*p) && *p != '_' && (p == s || !digit(*p))) {
			return "is not a name of letters, digits and '_'";
		}
	}
	return strlen(s) > 64 ? "has more than 64 letters" : syntax_text(s);
}

const char *syntax_response_header(const char *s)
{
	/* What a proxy writes by what it does with the answer. */
	static const char *const own[] = {"Connection", "Content-Encoding", "Content-Length",
		"Content-Type", "Date", "Keep-Alive", "Server", "Trailer", "Transfer-Encoding",
		"Upgrade", NULL};

	for (size_t i = 0; own[i] != NULL; i++) {
		if (strcasecmp(s, own[i]) == 0) {
			return "is a header that only the application and the proxy can set";
		}
	}
	return syntax_header(s);
}

const char *syntax_header_value(const char *s)
{
	for (const char *p = s; *p != '\0'; p++) {
		if (*p < ' ' || *p > '~' || strchr("\"\\`${}", *p) != NULL) {
			return "has a character that a header of the proxy cannot have: only "
			       "printable ASCII without \" \\ ` $ { }";
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

const char *syntax_ratio(const char *s)
{
	size_t n = strlen(s);
	bool whole = *s == '1';
	const char *rest = s + (whole || *s == '0');

	if (*rest == '.' && rest[1] != '\0') {
		rest += 1 + strspn(rest + 1, whole ? "0" : "0123456789");
	}
	return n > 0 && n <= 16 && *rest == '\0' ? NULL : "is not a number from 0 to 1";
}

const char *syntax_mode(const char *s)
{
	size_t n = strlen(s);

	return n >= 3 && n <= 4 && strspn(s, "01234567") == n ? NULL : "is not a mode such as 0644";
}
