/* SPDX-License-Identifier: MIT */
/*
 * Golden cases of manifests: each <case>.yml here (and <case>.<destination>.yml, when it says so)
 * is loaded, and what comes out is compared with <case>.txt.  A new case is a new file; UPDATE=1
 * in the environment writes the expectations anew.
 *
 * Comments at the top of a case:
 *	# destination: staging
 *	# env: NAME=value
 *	# show: proxy.hosts servers.web.env   parts of what is resolved; "all" is everything
 *
 * What loads is printed as YAML and loaded again: it has to be the same.
 */
#include "manifest/config.h"
#include "util/fs.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OUTPUT_MAX ((size_t)1 << 20)

struct test_case {
	char *name;
	char *destination;
	struct strvec show;
	struct strmap env;
};

static const char *get(void *ctx, const char *name)
{
	return strmap_get(ctx, name);
}

/* The value behind "# <key>: " when the line has it. */
static const char *directive(const char *line, const char *key)
{
	size_t n = strlen(key);

	if (strncmp(line, "# ", 2) != 0 || strncmp(line + 2, key, n) != 0 || line[2 + n] != ':') {
		return NULL;
	}
	return line + 3 + n + strspn(line + 3 + n, " ");
}

static void read_line(struct test_case *t, char *line)
{
	const char *dest = directive(line, "destination");
	const char *show = directive(line, "show");
	const char *env = directive(line, "env");

	if (dest != NULL) {
		t->destination = xstrdup(dest);
	}
	for (; show != NULL && *show != '\0'; show += strspn(show, " ")) {
		char *word = xstrndup(show, strcspn(show, " "));

		strvec_push(&t->show, word);
		show += strlen(word);
		free(word);
	}
	if (env != NULL) {
		char *name = xstrndup(env, strcspn(env, "="));

		strmap_set(&t->env, name, env + strcspn(env, "=") + 1);
		free(name);
	}
}

static void read_directives(struct test_case *t)
{
	char *path = xasprintf("%s.yml", t->name);
	FILE *f = fopen(path, "r");
	char line[1024];

	while (f != NULL && fgets(line, sizeof(line), f) != NULL && line[0] == '#') {
		line[strcspn(line, "\n")] = '\0';
		read_line(t, line);
	}
	if (f != NULL) {
		fclose(f);
	}
	free(path);
}

/* Follows "a.b"; keys with dots in them cannot be named. */
static json_t *follow(json_t *o, const char *path)
{
	char key[128];

	while (o != NULL && *path != '\0') {
		size_t n = strcspn(path, ".");

		snprintf(key, sizeof(key), "%.*s", (int)n, path);
		o = json_object_get(o, key);
		path += n + (path[n] == '.');
	}
	return o;
}

static void forget_places(json_t *o)
{
	json_object_del(o, "x-file");
	json_object_del(o, "x-root");
	json_object_del(o, "x-destination");
}

static void show(const struct test_case *t, const struct config *c, struct str *out)
{
	json_t *all = config_to_json(c);

	forget_places(all);
	str_addf(out, "loads: service %s, image %s\n", c->service, c->image);
	VEC_FOREACH (&t->show, i) {
		bool whole = strcmp(t->show.p[i], "all") == 0;
		json_t *part = whole ? all : follow(all, t->show.p[i]);
		char *text = part == NULL ? NULL
					  : json_dumps(part,
						    JSON_ENCODE_ANY | (whole ? JSON_INDENT(2) : 0));

		str_addf(out, "%s: %s\n", t->show.p[i], text != NULL ? text : "(none)");
		free(text);
	}
	json_decref(all);
}

/* What was printed loads again to the same. */
static void round_trip(const struct config *c, struct str *out)
{
	struct config_request req = {.dir = ".", .destination = c->destination};
	struct diagnostics diags = {0};
	struct error err = {0};
	char *text = config_to_yaml(c);
	struct config *again = config_load_text(text, strlen(text), &req, &diags, &err);

	if (again == NULL) {
		str_addf(out, "does not load again:\n");
		diagnostics_render(&diags, false, out);
	} else {
		json_t *one = config_to_json(c), *two = config_to_json(again);

		forget_places(one);
		forget_places(two);
		if (!json_equal(one, two)) {
			str_addf(out, "is not the same when loaded again:\n%s", text);
		}
		json_decref(one);
		json_decref(two);
	}
	config_free(again);
	diagnostics_fini(&diags);
	free(text);
}

static void run(struct test_case *t, struct str *out)
{
	char *file = xasprintf("%s.yml", t->name);
	struct config_request req = {
		.file = file, .destination = t->destination, .getenv = get, .ctx = &t->env};
	struct diagnostics diags = {0};
	struct error err = {0};
	struct config *c = config_load(&req, &diags, &err);

	diagnostics_render(&diags, false, out);
	if (c != NULL) {
		show(t, c, out);
		round_trip(c, out);
	} else {
		str_addf(out, "%s\n", err.text);
		if (err.hint[0] != '\0') {
			str_addf(out, "hint: %s\n", err.hint);
		}
	}
	config_free(c);
	diagnostics_fini(&diags);
	free(file);
}

static void print_diff(const char *expected, const char *got)
{
	printf("# expected:\n");
	for (const char *text = expected;; text = got) {
		for (const char *p = text; *p != '\0';) {
			size_t n = strcspn(p, "\n");

			printf("#   %.*s\n", (int)n, p);
			p += n + (p[n] == '\n');
		}
		if (text == got) {
			return;
		}
		printf("# got:\n");
	}
}

static bool check(struct test_case *t, int number)
{
	struct str out = STR_INIT(OUTPUT_MAX), expected = STR_INIT(OUTPUT_MAX);
	struct error err = {0};
	char *path = xasprintf("%s.txt", t->name);
	bool ok;

	read_directives(t);
	run(t, &out);
	if (getenv("UPDATE") != NULL) {
		ok = fs_write_atomic(path, str_c(&out), out.len, 0644, &err) == 0;
	} else {
		ok = fs_read(path, &expected, &err) == 0 &&
		     strcmp(str_c(&expected), str_c(&out)) == 0;
	}
	printf("%s %d - %s\n", ok ? "ok" : "not ok", number, t->name);
	if (!ok) {
		print_diff(str_c(&expected), str_c(&out));
	}
	str_fini(&out);
	str_fini(&expected);
	free(path);
	free(t->destination);
	strvec_fini(&t->show);
	strmap_fini(&t->env);
	return ok;
}

int main(int argc, char **argv)
{
	struct strvec names = {0};
	DIR *dir = argc == 2 && chdir(argv[1]) == 0 ? opendir(".") : NULL;
	const struct dirent *e;
	bool all = true;

	if (dir == NULL) {
		fprintf(stderr, "usage: run FOLDER\n");
		return 2;
	}
	while ((e = readdir(dir)) != NULL) {
		size_t n = strcspn(e->d_name, ".");

		if (n > 0 && strcmp(e->d_name + n, ".yml") == 0) {
			char *name = xstrndup(e->d_name, n);

			strvec_push(&names, name);
			free(name);
		}
	}
	closedir(dir);
	strvec_sort(&names);
	printf("1..%zu\n", names.len);
	VEC_FOREACH (&names, i) {
		struct test_case t = {.name = names.p[i]};

		all = check(&t, (int)i + 1) && all;
	}
	strvec_fini(&names);
	return all ? 0 : 1;
}
