/* SPDX-License-Identifier: MIT */
#include "config_cache.h"

#include "util/fs.h"

#include <glob.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FILES  64 /* configuration files that are looked at; more: not general */
#define SYSTEM_DIR "/etc/ssh"

struct kept {
	char *key;
	char *text;
	size_t len;
};
VEC_TYPE(kepts, struct kept);

struct ssh_config_cache {
	pthread_mutex_t lock; /* held while ssh -G runs: the others want the same answer */
	struct kepts kepts;
	struct strvec general; /* configuration files that were judged so ("" is the usual ones) */
	struct strvec particular; /* or not so */
};

struct ssh_config_cache *ssh_config_cache_new(void)
{
	struct ssh_config_cache *c = xcalloc(1, sizeof(*c));

	pthread_mutex_init(&c->lock, NULL);
	return c;
}

void ssh_config_cache_free(struct ssh_config_cache *c)
{
	if (c == NULL) {
		return;
	}
	VEC_FOREACH (&c->kepts, i) {
		free(c->kepts.p[i].key);
		free(c->kepts.p[i].text);
	}
	vec_fini(&c->kepts);
	strvec_fini(&c->general);
	strvec_fini(&c->particular);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* ssh_config(5): keyword, white space or '=', arguments; keywords in any case. */
static bool line_is_general(char *line, struct strvec *includes)
{
	char *p = line + strspn(line, " \t");
	size_t n = strcspn(p, " \t=");
	char *value = p + n + strspn(p + n, " \t=");

	if (*p == '#' || *p == '\0') {
		return true;
	}
	value[strcspn(value, "\r")] = '\0';
	if (n == 4 && strncasecmp(p, "Host", n) == 0) {
		return strcmp(value, "*") == 0 || strcmp(value, "\"*\"") == 0;
	}
	if (n == 5 && strncasecmp(p, "Match", n) == 0) {
		return strcasecmp(value, "all") == 0;
	}
	if (n == 7 && strncasecmp(p, "Include", n) == 0) {
		strvec_push(includes, value);
		return strpbrk(value, "%$\"") == NULL;
	}
	/* %h, %n, %k, %C and the rest may stand for the host; names may be made canonical. */
	return strchr(value, '%') == NULL && strncasecmp(p, "Canonical", 9) != 0 &&
	       !(n == 8 && strncasecmp(p, "HostName", n) == 0);
}

bool ssh_config_is_general(const char *text, size_t len, struct strvec *includes)
{
	const char *p = text;
	const char *end = text + len;

	while (p < end) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((newline != NULL ? newline : end) - p);
		CLEANUP_FREE char *line = xstrndup(p, n);
		if (!line_is_general(line, includes)) {
			return false;
		}
		p += n + 1;
	}
	return true;
}

/* Appends what the words of an Include stand for. False: cannot tell. */
static bool expand(const char *value, const char *dir, struct strvec *files)
{
	CLEANUP_FREE char *home = fs_home();
	const char *p = value;

	while (*(p += strspn(p, " \t")) != '\0') {
		size_t n = strcspn(p, " \t");
		CLEANUP_FREE char *word = xstrndup(p, n);
		CLEANUP_FREE char *path = NULL;
		glob_t found = {0};
		if (word[0] == '~' && (word[1] != '/' || home == NULL)) {
			return false;
		}
		path = word[0] == '~'   ? xasprintf("%s%s", home, word + 1)
		       : word[0] == '/' ? xstrdup(word)
					: xasprintf("%s/%s", dir, word);
		int rc = glob(path, 0, NULL, &found);
		for (size_t i = 0; rc == 0 && i < found.gl_pathc; i++) {
			strvec_push(files, found.gl_pathv[i]);
		}
		globfree(&found);
		if (rc != 0 && rc != GLOB_NOMATCH) {
			return false;
		}
		p += n;
	}
	return true;
}

/* `first`, and all that it includes. Relative names belong to `dir`. */
static bool files_are_general(const char *first, const char *dir)
{
	CLEANUP_STRVEC struct strvec files = {0};

	strvec_push(&files, first);
	for (size_t i = 0; i < files.len; i++) {
		CLEANUP_STR struct str text = STR_INIT((size_t)1 << 20);
		CLEANUP_STRVEC struct strvec includes = {0};
		struct error why = {0};
		if (i >= MAX_FILES) {
			return false;
		}
		if (fs_read(files.p[i], &text, &why) < 0) {
			if (fs_exists(files.p[i])) {
				return false;
			}
			continue;
		}
		if (!ssh_config_is_general(str_c(&text), text.len, &includes)) {
			return false;
		}
		VEC_FOREACH (&includes, k) {
			if (!expand(includes.p[k], dir, &files)) {
				return false;
			}
		}
	}
	return true;
}

static bool look(const char *config_file)
{
	CLEANUP_FREE char *home = fs_home();
	CLEANUP_FREE char *dir = home != NULL ? fs_join(home, ".ssh") : NULL;
	CLEANUP_FREE char *user = dir != NULL ? fs_join(dir, "config") : NULL;

	if (dir == NULL) {
		return false;
	}
	if (config_file != NULL) { /* then ssh reads no other */
		return files_are_general(config_file, dir);
	}
	return files_are_general(user, dir) &&
	       files_are_general(SYSTEM_DIR "/ssh_config", SYSTEM_DIR);
}

static bool is_general(struct ssh_config_cache *c, const char *config_file)
{
	const char *name = config_file != NULL ? config_file : "";

	if (strvec_has(&c->general, name)) {
		return true;
	}
	if (strvec_has(&c->particular, name)) {
		return false;
	}
	bool general = look(config_file);
	strvec_push(general ? &c->general : &c->particular, name);
	return general;
}

static const struct kept *find(const struct ssh_config_cache *c, const char *key)
{
	VEC_FOREACH (&c->kepts, i) {
		if (strcmp(c->kepts.p[i].key, key) == 0) {
			return &c->kepts.p[i];
		}
	}
	return NULL;
}

int ssh_config_cached(struct ssh_config_cache *c, const char *config_file, const char *key,
	int (*ask)(void *ctx, struct str *out, struct error *err), void *ctx, struct str *out,
	struct error *err)
{
	int rc = 0;

	pthread_mutex_lock(&c->lock);
	if (!is_general(c, config_file)) {
		pthread_mutex_unlock(&c->lock);
		return ask(ctx, out, err);
	}
	const struct kept *found = find(c, key);
	if (found != NULL) {
		str_addn(out, found->text, found->len);
	} else {
		rc = ask(ctx, out, err);
	}
	if (rc == 0 && found == NULL) {
		const struct kept fresh = {.key = xstrdup(key),
			.text = xstrndup(str_c(out), out->len),
			.len = out->len};
		vec_push(&c->kepts, fresh);
	}
	pthread_mutex_unlock(&c->lock);
	return rc < 0 ? -1 : 1;
}
