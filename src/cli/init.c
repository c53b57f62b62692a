/* SPDX-License-Identifier: MIT */
/* `deploy init`: the first files of a project. Never overwrites any. */
#include "internal.h"

#include "util/fs.h"

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

static int write_manifest(struct outcome *outcome, struct init_facts *facts, struct error *err)
{
	CLEANUP_STR struct str dockerfile = STR_INIT(STR_MAX_FILE);
	CLEANUP_STR struct str text = STR_INIT(STR_MAX_LINE);
	struct error ignored = {0};

	facts->dockerfile = fs_exists("Dockerfile");
	if (facts->dockerfile && fs_read("Dockerfile", &dockerfile, &ignored) == 0) {
		facts->app_port = init_exposed_port(str_c(&dockerfile));
		facts->port_from_image = facts->app_port != 0;
	}
	init_manifest_text(facts, &text);
	return write_new(outcome, "deploy.yml", str_c(&text), 0644, err);
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
	ui_print(ui,
		"Next: put your server into deploy.yml, then 'deploy check' and 'deploy setup'.");
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

static int run_init(struct cli *cli, struct error *err)
{
	__attribute__((cleanup(outcome_fini))) struct outcome outcome = {0};
	char folder[PATH_MAX];

	if (fs_exists("config/deploy.yml")) {
		return found_kamal(cli->ui);
	}
	if (getcwd(folder, sizeof(folder)) == NULL) {
		return error_sys(err, ERROR_INTERNAL, errno, "name of the working folder");
	}
	CLEANUP_FREE char *service = init_service_name(strrchr(folder, '/') + 1);
	struct init_facts facts = {.service = service};

	if (write_manifest(&outcome, &facts, err) < 0 || write_hooks(&outcome, err) < 0 ||
		write_new(&outcome, ".deploy/secrets", init_secrets_text, 0600, err) < 0 ||
		ignore_secrets(&outcome, err) < 0) {
		return -1;
	}
	show(cli->ui, &outcome, &facts);
	return 0;
}

const struct command command_init = {
	.name = "init",
	.arguments = "",
	.summary = "write a first deploy.yml, secrets file and hooks",
	.description =
		"In the working folder; files that are there stay as they are. The service gets\n"
		"the folder's name, the port comes from the Dockerfile's EXPOSE. A project with\n"
		"Kamal's config/deploy.yml needs none of this.",
	.run = run_init,
};
