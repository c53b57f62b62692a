/* SPDX-License-Identifier: MIT */
/*
 * "$(kamal secrets fetch ...)" and "$(kamal secrets extract ...)", answered without a process: what
 * was fetched is in no argv, and no kamal has to be there.
 */
#include "internal.h"

#include <string.h>

/* How the program may be called. */
static const char *const programs[] = {
	"kamal ", "bin/kamal ", "./bin/kamal ", "bundle exec kamal ", "deploy ", "./deploy "};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Moves behind `words`, between which any blanks may be; NULL: it begins otherwise. */
static const char *skip_words(const char *p, const char *words)
{
	while (*words != '\0') {
		if (*words == ' ') {
			if (*p != '\0' && !is_blank(*p)) {
				return NULL;
			}
			while (is_blank(*p)) {
				p++;
			}
			words++;
		} else if (*p++ != *words++) {
			return NULL;
		}
	}
	return p;
}

static const char *skip_program(const char *command)
{
	while (is_blank(*command)) {
		command++;
	}
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		const char *rest = skip_words(command, programs[i]);
		rest = rest != NULL ? skip_words(rest, "secrets ") : NULL;
		if (rest != NULL) {
			return rest;
		}
	}
	return NULL;
}

/* Is there something of the shell's besides words, quotes and variables? */
static bool needs_shell(const char *p)
{
	char quote = '\0';

	for (; *p != '\0'; p++) {
		if (*p == '\\' && quote != '\'' && p[1] != '\0') {
			p++;
		} else if (quote != '\0' && *p == quote) {
			quote = '\0';
		} else if (quote == '\0' && (*p == '\'' || *p == '"')) {
			quote = *p;
		} else if (quote != '\'' && (*p == '`' || (*p == '$' && p[1] == '('))) {
			return true;
		} else if (quote == '\0' && strchr("|&;<>()", *p) != NULL) {
			return true;
		}
	}
	return quote != '\0';
}

/* -- Words -- */

struct splitter {
	const char *p;
	const struct inline_source *source;
	struct str word; /* secret */
	bool in_word;
	struct strvec *words;
	struct error *err;
};

static void end_word(struct splitter *s)
{
	if (s->in_word) {
		strvec_push(s->words, str_c(&s->word));
		explicit_bzero(s->word.p, s->word.len);
		str_reset(&s->word);
		s->in_word = false;
	}
}

/* "$NAME", "${NAME}", "${NAME:-default}"; another '$' is text.  Values are not split into words. */
static int variable(struct splitter *s)
{
	const char *end = s->p + strlen(s->p);
	bool braced = s->p[1] == '{';
	const char *begin = s->p + 1 + braced;
	size_t n = dotenv_name_len_(begin, end);
	const char *behind = begin + n;
	CLEANUP_FREE char *name = xstrndup(begin, n);
	CLEANUP_FREE char *otherwise = NULL;

	if (braced && n > 0 && behind[0] == ':' && behind[1] == '-') {
		otherwise = xstrndup(behind + 2, strcspn(behind + 2, "}"));
		behind += 2 + strlen(otherwise);
	}
	if (n == 0 || (braced && *behind != '}')) {
		str_addc(&s->word, *s->p++);
		return 0;
	}
	s->p = behind + braced;
	return s->source->variable(s->source->ctx, name, otherwise, &s->word, s->err);
}

static int quoted(struct splitter *s)
{
	char quote = *s->p++;

	while (*s->p != '\0' && *s->p != quote) {
		if (quote == '"' && *s->p == '$') {
			if (variable(s) < 0) {
				return -1;
			}
			continue;
		}
		if (quote == '"' && *s->p == '\\' && s->p[1] != '\0' &&
			strchr("\\\"$`\n", s->p[1]) != NULL) {
			s->p++;
		}
		str_addc(&s->word, *s->p++);
	}
	s->p += *s->p != '\0';
	return 0;
}

static int split(struct splitter *s)
{
	while (*s->p != '\0') {
		int rc = 0;
		if (is_blank(*s->p)) {
			end_word(s);
			s->p++;
			continue;
		}
		s->in_word = true;
		if (*s->p == '\'' || *s->p == '"') {
			rc = quoted(s);
		} else if (*s->p == '$') {
			rc = variable(s);
		} else {
			s->p += *s->p == '\\' && s->p[1] != '\0';
			str_addc(&s->word, *s->p++);
		}
		if (rc < 0) {
			return -1;
		}
	}
	end_word(s);
	return s->word.overflow ? error_set(s->err, ERROR_MANIFEST, "the command is too large") : 0;
}

