/* SPDX-License-Identifier: MIT */
/* The parser: bytes to entries, without a look at anything else. */
#include "secrets/dotenv.h"

#include "internal.h"

#include <string.h>

#define MAX_ENTRIES 10000 /* look-ups are linear */

struct parser {
	struct dotenv *d;
	const char *file;
	const char *p;
	const char *end;
	unsigned line;
	struct entry *entry; /* present one */
	size_t start;        /* its literal that is being gathered, in d->text */
	bool legacy_newlines;
	struct error *err;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

size_t dotenv_name_len_(const char *p, const char *end)
{
	size_t n = 0;

	while (p + n < end && is_word(p[n])) {
		n++;
	}
	return n;
}

struct entry *dotenv_find_(const struct dotenv *d, const char *name, size_t end)
{
	for (size_t i = end; i > 0; i--) {
		if (strcmp(d->entries.p[i - 1].name, name) == 0) {
			return &d->entries.p[i - 1];
		}
	}
	return NULL;
}

static int fail(struct parser *s, unsigned line, const char *what)
{
	return error_set(s->err, ERROR_MANIFEST, "%s:%u: %s", s->file, line, what);
}

static bool at_end(const struct parser *s)
{
	return s->p == s->end;
}

/* The byte at p + n, or NUL at the end (NUL itself is refused before). */
static char peek(const struct parser *s, size_t n)
{
	return (size_t)(s->end - s->p) > n ? s->p[n] : '\0';
}

static char next(struct parser *s)
{
	char c = *s->p++;

	s->line += c == '\n';
	return c;
}

static void skip_blanks(struct parser *s)
{
	while (!at_end(s) && is_blank(*s->p)) {
		s->p++;
	}
}

static void skip_line(struct parser *s)
{
	while (!at_end(s) && *s->p != '\n') {
		s->p++;
	}
}

static void put(struct parser *s, char c)
{
	str_addc(&s->d->text, c);
}

/* Ends the gathered literal, if there is one, as a part. */
static void end_literal(struct parser *s)
{
	size_t len = s->d->text.len - s->start;

	if (len > 0) {
		struct part part = {
			.kind = PART_LITERAL, .line = s->line, .text = s->start, .len = len};
		put(s, '\0');
		vec_push(&s->entry->parts, part);
	}
	s->start = s->d->text.len;
}

/* Adds a part whose text is given. */
static void add_part(struct parser *s, enum part_kind kind, unsigned line, const char *text,
	size_t len, const char *otherwise, size_t otherwise_len)
{
	end_literal(s);
	struct part part = {.kind = kind, .line = line, .text = s->start, .len = len};
	str_addn(&s->d->text, text, len);
	put(s, '\0');
	if (otherwise != NULL) {
		part.otherwise = s->d->text.len;
		str_addn(&s->d->text, otherwise, otherwise_len);
		put(s, '\0');
	}
	s->start = s->d->text.len;
	vec_push(&s->entry->parts, part);
}

/* Moves behind a quoted string within a command, whose opening quote is at p. */
static int skip_quoted(struct parser *s)
{
	char quote = next(s);

	while (!at_end(s)) {
		char c = next(s);
		if (c == quote) {
			return 0;
		}
		if (c == '\\' && quote == '"' && !at_end(s)) {
			next(s);
		}
	}
	return -1;
}

/* "$(...)", p at the '$': balanced parentheses; quotes as the shell sees them. */
static int command(struct parser *s)
{
	unsigned line = s->line;
	unsigned depth = 1;

	s->p += 2;
	const char *begin = s->p;
	while (!at_end(s)) {
		char c = *s->p;
		if (c == '\'' || c == '"') {
			if (skip_quoted(s) < 0) {
				break;
			}
			continue;
		}
		next(s);
		if (c == '\\' && !at_end(s)) {
			next(s);
		} else if (c == '(') {
			depth++;
		} else if (c == ')' && --depth == 0) {
			add_part(s, PART_COMMAND, line, begin, (size_t)(s->p - 1 - begin), NULL, 0);
			return 0;
		}
	}
	return fail(s, line, "this '$(' is not closed by a ')'");
}

/* "${NAME}" or "${NAME:-default}", p at the '$'. */
static int braced(struct parser *s)
{
	const char *name = s->p + 2;
	size_t len = dotenv_name_len_(name, s->end);
	const char *q = name + len;

	if (len > 0 && q < s->end && *q == '}') {
		s->p = q + 1;
		add_part(s, PART_VARIABLE, s->line, name, len, NULL, 0);
		return 0;
	}
	if (len > 0 && s->end - q > 2 && q[0] == ':' && q[1] == '-') {
		const char *otherwise = q + 2;
		const char *close = memchr(otherwise, '}', (size_t)(s->end - otherwise));
		size_t n = close != NULL ? (size_t)(close - otherwise) : 0;
		if (close != NULL && memchr(otherwise, '\n', n) == NULL) {
			s->p = close + 1;
			add_part(s, PART_VARIABLE, s->line, name, len, otherwise, n);
			return 0;
		}
	}
	return fail(s, s->line, "this '${' is neither '${NAME}' nor '${NAME:-default}'");
}

/* What a '$' at p begins; a lone one is text. */
static int dollar(struct parser *s)
{
	if (peek(s, 1) == '(') {
		return command(s);
	}
	if (peek(s, 1) == '{') {
		return braced(s);
	}
	size_t len = dotenv_name_len_(s->p + 1, s->end);
	if (len == 0) {
		put(s, next(s));
		return 0;
	}
	add_part(s, PART_VARIABLE, s->line, s->p + 1, len, NULL, 0);
	s->p += 1 + len;
	return 0;
}

/* A backslash at p; `quoted`: in double quotes, where "\n" and "\r" are kept as they are. */
static void escape(struct parser *s, bool quoted)
{
	char c = peek(s, 1);

	s->p++;
	if (at_end(s)) {
		put(s, '\\');
	} else if (quoted && (c == 'n' || c == 'r')) {
		s->p++;
		if (s->legacy_newlines) {
			put(s, c == 'n' ? '\n' : '\r');
		} else {
			put(s, '\\');
			put(s, c);
		}
	} else if (!quoted && c == '\n') {
		put(s, '\\'); /* a value without quotes ends with its line */
	} else {
		put(s, next(s));
	}
}

static int single_quoted(struct parser *s)
{
	unsigned line = s->line;

	s->p++;
	while (!at_end(s)) {
		char c = next(s);
		if (c == '\'') {
			return 0;
		}
		if (c == '\r' && peek(s, 0) == '\n') {
			continue; /* Windows line ends are line ends */
		}
		put(s, c);
		if (c == '\\' && peek(s, 0) == '\'') {
			put(s, next(s)); /* dotenv keeps both */
		}
	}
	return fail(s, line, "this ' is not closed");
}

static int double_quoted(struct parser *s)
{
	unsigned line = s->line;

	s->p++;
	while (!at_end(s)) {
		char c = *s->p;
		if (c == '"') {
			s->p++;
			return 0;
		}
		if (c == '$') {
			if (dollar(s) < 0) {
				return -1;
			}
		} else if (c == '\\') {
			escape(s, true);
		} else if (c == '\r' && peek(s, 1) == '\n') {
			s->p++;
		} else {
			put(s, next(s));
		}
	}
	return fail(s, line, "this \" is not closed");
}

static int unquoted(struct parser *s)
{
	size_t trimmed = s->d->text.len; /* end of the literal without the blanks behind it */
	char before = ' ';

	while (!at_end(s) && *s->p != '\n' && !(*s->p == '#' && is_blank(before))) {
		before = *s->p;
		if (before == '$') {
			if (dollar(s) < 0) {
				return -1;
			}
			trimmed = s->d->text.len;
			continue;
		}
		if (before == '\\') {
			escape(s, false);
		} else {
			put(s, *s->p++);
		}
		if (!is_blank(before)) {
			trimmed = s->d->text.len;
		}
	}
	str_truncate(&s->d->text, trimmed);
	return 0;
}

/* From behind the separator to the end of the line. */
static int value(struct parser *s)
{
	int rc = 0;

	s->start = s->d->text.len;
	skip_blanks(s);
	char quote = peek(s, 0);
	if (quote == '\'' || quote == '"') {
		rc = quote == '"' ? double_quoted(s) : single_quoted(s);
		skip_blanks(s);
		if (rc == 0 && !at_end(s) && *s->p != '\n' && *s->p != '#') {
			rc = fail(s, s->line, "text behind the closing quote");
		}
	} else {
		rc = unquoted(s);
	}
	if (rc < 0) {
		return -1;
	}
	end_literal(s);
	skip_line(s);
	return s->d->text.overflow ? fail(s, s->line, "the secrets are too large") : 0;
}

/* "NAME" and its "=" or ": ", p at the name: the name, or NULL. */
static char *name(struct parser *s)
{
	const char *begin = s->p;

	while (!at_end(s) && (is_word(*s->p) || *s->p == '.')) {
		s->p++;
	}
	const char *name_end = s->p;
	skip_blanks(s);
	if (name_end == begin) {
		fail(s, s->line, "expected NAME=value");
		return NULL;
	}
	if (peek(s, 0) == '=' || (s->p == name_end && peek(s, 0) == ':' && is_blank(peek(s, 1)))) {
		s->p++;
		return xstrndup(begin, (size_t)(name_end - begin));
	}
	fail(s, s->line, "expected '=' behind the name");
	return NULL;
}

/* Takes the name. */
static void add_entry(struct parser *s, char *entry_name)
{
	struct entry entry = {.file = s->file, .line = s->line};

	if (s->d->prefix != NULL) {
		CLEANUP_FREE char *bare = entry_name;
		entry_name = xasprintf("%s:%s", s->d->prefix, bare);
		entry.prefix = strlen(s->d->prefix) + 1;
	}
	entry.name = entry_name;

	if (!strvec_has(&s->d->names, entry_name)) {
		strvec_push(&s->d->names, entry_name);
	}
	vec_push(&s->d->entries, entry);
	s->entry = &s->d->entries.p[s->d->entries.len - 1];
}

static void note_linebreak_mode(struct parser *s)
{
	const struct part_vec *parts = &s->entry->parts;

	if (str_eq(s->entry->name + s->entry->prefix, "DOTENV_LINEBREAK_MODE")) {
		s->legacy_newlines = parts->len == 1 && parts->p[0].kind == PART_LITERAL &&
				     str_eq(s->d->text.p + parts->p[0].text, "legacy");
	}
}

/*
 * A line of a shell script, such as `if [ -f .env ]; then`: a secrets file that is also sourced by
 * a shell may have some.  dotenv skips what is no entry; only what nobody writes by mistake is
 * skipped here.
 */
static bool is_shell(const struct parser *s)
{
	static const char *const words[] = {"if", "then", "else", "elif", "fi", "for", "while",
		"do", "done", "source", ".", "set", "[", "[[", "export"};
	size_t left = (size_t)(s->end - s->p);

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t n = strlen(words[i]);
		if (left < n || memcmp(s->p, words[i], n) != 0) {
			continue;
		}
		const char *p = s->p + n;
		while (p < s->end && is_blank(*p)) {
			p++;
		}
		bool ends = p == s->end || *p == '\n' || *p == ';' || *p == '#';
		/* `export $(...)`; and "if = x" is an entry */
		if (i == sizeof(words) / sizeof(words[0]) - 1
				? p < s->end && *p == '$'
				: ends || (p > s->p + n && *p != '=')) {
			return true;
		}
	}
	return false;
}

