/* SPDX-License-Identifier: MIT */
/* `deploy init`: the first files of a project. Never overwrites any. */
#include "internal.h"

#include "manifest/import.h"
#include "util/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What was done, for the text and for --json. */
struct outcome {
	struct strvec created, kept;
};

static void outcome_fini(struct outcome *o)
{
	strvec_fini(&o->created);
	strvec_fini(&o->kept);
}

/* O_EXCL: what is there stays, even when it came just now, and even when it is a dangling link. */
static int write_new(
	struct outcome *outcome, const char *path, const char *text, mode_t mode, struct error *err)
{
	CLEANUP_FD int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

	if (fd < 0 && errno == EEXIST) {
		strvec_push(&outcome->kept, path);
		return 0;
	}
	if (fd < 0 || fchmod(fd, mode) < 0 || fd_write_all(fd, text, strlen(text)) < 0) {
		return error_sys(err, ERROR_INTERNAL, errno, "write '%s'", path);
	}
	strvec_push(&outcome->created, path);
	return 0;
}

static int ignore_secrets(struct outcome *outcome, struct error *err)
{
	/* The encrypted ones are for git. */
	static const char *const lines[] = {"/.deploy/secrets*", "!/.deploy/secrets*.enc", NULL};
	bool changed = false;

	if (gitignore_add(".", lines, &changed, err) < 0) {
		return -1;
	}
	strvec_push(changed ? &outcome->created : &outcome->kept, ".gitignore");
	return 0;
}

static int write_hooks(struct outcome *outcome, struct error *err)
{
	if (fs_mkdirs(".deploy/hooks", 0755, err) < 0) {
		return -1;
	}
	for (const struct init_hook *h = init_hooks; h->name != NULL; h++) {
		CLEANUP_FREE char *path = xasprintf(".deploy/hooks/%s.sample", h->name);

		if (write_new(outcome, path, h->text, 0755, err) < 0) {
			return -1;
		}
	}
	return 0;
}

/* What every project gets, with this manifest and these secrets. */
static int write_files(
	struct outcome *outcome, const char *manifest, const char *secrets, struct error *err)
{
	return write_new(outcome, "deploy.yml", manifest, 0644, err) < 0 ||
			       write_hooks(outcome, err) < 0 ||
			       write_new(outcome, ".deploy/secrets", secrets, 0600, err) < 0 ||
			       ignore_secrets(outcome, err) < 0
		       ? -1
		       : 0;
}

static int write_first(struct outcome *outcome, struct init_facts *facts, struct error *err)
{
	CLEANUP_STR struct str dockerfile = STR_INIT(STR_MAX_FILE);
	CLEANUP_STR struct str text = STR_INIT(STR_MAX_LINE);
	struct error ignored = {0};

	if (facts->dockerfile && fs_read("Dockerfile", &dockerfile, &ignored) == 0) {
		facts->app_port = init_exposed_port(str_c(&dockerfile));
		facts->port_from_image = facts->app_port != 0;
	}
	init_manifest_text(facts, &text);
	return write_files(outcome, str_c(&text), init_secrets_text, err);
}

static json_t *list_json(const struct strvec *list)
{
	json_t *array = json_array();

	VEC_FOREACH (list, i) {
		json_array_append_new(array, json_string(list->p[i]));
	}
	return array;
}

static void show(struct ui *ui, const struct outcome *outcome, const struct init_facts *facts)
{
	VEC_FOREACH (&outcome->created, i) {
		ui_print(ui, "wrote  %s", outcome->created.p[i]);
	}
	VEC_FOREACH (&outcome->kept, i) {
		ui_print(ui, "kept   %s (it was there)", outcome->kept.p[i]);
	}
	if (!facts->dockerfile) {
		ui_print(ui, "There is no Dockerfile here yet: 'deploy push' builds from one.");
	}
	if (fs_exists("config/deploy.yml")) {
		ui_print(ui, "From now on deploy.yml is read here, not config/deploy.yml.\n"
			     "Next: read it through, then 'deploy check' and 'deploy push'.");
	} else {
		ui_print(ui, "Next: put your server into deploy.yml, then 'deploy check' and "
			     "'deploy setup'.");
	}
	ui_json(ui, json_pack("{s:s, s:o, s:o, s:b}", "result", "init", "created",
			    list_json(&outcome->created), "kept", list_json(&outcome->kept),
			    "dockerfile", facts->dockerfile));
}