/* -- The two commands -- */

/* Takes "--name VALUE", "--name=VALUE" or "-l VALUE" at words[*at] into *value. */
static bool take_option(
	const struct strvec *words, size_t *at, const char *name, char letter, const char **value)
{
	const char *word = words->p[*at];
	const char short_name[] = {'-', letter, '\0'};
	size_t n = strlen(name);

	if (strncmp(word, "--", 2) == 0 && strncmp(word + 2, name, n) == 0 && word[n + 2] == '=') {
		*value = word + n + 3;
		return true;
	}
	if ((strncmp(word, "--", 2) == 0 && strcmp(word + 2, name) == 0) ||
		(letter != '\0' && strcmp(word, short_name) == 0)) {
		*value = *at + 1 < words->len ? words->p[++*at] : "";
		return true;
	}
	return false;
}

/* Options go into req, the rest into *names (borrowed). */
static int read_options(const struct strvec *words, struct adapter_request *req,
	struct inline_names *names, struct error *err)
{
	const char *ignored = NULL;

	for (size_t i = 1; i < words->len; i++) {
		const char *word = words->p[i];
		if (word[0] != '-' || word[1] == '\0') {
			vec_push(names, word);
		} else if (!take_option(words, &i, "adapter", 'a', &req->adapter) &&
			   !take_option(words, &i, "account", '\0', &req->account) &&
			   !take_option(words, &i, "from", '\0', &req->from) &&
			   !take_option(words, &i, "destination", 'd', &ignored) &&
			   !take_option(words, &i, "config-file", 'c', &ignored) &&
			   !str_eq(word, "--inline")) {
			return error_set(err, ERROR_MANIFEST, "secrets %s: unknown option '%s'",
				words->p[0], word);
		}
	}
	return 0;
}

static int fetch(const struct adapter_request *req, const struct inline_source *source,
	struct str *out, struct error *err)
{
	struct secret_map found = {0};

	if (req->adapter == NULL) {
		return error_set(err, ERROR_MANIFEST, "secrets fetch: --adapter is missing");
	}
	int rc = source->fetch != NULL ? source->fetch(source->fetch_ctx, req, &found, err)
				       : adapter_fetch(req, &found, err);
	if (rc == 0) {
		rc = secrets_to_json(&found, out, err);
	}
	secret_map_fini(&found);
	return rc;
}

static int extract(const struct inline_names *names, struct str *out, struct error *err)
{
	if (names->len != 2) {
		return error_set(err, ERROR_MANIFEST,
			"secrets extract takes a name and what was fetched, here are %zu arguments",
			names->len);
	}
	const char *json = names->p[1];
	struct secret *value = secrets_extract(names->p[0], json, strlen(json), err);
	if (value == NULL) {
		return -1;
	}
	str_addn(out, secret_reveal(value), secret_len(value));
	secret_unref(value);
	return 0;
}

static int answer(const struct strvec *words, const struct inline_source *source, struct str *out,
	struct error *err)
{
	struct adapter_request req = {.dir = source->dir};
	struct inline_names names = {0};
	int rc = read_options(words, &req, &names, err);

	req.names = names.p;
	req.n = names.len;
	if (rc == 0) {
		rc = str_eq(words->p[0], "fetch") ? fetch(&req, source, out, err)
						  : extract(&names, out, err);
	}
	vec_fini(&names);
	return rc;
}

bool inline_is_ours_(const char *command)
{
	const char *rest = skip_program(command);

	return rest != NULL && !needs_shell(rest) &&
	       (skip_words(rest, "fetch ") != NULL || skip_words(rest, "extract ") != NULL);
}

int inline_run_(
	const char *command, const struct inline_source *source, struct str *out, struct error *err)
{
	struct strvec words = {0};
	struct splitter s = {
		.p = skip_program(command),
		.source = source,
		.word = STR_SECRET_INIT(DOTENV_MAX_VALUE),
		.words = &words,
		.err = err,
	};
	int rc = split(&s);

	if (rc == 0) {
		rc = answer(&words, source, out, err);
	}
	VEC_FOREACH (&words, i) {
		explicit_bzero(words.p[i], strlen(words.p[i]));
	}
	strvec_fini(&words);
	str_fini(&s.word);
	return rc;
}
