/* SPDX-License-Identifier: MIT */
/* Durations, sizes, numbers, and the words of a command. */
#include "manifest/syntax.h"

#include <string.h>

#define RATE_MAX        100000 /* requests */
#define DURATION_MAX_MS (7LL * 24 * 3600 * 1000)

static bool digit(char c)
{
	return c >= '0' && c <= '9';
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

void syntax_rate_of(const char *s, int *requests, bool *per_minute)
{
	*requests = 0;
	for (; digit(*s) && *requests <= RATE_MAX; s++) {
		*requests = *requests * 10 + (*s - '0');
	}
	*per_minute = strcmp(s, "/m") == 0;
}

const char *syntax_rate(const char *s)
{
	const char *unit = s + strspn(s, "0123456789");
	int requests;
	bool per_minute;

	syntax_rate_of(s, &requests, &per_minute);
	if (requests < 1 || requests > RATE_MAX ||
		(strcmp(unit, "/s") != 0 && strcmp(unit, "/m") != 0)) {
		return "is not a rate such as 10/s or 5/m";
	}
	return NULL;
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