static int found_kamal(struct ui *ui)
{
	ui_print(ui,
		"config/deploy.yml is there, and can be used as it is: nothing was written.\n"
		"See what it comes to with 'deploy config', then 'deploy check' and 'deploy "
		"push'.\n"
		".kamal/secrets and .kamal/hooks are used as long as there is no .deploy folder.");
	ui_json(ui, json_pack("{s:s, s:[], s:[s]}", "result", "init", "created", "kept",
			    "config/deploy.yml"));
	return 0;
}

/* -- From Compose files, or Kamal's -- */

struct init_options {
	struct strvec from;
};

static const struct cli_option init_options[] = {
	{"from", 0, CLI_LIST, offsetof(struct init_options, from), "FILE,...",
		"make deploy.yml of Compose files, or of Kamal's", 0, 0, 0},
	{NULL, 0, CLI_FLAG, 0, NULL, NULL, 0, 0, 0},
};

struct from {
	struct strvec paths;
	struct source *sources;
	struct str *texts;
	size_t n;
};

static void from_fini(struct from *f)
{
	for (size_t i = 0; i < f->n; i++) {
		str_fini(&f->texts[i]);
	}
	free(f->texts);
	free(f->sources);
	strvec_fini(&f->paths);
}

static int from_read(struct from *f, const char *path, struct error *err)
{
	f->texts = xrealloc(f->texts, (f->n + 1) * sizeof(*f->texts));
	f->sources = xrealloc(f->sources, (f->n + 1) * sizeof(*f->sources));
	struct str *text = &f->texts[f->n];
	*text = (struct str)STR_SECRET_INIT(STR_MAX_FILE);
	strvec_push(&f->paths, path);
	f->n++;
	if (fs_read(path, text, err) < 0) {
		return -1;
	}
	f->sources[f->n - 1] = (struct source){
		.name = f->paths.p[f->n - 1], .text = str_c(text), .len = text->len};
	return 0;
}

/* The names in a folder that begin and end so, sorted. */
static void list_names(const char *folder, const char *begin, const char *end, struct strvec *names)
{
	DIR *dir = opendir(folder);

	for (const struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
		if (*e->d_name != '.' && str_starts(e->d_name, begin) && str_ends(e->d_name, end) &&
			strlen(e->d_name) > strlen(begin) + strlen(end)) {
			strvec_push(names, e->d_name);
		}
	}
	if (dir != NULL) {
		closedir(dir);
	}
	strvec_sort(names);
}

/* config/deploy.staging.yml and the like, when only config/deploy.yml was named. */
static int from_read_destinations(struct from *f, struct error *err)
{
	CLEANUP_STRVEC struct strvec names = {0};
	CLEANUP_FREE char *base = xstrdup(f->paths.p[0]);
	char *slash = strrchr(base, '/');
	char *name = slash != NULL ? slash + 1 : base;
	const char *folder = slash == NULL ? "." : slash == base ? "/" : base;
	char *dot = strrchr(name, '.');

	if (dot == NULL || strcmp(dot, ".yml") != 0) {
		return 0;
	}
	dot[1] = '\0';
	if (slash != NULL) {
		*slash = '\0';
	}
	list_names(folder, name, ".yml", &names);
	VEC_FOREACH (&names, i) {
		CLEANUP_FREE char *path =
			slash == NULL ? xstrdup(names.p[i]) : xasprintf("%s/%s", base, names.p[i]);
		if (from_read(f, path, err) < 0) {
			return -1;
		}
	}
	return 0;
}

static int from_kamal(
	struct from *f, struct import *out, struct diagnostics *diags, struct error *err)
{
	CLEANUP_STRVEC struct strvec hooks = {0}, all = {0};

	if (f->n == 1 && from_read_destinations(f, err) < 0) {
		return -1;
	}
	list_names(".kamal/hooks", "", "", &all);
	VEC_FOREACH (&all, i) {
		if (!str_ends(all.p[i], ".sample")) {
			strvec_push(&hooks, all.p[i]);
		}
	}
	return import_kamal(f->sources, f->n, fs_exists(".kamal") ? &hooks : NULL, out, diags);
}

static int already_there(struct error *err)
{
	error_set(err, ERROR_USAGE, "there is a deploy.yml already");
	return error_hint(err, "give it another name first");
}