/* One line that is neither empty nor a comment. */
static int statement(struct parser *s)
{
	if (is_shell(s)) {
		skip_line(s);
		return 0;
	}
	if (s->end - s->p > 7 && memcmp(s->p, "export", 6) == 0 && is_blank(s->p[6])) {
		s->p += 6;
		skip_blanks(s);
	}
	if (s->d->entries.len >= MAX_ENTRIES) {
		return fail(s, s->line, "too many entries");
	}
	char *entry_name = name(s);
	if (entry_name == NULL) {
		return -1;
	}
	add_entry(s, entry_name);
	if (value(s) < 0) {
		return -1;
	}
	note_linebreak_mode(s);
	return 0;
}

/* Line of the NUL byte at `nul`. */
static unsigned line_of(const char *text, const char *nul)
{
	unsigned line = 1;

	for (; text < nul; text++) {
		line += *text == '\n';
	}
	return line;
}

int dotenv_parse(
	struct dotenv *d, const char *file, const char *text, size_t len, struct error *err)
{
	strvec_push(&d->files, file);
	struct parser s = {.d = d,
		.file = d->files.p[d->files.len - 1],
		.p = text,
		.end = text + len,
		.line = 1,
		.err = err};

	if (len > DOTENV_MAX_FILE) {
		return error_set(
			err, ERROR_MANIFEST, "%s: larger than %zu bytes", s.file, DOTENV_MAX_FILE);
	}
	const char *nul = len > 0 ? memchr(text, '\0', len) : NULL;
	if (nul != NULL) {
		return fail(&s, line_of(text, nul), "a NUL byte");
	}
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		s.p += 3; /* byte order mark */
	}
	while (!at_end(&s)) {
		skip_blanks(&s);
		if (at_end(&s)) {
			break;
		}
		if (*s.p == '\n') {
			next(&s);
		} else if (*s.p == '#') {
			skip_line(&s);
		} else if (statement(&s) < 0) {
			return -1;
		}
	}
	return 0;
}