static int import_files(struct cli *cli, struct from *f, const struct strvec *paths,
	const char *service, struct import *out, struct error *err)
{
	struct diagnostics diags = {0};
	int rc = 0;

	VEC_FOREACH (paths, i) {
		if (from_read(f, paths->p[i], err) < 0) {
			return -1;
		}
	}
	bool kamal = import_is_kamal(&f->sources[0]);
	if (!kamal && fs_exists("config/deploy.yml")) {
		return already_there(err);
	}
	rc = kamal ? from_kamal(f, out, &diags, err)
		   : import_compose(f->sources, f->n, service, out, &diags);
	if (rc < 0 && err->kind == ERROR_NONE) {
		error_set(err, ERROR_MANIFEST, "%s cannot be made a manifest of", paths->p[0]);
	}
	cli_show_diagnostics(cli->ui, &diags, cli_wants_color(&cli->globals));
	diagnostics_fini(&diags);
	return rc;
}

/* The names alone: their values may be passwords. */
static void show_missing(struct ui *ui, const char *lines)
{
	CLEANUP_STR struct str names = STR_INIT(STR_MAX_FILE);

	for (const char *line = lines; *line != '\0'; line += strcspn(line, "\n") + 1) {
		str_addc(&names, ' ');
		str_addn(&names, line, strcspn(line, "="));
	}
	if (names.len > 0) {
		ui_print(ui, ".deploy/secrets was there: it needs%s", str_c(&names));
	}
}

static int write_import(
	struct cli *cli, struct outcome *outcome, const struct import *import, struct error *err)
{
	CLEANUP_STR struct str secrets = STR_SECRET_INIT(STR_MAX_FILE);

	VEC_FOREACH (&import->destinations, i) {
		const struct strmap_entry *d = &import->destinations.p[i];
		CLEANUP_FREE char *path = xasprintf("deploy.%s.yml", d->key);
		if (write_new(outcome, path, d->value, 0644, err) < 0) {
			return -1;
		}
	}
	/* a .deploy folder would hide what is in it */
	if (fs_exists(".kamal") && !fs_exists(".deploy")) {
		return write_new(outcome, "deploy.yml", import->manifest, 0644, err);
	}
	str_addf(&secrets, "%s%s%s", init_secrets_text, *import->secrets ? "\n" : "",
		import->secrets);
	if (write_files(outcome, import->manifest, str_c(&secrets), err) < 0) {
		return -1;
	}
	if (strvec_has(&outcome->kept, ".deploy/secrets")) {
		show_missing(cli->ui, import->secrets);
	}
	return 0;
}

static int run_from(struct cli *cli, const struct strvec *paths, struct outcome *outcome,
	const struct init_facts *facts, struct error *err)
{
	__attribute__((cleanup(from_fini))) struct from from = {0};
	struct import import = {0};

	if (fs_exists("deploy.yml")) {
		return already_there(err);
	}
	int rc = import_files(cli, &from, paths, facts->service, &import, err);
	if (rc == 0) {
		rc = write_import(cli, outcome, &import, err);
	}
	import_fini(&import);
	return rc;
}

static int run_init(struct cli *cli, struct error *err)
{
	__attribute__((cleanup(outcome_fini))) struct outcome outcome = {0};
	const struct init_options *options = cli->options;
	char folder[PATH_MAX];

	if (options->from.len == 0 && fs_exists("config/deploy.yml")) {
		return found_kamal(cli->ui);
	}
	if (getcwd(folder, sizeof(folder)) == NULL) {
		return error_sys(err, ERROR_INTERNAL, errno, "name of the working folder");
	}
	CLEANUP_FREE char *service = init_service_name(strrchr(folder, '/') + 1);
	struct init_facts facts = {.service = service, .dockerfile = fs_exists("Dockerfile")};
	int rc = options->from.len > 0 ? run_from(cli, &options->from, &outcome, &facts, err)
				       : write_first(&outcome, &facts, err);

	if (rc == 0) {
		show(cli->ui, &outcome, &facts);
	}
	return rc;
}

const struct command command_init = {
	.name = "init",
	.arguments = "",
	.summary = "write a first deploy.yml, secrets file and hooks",
	.description =
		"In the working folder; files that are there stay as they are. The service gets\n"
		"the folder's name, the port comes from the Dockerfile's EXPOSE. A project with\n"
		"Kamal's config/deploy.yml needs none of this: it is used as it is, unless it\n"
		"has keys that are refused; --from config/deploy.yml makes them comments.",
	.options = init_options,
	.options_size = sizeof(struct init_options),
	.run = run_init,
};
